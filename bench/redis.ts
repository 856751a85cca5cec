/**
 * The event store in Redis against what one would write by hand over `ioredis`. `eval "$(bash scripts/services.sh env redis)"` says
 * where the server is; without it there is no case.
 *
 * Every round has a prefix of its own. The raw peer runs the very script of ours, one call an append, whose commands
 * `ioredis` pipelines by itself (`enableAutoPipelining`): the server does the same work for both, but for the hint that
 * wakes other processes, which the peer does not give. The peer knows the versions, checks nothing, and its content hash is
 * a constant.
 */
import * as EventStore from "effect-skald/store/EventStore"
import * as Redis from "effect-skald/store/Redis"
import * as RedisClient from "effect-skald/store/RedisClient"
import { Context, Duration, Effect, Layer, ManagedRuntime, Stream } from "effect"
import { Redis as Client } from "ioredis"
import { randomBytes } from "node:crypto"
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

const url = process.env["SKALD_REDIS_URL"] ?? ""

const callers = 64

// Stores

const newPrefix = (): string => `bench-${randomBytes(6).toString("hex")}`

/** Removes a store, and waits until the server has. */
const drop = async (prefix: string): Promise<void> => {
  const client = new Client(url)
  let cursor = "0"
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", `{${prefix}}:*`, "COUNT", 1_000)
    if (keys.length > 0) await client.del(...keys)
    cursor = next
  } while (cursor !== "0")
  client.disconnect()
}

interface Opened {
  readonly prefix: string
  readonly runtime: ManagedRuntime.ManagedRuntime<EventStore.EventStore, never>
  readonly store: EventStore.Service
}

const openAt = async (prefix: string, options?: Redis.Options<false>): Promise<Opened> => {
  const runtime = ManagedRuntime.make(Layer.orDie(Redis.layerServer({ url, prefix, ...options })))
  const { context } = await runtime.runtime()
  return { prefix, runtime, store: Context.get(context, EventStore.EventStore) }
}

const open = (): Promise<Opened> => openAt(newPrefix())

const close = async ({ prefix, runtime }: Opened): Promise<void> => {
  await runtime.dispose()
  await drop(prefix)
}

interface Raw {
  readonly prefix: string
  readonly client: Client
  readonly sha: string
}

/** The script of ours, as a client sees it that has forgotten it. */
const scriptOf = async (client: Client, prefix: string): Promise<string> => {
  let sha = ""
  const listening = new Proxy(client, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target) as unknown
      if (name !== "sendCommand") return typeof value === "function" ? value.bind(target) : value
      return (command: { readonly name: string; readonly args: ReadonlyArray<unknown> }) => {
        if (command.name === "evalsha" && command.args.includes("account-x")) sha = String(command.args[0])
        return target.sendCommand(command as never)
      }
    }
  })
  await Effect.runPromise(
    Effect.flatMap(
      EventStore.EventStore,
      (store) => store.append([{ stream: "account-x", events: [{ type: "Moved", payload: {} }] }])
    ).pipe(
      Effect.provide(Redis.layer({ prefix, listen: false })),
      Effect.provideService(RedisClient.RedisClient, listening)
    )
  )
  return sha
}

const openRaw = async (): Promise<Raw> => {
  const prefix = newPrefix()
  const client = new Client(url, { enableAutoPipelining: true })
  return { prefix, client, sha: await scriptOf(client, prefix) }
}

const closeRaw = async ({ client, prefix }: Raw): Promise<void> => {
  client.disconnect()
  await drop(prefix)
}

// Appends

const batches = (batch: number) => ({ quick }: Kit.Context) =>
  Math.max(2, Math.ceil((quick ? 6_400 : 38_400) / callers / Math.sqrt(batch)))

/** So many callers, each with calls of a batch, one after the other, on ten streams of its own. */
const ours = (batch: number): Kit.Side<Opened> => ({
  setup: open,
  run: ({ runtime, store }, context) =>
    runtime.runPromise(appendBatches(store, callers, batches(batch)(context), batch)),
  teardown: close
})

const raw = (batch: number): Kit.Side<Raw> => ({
  setup: openRaw,
  run: async ({ client, prefix, sha }, context) => {
    const calls = batches(batch)(context)
    const caller = async (caller: number): Promise<void> => {
      for (let call = 0; call < calls; call++) {
        const before = String(Math.floor(call / 10) * batch)
        const args: Array<string> = []
        const now = Date.now()
        for (let n = 0; n < batch; n++) {
          const id = v7()
          const metadata = `{"correlationId":"${id}"}`
          args.push(
            id,
            content,
            "Moved",
            id,
            String(now),
            JSON.stringify([id, "Moved", 1, "json", metadata, "/", null, now, id, "account", 0]),
            JSON.stringify(payloadOf(call * batch + n)),
            "0"
          )
        }
        const stream = `account-${caller}-${call % 10}`
        const length = String(8 + args.length)
        const head = ["", "", "0", "1", length, ":", "", "0", "1", stream, "account", before, String(batch)]
        const [[outcome]] = await client.evalsha(
          sha,
          1,
          `{${prefix}}:meta`,
          ...head,
          ...args
        ) as [[string]]
        if (outcome !== "ok") throw new Error(`the script answered ${outcome}`)
      }
    }
    await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)))
    return calls * callers * batch
  },
  teardown: closeRaw
})

// Reading

/** A log with streams of a hundred events. */
const filled = async ({ quick }: Kit.Context): Promise<Opened> => {
  const opened = await open()
  await opened.runtime.runPromise(fillStreams(opened.store, quick ? 100 : 500))
  return opened
}

const readOurs: Kit.Side<Opened> = {
  setup: filled,
  run: ({ runtime }) => runtime.runPromise(counted(readAllDecoded())),
  teardown: close
}

const page = 1_000

const readRaw: Kit.Side<{ readonly opened: Opened; readonly client: Client }> = {
  setup: async (context) => ({ opened: await filled(context), client: new Client(url) }),
  run: async ({ client, opened }) => {
    let after = 0
    let count = 0
    while (true) {
      const entries = await client.xrange(`{${opened.prefix}}:log`, String(after + 1), "+", "COUNT", page)
      const events: Array<unknown> = []
      for (const [position, fields] of entries) {
        const [version, recordedAt, , name = ""] = fields[1]!.split(" ")
        const [id, type, schemaVersion, , metadata, source, tags, occurredAt] = JSON.parse(fields[3]!)
        events.push({
          position: Number.parseInt(position, 10),
          stream: name.slice(1),
          version: Number(version),
          id,
          type,
          schemaVersion,
          payload: decodePayload(JSON.parse(fields[5]!)),
          metadata: JSON.parse(metadata),
          source,
          tags,
          occurredAt,
          recordedAt: Number(recordedAt)
        })
      }
      count += events.length
      if (events.length < page) return count
      after = Number.parseInt(entries[page - 1]![0], 10)
    }
  },
  teardown: async ({ client, opened }) => {
    client.disconnect()
    await close(opened)
  }
}

// Waking up

/** From an append to its delivery by a subscription that another process would have, in milliseconds, at the 95th percentile. */
const delivery = (listen: boolean): Kit.Side<{ readonly writer: Opened; readonly reader: Opened }> => ({
  setup: async () => {
    const writer = await open()
    return { writer, reader: await openAt(writer.prefix, { listen }) }
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
            delays.push(performance.now() - told.get(event.id)!)
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

const peer = "raw ioredis pipelining the same script"

if (url === "") {
  process.stderr.write("redis: SKALD_REDIS_URL is not set, see scripts/services.sh: nothing is measured.\n")
}

export default url === "" ? [] : [
  Kit.compare(`append, 64 callers, one event a call`, { goal: 0.7, peer, ours: ours(1), theirs: raw(1) }),
  Kit.compare(`append, 64 callers, 10 events a call`, { goal: 0.7, peer, ours: ours(10), theirs: raw(10) }),
  Kit.compare(`catch up on all, decoded by Schema`, {
    goal: 0.7,
    peer: "raw XRANGE, JSON.parse and the same decode",
    ours: readOurs,
    theirs: readRaw
  }),
  Kit.compare("delivery to another process, 95th percentile, by hint", {
    unit: "ms",
    better: "lower",
    rounds: 3,
    peer: "by polling every 100 ms",
    ours: delivery(true),
    theirs: delivery(false)
  })
]
