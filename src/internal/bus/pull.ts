import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as Schedule from "effect/Schedule"
import type { BusError } from "../../bus/BusError.ts"
import type { DeadLetter, Failure } from "../../bus/DeadLetter.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import type { Service } from "../../bus/EventBus.ts"
import type { Puller, Taken } from "../../bus/Pull.ts"
import type { SubscribeError } from "../../bus/Subscription.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { PayloadFormat } from "../../event/PayloadFormat.ts"
import { Meter, meters } from "./meter.ts"
import * as Retry from "./retry.ts"
import * as DeadLetterOf from "./deadLetterOf.ts"
import * as Faults from "../faults.ts"
import { Fifo } from "../fifo.ts"
import * as Message from "./subscriptionMessage.ts"
import type { Source } from "./subscriptionSource.ts"

interface Settings {
  readonly prefetch: number
  readonly start: Driver.Start
  readonly deliveries: number
  readonly reconnect: Schedule.Schedule<unknown, BusError>
  readonly onDeadLetter: ((letter: DeadLetter) => Effect.Effect<void, unknown, any>) | undefined
  readonly busOnDeadLetter: ((letter: DeadLetter) => Effect.Effect<void, unknown>) | undefined
  readonly kept: boolean
}

const check = ({ deliveries, prefetch }: Settings): Effect.Effect<void, InvalidInput> => {
  const faults = Faults.make()
  for (const [path, value] of Object.entries({ deliveries, prefetch })) {
    const problem = Faults.countProblem(value, 1)
    if (problem !== undefined) faults.add(path, problem)
  }
  return Effect.suspend(() => Faults.orInvalid(faults, () => undefined))
}

export const make = (
  bus: Service,
  name: string,
  source: Source,
  settings: Settings
): Effect.Effect<Puller<any>, SubscribeError, any> =>
  Effect.gen(function*() {
    yield* check(settings)
    const { deliveries, kept, prefetch, reconnect, start } = settings
    const formats = yield* PayloadFormat
    const context: Context.Context<any> = yield* Effect.context<any>()
    const own = settings.onDeadLetter
    const clock = Context.get(yield* FiberRef.get(DefaultServices.currentServices), Clock.Clock)
    const nowOf = () => Math.floor(clock.unsafeCurrentTimeMillis())
    const meter = yield* meters.share(
      bus,
      name,
      Effect.map(Clock.currentTimeMillis, (now) => new Meter(bus.driver, name, now))
    )
    const bury = DeadLetterOf.make(bus, name, reconnect, meter, [
      own === undefined ? undefined : (letter) => Effect.provide(own(letter), context),
      settings.busOnDeadLetter
    ])
    const consumer = yield* bus.consume({ name, selector: source.selector, start, kept })

    /** What nobody has asked for yet. */
    const buffer = new Fifo<{ readonly give: (now: number) => Taken<unknown>; readonly receipt: unknown }>()
    /** How many are here, asked for or not. */
    let held = 0
    const arrived = yield* Effect.makeLatch(false)
    const room = yield* Effect.makeLatch(true)
    const failed = yield* Deferred.make<never, BusError>()

    const settle = (settlement: Driver.Settlement) => Effect.retry(consumer.settle([settlement]), reconnect)

    const release = Effect.suspend(() => {
      held--
      return room.open
    })

    /** What becomes of a message that nobody is to see; `undefined` where it is to be seen. */
    const refused = (
      delivered: Driver.Delivered,
      prepared: Message.Prepared,
      attempts: number,
      now: number
    ): Effect.Effect<Driver.Settlement> | undefined => {
      const { state } = prepared
      if (prepared._tag === "dead") {
        const { failure, reason } = prepared
        return bury(delivered, { reason, error: { ...failure, at: now } }, state, attempts - 1)
      }
      if (Message.isExpired(delivered.message, state, now)) {
        return bury(
          delivered,
          { reason: "expired", error: Message.expiryOf(delivered.message, now) },
          state,
          state.attempts
        )
      }
      return delivered.deliveries > deliveries
        ? bury(delivered, { reason: "crashed", error: Message.crashOf(delivered, now) }, state, attempts - 1)
        : undefined
    }

    const takenOf = (
      delivered: Driver.Delivered,
      { event, metadata, state }: Message.Readable,
      attempts: number,
      since: number
    ): Taken<unknown> => {
      const { message, receipt } = delivered
      let settled = false
      /** The first decides; one that fails lets another try. */
      const once = (
        settlement: (now: number) => Effect.Effect<Driver.Settlement>,
        error?: Failure
      ): Effect.Effect<void, BusError> =>
        Effect.suspend(() => {
          if (settled) return Effect.void
          settled = true
          const now = nowOf()
          return Effect.onExit(Effect.flatMap(settlement(now), settle), (exit) => {
            settled = Exit.isSuccess(exit)
            if (!settled) return Effect.void
            meter.ended(now - since, now, error?.tag)
            meter.left()
            return release
          })
        })
      const failedWith = (
        error: unknown,
        then: (now: number, failure: Failure, failed: Retry.State) => Effect.Effect<Driver.Settlement>
      ) => {
        const failure = Message.failureOf(error, 0)
        return once((now) => {
          const at = { ...failure, at: now }
          return then(now, at, Retry.failed(state, attempts, at))
        }, failure)
      }
      return {
        event,
        delivery: Message.deliveryOf(name, message, metadata, attempts),
        ack: once(() => Effect.succeed({ _tag: "done", receipt })),
        deadLetter: (error) =>
          failedWith(error, (_, failure, failed) =>
            bury(delivered, { reason: "rejected", error: failure }, failed, attempts)),
        retryLater: (delay, error = "it was to be retried later") =>
          failedWith(error, (now, failure, failed) => {
            if (Message.isSpent(message, attempts)) {
              return bury(delivered, { reason: "exhausted", error: failure }, failed, attempts)
            }
            meter.retried(now)
            // never early
            const at = now + Math.ceil(Duration.toMillis(delay))
            return Effect.succeed({ _tag: "later", receipt, at, state: Retry.encode(failed), overtake: false })
          }),
        causes: Correlation.causedBy({ id: message.id, metadata })
      }
    }

    /** Has messages ready to be asked for; answers how to put those aside that nobody is to see. */
    const admit = (pulled: ReadonlyArray<Driver.Delivered>, now: number) => {
      const buried: Array<Effect.Effect<Driver.Settlement>> = []
      for (const delivered of pulled) {
        const prepared = Message.read(delivered, formats, source)
        const attempts = prepared.state.attempts + delivered.deliveries
        const settlement = refused(delivered, prepared, attempts, now)
        if (settlement !== undefined) {
          buried.push(settlement)
          continue
        }
        held++
        buffer.push({
          give: (now) =>
            takenOf(delivered, prepared as Message.Readable, attempts, now),
          receipt: delivered.receipt
        })
      }
      if (held >= prefetch) {
        room.unsafeClose()
      }
      if (buffer.size > 0) {
        arrived.unsafeOpen()
      }
      return buried
    }

    const puller = Effect.uninterruptibleMask((restore) =>
      Effect.forever(Effect.gen(function*() {
        yield* restore(room.await)
        const pulled = yield* restore(Effect.retry(
          Effect.suspend(() => consumer.pull(prefetch - held)),
          reconnect
        ))
        for (const buried of admit(pulled, nowOf())) {
          yield* restore(Effect.flatMap(buried, settle))
        }
      }))
    )
    const pulling = yield* Effect.forkDaemon(Effect.onError(puller, (cause) => Deferred.failCause(failed, cause)))

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        yield* Fiber.interrupt(pulling)
        const back: Array<Driver.Settlement> = []
        for (let next = buffer.shift(); next !== undefined; next = buffer.shift()) {
          back.push({ _tag: "return", receipt: next.receipt, counted: false })
        }
        // What was asked for and not settled is delivered again when its consumer ends, which is next.
        if (back.length > 0) yield* Effect.ignore(consumer.settle(back))
      })
    )

    const shift = (max: number): ReadonlyArray<Taken<unknown>> => {
      const taken: Array<Taken<unknown>> = []
      const now = nowOf()
      while (taken.length < max) {
        const next = buffer.shift()
        if (next === undefined) break
        meter.taken(now)
        taken.push(next.give(now))
      }
      if (buffer.size === 0) arrived.unsafeClose()
      return taken
    }

    const wait = Effect.raceFirst(arrived.await, Deferred.await(failed))

    /** Only the wait is raced with the time: what was taken is not lost to one that has passed. */
    const next = (max: number, until: number): Effect.Effect<ReadonlyArray<Taken<unknown>>, BusError> =>
      Effect.gen(function*() {
        for (;;) {
          if (buffer.size > 0) return shift(max)
          const left = until - (yield* Clock.currentTimeMillis)
          if (left <= 0) return []
          yield* until === Infinity ? wait : Effect.timeoutOption(wait, left)
        }
      })

    const pull: Puller<unknown>["pull"] = (max, options) =>
      Effect.suspend(() => {
        const within = options?.within
        const problem = Faults.countProblem(max, 1)
        if (problem !== undefined) {
          return Effect.die(Faults.invalid("max", problem))
        }
        return within === undefined
          ? next(max, Infinity)
          : Effect.flatMap(Clock.currentTimeMillis, (now) => next(max, now + Duration.toMillis(within)))
      })

    return { name, pull }
  })
