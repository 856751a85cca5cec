// needs: native addon
import { describe, expect, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { SqlClient } from "@effect/sql"
import { Duration, Effect, Layer, type Scope } from "effect"
import { afterAll } from "vitest"
import * as Postgres from "../support/postgres.ts"
import { bundle, run, type Running } from "../support/program.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

interface Place {
  readonly database: string
  readonly prefix: string
  readonly client: Layer.Layer<SqlClient.SqlClient>
}

const program = await bundle("test/support/busProcess.ts")
afterAll(program.remove)

const work: BusDriver.Group = { name: "work", selector: Selector.all, start: "latest", kept: true }

const start = (place: Place, mode: "hold" | "work"): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => run(program.file, place.database, place.prefix, mode)),
    (running) => Effect.promise(running.kill)
  )

/** Until a process has said so much. */
const said = (running: Running, lines: number) =>
  Effect.gen(function*() {
    yield* Effect.promise(() => running.spoken)
    while (running.lines.length < lines) yield* Effect.sleep("5 millis")
    return running.lines[lines - 1]!
  }).pipe(Effect.timeout("20 seconds"))

const bus = (place: Place, options: SqlBus.Options = {}) =>
  Layer.orDie(Layer.provideMerge(SqlBus.layer({ prefix: place.prefix, ...options }), place.client))

const publish = (ids: ReadonlyArray<string>, key?: string) =>
  Effect.flatMap(
    EventBus.EventBus,
    ({ publish }) => publish(ids.map((id) => ({ id, type: "Placed", payload: { id }, key })))
  )

/** Everything that comes, until there are so many. */
const take = (consumer: BusDriver.Consumer, count: number) =>
  Effect.gen(function*() {
    const taken: Array<BusDriver.Delivered> = []
    while (taken.length < count) taken.push(...yield* consumer.pull(count - taken.length))
    return taken
  })

const told = (delivered: ReadonlyArray<BusDriver.Delivered>) =>
  delivered.map(({ deliveries, message }) => `${message.id}:${deliveries}`)

/** Stops a process where it holds no lock: on SQLite nobody could write, nor take over, until it goes on. */
const pause = (place: Place, { process }: Running) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const probe = sql(`${place.prefix}probe`)
    yield* sql`CREATE TABLE ${probe} (n int)`
    const isFree = Effect.isSuccess(Effect.timeout(sql`DELETE FROM ${probe}`, "500 millis"))
    process.kill("SIGSTOP")
    while (!(yield* isFree)) {
      process.kill("SIGCONT")
      yield* Effect.sleep("20 millis")
      process.kill("SIGSTOP")
    }
  })

const cases = (open: Effect.Effect<Place, never, Scope.Scope>) => {
  it.scopedLive(
    "a worker killed with SIGKILL: its messages come again within the lease, none is lost, attempts are right",
    () =>
      Effect.gen(function*() {
        const place = yield* open
        yield* Effect.gen(function*() {
          const { consume, depth } = yield* EventBus.EventBus
          yield* Effect.scoped(consume(work))
          yield* publish(["1", "2", "3"])
          const worker = yield* start(place, "hold")
          expect(yield* said(worker, 1)).toBe("1:1 2:1 3:1")
          yield* Effect.promise(worker.kill)
          const [lasted, again] = yield* Effect.timed(Effect.flatMap(consume(work), (consumer) => take(consumer, 3)))
          expect(told(again)).toEqual(["1:2", "2:2", "3:2"])
          expect(Duration.toMillis(lasted)).toBeLessThan(Duration.toMillis(SqlBus.leaseTtl))
          expect(yield* depth("work")).toMatchObject({ ready: 0, waiting: 0, inFlight: 3 })
        }).pipe(Effect.provide(bus(place)))
      }),
    90_000
  )

  it.scopedLive(
    "a process that is paused for longer than its lease settles nothing, and goes on as a new one",
    () =>
      Effect.gen(function*() {
        const place = yield* open
        yield* Effect.gen(function*() {
          const { consume, depth } = yield* EventBus.EventBus
          const consumer = yield* consume(work)
          yield* publish(["1", "2"])
          const worker = yield* start(place, "hold")
          expect(yield* said(worker, 1)).toBe("1:1 2:1")
          yield* pause(place, worker)
          const again = yield* take(consumer, 2)
          expect(told(again)).toEqual(["1:2", "2:2"])
          worker.process.kill("SIGUSR2")
          worker.process.kill("SIGCONT")
          expect(yield* said(worker, 2)).toBe("settled")
          expect(yield* depth("work")).toMatchObject({ ready: 0, inFlight: 2 })
          yield* consumer.settle(again.map(({ receipt }) => ({ _tag: "done", receipt })))
          expect(yield* depth("work")).toMatchObject({ ready: 0, inFlight: 0 })
          yield* publish(["3"])
          expect(yield* said(worker, 3)).toBe("3:1")
        }).pipe(Effect.provide(bus(place)))
      }),
    90_000
  )

  for (const killed of [false, true]) {
    it.scopedLive(
      killed
        ? "three processes share keyed work and one is killed: each key keeps its order, and none is lost"
        : "two processes share keyed work: each key keeps its order, both have some",
      () =>
        Effect.gen(function*() {
          const place = yield* open
          yield* Effect.gen(function*() {
            const { consume, depth } = yield* EventBus.EventBus
            const sql = yield* SqlClient.SqlClient
            const table = sql(`${place.prefix}handled`)
            const serial = sql.onDialectOrElse({
              pg: () => sql.literal("serial PRIMARY KEY"),
              orElse: () => sql.literal("INTEGER PRIMARY KEY")
            })
            yield* sql`CREATE TABLE ${table} (seq ${serial}, id text NOT NULL, process int NOT NULL)`
            yield* Effect.scoped(consume(work))
            const workers = [yield* start(place, "work"), yield* start(place, "work")]
            if (killed) workers.push(yield* start(place, "work"))
            for (const worker of workers) yield* said(worker, 1)
            const keys = Array.from({ length: 12 }, (_, index) => `k${index}`)
            const { publish } = yield* EventBus.EventBus
            yield* publish(
              Array.from({ length: 240 }, (_, index) => {
                const key = keys[index % keys.length]!
                return { id: `${key} ${Math.floor(index / keys.length)}`, type: "Placed", payload: {}, key }
              })
            )
            const left = Effect.map(depth("work"), ({ inFlight, ready, waiting }) => inFlight + ready + waiting)
            if (killed) {
              // whoever is the first to have handled something
              const first = sql<{ readonly process: number }>`SELECT process FROM ${table} ORDER BY seq LIMIT 1`
              let found = yield* first
              for (; found.length === 0; found = yield* first) yield* Effect.sleep("2 millis")
              yield* Effect.promise(workers.find(({ process }) => process.pid === found[0]!.process)!.kill)
              expect(yield* left).toBeGreaterThan(0)
            }
            while ((yield* left) > 0) yield* Effect.sleep("20 millis")
            const handled = yield* sql<{ readonly id: string; readonly process: number }>`
              SELECT id, process FROM ${table} ORDER BY seq`
            for (const key of keys) {
              const own = handled.filter(({ id }) => id.startsWith(`${key} `)).map(({ id }) => id)
              // what the killed one had handled and not settled comes again, before anything that follows it
              expect(killed ? own.filter((id, at) => id !== own[at - 1]) : own).toEqual(
                Array.from({ length: 20 }, (_, n) => `${key} ${n}`)
              )
            }
            expect(new Set(handled.map(({ process }) => process)).size).toBeGreaterThan(1)
          }).pipe(Effect.provide(bus(place)))
        }),
      180_000
    )
  }
}

describe("processes on one SQLite file", () => {
  cases(Effect.map(tempFile(), (database) => ({
    database,
    prefix: "skald_",
    client: Layer.orDie(SqliteClient.layer({ filename: database }))
  })))
})

Servers.suite("postgres", "processes on one PostgreSQL", (database) => {
  cases(Effect.map(Postgres.prefix(database), (prefix) => ({ database, prefix, client: Postgres.client(database) })))
})
