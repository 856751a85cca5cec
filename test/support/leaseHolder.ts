import { NodeRuntime } from "@effect/platform-node"
import { Lease } from "effect-skald/store/Lease"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqliteLeases from "effect-skald/store/SqliteLeases"
import { Effect, Layer } from "effect"

/** A process that holds a lease of a file for an hour, says its token, and waits to be killed. */
const [filename = "", name = ""] = process.argv.slice(2)

NodeRuntime.runMain(
  Effect.gen(function*() {
    const leases = yield* Lease
    const held = yield* leases.acquire(name, { ttl: "1 hour" })
    process.stdout.write(`${held.token}\n`)
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.provide(SqliteLeases.layer().pipe(Layer.provide(SqliteClient.layer({ filename }))))
  )
)
