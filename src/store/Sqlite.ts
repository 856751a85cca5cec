/**
 * The event store in a SQLite file.
 *
 * What is appended survives a crash of the process as soon as the append has succeeded; a crash of the machine as
 * `SqliteClient.Options.synchronous` says. Other processes may use the same file at the same time.
 *
 * - All appends of one turn of the event loop, by however many fibers, are committed together; a conflict or a failing
 *   hook among them fails its own append only.
 * - **Concurrent appends**, plain and conditional: a transaction takes SQLite's one write lock before it reads anything
 *   (`BEGIN IMMEDIATE`), so that versions, ids and conditions are checked and the events written with nobody in between,
 *   in any process. In one process, the lock of `SqliteClient` puts those who write in order.
 * - Positions are given out under that lock and become visible with the commit: a reader never sees one after a later one.
 * - An append inside `sql.withTransaction` joins that transaction: the application's own tables share its fate.
 *   Subscribers learn of it after the commit.
 * - A hook runs on the appender's fiber while the lock is held: what it waits for must not itself wait to write outside of
 *   the transaction.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/sqlite/driver.ts"
import * as EventSql from "../internal/sqlite/eventSql.ts"
import * as Migrations from "../internal/sqlite/migrations.ts"
import type { Driver } from "./Driver.ts"
import { type Capable, type EventStore, layerDriver } from "./EventStore.ts"
import * as SqliteClient from "./SqliteClient.ts"
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
 * Where the events stand in the file, and how often it is looked at.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. Two prefixes are two event stores. */
  readonly prefix?: string | undefined
  /**
   * How often a subscription that has caught up looks for what other processes have appended; {@link pollInterval} by
   * default. Appends of this process wake it at once. All subscriptions of a store share one look.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
  /**
   * How subscriptions go on when the file could not be read; `EventStore.reconnect` by default, and each may say otherwise.
   */
  readonly reconnect?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * Which file is opened, how, and where the events stand in it.
 *
 * @since 0.1.0
 * @category models
 */
export interface FileOptions extends Options, SqliteClient.Options {}

/**
 * How often the appends of other processes are looked for: every 100 ms.
 *
 * @since 0.1.0
 * @category constants
 */
export const pollInterval: Duration.Duration = Duration.millis(100)

/**
 * The driver, over an open file. Makes its tables where they are missing; tables of a newer version of the library are
 * refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<
  Driver<Capabilities>,
  StoreError | InvalidInput,
  SqliteClient.SqliteClient | SqlClient.SqlClient | Scope.Scope
> =>
  Effect.gen(function*() {
    const prefix = yield* Migrations.checkPrefix(options.prefix)
    const client = yield* SqliteClient.SqliteClient
    yield* Migrations.migrate(prefix, "events", EventSql.migrations)
    return yield* Internal.make(client, prefix, Duration.decode(options.pollInterval ?? pollInterval))
  })

/**
 * The event store in the SQLite file that the application has opened.
 *
 * @example
 * ```ts
 * import * as EventStore from "effect-skald/store/EventStore"
 * import * as Sqlite from "effect-skald/store/Sqlite"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Layer } from "effect"
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
 *   Effect.provide(Layer.provideMerge(Sqlite.layer(), SqliteClient.layer({ filename: "shop.db" })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  Provided,
  StoreError | InvalidInput,
  SqliteClient.SqliteClient | SqlClient.SqlClient
> => layerDriver(make(options), options)

/**
 * Opens a file and keeps the event store in it; the open file is provided as well, so that the application's tables can
 * stand beside the events.
 *
 * @example
 * ```ts
 * import { EventStore } from "effect-skald/store/EventStore"
 * import * as Sqlite from "effect-skald/store/Sqlite"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const store = yield* EventStore
 *   yield* store.append([{ stream: "order-1", events: [{ type: "Placed", payload: { total: 10 } }] }])
 * }).pipe(Effect.provide(Sqlite.layerFile({ filename: "shop.db", synchronous: "full" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFile = (
  options: FileOptions
): Layer.Layer<
  Provided | SqliteClient.SqliteClient | SqlClient.SqlClient,
  StoreError | InvalidInput | SqliteClient.SqliteOpenError
> => Layer.provideMerge(layer(options), SqliteClient.layer(options))

/**
 * As {@link layerFile}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as Sqlite from "effect-skald/store/Sqlite"
 * import { Config } from "effect"
 *
 * export const Store = Sqlite.layerConfig({ filename: Config.string("DATABASE_FILE") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<FileOptions>
): Layer.Layer<
  Provided | SqliteClient.SqliteClient | SqlClient.SqlClient,
  StoreError | InvalidInput | SqliteClient.SqliteOpenError | ConfigError.ConfigError
> => Layer.unwrapEffect(Effect.map(Config.unwrap(options), layerFile))
