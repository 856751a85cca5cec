import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck, Schema } from "effect"
import type * as Pattern from "effect-skald/cep/Pattern"
import * as PatternText from "effect-skald/cep/PatternText"
import * as StoredPattern from "effect-skald/cep/StoredPattern"
import * as Event from "effect-skald/event/Event"
import * as PatternOracle from "effect-skald/testing/PatternOracle"

const parse = (text: string) => Either.getOrThrowWith(PatternText.parse(text), (error) => error)

/** The matches in a string of one letter for each event. */
const matches = (text: string, letters: string) =>
  PatternOracle.run(parse(text), [...letters].map((_tag, at) => ({ _tag, at })), {
    timestamp: ({ at }: any) => at * 1000
  })
    .matches.map(({ events }) => events.map(([step, index]) => `${step}${index}`).join(" "))

describe("PatternText: what a text means", () => {
  it.each([
    ["A -> B -> C", "AXBC", ["A0 B2 C3"]],
    ["A->B->C", "AXBC", ["A0 B2 C3"]],
    ["A => B", "AXB", []],
    ["A => B", "XAB", ["A1 B2"]],
    ["A ~> B", "ABB", ["A0 B1", "A0 B2"]],
    ["A & B", "XBA", ["B1 A2"]],
    ["A -> B & C -> D", "ACBD", ["A0 C1 B2 D3"]],
    ["A | B", "BA", ["B0", "A1"]],
    ["A & B | C", "BAC", ["B0 A1", "C2"]],
    ["A -> !B -> C", "ABCAXC", ["A3 C5"]],
    ["A => !B -> C", "ABCAXC", ["A3 C5"]],
    ["A -> * -> B", "AXB", ["A0 any1 B2"]],
    ["*", "XY", ["any0", "any1"]],
    ["A{3,} within 5 minutes", "AXAA", ["A0 A2 A3"]],
    ["A{2}", "AAA", ["A0 A1", "A1 A2"]],
    ["A -> B{,2} -> C", "ABC", ["A0 B1 C2", "A0 C2"]],
    ["A -> B? -> C", "ABC", ["A0 B1 C2", "A0 C2"]],
    ["A -> B+ => C", "ABBC", ["A0 B1 B2 C3"]],
    ["A -> B* => C", "AC", ["A0 C1"]],
    ["A -> A", "AAA", ["A0 A21", "A1 A22"]],
    ["first:A -> last:A", "AA", ["first0 last1"]],
    ["(A -> B){2}", "ABAB", ["A0 B1 A2 B3"]],
    ["A -> (B => C | D)", "ABCD", ["A0 B1 C2", "A0 B1 D3"].slice(0, 1)],
    ["\"A\" -> \"B\" within 1 s", "AB", []],
    ["A -> B within 2 seconds", "AB", ["A0 B1"]],
    ["A -> B within 1.5 s", "AXB", []],
    ["A -> B within 1.5 s", "AB", ["A0 B1"]],
    ["  A\t->\nB  ", "AXB", ["A0 B2"]],
    ["A -> !* -> B", "AXBAB", ["A3 B4"]],
    ["A => !* -> B", "AXBAB", []],
    ["A -> !\"B\" -> C", "ABCAC", ["A3 C4"]],
    ["A{1,}", "A", ["A0"]],
    ["A -> B{,1} => C", "ABC", ["A0 B1 C2"]],
    ["A -> B{,1} => C", "AC", ["A0 C1"]],
    ["A -> any:*{2} => B", "AXYB", ["A0 any1 any2 B3"]],
    ["(A)", "A", ["A0"]],
    ["(A -> B)? -> C", "C", ["C0"]],
    ["(A => B)+ => C", "ABABC", ["A0 B1 A2 B3 C4", "A2 B3 C4"]],
    ["(A => B)* -> C", "C", ["C0"]],
    ["(A | B) & C", "CXB", ["C0 B2"]],
    ["A | (B & C)", "CB", ["C0 B1"]],
    ["within -> A", "A", []],
    ["a-b->A", "A", []],
    ["A -> A -> A", "AAA", ["A0 A21 A32"]],
    ["* -> *", "XY", ["any0 any21"]]
  ])("%s in %s", (text, letters, expected) => assert.deepStrictEqual(matches(text, letters), expected))

  it("every tag can be written in quotes, and every word without them", () => {
    const tagsOf = (text: string) => parse(text).definition.elements.map((one: any) => one.tags)
    const text = FastCheck.oneof(FastCheck.string({ minLength: 1 }), FastCheck.string({ minLength: 1, unit: "binary" }))
    FastCheck.assert(
      FastCheck.property(text, (tag) => {
        const quoted = `"${tag.replace(/["\\]/g, (sign) => `\\${sign}`)}"`
        assert.deepStrictEqual(tagsOf(`a:${quoted}->b:${quoted}`), [[tag], [tag]])
      }),
      { numRuns: 200, seed: 51 }
    )
    for (const word of ["é", "e\u0301a", "Ünder_score", "заказ.оплачен", "注文", "$a", "a-b", "कि", "a1"]) {
      assert.deepStrictEqual(tagsOf(`${word}->${word}`), [[word], [word]])
    }
  })

  it.each([
    ["ms", 1],
    ["milli", 1],
    ["millis", 1],
    ["millisecond", 1],
    ["milliseconds", 1],
    ["s", 1_000],
    ["sec", 1_000],
    ["second", 1_000],
    ["seconds", 1_000],
    ["min", 60_000],
    ["minute", 60_000],
    ["minutes", 60_000],
    ["h", 3_600_000],
    ["hour", 3_600_000],
    ["hours", 3_600_000],
    ["d", 86_400_000],
    ["day", 86_400_000],
    ["days", 86_400_000],
    ["week", 604_800_000],
    ["weeks", 604_800_000]
  ])("2 %s", (unit, millis) => {
    assert.strictEqual(parse(`A within 2 ${unit}`).definition.within, 2 * millis)
    assert.strictEqual(parse(`A within 2${unit}`).definition.within, 2 * millis)
  })
})

describe("PatternText: errors point at the character", () => {
  it.each([
    ["", 0, "an event, *, or ("],
    ["A ->", 4, "an event, *, or ("],
    ["A -> -> B", 5, "an event, *, or ("],
    ["A -> (B => C", 12, "an arrow (-> => ~>), & | or )"],
    ["A B", 2, "an arrow (-> => ~>), & | or the end"],
    ["A{3,2}", 4, "at least 3"],
    ["A{0}", 2, "more than zero times"],
    ["A{}", 2, "a count"],
    ["A{,}", 3, "a count"],
    ["A{2", 3, "a comma or }"],
    ["A within", 8, "a number"],
    ["A within 5", 10, "a unit of time: ms, s, minutes, hours, days or weeks"],
    ["A within 5 apples", 11, "a unit of time: ms, s, minutes, hours, days or weeks"],
    ["A within 0 s", 11, "more than no time"],
    ["A & !B", 4, "an event, *, or (: only what stands between arrows can be negated"],
    ["A ~> !B -> C", 5, "-> or => before a negation"],
    ["A -> !(B) -> C", 6, "an event or *"],
    ["A -> !", 6, "an event or *"],
    ["A -> !B{2} -> C", 7, "an arrow (-> => ~>), & | or the end"],
    ["A -> !x:B -> C", 7, "an arrow (-> => ~>), & | or the end"],
    ["(A | !B)", 5, "an event, *, or (: only what stands between arrows can be negated"],
    ["A{2}{3}", 4, "an arrow (-> => ~>), & | or the end"],
    ["A+?", 2, "an arrow (-> => ~>), & | or the end"],
    ["A{-1}", 2, "a count or a comma"],
    ["A{1.5}", 3, "a comma or }"],
    ["A{,0}", 3, "at least 1"],
    ["A{1,x}", 4, "}"],
    ["x:(A -> B)", 2, "an event or *"],
    ["x: -> B", 3, "an event or *"],
    ["A | ", 4, "an event, *, or ("],
    ["A &", 3, "an event, *, or ("],
    ["()", 1, "an event, *, or ("],
    ["(A B)", 3, "an arrow (-> => ~>), & | or )"],
    ["A)", 1, "an arrow (-> => ~>), & | or the end"],
    ["A = B", 2, "an arrow (-> => ~>), & | or the end"],
    ["A - > B", 2, "an arrow (-> => ~>), & | or the end"],
    ["7 -> B", 0, "an event, *, or ("],
    ["\"\"", 1, "a name"],
    ["(A within 1 s)", 3, "an arrow (-> => ~>), & | or )"],
    ["A within 1 s -> B", 13, "an arrow (-> => ~>), & | or the end"],
    ["A within -1 s", 9, "a number"],
    ["A within 5 constructor", 11, "a unit of time: ms, s, minutes, hours, days or weeks"],
    ["x:A -> x:B", 7, "a name that no other step has, for \"x\" is taken"],
    ["\"A", 2, "a closing \""],
    ["\"A\\\"", 4, "a closing \""],
    ["\"A\\n\"", 3, "\" or \\ after \\"],
    ["\"A\\", 3, "\" or \\ after \\"],
    ["A within5s", 2, "an arrow (-> => ~>), & | or the end"],
    ["A within 1 s within 2 s", 13, "an arrow (-> => ~>), & | or the end"],
    ["A{1,2}?", 6, "an arrow (-> => ~>), & | or the end"],
    [`${"(".repeat(101)}A`, 100, "at most 100 parentheses in each other"]
  ])("%s", (text, position, expected) => {
    const error = Either.getOrThrow(Either.flip(PatternText.parse(text)))
    assert.deepInclude(error, { _tag: "PatternSyntaxError", text, position, expected })
    assert.strictEqual(error.message.split("\n")[2], `${" ".repeat(position)}^`)
  })

  it("the mark stands under the character, where some before it have two places in the text", () => {
    const error: any = Either.getOrThrow(Either.flip(PatternText.parse("\"😀𝒳\" -> -> B")))
    assert.strictEqual(error.position, 10)
    assert.strictEqual(error.message, "expected an event, *, or ( at character 9\n\"😀𝒳\" -> -> B\n        ^")
  })

  it("however deep parentheses stand in each other, it is an answer", () => {
    const nested = (depth: number) => PatternText.parse("(".repeat(depth) + "A" + ")".repeat(depth))
    assert.isTrue(Either.isRight(nested(100)))
    assert.isTrue(Either.isRight(PatternText.parse(Array.from({ length: 200 }, () => "(A)").join(" -> "))))
    for (const depth of [101, 100_000]) {
      assert.deepInclude(Either.getOrThrow(Either.flip(nested(depth))), { _tag: "PatternSyntaxError", position: 100 })
    }
  })

  it("what is well written and no pattern names the step", () => {
    const error = Either.getOrThrow(Either.flip(PatternText.parse("A -> !B")))
    assert.deepInclude(error, { _tag: "InvalidPattern", step: "notFollowedBy B", reason: "trailingNegation" })
    const refused = (text: string) => {
      const { reason, step }: any = Either.getOrThrow(Either.flip(PatternText.parse(text)))
      return [step, reason]
    }
    assert.deepStrictEqual(refused("!A -> B"), ["notFollowedBy A", "leadingNegation"])
    assert.deepStrictEqual(refused("A -> (B -> !C) -> A"), ["notFollowedBy C", "trailingNegation"])
    assert.deepStrictEqual(refused("A{99999999999999999999}"), ["A", "count"])
    assert.deepStrictEqual(refused("(A?)+"), ["group of A", "emptyPart"])
    assert.deepStrictEqual(refused("A? | B"), ["or of A, B", "emptyPart"])
    assert.deepStrictEqual(refused("valueOf"), ["valueOf", "name"])
    assert.deepStrictEqual(parse("x:valueOf").definition.elements.map((one: any) => [one.name, one.tags]), [
      ["x", ["valueOf"]]
    ])
  })

  it("events that are not known", () => {
    const A = Event.make("A", {})
    assert.isTrue(Either.isRight(PatternText.parse("A -> A", { events: [A] })))
    const error = Either.getOrThrow(Either.flip(PatternText.parse("A -> B", { events: [A] })))
    assert.deepInclude(error, { _tag: "PatternSyntaxError", position: 5, expected: "one of the events A" })
  })

  it("no text makes it throw, or point outside of the text", () => {
    const characters = FastCheck.constantFrom(..."AB* -=~>!&|(){},?+0123:\"within minutes")
    FastCheck.assert(
      FastCheck.property(FastCheck.array(characters, { maxLength: 30 }), (all) => {
        const text = all.join("")
        const answer = PatternText.parse(text)
        if (Either.isLeft(answer) && answer.left._tag === "PatternSyntaxError") {
          assert.isAtMost(answer.left.position, text.length)
          assert.isAtLeast(answer.left.position, 0)
        }
      }),
      { numRuns: 5_000 }
    )
  })
})

describe("PatternText and StoredPattern", () => {
  const { pattern } = FastCheck.letrec<{ pattern: string; part: string; atom: string }>((tie) => ({
    atom: FastCheck.oneof(
      { maxDepth: 3 },
      FastCheck.tuple(
        FastCheck.constantFrom("A", "B", "*", "\"x y\""),
        FastCheck.constantFrom("", "?", "+", "{2}", "{1,3}")
      )
        .map((all) => all.join("")),
      FastCheck.tuple(tie("part"), FastCheck.constantFrom("", "{2,}")).map(([part, times]) => `(A -> ${part})${times}`)
    ),
    part: FastCheck.oneof(
      { maxDepth: 3 },
      tie("atom"),
      FastCheck.tuple(
        FastCheck.constantFrom("A", "B", "(A=>B)"),
        FastCheck.constantFrom("&", "|"),
        FastCheck.constantFrom("C", "D{2}")
      )
        .map((all) => all.join(" "))
    ),
    pattern: FastCheck.tuple(
      tie("part"),
      FastCheck.array(
        FastCheck.tuple(FastCheck.constantFrom("->", "=>", "~>", "-> !C ->", "=> !C =>"), tie("part")).map((all) =>
          all.join(" ")
        ),
        { maxLength: 4 }
      ),
      FastCheck.constantFrom("", "within 3 minutes")
    ).map(([first, rest, within]) => [first, ...rest, within].join(" "))
  }))

  it("spaces mean nothing, and what is stored is loaded again", () => {
    let read = 0
    FastCheck.assert(
      FastCheck.property(pattern, (text) => {
        const answer = PatternText.parse(text)
        if (Either.isLeft(answer)) {
          assert.strictEqual(answer.left._tag, "InvalidPattern", answer.left.message)
          return
        }
        read++
        const { definition } = answer.right
        const tight = text.replace(/ (?!y|within|minutes|3)/g, "")
        assert.deepStrictEqual(parse(tight).definition, definition)
        assert.deepStrictEqual(stored(answer.right).definition, JSON.parse(JSON.stringify(definition)))
      }),
      { numRuns: 1_000 }
    )
    assert.isAbove(read, 500)
  })

  const stored = (pattern: Pattern.Pattern<any, any>) =>
    Schema.decodeUnknownSync(StoredPattern.StoredPattern)(
      JSON.parse(JSON.stringify(Schema.encodeSync(StoredPattern.StoredPattern)(pattern)))
    )
})
