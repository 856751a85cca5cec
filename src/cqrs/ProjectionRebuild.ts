/**
 * Rebuilding a projection: a second model grows beside the one that answers, and takes its place in one step.
 *
 * The old model, and whoever projects into it, goes on meanwhile. The new one keeps a checkpoint of its own, so that a rebuild
 * that was killed goes on where it was; and side effects are off while it catches up (`ProjectionContext.SideEffects`).
 *
 * A value needs nothing for this. A handler names what it writes by `ProjectionContext.Generation` (a table for each, say), and
 * its queries ask {@link generation}; or `swap` renames.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import * as Internal from "../internal/cqrs/projectionRebuild.ts"
import * as Site from "../internal/cqrs/projectionSite.ts"
import type { ReadError } from "../store/Category.ts"
import type { CheckpointConflict, CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { Handler, Projection } from "./ProjectionDefinition.ts"

/**
 * How far a rebuild has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly phase: "rebuilding" | "paused" | "swapped" | "cancelled"
  /** The position that the new model has come to. */
  readonly done: number
  /** The position that it has to come to: that of the model that answers, or the head of the log. It grows with it. */
  readonly total: number
  /** Positions a second since this run began. */
  readonly rate: number
  /** How long the rest takes at this rate; `undefined` while there is none. */
  readonly remaining: Duration.Duration | undefined
  /** How many events were projected since this run began. */
  readonly events: number
  /** Which model it is; see `ProjectionContext.Generation`. */
  readonly generation: number
}

/**
 * How a rebuild runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** When what failed is tried again; never when not given. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
  /** After how many events a value is kept, so that a rebuild that is killed goes on from there; 1,000 by default. */
  readonly saveEvery?: number | undefined
  /** Throws away what an earlier rebuild left half built, and begins at the first event; it goes on with it otherwise. */
  readonly anew?: boolean | undefined
}

/**
 * What the rebuild of a handler does with the things that it writes.
 *
 * @since 0.1.0
 * @category models
 */
export interface HandlerOptions<E, R> extends Options {
  /** Makes room for the model of a generation, in a transaction: empty, whatever stood there. */
  readonly prepare?: ((generation: number) => Effect.Effect<unknown, E, R>) | undefined
  /** Part of the step in which the new model takes the old one's place: drops or renames tables, for example. */
  readonly swap?:
    | ((generations: { readonly from: number; readonly to: number }) => Effect.Effect<unknown, E, R>)
    | undefined
  /** Removes the half of a model whose rebuild was cancelled. */
  readonly discard?: ((generation: number) => Effect.Effect<unknown, E, R>) | undefined
}

/**
 * A rebuild at work. It ends with its scope, and goes on when it is started again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rebuild<out E> {
  /** What it has come to, now and after every chunk of events, until it ends. */
  readonly progress: Stream.Stream<Progress, E>
  /** Stands still after the chunk at hand. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Ends it and forgets what was built; the old model stays. After the swap it does nothing. */
  readonly cancel: Effect.Effect<void, E>
  /** Waits for the swap, or for the cancellation. */
  readonly ended: Effect.Effect<Progress, E>
}

/**
 * Begins a rebuild, or goes on with one that was left; it runs in the background of the scope.
 *
 * Two who rebuild one handler at once disturb each other: one fails with `CheckpointConflict`, and nothing is lost.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as ProjectionContext from "effect-skald/cqrs/ProjectionContext"
 * import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
 * import * as Event from "effect-skald/event/Event"
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 *
 * // each generation has a table of its own
 * const table = Effect.map(ProjectionContext.Generation, (generation) => `totals_${generation}`)
 * const Totals = Projection.handler("totals", {
 *   events: [Placed],
 *   handle: Projection.each((event) =>
 *     Effect.gen(function*() {
 *       const sql = yield* SqlClient.SqlClient
 *       yield* sql`INSERT INTO ${sql(yield* table)} (total) VALUES (${event.total})`
 *     })
 *   )
 * })
 *
 * const rebuild = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   const rebuild = yield* ProjectionRebuild.start(Totals, {
 *     prepare: (generation) => sql`CREATE TABLE IF NOT EXISTS ${sql(`totals_${generation}`)} (total REAL)`,
 *     swap: ({ from }) => sql`DROP TABLE ${sql(`totals_${from}`)}`
 *   })
 *   return yield* rebuild.ended
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const start: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    options?: Options
  ): Effect.Effect<Rebuild<ReadError>, StoreError | InvalidInput, EventStore | SnapshotStore | Scope.Scope>
  <Name extends string, E, Err, R, E2 = never, R2 = never>(
    self: Handler<Name, E, Err, R>,
    options?: HandlerOptions<E2, R2>
  ): Effect.Effect<
    Rebuild<Err | E2 | ReadError | CheckpointConflict>,
    E2 | StoreError | InvalidInput | CheckpointConflict,
    EventStore | CheckpointStore | R | R2 | Scope.Scope
  >
} = Internal.start as never

/**
 * A rebuild as the stream of its progress. To interrupt it leaves it where it is; run again, it goes on from there.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Revenue = Projection.make("revenue", {
 *   events: [Placed],
 *   state: Schema.Number,
 *   initial: 0,
 *   apply: (sum, event) => sum + event.total
 * })
 *
 * const program = Stream.runForEach(
 *   ProjectionRebuild.rebuild(Revenue),
 *   ({ done, remaining, total }) => Effect.log(`${done} of ${total}, ${remaining} to go`)
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const rebuild: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    options?: Options
  ): Stream.Stream<Progress, ReadError, EventStore | SnapshotStore>
  <Name extends string, E, Err, R, E2 = never, R2 = never>(
    self: Handler<Name, E, Err, R>,
    options?: HandlerOptions<E2, R2>
  ): Stream.Stream<Progress, Err | E2 | ReadError | CheckpointConflict, EventStore | CheckpointStore | R | R2>
} = Internal.rebuild as never

/**
 * Which model of a projection answers: 0 until the first rebuild was swapped in. Inside a transaction, it stays so until
 * that ends where the database says so.
 *
 * @since 0.1.0
 * @category getters
 */
export const generation: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>
  ): Effect.Effect<number, StoreError | InvalidInput, SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>
  ): Effect.Effect<number, StoreError | InvalidInput, CheckpointStore>
} = Site.generation as never

/**
 * The position that the model which answers has kept: what a reader of a handler's tables may count on.
 *
 * @since 0.1.0
 * @category getters
 */
export const position: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>
  ): Effect.Effect<Position, StoreError | InvalidInput, SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>
  ): Effect.Effect<Position, StoreError | InvalidInput, CheckpointStore>
} = Internal.position as never
