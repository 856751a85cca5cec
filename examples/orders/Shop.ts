/**
 * The inventory and the payments: SQL tables that really hold stock and money. Each operation is one transaction and is told the
 * step's key, so that it happens once, however often it is asked for; undoing what never happened leaves a mark, so that it cannot
 * happen later.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { Effect } from "effect"
import { type Line, Refused } from "./Order.ts"

/** What there is in the beginning: few enough that some orders are refused. */
export const products = [
  { product: "book", cents: 1_200, stock: 180 },
  { product: "lamp", cents: 4_500, stock: 110 },
  { product: "chair", cents: 9_900, stock: 80 }
]
export const customers = Array.from({ length: 12 }, (_, n) => ({ owner: `customer-${n}`, cents: 40_000 + n * 10_000 }))
/** The account of the shop itself. */
export const till = "the shop"

const statements = [
  `CREATE TABLE IF NOT EXISTS product (
    product TEXT PRIMARY KEY,
    cents INTEGER NOT NULL,
    stock INTEGER NOT NULL CHECK (stock >= 0),
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    shipped INTEGER NOT NULL DEFAULT 0
  )`,
  `CREATE TABLE IF NOT EXISTS reservation ("key" TEXT PRIMARY KEY, lines TEXT NOT NULL, state TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS account (owner TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0))`,
  `CREATE TABLE IF NOT EXISTS payment (
    "key" TEXT PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER NOT NULL, state TEXT NOT NULL
  )`
]

const transaction = <A, E, R>(work: (sql: SqlClient.SqlClient) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(work(sql)))

/** Makes the tables, and fills them where they are new. */
export const open = transaction((sql) =>
  Effect.gen(function*() {
    for (const statement of statements) yield* sql.unsafe(statement)
    yield* sql`INSERT INTO product ${sql.insert(products)} ON CONFLICT DO NOTHING`
    yield* sql`INSERT INTO account ${sql.insert([...customers, { owner: till, cents: 0 }])} ON CONFLICT DO NOTHING`
  })
)

/** What the lines of an order cost. */
export const price = Effect.fnUntraced(function*(lines: ReadonlyArray<Line>) {
  const sql = yield* SqlClient.SqlClient
  const known = yield* sql<{ readonly product: string; readonly cents: number }>`SELECT product, cents FROM product`
  let total = 0
  for (const { product, quantity } of lines) {
    const found = known.find((each) => each.product === product)
    if (found === undefined) return yield* new Refused({ why: "unknown product" })
    total += found.cents * quantity
  }
  return total
})

// ------------------------------------------------------------------------------------------------------------- inventory

interface Reservation {
  readonly lines: string
  readonly state: "held" | "released" | "shipped"
}

const reservation = (sql: SqlClient.SqlClient, key: string) =>
  Effect.map(sql<Reservation>`SELECT lines, state FROM reservation WHERE "key" = ${key}`, (rows) => rows[0])

const linesOf = (found: Reservation): ReadonlyArray<Line> => JSON.parse(found.lines)

/** Takes the goods of an order from the stock, all of them or none. */
export const reserve = (lines: ReadonlyArray<Line>, key: string) =>
  transaction((sql) =>
    Effect.gen(function*() {
      const found = yield* reservation(sql, key)
      if (found?.state === "released") return yield* new Refused({ why: "withdrawn" })
      if (found !== undefined) return key
      yield* sql`INSERT INTO reservation ${sql.insert({ key, lines: JSON.stringify(lines), state: "held" })}`
      for (const { product, quantity } of lines) {
        const taken = yield* sql`
          UPDATE product SET stock = stock - ${quantity}, reserved = reserved + ${quantity}
          WHERE product = ${product} AND stock >= ${quantity} RETURNING product`
        if (taken.length === 0) return yield* new Refused({ why: "out of stock" })
      }
      return key
    })
  )

/** Puts them back, if they were taken. */
export const release = (key: string): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  transaction((sql) =>
    Effect.gen(function*() {
      const found = yield* reservation(sql, key)
      if (found === undefined) {
        yield* sql`INSERT INTO reservation ${sql.insert({ key, lines: "[]", state: "released" })}`
      } else if (found.state === "held") {
        yield* sql`UPDATE reservation SET state = 'released' WHERE "key" = ${key}`
        for (const { product, quantity } of linesOf(found)) {
          yield* sql`
            UPDATE product SET stock = stock + ${quantity}, reserved = reserved - ${quantity} WHERE product = ${product}`
        }
      }
    })
  )

/** Sends what is reserved under a key; answers the parcel. */
export const ship = (key: string): Effect.Effect<string, SqlError, SqlClient.SqlClient> =>
  transaction((sql) =>
    Effect.gen(function*() {
      const found = yield* reservation(sql, key)
      if (found?.state === "held") {
        yield* sql`UPDATE reservation SET state = 'shipped' WHERE "key" = ${key}`
        for (const { product, quantity } of linesOf(found)) {
          yield* sql`
            UPDATE product SET reserved = reserved - ${quantity}, shipped = shipped + ${quantity}
            WHERE product = ${product}`
        }
      }
      return `parcel of ${key}`
    })
  )

// -------------------------------------------------------------------------------------------------------------- payments

const paid = (sql: SqlClient.SqlClient, key: string) =>
  Effect.map(
    sql<{ readonly customer: string; readonly cents: number; readonly state: "charged" | "refunded" }>`
      SELECT customer, cents, state FROM payment WHERE "key" = ${key}`,
    (rows) => rows[0]
  )

/** Takes money from a customer. */
export const charge = (customer: string, cents: number, key: string) =>
  transaction((sql) =>
    Effect.gen(function*() {
      const found = yield* paid(sql, key)
      if (found?.state === "refunded") return yield* new Refused({ why: "withdrawn" })
      if (found !== undefined) return key
      const taken = yield* sql`
        UPDATE account SET cents = cents - ${cents} WHERE owner = ${customer} AND cents >= ${cents} RETURNING owner`
      if (taken.length === 0) return yield* new Refused({ why: "declined" })
      yield* sql`UPDATE account SET cents = cents + ${cents} WHERE owner = ${till}`
      yield* sql`INSERT INTO payment ${sql.insert({ key, customer, cents, state: "charged" })}`
      return key
    })
  )

/** Gives it back, if it was taken. */
export const refund = (key: string): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  transaction((sql) =>
    Effect.gen(function*() {
      const found = yield* paid(sql, key)
      if (found === undefined) {
        yield* sql`INSERT INTO payment ${sql.insert({ key, customer: "", cents: 0, state: "refunded" })}`
      } else if (found.state === "charged") {
        yield* sql`UPDATE payment SET state = 'refunded' WHERE "key" = ${key}`
        yield* sql`UPDATE account SET cents = cents - ${found.cents} WHERE owner = ${till}`
        yield* sql`UPDATE account SET cents = cents + ${found.cents} WHERE owner = ${found.customer}`
      }
    })
  )
