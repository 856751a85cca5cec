// needs: native addon
import { describe, expect, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { SqlClient } from "@effect/sql"
import { Effect, Layer, type Scope, TestClock, TestServices } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

/** Where a bus may be built again and again. */
interface Place {
  readonly prefix: string
  readonly client: Layer.Layer<SqlClient.SqlClient>
}

const group = (name: string, options: Partial<BusDriver.Group> = {}): BusDriver.Group => ({
  name,
  selector: Selector.all,
  start: "latest",
  kept: true,
  ...options
})

const message = (n: number, options: Partial<EventBus.NewMessage> = {}): EventBus.NewMessage => ({
  id: String(n),
  type: "Placed",
  payload: { n },
  ...options
})

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n)
const texts = (count: number, from = 0) => numbers(count, from).map(String)
const ids = (delivered: ReadonlyArray<BusDriver.Delivered>) => delivered.map(({ message }) => message.id)
const done = (delivered: ReadonlyArray<BusDriver.Delivered>): ReadonlyArray<BusDriver.Settlement> =>
  delivered.map(({ receipt }) => ({ _tag: "done", receipt }))

const on = ({ client, prefix }: Place, options: SqlBus.Options = {}) =>
  Layer.orDie(Layer.provideMerge(SqlBus.layer({ prefix, ...options }), client))

/** Lets real time pass until it holds. */
const until = <E, R>(what: string, holds: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    for (let looks = 0; !(yield* holds); looks++) {
      if (looks > 1_000) return yield* Effect.dieMessage(`not within 10 s: ${what}`)
      yield* TestServices.provideLive(Effect.sleep("10 millis"))
    }
  })

/** How many messages stand in the table, for whomever. */
const stored = ({ prefix }: Place) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ readonly n: number | string }>`SELECT count(*) AS n FROM ${sql(`${prefix}bus_messages`)}`
    return Number(row!.n)
  })

/** A message of priority 1 behind ever more of priority 7, one of which is taken each minute: what comes in which order. */
const minutes = Effect.gen(function*() {
  const bus = yield* EventBus.EventBus
  const consumer = yield* bus.consume(group("aged"))
  yield* bus.publish([message(0, { priority: "low" })])
  const order: Array<string> = []
  for (let minute = 0; minute < 14; minute++) {
    yield* bus.publish(numbers(2, 1 + 2 * minute).map((n) => message(n, { priority: n % 3 === 0 ? "normal" : "high" })))
    const taken = yield* consumer.pull(1)
    order.push(...ids(taken))
    yield* consumer.settle(done(taken))
    yield* TestClock.adjust("1 minute")
  }
  return order
}).pipe(Effect.scoped)

const cases = (open: Effect.Effect<Place, never, Scope.Scope>) => {
  it.scopedLive("what everybody is done with goes but for the last; what one still waits for stays", () =>
    Effect.gen(function*() {
      const place = yield* open
      yield* Effect.gen(function*() {
        const bus = yield* EventBus.EventBus
        const quick = yield* bus.consume(group("quick"))
        const slow = yield* bus.consume(group("slow"))
        for (const from of [0, 10, 20]) yield* bus.publish(numbers(10, from).map((n) => message(n)))
        for (let left = 30; left > 0;) {
          const taken = yield* quick.pull(left)
          yield* quick.settle(done(taken))
          left -= taken.length
        }
        const first = yield* slow.pull(20)
        yield* slow.settle(done(first))
        // ten that `slow` has not been given yet, of which five are the last anyway
        yield* until("the first twenty go", Effect.map(stored(place), (n) => n === 10))
        const late = yield* bus.consume(group("late", { start: "earliest" }))
        expect(ids(yield* late.pull(30))).toEqual(texts(5, 25))
        const rest = yield* slow.pull(20)
        expect(ids(rest)).toEqual(texts(10, 20))
        yield* slow.settle(done(rest))
        yield* until("all but the last five go", Effect.map(stored(place), (n) => n === 5))
      }).pipe(Effect.provide(on(place, { history: 5, trimInterval: "20 millis" })))
    }))

  it.scopedLive("what is older than the history's age goes, whatever its number", () =>
    Effect.gen(function*() {
      const place = yield* open
      yield* Effect.gen(function*() {
        const bus = yield* EventBus.EventBus
        yield* bus.publish(numbers(20).map((n) => message(n)))
        expect(yield* stored(place)).toBe(20)
        yield* until("all go", Effect.map(stored(place), (n) => n === 0))
      }).pipe(Effect.provide(on(place, { historyAge: "400 millis", trimInterval: "20 millis" })))
    }))

  it.scoped("a low priority gains a level each minute and does not starve: the order is that of the bus in memory", () =>
    Effect.gen(function*() {
      const place = yield* open
      const here = yield* Effect.provide(minutes, on(place, { clock: "process" }))
      expect(here.indexOf("0")).toBeGreaterThan(3)
      expect(here.indexOf("0")).toBeLessThanOrEqual(9)
      expect(here).toEqual(yield* Effect.provide(minutes, EventBus.layerMemory))
    }))
}

describe("the bus on SQLite, over time", () => {
  cases(Effect.map(tempFile(), (filename) => ({
    prefix: "skald_",
    client: Layer.orDie(SqliteClient.layer({ filename }))
  })))
})

Servers.suite("postgres", "the bus on PostgreSQL, over time", (url) => {
  cases(Effect.map(Postgres.prefix(url), (prefix) => ({ prefix, client: Postgres.client(url) })))

  it.scopedLive(
    "connections are ended again and again under load: nothing is lost, and nothing stays behind",
    () =>
      Effect.gen(function*() {
        const place: Place = { prefix: "skald_", client: Postgres.client(yield* Postgres.database(url)) }
        const admin = yield* Postgres.connection(url)
        yield* Effect.gen(function*() {
          const bus = yield* EventBus.EventBus
          const sql = yield* SqlClient.SqlClient
          const [row] = yield* sql<{ readonly name: string }>`SELECT current_database() AS name`
          let ended = 0
          const end = Effect.promise(() =>
            admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [row!.name])
          ).pipe(Effect.map(({ rowCount }) => {
            ended += rowCount ?? 0
          }))
          const seen = new Map<string, number>()
          const work = Effect.gen(function*() {
            const consumer = yield* bus.consume(group("work"))
            for (;;) {
              const taken = yield* Effect.retry(consumer.pull(7), { times: 50 })
              for (const id of ids(taken)) seen.set(id, (seen.get(id) ?? 0) + 1)
              yield* Effect.retry(consumer.settle(done(taken)), { times: 50 })
            }
          })
          yield* Effect.scoped(bus.consume(group("work")))
          for (const _ of numbers(3)) yield* Effect.forkScoped(work)
          for (const n of numbers(150)) {
            // what is not acknowledged is published again, under its id
            yield* Effect.retry(bus.publish([message(n, { key: `k${n % 5}` })]), { times: 50 })
            if (n % 10 === 9) yield* end
          }
          yield* until("all are seen", Effect.sync(() => seen.size === 150))
          expect(ended).toBeGreaterThan(15)
          yield* until(
            "all are settled",
            Effect.map(bus.depth("work"), ({ inFlight, ready, waiting }) => inFlight + ready + waiting === 0)
          )
          expect([...seen.keys()].map(Number).sort((a, b) => a - b)).toEqual(numbers(150))
        }).pipe(
          Effect.provide(on(place, { leaseTtl: "1 second", leaseEvery: "200 millis", pollInterval: "20 millis" }))
        )
      }),
    60_000
  )
})
