import { assert, describe, it } from "@effect/vitest"
import { DateTime, Either, FastCheck, HashMap, Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Projections from "effect-skald/cqrs/Projections"
import type { Recorded } from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as Arbitraries from "effect-skald/testing/Arbitraries"
import * as Law from "effect-skald/testing/Law"
import * as Laws from "effect-skald/testing/Laws"
import { OrderCancelled, OrderPaid, OrderPlaced } from "../support/order.ts"

const events = [OrderPlaced, OrderPaid, OrderCancelled] as const
type OrderEvent = (typeof events)[number]["Type"]

const Sheet = Schema.Struct({
  paid: Schema.Int,
  orders: Schema.Array(Schema.String),
  last: Schema.NullOr(Schema.DateTimeUtc)
})
type Sheet = typeof Sheet.Type

const apply = (state: Sheet, event: OrderEvent, recorded: Recorded<OrderEvent>): Sheet => ({
  paid: event._tag === "OrderPaid" ? state.paid + event.amount : state.paid,
  orders: event._tag === "OrderPlaced" ? [...state.orders, event.order] : state.orders,
  last: recorded.occurredAt
})
const sheetWith = (changed: typeof apply) =>
  Projection.make("sheet", {
    events,
    state: Sheet,
    initial: { paid: 0, orders: [], last: null },
    apply: changed
  })
const sheet = sheetWith(apply)

const nameOf = (law: Law.Law) => law.name.slice(law.name.indexOf(": ") + 2)

const lawsOf = <S, E>(
  projection: Projection.Projection<string, S, E>,
  options?: Laws.ProjectionOptions<NoInfer<S>, NoInfer<E>>
) => Laws.projection(projection, { seed: 7, ...options })

const broken = <S, E>(
  projection: Projection.Projection<string, S, E>,
  options?: Laws.ProjectionOptions<NoInfer<S>, NoInfer<E>>
): ReadonlyMap<string, Law.LawBroken> =>
  new Map(
    lawsOf(projection, options).flatMap((law) => {
      const checked = Either.try({ try: law.check, catch: (error) => error as Law.LawBroken })
      return Either.isLeft(checked) ? [[nameOf(law), checked.left] as const] : []
    })
  )

describe("a projection keeps the laws, one test each", () => {
  for (const law of Laws.projection(sheet)) it(law.name, law.check)
})

it.effect("a projection keeps the laws, in one Effect", () => Law.check(Laws.projection(sheet), { numRuns: 30 }))

describe("the projections built in keep the laws", () => {
  const totals = {
    events,
    state: Schema.Struct({ count: Schema.Int }),
    initial: { count: 0 },
    apply: ({ count }: { readonly count: number }) => ({ count: count + 1 })
  }
  const builtIn = [
    Projections.byType("by type", totals),
    Projections.byAggregate("by aggregate", totals),
    Projections.byDate("by date", totals),
    Projections.byDate("by date there", { ...totals, timeZone: "America/New_York" })
  ]
  for (const projection of builtIn) {
    for (const law of Laws.projection(projection, { numRuns: 30 })) it(law.name, law.check)
  }
  for (const law of Laws.projection(Projections.statistics("statistics"), { numRuns: 30 })) it(law.name, law.check)
})

/** Its state leaves something behind when it is stored. */
const Forgetting = Schema.transform(
  Schema.Struct({ count: Schema.Int }),
  Schema.Struct({ count: Schema.Int, secret: Schema.Int }),
  { strict: true, decode: ({ count }) => ({ count, secret: 0 }), encode: ({ count }) => ({ count }) }
)
const forgetful = Projection.make("forgetful", {
  events,
  state: Forgetting,
  initial: { count: 0, secret: 0 },
  apply: ({ count, secret }) => ({ count: count + 1, secret: secret + 1 })
})

/** It counts what it was ever given, not what is in the state. */
const counting = () => {
  let seen = 0
  return sheetWith((state, event, recorded) => ({ ...apply(state, event, recorded), paid: ++seen }))
}

/** Its upcaster makes an event that today's Schema refuses. */
const Grown = Event.make("Grown", { size: Schema.Positive }, {
  version: 2,
  upcast: { 1: Event.upcast(Schema.Struct({}), () => ({ size: 0 })) }
})

/** Each law with a projection that breaks it, and what the report must show. */
const mutants: ReadonlyArray<readonly [law: string, shows: RegExp, of: () => ReadonlyArray<Laws.Check>]> = [
  [
    "events change the state",
    /left the initial state as it is[^]*Give the laws `logs`/,
    () => lawsOf(sheetWith((state) => state))
  ],
  [
    "apply never throws",
    /OrderPaid[^]*not placed/,
    () =>
      lawsOf(sheetWith((state, event, recorded) => {
        if (event._tag === "OrderPaid" && !state.orders.includes(event.order)) throw new Error("not placed")
        return apply(state, event, recorded)
      }))
  ],
  [
    "apply answers the same for the same",
    /differs at paid/,
    () =>
      lawsOf(sheetWith((state, event, recorded) => ({ ...apply(state, event, recorded), paid: new Date().getTime() })))
  ],
  ["apply answers the same for the same", /differs at paid/, () => lawsOf(counting())],
  [
    "apply leaves its arguments as they are",
    /not extensible/,
    () =>
      lawsOf(sheetWith((state, event, recorded) => {
        if (event._tag === "OrderPlaced") (state.orders as Array<string>).push(event.order)
        return { ...state, last: recorded.occurredAt }
      }))
  ],
  [
    "apply leaves its arguments as they are",
    /read only/,
    () =>
      lawsOf(sheetWith((state, event, recorded) => {
        if (event._tag === "OrderPaid") (event as { amount: number }).amount = 0
        return apply(state, event, recorded)
      }))
  ],
  [
    // an instance of a class is not frozen: it is compared
    "apply leaves its arguments as they are",
    /differs at payload.order/,
    () =>
      lawsOf(sheetWith((state, event, recorded) => {
        if (event._tag === "OrderCancelled") (event as { order: string }).order = "mine"
        return apply(state, event, recorded)
      }))
  ],
  [
    "apply leaves its arguments as they are",
    /read only/,
    () =>
      lawsOf(sheetWith((state, event, recorded) => {
        ;(recorded as { version: number }).version = 7
        return apply(state, event, recorded)
      }))
  ],
  [
    "apply keeps the state valid",
    /problem: [^]*integer/,
    () => lawsOf(sheetWith((state, event, recorded) => ({ ...apply(state, event, recorded), paid: state.paid + 0.5 })))
  ],
  ["states survive being stored", /differs at secret/, () => lawsOf(forgetful)],
  [
    "replay(a ++ b) = replay(b) from replay(a)",
    /differs at paid/,
    () => {
      let position = 0
      // it sees the end of a log that it was given before
      return lawsOf(sheetWith((state, event, recorded) => {
        const again = recorded.position <= position
        position = recorded.position
        return { ...apply(state, event, recorded), paid: state.paid + (again ? 1 : 0) }
      }))
    }
  ],
  ["a snapshot anywhere changes nothing", /differs at secret/, () => lawsOf(forgetful)],
  ["chunking does not matter", /in chunks/, () => lawsOf(counting())],
  [
    "Grown of version 1 becomes a valid one of version 2",
    /size[^]*positive/,
    () =>
      lawsOf(Projection.make("grown", {
        events: [Grown],
        state: Schema.Number,
        initial: 0,
        apply: (sum, { size }) => sum + Math.min(size, 1)
      }))
  ]
]

describe("each law is broken by a projection that breaks it", () => {
  for (const [law, shows, run] of mutants) {
    it(`${law} (${shows.source})`, () => {
      const checked = Either.try({ try: run().find((one) => nameOf(one) === law)!.check, catch: (error) => error })
      assert.isTrue(Either.isLeft(checked))
      const found = Either.merge(checked)
      assert.instanceOf(found, Law.LawBroken)
      assert.match((found as Law.LawBroken).message, shows)
    })
  }

  it("and every law has one", () => {
    const known = new Set(mutants.map(([law]) => law))
    const without = Laws.projection(sheet).map(nameOf).filter((law) =>
      !known.has(law) && !law.startsWith("OrderPaid of")
    )
    assert.deepStrictEqual(without, [])
  })

  it("a broken projection breaks no law that does not speak of it", () => {
    const throwing = sheetWith((state, event, recorded) => {
      if (event._tag === "OrderCancelled") throw new Error("never")
      return apply(state, event, recorded)
    })
    assert.deepStrictEqual(Array.from(broken(throwing).keys()).sort(), [
      "apply never throws",
      "chunking does not matter"
    ])
    assert.deepStrictEqual(Array.from(broken(forgetful).keys()).sort(), [
      "a snapshot anywhere changes nothing",
      "states survive being stored"
    ])
  })
})

describe("what is given instead of the Schemas", () => {
  const picky = Projection.make("picky", {
    events: [OrderPlaced],
    state: Schema.HashMap({ key: Schema.String, value: Schema.Int }),
    initial: HashMap.empty(),
    apply: (found, event) => event.order === "the one" ? HashMap.set(found, event.order, event.total) : found
  })

  it("without logs that it makes something of, the laws say so", () => {
    assert.deepStrictEqual(Array.from(broken(picky).keys()), ["events change the state"])
  })

  it("with them, all laws are kept", () => {
    const One = Schema.Struct({ ...OrderPlaced.fields, order: Schema.Literal("the one", "another") })
    const logs = Arbitraries.log(One as unknown as typeof OrderPlaced, { maxLength: 5 })
    assert.deepStrictEqual(Array.from(broken(picky, { logs }).keys()), [])
  })

  it("states of one's own are tried, too", () => {
    const states = FastCheck.constant<Sheet>({ paid: -1, orders: [], last: null })
    const proud = sheetWith((state, event, recorded) => {
      if (state.paid === -1) throw new Error("in debt")
      return { ...apply(state, event, recorded), paid: 0 }
    })
    assert.deepStrictEqual(Array.from(broken(proud).keys()), [])
    assert.deepStrictEqual(Array.from(broken(proud, { states }).keys()), ["apply never throws"])
    const dated = Projection.make("dated", {
      events,
      state: Schema.DateTimeUtc,
      initial: DateTime.unsafeMake(0),
      apply: (_, __, recorded) => recorded.occurredAt
    })
    assert.deepStrictEqual(Array.from(broken(dated).keys()), [])
  })
})
