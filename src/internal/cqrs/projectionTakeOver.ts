import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Handle } from "../../cqrs/ProjectionRunning.ts"
import { ProjectionStopped } from "../../cqrs/ProjectionStopped.ts"
import type { Options } from "../../cqrs/ProjectionTakeOver.ts"
import type { Position } from "../../event/Position.ts"
import { CheckpointStore } from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { Lease, LeaseLost } from "../../store/Lease.ts"
import { watchProjection } from "./projectionLag.ts"
import { filterOf, running } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import { start as startWorker } from "./projectionWorker.ts"

/** How often one who stands by looks how far the other is. */
const lookEvery = "100 millis"

export const layer = (self: Projection.Handler<string, any, any, any>, options?: Options) =>
  Layer.scoped(running(self), Effect.flatMap(start(self, options), (handle) => watchProjection(self, handle)))

/** Runs a part of a projection, or the whole, while it holds the lease of it. */
export const start = (
  self: Projection.Handler<string, any, any, any>,
  options: Options | undefined,
  part: Pick<Site.Site, "shard" | "takes"> = { shard: "" }
): Effect.Effect<Handle<void>, unknown, any> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const leases = yield* Lease
    const checkpoints = yield* CheckpointStore
    const name = yield* Site.checkpointName(self, { generation: 0, shard: part.shard })
    const stopped = yield* Deferred.make<never, ProjectionStopped>()
    const position = Effect.gen(function*() {
      const generation = yield* Site.generation(self)
      const kept = yield* checkpoints.get(yield* Site.checkpointName(self, { generation, shard: part.shard }))
      return Option.getOrElse(kept, () => 0 as Position)
    })
    // what cannot be used is said at once
    yield* position
    const work = Effect.scoped(Effect.gen(function*() {
      const held = yield* leases.acquire(name, options?.lease)
      yield* Effect.logInfo(`projection ${name} is worked here, with token ${held.token}`)
      const handle = yield* startWorker(self, options, { ...part, fence: held.check, keepsPosition: true })
      return yield* Effect.raceFirst(handle.stopped, held.lost)
    }))
    const again: Effect.Effect<never, unknown, any> = Effect.catchIf(
      work,
      (error) => error instanceof LeaseLost || (error instanceof ProjectionStopped && error.cause instanceof LeaseLost),
      () => Effect.suspend(() => again)
    )
    yield* again.pipe(
      Effect.catchAllCause((cause) =>
        Effect.gen(function*() {
          const error = Cause.squash(cause)
          const at = yield* Effect.orElseSucceed(position, () => 0)
          yield* Deferred.fail(
            stopped,
            error instanceof ProjectionStopped
              ? error
              : new ProjectionStopped({ projection: self.name, position: at, cause: error })
          )
        })
      ),
      Effect.interruptible,
      Effect.forkScoped
    )
    const context = yield* Effect.context<any>()
    /** Whether nothing that the projection is of stands between where it is and a position. */
    const hasCome = (target: number) =>
      Effect.gen(function*() {
        const at = yield* position
        if (at >= target) return true
        if ((yield* store.head) < target) return false
        return Option.isNone(
          yield* Stream.runHead(store.readAll({ ...filterOf(self), after: at, to: target, limit: 1 }))
        )
      })
    const awaitPosition = (target: number): Effect.Effect<void, unknown, any> =>
      Effect.flatMap(
        hasCome(target),
        (come) => come ? Effect.void : Effect.zipRight(Effect.sleep(lookEvery), awaitPosition(target))
      )
    return {
      state: Effect.void,
      position: Effect.orDie(Effect.provide(position, context)),
      awaitPosition: (target) =>
        Effect.raceFirst(Effect.orDie(Effect.provide(awaitPosition(target), context)), Deferred.await(stopped)),
      stopped: Deferred.await(stopped)
    } satisfies Handle<void>
  })
