import type { Effect, Stream } from "effect"
import { Either, Schema } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import type { Recorded } from "effect-skald/event/Envelope"
import type { HistoryTruncated } from "effect-skald/cqrs/HistoryTruncated"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import type { AppendError } from "effect-skald/store/AppendError"
import * as Category from "effect-skald/store/Category"
import type { EventStore } from "effect-skald/store/EventStore"
import * as Snapshot from "effect-skald/store/Snapshot"
import type { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { customer: Schema.String })
const Paid = Event.make("Paid", {})
const Gone = Event.make("Gone", {})
class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
const Place = Schema.TaggedStruct("Place", { customer: Schema.String })

interface State {
  readonly status: "none" | "placed" | "paid"
}

const contract = {
  state: Schema.Struct({ status: Schema.Literal("none", "placed", "paid") }),
  commands: Place,
  events: Schema.Union(Placed, Paid)
}
const Order = Decider.make("order", { ...contract, errors: Refused })({
  initial: { status: "none" },
  decide: (command, { status }) =>
    status === "none" ? Either.right([Placed(command)]) : Either.left(new Refused({ why: status })),
  evolve: (_, event) => ({ status: event._tag === "Paid" ? "paid" : "placed" })
})
const OrderId = Schema.String.pipe(Schema.brand("OrderId"))
type OrderId = typeof OrderId.Type
const Orders = Category.make("order", { id: OrderId, events: [Placed, Paid] })

const orders = Aggregate.make(Order, Orders)
const id = OrderId.make("o-1")
const command = Place.make({ customer: "c" })
type OrderEvent = typeof Placed.Type | typeof Paid.Type

describe("make", () => {
  test("the decider's types and the category's ids", () => {
    expect(orders).type.toBe<
      Aggregate.Aggregate<OrderId, State, typeof Place.Type, OrderEvent, Refused, EventStore>
    >()
  })

  test("with snapshots it needs the snapshot store", () => {
    const kept = Aggregate.make(Order, Orders, { snapshot: Snapshot.every(10), version: 2, cache: 10 })
    expect(kept.state(id)).type.toBe<
      Effect.Effect<Aggregate.Current<State>, Category.ReadError | HistoryTruncated, EventStore | SnapshotStore>
    >()
    // a version of the state means nothing where none is kept
    expect(Aggregate.make).type.not.toBeCallableWith(Order, Orders, { version: 2 })
  })

  test("events that carry the state are among the decider's", () => {
    expect(Aggregate.make).type.toBeCallableWith(Order, Orders, { carriers: ["Paid"] })
    expect(Aggregate.make).type.not.toBeCallableWith(Order, Orders, { carriers: ["Gone"] })
  })

  test("a category of other events is refused: with more, fewer or different ones", () => {
    expect(Aggregate.make).type.toBeCallableWith(Order, Orders)
    // @ts-expect-error more
    Aggregate.make(Order, Category.make("order", { events: [Placed, Paid, Gone] }))
    // @ts-expect-error fewer
    Aggregate.make(Order, Category.make("order", { events: [Placed] }))
    // @ts-expect-error different
    Aggregate.make(Order, Category.make("order", { events: [Gone] }))
    // @ts-expect-error one tag, other fields
    Aggregate.make(Order, Category.make("order", { events: [Event.make("Placed", { customer: Schema.Number }), Paid] }))
    // @ts-expect-error unknown ones are kept, and the decider does not know them
    Aggregate.make(Order, Category.make("order", { events: [Placed, Paid], unknown: "keep" }))
  })
})

describe("execute", () => {
  test("its errors are the decider's, the append's and the read's, and no others", () => {
    expect(orders.execute(id, command)).type.toBe<
      Effect.Effect<
        Aggregate.Executed<State, OrderEvent>,
        Refused | AppendError | Category.ReadError | HistoryTruncated,
        EventStore
      >
    >()
  })

  test("a decider that refuses nothing adds no error", () => {
    const Willing = Decider.make("order", contract)({
      initial: { status: "none" },
      decide: (command) => Either.right([Placed(command)]),
      evolve: () => ({ status: "placed" })
    })
    expect(Aggregate.make(Willing, Orders).execute(id, command)).type.toBe<
      Effect.Effect<Aggregate.Executed<State, OrderEvent>, Aggregate.ExecuteError, EventStore>
    >()
  })

  test("ids and commands are checked", () => {
    expect(orders.execute).type.toBeCallableWith(id, command, { commandId: "c", expected: 1, occurredAt: 0 })
    expect(orders.execute).type.not.toBeCallableWith("o-1", command)
    expect(orders.execute).type.not.toBeCallableWith(id, { _tag: "Pay" })
    expect(orders.execute).type.not.toBeCallableWith(id, command, { expected: "noStream" })
  })

  test("the state keeps its literals", () => {
    type Executed = Effect.Effect.Success<ReturnType<typeof orders.execute>>
    expect<Executed["state"]["status"]>().type.toBe<"none" | "placed" | "paid">()
  })
})

describe("the past", () => {
  test("of one: any moment; of all: a moment of the log", () => {
    expect(orders.stateAt).type.toBeCallableWith(id, { version: 1 })
    expect(orders.stateAt).type.toBeCallableWith(id, { occurredAt: "2001-02-14" })
    expect(orders.stateAt).type.not.toBeCallableWith(id, { at: 1 })
    expect(orders.all).type.toBeCallableWith({ position: 1 })
    expect(orders.all).type.not.toBeCallableWith({ version: 1 })
    expect(orders.all()).type.toBe<
      Effect.Effect<
        ReadonlyArray<readonly [id: OrderId, Aggregate.Current<State>]>,
        Category.ReadError | HistoryTruncated | InvalidInput,
        EventStore
      >
    >()
  })

  test("history gives events with their states", () => {
    expect(orders.history(id)).type.toBe<
      Stream.Stream<Aggregate.Step<State, OrderEvent>, Category.ReadError | HistoryTruncated, EventStore>
    >()
    type Step = Stream.Stream.Success<ReturnType<typeof orders.history>>
    expect<Step["event"]>().type.toBe<Recorded<OrderEvent>>()
  })
})
