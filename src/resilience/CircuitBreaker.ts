/**
 * Stops calling what keeps failing, and tries it again after a while.
 *
 * - **Closed**, calls go through, and the trip condition watches how they end.
 * - **Open**, every call fails at once with `CircuitOpen`, which says when to try again.
 * - **Half-open**, a bounded number of calls at once go through as trials. Enough successes close the circuit, one failure opens
 *   it again.
 *
 * Each state has counters of its own: a call that began in an earlier state does not count when it ends. A call that is
 * interrupted counts as nothing, and a trial that is interrupted frees its place. All callers of one breaker share its state.
 *
 * Michael T. Nygard, "Release It!", 2007.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as Internal from "../internal/resilience/circuitBreaker.ts"
import * as Edge from "../internal/resilience/circuitBreakerEdge.ts"
import * as Retryability from "./Retryability.ts"

// ----------------------------------------------------------------------------------------------------------- constants

/**
 * How many failures in a row open a circuit.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultFailures = 5

/**
 * How long a circuit is open before trials are admitted.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultOpenFor: Duration.Duration = Duration.seconds(30)

/**
 * How many trials run at once in a half-open circuit.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultTrials = 3

/**
 * How many trials must succeed for a half-open circuit to close.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultSuccesses = 3

// -------------------------------------------------------------------------------------------------------------- errors

/**
 * The circuit did not admit the call; nothing was run.
 *
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("effect-skald/resilience/CircuitOpen")("CircuitOpen", {
  /** The name of the breaker. */
  name: Schema.String,
  /** Whether it waits, or is busy with as many trials as it admits at once. */
  state: Schema.Literal("open", "half-open"),
  /** When a call may be admitted. With all trials running that is as soon as one of them ends: now at the earliest. */
  retryAt: Schema.DateTimeUtc,
  /** The time from the refusal to `retryAt`. */
  retryAfter: Schema.Duration
}, Retryability.retryable) {
  override get message(): string {
    return this.state === "open"
      ? `circuit "${this.name}" is open for another ${Duration.format(this.retryAfter)}`
      : `circuit "${this.name}" is half-open, and all its trials are running`
  }
}

// -------------------------------------------------------------------------------------------------------------- models

/**
 * When a closed circuit opens: what is remembered of the calls that have ended, and whether that is enough.
 *
 * Pure: it does not change what it is given. Instants are in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trip<in out S> {
  /** What is remembered when the circuit closes. */
  readonly initial: S
  /** A call has ended. */
  readonly observe: (seen: S, failed: boolean, now: number) => S
  /** Whether the circuit opens now. Asked after each call that counts. */
  readonly trips: (seen: S) => boolean
}

/**
 * What a breaker does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** When it opens; {@link consecutive} with {@link defaultFailures} by default. */
  readonly trip?: Trip<any> | undefined
  /** How long it is open before it admits trials; {@link defaultOpenFor} by default. */
  readonly openFor?: Duration.DurationInput | undefined
  /** How many trials run at once; {@link defaultTrials} by default. */
  readonly trials?: number | undefined
  /** How many trials must succeed for it to close; {@link defaultSuccesses} by default. */
  readonly successes?: number | undefined
  /**
   * Which failures and defects count. By default all but those that are marked as permanent (`Retryability`): a bad request is
   * no fault of the one that refuses it. What does not count is neither a success nor a failure.
   */
  readonly counts?: ((error: unknown) => boolean) | undefined
}

/**
 * What a breaker is doing, since when.
 *
 * @since 0.1.0
 * @category models
 */
export type State =
  | { readonly _tag: "Closed"; readonly since: DateTime.Utc }
  | { readonly _tag: "Open"; readonly since: DateTime.Utc; readonly until: DateTime.Utc }
  | {
    readonly _tag: "HalfOpen"
    readonly since: DateTime.Utc
    /** How many trials are running. */
    readonly running: number
    /** How many have succeeded. */
    readonly succeeded: number
  }

/**
 * A change from one state to another, and why: `tripped` by the calls that ended, `waited` long enough to admit trials,
 * `recovered` as the trials succeeded, `trial failed`, or `told` by `open` and `close`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly name: string
  readonly from: State["_tag"]
  readonly to: State["_tag"]
  readonly why: "tripped" | "waited" | "recovered" | "trial failed" | "told"
  readonly at: DateTime.Utc
}

/**
 * A circuit breaker. Its state belongs to the value: give one value to all who call the same thing.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreaker {
  readonly name: string
  /** Runs an effect if the circuit admits it, and watches how it ends. */
  readonly protect: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  /** The state now. */
  readonly state: Effect.Effect<State>
  /**
   * The changes from the start of the stream on; of a reader that is slow, the last 256 that it has not read. A circuit becomes
   * half-open when it is next asked after its time, not by itself.
   */
  readonly changes: Stream.Stream<Change>
  /** Waits until a call would be admitted. Others may be faster: it still may be refused. */
  readonly admitting: Effect.Effect<void>
  /** Opens the circuit, whatever its state. */
  readonly open: Effect.Effect<void>
  /** Closes the circuit, whatever its state, and forgets what it has seen. */
  readonly close: Effect.Effect<void>
}

// ---------------------------------------------------------------------------------------------------------- conditions

/**
 * Opens after so many failures in a row: one success between them begins a new row.
 *
 * @throws `RangeError` when the number is not a whole one of at least 1.
 *
 * @example
 * ```ts
 * import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
 *
 * const breaker = CircuitBreaker.make("mail", { trip: CircuitBreaker.consecutive(10) })
 * ```
 *
 * @since 0.1.0
 * @category conditions
 */
export const consecutive = (failures: number = defaultFailures): Trip<number> => {
  Edge.check({ failures })
  return Internal.consecutive(failures)
}

/**
 * Opens when at least this share of the calls that ended within a sliding window have failed, and there were `minimum` calls in
 * it or more.
 *
 * The window moves in tenths of its length, so that it covers between nine tenths of it and all of it.
 *
 * @throws `RangeError` when the share is not above 0 and at most 1, the window is empty or endless, or the minimum is not a
 * whole number of at least 1.
 *
 * @example
 * ```ts
 * import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
 *
 * // half of the calls of the last minute, if they were twenty at least
 * const breaker = CircuitBreaker.make("search", {
 *   trip: CircuitBreaker.rate({ failures: 0.5, over: "1 minute", minimum: 20 })
 * })
 * ```
 *
 * @since 0.1.0
 * @category conditions
 */
export const rate = (options: {
  readonly failures: number
  readonly over: Duration.DurationInput
  readonly minimum: number
}): Trip<unknown> => {
  const over = Duration.toMillis(options.over)
  if (!(options.failures > 0 && options.failures <= 1)) {
    throw new RangeError(`failures must be a share above 0 and at most 1, got ${options.failures}`)
  }
  if (!(over > 0 && Number.isFinite(over))) throw new RangeError(`over must be more than 0 and finite, got ${over} ms`)
  Edge.check({ minimum: options.minimum })
  return Internal.rate(over, options.failures, options.minimum) as Trip<any>
}

/**
 * A condition of one's own.
 *
 * @example
 * ```ts
 * import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
 *
 * // 100 failures since it closed, however many successes there were
 * const breaker = CircuitBreaker.make("reports", {
 *   trip: CircuitBreaker.custom({
 *     initial: 0,
 *     observe: (seen, failed) => failed ? seen + 1 : seen,
 *     trips: (seen) => seen >= 100
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 * @category conditions
 */
export const custom = <S>(trip: Trip<S>): Trip<S> => trip

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * Makes a breaker, closed. Its name stands in errors, changes and metrics.
 *
 * Metrics: the counter `skald.circuit_breaker.calls` by `outcome` (`success`, `failure`, `uncounted`, `rejected`; none for who is interrupted), the counter
 * `skald.circuit_breaker.transitions` by state (`to`), and the gauge `skald.circuit_breaker.state` (0 closed, 1 half-open, 2
 * open), each by `circuit_breaker`, the name.
 *
 * Numbers that mean nothing (no trial, no success) die with a `RangeError`.
 *
 * @example
 * ```ts
 * import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
 * import { Effect } from "effect"
 *
 * declare const send: (to: string) => Effect.Effect<void, "unreachable">
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make("mail", { openFor: "1 minute" })
 *   yield* Effect.forEach(["ada", "grace"], (to) => send(to).pipe(CircuitBreaker.withBreaker(breaker)))
 * }).pipe(Effect.catchTag("CircuitOpen", (error) => Effect.logWarning(`again in ${error.retryAfter}`)))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (name: string, options: Options = {}): Effect.Effect<CircuitBreaker> =>
  Edge.make(name, {
    trip: options.trip ?? consecutive(),
    openFor: Duration.toMillis(options.openFor ?? defaultOpenFor),
    trials: options.trials ?? defaultTrials,
    successes: options.successes ?? defaultSuccesses,
    counts: options.counts ?? Retryability.isRetryable,
    refuse: (state, retryAt, retryAfter) =>
      new CircuitOpen({ name, state, retryAt, retryAfter }, { disableValidation: true })
  })

// --------------------------------------------------------------------------------------------------------- combinators

/**
 * Runs an effect behind a breaker.
 *
 * @example
 * ```ts
 * import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 * import { Effect } from "effect"
 *
 * declare const breaker: CircuitBreaker.CircuitBreaker
 * declare const send: Effect.Effect<void, "unreachable">
 *
 * // the breaker inside: every attempt counts, and is refused while the circuit is open
 * const sent = send.pipe(CircuitBreaker.withBreaker(breaker), Effect.retry(RetryPolicy.standard))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const withBreaker: {
  (breaker: CircuitBreaker): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, breaker: CircuitBreaker): Effect.Effect<A, E | CircuitOpen, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, breaker: CircuitBreaker): Effect.Effect<A, E | CircuitOpen, R> =>
    breaker.protect(self)
)
