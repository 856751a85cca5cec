import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Handle, RunOptions } from "../../cqrs/ProjectionRunning.ts"
import { ProjectionStopped } from "../../cqrs/ProjectionStopped.ts"
import type { Position } from "../../event/Position.ts"
import { CheckpointConflict } from "../../store/CheckpointStore.ts"
import { EventStore, type Operations } from "../../store/EventStore.ts"
import { LeaseLost } from "../../store/Lease.ts"
import * as Changes from "../store/changes.ts"
import { watchProjection } from "./projectionLag.ts"
import { open } from "./projectionOpen.ts"
import { filterOf, project, running } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import { Superseded } from "./projectionSite.ts"
import type { Work } from "./projectionWork.ts"

/** How often the runner of a value that has events looks whether another process has rebuilt it. */
const lookEvery = 1_000

/** Where a handle hides the work from all but this library. */
export const AtWork: unique symbol = Symbol.for("effect-skald/cqrs/Projection/AtWork")

export interface WorkerHandle extends Handle<any> {
  readonly [AtWork]: () => Work
}

/** Runs a projection in the background of the scope, generation after generation. */
export const start = (
  self: Projection.Any,
  options: RunOptions | undefined,
  site: Partial<Site.Site> = {}
): Effect.Effect<WorkerHandle, unknown, any> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    let generation = yield* Site.generation(self)
    /** Fails where a rebuilt model has been swapped in. */
    const look = Effect.flatMap(
      Site.generation(self),
      (now) => now === generation ? Effect.void : Effect.fail(new Superseded())
    )
    // a value is kept under the name of its generation, and disturbs nobody
    const fence = self._tag === "State"
      ? undefined
      : site.fence === undefined
      ? look
      : Effect.zipRight(site.fence, look)
    const reopen = Effect.suspend(() => open(self, { shard: "", ...site, generation, fence }, options))
    let work = yield* reopen
    const progress = yield* Changes.make()
    const stopped = yield* Deferred.make<never, ProjectionStopped>()
    const advance = () => progress.advance(work.position)
    advance()
    // a swap of this process is heard of at once, one of another with the next event
    const watch = Effect.forever(Effect.zipRight(Site.awaitSwapped(self), Effect.catchAll(look, orElse)))
    let looked = yield* Clock.currentTimeMillis
    const lookIfDue = self._tag === "Handler" ? Effect.void : Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now - looked < lookEvery) return Effect.void
      looked = now
      return look
    })
    const run: Effect.Effect<void, unknown, any> = Effect.suspend(() =>
      Effect.raceFirst(
        Effect.catchIf(
          follow(self, options, store, work, advance, lookIfDue),
          (error) => error instanceof CheckpointConflict,
          (conflict) => Effect.zipRight(look, Effect.fail(conflict))
        ),
        watch
      )
    ).pipe(Effect.catchIf(
      (error) => error instanceof Superseded,
      () =>
        Effect.gen(function*() {
          generation = yield* Site.generation(self)
          const next = yield* reopen
          // the old model answers until the new one has come as far
          yield* project(
            next,
            options,
            () => store.readAll({ ...filterOf(self), after: next.position, to: work.position }),
            () => Effect.void
          )
          yield* next.caughtUp(work.position)
          work = next
          yield* Effect.logInfo(`projection ${self.name} goes on with the model of generation ${generation}`)
          return yield* run
        })
    ))
    yield* run.pipe(
      // one who stops this fiber is not heard here: what is, even an interruption, came from inside
      Effect.catchAllCause((cause) => {
        const error = new ProjectionStopped({
          projection: self.name,
          position: work.position,
          cause: Cause.squash(cause)
        })
        const log = error.cause instanceof LeaseLost
          ? Effect.logInfo(`projection ${self.name} was taken over by another process`)
          : Effect.logError(error.message, cause)
        return Effect.zipRight(log, Deferred.fail(stopped, error))
      }),
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      [AtWork]: () => work,
      state: Effect.sync(() => work.state()),
      position: Effect.sync(() => work.position as Position),
      awaitPosition: (position) =>
        Effect.suspend(() =>
          work.position >= position
            ? Effect.void
            : Effect.raceFirst(Effect.orDie(progress.awaitBeyond(position - 1)), Deferred.await(stopped))
        ),
      stopped: Deferred.await(stopped)
    } satisfies WorkerHandle
  }) as Effect.Effect<WorkerHandle, unknown, Scope.Scope>

/** A look that failed is followed by the next one. */
const orElse = (error: unknown): Effect.Effect<void, Superseded> =>
  error instanceof Superseded ? Effect.fail(error) : Effect.void

export const layerAsync = (self: Projection.Any, options?: RunOptions) =>
  Layer.scoped(running(self), Effect.flatMap(start(self, options), (handle) => watchProjection(self, handle)))

/** Catches up, then follows. */
export const follow = (
  self: Projection.Any,
  options: RunOptions | undefined,
  store: Operations,
  work: Work,
  advance: () => void,
  afterChunk: Effect.Effect<void, unknown, any>
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
      () => Effect.zipRight(Effect.sync(advance), afterChunk)
    )
  })
