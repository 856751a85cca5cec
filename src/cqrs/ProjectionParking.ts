/**
 * What a projection that runs with `onFailure: "park"` has put aside: listed, tried again, dropped.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/cqrs/projectionParked.ts"
import type { ReadError } from "../store/Category.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { Parked, ParkedEvents } from "../store/ParkedEvents.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { Handler, Projection } from "./ProjectionDefinition.ts"
import type { Running } from "./ProjectionRunning.ts"

/**
 * Which of the events that a projection has put aside: those of a stream, the one at a position, or all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection {
  readonly stream?: string | undefined
  readonly position?: number | undefined
}

/**
 * {@link ParkedEvents}, where the options of a projection ask for it.
 *
 * @since 0.1.0
 * @category models
 */
export type Parking<O> = "onFailure" extends keyof O ? "park" extends O["onFailure"] ? ParkedEvents : never : never

/**
 * What a second try came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retried {
  /** How many events were projected. */
  readonly done: number
  /** How many cannot be read from the log any more, and were forgotten. */
  readonly gone: number
  /** How many stand aside still, in the streams that were tried. */
  readonly left: number
}

/**
 * What a projection has put aside, by position.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as ProjectionParking from "effect-skald/cqrs/ProjectionParking"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Mails = Projection.handler("mails", { events: [Placed], handle: () => Effect.void })
 *
 * const repair = Effect.gen(function*() {
 *   for (const parked of yield* ProjectionParking.list(Mails)) {
 *     yield* Effect.log(`${parked.stream} stands still since ${parked.type} at ${parked.position}: ${parked.problem}`)
 *   }
 *   yield* ProjectionParking.drop(Mails, { position: 17 }) // never to be projected
 *   return yield* ProjectionParking.retry(Mails) // what waited behind it, in order
 * })
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const list: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    selection?: Selection
  ): Effect.Effect<ReadonlyArray<Parked>, StoreError | InvalidInput, ParkedEvents | SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    selection?: Selection
  ): Effect.Effect<ReadonlyArray<Parked>, StoreError | InvalidInput, ParkedEvents | CheckpointStore>
} = Internal.list as never

/**
 * Tries again what was put aside, stream by stream, in order: each event once more; a stream whose event fails again stands
 * still there, and the others go on. Once nothing of a stream stands aside, its new events are projected as they come.
 *
 * An event and its entry are one transaction where there are transactions. A projection into a value is held by the process
 * that runs it, which is asked to do it; a handler may be retried by any process, while it runs elsewhere.
 *
 * @since 0.1.0
 * @category combinators
 */
export const retry: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    selection?: Pick<Selection, "stream">
  ): Effect.Effect<Retried, ReadError, EventStore | ParkedEvents | SnapshotStore | Running<Name>>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    selection?: Pick<Selection, "stream">
  ): Effect.Effect<Retried, ReadError, EventStore | ParkedEvents | CheckpointStore | R>
} = Internal.retry as never

/**
 * Forgets what was put aside: it is never projected. What of its stream stands behind it stays aside until it is retried.
 *
 * @since 0.1.0
 * @category combinators
 */
export const drop: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    selection: Selection
  ): Effect.Effect<number, StoreError | InvalidInput, ParkedEvents | SnapshotStore | Running<Name>>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    selection: Selection
  ): Effect.Effect<number, StoreError | InvalidInput, ParkedEvents | CheckpointStore>
} = Internal.drop as never
