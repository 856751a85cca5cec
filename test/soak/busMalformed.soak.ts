// needs: native addon
import { expect, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Effect, Layer, Logger, LogLevel } from "effect"
import * as Malformed from "../support/malformed.ts"
import * as Soak from "../support/soak.ts"
import { tempFile } from "../support/tempDirectory.ts"

const ends = (driver: string, count: number) =>
  Effect.map(Malformed.run(count, undefined), ({ both, dead, delivered, goodAfter, lost, reasons, twice }) => {
    expect({ lost, both, twice, goodAfter }).toEqual({ lost: [], both: [], twice: 0, goodAfter: 1 })
    expect(delivered + dead).toBe(count)
    const said = Object.entries(reasons).map(([reason, n]) => `${n.toLocaleString("en-US")} ${reason}`).join(", ")
    Soak.report(
      "busMalformed",
      `${driver}: ${count.toLocaleString("en-US")} malformed messages, ${
        delivered.toLocaleString("en-US")
      } delivered, ${dead.toLocaleString("en-US")} dead letters (${said}), 0 lost`
    )
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

it.live("malformed messages in memory: each is delivered or a dead letter, none is lost", () =>
  ends("memory", Soak.times(90_000)).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory))))

it.scopedLive("malformed messages in SQLite: each is delivered or a dead letter, none is lost", () =>
  Effect.gen(function*() {
    const filename = yield* tempFile()
    const layer = Layer.provide(SqlBus.layer({ pollInterval: "10 millis" }), SqliteClient.layer({ filename }))
    yield* ends("SQLite", Soak.times(10_000)).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, layer)))
  }))
