/**
 * How the subscriptions of a bus are doing: what waits for them, how old it is, how fast it is handled, and how often in vain.
 *
 * What waits is told by the driver, for all processes. What is handled is measured in this process, for the subscriptions
 * that run in it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/meter.ts"
import type * as Driver from "./BusDriver.ts"
import type { BusError } from "./BusError.ts"
import { EventBus } from "./EventBus.ts"

/**
 * How far rates and percentiles look back.
 *
 * @since 0.1.0
 * @category constants
 */
export const window: Duration.Duration = Duration.millis(Internal.windowMillis)

/**
 * How often samples are taken, when nothing is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultEvery: Duration.Duration = Duration.seconds(5)

/**
 * What became of messages: taken up by a handler, handled by it, failed in a run of it, to be retried after that, put aside.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  readonly taken: number
  readonly handled: number
  readonly failed: number
  readonly retried: number
  readonly dead: number
}

/**
 * What a subscription does in this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Processing {
  /** Messages that handlers have, those that wait for a retry in place included. */
  readonly active: number
  /** Since it began. */
  readonly totals: Counts
  /** By the second, over the last {@link window} or as long as it runs. */
  readonly rates: Counts
  /** How long handlers ran, within 1 %, over the last {@link window}; none where none has ended. */
  readonly durations: Option.Option<
    { readonly p50: Duration.Duration; readonly p95: Duration.Duration; readonly p99: Duration.Duration }
  >
}

/**
 * How one subscription is doing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Queue extends Omit<Driver.Depth, "oldest"> {
  readonly subscription: string
  /** How long the oldest message that is ready has been so. */
  readonly oldestAge: Option.Option<Duration.Duration>
  /** None for one that does not run in this process. */
  readonly processing: Option.Option<Processing>
}

/**
 * What can be asked of the queues of a bus.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The names of the subscriptions that the bus knows, sorted. */
  readonly subscriptions: Effect.Effect<ReadonlyArray<string>, BusError>
  /** How one is doing; fails with `InvalidInput` for a name that the bus does not know. */
  readonly get: (subscription: string) => Effect.Effect<Queue, BusError | InvalidInput>
  /** How all are doing, by name. */
  readonly all: Effect.Effect<ReadonlyArray<Queue>, BusError>
  /** How all are doing, again and again: every 5 seconds when not said otherwise ({@link defaultEvery}). */
  readonly samples: (every?: Duration.DurationInput) => Stream.Stream<ReadonlyArray<Queue>, BusError>
}

/**
 * The queues of the bus of an application.
 *
 * @since 0.1.0
 * @category services
 */
export class Queues extends Context.Tag("effect-skald/bus/Queues")<Queues, Service>() {}

/**
 * The queues of the bus beneath.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Queues from "effect-skald/bus/Queues"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const queues = yield* Queues.Queues
 *   for (const { oldestAge, ready, subscription } of yield* queues.all) {
 *     yield* Effect.log(subscription, ready, oldestAge)
 *   }
 * }).pipe(Effect.provide(Layer.provideMerge(Queues.layer, EventBus.layerMemory)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Queues, never, EventBus> = Layer.effect(
  Queues,
  Effect.map(EventBus, (bus): Service => {
    const get = (subscription: string) =>
      Effect.zipWith(bus.depth(subscription), Clock.currentTimeMillis, (depth, now): Queue => {
        const { inFlight, oldest, ready, waiting } = depth
        return {
          subscription,
          ready,
          waiting,
          inFlight,
          oldestAge: Option.map(Option.fromNullable(oldest), (since) => Duration.millis(Math.max(0, now - since))),
          processing: Option.map(
            Option.fromNullable(Internal.meters.of(bus).get(subscription)),
            (meter) => processingOf(meter, now)
          )
        }
      })
    const all = Effect.flatMap(bus.subscriptions, (names) =>
      Effect.map(
        Effect.forEach(names, (name) =>
          Effect.map(get(name), Option.some).pipe(
            // one that has ended in the meantime
            Effect.catchTag("InvalidInput", () => Effect.succeedNone)
          )),
        (queues) => queues.flatMap(Option.toArray)
      ))
    return {
      subscriptions: bus.subscriptions,
      get,
      all,
      samples: (every = defaultEvery) => Stream.repeatEffectWithSchedule(all, Schedule.spaced(every))
    }
  })
)

const processingOf = (meter: Internal.Meter, now: number): Processing => {
  const { active, quantile, rates, totals } = meter.read(now)
  const at = (share: number) => Option.map(Option.fromNullable(quantile(share)), Duration.millis)
  return {
    active,
    totals,
    rates,
    durations: Option.all({ p50: at(0.5), p95: at(0.95), p99: at(0.99) })
  }
}

const gauges = {
  ready: Metric.gauge("skald.bus.subscription.ready", { description: "Messages that are ready to be delivered" }),
  waiting: Metric.gauge("skald.bus.subscription.waiting", { description: "Messages that wait for their time or key" }),
  inFlight: Metric.gauge("skald.bus.subscription.in_flight", { description: "Messages that were delivered" }),
  oldestAge: Metric.gauge("skald.bus.subscription.oldest_age", {
    description: "How long the oldest message that is ready has been so, in seconds"
  })
}

const show = ({ inFlight, oldestAge, ready, subscription, waiting }: Queue): Effect.Effect<void> => {
  const set = (gauge: Metric.Metric.Gauge<number>, value: number) =>
    Metric.set(Metric.tagged(gauge, "messaging.consumer.group.name", subscription), value)
  return Effect.all([
    set(gauges.ready, ready),
    set(gauges.waiting, waiting),
    set(gauges.inFlight, inFlight),
    set(gauges.oldestAge, Option.match(oldestAge, { onNone: () => 0, onSome: Duration.toSeconds }))
  ], { discard: true })
}

/**
 * Keeps gauges of what waits for each subscription up to date: `skald.bus.subscription.ready`, `.waiting`, `.in_flight`, and
 * `.oldest_age` in seconds, each by `messaging.consumer.group.name`.
 *
 * What is handled is measured without this layer: `messaging.process.duration` (a histogram in seconds, by `error.type` where a
 * run failed), the counters `messaging.client.consumed.messages`, `skald.bus.retries` and `skald.bus.dead_letters`, each by
 * `messaging.consumer.group.name` and `messaging.system`, the name of the driver.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Queues from "effect-skald/bus/Queues"
 * import { Layer } from "effect"
 *
 * const Observed = Queues.layerMetrics({ every: "15 seconds" }).pipe(
 *   Layer.provide(Queues.layer),
 *   Layer.provide(EventBus.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMetrics = (options: {
  /** How often they are set; {@link defaultEvery} when not given. */
  readonly every?: Duration.DurationInput | undefined
} = {}): Layer.Layer<never, never, Queues> =>
  Layer.scopedDiscard(
    Effect.flatMap(Queues, ({ all }) =>
      Effect.flatMap(all, (queues) =>
        Effect.forEach(queues, show, { discard: true })).pipe(
          Effect.catchAllCause((cause) => Effect.logWarning("the queues could not be measured", cause)),
          Effect.repeat(Schedule.spaced(options.every ?? defaultEvery)),
          Effect.forkScoped
        ))
  )
