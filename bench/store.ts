/**
 * The event store against what one would write by hand, and against another in-memory event store.
 *
 * Both sides store the same events under the same UUIDs version 7. The SQLite peer writes the very tables and indexes of
 * ours, at the group size that ours reaches, and checks the version; it has no idempotency (its content hash is a
 * constant), no metadata but the correlation id, no refusals, no joining of transactions, no waking of subscribers.
 */
import { getInMemoryEventStore } from "@event-driven-io/emmett"
import Database from "better-sqlite3"
import * as EventStore from "effect-skald/store/EventStore"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Chunk, Context, Effect, Layer, ManagedRuntime, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { v7 } from "uuid"
import * as Kit from "./kit.ts"
import {
  Accounts,
  appends,
  atOnce,
  content,
  counted,
  decodePayload,
  payloadOf,
  readAllDecoded
} from "./support/moved.ts"

// Memory

const streams = 100
const events = 10_000

/** Fresh stores, one after the other, so that a round takes long enough to be measured. */
const stores = ({ quick }: Kit.Context) => quick ? 2 : 10

const bare: Kit.Side = {
  run: (_, context) => {
    for (let store = 0; store < stores(context); store++) {
      const log = new Map<string, Array<unknown>>()
      for (let n = 0; n < events; n++) {
        const stream = `account-${n % streams}`
        const list = log.get(stream)
        const event = {
          id: v7(),
          type: "Moved",
          payload: payloadOf(n),
          version: (list?.length ?? 0) + 1,
          position: n + 1
        }
        if (list === undefined) log.set(stream, [event])
        else list.push(event)
      }
      if (log.size !== streams) throw new Error("nothing was kept")
    }
    return stores(context) * events
  }
}

const emmett: Kit.Side = {
  run: async (_, context) => {
    for (let each = 0; each < stores(context); each++) {
      const store = getInMemoryEventStore()
      for (let n = 0; n < events; n++) {
        await store.appendToStream(`account-${n % streams}`, [{ type: "Moved", data: payloadOf(n) }])
      }
      const { events: kept } = await store.readStream("account-7")
      if (kept.length !== events / streams) throw new Error("nothing was kept")
    }
    return stores(context) * events
  }
}

const memory: Kit.Side = {
  run: async (_, context) => {
    for (let each = 0; each < stores(context); each++) {
      await Effect.runPromise(
        Effect.flatMap(
          EventStore.EventStore,
          (store) => appends(store, events, (n) => ({ stream: `account-${n % streams}` }))
        )
          .pipe(
            Effect.provide(EventStore.layerMemory)
          )
      )
    }
    return stores(context) * events
  }
}

// SQLite

interface Opened {
  readonly folder: string
  readonly filename: string
  readonly runtime: ManagedRuntime.ManagedRuntime<EventStore.EventStore, unknown>
  readonly context: Context.Context<EventStore.EventStore>
  readonly store: EventStore.Service
}

const open = async (filename?: string): Promise<Opened> => {
  const folder = filename === undefined
    ? fs.mkdtempSync(path.join(os.tmpdir(), "skald-bench-"))
    : path.dirname(filename)
  const file = filename ?? path.join(folder, "bench.db")
  const runtime = ManagedRuntime.make(Layer.orDie(Sqlite.layerFile({ filename: file, synchronous: "normal" })))
  const { context } = await runtime.runtime()
  return { folder, filename: file, runtime, context, store: Context.get(context, EventStore.EventStore) }
}

const close = async ({ folder, runtime }: Opened): Promise<void> => {
  await runtime.dispose()
  fs.rmSync(folder, { recursive: true, force: true })
}

/** The tables are made by ours and used by the peer, over a connection of its own. */
const openRaw = async () => {
  const opened = await open()
  await opened.runtime.dispose()
  const database = new Database(opened.filename)
  database.pragma("journal_mode = WAL")
  database.pragma("synchronous = NORMAL")
  database.pragma("foreign_keys = ON")
  return { folder: opened.folder, database }
}

const closeRaw = ({ database, folder }: { readonly database: Database.Database; readonly folder: string }): void => {
  database.close()
  fs.rmSync(folder, { recursive: true, force: true })
}

const insertColumns = [
  "tenant",
  "stream",
  "version",
  "category",
  "id",
  "type",
  "schema_version",
  "format",
  "correlation_id",
  "source",
  "tags",
  "occurred_at",
  "recorded_at",
  "content",
  "metadata",
  "payload"
]

/** What the raw peer runs for every group: begin, the version of each stream checked, a row each, commit. */
const rawWriter = (database: Database.Database) => {
  const begin = database.prepare("BEGIN IMMEDIATE")
  const commit = database.prepare("COMMIT")
  const version = database.prepare("SELECT max(version) FROM skald_events WHERE stream = ? AND tenant = ?").pluck()
  const insert = database.prepare(
    `INSERT INTO skald_events (${insertColumns.join(", ")}) VALUES (${insertColumns.map(() => "?").join(", ")})`
  )
  return (group: ReadonlyArray<{ readonly stream: string; readonly expected: number; readonly n: number }>) => {
    begin.run()
    for (const { expected, n, stream } of group) {
      const actual = (version.get(stream, "") as number | null) ?? 0
      if (actual !== expected) throw new Error("conflict")
      const id = v7()
      const now = Date.now()
      insert.run(
        "",
        stream,
        actual + 1,
        "account",
        id,
        "Moved",
        1,
        "json",
        id,
        "/",
        null,
        now,
        now,
        content,
        `{"correlationId":"${id}"}`,
        JSON.stringify(payloadOf(n))
      )
    }
    commit.run()
  }
}

const total = ({ quick }: Kit.Context) => quick ? 3_200 : 32_000

const sqliteAppends = (callers: number): { readonly ours: Kit.Side<Opened>; readonly theirs: Kit.Side<any> } => {
  const perCaller = (context: Kit.Context) => Math.ceil(total(context) / 64 / (callers === 1 ? 2 : 1)) * 64 / callers
  return {
    ours: {
      setup: () => open(),
      run: async ({ runtime, store }, context) => {
        const each = perCaller(context)
        await runtime.runPromise(
          atOnce(
            callers,
            (caller) =>
              appends(store, each, (n) => ({ stream: `account-${caller}-${n % 10}`, expected: Math.floor(n / 10) }))
          )
        )
        return each * callers
      },
      teardown: close
    },
    theirs: {
      setup: openRaw,
      run: ({ database }: { readonly database: Database.Database }, context) => {
        const each = perCaller(context)
        const write = rawWriter(database)
        for (let n = 0; n < each; n++) {
          write(Array.from({ length: callers }, (_, caller) => ({
            stream: `account-${caller}-${n % 10}`,
            expected: Math.floor(n / 10),
            n
          })))
        }
        return each * callers
      },
      teardown: closeRaw
    }
  }
}

// Replay

const columns =
  "position, stream, version, id, type, schema_version, format, payload, metadata, source, tags, occurred_at, recorded_at"

/** A file with one stream of 10,000 events, and 90,000 more in other streams. */
const filled = async (context: Kit.Context): Promise<Opened & { readonly database: Database.Database }> => {
  const opened = await open()
  const others = context.quick ? 10_000 : 90_000
  const batch = (stream: string, from: number, count: number) =>
    opened.store.append([{
      stream,
      events: Array.from({ length: count }, (_, n) => ({ type: "Moved", payload: payloadOf(from + n) }))
    }])
  await opened.runtime.runPromise(Effect.gen(function*() {
    for (let n = 0; n < 10; n++) yield* batch("account-long", n * 1_000, 1_000)
    for (let n = 0; n < others / 100; n++) yield* batch(`account-${n}`, n * 100, 100)
  }))
  return { ...opened, database: new Database(opened.filename, { readonly: true }) }
}

const closeFilled = async (opened: Opened & { readonly database: Database.Database }): Promise<void> => {
  opened.database.close()
  await close(opened)
}

const repeats = ({ quick }: Kit.Context) => quick ? 2 : 10

const replayRaw = (database: Database.Database, sql: string): number => {
  const rows = database.prepare(sql).raw().all() as Array<Array<any>>
  const events: Array<unknown> = []
  for (const row of rows) {
    events.push({
      position: row[0],
      stream: row[1],
      version: row[2],
      id: row[3],
      type: row[4],
      schemaVersion: row[5],
      payload: decodePayload(JSON.parse(row[7])),
      metadata: JSON.parse(row[8]),
      source: row[9],
      tags: row[10],
      occurredAt: row[11],
      recordedAt: row[12]
    })
  }
  return events.length
}

const replay = (
  stream: () => Stream.Stream<unknown, unknown, EventStore.EventStore>,
  sql: string,
  times: (context: Kit.Context) => number
) => ({
  ours: {
    setup: filled,
    run: async ({ runtime }: Opened, context: Kit.Context) => {
      let read = 0
      for (let n = 0; n < times(context); n++) read += await runtime.runPromise(counted(stream()))
      return read
    },
    teardown: closeFilled
  },
  theirs: {
    setup: filled,
    run: ({ database }: { readonly database: Database.Database }, context: Kit.Context) => {
      let read = 0
      for (let n = 0; n < times(context); n++) read += replayRaw(database, sql)
      return read
    },
    teardown: closeFilled
  }
})

// Memory that reading takes

/** Writes many events fast, by the raw peer's statements; kept for all rounds. */
const big = async ({ quick }: Kit.Context): Promise<Opened & { readonly count: number }> => {
  const count = quick ? 100_000 : 1_000_000
  const { database, folder } = await openRaw()
  const write = rawWriter(database)
  const versions = new Map<string, number>()
  for (let n = 0; n < count; n += 1_000) {
    write(Array.from({ length: 1_000 }, (_, k) => {
      const stream = `account-${(n + k) % 1_000}`
      const expected = versions.get(stream) ?? 0
      versions.set(stream, expected + 1)
      return { stream, expected, n: n + k }
    }))
  }
  database.close()
  return { ...await open(path.join(folder, "bench.db")), count }
}

/** The slope, by least squares, of the heap in use after collections, over the events read so far. */
const heapSlope = async ({ count, runtime }: Opened & { readonly count: number }): Promise<number> => {
  const points: Array<readonly [number, number]> = []
  let read = 0
  let next = 0
  await runtime.runPromise(
    Accounts.readAll().pipe(
      Stream.runForEachChunk((chunk) =>
        Effect.sync(() => {
          read += Chunk.size(chunk)
          // what the first pages set up is not growth
          if (read < count / 10 || read < next) return
          next = read + count / 20
          Kit.gc()
          points.push([read, process.memoryUsage().heapUsed])
        })
      )
    )
  )
  if (read !== count) throw new Error(`read ${read} of ${count}`)
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  return points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) /
    points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}

const raw = "raw better-sqlite3: same table, indexes, pragmas; version check, no idempotency"

export default [
  Kit.compare("memory append, one event a call, 10,000 on 100 streams, against Emmett", {
    goal: 3,
    peer: "Emmett's in-memory event store",
    ours: memory,
    theirs: emmett
  }),
  Kit.compare("memory append, one event a call, 10,000 on 100 streams, against a Map", {
    goal: 0.15,
    peer: "a bare Map and push, same UUID",
    ours: memory,
    theirs: bare
  }),
  Kit.compare("SQLite append, 64 concurrent callers", { goal: 0.7, peer: raw, ...sqliteAppends(64) }),
  Kit.compare("SQLite append, one caller", { goal: 0.6, peer: raw, ...sqliteAppends(1) }),
  Kit.compare("SQLite replay of one stream of 10,000", {
    goal: 0.7,
    peer: "raw select, JSON.parse, same Schema decode",
    ...replay(
      () => Accounts.read("long"),
      `SELECT ${columns} FROM skald_events WHERE stream = 'account-long' AND tenant = '' ORDER BY version`,
      repeats
    )
  }),
  Kit.compare("SQLite replay of all events", {
    goal: 0.7,
    peer: "raw select, JSON.parse, same Schema decode",
    ...replay(
      readAllDecoded,
      `SELECT ${columns} FROM skald_events WHERE tenant = '' ORDER BY position`,
      () => 2
    )
  }),
  Kit.measure("heap while reading 1,000,000 events from SQLite", {
    unit: "bytes/event",
    better: "lower",
    goal: 1,
    rounds: 1,
    ours: { setup: big, value: heapSlope, teardown: close }
  })
]
