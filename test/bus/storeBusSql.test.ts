// needs: native addon
import { describe, expect, it } from "@effect/vitest"
import type * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as StoreBus from "effect-skald/bus/StoreBus"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as PostgresServices from "effect-skald/Postgres"
import * as Sqlite from "effect-skald/Sqlite"
import { EventStore } from "effect-skald/store/EventStore"
import { Effect, Layer, Redacted, Schema, type Scope, Stream } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const Placed = Event.make("Placed", { n: Schema.Number }, { subject: "order.placed" })
const bus = Publisher.make([Placed])
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n)

/** Lets real time pass until it holds. */
const until = (what: string, holds: () => boolean) =>
  Effect.gen(function*() {
    for (let looks = 0; !holds(); looks++) {
      if (looks > 2_000) return yield* Effect.dieMessage(`not within 10 s: ${what}`)
      yield* Effect.sleep("5 millis")
    }
  })

const collect = (name: string, start: "earliest" | "latest" | number) => {
  const seen: Array<number> = []
  return Effect.as(
    Subscription.run(name, { events: [Placed], start, handler: ({ n }) => Effect.sync(() => void seen.push(n)) }),
    seen
  )
}

/** The positions of what was published, in the order of the log. */
const positions = Effect.gen(function*() {
  const store = yield* EventStore
  const events = yield* Stream.runCollect(store.readAll({ allTenants: true, types: ["Placed"] }))
  return Array.from(events, ({ position }) => Number(position))
})

type Place = Layer.Layer<EventBus.EventBus | EventStore, unknown>

const cases = (open: Effect.Effect<Place, never, Scope.Scope>) => {
  it.scopedLive(
    "new subscriptions replay from the first, after any position, and from now on; another run goes on",
    () =>
      Effect.gen(function*() {
        const place = yield* open
        // a program that ends, and one that begins on the same database
        yield* Effect.gen(function*() {
          for (const n of numbers(12)) yield* bus.publish(Placed({ n }), { key: `o-${n % 3}` })
          const all = yield* collect("all", "earliest")
          yield* until("the history", () => all.length === 12)
          expect([...all].sort((a, b) => a - b)).toEqual(numbers(12))
          for (const key of numbers(3)) {
            expect(all.filter((n) => n % 3 === key)).toEqual(numbers(4).map((n) => 3 * n + key))
          }
        }).pipe(Effect.scoped, Effect.provide(place))
        yield* Effect.gen(function*() {
          yield* bus.publish(Placed({ n: 12 }), { key: "o-0" })
          const known = yield* collect("all", "earliest")
          const at = yield* positions
          expect(at.length).toBe(13)
          const starts = [0, 1, 5, 12]
          const replayed: Array<ReadonlyArray<number>> = []
          for (const start of starts) replayed.push(yield* collect(`after-${start}`, at[start]!))
          const late = yield* collect("late", "latest")
          yield* bus.publish(Placed({ n: 13 }), { key: "o-1" })
          yield* until(
            "all of them",
            () =>
              known.length === 2 && late.length === 1 && replayed.every((seen, k) => seen.length === 13 - starts[k]!)
          )
          expect(known).toEqual([12, 13])
          expect(late).toEqual([13])
          for (const [k, seen] of replayed.entries()) {
            expect([...seen].sort((a, b) => a - b)).toEqual(numbers(13 - starts[k]!, starts[k]! + 1))
          }
        }).pipe(Effect.scoped, Effect.provide(place))
      }),
    60_000
  )
}

/** The bus of the services is the one beneath; programs see the one over it. */
const over = (services: Layer.Layer<StoreBus.Services, unknown>): Place =>
  Layer.merge(StoreBus.layer(), Layer.effect(EventStore, EventStore)).pipe(Layer.provide(services))

describe("a bus backed by the store, over the bus in SQLite", () => {
  cases(Effect.map(tempFile(), (filename) => over(Sqlite.layer({ filename }))))
})

Servers.suite("postgres", "a bus backed by the store, over the bus in PostgreSQL", (url) => {
  cases(
    Effect.map(
      Postgres.prefix(url),
      (prefix) => over(PostgresServices.layer({ url: Redacted.make(url), prefix }))
    )
  )
})
