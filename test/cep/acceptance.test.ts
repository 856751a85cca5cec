/** The acceptance cases of patterns, by their numbers; 28 stands with joins, 29 with the examples. */
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck, Schema } from "effect"
import * as Condition from "effect-skald/cep/Condition"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as PatternText from "effect-skald/cep/PatternText"
import * as Event from "effect-skald/event/Event"
import * as PatternOracle from "effect-skald/testing/PatternOracle"

const found = <Ev>(outputs: ReadonlyArray<Matcher.Output<any, Ev>>) =>
  outputs.flatMap((output) =>
    output._tag === "Matches"
      ? Array.from(
        output.matches,
        ({ events }) => ({ key: output.key, at: output.time, events: events.map(({ index }) => index) })
      )
      : []
  )

const parse = (text: string) => Either.getOrThrowWith(PatternText.parse(text), (error) => error)

describe("24: an order that is created, paid and shipped", () => {
  const shipped = parse("order_created -> payment_processed -> order_shipped")
  interface Step {
    readonly _tag: string
    readonly order?: string
  }
  const run = (events: ReadonlyArray<Step>, pattern: Pattern.Pattern<any, any> = shipped, keyed = false) => {
    const session = Matcher.open(
      Matcher.make<any, Step>(pattern, keyed ? { keyBy: ({ order }) => order } : {})
    )
    return events.flatMap((event, at) => found(session.push([event])).map((one) => ({ ...one, on: at })))
  }
  const steps = (...tags: ReadonlyArray<string>) => tags.map((_tag) => ({ _tag }))

  it("is one match, on the third event, whatever comes after", () => {
    const after = FastCheck.array(FastCheck.constantFrom("payment_processed", "order_shipped", "viewed"), {
      maxLength: 20
    })
    FastCheck.assert(
      FastCheck.property(after, (tags) => {
        const all = run(steps("order_created", "payment_processed", "order_shipped", ...tags))
        assert.deepStrictEqual(all.map(({ events, on }) => [events, on]), [[[0, 1, 2], 2]])
      }),
      { numRuns: 200, seed: 24 }
    )
  })

  it("A -> X -> B -> C is relaxed, and not strict", () => {
    const events = steps("A", "X", "B", "C")
    assert.deepStrictEqual(run(events, parse("A -> B -> C")).map(({ events }) => events), [[0, 2, 3]])
    assert.deepStrictEqual(run(events, parse("A => B => C")), [])
    assert.deepStrictEqual(run(steps("X", "A", "B", "C"), parse("A => B => C")).map(({ events }) => events), [[
      1,
      2,
      3
    ]])
  })

  it("events of two orders never mix under `keyBy`", () => {
    const tag = FastCheck.constantFrom("order_created", "payment_processed", "order_shipped")
    const events = FastCheck.array(FastCheck.record({ _tag: tag, order: FastCheck.constantFrom("a", "b") }), {
      minLength: 20,
      maxLength: 40
    })
    let matches = 0
    FastCheck.assert(
      FastCheck.property(events, (events) => {
        const all = run(events, shipped, true)
        matches += all.length
        for (const order of ["a", "b"]) {
          const own = events.flatMap((event, at) => event.order === order ? [at] : [])
          const alone = run(own.map((at) => events[at]!)).map(({ events }) => events.map((at) => own[at]))
          assert.deepStrictEqual(all.filter(({ key }) => key === order).map(({ events }) => events), alone)
        }
      }),
      { numRuns: 100, seed: 25 }
    )
    assert.isAbove(matches, 200)
  })
})

describe("25: a login, a high value, and another place", () => {
  const Login = Event.make("Login", { at: Schema.Number })
  const HighValue = Event.make("HighValue", { at: Schema.Number, amount: Schema.Number })
  const LocationChange = Event.make("LocationChange", { at: Schema.Number, distance: Schema.Number })
  const byData = Pattern.begin("login", Login).pipe(
    Pattern.followedBy("value", HighValue, { where: Condition.compare(Condition.field("amount"), ">", 10_000) }),
    Pattern.followedBy("moved", LocationChange, { where: Condition.compare(Condition.field("distance"), ">", 1_000) }),
    Pattern.within("300 seconds")
  )
  const byFunction = Pattern.begin("login", Login).pipe(
    Pattern.followedBy("value", HighValue, { where: ({ amount }) => amount > 10_000 }),
    Pattern.followedBy("moved", LocationChange, { where: ({ distance }) => distance > 1_000 }),
    Pattern.within("300 seconds")
  )
  const run = (pattern: typeof byData, seconds: number, amount = 20_000, distance = 2_000) => {
    const session = Matcher.open(Matcher.make(pattern, { timestamp: ({ at }) => at }))
    return found(session.push([
      Login({ at: 0 }),
      HighValue({ at: 1_000, amount: 5 }),
      HighValue({ at: 2_000, amount }),
      LocationChange({ at: seconds * 1_000, distance })
    ])).map(({ events }) => events)
  }

  it.each([["data", byData], ["a function", byFunction]] as const)(
    "is one match, by conditions that are %s",
    (_, pattern) => {
      assert.deepStrictEqual(run(pattern, 299), [[0, 2, 3]])
      assert.deepStrictEqual(run(pattern, 300), [])
      assert.deepStrictEqual(run(pattern, 299, 10_000), [])
      assert.deepStrictEqual(run(pattern, 299, 20_000, 1_000), [])
    }
  )
})

describe("26: a cart that is left", () => {
  const Added = Event.make("Added", { cart: Schema.String, at: Schema.Number })
  const Viewed = Event.make("Viewed", { cart: Schema.String, at: Schema.Number })
  const CheckedOut = Event.make("CheckedOut", { cart: Schema.String, at: Schema.Number })
  const left = Pattern.begin("added", Added).pipe(
    Pattern.followedBy("viewed", Viewed),
    Pattern.notFollowedBy(CheckedOut),
    Pattern.within("1800 seconds")
  )
  const open = () => Matcher.open(Matcher.make(left, { timestamp: ({ at }) => at, keyBy: ({ cart }) => cart }))
  const second = 1_000

  it("is matched as the clock reaches 1,800 s, with no event needed", () => {
    const session = open()
    session.push([Added({ cart: "c", at: 0 }), Viewed({ cart: "c", at: 60 * second })])
    assert.deepStrictEqual(session.advance(1_800 * second - 1), [])
    assert.deepStrictEqual(found(session.advance(1_800 * second)), [{ key: "c", at: 1_800 * second, events: [0, 1] }])
    assert.deepInclude(session.stats(), { keys: 0, partialMatches: 0, matches: 1 })
  })

  it("is not when it is checked out at 1,799 s; at 1,800 s that is too late", () => {
    const run = (at: number, cart = "c") => {
      const session = open()
      session.push([Added({ cart: "c", at: 0 }), Viewed({ cart: "c", at: 60 * second })])
      return found([...session.push([CheckedOut({ cart, at })]), ...session.advance(10_000 * second)]).length
    }
    assert.strictEqual(run(1_799 * second), 0)
    assert.strictEqual(run(1_800 * second - 1), 0)
    assert.strictEqual(run(1_800 * second), 1)
    assert.strictEqual(run(1_799 * second, "another"), 1)
  })
})

describe("27: three errors of one service within 60 s", () => {
  const Errored = Event.make("Errored", { service: Schema.String, at: Schema.Number })
  const three = Pattern.begin("errors", Errored, { times: { min: 3, max: 3 } }).pipe(Pattern.within("60 seconds"))
  const events = (services: string, every = 10_000) =>
    [...services].map((service, n) => Errored({ service, at: n * every }))
  const run = (
    pattern: Pattern.Pattern<any, typeof Errored.Type>,
    all: ReadonlyArray<typeof Errored.Type>,
    keyed = true
  ) => {
    const session = Matcher.open(
      Matcher.make(pattern, { timestamp: ({ at }) => at, ...keyed && { keyBy: ({ service }) => service } })
    )
    return found([...session.push(all), ...session.advance(1_000_000)]).map(({ events }) => events)
  }

  it("by key, and by a join within the loop", () => {
    assert.deepStrictEqual(run(three, events("stss")), [[0, 2, 3]])
    const joined = Pattern.begin("errors", Errored, {
      times: { min: 3, max: 3 },
      where: Condition.joined("service", "errors")
    }).pipe(Pattern.within("60 seconds"))
    assert.deepStrictEqual(run(joined, events("stss"), false), [[0, 2, 3]])
  })

  it("60 s from the first to the last are too many", () => {
    assert.deepStrictEqual(run(three, events("sss", 29_999)), [[0, 1, 2]])
    assert.deepStrictEqual(run(three, events("sss", 30_000)), [])
  })

  const more = Pattern.begin("errors", Errored, { times: { min: 3 } }).pipe(Pattern.within("60 seconds"))
  const combined = Pattern.begin("errors", Errored, { times: { min: 3, max: 3 }, allowCombinations: true }).pipe(
    Pattern.within("60 seconds")
  )
  const first = Pattern.begin("first", Errored).pipe(
    Pattern.followedBy("others", Errored, { times: { min: 2, max: 2 } }),
    Pattern.within("60 seconds")
  )
  const strategies: ReadonlyArray<
    readonly [string, Pattern.Pattern<any, typeof Errored.Type>, ReadonlyArray<string>]
  > = [
    ["none: each three that follow each other", three, ["012", "123", "234"]],
    ["none, three or more: each prefix, too", more, ["012", "0123", "123", "01234", "1234", "234"]],
    ["none, any three: ten", combined, ["012", "013", "023", "123", "014", "024", "034", "124", "134", "234"]],
    ["skipToNext: one for each beginning", Pattern.skipToNext(combined), ["012", "123", "234"]],
    ["skipToNext, three or more", Pattern.skipToNext(more), ["012", "123", "234"]],
    ["skipPastLast: none overlaps", Pattern.skipPastLast(three), ["012"]],
    ["skipToFirst: from the second error on", first.pipe(Pattern.skipToFirst("others")), ["012", "123", "234"]],
    ["skipToLast: from the third error on", first.pipe(Pattern.skipToLast("others")), ["012", "234"]],
    ["skipToLast of the loop itself", Pattern.skipToLast<any, string>("errors")(three), ["012", "234"]]
  ]
  it.each(strategies)("of five errors, %s", (_, pattern, expected) => {
    const all = events("sssss")
    const told = run(pattern, all).map((events) => events.join(""))
    assert.deepStrictEqual(told, expected)
    const { matches } = PatternOracle.run(pattern, all, { timestamp: ({ at }) => at, end: 1_000_000 })
    assert.deepStrictEqual(matches.map(({ events }) => events.map(([, at]) => at).join("")), told)
  })
})
