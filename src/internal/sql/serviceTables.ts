import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Dialect from "./dialect.ts"
import type { Migration } from "./migrations.ts"

/** What a service needs to speak to its tables. */
export interface ServiceTables {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect.Dialect
  /** What their names begin with, checked. */
  readonly prefix: string
}

/** The tables of one service in the database of the `SqlClient`, brought up to date. */
export const open = (
  prefix: string | undefined,
  service: string,
  migrations: (dialect: Dialect.Dialect, sql: SqlClient.SqlClient) => ReadonlyArray<Migration>
): Effect.Effect<ServiceTables, StoreError | InvalidInput, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const dialect = yield* Dialect.of(sql)
    const checked = yield* dialect.checkPrefix(prefix)
    yield* dialect.migrate(checked, service, migrations(dialect, sql))
    return { sql, dialect, prefix: checked }
  })
