import * as SqlTimers from "effect-skald/saga/SqlTimers"
import { layerMemory } from "effect-skald/saga/Timers"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as TimersConformance from "effect-skald/testing/TimersConformance"
import { Effect, Layer } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const sqlite = (filename: string, options?: SqlTimers.Options) =>
  SqlTimers.layer(options).pipe(Layer.provideMerge(SqliteClient.layer({ filename })))

const inFile = Layer.unwrapScoped(Effect.map(tempFile(), (filename) => sqlite(filename)))

TimersConformance.suite("memory", { layer: layerMemory, numRuns: 60 })
TimersConformance.suite("SQLite in memory", { layer: sqlite(":memory:"), numRuns: 30 })
TimersConformance.suite("SQLite in a file", { layer: inFile, numRuns: 10 })

Servers.suite("postgres", "Timers in PostgreSQL", (url) => {
  const open = Effect.map(
    Postgres.prefix(url),
    (prefix) => Layer.provideMerge(SqlTimers.layer({ prefix }), Postgres.client(url))
  )

  TimersConformance.suite("PostgreSQL", { layer: Layer.unwrapScoped(open), remote: true, numRuns: 5 })
})
