import { assert, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import * as Query from "effect-skald/store/Query"
import { Clock, Context, Deferred, Effect, Fiber, Layer, Random, Schedule, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

Servers.suite("postgres", "PostgreSQL driver", (url) => {
  /** A store with a pool of its own, as another process has, and its client. */
  const open = (prefix: string, options?: Postgres.Options, client?: Partial<PgClient.PgClientConfig>) =>
    Effect.map(
      Layer.build(Layer.provideMerge(Postgres.layer({ prefix, ...options }), Database.client(url, client))),
      (context) => ({
        store: Context.get(context, EventStore.capable("transactions")),
        sql: Context.get(context, SqlClient.SqlClient)
      })
    )
  const prefix = Database.prefix(url)
  const event = (payload: unknown = {}, tags: ReadonlyArray<string> = [], type = "A"): EventStore.NewEvent => ({
    type,
    payload,
    tags,
    id: randomUUID()
  })
  const tagged = (...tags: ReadonlyArray<string>) => Query.unsafeMake({ tags })

  /** Until so many connections wait for an advisory lock. */
  const waiters = (sql: SqlClient.SqlClient, count: number) =>
    sql<{ n: number }>`SELECT count(*)::int4 AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`.pipe(
      Effect.repeat({ until: (rows) => rows[0]!.n >= count, schedule: Schedule.spaced("2 millis") }),
      Effect.timeout("10 seconds")
    )

  // ------------------------------------------------------------------------------------------------------ conditions

  it.scopedLive(
    "200 students race for a course of 10, over three pools: 10 get in",
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
            yield* store.append(
              [{
                stream: `student-${student}`,
                events: [event(taken + 1, ["course:c1", `student:${student}`], "Subscribed")]
              }],
              { failIf: query, after: head }
            )
            return true
          }).pipe(Effect.catchTag("ConditionFailed", () => subscribe(store, student)))
        const results = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, index) => index),
          (student) => subscribe(stores[student % 3]!, student),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((got) => got).length, 10)
        // Each took the seat after those that it had seen: no seat is taken twice.
        const seats = Array.from(yield* Stream.runCollect(stores[0]!.readAll({ query })), ({ payload }) => payload)
        assert.deepStrictEqual(seats, Array.from({ length: 10 }, (_, index) => index + 1))
      }),
    120_000
  )

  it.scopedLive(
    "writers of disjoint tags do not wait for each other, also when they are asked together; those of one tag do",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { sql, store } = yield* open(name)
        const other = (yield* open(name)).store
        const written = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(store.withTransaction(
          store.append([{ stream: "s-1", events: [event(1, ["a"])] }], { failIf: tagged("a") }).pipe(
            Effect.zipRight(Deferred.succeed(written, undefined)),
            Effect.zipRight(Deferred.await(release))
          )
        ))
        yield* Deferred.await(written)
        const began = yield* Clock.currentTimeMillis
        // In one turn, so that they are in one group: the first and the second must wait, the others must not.
        const conditional = yield* Effect.fork(Effect.either(
          other.append([{ stream: "s-2", events: [event(2, ["a"])] }], { failIf: tagged("a") })
        ))
        const plain = yield* Effect.fork(other.append([{ stream: "s-3", events: [event(3, ["a"])] }]))
        const disjoint = yield* Effect.fork(
          other.append([{ stream: "s-4", events: [event(4, ["b"])] }], { failIf: tagged("b") })
        )
        const unlabelled = yield* Effect.fork(other.append([{ stream: "s-5", events: [event(5)] }]))
        yield* Fiber.join(disjoint)
        yield* Fiber.join(unlabelled)
        const waited = (yield* Clock.currentTimeMillis) - began
        yield* waiters(sql, 2)
        assert.isTrue((yield* Fiber.poll(conditional))._tag === "None" && (yield* Fiber.poll(plain))._tag === "None")
        yield* Deferred.succeed(release, undefined)
        yield* Fiber.join(holder)
        yield* Fiber.join(plain)
        const refused = yield* Fiber.join(conditional)
        assert.strictEqual(refused._tag === "Left" && refused.left._tag, "ConditionFailed")
        assert.isBelow(waited, 10_000)
      }),
    30_000
  )

  it.scopedLive(
    "a plain append of an excluded type waits for the condition, and a bulk append for everybody",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { sql, store } = yield* open(name)
        const other = (yield* open(name)).store
        const written = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(store.withTransaction(
          store.append([{ stream: "s-1", events: [event()] }], { failIf: Query.unsafeMake({ types: ["B"] }) }).pipe(
            Effect.zipRight(Deferred.succeed(written, undefined)),
            Effect.zipRight(Deferred.await(release))
          )
        ))
        yield* Deferred.await(written)
        const typed = yield* Effect.fork(other.append([{ stream: "s-2", events: [event({}, [], "B")] }]))
        yield* waiters(sql, 1)
        const bulk = yield* Effect.fork(
          other.append(Array.from({ length: 1_000 }, (_, index) => ({ stream: `bulk-${index}`, events: [event()] })))
        )
        yield* waiters(sql, 2)
        yield* Deferred.succeed(release, undefined)
        yield* Fiber.join(holder)
        yield* Fiber.join(typed)
        assert.strictEqual((yield* Fiber.join(bulk)).events.length, 1_000)
      }),
    30_000
  )

  // ------------------------------------------------------------------------------------------------------------ locks

  it.scopedLive(
    "600 random appends to several streams with tags and conditions never wait in a circle",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        // Nothing is tried again: a deadlock would fail its append.
        const stores = yield* Effect.forEach(
          [0, 1, 2],
          () => Effect.map(open(name, { retry: Schedule.stop }), ({ store }) => store)
        )
        const some = (kind: string) =>
          Effect.map(
            Effect.all(Array.from({ length: 3 }, () => Random.nextIntBetween(0, 8))),
            (numbers) => Array.from(new Set(numbers.map((number) => `${kind}-${number}`)))
          )
        const append = (index: number) =>
          Effect.gen(function*() {
            const streams = yield* some("s")
            const tags = yield* some("t")
            const groups = streams.map((stream) => ({ stream, events: [event({}, tags)] }))
            const after = index % 3 === 0 ? Number.MAX_SAFE_INTEGER - 1 : undefined
            yield* stores[index % 3]!.append(
              groups,
              after === undefined ? {} : { failIf: Query.unsafeMake(...tags.map((tag) => ({ tags: [tag] }))), after }
            )
            return streams.length
          })
        const counts = yield* Effect.forEach(Array.from({ length: 600 }, (_, index) => index), append, {
          concurrency: 60
        })
          .pipe(Effect.withRandom(Random.make("locks")))
        const all = Array.from(yield* Stream.runCollect(stores[0]!.readAll()))
        assert.strictEqual(all.length, counts.reduce((sum, count) => sum + count, 0))
        const versions = new Map<string, number>()
        for (const { stream, version } of all) {
          assert.strictEqual(version, (versions.get(stream) ?? 0) + 1)
          versions.set(stream, version)
        }
      }),
    60_000
  )

  it.scopedLive(
    "the same ids in different streams at the same time: one is written, the others are refused",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const stores = yield* Effect.forEach([0, 1, 2], () => Effect.map(open(name), ({ store }) => store))
        for (let round = 0; round < 20; round++) {
          const events = [event(1), event(2)]
          const results = yield* Effect.forEach(
            Array.from({ length: 9 }, (_, index) => index),
            (index) =>
              Effect.either(stores[index % 3]!.append([{
                stream: `s-${round}-${index}`,
                events: index % 2 === 0 ? events : [...events].reverse()
              }])),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(results.filter(({ _tag }) => _tag === "Right").length, 1)
          for (const result of results) {
            if (result._tag === "Left") assert.strictEqual(result.left._tag, "DuplicateEvent")
          }
        }
      }),
    60_000
  )

  it.scopedLive(
    "an append that is interrupted while it waits for a stream stops waiting",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { sql, store } = yield* open(name)
        const written = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(store.withTransaction(
          Effect.zipRight(
            store.append([{ stream: "s-1", events: [event(1)] }]),
            Effect.zipRight(Deferred.succeed(written, undefined), Deferred.await(release))
          )
        ))
        yield* Deferred.await(written)
        const waiting = yield* Effect.fork(store.append([{ stream: "s-1", events: [event(2)] }]))
        yield* waiters(sql, 1)
        yield* Fiber.interrupt(waiting)
        yield* Deferred.succeed(release, undefined)
        yield* Fiber.join(holder)
        yield* store.append([{ stream: "s-1", expected: 1, events: [event(3)] }])
      }),
    30_000
  )

  // ------------------------------------------------------------------------------------------------------ connections

  it.scopedLive(
    "appends and reads survive that every connection is cut, again and again",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { store } = yield* open(name, {}, { applicationName: name })
        const admin = (yield* open(name)).sql
        const cut =
          admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(application_name, ${name})`
        const cutting = yield* Effect.fork(Effect.repeat(cut, Schedule.spaced("150 millis")))
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, index) => index),
          (index) =>
            Effect.zipRight(
              store.append([{ stream: `s-${index % 10}`, events: [event(index)] }]),
              store.streamState(`s-${index % 10}`)
            ),
          { concurrency: 8 }
        )
        yield* Fiber.interrupt(cutting)
        const seen = Array.from(yield* Stream.runCollect(store.readAll())).map(({ payload }) => payload as number)
        assert.deepStrictEqual(
          seen.sort((left, right) => left - right),
          Array.from({ length: 200 }, (_, index) => index)
        )
      }),
    60_000
  )

  it.scopedLive("a server that is not there is a typed failure when the schedule has ended", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(Effect.scoped(Layer.build(Postgres.layerServer({
        host: "127.0.0.1",
        port: 1,
        username: "postgres",
        database: "skald",
        retry: Schedule.stop
      }))))
      assert.strictEqual(failure._tag, "StoreError")
      assert.strictEqual(failure._tag === "StoreError" && failure.reason, "unavailable")
    }))

  // ------------------------------------------------------------------------------------------------------------ hints

  it.scopedLive(
    "other processes' appends, and transactions of the application's, wake subscribers without a poll",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { store } = yield* open(name, { pollInterval: "1 hour" })
        const other = yield* open(name, { pollInterval: "1 hour" })
        const heard: Array<unknown> = []
        const caughtUp = yield* Deferred.make<void>()
        const subscriber = yield* Effect.fork(
          store.subscribe({ after: "earliest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) }).pipe(
            Stream.tap((raw) => Effect.sync(() => heard.push(raw.payload))),
            Stream.take(2),
            Stream.runDrain
          )
        )
        yield* Deferred.await(caughtUp)
        yield* other.store.append([{ stream: "s-1", events: [event(1)] }])
        yield* Effect.repeat(Effect.sleep("2 millis"), { until: () => heard.length === 1 })
        yield* other.sql.withTransaction(other.store.append([{ stream: "s-1", events: [event(2)] }]))
        yield* Fiber.join(subscriber)
        assert.deepStrictEqual(heard, [1, 2])
      }),
    20_000
  )

  it.scopedLive(
    "the listening connection is made anew after it was cut, and what it missed is looked for",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { store } = yield* open(name, { pollInterval: "1 hour" }, { applicationName: name })
        const other = yield* open(name)
        const caughtUp = yield* Deferred.make<void>()
        const subscriber = yield* Effect.fork(
          store.subscribe({ after: "earliest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) }).pipe(
            Stream.take(1),
            Stream.runDrain
          )
        )
        yield* Deferred.await(caughtUp)
        const listening = other.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = ${`${name} (listens)`} AND query LIKE 'LISTEN%'`
        yield* Effect.repeat(listening, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("5 millis") })
        yield* other.store.append([{ stream: "s-1", events: [event(1)] }])
        yield* Fiber.join(subscriber)
      }),
    20_000
  )

  // ----------------------------------------------------------------------------------------------------- transactions

  it.scopedLive("an append in a transaction that does not see what others commit is refused", () =>
    Effect.gen(function*() {
      const { sql, store } = yield* open(yield* prefix)
      const failure = yield* Effect.flip(sql.withTransaction(
        Effect.zipRight(
          sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`,
          store.append([{ stream: "s-1", events: [event()] }])
        )
      ))
      assert.strictEqual(failure._tag, "StoreError")
      assert.include(failure.message, "READ COMMITTED")
      assert.strictEqual((yield* store.streamState("s-1"))._tag, "missing")
    }))

  it.scopedLive("the application's rows share the fate of its appends", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const { sql, store } = yield* open(name)
      yield* sql`CREATE TABLE ${sql(`${name}orders`)} (id text)`
      const order = (id: string, outcome: Effect.Effect<void, string>) =>
        Effect.either(store.withTransaction(Effect.all([
          sql`INSERT INTO ${sql(`${name}orders`)} VALUES (${id})`,
          store.append([{ stream: `order-${id}`, events: [event()] }]),
          outcome
        ])))
      yield* order("kept", Effect.void)
      yield* order("undone", Effect.fail("no"))
      const rows = yield* sql<{ id: string }>`SELECT id FROM ${sql(`${name}orders`)}`
      assert.deepStrictEqual(rows.map(({ id }) => id), ["kept"])
      assert.deepStrictEqual(Array.from(yield* Stream.runCollect(store.readAll())).map(({ stream }) => stream), [
        "order-kept"
      ])
    }))

  it.scopedLive(
    "a transaction whose connection is cut fails with a typed error, and nothing of it is there",
    () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const { sql, store } = yield* open(name)
        const other = yield* open(name)
        const failure = yield* Effect.flip(store.withTransaction(Effect.gen(function*() {
          yield* store.append([{ stream: "s-1", events: [event()] }])
          const [own] = yield* sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`
          // Not in the fiber's context, where the client would find the transaction.
          yield* Effect.promise(() => Effect.runPromise(other.sql`SELECT pg_terminate_backend(${own!.pid}, 5000)`))
        })))
        assert.strictEqual(failure._tag, "StoreError")
        assert.strictEqual((yield* store.streamState("s-1"))._tag, "missing")
      }),
    20_000
  )

  it.scopedLive("two stores of one database, and text that holds NUL", () =>
    Effect.gen(function*() {
      const driver = Effect.gen(function*() {
        return yield* Effect.provide(
          Postgres.make({ prefix: yield* prefix }),
          yield* Layer.build(Database.client(url))
        )
      })
      const [first, second] = yield* Effect.all([driver, driver])
      const payloads = ["plain", "a\u0000b", "\u0000", "", new Uint8Array([0, 255, 1]), new Uint8Array()]
      yield* first.append({
        tenant: "",
        groups: [{
          stream: "s-1",
          category: "s",
          expected: "noStream",
          events: payloads.map((payload) => ({
            id: randomUUID(),
            type: "A",
            schemaVersion: 1,
            format: "own",
            payload,
            metadata: "{}",
            correlationId: "c",
            source: "/",
            tags: [],
            occurredAt: 0,
            content: ""
          }))
        }],
        failIf: undefined,
        now: 0
      }, undefined)
      const page = { tenant: "", stream: "s-1", from: 1, to: 10, backwards: false, limit: 10 }
      const rows = yield* first.readStream(page)
      assert.deepStrictEqual(
        rows.map(({ payload }) => typeof payload === "string" ? payload : Array.from(payload)),
        payloads.map((payload) => typeof payload === "string" ? payload : Array.from(payload))
      )
      assert.deepStrictEqual(yield* second.readStream(page), [])
      assert.strictEqual(yield* second.head, 0)
    }))

  it.scopedLive("a prefix that is no name is refused", () =>
    Effect.gen(function*() {
      const client = yield* Layer.build(Database.client(url))
      for (const bad of ["", "Upper_", "1_", "a b", "pg_x", "x".repeat(41), "a;drop"]) {
        const failure = yield* Effect.flip(Effect.scoped(Effect.provide(Postgres.make({ prefix: bad }), client)))
        assert.strictEqual(failure._tag, "InvalidInput")
      }
    }))
})
