/** The read model: which orders there are, of whom, how far, and what they brought in. A projection keeps it, in the same file. */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import { events } from "./Order.ts"

const statements = [
  `CREATE TABLE IF NOT EXISTS sales (
    "order" TEXT PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER NOT NULL, status TEXT NOT NULL
  )`,
  `CREATE INDEX IF NOT EXISTS sales_by_customer ON sales (customer, "order")`,
  `CREATE INDEX IF NOT EXISTS sales_by_status ON sales (status, "order")`
]

export const open = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
)

export const Sales = Projection.handler("sales", {
  events,
  handle: Projection.each((event) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => {
      switch (event._tag) {
        case "OrderCreated": {
          const { cents, customer, order } = event
          return sql`INSERT INTO sales ${sql.insert({ order, customer, cents, status: "created" })}`
        }
        case "OrderConfirmed":
          return sql`UPDATE sales SET status = 'confirmed' WHERE "order" = ${event.order}`
        case "OrderFulfilled":
          return sql`UPDATE sales SET status = 'fulfilled' WHERE "order" = ${event.order}`
        case "OrderCancelled":
          return sql`UPDATE sales SET status = 'cancelled' WHERE "order" = ${event.order}`
      }
    })
  )
})

export type Sale = {
  readonly order: string
  readonly customer: string
  readonly cents: number
  readonly status: "created" | "confirmed" | "fulfilled" | "cancelled"
}

/** The orders of a customer. */
export const ofCustomer = (customer: string) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql<Sale>`SELECT * FROM sales WHERE customer = ${customer} ORDER BY "order"`
  )

/** The orders of a status. */
export const ofStatus = (status: Sale["status"]) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql<Sale>`SELECT * FROM sales WHERE status = ${status} ORDER BY "order"`)

export type Total = { readonly name: string; readonly orders: number; readonly cents: number }

/** How many orders there are of each status, and their worth; the revenue is that of those that are fulfilled. */
export const byStatus = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql<Total>`
    SELECT status AS name, count(*) AS orders, sum(cents) AS cents FROM sales GROUP BY status ORDER BY status`)

/** What each customer was sent, and paid. */
export const byCustomer = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql<Total>`
    SELECT customer AS name, count(*) AS orders, sum(cents) AS cents FROM sales
    WHERE status = 'fulfilled' GROUP BY customer ORDER BY sum(cents) DESC, customer`)
