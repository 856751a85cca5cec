// needs: native addon
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as StoreBus from "effect-skald/bus/StoreBus"
import * as PostgresServices from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import { SqlClient } from "@effect/sql"
import { Effect, Layer, Redacted, type Scope } from "effect"
import * as Postgres from "../support/postgres.ts"
import { bundle, run, type Running } from "../support/program.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const program = await bundle("test/support/storeBusProcess.ts")
afterAll(program.remove)

interface Place {
  readonly database: string
  readonly prefix: string
  readonly layer: Layer.Layer<EventBus.EventBus | SqlClient.SqlClient, unknown>
}

const keys = 8
const part = 120
const numbers = (count: number, from: number) => Array.from({ length: count }, (_, n) => from + n)

const cases = (open: Effect.Effect<Place, never, Scope.Scope>) => {
  it.scopedLive(
    "the one of two processes that takes messages out of the log is killed: none is lost, keys keep their order",
    () =>
      Effect.gen(function*() {
        const place = yield* open
        const start = Effect.acquireRelease(
          Effect.sync(() => run(program.file, place.database, place.prefix)),
          (running) => Effect.promise(running.kill)
        )
        const ready = (running: Running) => Effect.promise(() => running.spoken)
        yield* Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const table = sql(`${place.prefix}handled`)
          const serial = sql.onDialectOrElse({
            pg: () => sql.literal("serial PRIMARY KEY"),
            orElse: () => sql.literal("INTEGER PRIMARY KEY")
          })
          yield* sql`CREATE TABLE ${table} (seq ${serial}, n int NOT NULL, process int NOT NULL)`
          const handled = sql<{ readonly n: number; readonly process: number }>`
            SELECT n, process FROM ${table} ORDER BY seq`
          const different = Effect.map(handled, (rows) => new Set(rows.map(({ n }) => n)).size)
          const atLeast = (count: number): Effect.Effect<void, unknown> =>
            Effect.flatMap(different, (have) =>
              have >= count ? Effect.void : Effect.zipRight(Effect.sleep("5 millis"), atLeast(count)))
          const publish = (from: number) =>
            Effect.forEach(
              Array.from({ length: 6 }, (_, page) =>
                from + page * 20),
              (first) =>
                Effect.flatMap(EventBus.EventBus, ({ publish }) =>
                  publish(numbers(20, first).map((n) => ({ type: "Placed", payload: { n }, key: `k${n % keys}` })))),
              { discard: true }
            )
          // the first to be ready has the lease
          const first = yield* start
          yield* ready(first)
          const second = yield* start
          yield* ready(second)
          const publishing = yield* Effect.fork(publish(0))
          yield* atLeast(part / 6)
          yield* Effect.promise(first.kill)
          yield* publishing
          yield* publish(part)
          yield* atLeast(2 * part)
          const rows = yield* handled
          for (let key = 0; key < keys; key++) {
            const first = Array.from(new Set(rows.filter(({ n }) => n % keys === key).map(({ n }) => n)))
            assert.deepStrictEqual(first, Array.from({ length: 2 * part / keys }, (_, at) => at * keys + key))
          }
        }).pipe(Effect.provide(place.layer))
      }),
    60_000
  )
}

const over = <R>(services: Layer.Layer<StoreBus.Services | SqlClient.SqlClient | R, unknown>) =>
  Layer.provideMerge(StoreBus.layer(), services)

describe("processes on a bus backed by the store in SQLite", () => {
  cases(Effect.map(tempFile(), (database) => ({
    database,
    prefix: "skald_",
    layer: over(Sqlite.layer({ filename: database }))
  })))
})

Servers.suite("postgres", "processes on a bus backed by the store in PostgreSQL", (url) => {
  cases(Effect.map(Postgres.prefix(url), (prefix) => ({
    database: url,
    prefix,
    layer: over(PostgresServices.layer({ url: Redacted.make(url), prefix }))
  })))
})
