/**
 * Parked events in a table of a SQL database, SQLite or PostgreSQL, in the transaction of the projection that parks them.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as Parts from "../internal/parts.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
import type { Migration } from "../internal/sql/migrations.ts"
import type { StoreError } from "./StoreError.ts"
import * as ParkedEvents from "./ParkedEvents.ts"

/**
 * How the table is called.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
  /**
   * How what may be done twice is tried again after its connection was lost, outside of transactions; `Postgres.retry` by
   * default. SQLite has no connection to lose.
   */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

const migrations: ReadonlyArray<Migration> = [{
  id: 1,
  name: "parked events",
  // words that both databases understand
  up: (table) => [
    `CREATE TABLE ${table("parked_events")} (
      projection TEXT NOT NULL,
      position BIGINT NOT NULL,
      stream TEXT NOT NULL,
      tenant TEXT,
      event_id TEXT NOT NULL,
      type TEXT NOT NULL,
      reason TEXT NOT NULL,
      problem TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      parked_at BIGINT NOT NULL,
      PRIMARY KEY (projection, position)
    )`
  ]
}]

interface Row {
  readonly position: unknown
  readonly stream: string
  readonly tenant: string | null
  readonly event_id: string
  readonly type: string
  readonly reason: string
  readonly problem: string
  readonly attempts: unknown
  readonly parked_at: unknown
}

/** Integers of 64 bits come as text from some databases. */
const fromRow = (row: Row): ParkedEvents.Parked => ({
  position: Number(row.position) as Position,
  stream: row.stream as StreamId,
  tenant: row.tenant ?? undefined,
  id: row.event_id,
  type: row.type,
  reason: row.reason === "behind" ? "behind" : "failed",
  problem: row.problem,
  attempts: Number(row.attempts),
  parkedAt: DateTime.unsafeMake(Number(row.parked_at))
})

/**
 * Keeps parked events in the database of the `SqlClient`, and joins the transaction of the caller.
 *
 * @example
 * ```ts
 * import * as SqlParkedEvents from "effect-skald/store/SqlParkedEvents"
 * import * as Sqlite from "effect-skald/Sqlite"
 * import { Layer } from "effect"
 *
 * export const Services = Layer.provideMerge(SqlParkedEvents.layer(), Sqlite.layer({ filename: "shop.db" }))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<ParkedEvents.ParkedEvents, StoreError | InvalidInput, SqlClient.SqlClient> =>
  Layer.effect(
    ParkedEvents.ParkedEvents,
    Effect.gen(function*() {
      const { dialect, prefix, sql } = yield* ServiceTables.open(options.prefix, "parked events", () => migrations)
      const { storeError, transact } = dialect
      const table = sql(`${prefix}parked_events`)
      const again = dialect.again(options.retry)
      const failing = (operation: string) =>
        Effect.mapError((error: unknown) => storeError(`ParkedEvents.${operation}`, error))
      return {
        add: (key, entries) =>
          Effect.forEach(Parts.of(entries, atOnce), (batch) =>
            sql`INSERT INTO ${table} ${
              sql.insert(batch.map((entry) => ({
                projection: key,
                position: entry.position,
                stream: entry.stream,
                tenant: entry.tenant ?? null,
                event_id: entry.id,
                type: entry.type,
                reason: entry.reason,
                problem: entry.problem,
                attempts: entry.attempts,
                parked_at: entry.parkedAt.epochMillis
              })))
            } ON CONFLICT (projection, position) DO NOTHING`, { discard: true }).pipe(failing("add"), again),
        list: (key) =>
          sql<Row>`SELECT * FROM ${table} WHERE projection = ${key} ORDER BY position`.pipe(
            Effect.map((rows) =>
              rows.map(fromRow)
            ),
            failing("list"),
            again
          ),
        remove: (key, positions) =>
          Effect.reduce(Parts.of(positions, atOnce), 0, (removed, batch) =>
            Effect.map(
              sql`DELETE FROM ${table} WHERE projection = ${key} AND ${sql.in("position", batch)} RETURNING 1 AS one`,
              (rows) =>
                removed + rows.length
            )).pipe(failing("remove")),
        failedAgain: (key, position, problem) =>
          sql`UPDATE ${table} SET reason = 'failed', problem = ${problem}, attempts = attempts + 1
            WHERE projection = ${key} AND position = ${position}`.pipe(Effect.asVoid, failing("failedAgain")),
        atomically: transact(sql, "ParkedEvents.atomically")
      }
    })
  )

/** Few enough for the number of parameters that one statement may have. */
const atOnce = 500
