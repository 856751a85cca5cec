import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Faults from "../faults.ts"
import { storeError } from "./errors.ts"
import * as Migrations from "../sql/migrations.ts"

/** A prefix stands in statements as it is, so that only what is plainly a name is taken. */
export const checkPrefix = (prefix: string | undefined): Either.Either<string, InvalidInput> => {
  const faults = Faults.make()
  const value: unknown = prefix ?? Migrations.defaultPrefix
  if (typeof value !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(value) || /^sqlite_/i.test(value)) {
    faults.add(
      "prefix",
      `must be letters, digits and _, not beginning with a digit or sqlite_, got ${Faults.show(value)}`
    )
  }
  return Faults.orInvalid(faults, () => value as string)
}

/** Migrations; a read-only file whose tables are up to date opens. A transaction holds the one write lock from its beginning. */
export const migrate: Migrations.Migrate = Migrations.make({
  hasTable: (sql, table) =>
    Effect.map(sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ${table}`, (rows) => rows.length > 0),
  exclude: () => Effect.void,
  journal:
    "(service TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (service, id)) STRICT, WITHOUT ROWID",
  storeError
})
