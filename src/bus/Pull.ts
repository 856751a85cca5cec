/**
 * Subscriptions for those who ask for their messages: a batch at a time, or as a Stream, each to be acknowledged.
 *
 * What cannot be decoded, has expired, or came too often without any outcome is put aside before anybody sees it. What is not
 * settled when the scope ends is delivered again. How many messages are here, waiting to be asked for or asked for and not
 * settled, is bounded: who does not settle gets no more.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Event from "../event/Event.ts"
import * as Internal from "../internal/bus/pull.ts"
import * as Source from "../internal/bus/subscriptionSource.ts"
import type { BusError } from "./BusError.ts"
import type * as Driver from "./BusDriver.ts"
import { DeadLetterHandler } from "./BusPolicy.ts"
import type { DeadLetter } from "./DeadLetter.ts"
import { EventBus } from "./EventBus.ts"
import type * as Selector from "./Selector.ts"
import {
  defaultDeliveries,
  defaultReconnect,
  type Delivery,
  type Selected,
  type SubscribeError
} from "./Subscription.ts"

/**
 * How many messages are here at once, when nothing is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultPrefetch = 100

/**
 * A message that was taken, and is to be settled: by the first of its effects that is run; what is run after that does nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Taken<out A> {
  readonly event: A
  readonly delivery: Delivery
  /** It was handled, and is not delivered again. */
  readonly ack: Effect.Effect<void, BusError>
  /**
   * It was not handled, and is delivered again after a while; later messages of its key wait for it. The error is kept in its
   * history. One that carries a limit on its retries becomes a dead letter, `exhausted`, when that is reached.
   */
  readonly retryLater: (delay: Duration.DurationInput, error?: unknown) => Effect.Effect<void, BusError>
  /** It is put aside as a dead letter, `rejected`, with the error. */
  readonly deadLetter: (error: unknown) => Effect.Effect<void, BusError>
  /** Runs an effect so that what it records and publishes is caused by this message. */
  readonly causes: <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
}

/**
 * What can be said of every subscription that is pulled from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /** How many messages are here at once; {@link defaultPrefetch} when not given. */
  readonly prefetch?: number | undefined
  /** Where it starts when the bus does not know it yet; `latest` when not given. */
  readonly start?: Driver.Start | undefined
  /** Deliveries without any outcome before a message becomes a dead letter, as for `Subscription`. */
  readonly deliveries?: number | undefined
  /** When a driver that failed is asked again, as for `Subscription`. */
  readonly reconnect?: Schedule.Schedule<unknown, BusError> | undefined
  /** Runs after a dead letter was put aside. What it fails with is logged. */
  readonly onDeadLetter?: ((letter: DeadLetter) => Effect.Effect<void, unknown, R>) | undefined
  /** Whether the bus keeps it, and its messages, while nobody consumes it; it does when not given. */
  readonly kept?: boolean | undefined
}

/**
 * Of which event types.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventOptions<Es extends ReadonlyArray<Event.Any>, R = never> extends Options<R> {
  readonly events: Es & Event.UniqueTags<Es>
}

/**
 * Of which subjects.
 *
 * @since 0.1.0
 * @category models
 */
export interface SelectOptions<R = never> extends Options<R> {
  /** The pattern of a subject, a regular expression on it, or several of them; `*` for everything. */
  readonly select: Selector.Input
}

/**
 * A subscription that is pulled from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Puller<out A> {
  readonly name: string
  /**
   * What is there, in order, at most `max` messages; waits for the first of them, and answers none where it does not come
   * `within` a time. Interrupted while it waits, it takes none. Fails only where the driver has failed for longer than it is asked again.
   */
  readonly pull: (
    max: number,
    options?: { readonly within?: Duration.DurationInput | undefined }
  ) => Effect.Effect<ReadonlyArray<Taken<A>>, BusError>
}

const open = (
  name: string,
  options: Options<any>,
  source: Source.Source
): Effect.Effect<Puller<any>, SubscribeError, any> =>
  Effect.gen(function*() {
    return yield* Internal.make(yield* EventBus, name, source, {
      prefetch: options.prefetch ?? defaultPrefetch,
      start: options.start ?? "latest",
      deliveries: options.deliveries ?? defaultDeliveries,
      reconnect: options.reconnect ?? defaultReconnect,
      onDeadLetter: options.onDeadLetter,
      busOnDeadLetter: yield* DeadLetterHandler,
      kept: options.kept ?? true
    })
  })

/**
 * Begins a subscription to event types that is pulled from, as long as the scope lasts.
 *
 * @example
 * ```ts
 * import * as Pull from "effect-skald/bus/Pull"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String })
 * declare const store: (orders: ReadonlyArray<string>) => Effect.Effect<void>
 *
 * const program = Effect.gen(function*() {
 *   const orders = yield* Pull.make("warehouse", { events: [OrderPlaced] })
 *   const batch = yield* orders.pull(500, { within: "5 seconds" })
 *   yield* store(batch.map(({ event }) => event.order))
 *   yield* Effect.forEach(batch, ({ ack }) => ack)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Es extends ReadonlyArray<Event.Any>, R = never>(
  name: string,
  options: EventOptions<Es, R>
): Effect.Effect<Puller<Es[number]["Type"]>, SubscribeError, EventBus | Scope.Scope | R> =>
  Effect.flatMap(Source.ofEvents(options), (source) => open(name, options, source))

/**
 * Begins a subscription to subjects that is pulled from, as long as the scope lasts. Its events come undecoded.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeSelect = <R = never>(
  name: string,
  options: SelectOptions<R>
): Effect.Effect<Puller<Selected>, SubscribeError, EventBus | Scope.Scope | R> =>
  Effect.flatMap(Source.ofSubjects(options), (source) => open(name, options, source))

const streamOf = <A, E, R>(
  puller: Effect.Effect<Puller<A>, E, R | Scope.Scope>,
  prefetch: number
): Stream.Stream<Taken<A>, E | BusError, Exclude<R, Scope.Scope>> =>
  Stream.unwrapScoped(
    Effect.map(puller, ({ pull }) => Stream.repeatEffectChunk(Effect.map(pull(prefetch), Chunk.unsafeFromArray)))
  ) as Stream.Stream<Taken<A>, E | BusError, Exclude<R, Scope.Scope>>

/**
 * The messages of a subscription to event types, each to be acknowledged, for as long as the Stream runs.
 *
 * @example
 * ```ts
 * import * as Pull from "effect-skald/bus/Pull"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String })
 * declare const send: (order: string) => Effect.Effect<void, "busy">
 *
 * const program = Pull.stream("mail", { events: [OrderPlaced] }).pipe(
 *   Stream.runForEach(({ ack, causes, event, retryLater }) =>
 *     causes(send(event.order)).pipe(
 *       Effect.matchEffect({ onSuccess: () => ack, onFailure: (error) => retryLater("1 minute", error) })
 *     )
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const stream = <const Es extends ReadonlyArray<Event.Any>, R = never>(
  name: string,
  options: EventOptions<Es, R>
): Stream.Stream<Taken<Es[number]["Type"]>, SubscribeError, EventBus | Exclude<R, Scope.Scope>> =>
  streamOf(make(name, options), options.prefetch ?? defaultPrefetch) as any

/**
 * The messages of a subscription to subjects, each to be acknowledged, for as long as the Stream runs.
 *
 * @since 0.1.0
 * @category streams
 */
export const streamSelect = <R = never>(
  name: string,
  options: SelectOptions<R>
): Stream.Stream<Taken<Selected>, SubscribeError, EventBus | Exclude<R, Scope.Scope>> =>
  streamOf(makeSelect(name, options), options.prefetch ?? defaultPrefetch) as any
