import { assert, describe, it } from "@effect/vitest"
import { FastCheck, Schema } from "effect"
import * as Condition from "effect-skald/cep/Condition"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"

const { field, first, last } = Condition

/** What is bound, and an event. */
const soFar = {
  one: { n: 3, who: "ann", of: { country: "DE" } },
  many: [{ n: 1, who: "ann" }, { n: 4 }, { n: "x", who: "bob" }, { n: 7, who: "cid" }],
  none: []
}
const event = { n: 5, who: "ann", of: { country: "DE", none: null }, flag: true }
const holds = (condition: Condition.Condition) => Condition.holds(condition, event, soFar)

describe("Condition: what holds", () => {
  const cases: ReadonlyArray<readonly [string, Condition.Condition, boolean]> = [
    ["equal numbers", Condition.compare(field("n"), "=", 5), true],
    ["other numbers", Condition.compare(field("n"), "=", 6), false],
    ["booleans", Condition.compare(field("flag"), "=", true), true],
    ["null", Condition.compare(field("of.none"), "=", null), true],
    ["a number and a text that looks like it", Condition.compare(field("n"), "=", "5"), false],
    ["not equal", Condition.compare(field("n"), "!=", 6), true],
    ["not equal, of another type", Condition.compare(field("n"), "!=", "5"), true],
    ["not equal to what is not there", Condition.compare(field("gone"), "!=", 5), false],
    ["equal to what is not there", Condition.compare(field("gone"), "=", field("gone")), false],
    ["below", Condition.compare(field("n"), "<", 6), true],
    ["below the same", Condition.compare(field("n"), "<", 5), false],
    ["at most the same", Condition.compare(field("n"), "<=", 5), true],
    ["at most less", Condition.compare(field("n"), "<=", 4), false],
    ["above", Condition.compare(field("n"), ">", 4), true],
    ["above the same", Condition.compare(field("n"), ">", 5), false],
    ["at least the same", Condition.compare(field("n"), ">=", 5), true],
    ["at least more", Condition.compare(field("n"), ">=", 6), false],
    ["texts in order", Condition.compare(field("who"), "<", "bob"), true],
    ["a text below a number", Condition.compare(field("who"), "<", 9), false],
    ["a number below a text", Condition.compare(field("n"), "<", "9"), false],
    ["booleans have no order", Condition.compare(field("flag"), ">", false), false],
    ["contains", Condition.compare(field("who"), "contains", "nn"), true],
    ["contains not", Condition.compare(field("who"), "contains", "b"), false],
    ["a number contains nothing", Condition.compare(field("n"), "contains", "5"), false],
    ["starts with", Condition.compare(field("who"), "startsWith", "an"), true],
    ["starts not with", Condition.compare(field("who"), "startsWith", "nn"), false],
    ["a path", Condition.compare(field("of.country"), "=", "DE"), true],
    ["a path into a number", Condition.compare(field("n.country"), "=", "DE"), false],
    ["first of many", Condition.compare(first("many", "n"), "=", 1), true],
    ["last of many", Condition.compare(last("many", "n"), "=", 7), true],
    ["first of one", Condition.compare(first("one", "of.country"), "=", field("of.country")), true],
    ["last of one", Condition.compare(last("one", "n"), "=", 3), true],
    ["first of none", Condition.compare(first("none", "n"), "!=", 1), false],
    ["first of a step that took nothing", Condition.compare(first("gone", "n"), "!=", 1), false],
    ["count of many", Condition.compare(Condition.count("many"), "=", 4), true],
    ["count of one", Condition.compare(Condition.count("one"), "=", 1), true],
    ["count of none", Condition.compare(Condition.count("gone"), "=", 0), true],
    ["sum leaves out what is no number", Condition.compare(Condition.aggregate("sum", "many", "n"), "=", 12), true],
    ["sum of none", Condition.compare(Condition.aggregate("sum", "none", "n"), "=", 0), true],
    ["min", Condition.compare(Condition.aggregate("min", "many", "n"), "=", 1), true],
    ["max", Condition.compare(Condition.aggregate("max", "many", "n"), "=", 7), true],
    ["mean", Condition.compare(Condition.aggregate("mean", "many", "n"), "=", 4), true],
    ["min of none", Condition.compare(Condition.aggregate("min", "none", "n"), "<=", 9), false],
    ["max of none", Condition.compare(Condition.aggregate("max", "none", "n"), "<=", 9), false],
    ["mean of none", Condition.compare(Condition.aggregate("mean", "none", "n"), "<=", 9), false],
    ["plus", Condition.compare(Condition.plus(Condition.aggregate("sum", "many", "n"), field("n")), "=", 17), true],
    ["plus of what is no number", Condition.compare(Condition.plus(field("who"), field("n")), "!=", 0), false],
    ["joined with one", Condition.joined("who", "one"), true],
    ["joined with many, not all the same", Condition.joined("who", "many"), false],
    ["joined with none", Condition.joined("who", "none"), true],
    ["joined with a step that took nothing", Condition.joined("who", "gone"), true],
    ["joined by a path", Condition.joined("of.country", "one"), true],
    ["joined by what is not there", Condition.joined("flag", "one"), false],
    ["all of none", Condition.all(), true],
    ["any of none", Condition.any(), false]
  ]
  it.each(cases)("%s", (_, condition, expected) => {
    assert.strictEqual(holds(condition), expected)
    assert.strictEqual(holds(Condition.not(condition)), !expected)
    assert.strictEqual(holds(Condition.all(condition, Condition.all())), expected)
    assert.strictEqual(holds(Condition.any(condition, Condition.any())), expected)
  })
})

/** Conditions of every kind, on two steps and an event. */
const values = (steps: ReadonlyArray<string>): FastCheck.Arbitrary<Condition.Value> => {
  const step = FastCheck.constantFrom(...steps)
  const path = FastCheck.constantFrom("n", "s", "of.n", "gone")
  const { value } = FastCheck.letrec<{ value: Condition.Value }>((tie) => ({
    value: FastCheck.oneof(
      { maxDepth: 2 },
      path.map(field),
      FastCheck.tuple(step, path).map(([step, path]) => first(step, path)),
      FastCheck.tuple(step, path).map(([step, path]) => last(step, path)),
      step.map(Condition.count),
      FastCheck.tuple(
        FastCheck.constantFrom("sum" as const, "min" as const, "max" as const, "mean" as const),
        step,
        path
      ).map(([take, step, path]) => Condition.aggregate(take, step, path)),
      FastCheck.constantFrom(0, 1, 2, "a", "ab", null, true).map((value): Condition.Value => ({
        _tag: "Literal",
        value
      })),
      FastCheck.tuple(tie("value"), tie("value")).map(([left, right]) => Condition.plus(left, right))
    )
  }))
  return value
}
const conditions = (steps: ReadonlyArray<string>): FastCheck.Arbitrary<Condition.Condition> => {
  const value = values(steps)
  const is = FastCheck.constantFrom<Condition.Comparison>("=", "!=", "<", "<=", ">", ">=", "contains", "startsWith")
  const { condition } = FastCheck.letrec<{ condition: Condition.Condition }>((tie) => ({
    condition: FastCheck.oneof(
      { maxDepth: 2, depthSize: "small" },
      FastCheck.tuple(value, is, value).map(([left, is, right]) => Condition.compare(left, is, right)),
      FastCheck.tuple(FastCheck.constantFrom("n", "s", "of.n"), FastCheck.constantFrom(...steps)).map(([field, step]) =>
        Condition.joined(field, step)
      ),
      FastCheck.array(tie("condition"), { maxLength: 2 }).map((of) => Condition.all(...of)),
      FastCheck.array(tie("condition"), { maxLength: 2 }).map((of) => Condition.any(...of)),
      tie("condition").map(Condition.not)
    )
  }))
  return condition
}

interface Letter {
  readonly _tag: "A" | "B" | "C"
  readonly n?: number
  readonly s: string
  readonly of?: { readonly n: number }
}
const typeOf = <T extends Letter["_tag"]>(tag: T): Schema.Schema<Letter & { readonly _tag: T }> =>
  Schema.Struct({
    _tag: Schema.Literal(tag),
    n: Schema.optionalWith(Schema.Number, { exact: true }),
    s: Schema.String,
    of: Schema.optionalWith(Schema.Struct({ n: Schema.Number }), { exact: true })
  }) as any
const [A, B, C] = [typeOf("A"), typeOf("B"), typeOf("C")]
const letters = FastCheck.array(
  FastCheck.record({
    _tag: FastCheck.constantFrom<Letter["_tag"]>("A", "A", "B", "C"),
    n: FastCheck.nat(2),
    s: FastCheck.constantFrom("", "a", "ab"),
    of: FastCheck.record({ n: FastCheck.nat(1) })
  }, { requiredKeys: ["_tag", "s"] }),
  { minLength: 3, maxLength: 8 }
)

const found = (pattern: Pattern.Pattern<any, any>, events: ReadonlyArray<Letter>) =>
  Matcher.open(Matcher.make(pattern)).push(events).flatMap((output) =>
    output._tag === "Matches" ? Array.from(output.matches, ({ events }) => events.map(({ index }) => index)) : []
  )

describe("Condition: the engine asks what `holds` asks", () => {
  it("of the last event of a loop, another step and nothing at all", () => {
    let held = 0
    FastCheck.assert(
      FastCheck.property(conditions(["loop", "maybe"]), letters, (condition, events) => {
        const pattern = (where: any) =>
          Pattern.begin("loop", A, { times: { min: 1 } }).pipe(
            Pattern.followedBy("maybe", B, { optional: true }),
            Pattern.followedByAny("last", C, { where })
          )
        const asked = found(pattern(condition), events)
        held += asked.length
        assert.deepStrictEqual(
          asked,
          found(pattern((event: Letter, soFar: any) => Condition.holds(condition, event, soFar)), events)
        )
      }),
      { numRuns: 1_500, seed: 62 }
    )
    assert.isAbove(held, 300)
  })

  it("of events alone, which are held as sets", () => {
    FastCheck.assert(
      FastCheck.property(conditions(["a"]), letters, (condition, events) => {
        const begin = (where: any) => Pattern.begin("a", A).pipe(Pattern.followedByAny("b", B, { where }))
        const matcher = Matcher.make(begin(condition))
        const text = JSON.stringify(condition)
        const alone = !text.includes("\"Bound\"") && !text.includes("\"Joined\"")
        assert.strictEqual(matcher.tier.name, alone ? "sets" : "runs")
        assert.deepStrictEqual(
          found(begin(condition), events),
          found(begin((event: Letter, soFar: any) => Condition.holds(condition, event, soFar)), events)
        )
      }),
      { numRuns: 1_000, seed: 63 }
    )
  })

  it("and until, of what the loop itself has taken so far", () => {
    FastCheck.assert(
      FastCheck.property(conditions(["loop"]), letters, (condition, events) => {
        const pattern = (until: any) =>
          Pattern.begin("loop", A, { times: { min: 1 }, until }).pipe(Pattern.followedBy("last", C))
        assert.deepStrictEqual(
          found(pattern(condition), events),
          found(pattern((event: Letter, soFar: any) => Condition.holds(condition, event, soFar)), events)
        )
      }),
      { numRuns: 1_000, seed: 64 }
    )
  })
})

describe("Condition: stored", () => {
  it("is loaded as it was stored", () => {
    const { decodeUnknownSync, encodeSync } = Schema
    FastCheck.assert(
      FastCheck.property(conditions(["a", "b"]), (condition) => {
        const stored = JSON.parse(JSON.stringify(encodeSync(Condition.Condition)(condition)))
        assert.deepStrictEqual(decodeUnknownSync(Condition.Condition)(stored), condition)
      }),
      { numRuns: 500, seed: 65 }
    )
  })
})
