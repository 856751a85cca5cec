/**
 * Snapshots in a table of a SQL database: SQLite or PostgreSQL.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { DateTime, Effect, Layer, Option, type Schedule } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import type { SnapshotRow } from "../internal/sql/dialect.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
import type { Fingerprint } from "./Snapshot.ts"
import * as SnapshotStore from "./SnapshotStore.ts"
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
  /**
   * How what may be done twice is tried again after its connection was lost, outside of transactions; `Postgres.retry` by
   * default. SQLite has no connection to lose.
   */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

/** Integers of 64 bits come as text from some databases. */
const fromRow = (row: { readonly [column in keyof SnapshotRow]: any }): SnapshotStore.Stored => ({
  key: row.key,
  fingerprint: row.fingerprint as Fingerprint,
  version: Number(row.version) as StreamVersion,
  ...(row.position === null ? {} : { position: Number(row.position) as Position }),
  state: row.state,
  savedAt: DateTime.unsafeMake(Number(row.saved_at))
})

/**
 * Keeps snapshots in the database of the `SqlClient`, and joins the transaction of the caller.
 *
 * @example
 * ```ts
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import * as SqlSnapshots from "effect-skald/store/SqlSnapshots"
 * import { Layer } from "effect"
 *
 * export const Snapshots = SqlSnapshots.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<SnapshotStore.SnapshotStore, StoreError | InvalidInput, SqlClient.SqlClient> =>
  Layer.effect(
    SnapshotStore.SnapshotStore,
    Effect.gen(function*() {
      const { dialect, prefix, sql } = yield* ServiceTables.open(
        options.prefix,
        "snapshots",
        ({ tables }) => tables.snapshots
      )
      const { saveSnapshot, storeError } = dialect
      const table = sql(`${prefix}snapshots`)
      const again = dialect.again(options.retry)

      return SnapshotStore.makeEncoded({
        load: (key, fingerprint) =>
          sql<SnapshotRow>`SELECT * FROM ${table} WHERE key = ${key} AND fingerprint = ${fingerprint}`.pipe(
            Effect.map((rows) => Option.map(Option.fromNullable(rows[0]), fromRow)),
            Effect.mapError((error) => storeError("SnapshotStore.load", error)),
            again
          ),
        save: (snapshot) =>
          saveSnapshot(sql, table, {
            key: snapshot.key,
            fingerprint: snapshot.fingerprint,
            version: snapshot.version,
            position: snapshot.position ?? null,
            state: snapshot.state,
            saved_at: Math.floor(snapshot.savedAt.epochMillis)
          }).pipe(Effect.mapError((error) => storeError("SnapshotStore.save", error)), again),
        remove: (key) =>
          sql`DELETE FROM ${table} WHERE key = ${key}`.pipe(
            Effect.asVoid,
            Effect.mapError((error) => storeError("SnapshotStore.remove", error)),
            again
          )
      })
    })
  )
