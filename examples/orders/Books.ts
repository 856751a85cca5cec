/** Whether the books balance: nothing is lost, nothing is doubled, and three ways of counting come to the same. */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect } from "effect"
import * as Sales from "./Sales.ts"
import { customers, products, till } from "./Shop.ts"

type Product = {
  readonly product: string
  readonly stock: number
  readonly reserved: number
  readonly shipped: number
  readonly cents: number
}
type Account = { readonly owner: string; readonly cents: number }
type Payment = { readonly customer: string; readonly cents: number; readonly state: string }
type Reservation = { readonly lines: string; readonly state: string }

const sum = <A>(all: ReadonlyArray<A>, of: (each: A) => number): number =>
  all.reduce((total, each) => total + of(each), 0)

/** What is wrong, a line for each; once no order is under way. */
export const problems = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const wrong: Array<string> = []
  const same = (what: string, found: number, must: number) => {
    if (found !== must) wrong.push(`${what}: ${found}, and must be ${must}`)
  }

  const goods = yield* sql<Product>`SELECT * FROM product`
  const reservations = yield* sql<Reservation>`SELECT lines, state FROM reservation`
  const sent = reservations.filter(({ state }) => state === "shipped").flatMap(({ lines }) => JSON.parse(lines))
  for (const { product, stock: initial } of products) {
    const now = goods.find((each) => each.product === product)
    if (now === undefined) wrong.push(`${product} is gone`)
    else {
      same(`${product}, in stock and shipped`, now.stock + now.shipped, initial)
      same(`${product}, reserved`, now.reserved, 0)
      const shipped = sum(sent, (line) => line.product === product ? line.quantity : 0)
      same(`${product}, shipped`, now.shipped, shipped)
    }
  }

  const accounts = yield* sql<Account>`SELECT owner, cents FROM account`
  const payments = yield* sql<Payment>`SELECT customer, cents, state FROM payment WHERE state = 'charged'`
  const fulfilled = yield* Sales.ofStatus("fulfilled")
  const balance = (owner: string) => accounts.find((each) => each.owner === owner)?.cents ?? Number.NaN
  same("all money", sum(accounts, ({ cents }) => cents), sum(customers, ({ cents }) => cents))
  same("the till", balance(till), sum(payments, ({ cents }) => cents))
  same("the revenue", sum(fulfilled, ({ cents }) => cents), balance(till))
  same("the worth of what was shipped", sum(goods, ({ cents, shipped }) => cents * shipped), balance(till))
  for (const { cents, owner } of customers) {
    const spent = sum(fulfilled, (sale) => sale.customer === owner ? sale.cents : 0)
    same(`the account of ${owner}`, balance(owner), cents - spent)
  }

  const open = [...(yield* Sales.ofStatus("created")), ...(yield* Sales.ofStatus("confirmed"))]
  same("orders under way", open.length, 0)
  same("parcels", reservations.filter(({ state }) => state === "shipped").length, fulfilled.length)
  return wrong
})
