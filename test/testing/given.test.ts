import { assert, describe, it } from "@effect/vitest"
import { BigDecimal, Chunk, Data, DateTime, Duration, Either, HashMap, HashSet, Option, Schema } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import { Given } from "effect-skald/testing/Given"
import { AssertionError } from "node:assert"
import { Cancel, Order, OrderCancelled, OrderPaid, OrderPlaced, Pay, Place, Refused } from "../support/order.ts"

const placed = OrderPlaced({ order: "o-1", total: 100 })
const pay = (amount: number) => Pay.make({ amount, by: "alice" })
const paid = (amount: number) => OrderPaid({ order: "o-1", amount, by: "alice" })

/** What an example that does not hold says. */
const says = (example: () => unknown): AssertionError => {
  try {
    example()
  } catch (error) {
    assert.instanceOf(error, AssertionError)
    return error
  }
  return assert.fail("the example holds")
}

describe("what holds", () => {
  it("events, errors, states, nothing", () => {
    Given(Order).when(Place.make({ order: "o-1", total: 100 })).thenEvents([placed])
    Given(Order, [placed]).when(pay(5)).thenEvents([paid(5)])
    Given(Order, [placed]).when(pay(0)).thenNothing().thenEvents([])
    Given(Order).when(pay(5)).thenError(new Refused({ why: "it is none" }))
    Given(Order).when(pay(5)).thenError((error) => error.why.includes("none"))
    Given(Order).thenState({ status: "none" })
    Given(Order, [placed]).thenState((state) => state.status === "placed")
  })

  it("commands follow each other, each on the state after the one before", () => {
    Given(Order, [placed])
      .when(pay(5)).when(pay(6)).thenEvents([paid(6)])
      .thenState({
        status: "placed",
        order: "o-1",
        total: 100,
        payments: [{ amount: 5, by: "alice" }, { amount: 6, by: "alice" }]
      })
      .when(Cancel.make({})).thenEvents([new OrderCancelled({ order: "o-1" })])
      .when(pay(7)).thenError((error) => error.why === "it is cancelled")
      .thenState((state) => state.status === "cancelled" && state.payments.length === 2)
  })

  it("an example is a value: each command starts from where it was given", () => {
    const before = Given(Order, [placed])
    before.when(pay(5)).thenEvents([paid(5)])
    before.when(pay(6)).thenState((state) => state.status === "placed" && state.payments.length === 1)
  })
})

describe("what does not hold says where", () => {
  it("in events: the path, what was expected and what was", () => {
    const error = says(() => Given(Order, [placed]).when(pay(5)).thenEvents([paid(6)]))
    assert.strictEqual(
      error.message,
      "order: the events of the command: not as expected\n  [0].amount\n    expected 6\n    but was  5"
    )
    assert.deepStrictEqual(error.actual, [paid(5)])
    assert.deepStrictEqual(error.expected, [paid(6)])
  })

  it("in the number of events, either way", () => {
    assert.match(
      says(() => Given(Order, [placed]).when(pay(5)).thenNothing()).message,
      /\[0\]\n +expected nothing\n +but was +\{ _tag: 'OrderPaid'/
    )
    assert.match(
      says(() => Given(Order, [placed]).when(pay(5)).thenEvents([paid(5), placed])).message,
      /\[1\]\n +expected \{ _tag: 'OrderPlaced'.*\n +but was +nothing/
    )
  })

  it("in states", () => {
    assert.match(
      says(() => Given(Order, [placed]).when(pay(5)).thenState({ status: "none" })).message,
      /the state: not as expected\n {2}status\n +expected 'none'\n +but was +'placed'\n {2}order\n +expected nothing/
    )
    assert.match(says(() => Given(Order).thenState(() => false)).message, /not accepted by the predicate/)
  })

  it("a refusal where none was expected, and the other way round", () => {
    const refused = says(() => Given(Order).when(pay(5)).thenEvents([paid(5)]))
    assert.match(refused.message, /order: the command was refused, not accepted with 1 events[^]*it is none/)
    assert.match(says(() => Given(Order).when(pay(5)).thenNothing()).message, /was refused/)
    const accepted = says(() => Given(Order, [placed]).when(pay(5)).thenError(() => true))
    assert.match(accepted.message, /order: the command was accepted, not refused[^]*OrderPaid/)
  })

  it("another refusal than the expected one", () => {
    assert.match(
      says(() => Given(Order).when(pay(5)).thenError(new Refused({ why: "no" }))).message,
      /the refusal of the command: not as expected\n {2}why\n +expected 'no'\n +but was +'it is none'/
    )
    assert.match(says(() => Given(Order).when(pay(5)).thenError(() => false)).message, /not accepted by the predicate/)
  })

  it("a refusal on the way that nobody expects", () => {
    const error = says(() => Given(Order).when(pay(5)).when(Place.make({ order: "o-1", total: 1 })))
    assert.match(error.message, /the command was refused, which no thenError expects[^]*it is none/)
    assert.match(says(() => Given(Order).when(pay(5)).thenState({ status: "none" })).message, /no thenError expects/)
    assert.match(
      says(() => Given(Order, [placed]).when(pay(1)).when(Cancel.make({})).when(pay(2)).thenNothing()).message,
      /command 3 was refused/
    )
  })

  it("histories and commands that cannot be", () => {
    assert.match(
      says(() => Given(Order, [placed, { ...paid(1), amount: 0.5 }])).message,
      /order: event 1 of the history is not valid[^]*amount[^]*integer/
    )
    assert.match(
      says(() => Given(Order).when({ _tag: "Place", order: "o-1", total: 0.5 })).message,
      /the command is not valid[^]*total[^]*integer/
    )
  })
})

describe("values are compared by content", () => {
  class Point extends Data.Class<{ readonly at: ReadonlyArray<number> }> {}
  class Failed extends Schema.TaggedError<Failed>()("Failed", { codes: Schema.Array(Schema.Int) }) {}
  const Kept = Event.make("Kept", { value: Schema.Unknown })
  const Keeper = Decider.make("keeper", { state: Schema.Unknown, commands: Schema.Unknown, events: Kept })({
    initial: undefined,
    decide: (value) => Either.right([Kept({ value })]),
    evolve: (_state, { value }) => value
  })
  const nested = (n: number) => new Map([["a", new Set([{ n }])]])
  const cyclic = (n: number) => {
    const one: { n: number; self?: unknown } = { n }
    one.self = [one]
    return one
  }

  /** Two makings of one value, and one of another. */
  const values: ReadonlyArray<readonly [string, () => unknown, () => unknown]> = [
    ["numbers", () => NaN, () => 0],
    ["signs of zero", () => [0], () => [1]],
    ["absent members", () => ({ a: 1, b: undefined }), () => ({ a: 1, b: null })],
    ["dates", () => new Date(5), () => new Date(6)],
    ["bytes", () => new Uint8Array([1, 2]), () => new Uint8Array([1, 3])],
    ["expressions", () => /a/g, () => /a/i],
    ["URLs", () => new URL("https://a.example/"), () => new URL("https://b.example/")],
    ["JavaScript's collections", () => nested(1), () => nested(2)],
    ["cycles", () => cyclic(1), () => cyclic(2)],
    ["options of plain values", () => Option.some({ a: [1] }), () => Option.some({ a: [2] })],
    ["none", () => Option.none(), () => Option.some(undefined)],
    ["eithers", () => Either.right([1]), () => Either.left([1])],
    ["chunks of plain values", () => Chunk.make({ a: 1 }), () => Chunk.make({ a: 2 })],
    ["maps of plain values", () => HashMap.make(["k", { a: 1 }]), () => HashMap.make(["k", { a: 2 }])],
    ["sets of plain values", () => HashSet.make({ a: 1 }, { a: 2 }), () => HashSet.make({ a: 1 }, { a: 3 })],
    ["data of plain values", () => new Point({ at: [1, 2] }), () => new Point({ at: [2, 1] })],
    ["errors", () => new Failed({ codes: [1] }), () => new Failed({ codes: [2] })],
    ["messages", () => new Error("a"), () => new Error("b")],
    ["times", () => DateTime.unsafeMake(5), () => DateTime.unsafeMake(6)],
    ["durations", () => Duration.seconds(1), () => Duration.millis(1001)],
    ["decimals", () => BigDecimal.unsafeFromString("1.50"), () => BigDecimal.unsafeFromString("1.51")],
    ["functions", () => Math.abs, () => () => 1],
    ["classes", () => ({ at: [1] }), () => new Point({ at: [1] })]
  ]
  for (const [what, one, other] of values) {
    it(what, () => {
      Given(Keeper).when(one()).thenEvents([Kept({ value: one() })])
      assert.match(
        says(() => Given(Keeper).when(one()).thenEvents([Kept({ value: other() })])).message,
        /not as expected/
      )
      assert.match(
        says(() => Given(Keeper).when(other()).thenEvents([Kept({ value: one() })])).message,
        /not as expected/
      )
    })
  }

  it("other writings of one decimal are one value", () => {
    Given(Keeper).when(BigDecimal.unsafeFromString("1.50")).thenState(BigDecimal.unsafeFromString("1.5"))
  })

  it("long reports are cut", () => {
    const many = (n: number) => Array.from({ length: 50 }, (_, index) => index * n)
    assert.match(says(() => Given(Keeper).when(many(1)).thenState(many(2))).message, /… and 29 more$/)
  })
})
