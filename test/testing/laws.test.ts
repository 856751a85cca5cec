import { assert, describe, it } from "@effect/vitest"
import { BigDecimal, Effect, Either, FastCheck, Schema } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import * as Law from "effect-skald/testing/Law"
import * as Laws from "effect-skald/testing/Laws"
import * as SchemaLaws from "effect-skald/testing/SchemaLaws"
import { Order, OrderContract, type OrderDecider, OrderPlaced, OrderState, Refused } from "../support/order.ts"

describe("an order keeps the laws, one test each", () => {
  for (const law of Laws.decider(Order)) it(law.name, law.check)
})

it.effect("an order keeps the laws, in one Effect", () => Law.check(Laws.decider(Order), { numRuns: 50 }))

const nameOf = (law: Law.Law) => law.name.slice(law.name.indexOf(": ") + 2)

/** The laws of a decider, always on the same cases. */
const lawsOf = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  options?: Laws.DeciderOptions<NoInfer<S>, NoInfer<C>, NoInfer<E>>
) => Laws.decider(decider, { seed: 7, ...options })

/** The laws that a decider breaks, with what is said of each. */
const broken = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  options?: Laws.DeciderOptions<NoInfer<S>, NoInfer<C>, NoInfer<E>>
): ReadonlyMap<string, Law.LawBroken> =>
  new Map(
    lawsOf(decider, options).flatMap((law) => {
      const checked = Either.try({ try: law.check, catch: (error) => error as Law.LawBroken })
      return Either.isLeft(checked) ? [[nameOf(law), checked.left] as const] : []
    })
  )

type Behaviour = Partial<Pick<OrderDecider, "initial" | "decide" | "evolve">>
const orderWith = (change: Behaviour) => OrderContract({ ...Order, ...change })

/** Each law with a decider that breaks it, and what the report must show. */
const mutants: ReadonlyArray<readonly [law: string, shows: RegExp, of: () => ReadonlyArray<Laws.Check>]> = [
  [
    "commands lead to events",
    /decided not one event \(refused: .*never/s,
    () => lawsOf(orderWith({ decide: () => Either.left(new Refused({ why: "never" })) }))
  ],
  ["decide never throws", /out of order/, () =>
    lawsOf(orderWith({
      decide: (command, state) => {
        if (command._tag === "Pay" && state.status === "placed") throw new Error("out of order")
        return Order.decide(command, state)
      }
    }))],
  [
    "decide never throws",
    /not an Either of events/,
    () => lawsOf(orderWith({ decide: (() => [OrderPlaced({ order: "o", total: 1 })]) as never }))
  ],
  ["decide and evolve answer the same for the same", /by: "decide"/, () => {
    let calls = 0
    return lawsOf(orderWith({
      decide: (command) =>
        command._tag === "Place" ? Either.right([OrderPlaced({ ...command, total: calls++ })]) : Either.right([])
    }))
  }],
  ["decide and evolve answer the same for the same", /differs at .*total/, () =>
    // The clock of the machine, which a quick second look would not see.
    lawsOf(orderWith({
      decide: (command, state) =>
        command._tag === "Place" && state.status === "none"
          ? Either.right([OrderPlaced({ ...command, total: new Date().getTime() })])
          : Order.decide(command, state)
    }))],
  ["decide and evolve answer the same for the same", /by: "evolve"/, () => {
    let calls = 0
    return lawsOf(orderWith({
      evolve: (state, event) =>
        event._tag === "OrderPlaced"
          ? { status: "placed", order: event.order, total: calls++, payments: [] }
          : Order.evolve(state, event)
    }))
  }],
  [
    "decide and evolve leave their arguments as they are",
    /state: [^\n]*"payments":\[\].*not extensible/s,
    () =>
      lawsOf(orderWith({
        evolve: (state, event) => {
          if (event._tag !== "OrderPaid" || state.status === "none") return Order.evolve(state, event)
          ;(state.payments as Array<unknown>).push({ amount: event.amount, by: event.by })
          return state
        }
      }))
  ],
  ["decide and evolve leave their arguments as they are", /by: "decide".*read only/s, () =>
    lawsOf(orderWith({
      decide: (command, state) => {
        if (command._tag === "Place") (command as { total: number }).total = 0
        return Order.decide(command, state)
      }
    }))],
  ["decided events are valid", /Expected Int|Expected an integer/, () =>
    lawsOf(orderWith({
      decide: (command, state) =>
        command._tag === "Pay" && state.status === "placed"
          ? Either.right([{ _tag: "OrderPaid", order: state.order, amount: command.amount / 2, by: command.by }])
          : Order.decide(command, state)
    }))],
  ["evolve never throws", /nothing was placed/, () =>
    lawsOf(orderWith({
      evolve: (state, event) => {
        if (event._tag !== "OrderPlaced" && state.status === "none") throw new Error("nothing was placed")
        return Order.evolve(state, event)
      }
    }))],
  [
    "evolve keeps the state valid",
    /which is not|problem: /,
    () => lawsOf(orderWith({ evolve: (state, event) => ({ ...Order.evolve(state, event), total: "much" }) as never }))
  ],
  ["replay(a ++ b) = replay(b) from replay(a)", /differs at total/, () => {
    let seen = 0
    return lawsOf(orderWith({
      evolve: (state, event) => {
        const next = Order.evolve(state, event)
        return next.status === "none" ? next : { ...next, total: ++seen }
      }
    }))
  }],
  ["snapshot = replay", /differs at/, () => lawsOf(forgetful)],
  ["states survive being stored", /differs at secret/, () => lawsOf(forgetful)],
  ["events survive being stored", /is not JSON.*got a Date/s, () => lawsOf(dated)],
  ["commands survive their codec", /differs/, () => lawsOf(rounded)],
  [
    "errors survive their codec",
    /cannot be encoded/,
    () =>
      lawsOf(orderWith({
        decide: (command, state) =>
          state.status === "none" ? Order.decide(command, state) : Either.left(new Error("bare") as never)
      }))
  ],
  ["chunking does not matter", /in chunks/, () => {
    let seen = 0
    return lawsOf(orderWith({
      evolve: (state, event) => {
        const next = Order.evolve(state, event)
        return next.status === "none" ? next : { ...next, total: ++seen }
      }
    }))
  }],
  ["Grown of version 1 becomes a valid one of version 2", /size.*positive/s, () => lawsOf(grown)]
]

/** Its state leaves something behind when it is stored. */
const forgetful = (() => {
  const State = Schema.transform(
    Schema.Struct({ count: Schema.Int }),
    Schema.Struct({ count: Schema.Int, secret: Schema.Int }),
    { strict: true, decode: ({ count }) => ({ count, secret: 0 }), encode: ({ count }) => ({ count }) }
  )
  const Counted = Event.make("Counted", { by: Schema.Int })
  return Decider.make("forgetful", { state: State, commands: Schema.Int, events: Counted })({
    initial: { count: 0, secret: 0 },
    decide: (by) => Either.right([Counted({ by })]),
    evolve: ({ count, secret }, { by }) => ({ count: count + 1, secret: secret + by })
  })
})()

/** Its events hold what JSON cannot. */
const dated = (() => {
  const Dated = Event.make("Dated", { at: Schema.ValidDateFromSelf })
  return Decider.make("dated", { state: Schema.Int, commands: Schema.ValidDateFromSelf, events: Dated })({
    initial: 0,
    decide: (at) => Either.right([Dated({ at })]),
    evolve: (count) => count + 1
  })
})()

/** Its commands are rounded on their way. */
const rounded = (() => {
  const Even = Schema.transform(Schema.Int, Schema.Int, {
    strict: true,
    decode: (n) => n,
    encode: (n) => n - (n % 2)
  })
  const Counted = Event.make("Counted", { by: Schema.Int })
  return Decider.make("rounded", { state: Schema.Int, commands: Even, events: Counted })({
    initial: 0,
    decide: (by) => Either.right([Counted({ by })]),
    evolve: (count) => count + 1
  })
})()

/** Its upcaster makes an event that today's Schema refuses. */
const grown = (() => {
  const Grown = Event.make("Grown", { size: Schema.Positive }, {
    version: 2,
    upcast: { 1: Event.upcast(Schema.Struct({}), () => ({ size: 0 })) }
  })
  return Decider.make("grown", { state: Schema.Int, commands: Schema.Int, events: Grown })({
    initial: 0,
    decide: () => Either.right([Grown({ size: 1 })]),
    evolve: (count) => count + 1
  })
})()

describe("each law is broken by a decider that breaks it", () => {
  for (const [law, shows, run] of mutants) {
    it(`${law} (${shows.source})`, () => {
      const checked = Either.try({ try: run().find((one) => nameOf(one) === law)!.check, catch: (error) => error })
      assert.isTrue(Either.isLeft(checked))
      const found = Either.merge(checked)
      assert.instanceOf(found, Law.LawBroken)
      assert.match(found.message, shows)
      assert.include(found.law, law)
    })
  }

  it("and every law has one", () => {
    const laws = new Set(mutants.map(([law]) => law))
    const without = Laws.decider(Order).map(nameOf).filter((law) => !laws.has(law) && !law.startsWith("OrderPaid of"))
    assert.deepStrictEqual(without, [])
  })
})

describe("reports", () => {
  it("show the smallest counterexample, and the seed and path that lead to it", () => {
    const OneWay = orderWith({
      decide: (command, state) => {
        if (command._tag === "Cancel" && state.status === "placed") throw new Error("no way back")
        return Order.decide(command, state)
      }
    })
    const error = broken(OneWay).get("decide never throws")!
    assert.match(error.message, /the law "order: decide never throws" does not hold/)
    assert.match(error.message, /no way back/)
    // Two commands are enough: one to place, one to cancel.
    assert.match(error.counterexample, /commands: \[\{"_tag":"Place"[^}]*\}, \{"_tag":"Cancel"\}\]/)
    const again = broken(OneWay, { seed: error.seed, path: error.path }).get("decide never throws")!
    assert.strictEqual(again.counterexample, error.counterexample)
    assert.strictEqual(again.runs, 1)
  })

  it("a broken decider breaks no law that does not speak of it", () => {
    assert.deepStrictEqual(
      Array.from(
        broken(orderWith({
          decide: (command, state) => {
            if (command._tag === "Pay") throw new Error("out of order")
            return Order.decide(command, state)
          }
        })).keys()
      ).sort(),
      ["chunking does not matter", "decide never throws"]
    )
  })
})

describe("Laws.check", () => {
  const fails = (name: string) => Law.make(name, { n: FastCheck.nat() }, () => ({ always: "broken" }))

  it("throws the one that is broken, and all where there are several", () => {
    assert.throws(() => Laws.check(Laws.from([fails("one")])), Law.LawBroken)
    assert.throws(
      () => Laws.check(Laws.from([fails("one"), fails("two")])),
      /"one" does not hold[^]*"two" does not hold/
    )
    Laws.check(Laws.decider(Order, { numRuns: 10 }))
  })
})

describe("values of every kind go through the laws", () => {
  it("decimals with their caches, maps, options, durations, dates", () => {
    const Price = Schema.Struct({
      amount: Schema.BigDecimal,
      notes: Schema.HashMap({ key: Schema.String, value: Schema.String }),
      until: Schema.OptionFromNullOr(Schema.DateTimeUtc),
      every: Schema.Duration
    })
    const Priced = Event.make("Priced", { price: Price })
    const Shelf = Decider.make("shelf", { state: Schema.Array(Price), commands: Price, events: Priced })({
      initial: [],
      decide: (price) => Either.right([Priced({ price: { ...price, amount: BigDecimal.normalize(price.amount) } })]),
      evolve: (prices, { price }) => [...prices, price]
    })
    Laws.check(Laws.decider(Shelf, { numRuns: 50 }))
  })
})

describe("what is given instead of the Schemas", () => {
  // A door that opens by its code only: no random text is it.
  const Opened = Event.make("Opened", {})
  const Safe = Decider.make("safe", {
    state: Schema.Literal("shut", "open"),
    commands: Schema.String,
    events: Opened,
    errors: Schema.Literal("wrong code")
  })({
    initial: "shut",
    decide: (code) => code === "the code of the safe" ? Either.right([Opened({})]) : Either.left("wrong code"),
    evolve: () => "open"
  })

  it("without commands that get somewhere, the laws say that they saw nothing", () => {
    const found = broken(Safe)
    assert.deepStrictEqual(Array.from(found.keys()), ["commands lead to events"])
    assert.match(found.get("commands lead to events")!.message, /Give the laws `commands`/)
  })

  it("with them, all laws are kept", () => {
    assert.deepStrictEqual(
      Array.from(
        broken(Safe, {
          commands: FastCheck.oneof(FastCheck.string(), FastCheck.constant("the code of the safe"))
        }).keys()
      ),
      []
    )
  })

  it("states and events of one's own narrow what evolve must take", () => {
    const Strict = OrderContract({
      ...Order,
      evolve: (state, event) => {
        if (event._tag === "OrderPlaced" && event.total < 0) throw new Error("negative")
        return Order.evolve(state, event)
      },
      decide: (command, state) =>
        command._tag === "Place" && command.total < 0
          ? Either.left(new Refused({ why: "negative" }))
          : Order.decide(command, state)
    })
    assert.deepStrictEqual(Array.from(broken(Strict).keys()), ["evolve never throws"])
    const events = FastCheck.record({ order: FastCheck.string(), total: FastCheck.nat() }).map(OrderPlaced)
    assert.deepStrictEqual(Array.from(broken(Strict, { events }).keys()), [])
  })
})

describe("SchemaLaws", () => {
  it.effect("holds for what survives, and shows what does not", () =>
    Effect.gen(function*() {
      yield* Law.check(SchemaLaws.stored("orders", OrderState))
      const error = yield* Effect.flip(
        Law.check(SchemaLaws.stored("invoices", Schema.Struct({ due: Schema.DateFromSelf })))
      )
      assert.match(error.message, /"invoices survive being stored" does not hold[^]*must be a JSON value, got a Date/)
    }))
})
