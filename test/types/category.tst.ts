import type { Effect, Either, Stream } from "effect"
import { Schema } from "effect"
import type { Recorded } from "effect-skald/event/Envelope"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import type { Unknown } from "effect-skald/event/EventCodec"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import type { StreamId } from "effect-skald/event/StreamId"
import type { AppendError } from "effect-skald/store/AppendError"
import * as Category from "effect-skald/store/Category"
import type { EventStore } from "effect-skald/store/EventStore"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { total: Schema.Number })
class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { why: Schema.String }) {}
const OrderId = Schema.String.pipe(Schema.brand("OrderId"))
type OrderId = typeof OrderId.Type

const Orders = Category.make("order", { id: OrderId, events: [Placed, Cancelled] })
const Kept = Category.make("order", { events: [Placed, Cancelled], unknown: "keep" })
const id = OrderId.make("o-1")
type OrderEvent = typeof Placed.Type | Cancelled

describe("make", () => {
  test("ids are strings where no Schema is given", () => {
    expect(Kept.stream).type.toBe<(id: string) => Either.Either<StreamId, InvalidInput>>()
    expect(Orders.idOf("order-o-1")).type.toBe<Either.Either<OrderId, InvalidInput>>()
  })

  test("two event types with one tag, and Schemas without one, are refused", () => {
    // @ts-expect-error two event types with the tag
    Category.make("order", { events: [Placed, Placed] })
    expect(Category.make).type.not.toBeCallableWith("order", { events: [Schema.Struct({ n: Schema.Number })] })
  })

  test("an id's Schema must encode to text", () => {
    expect(Category.make).type.not.toBeCallableWith("order", { id: Schema.Number, events: [Placed] })
    expect(Category.make).type.toBeCallableWith("order", { id: Schema.NumberFromString, events: [Placed] })
  })
})

describe("appending", () => {
  test("takes the category's events, plain or in envelopes, and ids", () => {
    expect(Orders.append(id, [Placed({ total: 1 }), Envelope.make(new Cancelled({ why: "" }))])).type.toBe<
      Effect.Effect<Category.Appended, AppendError | InvalidInput, EventStore>
    >()
    expect(Orders.append).type.not.toBeCallableWith("o-1", [Placed({ total: 1 })])
    expect(Orders.append).type.not.toBeCallableWith(id, [{ _tag: "Gone" }])
    expect(Orders.append).type.not.toBeCallableWith(id, [{ _tag: "Placed" }])
    expect(Orders.append).type.not.toBeCallableWith(id, [Placed({ total: 1 })], { expected: "nothing" })
  })

  test("kept unknown events are read, not appended", () => {
    const unknown: Unknown = { _tag: "$Unknown", type: "Gone", schemaVersion: 1, payload: {} }
    expect(Kept.append).type.not.toBeCallableWith("o-1", [unknown])
  })
})

describe("reading", () => {
  test("gives the category's events", () => {
    expect(Orders.read(id)).type.toBe<Stream.Stream<Recorded<OrderEvent>, Category.ReadError, EventStore>>()
    expect(Kept.read("o-1")).type.toBe<
      Stream.Stream<Recorded<OrderEvent | Unknown>, Category.ReadError, EventStore>
    >()
  })

  test("some versions, or as of a moment", () => {
    expect(Orders.read).type.toBeCallableWith(id, { from: 1, to: 3, backwards: true })
    expect(Orders.read).type.toBeCallableWith(id, { asOf: { occurredAt: "2001-02-14" } })
    expect(Orders.read).type.not.toBeCallableWith(id, { asOf: { noon: true } })
  })

  test("types that are asked for narrow the answer, types of others are refused", () => {
    expect(Orders.readAll()).type.toBe<Stream.Stream<Recorded<OrderEvent>, Category.ReadError, EventStore>>()
    expect(Orders.readAll({ types: [Placed] })).type.toBe<
      Stream.Stream<Recorded<typeof Placed.Type>, Category.ReadError, EventStore>
    >()
    expect(Orders.subscribe({ types: [Cancelled], after: "earliest" })).type.toBe<
      Stream.Stream<Recorded<Cancelled>, Category.ReadError, EventStore>
    >()
    expect(Kept.readAll()).type.toBe<
      Stream.Stream<Recorded<OrderEvent | Unknown>, Category.ReadError, EventStore>
    >()
    expect(Kept.readAll({ types: [Placed] })).type.toBe<
      Stream.Stream<Recorded<typeof Placed.Type>, Category.ReadError, EventStore>
    >()
    expect(Orders.readAll).type.not.toBeCallableWith({ types: [Event.make("Gone", {})] })
  })
})
