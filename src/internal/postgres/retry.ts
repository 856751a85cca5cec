import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as RetryPolicy from "../../resilience/RetryPolicy.ts"
import { StoreError } from "../../store/StoreError.ts"
import { Lost } from "./errors.ts"
import { isInside } from "./transaction.ts"

/** How a lost connection is tried again, by every service in PostgreSQL. */
export const schedule: Schedule.Schedule<unknown> = RetryPolicy.fullJitter(
  Schedule.union(Schedule.exponential("20 millis"), Schedule.spaced("1 second"))
).pipe(Schedule.upTo("30 seconds"))

/** What may go away by itself, and left nothing behind that trying again would double. */
const isPassing = (error: unknown): boolean =>
  error instanceof StoreError &&
  (error.reason === "unavailable" || error.reason === "busy" || error.cause instanceof Lost)

/** Again, by a schedule, where the connection was lost or another transaction was in the way. */
export const retried =
  (retry: Schedule.Schedule<unknown, StoreError>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.retry(effect, { schedule: retry as Schedule.Schedule<unknown, unknown>, while: isPassing })

/** The same, but inside a transaction: with its connection it is lost, and nothing is tried again. */
export const outside = (retry: Schedule.Schedule<unknown, StoreError>) => {
  const again = retried(retry)
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const tried = again(effect)
    return Effect.withFiberRuntime((fiber) => isInside(fiber) ? effect : tried)
  }
}
