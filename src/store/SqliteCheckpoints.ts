/**
 * Checkpoints in a table of a SQLite file, moved in the transaction that writes the read model.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Layer } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import { storeError } from "../internal/sqliteErrors.ts"
import * as Migrations from "../internal/sqliteMigrations.ts"
import { transact } from "../internal/sqlTransaction.ts"
import * as CheckpointStore from "./CheckpointStore.ts"
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
  name: "checkpoints",
  up: (table) => [
    `CREATE TABLE ${table("checkpoints")} (name TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL)
      STRICT, WITHOUT ROWID`
  ]
}]

/**
 * Keeps checkpoints in the SQLite file of the `SqlClient`; `commit` is one transaction, or part of the caller's.
 *
 * @example
 * ```ts
 * import * as SqliteCheckpoints from "effect-skald/store/SqliteCheckpoints"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { Layer } from "effect"
 *
 * export const Checkpoints = SqliteCheckpoints.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<CheckpointStore.CheckpointStore, StoreError | InvalidInput, SqlClient.SqlClient> =>
  Layer.effect(
    CheckpointStore.CheckpointStore,
    Effect.gen(function*() {
      const prefix = yield* Migrations.checkPrefix(options.prefix)
      yield* Migrations.migrate(prefix, "checkpoints", migrations)
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const table = sql(`${prefix}checkpoints`)

      const get = (name: string) =>
        sql<{ position: Position }>`SELECT position FROM ${table} WHERE name = ${name}`.pipe(
          Effect.map((rows) => rows[0]?.position),
          Effect.mapError((error) => storeError("CheckpointStore.get", error))
        )
      const set: CheckpointStore.Encoded["set"] = (name, expected, next) =>
        (expected === undefined
          ? sql`INSERT INTO ${table} ${sql.insert({ name, position: next })} ON CONFLICT DO NOTHING RETURNING name`
          : sql`UPDATE ${table} SET position = ${next} WHERE name = ${name} AND position = ${expected} RETURNING name`)
          .pipe(
            Effect.mapError((error) => storeError("CheckpointStore.commit", error)),
            Effect.flatMap((rows) => rows.length > 0 ? moved : Effect.map(get(name), (actual) => ({ actual })))
          )

      return CheckpointStore.makeEncoded({
        rollsBack: true,
        get,
        set,
        remove: (name) =>
          sql`DELETE FROM ${table} WHERE name = ${name}`.pipe(
            Effect.asVoid,
            Effect.mapError((error) => storeError("CheckpointStore.remove", error))
          ),
        atomically: () => transact(sql, "CheckpointStore.commit")
      })
    })
  )

/** The answer where nobody had moved it. */
const moved: Effect.Effect<undefined> = Effect.as(Effect.void, undefined)
