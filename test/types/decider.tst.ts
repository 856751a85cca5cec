import { Either, Schema } from "effect"
import type { HashMap } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import type * as Machine from "effect-skald/event/Machine"
import { Given } from "effect-skald/testing/Given"
import * as Laws from "effect-skald/testing/Laws"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { order: Schema.String, customer: Schema.String })
const Paid = Event.make("Paid", { order: Schema.String })
const Place = Schema.TaggedStruct("Place", { order: Schema.String, customer: Schema.String })
class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

type State = { readonly status: "none" | "placed" | "paid" }
type Command = typeof Place.Type
type OrderEvent = typeof Placed.Type | typeof Paid.Type

const Contract = Decider.make("order", {
  state: Schema.Struct({ status: Schema.Literal("none", "placed", "paid") }),
  commands: Place,
  events: Schema.Union(Placed, Paid),
  errors: Refused
})
const Order = Contract({
  initial: { status: "none" },
  decide: (command, state) =>
    state.status === "none"
      ? Either.right([Placed(command)])
      : Either.left(new Refused({ why: "already placed" })),
  // Literals are kept, though nobody says `as const`.
  evolve: (_state, event) => event._tag === "Paid" ? { status: "paid" } : { status: "placed" }
})

const Sell = Schema.TaggedStruct("Sell", { pieces: Schema.Int })
const Sold = Event.make("Sold", { pieces: Schema.Int })
const Stock = Decider.make("stock", { state: Schema.Int, commands: Sell, events: Sold })({
  initial: 0,
  decide: ({ pieces }) => Either.right([Sold({ pieces })]),
  evolve: (left, { pieces }) => left - pieces
})

describe("make", () => {
  test("the contract carries its types, the decider those of the contract", () => {
    expect(Contract).type.toBe<Decider.Builder<"order", State, Command, OrderEvent, Refused>>()
    expect(Order).type.toBe<Decider.Decider<"order", State, Command, OrderEvent, Refused>>()
    expect(Order.name).type.toBe<"order">()
  })

  test("without errors there are none", () => {
    expect(Stock).type.toBe<Decider.Decider<"stock", number, Command_<typeof Sell>, typeof Sold.Type, never>>()
    expect<Decider.Error<typeof Stock>>().type.toBe<never>()
  })

  test("its types are found again", () => {
    expect<Decider.State<typeof Order>>().type.toBe<State>()
    expect<Decider.Command<typeof Order>>().type.toBe<Command>()
    expect<Decider.Event<typeof Order>>().type.toBe<OrderEvent>()
    expect<Decider.Error<typeof Order>>().type.toBe<Refused>()
    expect<Decider.State<typeof Contract>>().type.toBe<State>()
  })

  test("any decider is accepted where any is, with errors or without", () => {
    expect(Order).type.toBeAssignableTo<Decider.Any>()
    expect(Stock).type.toBeAssignableTo<Decider.Any>()
  })

  test("events must have a tag", () => {
    const schemas = { state: Schema.Int, commands: Sell }
    expect(Decider.make).type.not.toBeCallableWith("order", { ...schemas, events: Schema.Struct({ n: Schema.Int }) })
    expect(Decider.make).type.toBeCallableWith("order", { ...schemas, events: Sold })
  })

  test("the behaviour must fit the contract", () => {
    const evolve = () => ({ status: "placed" as const })
    const decide = () => Either.right([])
    expect(Contract).type.toBeCallableWith({ initial: { status: "none" } as const, decide, evolve })
    expect(Contract).type.not.toBeCallableWith({ initial: { status: "gone" }, decide, evolve })
    expect(Contract).type.not.toBeCallableWith({ initial: { status: "none" } as const, decide, evolve: () => ({}) })
    expect(Contract).type.not.toBeCallableWith({
      initial: { status: "none" } as const,
      decide: () => Either.right([Sold({ pieces: 1 })]),
      evolve
    })
    expect(Contract).type.not.toBeCallableWith({
      initial: { status: "none" } as const,
      decide: () => Either.left("no"),
      evolve
    })
    expect(Contract).type.not.toBeCallableWith({
      initial: { status: "none" } as const,
      decide: () => Promise.resolve(Either.right([])),
      evolve
    })
  })
})

type Command_<S extends Schema.Schema.Any> = Schema.Schema.Type<S>

describe("running", () => {
  test("decide gives events and state, or the refusal", () => {
    expect(Decider.decide(Order, Order.initial, Place.make({ order: "o", customer: "c" }))).type.toBe<
      Either.Either<Decider.Decided<State, OrderEvent>, Refused>
    >()
  })

  test("as a machine, it answers each command", () => {
    expect(Decider.toMachine(Order)).type.toBe<
      Machine.Machine<State, Command, Either.Either<ReadonlyArray<OrderEvent>, Refused>>
    >()
  })
})

describe("combinators", () => {
  test("product pairs states and commands", () => {
    expect(Decider.product("both", Order, Stock)).type.toBe<
      Decider.Decider<
        "both",
        readonly [State, number],
        readonly [Command, typeof Sell.Type],
        OrderEvent | typeof Sold.Type,
        Refused
      >
    >()
  })

  test("sum takes commands of either side", () => {
    expect(Decider.sum("either", Order, Stock)).type.toBe<
      Decider.Decider<
        "either",
        readonly [State, number],
        Command | typeof Sell.Type,
        OrderEvent | typeof Sold.Type,
        Refused
      >
    >()
  })

  test("tags on both sides are named", () => {
    // @ts-expect-error "events on both sides"
    Decider.product("both", Stock, Stock)
    // @ts-expect-error "commands on both sides"
    Decider.sum("both", Stock, Stock)
  })

  test("a sum needs commands with tags", () => {
    const plain = Stock.pipe(
      Decider.contramapCommand({ commands: Schema.Int, from: (n: number) => Sell.make({ pieces: n }) })
    )
    expect(plain).type.toBe<Decider.Decider<"stock", number, number, typeof Sold.Type, never>>()
    expect(Decider.sum<"both", State, Command, OrderEvent, Refused, number, typeof Sell.Type, typeof Sold.Type, never>)
      .type.not.toBeCallableWith("both", Order, plain)
    expect(Decider.product("both", Order, plain).initial).type.toBe<readonly [State, number]>()
  })

  test("many carries the key in commands and events", () => {
    const Key = Schema.String.pipe(Schema.brand("Key"))
    const orders = Decider.many("orders", Order, { key: Key })
    expect(orders.initial).type.toBe<HashMap.HashMap<typeof Key.Type, State>>()
    expect<Decider.Command<typeof orders>>().type.toBe<Decider.KeyedCommand<"orders", typeof Key.Type, Command>>()
    expect<Decider.Event<typeof orders>>().type.toBe<
      | { readonly _tag: "Placed"; readonly key: typeof Key.Type; readonly event: typeof Placed.Type }
      | { readonly _tag: "Paid"; readonly key: typeof Key.Type; readonly event: typeof Paid.Type }
    >()
  })

  test("mapEvent needs both ways", () => {
    const Moved = Event.make("Moved", { by: Schema.Int })
    const to = ({ pieces }: typeof Sold.Type) => Moved({ by: -pieces })
    const from = ({ by }: typeof Moved.Type) => Sold({ pieces: -by })
    expect(Stock.pipe(Decider.mapEvent({ events: Moved, to, from }))).type.toBe<
      Decider.Decider<"stock", number, typeof Sell.Type, typeof Moved.Type, never>
    >()
    // @ts-expect-error Property 'from' is missing
    Decider.mapEvent(Stock, { events: Moved, to })
  })
})

describe("testing", () => {
  test("Given takes the decider's own events, commands and errors", () => {
    const given = Given(Order, [Placed({ order: "o", customer: "c" })])
    expect(given).type.toBe<Given<State, Command, OrderEvent, Refused>>()
    // @ts-expect-error is not assignable
    Given(Order, [Sold({ pieces: 1 })])
    // @ts-expect-error is not assignable
    given.when(Sell.make({ pieces: 1 }))
    // @ts-expect-error is not assignable
    given.when(Place.make({ order: "o", customer: "c" })).thenEvents([Sold({ pieces: 1 })])
    // @ts-expect-error is not assignable
    given.thenState({ status: "gone" })
  })

  test("laws take arbitraries of the decider's types", () => {
    expect(Laws.decider(Order)).type.toBe<ReadonlyArray<Laws.Check>>()
    expect(Laws.decider(Order, { numRuns: 1, seed: 2 })).type.toBe<ReadonlyArray<Laws.Check>>()
  })
})
