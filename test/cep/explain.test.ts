import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as PatternText from "effect-skald/cep/PatternText"
import * as PatternLaws from "effect-skald/testing/PatternLaws"

type Letter = PatternLaws.Letter
const timestamp = ({ at }: Letter) => at
const explain = (pattern: Pattern.Pattern<any, any>, options: Matcher.Options<any> = {}) =>
  Matcher.explain(Matcher.make(pattern, { timestamp, ...options }))
const parse = (text: string) => Either.getOrThrowWith(PatternText.parse(text), (error) => error)

/** A line of a flow chart, as Mermaid reads it: nodes by plain names, texts in quotes that nothing in them ends. */
const line =
  /^ {2}(s\d+\(\[start\]\)|s\d+ -->\|"[^"`\n]+"\| s\d+|s\d+ -->(\|[a-z ]+\|)? match\(\(match\)\)|s\d+ -\.-> more\["\d+ more states"\])$/
const isMermaid = (diagram: string): boolean => {
  const [head, ...lines] = diagram.split("\n")
  return head === "flowchart LR" && lines.every((one) => line.test(one))
}

describe("explain: the diagram", () => {
  it("is a flow chart of every pattern, in which each state can be reached", () => {
    FastCheck.assert(
      FastCheck.property(PatternLaws.cases, ({ pattern }) => {
        const { diagram, states } = explain(pattern)
        assert.isTrue(isMermaid(diagram), diagram)
        const reached = new Set([...diagram.matchAll(/\| s(\d+)$/gm)].map(([, state]) => Number(state)))
        for (let state = 1; state < Math.min(states, 50); state++) assert.isTrue(reached.has(state), diagram)
        assert.include(diagram, "match((match))")
      }),
      { numRuns: 300, seed: 81 }
    )
  })

  it("whatever steps are called", () => {
    const names = ["a\nb", "\"quoted\"", "`code`", "#quot;", "end", "a|b", "a]b", "<b>", "%% c", "ä→ß", "  "]
    for (const name of names) {
      const step = Pattern.begin(name, Pattern.anyEvent)
      const { diagram } = explain(Pattern.begin("x", Pattern.anyEvent).pipe(Pattern.nextPattern(step as never)))
      assert.isTrue(isMermaid(diagram), diagram)
    }
    const { diagram } = explain(Pattern.begin("say \"#1\"", Pattern.anyEvent))
    assert.include(diagram, "|\"say #34;#35;1#34;\"|")
  })

  it("of many states shows fifty, and says how many more there are", () => {
    const { diagram, states, warnings } = explain(parse("A{60} -> B"))
    assert.strictEqual(states, 62)
    assert.isTrue(isMermaid(diagram))
    assert.include(diagram, "s49 -.-> more[\"12 more states\"]")
    assert.deepStrictEqual(warnings.length, 1)
    const many = explain(parse("A{20000}"))
    assert.strictEqual(many.states, 10_000)
    assert.include(many.warnings, "there are more than 10000 states")
  })

  it("says what each step asks beside its event", () => {
    const { diagram } = explain(
      Pattern.begin("a", Pattern.anyEvent, { times: { min: 1 }, greedy: true, until: () => false }).pipe(
        Pattern.notFollowedBy(Pattern.anyEvent, { where: () => false }),
        Pattern.followedBy("b", Pattern.anyEvent, { within: 7 }),
        Pattern.notNext(Pattern.anyEvent, { where: () => false }),
        Pattern.followedByAny("c", Pattern.anyEvent),
        Pattern.notFollowedBy(Pattern.anyEvent, { where: () => false }),
        Pattern.within(9)
      )
    )
    for (
      const text of [
        "\"a (until)\"",
        "\"-> a (none between, until)\"",
        "\"-> b (none between, after greedy, < 7 ms)\"",
        "\"~> c (not next)\"",
        "-->|window passes| match((match))"
      ]
    ) {
      assert.include(diagram, text)
    }
    assert.include(explain(parse("A => !B")).diagram, "-->|next is not| match((match))")
  })
})

describe("explain: what bounds what is held", () => {
  it.each([
    ["A => B => C", "strict"],
    ["A => B{2} => C within 1 s", "window"],
    ["A => B => C within 1 s", "strict"],
    ["A -> B within 1 s", "window"],
    ["A -> B+ -> C+ -> D within 1 s", "window"],
    ["(A -> B)+ -> C within 1 s", "window"],
    ["A ~> B within 1 s", "combinations"],
    // the loop inside is left at each of its elements, in every round
    ["(A+ -> B)+ -> C within 1 s", "combinations"],
    ["(A -> B?)+ -> C within 1 s", "combinations"],
    ["A => (* | *)+ => C within 1 s", "combinations"],
    ["A -> B", "unbounded"],
    ["(A+ -> B)+ -> C", "unbounded"]
  ])("%s: %s", (text, bound) => {
    const pattern = parse(text)
    assert.strictEqual(explain(pattern, { tier: "runs" }).bound, bound)
    const sets = explain(pattern)
    assert.strictEqual(sets.tier, "sets")
    assert.strictEqual(sets.bound, bound === "combinations" ? "window" : bound)
    assert.strictEqual(sets.warnings.length, bound === "unbounded" ? 1 : 0)
  })

  it("a loop whose elements follow each other at once goes on for as long as they come", () => {
    const loop = Pattern.begin("a", Pattern.anyEvent, { times: { min: 1 }, consecutive: true }).pipe(
      Pattern.next("c", Pattern.anyEvent, { where: () => false })
    )
    assert.strictEqual(explain(loop).bound, "unbounded")
    assert.strictEqual(explain(loop.pipe(Pattern.within(5))).bound, "window")
  })

  it("is true: strict is gone with the next event, and what is bound by the window does not double", () => {
    const bounds: Record<string, number> = {}
    FastCheck.assert(
      FastCheck.property(
        PatternLaws.cases,
        FastCheck.array(FastCheck.record({ _tag: FastCheck.constantFrom("A", "B", "C"), x: FastCheck.nat(2) }), {
          minLength: 1,
          maxLength: 3
        }),
        ({ pattern }, word) => {
          const matcher = Matcher.make(
            Pattern.fromDefinition({ ...pattern.definition, within: 1_000, skip: { _tag: "none" } }).pipe(
              Either.getOrThrow
            ),
            { timestamp, tier: "runs", maxPartialMatches: 20_000, onOverflow: "dropNewest" }
          )
          const { bound } = Matcher.explain(matcher)
          bounds[bound] = (bounds[bound] ?? 0) + 1
          if (bound === "combinations") return
          const session = Matcher.open(matcher)
          const after = (rounds: number) => {
            for (let round = 0; round < rounds; round++) {
              for (const letter of word) {
                session.push([{ ...letter, at: 0 } as Letter])
                if (bound !== "strict") continue
                const { events } = session.stats()
                for (const { events: taken } of session.partialMatches()) {
                  assert.strictEqual(taken.at(-1)?.index, events - 1)
                }
              }
            }
            return session.stats().partialMatches
          }
          const once = after(6)
          const twice = after(6)
          // a power of the events: of the sixth degree at most, where doubling would be 2 ** 6 for each letter of the word
          assert.isAtMost(twice, 64 * Math.max(1, once))
          assert.strictEqual(session.stats().overflowed, 0)
        }
      ),
      { numRuns: 250, seed: 82 }
    )
    for (const bound of ["strict", "window", "combinations"]) assert.isAbove(bounds[bound] ?? 0, 10, bound)
  })
})
