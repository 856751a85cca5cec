import type { SqlClient } from "@effect/sql/SqlClient"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { Dialect } from "./dialect.ts"

/** Statements of the databases that know `ON CONFLICT` and `RETURNING`. */
export const statements: Pick<Dialect, "wrote" | "saveSnapshot" | "addCheckpoint"> = {
  wrote: (sql, statement) => someRow(sql`${statement} RETURNING 1 AS one`),
  saveSnapshot: (sql, table, row) =>
    wrote(
      sql,
      sql`INSERT INTO ${table} ${sql.insert({ ...row })} ON CONFLICT (key, fingerprint) DO UPDATE
        SET version = excluded.version, position = excluded.position, state = excluded.state, saved_at = excluded.saved_at
        WHERE (excluded.version, coalesce(excluded.position, -1)) >= (${table}.version, coalesce(${table}.position, -1))`
    ),
  addCheckpoint: (sql, table, row) =>
    wrote(sql, sql`INSERT INTO ${table} ${sql.insert({ ...row })} ON CONFLICT (name) DO NOTHING`)
}

const someRow = <E>(rows: Effect.Effect<ReadonlyArray<unknown>, E>): Effect.Effect<boolean, E> =>
  Effect.map(rows, (rows) => rows.length > 0)

const wrote = (sql: SqlClient, statement: Statement.Fragment) => statements.wrote(sql, statement)
