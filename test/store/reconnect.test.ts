/** Subscriptions whose database cannot be reached for a while: they go on where they were, when their Schedule says so. */
// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import * as Postgres from "effect-skald/Postgres"
import * as RedisService from "effect-skald/Redis"
import type { Driver } from "effect-skald/store/Driver"
import * as EventStore from "effect-skald/store/EventStore"
import { StoreError } from "effect-skald/store/StoreError"
import * as FaultyStore from "effect-skald/testing/FaultyStore"
import { Chunk, Clock, Context, Effect, Fiber, Layer, Queue, Redacted, Ref, Schedule, Stream, TestClock } from "effect"
import { equal } from "../support/assert.ts"
import * as Database from "../support/postgres.ts"
import * as Proxy from "../support/proxy.ts"
import * as Redis from "../support/redis.ts"
import * as Servers from "../support/servers.ts"

const append = (store: EventStore.Operations, ...ids: ReadonlyArray<string>) =>
  store.append([{ stream: "order-1", events: ids.map((id) => ({ id, type: "Placed", payload: { id } })) }])

const delays = ["1 second", "2 seconds", "5 seconds"] as const

/** After 1, 2 and 5 s, then never, and what it was asked with. */
const noting = Effect.map(Ref.make<ReadonlyArray<string>>([]), (inputs) => ({
  inputs,
  schedule: Schedule.fromDelays(...delays).pipe(
    Schedule.tapInput((error: StoreError) => Ref.update(inputs, (all) => [...all, error.reason]))
  )
}))

const unavailable = new StoreError({ reason: "unavailable", operation: "EventStore.subscribe" })

describe("a subscription whose store cannot be reached", () => {
  it.scoped("is asked again after exactly the delays of its Schedule, and goes on where it was", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      const faults = yield* FaultyStore.FaultyStore
      const { inputs, schedule } = yield* noting
      yield* append(store, "a", "b", "c")
      // after two events it breaks, then it cannot be reached three times
      yield* faults.plan("subscribe", FaultyStore.fail("after", "timeout"), { events: 2 })
      yield* faults.plan("subscribe", FaultyStore.fail("before"), { nth: 2, times: 2 })
      const seen = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(Stream.runForEach(
        store.subscribe({ after: "earliest", reconnect: schedule }),
        ({ id }) => Queue.offer(seen, id)
      ))
      const calls = Effect.map(
        faults.calls,
        (calls) => calls.filter(({ operation }) => operation === "subscribe").length
      )
      // the schedule begins anew after the two events: 1 s, 2 s and 5 s
      for (const [after, count] of [["0 millis", 1], ["999 millis", 1], ["1 millis", 2], ["1999 millis", 2]] as const) {
        yield* TestClock.adjust(after)
        assert.strictEqual(yield* calls, count, `${after} later`)
      }
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* calls, 3)
      equal(Chunk.toReadonlyArray(yield* Queue.takeAll(seen)), ["a", "b"])
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* calls, 3)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* calls, 4)
      equal(Chunk.toReadonlyArray(yield* Queue.takeAll(seen)), ["c"])
      equal(yield* inputs, ["timeout", "unavailable", "unavailable"])
      yield* append(store, "d")
      assert.strictEqual(yield* Queue.take(seen), "d")
    }).pipe(Effect.provide(FaultyStore.layer(EventStore.layerMemory))))

  it.scoped("fails with the last failure when its Schedule ends, and at once with what no time heals", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      const faults = yield* FaultyStore.FaultyStore
      const { inputs, schedule } = yield* noting
      yield* faults.plan("subscribe", FaultyStore.fail("before"), { times: Infinity })
      const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(store.subscribe({ reconnect: schedule }))))
      yield* TestClock.adjust("7999 millis")
      assert.isTrue((yield* Fiber.poll(fiber))._tag === "None")
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude({ ...error }, { _tag: "StoreError", reason: "unavailable" })
      assert.lengthOf(yield* inputs, 4)
      yield* faults.calm
      for (const reason of ["corrupt", "closed", "readOnly"] as const) {
        yield* faults.plan("subscribe", FaultyStore.fail("before", reason))
        const error = yield* Effect.flip(Stream.runDrain(store.subscribe({ reconnect: schedule })))
        assert.deepInclude({ ...error }, { _tag: "StoreError", reason })
      }
    }).pipe(Effect.provide(FaultyStore.layer(EventStore.layerMemory))))

  /** A driver in memory that answers only while it is up, and when it was asked to read in vain. */
  const breaking = Effect.gen(function*() {
    const memory = yield* EventStore.driverMemory
    const lost = yield* Effect.makeLatch(false)
    const asked: Array<number> = []
    let isUp = true
    const driver: Driver = {
      ...memory,
      awaitBeyond: (position) =>
        Effect.raceFirst(memory.awaitBeyond(position), Effect.zipRight(lost.await, Effect.fail(unavailable))),
      readLog: (page) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (isUp) return memory.readLog(page)
          asked.push(now)
          return Effect.fail(unavailable)
        })
    }
    const set = (up: boolean) => Effect.zipRight(Effect.sync(() => isUp = up), up ? lost.close : lost.open)
    return { driver, asked, up: set(true), down: set(false) }
  })

  it.scoped("begins its Schedule anew with each answer; one that the layer was given counts for those that say nothing", () =>
    Effect.gen(function*() {
      const control = yield* breaking
      const { schedule } = yield* noting
      const store = yield* EventStore.makeEncoded(control.driver, { reconnect: schedule })
      const seen = yield* Queue.unbounded<string>()
      const fiber = yield* Effect.forkScoped(Stream.runForEach(
        store.subscribe({ after: "earliest" }),
        ({ id }) => Queue.offer(seen, id)
      ))
      yield* append(store, "a")
      yield* TestClock.adjust("1 second")
      for (const id of ["b", "c"]) {
        yield* control.down
        yield* TestClock.adjust("0 millis")
        const began = yield* Clock.currentTimeMillis
        yield* TestClock.adjust("7 seconds")
        equal(control.asked.splice(0), [began + 1_000, began + 3_000], "twice in vain")
        yield* control.up
        yield* append(store, id)
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("10 seconds")
      }
      equal(Chunk.toReadonlyArray(yield* Queue.takeAll(seen)), ["a", "b", "c"])
      yield* control.down
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "StoreError")
      assert.lengthOf(control.asked, 3)
    }))

  it.scoped("by default it tries for as long as it runs, at least every five seconds", () =>
    Effect.gen(function*() {
      const control = yield* breaking
      const store = yield* EventStore.makeEncoded(control.driver)
      const seen = yield* Queue.unbounded<string>()
      yield* append(store, "a")
      yield* control.down
      yield* Effect.forkScoped(Stream.runForEach(
        store.subscribe({ after: "earliest" }),
        ({ id }) => Queue.offer(seen, id)
      ))
      yield* TestClock.adjust("3 minutes")
      const gaps = control.asked.map((at, index) => at - (control.asked[index - 1] ?? 0))
      assert.isAbove(gaps.length, 36)
      assert.isBelow(Math.max(...gaps), 5_001)
      yield* control.up
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Queue.take(seen), "a")
    }))
})

/** Follows a store, and puts the ids of what it is given into a queue. */
const followed = (store: EventStore.Operations, reconnect: Schedule.Schedule<unknown, StoreError>) =>
  Effect.gen(function*() {
    const seen = yield* Queue.unbounded<string>()
    const ready = yield* Queue.unbounded<number>()
    const fiber = yield* Effect.forkScoped(Stream.runForEach(
      store.subscribe({ after: "earliest", reconnect, onCaughtUp: (position) => Queue.offer(ready, position) }),
      ({ id }) => Queue.offer(seen, id)
    ))
    yield* Queue.take(ready)
    return { seen, fiber }
  })

const counting = (schedule: Schedule.Schedule<unknown>) => {
  const count = { tries: 0 }
  return { count, schedule: schedule.pipe(Schedule.tapInput(() => Effect.sync(() => void count.tries++))) }
}

/** A subscription outlives connections that are cut and a server that is away, by its Schedule, and fails when that ends. */
const outlives = <E, E2, E3>(
  store: EventStore.Service,
  server: {
    readonly cut: Effect.Effect<unknown, E>
    readonly down: Effect.Effect<unknown, E2>
    readonly up: Effect.Effect<unknown, E3>
  }
) =>
  Effect.gen(function*() {
    const { count, schedule } = counting(Schedule.spaced("50 millis"))
    const { fiber, seen } = yield* followed(store, schedule)
    const appended = (id: string) => Effect.retry(append(store, id), Schedule.spaced("20 millis"))
    for (let n = 0; n < 5; n++) {
      yield* server.cut
      yield* appended(`cut-${n}`)
      assert.strictEqual(yield* Queue.take(seen), `cut-${n}`)
    }
    yield* server.down
    const before = count.tries
    yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => count.tries >= before + 5 })
    yield* server.up
    yield* appended("after")
    assert.strictEqual(yield* Queue.take(seen), "after")
    assert.isTrue((yield* Fiber.poll(fiber))._tag === "None")
    // one whose Schedule ends fails
    const { fiber: ending } = yield* followed(store, Schedule.recurs(2))
    yield* server.down
    assert.strictEqual((yield* Effect.flip(Fiber.join(ending)))._tag, "StoreError")
  })

Servers.suite("postgres", "a subscription whose PostgreSQL cannot be reached", (url) => {
  it.scopedLive(
    "goes on where it was, by its own Schedule, whether connections are cut or the server is out of reach",
    () =>
      Effect.gen(function*() {
        const database = yield* Database.database(url)
        const name = new URL(database).pathname.slice(1)
        const proxy = yield* Proxy.make(database)
        const admin = yield* Database.connection(url)
        const cut = Effect.promise(() =>
          admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name])
        )
        const context = yield* Layer.build(Postgres.layer({
          url: Redacted.make(proxy.url),
          pollInterval: "20 millis",
          // the driver itself tries nothing again: the subscription alone does
          retry: Schedule.stop
        }))
        const store = Context.get(context, EventStore.EventStore)
        yield* outlives(store, { cut, down: proxy.down, up: proxy.up })
        yield* proxy.up
      }),
    60_000
  )
})

Servers.suite("redis", "a subscription whose Redis cannot be reached", () => {
  it.scopedLive(
    "goes on where it was, by its own Schedule, whether clients are killed or the server is",
    () =>
      Effect.gen(function*() {
        const server = yield* Redis.ownServer("--appendonly", "yes", "--appendfsync", "always")
        const context = yield* Layer.build(RedisService.layer({
          url: server.url,
          pollInterval: "20 millis",
          retry: Schedule.stop
        }))
        const store = Context.get(context, EventStore.EventStore)
        const cut = Effect.promise(async () => {
          await server.admin.client("KILL", "TYPE", "normal", "SKIPME", "yes")
          await server.admin.client("KILL", "TYPE", "pubsub")
        })
        yield* outlives(store, { cut, down: server.kill, up: server.start })
      }),
    60_000
  )
})
