/**
 * Every service in one Redis: events, snapshots, checkpoints, leases and parked events, and no other server.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "./event/InvalidInput.ts"
import type * as Memory from "./Memory.ts"
import * as RedisStore from "./store/Redis.ts"
import * as RedisCheckpoints from "./store/RedisCheckpoints.ts"
import type * as RedisClient from "./store/RedisClient.ts"
import * as RedisLeases from "./store/RedisLeases.ts"
import * as RedisParkedEvents from "./store/RedisParkedEvents.ts"
import * as RedisSnapshots from "./store/RedisSnapshots.ts"
import type { StoreError } from "./store/StoreError.ts"

/**
 * Which server, where the keys stand in it, and what it must promise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Durable extends boolean = boolean> extends RedisStore.ServerOptions<Durable> {
  /** Whose clock tells whether a lease has run out: the server's by default. Tests by `TestClock` ask for `process`. */
  readonly leaseClock?: RedisLeases.Options["clock"]
}

/**
 * What the layer gives: every service, the capabilities of the store, and the client.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided<Durable extends boolean = false> =
  | Memory.Services
  | RedisStore.Provided<Durable>
  | RedisClient.RedisClient

/**
 * Every service, in one server, over one connection and one that listens. All keys begin with `{prefix}:`, `{skald}:` when none
 * is given.
 *
 * Redis has no transactions: a projection's handler runs again for the events whose checkpoint its process did not live to
 * move. Where each must count once, its tables and checkpoints belong into a SQL database (`SqlCheckpoints`), and the events
 * may stay here.
 *
 * @example
 * ```ts
 * import * as Redis from "effect-skald/Redis"
 * import { EventStore } from "effect-skald/store/EventStore"
 * import { Effect } from "effect"
 *
 * export const program = Effect.flatMap(EventStore, (store) => store.head).pipe(
 *   Effect.provide(Redis.layer({ url: "redis://localhost:6379", prefix: "shop", durable: true }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <const Durable extends boolean = false>(
  options: Options<Durable>
): Layer.Layer<Provided<Durable>, StoreError | InvalidInput> => {
  const { leaseClock, ...server } = options
  const keys = { prefix: options.prefix, retry: options.retry }
  return Layer.mergeAll(
    RedisSnapshots.layer(keys),
    RedisCheckpoints.layer(keys),
    RedisLeases.layer({ ...keys, clock: leaseClock }),
    RedisParkedEvents.layer(keys)
  ).pipe(Layer.provideMerge(RedisStore.layerServer<Durable>(server)))
}

/**
 * As {@link layer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as Redis from "effect-skald/Redis"
 * import { Config } from "effect"
 *
 * export const Store = Redis.layerConfig({ url: Config.redacted("REDIS_URL") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <const Durable extends boolean = false>(
  options: Config.Config.Wrap<Options<Durable>>
): Layer.Layer<Provided<Durable>, StoreError | InvalidInput | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), (unwrapped) => layer(unwrapped as Options<Durable>)))
