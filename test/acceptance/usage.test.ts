/** What the design's page for users promises: one application, one of everything, the same wherever it is kept. */
import { describe, expect, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as Rules from "effect-skald/cep/Rules"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Memory from "effect-skald/Memory"
import * as Postgres from "effect-skald/Postgres"
import * as Placement from "effect-skald/saga/Placement"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as Sqlite from "effect-skald/Sqlite"
import * as EventStore from "effect-skald/store/EventStore"
import { Given } from "effect-skald/testing/Given"
import * as Laws from "effect-skald/testing/Laws"
import { Effect, Fiber, Layer, Redacted, Schedule, Stream, TestServices } from "effect"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import * as Shop from "../support/shop.ts"
import { tempFile } from "../support/tempDirectory.ts"

const id = (name: string) => `o-${name}` as Parameters<typeof Shop.orders.execute>[0]

/** Looks again until it is so. */
const until = <A, E, R>(look: Effect.Effect<A, E, R>, so: (seen: A) => boolean) =>
  Effect.filterOrFail(look, so, (seen) => `waited in vain, there is only ${JSON.stringify(seen)}`).pipe(
    Effect.retry({ schedule: Schedule.spaced("10 millis"), times: 1_000 })
  )

const seen = {
  refused: new Shop.OrderRejected({ why: "placed already" }),
  state: { status: "paid", order: "o-ann" },
  version: 2,
  then: { status: "placed", order: "o-bob" },
  receipt: "keep payment-o-ann",
  bob: new Shop.FulfilFailed({ why: "no carrier" }),
  again: new Shop.FulfilFailed({ why: "no carrier" }),
  revenue: { placed: 357, paid: 1 },
  tagged: 1,
  dead: ["mail-customer"],
  notes: [
    "audit OrderPaid",
    "audit OrderPlaced",
    "audit OrderPlaced",
    "audit OrderPlaced",
    "charge o-ann",
    "charge o-bob",
    "mail o-ann OrderPaid",
    "mail o-ann OrderPlaced",
    "mail o-bob OrderPlaced",
    "refund payment-o-bob",
    "ship o-ann",
    "stuck o-bob after 3"
  ]
}

/** A day in the shop; answers with all that was seen of it. */
const day = Effect.gen(function*() {
  const world = yield* Shop.World
  const place = (name: string, total: number, at: number) =>
    Shop.orders.execute(id(name), { _tag: "Place", customer: name, total, at }, { expected: 0 })
  yield* place("ann", 100, 1_000)
  yield* place("bob", 250, 2_000)
  yield* place("nobody", 7, 3_000)
  const refused = yield* Effect.flip(Shop.orders.execute(id("ann"), { _tag: "Place", customer: "x", total: 1, at: 0 }))
  for (let n = 0; n < 3; n++) yield* Shop.orders.execute(id("bob"), { _tag: "Fail", at: 4_000 + n })
  const paid = yield* Shop.orders.execute(id("ann"), { _tag: "Pay", payment: "p-1" })

  const ann = yield* Effect.fork(Shop.Fulfil.run({ order: id("ann") }))
  yield* until(Shop.Fulfil.status(id("ann")), ({ state }) => state === "waiting")
  yield* Shop.Fulfil.signal(id("ann"), { ...Shop.answer, value: "keep" })
  const bob = yield* Effect.flip(Shop.Fulfil.run({ order: id("bob") }))

  const store = yield* EventStore.EventStore
  // whether an order was paid in time, time alone can tell
  const rules = yield* Rules.Rules
  yield* until(rules.stats("stuck-orders"), ({ events }) => events === 7)
  yield* rules.advance(3_600_000)
  yield* until(world.notes, (notes) => notes.length === seen.notes.length)
  const letters = yield* DeadLetters.DeadLetters
  const dead = yield* until(Stream.runCollect(letters.list({})), (found) => found.length === 1)
  const revenue = yield* Projection.live(Shop.Revenue)
  return {
    refused,
    state: paid.state,
    version: paid.version,
    then: (yield* Shop.orders.stateAt(id("bob"), { version: 1 })).state,
    receipt: yield* Fiber.join(ann),
    bob,
    again: yield* Effect.flip(Shop.Fulfil.run({ order: id("bob") })),
    revenue,
    tagged: yield* Stream.runCount(
      store.readAll({ query: { _tag: "Items", items: [{ tags: ["customer:ann"] }] } as any })
    ),
    dead: Array.from(dead, (letter) => letter.subscription),
    notes: yield* world.notes
  }
}).pipe(TestServices.provideLive)

/** The day, over services of a kind. */
const dayOn = <P, E>(services: Layer.Layer<P | Memory.Services | Memory.Bus | SagaEngine.SagaEngine, E>) =>
  Effect.provide(
    Effect.scoped(day),
    Shop.App.pipe(Layer.provideMerge(Shop.World.Default), Layer.provideMerge(services))
  )

describe("one application", () => {
  it.live(
    "in memory",
    () => Effect.map(dayOn(Memory.layer), (answer) => expect(answer).toEqual(seen)),
    30_000
  )

  it.scopedLive("in one SQLite file", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      expect(yield* dayOn(Sqlite.layer({ filename }))).toEqual(seen)
    }), 30_000)

  it("and its parts keep their laws", () => {
    const { at, order, total } = { at: 1, order: id("ann"), total: 3 }
    Given(Shop.Order, [Shop.OrderPlaced({ order, customer: "ann", total, at })])
      .when({ _tag: "Pay", payment: "p" })
      .thenEvents([Shop.OrderPaid({ order, payment: "p" })])
    Laws.check([...Laws.decider(Shop.Order), ...Laws.projection(Shop.Revenue)])
  })
})

Servers.suite("postgres", "one application in one PostgreSQL database", (url) => {
  it.scopedLive("is the same", () =>
    Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      // beyond one machine several engines share the sagas
      const production = SagaEngine.layerShared().pipe(
        Layer.provideMerge(Placement.layer()),
        Layer.provideMerge(Postgres.layer({ url: Redacted.make(url), prefix }))
      )
      expect(yield* dayOn(production)).toEqual(seen)
    }), 60_000)
})
