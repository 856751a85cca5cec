import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { StoreError } from "../../store/StoreError.ts"

/** What the tables of every driver begin with, unless an option says otherwise. */
export const defaultPrefix = "skald_"

/** One step of one service's tables. Steps are never changed once released; a new step is added. */
export interface Migration {
  /** 1, 2, 3 … */
  readonly id: number
  readonly name: string
  /** The statements of this step, given the full name of a table. */
  readonly up: (table: (name: string) => string) => ReadonlyArray<string>
}

/** What one kind of database does in its own way. */
export interface Database {
  /** Whether there is a table. */
  readonly hasTable: (sql: SqlClient.SqlClient, table: string) => Effect.Effect<boolean, SqlError>
  /** Excludes others who migrate, until the transaction ends. */
  readonly exclude: (sql: SqlClient.SqlClient, journal: string) => Effect.Effect<unknown, SqlError>
  /** The columns of the journal: `service`, `id` and `name`. */
  readonly journal: string
  readonly storeError: (operation: string, error: unknown) => StoreError
}

/** Brings the tables of one service up to date, where the tables of all begin with a prefix that was checked. */
export type Migrate = (
  prefix: string,
  service: string,
  migrations: ReadonlyArray<Migration>
) => Effect.Effect<void, StoreError, SqlClient.SqlClient>

/**
 * Migrations are one transaction, and write nothing where the tables are up to date. Several processes may do it at once: one
 * does, the others wait. Tables made by a newer version of the library are refused.
 */
export const make = (database: Database): Migrate =>
  Effect.fnUntraced(function*(prefix: string, service: string, migrations: ReadonlyArray<Migration>) {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const journal = `${prefix}migrations`
    const table = (name: string) => `${prefix}${name}`
    const newest = migrations.reduce((most, migration) => Math.max(most, migration.id), 0)

    const applied = Effect.gen(function*() {
      if (!(yield* database.hasTable(sql, journal))) return 0
      const rows = yield* sql<{ id: number | null }>`SELECT max(id) AS id FROM ${
        sql(journal)
      } WHERE service = ${service}`
      return rows[0]?.id ?? 0
    })

    const run = Effect.gen(function*() {
      yield* database.exclude(sql, journal)
      yield* sql`CREATE TABLE IF NOT EXISTS ${sql(journal)} ${sql.literal(database.journal)}`
      const done = yield* applied
      for (const migration of migrations) {
        if (migration.id <= done) continue
        for (const statement of migration.up(table)) yield* sql.unsafe(statement)
        yield* sql`INSERT INTO ${sql(journal)} ${sql.insert({ service, id: migration.id, name: migration.name })}`
      }
    })

    const at = yield* applied
    if (at > newest) {
      return yield* new StoreError({
        reason: "unknown",
        operation: `migrate ${service}`,
        cause: new Error(`the tables are at version ${at}, which is newer than this library knows (${newest})`)
      })
    }
    if (at < newest) yield* sql.withTransaction(run)
  }, (effect, _, service) => Effect.mapError(effect, (error) => database.storeError(`migrate ${service}`, error)))
