import * as SqlBus from "effect-skald/bus/Sql"
import * as BusConformance from "effect-skald/testing/BusConformance"
import { Effect, Exit, Layer, Scope } from "effect"
import { afterAll } from "vitest"
import * as Postgres from "../support/postgres.ts"
import { bundle } from "../support/program.ts"
import * as Servers from "../support/servers.ts"

const program = await bundle("test/support/busWorker.ts")
const scope = Effect.runSync(Scope.make())
afterAll(async () => {
  program.remove()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

Servers.suite("postgres", "bus on PostgreSQL", (url) => {
  const prefix = Effect.runSync(Scope.extend(Postgres.prefix(url), scope))
  BusConformance.suite("postgres", {
    layer: Layer.provide(
      SqlBus.layer({ prefix, pollInterval: "50 millis", leaseTtl: "1 second", leaseEvery: "200 millis" }),
      Postgres.client(url)
    ),
    capabilities: ["delay", "priority", "history", "durable", "shared", "transactions"],
    lease: "1 second",
    worker: [process.execPath, program.file, url, prefix],
    backlog: 5_000,
    connects: 50
  })
})
