import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Handle } from "../../cqrs/ProjectionRunning.ts"
import type { Options } from "../../cqrs/ProjectionShards.ts"
import type { Raw } from "../../event/Envelope.ts"
import type { Position } from "../../event/Position.ts"
import { CheckpointConflict, CheckpointStore } from "../../store/CheckpointStore.ts"
import * as Faults from "../faults.ts"
import { watchProjection } from "./projectionLag.ts"
import { running } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import * as TakeOver from "./projectionTakeOver.ts"
import type { Work } from "./projectionWork.ts"
import * as Worker from "./projectionWorker.ts"
import { tenantKey } from "../store/tenantKey.ts"

/** FNV-1a over the UTF-16 code units, then a last stir: the lowest bits alone would tell short keys badly apart. */
export const shardOf = (key: string, shards: number): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return ((hash ^ (hash >>> 13)) >>> 0) % shards
}

const byStream = (raw: Raw): string => tenantKey(raw.metadata.tenant, raw.stream)

type Part = Pick<Site.Site, "shard" | "takes">

const partsOf = ({ key = byStream, shards }: Options) => {
  const faults = Faults.make()
  const problem = Faults.countProblem(shards, 1) ??
    (shards > 1_024 ? `must be at most 1,024, got ${shards}` : undefined)
  if (problem !== undefined) faults.add("options.shards", problem)
  return Faults.orInvalid(faults, () =>
    Array.from({ length: shards }, (_, number): Part => ({
      shard: `${number + 1} of ${shards}`,
      takes: (raw) => shardOf(key(raw), shards) === number
    })))
}

/** The workers as one. */
const together = (
  parts: ReadonlyArray<Part>,
  handles: ReadonlyArray<Handle<any>>,
  merge: (states: ReadonlyArray<any>) => unknown
): Worker.WorkerHandle => {
  const workOf = (number: number): Work => (handles[number] as Worker.WorkerHandle)[Worker.AtWork]()
  return {
    state: Effect.map(Effect.all(handles.map(({ state }) => state)), merge),
    position: Effect.map(
      Effect.all(handles.map(({ position }) => position)),
      (positions) => Math.min(...positions) as Position
    ),
    awaitPosition: (position) =>
      Effect.forEach(handles, (handle) => handle.awaitPosition(position), { concurrency: "unbounded", discard: true }),
    stopped: handles.map(({ stopped }) => stopped).reduce((one, other) => Effect.raceFirst(one, other)),
    [Worker.AtWork]: () => ({
      ...workOf(0),
      settle: (raw, forget) =>
        workOf(raw === undefined ? 0 : parts.findIndex((part) => part.takes?.(raw) === true)).settle(raw, forget)
    })
  }
}

/** A handler that was kept in another number of parts would be given its events again. */
const refuseOthers = (self: Projection.Any, shards: number) =>
  self._tag === "State" ? Effect.void : Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const name = yield* Site.shardsName(self)
    const generation = yield* Site.generation(self)
    const whole = yield* checkpoints.get(yield* Site.checkpointName(self, { generation, shard: "" }))
    const kept = yield* checkpoints.get(name)
    const before = Option.isSome(kept) ? kept.value : Option.isSome(whole) ? 1 : undefined
    if (before === undefined) {
      yield* checkpoints.commit(name, { expected: undefined, next: shards as Position, effect: Effect.void })
    } else if (before !== shards || Option.isNone(kept)) {
      const faults = Faults.make()
      faults.add("options.shards", `the projection is kept in ${before}, got ${shards}: change its version with it`)
      yield* Faults.orInvalid(faults, () => undefined)
    }
  }).pipe(
    // of two who begin at once, the second looks again
    Effect.retry({ times: 3, while: (error) => error instanceof CheckpointConflict })
  )

const start = (
  self: Projection.Any,
  options: Options & { readonly merge?: (states: ReadonlyArray<any>) => any },
  one: (part: Part) => Effect.Effect<Handle<any>, unknown, any>
) =>
  Layer.scoped(
    running(self),
    Effect.gen(function*() {
      const parts = yield* partsOf(options)
      yield* refuseOthers(self, options.shards)
      const handles = yield* Effect.forEach(parts, one)
      return yield* watchProjection(self, together(parts, handles, options.merge ?? (() => undefined)))
    })
  )

export const layer = (
  self: Projection.Any,
  options: Options & { readonly merge?: (states: ReadonlyArray<any>) => any }
) => start(self, options, (part) => Worker.start(self, options, part))

export const layerTakeOver = (self: Projection.Handler<string, any, any, any>, options: Options) =>
  start(self, options, (part) => TakeOver.start(self, options, part))
