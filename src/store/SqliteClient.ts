/**
 * One SQLite file, opened so that nothing about it is a defect: a writing connection, a reading one, and a `SqlClient`.
 *
 * The stores of this library and the tables of an application share one file and its transactions through it:
 *
 * - The file is in WAL mode. Readers never wait for the writer, nor the writer for them.
 * - All writing of this process goes over one connection, in turn. A transaction begins with `BEGIN IMMEDIATE`, so that
 *   it cannot fail for a lock in its middle, and its COMMIT and ROLLBACK fail with typed errors.
 * - better-sqlite3 is synchronous, and a wait for a lock inside SQLite would stop the whole process. SQLite is told not
 *   to wait; what meets the lock of another process is tried again by a Schedule, asynchronously.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type Database from "better-sqlite3"
import { Config, type ConfigError, Context, Duration, Effect, Layer, Schedule, Schema, type Scope } from "effect"
import * as Internal from "../internal/sqlite/client.ts"
import * as Errors from "../internal/sqlite/errors.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * What an error of better-sqlite3 is about. `constraint` covers every constraint, `io` reading, writing and opening
 * files, `closed` a connection that is used after its scope ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = Errors.Kind

/**
 * The writer's lock: first come, first served.
 *
 * Transactions, single writes and group commits of one client exclude each other with it. It is not reentrant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock {
  /** Takes the lock if nobody holds it and nobody waits for it. Does not wait. */
  readonly tryAcquire: () => boolean
  /** Lets go and hands the lock to the one who has waited longest. */
  readonly release: () => void
  /**
   * Waits for the lock. Run it in an uninterruptible region: a grant that meets an interruption is then never lost, and
   * the caller owes exactly one `release`. Prefer `withLock`.
   */
  readonly acquire: Effect.Effect<void>
  /** Runs an effect while holding the lock; waiting is as interruptible as the caller, and whatever happens lets go. */
  readonly withLock: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Whether somebody holds it. */
  readonly held: () => boolean
  /** How many wait for it. */
  readonly waiting: () => number
}

/**
 * A transaction (depth 0) or a savepoint in one (depth 1 and more) on the writing connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transaction {
  /** 0 for a transaction, 1 for a savepoint in it, and so on. */
  readonly depth: number
  /** Whether it can still be used: neither committed nor rolled back, by us or by SQLite itself (as when the disk is full). */
  readonly isActive: () => boolean
  /**
   * Runs a callback right after the outermost transaction committed, in the order given; a rollback of this or of any
   * enclosing transaction drops it. It runs synchronously, before the lock is released, and must be quick; what it throws is
   * logged and changes nothing, since the transaction is done.
   */
  readonly onCommit: (callback: () => void) => void
}

/**
 * How rows come: as objects by column name, as arrays in column order, or as the value of the first column.
 *
 * @since 0.1.0
 * @category models
 */
export type RowMode = "object" | "array" | "first"

/**
 * What the client offers beside its `SqlClient`, for drivers that work on the connections themselves.
 *
 * The synchronous functions throw what better-sqlite3 throws; {@link classify} and {@link storeError} say what it was.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The file, or `:memory:`. */
  readonly filename: string
  /** Whether it was opened to read only. */
  readonly readonly: boolean
  /** The same database as a `SqlClient`; the layer provides it under its own Tag as well. */
  readonly sql: SqlClient.SqlClient
  /** The connection that writes. Use it only while holding `lock`. */
  readonly writer: Database.Database
  /**
   * The connection that reads; the writer itself for `:memory:`.
   *
   * Finish each statement at once (`get`, `all`, or `iterate` to its end without giving way to other fibers): an open
   * iterator keeps the whole connection on its old snapshot. For a read over several steps take a `readConnection`.
   */
  readonly reader: Database.Database
  /**
   * A read-only connection of one's own until the scope ends, for streaming or for several reads from one snapshot.
   * A few are kept open for the next. Fails for `:memory:`, which has a single connection (reason `unavailable`).
   */
  readonly readConnection: Effect.Effect<Database.Database, StoreError, Scope.Scope>
  /** A statement from the cache of a connection. It is shared: never iterate it over several steps or change its mode. */
  readonly prepare: (on: "writer" | "reader", sql: string, mode?: RowMode) => Database.Statement<Array<unknown>, any>
  /** The writer's lock. */
  readonly lock: Lock
  /**
   * `BEGIN IMMEDIATE`. The caller holds `lock`. Throws when another process holds the file (`busy`): use `retryBusy`.
   * A transaction that somebody left open on the writer is rolled back first.
   */
  readonly begin: () => Transaction
  /** `SAVEPOINT` inside a transaction or savepoint that the caller began. */
  readonly savepoint: (parent: Transaction) => Transaction
  /**
   * `COMMIT`, or `RELEASE` of a savepoint, then the callbacks of `onCommit` once the outermost is done. Should it throw,
   * the transaction has been rolled back and the writer can be used again.
   */
  readonly commit: (transaction: Transaction) => void
  /** `ROLLBACK`, or back to a savepoint and out of it. Nothing happens where SQLite has rolled back by itself. */
  readonly rollback: (transaction: Transaction) => void
  /** Runs an effect so that its `sql` statements, and transactions nested in it, belong to a transaction begun here. */
  readonly within: (transaction: Transaction) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The transaction *of this client* that a fiber with this context is in. Those of other clients do not count. */
  readonly transactionOf: (context: Context.Context<never>) => Transaction | undefined
  /** Whether a fiber with this context is inside a transaction of this client that has not ended. */
  readonly inTransaction: (context: Context.Context<never>) => boolean
  /** Runs a callback once the transaction that the fiber is in has committed; at once where it is in none. */
  readonly onCommit: (callback: () => void) => Effect.Effect<void>
  /** As `sql.withTransaction`, with the library's own error. */
  readonly withTransaction: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /**
   * Runs a synchronous function that may throw, again by the busy Schedule while it throws `busy`, and fails with a
   * {@link StoreError} of this operation otherwise.
   */
  readonly retryBusy: <A>(operation: string, attempt: () => A) => Effect.Effect<A, StoreError>
}

/**
 * The Tag of an open SQLite file.
 *
 * @since 0.1.0
 * @category services
 */
export class SqliteClient extends Context.Tag("effect-skald/store/SqliteClient")<SqliteClient, Service>() {}

/**
 * Says what an error is about: one thrown by better-sqlite3, or a `SqlError` or `StoreError` around it.
 *
 * @since 0.1.0
 * @category errors
 */
export const classify: (error: unknown) => Kind = Errors.classify

/**
 * Makes the library's error out of anything that the client threw or failed with; a {@link StoreError} stays as it is.
 *
 * @since 0.1.0
 * @category errors
 */
export const storeError: (operation: string, error: unknown) => StoreError = Errors.storeError

/**
 * Why a file could not be opened.
 *
 * - `invalid`: an option cannot be used
 * - `path`: the file, or the folder for it, does not exist or cannot be opened
 * - `readOnly`: it may be read and not written; open it with `readonly: true` or give it back its permissions
 * - `busy`: another process kept it locked for as long as `busyRetry` tries
 * - `corrupt`: it is no SQLite database, or a damaged one
 * - `noWal`: its file system has no shared memory, so that WAL mode is impossible (network file systems)
 * - `driver`: the native part of better-sqlite3 does not load
 * - `unknown`: anything else; see `cause`
 *
 * @since 0.1.0
 * @category errors
 */
export const OpenReason = Schema.Literal(
  "invalid",
  "path",
  "readOnly",
  "busy",
  "corrupt",
  "noWal",
  "driver",
  "unknown"
)

/**
 * A SQLite file could not be opened.
 *
 * @since 0.1.0
 * @category errors
 */
export class SqliteOpenError extends Schema.TaggedError<SqliteOpenError>("effect-skald/store/SqliteOpenError")(
  "SqliteOpenError",
  {
    reason: OpenReason,
    filename: Schema.String,
    /** What is the matter, in words. */
    problem: Schema.String,
    cause: Schema.optional(Schema.Defect)
  }
) {
  override get message(): string {
    return `cannot open SQLite file "${this.filename}" (${this.reason}): ${this.problem}`
  }
}

/**
 * How a file is opened.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The file, made when it is missing; `:memory:` for a database that lives as long as the layer. No SQLite URIs. */
  readonly filename: string
  /** Opens an existing file without ever writing to it; writes fail with reason `readOnly`. Off by default. */
  readonly readonly?: boolean | undefined
  /**
   * What a commit has survived when it is acknowledged.
   *
   * - `normal` (the default): a crash of this process, always. A crash of the machine keeps the database whole, but may
   *   lose the transactions of the last moments.
   * - `full`: a crash of the machine, too; each commit waits for the disk.
   * - `off`: a crash of this process. A crash of the machine may damage the file.
   */
  readonly synchronous?: "off" | "normal" | "full" | undefined
  /** When to try again what met a lock of another process; {@link busyRetry} by default. */
  readonly busyRetry?: Schedule.Schedule<unknown> | undefined
  /** How long SQLite itself waits for a lock, *stopping the whole process meanwhile*. Zero by default. */
  readonly busyTimeout?: Duration.DurationInput | undefined
  /** Attributes that every span of a statement or transaction carries. */
  readonly spanAttributes?: { readonly [name: string]: unknown } | undefined
  /** How names in `sql(...)` helpers become column names; unchanged by default. */
  readonly transformQueryNames?: ((name: string) => string) | undefined
  /** How column names become names in results; unchanged by default. */
  readonly transformResultNames?: ((name: string) => string) | undefined
}

/**
 * When a lock of another process is tried again: after 1 ms, 2 ms, 4 ms … up to every 100 ms, with jitter, for about five
 * seconds in all.
 *
 * @since 0.1.0
 * @category constants
 */
export const busyRetry: Schedule.Schedule<unknown> = Schedule.exponential("1 millis").pipe(
  Schedule.union(Schedule.spaced("100 millis")),
  Schedule.jittered,
  Schedule.upTo("5 seconds")
)

/**
 * Opens a file until the scope ends, which moves what stands in the WAL into the file and closes every connection.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, SqliteOpenError, Scope.Scope | Reactivity.Reactivity> =>
  Internal.make({
    filename: options.filename,
    readonly: options.readonly ?? false,
    synchronous: options.synchronous ?? "normal",
    busyRetry: options.busyRetry ?? busyRetry,
    busyTimeout: Duration.toMillis(options.busyTimeout ?? Duration.zero),
    spanAttributes: Object.entries({ "db.system.name": "sqlite", ...options.spanAttributes }),
    transformQueryNames: options.transformQueryNames,
    transformResultNames: options.transformResultNames,
    onOpenError: (reason, problem, cause) => new SqliteOpenError({ reason, problem, cause, filename: options.filename })
  })

const context = (service: Service): Context.Context<SqliteClient | SqlClient.SqlClient> =>
  Context.make(SqliteClient, service).pipe(Context.add(SqlClient.SqlClient, service.sql))

/**
 * Opens a file for an application and its stores, as {@link SqliteClient} and as the `SqlClient` of `@effect/sql`.
 *
 * Statements outside a transaction read on a connection of their own and see everything committed; inside one they see its
 * own writes. Transactions nest as savepoints; those of sibling fibers run one after the other. A fiber that outlives the
 * transaction it was started in is outside of it. Two layers on one file work, in one process or in several.
 *
 * @example
 * ```ts
 * import { SqlClient } from "@effect/sql"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql`CREATE TABLE IF NOT EXISTS account (id TEXT PRIMARY KEY, cents INTEGER NOT NULL)`
 *   yield* sql.withTransaction(sql`INSERT INTO account ${sql.insert({ id: "a", cents: 100 })}`)
 * }).pipe(Effect.provide(SqliteClient.layer({ filename: "bank.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<SqliteClient | SqlClient.SqlClient, SqliteOpenError> =>
  Layer.scopedContext(Effect.map(make(options), context)).pipe(Layer.provide(Reactivity.layer))

/**
 * As {@link layer}, with options read from the configuration.
 *
 * @example
 * ```ts
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { Config } from "effect"
 *
 * export const Database = SqliteClient.layerConfig({ filename: Config.string("DATABASE_FILE") })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<SqliteClient | SqlClient.SqlClient, SqliteOpenError | ConfigError.ConfigError> =>
  Layer.scopedContext(Effect.map(Effect.flatMap(Config.unwrap(options), make), context)).pipe(
    Layer.provide(Reactivity.layer)
  )
