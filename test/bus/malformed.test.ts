// needs: native addon
import { expect, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Effect, Layer, Logger, LogLevel } from "effect"
import * as Malformed from "../support/malformed.ts"
import { tempFile } from "../support/tempDirectory.ts"

const seed = 20_011_214

const ends = (count: number) =>
  Effect.map(Malformed.run(count, seed), ({ both, dead, delivered, goodAfter, lost, reasons, twice }) => {
    expect({ lost, both, twice, goodAfter }).toEqual({ lost: [], both: [], twice: 0, goodAfter: 1 })
    expect(delivered + dead).toBe(count)
    // neither everything nor nothing can be read
    expect(delivered).toBeGreaterThan(count / 50)
    expect(reasons["undecodable"]).toBeGreaterThan(count / 5)
    expect(reasons["unknownType"]).toBeGreaterThan(0)
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

it.live("4,500 malformed messages in memory: each is delivered or a dead letter with a reason, and a good one follows", () =>
  ends(4_500).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory))))

it.scopedLive("500 malformed messages in SQLite: the same", () =>
  Effect.gen(function*() {
    const filename = yield* tempFile()
    const layer = Layer.provide(
      SqlBus.layer({ pollInterval: "10 millis" }),
      SqliteClient.layer({ filename })
    )
    yield* ends(500).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, layer)))
  }))
