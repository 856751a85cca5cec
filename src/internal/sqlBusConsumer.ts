import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { BusError } from "../bus/BusError.ts"
import type * as Driver from "../bus/BusDriver.ts"
import { Fifo } from "./fifo.ts"
import type { Database, Settled, Taken } from "./sqlBusDatabase.ts"
import type { Signals } from "./sqlBusSignals.ts"

export interface Options {
  readonly database: Database
  readonly kept: boolean
  /** Finds the subscription or makes it, and says as which member of those who consume. */
  readonly open: Effect.Effect<{ readonly id: number; readonly member: number }, BusError>
  readonly isCurrent: (member: number) => boolean
  readonly buried: (member: number) => void
  /** The driver's own. */
  readonly scope: Scope.Scope
  readonly signals: Signals
  /** Tells other processes that there may be something new. */
  readonly tell: (groups: ReadonlyArray<number>) => void
  readonly timed: <A, E>(run: (now: number | undefined) => Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/** A message that this consumer was given and has not settled. */
interface Receipt {
  readonly place: number
  readonly group: number
  readonly member: number
  readonly priority: number
  readonly keyed: boolean
}

/** Settlements that go to the database together. */
interface Batch {
  readonly settlements: Array<readonly [Receipt, Driver.Settlement]>
  readonly done: Deferred.Deferred<void, BusError>
}

/**
 * Takes messages in batches. What the database has given is never lost on the way: it is put down before it is handed over, so
 * that one who stops waiting in between finds it there the next time.
 */
export const make = (options: Options): Effect.Effect<Driver.Consumer, BusError, Scope.Scope> =>
  Effect.gen(function*() {
    const { database, scope, signals, tell, timed } = options
    const opened = yield* Effect.acquireRelease(
      Effect.map(options.open, (at) => ({ at })),
      ({ at }) => options.kept ? Effect.void : Effect.ignore(brief(database.detach(at.id, at.member)))
    )
    /** What was given and not yet asked for. */
    const waiting = new Fifo<Driver.Delivered>()
    /** By their places in line; a receipt that is not the one here is stale. */
    const held = new Map<number, Receipt>()
    const consumers = consumersOf(database)
    consumers.add(held)
    yield* Effect.addFinalizer(() => Effect.sync(() => consumers.delete(held)))
    /** Where what this process holds of a subscription stands, as far as it knows. */
    const heldHere = (group: number): ReadonlyArray<number> => {
      const all: Array<number> = []
      for (const each of consumers) {
        for (const receipt of each.values()) if (receipt.group === group) all.push(receipt.place)
      }
      return all
    }
    let claiming: Deferred.Deferred<number | undefined, BusError> | undefined

    const put = ({ deliveries, message, place, state }: Taken): void => {
      const receipt: Receipt = {
        place,
        group: opened.at.id,
        member: opened.at.member,
        priority: message.priority,
        keyed: message.key !== undefined
      }
      held.set(place, receipt)
      waiting.push({ receipt, message, deliveries, state })
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

    /** Asks for messages; answers in how many milliseconds the next is due where there are none. */
    const claim = (max: number): Effect.Effect<number | undefined, BusError> =>
      Effect.suspend(() => {
        if (!options.isCurrent(opened.at.member)) return Effect.zipRight(reopen, claim(max))
        const { id, member } = opened.at
        const asked = Effect.catchIf(
          timed((now) => database.claim(id, member, max, now)),
          (error) => error.reason === "timeout",
          () => Effect.as(database.release(id, member, heldHere(id)), { _tag: "none", next: 0 } as const)
        )
        return Effect.flatMap(asked, (answer) => {
          switch (answer._tag) {
            case "taken":
              for (const taken of answer.taken) put(taken)
              return Effect.succeed(0)
            case "none":
              return Effect.succeed(answer.next)
            case "buried":
              return Effect.zipRight(reopen, claim(max))
            case "ended":
              return Effect.zipRight(reopen, claim(max))
          }
        })
      })

    /** One at a time, and to its end, whether the one who asked still waits or not. */
    const claimed = (max: number): Effect.Effect<number | undefined, BusError> =>
      Effect.suspend(() => {
        if (claiming !== undefined) return Deferred.await(claiming)
        const answer = Deferred.unsafeMake<number | undefined, BusError>(FiberId.none)
        claiming = answer
        return Effect.zipRight(
          Effect.forkIn(
            Effect.onExit(database.detached(claim(max)), (exit) =>
              Effect.sync(() => {
                claiming = undefined
                Deferred.unsafeDone(answer, exit)
              })),
            scope
          ),
          Deferred.await(answer)
        )
      })

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

    const pull = (max: number): Effect.Effect<ReadonlyArray<Driver.Delivered>, BusError> =>
      Effect.suspend(() => {
        if (waiting.size > 0) return Effect.succeed(hand(max))
        woken = false
        return Effect.flatMap(claimed(max), (next) => {
          if (waiting.size > 0) return Effect.succeed(hand(max))
          const due = next === undefined ? wake : Effect.raceFirst(wake, Effect.sleep(Duration.millis(next)))
          return Effect.zipRight(due, pull(max))
        })
      })

    // ----------------------------------------------------------------------------------------------------- settlements

    let gathering: Batch | undefined
    let sending = false

    const send = (settlements: ReadonlyArray<readonly [Receipt, Driver.Settlement]>): Effect.Effect<void, BusError> =>
      Effect.suspend(() => {
        const now = settlements.filter(([receipt]) => held.get(receipt.place) === receipt)
        if (now.length === 0) return Effect.void
        const { group, member } = now[0]![0]
        const settled = now.map(([{ keyed, place, priority }, settlement]): Settled => ({
          place,
          priority,
          keyed,
          settlement
        }))
        const returns = settled.some(({ settlement }) => settlement._tag === "return")
        return Effect.flatMap(database.inTransaction, (inside) =>
          Effect.map(
            database.settle(group, member, settled, (changed) => {
              if (!changed) return
              signals.wake([group])
              // What was taken on goes on here; what is given back may be for others.
              if (returns) tell([group])
            }),
            () => {
              // In a transaction that may be rolled back, it stays ours until the end.
              if (inside) return
              for (const [receipt, settlement] of now) {
                if (settlement._tag !== "keep" && held.get(receipt.place) === receipt) held.delete(receipt.place)
              }
            }
          ))
      })

    const flush: Effect.Effect<void> = Effect.suspend(() => {
      const batch = gathering
      if (batch === undefined) {
        sending = false
        return Effect.void
      }
      gathering = undefined
      return Effect.flatMap(Effect.exit(send(batch.settlements)), (exit) => {
        Deferred.unsafeDone(batch.done, exit)
        return flush
      })
    })

    /** Together with what others settle while a batch is on its way. */
    const settle = (settlements: ReadonlyArray<Driver.Settlement>): Effect.Effect<void, BusError> =>
      Effect.flatMap(database.inTransaction, (inside) => {
        const own = settlements.map((settlement) => [settlement.receipt as Receipt, settlement] as const)
        if (inside) return send(own)
        gathering ??= { settlements: [], done: Deferred.unsafeMake(FiberId.none) }
        for (const each of own) gathering.settlements.push(each)
        const { done } = gathering
        if (sending) return Deferred.await(done)
        sending = true
        return Effect.zipRight(Effect.forkIn(database.detached(flush), scope), Deferred.await(done))
      })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        if (claiming !== undefined) yield* brief(Effect.exit(Deferred.await(claiming)))
        unlisten()
        const untouched = new Set<unknown>()
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) untouched.add(next.receipt)
        if (held.size === 0) return
        yield* Effect.ignore(brief(send(Array.from(held.values(), (receipt) => [
          receipt,
          // What was handed over was delivered; it counts.
          { _tag: "return", receipt, counted: !untouched.has(receipt) }
        ]))))
      })
    )

    return { pull, settle }
  })

/** What the consumers of this process hold. */
const consumersOf = (() => {
  const known = new WeakMap<Database, Set<ReadonlyMap<number, Receipt>>>()
  return (database: Database): Set<ReadonlyMap<number, Receipt>> => {
    const consumers = known.get(database) ?? new Set()
    known.set(database, consumers)
    return consumers
  }
})()

/** At the end nobody waits for a database that does not answer: the lease runs out. */
const brief = <A, E>(effect: Effect.Effect<A, E>) => Effect.timeoutOption(Effect.interruptible(effect), "2 seconds")
