// needs: native addon
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Sqlite from "effect-skald/store/Sqlite"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as PostgresStore from "effect-skald/store/Postgres"
import * as SagaCrash from "effect-skald/testing/SagaCrash"
import { Effect, Layer, Redacted } from "effect"
import { sagaOf, shapes } from "../support/crashingSagas.ts"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import * as Soak from "../support/soak.ts"

// 100,000 cases in memory and 2,000 on each database when it is run whole; a case costs more than those of other soaks, so
// that a tenth of the scale is a hundredth of them.
const times = (whole: number): number => Math.max(1, Math.round(whole * Soak.scale ** 2))

/** Small sagas have fewer ways to fail. */
const inMemory: { readonly [steps: number]: number } = { 1: 1_400, 2: 3_000, 3: 5_000, 4: 7_000, 5: 8_500, 6: 8_500 }

const counts = new Map<string, number>()

const count = (where: string, { cases }: SagaCrash.Report) => {
  counts.set(where, (counts.get(where) ?? 0) + cases)
}

describe("crashes of sagas", () => {
  for (const shape of shapes) {
    for (const steps of [1, 2, 3, 4, 5, 6]) {
      it.effect(`${shape}, ${steps} steps, in memory`, () =>
        Effect.gen(function*() {
          const maxCases = times(inMemory[steps]!)
          const report = yield* SagaCrash.check({ ...sagaOf(shape, steps), maxCases, seed: steps })
          assert.isAtLeast(report.cases, maxCases)
          count("memory", report)
        }), 3_600_000)

      it.effect(`${shape}, ${steps} steps, on SQLite`, () =>
        Effect.gen(function*() {
          const report = yield* SagaCrash.check({
            ...sagaOf(shape, steps),
            maxCases: times(112),
            seed: 10 + steps,
            quiet: 3,
            store: Layer.fresh(Sqlite.layer().pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" }))))
          })
          count("SQLite", report)
        }), 3_600_000)
    }
  }
})

Servers.suite("postgres", "crashes of sagas on PostgreSQL", (url) => {
  for (const shape of shapes) {
    for (const steps of Soak.scale < 1 ? [3] : [1, 2, 3, 4, 5, 6]) {
      it.scopedLive(`${shape}, ${steps} steps`, () =>
        Effect.gen(function*() {
          const prefix = yield* Postgres.prefix(url)
          const store = yield* Layer.build(PostgresStore.layerServer({ url: Redacted.make(url), prefix }))
          const report = yield* SagaCrash.check({
            ...sagaOf(shape, steps),
            maxCases: times(112),
            seed: 20 + steps,
            quiet: 20,
            store: Layer.succeedContext(store)
          })
          count("PostgreSQL", report)
        }), 3_600_000)
    }
  }
})

afterAll(() => {
  for (const [where, cases] of counts) {
    Soak.report(
      "sagaCrash",
      `${where}: ${cases.toLocaleString("en-US")} cases of failing steps and crashes, each all or nothing in the end`
    )
  }
})
