import { assert, describe, it } from "@effect/vitest"
import { FastCheck, Schema } from "effect"
import * as Condition from "effect-skald/cep/Condition"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as StoredPattern from "effect-skald/cep/StoredPattern"
import * as PatternLaws from "effect-skald/testing/PatternLaws"

const stored = (pattern: Pattern.Pattern<any, any>): Pattern.Pattern<any, any> =>
  Schema.decodeUnknownSync(StoredPattern.StoredPattern)(
    JSON.parse(JSON.stringify(Schema.encodeSync(StoredPattern.StoredPattern)(pattern)))
  )

const timestamp = ({ at }: PatternLaws.Letter) => at

/** All that a matcher of a pattern says, a line for each output. */
const told = (pattern: Pattern.Pattern<any, any>, { end, events }: PatternLaws.Case<PatternLaws.Letter>) => {
  const session = Matcher.open(Matcher.make(pattern, { timestamp, timedOut: true }))
  return [...session.push(events), ...session.advance(end)].map((output) =>
    output._tag === "Matches"
      ? Array.from(output.matches, ({ events, match }) => [match, events.map(({ index, step }) => [step, index])])
      : output
  )
}

describe("StoredPattern: every construct", () => {
  it("is loaded as it was stored, by the same fingerprint, and matches the same", () => {
    const kinds = new Set<string>()
    FastCheck.assert(
      FastCheck.property(PatternLaws.cases, (one) => {
        const loaded = stored(one.pattern)
        const text = JSON.stringify(one.pattern.definition)
        assert.deepStrictEqual(loaded.definition, JSON.parse(text))
        assert.strictEqual(
          Matcher.make(loaded, { timestamp }).fingerprint,
          Matcher.make(one.pattern, { timestamp }).fingerprint
        )
        assert.deepStrictEqual(told(loaded, one), told(one.pattern, one))
        const explained = (pattern: Pattern.Pattern<any, any>) => Matcher.explain(Matcher.make(pattern, { timestamp }))
        assert.deepStrictEqual(explained(loaded), explained(one.pattern))
        for (
          const [kind] of text.matchAll(
            /"(_tag|take|contiguity|inner)":"\w+"|"(gap|max|within)":\d|"(optional|greedy|maximal|failOnMiss)":true|"until":\[\{/g
          )
        ) {
          kinds.add(kind.replace(/\d$/, ""))
        }
      }),
      { numRuns: 200, seed: 61 }
    )
    for (
      const kind of [
        ...["Step", "Negation", "Group", "Or", "And", "Joined", "Bound"].map((tag) => `"_tag":"${tag}"`),
        ...["none", "toNext", "pastLast", "toFirst", "toLast"].map((tag) => `"_tag":"${tag}"`),
        ...["first", "last", "sum", "count", "max"].map((take) => `"take":"${take}"`),
        ...["next", "followedBy", "followedByAny", "notNext", "notFollowedBy"].map((how) => `"contiguity":"${how}"`),
        ...["next", "followedBy", "followedByAny"].map((how) => `"inner":"${how}"`),
        ...["optional", "greedy", "failOnMiss"].map((flag) => `"${flag}":true`),
        ...["gap", "max", "within"].map((number) => `"${number}":`),
        "\"until\":[{"
      ]
    ) {
      assert.isTrue(kinds.has(kind), kind)
    }
  })

  it("a maximal loop stays one", () => {
    const loop = Pattern.begin("a", Pattern.anyEvent, { times: { min: 2 }, greedy: true, maximal: true })
    const pattern = loop.pipe(Pattern.within(4))
    assert.deepStrictEqual(stored(pattern).definition, JSON.parse(JSON.stringify(pattern.definition)))
    assert.include(JSON.stringify(stored(pattern).definition), "\"maximal\":true")
  })

  it("names the step whose condition is on a number that JSON has no word for", () => {
    const Paid = Schema.Struct({ _tag: Schema.Literal("Paid"), amount: Schema.Number })
    const where = Condition.not(Condition.compare(Condition.field("amount"), "<", Number.POSITIVE_INFINITY))
    const begin = Pattern.begin("paid", Paid)
    const message = (pattern: Pattern.Pattern<any, any>) => {
      try {
        return JSON.stringify(stored(pattern).definition)
      } catch (error) {
        return String(error)
      }
    }
    assert.include(
      message(begin.pipe(Pattern.next("next", Paid, { where }))),
      "\"next\" has a condition on a number that JSON"
    )
    assert.include(
      message(begin.pipe(Pattern.notNext(Paid, { where }))),
      "\"notNext Paid\" has a condition on a number"
    )
  })
})
