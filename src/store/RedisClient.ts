/**
 * A connection to Redis that the services of this wing share: `Redis`, `RedisSnapshots`, `RedisCheckpoints` and `RedisLeases`.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Cluster, Redis, type RedisOptions } from "ioredis"
import { storeError } from "../internal/redis/errors.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Which server, and how it is spoken to: the options of `ioredis`, and a URL.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends RedisOptions {
  /** `redis://…`, or `rediss://…` with TLS; what else is given wins over what it says. */
  readonly url?: Redacted.Redacted<string> | string | undefined
}

/**
 * The client of `ioredis`, of a server or a cluster. An application that has one of its own provides it under this tag.
 *
 * @example
 * ```ts
 * import * as Redis from "effect-skald/store/Redis"
 * import { RedisClient } from "effect-skald/store/RedisClient"
 * import { Layer } from "effect"
 * import { Cluster } from "ioredis"
 *
 * const Client = Layer.sync(RedisClient, () => new Cluster([{ host: "10.0.0.1", port: 6379 }]))
 *
 * export const Store = Redis.layer({ prefix: "shop" }).pipe(Layer.provide(Client))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class RedisClient extends Context.Tag("effect-skald/store/RedisClient")<RedisClient, Redis | Cluster>() {}

/**
 * For how long an answer is awaited before a connection is taken for dead: 30 s, in milliseconds.
 *
 * @since 0.1.0
 * @category constants
 */
export const socketTimeout = 30_000

/**
 * Connects to a server; the connection ends with the scope.
 *
 * A connection that breaks is made anew, after 20 ms at first and then up to every second. What is on its way then fails at
 * once, and what is asked meanwhile too: the services try again by Schedules of their own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Redis, StoreError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Redis, StoreError>((resume) => {
      const { url, ...others } = options
      const settings: RedisOptions = {
        keepAlive: 10_000,
        socketTimeout,
        retryStrategy: (times) => Math.min(1_000, 20 * 2 ** Math.min(times - 1, 10)),
        ...others,
        lazyConnect: true,
        enableOfflineQueue: false,
        autoResendUnfulfilledCommands: false,
        maxRetriesPerRequest: 0
      }
      const client = url === undefined
        ? new Redis(settings)
        : new Redis(Redacted.isRedacted(url) ? Redacted.value(url) : url, settings)
      let problem: unknown
      // An error that nobody listens for would end the process; commands tell of it.
      client.on("error", (error) => {
        problem = error
      })
      client.connect().then(
        () => resume(Effect.succeed(client)),
        (error) => {
          client.disconnect()
          resume(Effect.fail(storeError("connect", problem ?? error)))
        }
      )
      return Effect.sync(() => client.disconnect())
    }),
    // Who comes later is told at once that it is closed.
    (client) =>
      Effect.async<void>((resume) => {
        if (client.status === "end") return resume(Effect.void)
        const isBetween = client.status === "reconnecting"
        client.once("end", () => resume(Effect.void))
        client.disconnect()
        // Between two tries there is no connection whose end it would tell of.
        if (isBetween) {
          client.status = "end"
          resume(Effect.void)
        }
      })
  )

/**
 * A connection to a server.
 *
 * @example
 * ```ts
 * import * as Redis from "effect-skald/store/Redis"
 * import * as RedisClient from "effect-skald/store/RedisClient"
 * import * as RedisSnapshots from "effect-skald/store/RedisSnapshots"
 * import { Layer } from "effect"
 *
 * export const Services = Layer.merge(Redis.layer(), RedisSnapshots.layer()).pipe(
 *   Layer.provide(RedisClient.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<RedisClient, StoreError> =>
  Layer.scoped(RedisClient, make(options))

/**
 * As {@link layer}, with options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<RedisClient, StoreError | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))
