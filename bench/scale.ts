/**
 * Whether it stays as fast when the log is long: the same work on SQLite files of growing size. The last case writes a chart,
 * `bench/results/scale.svg`, of every figure as a part of that of the smallest file.
 *
 * Sizes go up to a million events; `SKALD_BENCH_EVENTS=10000000` asks for more, and for some gigabytes of disk.
 */
import * as Projection from "effect-skald/cqrs/Projection"
import { EventStore } from "effect-skald/store/EventStore"
import { Chunk, Effect, Schema, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Kit from "./kit.ts"
import * as Chart from "./support/chart.ts"
import { Accounts, fill, type Filled, Moved, remove, streams } from "./support/filled.ts"

const largest = Number(process.env["SKALD_BENCH_EVENTS"] ?? 1_000_000)

/** Tenfold from 10,000 on, or all of them a tenth of that for a quick look. */
const sizes = Array.from({ length: 10 }, (_, power) => 10_000 * 10 ** power)
  .filter((size) => size <= largest)
  .map((size) => process.argv.includes("--quick") ? size / 10 : size)

const measured = new Map<string, { readonly unit: string; readonly points: Map<number, number> }>()

/** A case that does its work on a file of one size, and remembers how fast it was for the chart. */
const at = (
  size: number,
  what: string,
  unit: string,
  work: (filled: Filled) => Promise<number>
): Kit.Case =>
  Kit.measure(`${what}, ${size.toLocaleString("en-US")} events in the log`, {
    unit,
    rounds: 1,
    ours: {
      setup: () => fill(size),
      value: async (filled) => {
        const started = performance.now()
        const units = await work(filled)
        const value = units / (performance.now() - started) * 1_000
        const series = measured.get(what) ?? { unit, points: new Map<number, number>() }
        measured.set(what, series)
        series.points.set(filled.count, value)
        return value
      },
      teardown: remove
    }
  })

const State = Schema.Struct({ events: Schema.Number, cents: Schema.Number })

let rebuilt = 0
const rebuild = async ({ count, runtime }: Filled): Promise<number> => {
  const sum = Projection.make(`sum ${++rebuilt}`, {
    events: [Moved],
    state: State,
    initial: { events: 0, cents: 0 },
    apply: ({ cents, events }, { amount }) => ({ events: events + 1, cents: cents + amount })
  })
  const { state } = await runtime.runPromise(Projection.catchUp(sum))
  if (state.events !== count) throw new Error(`rebuilt from ${state.events} events of ${count}`)
  return count
}

/** By 64 callers, one event a call, at the end of streams that are there. */
const append = ({ runtime }: Filled): Promise<number> => {
  const [callers, calls] = [64, 100] as const
  const caller = (caller: number) =>
    Effect.flatMap(EventStore, (store) =>
      Effect.forEach(
        Array.from({ length: calls }, (_, call) => call),
        (call) => store.append([{ stream: `account-${caller}`, events: [{ type: "Moved", payload: payload(call) }] }]),
        { discard: true }
      ))
  return runtime.runPromise(Effect.as(
    Effect.all(Array.from({ length: callers }, (_, index) => caller(index)), { concurrency: "unbounded" }),
    callers * calls
  ))
}

const payload = (amount: number) => ({ _tag: "Moved", account: "account-1", amount, currency: "EUR", memo: "rent" })

/** The newest events of many streams, as loading an aggregate after a snapshot does. */
const readEnds = ({ count, runtime }: Filled): Promise<number> => {
  const last = Math.max(1, Math.floor(count / streams))
  const reads = 2_000
  return runtime.runPromise(Effect.as(
    Effect.forEach(
      Array.from({ length: reads }, (_, n) => n),
      (n) => Stream.runDrain(Accounts.read(String(n % Math.min(streams, count)), { from: Math.max(1, last - 4) })),
      { discard: true }
    ),
    reads
  ))
}

/** The end of the log, as a subscription that has caught up reads it. */
const readTail = ({ count, runtime }: Filled): Promise<number> => {
  const [reads, events] = [200, Math.min(100, count)] as const
  const tail = Effect.flatMap(EventStore, (store) => {
    let read = 0
    return Effect.map(
      Stream.runForEachChunk(store.readAll({ after: count - events }), (chunk) =>
        Effect.sync(() => {
          read += Chunk.size(chunk)
        })),
      () => read
    )
  })
  return runtime.runPromise(Effect.map(
    Effect.forEach(Array.from({ length: reads }), () => tail),
    (counts) => counts.reduce((sum, read) => sum + read, 0)
  ))
}

const chart = Kit.measure("the chart, bench/results/scale.svg", {
  unit: "series",
  rounds: 1,
  ours: {
    value: () => {
      const series = [...measured].map(([name, { points, unit }]) => ({
        name,
        unit,
        points: [...points].sort(([a], [b]) => a - b)
      }))
      const folder = path.join(process.cwd(), "bench", "results")
      fs.mkdirSync(folder, { recursive: true })
      fs.writeFileSync(path.join(folder, "scale.svg"), Chart.svg("SQLite, as the log grows", series))
      return series.length
    }
  }
})

export default [
  ...sizes.flatMap((size) => [
    at(size, "append", "events/s", append),
    at(size, "ends of streams", "reads/s", readEnds),
    at(size, "end of the log", "events/s", readTail),
    at(size, "rebuild", "events/s", rebuild)
  ]),
  chart
]
