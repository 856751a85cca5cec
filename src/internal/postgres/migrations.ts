import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Faults from "../faults.ts"
import { storeError } from "./errors.ts"
import * as Migrations from "../sql/migrations.ts"

/**
 * A prefix stands in statements as it is, so that only what is plainly a name is taken: lower-case, as PostgreSQL makes
 * of it anyway, and short enough to leave room for the names of indexes.
 */
export const checkPrefix = (prefix: string | undefined): Either.Either<string, InvalidInput> => {
  const faults = Faults.make()
  const value: unknown = prefix ?? Migrations.defaultPrefix
  if (typeof value !== "string" || !/^[a-z_][a-z0-9_]{0,39}$/.test(value) || value.startsWith("pg_")) {
    faults.add(
      "prefix",
      `must be at most 40 of a-z, 0-9 and _, not beginning with a digit or pg_, got ${Faults.show(value)}`
    )
  }
  return Faults.orInvalid(faults, () => value as string)
}

/** Migrations; a lock of its own keeps two processes from making the same tables at once. */
export const migrate: Migrations.Migrate = Migrations.make({
  hasTable: (sql, table) =>
    Effect.map(
      sql<{ there: boolean }>`SELECT to_regclass(${table}) IS NOT NULL AS there`,
      (rows) => rows[0]?.there === true
    ),
  exclude: (sql, journal) => sql`SELECT pg_advisory_xact_lock(hashtext(${`skald migrations ${journal}`}))`,
  journal: "(service text NOT NULL, id int4 NOT NULL, name text NOT NULL, PRIMARY KEY (service, id))",
  storeError
})
