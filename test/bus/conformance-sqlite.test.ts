// needs: native addon
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as BusConformance from "effect-skald/testing/BusConformance"
import { Effect, Exit, Layer, Scope } from "effect"
import { afterAll } from "vitest"
import { bundle } from "../support/program.ts"
import { tempFile } from "../support/tempDirectory.ts"

const scope = Effect.runSync(Scope.make())
const filename = Effect.runSync(Scope.extend(tempFile(), scope))
const program = await bundle("test/support/busWorker.ts")
afterAll(async () => {
  program.remove()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

BusConformance.suite("sqlite", {
  layer: Layer.provide(
    SqlBus.layer({ pollInterval: "20 millis", leaseTtl: "1 second", leaseEvery: "200 millis" }),
    SqliteClient.layer({ filename })
  ),
  capabilities: ["delay", "priority", "history", "durable", "shared", "transactions"],
  lease: "1 second",
  worker: [process.execPath, program.file, filename, "skald_"],
  backlog: 5_000,
  connects: 50
})
