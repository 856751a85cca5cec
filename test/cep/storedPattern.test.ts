import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import * as Condition from "effect-skald/cep/Condition"
import * as Pattern from "effect-skald/cep/Pattern"
import * as StoredPattern from "effect-skald/cep/StoredPattern"
import * as Event from "effect-skald/event/Event"
import * as PatternOracle from "effect-skald/testing/PatternOracle"

const Paid = Event.make("Paid", { order: Schema.String, amount: Schema.Number })
const Refunded = Event.make("Refunded", { order: Schema.String, amount: Schema.Number })

const encode = Schema.encodeEither(StoredPattern.StoredPattern)
const decode = Schema.decodeUnknownEither(StoredPattern.StoredPattern)
const through = (pattern: Pattern.Pattern<any, any>) =>
  decode(JSON.parse(JSON.stringify(Either.getOrThrow(encode(pattern))))).pipe(Either.getOrThrow)

const pattern = Pattern.begin("paid", Paid, {
  times: { min: 1 },
  greedy: true,
  where: Condition.compare(Condition.field("amount"), ">", 0),
  until: Condition.compare(Condition.count("paid"), ">=", 3)
}).pipe(
  Pattern.notFollowedBy(Paid, { where: Condition.compare(Condition.field("order"), "startsWith", "x") }),
  Pattern.followedBy("refunded", Refunded, {
    join: { order: "paid" },
    where: Condition.any(
      Condition.compare(Condition.field("amount"), "=", Condition.aggregate("sum", "paid", "amount")),
      Condition.not(Condition.compare(Condition.field("amount"), "<", 1_000))
    ),
    within: "1 minute"
  }),
  Pattern.within("1 hour"),
  Pattern.skipPastLast
)

describe("StoredPattern", () => {
  it("a pattern whose conditions are data survives, and matches as before", () => {
    const loaded = through(pattern)
    assert.deepStrictEqual(loaded.definition, JSON.parse(JSON.stringify(pattern.definition)))
    const events = [
      Paid({ order: "a", amount: 2 }),
      Paid({ order: "a", amount: 0 }),
      Paid({ order: "a", amount: 3 }),
      Refunded({ order: "b", amount: 5 }),
      Refunded({ order: "a", amount: 5 })
    ]
    const { matches } = PatternOracle.run(pattern, events)
    assert.deepStrictEqual(matches.map(({ events }) => events), [[["paid", 0], ["paid", 2], ["refunded", 4]]])
    assert.deepStrictEqual(PatternOracle.run(loaded, events).matches, matches)
  })

  it("a condition that is a function is refused, and the step named", () => {
    const message = (pattern: Pattern.Pattern<any, any>) => Either.getOrThrow(Either.flip(encode(pattern))).message
    assert.include(
      message(Pattern.begin("paid", Paid, { where: () => true })),
      "\"paid\" has a condition that is a function"
    )
    assert.include(
      message(Pattern.begin("paid", Paid).pipe(Pattern.notNext(Refunded, { where: () => true }))),
      "\"notNext Refunded\" has a condition that is a function"
    )
    const part = Pattern.begin("a", Paid).pipe(Pattern.next("b", Paid, { times: { min: 1 }, until: () => true }))
    assert.include(message(part.pipe(Pattern.group({ times: { min: 2 } }))), "\"b\" has a condition that is a function")
  })

  it("what is stored and no pattern is refused as it is loaded", () => {
    const stored: any = Either.getOrThrow(encode(pattern))
    const twice = { ...stored, elements: [stored.elements[0], stored.elements[0]] }
    assert.include(Either.getOrThrow(Either.flip(decode(twice))).message, "\"paid\" is the name of two steps")
    assert.isTrue(Either.isLeft(decode({ elements: [] })))
    assert.isTrue(Either.isLeft(decode(null)))
  })
})
