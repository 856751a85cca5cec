/**
 * Retry policies that have a name. Each is a `Schedule`, to be used, composed and replaced as one.
 *
 * *Attempts* count every run, *retries* the runs after the first: zero retries still run once.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Internal from "../internal/resilience/retryPolicy.ts"
import * as Retryability from "./Retryability.ts"

// ----------------------------------------------------------------------------------------------------------- constants

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
 * How many times {@link standard} tries again.
 *
 * @since 0.1.0
 * @category constants
 */
export const standardRetries = 3

/**
 * The first delay of {@link standard}, before jitter.
 *
 * @since 0.1.0
 * @category constants
 */
export const standardDelay: Duration.Duration = Duration.seconds(1)

/**
 * The longest delay of {@link standard}.
 *
 * @since 0.1.0
 * @category constants
 */
export const standardCap: Duration.Duration = Duration.seconds(30)

// -------------------------------------------------------------------------------------------------------------- models

/**
 * What bounds the delays of a shape. Applied in this order: `cap`, `jitter`, `times`, `within`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bounds {
  /** No delay is longer; see {@link capped}. */
  readonly cap?: Duration.DurationInput | undefined
  /** `full` draws each delay between nothing and what the shape says; see {@link fullJitter}. None by default. */
  readonly jitter?: "none" | "full" | undefined
  /** How many retries after the first attempt; see {@link upToRetries}. As many as it takes by default. */
  readonly times?: number | undefined
  /** No retry begins later than this after the first failure; see {@link upToElapsed}. Never too late by default. */
  readonly within?: Duration.DurationInput | undefined
}

// --------------------------------------------------------------------------------------------------------- combinators

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
 * No delay of the Schedule is longer than this.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Schedule } from "effect"
 *
 * // 1 s, 2 s, 4 s, 8 s, 10 s, 10 s …
 * const policy = Schedule.exponential("1 second").pipe(RetryPolicy.capped("10 seconds"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const capped: {
  (cap: Duration.DurationInput): <Out, In, R>(self: Schedule.Schedule<Out, In, R>) => Schedule.Schedule<Out, In, R>
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>, cap: Duration.DurationInput): Schedule.Schedule<Out, In, R>
} = dual(2, Internal.capped)

/**
 * Ends the Schedule after so many retries: the effect runs once more often than that.
 *
 * @throws `RangeError` when the number is not a whole one of at least 0.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Schedule } from "effect"
 *
 * const policy = Schedule.spaced("1 second").pipe(RetryPolicy.upToRetries(3)) // runs four times at most
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const upToRetries: {
  (retries: number): <Out, In, R>(self: Schedule.Schedule<Out, In, R>) => Schedule.Schedule<Out, In, R>
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>, retries: number): Schedule.Schedule<Out, In, R>
} = dual(2, Internal.upToRetries)

/**
 * Ends the Schedule after so many attempts, the first one included.
 *
 * @throws `RangeError` when the number is not a whole one of at least 1.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Schedule } from "effect"
 *
 * const policy = Schedule.spaced("1 second").pipe(RetryPolicy.upToAttempts(3)) // runs three times at most
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const upToAttempts: {
  (attempts: number): <Out, In, R>(self: Schedule.Schedule<Out, In, R>) => Schedule.Schedule<Out, In, R>
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>, attempts: number): Schedule.Schedule<Out, In, R>
} = dual(2, Internal.upToAttempts)

/**
 * Ends the Schedule where the next retry would begin later than this after the first failure.
 *
 * `Schedule.upTo` looks at the time before the delay, so that its last retry may come late; here a delay that would lead
 * past the end is not waited for. What changes delays belongs before it.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Schedule } from "effect"
 *
 * // retries after 1 s, 3 s and 7 s; the next would be after 15 s
 * const policy = Schedule.exponential("1 second").pipe(RetryPolicy.upToElapsed("10 seconds"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const upToElapsed: {
  (limit: Duration.DurationInput): <Out, In, R>(self: Schedule.Schedule<Out, In, R>) => Schedule.Schedule<Out, In, R>
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>, limit: Duration.DurationInput): Schedule.Schedule<Out, In, R>
} = dual(2, Internal.upToElapsed)

/**
 * Ends the Schedule at the first error that is permanent; see `Retryability` for what makes one so.
 *
 * Errors that nobody has marked are retried, unless `otherwise` says `"permanent"`.
 *
 * @example
 * ```ts
 * import * as Retryability from "effect-skald/resilience/Retryability"
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Effect, Schema } from "effect"
 *
 * class BadAddress extends Schema.TaggedError<BadAddress>()("BadAddress", {}, Retryability.permanent) {}
 * class SmtpDown extends Schema.TaggedError<SmtpDown>()("SmtpDown", {}, Retryability.retryable) {}
 *
 * declare const send: Effect.Effect<void, BadAddress | SmtpDown>
 *
 * // a bad address fails at once
 * const sent = send.pipe(Effect.retry(RetryPolicy.standard.pipe(RetryPolicy.whileRetryable())))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const whileRetryable: {
  (
    options?: Retryability.Options
  ): <Out, In, R>(self: Schedule.Schedule<Out, In, R>) => Schedule.Schedule<Out, In, R>
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>, options?: Retryability.Options): Schedule.Schedule<Out, In, R>
} = dual(
  (args) => Schedule.isSchedule(args[0]),
  <Out, In, R>(self: Schedule.Schedule<Out, In, R>, options?: Retryability.Options) =>
    Schedule.whileInput(self, (error: In) => Retryability.isRetryable(error, options))
)

/**
 * Delays that are at least as long as an error asks for, as `Retry-After` of HTTP does or the `retryAfter` of `CircuitOpen`.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import type { CircuitOpen } from "effect-skald/resilience/CircuitBreaker"
 * import { Schedule } from "effect"
 *
 * const policy = Schedule.spaced("1 second").pipe(RetryPolicy.notBefore((error: CircuitOpen) => error.retryAfter))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const notBefore: {
  <In>(
    delayOf: (error: In) => Duration.DurationInput | undefined
  ): <Out, R>(self: Schedule.Schedule<Out, In, R>) => Schedule.Schedule<Out, In, R>
  <Out, In, R>(
    self: Schedule.Schedule<Out, In, R>,
    delayOf: (error: In) => Duration.DurationInput | undefined
  ): Schedule.Schedule<Out, In, R>
} = dual(2, Internal.notBefore)

// -------------------------------------------------------------------------------------------------------------- shapes

const bounded = (shape: Schedule.Schedule<Duration.Duration>, bounds: Bounds | undefined) => {
  if (bounds === undefined) return shape
  let schedule = bounds.cap === undefined ? shape : Internal.capped(shape, bounds.cap)
  if (bounds.jitter === "full") schedule = fullJitter(schedule)
  if (bounds.times !== undefined) schedule = Internal.upToRetries(schedule, bounds.times)
  if (bounds.within !== undefined) schedule = Internal.upToElapsed(schedule, bounds.within)
  return schedule
}

/**
 * The same delay each time: 1 s, 1 s, 1 s … Delays count from the end of an attempt, however long it took.
 *
 * The output of this and of the other shapes is the delay before cap and jitter.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 *
 * const policy = RetryPolicy.fixed("1 second", { times: 3 })
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const fixed = (delay: Duration.DurationInput, bounds?: Bounds): Schedule.Schedule<Duration.Duration> =>
  bounded(Internal.growing(delay, () => 1), bounds)

/**
 * Delays that grow by the same amount: 1 s, 2 s, 3 s, 4 s and so on.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 *
 * const policy = RetryPolicy.linear("60 seconds", { times: 5 })
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const linear = (delay: Duration.DurationInput, bounds?: Bounds): Schedule.Schedule<Duration.Duration> =>
  bounded(Internal.growing(delay, (retry) => retry + 1), bounds)

/**
 * Delays that grow by a factor, 2 unless given: 1 s, 2 s, 4 s, 8 s and so on.
 *
 * @throws `RangeError` when the factor is not a positive, finite number.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 *
 * const policy = RetryPolicy.exponential("100 millis", { cap: "30 seconds", jitter: "full", times: 8 })
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const exponential = (
  delay: Duration.DurationInput,
  bounds?: Bounds & { readonly factor?: number | undefined }
): Schedule.Schedule<Duration.Duration> => bounded(Internal.exponential(delay, bounds?.factor ?? 2), bounds)

/**
 * Each delay is the sum of the two before it: 1 s, 1 s, 2 s, 3 s, 5 s and so on.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 *
 * const policy = RetryPolicy.fibonacci("1 second", { within: "10 minutes" })
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const fibonacci = (delay: Duration.DurationInput, bounds?: Bounds): Schedule.Schedule<Duration.Duration> =>
  bounded(Internal.fibonacci(delay), bounds)

/**
 * Decorrelated jitter: each delay is drawn evenly between `delay` and three times the one before, and never longer than
 * `cap`.
 *
 * Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Here the next delay depends on what was
 * drawn, so that the output is what was drawn.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 *
 * const policy = RetryPolicy.decorrelated("100 millis", { cap: "30 seconds", times: 10 })
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const decorrelated = (
  delay: Duration.DurationInput,
  bounds: Omit<Bounds, "jitter" | "cap"> & { readonly cap: Duration.DurationInput }
): Schedule.Schedule<Duration.Duration> => bounded(Internal.decorrelated(delay, bounds.cap), bounds)

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
export const conflict: Schedule.Schedule<unknown> = exponential(conflictDelay, {
  jitter: "full",
  times: conflictRetries
})

/**
 * For a call over a network, and what handlers of a bus get unless told otherwise: 3 retries, exponential from 1 s, no delay
 * over 30 s, full jitter.
 *
 * @example
 * ```ts
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Effect } from "effect"
 *
 * const retried = Effect.fail("unreachable").pipe(Effect.retry(RetryPolicy.standard))
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const standard: Schedule.Schedule<Duration.Duration> = exponential(standardDelay, {
  cap: standardCap,
  jitter: "full",
  times: standardRetries
})
