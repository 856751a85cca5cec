/**
 * Leases in a table of a SQL database, SQLite or PostgreSQL, among the processes that use it.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { Clock, Effect, Layer, Option, type Schedule } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Process from "../internal/store/lease.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
import * as Lease from "./Lease.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * How the table is called, and whose clock counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
  /**
   * Whose clock tells whether a lease has run out. By default a server's own, so that machines whose clocks differ agree;
   * on SQLite that of the process, Effect's `Clock`. Tests by `TestClock` ask for `process`. All who share the
   * table must use the same.
   */
  readonly clock?: "database" | "process" | undefined
  /**
   * How what may be done twice is tried again after its connection was lost, outside of transactions; `Postgres.retry` by
   * default. SQLite has no connection to lose.
   */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

interface Row {
  readonly token: unknown
  readonly machine: string
  readonly process: string
  /** 1 or 0. */
  readonly held: number
}

/**
 * Keeps leases in the database of the `SqlClient`. Tokens outlive the process; the row of a name stays for that.
 *
 * - A holder that died is replaced at once where that is certain: each row tells its holder's machine (host name, boot and
 *   namespace of process ids) and process (id and start time), and one who wants the lease on the same machine asks the
 *   system whether that process still lives. Elsewhere, and where the system does not tell, the lease runs out.
 * - `check` inside a transaction of the same database holds until its end: nobody takes over before the commit. On
 *   SQLite nobody else can write meanwhile; on PostgreSQL the lease's row is locked, which delays neither its renewal nor
 *   anything but its next holder. There the transaction must be able to write.
 *
 * @example
 * ```ts
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import * as SqlLeases from "effect-skald/store/SqlLeases"
 * import { Layer } from "effect"
 *
 * export const Leases = SqlLeases.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
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
      const { dialect, prefix, sql } = yield* ServiceTables.open(
        options.prefix,
        "leases",
        ({ tables }) => tables.leases
      )
      const { claimLease, storeError, wrote } = dialect
      const table = sql(`${prefix}leases`)
      const again = dialect.again(options.retry)
      const holding = sql.literal(dialect.holding)

      const databaseNow = sql.literal(dialect.now)
      /** The time, and the time after so many milliseconds, as expressions. */
      const clock = (options.clock ?? dialect.clock) === "database"
        ? Effect.succeed({ now: databaseNow, after: (ttl: number) => sql`${databaseNow} + ${ttl}` })
        : Effect.map(Clock.currentTimeMillis, (millis) => ({
          now: sql`${Math.floor(millis)}`,
          after: (ttl: number) => sql`${Math.floor(millis) + ttl}`
        }))

      return Lease.makeEncoded({
        claim: (name, owner, ttl) =>
          Effect.gen(function*() {
            const { after, now } = yield* clock
            const [row] = yield* sql<Row>`SELECT token, machine, process,
              CASE WHEN expires_at > ${now} THEN 1 ELSE 0 END AS held FROM ${table} WHERE name = ${name}`
            const isHeld = row !== undefined && row.held === 1
            if (isHeld && !Process.isDead(row.machine, row.process)) return Option.none<number>()
            // The one statement that decides; the row may have changed since it was read.
            const token = yield* claimLease(sql, table, {
              name,
              owner,
              machine: Process.machine,
              process: Process.self,
              now,
              expiresAt: after(ttl),
              seen: row === undefined ? undefined : { dead: isHeld ? Number(row.token) : undefined }
            })
            return Option.fromNullable(token)
          }).pipe(Effect.mapError((error) => storeError("Lease.acquire", error)), again),
        renew: (name, token, ttl) =>
          Effect.flatMap(clock, ({ after, now }) =>
            wrote(
              sql,
              sql`UPDATE ${table} SET expires_at = ${after(ttl)}
                WHERE name = ${name} AND token = ${token} AND expires_at > ${now}`
            )).pipe(Effect.mapError((error) => storeError("Lease.renew", error))),
        release: (name, token) =>
          sql`UPDATE ${table} SET expires_at = 0 WHERE name = ${name} AND token = ${token}`.pipe(
            Effect.asVoid,
            Effect.mapError((error) => storeError("Lease.release", error))
          ),
        isValid: (name, token) =>
          Effect.flatMap(
            clock,
            ({ now }) =>
              sql`SELECT 1 AS one FROM ${table} WHERE name = ${name} AND token = ${token} AND expires_at > ${now} ${holding}`
          )
            .pipe(
              Effect.map((rows) => rows.length > 0),
              Effect.mapError((error) => storeError("Lease.check", error)),
              again
            )
      })
    })
  )
