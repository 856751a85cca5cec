import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Law from "effect-skald/testing/Law"
import * as PatternLaws from "effect-skald/testing/PatternLaws"
import * as PatternOracle from "effect-skald/testing/PatternOracle"

/** 10,000 pairs; the long run is test/soak/cep.soak.ts. */
const batches = 20
const numRuns = 250

/** A law in batches, between which the runner's worker hears of its parent. */
const checked = (law: Law.Law, seed: number) =>
  Effect.forEach(
    Array.from({ length: batches }, (_, batch) => seed + batch),
    (seed) =>
      Effect.zipRight(
        Law.check(law, { numRuns, seed }),
        Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      ),
    { discard: true }
  )

describe("Matcher: engine = oracle", () => {
  it.effect(
    "over random patterns of every construct and random events",
    () => checked(PatternLaws.engineIsOracle({ cases: PatternLaws.cases, timestamp: ({ at }) => at }), 20011214),
    120_000
  )

  it.effect(
    "over random patterns whose partial matches are held as sets: as sets, one by one, and from the one to the other",
    () =>
      checked(
        PatternLaws.engineIsOracle({ cases: PatternLaws.setCases, timestamp: ({ at }) => at, timedOut: false }),
        20220901
      ),
    120_000
  )

  it.effect("where they differ, the smallest case is printed as a program", () =>
    Effect.gen(function*() {
      // a clock that tells the second who asks, the engine, of more time between events
      const asked = new WeakSet<PatternLaws.Letter>()
      const timestamp = (event: PatternLaws.Letter): number => {
        if (asked.has(event)) return event.at * 4
        asked.add(event)
        return event.at
      }
      const error = yield* Effect.flip(
        Law.check(PatternLaws.engineIsOracle({ cases: PatternLaws.cases, timestamp }), { numRuns: 500, seed: 5 })
      )
      assert.include(error.message, "engine = oracle")
      assert.include(error.message, "const pattern = Either.getOrThrow(Pattern.fromDefinition({")
      assert.include(error.message, "PatternOracle.run(pattern, events")
    }))

  it("of the patterns that are drawn, those that look at one event are held as sets", () => {
    const tiers = (cases: FastCheck.Arbitrary<PatternLaws.Case<PatternLaws.Letter>>) =>
      FastCheck.sample(cases, { numRuns: 500, seed: 4 })
        .map(({ pattern }) => Matcher.make(pattern, { timestamp: () => 0 }).tier.name)
    assert.deepStrictEqual([...new Set(tiers(PatternLaws.setCases))], ["sets"])
    const sets = tiers(PatternLaws.cases).filter((tier) => tier === "sets").length
    assert.isAbove(sets, 50)
    assert.isBelow(sets, 250)
  })

  it("the cases that are drawn have every construct, and many have matches and partial matches that time out", () => {
    const drawn = FastCheck.sample(PatternLaws.cases, { numRuns: 1_000, seed: 3 })
    const answers = drawn.map(({ end, events, pattern }) =>
      PatternOracle.run(pattern, events, { timestamp: ({ at }) => at, end })
    )
    const count = (what: (answer: (typeof answers)[number]) => boolean) => answers.filter(what).length
    assert.isAbove(count(({ matches }) => matches.length > 0), 400)
    assert.isAbove(count(({ matches }) => matches.some(({ events }) => events.length > 2)), 70)
    assert.isAbove(count(({ timedOut }) => timedOut.length > 0), 150)
    assert.isAbove(count(({ missed }) => missed !== undefined), 5)
    const text = drawn.map(({ pattern }) => JSON.stringify(pattern.definition))
    const constructs = [
      ...["Group", "Or", "And", "Negation", "Joined", "Bound"].map((tag) => `"_tag":"${tag}"`),
      ...["next", "followedBy", "followedByAny", "notNext", "notFollowedBy"].map((how) => `"contiguity":"${how}"`),
      ...["next", "followedBy", "followedByAny"].map((how) => `"inner":"${how}"`),
      ...["none", "toNext", "pastLast", "toFirst", "toLast"].map((how) => `"skip":{"_tag":"${how}"`),
      "\"optional\":true",
      "\"greedy\":true",
      "\"maximal\":true",
      "\"until\":[{",
      "\"gap\":",
      "\"within\":",
      "\"max\":"
    ]
    for (const construct of constructs) {
      assert.isAbove(text.filter((one) => one.includes(construct)).length, 3, construct)
    }
  })
})
