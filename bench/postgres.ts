/**
 * The event store on PostgreSQL against what one would write by hand over `pg`, and against another event store on the same
 * server. `eval "$(bash scripts/services.sh env postgres)"` says where that is; without it there is no case.
 *
 * Every round has a database of its own. All sides have a pool of the same size, and store the same events under UUIDs version 7.
 * The raw peer writes the very tables and indexes of ours by one statement a call, whose caller knows the versions: it
 * draws positions from the sequence, takes no lock, and so has neither conditions nor readers that never skip; it
 * has no idempotency (its content hash is a constant) and groups nothing.
 */
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import { Context, Duration, Effect, Layer, ManagedRuntime, Redacted, Stream } from "effect"
import * as Pg from "pg"
import { v7 } from "uuid"
import * as Kit from "./kit.ts"
import {
  appendBatches,
  content,
  counted,
  decodePayload,
  fillStreams,
  payloadOf,
  percentile,
  readAllDecoded
} from "./support/moved.ts"
import { create, drop, poolSize, server } from "./support/postgresServer.ts"

const callers = 64

interface Opened {
  readonly url: string
  readonly runtime: ManagedRuntime.ManagedRuntime<EventStore.EventStore, never>
  readonly store: EventStore.Service
}

const openAt = async (url: string, options?: Postgres.Options): Promise<Opened> => {
  const runtime = ManagedRuntime.make(
    Layer.orDie(Postgres.layerServer({ url: Redacted.make(url), maxConnections: poolSize, ...options }))
  )
  const { context } = await runtime.runtime()
  return { url, runtime, store: Context.get(context, EventStore.EventStore) }
}

const open = async (): Promise<Opened> => openAt(await create())

const close = async ({ runtime, url }: Opened): Promise<void> => {
  await runtime.dispose()
  await drop(url)
}

interface Raw {
  readonly url: string
  readonly pool: Pg.Pool
}

/** All of its connections are there, as ours and the other store's are. */
const connect = async (url: string): Promise<Raw> => {
  const pool = new Pg.Pool({ connectionString: url, max: poolSize })
  pool.on("error", () => {})
  await Promise.all(Array.from({ length: poolSize }, () => pool.query("SELECT pg_sleep(0.01)")))
  return { url, pool }
}

/** The tables are made by ours and used by the peer. */
const openRaw = async (): Promise<Raw> => {
  const { runtime, url } = await open()
  await runtime.dispose()
  return connect(url)
}

const closeRaw = async ({ pool, url }: Raw): Promise<void> => {
  await pool.end()
  await drop(url)
}

// Appends

const batches = (batch: number) => ({ quick }: Kit.Context) =>
  Math.max(2, Math.ceil((quick ? 2_000 : 12_800) / callers / Math.sqrt(batch)))

/** So many callers, each with calls of a batch, one after the other, on ten streams of its own. */
const ours = (batch: number): Kit.Side<Opened> => ({
  setup: open,
  run: ({ runtime, store }, context) =>
    runtime.runPromise(appendBatches(store, callers, batches(batch)(context), batch)),
  teardown: close
})

const insert = `INSERT INTO skald_events (
    position, version, occurred_at, recorded_at, schema_version, tenant, stream, category, id, type, format,
    correlation_id, source, tags, content, metadata, payload
  ) SELECT nextval('skald_positions'), version, occurred_at, $1, 1, '', stream, 'account', id, 'Moved', 'json',
    correlation_id, '/', NULL, content, metadata, payload
  FROM unnest($2::int8[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
    AS given(version, occurred_at, stream, id, correlation_id, content, metadata, payload)`

const raw = (batch: number): Kit.Side<Raw> => ({
  setup: openRaw,
  run: async ({ pool }, context) => {
    const calls = batches(batch)(context)
    const caller = async (caller: number): Promise<void> => {
      for (let call = 0; call < calls; call++) {
        const before = Math.floor(call / 10) * batch
        const stream = `account-${caller}-${call % 10}`
        const now = Date.now()
        const columns: Array<Array<unknown>> = [[], [], [], [], [], [], [], []]
        for (let n = 0; n < batch; n++) {
          const id = v7()
          columns[0]!.push(before + n + 1)
          columns[1]!.push(now)
          columns[2]!.push(stream)
          columns[3]!.push(id)
          columns[4]!.push(id)
          columns[5]!.push(content)
          columns[6]!.push(`{"correlationId":"${id}"}`)
          columns[7]!.push(JSON.stringify(payloadOf(call * batch + n)))
        }
        await pool.query(insert, [now, ...columns])
      }
    }
    await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)))
    return calls * callers * batch
  },
  teardown: closeRaw
})

type Emmett = Raw & { readonly store: ReturnType<typeof getPostgreSQLEventStore> }

const emmett = (batch: number): Kit.Side<Emmett> => ({
  setup: async () => {
    const opened = await connect(await create())
    const store = getPostgreSQLEventStore(opened.url, { connectionOptions: { pool: opened.pool } })
    await store.schema.migrate()
    return { ...opened, store }
  },
  run: async ({ store }, context) => {
    const calls = batches(batch)(context)
    const caller = async (caller: number): Promise<void> => {
      for (let call = 0; call < calls; call++) {
        await store.appendToStream(
          `account-${caller}-${call % 10}`,
          Array.from({ length: batch }, (_, n) => ({ type: "Moved", data: payloadOf(call * batch + n) })),
          { expectedStreamVersion: BigInt(Math.floor(call / 10) * batch) }
        )
      }
    }
    await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)))
    return calls * callers * batch
  },
  teardown: async (given) => {
    await given.store.close()
    await closeRaw(given)
  }
})

// Reading

const columns = "position, stream, version, id, type, schema_version, format, payload, metadata, source, tags, " +
  "occurred_at, recorded_at"

/** A log with streams of a hundred events. */
const filled = async ({ quick }: Kit.Context): Promise<Opened> => {
  const opened = await open()
  await opened.runtime.runPromise(fillStreams(opened.store, quick ? 100 : 500))
  await opened.runtime.runPromise(Effect.promise(async () => {
    const client = new Pg.Client(opened.url)
    await client.connect()
    await client.query("VACUUM ANALYZE")
    await client.end()
  }))
  return opened
}

const readOurs: Kit.Side<Opened> = {
  setup: filled,
  run: ({ runtime }) => runtime.runPromise(counted(readAllDecoded())),
  teardown: close
}

const page = 1_000

const readRaw: Kit.Side<Raw> = {
  setup: async (context) => {
    const { runtime, url } = await filled(context)
    await runtime.dispose()
    return connect(url)
  },
  run: async ({ pool }) => {
    let after = "0"
    let count = 0
    while (true) {
      const { rows } = await pool.query<Array<any>>({
        text: `SELECT ${columns} FROM skald_events WHERE tenant = '' AND position > $1 ORDER BY position LIMIT ${page}`,
        values: [after],
        rowMode: "array"
      })
      const events: Array<unknown> = []
      for (const row of rows) {
        events.push({
          position: Number(row[0]),
          stream: row[1],
          version: Number(row[2]),
          id: row[3],
          type: row[4],
          schemaVersion: row[5],
          payload: decodePayload(JSON.parse(row[7])),
          metadata: JSON.parse(row[8]),
          source: row[9],
          tags: row[10],
          occurredAt: Number(row[11]),
          recordedAt: Number(row[12])
        })
      }
      count += events.length
      if (events.length < page) return count
      after = rows[page - 1]![0]
    }
  },
  teardown: closeRaw
}

// Waking up

/**
 * From the answer to an append to its delivery by a subscription that another process would have (a pool and a connection
 * that listens of its own), in milliseconds, at the 95th percentile.
 */
const delivery = (listen: boolean): Kit.Side<{ readonly writer: Opened; readonly reader: Opened }> => ({
  setup: async () => {
    const writer = await open()
    return { writer, reader: await openAt(writer.url, { listen }) }
  },
  value: async ({ reader, writer }, { quick }) => {
    const appends = quick ? 40 : 200
    const told = new Map<string, number>()
    const delays: Array<number> = []
    const reading = reader.runtime.runPromise(
      reader.store.subscribe({ after: "earliest" }).pipe(
        Stream.take(appends),
        Stream.runForEach((event) =>
          Effect.sync(() => {
            delays.push(performance.now() - (told.get(event.id) ?? performance.now()))
          })
        )
      )
    )
    await writer.runtime.runPromise(Effect.gen(function*() {
      for (let n = 0; n < appends; n++) {
        // so that each has to wake a reader that sleeps, at any moment between two of its looks
        yield* Effect.sleep(Duration.millis(20 + (n * 37) % 60))
        const id = v7()
        told.set(id, performance.now())
        yield* writer.store.append([{ stream: `account-${n}`, events: [{ id, type: "Moved", payload: payloadOf(n) }] }])
      }
    }))
    await reading
    return percentile(delays, 0.95)
  },
  teardown: async ({ reader, writer }) => {
    await reader.runtime.dispose()
    await close(writer)
  }
})

const byHand = "raw pg, one insert from unnest a call: same table and indexes, no locks, no idempotency"

const cases = [
  Kit.compare(`append, ${callers} callers, batches of 1, against Emmett`, {
    goal: 3,
    peer: "emmett-postgresql",
    ours: ours(1),
    theirs: emmett(1)
  }),
  Kit.compare(`append, ${callers} callers, batches of 10, against Emmett`, {
    goal: 3,
    peer: "emmett-postgresql",
    ours: ours(10),
    theirs: emmett(10)
  }),
  ...[1, 10, 100].map((batch) =>
    Kit.compare(`append, ${callers} callers, batches of ${batch}`, {
      goal: 0.7,
      peer: byHand,
      ours: ours(batch),
      theirs: raw(batch)
    })
  ),
  Kit.compare("catching up with all events", {
    goal: 0.7,
    peer: `raw pg, select of ${page} rows, JSON.parse, same Schema decode`,
    ours: readOurs,
    theirs: readRaw
  }),
  Kit.measure("append to delivery elsewhere, 95th percentile, with the hint", {
    unit: "ms",
    better: "lower",
    goal: 50,
    rounds: 3,
    ours: delivery(true)
  }),
  Kit.measure("append to delivery elsewhere, 95th percentile, plain polling every 100 ms", {
    unit: "ms",
    better: "lower",
    rounds: 3,
    ours: delivery(false)
  })
]

if (server === "") {
  process.stderr.write("postgres: SKALD_POSTGRES_URL is not set, see scripts/services.sh: nothing is measured.\n")
}

export default server === "" ? [] : cases
