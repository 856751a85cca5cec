/**
 * Projections: what the events add up to. A projection is a fold of the log, kept up to date: catch up, then follow.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Correlation from "../event/Correlation.ts"
import type { Raw, Recorded } from "../event/Envelope.ts"
import * as Event from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Machine from "../event/Machine.ts"
import * as Internal from "../internal/cqrs/projection.ts"
import * as Runner from "../internal/cqrs/projectionRunner.ts"
import * as Worker from "../internal/cqrs/projectionWorker.ts"
import type { LogMoment } from "../store/AsOf.ts"
import type { ReadError } from "../store/Category.ts"
import type { CheckpointConflict, CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { Any, Handler, Projection, RawOptions, SourceOptions } from "./ProjectionDefinition.ts"
import type { Parking } from "./ProjectionParking.ts"
import type { CaughtUp, Handle, Running, RunOptions } from "./ProjectionRunning.ts"
import type { ProjectionStopped } from "./ProjectionStopped.ts"

export type {
  /**
   * Any projection.
   *
   * @since 0.1.0
   * @category models
   */
  Any,
  /**
   * A projection into something of the user's.
   *
   * @since 0.1.0
   * @category models
   */
  Handler,
  /**
   * A projection into a value.
   *
   * @since 0.1.0
   * @category models
   */
  Projection,
  /**
   * Which events, whatever their type, and under what name and version.
   *
   * @since 0.1.0
   * @category models
   */
  RawOptions,
  /**
   * Which events a projection is of.
   *
   * @since 0.1.0
   * @category models
   */
  Source,
  /**
   * Which events, and under what name and version.
   *
   * @since 0.1.0
   * @category models
   */
  SourceOptions
} from "./ProjectionDefinition.ts"
/**
 * A projection into a value.
 *
 * A name that cannot be used, a bad version, no event type, two with one tag, and an initial state that cannot be stored throw
 * `InvalidInput` when built; a state whose Schema has no JSON Schema, which its fingerprint is made of, throws `NoJsonSchema`.
 *
 * Where a state holds literals, say what `apply` answers, `(state, event): State => …`: TypeScript widens them otherwise.
 *
 * A state that was kept and cannot be read, or that is of a position beyond the log, is made anew from the events. A state that
 * its Schema refuses to encode is a defect of `apply`.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { total: Schema.Number })
 * const OrderCancelled = Event.make("OrderCancelled", { total: Schema.Number })
 *
 * const Revenue = Projection.make("revenue", {
 *   version: 2,
 *   state: Schema.Number,
 *   events: [OrderPlaced, OrderCancelled],
 *   initial: 0,
 *   apply: (sum, event) => event._tag === "OrderPlaced" ? sum + event.total : sum - event.total
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Name extends string, S, SI, const Es extends ReadonlyArray<Event.Any>>(
  name: Name,
  options: SourceOptions<Es> & {
    readonly state: Schema.Schema<S, SI>
    readonly initial: NoInfer<S>
    readonly apply: (state: S, event: Es[number]["Type"], recorded: Recorded<Es[number]["Type"]>) => NoInfer<S>
  }
): Projection<Name, S, Es[number]["Type"]> =>
  Internal.stateful(
    { name, ...Internal.typed(Event.group(options.events)), ...sourceOf(options) },
    options
  )

/**
 * A projection of events of every type into a value: it is given them raw, their payloads undecoded.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeRaw = <const Name extends string, S, SI>(
  name: Name,
  options: RawOptions & {
    readonly state: Schema.Schema<S, SI>
    readonly initial: NoInfer<S>
    readonly apply: (state: S, payload: unknown, recorded: Raw) => NoInfer<S>
  }
): Projection<Name, S, unknown> => Internal.stateful({ name, ...Internal.raw, ...sourceOf(options) }, options)

/**
 * A projection into something of the user's. `handle` gets the events chunk by chunk, in order; over SQLite its statements
 * and the checkpoint are one transaction, so that each event counts exactly once whatever is killed when. In memory, the
 * checkpoint follows the effect: a crash loses both.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { total: Schema.Number })
 *
 * const Totals = Projection.handler("totals", {
 *   events: [OrderPlaced],
 *   handle: Projection.each((event, recorded) =>
 *     Effect.flatMap(SqlClient.SqlClient, (sql) =>
 *       sql`INSERT INTO totals (stream, total) VALUES (${recorded.stream}, ${event.total})`)
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const handler = <const Name extends string, const Es extends ReadonlyArray<Event.Any>, Err, R>(
  name: Name,
  options: SourceOptions<Es> & {
    readonly handle: (events: ReadonlyArray<Recorded<Es[number]["Type"]>>) => Effect.Effect<void, Err, R>
  }
): Handler<Name, Es[number]["Type"], Err, R> =>
  Internal.handling(
    { name, ...Internal.typed(Event.group(options.events)), ...sourceOf(options) },
    options.handle
  )

/**
 * The `handle` of a {@link handler} from a function of one event, run one after the other. What it records or publishes is
 * caused by the event.
 *
 * @since 0.1.0
 * @category combinators
 */
export const each = <E, X, Err, R>(
  f: (event: E, recorded: Recorded<E>) => Effect.Effect<X, Err, R>
) =>
(events: ReadonlyArray<Recorded<E>>): Effect.Effect<void, Err, R> =>
  Effect.forEach(events, (recorded) => Correlation.causedBy(f(recorded.payload, recorded), recorded), { discard: true })

/**
 * A projection as a machine: it folds recorded events and answers nothing.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toMachine = <Name extends string, S, E>(
  self: Projection<Name, S, E>
): Machine.Machine<S, Recorded<E>, never> =>
  Machine.fold(self.initial, (state, recorded) => self.apply(state, recorded.payload, recorded))

export {
  /**
   * What a projection came to.
   *
   * @since 0.1.0
   * @category models
   */
  type CaughtUp,
  /**
   * After how many events the state of a projection is kept.
   *
   * @since 0.1.0
   * @category constants
   */
  defaultSaveEvery,
  /**
   * A projection that runs.
   *
   * @since 0.1.0
   * @category models
   */
  type Handle,
  /**
   * Stands in a Layer's type for a projection that runs.
   *
   * @since 0.1.0
   * @category services
   */
  type Running,
  /**
   * How a projection runs.
   *
   * @since 0.1.0
   * @category models
   */
  type RunOptions
} from "./ProjectionRunning.ts"

/**
 * The Tag of a projection that runs; {@link layerAsync} provides it.
 *
 * @since 0.1.0
 * @category services
 */
export const running: {
  <Name extends string, S, E>(self: Projection<Name, S, E>): Context.Tag<Running<Name>, Handle<S>>
  <Name extends string, E, Err, R>(self: Handler<Name, E, Err, R>): Context.Tag<Running<Name>, Handle<void>>
} = Runner.running as never

/**
 * The state of a projection that runs.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = <Name extends string, S, E>(self: Projection<Name, S, E>): Effect.Effect<S, never, Running<Name>> =>
  Effect.flatMap(running(self), (handle) => handle.state)

/**
 * Waits until a projection that runs has come to a position: for reading what one has just written.
 *
 * @since 0.1.0
 * @category accessors
 */
export const awaitPosition = <Name extends string>(
  self: Any & { readonly name: Name },
  position: number
): Effect.Effect<void, ProjectionStopped, Running<Name>> =>
  Effect.flatMap(Runner.running<Name>(self), (handle) => handle.awaitPosition(position))

/**
 * Runs a projection in the background: catches up from where it was, then follows. The layer fails only where it cannot
 * begin; when the projection stops later, that is logged, and known by its {@link Handle}. What came before the event that
 * stopped it is projected and kept.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAsync: {
  <Name extends string, S, E, const O extends RunOptions = {}>(
    self: Projection<Name, S, E>,
    options?: O
  ): Layer.Layer<Running<Name>, StoreError | InvalidInput, EventStore | SnapshotStore | Parking<O>>
  <Name extends string, E, Err, R, const O extends RunOptions = {}>(
    self: Handler<Name, E, Err, R>,
    options?: O
  ): Layer.Layer<Running<Name>, StoreError | InvalidInput, EventStore | CheckpointStore | R | Parking<O>>
} = Worker.layerAsync as never

export {
  /**
   * Runs a projection inside the transaction of every append.
   *
   * @since 0.1.0
   * @category layers
   */
  layerInline
} from "./ProjectionInline.ts"

export {
  /**
   * Builds the model of a projection anew beside the one that answers, and swaps them: the stream of its progress.
   *
   * @since 0.1.0
   * @category constructors
   */
  rebuild
} from "./ProjectionRebuild.ts"

/**
 * Projects what was recorded since the last time, up to the head of the log as it is now, and ends. For programs that run
 * and end; of two handlers at once, the checkpoint refuses one with `CheckpointConflict`.
 *
 * @since 0.1.0
 * @category runners
 */
export const catchUp: {
  <Name extends string, S, E, const O extends RunOptions = {}>(
    self: Projection<Name, S, E>,
    options?: O
  ): Effect.Effect<CaughtUp<S>, ReadError, EventStore | SnapshotStore | Parking<O>>
  <Name extends string, E, Err, R, const O extends RunOptions = {}>(
    self: Handler<Name, E, Err, R>,
    options?: O
  ): Effect.Effect<
    CaughtUp<void>,
    Err | ReadError | CheckpointConflict,
    EventStore | CheckpointStore | R | Parking<O>
  >
} = Runner.catchUp as never

/**
 * The state of a projection as of a moment, or now, folded on demand from the whole log; nothing is kept.
 *
 * @since 0.1.0
 * @category runners
 */
export const live = <Name extends string, S, E>(
  self: Projection<Name, S, E>,
  asOf?: LogMoment
): Effect.Effect<S, ReadError, EventStore> => Runner.live(self, asOf)

const sourceOf = (options: RawOptions) => ({
  version: options.version ?? 1,
  category: options.category,
  allTenants: options.allTenants ?? false
})
