import { NodeRuntime } from "@effect/platform-node"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import { Effect, Redacted } from "effect"

/** A process that appends in a transaction which it never commits, says so, and waits to be killed. */
const [url = "", prefix = "", stream = ""] = process.argv.slice(2)

NodeRuntime.runMain(
  Effect.gen(function*() {
    const store = yield* EventStore.capable("transactions")
    return yield* store.withTransaction(Effect.gen(function*() {
      yield* store.append([{ stream, events: [{ type: "Never", payload: {} }, { type: "Never", payload: {} }] }])
      process.stdout.write("drawn\n")
      return yield* Effect.never
    }))
  }).pipe(Effect.provide(Postgres.layerServer({ url: Redacted.make(url), prefix })))
)
