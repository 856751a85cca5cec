/**
 * Alerts when too many messages of a subscription become dead letters.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/deadLetterAlerts.ts"
import type { EventBus } from "./EventBus.ts"

/**
 * The share of dead letters above which there is an alert.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultThreshold = 0.1

/**
 * The time over which the share is taken.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultWindow: Duration.Duration = Duration.minutes(5)

/**
 * The fewest messages of which a share is taken.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMinimum = 20

/**
 * When there is an alert.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Above which share of dead letters, 0 to 1; {@link defaultThreshold} when not given. */
  readonly threshold?: number | undefined
  /** Over which time; {@link defaultWindow} when not given. It slides in hundredths of itself. */
  readonly window?: Duration.DurationInput | undefined
  /** Of how many messages at least; {@link defaultMinimum} when not given. */
  readonly minimum?: number | undefined
}

/**
 * Too many messages of a subscription became dead letters.
 *
 * @since 0.1.0
 * @category models
 */
export interface Alert {
  readonly subscription: string
  /** What became a dead letter within the window. */
  readonly failures: number
  /** What the subscription was done with, dead letters included. */
  readonly messages: number
  /** `failures` by `messages`. */
  readonly rate: number
  readonly at: DateTime.Utc
}

/**
 * One alert each time the share of dead letters of a subscription passes the threshold, and the next one after it has fallen
 * to it again; not one for each message. It counts from when the stream is run.
 *
 * On a bus that processes share it counts what all of them are done with, whether this one handles anything or not: each adds
 * its counts once a second, and a stream looks at them as often, or every hundredth of a shorter window. The window is measured
 * by the clock of the one who looks. Each stream that is run tells of its own: run it in one process, or under a `Lease`.
 *
 * @example
 * ```ts
 * import * as DeadLetterAlerts from "effect-skald/bus/DeadLetterAlerts"
 * import { Effect, Stream } from "effect"
 *
 * const program = DeadLetterAlerts.alerts().pipe(
 *   Stream.runForEach(({ rate, subscription }) => Effect.logError(`${subscription} fails: ${rate * 100} %`))
 * )
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const alerts: (options?: Options) => Stream.Stream<Alert, InvalidInput, EventBus> = (options = {}) =>
  Internal.alerts({
    threshold: options.threshold ?? defaultThreshold,
    window: options.window ?? defaultWindow,
    minimum: options.minimum ?? defaultMinimum
  })
