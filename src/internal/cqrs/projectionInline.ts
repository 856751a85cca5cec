import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { Generation } from "../../cqrs/ProjectionContext.ts"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Handle, RunOptions } from "../../cqrs/ProjectionRunning.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { Raw, Recorded } from "../../event/Envelope.ts"
import type { Position } from "../../event/Position.ts"
import * as StreamId from "../../event/StreamId.ts"
import { CheckpointConflict, CheckpointStore } from "../../store/CheckpointStore.ts"
import { EventStore, type Operations } from "../../store/EventStore.ts"
import { StoreError } from "../../store/StoreError.ts"
import { catchUp, filterOf, running } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import { fold } from "./projectionStateWork.ts"
import { AtWork, start } from "./projectionWorker.ts"

export const layerInline = (self: Projection.Any, options?: Pick<RunOptions, "saveEvery">) =>
  Layer.scoped(running(self), self._tag === "State" ? inlineState(self, options) : inlineHandler(self))

/** Which of an append's events a projection is of. */
const ownOf = (self: Projection.Any) =>
  Effect.map(Correlation.current, ({ tenant }) => {
    const types = self.types === undefined ? undefined : new Set(self.types)
    return (raws: ReadonlyArray<Raw>): ReadonlyArray<Raw> =>
      raws.filter((raw) =>
        (types === undefined || types.has(raw.type)) &&
        (self.allTenants || (raw.metadata.tenant ?? "") === (tenant ?? "")) &&
        (self.category === undefined || Option.contains(StreamId.category(raw.stream), self.category))
      )
  })

/** What the layer was built with, in the transaction and the span of the appender. */
const inContextOf = (built: Context.Context<any>) => {
  const services = Context.omit(Tracer.ParentSpan)(built)
  return <A, E>(effect: Effect.Effect<A, E, any>): Effect.Effect<A, E> =>
    Effect.mapInputContext(effect, (appender: Context.Context<never>) => Context.merge(appender, services))
}

/** A defect of a hook fails its append like a failure does. */
const asFailure = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, unknown> =>
  Effect.catchAllCause(effect, (cause) =>
    Cause.isInterrupted(cause)
      ? Effect.failCause(cause)
      : Effect.fail(Cause.squash(cause)))

const logOf = (self: Projection.Any, store: Operations, after: number, to?: number) =>
  store.readAll({ ...filterOf(self), after, to })

/** Decodes and folds; fails for what cannot be read, and dies of what `apply` throws. */
const folding = <S>(self: Projection.Projection<string, S, any>, state: S, raws: ReadonlyArray<Raw>) =>
  Effect.suspend(() => {
    const { error, events } = self.decodeAll(raws)
    const folded = fold(self, state, events)
    if (folded.thrown !== undefined) return Effect.die(folded.thrown.defect)
    return error === undefined ? Effect.succeed(folded.state) : Effect.fail(error)
  })

const inlineState = (
  self: Projection.Projection<string, any, any>,
  options: Pick<RunOptions, "saveEvery"> | undefined
) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const own = yield* ownOf(self)
    const tenant = (yield* Correlation.current).tenant
    // follows the committed log alone: what a transaction has not committed is folded for its reader, and forgotten
    const follower = yield* start(self, options)
    const upTo = (to: number | undefined) =>
      Effect.gen(function*() {
        const { position, state } = yield* Effect.sync(() => {
          const work = follower[AtWork]()
          return { state: work.state(), position: work.position }
        })
        return yield* Stream.runFoldEffect(
          Stream.chunks(logOf(self, store, position, to)),
          state,
          (state, chunk) => folding(self, state, Chunk.toReadonlyArray(chunk))
        )
      }).pipe(Correlation.locally({ tenant: tenant ?? "" }))
    yield* store.onAppend((raws) =>
      Effect.suspend(() => {
        const events = own(raws)
        if (events.length === 0) return Effect.void
        return asFailure(Effect.flatMap(upTo(events[0]!.position - 1), (state) => folding(self, state, events)))
      })
    )
    yield* follower.awaitPosition(yield* store.head)
    return {
      ...follower,
      state: Effect.orDie(upTo(undefined)),
      position: headOf(store),
      awaitPosition: awaitHead(store)
    } satisfies Handle<any>
  })

const headOf = (store: Operations): Effect.Effect<Position> => Effect.orDie(store.head)

/** What is appended is projected: a position is come to when it is committed. */
const awaitHead = (store: Operations) => (position: number): Effect.Effect<void> =>
  Effect.flatMap(headOf(store), (head) =>
    head >= position
      ? Effect.void
      : Effect.orDie(
        Stream.runHead(store.subscribe({ after: Math.max(0, position - 1), allTenants: true }))
      ).pipe(Effect.asVoid))

/** Which projections are being committed by the fiber. */
const committing = globalValue(
  "effect-skald/cqrs/Projection/committing",
  () => FiberRef.unsafeMake<ReadonlySet<string>>(new Set())
)

const inlineHandler = (self: Projection.Handler<string, any, any, any>) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const checkpoints = yield* CheckpointStore
    const own = yield* ownOf(self)
    const within = inContextOf(yield* Effect.context<any>())
    const handle = (events: ReadonlyArray<Recorded<any>>) => events.length > 0 ? self.handle(events) : Effect.void
    const take = (raws: ReadonlyArray<Raw>) =>
      Effect.suspend(() => {
        const { error, events } = self.decodeAll(raws)
        return error === undefined ? handle(events) : Effect.fail(error)
      })
    const pointer = yield* Site.generationName(self)
    const nameOf = yield* Effect.map(
      Site.checkpointName(self, { generation: 0, shard: "" }),
      (first) => (generation: number) => generation === 0 ? first : `${first}#${generation}`
    )
    const project = (events: ReadonlyArray<Raw>): Effect.Effect<void, unknown, any> =>
      Effect.gen(function*() {
        const generation = Option.getOrElse(yield* checkpoints.get(pointer), () => 0)
        const name = nameOf(generation)
        const expected = Option.getOrUndefined(yield* checkpoints.get(name))
        const [first, last] = [events[0]!.position, events[events.length - 1]!.position]
        yield* checkpoints.commit(name, {
          expected,
          next: Math.max(expected ?? 0, last) as Position,
          // what was appended without this hook comes first
          effect: Effect.zipRight(
            Stream.runForEachChunk(
              logOf(self, store, expected ?? 0, first - 1),
              (chunk) => take(Chunk.toReadonlyArray(chunk))
            ),
            take(events)
          ).pipe(Effect.provideService(Generation, generation))
        })
      })
    const hook = (raws: ReadonlyArray<Raw>) =>
      Effect.flatMap(FiberRef.get(committing), (names) => {
        const events = own(raws)
        if (events.length === 0) return Effect.void
        if (names.has(pointer)) {
          return Effect.fail(
            new StoreError({
              reason: "hook",
              operation: "EventStore.append",
              cause: new Error(`inline projection ${self.name} cannot project what its own handler appends`)
            })
          )
        }
        // another transaction was quicker: it has committed, and this one begins from there
        const again = Effect.retry(project(events), { while: (error) => error instanceof CheckpointConflict })
        return asFailure(within(Effect.locally(again, committing, new Set(names).add(pointer))))
      })
    yield* catchUp(self)
    yield* store.onAppend(hook)
    // what came between the two; an append that runs the hook meanwhile has done it
    yield* Effect.retry(catchUp(self), { while: (error) => error instanceof CheckpointConflict }).pipe(
      Effect.locally(committing, new Set([pointer]))
    )
    return {
      state: Effect.void,
      position: headOf(store),
      awaitPosition: awaitHead(store),
      stopped: Effect.never
    } satisfies Handle<void>
  })
