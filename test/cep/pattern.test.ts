import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import * as Condition from "effect-skald/cep/Condition"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Event from "effect-skald/event/Event"
import * as PatternOracle from "effect-skald/testing/PatternOracle"

const A = Event.make("A", { x: Schema.optional(Schema.Number) })
const B = Event.make("B", { x: Schema.optional(Schema.Number) })
const C = Event.make("C", { x: Schema.optional(Schema.Number) })
const any = (pattern: unknown) => pattern as Pattern.Pattern<any, any>
const begin = Pattern.begin("a", A)

/** What is refused as it is built. */
const refused = (build: () => unknown): readonly [string, string] => {
  try {
    build()
  } catch (error) {
    if (error instanceof Pattern.InvalidPattern) return [error.step, error.reason]
    throw error
  }
  throw new Error("was not refused")
}

/** What is refused once it is whole. */
const illegal = (pattern: Pattern.Pattern<any, any>): readonly [string, string] => {
  const { reason, step } = Either.getOrThrow(Either.flip(Pattern.check(pattern)))
  return [step, reason]
}

describe("Pattern: what is refused as it is built names the step", () => {
  const cases: ReadonlyArray<readonly [string, () => unknown, readonly [string, string]]> = [
    ["two steps of one name", () => any(begin).pipe(Pattern.next("a" as never, B)), ["a", "duplicateStep"]],
    ["a name in two alternatives", () => Pattern.or(begin, begin), ["a", "duplicateStep"]],
    ["an empty name", () => Pattern.begin("", A), ["", "name"]],
    [
      "a name in a group that another step has",
      () => {
        const group = Pattern.begin("b", B).pipe(Pattern.next("a", C), Pattern.group({ times: { min: 2 } }))
        return any(begin).pipe(Pattern.followedByPattern(group) as never)
      },
      ["a", "duplicateStep"]
    ],
    ["the name __proto__", () => Pattern.begin("__proto__", A), ["__proto__", "name"]],
    ["a name that every object has", () => Pattern.begin("toString", A), ["toString", "name"]],
    ["a negation at the beginning", () =>
      Pattern.fromDefinition({
        elements: [{ _tag: "Negation", contiguity: "notNext", tags: ["A"], where: [] }],
        skip: { _tag: "none" }
      }).pipe(Either.getOrThrowWith((error) => error)), ["notNext A", "leadingNegation"]],
    [
      "a negation that is taken several times",
      () => begin.pipe(Pattern.notFollowedBy(B, { times: { min: 2 } } as any)),
      [
        "notFollowedBy B",
        "count"
      ]
    ],
    ["a negation that may be left out", () => begin.pipe(Pattern.notNext(B, { optional: true } as any)), [
      "notNext B",
      "count"
    ]],
    ["a loop over a group at most zero times", () => begin.pipe(Pattern.group({ times: { min: 0, max: 0 } })), [
      "group of a",
      "count"
    ]],
    ["a consecutive group without a loop", () => begin.pipe(Pattern.group({ consecutive: true })), [
      "group of a",
      "count"
    ]],
    ["a group without a loop that allows combinations", () => begin.pipe(Pattern.group({ allowCombinations: true })), [
      "group of a",
      "count"
    ]],
    [
      "a greedy group",
      () => begin.pipe(Pattern.group({ times: { min: 1 }, greedy: true } as any)),
      ["group of a", "option"]
    ],
    [
      "a group that ends with `until`",
      () => begin.pipe(Pattern.group({ times: { min: 1 }, until: () => true } as any)),
      ["group of a", "option"]
    ],
    ["a word that no step knows", () => Pattern.begin("a", A, { time: { min: 1 } } as any), ["a", "option"]],
    ["a word that no count knows", () => Pattern.begin("a", A, { times: { min: 1, gap: 5 } } as any), ["a", "option"]],
    [
      "a word that no count of a group knows",
      () => begin.pipe(Pattern.group({ times: { min: 1, most: 5 } } as any)),
      ["group of a", "option"]
    ],
    [
      "a group that is consecutive and allows combinations",
      () => begin.pipe(Pattern.group({ times: { min: 1 }, consecutive: true, allowCombinations: true })),
      [
        "group of a",
        "greedyCombinations"
      ]
    ],
    [
      "a window of no time",
      () => Either.getOrThrowWith(Pattern.check(begin.pipe(Pattern.within(0))), (error) => error),
      [
        "the pattern",
        "duration"
      ]
    ],
    [
      "maximal inside of a group",
      () =>
        Pattern.begin("a", A, { times: { min: 1, max: 2 }, greedy: true, maximal: true }).pipe(
          Pattern.group({ times: { min: 2 } })
        ),
      ["a", "maximal"]
    ],
    ["a part that skips", () => Pattern.begin("b", B).pipe(Pattern.followedByPattern(begin.pipe(Pattern.skipToNext))), [
      "a",
      "nested"
    ]],
    ["an alternative that skips", () => Pattern.or(begin.pipe(Pattern.skipPastLast), Pattern.begin("b", B)), [
      "a",
      "nested"
    ]],
    ["a part in any order with a window", () => Pattern.and([Pattern.begin("b", B), begin.pipe(Pattern.within(5))]), [
      "a",
      "nested"
    ]],
    ["a loop over what has a window", () => begin.pipe(Pattern.within(5), Pattern.group({ times: { min: 2 } })), [
      "a",
      "nested"
    ]],
    [
      "a part in any order that ends with a negation",
      () => Pattern.and([begin.pipe(Pattern.notFollowedBy(C)), Pattern.begin("b", B)]),
      ["notFollowedBy C", "trailingNegation"]
    ],
    [
      "a loop over what ends with a negation",
      () => begin.pipe(Pattern.notFollowedBy(C), Pattern.group({ times: { min: 2 } })),
      ["notFollowedBy C", "trailingNegation"]
    ],
    ["one alternative", () => (Pattern.or as any)(begin), ["or of a", "parts"]],
    ["one part in any order", () => (Pattern.and as any)([begin]), ["and of a", "parts"]],
    [
      "a part in any order that may take no event",
      () => Pattern.and([begin, Pattern.begin("b", B, { times: { min: 0 } })]),
      ["and of a, b", "emptyPart"]
    ],
    [
      "no step at all",
      () =>
        Pattern.fromDefinition({ elements: [], skip: { _tag: "none" } }).pipe(Either.getOrThrowWith((error) => error)),
      ["the pattern", "emptyPart"]
    ],
    ["a negation with a time of its own", () => begin.pipe(Pattern.notNext(B, { within: 5 } as any)), [
      "notNext B",
      "count"
    ]],
    ["a step within no finite time", () => begin.pipe(Pattern.next("b", B, { within: Number.POSITIVE_INFINITY })), [
      "b",
      "duration"
    ]],
    ["a count that is no number", () => Pattern.begin("a", A, { times: { min: Number.NaN } }), ["a", "count"]],
    ["an endless count", () => Pattern.begin("a", A, { times: { min: 1, max: Number.POSITIVE_INFINITY } }), [
      "a",
      "count"
    ]],
    ["a negative count", () => Pattern.begin("a", A, { times: { min: -1 } }), ["a", "count"]],
    ["at most zero times", () => Pattern.begin("a", A, { times: { min: 0, max: 0 } }), ["a", "count"]],
    ["a fractional count", () => Pattern.begin("a", A, { times: { min: 1.5 } }), ["a", "count"]],
    ["more at least than at most", () => Pattern.begin("a", A, { times: { min: 3, max: 2 } }), ["a", "count"]],
    ["a gap of no time", () => Pattern.begin("a", A, { times: { min: 1, within: 0 } }), ["a", "duration"]],
    ["a step within no time", () => begin.pipe(Pattern.next("b", B, { within: 0 })), ["b", "duration"]],
    [
      "until with an upper bound",
      () => Pattern.begin("a", A, { times: { min: 1, max: 2 }, until: () => true } as any),
      ["a", "untilWithoutLoop"]
    ],
    ["until without a loop", () => Pattern.begin("a", A, { until: () => true } as any), ["a", "untilWithoutLoop"]],
    ["a greedy single step", () => Pattern.begin("a", A, { greedy: true } as any), ["a", "greedyWithoutLoop"]],
    ["a consecutive single step", () => Pattern.begin("a", A, { consecutive: true } as any), ["a", "count"]],
    [
      "greedy with combinations",
      () => Pattern.begin("a", A, { times: { min: 1 }, greedy: true, allowCombinations: true } as any),
      ["a", "greedyCombinations"]
    ],
    [
      "consecutive with combinations",
      () => Pattern.begin("a", A, { times: { min: 1 }, consecutive: true, allowCombinations: true } as any),
      ["a", "greedyCombinations"]
    ],
    [
      "maximal that is not greedy",
      () => Pattern.begin("a", A, { times: { min: 1, max: 2 }, maximal: true } as any),
      ["a", "maximal"]
    ],
    [
      "maximal that is not last",
      () =>
        Pattern.begin("a", A, { times: { min: 1, max: 2 }, greedy: true, maximal: true }).pipe(Pattern.next("b", B)),
      ["a", "maximal"]
    ],
    [
      "a part that ends with a negation",
      () => Pattern.begin("b", B).pipe(Pattern.followedByPattern(begin.pipe(Pattern.notNext(C)))),
      ["notNext C", "trailingNegation"]
    ],
    [
      "a loop over what may take no event",
      () => Pattern.begin("a", A, { optional: true }).pipe(Pattern.group({ times: { min: 1 } })),
      ["group of a", "emptyPart"]
    ],
    [
      "an alternative that may take no event",
      () => Pattern.or(Pattern.begin("a", A, { optional: true }), Pattern.begin("b", B)),
      ["or of a, b", "emptyPart"]
    ],
    [
      "nine parts in any order",
      () => Pattern.and("abcdefghi".split("").map((name) => Pattern.begin(name, A)) as any),
      ["and of a, b, c, d, e, f, g, h, i", "parts"]
    ],
    [
      "a part with a window of its own",
      () => Pattern.begin("b", B).pipe(Pattern.followedByPattern(begin.pipe(Pattern.within(5)))),
      ["a", "nested"]
    ],
    ["an event without a literal tag", () => Pattern.begin("a", Schema.Struct({ _tag: Schema.Number }) as any), [
      "a",
      "event"
    ]]
  ]
  it.each(cases)("%s", (_, build, expected) => assert.deepStrictEqual(refused(build), expected))
})

describe("Pattern: what is refused once it is whole", () => {
  it("a negation at the end, without a window", () => {
    assert.deepStrictEqual(illegal(begin.pipe(Pattern.notFollowedBy(B))), ["notFollowedBy B", "trailingNegation"])
    assert.isTrue(Either.isRight(Pattern.check(begin.pipe(Pattern.notFollowedBy(B), Pattern.within(5)))))
    assert.isTrue(Either.isRight(Pattern.check(begin.pipe(Pattern.notNext(B)))))
  })

  it("a gap that is larger than the window", () => {
    const pattern = begin.pipe(Pattern.next("b", B, { within: 6 }))
    assert.deepStrictEqual(illegal(pattern.pipe(Pattern.within(5))), ["b", "gap"])
    assert.isTrue(Either.isRight(Pattern.check(pattern.pipe(Pattern.within(6)))))
    const loop = Pattern.begin("a", A, { times: { min: 1, within: 6 } })
    assert.deepStrictEqual(illegal(loop.pipe(Pattern.within(5))), ["a", "gap"])
    const group = begin.pipe(Pattern.group({ times: { min: 1, within: 6 } }))
    assert.deepStrictEqual(illegal(group.pipe(Pattern.within(5))), ["group of a", "gap"])
    assert.isTrue(Either.isRight(Pattern.check(group.pipe(Pattern.within(6)))))
    const inside = Pattern.or(loop, Pattern.begin("b", B)).pipe(Pattern.group({ optional: true }))
    assert.deepStrictEqual(illegal(Pattern.begin("c", C).pipe(Pattern.followedByPattern(inside), Pattern.within(5))), [
      "a",
      "gap"
    ])
  })

  it("a step that is skipped to and does not exist, or at which every match begins", () => {
    assert.deepStrictEqual(illegal(any(begin).pipe(Pattern.skipToFirst("z"))), ["z", "unknownStep"])
    assert.deepStrictEqual(illegal(begin.pipe(Pattern.skipToFirst("a"))), ["a", "skipsToStart"])
    assert.deepStrictEqual(illegal(begin.pipe(Pattern.skipToLast("a"))), ["a", "skipsToStart"])
  })

  it("a condition on a step that does not exist", () => {
    const where = Condition.compare(Condition.field("x"), "=", Condition.last("z", "x"))
    assert.deepStrictEqual(illegal(Pattern.begin("a", A, { where })), ["a", "unknownStep"])
    assert.deepStrictEqual(illegal(Pattern.begin("a", A, { times: { min: 1 }, until: where })), ["a", "unknownStep"])
    const not = Pattern.begin("a", A).pipe(Pattern.notNext(B, { where: Condition.not(Condition.all(where)) }))
    assert.deepStrictEqual(illegal(not), ["notNext B", "unknownStep"])
    const joined = begin.pipe(Pattern.followedBy("b", B, { where: Condition.joined("x", "z") }))
    assert.deepStrictEqual(illegal(joined), ["b", "unknownStep"])
  })

  it("a maximal loop that nothing closes", () => {
    const pattern = Pattern.begin("a", A, { times: { min: 1 }, greedy: true, maximal: true })
    assert.deepStrictEqual(illegal(pattern), ["a", "maximal"])
    assert.isTrue(Either.isRight(Pattern.check(pattern.pipe(Pattern.within(5)))))
  })
})

/** The positions of each match in a string of one letter for each event, a capital for the tag. */
const positions = (pattern: unknown, letters: string, end?: number) =>
  PatternOracle.run(
    any(pattern),
    [...letters].map((_tag, x) => ({ _tag, x })),
    { timestamp: ({ x }) => x, end }
  ).matches.map(({ events }) => events.map(([step, index]) => `${step}${index}`).join(" "))

describe("Pattern: what the worked cases leave open", () => {
  const a = Pattern.begin("a", A)
  const b = Pattern.begin("b", B)

  it("alternatives are independent of each other", () => {
    const pattern = a.pipe(Pattern.followedByPattern(Pattern.or(b, Pattern.begin("c", C))))
    assert.deepStrictEqual(positions(pattern, "ABC"), ["a0 b1", "a0 c2"])
    assert.deepStrictEqual(positions(pattern, "ACCB"), ["a0 c1", "a0 b3"])
  })

  it("all in any order", () => {
    const pattern = Pattern.and([a, b, Pattern.begin("c", C)])
    assert.deepStrictEqual(positions(pattern, "CAB"), ["c0 a1 b2"])
    assert.deepStrictEqual(positions(pattern, "BXAC"), ["b0 a2 c3"])
    assert.deepStrictEqual(positions(pattern, "AABC"), ["a0 b2 c3", "a1 b2 c3"])
    assert.deepStrictEqual(positions(Pattern.and([a, b], { contiguity: "next" }), "AXBA"), ["b2 a3"])
  })

  it("an upper bound on a greedy loop can leave a run with nowhere to go", () => {
    const pattern = Pattern.begin("c", C).pipe(
      Pattern.followedBy("a", A, { times: { min: 2, max: 5 }, greedy: true }),
      Pattern.followedBy("b", B)
    )
    assert.deepStrictEqual(positions(pattern, "CAAAAAAB"), [])
    assert.deepStrictEqual(positions(pattern, "CAAAAAB"), ["c0 a1 a2 a3 a4 a5 b6"])
  })

  it("a maximal loop is reported once, when it closes", () => {
    const loop = { times: { min: 2 }, greedy: true, maximal: true } as const
    const byTime = Pattern.begin("a", A, loop).pipe(Pattern.within(4))
    assert.deepStrictEqual(positions(byTime, "AAXAX"), ["a0 a1 a3"])
    assert.deepStrictEqual(positions(byTime, "AAXA"), [])
    assert.deepStrictEqual(positions(byTime, "AAXA", 4), ["a0 a1 a3"])
    const byEvent = Pattern.begin("a", A, { ...loop, consecutive: true })
    assert.deepStrictEqual(positions(byEvent, "AAAXAA"), ["a0 a1 a2", "a1 a2"])
    const byUntil = Pattern.begin("a", A, { ...loop, until: ({ x }) => x === 3 })
    assert.deepStrictEqual(positions(byUntil, "AAAA"), ["a0 a1 a2", "a1 a2"])
    const byCount = Pattern.begin("a", A, { ...loop, times: { min: 1, max: 2 } })
    assert.deepStrictEqual(positions(byCount, "AAA"), ["a0 a1", "a1 a2"])
  })

  it("the window is strict: events exactly as far apart are no match", () => {
    const pattern = a.pipe(Pattern.followedBy("b", B), Pattern.within(2))
    assert.deepStrictEqual(positions(pattern, "AB"), ["a0 b1"])
    assert.deepStrictEqual(positions(pattern, "AXB"), [])
  })

  it("a negation at the end is reported as time passes, with no event needed", () => {
    const pattern = a.pipe(Pattern.notFollowedBy(B), Pattern.within(3))
    assert.deepStrictEqual(positions(pattern, "A", 2), [])
    assert.deepStrictEqual(positions(pattern, "A", 3), ["a0"])
    assert.deepStrictEqual(positions(pattern, "AXXB"), ["a0"])
    assert.deepStrictEqual(positions(pattern, "AXB", 9), [])
  })

  it("what comes too late is reported as timed out", () => {
    const pattern = a.pipe(Pattern.followedBy("b", B), Pattern.followedBy("c", C), Pattern.within(3))
    const { matches, timedOut } = PatternOracle.run(
      any(pattern),
      [..."ABXXC"].map((_tag, x) => ({ _tag, x })),
      { timestamp: ({ x }) => x }
    )
    assert.deepStrictEqual(matches, [])
    assert.deepStrictEqual(timedOut, [{ events: [["a", 0], ["b", 1]], reportedAt: 3 }])
  })

  it("skipping where there is nothing to skip to", () => {
    const pattern = a.pipe(Pattern.next("b", B, { optional: true }), Pattern.next("c", C))
    const run = (failOnMiss: boolean) =>
      PatternOracle.run(
        any(pattern.pipe(Pattern.skipToFirst("b", { failOnMiss }))),
        [..."ACABC"].map((_tag) => ({ _tag }))
      )
    assert.strictEqual(run(false).matches.length, 2)
    assert.isUndefined(run(false).missed)
    assert.strictEqual(run(true).matches.length, 1)
    assert.deepStrictEqual(run(true).missed?.events, [["a", 0], ["c", 1]])
  })

  it("joins ask for equality with every event of a step, and nothing of one that took none", () => {
    const pattern = Pattern.begin("a", A).pipe(
      Pattern.followedBy("b", B, { join: { x: "a" }, optional: true }),
      Pattern.followedBy("c", C, { join: { x: "b" } })
    )
    const run = (...xs: ReadonlyArray<number>) =>
      PatternOracle.run(pattern, xs.map((x, i) => ({ _tag: (["A", "B", "C"] as const)[i] ?? "C", x })))
        .matches.map(({ events }) => events.length)
    assert.deepStrictEqual(run(1, 1, 1), [3, 2])
    assert.deepStrictEqual(run(1, 1, 2), [2])
    assert.deepStrictEqual(run(1, 2, 2), [2])
  })

  it("matches bind as their type says", () => {
    const pattern = Pattern.begin("a", A, { times: { min: 0 } }).pipe(
      Pattern.followedBy("b", B),
      Pattern.followedByPattern(
        Pattern.or(
          Pattern.begin("c", C).pipe(Pattern.next("d", A, { times: { min: 0 }, consecutive: true })),
          Pattern.begin("e", A)
        )
      )
    )
    const { matches } = PatternOracle.run(pattern, [B({}), A({}), C({})])
    assert.deepStrictEqual(matches.map(({ match }) => match), [
      { a: [], b: B({}), e: A({}) },
      { a: [], b: B({}), c: C({}), d: [] }
    ])
  })
})
