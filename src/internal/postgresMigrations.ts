import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, type Either } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { StoreError } from "../store/StoreError.ts"
import * as Faults from "./faults.ts"
import { storeError } from "./postgresErrors.ts"

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

/**
 * A prefix stands in statements as it is, so that only what is plainly a name is taken: lower-case, as PostgreSQL makes
 * of it anyway, and short enough to leave room for the names of indexes.
 */
export const checkPrefix = (prefix: string | undefined): Either.Either<string, InvalidInput> => {
  const faults = Faults.make()
  const value: unknown = prefix ?? defaultPrefix
  if (typeof value !== "string" || !/^[a-z_][a-z0-9_]{0,39}$/.test(value) || value.startsWith("pg_")) {
    faults.add(
      "prefix",
      `must be at most 40 of a-z, 0-9 and _, not beginning with a digit or pg_, got ${Faults.show(value)}`
    )
  }
  return Faults.orInvalid(faults, () => value as string)
}

/**
 * Brings the tables of one service up to date, in one transaction, and writes nothing where they are. Several processes
 * may do it at once: one does, the others wait. Tables made by a newer version of the library are refused.
 */
export const migrate = Effect.fnUntraced(function*(
  prefix: string,
  service: string,
  migrations: ReadonlyArray<Migration>
) {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const journal = `${prefix}migrations`
  const table = (name: string) => `${prefix}${name}`
  const newest = migrations.reduce((most, migration) => Math.max(most, migration.id), 0)

  const applied = Effect.gen(function*() {
    const known = yield* sql<{ there: boolean }>`SELECT to_regclass(${journal}) IS NOT NULL AS there`
    if (known[0]?.there !== true) return 0
    const rows = yield* sql<{ id: number | null }>`SELECT max(id) AS id FROM ${sql(journal)} WHERE service = ${service}`
    return rows[0]?.id ?? 0
  })

  const run = Effect.gen(function*() {
    yield* sql`SELECT pg_advisory_xact_lock(hashtext(${`skald migrations ${journal}`}))`
    yield* sql`CREATE TABLE IF NOT EXISTS ${
      sql(journal)
    } (service text NOT NULL, id int4 NOT NULL, name text NOT NULL, PRIMARY KEY (service, id))`
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
}, (effect, _, service) => Effect.mapError(effect, (error) => storeError(`migrate ${service}`, error)))
