/**
 * One projection, several processes: one of them projects, the others stand by.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/cqrs/projectionTakeOver.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type * as Lease from "../store/Lease.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { Handler } from "./ProjectionDefinition.ts"
import type { Parking } from "./ProjectionParking.ts"
import type { Running, RunOptions } from "./ProjectionRunning.ts"

/**
 * How a projection of several processes runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends RunOptions {
  /** How the lease is held; by its defaults one who was killed is replaced within 10 seconds. */
  readonly lease?: Lease.Options | undefined
}

/**
 * Runs a projection in one of the processes that share its stores; when that one ends, is killed, or cannot be heard of, another
 * takes over from its checkpoint.
 *
 * Each commit is fenced: a process that was stopped for long and does not know that it was replaced commits nothing. While one
 * stands by, its `Handle` tells of the work of the other: positions are those that were kept.
 *
 * It is for handlers, which write what all processes read. A projection into a value is held by each process for itself
 * (`Projection.layerAsync`); what they keep of it is the same, and needs no fence.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as ProjectionTakeOver from "effect-skald/cqrs/ProjectionTakeOver"
 * import * as Event from "effect-skald/event/Event"
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Mails = Projection.handler("mails", { events: [Placed], handle: () => Effect.void })
 *
 * // started twice, one works
 * const program = Layer.launch(ProjectionTakeOver.layer(Mails).pipe(Layer.provide(Sqlite.layer({ filename: "shop.db" }))))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: <Name extends string, E, Err, R, const O extends Options = {}>(
  self: Handler<Name, E, Err, R>,
  options?: O
) => Layer.Layer<
  Running<Name>,
  StoreError | InvalidInput,
  EventStore | CheckpointStore | Lease.Lease | R | Parking<O>
> = Internal.layer as never
