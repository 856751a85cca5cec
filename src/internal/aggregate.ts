import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { v5 } from "uuid"
import type { Aggregate, Current, Executed, ExecuteError, ExecuteOptions, Options, Step } from "../cqrs/Aggregate.ts"
import type { Decider } from "../cqrs/Decider.ts"
import * as Correlation from "../event/Correlation.ts"
import * as Envelope from "../event/Envelope.ts"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import type { StreamVersion } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"
import { VersionConflict } from "../store/AppendError.ts"
import type { AsOf, LogMoment } from "../store/AsOf.ts"
import { bounds } from "../store/AsOf.ts"
import type { Category, ReadError } from "../store/Category.ts"
import { EventStore } from "../store/EventStore.ts"
import type * as Snapshot from "../store/Snapshot.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import * as Faults from "./faults.ts"
import * as Snapshots from "./aggregateSnapshots.ts"
import type { Loaded } from "./aggregateSnapshots.ts"
import * as Lru from "./lru.ts"
import { tenantKey } from "./tenantKey.ts"

type Event = { readonly _tag: string }

export const make = <Id, S, C, E extends Event, Err>(
  decider: Decider<string, S, C, E, Err>,
  category: Category<Id, any, E>,
  options: Options & { readonly snapshot?: Snapshot.Policy | undefined; readonly version?: number | undefined } = {}
): Aggregate<Id, S, C, E, Err, EventStore | SnapshotStore> => {
  const retry = options.retry ?? (RetryPolicy.conflict as Schedule.Schedule<unknown>)
  const snapshots = options.snapshot === undefined
    ? undefined
    : Snapshots.make(decider, options.snapshot, options.version ?? 1)
  const cache = options.cache === undefined ? undefined : Lru.make<string, Loaded<S>>(checkedCache(options.cache))
  const checkCommand = ParseResult.validateEither(decider.commands)
  const origin: Loaded<S> = {
    state: decider.initial,
    version: 0 as StreamVersion,
    snapshotVersion: 0,
    snapshotAt: undefined
  }

  /** Folds the events of a stream beyond a base, up to a version. */
  const foldOn = (id: Id, base: Loaded<S>, to: number | undefined): Effect.Effect<Loaded<S>, ReadError, EventStore> =>
    Effect.flatMap(category.readPage(id, { from: base.version + 1, to }), ({ events, more }) => {
      let { state, version } = base
      for (const recorded of events) {
        state = decider.evolve(state, recorded.payload)
        version = recorded.version
      }
      const loaded = version === base.version ? base : { ...base, state, version }
      return more ? foldOn(id, loaded, to) : Effect.succeed(loaded)
    })

  /** How things stand, at a version or now. The tail after a snapshot is always read. */
  const load = (
    id: Id,
    stream: StreamId,
    to?: number
  ): Effect.Effect<Loaded<S>, ReadError, EventStore | SnapshotStore> =>
    Effect.withFiberRuntime((fiber) => {
      const key = tenantKey(fiber.getFiberRef(Correlation.currentCorrelation).tenant, stream)
      const fits = (base: Loaded<S> | undefined): base is Loaded<S> =>
        base !== undefined && (to === undefined || base.version <= to)
      const kept = cache?.get(key)
      if (fits(kept)) return foldOn(id, kept, to)
      if (snapshots === undefined) return foldOn(id, origin, to)
      return Effect.flatMap(Effect.map(snapshots.load(key), Option.getOrUndefined), (base) =>
        fits(base)
          ? Effect.flatMap(foldOn(id, base, to), (loaded) =>
            loaded.version > base.version
              ? Effect.succeed(loaded)
              : Effect.flatMap(isAhead(stream, base.version), (ahead) =>
                ahead ? foldOn(id, origin, to) : Effect.succeed(loaded)))
          : foldOn(id, origin, to))
    })

  /** A snapshot ahead of its stream is of another history, and ignored. */
  const isAhead = (stream: StreamId, version: number) =>
    Effect.flatMap(
      EventStore,
      (store) => Effect.map(store.streamState(stream), (state) => state._tag !== "live" || state.version < version)
    )

  const executeOnce = (
    id: Id,
    stream: StreamId,
    command: C,
    given: ExecuteOptions
  ): Effect.Effect<Executed<S, E>, Err | ExecuteError, EventStore | SnapshotStore> =>
    Effect.gen(function*() {
      const loaded = yield* load(id, stream)
      // looked up after the state was read: what was recorded before is in it, what comes later is a conflict
      const before = given.commandId === undefined ? undefined : yield* repeated(id, stream, given.commandId)
      if (before !== undefined) return before
      if (given.expected !== undefined && given.expected !== loaded.version) {
        return yield* new VersionConflict({ stream, expected: given.expected, actual: loaded.version })
      }
      const decided: ReadonlyArray<E> = yield* decider.decide(command, loaded.state)
      if (decided.length === 0) {
        return { state: loaded.state, version: loaded.version, events: decided, position: undefined, repeated: false }
      }
      const appended = yield* category.append(id, enveloped(stream, decided, given), {
        expected: loaded.version === 0 ? "noStream" : loaded.version
      })
      if (appended.repeated) return (yield* repeated(id, stream, given.commandId!))!
      let state = loaded.state
      for (const event of decided) state = decider.evolve(state, event)
      const now: Loaded<S> = { ...loaded, state, version: appended.version }
      yield* remember(stream, now)
      return { state, version: now.version, events: decided, position: appended.position, repeated: false }
    })

  /** Keeps the state after an append, in memory and, where the policy says so, in a snapshot. */
  const remember = (stream: StreamId, loaded: Loaded<S>) =>
    Effect.withFiberRuntime<void, never, SnapshotStore>((fiber) => {
      const key = tenantKey(fiber.getFiberRef(Correlation.currentCorrelation).tenant, stream)
      cache?.set(key, loaded)
      if (snapshots === undefined) return Effect.void
      return Effect.map(snapshots.saveIfDue(key, loaded), (saved) => {
        if (Option.isSome(saved)) cache?.set(key, saved.value)
      })
    })

  /** What a command of this id led to, if it was executed before. */
  const repeated = (
    id: Id,
    stream: StreamId,
    commandId: string
  ): Effect.Effect<Executed<S, E> | undefined, ReadError, EventStore | SnapshotStore> =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const found = yield* store.find(eventId(stream, commandId, 0))
      if (Option.isNone(found)) return undefined
      const first = found.value
      const recorded = yield* category.read(id, { from: first.version }).pipe(
        Stream.takeWhile((event) => event.metadata.causationId === commandId),
        Stream.runCollect
      )
      const last = Option.getOrUndefined(Chunk.last(recorded))
      const version = last?.version ?? first.version
      const { state } = yield* load(id, stream, version)
      return {
        state,
        version,
        events: Chunk.toReadonlyArray(recorded).map((event) => event.payload),
        position: last?.position ?? first.position,
        repeated: true
      }
    })

  const execute: Aggregate<Id, S, C, E, Err, EventStore | SnapshotStore>["execute"] = (id, command, given = {}) =>
    Effect.flatMap(checked(id, command, given), (stream) => {
      const once = executeOnce(id, stream, command, given)
      return Effect.catchIf(
        once,
        (error) => isConflict(error) && given.expected === undefined,
        (conflict) => again(once, conflict)
      )
    })

  /** Tries again as the Schedule says, which costs something to set up and is not for the common case. */
  const again = <A, E, R>(effect: Effect.Effect<A, E, R>, failed: E): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      let first = true
      const next = Effect.suspend(() => {
        if (!first) return effect
        first = false
        return Effect.fail(failed)
      })
      return Effect.retry(next, { schedule: retry, while: isConflict })
    })

  const checked = (id: Id, command: C, given: ExecuteOptions): Either.Either<StreamId, InvalidInput> => {
    const faults = Faults.make()
    const stream = category.stream(id)
    if (Either.isLeft(stream)) faults.all.push(...stream.left.faults)
    const valid = checkCommand(command)
    if (Either.isLeft(valid)) {
      for (const issue of ParseResult.ArrayFormatter.formatIssueSync(valid.left)) {
        faults.add(["command", ...issue.path.map(String)].join("."), issue.message)
      }
    }
    if (given.commandId !== undefined) {
      const problem = Faults.nameProblem(given.commandId)
      if (problem !== undefined) faults.add("commandId", problem)
    }
    if (given.expected !== undefined) {
      const problem = Faults.countProblem(given.expected, 0)
      if (problem !== undefined) faults.add("expected", problem)
    }
    return Faults.orInvalid(faults, () => Either.getOrThrow(stream))
  }

  const stateAt = (id: Id, asOf: AsOf): Effect.Effect<Current<S>, ReadError, EventStore | SnapshotStore> => {
    if ("version" in asOf) {
      const problem = Faults.countProblem(asOf.version, 0)
      if (problem !== undefined) {
        return Effect.fail(new InvalidInput({ faults: [new Fault({ path: "asOf.version", problem })] }))
      }
      return Effect.flatMap(category.stream(id), (stream) => Effect.map(load(id, stream, asOf.version), current))
    }
    return Effect.map(
      Stream.runFold(history(id, asOf), origin as Current<S>, (_, step) => ({
        state: step.state,
        version: step.event.version
      })),
      current
    )
  }

  const history = (id: Id, asOf?: AsOf): Stream.Stream<Step<S, E>, ReadError, EventStore> =>
    Stream.mapAccum(category.read(id, asOf === undefined ? undefined : { asOf }), decider.initial, (before, event) => {
      const state = decider.evolve(before, event.payload)
      return [state, { event, state }]
    })

  const state = (id: Id) => Effect.flatMap(category.stream(id), (stream) => Effect.map(load(id, stream), current))

  const all = (
    asOf?: LogMoment
  ): Effect.Effect<ReadonlyArray<readonly [Id, Current<S>]>, ReadError, EventStore> =>
    Effect.gen(function*() {
      const found = new Map<string, Current<S>>()
      yield* Stream.runForEachChunk(category.readAll(asOf === undefined ? undefined : yield* bounds(asOf)), (chunk) =>
        Effect.sync(() => {
          for (const event of chunk) {
            const before = found.get(event.stream)?.state ?? decider.initial
            found.set(event.stream, { state: decider.evolve(before, event.payload as E), version: event.version })
          }
        }))
      return yield* Effect.forEach(found, ([stream, each]) =>
        Effect.map(category.idOf(stream), (id) =>
          [id, each] as const))
    })

  return {
    decider,
    category,
    execute,
    state,
    stateAt,
    states: (ids, asOf) =>
      Effect.forEach(
        ids,
        (id) => Effect.map(asOf === undefined ? state(id) : stateAt(id, asOf), (each) => [id, each] as const)
      ),
    all,
    history
  }
}

const isConflict = (error: unknown): boolean => error instanceof VersionConflict

const current = <S>({ state, version }: Current<S>): Current<S> => ({ state, version })

const checkedCache = (capacity: number): number => {
  const problem = Faults.countProblem(capacity, 1)
  if (problem !== undefined) throw new InvalidInput({ faults: [new Fault({ path: "options.cache", problem })] })
  return capacity
}

/** The namespace of the ids that a command's events get: the same command of the same aggregate, the same ids. */
const commandEvents = "7f3a9f0e-52c5-4c52-9d1f-3b1c5e0a6a41"

/** UUID version 5 (RFC 9562) of a command's event by its place. */
const eventId = (stream: StreamId, commandId: string, index: number): string =>
  v5(`${stream}\u0000${commandId}\u0000${index}`, commandEvents)

const enveloped = <E extends Event>(
  stream: StreamId,
  events: ReadonlyArray<E>,
  { commandId, metadata, occurredAt }: ExecuteOptions
): ReadonlyArray<E | Envelope.New<E>> =>
  commandId === undefined && metadata === undefined && occurredAt === undefined
    ? events
    : events.map((event, index) =>
      Envelope.make(event, {
        ...metadata,
        ...(commandId === undefined ? undefined : { id: eventId(stream, commandId, index), causationId: commandId }),
        occurredAt
      })
    )
