/**
 * Leases in a table of a SQLite file, among the processes that open it.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Clock, Effect, Layer, Option } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Process from "../internal/lease.ts"
import { storeError } from "../internal/sqliteErrors.ts"
import * as Migrations from "../internal/sqliteMigrations.ts"
import * as Lease from "./Lease.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * How the table is called.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
}

const migrations: ReadonlyArray<Migrations.Migration> = [{
  id: 1,
  name: "leases",
  up: (table) => [
    `CREATE TABLE ${table("leases")} (
      name TEXT NOT NULL PRIMARY KEY,
      token INTEGER NOT NULL,
      owner TEXT NOT NULL,
      machine TEXT NOT NULL,
      process TEXT NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`
  ]
}]

interface Row {
  readonly token: number
  readonly machine: string
  readonly process: string
  readonly expires_at: number
}

/**
 * Keeps leases in the SQLite file of the `SqlClient`. Tokens outlive the process; the row of a name stays for that.
 *
 * A holder that died is replaced at once where that is certain: each row tells its holder's machine (host name, boot and
 * namespace of process ids) and process (id and start time), and one who wants the lease on the same machine asks the system
 * whether that process still lives. Elsewhere, and where the system does not tell, the lease runs out.
 * `check` inside a transaction of the same file holds until its commit, since nobody else can write meanwhile.
 *
 * @example
 * ```ts
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import * as SqliteLeases from "effect-skald/store/SqliteLeases"
 * import { Layer } from "effect"
 *
 * export const Leases = SqliteLeases.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Lease.Lease, StoreError | InvalidInput, SqlClient.SqlClient> =>
  Layer.effect(
    Lease.Lease,
    Effect.gen(function*() {
      const prefix = yield* Migrations.checkPrefix(options.prefix)
      yield* Migrations.migrate(prefix, "leases", migrations)
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const table = sql(`${prefix}leases`)

      return Lease.makeEncoded({
        claim: (name, owner, ttl) =>
          Effect.gen(function*() {
            const now = yield* Clock.currentTimeMillis
            const rows = yield* sql<Row>`SELECT token, machine, process, expires_at FROM ${table} WHERE name = ${name}`
            const row = rows[0]
            const dead = row !== undefined && row.expires_at > now && Process.isDead(row.machine, row.process)
            if (row !== undefined && row.expires_at > now && !dead) return Option.none<number>()
            // The one statement that decides; the row may have changed since it was read.
            const claimed = yield* sql<{ token: number }>`
              INSERT INTO ${table} ${
              sql.insert({
                name,
                token: 1,
                owner,
                machine: Process.machine,
                process: Process.self,
                expires_at: Math.floor(now + ttl)
              })
            }
              ON CONFLICT (name) DO UPDATE SET token = ${table}.token + 1, owner = excluded.owner,
                machine = excluded.machine, process = excluded.process, expires_at = excluded.expires_at
              WHERE ${table}.expires_at <= ${now} OR ${table}.token = ${dead ? row.token : -1}
              RETURNING token`
            return Option.map(Option.fromNullable(claimed[0]), ({ token }) => token)
          }).pipe(Effect.mapError((error) => storeError("Lease.acquire", error))),
        renew: (name, token, ttl) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            sql`UPDATE ${table} SET expires_at = ${Math.floor(now + ttl)}
              WHERE name = ${name} AND token = ${token} AND expires_at > ${now} RETURNING token`).pipe(
              Effect.map((rows) => rows.length > 0),
              Effect.mapError((error) => storeError("Lease.renew", error))
            ),
        release: (name, token) =>
          sql`UPDATE ${table} SET expires_at = 0 WHERE name = ${name} AND token = ${token}`.pipe(
            Effect.asVoid,
            Effect.mapError((error) => storeError("Lease.release", error))
          ),
        isValid: (name, token) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            sql`SELECT 1 FROM ${table} WHERE name = ${name} AND token = ${token} AND expires_at > ${now}`).pipe(
              Effect.map((rows) =>
                rows.length > 0
              ),
              Effect.mapError((error) => storeError("Lease.check", error))
            )
      })
    })
  )
