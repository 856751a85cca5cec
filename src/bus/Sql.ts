/**
 * The event bus in a SQL database: SQLite, or PostgreSQL 13 or later.
 *
 * What is published survives a crash of the process, and on PostgreSQL of the server. Several processes share the bus, and the
 * work of each subscription.
 *
 * - A message is stored once; each subscription that selects it has a row of its own until it is done with it. Processes know
 *   each other's subscriptions by the database: what is published anywhere goes to all of them.
 * - What is published or settled inside `sql.withTransaction` shares the fate of that transaction.
 * - A process that consumes holds a lease, {@link leaseTtl} long. Where it ends without a word, what it held is given to others:
 *   when its lease has run out, or at once where it ran on the same machine. Each delivery counts when it begins. A process that
 *   was paused for longer than its lease settles nothing of what it held.
 * - Messages are given out in batches, in the order of their priorities and ages; those of a key one at a time, among all
 *   processes.
 * - A new subscription that starts with the `earliest` gets the last {@link history} messages.
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
import * as Internal from "../internal/bus/sqlLayer.ts"
import * as Tallies from "../internal/bus/sqlTallies.ts"
import type { BusError } from "./BusError.ts"
import type { Driver } from "./BusDriver.ts"
import { type Capable, type EventBus, layerDriver } from "./EventBus.ts"
import * as SqlDeadLetters from "./SqlDeadLetters.ts"

/**
 * What the driver can do beyond what every driver can.
 *
 * @since 0.1.0
 * @category models
 */
export type Capabilities = "delay" | "priority" | "history" | "durable" | "shared" | "transactions"

/**
 * What a layer of this module provides: the bus, and a tag for each thing that not every driver can do.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided =
  | EventBus
  | Capable<"delay">
  | Capable<"priority">
  | Capable<"history">
  | Capable<"durable">
  | Capable<"shared">
  | Capable<"transactions">

/**
 * Where the messages stand in the database, and how it is watched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. Two prefixes are two buses. */
  readonly prefix?: string | undefined
  /**
   * Whose clock tells whether a message is due and whether a lease has run out. By default a server's own, so that machines
   * whose clocks differ agree. On SQLite it always is that of the process, Effect's `Clock`; tests by `TestClock` ask for
   * `process` on PostgreSQL, too. All who share the bus must use the same.
   */
  readonly clock?: "database" | "process" | undefined
  /** How often a consumer that has nothing looks without having been told; {@link pollInterval} by default. */
  readonly pollInterval?: Duration.DurationInput | undefined
  /**
   * Whether a connection of its own listens for what other processes publish (PostgreSQL's `LISTEN`); true by default.
   * Without it, or while it is down, consumers look every `pollInterval`.
   */
  readonly listen?: boolean | undefined
  /** How long a process that stopped answering keeps what it was given; {@link leaseTtl} by default. */
  readonly leaseTtl?: Duration.DurationInput | undefined
  /** How often a lease is renewed; {@link leaseEvery} by default. */
  readonly leaseEvery?: Duration.DurationInput | undefined
  /** How many messages are kept for subscriptions that start with the earliest; {@link history} by default. */
  readonly history?: number | undefined
  /** How long messages are kept for them; without limit by default. Whichever is passed first. */
  readonly historyAge?: Duration.DurationInput | undefined
  /** How often messages that nobody needs any more are removed; {@link trimInterval} by default. */
  readonly trimInterval?: Duration.DurationInput | undefined
  /** How an operation is tried again after its connection was lost; {@link retry} by default. */
  readonly retry?: Schedule.Schedule<unknown, BusError> | undefined
}

/**
 * How often a consumer that has nothing looks for messages that nobody told of: every 100 ms.
 *
 * @since 0.1.0
 * @category constants
 */
export const pollInterval: Duration.Duration = Duration.millis(100)

/**
 * How long a process that stopped answering keeps what it was given: 5 s.
 *
 * @since 0.1.0
 * @category constants
 */
export const leaseTtl: Duration.Duration = Duration.seconds(5)

/**
 * How often a lease is renewed: every 1.5 s.
 *
 * @since 0.1.0
 * @category constants
 */
export const leaseEvery: Duration.Duration = Duration.millis(1_500)

/**
 * How many messages are kept for subscriptions that start with the earliest: 10,000. What is still to be delivered to
 * somebody is kept besides.
 *
 * @since 0.1.0
 * @category constants
 */
export const history = 10_000

/**
 * How often messages that nobody needs any more are removed: every 10 s.
 *
 * @since 0.1.0
 * @category constants
 */
export const trimInterval: Duration.Duration = Duration.seconds(10)

/**
 * How a lost connection is tried again: from 20 ms, doubling up to 1 s, with full jitter, for 30 s.
 *
 * Publishing is not asked twice where the first may have succeeded: that is a `timeout`.
 *
 * @since 0.1.0
 * @category policies
 */
export const retry: Schedule.Schedule<unknown> = SqlDeadLetters.retry

/**
 * The driver, over a client. Makes its tables where they are missing; tables of a newer version of the library are refused.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Driver<Capabilities>, BusError | InvalidInput, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const deadLetters = yield* SqlDeadLetters.make({ prefix: options.prefix, retry: options.retry })
    const driver = yield* Internal.make({
      prefix: options.prefix,
      clock: options.clock,
      pollInterval: options.pollInterval ?? pollInterval,
      listen: options.listen ?? true,
      leaseTtl: options.leaseTtl ?? leaseTtl,
      leaseEvery: options.leaseEvery ?? leaseEvery,
      history: options.history ?? history,
      historyAge: options.historyAge,
      trimInterval: Duration.decode(options.trimInterval ?? trimInterval),
      retry: options.retry ?? retry,
      deadLetters
    })
    return { ...driver, tallies: yield* Tallies.make(options.prefix) }
  })

/**
 * The bus in the database that the application is connected to: a `PgClient`, or the library's `SqliteClient`.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as SqlBus from "effect-skald/bus/Sql"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const bus = yield* EventBus.capable("transactions")
 *   const sql = yield* SqlClient.SqlClient
 *   // the order's row and its message are there together, or neither is
 *   yield* sql.withTransaction(Effect.all([
 *     sql`INSERT INTO orders (id) VALUES ('o-1')`,
 *     bus.publish([{ type: "OrderPlaced", payload: { order: "o-1" } }])
 *   ]))
 * })
 *
 * export const main = program.pipe(
 *   Effect.provide(Layer.provideMerge(SqlBus.layer(), SqliteClient.layer({ filename: "shop.db" })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Provided, BusError | InvalidInput, SqlClient.SqlClient> => layerDriver(make(options))

/**
 * As {@link layer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as SqlBus from "effect-skald/bus/Sql"
 * import { Config } from "effect"
 *
 * export const Bus = SqlBus.layerConfig({ prefix: Config.withDefault(Config.string("BUS_PREFIX"), "skald_") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<Provided, BusError | InvalidInput | ConfigError.ConfigError, SqlClient.SqlClient> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))
