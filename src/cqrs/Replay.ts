/**
 * Going through recorded events once more, with a projection or a handler: what did they come to, and what would they.
 *
 * A replay moves no checkpoint and keeps nothing. Side effects are off (`ProjectionContext.SideEffects`) unless they are asked
 * for.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Raw } from "../event/Envelope.ts"
import * as Internal from "../internal/cqrs/projectionReplay.ts"
import type { ReadError } from "../store/Category.ts"
import type { EventStore, TimeRange } from "../store/EventStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { Handler, Projection } from "./ProjectionDefinition.ts"

/**
 * Which events: those of the projection, and of them a stream, a category, a range of positions, a range of time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection extends TimeRange {
  readonly stream?: string | undefined
  /** Instead of the projection's own. */
  readonly category?: string | undefined
  /** Exclusive; the start of the log when not given. */
  readonly after?: number | undefined
  /** Inclusive; the head of the log, as it is when the replay begins, when not given. */
  readonly to?: number | undefined
}

/**
 * How a replay runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Selection {
  /**
   * What becomes of an event that cannot be read or taken: `"stop"`, when nothing is said, ends the replay with its failure;
   * `"collect"` goes on with the next event and tells of all of them in the end.
   */
  readonly onError?: "stop" | "collect" | undefined
  /** Off when not given. */
  readonly sideEffects?: boolean | undefined
}

/**
 * Where a value begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface StateOptions<S> extends Options {
  /**
   * - `"kept"`, when nothing is said: what the projection has kept, where it is a part of what is asked for: of everything
   *   that the projection is of, up to a position that is not before it;
   * - `"none"`: from the first event;
   * - a state of the caller's, and the position after which to go on from it.
   */
  readonly snapshot?: "kept" | "none" | { readonly state: S; readonly position: number } | undefined
}

/**
 * An event that a replay could not take.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failed {
  readonly event: Raw
  /** What the handler or the codec failed with, or what `apply` threw. */
  readonly error: unknown
}

/**
 * How far a replay has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress<out S> {
  /** The position that it has come to, and that it goes to. */
  readonly position: number
  readonly to: number
  /** Where it began: the position of the snapshot, or the lower bound. */
  readonly from: number
  /** How many events were taken. */
  readonly events: number
  /** Those that were not. */
  readonly errors: ReadonlyArray<Failed>
  readonly state: S
}

/**
 * A replay as the stream of its progress: one element in the beginning, one for every chunk of events, and a last one. What the
 * consumer does not ask for is not replayed; to interrupt it is to cancel it.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Replay from "effect-skald/cqrs/Replay"
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
 * // what January came to
 * const january = Stream.runForEach(
 *   Replay.stream(Revenue, { since: "2001-01-01T00:00:00Z", until: "2001-02-01T00:00:00Z" }),
 *   ({ position, state, to }) => Effect.log(`${position} of ${to}: ${state}`)
 * )
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const stream: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    options?: StateOptions<NoInfer<S>>
  ): Stream.Stream<Progress<S>, ReadError, EventStore | SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    options?: Options
  ): Stream.Stream<Progress<void>, Err | ReadError, EventStore | R>
} = Internal.stream as never

/**
 * A replay to its end.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Replay from "effect-skald/cqrs/Replay"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Check = Projection.handler("check", {
 *   events: [Placed],
 *   handle: Projection.each((event) => event.total < 0 ? Effect.fail("negative") : Effect.void)
 * })
 *
 * const negative = Effect.map(Replay.run(Check, { onError: "collect" }), ({ errors }) => errors.map(({ event }) => event.stream))
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const run: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    options?: StateOptions<NoInfer<S>>
  ): Effect.Effect<Progress<S>, ReadError, EventStore | SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    options?: Options
  ): Effect.Effect<Progress<void>, Err | ReadError, EventStore | R>
} = Internal.run as never
