import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Handle, Running, RunOptions } from "../../cqrs/ProjectionRunning.ts"
import type { Raw } from "../../event/Envelope.ts"
import { UndecodableEvent, UnknownEventType } from "../../event/EventCodec.ts"
import { bounds, type LogMoment } from "../../store/AsOf.ts"
import { CheckpointConflict } from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { LeaseLost } from "../../store/Lease.ts"
import { copy } from "../copy.ts"
import { turn } from "../eventLoop.ts"
import { open } from "./projectionOpen.ts"
import * as Site from "./projectionSite.ts"
import { fold } from "./projectionStateWork.ts"
import type { Work } from "./projectionWork.ts"

/** What a projection asks the log for. */
export const filterOf = (self: Projection.Any) => ({
  types: self.types,
  category: self.category,
  allTenants: self.allTenants
})

/** What no second try can heal: the log and the code stay as they are, and the checkpoint is somebody else's. */
export const isFinal = (error: unknown): boolean =>
  error instanceof UnknownEventType || error instanceof UndecodableEvent || error instanceof CheckpointConflict ||
  error instanceof LeaseLost || error instanceof Site.Superseded

/**
 * Reads and projects; what fails is read again from where the projection is, as the Schedule says, which begins anew with
 * every chunk that was projected.
 */
export const project = <R>(
  work: Work,
  options: Pick<RunOptions, "retry"> | undefined,
  read: () => Stream.Stream<Raw, unknown, R>,
  after: (projected: number) => Effect.Effect<void, unknown, any>
): Effect.Effect<void, unknown, any> => {
  const run = (onProjected: Effect.Effect<void>) =>
    Effect.suspend(() => {
      let isFirst = true
      return Stream.runForEachChunk(read(), (chunk) => {
        const accepted = Effect.zipRight(
          work.accept(Chunk.toReadonlyArray(chunk)),
          Effect.zipRight(Effect.suspend(() => after(chunk.length)), onProjected)
        )
        if (!isFirst) return Effect.zipRight(turn, accepted)
        isFirst = false
        return accepted
      })
    })
  if (options?.retry === undefined) return run(Effect.void)
  return Effect.flatMap(Schedule.driver(options.retry), (driver) => {
    const again: Effect.Effect<void, unknown, any> = Effect.catchAll(run(driver.reset), (error) =>
      isFinal(error)
        ? Effect.fail(error)
        : Effect.matchEffect(driver.next(error), { onFailure: () => Effect.fail(error), onSuccess: () => again }))
    return again
  })
}

export const catchUp = (self: Projection.Any, options?: RunOptions) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const work = yield* open(self, yield* Site.live(self), options)
    const head = yield* store.head
    let projected = 0
    yield* project(
      work,
      options,
      () => store.readAll({ ...filterOf(self), after: work.position, to: head }),
      (count) => {
        projected += count
        return Effect.void
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
        const folded = fold(self, state, events)
        state = folded.state
        if (folded.thrown !== undefined) return Effect.die(folded.thrown.defect)
        return error === undefined ? Effect.void : Effect.fail(error)
      }))
    return state
  })

export const running = <Name extends string>(
  self: { readonly name: Name }
): Context.Tag<Running<Name>, Handle<any>> => Context.GenericTag(`effect-skald/cqrs/Projection/${self.name}`)
