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
import type * as SqlClient from "@effect/sql/SqlClient"
import type Database from "better-sqlite3"
import { Context, type Effect, type Scope } from "effect"
import * as Errors from "../internal/sqliteErrors.ts"
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
