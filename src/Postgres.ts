/**
 * Every service in one PostgreSQL database: what an application of several processes or machines needs, and no other server.
 *
 * @since 0.1.0
 */
import type * as PgClient from "@effect/sql-pg/PgClient"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { BusError } from "./bus/BusError.ts"
import * as DeadLetters from "./bus/DeadLetters.ts"
import type { TransactionalInbox } from "./bus/Inbox.ts"
import * as SqlBus from "./bus/Sql.ts"
import * as SqlInbox from "./bus/SqlInbox.ts"
import type { InvalidInput } from "./event/InvalidInput.ts"
import type * as Memory from "./Memory.ts"
import * as SqlTimers from "./saga/SqlTimers.ts"
import type { Timers } from "./saga/Timers.ts"
import * as PostgresStore from "./store/Postgres.ts"
import * as SqlCheckpoints from "./store/SqlCheckpoints.ts"
import * as SqlLeases from "./store/SqlLeases.ts"
import * as SqlParkedEvents from "./store/SqlParkedEvents.ts"
import * as SqlSnapshots from "./store/SqlSnapshots.ts"
import type { StoreError } from "./store/StoreError.ts"

/**
 * Which server, and how the tables are called.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends PostgresStore.ServerOptions {
  /**
   * Whose clock tells whether a lease has run out, and whether a message of the bus is due: the server's by default. Tests by
   * `TestClock` ask for `process`.
   */
  readonly leaseClock?: SqlLeases.Options["clock"]
}

/**
 * What the layer gives: every service, the capabilities of the store and of the bus, and the connection pool as a `SqlClient`, so that the
 * application's own tables share its transactions.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided =
  | Memory.Services
  | PostgresStore.Provided
  | Memory.Bus
  | SqlBus.Provided
  | TransactionalInbox
  | Timers
  | SqlClient.SqlClient
  | PgClient.PgClient

/**
 * Every service, in one database. Tables and functions are made where they are missing, by one process where several start at
 * once; their names begin with a prefix, `skald_` when none is given.
 *
 * A projection that writes to the database commits its checkpoint in the same transaction: each event counts once, whatever
 * is killed when. Leases are told apart by the server's clock.
 *
 * @example
 * ```ts
 * import * as Postgres from "effect-skald/Postgres"
 * import { EventStore } from "effect-skald/store/EventStore"
 * import { Effect, Redacted } from "effect"
 *
 * export const program = Effect.flatMap(EventStore, (store) => store.head).pipe(
 *   Effect.provide(Postgres.layer({ url: Redacted.make("postgres://localhost/shop"), maxConnections: 20 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Provided, StoreError | BusError | InvalidInput> =>
  Layer.mergeAll(
    SqlSnapshots.layer(options),
    SqlCheckpoints.layer(options),
    SqlLeases.layer({ prefix: options.prefix, clock: options.leaseClock, retry: options.retry }),
    SqlParkedEvents.layer(options),
    SqlTimers.layer({ prefix: options.prefix }),
    SqlInbox.layer({ prefix: options.prefix, clock: options.leaseClock }),
    Layer.fresh(DeadLetters.layer).pipe(Layer.provideMerge(SqlBus.layer({
      prefix: options.prefix,
      clock: options.leaseClock,
      pollInterval: options.pollInterval,
      listen: options.listen
    })))
  ).pipe(Layer.provideMerge(PostgresStore.layerServer(options)))

/**
 * As {@link layer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as Postgres from "effect-skald/Postgres"
 * import { Config } from "effect"
 *
 * export const Store = Postgres.layerConfig({ url: Config.redacted("DATABASE_URL") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<Provided, StoreError | BusError | InvalidInput | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))
