/**
 * Snapshots in Redis: a hash for each key, one value for each fingerprint.
 *
 * @since 0.1.0
 */
import { DateTime, Effect, Layer, type Schedule } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import * as Policy from "../internal/redis/policy.ts"
import * as Service from "../internal/redis/service.ts"
import * as Scripts from "../internal/redis/serviceScripts.ts"
import * as RedisClient from "./RedisClient.ts"
import type { Fingerprint } from "./Snapshot.ts"
import * as SnapshotStore from "./SnapshotStore.ts"
import { StoreError } from "./StoreError.ts"

/**
 * Where the snapshots stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What stands in the braces that every key begins with; `skald` by default, and the event store may have the same. */
  readonly prefix?: string | undefined
  /** How an operation is tried again after its connection was lost; `Redis.retry` by default. */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

const valueOf = (snapshot: SnapshotStore.Stored): string =>
  `${snapshot.version} ${snapshot.position ?? -1} ${Math.floor(snapshot.savedAt.epochMillis)} ${snapshot.state}`

const stored = (key: string, fingerprint: Fingerprint, value: string): SnapshotStore.Stored | undefined => {
  const found = /^(\d+) (-?\d+) (-?\d+) /.exec(value)
  if (found === null) return undefined
  const position = Number(found[2])
  return {
    key,
    fingerprint,
    version: Number(found[1]) as StreamVersion,
    ...(position < 0 ? {} : { position: position as Position }),
    state: value.slice(found[0].length),
    savedAt: DateTime.unsafeMake(Number(found[3]))
  }
}

/**
 * Keeps snapshots in the server of the `RedisClient`. A snapshot is compared with the one there and written by one script.
 *
 * @example
 * ```ts
 * import * as RedisClient from "effect-skald/store/RedisClient"
 * import * as RedisSnapshots from "effect-skald/store/RedisSnapshots"
 * import { Layer } from "effect"
 *
 * export const Snapshots = RedisSnapshots.layer().pipe(
 *   Layer.provide(RedisClient.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<SnapshotStore.SnapshotStore, StoreError | InvalidInput, RedisClient.RedisClient> =>
  Layer.effect(
    SnapshotStore.SnapshotStore,
    Effect.gen(function*() {
      const { base, command, run } = yield* Service.make(yield* RedisClient.RedisClient, {
        prefix: options.prefix,
        retry: options.retry ?? Policy.retry
      })
      return SnapshotStore.makeEncoded({
        load: (key, fingerprint) =>
          Effect.flatMap(
            command("SnapshotStore.load", "hget", `${base}snapshot:${key}`, fingerprint),
            (value: string | null) => {
              if (value === null) return Effect.succeedNone
              const found = stored(key, fingerprint, value)
              return found === undefined
                ? new StoreError({
                  operation: "SnapshotStore.load",
                  reason: "corrupt",
                  cause: new Error(`what is kept for ${key} is no snapshot`)
                })
                : Effect.succeedSome(found)
            }
          ),
        save: (snapshot) =>
          Effect.map(
            run(
              "SnapshotStore.save",
              Scripts.saveSnapshot,
              snapshot.key,
              snapshot.fingerprint,
              String(snapshot.version),
              String(snapshot.position ?? -1),
              valueOf(snapshot)
            ),
            (saved) => saved === 1
          ),
        remove: (key) => Effect.asVoid(command("SnapshotStore.remove", "unlink", `${base}snapshot:${key}`))
      })
    })
  )
