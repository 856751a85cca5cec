/**
 * Projections in the append's transaction: what was appended is projected, or was not appended.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import * as Internal from "../internal/cqrs/projectionInline.ts"
import type { ReadError } from "../store/Category.ts"
import type { CheckpointConflict, CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { Handler, Projection } from "./ProjectionDefinition.ts"
import type { Running, RunOptions } from "./ProjectionRunning.ts"
import type { ProjectionStopped } from "./ProjectionStopped.ts"

/**
 * Runs a projection inside the transaction of every append of this process. The layer is ready once what was recorded
 * before is projected.
 *
 * - An event that it cannot take fails its append, with `StoreError` of reason `hook`, and no other one.
 * - Over SQL, what a handler writes, its checkpoint and the events are one transaction. In memory, what a handler did before
 *   the append was refused, by another hook for example, stays done.
 * - Events that somebody appended without it (another process, an older version of this one) are projected by its next
 *   append, and when it is started again; on a database whose transactions run side by side, PostgreSQL, an event that was
 *   not yet committed then is missed. Every process that appends runs it, or none does.
 * - A handler makes appends wait for each other: its checkpoint is one row.
 * - A value is folded from the log; whoever asks for it gets it as of the last event that was committed. What the append's
 *   transaction does is to try the events on it. A store that cannot be read when it is asked for is a defect.
 *
 * A handler that appends events of its own projection fails the append.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import * as Memory from "effect-skald/Memory"
 * import * as Category from "effect-skald/store/Category"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Orders = Category.make("order", { events: [Placed] })
 * const Revenue = Projection.make("revenue", {
 *   events: [Placed],
 *   state: Schema.Number,
 *   initial: 0,
 *   apply: (sum, event) => sum + event.total
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* Orders.append("o-1", [Placed({ total: 10 })])
 *   return yield* Projection.get(Revenue) // 10, with nothing to wait for
 * }).pipe(Effect.provide(Layer.provideMerge(Projection.layerInline(Revenue), Memory.layer)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerInline: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    options?: Pick<RunOptions, "saveEvery">
  ): Layer.Layer<Running<Name>, ReadError | ProjectionStopped, EventStore | SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>
  ): Layer.Layer<Running<Name>, Err | ReadError | CheckpointConflict, EventStore | CheckpointStore | R>
} = Internal.layerInline as never
