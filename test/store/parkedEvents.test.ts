import { Effect, Layer } from "effect"
import * as ParkedEvents from "effect-skald/store/ParkedEvents"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqlParkedEvents from "effect-skald/store/SqlParkedEvents"
import * as ParkedEventsConformance from "effect-skald/testing/ParkedEventsConformance"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

ParkedEventsConformance.suite("memory", { layer: ParkedEvents.layerMemory })

ParkedEventsConformance.suite("SQLite", {
  layer: Layer.unwrapScoped(Effect.map(
    tempFile(),
    (filename) => SqlParkedEvents.layer().pipe(Layer.provide(SqliteClient.layer({ filename })))
  )),
  numRuns: 30
})

Servers.suite("postgres", "Parked events in PostgreSQL", (url) => {
  ParkedEventsConformance.suite("PostgreSQL", {
    layer: Layer.unwrapScoped(Effect.map(
      Postgres.prefix(url),
      (prefix) => SqlParkedEvents.layer({ prefix }).pipe(Layer.provide(Postgres.client(url)))
    )),
    numRuns: 20
  })
})
