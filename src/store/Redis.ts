/**
 * The event store in Redis, 7 or later.
 *
 * What is appended is as durable as the server is set to be: with `durable: true` the store refuses to start on a server that
 * does not write each command to its disk (`appendonly yes`, `appendfsync always`), and declares that; without it, what was
 * acknowledged may be lost when the server crashes. After a failover to a replica the last appends may be lost either way:
 * Redis replicates after it has answered.
 *
 * - An append is a Lua function: checked and written with nobody in between, all or nothing. Appends that are asked for together
 *   share one call; a refusal or a failure among them fails its own append only. That is what makes concurrent appends safe, plain
 *   and conditional: the server runs one script at a time, and there are no locks.
 * - **A reader never skips an event**: positions are drawn by the script that writes, so that they are visible in their order.
 * - `recordedAt` is the server's time; it never decreases with the position.
 * - There are no transactions: nothing of the application shares an append's fate, and `EventStore.capable("transactions")`
 *   does not type-check.
 * - A hook keeps the whole log: what it is given stands beyond the head, where nobody sees it, and nobody else appends until it has
 *   ended. When its process dies, others go on after 5 s, and what it had appended is taken back.
 * - All keys begin with `{prefix}:`. The braces put them in one slot of a Redis Cluster, as scripts need it: one store is on
 *   one node, several prefixes are several stores on several.
 * - A connection that is lost is made anew, and what was asked is asked again, by {@link Options.retry}; event ids make that
 *   safe. An append that succeeded only then may call itself `repeated`.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/redis/driver.ts"
import * as Keys from "../internal/redis/keys.ts"
import * as Policy from "../internal/redis/policy.ts"
import * as Server from "../internal/redis/server.ts"
import type { Driver } from "./Driver.ts"
import { type Capable, type EventStore, layerDriver } from "./EventStore.ts"
import * as RedisClient from "./RedisClient.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * What the driver can do beyond what every driver can: `durable` where it was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type Capabilities<Durable extends boolean = boolean> = "shared" | (Durable extends true ? "durable" : never)

/**
 * What a layer of this module provides: the event store, and a tag for each thing that not every driver can do.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided<Durable extends boolean = false> =
  | EventStore
  | Capable<"shared">
  | (Durable extends true ? Capable<"durable"> : never)

/**
 * Where the events stand in the server, what it must promise, and how it is watched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Durable extends boolean = boolean> {
  /** What stands in the braces that every key begins with; `skald` by default. Two prefixes are two event stores. */
  readonly prefix?: string | undefined
  /**
   * Whether what was acknowledged must survive a crash of the server; `false` by default. With `true` the store does not start
   * on a server that is set otherwise, or that does not say.
   */
  readonly durable?: Durable | undefined
  /**
   * How often a subscription that has caught up looks for events without having been told of any; {@link pollInterval} by
   * default. All subscriptions of a store share one look.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
  /**
   * Whether a connection of its own listens for what other processes append (`SUBSCRIBE`), so that subscriptions wake at
   * once; true by default. Without it, or while it is down, they look every `pollInterval`.
   */
  readonly listen?: boolean | undefined
  /** How an operation is tried again after its connection was lost; {@link retry} by default. */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
  /** How subscriptions go on when that was not enough; `EventStore.reconnect` by default, and each may say otherwise. */
  readonly reconnect?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * Which server, and where the events stand in it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions<Durable extends boolean = boolean> extends Options<Durable>, RedisClient.Options {}

/**
 * How often a log is looked at for events that nobody told of: every 100 ms.
 *
 * @since 0.1.0
 * @category constants
 */
export const pollInterval: Duration.Duration = Duration.millis(100)

/**
 * How a lost connection is tried again: from 20 ms, doubling up to 1 s, with full jitter, for 30 s.
 *
 * @since 0.1.0
 * @category policies
 */
export const retry: Schedule.Schedule<unknown> = Policy.retry

/**
 * The driver, over a client. Fails where the server is older than Redis 7, throws events away when its memory is full, or is
 * not as durable as was asked for; keys of another version of the library are refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Durable extends boolean = false>(
  options: Options<Durable> = {}
): Effect.Effect<
  Driver<Capabilities<Durable>>,
  StoreError | InvalidInput,
  RedisClient.RedisClient | Scope.Scope
> =>
  Effect.gen(function*() {
    const base = yield* Keys.base(options.prefix)
    const client = yield* RedisClient.RedisClient
    const durable = options.durable === true
    yield* Server.check(client, durable)
    yield* Server.claim(client, base)
    const driver = yield* Internal.make(client, {
      base,
      durable,
      pollInterval: Duration.decode(options.pollInterval ?? pollInterval),
      listen: options.listen ?? true,
      retry: options.retry ?? retry
    })
    // It lists those capabilities that `durable` gives it.
    return driver as unknown as Driver<Capabilities<Durable>>
  })

/**
 * The event store in the server that the application is connected to.
 *
 * @example
 * ```ts
 * import * as EventStore from "effect-skald/store/EventStore"
 * import * as Redis from "effect-skald/store/Redis"
 * import * as RedisClient from "effect-skald/store/RedisClient"
 * import { Effect, Layer } from "effect"
 *
 * // money: it asks for a store that keeps what it has acknowledged
 * const program = Effect.gen(function*() {
 *   const store = yield* EventStore.capable("durable")
 *   yield* store.append([{ stream: "account-1", events: [{ type: "Deposited", payload: { amount: 10 } }] }])
 * })
 *
 * export const main = program.pipe(Effect.provide(
 *   Redis.layer({ durable: true }).pipe(Layer.provide(RedisClient.layer({ url: "redis://localhost:6379" })))
 * ))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <const Durable extends boolean = false>(
  options: Options<Durable> = {}
): Layer.Layer<Provided<Durable>, StoreError | InvalidInput, RedisClient.RedisClient> =>
  layerDriver(make(options), options) as Layer.Layer<
    Provided<Durable>,
    StoreError | InvalidInput,
    RedisClient.RedisClient
  >

/**
 * Connects to a server and keeps the event store in it; the client is provided as well.
 *
 * @example
 * ```ts
 * import { EventStore } from "effect-skald/store/EventStore"
 * import * as Redis from "effect-skald/store/Redis"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const store = yield* EventStore
 *   yield* store.append([{ stream: "order-1", events: [{ type: "Placed", payload: { total: 10 } }] }])
 * }).pipe(Effect.provide(Redis.layerServer({ url: "redis://localhost:6379", prefix: "shop" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = <const Durable extends boolean = false>(
  options: ServerOptions<Durable>
): Layer.Layer<Provided<Durable> | RedisClient.RedisClient, StoreError | InvalidInput> => {
  const { durable, listen, pollInterval, prefix, reconnect, retry, ...server } = options
  const own = { durable, listen, pollInterval, prefix, reconnect, retry }
  return Layer.provideMerge(layer(own), RedisClient.layer(server))
}

/**
 * As {@link layerServer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as Redis from "effect-skald/store/Redis"
 * import { Config } from "effect"
 *
 * export const Store = Redis.layerConfig({ url: Config.redacted("REDIS_URL") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <const Durable extends boolean = false>(
  options: Config.Config.Wrap<ServerOptions<Durable>>
): Layer.Layer<
  Provided<Durable> | RedisClient.RedisClient,
  StoreError | InvalidInput | ConfigError.ConfigError
> =>
  Layer.unwrapEffect(
    Effect.map(Config.unwrap(options), (unwrapped) => layerServer(unwrapped as ServerOptions<Durable>))
  )
