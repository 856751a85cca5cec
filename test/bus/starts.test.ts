// needs: native addon
import { describe, expect, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import { ageing, priorities } from "effect-skald/bus/Message"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Clock, Deferred, Effect, Fiber, Layer, Random, Schema, TestClock } from "effect"
import { tempFile } from "../support/tempDirectory.ts"

const Said = Event.make("Said", { by: Schema.Number, n: Schema.Number })
const bus = Publisher.make([Said])

const publishers = 4
const each = 40

const buses = {
  memory: Effect.succeed(EventBus.layerMemory),
  SQLite: Effect.map(
    tempFile("bus.db"),
    (filename) =>
      Layer.orDie(Layer.provide(SqlBus.layer({ pollInterval: "5 millis" }), SqliteClient.layer({ filename })))
  )
}

describe("a subscription that starts with the earliest while others publish", () => {
  for (const [name, open] of Object.entries(buses)) {
    it.scopedLive(`gets everything once, and in each publisher's order: ${name}`, () =>
      Effect.gen(function*() {
        const layer = yield* open
        yield* Effect.gen(function*() {
          const publishing = yield* Effect.fork(Effect.forEach(
            Array.from({ length: publishers }, (_, by) => by),
            (by) =>
              Effect.forEach(Array.from({ length: each }, (_, n) => n), (n) =>
                Effect.zipRight(pauses, bus.publish(Said({ by, n }))), { discard: true }),
            { concurrency: "unbounded", discard: true }
          ))
          const subscribers = yield* Effect.forEach(
            Array.from({ length: 8 }, (_, s) =>
              s),
            (s) =>
              Effect.gen(function*() {
                const seen: Array<readonly [by: number, n: number]> = []
                const all = yield* Deferred.make<void>()
                yield* Effect.repeatN(pauses, s * 3)
                yield* Subscription.run(`s-${s}`, {
                  events: [Said],
                  start: "earliest",
                  handler: ({ by, n }) =>
                    Effect.suspend(() => {
                      seen.push([by, n])
                      return seen.length === publishers * each ? Deferred.succeed(all, undefined) : Effect.void
                    })
                })
                return { all, seen }
              }),
            { concurrency: "unbounded" }
          )
          yield* Fiber.join(publishing)
          for (const { all, seen } of subscribers) {
            yield* Effect.timeoutFail(Deferred.await(all), {
              duration: "20 seconds",
              onTimeout: () =>
                `only ${seen.length} came`
            })
            for (let by = 0; by < publishers; by++) {
              expect(
                seen.filter(([from]) => from === by).map(([, n]) => n)
              ).toEqual(Array.from({ length: each }, (_, n) => n))
            }
          }
          // and nothing of it a second time
          yield* Effect.sleep("30 millis")
          for (const { seen } of subscribers) expect(seen.length).toBe(publishers * each)
        }).pipe(Effect.scoped, Effect.provide(layer))
      }))
  }
})

/** Lets others have their turn, once or several times. */
const pauses = Effect.flatMap(Random.nextIntBetween(1, 5), (times) => Effect.repeatN(Effect.yieldNow(), times))

describe("a flood of urgent messages", () => {
  it.scoped("does not starve one of the lowest priority: it comes within a minute for each level", () =>
    Effect.gen(function*() {
      const handled: Array<number> = []
      yield* Subscription.run("s", {
        events: [Said],
        prefetch: 1,
        handler: ({ by }) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            if (by === 0) handled.push(now / ageing)
            return handled.length === 0 ? Effect.sleep("10 seconds") : Effect.void
          })
      })
      // the first keeps the only worker busy
      yield* bus.publish(Said({ by: 1, n: 0 }), { priority: priorities.highest })
      yield* settle
      yield* bus.publish(Said({ by: 0, n: 0 }), { priority: priorities.lowest })
      // always more than can be handled
      for (let minutes = 0; minutes < 12 && handled.length === 0; minutes++) {
        yield* bus.publishAll(Array.from({ length: 12 }, (_, n) => Said({ by: 1, n })), {
          priority: priorities.highest
        })
        for (let part = 0; part < 6; part++) {
          yield* settle
          yield* TestClock.adjust(ageing / 6)
        }
      }
      expect(handled).toEqual([priorities.highest - priorities.lowest])
    }).pipe(Effect.provide(EventBus.layerMemory)))
})

const settle = Effect.repeatN(Effect.yieldNow(), 100)
