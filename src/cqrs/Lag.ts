/**
 * How far behind the log the projections and subscriptions of this process are: in events and in time, as metrics, and as alerts.
 *
 * Projections that run are known by themselves; a subscription is when it is made by {@link subscribe}.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Metric from "effect/Metric"
import type * as MetricKeyType from "effect/MetricKeyType"
import type * as Stream from "effect/Stream"
import type { Raw } from "../event/Envelope.ts"
import * as Internal from "../internal/cqrs/projectionLag.ts"
import type { EventStore, ReadError, SubscribeOptions } from "../store/EventStore.ts"

/**
 * How far behind one of them is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lag {
  readonly name: string
  readonly kind: "projection" | "subscription"
  /** Where it is, and where the log ends. */
  readonly position: number
  readonly head: number
  /** How many of its events it has before it; counted up to {@link countUpTo}. */
  readonly events: number
  /** How long ago the first of them was recorded; zero where there is none. */
  readonly age: Duration.Duration
}

/**
 * Up to how many events a lag is counted; what is more is at least so many.
 *
 * @since 0.1.0
 * @category constants
 */
export const countUpTo: number = Internal.countUpTo

/**
 * How far behind each of them is, now.
 *
 * @since 0.1.0
 * @category getters
 */
export const report: Effect.Effect<ReadonlyArray<Lag>, ReadError> = Internal.report

/**
 * The lag in events, by `name` and `kind`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const events: Metric.Metric<MetricKeyType.MetricKeyType.Gauge<number>, number, any> = Internal.eventsGauge

/**
 * The lag in seconds, by `name` and `kind`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const seconds: Metric.Metric<MetricKeyType.MetricKeyType.Gauge<number>, number, any> = Internal.secondsGauge

/**
 * Keeps the metrics {@link events} and {@link seconds} up to date: every 5 seconds when nothing is said. A look that fails
 * is logged, and the next one comes.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Lag from "effect-skald/cqrs/Lag"
 * import * as Event from "effect-skald/event/Event"
 * import * as Memory from "effect-skald/Memory"
 * import { Layer, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Revenue = Projection.make("revenue", {
 *   events: [Placed],
 *   state: Schema.Number,
 *   initial: 0,
 *   apply: (sum, event) => sum + event.total
 * })
 *
 * export const App = Layer.mergeAll(Projection.layerAsync(Revenue), Lag.layerMetrics({ every: "10 seconds" })).pipe(
 *   Layer.provideMerge(Memory.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMetrics: (options?: { readonly every?: Duration.DurationInput | undefined }) => Layer.Layer<never> =
  Internal.layerMetrics

/**
 * What is too much, and how often to look.
 *
 * @since 0.1.0
 * @category models
 */
export interface Threshold {
  /** More events than this, at most {@link countUpTo} less one. */
  readonly events?: number | undefined
  /** Older than this. */
  readonly age?: Duration.DurationInput | undefined
  /** How often to look; every 5 seconds when not given. */
  readonly every?: Duration.DurationInput | undefined
}

/**
 * Somebody fell behind, or has caught up again.
 *
 * @since 0.1.0
 * @category models
 */
export type Alert =
  | { readonly _tag: "Behind"; readonly lag: Lag }
  | { readonly _tag: "Recovered"; readonly lag: Lag }

/**
 * Alerts of all projections and subscriptions of this process that are behind by more than a threshold: one when one falls
 * behind, one when it is back below. One that ends while it is behind is not told of again.
 *
 * @example
 * ```ts
 * import * as Lag from "effect-skald/cqrs/Lag"
 * import { Effect, Stream } from "effect"
 *
 * const watch = Stream.runForEach(
 *   Lag.alerts({ events: 500, age: "1 minute" }),
 *   ({ _tag, lag }) => Effect.logWarning(`${lag.name}: ${_tag}, ${lag.events} events`)
 * )
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const alerts: (threshold: Threshold) => Stream.Stream<Alert> = Internal.alerts

/**
 * `EventStore.subscribe` under a name, so that its lag is known. An event counts as taken when the next chunk is asked for.
 *
 * @example
 * ```ts
 * import * as Lag from "effect-skald/cqrs/Lag"
 * import { Effect, Stream } from "effect"
 *
 * const mails = Stream.runForEach(
 *   Lag.subscribe("mails", { category: "order", after: "earliest" }),
 *   (event) => Effect.log(event.type)
 * )
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const subscribe: (
  name: string,
  options?: SubscribeOptions
) => Stream.Stream<Raw, ReadError, EventStore> = Internal.subscribe
