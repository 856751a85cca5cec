import { assert, it } from "@effect/vitest"
import type { Driver } from "effect-skald/store/Driver"
import * as EventStore from "effect-skald/store/EventStore"
import * as Query from "effect-skald/store/Query"
import * as Redis from "effect-skald/store/Redis"
import * as RedisClient from "effect-skald/store/RedisClient"
import { Clock, Deferred, Effect, Either, Fiber, Layer, Schedule, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Servers from "../support/servers.ts"
import * as Server from "../support/redis.ts"

Servers.suite("redis", "Redis driver", (url) => {
  /** A store with a connection of its own, as another process has, its driver and its client. */
  const open = (prefix: string, options?: Redis.Options<false>, client?: RedisClient.Options) =>
    Effect.gen(function*() {
      const connection = yield* RedisClient.make({ url, ...client })
      const driver = yield* Effect.provideService(
        Redis.make({ prefix, ...options }),
        RedisClient.RedisClient,
        connection
      )
      return { store: yield* EventStore.makeEncoded(driver), driver, client: connection }
    })
  const prefix = Server.prefix(url)
  const event = (payload: unknown = {}, options?: Partial<EventStore.NewEvent>): EventStore.NewEvent => ({
    type: "A",
    payload,
    ...options
  })
  const collect = <A, E>(stream: Stream.Stream<A, E>) => Effect.map(Stream.runCollect(stream), (all) => Array.from(all))
  const failure = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.flip(effect), (error) => error as any)

  // ------------------------------------------------------------------------------------------------------- starting

  it.scopedLive("a prefix that is no plain name is refused", () =>
    Effect.gen(function*() {
      for (const bad of ["", "a{b}", "a b", "x".repeat(65), "ä"]) {
        assert.strictEqual((yield* failure(open(bad)))._tag, "InvalidInput", bad)
      }
    }))

  it.scopedLive("a server that does not answer is a typed failure", () =>
    Effect.gen(function*() {
      const error = yield* failure(open("any", {}, { url: "redis://127.0.0.1:1" }))
      assert.deepInclude({ ...error }, { _tag: "StoreError", reason: "unavailable", operation: "connect" })
    }))

  it.scopedLive("keys of another version of the library are refused", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const { client } = yield* open(name)
      yield* Effect.promise(() => client.hset(`{${name}}:meta`, "format", "99"))
      const error = yield* failure(open(name))
      assert.match(error.message, /format 99/)
    }))

  it.scopedLive("durable: a server that may lose what it has acknowledged is refused", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer("--appendonly", "yes", "--appendfsync", "everysec")
      const client = Layer.fresh(RedisClient.layer({ url: server.url }))
      const durable = Effect.scoped(Layer.build(Layer.provide(Redis.layer({ durable: true }), client)))
      assert.match((yield* failure(durable)).message, /appendfsync everysec/)
      yield* Effect.promise(() => server.admin.config("SET", "appendfsync", "always"))
      yield* durable
      yield* Effect.promise(() => server.admin.config("SET", "no-appendfsync-on-rewrite", "yes"))
      assert.match((yield* failure(durable)).message, /no-appendfsync-on-rewrite yes/)
      yield* Effect.promise(() => server.admin.config("SET", "no-appendfsync-on-rewrite", "no"))
      yield* Effect.promise(() => server.admin.config("SET", "appendonly", "no"))
      assert.match((yield* failure(durable)).message, /appendonly no/)
      yield* Effect.scoped(Layer.build(Layer.provide(Redis.layer(), client)))
    }))

  it.scopedLive("a server that throws keys away is refused, durable or not", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
      assert.match((yield* failure(open("any", {}, { url: server.url }))).message, /allkeys-lru/)
    }))

  it.scopedLive("all keys begin with the prefix in braces, and two prefixes are two stores", () =>
    Effect.gen(function*() {
      const server = yield* Server.ownServer()
      const one = yield* open("one", {}, { url: server.url })
      const two = yield* open("two", {}, { url: server.url })
      yield* one.store.append([{ stream: "a-1", events: [event(1, { tags: ["t"] }), event(2), event(3)] }])
      yield* one.store.truncate("a-1", { before: 2 })
      yield* one.store.append([{ stream: "b-1", events: [event(4)] }])
      yield* one.store.tombstone("b-1")
      assert.deepStrictEqual(yield* collect(two.store.readAll()), [])
      const keys = yield* Effect.promise(() => server.admin.keys("*"))
      assert.deepStrictEqual(keys.filter((key) => !key.startsWith("{one}:")), ["{two}:meta"])
    }))

  // ----------------------------------------------------------------------------------------------- keys of others

  it.scopedLive("a key that somebody has made of another type fails appends that need it, and them alone", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const { client, store } = yield* open(name)
      yield* store.append([{ stream: "a-1", events: [event(0)] }])
      const before = yield* collect(store.readAll())
      for (const key of ["y::Bad", "g::bad", "c::bad", "o::bad", "m::bad-1", "s::bad-1"]) {
        yield* Effect.promise(() => client.set(`{${name}}:${key}`, "not ours"))
        const bad = event(0, { type: "Bad", tags: ["good", "bad"], metadata: { correlationId: "bad" } })
        const { beside, error } = yield* Effect.all({
          error: failure(
            store.append([{ stream: "new-1", events: [event(1)] }, { stream: "bad-1", events: [event(2), bad] }])
          ),
          beside: store.append([{ stream: "beside-1", events: [event(key)] }])
        }, { concurrency: "unbounded" })
        assert.deepInclude({ ...error }, { _tag: "StoreError", reason: "corrupt" }, key)
        assert.strictEqual(beside.repeated, false)
        yield* Effect.promise(() => client.del(`{${name}}:${key}`))
        assert.deepStrictEqual(yield* store.streamState("new-1"), { _tag: "missing" })
        assert.deepStrictEqual(yield* collect(store.readAll({ category: "new" })), [])
        assert.deepStrictEqual(yield* collect(store.readAll({ query: Query.unsafeMake({ tags: ["good"] }) })), [])
      }
      const groups = [{ stream: "bad-1", expected: 0, events: [event("at last", { type: "Bad", id: randomUUID() })] }]
      assert.strictEqual((yield* store.append(groups)).repeated, false)
      const all = yield* collect(store.readAll())
      assert.deepStrictEqual(all.map((raw) => raw.stream), [
        ...before.map((raw) => raw.stream),
        ...Array.from({ length: 6 }, () => "beside-1"),
        "bad-1"
      ])
    }))

  it.scopedLive("a log, a state or an entry that is not ours is a typed failure of what meets it", () =>
    Effect.gen(function*() {
      const reasons: Array<string> = []
      for (
        const spoil of [
          ["set", "log", "x"],
          ["set", "meta", "x"],
          ["hset", "meta", "head", "x"],
          ["xadd", "log", "5-0", "field", "value"],
          ["hset", "i::", "e-1", "nothing"],
          ["hset", "m::a-1", "v", "many"]
        ]
      ) {
        const name = yield* prefix
        const { client, store } = yield* open(name)
        const [command = "", key = "", ...args] = spoil
        yield* store.append([{ stream: "a-1", events: [event(0, { id: "e-1" })] }])
        yield* Effect.promise(() => client.del(`{${name}}:${key}`))
        yield* Effect.promise(() => client.call(command, `{${name}}:${key}`, ...args))
        const reads: ReadonlyArray<Effect.Effect<unknown, any>> = [
          store.append([{ stream: "a-1", expected: 1, events: [event(1)] }]),
          collect(store.readAll()),
          collect(store.read("a-1")),
          store.find("e-1")
        ]
        const outcomes = yield* Effect.all(reads.map(Effect.either))
        const failed = outcomes.flatMap((outcome) => Either.isLeft(outcome) ? [outcome.left] : [])
        assert.isAbove(failed.length, 0, spoil.join(" "))
        reasons.push(...failed.map(({ _tag, reason }) => `${_tag} ${reason}`))
      }
      assert.deepStrictEqual(Array.from(new Set(reasons)), ["StoreError corrupt"])
    }))

  // ------------------------------------------------------------------------------------------------- large reads

  it.scopedLive(
    "filters over a log of several parts find what filtering everything finds",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { store } = yield* open(name)
        for (let part = 0; part < 4; part++) {
          yield* store.append(Array.from({ length: 5 }, (_, s) => ({
            stream: `${s % 2 === 0 ? "even" : "odd"}-${s}`,
            events: Array.from({ length: 400 }, (_, n) =>
              event(n, {
                type: n % 100 === 7 ? "Rare" : `T${n % 3}`,
                tags: [`s:${s}`, ...(n % 50 === 0 ? ["fifty"] : [])],
                occurredAt: 1_000_000 + ((part * 2_000 + s * 400 + n) * 7919) % 10_000,
                metadata: { correlationId: `c-${n % 40}` }
              }))
          })))
        }
        const all = yield* collect(store.readAll())
        assert.strictEqual(all.length, 8_000)
        const middle = all[4_000]!.recordedAt.epochMillis
        const filters: ReadonlyArray<readonly [EventStore.ReadAllOptions, (raw: typeof all[number]) => boolean]> = [
          [{ types: ["Rare", "T1"] }, (raw) => raw.type === "Rare" || raw.type === "T1"],
          [{ types: ["Rare"], category: "odd" }, (raw) => raw.type === "Rare" && raw.stream.startsWith("odd-")],
          [
            { category: "even", correlationId: "c-3" },
            (raw) => raw.stream.startsWith("even-") && raw.metadata.correlationId === "c-3"
          ],
          [
            { since: 1_000_100, until: 1_000_300 },
            ({ occurredAt }) => occurredAt.epochMillis >= 1_000_100 && occurredAt.epochMillis < 1_000_300
          ],
          [
            { since: 1_000_100, until: 1_000_900, stream: "odd-1", types: ["T1"] },
            (raw) =>
              raw.stream === "odd-1" && raw.type === "T1" &&
              raw.occurredAt.epochMillis >= 1_000_100 && raw.occurredAt.epochMillis < 1_000_900
          ],
          [{ since: middle, time: "recordedAt" }, (raw) => raw.recordedAt.epochMillis >= middle],
          [{ until: middle, time: "recordedAt", types: ["Rare"] }, (raw) =>
            raw.recordedAt.epochMillis < middle && raw.type === "Rare"],
          [{ query: Query.unsafeMake({ tags: ["s:3", "fifty"] }, { types: ["Rare"], tags: ["s:1"] }) }, (raw) =>
            (raw.tags.includes("fifty") && raw.stream === "odd-3") || (raw.type === "Rare" && raw.stream === "odd-1")],
          [{ allTenants: true, types: ["Rare"], category: "odd" }, (raw) =>
            raw.type === "Rare" && raw.stream.startsWith("odd-")],
          [{ allTenants: true, correlationId: "nobody's" }, () =>
            false]
        ]
        for (const [options, keep] of filters) {
          const kept = all.filter(keep).map((raw) =>
            raw.position
          )
          const read = (more: EventStore.ReadAllOptions) =>
            Effect.map(collect(store.readAll({ ...options, ...more })), (raws) =>
              raws.map((raw) =>
                raw.position
              ))
          assert.deepStrictEqual(yield* read({}), kept, JSON.stringify(options))
          assert.deepStrictEqual(yield* read({ backwards: true }), kept.toReversed())
          const [after, to] = [all[1_500]!.position, all[6_500]!.position]
          const between = kept.filter((position) => position > after && position <= to)
          assert.deepStrictEqual(yield* read({ after, to }), between)
          assert.deepStrictEqual(
            yield* read({ after, to, backwards: true, limit: 7 }),
            between.toReversed().slice(0, 7)
          )
        }
      }),
    60_000
  )

  it.scopedLive("payloads of many megabytes come in parts, whole and in order", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const { driver, store } = yield* open(name)
      const text = (n: number) => String(n % 10).repeat(1_048_576)
      for (let n = 0; n < 24; n += 4) {
        yield* store.append([{ stream: "a-1", events: [0, 1, 2, 3].map((each) => event(text(n + each))) }])
      }
      const bounds = { tenant: "", limit: 100, backwards: false, stream: "a-1" }
      const stream = yield* driver.readStream({ ...bounds, from: 1, to: 100 })
      const log = yield* driver.readLog({
        ...bounds,
        stream: undefined,
        category: "a",
        types: undefined,
        query: undefined,
        correlationId: undefined,
        time: undefined,
        after: 0,
        to: 1_000
      })
      for (const rows of [stream, log.rows]) {
        assert.deepStrictEqual(rows.map((row) => row.version), Array.from({ length: 24 }, (_, index) => index + 1))
        rows.forEach((row, n) => assert.isTrue(row.payload === JSON.stringify(text(n))))
      }
      const backwards = yield* driver.readStream({ ...bounds, from: 1, to: 100, backwards: true, limit: 20 })
      assert.deepStrictEqual(backwards.map((row) => row.version), Array.from({ length: 20 }, (_, index) => 24 - index))
    }), 60_000)

  // -------------------------------------------------------------------------------------------------- truncation

  it.scopedLive(
    "what a truncation that was cut short has left is seen by nobody, and taken away by the next",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { client, store } = yield* open(name)
        const events = Array.from({ length: 1_500 }, (_, n) => event(n, { tags: ["t"], id: `e-${n + 1}` }))
        yield* store.append([{ stream: "a-1", events }])
        const length = Effect.promise(() => client.xlen(`{${name}}:log`))
        // What the first script of a truncation writes, and its process dies.
        yield* Effect.promise(() => client.hset(`{${name}}:m::a-1`, "f", "1401"))
        yield* Effect.promise(() => client.hset(`{${name}}:gone`, ":a-1", "1401"))
        const seen = Effect.gen(function*() {
          const failIf = Query.unsafeMake({ tags: ["t"] })
          const position = (yield* collect(store.readAll()))[0]!.position
          assert.strictEqual(position, 1_401)
          for (const options of [{}, { category: "a" }, { query: failIf }, { stream: "a-1" }, { allTenants: true }]) {
            assert.strictEqual((yield* collect(store.readAll(options))).length, 100, JSON.stringify(options))
          }
          assert.strictEqual((yield* collect(store.read("a-1"))).length, 100)
          const refused = yield* failure(store.append([{ stream: "b-1", events: [event()] }], { failIf }))
          assert.strictEqual(refused.position, 1_401)
          assert.strictEqual((yield* store.find("e-1"))._tag, "Some")
        })
        yield* seen
        assert.strictEqual(yield* length, 1_500)
        yield* open(name)
        yield* Effect.repeat(length, { until: (left) => left === 100 })
        yield* seen
        assert.strictEqual(yield* Effect.promise(() => client.exists(`{${name}}:gone`)), 0)
        yield* store.truncate("a-1", { before: 1_501 })
        assert.strictEqual(yield* length, 0)
        const left = yield* Effect.promise(() => client.keys(`{${name}}:*`))
        assert.deepStrictEqual(
          left.map((key) => key.slice(name.length + 3)).sort(),
          ["i::", "log", "m::a-1", "meta", "remembered", "shortened"]
        )
        yield* store.append([{ stream: "a-1", expected: 1_500, events: [event("on")] }])
        assert.deepStrictEqual((yield* collect(store.read("a-1"))).map((raw) => raw.version), [1_501])
      }),
    60_000
  )

  it.scopedLive("a copy of a log by parts is that log: rows, ids, streams, what was removed, and what comes next", () =>
    Effect.gen(function*() {
      const source = yield* open(yield* prefix)
      const target = yield* open(yield* prefix)
      const { store } = source
      yield* store.append([{ stream: "a-1", events: [1, 2, 3, 4].map((n) => event(n, { tags: [`n:${n}`] })) }])
      yield* store.append([{ stream: "b-1", events: [event("b", { id: "b-one" })] }, {
        stream: "plain",
        events: [event(Buffer.from("x").toString())]
      }])
      yield* store.append([{ stream: "emptied-1", events: [event(1), event(2)] }])
      yield* store.truncate("a-1", { before: 3 })
      yield* store.truncate("emptied-1", { before: 3 })
      yield* store.tombstone("b-1")
      yield* store.append([{ stream: "a-1", events: [event("last")] }])
      const copy = (from: Driver<any>, to: Driver<any>) =>
        Effect.gen(function*() {
          const { head } = yield* from.transfer.state
          const streams = yield* from.transfer.streams({ after: undefined, to: head, limit: 100 })
          const remembered = yield* from.transfer.remembered({ after: undefined, limit: 100 })
          let reached = 0
          while (true) {
            const rows = yield* from.transfer.rows({ after: reached, to: head, limit: 2 })
            const last = rows.length < 2
            const answer = yield* to.transfer.write({
              head: reached,
              rows,
              remembered: last ? remembered : [],
              streams: last ? streams : []
            })
            assert.deepStrictEqual(answer, { state: "done" })
            if (last) return
            reached = rows[rows.length - 1]!.position
          }
        })
      yield* copy(source.driver, target.driver)
      const parts = (driver: Driver<any>) =>
        Effect.all({
          state: driver.transfer.state,
          rows: driver.transfer.rows({ after: 0, to: 1_000, limit: 100 }),
          remembered: driver.transfer.remembered({ after: undefined, limit: 100 }),
          streams: driver.transfer.streams({ after: undefined, to: 1_000, limit: 100 })
        })
      const copied = yield* parts(target.driver)
      assert.deepStrictEqual(copied, yield* parts(source.driver))
      assert.strictEqual(copied.remembered.length, 5)
      assert.deepStrictEqual(copied.streams.map(({ stream }) => stream), ["a-1", "b-1", "emptied-1"])
      const second = yield* target.driver.transfer.remembered({ after: copied.remembered[1]!, limit: 2 })
      assert.deepStrictEqual(second, copied.remembered.slice(2, 4))
      for (const each of [source.store, target.store]) {
        assert.strictEqual(
          (yield* failure(each.append([{ stream: "b-1", events: [event()] }])))._tag,
          "StreamTombstoned"
        )
        assert.strictEqual(
          (yield* failure(each.append([{ stream: "x-1", events: [event("b", { id: "b-one" })] }])))._tag,
          "DuplicateEvent"
        )
        yield* each.append([{ stream: "a-1", expected: 5, events: [event("next", { tags: ["n:4"] })] }])
        yield* each.append([{ stream: "emptied-1", expected: 2, events: [event("next")] }])
        assert.deepStrictEqual((yield* collect(each.read("a-1"))).map((raw) => raw.payload), [3, 4, "last", "next"])
        assert.deepStrictEqual((yield* collect(each.read("emptied-1"))).map((raw) => raw.version), [3])
      }
      const query = Query.unsafeMake({ tags: ["n:4"] })
      assert.deepStrictEqual(
        (yield* collect(target.store.readAll({ query }))).map((raw) => raw.position),
        (yield* collect(source.store.readAll({ query }))).map((raw) => raw.position)
      )
      assert.strictEqual(
        (yield* target.driver.transfer.write({ head: 3, rows: [], remembered: [], streams: [] })).state,
        "other"
      )
    }))

  // --------------------------------------------------------------------------------------------- several processes

  it.scopedLive("an append of another process wakes subscriptions at once, without a poll", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const reader = (yield* open(name, { pollInterval: "1 hour" })).store
      const writer = (yield* open(name)).store
      const caughtUp = yield* Deferred.make<void>()
      const seen = yield* Effect.fork(collect(
        reader.subscribe({ after: "earliest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) }).pipe(
          Stream.take(20)
        )
      ))
      yield* Deferred.await(caughtUp)
      for (let n = 0; n < 20; n++) yield* writer.append([{ stream: "a-1", events: [event(n)] }])
      assert.deepStrictEqual(
        (yield* Fiber.join(seen)).map((raw) => raw.payload),
        Array.from({ length: 20 }, (_, n) => n)
      )
    }))

  it.scopedLive("without hints they are seen by the poll", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const reader = (yield* open(name, { listen: false, pollInterval: "10 millis" })).store
      const writer = (yield* open(name, { listen: false })).store
      const seen = yield* Effect.fork(collect(reader.subscribe({ after: "earliest" }).pipe(Stream.take(3))))
      yield* writer.append([{ stream: "a-1", events: [event(1), event(2)] }])
      yield* writer.append([{ stream: "a-1", events: [event(3)] }])
      assert.deepStrictEqual((yield* Fiber.join(seen)).map((raw) => raw.payload), [1, 2, 3])
    }))

  it.scopedLive(
    "200 students race for a course of 10, over three connections: 10 get in",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const stores = yield* Effect.forEach([0, 1, 2], () => Effect.map(open(name), ({ store }) => store))
        const query = Query.unsafeMake({ types: ["Subscribed"], tags: ["course:c1"] })
        const subscribe = (store: EventStore.Service, student: number): Effect.Effect<boolean, unknown> =>
          Effect.gen(function*() {
            const head = yield* store.head
            const taken = yield* Stream.runCount(store.readAll({ query, to: head }))
            if (taken >= 10) return false
            yield* store.append([{
              stream: `student-${student}`,
              events: [event(taken + 1, { type: "Subscribed", tags: ["course:c1", `student:${student}`] })]
            }], { failIf: query, after: head })
            return true
          }).pipe(Effect.catchTag("ConditionFailed", () => subscribe(store, student)))
        const results = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, index) => index),
          (student) => subscribe(stores[student % 3]!, student),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((got) => got).length, 10)
        const seats = (yield* collect(stores[0]!.readAll({ query }))).map(({ payload }) => payload)
        assert.deepStrictEqual(seats, Array.from({ length: 10 }, (_, index) => index + 1))
      }),
    60_000
  )

  it.scopedLive("appends of another process wait while a hook runs here, and so do truncations", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const { store } = yield* open(name)
      const other = (yield* open(name)).store
      yield* other.append([{ stream: "b-1", events: [event("before")] }])
      const entered = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      yield* store.onAppend(() => Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(release)))
      const hooked = yield* Effect.fork(store.append([{ stream: "a-1", events: [event("hooked")] }]))
      yield* Deferred.await(entered)
      const waiting = yield* Effect.fork(Effect.all([
        other.append([{ stream: "a-1", events: [event("waited")] }]),
        other.append([{ stream: "c-1", events: [event("waited")] }]),
        other.truncate("b-1", { before: 2 })
      ], { concurrency: "unbounded" }))
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual((yield* collect(other.readAll())).map((raw) => raw.payload), ["before"])
      assert.strictEqual((yield* Fiber.poll(waiting))._tag, "None")
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(hooked)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual((yield* collect(other.readAll())).map((raw) => raw.payload), [
        "hooked",
        "waited",
        "waited"
      ])
    }))

  it.scopedLive(
    "when the process whose hook runs dies, others go on, and what it had appended is taken back",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const dying = yield* open(name, { retry: Schedule.stop })
        const other = (yield* open(name)).store
        const id = randomUUID()
        const entered = yield* Deferred.make<void>()
        yield* dying.store.onAppend(() => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
        const hooked = yield* Effect.fork(
          Effect.either(dying.store.append([{ stream: "a-1", events: [event("gone", { id, tags: ["t"] })] }]))
        )
        yield* Deferred.await(entered)
        const began = yield* Clock.currentTimeMillis
        dying.client.disconnect()
        const failIf = Query.unsafeMake({ tags: ["t"] })
        yield* other.append([{ stream: "a-1", expected: 0, events: [event("there")] }], { failIf })
        assert.isBelow((yield* Clock.currentTimeMillis) - began, 9_000)
        const outcome = yield* Fiber.join(hooked)
        assert.strictEqual(Either.isLeft(outcome) && outcome.left._tag, "StoreError")
        assert.deepStrictEqual((yield* collect(other.readAll())).map((raw) => raw.payload), ["there"])
        assert.strictEqual((yield* other.find(id))._tag, "None")
        assert.deepStrictEqual(yield* collect(other.readAll({ query: failIf })), [])
      }),
    30_000
  )

  it.scopedLive("a hook that is slower than its hold goes on holding", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const { store } = yield* open(name)
      const other = (yield* open(name)).store
      const entered = yield* Deferred.make<void>()
      yield* store.onAppend(() => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.sleep("6 seconds")))
      const hooked = yield* Effect.fork(store.append([{ stream: "a-1", events: [event("slow")] }]))
      yield* Deferred.await(entered)
      yield* other.append([{ stream: "a-1", expected: 1, events: [event("after")] }])
      yield* Fiber.join(hooked)
      assert.deepStrictEqual((yield* collect(other.readAll())).map((raw) => raw.payload), ["slow", "after"])
    }), 30_000)

  it.scopedLive("a hook may append; it may not truncate", () =>
    Effect.gen(function*() {
      const { store } = yield* open(yield* prefix)
      yield* store.append([{ stream: "b-1", events: [event()] }])
      yield* store.onAppend(() => store.truncate("b-1", { before: 2 }))
      const error = yield* failure(store.append([{ stream: "a-1", events: [event()] }]))
      assert.deepInclude({ ...error }, { _tag: "StoreError", reason: "hook" })
      assert.strictEqual((yield* collect(store.readAll())).length, 1)
    }))

  it.scopedLive("scripts that the server forgot are sent again", () =>
    Effect.gen(function*() {
      const { client, store } = yield* open(yield* prefix)
      yield* store.append([{ stream: "a-1", events: [event(1)] }])
      yield* Effect.promise(() => client.script("FLUSH"))
      yield* Effect.all(
        Array.from({ length: 10 }, (_, n) => store.append([{ stream: `a-${n}`, events: [event(n)] }])),
        { concurrency: "unbounded" }
      )
      yield* Effect.promise(() => client.script("FLUSH"))
      assert.strictEqual((yield* collect(store.readAll())).length, 11)
    }))
})
