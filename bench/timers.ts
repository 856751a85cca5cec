/**
 * How late timers come, with 10,000 of them armed: those that come due within five seconds, beside as many that wait for a year.
 * Run with `npx tsx bench/timers.ts`; PostgreSQL takes part where `SKALD_POSTGRES_URL` says where it is.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlTimers from "effect-skald/saga/SqlTimers"
import { layerMemory, Timers } from "effect-skald/saga/Timers"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Clock, Console, Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const armed = 10_000
const comeDue = 5_000
const spread = 5_000

const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!

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
  late.sort((a, b) => a - b)
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

await Effect.runPromise(
  Effect.forEach(places, ([name, layer]) =>
    Effect.flatMap(Effect.provide(measure, layer), (late) =>
      Console.log(
        `${name.padEnd(11)} ${armed.toLocaleString("en-US")} armed, ${comeDue.toLocaleString("en-US")} due in ${
          spread / 1_000
        } s: late by p50 ${quantile(late, 0.5)} ms, p99 ${quantile(late, 0.99)} ms, at most ${late.at(-1)} ms`
      )), { discard: true })
)
