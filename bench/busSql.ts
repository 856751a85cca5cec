/**
 * The bus on SQLite and PostgreSQL, taking and acknowledging what waits: against a worker that one would write by hand (one
 * table, `FOR UPDATE SKIP LOCKED`, the same batches, as many workers), and beside pg-boss on the same server.
 * `eval "$(bash scripts/services.sh env postgres)"` says where that is; without it there are the cases of SQLite alone.
 *
 * The peers' workers have no subscriptions, priorities, keys or delays: each message is one row, that of its one queue. Before the
 * clock starts each side has taken some, so that its connections and plans are there.
 */
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { PgClient } from "@effect/sql-pg"
import Database from "better-sqlite3"
import { Context, Deferred, Effect, Exit, Fiber, Layer, ManagedRuntime, Redacted, Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Pg from "pg"
import PgBoss from "pg-boss"
import * as Kit from "./kit.ts"
import { create, drop, poolSize, server } from "./support/postgresServer.ts"

const batch = 100
const workers = 4
const inserted = 1_000
/** Taken before the clock starts; some more are there, since workers may overshoot. */
const warm = 4_000

const group: BusDriver.Group = { name: "work", selector: Selector.all, start: "latest", kept: true }
const payloadOf = (n: number) => ({ order: `o-${n}`, customer: "c-17", lines: [{ sku: "a-1", count: 2 }], total: n })
const metadata = JSON.stringify({ correlationId: "0198a3b0-0000-7000-8000-000000000000" })

const sizeOf = ({ quick }: Kit.Context, messages: number) => quick ? messages / 4 : messages

/** So many batches of indices. */
const batches = (count: number): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: count / inserted }, (_, b) => Array.from({ length: inserted }, (_, n) => b * inserted + n))

// --------------------------------------------------------------------------------------------------------------- ours

interface Ours {
  readonly runtime: ManagedRuntime.ManagedRuntime<EventBus.EventBus, never>
  readonly bus: EventBus.Service
  readonly count: number
  readonly remove: () => void | Promise<void>
}

const fill = async (
  layer: Layer.Layer<EventBus.EventBus, unknown>,
  count: number,
  consumers: number,
  remove: Ours["remove"]
): Promise<Ours> => {
  const runtime = ManagedRuntime.make(Layer.orDie(layer))
  const bus = Context.get((await runtime.runtime()).context, EventBus.EventBus)
  await runtime.runPromise(Effect.scoped(bus.consume(group)) as Effect.Effect<unknown>)
  for (const part of batches(count + warm + inserted)) {
    await runtime.runPromise(bus.publish(part.map((n) => ({ type: "Placed", payload: payloadOf(n) }))))
  }
  const ours: Ours = { runtime, bus, count, remove }
  await consumeAll(consumers)({ ...ours, count: warm })
  return ours
}

/** Takes and acknowledges all of it, by so many consumers. */
const consumeAll = (consumers: number) => async ({ bus, count, runtime }: Ours) => {
  let left = count
  await runtime.runPromise(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const finished = yield* Deferred.make<void>()
    const each = Effect.gen(function*() {
      const consumer = yield* bus.consume(group)
      while (left > 0) {
        const taken = yield* consumer.pull(batch)
        yield* consumer.settle(taken.map(({ receipt }) => ({ _tag: "done" as const, receipt })))
        left -= taken.length
      }
      yield* Deferred.succeed(finished, undefined)
    })
    const all = Array.from({ length: consumers }, () => Effect.fork(Effect.provideService(each, Scope.Scope, scope)))
    const fibers = yield* Effect.all(all)
    // the last of it ends the others, which wait for more
    yield* Deferred.await(finished)
    yield* Fiber.interruptAll(fibers)
    yield* Scope.close(scope, Exit.void)
  }) as Effect.Effect<void>)
  return count
}

const closeOurs = async ({ remove, runtime }: Ours) => {
  await runtime.dispose()
  await remove()
}

// ------------------------------------------------------------------------------------------------------------- SQLite

const temporary = () => fs.mkdtempSync(path.join(os.tmpdir(), "skald-bench-"))

const oursOnSqlite: Kit.Side<Ours> = {
  setup: (context) => {
    const folder = temporary()
    return fill(
      Layer.provide(SqlBus.layer(), SqliteClient.layer({ filename: path.join(folder, "bus.db") })),
      sizeOf(context, 20_000),
      1,
      () => fs.rmSync(folder, { recursive: true, force: true })
    )
  },
  run: consumeAll(1),
  teardown: closeOurs
}

interface RawSqlite {
  readonly database: Database.Database
  readonly folder: string
  readonly count: number
}

const columns = `id TEXT NOT NULL, type TEXT NOT NULL, occurred_at BIGINT NOT NULL, metadata TEXT NOT NULL,
  payload TEXT NOT NULL, attempts INTEGER NOT NULL, locked_until BIGINT NOT NULL`

const takeSqlite = async ({ count, database }: RawSqlite): Promise<number> => {
  const take = database.prepare(`UPDATE jobs SET attempts = attempts + 1, locked_until = ? WHERE place IN (
    SELECT place FROM jobs WHERE locked_until <= ? ORDER BY place LIMIT ${batch}) RETURNING *`)
  const done = database.prepare("DELETE FROM jobs WHERE place IN (SELECT value FROM json_each(?))")
  const begin = database.prepare("BEGIN IMMEDIATE")
  const commit = database.prepare("COMMIT")
  let left = count
  while (left > 0) {
    const now = Date.now()
    begin.run()
    const taken = take.all(now + 5_000, now) as ReadonlyArray<{ readonly place: number }>
    commit.run()
    await Promise.resolve()
    begin.run()
    done.run(JSON.stringify(taken.map(({ place }) => place)))
    commit.run()
    left -= taken.length
  }
  return count
}

const rawOnSqlite: Kit.Side<RawSqlite> = {
  setup: async (context) => {
    const folder = temporary()
    const database = new Database(path.join(folder, "raw.db"))
    database.pragma("journal_mode = WAL")
    database.pragma("synchronous = NORMAL")
    database.exec(`CREATE TABLE jobs (place INTEGER PRIMARY KEY, ${columns})`)
    const count = sizeOf(context, 20_000)
    const insert = database.prepare("INSERT INTO jobs VALUES (NULL, ?, 'Placed', ?, ?, ?, 0, 0)")
    for (const part of batches(count + warm + inserted)) {
      database.transaction(() => {
        for (const n of part) insert.run(`id-${n}`, Date.now(), metadata, JSON.stringify(payloadOf(n)))
      })()
    }
    await takeSqlite({ database, folder, count: warm })
    return { database, folder, count }
  },
  run: takeSqlite,
  teardown: ({ database, folder }) => {
    database.close()
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

// --------------------------------------------------------------------------------------------------------- PostgreSQL

const oursOnPostgres: Kit.Side<Ours> = {
  setup: async (context) => {
    const url = await create()
    return fill(
      Layer.provide(SqlBus.layer(), PgClient.layer({ url: Redacted.make(url), maxConnections: poolSize })),
      sizeOf(context, 20_000),
      workers,
      () => drop(url)
    )
  },
  run: consumeAll(workers),
  teardown: closeOurs
}

interface RawPostgres {
  readonly pool: Pg.Pool
  readonly url: string
  readonly count: number
}

const takePostgres = async ({ count, pool }: RawPostgres): Promise<number> => {
  let left = count
  const work = async () => {
    while (left > 0) {
      const { rows } = await pool.query({
        name: "take",
        text: `UPDATE jobs SET attempts = attempts + 1, locked_until = $1 WHERE place IN (
          SELECT place FROM jobs WHERE locked_until <= $2 ORDER BY place LIMIT ${batch} FOR UPDATE SKIP LOCKED
        ) RETURNING *`,
        values: [Date.now() + 5_000, Date.now()]
      })
      if (rows.length === 0) continue
      await pool.query({
        name: "done",
        text: "DELETE FROM jobs WHERE place = ANY ($1::int8[])",
        values: [rows.map(({ place }) => place)]
      })
      left -= rows.length
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
  return count
}

const rawOnPostgres: Kit.Side<RawPostgres> = {
  setup: async (context) => {
    const url = await create()
    const pool = new Pg.Pool({ connectionString: url, max: poolSize })
    pool.on("error", () => {})
    await pool.query(`CREATE TABLE jobs (place bigserial PRIMARY KEY, ${columns})`)
    const count = sizeOf(context, 20_000)
    for (const part of batches(count + warm + inserted)) {
      await pool.query(
        `INSERT INTO jobs (id, type, occurred_at, metadata, payload, attempts, locked_until)
          SELECT id, 'Placed', $3, $4, payload, 0, 0 FROM unnest($1::text[], $2::text[]) AS given(id, payload)`,
        [part.map((n) => `id-${n}`), part.map((n) => JSON.stringify(payloadOf(n))), Date.now(), metadata]
      )
    }
    await takePostgres({ pool, url, count: warm })
    return { pool, url, count }
  },
  run: takePostgres,
  teardown: async ({ pool, url }) => {
    await pool.end()
    await drop(url)
  }
}

interface Boss {
  readonly boss: PgBoss
  readonly url: string
  readonly count: number
}

const takeBoss = async ({ boss, count }: Boss): Promise<number> => {
  let left = count
  const work = async () => {
    while (left > 0) {
      const jobs = await boss.fetch("work", { batchSize: batch })
      if (jobs === null || jobs.length === 0) continue
      await boss.complete("work", jobs.map(({ id }) => id))
      left -= jobs.length
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
  return count
}

const pgBoss: Kit.Side<Boss> = {
  setup: async (context) => {
    const url = await create()
    const boss = new PgBoss({ connectionString: url, max: poolSize, supervise: false, schedule: false })
    boss.on("error", () => {})
    await boss.start()
    await boss.createQueue("work")
    const count = sizeOf(context, 20_000)
    for (const part of batches(count + warm + inserted)) {
      await boss.insert(part.map((n) => ({ name: "work", data: payloadOf(n) })))
    }
    await takeBoss({ boss, url, count: warm })
    return { boss, url, count }
  },
  run: takeBoss,
  teardown: async ({ boss, url }) => {
    await boss.stop({ graceful: false, close: true })
    await drop(url)
  }
}

const onServer: ReadonlyArray<Kit.Case> = server === "" ? [] : [
  Kit.compare("PostgreSQL: take and acknowledge, 4 workers", {
    peer: "SKIP LOCKED",
    unit: "messages/s",
    goal: 0.7,
    ours: oursOnPostgres,
    theirs: rawOnPostgres
  }),
  Kit.compare("PostgreSQL: take and acknowledge, 4 workers, beside pg-boss", {
    peer: "pg-boss",
    unit: "messages/s",
    goal: 1,
    ours: oursOnPostgres,
    theirs: pgBoss
  })
]

export default [
  Kit.compare("SQLite: take and acknowledge", {
    peer: "raw statements",
    unit: "messages/s",
    goal: 0.6,
    ours: oursOnSqlite,
    theirs: rawOnSqlite
  }),
  ...onServer
]
