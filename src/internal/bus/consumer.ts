import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BusError } from "../../bus/BusError.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import * as AtOnce from "./atOnce.ts"
import { Fifo } from "../fifo.ts"

/** A delivered message that the work is done on. */
export interface Work<P> {
  readonly delivered: Driver.Delivered
  /** Messages of one lane are handled one after the other. */
  readonly lane: string | undefined
  /** What was found out about it when it came. */
  readonly prepared: P
}

export interface Options<P> {
  readonly consumer: Driver.Consumer
  readonly concurrency: number
  /** The most messages that are here at once. */
  readonly prefetch: number
  readonly prepare: (delivered: Driver.Delivered) => Work<P>
  /** What each worker does, in its own fiber. */
  readonly handling: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Handling<P>
  /** Told of each message whose handling has ended. */
  readonly settled: () => void
  readonly drain: Duration.DurationInput
  /** When a driver that failed is asked again. */
  readonly reconnect: Schedule.Schedule<unknown, BusError>
  /** Open while messages are taken and handled. */
  readonly running: Effect.Latch
  /** Opened when the scope ends: what waits here for anything but its handler need not go on. */
  readonly closing: Effect.Latch
  /** What messages are taken through. */
  readonly gate: Gate | undefined
  readonly isPaused: () => boolean
}

/**
 * What a worker does about one message after the other. Interrupted, it has said nothing of what becomes of a message. All but
 * the handler is plain code, so that a message whose handler succeeds costs no Effect beside it.
 */
export interface Handling<P> {
  /** Told of each message first; answers with what is to be done in place of its handler, where that is not just run. */
  readonly instead: (work: Work<P>) => Effect.Effect<Driver.Settlement> | undefined
  readonly handler: (work: Work<P>) => Effect.Effect<unknown, unknown>
  readonly succeeded: (work: Work<P>) => Driver.Settlement
  readonly failed: (work: Work<P>, why: Cause.Cause<unknown>) => Effect.Effect<Driver.Settlement>
}

/** A door to the handlers that may be shut for a while. */
export interface Gate {
  /** Waits until a handler may be run. */
  readonly admitting: Effect.Effect<void>
  readonly isShut: Effect.Effect<boolean>
  /** Tells each time that it is shut. */
  readonly shutting: Stream.Stream<unknown>
}

const always = () => true

/** What later messages of a lane wait for. */
interface Hold {
  readonly id: string
  readonly until: number
}

/**
 * Takes messages and has them handled, until the scope ends: then it takes no more, gives back what has not been begun,
 * waits for what has been, and after a deadline interrupts the rest, which is given back as well.
 */
export const run = <P>(options: Options<P>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { concurrency, consumer, gate, prefetch, reconnect, running } = options
    const ready = new Fifo<Work<P>>()
    const lanes = new Map<string, Fifo<Work<P>>>()
    const holds = new Map<string, Hold>()
    const idle: Array<() => void> = []
    let held = 0
    let active = 0
    let ending = false
    let closing = false
    let onRoom: (() => void) | undefined
    const drained = yield* Deferred.make<void>()

    const settle = (settlements: ReadonlyArray<Driver.Settlement>): Effect.Effect<void> =>
      settlements.length === 0
        ? Effect.void
        // What is not settled is delivered again; the end does not wait for a bus that is away.
        : Effect.ignore(Effect.retry(consumer.settle(settlements), { schedule: reconnect, while: () => !ending }))

    const begin = (work: Work<P>): void => {
      ready.push(work)
      idle.pop()?.()
    }

    /** Puts a message into its lane; answers how to settle it where it cannot wait here. */
    const admit = (work: Work<P>): Driver.Settlement | undefined => {
      const { delivered, lane } = work
      if (lane === undefined) {
        begin(work)
        return undefined
      }
      const hold = holds.get(lane)
      if (hold !== undefined) {
        if (hold.id !== delivered.message.id) return putOff(delivered, hold)
        // It is here again, so that others wait behind it.
        holds.delete(lane)
      }
      const line = lanes.get(lane)
      if (line === undefined) {
        lanes.set(lane, new Fifo())
        begin(work)
      } else line.push(work)
      return undefined
    }

    /** Until the message before it is due; that one becomes ready first. */
    const putOff = ({ message, receipt, state }: Driver.Delivered, hold: Hold): Driver.Settlement => ({
      _tag: "later",
      receipt,
      at: hold.until,
      state,
      overtake: !("key" in message)
    })

    const giveBack = ({ receipt }: Driver.Delivered, counted: boolean): Driver.Settlement => ({
      _tag: "return",
      receipt,
      counted
    })

    /** What is to be settled once a message of a lane is: those behind one that comes back later. */
    const passLane = ({ delivered, lane }: Work<P>, settlement: Driver.Settlement): Array<Driver.Settlement> => {
      if (lane === undefined) return []
      const line = lanes.get(lane)!
      const waits = settlement._tag === "later" && !settlement.overtake
      if (waits || settlement._tag === "return") {
        // The driver itself holds back what has the message's own key; what is given back comes back in its order.
        const ownKey = "key" in delivered.message && delivered.message.key === lane
        const hold = waits && !ownKey ? { id: delivered.message.id, until: settlement.at } : undefined
        if (hold !== undefined) holds.set(lane, hold)
        lanes.delete(lane)
        const rest: Array<Driver.Settlement> = []
        for (let next = line.shift(); next !== undefined; next = line.shift()) {
          held--
          rest.push(hold === undefined ? giveBack(next.delivered, false) : putOff(next.delivered, hold))
        }
        return rest
      }
      const next = line.shift()
      if (next === undefined) lanes.delete(lane)
      else begin(next)
      return []
    }

    /** Gives back what has not been begun, but for those that wait behind one that has. */
    const clear = Effect.suspend(() => {
      const back: Array<Driver.Settlement> = []
      for (let work = ready.shift(); work !== undefined; work = ready.shift()) {
        back.push(giveBack(work.delivered, false))
        if (work.lane === undefined) continue
        const line = lanes.get(work.lane)!
        lanes.delete(work.lane)
        for (let next = line.shift(); next !== undefined; next = line.shift()) {
          back.push(giveBack(next.delivered, false))
        }
      }
      held -= back.length
      onRoom?.()
      return settle(back)
    })

    const room = Effect.async<void>((resume) => {
      if (held < prefetch) return resume(Effect.void)
      onRoom = () => {
        onRoom = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        onRoom = undefined
      })
    })

    /** Has messages handled, or gives them back where that is not to be. */
    const take = (pulled: ReadonlyArray<Driver.Delivered>, back: boolean): Effect.Effect<void> => {
      if (back) return settle(pulled.map((delivered) => giveBack(delivered, false)))
      return settle(admitAll(pulled))
    }

    /** Answers how to settle those that cannot wait here. */
    const admitAll = (pulled: ReadonlyArray<Driver.Delivered>): Array<Driver.Settlement> => {
      const refused: Array<Driver.Settlement> = []
      for (const delivered of pulled) {
        held++
        const settlement = admit(options.prepare(delivered))
        if (settlement === undefined) continue
        held--
        refused.push(settlement)
      }
      return refused
    }

    const puller = Effect.gen(function*() {
      for (;;) {
        yield* running.await
        if (held >= prefetch) yield* room
        if (gate !== undefined) yield* gate.admitting
        yield* Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(
            restore(Effect.retry(Effect.suspend(() => consumer.pull(prefetch - held)), reconnect)),
            (pulled) =>
              gate === undefined
                ? take(pulled, options.isPaused())
                : Effect.flatMap(gate.isShut, (shut) => take(pulled, shut || options.isPaused()))
          )
        )
      }
    })

    /** What is to be settled, and by how many messages there is more room then. */
    let unsettled: Array<Driver.Settlement> = []
    let handled = 0
    let wakeSettler: (() => void) | undefined

    /** Settled with what others have to settle, so that the driver is told of many at a time. */
    const finish = (work: Work<P>, settlement: Driver.Settlement): void => {
      unsettled.push(settlement)
      if (work.lane !== undefined) unsettled.push(...passLane(work, settlement))
      handled++
      options.settled()
      wakeSettler?.()
    }

    const settleAll = Effect.suspend(() => {
      const settlements = unsettled
      const count = handled
      unsettled = []
      handled = 0
      return Effect.map(settle(settlements), () => {
        letGo(count)
        // in stretches, so that the driver is asked for many at a time
        if (onRoom !== undefined && held <= prefetch >> 1) onRoom()
      })
    })

    const letGo = (count: number): void => {
      held -= count
      active -= count
      if (closing && active === 0) Deferred.unsafeDone(drained, Exit.void)
    }

    const settleNow = AtOnce.of(consumer.settle)
    const pullNow = gate === undefined ? AtOnce.of(consumer.pull) : undefined

    /**
     * Settles what was handled and takes what there is, while the puller waits for room: where a driver does both at once, no
     * other fiber need have its turn before a worker goes on.
     */
    const goOn = (fiber: Fiber.RuntimeFiber<unknown, unknown>): void => {
      if (settleNow === undefined || pullNow === undefined || onRoom === undefined) return
      if (ending || handled === 0 || options.isPaused()) return
      if (Either.isLeft(settleNow(unsettled, fiber))) return
      unsettled = []
      letGo(handled)
      handled = 0
      const pulled = pullNow(prefetch - held, fiber)
      const refused = Either.isRight(pulled) ? admitAll(pulled.right) : []
      if (refused.length > 0) {
        unsettled = refused
        wakeSettler?.()
      }
      if (held < prefetch) onRoom()
    }

    const toSettle = Effect.async<void>((resume) => {
      if (unsettled.length > 0) return resume(Effect.void)
      wakeSettler = () => {
        wakeSettler = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        wakeSettler = undefined
      })
    })

    const settler = Effect.forever(Effect.zipRight(toSettle, Effect.uninterruptible(settleAll)))

    const next = Effect.async<void>((resume) => {
      if (ready.size > 0) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      idle.push(wake)
      return Effect.sync(() => {
        const at = idle.indexOf(wake)
        if (at >= 0) idle.splice(at, 1)
      })
    })

    const worker = Effect.withFiberRuntime<never>((fiber) => {
      const { failed, handler, instead, succeeded } = options.handling(fiber)
      let current: Work<P> | undefined
      let handling = false
      /** How many of the doors before a handler were passed; what waits there goes on behind it. */
      let passed = 0
      const settled = (settlement: Driver.Settlement): void => {
        const work = current!
        current = undefined
        finish(work, settlement)
      }
      /** Interrupted itself, it leaves what it works on to its end. Anything else must not come again for ever. */
      const broken = (): Driver.Settlement => giveBack(current!.delivered, true)
      /** What is done next: a handler, what stands in its place, or the wait for a message. */
      const body = (): Effect.Effect<unknown, unknown> => {
        if (passed === 0) {
          passed = 1
          if (options.isPaused()) return running.await
        }
        if (passed === 1) {
          passed = 2
          if (gate !== undefined && ready.size > 0) return gate.admitting
        }
        passed = 0
        if (ready.size === 0) goOn(fiber)
        const taken = current = ready.shift()
        if (taken === undefined) return next
        active++
        const other = instead(taken)
        if (other !== undefined) return other
        handling = true
        return handler(taken)
      }
      const step = (result: unknown): void => {
        if (current === undefined) return
        if (!handling) return settled(result as Driver.Settlement)
        handling = false
        settled(succeeded(current))
      }
      // A generator would cost several objects for each message.
      const work = Effect.whileLoop({ while: always, body, step })
      // Caught here and not for each message: what succeeds does not pay for it.
      const unending: Effect.Effect<never> = Effect.catchAllCause(work as Effect.Effect<never, unknown>, (why) => {
        const taken = current
        if (taken === undefined) return Effect.failCause(why as Cause.Cause<never>)
        const ended = handling ? failed(taken, why) : Effect.sync(broken)
        handling = false
        passed = 0
        return Effect.flatMap(Effect.catchAllCause(ended, () => Effect.sync(broken)), (settlement) => {
          settled(settlement)
          return unending
        })
      })
      // Interrupted, it is as if the message had not been delivered.
      return Effect.ensuring(
        unending,
        Effect.sync(() => {
          if (current !== undefined) settled(giveBack(current.delivered, false))
        })
      )
    })

    const inner = yield* Scope.make()
    const pulling = yield* Effect.forkIn(puller, inner)
    // Others may have the messages that are not handled here for now.
    if (gate !== undefined) yield* Effect.forkIn(Stream.runForEach(gate.shutting, () => clear), inner)
    const settling = yield* Effect.forkIn(settler, inner)
    const workers = yield* Effect.replicateEffect(Effect.forkIn(worker, inner), concurrency)

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        ending = true
        yield* Fiber.interrupt(pulling)
        closing = true
        yield* options.closing.open
        const back: Array<Driver.Settlement> = []
        for (const line of [ready, ...lanes.values()]) {
          for (let work = line.shift(); work !== undefined; work = line.shift()) {
            back.push(giveBack(work.delivered, false))
          }
        }
        yield* settle(back)
        if (active > 0) yield* Effect.timeoutOption(Effect.interruptible(Deferred.await(drained)), options.drain)
        yield* Fiber.interruptAll(workers)
        yield* Fiber.interrupt(settling)
        yield* settleAll
        yield* Scope.close(inner, Exit.void)
      })
    )
  })
