// needs: native addon
import { afterAll } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as BusConformance from "effect-skald/testing/BusConformance"
import { Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Soak from "../support/soak.ts"

const directory = mkdtempSync(join(tmpdir(), "skald-"))
const backlog = Soak.times(100_000)
const timeout = 600_000

BusConformance.suite("memory", {
  layer: EventBus.layerMemory,
  capabilities: ["delay", "priority", "history"],
  exact: true,
  backlog,
  connects: Soak.times(10_000),
  timeout
})

BusConformance.suite("sqlite", {
  layer: Layer.provide(
    SqlBus.layer({ pollInterval: "10 millis", leaseTtl: "1 second", leaseEvery: "200 millis" }),
    SqliteClient.layer({ filename: join(directory, "bus.db") })
  ),
  capabilities: ["delay", "priority", "history", "durable", "shared", "transactions"],
  lease: "1 second",
  backlog,
  connects: Soak.times(1_000),
  timeout
})

afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
  Soak.report(
    "busBacklog",
    `the suite of the bus over a backlog of ${
      backlog.toLocaleString("en-US")
    }, never more than 100 of it in the process`
  )
})
