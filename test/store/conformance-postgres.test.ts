import { layerDriver } from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"
import { Effect, Layer } from "effect"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

Servers.suite("postgres", "PostgreSQL", (url) => {
  const driver = Effect.gen(function*() {
    const prefix = yield* Database.prefix(url)
    return yield* Effect.provide(Postgres.make({ prefix }), yield* Layer.build(Database.client(url)))
  })
  EventStoreConformance.suite("PostgreSQL", {
    layer: layerDriver(driver),
    driver,
    capabilities: ["transactions", "durable", "shared"],
    numRuns: 20
  })
})
