/**
 * From the event store to the bus: what is appended is published, if and only if the append was committed.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Raw } from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import type { InvalidEvent, InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import * as Internal from "../internal/bus/outbox.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type * as Lease from "../store/Lease.ts"
import type { Query } from "../store/Query.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { MessageTooLarge } from "./BusError.ts"
import type { EventBus } from "./EventBus.ts"

/**
 * How many events are published at once.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultBatch = 500

/**
 * Which events are relayed, and how.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /** Events of these types, under their subjects. All events under their tags, when neither these nor `types` are given. */
  readonly events?: ReadonlyArray<Event.Any> | undefined
  /** Events of these tags, under their tags. Not together with `events`. */
  readonly types?: ReadonlyArray<string> | undefined
  readonly category?: string | undefined
  readonly query?: Query | undefined
  /** The key that each is published with, and no key for `undefined`; its stream when not given. */
  readonly key?: ((event: Raw) => string | undefined) | undefined
  /** Headers beside those that the event has. */
  readonly headers?: ((event: Raw) => { readonly [name: string]: string }) | undefined
  /** Where an outbox begins that has no checkpoint yet; with the `earliest` when not given, so that nothing is lost. */
  readonly start?: "earliest" | "latest" | number | undefined
  /** {@link defaultBatch} when not given. */
  readonly batch?: number | undefined
  /**
   * Whether bus and checkpoints are tables of one database: then a batch is published in the transaction of its checkpoint, and
   * each event once. False when not given: the checkpoint follows what the bus has confirmed, and a crash in between publishes
   * again, under the same ids.
   */
  readonly atomic?: boolean | undefined
  /**
   * Runs on an event that the bus refuses for good; once it has succeeded the outbox goes on behind it. Without it the outbox
   * stands before such an event, and says so, until the bus takes it.
   */
  readonly onRefused?:
    | ((event: Raw, error: InvalidEvent | MessageTooLarge) => Effect.Effect<void, unknown, R>)
    | undefined
  /** When it goes on after a failure; as subscriptions do when not given. It begins anew with each batch that was relayed. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
  /** How the lease is held; by its defaults a relay that was killed is replaced within 10 seconds. */
  readonly lease?: Lease.Options | undefined
}

/**
 * An outbox that runs, here or in another process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Running {
  readonly name: string
  /** Up to which event everything is relayed; 0 for none. */
  readonly position: Effect.Effect<Position, StoreError>
  /** Waits until everything up to a position is relayed, by whomever. */
  readonly awaitPosition: (position: number) => Effect.Effect<void, StoreError>
}

/**
 * What an outbox works with.
 *
 * @since 0.1.0
 * @category models
 */
export type Services = EventStore | EventBus | CheckpointStore | Lease.Lease

/**
 * Relays events to the bus, as long as the scope lasts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run: <R = never>(
  name: string,
  options?: Options<R>
) => Effect.Effect<Running, StoreError | InvalidInput, Services | Scope.Scope | R> = (name, options = {}) =>
  Internal.run(name, options, defaultBatch) as never

/**
 * Relays the events of the store to the bus, in the order of the log, for as long as the layer lives.
 *
 * - A message has the id, the times, the source and the metadata of its event, and its stream as key.
 * - It is published when its append is committed, and never when it is not; at least once, also where the process is killed at
 *   any moment; subscribers know a double by its id.
 * - Of several processes that run it one works, the one that holds the lease; each batch is fenced.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Outbox from "effect-skald/bus/Outbox"
 * import * as Event from "effect-skald/event/Event"
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { Layer, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String }, { subject: "order.placed" })
 *
 * const Relay = Outbox.layer("orders", { events: [OrderPlaced] }).pipe(
 *   Layer.provide(Layer.merge(Sqlite.layer({ filename: "shop.db" }), EventBus.layerMemory))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(
  name: string,
  options?: Options<R>
): Layer.Layer<never, StoreError | InvalidInput, Services | R> =>
  Layer.scopedDiscard(run(name, options)) as Layer.Layer<never, StoreError | InvalidInput, Services | R>
