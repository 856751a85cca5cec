import { SqlClient } from "@effect/sql"
import { Effect, Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
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
