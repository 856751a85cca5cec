/**
 * Checkpoints in Redis: one hash, moved by compare-and-set.
 *
 * @since 0.1.0
 */
import { Effect, Layer, type Schedule } from "effect"
import { randomUUID } from "node:crypto"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import * as Mutex from "../internal/mutex.ts"
import * as Policy from "../internal/redis/policy.ts"
import * as Service from "../internal/redis/service.ts"
import * as Scripts from "../internal/redis/serviceScripts.ts"
import * as CheckpointStore from "./CheckpointStore.ts"
import * as RedisClient from "./RedisClient.ts"
import { StoreError } from "./StoreError.ts"

/**
 * Where the checkpoints stand.
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

/**
 * Keeps checkpoints in the server of the `RedisClient`.
 *
 * There is no transaction that an effect could be part of: the checkpoint moves after the effect has succeeded, so that an effect
 * whose process dies in between runs again. Moves of one name wait for each other in one process; of two processes that
 * move it at once, both run their effects and the second is told of the conflict: a `Lease` keeps them apart.
 *
 * @example
 * ```ts
 * import * as RedisCheckpoints from "effect-skald/store/RedisCheckpoints"
 * import * as RedisClient from "effect-skald/store/RedisClient"
 * import { Layer } from "effect"
 *
 * export const Checkpoints = RedisCheckpoints.layer().pipe(
 *   Layer.provide(RedisClient.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<CheckpointStore.CheckpointStore, StoreError | InvalidInput, RedisClient.RedisClient> =>
  Layer.effect(
    CheckpointStore.CheckpointStore,
    Effect.gen(function*() {
      const { base, command, run } = yield* Service.make(yield* RedisClient.RedisClient, {
        prefix: options.prefix,
        retry: options.retry ?? Policy.retry
      })
      const key = `${base}checkpoints`
      const locks = new Map<string, Mutex.Mutex>()
      return CheckpointStore.makeEncoded({
        rollsBack: false,
        get: (name) =>
          Effect.flatMap(command("CheckpointStore.get", "hget", key, name), (value: string | null) => {
            if (value === null) return Effect.sync(() => undefined)
            const position = Number.parseInt(value, 10)
            return Number.isSafeInteger(position)
              ? Effect.succeed(position as Position)
              : new StoreError({
                operation: "CheckpointStore.get",
                reason: "corrupt",
                cause: new Error(`what is kept for ${name} is no position`)
              })
          }),
        set: (name, expected, next) =>
          Effect.map(
            Effect.suspend(() =>
              run(
                "CheckpointStore.commit",
                Scripts.moveCheckpoint,
                name,
                expected === undefined ? "" : String(expected),
                String(next),
                randomUUID()
              )
            ),
            ([outcome, actual]: ReadonlyArray<string>) =>
              outcome === "moved"
                ? undefined
                : { actual: actual === "" ? undefined : Number(actual) as Position }
          ),
        remove: (name) => Effect.asVoid(command("CheckpointStore.remove", "hdel", key, name)),
        atomically: (name) => (self) =>
          Effect.suspend(() => {
            let lock = locks.get(name)
            if (lock === undefined) locks.set(name, lock = Mutex.make())
            return lock.withLock(self)
          })
      })
    })
  )
