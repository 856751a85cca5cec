/**
 * A bus whose messages are events: each that is published is stored in the event store, for as long as the store keeps it.
 *
 * So there is a history: a new subscription starts with the first message, with those of now, or after any position; and what was
 * published is read by time, stream, type and query, as any event is.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type * as Effect from "effect/Effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/storeBus.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type * as Lease from "../store/Lease.ts"
import type { Driver } from "./BusDriver.ts"
import { ClaimCheck } from "./ClaimCheck.ts"
import { type Capable, type EventBus, layerDriver } from "./EventBus.ts"

/**
 * The category of the streams that messages are stored in, when nothing is said. A stream is that of a key, or of a subject
 * where a message has no key: `published-order.placed`.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultCategory = "published"

/**
 * How many messages of the log a subscription is given ahead.
 *
 * @since 0.1.0
 * @category constants
 */
export const ahead = 1_000

/**
 * What the bus can do, over any bus beneath that knows priorities, as all of the embedded ones do.
 *
 * Delays are not among it: what was published stands in the log at once. `OnError.retryLater` works all the same.
 *
 * @since 0.1.0
 * @category models
 */
export type Capabilities = "history" | "positions" | "priority"

/**
 * What the layer provides: the bus, and a tag for each thing that not every driver can do.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided = EventBus | Capable<"history"> | Capable<"positions"> | Capable<"priority">

/**
 * What the layer works with: the store, and a bus beneath, which delivers.
 *
 * @since 0.1.0
 * @category models
 */
export type Services = EventBus | EventStore | CheckpointStore | Lease.Lease

/**
 * How messages are stored.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** {@link defaultCategory} when not given. */
  readonly category?: string | undefined
  /**
   * Whether every event of the store is a message, those that others have appended too: under their tags, and with their streams
   * as keys. False when not given.
   */
  readonly everything?: boolean | undefined
  /** How the lease of a subscription's way through the log is held. */
  readonly lease?: Lease.Options | undefined
}

/**
 * The driver: over the bus of the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Driver<Capabilities>, InvalidInput, Services> =>
  Internal.make({ ...options, category: options.category ?? defaultCategory, ahead })

/**
 * A bus whose messages are stored in the event store, and delivered by the bus beneath.
 *
 * - A message is published when its event is committed. The same id and content again is the same message.
 * - Each subscription has a checkpoint in the log. One process of those that consume it takes its messages from the log and hands
 *   them to the bus beneath, in the order of the log, {@link ahead} at most; retries, priorities, keys and dead letters are then
 *   as they are there. A crash in between hands them over again, under the same ids.
 * - Where the bus beneath is in memory, what was handed over is lost with the process, unless it was handled: take one that is
 *   `durable` beside a store that is.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as StoreBus from "effect-skald/bus/StoreBus"
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import * as Event from "effect-skald/event/Event"
 * import * as Memory from "effect-skald/Memory"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String }, { subject: "order.placed" })
 *
 * const Bus = StoreBus.layer().pipe(Layer.provide(EventBus.layerMemory), Layer.provideMerge(Memory.layer))
 *
 * // a subscription that is new today sees all that was published since position 1,000
 * const Late = Subscription.layer("late", {
 *   events: [OrderPlaced],
 *   start: 1_000,
 *   handler: (event) => Effect.log(event.order)
 * }).pipe(Layer.provide(Bus))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Provided, InvalidInput, Services> =>
  // the store keeps payloads whole, however large; what the bus beneath does with them is its business
  Layer.provide(layerDriver(make(options)), Layer.succeed(ClaimCheck, undefined))
