import { NodeRuntime } from "@effect/platform-node"
import { Lease } from "effect-skald/store/Lease"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import { Effect, Layer } from "effect"
import * as Postgres from "./postgres.ts"

/** A process that holds a lease of a database for an hour, says its token, and waits to be killed. */
const [database = "", name = "", prefix = "skald_"] = process.argv.slice(2)

const client = database.startsWith("postgres:")
  ? Postgres.client(database)
  : SqliteClient.layer({ filename: database })

NodeRuntime.runMain(
  Effect.gen(function*() {
    const leases = yield* Lease
    const held = yield* leases.acquire(name, { ttl: "1 hour" })
    process.stdout.write(`${held.token}\n`)
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provide(SqlLeases.layer({ prefix }).pipe(Layer.provide(client))))
)
