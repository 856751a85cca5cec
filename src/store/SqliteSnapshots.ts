/**
 * Snapshots in a table of a SQLite file.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { DateTime, Effect, Layer, Option } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import { storeError } from "../internal/sqliteErrors.ts"
import * as Migrations from "../internal/sqliteMigrations.ts"
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
}

const migrations: ReadonlyArray<Migrations.Migration> = [{
  id: 1,
  name: "snapshots",
  up: (table) => [
    `CREATE TABLE ${table("snapshots")} (
      key TEXT NOT NULL,
      fingerprint TEXT NOT NULL,
      version INTEGER NOT NULL,
      position INTEGER,
      state TEXT NOT NULL,
      saved_at INTEGER NOT NULL,
      PRIMARY KEY (key, fingerprint)
    ) STRICT`
  ]
}]

interface Row {
  readonly key: string
  readonly fingerprint: Fingerprint
  readonly version: StreamVersion
  readonly position: Position | null
  readonly state: string
  readonly saved_at: number
}

const fromRow = (row: Row): SnapshotStore.Stored => ({
  key: row.key,
  fingerprint: row.fingerprint,
  version: row.version,
  ...(row.position === null ? {} : { position: row.position }),
  state: row.state,
  savedAt: DateTime.unsafeMake(row.saved_at)
})

/**
 * Keeps snapshots in the SQLite file of the `SqlClient`, and joins the transaction of the caller.
 *
 * @example
 * ```ts
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import * as SqliteSnapshots from "effect-skald/store/SqliteSnapshots"
 * import { Layer } from "effect"
 *
 * export const Snapshots = SqliteSnapshots.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
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
      const prefix = yield* Migrations.checkPrefix(options.prefix)
      yield* Migrations.migrate(prefix, "snapshots", migrations)
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const table = sql(`${prefix}snapshots`)

      const driver: SnapshotStore.Encoded = {
        load: (key, fingerprint) =>
          sql<Row>`SELECT * FROM ${table} WHERE key = ${key} AND fingerprint = ${fingerprint}`.pipe(
            Effect.map((rows) => Option.map(Option.fromNullable(rows[0]), fromRow)),
            Effect.mapError((error) => storeError("SnapshotStore.load", error))
          ),
        save: (snapshot) =>
          sql`INSERT INTO ${table} ${
            sql.insert({
              key: snapshot.key,
              fingerprint: snapshot.fingerprint,
              version: snapshot.version,
              position: snapshot.position ?? null,
              state: snapshot.state,
              saved_at: Math.floor(snapshot.savedAt.epochMillis)
            })
          } ON CONFLICT (key, fingerprint) DO UPDATE
            SET version = excluded.version, position = excluded.position, state = excluded.state, saved_at = excluded.saved_at
            WHERE (excluded.version, coalesce(excluded.position, -1)) >= (${table}.version, coalesce(${table}.position, -1))
            RETURNING version`.pipe(
            Effect.map((rows) => rows.length > 0),
            Effect.mapError((error) => storeError("SnapshotStore.save", error))
          ),
        remove: (key) =>
          sql`DELETE FROM ${table} WHERE key = ${key}`.pipe(
            Effect.asVoid,
            Effect.mapError((error) => storeError("SnapshotStore.remove", error))
          )
      }
      return SnapshotStore.makeEncoded(driver)
    })
  )
