import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { LeaseLost } from "../store/Lease.ts"

/** Does work again and again, after a while where it failed, until it is interrupted. A lease that was lost is no failure. */
export const keepOn = <E, R>(
  what: string,
  retry: Schedule.Schedule<unknown>,
  work: (reset: Effect.Effect<void>) => Effect.Effect<unknown, E, R>
): Effect.Effect<never, never, R> =>
  Effect.flatMap(
    Schedule.driver(retry),
    (driver) =>
      Effect.forever(Effect.catchAllCause(work(driver.reset), (cause) => {
        const lost = cause._tag === "Fail" && cause.error instanceof LeaseLost
        if (lost) return Effect.logInfo(`${what} was taken over by another process`)
        return Effect.zipRight(
          Effect.logWarning(`${what} stands, and is tried again: ${Cause.pretty(cause).split("\n", 1)[0]}`),
          // one whose Schedule has ended begins anew: what was committed is not lost
          Effect.catchAll(driver.next(undefined), () => Effect.zipRight(driver.reset, Effect.sleep("30 seconds")))
        )
      }))
  )
