/**
 * Idempotency keys in a table of PostgreSQL or SQLite, among all processes that use the database.
 *
 * The primary key decides who runs. Outside of a transaction the run holds a lease; inside `sql.withTransaction` the key, the
 * result and what the effect writes are committed together, or none of them is, and another transaction with the same key
 * waits for that (PostgreSQL by the row, in READ COMMITTED; SQLite by its one write lock). A transaction never waits for a run
 * outside of one: it fails with the reason `running`.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import * as Sql from "../internal/resilience/idempotencyKeySql.ts"
import * as Idempotency from "./Idempotency.ts"
import * as RetryPolicy from "./RetryPolicy.ts"

/**
 * Where keys stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with, of at most 40 of a-z, 0-9 and _; `skald_` by default. */
  readonly prefix?: string | undefined
  /**
   * When an operation is tried again that met a lost connection or a lock; {@link retry} by default. Not inside a transaction
   * of the caller's.
   */
  readonly retry?: Schedule.Schedule<unknown, Idempotency.IdempotencyError> | undefined
}

/**
 * How what may pass is tried again: from 20 ms, doubling up to 1 s, with full jitter, for 5 s.
 *
 * @since 0.1.0
 * @category policies
 */
export const retry: Schedule.Schedule<unknown> = RetryPolicy.exponential("20 millis", {
  cap: "1 second",
  jitter: "full",
  within: "5 seconds"
})

const fail = (reason: Idempotency.IdempotencyError["reason"], key: string, cause?: unknown) =>
  new Idempotency.IdempotencyError({ reason, key, cause })

const checked = (prefix: string | undefined): Effect.Effect<string, Idempotency.IdempotencyError> => {
  const value = prefix ?? Sql.defaultPrefix
  return Sql.isPrefix(value) ? Effect.succeed(value) : fail("invalid", "", new Error(`the prefix ${value} is no name`))
}

/**
 * Keeps keys in the database of the `SqlClient`. Makes its table where it is missing.
 *
 * Leases and times to live are measured by the clock of the PostgreSQL server, and by `Clock` for a SQLite file.
 *
 * @example
 * ```ts
 * import * as Idempotency from "effect-skald/resilience/Idempotency"
 * import * as SqlIdempotency from "effect-skald/resilience/SqlIdempotency"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { SqlClient } from "@effect/sql"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   // the money moves once, whatever happens: key and row are committed together
 *   yield* sql.withTransaction(
 *     sql`UPDATE account SET cents = cents - 100 WHERE id = 'a'`.pipe(
 *       Effect.asVoid,
 *       Idempotency.once("transfer-1", { success: Schema.Void })
 *     )
 *   )
 * })
 *
 * export const main = program.pipe(
 *   Effect.provide(SqlIdempotency.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: "bank.db" }))))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Idempotency.Idempotency, Idempotency.IdempotencyError, SqlClient.SqlClient> =>
  Layer.effect(
    Idempotency.Idempotency,
    Effect.flatMap(checked(options.prefix), (prefix) =>
      Effect.map(Sql.make({ prefix, retry: options.retry ?? retry }, fail), Idempotency.makeEncoded))
  )

/**
 * Removes the results that have passed their time, and says how many. Runs that died stay, for those who refuse to run again.
 *
 * @example
 * ```ts
 * import * as SqlIdempotency from "effect-skald/resilience/SqlIdempotency"
 * import { Effect, Schedule } from "effect"
 *
 * export const housekeeping = SqlIdempotency.purge().pipe(Effect.repeat(Schedule.spaced("1 hour")))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const purge = (
  options: Options = {}
): Effect.Effect<number, Idempotency.IdempotencyError, SqlClient.SqlClient> =>
  Effect.flatMap(checked(options.prefix), (prefix) => Sql.purge(prefix, fail))
