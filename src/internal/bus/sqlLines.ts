import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { BusError } from "../../bus/BusError.ts"
import type { Claim, Database, Settled, Taken } from "./sqlDatabase.ts"

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
  /** What need not wait for the database, nor for others; `undefined` where it must, and then nothing was done. */
  readonly atOnce: {
    readonly claim: (
      fiber: Fiber.RuntimeFiber<any, any>,
      group: number,
      member: number,
      max: number
    ) => Exit.Exit<Claim, BusError> | undefined
    readonly settle: (
      fiber: Fiber.RuntimeFiber<any, any>,
      group: number,
      member: number,
      settled: ReadonlyArray<Settled>
    ) => Exit.Exit<void, BusError> | undefined
  }
  /** Called where a member was found to be none any more: what was to be put right for it no longer is. */
  readonly forget: () => void
}

/**
 * While the database works on one claim, the answer of another is read. Settlements go one after the other, since several of one
 * message must not overtake.
 */
const lanes = { claims: 2, settlements: 1 }

/** The most that one claim asks for, where it is one for several consumers. */
const most = 1_000

interface Waiting<T, A> {
  readonly what: T
  readonly done: Deferred.Deferred<A, BusError>
  readonly pending: ((answer: Deferred.Deferred<A, BusError> | undefined) => void) | undefined
}

/** Those who wait are served together. */
interface Line<T, A> {
  readonly member: number
  /** Called when nobody waits and nothing is under way. */
  readonly onIdle: () => void
  readonly waiting: Array<Waiting<T, A>>
  /** How many services may be under way, and how many are. */
  readonly lanes: number
  running: number
  /** Whether something has to be put right, with no other service under way, before the next. */
  broken: boolean
}

export const make = (options: {
  readonly database: Database
  /** The driver's own. */
  readonly scope: Scope.Scope
  /** The time to tell the database. */
  readonly nowOf: (fiber: Fiber.RuntimeFiber<any, any>) => number | undefined
  readonly isCurrent: (member: number) => boolean
  /** Where what this process holds of a subscription stands, as far as it knows. */
  readonly held: (group: number) => ReadonlyArray<number>
  /** Told when settlements are committed, and whether there is something to be taken then, or to be waited for. */
  readonly committed: (group: number, changed: boolean, settled: ReadonlyArray<Settled>) => void
}): Lines => {
  const { database, held, isCurrent, nowOf, scope } = options

  /** One for each subscription and membership, while it is made use of or has to be put right. */
  const lineOf = <T, A>(lines: Map<string, Line<T, A>>, group: number, member: number, lanes: number): Line<T, A> => {
    const name = nameOf(group, member)
    const known = lines.get(name)
    if (known !== undefined) return known
    const line: Line<T, A> = {
      member,
      lanes,
      waiting: [],
      running: 0,
      broken: false,
      onIdle: () => {
        if (!line.broken || !isCurrent(member)) lines.delete(name)
      }
    }
    lines.set(name, line)
    return line
  }

  /** Serves those who wait, whether they still do or not, until nobody does. */
  const serving = <T, A>(
    line: Line<T, A>,
    next: (waiting: Array<Waiting<T, A>>) => ReadonlyArray<Waiting<T, A>>,
    serve: (what: ReadonlyArray<T>) => Effect.Effect<ReadonlyArray<A>, BusError>,
    mend: Effect.Effect<void, BusError>
  ): Effect.Effect<void> => {
    const loop: Effect.Effect<void> = Effect.suspend(() => {
      if (line.broken && line.running === 1) {
        // It is broken until then: who asks meanwhile waits.
        return Effect.matchCauseEffect(mend, {
          onSuccess: () => {
            line.broken = false
            return loop
          },
          onFailure: (cause) => {
            refuse(line, cause)
            leave(line)
            return Effect.void
          }
        })
      }
      // In one step: who comes after this begins anew.
      if (line.broken || line.waiting.length === 0) {
        leave(line)
        return Effect.void
      }
      const now = next(line.waiting)
      return Effect.zipRight(
        Effect.exit(Effect.onExit(serve(now.map(({ what }) => what)), (exit) =>
          Effect.sync(() => {
            for (let index = 0; index < now.length; index++) {
              end(now[index]!, Exit.map(exit, (answers) => answers[index]!))
            }
          }))),
        loop
      )
    })
    return loop
  }

  const enter = <T, A>(
    line: Line<T, A>,
    what: T,
    serve: Effect.Effect<void>,
    pending?: Waiting<T, A>["pending"]
  ): Effect.Effect<Deferred.Deferred<A, BusError>> => {
    const done = Deferred.unsafeMake<A, BusError>(FiberId.none)
    line.waiting.push({ what, done, pending })
    pending?.(done)
    if (line.running >= (line.broken ? 1 : line.lanes)) return Effect.succeed(done)
    line.running++
    return Effect.map(Effect.forkIn(database.detached(serve), scope), (fiber) => {
      // Where the bus has ended it is interrupted before it begins: nobody waits for it then either.
      fiber.addObserver((exit) => {
        if (Exit.isSuccess(exit)) return
        refuse(line, exit.cause)
        leave(line)
      })
      return done
    })
  }

  const some = <T>(waiting: Array<Waiting<Asking, T>>): ReadonlyArray<Waiting<Asking, T>> => {
    let count = 1
    let total = waiting[0]!.what.max
    while (count < waiting.length && total + waiting[count]!.what.max <= most) total += waiting[count++]!.what.max
    return waiting.splice(0, count)
  }

  const all = <T, A>(waiting: Array<Waiting<T, A>>): ReadonlyArray<Waiting<T, A>> => waiting.splice(0)

  /** Gives what was taken to those who asked, in the order in which they did. */
  const share = (line: Line<Asking, Claimed>, asking: ReadonlyArray<Asking>, claim: Claim): ReadonlyArray<Claimed> => {
    if (claim._tag !== "taken") return asking.map(() => claim)
    const { taken } = claim
    let from = 0
    return asking.map(({ max, put }): Claimed => {
      const own = asking.length === 1 ? taken : taken.slice(from, from + max)
      from += own.length
      if (own.length === 0) return { _tag: "none", next: 0 }
      // One that has gone meanwhile had not been told: it is given back.
      if (!put(own)) line.broken = true
      return { _tag: "taken" }
    })
  }

  const claiming = new Map<string, Line<Asking, Claimed>>()
  const settling = new Map<string, Line<Settling, void>>()

  const { atOnce } = database
  const isInUse = (lines: ReadonlyMap<string, unknown>, group: number, member: number) =>
    lines.size > 0 && lines.has(nameOf(group, member))

  return {
    // The line is looked for in the step that enters it: it may have been left for good before.
    claim: (group, member, asking) =>
      Effect.suspend(() => {
        const line = lineOf(claiming, group, member, lanes.claims)
        const release = Effect.suspend(() => database.release(group, member, held(group)))
        const serve = (all: ReadonlyArray<Asking>): Effect.Effect<ReadonlyArray<Claimed>, BusError> =>
          Effect.withFiberRuntime<Claim, BusError>((fiber) =>
            database.claim(group, member, all.reduce((sum, { max }) => sum + max, 0), nowOf(fiber))
          ).pipe(
            Effect.catchIf(
              (error) => error.reason === "timeout",
              () => {
                // It may have been made all the same: nobody knows of what it took.
                line.broken = true
                return Effect.succeed({ _tag: "none", next: 0 } as const)
              }
            ),
            Effect.map((claim) => share(line, all, claim))
          )
        return enter(line, asking, serving(line, some, serve, release), asking.pending)
      }),
    settle: (group, member, one) =>
      Effect.suspend(() => {
        const line = lineOf(settling, group, member, lanes.settlements)
        const serve = (batch: ReadonlyArray<Settling>) =>
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
          })
        return Effect.flatMap(enter(line, one, serving(line, all, serve, Effect.void)), Deferred.await)
      }),
    atOnce: {
      claim: (fiber, group, member, max) =>
        isInUse(claiming, group, member) ? undefined : atOnce?.claim(fiber, group, member, max, nowOf(fiber)),
      settle: (fiber, group, member, settled) =>
        isInUse(settling, group, member)
          ? undefined
          : atOnce?.settle(
            fiber,
            group,
            member,
            settled,
            (changed) => options.committed(group, changed, settled)
          )
    },
    forget: () => {
      for (const lines of [claiming, settling]) {
        for (const { onIdle, running } of lines.values()) if (running === 0) onIdle()
      }
    }
  }
}

const nameOf = (group: number, member: number): string => `${group} ${member}`

const leave = <T, A>(line: Line<T, A>): void => {
  line.running--
  if (line.running === 0) line.onIdle()
}

const refuse = <T, A>({ waiting }: Line<T, A>, cause: Cause.Cause<BusError>): void => {
  for (const each of waiting.splice(0)) end(each, Exit.failCause(cause))
}

const end = <T, A>({ done, pending }: Waiting<T, A>, exit: Exit.Exit<A, BusError>): void => {
  pending?.(undefined)
  Deferred.unsafeDone(done, exit)
}
