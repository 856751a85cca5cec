/**
 * Retry policies that have a name. Each is a `Schedule`, to be used, composed and replaced as one.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

/**
 * How many times an aggregate tries again after a conflict.
 *
 * @since 0.1.0
 * @category constants
 */
export const conflictRetries = 5

/**
 * The first delay after a conflict; each further one may be twice as long.
 *
 * @since 0.1.0
 * @category constants
 */
export const conflictDelay: Duration.Duration = Duration.millis(10)

/**
 * Delays of a Schedule with full jitter: each drawn evenly between nothing and what the Schedule says.
 *
 * Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @since 0.1.0
 * @category combinators
 */
export const fullJitter = <Out, In, R>(schedule: Schedule.Schedule<Out, In, R>): Schedule.Schedule<Out, In, R> =>
  Schedule.modifyDelayEffect(
    schedule,
    (_out, delay) => Effect.map(Random.next, (share) => Duration.times(delay, share))
  )

/**
 * For an optimistic conflict: 5 further tries, exponential from 10 ms, full jitter. Whoever lost the race reads what the
 * winner wrote and decides again.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Schedule } from "effect"
 *
 * // as it is, but never for longer than a second in all
 * const hurried = RetryPolicy.conflict.pipe(Schedule.upTo("1 second"))
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const conflict: Schedule.Schedule<unknown> = fullJitter(Schedule.exponential(conflictDelay)).pipe(
  Schedule.intersect(Schedule.recurs(conflictRetries))
)
