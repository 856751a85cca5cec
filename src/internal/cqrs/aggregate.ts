import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { v5 } from "uuid"
import type {
  Aggregate,
  Carriers,
  Current,
  Executed,
  ExecuteError,
  ExecuteOptions,
  Options,
  StateError,
  Step
} from "../../cqrs/Aggregate.ts"
import type { Decider } from "../../cqrs/Decider.ts"
import { HistoryTruncated } from "../../cqrs/HistoryTruncated.ts"
import * as Envelope from "../../event/Envelope.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { StreamVersion } from "../../event/Position.ts"
import type { StreamId } from "../../event/StreamId.ts"
import * as RetryPolicy from "../../resilience/RetryPolicy.ts"
import { type AppendError, VersionConflict } from "../../store/AppendError.ts"
import * as AsOf from "../../store/AsOf.ts"
import type { Appended, Category } from "../../store/Category.ts"
import { EventStore } from "../../store/EventStore.ts"
import type * as Snapshot from "../../store/Snapshot.ts"
import type { SnapshotStore } from "../../store/SnapshotStore.ts"
import * as States from "./aggregateStates.ts"
import * as CommandFaults from "./commandFaults.ts"
import * as EventTypes from "../event/eventTypes.ts"
import * as Faults from "../faults.ts"

type Event = { readonly _tag: string }

export const make = <Id, S, C, E extends Event, Err>(
  decider: Decider<string, S, C, E, Err>,
  category: Category<Id, any, E>,
  options: Options & Carriers<string> & {
    readonly snapshot?: Snapshot.Policy | undefined
    readonly version?: number | undefined
  } = {}
): Aggregate<Id, S, C, E, Err, EventStore | SnapshotStore> => {
  check(decider, category, options)
  const retry = options.retry ?? (RetryPolicy.conflict as Schedule.Schedule<unknown>)
  const { carries, ensureNone, load, loadKnown, remember } = States.make(decider, category.codec, options)
  const commandFaults = CommandFaults.of(decider.commands)

  const executeOnce = (
    id: Id,
    stream: StreamId,
    command: C,
    given: ExecuteOptions
  ): Effect.Effect<Executed<S, E>, Err | ExecuteError, EventStore | SnapshotStore> =>
    Effect.gen(function*() {
      const loaded = yield* load(stream)
      // looked up after the state was read: what was recorded before is in it, what comes later is a conflict
      const before = given.commandId === undefined ? undefined : yield* repeated(id, stream, given.commandId, loaded)
      if (before !== undefined) return before
      const nothing = loaded.version === 0
      if (given.expected !== undefined && given.expected !== loaded.version) {
        if (nothing) yield* ensureNone(stream)
        return yield* new VersionConflict({ stream, expected: given.expected, actual: loaded.version })
      }
      const decision = decider.decide(command, loaded.state)
      // what is appended says by its expectation that there never was anything; what is not is made sure of here
      if (nothing && (Either.isLeft(decision) || decision.right.length === 0)) yield* ensureNone(stream)
      const decided: ReadonlyArray<E> = yield* decision
      if (decided.length === 0) {
        return { state: loaded.state, version: loaded.version, events: decided, position: undefined, repeated: false }
      }
      const appended = yield* Effect.either(category.append(id, enveloped(stream, decided, given), {
        expected: loaded.version === 0 ? "noStream" : loaded.version
      }))
      if (given.commandId !== undefined && isKnown(appended)) {
        // the same command was quicker, and may have decided on another state
        const first = yield* repeated(id, stream, given.commandId, yield* load(stream))
        if (first !== undefined) return first
      }
      if (nothing && Either.isLeft(appended) && isConflict(appended.left)) yield* ensureNone(stream)
      const { events, position, version } = yield* appended
      let state = loaded.state
      for (const event of decided) state = decider.evolve(state, event)
      yield* remember(stream, { ...loaded, state, version, last: { id: events[events.length - 1]!.id, position } })
      return { state, version, events: decided, position, repeated: false }
    })

  /** What a command of this id led to, if it was executed before; where that is gone, how things stand now. */
  const repeated = (
    id: Id,
    stream: StreamId,
    commandId: string,
    now: Current<S>
  ): Effect.Effect<Executed<S, E> | undefined, StateError, EventStore | SnapshotStore> =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const found = yield* store.find(eventId(stream, commandId, 0))
      if (Option.isNone(found)) return undefined
      const first = found.value
      let index = 0
      const recorded = yield* category.read(id, { from: first.version }).pipe(
        Stream.takeWhile((event) => event.id === eventId(stream, commandId, index++)),
        Stream.runCollect
      )
      const last = Option.getOrUndefined(Chunk.last(recorded))
      const then: Current<S> = last === undefined ? now : yield* Effect.catchIf(
        loadKnown(stream, last.version),
        (error) => error instanceof HistoryTruncated,
        () => Effect.succeed(now)
      )
      return {
        state: then.state,
        version: then.version,
        events: Chunk.toReadonlyArray(recorded).map((event) => event.payload),
        position: last?.position ?? first.position,
        repeated: true
      }
    })

  const execute: Aggregate<Id, S, C, E, Err, EventStore | SnapshotStore>["execute"] = (id, command, given = {}) =>
    Effect.flatMap(Effect.suspend(() => checkedStream(id, command, given)), (stream) => {
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

  const checkedStream = (id: Id, command: C, given: ExecuteOptions): Either.Either<StreamId, InvalidInput> => {
    const faults = Faults.make()
    const stream = category.stream(id)
    if (Either.isLeft(stream)) faults.all.push(...stream.left.faults)
    commandFaults(command, given, faults)
    if (given.expected !== undefined) {
      const problem = Faults.countProblem(given.expected, 0)
      if (problem !== undefined) faults.add("expected", problem)
    }
    return Faults.orInvalid(faults, () => Either.getOrThrow(stream))
  }

  const stateAt = (id: Id, asOf: AsOf.AsOf): Effect.Effect<Current<S>, StateError, EventStore | SnapshotStore> =>
    Effect.flatMap(
      Effect.suspend(() => Either.flatMap(AsOf.check(asOf), () => category.stream(id))),
      (stream): Effect.Effect<Current<S>, StateError, EventStore | SnapshotStore> =>
        "version" in asOf
          ? Effect.map(loadKnown(stream, asOf.version), current)
          : Stream.runFold(history(id, asOf), { state: decider.initial, version: 0 as StreamVersion }, (_, step) => ({
            state: step.state,
            version: step.event.version
          }))
    )

  const history = (id: Id, asOf?: AsOf.AsOf): Stream.Stream<Step<S, E>, StateError, EventStore> =>
    Stream.unwrap(Effect.gen(function*() {
      const read = category.read(id, asOf === undefined ? undefined : { asOf })
      if (asOf !== undefined) yield* AsOf.check(asOf)
      const stream = yield* category.stream(id)
      const store = yield* EventStore
      const found = yield* store.streamState(stream)
      const before = asOf !== undefined && (("version" in asOf && asOf.version === 0) ||
        ("position" in asOf && asOf.position === 0))
      if (found._tag !== "live" || found.firstVersion === 1 || before) {
        return Stream.mapAccum(read, decider.initial, (before, event) => {
          const state = decider.evolve(before, event.payload)
          return [state, { event, state }]
        })
      }
      let state = decider.initial
      let known = false
      const steps = Stream.filterMap(read, (event) => {
        known ||= carries(event)
        if (!known) return Option.none()
        state = decider.evolve(state, event.payload)
        return Option.some({ event, state })
      })
      const { firstVersion } = found
      return Stream.concat(
        steps,
        Stream.suspend(() => known ? Stream.empty : Stream.fail(new HistoryTruncated({ stream, firstVersion })))
      )
    }))

  const state = (id: Id) => Effect.flatMap(category.stream(id), (stream) => Effect.map(loadKnown(stream), current))

  const all = (
    asOf?: AsOf.LogMoment
  ): Effect.Effect<ReadonlyArray<readonly [Id, Current<S>]>, StateError, EventStore> =>
    Effect.gen(function*() {
      const found = new Map<StreamId, Current<S> & { readonly known: boolean }>()
      yield* Stream.runForEachChunk(
        category.readAll(asOf === undefined ? undefined : yield* AsOf.bounds(asOf)),
        (chunk) =>
          Effect.sync(() => {
            for (const event of chunk) {
              const before = found.get(event.stream)
              const begins = before?.known !== true && (event.version === 1 || carries(event))
              found.set(event.stream, {
                state: decider.evolve(begins ? decider.initial : before?.state ?? decider.initial, event.payload as E),
                version: event.version,
                known: begins || before?.known === true
              })
            }
          })
      )
      return yield* Effect.forEach(found, ([stream, { known, state, version }]) =>
        Effect.zipRight(
          // as of an instant, the first events may have happened later
          known ? Effect.void : ensureNone(stream),
          Effect.map(category.idOf(stream), (id) => [id, { state, version }] as const)
        ))
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

/** Whether an append found ids of its events in the log. */
const isKnown = (appended: Either.Either<Appended, AppendError | InvalidInput>): boolean =>
  Either.isRight(appended) ? appended.right.repeated : appended.left._tag === "DuplicateEvent"

const check = (
  decider: { readonly events: Schema.Schema<any, any> },
  category: Category<any, any, any>,
  options: { readonly cache?: number | undefined; readonly version?: number | undefined }
): void => {
  const faults = Faults.make()
  for (const option of ["cache", "version"] as const) {
    const problem = options[option] === undefined ? undefined : Faults.countProblem(options[option], 1)
    if (problem !== undefined) faults.add(`options.${option}`, problem)
  }
  for (const tag of EventTypes.entries([decider.events as never]).keys()) {
    if (!category.codec.entries.has(tag)) faults.add("category", `must hold the decider's events, lacks "${tag}"`)
  }
  Either.getOrThrowWith(Faults.orInvalid(faults, () => undefined), (error) => error)
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
