import { SqlClient } from "@effect/sql"
import { Effect, Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionContext from "effect-skald/cqrs/ProjectionContext"
import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
import { Deposited } from "./wallet.ts"

/** One row an event, in the order of the rows: one too many, or one missing, would show. */
export const Amounts = Projection.handler("amounts", {
  events: [Deposited],
  handle: Projection.each(({ amount }, { position }) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO amounts ${sql.insert({ position, amount })}`)
  )
})

export const sumOfAmounts = Projection.make("sum of amounts", {
  events: [Deposited],
  state: Schema.Struct({ events: Schema.Number, sum: Schema.Number }),
  initial: { events: 0, sum: 0 },
  apply: ({ events, sum }, { amount }) => ({ events: events + 1, sum: sum + amount })
})

/** The same, with who wrote the row. */
export const AmountsByProcess = Projection.handler("amounts by process", {
  events: [Deposited],
  handle: Projection.each(({ amount }, { position }) =>
    Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`INSERT INTO by_process ${sql.insert({ position, amount, process: process.pid })}`
    )
  )
})

/** A table for each model. */
export const modelOf = (generation: number): string => `model_${generation}`

/** One row an event, in the table of the model that is written. */
export const AmountsByModel = Projection.handler("amounts by model", {
  events: [Deposited],
  handle: Projection.each(({ amount }, { position }) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = modelOf(yield* ProjectionContext.Generation)
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ position, amount })}`
    })
  )
})

/** Rebuilds it into an empty table. */
export const rebuildAmounts = ProjectionRebuild.rebuild(AmountsByModel, {
  prepare: (generation) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`DROP TABLE IF EXISTS ${sql(modelOf(generation))}`
      yield* sql`CREATE TABLE ${sql(modelOf(generation))} (position INTEGER, amount INTEGER)`
    })
})
