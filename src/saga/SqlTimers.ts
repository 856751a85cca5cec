/**
 * Timers in a table of a SQL database, SQLite or PostgreSQL, shared by the processes that use it.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Fragment } from "@effect/sql/Statement"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"
import * as Parts from "../internal/parts.ts"
import * as Dialect from "../internal/sql/dialect.ts"
import { isDead } from "../internal/saga/timers.ts"
import type { StoreError } from "./SagaError.ts"
import * as Timers from "./Timers.ts"

/**
 * How the table is called, and how often others look into it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the names of the tables begin with; `skald_` by default. */
  readonly prefix?: string | undefined
  /**
   * How often to look for timers that other processes set, or that a transaction committed after its timer was due; 100 ms
   * on PostgreSQL. On SQLite one process has the file and knows what it sets, so that it looks only every 15 s. At least 1 ms.
   */
  readonly pollInterval?: Duration.DurationInput | undefined
}

interface Row {
  readonly namespace: string
  readonly id: string
  readonly due_at: unknown
  readonly payload: string
}

/** Integers of 64 bits come as text from some databases. */
const fromRow = (row: Row): Timers.Timer => ({
  namespace: row.namespace,
  id: row.id,
  at: Number(row.due_at),
  payload: row.payload
})

/**
 * Keeps timers in the database of the `SqlClient`. What is set or cancelled in a transaction belongs to it.
 *
 * - Instants and claims are told by Effect's `Clock` of each process: the clocks of machines that share a table should agree
 *   within the time of a claim. Where they do not, a timer may be handled twice; it is not lost.
 * - A timer that was claimed is one that another process passes over, until the claim runs out; when this layer is built, what
 *   dead processes of this machine had claimed is free at once.
 * - Due timers are found by an index and read in chunks, so that those which wait cost nothing but their rows.
 *
 * @example
 * ```ts
 * import * as SqlTimers from "effect-skald/saga/SqlTimers"
 * import * as SqliteClient from "effect-skald/store/SqliteClient"
 * import { Layer } from "effect"
 *
 * export const Timers = SqlTimers.layer().pipe(Layer.provide(SqliteClient.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Timers.Timers, StoreError | InvalidInput, SqlClient.SqlClient> =>
  Layer.scoped(
    Timers.Timers,
    Effect.gen(function*() {
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const dialect = yield* Dialect.of(sql)
      const prefix = yield* dialect.checkPrefix(options.prefix)
      const pollInterval = yield* checkInterval(options.pollInterval ?? dialect.timers.pollInterval)
      yield* dialect.migrate(prefix, "timers", dialect.tables.timers)
      const table = sql(`${prefix}timers`)
      const waiting = sql.literal(dialect.changing.waiting)
      const skipping = sql.literal(dialect.changing.skipping)

      const failing = (operation: string) =>
        Effect.mapError((error: unknown) => dialect.storeError(`Timers.${operation}`, error))
      /** Batch by batch, all or none. */
      const inBatches = <A>(
        operation: string,
        all: ReadonlyArray<A>,
        run: (batch: ReadonlyArray<A>) => Effect.Effect<number, SqlError>
      ): Effect.Effect<number, StoreError> =>
        all.length <= batchSize
          ? run(all).pipe(failing(operation))
          : dialect.transact(sql, `Timers.${operation}`)(
            Effect.reduce(Parts.of(all, batchSize), 0, (sum, batch) => Effect.map(run(batch), (count) => sum + count))
              .pipe(
                failing(operation)
              )
          )
      /** Rows are changed in one order, so that two who change several wait for each other and not both. */
      const inOrder = (where: Fragment) =>
        sql`(namespace, id) IN (SELECT namespace, id FROM ${table} WHERE ${where} ORDER BY namespace, id ${waiting})`

      const dead = yield* sql<{ claim: string }>`SELECT DISTINCT claim FROM ${table} WHERE claim IS NOT NULL`.pipe(
        Effect.map((rows) => rows.flatMap((row) => isDead(row.claim) ? [row.claim] : [])),
        failing("layer")
      )
      yield* inBatches("layer", dead, (batch) =>
        batch.length === 0 ? Effect.succeed(0) : Effect.as(
          sql`UPDATE ${table} SET claim = NULL, claimable_at = due_at WHERE ${inOrder(sql.in("claim", batch))}`,
          0
        ))

      const next = (namespaces: ReadonlyArray<string>) =>
        sql<{ namespace: string; claimable_at: unknown }>`${
          sql.join(" UNION ALL ", false)(namespaces.map((namespace, index) =>
            sql`SELECT * FROM (SELECT namespace, claimable_at FROM ${table} WHERE namespace = ${namespace}
              ORDER BY claimable_at, id LIMIT 1) AS ${sql(`of_${index}`)}`
          ))
        }`

      return yield* Timers.makeEncoded({
        set: (timers) =>
          Effect.asVoid(inBatches("set", timers.toSorted(byKey), (batch) =>
            Effect.as(
              sql`INSERT INTO ${table} ${
                sql.insert(batch.map(({ at, id, namespace, payload }) => ({
                  namespace,
                  id,
                  due_at: at,
                  payload,
                  claimable_at: at,
                  claim: null
                })))
              } ON CONFLICT (namespace, id) DO UPDATE SET due_at = excluded.due_at, payload = excluded.payload,
                claimable_at = excluded.claimable_at, claim = NULL`,
              0
            ))),
        cancel: (namespace, ids) =>
          inBatches("cancel", ids.toSorted(), (batch) =>
            Effect.map(
              sql`DELETE FROM ${table} WHERE ${
                inOrder(sql`namespace = ${namespace} AND ${sql.in("id", batch)}`)
              } RETURNING 1 AS one`,
              (rows) => rows.length
            )),
        page: (namespace, after, limit) =>
          sql<Row>`SELECT namespace, id, due_at, payload FROM ${table} WHERE ${
            after === undefined
              ? sql`namespace = ${namespace}`
              : sql`namespace = ${namespace} AND (due_at, id) > (${after.at}, ${after.id})`
          } ORDER BY due_at, id LIMIT ${limit}`.pipe(Effect.map((rows) => rows.map(fromRow)), failing("list")),
        count: (namespace) =>
          sql<{ count: unknown }>`SELECT count(*) AS count FROM ${table} WHERE namespace = ${namespace}`.pipe(
            Effect.map((rows) => Number(rows[0]!.count)),
            failing("count")
          ),
        next: (namespaces) => {
          const all = Effect.forEach(Parts.of(namespaces, namespacesAtOnce), next).pipe(
            Effect.map((parts) => new Map(parts.flat().map((row) => [row.namespace, Number(row.claimable_at)]))),
            failing("serve")
          )
          return dialect.timers.waits ? dialect.transact(sql, "Timers.serve")(all) : all
        },
        claim: ({ claim, limit, namespace, now, until }) =>
          sql<Row>`WITH due AS MATERIALIZED (
              SELECT namespace AS due_namespace, id AS due_id FROM ${table}
              WHERE namespace = ${namespace} AND claimable_at <= ${now}
              ORDER BY claimable_at, id LIMIT ${limit} ${skipping}
            ) UPDATE ${table} SET claim = ${claim}, claimable_at = ${until}
            FROM due WHERE namespace = due_namespace AND id = due_id
            RETURNING namespace, id, due_at, payload`.pipe(
            Effect.map((rows) => rows.map(fromRow)),
            failing("serve")
          ),
        renew: (namespace, claim, until) =>
          sql`UPDATE ${table} SET claimable_at = ${until}
            WHERE ${inOrder(sql`claim = ${claim} AND namespace = ${namespace}`)}`.pipe(Effect.asVoid, failing("serve")),
        finish: (namespace, claim, ids) => {
          const mine = sql`claim = ${claim} AND namespace = ${namespace}`
          return ids === undefined
            ? sql`DELETE FROM ${table} WHERE ${inOrder(mine)}`.pipe(Effect.asVoid, failing("serve"))
            : Effect.asVoid(inBatches("serve", ids.toSorted(), (batch) =>
              Effect.as(sql`DELETE FROM ${table} WHERE ${inOrder(sql`${mine} AND ${sql.in("id", batch)}`)}`, 0)))
        },
        release: (namespace, claim, from) =>
          sql`UPDATE ${table} SET claim = NULL, claimable_at = ${from === undefined ? sql`due_at` : sql`${from}`}
            WHERE ${inOrder(sql`claim = ${claim} AND namespace = ${namespace}`)}`.pipe(Effect.asVoid, failing("serve"))
      }, { pollInterval })
    })
  )

/** Few enough for the number of parameters, and of selects, that one statement may have. */
const batchSize = 500
const namespacesAtOnce = 100

const byKey = (a: Timers.Timer, b: Timers.Timer): number =>
  a.namespace !== b.namespace ? (a.namespace < b.namespace ? -1 : 1) : a.id < b.id ? -1 : 1

const checkInterval = (interval: Duration.DurationInput) =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const millis = Duration.toMillis(interval)
    if (!(millis >= 1)) faults.add("pollInterval", `must be at least 1 ms, got ${millis} ms`)
    return Faults.orInvalid(faults, () => millis)
  })
