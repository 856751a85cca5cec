import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BusError } from "../../bus/BusError.ts"
import * as Process from "../store/lease.ts"
import { rest } from "../realTime.ts"
import type { Database } from "./sqlDatabase.ts"

/** This process among those that consume. What it holds is its own while its lease lasts. */
export interface Membership {
  /** The number under which it holds messages; it joins where it is no member. */
  readonly current: Effect.Effect<number, BusError>
  readonly isCurrent: (member: number) => boolean
  /** Called where the database says that the member is none any more. */
  readonly buried: (member: number) => void
}

/**
 * One lease for everything that the process holds, renewed now and then; and a look at the others: what is held by one whose
 * lease has run out, or whose process is known to be dead, is taken from it.
 */
export const make = (
  database: Database,
  lease: { readonly ttl: Duration.Duration; readonly every: Duration.Duration },
  timed: <A, E>(run: (now: number | undefined) => Effect.Effect<A, E>) => Effect.Effect<A, E>,
  onBuried: () => void
): Effect.Effect<Membership, never, Scope.Scope> =>
  Effect.gen(function*() {
    const ttl = Duration.toMillis(lease.ttl)
    const every = Duration.toMillis(lease.every)
    const started = Effect.unsafeMakeLatch(false)
    const joining = Effect.unsafeMakeSemaphore(1)
    let member: number | undefined

    /** Renews, buries, and says in how many milliseconds to look again. */
    const look = Effect.suspend((): Effect.Effect<number, BusError> => {
      const own = member
      if (own === undefined) return Effect.succeed(every)
      return Effect.flatMap(timed((now) => database.renew(own, ttl, now)), (others) => {
        if (others === undefined) {
          if (member === own) member = undefined
          onBuried()
          return Effect.succeed(every)
        }
        const dead = others.filter(({ left, machine, process }) => left <= 0 || Process.isDead(machine, process))
        const soonest = others.reduce((least, { left }) => left > 0 ? Math.min(least, left + 1) : least, every)
        return dead.length === 0
          ? Effect.succeed(soonest)
          : Effect.as(
            Effect.tap(database.bury(dead.map(({ id }) => id)), () => Effect.sync(onBuried)),
            soonest
          )
      })
    })

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() =>
        member === undefined
          ? Effect.void
          : Effect.ignore(Effect.timeout(Effect.interruptible(database.leave(member)), "2 seconds"))
      )
    )
    yield* started.await.pipe(
      // A look that fails is made good by the next one.
      Effect.zipRight(Effect.orElseSucceed(look, () => Math.min(every, 250))),
      Effect.flatMap((delay) => rest(Duration.millis(delay))),
      Effect.forever,
      database.detached,
      Effect.forkScoped
    )

    const join = joining.withPermits(1)(Effect.suspend((): Effect.Effect<number, BusError> =>
      member !== undefined
        ? Effect.succeed(member)
        : Effect.map(timed((now) => database.join(ttl, now)), (id) => {
          member = id
          started.unsafeOpen()
          return id
        })
    ))

    return {
      current: Effect.suspend(() => member === undefined ? Effect.uninterruptible(join) : Effect.succeed(member)),
      isCurrent: (id) => id === member,
      buried: (id) => {
        if (member === id) member = undefined
      }
    }
  })
