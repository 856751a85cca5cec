/**
 * Whether it stays as fast when the log is long: one log of each store grows, and the same work is done on it at every size.
 * Last comes a chart of each store, `bench/results/scale-<store>.svg`, of every figure as a part of that of the smallest log.
 *
 * `--events 10000000` asks for more than a million events (and some gigabytes of disk), `--store sqlite` or `--store
 * postgres` for one of the two; PostgreSQL is left out where `SKALD_POSTGRES_URL` does not say where it is.
 */
import { EventStore } from "effect-skald/store/EventStore"
import { Effect, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Kit from "./kit.ts"
import * as Chart from "./support/chart.ts"
import * as Filled from "./support/filled.ts"
import { Accounts, appends, atOnce, counted, percentile, readAllDecoded } from "./support/moved.ts"
import * as Server from "./support/postgresServer.ts"

const quick = process.argv.includes("--quick")
const largest = Number(process.env["SKALD_BENCH_EVENTS"] ?? 1_000_000) / (quick ? 10 : 1)
const wanted = process.env["SKALD_BENCH_STORE"]

const sizes = [10_000, 100_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000]
  .filter((size) => size <= largest)

interface Log {
  readonly count: number
  readonly runtime: Filled.Runtime
}

/** Numbers that look drawn, and are the same at each run. */
const scattered = (n: number, below: number): number => (n * 2_654_435_761) % 4_294_967_296 % below

const streamOf = (n: number, count: number): string =>
  String(scattered(n, Math.max(1, Math.floor(count / Filled.perStream))))

/** By 64 callers, one event a call, at the ends of streams all over the log. */
const append = async ({ count, runtime }: Log): Promise<number> => {
  const [callers, calls] = [64, quick ? 20 : 100] as const
  const started = performance.now()
  await runtime.runPromise(
    Effect.flatMap(
      EventStore,
      (store) =>
        atOnce(
          callers,
          (caller) => appends(store, calls, (call) => ({ stream: `account-${streamOf(caller * calls + call, count)}` }))
        )
    )
  )
  return callers * calls / (performance.now() - started) * 1_000
}

/** The time that a read takes, in the middle of many, one after the other. */
const latency =
  (reads: number, read: (n: number, count: number) => Stream.Stream<unknown, unknown, EventStore>) =>
  async ({ count, runtime }: Log): Promise<number> => {
    const times: Array<number> = []
    await runtime.runPromise(Effect.forEach(
      Array.from({ length: quick ? reads / 10 : reads }, (_, n) => n),
      (n) =>
        Effect.suspend(() => {
          const started = performance.now()
          return Effect.tap(counted(read(n, count)), (events) =>
            Effect.sync(() => {
              if (events === 0) throw new Error("nothing was read")
              times.push((performance.now() - started) * 1_000)
            }))
        }),
      { discard: true }
    ))
    return percentile(times, 0.5)
  }

/** As loading an aggregate after a snapshot does. */
const end = latency(400, (n, count) => Accounts.read(streamOf(n, count), { from: Filled.perStream - 4 }))

const newest = latency(400, (n, count) => Accounts.read(streamOf(n, count), { backwards: true, limit: 1 }))

const whole = latency(200, (n, count) => Accounts.read(streamOf(n, count)))

/** What a subscription does that has caught up. */
const tail = latency(
  200,
  () => Stream.unwrap(Effect.map(EventStore, (store) => store.readAll({ backwards: true, limit: 10 })))
)

/** From the middle of the log, decoded. */
const catchUp = async ({ count, runtime }: Log): Promise<number> => {
  const started = performance.now()
  const read = await runtime.runPromise(
    counted(readAllDecoded({ after: Math.floor(count / 2) as never, limit: 100_000 }))
  )
  return read / (performance.now() - started) * 1_000
}

/** What is in use after it all, when garbage was collected. */
const heap = async ({ runtime }: Log): Promise<number> => {
  await runtime.runPromise(counted(readAllDecoded({ limit: 100_000 })))
  Kit.gc()
  return process.memoryUsage().heapUsed / 1_048_576
}

const works = [
  { name: "append, 64 callers", unit: "events/s", better: "higher", work: append, rounds: 3 },
  { name: "last five events of a stream", unit: "µs", better: "lower", work: end, rounds: 3 },
  { name: "newest event of a stream", unit: "µs", better: "lower", work: newest, rounds: 3 },
  { name: "stream of 100 events", unit: "µs", better: "lower", work: whole, rounds: 3 },
  { name: "ten newest events of the log", unit: "µs", better: "lower", work: tail, rounds: 3 },
  { name: "catching up from the middle", unit: "events/s", better: "higher", work: catchUp, rounds: 3 },
  { name: "heap in use", unit: "MiB", better: "lower", work: heap, rounds: 1 }
] as const

const casesOf = (title: string, file: string, make: () => Promise<Filled.Place>): ReadonlyArray<Kit.Case> => {
  let place: Filled.Place | undefined
  let count = 0
  const measured = new Map<string, Map<number, Array<number>>>()

  const removed = async (): Promise<void> => {
    const given = place
    place = undefined
    await given?.remove()
  }
  // where the last case was not asked for
  process.once("beforeExit", () => void removed())

  const logOf = async (size: number): Promise<Log> => {
    if (place === undefined) {
      place = await make()
      count = 0
    }
    if (size > count) await place.grow(count, size)
    count = Math.max(count, size)
    return { count, runtime: place.open() }
  }

  const at = (size: number, { better, name, rounds, unit, work }: typeof works[number]): Kit.Case =>
    Kit.measure(`${title}: ${name}, ${size.toLocaleString("en-US")} events in the log`, {
      unit,
      better,
      rounds,
      warmups: rounds > 1 ? 1 : 0,
      ours: {
        setup: () => logOf(size),
        value: async (log) => {
          const value = await work(log)
          const points = measured.get(name) ?? new Map<number, Array<number>>()
          measured.set(name, points)
          points.set(size, [...points.get(size) ?? [], value])
          return value
        },
        teardown: ({ runtime }) => runtime.dispose()
      }
    })

  const chart = Kit.measure(`${title}: the chart, bench/results/${file}`, {
    unit: "series",
    rounds: 1,
    warmups: 0,
    ours: {
      value: async () => {
        const series = works.flatMap(({ name, unit }) => {
          const points = measured.get(name)
          if (points === undefined) return []
          // the first of several was the warm-up
          const medians = [...points].map(([size, values]) =>
            [size, Kit.median(values.length > 1 ? values.slice(1) : values)] as const
          )
          return [{ name, unit, points: medians.sort(([a], [b]) => a - b) }]
        })
        const folder = path.join(process.cwd(), "bench", "results")
        fs.mkdirSync(folder, { recursive: true })
        fs.writeFileSync(path.join(folder, file), Chart.svg(`${title}, as the log grows`, series))
        await removed()
        return series.length
      }
    }
  })
  return [...sizes.flatMap((size) => works.map((work) => at(size, work))), chart]
}

if (wanted !== "sqlite" && Server.server === "") {
  process.stderr.write("scale: SKALD_POSTGRES_URL is not set, see scripts/services.sh: PostgreSQL is not measured.\n")
}

export default [
  ...(wanted === undefined || wanted === "sqlite" ? casesOf("SQLite", "scale-sqlite.svg", Filled.sqlite) : []),
  ...((wanted === undefined || wanted === "postgres") && Server.server !== ""
    ? casesOf("PostgreSQL", "scale-postgres.svg", Filled.postgres)
    : [])
]
