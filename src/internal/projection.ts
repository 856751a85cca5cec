import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Projection from "../cqrs/Projection.ts"
import { ProjectionStopped } from "../cqrs/ProjectionStopped.ts"
import * as Correlation from "../event/Correlation.ts"
import type { Raw, Recorded } from "../event/Envelope.ts"
import type * as EventCodec from "../event/EventCodec.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import * as StreamId from "../event/StreamId.ts"
import { bounds, type LogMoment } from "../store/AsOf.ts"
import { CheckpointStore } from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import * as Snapshot from "../store/Snapshot.ts"
import { SnapshotStore } from "../store/SnapshotStore.ts"
import * as Changes from "./changes.ts"
import { storedTypes } from "./eventTypes.ts"
import * as Faults from "./faults.ts"
import { tenantKey } from "./tenantKey.ts"

export const defaultSaveEvery = 1000

// -------------------------------------------------------------------------------------------------------- construction

type Decoding<E> = Pick<Projection.Source<E>, "types" | "decodeAll">

export const typed = <E>(codec: EventCodec.EventCodec<E>): Decoding<E> => ({
  types: storedTypes(codec.entries.values()),
  decodeAll: codec.decodeAll
})

export const raw: Decoding<unknown> = {
  types: undefined,
  decodeAll: (raws) => ({ events: raws, error: undefined })
}

const Proto = {
  pipe() {
    // oxlint-disable-next-line prefer-rest-params -- `pipe` is variadic by design
    return pipeArguments(this, arguments)
  }
}

type Source<Name extends string, E> = Projection.Source<E> & { readonly name: Name }

export const stateful = <Name extends string, S, SI, E>(
  source: Source<Name, E>,
  options: {
    readonly state: Schema.Schema<S, SI>
    readonly initial: S
    readonly apply: (state: S, event: E, recorded: Recorded<E>) => S
  }
): Projection.Projection<Name, S, E> => {
  const { apply, initial, state } = options
  checkSource(source)
  Either.getOrThrowWith(Snapshot.fingerprint(source.name, source.version, state), (error) => error)
  return Object.assign(Object.create(Proto), source, { _tag: "State", state, initial, apply })
}

export const handling = <Name extends string, E, Err, R>(
  source: Source<Name, E>,
  handle: (events: ReadonlyArray<Recorded<E>>) => Effect.Effect<void, Err, R>
): Projection.Handler<Name, E, Err, R> => {
  checkSource(source)
  return Object.assign(Object.create(Proto), source, { _tag: "Handler", handle })
}

const checkSource = (source: Projection.Source<unknown>): void => {
  const faults = Faults.make()
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  add("name", Faults.nameProblem(source.name))
  add("version", Faults.countProblem(source.version, 1))
  if (source.category !== undefined) add("category", StreamId.categoryProblem(source.category))
  Either.getOrThrowWith(Faults.orInvalid(faults, () => undefined), (error) => error)
}

// ------------------------------------------------------------------------------------------------------------- running

/** A projection at work: where it is, and what it does with events. */
interface Work {
  position: number
  readonly state: () => unknown
  /** Projects a chunk: all of it, or what comes before the first event that fails. */
  readonly accept: (raws: ReadonlyArray<Raw>) => Effect.Effect<void, unknown, any>
  /** Told that nothing it asks for stands up to a position that it has not seen. */
  readonly caughtUp: (position: number) => Effect.Effect<void, unknown, any>
}

const open = (self: Projection.Any, options: Projection.RunOptions | undefined): Effect.Effect<Work, unknown, any> =>
  self._tag === "State" ? openState(self, options) : openHandler(self, options)

/** One key for each tenant, unless the projection is of all tenants. */
const keyOf = (self: Projection.Any): Effect.Effect<string> =>
  Effect.map(
    Correlation.current,
    ({ tenant }) => tenantKey(self.allTenants ? undefined : tenant, `projection/${self.name}`)
  )

const openState = (self: Projection.Projection<string, any, any>, options: Projection.RunOptions | undefined) =>
  Effect.gen(function*() {
    const snapshots = yield* SnapshotStore
    const key = yield* keyOf(self)
    const saveEvery = options?.saveEvery ?? defaultSaveEvery
    const fingerprint = Either.getOrThrow(Snapshot.fingerprint(self.name, self.version, self.state))
    const text = Schema.parseJson(self.state)
    const kept = yield* snapshots.load(key, fingerprint)
    let state = Option.isSome(kept) ? yield* Schema.decode(text)(kept.value.state) : self.initial
    let saved: number = Option.isSome(kept) ? kept.value.version : 0
    let unsaved = 0
    const save = Effect.suspend(() => {
      const position = work.position
      return Effect.flatMap(
        DateTime.now,
        (savedAt) =>
          Effect.flatMap(
            Schema.encode(text)(state),
            (encoded) =>
              snapshots.save({ key, fingerprint, version: position as StreamVersion, state: encoded, savedAt })
          )
      ).pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            saved = position
            unsaved = 0
          })
        )
      )
    })
    const work: Work = {
      position: saved,
      state: () => state,
      accept: (raws) =>
        Effect.suspend(() => {
          const { error, events } = self.decodeAll(raws)
          for (const recorded of events) state = self.apply(state, recorded.payload, recorded)
          work.position = reached(raws, events, error, work.position)
          unsaved += events.length
          return Effect.zipRight(
            unsaved >= saveEvery || error !== undefined ? save : Effect.void,
            error === undefined ? Effect.void : Effect.fail(error)
          )
        }),
      caughtUp: (position) =>
        Effect.suspend(() => {
          work.position = Math.max(work.position, position)
          return unsaved > 0 || work.position - saved >= saveEvery ? save : Effect.void
        })
    }
    return work
  })

const openHandler = (self: Projection.Handler<string, any, any, any>, options: Projection.RunOptions | undefined) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const name = `${yield* keyOf(self)}@${self.version}`
    const saveEvery = options?.saveEvery ?? defaultSaveEvery
    let saved = Option.getOrUndefined(yield* checkpoints.get(name))
    const commit = (next: number, effect: Effect.Effect<void, any, any>) =>
      Effect.map(checkpoints.commit(name, { expected: saved, next: next as Position, effect }), () => {
        saved = next as Position
        work.position = next
      })
    const work: Work = {
      position: saved ?? 0,
      state: () => undefined,
      accept: (raws) =>
        Effect.suspend(() => {
          const { error, events } = self.decodeAll(raws)
          const position = reached(raws, events, error, work.position)
          return Effect.zipRight(
            position > work.position
              ? commit(position, events.length > 0 ? self.handle(events) : Effect.void)
              : Effect.void,
            error === undefined ? Effect.void : Effect.fail(error)
          )
        }),
      caughtUp: (position) =>
        Effect.suspend(() => {
          if (position - (saved ?? 0) >= saveEvery) return commit(position, Effect.void)
          work.position = Math.max(work.position, position)
          return Effect.void
        })
    }
    return work
  })

/** Where a chunk leads to: its end, or the last event before the one that cannot be read. */
const reached = (
  raws: ReadonlyArray<Raw>,
  events: ReadonlyArray<Recorded<unknown>>,
  error: unknown,
  before: number
): number => {
  const last = error === undefined ? raws[raws.length - 1] : events[events.length - 1]
  return last === undefined ? before : Math.max(before, last.position)
}

const retrying = <A, E, R>(effect: Effect.Effect<A, E, R>, options: Projection.RunOptions | undefined) =>
  options?.retry === undefined ? effect : Effect.retry(effect, options.retry)

const filterOf = (self: Projection.Any) => ({
  types: self.types,
  category: self.category,
  allTenants: self.allTenants
})

export const catchUp = (self: Projection.Any, options?: Projection.RunOptions) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const work = yield* open(self, options)
    const head = yield* store.head
    let projected = 0
    yield* Stream.runForEachChunk(store.readAll({ ...filterOf(self), after: work.position, to: head }), (chunk) => {
      projected += chunk.length
      return retrying(work.accept(Chunk.toReadonlyArray(chunk)), options)
    })
    yield* work.caughtUp(head)
    return { state: work.state(), position: work.position, projected }
  })

export const live = <S, E>(self: Projection.Projection<string, S, E>, asOf?: LogMoment) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const range = asOf === undefined ? undefined : yield* bounds(asOf)
    let state = self.initial
    yield* Stream.runForEachChunk(store.readAll({ ...filterOf(self), ...range }), (chunk) =>
      Effect.suspend(() => {
        const { error, events } = self.decodeAll(Chunk.toReadonlyArray(chunk))
        for (const recorded of events) state = self.apply(state, recorded.payload, recorded)
        return error === undefined ? Effect.void : Effect.fail(error)
      }))
    return state
  })

// ----------------------------------------------------------------------------------------------------- as a background

export const running = <Name extends string>(
  self: { readonly name: Name }
): Context.Tag<Projection.Running<Name>, Projection.Handle<any>> =>
  Context.GenericTag(`effect-skald/cqrs/Projection/${self.name}`)

export const layerAsync = (self: Projection.Any, options?: Projection.RunOptions) =>
  Layer.scoped(
    running(self),
    Effect.gen(function*() {
      const store = yield* EventStore
      const work = yield* open(self, options)
      const progress = yield* Changes.make()
      const stopped = yield* Deferred.make<never, ProjectionStopped>()
      const advance = Effect.sync(() => progress.advance(work.position))
      progress.advance(work.position)
      const onCaughtUp = (position: number) =>
        work.caughtUp(position).pipe(
          Effect.catchAllCause((cause) =>
            Effect.logWarning(`projection ${self.name} could not keep its position ${position}`, cause)
          ),
          Effect.zipRight(advance)
        )
      const context = yield* Effect.context<any>()
      yield* Stream.runForEachChunk(
        store.subscribe({
          ...filterOf(self),
          after: work.position,
          onCaughtUp: (position) => Effect.provide(onCaughtUp(position), context)
        }),
        (chunk) => Effect.zipRight(retrying(work.accept(Chunk.toReadonlyArray(chunk)), options), advance)
      ).pipe(
        Effect.catchAllCause((cause) =>
          Cause.isInterruptedOnly(cause) ? Effect.failCause(cause) : Effect.flatMap(
            Effect.sync(() =>
              new ProjectionStopped({
                projection: self.name,
                position: work.position,
                cause: Cause.squash(cause)
              })
            ),
            (error) => Effect.zipRight(Effect.logError(error.message, cause), Deferred.fail(stopped, error))
          )
        ),
        Effect.interruptible,
        Effect.forkScoped
      )
      return {
        state: Effect.sync(work.state),
        position: Effect.sync(() => work.position as Position),
        awaitPosition: (position) =>
          Effect.raceFirst(Effect.orDie(progress.awaitBeyond(position - 1)), Deferred.await(stopped)),
        stopped: Deferred.await(stopped)
      } satisfies Projection.Handle<any>
    })
  )
