/**
 * Checkpoints in a table of a SQL database, SQLite or PostgreSQL, moved in the transaction that writes the read model.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Layer, type Schedule } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import * as ServiceTables from "../internal/sql/serviceTables.ts"
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
  /**
   * How what may be done twice is tried again after its connection was lost, outside of transactions; `Postgres.retry` by
   * default. SQLite has no connection to lose.
   */
  readonly retry?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * Keeps checkpoints in the database of the `SqlClient`; `commit` is one transaction, or part of the caller's.
 *
 * Two who move one checkpoint at once: the second waits for the first, and then is told of the conflict.
 *
 * @example
 * ```ts
 * import * as SqlCheckpoints from "effect-skald/store/SqlCheckpoints"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { Layer } from "effect"
 *
 * export const Checkpoints = SqlCheckpoints.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
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
      const { dialect, prefix, sql } = yield* ServiceTables.open(
        options.prefix,
        "checkpoints",
        ({ tables }) => tables.checkpoints
      )
      const { addCheckpoint, storeError, transact, wrote } = dialect
      const table = sql(`${prefix}checkpoints`)
      const again = dialect.again(options.retry)

      const get = (name: string) =>
        sql<{ position: unknown }>`SELECT position FROM ${table} WHERE name = ${name}`.pipe(
          Effect.map(([row]) => row === undefined ? undefined : Number(row.position) as Position),
          Effect.mapError((error) => storeError("CheckpointStore.get", error)),
          again
        )
      const set: CheckpointStore.Encoded["set"] = (name, expected, next) =>
        (expected === undefined
          ? addCheckpoint(sql, table, { name, position: next })
          : wrote(sql, sql`UPDATE ${table} SET position = ${next} WHERE name = ${name} AND position = ${expected}`))
          .pipe(
            Effect.mapError((error) => storeError("CheckpointStore.commit", error)),
            Effect.flatMap((isMoved) => isMoved ? moved : Effect.map(get(name), (actual) => ({ actual })))
          )

      return CheckpointStore.makeEncoded({
        rollsBack: true,
        get,
        set,
        remove: (name) =>
          sql`DELETE FROM ${table} WHERE name = ${name}`.pipe(
            Effect.asVoid,
            Effect.mapError((error) => storeError("CheckpointStore.remove", error)),
            again
          ),
        atomically: () => transact(sql, "CheckpointStore.commit")
      })
    })
  )

/** The answer where nobody had moved it. */
const moved: Effect.Effect<undefined> = Effect.as(Effect.void, undefined)
