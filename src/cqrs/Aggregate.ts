/**
 * Aggregates: a decider over the streams of a category. A command is decided on the state that the stream's events lead to,
 * and what it decides is appended on condition that the stream is still where it was read.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import type { Metadata, Recorded } from "../event/Envelope.ts"
import type { EventCodec } from "../event/EventCodec.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import * as Internal from "../internal/cqrs/aggregate.ts"
import type { AppendError } from "../store/AppendError.ts"
import type { AsOf, LogMoment } from "../store/AsOf.ts"
import type { Category, ReadError } from "../store/Category.ts"
import type { EventStore } from "../store/EventStore.ts"
import type * as Snapshot from "../store/Snapshot.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { Decider, Tagged } from "./Decider.ts"
import type { HistoryTruncated } from "./HistoryTruncated.ts"

/**
 * How things stand with one aggregate.
 *
 * @since 0.1.0
 * @category models
 */
export interface Current<out S> {
  readonly state: S
  /** The version of the last event in it; 0 where there is none. */
  readonly version: StreamVersion
}

/**
 * What a command led to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Executed<out S, out E> extends Current<S> {
  /** What was decided and recorded; empty where the command changed nothing. */
  readonly events: ReadonlyArray<E>
  /** The position of the last of those events; `undefined` where there is none. */
  readonly position: Position | undefined
  /**
   * Whether a command of this id was executed before: this is what it led to then, and nothing happened now. Where that was
   * truncated since, the state is the present one.
   */
  readonly repeated: boolean
}

/**
 * One step of an aggregate's history: an event, and the state that it led to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step<out S, out E> {
  readonly event: Recorded<E>
  readonly state: S
}

/**
 * What may be said of a command beside its payload.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExecuteOptions {
  /**
   * The id of the command, within its aggregate: a command executed again with the same id has no further effect and gives
   * the first answer. The events carry it as their causation. A command that recorded nothing is not remembered.
   */
  readonly commandId?: string | undefined
  /** The version that the caller decided upon; another one is a `VersionConflict`, and is not retried. */
  readonly expected?: number | undefined
  /** When what the command reports happened, if not now. */
  readonly occurredAt?: DateTime.DateTime.Input | undefined
  /** For the events; wins over what `Correlation` carries. */
  readonly metadata?: Metadata | undefined
}

/**
 * Why a state could not be told.
 *
 * @since 0.1.0
 * @category errors
 */
export type StateError = ReadError | HistoryTruncated

/**
 * Why a command was not executed, beside the decider's own refusals. `VersionConflict` comes only after the retries.
 *
 * @since 0.1.0
 * @category errors
 */
export type ExecuteError = AppendError | StateError

/**
 * A decider over the streams of a category. Where events were truncated that no snapshot or carrying event stands for, what
 * needs the state fails with `HistoryTruncated`. `R` is what it needs: the event store, and the snapshot store if it snapshots.
 *
 * @since 0.1.0
 * @category models
 */
export interface Aggregate<in out Id, in out S, in out C, in out E extends Tagged, in out Err, out R = EventStore> {
  readonly decider: Decider<string, S, C, E, Err>
  readonly category: Category<Id, any, E>
  /** Decides a command and records what it decides; after a conflict, reads and decides again as the Schedule says. */
  readonly execute: (
    id: Id,
    command: C,
    options?: ExecuteOptions
  ) => Effect.Effect<Executed<S, E>, Err | ExecuteError, R>
  /** How things stand now. */
  readonly state: (id: Id) => Effect.Effect<Current<S>, StateError, R>
  /**
   * How things stood at a moment: the events up to and with it, in the order of their versions. As of an instant, those
   * events count that happened by then, whenever they were recorded.
   */
  readonly stateAt: (id: Id, asOf: AsOf) => Effect.Effect<Current<S>, StateError, R>
  /** How things stood, or stand, with several. */
  readonly states: (
    ids: Iterable<Id>,
    asOf?: AsOf
  ) => Effect.Effect<ReadonlyArray<readonly [id: Id, Current<S>]>, StateError, R>
  /**
   * How things stood, or stand, with all that have an event to read, in the order of their first; one read of the category. A
   * stream that was emptied is not among them.
   */
  readonly all: (
    asOf?: LogMoment
  ) => Effect.Effect<ReadonlyArray<readonly [id: Id, Current<S>]>, StateError | InvalidInput, R>
  /**
   * The history that led to a state: each event with the state after it. Where older events were truncated, it begins with
   * the first event that carries the whole state.
   */
  readonly history: (id: Id, asOf?: AsOf) => Stream.Stream<Step<S, E>, StateError, R>
}

/**
 * Options of an aggregate.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** When to retry after a conflict; `RetryPolicy.conflict` when not given, `Schedule.stop` for never. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
  /**
   * How many aggregates are kept in memory between commands, the least recently used given up first; none when not given.
   * What was appended since is read in any case, so that a kept state is never stale; and it is used only where its last event
   * still stands, so that nothing of a transaction that was rolled back, or of another store, is ever decided upon.
   */
  readonly cache?: number | undefined
}

/**
 * Which events stand for all before them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Carriers<out Tag extends string> {
  /**
   * The tags of events that carry the whole state: where older events were truncated, the state begins with the first of them.
   * Those that compaction wrote are known without.
   */
  readonly carriers?: ReadonlyArray<Tag> | undefined
}

/**
 * A category that takes all events of a decider, not only some of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Records<in E> {
  readonly codec: EventCodec<E, unknown>
}

/**
 * Puts a decider over a category, whose events are the decider's: with others, or without one of them, it does not
 * type-check, and a missing one throws `InvalidInput` when built.
 *
 * With `snapshot`, states are kept in the `SnapshotStore` as the policy says, after the append; a snapshot that cannot be
 * saved or read fails no command (a warning is logged), and one of another decider version, state Schema or history is
 * ignored. The state's Schema must then have a JSON Schema, else `NoJsonSchema` is thrown here.
 *
 * @example
 * ```ts
 * import * as Aggregate from "effect-skald/cqrs/Aggregate"
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import * as Category from "effect-skald/store/Category"
 * import * as Snapshot from "effect-skald/store/Snapshot"
 * import { Either, Schema } from "effect"
 *
 * const Added = Event.make("Added", { amount: Schema.Number })
 * const Counter = Decider.make("counter", {
 *   state: Schema.Number,
 *   commands: Schema.TaggedStruct("Add", { amount: Schema.Number }),
 *   events: Added
 * })({
 *   initial: 0,
 *   decide: ({ amount }) => Either.right([Added({ amount })]),
 *   evolve: (total, { amount }) => total + amount
 * })
 * const Counters = Category.make("counter", { events: [Added] })
 *
 * const counters = Aggregate.make(Counter, Counters, { snapshot: Snapshot.every(100) })
 * const program = counters.execute("c-1", { _tag: "Add", amount: 2 }, { commandId: "request-7" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <S, C, E extends Tagged, Err, Id>(
    decider: Decider<string, S, C, E, Err>,
    category: Category<Id, any, NoInfer<E>> & Records<NoInfer<E>>,
    options: Options & Carriers<NoInfer<E>["_tag"]> & {
      readonly snapshot: Snapshot.Policy
      readonly version?: number | undefined
    }
  ): Aggregate<Id, S, C, E, Err, EventStore | SnapshotStore>
  <S, C, E extends Tagged, Err, Id>(
    decider: Decider<string, S, C, E, Err>,
    category: Category<Id, any, NoInfer<E>> & Records<NoInfer<E>>,
    options?: Options & Carriers<NoInfer<E>["_tag"]> & { readonly snapshot?: undefined }
  ): Aggregate<Id, S, C, E, Err>
} = Internal.make as never
