import { assert, it } from "@effect/vitest"
import type { Raw } from "effect-skald/event/Envelope"
import * as EventStore from "effect-skald/store/EventStore"
import * as Redis from "effect-skald/store/Redis"
import * as RedisClient from "effect-skald/store/RedisClient"
import { Clock, Context, Effect, Either, Fiber, Layer, Random, Schedule, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Servers from "../support/servers.ts"
import * as Server from "../support/redis.ts"

const collect = <A, E>(stream: Stream.Stream<A, E>) => Effect.map(Stream.runCollect(stream), (all) => Array.from(all))

/** A store with connections of its own, as another process has; they have the prefix for their name. */
const open = (url: string, prefix: string, options?: Redis.Options<false>) =>
  Effect.map(
    Layer.build(Layer.fresh(Redis.layerServer({ url, prefix, connectionName: prefix, ...options }))),
    (context) => Context.get(context, EventStore.EventStore)
  )

/** What many readers saw of one log, against what is in it. */
const judge = (all: ReadonlyArray<Raw>, readers: ReadonlyArray<ReadonlyArray<Raw>>): void => {
  const versions = new Map<string, number>()
  all.forEach((raw, index) => {
    assert.strictEqual(raw.version, (versions.get(raw.stream) ?? 0) + 1, "a version is missing or stands twice")
    versions.set(raw.stream, raw.version)
    if (index === 0) return
    assert.isAbove(raw.position, all[index - 1]!.position)
    assert.isAtLeast(raw.recordedAt.epochMillis, all[index - 1]!.recordedAt.epochMillis)
  })
  assert.strictEqual(new Set(all.map(({ id }) => id)).size, all.length, "an id stands twice")
  for (const seen of readers) assert.deepStrictEqual(seen.map(({ id }) => id), all.map(({ id }) => id))
}

const followers = (url: string, prefix: string, count: number) =>
  Effect.forEach(Array.from({ length: count }), () =>
    Effect.gen(function*() {
      const store = yield* open(url, prefix)
      const seen: Array<Raw> = []
      const follow = Effect.suspend(() =>
        Stream.runForEach(
          store.subscribe({ after: seen[seen.length - 1]?.position ?? "earliest" }),
          (raw) => Effect.sync(() => void seen.push(raw))
        )
      )
      yield* Effect.forkScoped(Effect.retry(follow, Schedule.spaced("20 millis")))
      return seen
    }))

/** Waits until all have come to the end of the log; answers what is in it. */
const settled = (url: string, prefix: string, readers: ReadonlyArray<ReadonlyArray<Raw>>) =>
  Effect.gen(function*() {
    const all = yield* collect((yield* open(url, prefix)).readAll())
    yield* Effect.sleep("5 millis").pipe(
      Effect.repeat({ until: () => readers.every((seen) => seen.length >= all.length) }),
      Effect.timeout("2 seconds")
    )
    judge(all, readers)
    return all
  })

Servers.suite("redis", "Redis readers and lost connections", (url) => {
  it.scopedLive(
    "20 writers, 4 readers, connections cut all the while: each event once, in order, nothing lost",
    () =>
      Effect.gen(function*() {
        const prefix = yield* Server.prefix(url)
        const admin = yield* Server.connect(url)
        const readers = yield* followers(url, prefix, 4)
        const stores = yield* Effect.forEach([0, 1, 2, 3], () => open(url, prefix))
        const acknowledged: Array<string> = []
        const write = (index: number) =>
          Effect.gen(function*() {
            const names = new Set<string>()
            while (names.size < 2) names.add(`all-${yield* Random.nextIntBetween(0, 12)}`)
            const groups = Array.from(names, (stream) => ({
              stream,
              events: [1, 2].map((n) => ({ type: "Written", payload: { n }, id: randomUUID() }))
            }))
            const { events } = yield* stores[index % 4]!.append(groups)
            acknowledged.push(...events.map(({ id }) => id))
          }).pipe(Effect.repeat({ until: () => acknowledged.length >= 3_000 }))
        let cut = 0
        const chaos = yield* Effect.fork(Effect.forever(Effect.gen(function*() {
          yield* Effect.sleep(yield* Random.nextIntBetween(10, 60))
          const list = yield* Effect.promise(() => admin.call("CLIENT", "LIST")) as Effect.Effect<string>
          const ids = list.split("\n").filter((line) => line.includes(` name=${prefix} `)).map((line) =>
            Number(/^id=(\d+)/.exec(line)?.[1])
          )
          const victim = ids[yield* Random.nextIntBetween(0, ids.length)]
          if (victim !== undefined) {
            cut += Number(yield* Effect.promise(() => admin.call("CLIENT", "KILL", "ID", String(victim))))
          }
        })))
        yield* Effect.forEach(Array.from({ length: 20 }, (_, index) => index), write, {
          concurrency: "unbounded",
          discard: true
        })
        yield* Fiber.interrupt(chaos)
        const all = yield* settled(url, prefix, readers)
        const ids = new Set(all.map(({ id }) => id))
        assert.deepStrictEqual(acknowledged.filter((id) => !ids.has(id)), [])
        // Every append was acknowledged in the end: nothing stands there that nobody knows of.
        assert.strictEqual(all.length, acknowledged.length)
        assert.isAbove(cut, 3)
      }).pipe(Effect.withRandom(Random.make("redis"))),
    120_000
  )
})

Servers.suite("redis", "A Redis of its own", () => {
  it.scopedLive(
    "killed and started again among appends: nothing acknowledged is lost, nothing stands twice",
    () =>
      Effect.gen(function*() {
        const server = yield* Server.ownServer("--appendonly", "yes", "--appendfsync", "always")
        const readers = yield* followers(server.url, "shop", 2)
        const durable = Layer.fresh(Redis.layerServer({ url: server.url, prefix: "shop", durable: true }))
        const store = Context.get(yield* Layer.build(durable), EventStore.capable("durable"))
        const acknowledged: Array<string> = []
        let done = false
        const write = (index: number) =>
          Effect.suspend(() => store.append([{ stream: `s-${index}`, events: [{ type: "Written", payload: {} }] }]))
            .pipe(
              Effect.tap(({ events }) => Effect.sync(() => void acknowledged.push(...events.map(({ id }) => id)))),
              Effect.repeat({ until: () => done })
            )
        const writers = yield* Effect.forEach(Array.from({ length: 10 }, (_, index) => index), (index) =>
          Effect.fork(write(index)))
        for (let kill = 0; kill < 3; kill++) {
          const before = acknowledged.length
          yield* Effect.sleep("5 millis").pipe(Effect.repeat({
            until: () =>
              acknowledged.length >= before + 100
          }))
          yield* server.kill
          yield* server.start
        }
        done = true
        yield* Fiber.joinAll(writers)
        const all = yield* settled(server.url, "shop", readers)
        const ids = new Set(all.map(({ id }) => id))
        assert.deepStrictEqual(acknowledged.filter((id) => !ids.has(id)), [])
        assert.strictEqual(all.length, acknowledged.length)
      }),
    120_000
  )

  it.scopedLive(
    "when it stays away, an append fails in time: unavailable, or a timeout where it had been sent",
    () =>
      Effect.gen(function*() {
        const server = yield* Server.ownServer("--appendonly", "yes", "--appendfsync", "always")
        const store = yield* open(server.url, "shop", {
          retry: Schedule.spaced("5 millis").pipe(Schedule.upTo("50 millis"))
        })
        const append = store.append([{ stream: "s-1", events: [{ type: "A", payload: {} }] }])
        yield* append
        yield* server.kill
        yield* Effect.sleep("20 millis")
        const began = yield* Clock.currentTimeMillis
        const outcomes = yield* Effect.all([
          Effect.either(append),
          Effect.either(collect(store.readAll())),
          Effect.either(store.head),
          Effect.either(store.truncate("s-1", { before: 2 }))
        ] as ReadonlyArray<Effect.Effect<Either.Either<unknown, any>>>)
        assert.isBelow((yield* Clock.currentTimeMillis) - began, 5_000)
        for (const outcome of outcomes) {
          assert.deepInclude({ ...(Either.isLeft(outcome) ? outcome.left : {}) }, {
            _tag: "StoreError",
            reason: "unavailable"
          })
        }
        yield* server.start
        yield* Effect.retry(append, Schedule.spaced("20 millis").pipe(Schedule.upTo("5 seconds")))
        assert.strictEqual((yield* collect(store.readAll())).length, 2)
      }),
    30_000
  )

  it.scopedLive("full memory is a typed failure; nothing was written, reads go on, and so do appends once there is room", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer("--maxmemory-policy", "noeviction")
      const store = yield* open(server.url, "shop")
      const append = (n: number) =>
        store.append([
          { stream: "a-1", events: [{ type: "A", payload: { n, text: "x".repeat(1_000) } }] },
          { stream: "b-1", events: [{ type: "B", payload: n, tags: ["t"] }] }
        ])
      yield* append(0)
      yield* Effect.promise(() => server.admin.config("SET", "maxmemory", "1mb"))
      const error = yield* Effect.flip(append(1))
      assert.deepInclude({ ...error } as any, { _tag: "StoreError", reason: "full" })
      assert.strictEqual((yield* collect(store.readAll())).length, 2)
      yield* Effect.promise(() => server.admin.config("SET", "maxmemory", "0"))
      const { events } = yield* append(2)
      assert.deepStrictEqual(events.map(({ position, version }) => [version, position]), [[2, 3], [2, 4]])
    }))

  it.scopedLive("a server that has become a replica takes no appends, and shows what it has", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer()
      const store = yield* open(server.url, "shop")
      const append = store.append([{ stream: "a-1", events: [{ type: "A", payload: 1 }] }])
      yield* append
      yield* Effect.promise(() => server.admin.call("REPLICAOF", "127.0.0.1", "1"))
      assert.deepInclude({ ...(yield* Effect.flip(append)) } as any, { _tag: "StoreError", reason: "readOnly" })
      assert.strictEqual((yield* collect(store.readAll())).length, 1)
      yield* Effect.promise(() => server.admin.call("REPLICAOF", "NO", "ONE"))
      yield* append
    }))

  it.scopedLive("an application's own client serves; it is not closed", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer()
      const client = yield* Server.connect(server.url)
      const own = Layer.succeed(RedisClient.RedisClient, client)
      yield* Effect.scoped(Effect.gen(function*() {
        const context = yield* Layer.build(Layer.provide(Redis.layer(), own))
        const store = Context.get(context, EventStore.EventStore)
        yield* store.append([{ stream: "a-1", events: [{ type: "A", payload: 1 }] }])
      }))
      assert.strictEqual(yield* Effect.promise(() => client.ping()), "PONG")
    }))
})
