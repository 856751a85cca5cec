/**
 * The event store in PostgreSQL, 13 or later.
 *
 * What is appended survives a crash of the process and of the server as soon as the append has succeeded, as far as
 * `synchronous_commit` is left on. Other processes may use the same tables at the same time.
 *
 * - An append is one call of one function in the database: one round trip, one transaction. Appends that are asked for
 *   together are committed together; a conflict among them fails its own append only.
 * - **Concurrent appends**: each locks its streams, its events' tags and types, and what its condition looks at, in one order for
 *   everybody. There is no global lock: appends to different streams do not wait for each other, nor do conditional
 *   ones whose tags differ. An append of more than about 250 streams and tags, and a condition on every event, do wait for all others.
 * - **A reader never skips an event**: positions are drawn before the commit, and a reader reads no further than the
 *   first one that is not settled. A transaction of the application that has appended and stays open holds readers back
 *   until it ends; no other transaction does.
 * - `recordedAt` is the server's time, drawn with the position; it never decreases with it.
 * - An append inside `sql.withTransaction` joins that transaction, which must be READ COMMITTED. Subscribers learn of it after
 *   the commit.
 * - A hook runs on the appender's fiber, in a transaction of its own, while its streams are locked.
 * - A connection that is lost is made anew, and what was asked is asked again, by {@link Options.retry}; event ids
 *   make that safe. An append that succeeded only then may call itself `repeated`.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/postgres/driver.ts"
import { storeError } from "../internal/postgres/errors.ts"
import * as Migrations from "../internal/postgres/migrations.ts"
import * as Retry from "../internal/postgres/retry.ts"
import * as Tables from "../internal/postgres/tables.ts"
import type { Driver } from "./Driver.ts"
import { type Capable, type EventStore, layerDriver } from "./EventStore.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * What the driver can do beyond what every driver can.
 *
 * @since 0.1.0
 * @category models
 */
export type Capabilities = "transactions" | "durable" | "shared"

/**
 * What a layer of this module provides: the event store, and a tag for each thing that not every driver can do.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided = EventStore | Capable<"transactions"> | Capable<"durable"> | Capable<"shared">

/**
 * Where the events stand in the database, and how it is watched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. Two prefixes are two event stores. */
  readonly prefix?: string | undefined
  /**
   * How often a subscription that has caught up looks for events without having been told of any; {@link pollInterval} by
   * default. All subscriptions of a store share one look.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
  /**
   * Whether a connection of its own listens for what other processes append (`LISTEN`), so that subscriptions wake at once;
   * true by default. Without it, or while it is down, they look every `pollInterval`.
   */
  readonly listen?: boolean | undefined
  /**
   * How an operation is tried again after its connection was lost, or after a deadlock; {@link retry} by default. Not inside
   * a transaction of the caller's, which is lost with its connection.
   */
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
export interface ServerOptions extends Options, PgClient.PgClientConfig {}

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
export const retry: Schedule.Schedule<unknown> = Retry.schedule

/**
 * The driver, over a client. Makes its tables and functions where they are missing; tables of a newer version of the
 * library are refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Driver<Capabilities>, StoreError | InvalidInput, PgClient.PgClient | Scope.Scope> =>
  Effect.gen(function*() {
    const prefix = yield* Migrations.checkPrefix(options.prefix)
    const client = yield* PgClient.PgClient
    yield* Effect.provideService(Migrations.migrate(prefix, "events", Tables.migrations), SqlClient.SqlClient, client)
    return yield* Internal.make(client, {
      prefix,
      pollInterval: Duration.decode(options.pollInterval ?? pollInterval),
      listen: options.listen ?? true,
      retry: options.retry ?? retry
    })
  })

/**
 * The event store in the database that the application is connected to.
 *
 * @example
 * ```ts
 * import * as EventStore from "effect-skald/store/EventStore"
 * import * as Postgres from "effect-skald/store/Postgres"
 * import { SqlClient } from "@effect/sql"
 * import { PgClient } from "@effect/sql-pg"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* EventStore.capable("transactions")
 *   const sql = yield* SqlClient.SqlClient
 *   // the order's row and its event are there together, or neither is
 *   yield* store.withTransaction(Effect.all([
 *     sql`INSERT INTO orders (id) VALUES ('o-1')`,
 *     store.append([{ stream: "order-o-1", events: [{ type: "Placed", payload: {} }] }])
 *   ]))
 * })
 *
 * export const main = program.pipe(
 *   Effect.provide(Layer.provideMerge(
 *     Postgres.layer(),
 *     PgClient.layer({ url: Redacted.make("postgres://localhost/shop") })
 *   ))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Provided, StoreError | InvalidInput, PgClient.PgClient> => layerDriver(make(options), options)

/**
 * Connects to a server and keeps the event store in it; the client is provided as well, so that the application's tables
 * can stand beside the events.
 *
 * @example
 * ```ts
 * import { EventStore } from "effect-skald/store/EventStore"
 * import * as Postgres from "effect-skald/store/Postgres"
 * import { Effect, Redacted } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const store = yield* EventStore
 *   yield* store.append([{ stream: "order-1", events: [{ type: "Placed", payload: { total: 10 } }] }])
 * }).pipe(Effect.provide(Postgres.layerServer({ url: Redacted.make("postgres://localhost/shop"), maxConnections: 20 })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = (
  options: ServerOptions
): Layer.Layer<Provided | PgClient.PgClient | SqlClient.SqlClient, StoreError | InvalidInput> =>
  Layer.provideMerge(
    layer(options),
    Layer.mapError(PgClient.layer(options), (error) => storeError("connect", error))
  ) as Layer.Layer<Provided | PgClient.PgClient | SqlClient.SqlClient, StoreError | InvalidInput>

/**
 * As {@link layerServer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as Postgres from "effect-skald/store/Postgres"
 * import { Config } from "effect"
 *
 * export const Store = Postgres.layerConfig({ url: Config.redacted("DATABASE_URL") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<ServerOptions>
): Layer.Layer<
  Provided | PgClient.PgClient | SqlClient.SqlClient,
  StoreError | InvalidInput | ConfigError.ConfigError
> => Layer.unwrapEffect(Effect.map(Config.unwrap(options), layerServer))
