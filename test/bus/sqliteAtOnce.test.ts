// needs: native addon
import { describe, expect, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Selector from "effect-skald/bus/Selector"
import * as SqlBus from "effect-skald/bus/Sql"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"

const layer = Layer.orDie(Layer.provideMerge(SqlBus.layer(), SqliteClient.layer({ filename: ":memory:" })))

const group = (name: string): BusDriver.Group => ({ name, selector: Selector.all, start: "latest", kept: true })

const publish = (count: number) =>
  Effect.flatMap(
    EventBus.EventBus,
    (bus) => bus.publish(Array.from({ length: count }, (_, n) => ({ id: String(n), type: "Placed", payload: { n } })))
  )

const done = (delivered: ReadonlyArray<BusDriver.Delivered>): ReadonlyArray<BusDriver.Settlement> =>
  delivered.map(({ receipt }) => ({ _tag: "done", receipt }))

const ids = (delivered: ReadonlyArray<BusDriver.Delivered>) => delivered.map(({ message }) => Number(message.id))

const numbers = (from: number, to: number, by = 1) =>
  Array.from({ length: Math.ceil((to - from) / by) }, (_, n) => from + n * by)

describe("what the bus takes and settles at once on SQLite", () => {
  it.scopedLive("timers and sockets have their turn while a backlog is worked off", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const consumer = yield* bus.consume(group("a"))
      yield* publish(3_000)
      let turnAt: number | undefined
      let taken = 0
      setImmediate(() => {
        turnAt = taken
      })
      while (taken < 3_000) {
        const batch = yield* consumer.pull(100)
        yield* consumer.settle(done(batch))
        taken += batch.length
      }
      expect(turnAt).toBeLessThan(1_500)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("what is settled is gone, and nothing that stands between it: however it is ordered, with gaps, or twice", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const first = yield* bus.consume(group("a"))
      const second = yield* bus.consume(group("a"))
      // its deliveries stand between those of the other
      const other = yield* bus.consume(group("b"))
      yield* publish(100)
      const own = yield* first.pull(40)
      const others = yield* second.pull(40)
      expect([ids(own), ids(others)]).toEqual([numbers(0, 40), numbers(40, 80)])
      const at = (places: ReadonlyArray<number>) => done(places.map((place) => own[place]!))
      // with one gap, backwards, and one of them twice
      yield* first.settle(at([...numbers(0, 16), ...numbers(17, 20), ...numbers(30, 40).reverse(), 3, 3]))
      expect(yield* bus.depth("a")).toMatchObject({ ready: 20, inFlight: 51 })
      yield* first.settle(at([16, ...numbers(20, 30, 2)]))
      expect(yield* bus.depth("a")).toMatchObject({ ready: 20, inFlight: 45 })
      yield* second.settle(done(others))
      expect(yield* bus.depth("a")).toMatchObject({ ready: 20, inFlight: 5 })
      expect(yield* bus.depth("b")).toMatchObject({ ready: 100, inFlight: 0 })
      expect(ids(yield* other.pull(200))).toEqual(numbers(0, 100))
      expect(ids(yield* second.pull(200))).toEqual(numbers(80, 100))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("of one level what a claim takes is counted once, and so is what comes again", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      yield* Effect.scoped(bus.consume(group("a")))
      yield* publish(30)
      yield* Effect.scoped(Effect.gen(function*() {
        const gone = yield* bus.consume(group("a"))
        const taken = yield* gone.pull(20)
        yield* gone.settle(done(taken.filter((_, at) => at % 2 === 0)))
      }))
      const consumer = yield* bus.consume(group("a"))
      const again = yield* consumer.pull(100)
      expect(ids(again)).toEqual([...numbers(1, 20, 2), ...numbers(20, 30)])
      expect(again.map(({ deliveries }) => deliveries)).toEqual([
        ...numbers(0, 10).map(() => 2),
        ...numbers(0, 10).map(() => 1)
      ])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("in a transaction that is rolled back, what was settled is still held", () =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const sql = yield* SqlClient.SqlClient
      const consumer = yield* bus.consume(group("a"))
      yield* publish(10)
      const taken = yield* consumer.pull(10)
      yield* Effect.flip(
        sql.withTransaction(Effect.zipRight(consumer.settle(done(taken)), Effect.fail("back" as const)))
      )
      expect(yield* bus.depth("a")).toMatchObject({ ready: 0, inFlight: 10 })
      yield* consumer.settle(done(taken))
      expect(yield* bus.depth("a")).toMatchObject({ ready: 0, inFlight: 0 })
    }).pipe(Effect.provide(layer)))
})
