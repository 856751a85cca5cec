/**
 * Subscriptions: what is done about the messages of a bus.
 *
 * Each message is delivered at least once: it counts as handled when its handler has succeeded and at no time before. Several
 * consumers of one name, in this process or in others, share its messages; each name gets all of them.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Metadata } from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/subscription.ts"
import * as Source from "../internal/bus/subscriptionSource.ts"
import type * as CircuitBreaker from "../resilience/CircuitBreaker.ts"
import type { BusError } from "./BusError.ts"
import type { DeadLetter } from "./DeadLetter.ts"
import type * as Driver from "./BusDriver.ts"
import { DeadLetterHandler, DefaultVerdict } from "./BusPolicy.ts"
import { EventBus } from "./EventBus.ts"
import type { Garbled, Message } from "./Message.ts"
import type * as OnError from "./OnError.ts"
import type * as Selector from "./Selector.ts"

/**
 * How many messages are handled at once, when nothing is said: one after the other.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultConcurrency = 1

/**
 * How many messages are taken ahead, as a multiple of the concurrency.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultPrefetch = 10

/**
 * How long the end of a subscription waits for handlers that run.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultDrain: Duration.Duration = Duration.seconds(10)

/**
 * How often a message is delivered without any outcome before it becomes a dead letter, `crashed`.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultDeliveries = 10

/**
 * When a driver that failed is asked again.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultReconnect: Schedule.Schedule<unknown> = Schedule.exponential("100 millis").pipe(
  Schedule.union(Schedule.spaced("30 seconds"))
)

/**
 * What a handler is told of the message beside its event.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivery {
  /** The name of the subscription. */
  readonly subscription: string
  readonly id: string
  /** The tag that it was published under. */
  readonly type: string
  readonly subject: string
  readonly key: string | undefined
  /** 1 at the first run of the handler on this message, counted over restarts. */
  readonly attempt: number
  readonly source: string
  readonly metadata: Metadata
  readonly occurredAt: DateTime.Utc
  readonly publishedAt: DateTime.Utc
}

/**
 * An event whose type the subscription may not know.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selected {
  readonly _tag: string
  readonly schemaVersion: number
  /** The event itself where its type is among the `events` of the subscription; else what was published, a JSON value. */
  readonly payload: unknown
}

/**
 * What can be said of every subscription.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /** How many messages are handled at once; {@link defaultConcurrency} when not given. */
  readonly concurrency?: number | undefined
  /** How many messages are here at once, waiting or being handled; ten times the concurrency when not given. */
  readonly prefetch?: number | undefined
  /** Where it starts when the bus does not know it yet; `latest` when not given. */
  readonly start?: Driver.Start | undefined
  /** How long its end waits for handlers that run; {@link defaultDrain} when not given. */
  readonly drain?: Duration.DurationInput | undefined
  /** Deliveries without any outcome before a message becomes a dead letter; {@link defaultDeliveries} when not given. */
  readonly deliveries?: number | undefined
  /** When a driver that failed is asked again; {@link defaultReconnect} when not given. */
  readonly reconnect?: Schedule.Schedule<unknown, BusError> | undefined
  /** How long one run of the handler may take; as long as it likes when not given. It is interrupted, and that is a failure. */
  readonly timeout?: Duration.DurationInput | undefined
  /** What becomes of a message whose handler took longer; what the bus does by default when not given (`BusPolicy`). */
  readonly onTimeout?: OnError.Verdict | undefined
  /**
   * A circuit breaker before the handler; `{}` for one with its defaults. While it is open no message is taken, and no attempt
   * is spent; half-open, it lets as many handlers run at once as it has trials. It is one for all consumers of the subscription
   * in this process. Errors that are marked permanent do not count, unless its `counts` says otherwise; time-outs and defects do.
   */
  readonly breaker?: CircuitBreaker.Options | undefined
  /** Runs after a dead letter was put aside. What it fails with is logged. */
  readonly onDeadLetter?: ((letter: DeadLetter) => Effect.Effect<void, unknown, R>) | undefined
  /** Whether the bus keeps it, and its messages, while nobody consumes it; it does when not given. */
  readonly kept?: boolean | undefined
}

/**
 * What a subscription to event types is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventOptions<Es extends ReadonlyArray<Event.Any>, E, R> extends Options<R> {
  readonly events: Es & Event.UniqueTags<Es>
  readonly handler: (event: Es[number]["Type"], delivery: Delivery) => Effect.Effect<void, E, R>
  /**
   * Messages of one key are handled one after the other, also while one of them is retried; the key that they were published
   * with when not given. Processes that share the subscription keep that order only by the published key.
   */
  readonly key?: ((event: Es[number]["Type"]) => string | undefined) | undefined
}

/**
 * What a subscription to subjects is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface SelectOptions<E, R> extends Options<R> {
  /** The pattern of a subject, a regular expression on it, or several of them; `*` for everything. */
  readonly select: Selector.Input
  /** The types that it knows: their payloads come decoded, brought up from older versions. None when not given. */
  readonly events?: ReadonlyArray<Event.Any> | undefined
  readonly handler: (event: Selected, delivery: Delivery) => Effect.Effect<void, E, R>
  readonly key?: ((event: Selected) => string | undefined) | undefined
}

/**
 * What a subscription to everything is made of, whatever it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawOptions<E, R> extends Options<R> {
  readonly handler: (message: Message | Garbled, delivery: Delivery) => Effect.Effect<void, E, R>
  readonly key?: ((message: Message | Garbled) => string | undefined) | undefined
}

/**
 * A subscription that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Running {
  readonly name: string
  /** Takes no more messages; those that are being handled go on. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly isPaused: Effect.Effect<boolean>
  /** Its circuit breaker, where it has one: its state, its changes. */
  readonly breaker: Option.Option<CircuitBreaker.CircuitBreaker>
}

/**
 * Why a subscription could not begin.
 *
 * @since 0.1.0
 * @category errors
 */
export type SubscribeError = InvalidInput | BusError

/**
 * A subscription to event types, as long as the scope lasts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run: {
  <const Es extends ReadonlyArray<Event.Any>, R>(
    name: string,
    options: EventOptions<Es, never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Effect.Effect<Running, SubscribeError, EventBus | Scope.Scope | R>
  <const Es extends ReadonlyArray<Event.Any>, E, R>(
    name: string,
    options: EventOptions<Es, E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Effect.Effect<Running, SubscribeError, EventBus | Scope.Scope | R>
} = (name: string, options: any): Effect.Effect<Running, SubscribeError, any> =>
  Effect.flatMap(Source.ofEvents(options), (source) => begin(name, options, source))

/**
 * A subscription to subjects, as long as the scope lasts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const runSelect: {
  <R>(
    name: string,
    options: SelectOptions<never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Effect.Effect<Running, SubscribeError, EventBus | Scope.Scope | R>
  <E, R>(
    name: string,
    options: SelectOptions<E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Effect.Effect<Running, SubscribeError, EventBus | Scope.Scope | R>
} = (name: string, options: any): Effect.Effect<Running, SubscribeError, any> =>
  Effect.flatMap(Source.ofSubjects(options), (source) => begin(name, options, source))

/**
 * A subscription to everything, as long as the scope lasts. What it is given is not decoded at all: the messages themselves,
 * their payloads as they were published, and what is no message. `Audit` is what most want.
 *
 * @since 0.1.0
 * @category constructors
 */
export const runRaw: {
  <R>(
    name: string,
    options: RawOptions<never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Effect.Effect<Running, SubscribeError, EventBus | Scope.Scope | R>
  <E, R>(
    name: string,
    options: RawOptions<E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Effect.Effect<Running, SubscribeError, EventBus | Scope.Scope | R>
} = (name: string, options: any): Effect.Effect<Running, SubscribeError, any> =>
  begin(name, options, Source.ofMessages(options))

const begin = (name: string, options: any, source: Source.Source): Effect.Effect<Running, SubscribeError, any> =>
  Effect.gen(function*() {
    const bus = yield* EventBus
    return yield* Internal.run(bus, name, source, options.handler, {
      concurrency: defaultConcurrency,
      prefetch: (options.concurrency ?? defaultConcurrency) * defaultPrefetch,
      start: "latest",
      drain: defaultDrain,
      deliveries: defaultDeliveries,
      reconnect: defaultReconnect,
      kept: true,
      ...definedOf(options),
      otherwise: yield* DefaultVerdict,
      busOnDeadLetter: yield* DeadLetterHandler
    })
  })

const definedOf = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

/**
 * A subscription to event types as a Layer.
 *
 * The handler runs with the message as the cause of whatever it records or publishes. Where it can fail, `onError` says what
 * then: one verdict for each of its errors. A handler that dies is not run again; one that is interrupted has not handled its
 * message.
 *
 * @example
 * ```ts
 * import * as OnError from "effect-skald/bus/OnError"
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schedule, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String })
 * class SmtpDown extends Schema.TaggedError<SmtpDown>()("SmtpDown", {}) {}
 * declare const send: (order: string) => Effect.Effect<void, SmtpDown>
 *
 * const MailCustomer = Subscription.layer("mail-customer", {
 *   events: [OrderPlaced],
 *   concurrency: 16,
 *   key: (event) => event.order,
 *   handler: (event) => send(event.order),
 *   onError: { SmtpDown: OnError.retry(Schedule.recurs(3), OnError.deadLetter) }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <const Es extends ReadonlyArray<Event.Any>, R>(
    name: string,
    options: EventOptions<Es, never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Layer.Layer<never, SubscribeError, EventBus | R>
  <const Es extends ReadonlyArray<Event.Any>, E, R>(
    name: string,
    options: EventOptions<Es, E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Layer.Layer<never, SubscribeError, EventBus | R>
} = (name: string, options: any): Layer.Layer<never, SubscribeError, any> => Layer.scopedDiscard(run(name, options))

/**
 * A subscription to subjects as a Layer: by wildcards, regular expressions, or to everything.
 *
 * @example
 * ```ts
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import { Effect } from "effect"
 *
 * const Audit = Subscription.layerSelect("audit", {
 *   select: "order.*",
 *   handler: (event, delivery) => Effect.log(delivery.subject, event.payload)
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSelect: {
  <R>(
    name: string,
    options: SelectOptions<never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Layer.Layer<never, SubscribeError, EventBus | R>
  <E, R>(
    name: string,
    options: SelectOptions<E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Layer.Layer<never, SubscribeError, EventBus | R>
} = (name: string, options: any): Layer.Layer<never, SubscribeError, any> =>
  Layer.scopedDiscard(runSelect(name, options))

/**
 * A handler for several event types from one for each of them. One that is missing does not type-check.
 *
 * @example
 * ```ts
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { order: Schema.String })
 * const Paid = Event.make("Paid", { order: Schema.String, payment: Schema.String })
 *
 * const Log = Subscription.layer("log", {
 *   ...Subscription.handlers([Placed, Paid], {
 *     Placed: (event) => Effect.log("placed", event.order),
 *     Paid: (event, { attempt }) => Effect.log("paid", event.payment, attempt)
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const handlers = <
  const Es extends ReadonlyArray<Event.Any>,
  H extends {
    readonly [T in Es[number]["Type"]["_tag"]]: (
      event: Extract<Es[number]["Type"], { readonly _tag: T }>,
      delivery: Delivery
    ) => Effect.Effect<void, any, any>
  }
>(events: Es & Event.UniqueTags<Es>, byTag: H): {
  readonly events: Es & Event.UniqueTags<Es>
  readonly handler: (
    event: Es[number]["Type"],
    delivery: Delivery
  ) => Effect.Effect<
    void,
    Effect.Effect.Error<ReturnType<H[keyof H & Es[number]["Type"]["_tag"]]>>,
    Effect.Effect.Context<ReturnType<H[keyof H & Es[number]["Type"]["_tag"]]>>
  >
} => ({
  events,
  handler: (event, delivery) => (byTag as any)[event._tag](event, delivery)
})
