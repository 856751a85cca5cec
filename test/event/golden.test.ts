import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Schema, Stream } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import { EventStore } from "effect-skald/store/EventStore"
import * as SchemaSnapshot from "effect-skald/testing/SchemaSnapshot"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { onBoth } from "../support/embedded.ts"

/** Payloads as programs of former times wrote them, byte for byte; the event types are those of today. */
const file = (name: string) => fileURLToPath(new URL(`../fixtures/golden/${name}`, import.meta.url))

const Golden = Schema.parseJson(Schema.Array(Schema.Struct({
  type: Schema.String,
  schemaVersion: Schema.Int,
  payload: Schema.Unknown,
  event: Schema.Unknown
})))
const golden = Schema.decodeSync(Golden)(readFileSync(file("payloads.json"), "utf8"))

const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String, total: Schema.Int })
const OrderPaid = Event.make("OrderPaid", { order: Schema.String, amount: Schema.Int, by: Schema.String }, {
  version: 3,
  upcast: {
    1: Event.upcast(Schema.Struct({ order: Schema.String }), (old) => ({ ...old, amount: 0 })),
    2: Event.upcast(
      Schema.Struct({ order: Schema.String, amount: Schema.Int }),
      (old) => ({ ...old, by: "unknown" })
    )
  }
})
const OrderCancelled = Event.make("OrderCancelled", { order: Schema.String, at: Schema.Date }, {
  alias: ["OrderDropped"]
})
const types = [OrderPlaced, OrderPaid, OrderCancelled] as const
const Orders = Category.make("order", { events: types })
const KeptOrders = Category.make("order", { events: [OrderPlaced], unknown: "keep" })

describe("the committed Schemas", () => {
  it.effect("are those that the golden payloads were written with", () =>
    SchemaSnapshot.check(file("events.schema.json"), types).pipe(
      Effect.map((outcome) => assert.strictEqual(outcome, "unchanged")),
      Effect.provide(NodeFileSystem.layer)
    ))
})

onBoth("golden payloads", (layer) => {
  const append = Effect.flatMap(EventStore, (store) =>
    store.append([{
      stream: "order-1",
      events: golden.map(({ payload, schemaVersion, type }) => ({ type, schemaVersion, payload }))
    }]))
  const encoded = (events: Chunk.Chunk<{ readonly payload: Event.Of<typeof types[number]> }>) =>
    Chunk.toReadonlyArray(events).map(({ payload }) => Schema.encodeSync(Orders.group.schema)(payload))

  it.effect("are read alike by stream, page, category and subscription", () =>
    Effect.gen(function*() {
      yield* append
      const expected = golden.map(({ event }) => event)
      assert.deepStrictEqual<unknown>(encoded(yield* Stream.runCollect(Orders.read("1"))), expected)
      assert.deepStrictEqual<unknown>(encoded(Chunk.fromIterable((yield* Orders.readPage("1")).events)), expected)
      assert.deepStrictEqual<unknown>(encoded(yield* Stream.runCollect(Orders.readAll())), expected)
      assert.deepStrictEqual<unknown>(
        encoded(
          yield* Orders.subscribe({ after: "earliest" }).pipe(Stream.take(golden.length), Stream.runCollect)
        ),
        expected
      )
    }).pipe(Effect.provide(layer)))

  it.effect("of unknown types are kept as they were written, where that is asked for", () =>
    Effect.gen(function*() {
      yield* append
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(KeptOrders.read("1")))
      assert.deepStrictEqual<unknown>(
        events.slice(1).map((event) => event.payload),
        golden.slice(1).map(({ payload, schemaVersion, type }) => ({ _tag: "$Unknown", type, schemaVersion, payload }))
      )
    }).pipe(Effect.provide(layer)))
})
