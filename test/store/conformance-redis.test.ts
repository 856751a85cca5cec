import { layerDriver } from "effect-skald/store/EventStore"
import * as Redis from "effect-skald/store/Redis"
import * as RedisClient from "effect-skald/store/RedisClient"
import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"
import { Effect, Layer } from "effect"
import * as Servers from "../support/servers.ts"
import * as Server from "../support/redis.ts"

Servers.suite("redis", "Redis", (url) => {
  const driver = Effect.gen(function*() {
    const prefix = yield* Server.prefix(url)
    return yield* Effect.provide(Redis.make({ prefix }), yield* Layer.build(RedisClient.layer({ url })))
  })
  EventStoreConformance.suite("Redis", {
    layer: layerDriver(driver),
    driver,
    capabilities: ["shared"],
    numRuns: 20
  })
})
