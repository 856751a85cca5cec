/**
 * Messages on their way to the bus, written in the caller's own transaction: published if and only if it commits.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { InvalidEvent, InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/stagedMessages.ts"
import type * as Lease from "../store/Lease.ts"
import type { BusError, MessageTooLarge } from "./BusError.ts"
import { EventBus, type PublishError, type Service as Bus } from "./EventBus.ts"
import type { Message } from "./Message.ts"

/**
 * How many messages are relayed at once.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultBatch = 500

/**
 * How often a relay looks for messages that were committed.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultEvery: Duration.Duration = Duration.millis(100)

/**
 * A message that was committed and is not relayed yet, with its place in line.
 *
 * @since 0.1.0
 * @category models
 */
export interface Staged {
  readonly place: number
  readonly message: Message
}

/**
 * What a driver does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  /** Which of several outboxes it is: relays of one name share the work. */
  readonly name: string
  /** Writes messages in the transaction that the fiber is in; in one of their own where there is none. */
  readonly add: (messages: ReadonlyArray<Message>) => Effect.Effect<void, BusError>
  /** The first of those that were committed, by their place, which is that in which they were written. */
  readonly first: (limit: number) => Effect.Effect<ReadonlyArray<Staged>, BusError>
  readonly remove: (places: ReadonlyArray<number>) => Effect.Effect<void, BusError>
  readonly atomically: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BusError, R>
}

/**
 * What can be done with messages that are on their way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** {@link EventBus}'s `publish`, into the caller's transaction. */
  readonly publish: Bus["publish"]
  /** Whatever the effect publishes is written into the caller's transaction instead. */
  readonly staged: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, EventBus>>
  /** For the relay. */
  readonly driver: Encoded
}

/**
 * Messages that wait in the application's own database until its transaction has committed.
 *
 * @example
 * ```ts
 * import * as Publisher from "effect-skald/bus/Publisher"
 * import * as StagedMessages from "effect-skald/bus/StagedMessages"
 * import * as Event from "effect-skald/event/Event"
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String }, { subject: "order.placed" })
 * const orders = Publisher.make([OrderPlaced])
 *
 * // the row and the message, both or neither
 * const place = (order: string) =>
 *   Effect.gen(function*() {
 *     const sql = yield* SqlClient.SqlClient
 *     const outbox = yield* StagedMessages.StagedMessages
 *     yield* sql.withTransaction(
 *       Effect.zipRight(
 *         sql`INSERT INTO orders (id) VALUES (${order})`,
 *         outbox.staged(orders.publish(OrderPlaced({ order }), { key: order }))
 *       )
 *     )
 *   })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class StagedMessages extends Context.Tag("effect-skald/bus/StagedMessages")<StagedMessages, Service>() {}

/**
 * The service over a driver. Delays, priorities and times to live are those of when a message was written.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded = (driver: Encoded): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.map(Internal.busOf(driver), (bus) => ({
    driver,
    publish: bus.publish,
    staged: (self) => Effect.provideService(self, EventBus, bus)
  }))

/**
 * How messages are relayed.
 *
 * @since 0.1.0
 * @category models
 */
export interface RelayOptions<R = never> {
  /** {@link defaultBatch} when not given. */
  readonly batch?: number | undefined
  /** {@link defaultEvery} when not given. */
  readonly every?: Duration.DurationInput | undefined
  /** Whether the bus is in the same database: then a batch is published and removed in one transaction, each message once. */
  readonly atomic?: boolean | undefined
  /**
   * Runs on a message that the bus refuses for good; once it has succeeded the message is removed. Without it the relay stands
   * before such a message, and says so, until the bus takes it.
   */
  readonly onRefused?:
    | ((message: Message, error: InvalidEvent | MessageTooLarge) => Effect.Effect<void, unknown, R>)
    | undefined
  /** When it goes on after a failure; as subscriptions do when not given. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
  /** How the lease is held; by its defaults a relay that was killed is replaced within 10 seconds. */
  readonly lease?: Lease.Options | undefined
}

/**
 * Relays what was committed to the bus, for as long as the layer lives; in the one of the processes that holds the lease.
 *
 * In order: what one transaction wrote, as it wrote it; and of two transactions, where the second began to write after the first
 * had committed, the first before the second. There is no mark that could pass a transaction which commits late: what was
 * relayed is removed, and what is there is relayed. At least once: after a crash between the two again, under the same id.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as SqlOutbox from "effect-skald/bus/SqlOutbox"
 * import * as StagedMessages from "effect-skald/bus/StagedMessages"
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { Layer } from "effect"
 *
 * const Outbox = StagedMessages.layerRelay().pipe(
 *   Layer.provideMerge(SqlOutbox.layer()),
 *   Layer.provideMerge(Layer.merge(Sqlite.layer({ filename: "shop.db" }), EventBus.layerMemory))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRelay = <R = never>(
  options: RelayOptions<R> = {}
): Layer.Layer<never, InvalidInput, StagedMessages | EventBus | Lease.Lease | R> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const { driver } = yield* StagedMessages
    const bus = yield* EventBus
    yield* Internal.relay(driver, bus, {
      ...options,
      batch: options.batch ?? defaultBatch,
      every: options.every ?? defaultEvery
    })
  })) as Layer.Layer<never, InvalidInput, StagedMessages | EventBus | Lease.Lease | R>

/**
 * Why a message could not be written; as for {@link EventBus}.
 *
 * @since 0.1.0
 * @category errors
 */
export type StageError = PublishError
