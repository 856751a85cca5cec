import { NodeRuntime } from "@effect/platform-node"
import { Lease } from "effect-skald/store/Lease"
import * as RedisClient from "effect-skald/store/RedisClient"
import * as RedisLeases from "effect-skald/store/RedisLeases"
import { Effect, Layer } from "effect"

/** A process that holds a lease for an hour, says its token, and waits to be killed. */
const [url = "", prefix = "", name = ""] = process.argv.slice(2)

NodeRuntime.runMain(
  Effect.gen(function*() {
    const leases = yield* Lease
    const held = yield* leases.acquire(name, { ttl: "1 hour" })
    process.stdout.write(`${held.token}\n`)
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provide(RedisLeases.layer({ prefix }).pipe(Layer.provide(RedisClient.layer({ url })))))
)
