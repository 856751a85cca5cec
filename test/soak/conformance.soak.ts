// needs: native addon
import { afterAll } from "@effect/vitest"
import * as EventStore from "effect-skald/store/EventStore"
import * as Sqlite from "effect-skald/store/Sqlite"
import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"
import { Effect, Layer } from "effect"
import * as Soak from "../support/soak.ts"
import { tempFile } from "../support/tempDirectory.ts"

// Twelve properties, the model among them: 102,000 random cases in all when it is run whole.
const memory = Soak.times(5_000)
const sqlite = Soak.times(3_500)
const timeout = Soak.times(3_600_000)

EventStoreConformance.suite("memory", { layer: EventStore.layerMemory, numRuns: memory, timeout })

EventStoreConformance.suite("sqlite", {
  // A file, since a database in memory has one connection: its readers wait for an append, hooks and all.
  layer: Layer.unwrapScoped(
    Effect.map(tempFile(), (filename) => Sqlite.layerFile({ filename, synchronous: "normal" }))
  ),
  capabilities: ["transactions", "durable", "shared"],
  numRuns: sqlite,
  timeout
})

afterAll(() =>
  Soak.report(
    "conformance",
    `12 properties of the event store: ${(12 * memory).toLocaleString("en-US")} random cases in memory, ${
      (12 * sqlite).toLocaleString("en-US")
    } on SQLite`
  )
)
