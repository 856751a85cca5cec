/**
 * How late timers come, with 10,000 of them armed: those that come due within five seconds, beside as many that wait for a year.
 * PostgreSQL takes part where `SKALD_POSTGRES_URL` says where it is.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlTimers from "effect-skald/saga/SqlTimers"
import { layerMemory, Timers } from "effect-skald/saga/Timers"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Clock, Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Kit from "./kit.ts"
import { percentile } from "./support/moved.ts"

const armed = 10_000
const comeDue = 5_000
const spread = 5_000

const measure = Effect.gen(function*() {
  const timers = yield* Timers
  const late: Array<number> = []
  const namespace = `bench ${yield* Clock.currentTimeMillis}`
  yield* timers.serve(namespace, (due) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      for (const { at } of due) late.push(now - at)
    }))
  const start = (yield* Clock.currentTimeMillis) + 2_000
  const all = Array.from({ length: armed }, (_, n) => ({
    namespace,
    id: `t${n}`,
    at: n < comeDue ? start + n % spread : start + 31_536_000_000 + n
  }))
  yield* timers.setAll(all)
  while (late.length < comeDue) yield* Effect.sleep("50 millis")
  yield* timers.cancelAll(namespace, all.map(({ id }) => id))
  return late
}).pipe(Effect.scoped)

const places: ReadonlyArray<readonly [name: string, layer: Layer.Layer<Timers, unknown>]> = [
  ["memory", layerMemory],
  [
    "SQLite",
    Layer.unwrapScoped(Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "skald-timers-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      ),
      (folder) => SqlTimers.layer().pipe(Layer.provide(SqliteClient.layer({ filename: join(folder, "timers.db") })))
    ))
  ],
  ...process.env["SKALD_POSTGRES_URL"] === undefined ? [] : [
    [
      "PostgreSQL",
      SqlTimers.layer({ prefix: "bench_timers_" }).pipe(
        Layer.provide(PgClient.layer({ url: Redacted.make(process.env["SKALD_POSTGRES_URL"]) }))
      )
    ] as const
  ]
]

/** One run for all that is told of a place. */
const lateness = (layer: Layer.Layer<Timers, unknown>) => {
  let ran: Promise<ReadonlyArray<number>> | undefined
  return () => ran ??= Effect.runPromise(Effect.provide(measure, layer))
}

export default places.flatMap(([name, layer]) => {
  const late = lateness(layer)
  return ([[0.5, "half of them"], [0.99, "99 of 100", 250], [1, "all"]] as const).map(([part, who, goal]) =>
    Kit.measure(`${name}: ${armed.toLocaleString("en-US")} armed, ${who} are late by at most`, {
      unit: "ms",
      better: "lower",
      ...(goal === undefined ? {} : { goal }),
      rounds: 1,
      warmups: 0,
      ours: { value: async () => percentile(await late(), part) }
    })
  )
})
