/**
 * How long events are kept: what a policy would drop of each stream, held back to what a snapshot covers, and dropped in
 * batches while appends go on.
 *
 * What is dropped is gone for ever; versions go on, and ids stay known. Nothing is dropped that the state of its stream is
 * still made of: every run says by what older events are *covered*. Conditions see what reads see, so that dropping an
 * event frees whatever a `failIf` query kept unique by it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Correlation from "../event/Correlation.ts"
import type { Raw } from "../event/Envelope.ts"
import * as Event from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as StreamId from "../event/StreamId.ts"
import * as Faults from "../internal/faults.ts"
import { streamsOf } from "../internal/store/streamsOf.ts"
import { tenantKey } from "../internal/store/tenantKey.ts"
import { StreamNotFound, StreamTombstoned } from "./AppendError.ts"
import { EventStore, type Operations, type ReadError } from "./EventStore.ts"
import * as Snapshot from "./Snapshot.ts"
import { SnapshotStore } from "./SnapshotStore.ts"

/**
 * What is to be kept of a stream. Checked when it is run.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy =
  | { readonly _tag: "Before"; readonly version: number }
  | { readonly _tag: "KeepLast"; readonly events: number }
  | { readonly _tag: "ByAge"; readonly age: Duration.DurationInput; readonly time: "occurredAt" | "recordedAt" }

/**
 * How long {@link byAge} keeps events where no age is given.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultAge: Duration.Duration = Duration.days(90)

/**
 * How many versions of a stream are dropped at once where nothing else is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultBatch = 1000

/**
 * Drops the events below a version. At most the last version plus one, which empties the stream.
 *
 * @since 0.1.0
 * @category policies
 */
export const before = (version: number): Policy => ({ _tag: "Before", version })

/**
 * Keeps the last so many events, at least one.
 *
 * @since 0.1.0
 * @category policies
 */
export const keepLast = (events: number): Policy => ({ _tag: "KeepLast", events })

/**
 * Keeps the events that are no older, and those that come after one of them. Older by `occurredAt` unless `recordedAt` is
 * asked for.
 *
 * @since 0.1.0
 * @category policies
 */
export const byAge = (
  age: Duration.DurationInput = defaultAge,
  options?: { readonly time?: "occurredAt" | "recordedAt" | undefined }
): Policy => ({ _tag: "ByAge", age, time: options?.time ?? "occurredAt" })

/**
 * Up to which version (with it) the events of a stream are not needed for its state.
 *
 * @since 0.1.0
 * @category models
 */
export type Cover<E = never, R = never> = (stream: StreamId.StreamId) => Effect.Effect<number, E, R>

/**
 * Covered by the snapshot that an aggregate of this decider would begin with: of the same name, version and state Schema,
 * readable, and of an event that stands where it stood.
 *
 * **Such a snapshot is then no mere cache**: a new version of the decider, or another Schema of its state, makes it stale,
 * and what it stood for cannot be read again. Where states must outlive that, compact (`effect-skald/store/Compaction`), or
 * archive first.
 *
 * @since 0.1.0
 * @category covers
 */
export const bySnapshots = <S>(decider: {
  readonly name: string
  readonly state: Schema.Schema<S, any>
  /** As given to the aggregate; 1 when not given. */
  readonly version?: number | undefined
}): Cover<ReadError | Snapshot.NoJsonSchema, SnapshotStore | EventStore> => {
  // as aggregates keep them: the state, and the id of the last event in it
  const decode = Schema.decode(Schema.parseJson(Schema.Struct({ event: Schema.String, state: decider.state })))
  return (stream) =>
    Effect.gen(function*() {
      const snapshots = yield* SnapshotStore
      const store = yield* EventStore
      const { tenant } = yield* Correlation.current
      const fingerprint = yield* Snapshot.fingerprint(decider.name, decider.version ?? 1, decider.state)
      const found = yield* snapshots.load(tenantKey(tenant, stream), fingerprint)
      if (Option.isNone(found)) return 0
      const { position, state, version } = found.value
      const read = yield* Effect.option(decode(state))
      if (Option.isNone(read)) return 0
      // of another history it is where its event is not where it was
      const last = yield* store.find(read.value.event)
      return Option.isSome(last) && last.value.stream === stream && last.value.version === version &&
          last.value.position === position
        ? version
        : 0
    })
}

/**
 * Covered by an event that carries the whole state, as compaction writes it: what stands before the last one of these types.
 *
 * @since 0.1.0
 * @category covers
 */
export const byEvents = (types: ReadonlyArray<Event.Any>): Cover<ReadError, EventStore> => (stream) =>
  Effect.flatMap(
    EventStore,
    (store) =>
      store.readAll({ stream, types: Event.storedTypes(types), backwards: true, limit: 1 }).pipe(
        Stream.runHead,
        Effect.map(Option.match({ onNone: () => 0, onSome: (event) => event.version - 1 }))
      )
  )

/**
 * Nothing of the streams is needed: no state is made of them, measurements or logs for example.
 *
 * @since 0.1.0
 * @category covers
 */
export const expendable: Cover = () => Effect.succeed(Number.MAX_SAFE_INTEGER)

/**
 * What a policy means for one stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plan {
  readonly stream: StreamId.StreamId
  /** The first version that can be read now. */
  readonly firstVersion: number
  readonly version: number
  /** The first version that the policy keeps. */
  readonly wanted: number
  /** The first version that is kept: the wanted one, or a lower one where no more is covered. */
  readonly before: number
}

/**
 * Of which streams, what is kept, and by what the rest is covered.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R> {
  /** One stream, which must be there, or all streams of a category; those of the fiber's tenant. */
  readonly of: { readonly stream: string } | { readonly category: string }
  readonly keep: Policy
  readonly covered: Cover<E, R>
}

/**
 * Why a run stopped. What it has dropped until then stays dropped; running it again goes on.
 *
 * @since 0.1.0
 * @category errors
 */
export type RunError = ReadError | StreamNotFound | StreamTombstoned

/**
 * What a run would drop, stream by stream, in the order of their first events; streams of which it would keep all are
 * among them. Reads, and changes nothing.
 *
 * @since 0.1.0
 * @category runners
 */
export const plan = <E, R>(options: Options<E, R>): Stream.Stream<Plan, RunError | E, EventStore | R> =>
  Stream.unwrap(Effect.gen(function*() {
    const store = yield* EventStore
    yield* check(options)
    const { covered, keep, of } = options
    const now = yield* Clock.currentTimeMillis
    const streams = "stream" in of ? Stream.make(of.stream as StreamId.StreamId) : streamsOf(store, of.category)
    return Stream.filterMap(
      Stream.mapEffect(streams, (stream) =>
        Effect.gen(function*() {
          const state = yield* store.streamState(stream)
          if (state._tag !== "live") {
            if (!("stream" in of)) return Option.none<Plan>()
            return yield* state._tag === "missing" ? new StreamNotFound({ stream }) : new StreamTombstoned({ stream })
          }
          const { firstVersion, version } = state
          const wanted = Math.max(firstVersion, yield* firstKept(store, stream, keep, state, now))
          if (wanted > version + 1) {
            return yield* Faults.invalid(
              "keep.version",
              `must be at most ${version + 1}, the last version plus one, got ${wanted}`
            )
          }
          const cover = wanted === firstVersion ? 0 : yield* covered(stream)
          return Option.some<Plan>({
            stream,
            firstVersion,
            version,
            wanted,
            before: Math.max(firstVersion, Math.min(wanted, cover + 1))
          })
        })),
      (each) => each
    )
  }))

/**
 * Drops what the policy does not keep and what is covered, and tells of each stream what was done. Each batch of versions is
 * a truncation of its own, between which appends go on. A run that was stopped is run again.
 *
 * @example
 * ```ts
 * import * as Retention from "effect-skald/store/Retention"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const Account = { name: "account", state: Schema.Struct({ balance: Schema.Number }) }
 *
 * const nightly = Retention.run({
 *   of: { category: "account" },
 *   keep: Retention.byAge("90 days"),
 *   covered: Retention.bySnapshots(Account)
 * }).pipe(
 *   Stream.filter((plan) => plan.before < plan.wanted),
 *   Stream.runForEach((plan) => Effect.logInfo(`${plan.stream} keeps more than 90 days: no snapshot covers it`))
 * )
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const run = <E, R>(
  options: Options<E, R> & {
    /** How many versions are dropped at once; {@link defaultBatch} when not given. */
    readonly batch?: number | undefined
  }
): Stream.Stream<Plan, RunError | E, EventStore | R> =>
  Stream.unwrap(Effect.gen(function*() {
    const store = yield* EventStore
    const batch = options.batch ?? defaultBatch
    const problem = Faults.countProblem(batch, 1)
    if (problem !== undefined) return yield* Faults.invalid("batch", problem)
    return Stream.tap(plan(options), ({ before, firstVersion, stream }) =>
      truncateInBatches(store, stream, firstVersion, before, batch))
  }))

/**
 * Drops the versions of a stream from one to another, in batches.
 *
 * @since 0.1.0
 * @category runners
 */
export const truncateInBatches = (
  store: Operations,
  stream: string,
  firstVersion: number,
  before: number,
  batch: number
): Effect.Effect<void, RunError> =>
  Effect.iterate(firstVersion, {
    while: (done) => done < before,
    body: (done) => {
      const next = Math.min(done + batch, before)
      return Effect.as(Effect.zipLeft(store.truncate(stream, { before: next }), Effect.yieldNow()), next)
    }
  }).pipe(Effect.asVoid)

const check = ({ keep, of }: Options<any, any>): Either.Either<void, InvalidInput> => {
  const faults = Faults.make()
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  if ("stream" in of) add("of.stream", StreamId.problem(of.stream))
  else add("of.category", StreamId.categoryProblem(of.category))
  if (keep._tag === "Before") add("keep.version", Faults.countProblem(keep.version, 1))
  else if (keep._tag === "KeepLast") add("keep.events", Faults.countProblem(keep.events, 1))
  else {
    if (Option.isNone(ageOf(keep.age))) add("keep.age", `must be a duration, got ${Faults.show(keep.age)}`)
    if (keep.time !== "occurredAt" && keep.time !== "recordedAt") {
      add("keep.time", `must be "occurredAt" or "recordedAt", got ${Faults.show(keep.time)}`)
    }
  }
  return Faults.orInvalid(faults, () => undefined)
}

/** A negative or unreadable age is a mistake, and would drop everything. */
const ageOf = (age: Duration.DurationInput): Option.Option<number> =>
  typeof age === "number" && !(age >= 0) ? Option.none() : Option.map(Duration.decodeUnknown(age), Duration.toMillis)

/** The first version that a policy keeps. */
const firstKept = (
  store: Operations,
  stream: StreamId.StreamId,
  keep: Policy,
  state: { readonly firstVersion: number; readonly version: number },
  now: number
): Effect.Effect<number, ReadError> => {
  if (keep._tag === "Before") return Effect.succeed(keep.version)
  if (keep._tag === "KeepLast") return Effect.succeed(state.version - keep.events + 1)
  const limit = now - Option.getOrThrow(ageOf(keep.age))
  const isOld = (event: Raw) => event[keep.time].epochMillis < limit
  return store.read(stream).pipe(
    Stream.takeWhile(isOld),
    Stream.runFold(state.firstVersion, (_, event) => event.version + 1)
  )
}
