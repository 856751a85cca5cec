import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Tallies, Tally } from "../../bus/BusDriver.ts"
import type { BusError } from "../../bus/BusError.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import * as Parts from "../parts.ts"
import type { Dialect } from "../sql/dialect.ts"
import type { Migration } from "../sql/migrations.ts"
import * as ServiceTables from "../sql/serviceTables.ts"
import * as BusRows from "./sqlRows.ts"

const migrations = ({ text }: Dialect): ReadonlyArray<Migration> => [{
  id: 1,
  name: "bus tallies",
  up: (table) => [
    `CREATE TABLE ${table("bus_tallies")} (
      subscription ${text} PRIMARY KEY,
      messages BIGINT NOT NULL,
      failures BIGINT NOT NULL
    )`
  ]
}]

/** One row a subscription, which all processes add to. */
export const make = (
  given: string | undefined
): Effect.Effect<Tallies, BusError | InvalidInput, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const { dialect, prefix, sql } = yield* ServiceTables.open(given, "bus tallies", migrations)
    const table = sql(`${prefix}bus_tallies`)

    /** Never in a transaction of the caller's: what was counted is counted. */
    const run = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, BusError> =>
      Effect.mapError(
        effect,
        (error) => BusRows.busError("EventBus.tally", dialect.storeError("EventBus.tally", error))
      )
        .pipe(Effect.mapInputContext(Context.omit(SqlClient.TransactionConnection) as <C>(context: C) => C))

    const tallies: Tallies = {
      // in one order: of two who add at once, none waits for the other in a circle
      add: (tallies) =>
        run(
          Effect.forEach(
            Parts.of([...tallies].sort((a, b) => a.subscription < b.subscription ? -1 : 1), 50),
            (rows) =>
              sql`INSERT INTO ${table} AS t ${
                sql.insert(rows.map(({ failures, messages, subscription }) => ({ subscription, messages, failures })))
              } ON CONFLICT (subscription) DO UPDATE SET
                messages = t.messages + excluded.messages, failures = t.failures + excluded.failures`,
            { discard: true }
          )
        ),
      all: run(
        Effect.map(
          sql<{ readonly subscription: string; readonly messages: unknown; readonly failures: unknown }>`
            SELECT subscription, messages, failures FROM ${table}`,
          (rows) =>
            rows.map(({ failures, messages, subscription }): Tally => ({
              subscription,
              messages: Number(messages),
              failures: Number(failures)
            }))
        )
      ),
      keep: (subscriptions) => {
        const names = JSON.stringify(subscriptions)
        return run(
          Effect.asVoid(sql.onDialectOrElse({
            pg: () =>
              sql`DELETE FROM ${table} WHERE subscription NOT IN (SELECT json_array_elements_text(${names}::json))`,
            orElse: () => sql`DELETE FROM ${table} WHERE subscription NOT IN (SELECT value FROM json_each(${names}))`
          }))
        )
      }
    }
    return tallies
  }).pipe(Effect.mapError((error) => error._tag === "StoreError" ? BusRows.busError("EventBus", error) : error))
