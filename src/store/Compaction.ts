/**
 * Compaction: an event that carries the whole state of its stream, written first, and then what it covers dropped.
 *
 * The state is in the log again, whatever becomes of snapshots: a new version of the decider reads the event as it reads any
 * other, by its upcasters. Who reads the events themselves sees what is left: a projection that is rebuilt, and a read as of
 * a moment before the compaction, begin with that event.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Envelope from "../event/Envelope.ts"
import * as EventCodec from "../event/EventCodec.ts"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import { compactionId } from "../internal/store/compactionId.ts"
import * as Faults from "../internal/faults.ts"
import * as Json from "../internal/json.ts"
import { streamsOf } from "../internal/store/streamsOf.ts"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"
import { type AppendError, StreamNotFound, StreamTombstoned } from "./AppendError.ts"
import type { Category, ReadError } from "./Category.ts"
import { EventStore } from "./EventStore.ts"
import * as Retention from "./Retention.ts"
import { defaultEvery } from "./Snapshot.ts"

/**
 * How a state becomes an event, and when that is worth it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<in out S, in out E extends { readonly _tag: string }> {
  /** What makes the state: a `Decider` is one. Its `evolve` must set the whole state on the snapshot event. */
  readonly decider: {
    readonly state: Schema.Schema<S, any>
    readonly initial: S
    readonly evolve: (state: S, event: E) => S
  }
  /** The tag of the events that carry the whole state. */
  readonly tag: NoInfer<E>["_tag"]
  readonly snapshot: (state: S) => NoInfer<E>
  /** How many events since the last snapshot event are worth another; 100 when not given. */
  readonly every?: number | undefined
  /** How many versions are dropped at once; 1,000 when not given. */
  readonly batch?: number | undefined
}

/**
 * What was done with one stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Compacted {
  readonly stream: StreamId
  /** The version of the snapshot event that it now begins with; 0 where it has none, and nothing was done. */
  readonly snapshot: number
  /** Whether that event was written now. */
  readonly written: boolean
  /** How many events were dropped. */
  readonly dropped: number
}

/**
 * A stream that cannot be compacted; nothing was written or dropped.
 *
 * - `incomplete`: older events are gone, and no snapshot event stands for them, so that its state is not known;
 * - `stateDiffers`: the snapshot event, read back, does not lead from the initial state to the state it was made of.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotCompactable extends Schema.TaggedError<NotCompactable>("effect-skald/store/NotCompactable")(
  "NotCompactable",
  { stream: Schema.String, reason: Schema.Literal("incomplete", "stateDiffers") }
) {
  override get message(): string {
    return `${this.stream} cannot be compacted: ${
      this.reason === "incomplete"
        ? "older events were dropped, and it does not begin with a snapshot event"
        : "its snapshot event does not lead to the state that it was made of"
    }`
  }
}

/**
 * Why a compaction failed.
 *
 * @since 0.1.0
 * @category errors
 */
export type CompactError = AppendError | ReadError | StreamNotFound | StreamTombstoned | NotCompactable

/**
 * Compacts one stream: where enough events came since its last snapshot event, writes another, on condition that nothing
 * else came meanwhile (else it reads on and tries again), and then drops, in batches, what stands before it.
 *
 * Before it is written, the event is encoded, decoded and evolved from the initial state; a state that differs fails with
 * {@link NotCompactable}. After a crash between writing and dropping, the next run drops what is left.
 *
 * @example
 * ```ts
 * import * as Category from "effect-skald/store/Category"
 * import * as Compaction from "effect-skald/store/Compaction"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Moved = Event.make("Moved", { amount: Schema.Number })
 * const Carried = Event.make("Carried", { balance: Schema.Number })
 * const Accounts = Category.make("account", { events: [Moved, Carried] })
 *
 * const compacted = Compaction.compact(Accounts, "a-1", {
 *   decider: {
 *     state: Schema.Number,
 *     initial: 0,
 *     evolve: (balance: number, event) => event._tag === "Carried" ? event.balance : balance + event.amount
 *   },
 *   tag: "Carried",
 *   snapshot: (balance) => Carried({ balance })
 * })
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const compact = <Id, E extends { readonly _tag: string }, S>(
  category: Category<Id, any, E>,
  id: Id,
  options: Options<S, E>
): Effect.Effect<Compacted, CompactError, EventStore> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    yield* check(options)
    const { decider, every = defaultEvery, tag } = options
    const stream = yield* category.stream(id)
    const found = yield* store.streamState(stream)
    if (found._tag === "missing") return yield* new StreamNotFound({ stream })
    if (found._tag === "tombstoned") return yield* new StreamTombstoned({ stream })
    const { firstVersion } = found
    let state = decider.initial
    let version = firstVersion - 1
    let snapshot = 0
    /** Whether the state is known: all events were there, or one that carries the whole of it came. */
    let known = firstVersion === 1

    /** Reads on from where it is. */
    const catchUp: Effect.Effect<void, CompactError, EventStore> = Effect.suspend(() =>
      Effect.flatMap(category.readPage(id, { from: version + 1 }), ({ events, more }): typeof catchUp => {
        for (const event of events) {
          const carries = event.payload._tag === tag
          state = decider.evolve(state, event.payload)
          version = event.version
          if (carries) {
            snapshot = version
            known = true
          }
        }
        return more ? catchUp : Effect.void
      })
    )

    const write = Effect.gen(function*() {
      yield* catchUp
      if (!known) return yield* new NotCompactable({ stream, reason: "incomplete" })
      if (version - snapshot < every) return false
      const event = options.snapshot(state)
      const read = yield* readBack(category, stream, version, event)
      const same = sameState(decider.state)
      if (event._tag !== tag || !(yield* same(decider.evolve(decider.initial, read), state))) {
        return yield* new NotCompactable({ stream, reason: "stateDiffers" })
      }
      // fixed before any retry: written twice it is a repeat
      const eventId = compactionId(stream, version)
      const appended = yield* category.append(id, [Envelope.make(event, { id: eventId })], { expected: version })
      state = decider.evolve(state, read)
      snapshot = version = appended.version
      return true
    })

    const written = yield* Effect.retry(write, {
      schedule: RetryPolicy.conflict,
      while: (error) => error._tag === "VersionConflict"
    })
    const before = Math.max(firstVersion, snapshot)
    yield* Retention.truncateInBatches(store, stream, firstVersion, before, options.batch ?? Retention.defaultBatch)
    return { stream, snapshot, written, dropped: before - firstVersion }
  })

/**
 * Compacts the streams of a category, one after the other, in the order of their first events. Running it again goes on
 * where it was stopped.
 *
 * @since 0.1.0
 * @category runners
 */
export const compactAll = <Id, E extends { readonly _tag: string }, S>(
  category: Category<Id, any, E>,
  options: Options<S, E>
): Stream.Stream<Compacted, CompactError, EventStore> =>
  Stream.unwrap(Effect.map(EventStore, (store) =>
    Stream.mapEffect(
      streamsOf(store, category.name),
      (stream) => Effect.flatMap(category.idOf(stream), (id) => compact(category, id, options))
    )))

const check = (options: Options<any, any>) => {
  const faults: Array<Fault> = []
  for (const field of ["every", "batch"] as const) {
    const problem = options[field] === undefined ? undefined : Faults.countProblem(options[field], 1)
    if (problem !== undefined) faults.push(new Fault({ path: field, problem }))
  }
  const [first, ...rest] = faults
  return first === undefined ? Effect.void : Effect.fail(new InvalidInput({ faults: [first, ...rest] }))
}

/** The event as a reader will get it. */
const readBack = <E extends { readonly _tag: string }>(
  category: Category<any, any, E>,
  stream: StreamId,
  version: number,
  event: E
) =>
  Effect.gen(function*() {
    const now = yield* DateTime.now
    const { payload, schemaVersion, tags, type } = yield* EventCodec.encode(category.codec, event)
    const recorded = yield* category.codec.decode({
      id: "snapshot",
      stream,
      version: version + 1 as StreamVersion,
      position: 0 as Position,
      type,
      schemaVersion,
      payload: JSON.parse(JSON.stringify(payload)),
      metadata: {},
      source: "/",
      tags,
      occurredAt: now,
      recordedAt: now
    })
    return recorded.payload
  })

/** States are equal when they are encoded alike. */
const sameState = <S>(schema: Schema.Schema<S, any>) => {
  const encode = Schema.encodeEither(schema)
  return (one: S, other: S) =>
    Effect.map(
      Effect.either(Effect.all([encode(one), encode(other)])),
      (both) => both._tag === "Right" && Json.canonical(both.right[0]) === Json.canonical(both.right[1])
    )
}
