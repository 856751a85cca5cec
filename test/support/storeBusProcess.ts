import * as OnError from "effect-skald/bus/OnError"
import * as StoreBus from "effect-skald/bus/StoreBus"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as PostgresServices from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import { SqlClient } from "@effect/sql"
import { Effect, Layer, Redacted, Schema } from "effect"

/** A process that consumes the subscription `work` of a bus backed by the store, and notes what it handles in a table. */
const [database = "", prefix = "skald_"] = process.argv.slice(2)

const Placed = Event.make("Placed", { n: Schema.Number }, { subject: "order.placed" })

const services: Layer.Layer<StoreBus.Services | SqlClient.SqlClient, unknown> = database.startsWith("postgres:")
  ? PostgresServices.layer({ url: Redacted.make(database), prefix })
  : Sqlite.layer({ filename: database })

const main = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Subscription.run("work", {
    events: [Placed],
    start: "earliest",
    concurrency: 4,
    handler: ({ n }) => sql`INSERT INTO ${sql(`${prefix}handled`)} ${sql.insert({ n, process: process.pid })}`,
    onError: { SqlError: OnError.inherit }
  })
  yield* Effect.sync(() => void process.stdout.write("ready\n"))
  return yield* Effect.never
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.provideMerge(StoreBus.layer(), services))
)

Effect.runPromise(main as Effect.Effect<never, unknown>).catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
