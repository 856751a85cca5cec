/**
 * One projection, several workers: the events of a key go to one of them, in order, and those of other keys beside it.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type { Raw } from "../event/Envelope.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/cqrs/projectionShards.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type * as Lease from "../store/Lease.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { Handler, Projection } from "./ProjectionDefinition.ts"
import type { Parking } from "./ProjectionParking.ts"
import type { Running, RunOptions } from "./ProjectionRunning.ts"

/**
 * Into how many parts, and by what.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends RunOptions {
  /** How many workers, 1 to 1,024; each keeps a checkpoint of its own. */
  readonly shards: number
  /**
   * What must stay in order: events of one key go to one worker. The stream (of its tenant) when not given. It is given events
   * undecoded, since each worker looks at all of them; it must answer the same for the same event for ever.
   */
  readonly key?: ((recorded: Raw) => string) | undefined
}

/**
 * How the states of the parts are one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Merging<S> {
  /** One state out of those of the parts, in the order of their numbers. */
  readonly merge: (states: ReadonlyArray<S>) => S
}

/**
 * Runs a projection as several workers in this process. What they write together is what one would have written, where the
 * events of different keys do not disturb each other.
 *
 * The number of parts and the key belong to what is kept. A handler that was kept in another number of parts, or whole, is
 * refused with `InvalidInput`, since it would be given its events again: change its version with them. So is the rebuild of a
 * sharded handler. A value in another number of parts is made anew.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as ProjectionShards from "effect-skald/cqrs/ProjectionShards"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Mails = Projection.handler("mails", { events: [Placed], handle: () => Effect.void })
 * const Revenue = Projection.make("revenue", {
 *   events: [Placed],
 *   state: Schema.Number,
 *   initial: 0,
 *   apply: (sum, event) => sum + event.total
 * })
 *
 * const MailsLive = ProjectionShards.layer(Mails, { shards: 4 })
 * const RevenueLive = ProjectionShards.layer(Revenue, {
 *   shards: 4,
 *   merge: (sums) => sums.reduce((all, sum) => all + sum, 0)
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <Name extends string, S, E, const O extends Options = Options>(
    self: Projection<Name, S, E>,
    options: O & Merging<NoInfer<S>>
  ): Layer.Layer<Running<Name>, StoreError | InvalidInput, EventStore | SnapshotStore | Parking<O>>
  <Name extends string, E, Err, R, const O extends Options = Options>(
    self: Handler<Name, E, Err, R>,
    options: O
  ): Layer.Layer<Running<Name>, StoreError | InvalidInput, EventStore | CheckpointStore | R | Parking<O>>
} = Internal.layer as never

/**
 * The same, for several processes: each part is worked by one of them at a time, and taken over when that one ends or is killed;
 * see `ProjectionTakeOver`.
 *
 * A process takes what is free: one that is started alone works all parts, and keeps them until it ends.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTakeOver: <
  Name extends string,
  E,
  Err,
  R,
  const O extends Options & { readonly lease?: Lease.Options | undefined }
>(
  self: Handler<Name, E, Err, R>,
  options: O
) => Layer.Layer<
  Running<Name>,
  StoreError | InvalidInput,
  EventStore | CheckpointStore | Lease.Lease | R | Parking<O>
> = Internal.layerTakeOver as never

/**
 * The part that events of a key belong to, from 0. It is the same in every process and every version of this library.
 *
 * @since 0.1.0
 * @category getters
 */
export const shardOf: (key: string, shards: number) => number = Internal.shardOf
