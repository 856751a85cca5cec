/**
 * The five programs.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, type Layer } from "effect"
import type { EventBus } from "effect-skald/bus/EventBus"
import type { TransactionalInbox } from "effect-skald/bus/Inbox"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Events from "./Events.ts"
import { type Command, handled, once, onError, seenBy, tell } from "./Program.ts"

export interface Program {
  /** In SQL that SQLite and PostgreSQL both understand. */
  readonly tables: ReadonlyArray<string>
  readonly subscription: Layer.Layer<
    never,
    Subscription.SubscribeError,
    EventBus | SqlClient.SqlClient | TransactionalInbox
  >
  readonly commands: { readonly [name: string]: Command }
}

/** How much there is of each item, in the beginning. */
export const stock = 10

const nothing = () => Effect.void

const seenTable = (program: string) =>
  `CREATE TABLE IF NOT EXISTS ${seenBy(program)} (id TEXT NOT NULL, type TEXT NOT NULL)`

/** Who is there, and how many of their orders were confirmed. */
const users: Program = {
  tables: [
    seenTable("users"),
    "CREATE TABLE IF NOT EXISTS users_users (name TEXT PRIMARY KEY, confirmed INTEGER NOT NULL)"
  ],
  subscription: Subscription.layer("users", {
    events: [Events.OrderConfirmed],
    concurrency: 4,
    handler: handled("users", ({ user }) =>
      Effect.flatMap(
        SqlClient.SqlClient,
        (sql) => sql`UPDATE users_users SET confirmed = confirmed + 1 WHERE name = ${user}`
      )),
    onError
  }),
  commands: {
    register: (user = "") =>
      once(
        (sql) =>
          sql`INSERT INTO users_users ${
            sql.insert({ name: user, confirmed: 0 })
          } ON CONFLICT DO NOTHING RETURNING name`,
        tell(Events.UserRegistered({ user }), user)
      )
  }
}

/** Orders, from when they are placed until there is, or is not, enough of what they are for. */
const orders: Program = {
  tables: [
    seenTable("orders"),
    "CREATE TABLE IF NOT EXISTS orders_orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, status TEXT NOT NULL)"
  ],
  subscription: Subscription.layer("orders", {
    ...Subscription.handlers([Events.UserRegistered, Events.StockReserved, Events.StockShort], {
      UserRegistered: handled("orders", nothing),
      StockReserved: handled("orders", ({ order }) => decide(order, "confirmed")),
      StockShort: handled("orders", ({ order }) => decide(order, "rejected"))
    }),
    concurrency: 4,
    onError
  }),
  commands: {
    place: (order = "", user = "", item = "") =>
      once(
        (sql) =>
          sql`INSERT INTO orders_orders ${
            sql.insert({ id: order, customer: user, status: "placed" })
          } ON CONFLICT DO NOTHING RETURNING id`,
        tell(Events.OrderPlaced({ order, user, item }), order)
      )
  }
}

const decide = (order: string, status: "confirmed" | "rejected") =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ readonly customer: string }>`
      UPDATE orders_orders SET status = ${status} WHERE id = ${order} RETURNING customer`
    const outcome = { order, user: row!.customer }
    yield* tell(status === "confirmed" ? Events.OrderConfirmed(outcome) : Events.OrderRejected(outcome), order)
  })

/** What there is. */
const inventory: Program = {
  tables: [
    seenTable("inventory"),
    "CREATE TABLE IF NOT EXISTS inventory_taken (item TEXT PRIMARY KEY, taken INTEGER NOT NULL)"
  ],
  subscription: Subscription.layer("inventory", {
    events: [Events.OrderPlaced],
    concurrency: 4,
    handler: handled("inventory", ({ item, order }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql`
          INSERT INTO inventory_taken AS known ${sql.insert({ item, taken: 1 })}
          ON CONFLICT (item) DO UPDATE SET taken = known.taken + 1 WHERE known.taken < ${stock} RETURNING taken`
        yield* tell(rows.length > 0 ? Events.StockReserved({ order }) : Events.StockShort({ order }), order)
      })),
    onError
  }),
  commands: {}
}

/** What people are told: each message once. */
const notifications: Program = {
  tables: [
    seenTable("notifications"),
    "CREATE TABLE IF NOT EXISTS notifications_sent (recipient TEXT NOT NULL, text TEXT NOT NULL)"
  ],
  subscription: Subscription.layer("notifications", {
    ...Subscription.handlers([Events.UserRegistered, Events.OrderConfirmed, Events.OrderRejected], {
      UserRegistered: handled("notifications", ({ user }) => send(user, "Welcome.")),
      OrderConfirmed: handled("notifications", ({ order, user }) => send(user, `${order} is on its way.`)),
      OrderRejected: handled("notifications", ({ order, user }) => send(user, `There is nothing left for ${order}.`))
    }),
    concurrency: 4,
    onError
  }),
  commands: {}
}

const send = (recipient: string, text: string) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`INSERT INTO notifications_sent ${sql.insert({ recipient, text })}`
  )

/** Everything that happens. It need not know the events: it sees them all. */
const analytics: Program = {
  tables: [seenTable("analytics")],
  subscription: Subscription.layerSelect("analytics", {
    select: "**",
    concurrency: 4,
    handler: handled("analytics", nothing),
    onError
  }),
  commands: {}
}

export const programs = { users, orders, inventory, notifications, analytics }

export type Name = keyof typeof programs

export const names = Object.keys(programs) as ReadonlyArray<Name>
