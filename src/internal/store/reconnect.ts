import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as RetryPolicy from "../../resilience/RetryPolicy.ts"
import { StoreError } from "../../store/StoreError.ts"

/** How a subscription goes on where nothing else is said. */
export const schedule: Schedule.Schedule<unknown> = RetryPolicy.fullJitter(
  Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("5 seconds"))
)

/** Whether the database may answer again if it is asked later. */
export const mayPass = (error: unknown): boolean =>
  error instanceof StoreError &&
  (error.reason === "unavailable" || error.reason === "busy" || error.reason === "timeout")

/** What keeps one subscription going. */
export interface Reconnecting {
  /** Runs again what the database could not answer, when the schedule says so. */
  readonly again: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** An answer of the database, after which the schedule begins anew. */
  readonly answered: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const make = (schedule: Schedule.Schedule<unknown, StoreError>): Effect.Effect<Reconnecting> =>
  Effect.map(Schedule.driver(schedule as Schedule.Schedule<unknown, unknown>), (driver) => {
    let failed = false
    const reset = Effect.suspend(() => {
      if (!failed) return Effect.void
      failed = false
      return driver.reset
    })
    const again = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.catchAll(effect, (error) => {
        if (!mayPass(error)) return Effect.fail(error)
        failed = true
        return Effect.matchEffect(driver.next(error), {
          onFailure: () => Effect.fail(error),
          onSuccess: () => again(effect)
        })
      })
    return { again, answered: (effect) => Effect.tap(effect, () => reset) }
  })
