import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { BusError } from "../../bus/BusError.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import * as EventLoop from "../eventLoop.ts"
import { Fifo } from "../fifo.ts"
import type { Claim, Database, Settled, Taken } from "./sqlDatabase.ts"
import type { Claimed, Lines } from "./sqlLines.ts"
import type { Signals } from "./sqlSignals.ts"

export interface Options {
  readonly database: Database
  readonly kept: boolean
  /** Finds the subscription or makes it, and says as which member of those who consume. */
  readonly open: Effect.Effect<{ readonly id: number; readonly member: number }, BusError>
  readonly isCurrent: (member: number) => boolean
  readonly buried: (member: number) => void
  /** What all consumers of this process hold. */
  readonly holding: Set<ReadonlyMap<number, Receipt>>
  readonly lines: Lines
  /** The driver's own. */
  readonly scope: Scope.Scope
  readonly signals: Signals
  /** Called when settlements are committed. */
  readonly committed: (group: number, changed: boolean, settled: ReadonlyArray<Settled>) => void
}

/** A message that this consumer was given and has not settled. */
export interface Receipt {
  readonly place: number
  readonly group: number
  readonly member: number
  readonly priority: number
  readonly keyed: boolean
}

/**
 * Takes messages in batches. What the database has given is never lost on the way: it is put down before it is handed over, so
 * that one who stops waiting in between finds it there the next time.
 */
export const make = (options: Options): Effect.Effect<Driver.Consumer, BusError, Scope.Scope> =>
  Effect.gen(function*() {
    const { database, lines, scope, signals } = options
    const opened = yield* Effect.acquireRelease(
      Effect.map(options.open, (at) => ({ at })),
      ({ at }) => options.kept ? Effect.void : Effect.ignore(brief(database.detach(at.id, at.member)))
    )
    /** What was given and not yet asked for. */
    const waiting = new Fifo<Driver.Delivered>()
    /** By their places in line; a receipt that is not the one here is stale. */
    const held = new Map<number, Receipt>()
    options.holding.add(held)
    yield* Effect.addFinalizer(() => Effect.sync(() => options.holding.delete(held)))
    let closed = false
    /** What a claim that is on its way will be answered with. */
    let asked: Deferred.Deferred<Claimed, BusError> | undefined

    const hold = ({ deliveries, message, place, state }: Taken): Driver.Delivered => {
      const receipt: Receipt = {
        place,
        group: opened.at.id,
        member: opened.at.member,
        priority: message.priority,
        keyed: message.key !== undefined
      }
      held.set(place, receipt)
      return { receipt, message, deliveries, state }
    }

    /** What another member has been given meanwhile is none of ours any more. */
    const forget = (): void => {
      held.clear()
      while (waiting.size > 0) waiting.shift()
    }

    const reopen = Effect.suspend(() => {
      options.buried(opened.at.member)
      forget()
      return Effect.map(options.open, (at) => {
        opened.at = at
      })
    })

    /** To its end, whether the one who asked still waits or not. */
    const reopened = Effect.suspend(() =>
      Effect.flatMap(Effect.forkIn(database.detached(reopen), scope), (fiber) => Fiber.join(fiber))
    )

    const putAll = (taken: ReadonlyArray<Taken>): boolean => {
      if (closed) return false
      for (const each of taken) waiting.push(hold(each))
      return true
    }

    const pending = (answer: Deferred.Deferred<Claimed, BusError> | undefined): void => {
      asked = answer
    }

    /** Asks for messages, once at a time; answers in how many milliseconds the next is due where there are none. */
    const claimed = (max: number): Effect.Effect<number | undefined, BusError> =>
      Effect.suspend(() => {
        if (asked !== undefined) return Effect.flatMap(Deferred.await(asked), (claim) => answer(claim, max))
        const { id, member } = opened.at
        if (!options.isCurrent(member)) return Effect.zipRight(reopened, claimed(max))
        return Effect.flatMap(
          Effect.flatMap(lines.claim(id, member, { max, put: putAll, pending }), Deferred.await),
          (claim) => answer(claim, max)
        )
      })

    const answer = (claim: Claimed, max: number): Effect.Effect<number | undefined, BusError> => {
      switch (claim._tag) {
        case "taken":
          return Effect.succeed(0)
        case "none":
          return Effect.succeed(claim.next)
        case "buried":
        case "ended":
          return Effect.zipRight(reopened, claimed(max))
      }
    }

    const hand = (max: number): ReadonlyArray<Driver.Delivered> => {
      const handed: Array<Driver.Delivered> = []
      while (handed.length < max) {
        const next = waiting.shift()
        if (next === undefined) break
        handed.push(next)
      }
      return handed
    }

    /** Set by what may have made something ready since the last claim began. */
    let woken = false
    let onWake: (() => void) | undefined
    const unlisten = signals.listen({
      group: () => opened.at.id,
      isWaiting: () => onWake !== undefined,
      onWake: () => {
        woken = true
        onWake?.()
      }
    })

    const wake = Effect.async<void>((resume) => {
      if (woken) return resume(Effect.void)
      onWake = () => {
        onWake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        onWake = undefined
      })
    })

    /** How many claims and messages came at once, in one turn of the event loop as far as is known. */
    let atOnce = 0

    /** What is there, where it can be had without waiting. */
    const claimedNow = (fiber: Fiber.RuntimeFiber<any, any>, max: number): Exit.Exit<Claim, BusError> | undefined => {
      if (closed || asked !== undefined || !options.isCurrent(opened.at.member)) return undefined
      return lines.atOnce.claim(fiber, opened.at.id, opened.at.member, max)
    }

    const pull = (max: number): Effect.Effect<ReadonlyArray<Driver.Delivered>, BusError> =>
      Effect.withFiberRuntime((fiber) => {
        if (waiting.size > 0) return Effect.succeed(hand(max))
        if (atOnce >= maxAtOnce) {
          atOnce = 0
          return Effect.zipRight(EventLoop.turn, pull(max))
        }
        woken = false
        const now = claimedNow(fiber, max)
        if (now === undefined) return Effect.flatMap(claimed(max), (next) => later(next, max))
        if (Exit.isFailure(now)) return Effect.failCause(now.cause)
        if (now.value._tag !== "taken") return Effect.flatMap(answer(now.value, max), (next) => later(next, max))
        atOnce += 32 + now.value.taken.length
        return Effect.succeed(now.value.taken.map(hold))
      })

    /** What was put down meanwhile, or what comes next. */
    const later = (
      next: number | undefined,
      max: number
    ): Effect.Effect<ReadonlyArray<Driver.Delivered>, BusError> => {
      if (waiting.size > 0) return Effect.succeed(hand(max))
      const due = next === undefined ? wake : Effect.raceFirst(wake, Effect.sleep(Duration.millis(next)))
      return Effect.zipRight(due, pull(max))
    }

    // ----------------------------------------------------------------------------------------------------- settlements

    const isHeld = (receipt: Receipt): boolean => held.get(receipt.place) === receipt

    const stillHeld = (settlements: ReadonlyArray<Driver.Settlement>): ReadonlyArray<Driver.Settlement> =>
      settlements.filter(({ receipt }) => isHeld(receipt as Receipt))

    const letGo = (settlements: ReadonlyArray<Driver.Settlement>): void => {
      for (const { _tag, receipt } of settlements) {
        if (_tag !== "keep" && isHeld(receipt as Receipt)) held.delete((receipt as Receipt).place)
      }
    }

    /** Together with what others settle while a batch is on its way. */
    const settleAll = (settlements: ReadonlyArray<Driver.Settlement>): Effect.Effect<void, BusError> =>
      lines.settle(opened.at.id, opened.at.member, {
        settled: () => stillHeld(settlements).map(settledOf),
        onSettled: () => letGo(settlements)
      })

    /** In a transaction that may be rolled back, it stays ours until the end. */
    const settleInside = (settlements: ReadonlyArray<Driver.Settlement>): Effect.Effect<void, BusError> => {
      const { id, member } = opened.at
      const settled = settlements.map(settledOf)
      return database.settle(id, member, settled, (changed) => options.committed(id, changed, settled))
    }

    const settle = (settlements: ReadonlyArray<Driver.Settlement>): Effect.Effect<void, BusError> =>
      Effect.withFiberRuntime((fiber) => {
        const own = stillHeld(settlements)
        if (own.length === 0) return Effect.void
        const now = lines.atOnce.settle(fiber, opened.at.id, opened.at.member, own.map(settledOf))
        if (now === undefined) {
          return Effect.flatMap(database.inTransaction, (inside) => inside ? settleInside(own) : settleAll(own))
        }
        if (Exit.isSuccess(now)) letGo(own)
        return now
      })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        if (asked !== undefined) yield* brief(Effect.exit(Deferred.await(asked)))
        closed = true
        unlisten()
        const untouched = new Set<unknown>()
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) untouched.add(next.receipt)
        if (held.size === 0) return
        yield* Effect.exit(brief(settleAll(Array.from(held.values(), (receipt) => ({
          _tag: "return",
          receipt,
          // What was handed over was delivered; it counts.
          counted: !untouched.has(receipt)
        })))))
      })
    )

    return { pull, settle }
  })

/** At the end nobody waits for a database that does not answer: the lease runs out. */
const brief = <A, E>(effect: Effect.Effect<A, E>) => Effect.timeoutOption(Effect.interruptible(effect), "2 seconds")

/** After so many claims and messages that came at once, timers, sockets and signals have their turn: a lease must be renewed. */
const maxAtOnce = 1_024

const settledOf = (settlement: Driver.Settlement): Settled => {
  const { keyed, place, priority } = settlement.receipt as Receipt
  return { place, priority, keyed, settlement }
}
