import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck, HashMap, Option, Schema } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Machine from "effect-skald/event/Machine"
import * as Arbitraries from "effect-skald/testing/Arbitraries"
import { Given } from "effect-skald/testing/Given"
import * as Laws from "effect-skald/testing/Laws"
import {
  Cancel,
  Order,
  OrderCancelled,
  OrderContract,
  OrderPaid,
  OrderPlaced,
  Pay,
  Place,
  Refused
} from "../support/order.ts"

/** The faults that building something is refused with. */
const faults = (build: () => unknown): Record<string, string> => {
  try {
    build()
  } catch (error) {
    assert.instanceOf(error, InvalidInput)
    return Object.fromEntries(error.faults.map(({ path, problem }) => [path, problem]))
  }
  return assert.fail("it was built")
}

const Sold = Event.make("Sold", { pieces: Schema.Int })
const Sell = Schema.TaggedStruct("Sell", { pieces: Schema.Int })
const Stock = Decider.make("stock", {
  state: Schema.Int,
  commands: Sell,
  events: Sold,
  errors: Schema.Literal("sold out")
})({
  initial: 10,
  decide: ({ pieces }, left) => pieces > left ? Either.left("sold out") : Either.right([Sold({ pieces })]),
  evolve: (left, { pieces }) => left - pieces
})

const Earned = Event.make("Earned", { cents: Schema.Int })
const Earn = Schema.TaggedStruct("Earn", { cents: Schema.Int })
const Till = Decider.make("till", {
  state: Schema.Int,
  commands: Earn,
  events: Earned,
  errors: Schema.Literal("nothing earned")
})({
  initial: 0,
  decide: ({ cents }) =>
    cents <= 0
      ? Either.left("nothing earned")
      : Either.right(cents > 1 ? [Earned({ cents: 1 }), Earned({ cents: cents - 1 })] : [Earned({ cents })]),
  evolve: (held, { cents }) => held + cents
})

const sell = (pieces: number) => Sell.make({ pieces })
const earn = (cents: number) => Earn.make({ cents })
const sells = Arbitraries.commands(Stock, { commands: FastCheck.integer({ min: -3, max: 6 }).map(sell) })
const earns = Arbitraries.commands(Till, { commands: FastCheck.integer({ min: -2, max: 5 }).map(earn) })
const either = <A, B>(left: FastCheck.Arbitrary<ReadonlyArray<A>>, right: FastCheck.Arbitrary<ReadonlyArray<B>>) =>
  FastCheck.array(FastCheck.oneof(left.map((all) => all[0]), right.map((all) => all[0]))).map((all) =>
    all.filter((one): one is A | B => one !== undefined) as Array<A | B>
  )

describe("make", () => {
  it("the contract alone says name and Schemas, and becomes the decider", () => {
    assert.strictEqual(OrderContract.name, "order")
    assert.strictEqual(OrderContract.errors, Refused)
    assert.deepStrictEqual(Object.keys(OrderContract).sort(), ["commands", "errors", "events", "name", "state"])
    assert.isFalse(Decider.isDecider(OrderContract))
    assert.isTrue(Decider.isDecider(Order))
    assert.strictEqual(Order.state, OrderContract.state)
    assert.strictEqual(Order.pipe((self) => self.name), "order")
    assert.isTrue(Object.isFrozen(Order))
  })

  it("without errors, there are none", () => {
    const Loud = Decider.make("loud", { state: Schema.Null, commands: Schema.String, events: Sold })({
      initial: null,
      decide: () => Either.right([]),
      evolve: (state) => state
    })
    assert.isFalse(Schema.is(Loud.errors)("any"))
  })

  it("takes what TypeScript takes: the fields of a tagged command in an event's constructor", () => {
    assert.deepStrictEqual<unknown>(
      Decider.decide(Order, Order.initial, Place.make({ order: "o-1", total: 5 })),
      Either.right({
        events: [OrderPlaced({ order: "o-1", total: 5 })],
        state: { status: "placed", order: "o-1", total: 5, payments: [] }
      })
    )
  })

  const good = { state: Schema.Int, commands: Schema.String, events: Sold }
  const behaviour = { initial: 0, decide: () => Either.right([]), evolve: (state: number) => state }
  const Untagged = Schema.Struct({ pieces: Schema.Int }) as never
  const refusals: ReadonlyArray<readonly [string, () => unknown, Record<string, RegExp>]> = [
    ["an empty name", () => Decider.make("", good), { name: /must not be empty/ }],
    ["a name too long", () => Decider.make("x".repeat(513), good), { name: /at most 512/ }],
    ["a name with control characters", () => Decider.make("or\u0000der", good), { name: /control/ }],
    ["a name that is none", () => Decider.make(7 as never, good), { name: /must be a string, got 7/ }],
    ["no contract", () => Decider.make("order", undefined as never), {
      state: /must be a Schema, got undefined/,
      commands: /must be a Schema/,
      events: /must be a Schema/
    }],
    ["errors that are no Schema", () => Decider.make("order", { ...good, errors: "none" as never }), {
      errors: /must be a Schema, got "none"/
    }],
    ["events without a tag", () => Decider.make("order", { ...good, events: Untagged }), { events: /literal "_tag"/ }],
    ["one tag twice", () => Decider.make("order", { ...good, events: Schema.Union(Sold, Event.make("Sold", {})) }), {
      events: /"Sold" stands twice/
    }],
    ["a reserved tag", () => Decider.make("order", { ...good, events: Schema.TaggedStruct("$Mark", {}) }), {
      events: /must not begin with "\$"/
    }],
    ["an initial state that is none", () => Decider.make("order", good)({ ...behaviour, initial: 0.5 }), {
      initial: /integer/
    }],
    [
      "everything at once",
      () =>
        Decider.make("order", { ...good, state: Schema.Struct({ a: Schema.Int, b: Schema.Int }) })(
          { initial: { a: "1", b: 1.5 }, decide: 1, evolve: undefined } as never
        ),
      { "initial.a": /number/, "initial.b": /integer/, decide: /a function, got 1/, evolve: /got undefined/ }
    ],
    ["no behaviour", () => Decider.make("order", good)(undefined as never), { decide: /got undefined/, initial: /./ }]
  ]
  for (const [what, build, expected] of refusals) {
    it(`refuses ${what}`, () => {
      const found = faults(build)
      for (const [path, problem] of Object.entries(expected)) {
        assert.match(found[path] ?? `no fault at ${path}`, problem)
      }
    })
  }
})

describe("running", () => {
  it("a refused command changes nothing, and the next is decided", () => {
    assert.deepStrictEqual(Decider.run(Stock, [sell(4), sell(7), sell(6)]), {
      events: [Sold({ pieces: 4 }), Sold({ pieces: 6 })],
      state: 0,
      refusals: [{ index: 1, error: "sold out" }]
    })
    assert.deepStrictEqual(Decider.run(Stock, [sell(7)], { state: 3 }).refusals, [{ index: 0, error: "sold out" }])
  })

  it("functions come in both forms", () => {
    assert.strictEqual(Stock.pipe(Decider.evolveAll(10, [Sold({ pieces: 3 })])), 7)
    assert.deepStrictEqual<unknown>(Stock.pipe(Decider.decide(1, sell(2))), Either.left("sold out"))
    assert.strictEqual(Stock.pipe(Decider.run([sell(2)])).state, 8)
    assert.strictEqual(Stock.pipe(Decider.run([sell(2)], { state: 2 })).state, 0)
  })

  it.prop("as a machine it answers what it decides, and folds only what was accepted", [sells], ([commands]) => {
    const machine = Decider.toMachine(Stock)
    const [state, answers] = Machine.run(machine, machine.initial, commands)
    const ran = Decider.run(Stock, commands)
    assert.strictEqual(state, ran.state)
    assert.strictEqual(answers.length, commands.length)
    assert.deepStrictEqual(answers.flatMap((answer) => Either.isRight(answer) ? answer.right : []), ran.events)
    assert.deepStrictEqual(
      answers.flatMap((answer, index) => Either.isLeft(answer) ? [{ index, error: answer.left }] : []),
      ran.refusals
    )
    assert.strictEqual(Decider.evolveAll(Stock, Stock.initial, ran.events), ran.state)
  })
})

describe("acceptance", () => {
  it("3: created, then updated, then deleted: the state is the empty one", () => {
    const Created = Event.make("Created", { text: Schema.String })
    const Updated = Event.make("Updated", { text: Schema.String })
    const Deleted = Event.make("Deleted", {})
    const Note = Decider.make("note", {
      state: Schema.OptionFromNullOr(Schema.String),
      commands: Schema.Union(
        Schema.TaggedStruct("Write", { text: Schema.String }),
        Schema.TaggedStruct("Delete", {})
      ),
      events: Schema.Union(Created, Updated, Deleted)
    })({
      initial: Option.none(),
      decide: (command, state) =>
        Either.right(
          command._tag === "Delete"
            ? Option.isSome(state) ? [Deleted({})] : []
            : [Option.isSome(state) ? Updated({ text: command.text }) : Created({ text: command.text })]
        ),
      evolve: (_state, event) => event._tag === "Deleted" ? Option.none() : Option.some(event.text)
    })

    Given(Note, [Created({ text: "a" }), Updated({ text: "b" }), Deleted({})]).thenState(Option.none())
    Given(Note)
      .when({ _tag: "Write", text: "a" }).thenEvents([Created({ text: "a" })])
      .when({ _tag: "Write", text: "b" }).thenEvents([Updated({ text: "b" })]).thenState(Option.some("b"))
      .when({ _tag: "Delete" }).thenEvents([Deleted({})]).thenState(Note.initial)
      .when({ _tag: "Delete" }).thenNothing()
    Laws.check(Laws.decider(Note))
  })

  it("7: an order cancelled twice: the decider refuses the second", () => {
    Given(Order, [OrderPlaced({ order: "o-1", total: 100 })])
      .when(Cancel.make({})).thenEvents([new OrderCancelled({ order: "o-1" })])
      .when(Cancel.make({})).thenError(new Refused({ why: "it is cancelled" }))
      .when(Pay.make({ amount: 1, by: "alice" })).thenError((error) => error.why === "it is cancelled")
  })

  it.prop("7: and revenue, counted from the events, is never negative", [Arbitraries.history(Order)], ([history]) => {
    let revenue = 0
    let total = 0
    for (const event of history) {
      if (event._tag === "OrderPlaced") revenue += total = Math.abs(event.total)
      if (event._tag === "OrderCancelled") revenue -= total
      assert.isAtLeast(revenue, 0)
    }
  })
})

const Shop = Decider.product("shop", Stock, Till)

describe("product", () => {
  it("decides on both sides, left events first", () => {
    Given(Shop).when([sell(4), earn(3)])
      .thenEvents([Sold({ pieces: 4 }), Earned({ cents: 1 }), Earned({ cents: 2 })])
      .thenState([6, 3])
  })

  it("is refused if either side refuses, by the left one first", () => {
    Given(Shop).when([sell(11), earn(1)]).thenError("sold out").thenState([10, 0])
    Given(Shop).when([sell(1), earn(0)]).thenError("nothing earned").thenState([10, 0])
    Given(Shop).when([sell(11), earn(0)]).thenError("sold out")
  })

  it.prop("of what is accepted, each side sees what it would alone", [sells, earns], ([left, right]) => {
    const pairs = left.slice(0, right.length).map((command, index) => [command, right[index]!] as const)
    const ran = Decider.run(Shop, pairs)
    const refused = new Set(ran.refusals.map(({ index }) => index))
    const accepted = pairs.filter((_, index) => !refused.has(index))
    const alone = [Decider.run(Stock, accepted.map(([one]) => one)), Decider.run(Till, accepted.map(([, two]) => two))]
    assert.deepStrictEqual(ran.state as ReadonlyArray<unknown>, alone.map(({ state }) => state))
    assert.deepStrictEqual(alone.map(({ refusals }) => refusals.length), [0, 0])
    assert.deepStrictEqual(ran.events.filter(({ _tag }) => _tag === "Sold"), alone[0]!.events as ReadonlyArray<any>)
    assert.deepStrictEqual(ran.events.filter(({ _tag }) => _tag === "Earned"), alone[1]!.events as ReadonlyArray<any>)
  })

  it.prop("grouping makes no difference", [Arbitraries.command(Order), sells, earns], ([order, left, right]) => {
    const leftFirst = Decider.product("all", Decider.product("two", Stock, Till), Order)
    const rightFirst = Decider.product("all", Stock, Decider.product("two", Till, Order))
    left.slice(0, right.length).forEach((one, index) => {
      const two = right[index]!
      assert.deepStrictEqual(
        leftFirst.decide([[one, two], order], leftFirst.initial) as Either.Either<unknown, unknown>,
        rightFirst.decide([one, [two, order]], rightFirst.initial) as Either.Either<unknown, unknown>
      )
    })
  })

  for (const law of Laws.decider(Shop)) it(law.name, law.check)
})

const Either_ = Decider.sum("either", Stock, Till)

describe("sum", () => {
  it("touches one side only", () => {
    Given(Either_).when(sell(4)).thenState([6, 0])
      .when(earn(1)).thenEvents([Earned({ cents: 1 })]).thenState([6, 1])
      .when(sell(7)).thenError("sold out").thenState([6, 1])
  })

  it.prop("each side sees its own commands, however they are mixed", [either(sells, earns)], ([commands]) => {
    const ran = Decider.run(Either_, commands)
    const left = Decider.run(Stock, commands.filter((one) => one._tag === "Sell"))
    const right = Decider.run(Till, commands.filter((one) => one._tag === "Earn"))
    assert.deepStrictEqual(ran.state, [left.state, right.state])
    assert.deepStrictEqual(ran.refusals.length, left.refusals.length + right.refusals.length)
  })

  it.prop("it is the choice of machines", [either(sells, earns)], ([commands]) => {
    const choice = Machine.either(Decider.toMachine(Stock), Decider.toMachine(Till))
    const sided = commands.map((one) => one._tag === "Sell" ? Either.left(one) : Either.right(one))
    const [state, answers] = Machine.run(choice, choice.initial, sided)
    const machine = Decider.toMachine(Either_)
    const [sum, flat] = Machine.run(machine, machine.initial, commands)
    assert.deepStrictEqual(sum, state)
    assert.deepStrictEqual(flat as ReadonlyArray<unknown>, answers.map(Either.merge))
  })

  for (const law of Laws.decider(Either_)) it(law.name, law.check)
})

const Shops = Decider.many("shops", Stock, { key: Schema.String })
const keyed = (key: string, pieces: number) => ({ _tag: "shops", key, command: sell(pieces) }) as const
const keyedCommands = FastCheck.array(
  FastCheck.record({ key: FastCheck.constantFrom("a", "b", "c"), pieces: FastCheck.integer({ min: 0, max: 6 }) }).map(
    ({ key, pieces }) => keyed(key, pieces)
  ),
  { maxLength: 20, size: "max" }
)

describe("many", () => {
  it("an absent key is at the initial state; keys do not see each other", () => {
    Given(Shops).when(keyed("a", 4)).thenEvents([{ _tag: "Sold", key: "a", event: Sold({ pieces: 4 }) }])
      .thenState(HashMap.make(["a", 6]))
      .when(keyed("b", 10)).thenState(HashMap.make(["a", 6], ["b", 0]))
      .when(keyed("a", 7)).thenError("sold out")
      .when(keyed("c", 11)).thenError("sold out").thenState(HashMap.make(["a", 6], ["b", 0]))
  })

  it.prop("for each key it is the one decider alone, and the keyed machine", [keyedCommands], ([commands]) => {
    const machine = Decider.toMachine(Shops)
    const [state, answers] = Machine.run(machine, machine.initial, commands)
    const one = Decider.toMachine(Stock).pipe(
      Machine.contramap((command: (typeof commands)[number]) => command.command),
      Machine.keyed((command: (typeof commands)[number]) => command.key)
    )
    const [states, alone] = Machine.run(one, one.initial, commands)
    assert.deepStrictEqual(
      answers.map(Either.map((events) => events.map(({ event }) => event))),
      Array.from(alone)
    )
    for (const key of ["a", "b", "c"]) {
      const own = Decider.run(Stock, commands.filter((command) => command.key === key).map(({ command }) => command))
      assert.strictEqual(Option.getOrElse(HashMap.get(state, key), () => Stock.initial), own.state)
      assert.strictEqual(Option.getOrElse(HashMap.get(states, key), () => Stock.initial), own.state)
    }
  })

  it.prop(
    "equal maps are encoded alike, in the order of keys",
    [FastCheck.uniqueArray(FastCheck.string())],
    ([keys]) => {
      const encode = Schema.encodeSync(Shops.state)
      const map = HashMap.fromIterable(keys.map((key, index) => [key, index] as const))
      const again = HashMap.fromIterable(Array.from(map).reverse())
      assert.deepStrictEqual(encode(map), encode(again))
      assert.deepStrictEqual(encode(map).map(([key]: [string, number]) => key), Array.from(keys).sort())
    }
  )

  it("its event types keep subject, version, tags and upcasters", () => {
    const Orders = Decider.many("orders", Order, { key: Schema.NonEmptyString })
    const group = Event.group([Orders.events])
    assert.deepStrictEqual(Array.from(group.entries.keys()).sort(), ["OrderCancelled", "OrderPaid", "OrderPlaced"])
    assert.strictEqual(group.entries.get("OrderPlaced")?.subject, "order.placed")
    assert.strictEqual(group.entries.get("OrderPaid")?.version, 3)

    const codec = EventCodec.make(group)
    const placed = { _tag: "OrderPlaced", key: "k", event: OrderPlaced({ order: "o-1", total: 1 }) } as const
    assert.deepStrictEqual(Either.getOrThrow(EventCodec.encode(codec, placed)).tags, ["order:o-1"])
    const raw = FastCheck.sample(Arbitraries.log(OrderPlaced, { maxLength: 30 }), { seed: 1, numRuns: 10 }).flat()[0]!
    const read = codec.decode({
      ...raw,
      type: "OrderPaid",
      schemaVersion: 1,
      payload: { _tag: "OrderPaid", key: "k", event: { _tag: "OrderPaid", order: "o-1" } }
    })
    assert.deepStrictEqual(Either.getOrThrow(read).payload, {
      _tag: "OrderPaid",
      key: "k",
      event: OrderPaid({ order: "o-1", amount: 0, by: "unknown" })
    })
    Laws.check(Laws.decider(Orders))
  })

  it("a Schema of several tags gives one event type for each", () => {
    const Moved = Schema.Struct({ _tag: Schema.Literal("Up", "Down") })
    const Lift = Decider.make("lift", { state: Schema.Int, commands: Schema.Literal("up", "down"), events: Moved })({
      initial: 0,
      decide: (to) => Either.right([{ _tag: to === "up" ? "Up" : "Down" }]),
      evolve: (floor, { _tag }) => _tag === "Up" ? floor + 1 : floor - 1
    })
    const Lifts = Decider.many("lifts", Lift, { key: Schema.String })
    assert.isTrue(Schema.is(Lifts.events)({ _tag: "Up", key: "a", event: { _tag: "Up" } }))
    assert.isFalse(Schema.is(Lifts.events)({ _tag: "Up", key: "a", event: { _tag: "Down" } }))
    Laws.check(Laws.decider(Lifts))
  })

  it("of many of many, of products, in sums: what is combined is a decider like any other", () => {
    const Chains = Decider.many("chains", Decider.many("shops", Shop, { key: Schema.String }), { key: Schema.String })
    Given(Chains)
      .when({ _tag: "chains", key: "x", command: { _tag: "shops", key: "a", command: [sell(1), earn(1)] } })
      .thenState(HashMap.make(["x", HashMap.make(["a", [9, 1] as const])]))
    Laws.check(Laws.decider(Decider.sum("town", Chains, Order), { numRuns: 30 }))
  })

  for (const law of Laws.decider(Shops, { commands: keyedCommands.map((all) => all[0] ?? keyed("a", 1)) })) {
    it(law.name, law.check)
  }
})

describe("contramapCommand and mapEvent", () => {
  const Pieces = Schema.Int.pipe(Schema.between(0, 20))
  const Plain = Stock.pipe(Decider.contramapCommand({ commands: Pieces, from: sell }))
  const Moved = Event.make("Moved", { by: Schema.Int })
  const Mapped = Stock.pipe(Decider.mapEvent({
    events: Moved,
    to: ({ pieces }) => Moved({ by: -pieces }),
    from: ({ by }) => Sold({ pieces: -by })
  }))

  it("read commands and say events in other words", () => {
    Given(Plain).when(4).thenEvents([Sold({ pieces: 4 })]).when(7).thenError("sold out").thenState(6)
    Given(Mapped).when(sell(4)).thenEvents([Moved({ by: -4 })]).thenState(6)
    assert.strictEqual(Plain.name, "stock")
    assert.strictEqual(Mapped.events as unknown, Moved)
  })

  it.prop("are functors: the identity changes nothing, two in a row are their composition", [sells], ([commands]) => {
    const same = Stock.pipe(
      Decider.contramapCommand({ commands: Sell, from: (command: typeof Sell.Type) => command }),
      Decider.mapEvent({ events: Sold, to: (event) => event, from: (event) => event })
    )
    assert.deepStrictEqual(Decider.run(same, commands), Decider.run(Stock, commands))
    const back = Decider.mapEvent(Mapped, {
      events: Sold,
      to: ({ by }) => Sold({ pieces: -by }),
      from: ({ pieces }) => Moved({ by: -pieces })
    })
    assert.deepStrictEqual(Decider.run(back, commands), Decider.run(Stock, commands))
    const doubled = Plain.pipe(Decider.contramapCommand({ commands: Schema.Int, from: (n: number) => n * 2 }))
    const pieces = commands.map((command) => command.pieces)
    assert.deepStrictEqual(
      Decider.run(doubled, pieces),
      Decider.run(Stock, pieces.map((n) => sell(n * 2)))
    )
  })

  it("give events that carry their key in the payload, as a log may hold them already", () => {
    const SoldAt = Event.make("SoldAt", { shop: Schema.String, pieces: Schema.Int })
    const Flat = Shops.pipe(Decider.mapEvent({
      events: SoldAt,
      to: ({ event, key }) => SoldAt({ shop: key, ...event }),
      from: ({ shop, pieces }) => ({ _tag: "Sold" as const, key: shop, event: Sold({ pieces }) })
    }))
    Given(Flat, [SoldAt({ shop: "a", pieces: 9 })])
      .when(keyed("a", 2)).thenError("sold out")
      .when(keyed("b", 2)).thenEvents([SoldAt({ shop: "b", pieces: 2 })])
  })

  for (const law of [...Laws.decider(Plain), ...Laws.decider(Mapped)]) it(law.name, law.check)
})

type AnyDecider = Decider.Decider<string, any, any, any, any>

describe("combinations that cannot be told apart are refused when built", () => {
  const named = (name: string, errors: Schema.Schema<any, any>, tag = name) =>
    Decider.make(name, {
      state: Schema.Int,
      commands: Schema.TaggedStruct(`Do${tag}`, {}),
      events: Schema.TaggedStruct(tag, {}),
      errors
    })({ initial: 0, decide: () => Either.right([]), evolve: (state) => state })
  class Other extends Schema.TaggedError<Other>()("Refused", { other: Schema.Int }) {}
  const untyped = (left: AnyDecider, right: AnyDecider) => () => Decider.product("both", left, right as never)

  it("tags of events and commands on both sides", () => {
    assert.deepStrictEqual(faults(untyped(Stock, Shops)), {
      events: "must not share tags, \"Sold\" stand on both sides"
    })
    assert.deepStrictEqual(faults(() => Decider.sum("both", Stock as AnyDecider, Stock as never)), {
      commands: "must not share tags, \"Sell\" stand on both sides",
      events: "must not share tags, \"Sold\" stand on both sides"
    })
  })

  it("commands without tags in a sum", () => {
    const Plain = Till.pipe(Decider.contramapCommand({ commands: Schema.Int, from: earn }))
    assert.match(faults(() => Decider.sum("both", Stock, Plain as never))["right.commands"]!, /literal "_tag"/)
  })

  it("errors that would decode as each other's", () => {
    assert.match(faults(untyped(named("A", Refused), named("B", Other)))["errors"]!, /share the tag "Refused"/)
    const plain = Schema.Struct({ why: Schema.String })
    const alike = Schema.Struct({ why: Schema.Unknown })
    assert.match(faults(untyped(named("A", plain), named("B", alike)))["errors"]!, /literal "_tag" each/)
  })

  it("but not errors that are one Schema, plain, or of one side only", () => {
    const plain = Schema.Struct({ why: Schema.String })
    for (
      const [left, right] of [
        [Refused, Refused],
        [plain, plain],
        [plain, Schema.Never as never],
        [Schema.Literal("no"), Schema.String],
        [Schema.Union(Refused, Schema.Literal("no")), Refused]
      ] as const
    ) {
      const both = untyped(named("A", left), named("B", right))() as AnyDecider
      assert.isTrue(Decider.isDecider(both))
    }
  })

  it("a key that is no Schema, a name that is none", () => {
    assert.match(faults(() => Decider.many("many", Stock, {} as never))["options.key"]!, /must be a Schema/)
    assert.match(faults(() => Decider.many("", Stock, { key: Schema.String }))["name"]!, /must not be empty/)
    assert.match(faults(() => Decider.product("", Stock, Till))["name"]!, /must not be empty/)
  })
})
