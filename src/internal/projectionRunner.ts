import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Projection from "../cqrs/Projection.ts"
import { ProjectionStopped } from "../cqrs/ProjectionStopped.ts"
import type { Raw } from "../event/Envelope.ts"
import { UndecodableEvent, UnknownEventType } from "../event/EventCodec.ts"
import type { Position } from "../event/Position.ts"
import { bounds, type LogMoment } from "../store/AsOf.ts"
import { CheckpointConflict } from "../store/CheckpointStore.ts"
import { EventStore, type Operations } from "../store/EventStore.ts"
import * as Changes from "./changes.ts"
import { copy } from "./copy.ts"
import * as Work from "./projectionWork.ts"

const filterOf = (self: Projection.Any) => ({
  types: self.types,
  category: self.category,
  allTenants: self.allTenants
})

/** What no second try can heal: the log and the code stay as they are, and the checkpoint is somebody else's. */
const isFinal = (error: unknown): boolean =>
  error instanceof UnknownEventType || error instanceof UndecodableEvent || error instanceof CheckpointConflict

/**
 * Reads and projects; what fails is read again from where the projection is, as the Schedule says, which begins anew with
 * every chunk that was projected.
 */
const project = <R>(
  work: Work.Work,
  options: Projection.RunOptions | undefined,
  read: () => Stream.Stream<Raw, unknown, R>,
  after: (projected: number) => void
): Effect.Effect<void, unknown, any> => {
  const run = (onProjected: Effect.Effect<void>) =>
    Effect.suspend(() =>
      Stream.runForEachChunk(read(), (chunk) =>
        Effect.zipRight(
          work.accept(Chunk.toReadonlyArray(chunk)),
          Effect.zipRight(Effect.sync(() => after(chunk.length)), onProjected)
        ))
    )
  if (options?.retry === undefined) return run(Effect.void)
  return Effect.flatMap(Schedule.driver(options.retry), (driver) => {
    const again: Effect.Effect<void, unknown, any> = Effect.catchAll(run(driver.reset), (error) =>
      isFinal(error)
        ? Effect.fail(error)
        : Effect.matchEffect(driver.next(error), { onFailure: () => Effect.fail(error), onSuccess: () => again }))
    return again
  })
}

export const catchUp = (self: Projection.Any, options?: Projection.RunOptions) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const work = yield* Work.open(self, options)
    const head = yield* store.head
    let projected = 0
    yield* project(
      work,
      options,
      () => store.readAll({ ...filterOf(self), after: work.position, to: head }),
      (count) => {
        projected += count
      }
    )
    yield* work.caughtUp(head)
    return { state: work.state(), position: work.position, projected }
  })

export const live = <S, E>(self: Projection.Projection<string, S, E>, asOf?: LogMoment) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const range = asOf === undefined ? undefined : yield* bounds(asOf)
    let state = copy(self.initial)
    yield* Stream.runForEachChunk(store.readAll({ ...filterOf(self), ...range }), (chunk) =>
      Effect.suspend(() => {
        const { error, events } = self.decodeAll(Chunk.toReadonlyArray(chunk))
        const folded = Work.fold(self, state, events)
        state = folded.state
        if (folded.thrown !== undefined) return Effect.die(folded.thrown.defect)
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
      const work = yield* Work.open(self, options)
      const progress = yield* Changes.make()
      const stopped = yield* Deferred.make<never, ProjectionStopped>()
      const advance = () => progress.advance(work.position)
      advance()
      yield* follow(self, options, store, work, advance).pipe(
        // one who stops this fiber is not heard here: what is, even an interruption, came from inside
        Effect.catchAllCause((cause) => {
          const error = new ProjectionStopped({
            projection: self.name,
            position: work.position,
            cause: Cause.squash(cause)
          })
          return Effect.zipRight(Effect.logError(error.message, cause), Deferred.fail(stopped, error))
        }),
        Effect.interruptible,
        Effect.forkScoped
      )
      return {
        state: Effect.sync(work.state),
        position: Effect.sync(() => work.position as Position),
        awaitPosition: (position) =>
          Effect.suspend(() =>
            work.position >= position
              ? Effect.void
              : Effect.raceFirst(Effect.orDie(progress.awaitBeyond(position - 1)), Deferred.await(stopped))
          ),
        stopped: Deferred.await(stopped)
      } satisfies Projection.Handle<any>
    })
  )

const follow = (
  self: Projection.Any,
  options: Projection.RunOptions | undefined,
  store: Operations,
  work: Work.Work,
  advance: () => void
) =>
  Effect.flatMap(Effect.context<any>(), (context) => {
    const onCaughtUp = (position: number) =>
      work.caughtUp(position).pipe(
        Effect.catchAllCause((cause) =>
          Effect.logWarning(`projection ${self.name} could not keep its position ${position}`, cause)
        ),
        Effect.zipRight(Effect.sync(advance)),
        Effect.provide(context)
      )
    return project(
      work,
      options,
      () => store.subscribe({ ...filterOf(self), after: work.position, onCaughtUp }),
      advance
    )
  })
