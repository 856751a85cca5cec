import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"
import * as Postgres from "./postgres.ts"

/**
 * A process that consumes the subscription `work`. `hold` takes messages and says which, waits for a signal, settles them, and
 * takes on; `work` handles them one after the other, and notes each in a table before it is settled.
 */
const [database = "", prefix = "skald_", mode = "hold"] = process.argv.slice(2)

const client: Layer.Layer<SqlClient.SqlClient, unknown> = database.startsWith("postgres:")
  ? Postgres.client(database)
  : SqliteClient.layer({ filename: database })

/** Short where a pause is to outlast it; a busy machine outlasts that too, and what is worked on is not to be taken away. */
const lease: SqlBus.Options = mode === "work" ? {} : { leaseTtl: "800 millis", leaseEvery: "200 millis" }

const say = (line: string) => Effect.sync(() => void process.stdout.write(`${line}\n`))

/** Listens at once, and waits until the process is told to go on. */
const listen = Effect.sync(() => {
  const told = new Promise<void>((resolve) => process.once("SIGUSR2", () => resolve()))
  return Effect.promise(() => told)
})

const main = Effect.gen(function*() {
  const bus = yield* EventBus.EventBus
  const sql = yield* SqlClient.SqlClient
  const consumer = yield* bus.consume({ name: "work", selector: Selector.all, start: "latest", kept: true })
  if (mode === "work") yield* say("ready")
  for (;;) {
    const taken = yield* consumer.pull(8)
    if (mode === "hold") {
      // before it says anything: whoever hears it may signal at once
      const told = yield* listen
      yield* say(taken.map(({ deliveries, message }) => `${message.id}:${deliveries}`).join(" "))
      yield* told
    } else {
      for (const { message } of taken) {
        yield* sql`INSERT INTO ${sql(`${prefix}handled`)} ${sql.insert({ id: message.id, process: process.pid })}`
      }
    }
    yield* consumer.settle(taken.map(({ receipt }) => ({ _tag: "done", receipt })))
    if (mode === "hold") yield* say("settled")
  }
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.provideMerge(SqlBus.layer({ prefix, ...lease }), client))
)

Effect.runPromise(main as Effect.Effect<never, unknown>).catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
