import type { SqlClient } from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { BusError } from "../../bus/BusError.ts"
import type { Service } from "../../bus/Inbox.ts"
import { busError } from "./sqlRows.ts"
import type { Dialect } from "../sql/dialect.ts"
import type { Migration } from "../sql/migrations.ts"

/** Names compare byte by byte, as they do everywhere else. */
export const migrations = ({ text }: Dialect, sql: SqlClient): ReadonlyArray<Migration> => {
  const { end, number } = sql.onDialectOrElse({
    pg: () => ({ number: "int8", end: "" }),
    orElse: () => ({ number: "INTEGER", end: " STRICT, WITHOUT ROWID" })
  })
  return [{
    id: 1,
    name: "inbox",
    up: (table) => [
      `CREATE TABLE ${table("inbox")} (
        subscription ${text} NOT NULL,
        id ${text} NOT NULL,
        handled_at ${number} NOT NULL,
        PRIMARY KEY (subscription, id)
      )${end}`,
      `CREATE INDEX ${table("inbox")}_handled_at ON ${table("inbox")} (handled_at)`
    ]
  }]
}

/** How many rows one statement removes, so that nobody waits long for it. */
const page = 1_000

/** Keeps an error of the handler's apart from one of the transaction, which may have the same tag. */
class Own<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

export interface Inbox extends Service {
  /** Forgets what was handled so many milliseconds ago, and says how many there were. */
  readonly forget: (keep: number) => Effect.Effect<number, BusError>
}

export const make = (
  sql: SqlClient,
  dialect: Dialect,
  prefix: string,
  clock: "database" | "process"
): Inbox => {
  const table = sql(`${prefix}inbox`)
  const now = clock === "database"
    ? Effect.succeed(sql.literal(dialect.now))
    : Effect.map(Clock.currentTimeMillis, (millis) => sql.literal(String(Math.floor(millis))))
  const transact = dialect.transact(sql, "Inbox.once")

  return {
    once: (subscription, id, handler) =>
      Effect.gen(function*() {
        const at = yield* now
        // One that another transaction has just inserted is waited for here.
        const inserted = yield* Effect.mapError(
          sql`INSERT INTO ${table} (subscription, id, handled_at) VALUES (${subscription}, ${id}, ${at})
            ON CONFLICT (subscription, id) DO NOTHING RETURNING id`,
          (error) => busError("Inbox.once", dialect.storeError("Inbox.once", error))
        )
        if (inserted.length === 0) return false
        yield* Effect.mapError(handler, (error) => new Own(error))
        return true
      }).pipe(
        transact,
        Effect.mapError((error) => error instanceof Own ? error.error : busError("Inbox.once", error))
      ),
    forget: (keep) => {
      const next = (removed: number): Effect.Effect<number, BusError> =>
        Effect.flatMap(now, (at) =>
          sql`DELETE FROM ${table} WHERE (subscription, id) IN (
            SELECT subscription, id FROM ${table} WHERE handled_at <= ${at} - ${keep} LIMIT ${page}
          ) RETURNING id`).pipe(
            Effect.mapError((error) => busError("Inbox.purge", dialect.storeError("Inbox.purge", error))),
            Effect.flatMap((rows) =>
              rows.length < page ? Effect.succeed(removed + rows.length) : next(removed + rows.length)
            )
          )
      return next(0)
    }
  }
}
