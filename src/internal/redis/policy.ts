import * as Schedule from "effect/Schedule"
import * as RetryPolicy from "../../resilience/RetryPolicy.ts"

/** How a lost connection is tried again, by every service in Redis. */
export const retry: Schedule.Schedule<unknown> = RetryPolicy.fullJitter(
  Schedule.union(Schedule.exponential("20 millis"), Schedule.spaced("1 second"))
).pipe(Schedule.upTo("30 seconds"))
