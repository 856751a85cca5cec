import { assert, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as TcpProxy from "effect-skald/testing/TcpProxy"
import { Effect, Fiber, Layer, Schedule } from "effect"
import type * as Pg from "pg"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

const work: BusDriver.Group = { name: "work", selector: Selector.all, start: "latest", kept: true }

const told = (delivered: ReadonlyArray<BusDriver.Delivered>) =>
  delivered.map(({ deliveries, message }) => `${message.id}:${deliveries}`)

const done = (delivered: ReadonlyArray<BusDriver.Delivered>) =>
  delivered.map(({ receipt }): BusDriver.Settlement => ({ _tag: "done", receipt }))

const ids = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => `m${String(from + n).padStart(2, "0")}`)

const ask = (connection: Pg.Client, text: string): Effect.Effect<ReadonlyArray<any>> =>
  Effect.map(Effect.promise(() => connection.query({ text, rowMode: "array" })), ({ rows }) => rows.flat())

/** Waits for what must happen, in real time. */
const until = (what: string, condition: Effect.Effect<boolean>) =>
  Effect.flatMap(condition, (holds) => holds ? Effect.void : Effect.fail(what)).pipe(
    Effect.retry(Schedule.spaced("5 millis").pipe(Schedule.upTo("10 seconds")))
  )

/** A bus behind a proxy, with 20 messages that wait, and a connection that goes straight. */
const setup = (url: string) =>
  Effect.gen(function*() {
    const { hostname, port } = new URL(url)
    const proxy = yield* TcpProxy.make({ host: hostname, port: Number(port) })
    const prefix = yield* Postgres.prefix(url)
    const name = `lost answers ${prefix}`
    const context = yield* Layer.build(Layer.provide(
      // a lease that outlasts the test: nothing is given back because somebody seems to be dead
      SqlBus.layer({ prefix, listen: false, leaseTtl: "5 minutes", leaseEvery: "2 minutes", pollInterval: "1 hour" }),
      Postgres.client(proxy.through(url), { applicationName: name })
    ))
    const { consume, depth, publish } = yield* Effect.provide(EventBus.EventBus, context)
    const consumers = [yield* consume(work), yield* consume(work)] as const
    yield* publish(ids(20).map((id) => ({ id, type: "Placed", payload: {} })))
    const straight = yield* Postgres.connection(url)
    const inFlight = Effect.map(
      ask(straight, `SELECT count(*)::int4 FROM ${prefix}bus_deliveries WHERE holder IS NOT NULL`),
      ([count]) => count as number
    )
    return { proxy, prefix, name, consumers, depth, straight, inFlight }
  })

/** Whoever claims waits from now on, after those who do already. */
const hold = (prefix: string): string =>
  `SELECT pg_advisory_lock('${prefix}bus_deliveries'::regclass::oid::int8::bit(32)::int4, id) FROM ${prefix}bus_groups`

Servers.suite("postgres", "an answer of PostgreSQL that is lost", (url) => {
  it.scopedLive("of a claim, while a second one is under way: the one is given back and counted, the other kept", () =>
    Effect.gen(function*() {
      const { consumers: [one, other], depth, inFlight, prefix, proxy, straight } = yield* setup(url)
      yield* proxy.cutAt("bus_claim", "after")
      const lost = yield* Effect.fork(one.pull(5))
      yield* until("it is committed", Effect.map(inFlight, (count) => count === 5))
      // the second stands in the database while the first is found to be lost
      yield* ask(straight, hold(prefix))
      const second = yield* Effect.fork(other.pull(5))
      yield* Effect.sleep("150 millis")
      yield* ask(straight, "SELECT pg_advisory_unlock_all()")

      const again = yield* Fiber.join(lost)
      const kept = yield* Fiber.join(second)
      assert.deepStrictEqual(told(kept), ids(5, 5).map((id) => `${id}:1`))
      assert.deepStrictEqual(told(again), ids(5).map((id) => `${id}:2`))
      assert.strictEqual(yield* inFlight, 10)
      yield* one.settle(done(again))
      yield* other.settle(done(kept))
      const rest = yield* one.pull(20)
      assert.deepStrictEqual(told(rest), ids(10, 10).map((id) => `${id}:1`))
      yield* one.settle(done(rest))
      assert.deepStrictEqual(yield* depth("work"), { ready: 0, waiting: 0, inFlight: 0, oldest: undefined })
    }))

  it.scopedLive("of a claim that still waits in the database: what it then takes is given back, and counted", () =>
    Effect.gen(function*() {
      const { consumers: [one], inFlight, prefix, proxy, straight } = yield* setup(url)
      yield* ask(straight, hold(prefix))
      const pulled = yield* Effect.fork(one.pull(5))
      yield* Effect.sleep("100 millis")
      yield* proxy.cut
      yield* Effect.sleep("100 millis")
      yield* ask(straight, "SELECT pg_advisory_unlock_all()")
      assert.deepStrictEqual(told(yield* Fiber.join(pulled)), ids(5).map((id) => `${id}:2`))
      assert.strictEqual(yield* inFlight, 5)
    }))

  it.scopedLive("of a claim that the server gets to only after that: it takes nothing that nobody would know of", () =>
    Effect.gen(function*() {
      const { consumers: [one], inFlight, name, proxy, straight } = yield* setup(url)
      const sessions = Effect.map(
        ask(straight, `SELECT pid FROM pg_stat_activity WHERE application_name = '${name}'`),
        (pids) => pids as ReadonlyArray<number>
      )
      const old = yield* sessions
      let stopped = false
      const signal = (stop: boolean) => {
        if (stopped === stop) return
        for (const pid of old) process.kill(pid, stop ? "SIGSTOP" : "SIGCONT")
        stopped = stop
      }
      yield* Effect.acquireRelease(Effect.sync(() => signal(true)), () => Effect.sync(() => signal(false)))
      const pulled = yield* Effect.fork(one.pull(5))
      yield* Effect.sleep("100 millis")
      yield* proxy.cut
      const taken = yield* Fiber.join(pulled)
      assert.deepStrictEqual(told(taken), ids(5).map((id) => `${id}:1`))
      signal(false)
      yield* until(
        "the old sessions have ended",
        Effect.map(sessions, (now) => now.every((pid) => !old.includes(pid)))
      )
      assert.strictEqual(yield* inFlight, 5)
      yield* one.settle(done(taken))
      const rest = yield* one.pull(20)
      assert.deepStrictEqual(told(rest), ids(15, 5).map((id) => `${id}:1`))
    }))
})
