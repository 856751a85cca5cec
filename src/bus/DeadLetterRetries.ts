/**
 * Automatic retries of dead letters: off unless this layer is there.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/deadLetterRetries.ts"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"
import type * as Lease from "../store/Lease.ts"
import type { Reason } from "./DeadLetter.ts"
import type { EventBus } from "./EventBus.ts"

/**
 * How often a dead letter is tried again by the strategies below.
 *
 * @since 0.1.0
 * @category constants
 */
export const times = 5

/**
 * Why a letter must have been put aside to be tried again, when nothing is said. Time mends none of the others.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultReasons: ReadonlyArray<Reason> = ["exhausted", "rejected", "defect", "crashed"]

/**
 * How often the dead letters that other processes have put aside are looked at.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultEvery: Duration.Duration = Duration.seconds(5)

/**
 * After 1, 2, 4, 8 and 16 seconds, counted from when the letter was put aside.
 *
 * @since 0.1.0
 * @category strategies
 */
export const exponential: Schedule.Schedule<Duration.Duration> = RetryPolicy.exponential("1 second", { times })

/**
 * After 60, 120, 180, 240 and 300 seconds.
 *
 * @since 0.1.0
 * @category strategies
 */
export const linear: Schedule.Schedule<Duration.Duration> = RetryPolicy.linear("60 seconds", { times })

/**
 * After 60, 60, 120, 180 and 300 seconds.
 *
 * @since 0.1.0
 * @category strategies
 */
export const fibonacci: Schedule.Schedule<Duration.Duration> = RetryPolicy.fibonacci("60 seconds", { times })

/**
 * How dead letters are tried again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * When, counted each time from when the letter was put aside. Where it stands is kept with the letter, so that it goes on
   * after a restart; one that looks at errors is refused. When it has ended, the letter stays, permanently failed.
   */
  readonly schedule: Schedule.Schedule<unknown, any>
  /** {@link defaultReasons} when not given. */
  readonly reasons?: ReadonlyArray<Reason> | undefined
  /** Those of these subscriptions alone. */
  readonly subscriptions?: ReadonlyArray<string> | undefined
  /** {@link defaultEvery} when not given. What this process puts aside is seen at once. */
  readonly every?: Duration.DurationInput | undefined
  /**
   * What the lease is called by: layers of one name, in several processes, share the work. Its subscriptions, or `*`, when not
   * given, so that layers for different subscriptions work side by side.
   */
  readonly name?: string | undefined
  /** How the lease is held; by its defaults a process that was killed is replaced within 10 seconds. */
  readonly lease?: Lease.Options | undefined
}

/**
 * Tries dead letters again, for as long as the layer lives, in the one of the processes that holds the lease.
 *
 * Each try is a reprocessing: to its own subscription alone, under its own id, its history going on. Never early.
 *
 * @example
 * ```ts
 * import * as DeadLetterRetries from "effect-skald/bus/DeadLetterRetries"
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Lease from "effect-skald/store/Lease"
 * import { Layer } from "effect"
 *
 * const Retries = DeadLetterRetries.layer({ schedule: DeadLetterRetries.linear }).pipe(
 *   Layer.provideMerge(EventBus.layerMemory),
 *   Layer.provide(Lease.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (options: Options) => Layer.Layer<never, InvalidInput, EventBus | Lease.Lease> = (options) =>
  Internal.layer(options, { reasons: defaultReasons, every: defaultEvery })
