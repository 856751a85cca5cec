import * as Sqlite from "effect-skald/store/Sqlite"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"
import { Effect, Layer } from "effect"
import { tempFile } from "../support/tempDirectory.ts"

EventStoreConformance.suite("sqlite", {
  layer: Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layerFile({ filename }))),
  driver: Effect.gen(function*() {
    const client = yield* Layer.build(SqliteClient.layer({ filename: yield* tempFile() }))
    return yield* Effect.provide(Sqlite.make(), client)
  }),
  capabilities: ["transactions", "durable", "shared"]
})
