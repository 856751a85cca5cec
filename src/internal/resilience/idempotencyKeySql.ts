import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { Claim, Encoded, IdempotencyError } from "../../resilience/Idempotency.ts"
import type { Fail } from "./idempotencyKey.ts"

export const defaultPrefix = "skald_"

export const isPrefix = (prefix: unknown): prefix is string =>
  typeof prefix === "string" && /^[a-z_][a-z0-9_]{0,39}$/.test(prefix) && !/^(pg|sqlite)_/.test(prefix)

type Dialect = "pg" | "sqlite"

/** What a database that is gone, locked or restarting says; the same may succeed in a moment. */
const passing = /^(08|57P0|53300|40|55P03|ECONN|EPIPE|ETIMEDOUT|SQLITE_BUSY|SQLITE_LOCKED)/
const lost = /connection terminated|connection ended|not queryable|connection error/i

const isPassing = (error: unknown): boolean => {
  const cause = error instanceof SqlError ? error.cause : error
  if (!(cause instanceof Error)) return false
  const code = (cause as { readonly code?: unknown }).code
  return typeof code === "string" ? passing.test(code) : lost.test(cause.message)
}

/** Keys in the order of their bytes, however the database was set up. */
const table = (name: string, dialect: Dialect) => {
  const text = dialect === "pg" ? `text COLLATE "C"` : "TEXT"
  const number = dialect === "pg" ? "int8" : "INTEGER"
  return [
    `CREATE TABLE ${name} (
      key ${text} NOT NULL PRIMARY KEY,
      token ${text} NOT NULL,
      fingerprint ${text} NOT NULL,
      until ${number} NOT NULL,
      result ${text}
    )${dialect === "sqlite" ? " STRICT, WITHOUT ROWID" : ""}`,
    `CREATE INDEX ${name}_until ON ${name} (until) WHERE result IS NOT NULL`
  ]
}

const dialectOf = (sql: SqlClient.SqlClient): Dialect | undefined =>
  sql.onDialectOrElse({
    pg: (): Dialect | undefined => "pg",
    sqlite: () => "sqlite",
    orElse: () => undefined
  })

interface Row {
  readonly token: string
  readonly fingerprint: string
  readonly result: string | null
  /** A truth value, as each database writes it. */
  readonly live: boolean | number
}

/** What the driver and its housekeeping share: the table, once it is there, and the clock. */
const open = (prefix: string, fail: Fail) =>
  Effect.gen(function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const dialect = dialectOf(sql)
    if (dialect === undefined) {
      return yield* fail("store", "", new Error("only PostgreSQL and SQLite are supported"))
    }
    const name = `${prefix}idempotency`
    // A table of the same kind as those of the stores: each service has its versions in one journal.
    const journal = sql(`${prefix}migrations`)
    const applied = Effect.gen(function*() {
      const known = dialect === "pg"
        ? yield* sql`SELECT 1 WHERE to_regclass(${`${prefix}migrations`}) IS NOT NULL`
        : yield* sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ${`${prefix}migrations`}`
      if (known.length === 0) return false
      return (yield* sql`SELECT 1 FROM ${journal} WHERE service = 'idempotency' AND id = 1`).length > 0
    })
    const migrate = Effect.gen(function*() {
      if (dialect === "pg") {
        yield* sql`SELECT pg_advisory_xact_lock(hashtext(${`skald migrations ${prefix}migrations`}))`
      }
      yield* sql.unsafe(
        dialect === "pg"
          ? `CREATE TABLE IF NOT EXISTS ${prefix}migrations
              (service text NOT NULL, id int4 NOT NULL, name text NOT NULL, PRIMARY KEY (service, id))`
          : `CREATE TABLE IF NOT EXISTS ${prefix}migrations
              (service TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (service, id))
              STRICT, WITHOUT ROWID`
      )
      if (yield* applied) return
      for (const statement of table(name, dialect)) yield* sql.unsafe(statement)
      yield* sql`INSERT INTO ${journal} ${sql.insert({ service: "idempotency", id: 1, name })}`
    })
    yield* Effect.mapError(
      Effect.flatMap(applied, (there) => there ? Effect.void : sql.withTransaction(migrate)),
      (cause) => fail("store", "", cause)
    )
    /** The clock that all who use the database share; a file is used on one machine. */
    const now = dialect === "pg"
      ? Effect.succeed(sql.literal("(extract(epoch FROM clock_timestamp()) * 1000)::int8"))
      : Effect.map(Clock.currentTimeMillis, (millis) => sql.literal(String(Math.floor(millis))))
    return { sql, dialect, table: sql(name), now }
  })

export const make = (
  options: { readonly prefix: string; readonly retry: Schedule.Schedule<unknown, IdempotencyError> },
  fail: Fail
): Effect.Effect<Encoded, IdempotencyError, SqlClient.SqlClient> =>
  Effect.map(open(options.prefix, fail), ({ now, sql, table }) => {
    const inTransaction = Effect.withFiberRuntime<boolean>((fiber) =>
      Effect.succeed(
        (fiber.currentContext as Context.Context<never>).unsafeMap.has(SqlClient.TransactionConnection.key)
      )
    )

    /** An operation, tried again where the database fails for a moment; not in a transaction, which is over then. */
    const operation = <A>(
      key: string,
      effect: Effect.Effect<A, SqlError | IdempotencyError>
    ): Effect.Effect<A, IdempotencyError> => {
      const failed = Effect.mapError(effect, (error) => error instanceof SqlError ? fail("store", key, error) : error)
      const again = Effect.retry(failed, { schedule: options.retry, while: (error) => isPassing(error.cause) })
      return Effect.flatMap(inTransaction, (inside) => inside ? failed : again)
    }

    const claim: Encoded["claim"] = ({ fingerprint, key, lease, takeOver, token }) => {
      const attempt: Effect.Effect<Claim, SqlError> = Effect.gen(function*() {
        const at = yield* now
        // The one statement that decides. A key that is being inserted by another transaction is waited for here.
        const claimed = yield* sql<{ readonly token: string }>`
          INSERT INTO ${table} (key, token, fingerprint, until)
          VALUES (${key}, ${token}, ${fingerprint}, ${at} + ${lease})
          ON CONFLICT (key) DO UPDATE SET
            token = excluded.token, fingerprint = excluded.fingerprint, until = excluded.until, result = NULL
          WHERE ${table}.until <= ${at}${takeOver ? sql.literal("") : sql` AND ${table}.result IS NOT NULL`}
          RETURNING token`
        if (claimed.length > 0) return { _tag: "Claimed" }
        const rows = yield* sql<Row>`
          SELECT token, fingerprint, result, until > ${at} AS live FROM ${table} WHERE key = ${key}`
        const row = rows[0]
        // The answer to an earlier attempt of this claim was lost.
        if (row !== undefined && row.token === token && row.result === null) return { _tag: "Claimed" }
        if (row !== undefined && Boolean(row.live)) {
          return row.result === null
            ? { _tag: "Running", fingerprint: row.fingerprint }
            : { _tag: "Done", fingerprint: row.fingerprint, result: row.result }
        }
        if (row !== undefined && row.result === null && !takeOver) return { _tag: "Abandoned" }
        // It was freed, or ran out, in between.
        return yield* attempt
      })
      return operation(key, attempt)
    }

    return {
      inTransaction,
      claim,
      renew: (key, token, lease) =>
        operation(
          key,
          Effect.flatMap(now, (at) =>
            sql`UPDATE ${table} SET until = ${at} + ${lease}
              WHERE key = ${key} AND token = ${token} AND result IS NULL RETURNING key`)
        ).pipe(Effect.map((rows) => rows.length > 0)),
      complete: (key, token, result, timeToLive) =>
        operation(
          key,
          Effect.flatMap(now, (at) =>
            sql`UPDATE ${table} SET until = ${at} + ${timeToLive}, result = ${result}
              WHERE key = ${key} AND token = ${token} AND (result IS NULL OR result = ${result}) RETURNING key`)
        ).pipe(Effect.map((rows) => rows.length > 0)),
      release: (key, token) =>
        Effect.asVoid(operation(
          key,
          sql`DELETE FROM ${table} WHERE key = ${key} AND token = ${token} AND result IS NULL`
        )),
      forget: (key) =>
        operation(
          key,
          Effect.flatMap(now, (at) =>
            sql`DELETE FROM ${table} WHERE key = ${key} AND (result IS NOT NULL OR until <= ${at}) RETURNING key`)
        ).pipe(Effect.map((rows) =>
          rows.length > 0
        ))
    }
  })

/** How many rows one statement removes, so that nobody waits long for it. */
const page = 1_000

export const purge = (prefix: string, fail: Fail): Effect.Effect<number, IdempotencyError, SqlClient.SqlClient> =>
  Effect.flatMap(open(prefix, fail), ({ now, sql, table }) => {
    const next = (removed: number): Effect.Effect<number, SqlError> =>
      Effect.flatMap(now, (at) =>
        Effect.flatMap(
          sql`DELETE FROM ${table} WHERE key IN
            (SELECT key FROM ${table} WHERE result IS NOT NULL AND until <= ${at} LIMIT ${page}) RETURNING key`,
          (rows) => rows.length < page ? Effect.succeed(removed + rows.length) : next(removed + rows.length)
        ))
    return Effect.mapError(next(0), (cause) => fail("store", "", cause))
  })
