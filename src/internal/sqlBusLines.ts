import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as HashSet from "effect/HashSet"
import type * as Scope from "effect/Scope"
import type { BusError } from "../bus/BusError.ts"
import type { Claim, Database, Settled, Taken } from "./sqlBusDatabase.ts"

/** Who wants messages. */
export interface Asking {
  readonly max: number
  /** Is given what was taken for it, before anybody is told of it. Answers whether it is still there to have it. */
  readonly put: (taken: ReadonlyArray<Taken>) => boolean
  /** Told what it waits for, at once; and of nothing when that has ended, however it did. */
  readonly pending: (answer: Deferred.Deferred<Claimed, BusError> | undefined) => void
}

/** Who settles messages. */
export interface Settling {
  /** What is still to be settled when its turn comes. */
  readonly settled: () => ReadonlyArray<Settled>
  /** Told when it is done. */
  readonly onSettled: () => void
}

/** What became of a claim: `taken` was put down. */
export type Claimed = Exclude<Claim, { readonly _tag: "taken" }> | { readonly _tag: "taken" }

/**
 * What the consumers of a subscription in this process ask of the database. While one claim is on its way, others wait and go
 * together, and so do settlements: many consumers cost few round trips.
 */
export interface Lines {
  /** Goes to its end whether anybody waits for the answer or not. */
  readonly claim: (
    group: number,
    member: number,
    asking: Asking
  ) => Effect.Effect<Deferred.Deferred<Claimed, BusError>>
  readonly settle: (group: number, member: number, settling: Settling) => Effect.Effect<void, BusError>
}

/** The most that one claim asks for, where it is one for several consumers. */
const most = 1_000

interface Waiting<T, A> {
  readonly what: T
  readonly done: Deferred.Deferred<A, BusError>
}

/** Those who wait are served together; one service at a time. */
interface Line<T, A> {
  readonly waiting: Array<Waiting<T, A>>
  running: boolean
}

export const make = (options: {
  readonly database: Database
  /** The driver's own. */
  readonly scope: Scope.Scope
  readonly timed: <A, E>(run: (now: number | undefined) => Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Where what this process holds of a subscription stands, as far as it knows. */
  readonly held: (group: number) => ReadonlyArray<number>
  /** Told when settlements are committed, and whether there is something to be taken then, or to be waited for. */
  readonly committed: (group: number, changed: boolean, settled: ReadonlyArray<Settled>) => void
}): Lines => {
  const { database, held, scope, timed } = options

  /** Serves those who wait, whether they still do or not, until nobody does. */
  const serving = <T, A>(
    line: Line<T, A>,
    next: (waiting: Array<Waiting<T, A>>) => ReadonlyArray<Waiting<T, A>>,
    serve: (what: ReadonlyArray<T>) => Effect.Effect<ReadonlyArray<A>, BusError>
  ): Effect.Effect<void> => {
    const loop: Effect.Effect<void> = Effect.suspend(() => {
      // In one step: who comes after this begins anew.
      if (line.waiting.length === 0) {
        line.running = false
        return Effect.void
      }
      const now = next(line.waiting)
      return Effect.zipRight(
        Effect.exit(Effect.onExit(serve(now.map(({ what }) => what)), (exit) =>
          Effect.sync(() => {
            for (let index = 0; index < now.length; index++) {
              Deferred.unsafeDone(now[index]!.done, Exit.map(exit, (answers) => answers[index]!))
            }
          }))),
        loop
      )
    })
    return Effect.onInterrupt(loop, (by) =>
      Effect.sync(() => {
        line.running = false
        for (const { done } of line.waiting.splice(0)) Deferred.unsafeDone(done, Exit.failCause(interruptedBy(by)))
      }))
  }

  const enter = <T, A>(
    line: Line<T, A>,
    what: T,
    serve: Effect.Effect<void>,
    onEntered?: (answer: Deferred.Deferred<A, BusError>) => void
  ): Effect.Effect<Deferred.Deferred<A, BusError>> =>
    Effect.suspend(() => {
      const done = Deferred.unsafeMake<A, BusError>(FiberId.none)
      line.waiting.push({ what, done })
      onEntered?.(done)
      if (line.running) return Effect.succeed(done)
      line.running = true
      return Effect.as(Effect.forkIn(database.detached(serve), scope), done)
    })

  const some = <T>(waiting: Array<Waiting<Asking, T>>): ReadonlyArray<Waiting<Asking, T>> => {
    let count = 1
    let total = waiting[0]!.what.max
    while (count < waiting.length && total + waiting[count]!.what.max <= most) total += waiting[count++]!.what.max
    return waiting.splice(0, count)
  }

  const all = <T, A>(waiting: Array<Waiting<T, A>>): ReadonlyArray<Waiting<T, A>> => waiting.splice(0)

  /** Gives what was taken to those who asked, in the order in which they did. */
  const share = (group: number, member: number, asking: ReadonlyArray<Asking>, claim: Claim) => {
    if (claim._tag !== "taken") return Effect.succeed(asking.map((): Claimed => claim))
    const { taken } = claim
    let from = 0
    let gone = false
    const answers = asking.map(({ max, put }): Claimed => {
      const own = asking.length === 1 ? taken : taken.slice(from, from + max)
      from += own.length
      if (own.length === 0) return { _tag: "none", next: 0 }
      if (!put(own)) gone = true
      return { _tag: "taken" }
    })
    return gone
      ? Effect.as(Effect.ignore(Effect.suspend(() => database.release(group, member, held(group)))), answers)
      : Effect.succeed(answers)
  }

  const claiming = new Map<string, Line<Asking, Claimed>>()
  const settling = new Map<string, Line<Settling, void>>()

  return {
    claim: (group, member, asking) => {
      const line = lineOf(claiming, group, member)
      return enter(
        line,
        asking,
        serving(line, some, (all) =>
          Effect.flatMap(
            Effect.catchIf(
              timed((now) => database.claim(group, member, all.reduce((sum, { max }) => sum + max, 0), now)),
              (error) => error.reason === "timeout",
              // It may have been made all the same.
              () => Effect.as(database.release(group, member, held(group)), { _tag: "none", next: 0 } as const)
            ),
            (claim) => share(group, member, all, claim)
          ).pipe(Effect.onExit(() =>
            Effect.sync(() => {
              for (const { pending } of all) pending(undefined)
            })
          ))),
        asking.pending
      )
    },
    settle: (group, member, one) => {
      const line = lineOf(settling, group, member)
      const serve = serving(line, all, (batch) =>
        Effect.suspend(() => {
          const settled = batch.length === 1 ? batch[0]!.settled() : batch.flatMap((each) => each.settled())
          const answers = batch.map(() => undefined)
          if (settled.length === 0) return Effect.succeed(answers)
          return Effect.map(
            database.settle(group, member, settled, (changed) => options.committed(group, changed, settled)),
            () => {
              for (const { onSettled } of batch) onSettled()
              return answers
            }
          )
        }))
      return Effect.flatMap(enter(line, one, serve), Deferred.await)
    }
  }
}

const interruptedBy = (by: HashSet.HashSet<FiberId.FiberId>) => Cause.interrupt(FiberId.combineAll(by))

/** One for each subscription and membership that is made use of. */
const lineOf = <T, A>(lines: Map<string, Line<T, A>>, group: number, member: number): Line<T, A> => {
  const name = `${group} ${member}`
  const known = lines.get(name)
  if (known !== undefined) return known
  const line: Line<T, A> = { waiting: [], running: false }
  lines.set(name, line)
  return line
}
