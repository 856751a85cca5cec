import { NodeRuntime } from "@effect/platform-node"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Idempotency from "effect-skald/resilience/Idempotency"
import * as SqlIdempotency from "effect-skald/resilience/SqlIdempotency"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Effect, Layer, Redacted, Schema } from "effect"

/** A process that begins a run of a key, says so, and never ends it. */
const [kind = "", where = "", prefix = "", key = ""] = process.argv.slice(2)

const client = kind === "sqlite"
  ? SqliteClient.layer({ filename: where })
  : PgClient.layer({ url: Redacted.make(where) })

NodeRuntime.runMain(
  Effect.sync(() => process.stdout.write("running\n")).pipe(
    Effect.zipRight(Effect.never),
    Idempotency.once(key, { success: Schema.Number, lease: "1 second" }),
    Effect.provide(Layer.provide(SqlIdempotency.layer({ prefix }), client as Layer.Layer<any, any>))
  )
)
