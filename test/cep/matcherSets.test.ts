import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Stream } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import { A, type Any, B, C, keyBy, pattern, timestamp } from "../support/letters.ts"

/** Partial matches held as sets, against the same kept one by one: longer sequences than the oracle takes. */

const shown = (events: ReadonlyArray<Matcher.Taken<Any>>) =>
  events.map(({ event, index, step }) => `${step}${index}@${event.at}`).join(" ")
const lines = (outputs: ReadonlyArray<Matcher.Output<any, Any>>): ReadonlyArray<string> =>
  outputs.flatMap((output) => {
    if (output._tag === "Matches") {
      const all = [...output.matches].map(({ events }) => `${output.key}@${output.time} ${shown(events)}`)
      return [`${output.matches.count}`, shown(output.matches.first.events), ...all]
    }
    return [output._tag === "Late" ? "late" : `${output._tag} ${output.key} ${shown(output.events)}`]
  })
const waiting = (session: Matcher.Session<any, Any>) =>
  session.partialMatches().map(({ awaits, events, key }) => `${key} ${shown(events)}: ${[...awaits].sort()}`).sort()

const combinations = Pattern.begin("a", A, { times: { min: 1 }, allowCombinations: true }).pipe(
  Pattern.followedBy("b", B)
)

const patterns: ReadonlyArray<readonly [string, Pattern.Pattern<any, any>]> = [
  ...[
    "A ~> B ~> C within 12 ms",
    "A -> B{2,} -> C within 20 ms",
    "A ~> (B | C) ~> A within 9 ms",
    "A & B & C within 15 ms",
    "A => !B -> C"
  ].map((text) => [text, pattern(text)] as const),
  [
    "A, then none of C before B, once or more, and A at once",
    Pattern.begin("a", A).pipe(
      Pattern.notFollowedBy(C),
      Pattern.followedByAny("b", B, { times: { min: 1 } }),
      Pattern.next("d", A),
      Pattern.within(20)
    )
  ],
  [
    "A, then B, and C is not next",
    Pattern.begin("a", A).pipe(Pattern.followedByAny("b", B), Pattern.notNext(C), Pattern.within(9))
  ],
  ["combinations of A, then B", combinations.pipe(Pattern.within(8))],
  [
    "any event, taken by one of two steps",
    Pattern.begin("x", Pattern.anyEvent).pipe(
      Pattern.followedByAnyPattern(
        Pattern.or(Pattern.begin("y", Pattern.anyEvent), Pattern.begin("z", Pattern.anyEvent))
      ),
      Pattern.next("b", B),
      Pattern.within(9)
    )
  ]
]

const sequences = FastCheck.array(
  FastCheck.record({
    tag: FastCheck.constantFrom(A, A, B, B, C),
    key: FastCheck.constantFrom("x", "y"),
    wait: FastCheck.nat(2)
  }),
  { minLength: 10, maxLength: 60 }
).map((all) => {
  let at = 0
  return all.map(({ key, tag, wait }) => tag({ key, at: at += wait }))
})

describe("Matcher: partial matches held as sets", () => {
  it.each(patterns)("are the same, in the same order, as one by one: %s", (_, pattern) => {
    FastCheck.assert(
      FastCheck.property(sequences, FastCheck.nat(60), FastCheck.integer({ min: 1, max: 9 }), (events, rest, size) => {
        const caps = { maxPartialMatches: 10_000_000, maxPartialMatchesPerKey: 10_000_000 }
        const runs = Matcher.open(Matcher.make(pattern, { timestamp, keyBy, tier: "runs", ...caps }))
        const matcher = Matcher.make(pattern, { timestamp, keyBy, ...caps })
        assert.strictEqual(matcher.tier.name, "sets")
        let sets = Matcher.open(matcher)
        // looked at when all is over: what is held by then has moved on
        const told: Array<Matcher.Output<any, Any>> = []
        for (let at = 0; at < events.length; at += size) {
          if (at <= rest && rest < at + size) sets = Matcher.open(matcher, structuredClone(sets.snapshot()))
          told.push(...sets.push(events.slice(at, at + size)))
        }
        assert.deepStrictEqual(lines(told), lines(runs.push(events)))
        assert.deepStrictEqual(waiting(sets), waiting(runs))
        assert.strictEqual(sets.stats().partialMatches, runs.stats().partialMatches)
        assert.strictEqual(sets.stats().keys, runs.stats().keys)
        const end = (events.at(-1)?.at ?? 0) + 1_000
        assert.deepStrictEqual(sets.advance(end), [])
        if (pattern.definition.within !== undefined) {
          assert.deepInclude(sets.stats(), { partialMatches: 0, keys: 0 })
        }
      }),
      { numRuns: 60, seed: 20220905 }
    )
  })

  it("are the same, in the same order, as one by one, where thousands of keys come, go and come again", () => {
    const strict: Pattern.Pattern<any, any> = Pattern.begin("a", A).pipe(Pattern.next("b", B))
    const runs = Matcher.open(Matcher.make(strict, { keyBy, tier: "runs" }))
    const sets = Matcher.open(Matcher.make(strict, { keyBy }))
    const keys = Array.from({ length: 4_001 }, (_, n) => `k${n * 37 % 4_001}`)
    for (const [round, step] of [1, 3, 2].entries()) {
      const some = keys.filter((_, n) => n % step === 0)
      const order = round === 1 ? some.toReversed() : some
      const begun = order.map((key, n) => A({ key, at: n }))
      const over = some.map((key, n) => (n % 2 === 0 ? B : C)({ key, at: n }))
      assert.deepStrictEqual(lines(sets.push(begun)), lines(runs.push(begun)))
      assert.deepStrictEqual(sets.partialMatches().map(({ key }) => key), order)
      assert.deepStrictEqual(runs.partialMatches().map(({ key }) => key), order)
      const half = over.length >> 1
      assert.deepStrictEqual(lines(sets.push(over.slice(0, half))), lines(runs.push(over.slice(0, half))))
      assert.strictEqual(sets.stats().keys, order.length - half)
      assert.deepStrictEqual(waiting(sets), waiting(runs))
      assert.deepStrictEqual(lines(sets.push(over.slice(half))), lines(runs.push(over.slice(half))))
      assert.deepInclude(sets.stats(), { keys: 0, partialMatches: 0 })
    }
    assert.strictEqual(sets.stats().matches, 2_001 + 667 + 1_001)
  })

  it("134,217,727 matches are counted, and the first of them had, without the others", () => {
    const session = Matcher.open(Matcher.make(combinations))
    const as = Array.from({ length: 27 }, (_, at) => A({ at }))
    const [output] = session.push([...as, B({ at: 27 })])
    if (output?._tag !== "Matches") return assert.fail("no matches")
    assert.strictEqual(output.matches.count, 2 ** 27 - 1)
    assert.strictEqual(session.stats().matches, 2 ** 27 - 1)
    const taken = (found: (typeof output.matches)["first"] | undefined) => found?.match.a.map(({ at }) => at)
    const all = as.map(({ at }) => at)
    assert.deepStrictEqual(taken(output.matches.first), all)
    const three = Effect.runSync(Stream.runCollect(Stream.take(output.matches.stream, 3)))
    const [, second, third] = Chunk.toReadonlyArray(three)
    assert.deepStrictEqual(taken(second), all.filter((at) => at !== 26))
    assert.deepStrictEqual(taken(third), all.filter((at) => at !== 25))
  })

  it("what a window holds is bounded by its events, whatever was seen before", () => {
    const session = Matcher.open(Matcher.make(pattern("A ~> B ~> C within 300 ms"), { timestamp }))
    for (let at = 0; at < 30_000; at++) session.push([(at % 2 === 0 ? A : B)({ at })])
    const { events, nodes } = session.snapshot()
    assert.isAtMost(events.length, 300)
    assert.isAtMost(nodes.length, 600)
    // each A with each B after it, and each A alone
    assert.strictEqual(session.stats().partialMatches, 150 * 151 / 2 + 150)
    assert.isAtMost(session.stats().mostPartialMatches, 3 * 300 + 1_024)
  })

  it("what was worked out for states that are gone is forgotten, and runs go on", () => {
    const loop = Pattern.begin("c", C).pipe(Pattern.followedBy("a", A, { times: { min: 12_000, max: 12_000 } }))
    const session = Matcher.open(Matcher.make(loop))
    session.push([C({ at: 0 })])
    session.push(Array.from({ length: 11_999 }, (_, at) => A({ at })))
    assert.strictEqual(session.stats().partialMatches, 1)
    const [output] = session.push([A({ at: 11_999 }), A({ at: 12_000 })])
    if (output?._tag !== "Matches") return assert.fail("no matches")
    assert.strictEqual(output.matches.count, 1)
    assert.strictEqual(output.matches.first.events.length, 12_001)
    assert.strictEqual(session.stats().keys, 0)
  })

  it("a session that asks for time-outs goes on from sets, one by one", () => {
    const sets = Matcher.open(Matcher.make(pattern("A ~> B ~> C within 10 ms"), { timestamp }))
    sets.push([A({ at: 0 }), A({ at: 1 }), B({ at: 2 })])
    const runs = Matcher.open(
      Matcher.make(pattern("A ~> B ~> C within 10 ms"), { timestamp, timedOut: true }),
      sets.snapshot()
    )
    assert.deepStrictEqual(lines(runs.push([C({ at: 3 })])), [
      "2",
      "A0@0 B2@2 C3@3",
      "@3 A0@0 B2@2 C3@3",
      "@3 A1@1 B2@2 C3@3"
    ])
    assert.deepStrictEqual(lines(runs.advance(10)), ["TimedOut  A0@0 B2@2", "TimedOut  A0@0"])
  })

  it("a session of sets goes on from runs", () => {
    const text = "A ~> B ~> C within 10 ms"
    const runs = Matcher.open(Matcher.make(pattern(text), { timestamp, tier: "runs" }))
    runs.push([A({ at: 0 }), B({ at: 2 })])
    const sets = Matcher.open(Matcher.make(pattern(text), { timestamp }), runs.snapshot())
    assert.deepStrictEqual(lines(sets.push([C({ at: 3 })])), ["1", "A0@0 B1@2 C2@3", "@3 A0@0 B1@2 C2@3"])
  })
})

describe("Matcher: caps on what sets hold", () => {
  const run = (options: Matcher.Options<Any>) => {
    const session = Matcher.open(Matcher.make(pattern("A ~> B ~> C"), { keyBy, ...options }))
    const outputs = session.push([
      A({ key: "x", at: 0 }),
      A({ key: "x", at: 1 }),
      B({ key: "x", at: 2 }),
      B({ key: "x", at: 3 }),
      A({ key: "y", at: 4 }),
      C({ key: "x", at: 5 })
    ])
    return { outputs: lines(outputs).slice(0, 8), stats: session.stats() }
  }

  it("they are on the events taken, which partial matches share", () => {
    const { outputs, stats } = run({ maxPartialMatchesPerKey: 4, maxPartialMatches: 5 })
    assert.strictEqual(outputs[0], "4")
    assert.deepInclude(stats, { matches: 4, overflowed: 0, mostPartialMatches: 5, partialMatches: 7 })
  })

  it("the oldest go with all that has begun with them", () => {
    const { outputs, stats } = run({ maxPartialMatchesPerKey: 3, onOverflow: "dropOldest" })
    assert.deepStrictEqual(outputs.slice(0, 3), ["Overflow x A0@0", "2", "A1@1 B2@2 C5@5"])
    assert.deepInclude(stats, { overflowed: 1, matches: 2 })
  })

  it("of all keys, the oldest", () => {
    const { outputs } = run({ maxPartialMatches: 4, onOverflow: "dropOldest" })
    assert.deepStrictEqual(outputs.slice(0, 2), ["Overflow x A0@0", "2"])
  })

  it("the newest is not taken", () => {
    const { outputs, stats } = run({ maxPartialMatchesPerKey: 3, onOverflow: "dropNewest" })
    assert.deepStrictEqual(outputs.slice(0, 3), ["Overflow x A1@1 B3@3", "2", "A0@0 B2@2 C5@5"])
    assert.deepInclude(stats, { overflowed: 1, matches: 2 })
  })

  it("or it fails", () => {
    assert.deepStrictEqual(run({ maxPartialMatchesPerKey: 3 }).outputs, ["Failed x A1@1 B3@3"])
  })

  it.each(["dropOldest", "dropNewest", "fail"] as const)(
    "a rest at a full cap makes no difference: %s",
    (onOverflow) => {
      const cap = FastCheck.integer({ min: 1, max: 20 })
      FastCheck.assert(
        FastCheck.property(
          FastCheck.constantFrom("A ~> B ~> C within 12 ms", "A -> B{2,} -> C", "A ~> B+ ~> C within 30 ms"),
          sequences,
          FastCheck.array(FastCheck.nat(60), { maxLength: 4 }),
          cap,
          cap,
          (text, events, rests, maxPartialMatchesPerKey, maxPartialMatches) => {
            const matcher = Matcher.make(pattern(text), {
              timestamp,
              keyBy,
              onOverflow,
              maxPartialMatchesPerKey,
              maxPartialMatches
            })
            const whole = Matcher.open(matcher)
            let rested = Matcher.open(matcher)
            for (const [at, event] of events.entries()) {
              if (rests.includes(at)) rested = Matcher.open(matcher, structuredClone(rested.snapshot()))
              assert.deepStrictEqual(lines(rested.push([event])), lines(whole.push([event])))
              assert.isAtMost(whole.stats().mostPartialMatches, maxPartialMatches)
            }
            assert.deepStrictEqual(waiting(rested), waiting(whole))
            assert.deepStrictEqual(rested.stats().overflowed, whole.stats().overflowed)
          }
        ),
        { numRuns: 150, seed: 20220906 }
      )
    }
  )

  it("what has ended does not count", () => {
    const either = pattern("(C -> B) | (A => B)")
    const session = Matcher.open(Matcher.make(either, { maxPartialMatchesPerKey: 3 }))
    session.push([C({ at: 0 })])
    for (let at = 1; at < 100; at++) assert.deepStrictEqual(session.push([A({ at })]), [])
    assert.deepInclude(session.stats(), { partialMatches: 2, overflowed: 0, keys: 1 })
  })

  it("what the window has let go of does not count", () => {
    const session = Matcher.open(
      Matcher.make(pattern("A ~> B within 10 ms"), { timestamp, maxPartialMatchesPerKey: 10 })
    )
    for (let at = 0; at < 1_000; at++) assert.deepStrictEqual(session.push([A({ at })]), [])
    assert.deepInclude(session.stats(), { partialMatches: 10, overflowed: 0 })
  })
})

describe("Matcher: what is held as sets", () => {
  const tier = (pattern: Pattern.Pattern<any, any>, options: Matcher.Options<any> = {}) =>
    Matcher.make(pattern, { timestamp, ...options }).tier

  it("is said, with the reason", () => {
    const begin = Pattern.begin("a", A)
    assert.strictEqual(tier(begin).name, "sets")
    const reasons = [
      tier(begin.pipe(Pattern.followedBy("b", B, { where: (b, { a }) => b.at > a.at }))),
      tier(begin.pipe(Pattern.followedBy("b", B, { join: { key: "a" } }))),
      tier(begin.pipe(Pattern.next("b", B, { within: "1 second" }))),
      tier(begin.pipe(Pattern.notFollowedBy(B), Pattern.within("1 second"))),
      tier(Pattern.skipPastLast(begin)),
      tier(begin, { timedOut: true }),
      tier(begin, { tier: "runs" }),
      tier(Pattern.begin("a", A, { times: { min: 1 }, greedy: true, maximal: true }).pipe(Pattern.within("1 second")))
    ]
    assert.deepStrictEqual(reasons.map(({ name, why }) => `${name}: ${why}`), [
      "runs: a condition of \"b\" looks at more than its own event, or may: each partial match answers for itself",
      "runs: a condition of \"b\" looks at more than its own event, or may: each partial match answers for itself",
      "runs: the time between an event and the one before it is limited",
      "runs: it ends with a negation, for which each partial match waits until its own window has passed",
      "runs: after a match, skipPastLast prunes partial matches one by one, by where they began",
      "runs: partial matches whose time is over are told, one by one",
      "runs: the options ask for it",
      "runs: \"a\" is maximal, and may close as the window of a partial match passes"
    ])
  })

  it("a function looks at one event where its text leaves no doubt", () => {
    const where = (where: (...all: ReadonlyArray<any>) => boolean) => tier(Pattern.begin("a", A, { where } as any)).name
    assert.strictEqual(where((a: any) => a.at > 1), "sets")
    assert.strictEqual(where(({ at }: any) => [at].some((one) => one > 1)), "sets")
    assert.strictEqual(
      where(function(a: any) {
        return a.at > 1
      }),
      "sets"
    )
    assert.strictEqual(where((a: any, soFar: any) => a !== soFar), "runs")
    assert.strictEqual(where((...all: ReadonlyArray<any>) => all.length > 1), "runs")
    assert.strictEqual(where((a: any, soFar: any = {}) => a !== soFar), "runs")
    assert.strictEqual(
      where(function(_a: any) {
        return arguments.length > 1
      }),
      "runs"
    )
    assert.strictEqual(where(Math.sign as any), "runs")
  })
})
