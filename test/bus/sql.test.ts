// needs: native addon
import { describe, expect, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { SqlClient } from "@effect/sql"
import { Effect, Exit, Layer, Scope } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

type Bus = EventBus.EventBus | SqlClient.SqlClient
type MakeLayer = (options?: SqlBus.Options) => Layer.Layer<Bus>

const group = (name: string, options: Partial<BusDriver.Group> = {}): BusDriver.Group => ({
  name,
  selector: Selector.all,
  start: "latest",
  kept: true,
  ...options
})

const message = (id: string, options: Partial<EventBus.NewMessage> = {}): EventBus.NewMessage => ({
  id,
  type: "Placed",
  payload: { id },
  ...options
})

const ids = (delivered: ReadonlyArray<BusDriver.Delivered>) => delivered.map(({ message }) => message.id)

const done = (delivered: ReadonlyArray<BusDriver.Delivered>): ReadonlyArray<BusDriver.Settlement> =>
  delivered.map(({ receipt }) => ({ _tag: "done", receipt }))

const cases = (makeLayer: MakeLayer) => {
  const layer = makeLayer()

  it.scopedLive("what is published comes in order, once to each subscription, and is gone when it is settled", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const a = yield* bus.consume(group("a"))
      const b = yield* bus.consume(group("b", { selector: Selector.types(["Paid"]) }))
      yield* bus.publish([message("1"), message("2", { type: "Paid" }), message("3")])
      const first = yield* a.pull(10)
      expect(ids(first)).toEqual(["1", "2", "3"])
      expect(first.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1])
      expect(ids(yield* b.pull(10))).toEqual(["2"])
      expect(yield* bus.depth("a")).toMatchObject({ ready: 0, waiting: 0, inFlight: 3 })
      yield* a.settle(done(first))
      expect(yield* bus.depth("a")).toEqual({ ready: 0, waiting: 0, inFlight: 0, oldest: undefined })
      expect(yield* bus.subscriptions).toEqual(["a", "b"])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("what was not settled comes again when its consumer has gone, at its place, and counts", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const scope = yield* Scope.make()
      const first = yield* Effect.provideService(bus.consume(group("a")), Scope.Scope, scope)
      yield* bus.publish([message("1"), message("2"), message("3")])
      const taken = yield* first.pull(2)
      yield* first.settle([{ _tag: "keep", receipt: taken[0]!.receipt, state: "half" }])
      yield* Scope.close(scope, Exit.void)
      const second = yield* bus.consume(group("a"))
      const again = yield* second.pull(10)
      expect(again.map(({ deliveries, message: { id }, state }) => [id, deliveries, state])).toEqual([
        ["1", 1, "half"],
        ["2", 2, undefined],
        ["3", 1, undefined]
      ])
      yield* second.settle(done(taken))
      expect(yield* bus.depth("a")).toMatchObject({ inFlight: 3 })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a key has one message in flight; what is put off holds back the others unless they may overtake", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const consumer = yield* bus.consume(group("a"))
      yield* bus.publish([
        message("k1", { key: "k" }),
        message("k2", { key: "k" }),
        message("j1", { key: "j" }),
        message("k3", { key: "k" }),
        message("free")
      ])
      const first = yield* consumer.pull(10)
      expect(ids(first)).toEqual(["k1", "j1", "free"])
      expect(yield* bus.depth("a")).toMatchObject({ ready: 0, waiting: 2, inFlight: 3 })
      const at = Date.now() + 150
      yield* consumer.settle([
        { _tag: "later", receipt: first[0]!.receipt, at, state: "again", overtake: false },
        ...done(first.slice(1))
      ])
      const second = yield* consumer.pull(10)
      expect(ids(second)).toEqual(["k1"])
      expect(second[0]).toMatchObject({ deliveries: 1, state: "again" })
      expect(Date.now()).toBeGreaterThanOrEqual(at)
      yield* consumer.settle([
        { _tag: "later", receipt: second[0]!.receipt, at: Date.now() + 200, state: "once more", overtake: true }
      ])
      const third = yield* consumer.pull(10)
      expect(ids(third)).toEqual(["k2"])
      yield* consumer.settle(done(third))
      const fourth = yield* consumer.pull(10)
      expect(ids(fourth)).toEqual(["k3"])
      yield* consumer.settle(done(fourth))
      expect(ids(yield* consumer.pull(10))).toEqual(["k1"])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("what is published or settled in a transaction shares its fate", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const sql = yield* SqlClient.SqlClient
      const consumer = yield* bus.consume(group("a"))
      yield* Effect.exit(sql.withTransaction(Effect.zipRight(bus.publish([message("no")]), Effect.fail("back"))))
      yield* sql.withTransaction(bus.publish([message("yes")]))
      const taken = yield* consumer.pull(10)
      expect(ids(taken)).toEqual(["yes"])
      yield* Effect.exit(sql.withTransaction(Effect.zipRight(consumer.settle(done(taken)), Effect.fail("back"))))
      expect(yield* bus.depth("a")).toMatchObject({ inFlight: 1 })
      yield* sql.withTransaction(consumer.settle(done(taken)))
      expect(yield* bus.depth("a")).toMatchObject({ inFlight: 0, ready: 0 })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("the earliest gets what was published before it, in order; a redelivery goes to its own alone", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      yield* bus.publish([message("1"), message("2", { type: "Paid" }), message("3")])
      const late = yield* bus.consume(group("late", { start: "earliest", selector: Selector.types(["Placed"]) }))
      yield* bus.publish([message("4")])
      const taken = yield* late.pull(10)
      expect(ids(taken)).toEqual(["1", "3", "4"])
      yield* late.settle(done(taken))
      const known = taken[0]!.message
      if ("_tag" in known) return expect.unreachable()
      yield* bus.redeliver("late", [{ message: known, state: "mended" }])
      yield* bus.redeliver("unknown", [{ message: known, state: "mended" }])
      expect((yield* late.pull(10)).map(({ message, state }) => [message, state])).toEqual([[known, "mended"]])
      const unknown = yield* bus.consume(group("unknown"))
      expect(ids(yield* unknown.pull(10))).toEqual(["1"])
      const all = yield* bus.consume(group("all", { start: "earliest" }))
      expect(ids(yield* all.pull(10))).toEqual(["1", "2", "3", "4"])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a delayed message is never early and can be cancelled; priorities overtake", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const consumer = yield* bus.consume(group("a"))
      const [receipt] = yield* bus.publish([
        message("soon", { delay: "600 millis" }),
        message("never", { delay: "700 millis" }),
        message("low", { priority: "low" }),
        message("normal"),
        message("high", { priority: "high" })
      ])
      expect(yield* bus.cancel("never")).toBe("cancelled")
      expect(yield* bus.cancel("never")).toBe("tooLate")
      expect(ids(yield* consumer.pull(10))).toEqual(["high", "normal", "low"])
      expect(ids(yield* consumer.pull(10))).toEqual(["soon"])
      expect(Date.now()).toBeGreaterThanOrEqual(receipt!.readyAt.epochMillis)
      expect(yield* bus.cancel("soon")).toBe("tooLate")
      expect(yield* bus.depth("a")).toMatchObject({ ready: 0, waiting: 0, inFlight: 4 })
    }).pipe(Effect.provide(layer)))
}

describe("bus on SQLite", () => {
  cases((options) =>
    Layer.orDie(
      Layer.unwrapScoped(
        Effect.map(
          tempFile(),
          (filename) => Layer.provideMerge(SqlBus.layer(options), SqliteClient.layer({ filename }))
        )
      )
    )
  )
})

Servers.suite("postgres", "bus on PostgreSQL", (url) => {
  cases((options) =>
    Layer.orDie(
      Layer.unwrapScoped(
        Effect.map(Postgres.prefix(url), (prefix) =>
          Layer.provideMerge(SqlBus.layer({ ...options, prefix }), Postgres.client(url)))
      )
    )
  )
})
