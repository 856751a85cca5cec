import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import type { Service } from "../../bus/EventBus.ts"
import { HandlerTimeout } from "../../bus/HandlerTimeout.ts"
import type { Delivery, Running, SubscribeError } from "../../bus/Subscription.ts"
import * as Correlation from "../../event/Correlation.ts"
import { PayloadFormat } from "../../event/PayloadFormat.ts"
import * as Retryability from "../../resilience/Retryability.ts"
import * as Consumer from "./consumer.ts"
import { Meter, meters } from "./meter.ts"
import * as Retry from "./retry.ts"
import * as DeadLetterOf from "./deadLetterOf.ts"
import * as FiberRefs from "../fiberRefs.ts"
import * as Breaker from "./subscriptionBreaker.ts"
import * as Message from "./subscriptionMessage.ts"
import * as Settings from "./subscriptionSettings.ts"
import type { Source } from "./subscriptionSource.ts"

type Handler = (event: any, delivery: Delivery) => Effect.Effect<void, unknown, any>
type Work = Consumer.Work<Message.Prepared>

/** Runs a subscription until the scope ends. */
export const run = (
  bus: Service,
  name: string,
  source: Source,
  handler: Handler,
  settings: Settings.Settings
): Effect.Effect<Running, SubscribeError, any> =>
  Effect.gen(function*() {
    yield* Settings.check(name, settings)
    const plans = yield* Settings.compile(settings)
    const formats = yield* PayloadFormat
    const context: Context.Context<any> = yield* Effect.context<any>()
    const running = yield* Effect.makeLatch(true)
    const closing = yield* Effect.makeLatch(false)
    let paused = false
    const pause = Effect.zipRight(Effect.sync(() => void (paused = true)), running.close)
    const breaker = settings.breaker === undefined ? undefined : yield* Breaker.of(bus, name, settings.breaker)
    const clock = Context.get(yield* FiberRef.get(DefaultServices.currentServices), Clock.Clock)
    const meter = yield* meters.share(
      bus,
      name,
      Effect.map(Clock.currentTimeMillis, (now) => new Meter(bus.driver, name, now))
    )
    const timeout = settings.timeout === undefined ? undefined : Duration.decode(settings.timeout)

    const consumer = yield* bus.consume({ name, selector: source.selector, start: settings.start, kept: settings.kept })
    const own = settings.onDeadLetter
    const bury = DeadLetterOf.make(bus, name, settings.reconnect, meter, [
      own === undefined ? undefined : (letter) => Effect.provide(own(letter), context),
      settings.busOnDeadLetter
    ])

    const prepare = (delivered: Driver.Delivered): Work => {
      const prepared = Message.read(delivered, formats, source)
      return { delivered, lane: Message.laneOf(source, prepared, delivered.message), prepared }
    }

    const around = yield* Correlation.current
    const outer = Object.keys(around).length === 0 ? undefined : around

    const handling = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Consumer.Handling<Message.Prepared> => {
      const setCorrelation = FiberRefs.setterOf(fiber, Correlation.currentCorrelation)
      // of the message that the worker has in hand
      let prepared: Message.Readable
      let attempts = 0
      let began = 0
      return {
        instead: ({ delivered, prepared: given }) => {
          const now = nowOf()
          meter.taken(now)
          const { state } = given
          attempts = state.attempts + delivered.deliveries
          if (given._tag === "dead") {
            const { failure, reason } = given
            return bury(delivered, { reason, error: { ...failure, at: now } }, state, attempts - 1)
          }
          if (source._tag !== "raw" && Message.isExpired(delivered.message, state, now)) {
            return expire(delivered, state, now)
          }
          if (delivered.deliveries > settings.deliveries) {
            return bury(delivered, { reason: "crashed", error: Message.crashOf(delivered, now) }, state, attempts - 1)
          }
          prepared = given
          began = now
          // Set for the worker, whose next message sets its own: cheaper than to set and restore it around each.
          const caused = Correlation.following({ id: delivered.message.id, metadata: given.metadata })
          setCorrelation(outer === undefined ? caused : Correlation.merge(outer, caused))
          const due = state.next ?? 0
          // Where another process had begun to wait, this one goes on.
          if (due > now) {
            return Effect.zipRight(
              Effect.sleep(Duration.millis(due - now)),
              attempt(delivered, given, state, attempts)
            )
          }
          return breaker === undefined ? undefined : attempt(delivered, given, state, attempts)
        },
        handler: ({ delivered }) => runHandler(delivered, prepared, attempts),
        succeeded: ({ delivered: { receipt } }) => {
          const now = nowOf()
          meter.ended(now - began, now, undefined)
          return { _tag: "done", receipt }
        },
        failed: ({ delivered }, why) =>
          Effect.suspend(() => failed(delivered, prepared, prepared.state, attempts, why, began, nowOf()))
      }
    }

    /** Runs the handler once, and does about its outcome what the policy says; that may run it again. */
    const attempt = (
      delivered: Driver.Delivered,
      prepared: Message.Readable,
      state: Retry.State,
      attempts: number
    ): Effect.Effect<Driver.Settlement> => {
      let began = 0
      const conclude = (exit: Exit.Exit<void, unknown>): Effect.Effect<Driver.Settlement> => {
        const now = nowOf()
        if (Exit.isFailure(exit)) return failed(delivered, prepared, state, attempts, exit.cause, began, now)
        meter.ended(now - began, now, undefined)
        return Effect.succeed({ _tag: "done", receipt: delivered.receipt })
      }
      const handler = Effect.suspend(() => {
        began = nowOf()
        return runHandler(delivered, prepared, attempts)
      })
      if (breaker === undefined) return Effect.flatMap(Effect.exit(handler), conclude)
      return Effect.flatMap(Breaker.attempt(breaker, handler), (exit) =>
        exit === undefined ? afterRefusal(delivered, prepared, state, attempts) : conclude(exit))
    }

    /** A refusal is no attempt: the message waits for its turn, or until the subscription ends. */
    const afterRefusal = (
      delivered: Driver.Delivered,
      prepared: Message.Readable,
      state: Retry.State,
      attempts: number
    ): Effect.Effect<Driver.Settlement> =>
      Effect.raceFirst(Effect.as(breaker!.admitting, true), Effect.as(closing.await, false)).pipe(
        Effect.zip(Clock.currentTimeMillis),
        Effect.flatMap(([admitted, now]) => {
          if (!admitted) {
            return Effect.succeed({ _tag: "return", receipt: delivered.receipt, counted: false } as const)
          }
          return Message.isExpired(delivered.message, state, now)
            ? expire(delivered, state, Math.floor(now))
            : attempt(delivered, prepared, state, attempts)
        })
      )

    const runHandler = (
      { message }: Driver.Delivered,
      { event, metadata }: Message.Readable,
      attempts: number
    ): Effect.Effect<void, unknown> => {
      let handled: Effect.Effect<void, unknown>
      // The worker's fiber was forked with all that the handler needs.
      try {
        handled = handler(event, Message.deliveryOf(name, message, metadata, attempts)) as typeof handled
      } catch (thrown) {
        handled = Effect.die(thrown)
      }
      return timeout === undefined ? handled : Effect.timeoutFail(handled, {
        duration: timeout,
        onTimeout: () =>
          new HandlerTimeout({ subscription: name, after: timeout })
      })
    }

    const failed = (
      delivered: Driver.Delivered,
      prepared: Message.Readable,
      before: Retry.State,
      attempts: number,
      why: Cause.Cause<unknown>,
      began: number,
      now: number
    ): Effect.Effect<Driver.Settlement> =>
      Effect.flatMap(Random.nextInt, (seed) => {
        const { message, receipt } = delivered
        const error = Cause.failureOption(why)
        if (Option.isNone(error)) {
          if (Cause.isInterruptedOnly(why)) return Effect.succeed({ _tag: "return", receipt, counted: true })
          const failure = Message.failureOf(Cause.squash(why), now)
          meter.ended(now - began, now, failure.tag)
          const state = Retry.failed(before, attempts, failure)
          return bury(delivered, { reason: "defect", error: failure, cause: Cause.pretty(why) }, state, attempts)
        }
        const failure = Message.failureOf(error.value, now)
        meter.ended(now - began, now, failure.tag)
        const state = Retry.failed(before, attempts, failure)
        const plan = plans(error.value)
        const permanent = Retryability.of(error.value) === "permanent"
        const decided = permanent || Message.isSpent(message, attempts)
          ? { state, decision: { _tag: "end", end: plan.end } as const }
          : Retry.decide(plan, state, Message.tagOf(error.value), now, seed)
        const { decision } = decided
        if (decision._tag === "again") {
          meter.retried(now)
          if (decision.later) {
            const { at, overtake } = decision
            return Effect.succeed({ _tag: "later", receipt, at, state: Retry.encode(decided.state), overtake })
          }
          return retryInPlace(delivered, prepared, decided.state, attempts, decision.at - now)
        }
        switch (decision.end) {
          case "Ignore":
            return Effect.succeed({ _tag: "done", receipt })
          case "Pause":
            return Effect.as(
              Effect.zipRight(pause, Effect.logWarning(`subscription "${name}" is paused: ${failure.message}`)),
              { _tag: "later", receipt, at: now, state: Retry.encode(state), overtake: false } as const
            )
          case "DeadLetter": {
            const reason = permanent ? "permanent" : plan.stages.length === 0 ? "rejected" : "exhausted"
            return bury(delivered, { reason, error: failure, cause: Cause.pretty(why) }, state, attempts)
          }
        }
      })

    /** Keeps its place in the Schedule with the message, so that a next process goes on from there. */
    const retryInPlace = (
      delivered: Driver.Delivered,
      prepared: Message.Readable,
      state: Retry.State,
      attempts: number,
      delay: number
    ): Effect.Effect<Driver.Settlement> => {
      const { message, receipt } = delivered
      const kept = Effect.ignore(consumer.settle([{ _tag: "keep", receipt, state: Retry.encode(state) }]))
      const wait = delay > 0 ? Effect.zipRight(kept, Effect.sleep(Duration.millis(delay))) : kept
      return Effect.flatMap(Effect.zipRight(wait, Clock.currentTimeMillis), (now) =>
        source._tag !== "raw" && Message.isExpired(message, state, now)
          ? expire(delivered, state, Math.floor(now))
          : attempt(delivered, prepared, state, attempts + 1))
    }

    const expire = (delivered: Driver.Delivered, state: Retry.State, now: number) =>
      bury(delivered, { reason: "expired", error: Message.expiryOf(delivered.message, now) }, state, state.attempts)

    const nowOf = () =>
      Math.floor(clock.unsafeCurrentTimeMillis())

    yield* Consumer.run({
      consumer,
      concurrency: settings.concurrency,
      prefetch: settings.prefetch,
      prepare,
      handling,
      settled: () =>
        meter.left(),
      drain: settings.drain,
      reconnect: settings.reconnect,
      running,
      closing,
      gate: breaker === undefined ? undefined : Breaker.gateOf(breaker),
      isPaused: () =>
        paused
    }) as Effect.Effect<void, never, Scope.Scope>

    return {
      name,
      pause,
      resume: Effect.zipRight(
        Effect.sync(() => void (paused = false)),
        Effect.asVoid(running.open)
      ),
      isPaused: Effect.sync(() => paused),
      breaker: Option.fromNullable(breaker)
    }
  })
