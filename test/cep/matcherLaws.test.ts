import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Either, FastCheck, Stream } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Law from "effect-skald/testing/Law"
import * as PatternLaws from "effect-skald/testing/PatternLaws"
import * as PatternOracle from "effect-skald/testing/PatternOracle"

/** What is true of every pattern, whatever it is run with: keys, lateness, caps and chunks. */

type Letter = PatternLaws.Letter
const timestamp = ({ at }: Letter) => at

type Told = ReadonlyArray<Matcher.Output<any, Letter>>

const shown = (events: ReadonlyArray<Matcher.Taken<Letter>>) =>
  events.map(({ event, index, step, time }) => `${step}:${event._tag}${index}@${time}`).join(" ")
const lines = (outputs: Told): ReadonlyArray<string> =>
  outputs.flatMap((output) => {
    switch (output._tag) {
      case "Matches":
        return [
          `${output.key}@${output.time}: ${output.matches.count}`,
          ...Array.from(output.matches, ({ events }) => shown(events))
        ]
      case "Late":
        return [`late ${JSON.stringify(output.event)}`]
      default:
        return [`${output._tag} ${output.key}: ${shown(output.events)}`]
    }
  })

interface Tried {
  readonly pattern: Pattern.Pattern<any, any>
  readonly options: Matcher.Options<Letter>
  /** In the order in which they come. */
  readonly events: ReadonlyArray<Letter>
  readonly end: number
}

/** A case with keys, lateness, time-outs and caps, and events that come out of order, some of them twice. */
const tried = (cases: FastCheck.Arbitrary<PatternLaws.Case<Letter>>): FastCheck.Arbitrary<Tried> =>
  FastCheck.record({
    one: cases,
    keyed: FastCheck.boolean(),
    lateness: FastCheck.constantFrom(0, 2, 100),
    timedOut: FastCheck.boolean(),
    tier: FastCheck.constantFrom(undefined, "runs" as const),
    cap: FastCheck.constantFrom(undefined, undefined, 2, 5),
    onOverflow: FastCheck.constantFrom<Matcher.OverflowPolicy>("fail", "dropOldest", "dropNewest"),
    more: FastCheck.array(FastCheck.record({ delay: FastCheck.nat(4), twice: FastCheck.nat(4) }), {
      minLength: 9,
      maxLength: 9
    })
  }).map(({ cap, keyed, lateness, more, onOverflow, one, tier, timedOut }) => ({
    pattern: one.pattern,
    end: one.end,
    events: one.events.flatMap((event, at) => {
      const { delay, twice } = more[at]!
      const seen = { event, seen: event.at + delay }
      return twice === 0 ? [seen, { event: { ...event }, seen: event.at + 4 }] : [seen]
    }).sort((left, right) => left.seen - right.seen).map(({ event }) => event),
    options: {
      timestamp,
      ...keyed && { keyBy: ({ x }) => x === 2 ? undefined : `k${x}` },
      ...lateness > 0 && { lateness },
      ...timedOut && { timedOut },
      ...tier !== undefined && { tier },
      ...cap !== undefined && { maxPartialMatches: cap * 2, maxPartialMatchesPerKey: cap, onOverflow }
    }
  }))

const run = ({ end, events, options, pattern }: Tried, sizes: ReadonlyArray<number>): Told => {
  const session = Matcher.open(Matcher.make(pattern, options))
  const told: Array<Matcher.Output<any, Letter>> = []
  for (let at = 0, turn = 0; at < events.length; turn++) {
    const size = sizes[turn % sizes.length]!
    told.push(...session.push(events.slice(at, at + size)))
    at += size
  }
  told.push(...session.advance(end))
  return told
}

/** Cases of both kinds, in batches between which the runner's worker hears of its parent. */
const each = (runs: number, seed: number, check: (one: Tried, sizes: ReadonlyArray<number>) => void) =>
  Effect.forEach([PatternLaws.cases, PatternLaws.setCases], (cases, at) =>
    Effect.zipRight(
      Effect.sync(() =>
        FastCheck.assert(
          FastCheck.property(
            tried(cases),
            FastCheck.array(FastCheck.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
            check
          ),
          { numRuns: runs, seed: seed + at }
        )
      ),
      Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    ), { discard: true })

describe("Matcher: of every pattern", () => {
  it.effect("how the events are cut into chunks changes nothing that is told, nor its order", () => {
    const kinds = new Set<string>()
    return Effect.map(
      each(100, 41, (one, sizes) => {
        const single = run(one, [1])
        for (const { _tag } of single) kinds.add(_tag)
        assert.deepStrictEqual(lines(run(one, sizes)), lines(single))
        assert.deepStrictEqual(lines(run(one, [1_000])), lines(single))
      }),
      () => assert.deepStrictEqual([...kinds].sort(), ["Failed", "Late", "Matches", "Overflow", "TimedOut"])
    )
  })

  it.effect("a set has as many matches as it counts, in its stream too, also when time has gone on", () => {
    let conditions = 0
    let several = 0
    return Effect.map(
      each(100, 43, (one, sizes) => {
        // read when all is over: what is held by then has moved on
        for (const output of run(one, sizes)) {
          if (output._tag !== "Matches") continue
          const { matches } = output
          const streamed = Chunk.toReadonlyArray(Effect.runSync(Stream.runCollect(matches.stream)))
          assert.strictEqual(streamed.length, matches.count)
          assert.deepStrictEqual(
            streamed.map(({ events }) => shown(events)),
            Array.from(matches, ({ events }) => shown(events))
          )
          assert.deepStrictEqual(streamed[0], matches.first)
          if (matches.count > 1) several++
          if (JSON.stringify(one.pattern.definition).includes("\"_tag\":\"Compare\"")) conditions++
        }
      }),
      () => {
        assert.isAbove(conditions, 20)
        assert.isAbove(several, 20)
      }
    )
  })

  it.effect("matches are told by moment, and of one moment and key by start, then by positions", () => {
    let compared = 0
    return Effect.map(
      each(100, 45, (one, sizes) => {
        let moment = -Infinity
        for (const output of run(one, sizes)) {
          if (output._tag !== "Matches") continue
          assert.isAtLeast(output.time, moment)
          moment = output.time
          const all = Array.from(output.matches, ({ events }) => events.map(({ index }) => index))
          for (let at = 1; at < all.length; at++) {
            const [left, right] = [all[at - 1]!, all[at]!]
            compared++
            assert.isAtMost(left[0]!, right[0]!)
            if (left[0]! < right[0]!) continue
            // the same events under other names are another match
            if (one.pattern.definition.skip._tag === "none") assert.isAtMost(byPositions(left, right), 0)
          }
        }
      }),
      () => assert.isAbove(compared, 60)
    )
  })

  it.effect("what comes too late changes nothing but that it is told", () => {
    let late = 0
    return Effect.map(
      each(100, 47, (one, sizes) => {
        const { maxPartialMatches: _, maxPartialMatchesPerKey: __, ...options } = one.options
        const all = run({ ...one, options }, sizes)
        const tooLate = new Set(all.flatMap((output) => output._tag === "Late" ? [output.event] : []))
        late += tooLate.size
        const inTime = one.events.filter((event) => !tooLate.has(event))
        // places are among the events that were taken in, so that those of the late ones are not counted
        assert.deepStrictEqual(
          lines(all.filter(({ _tag }) => _tag !== "Late")),
          lines(run({ ...one, options, events: inTime }, [1]))
        )
      }),
      () => assert.isAbove(late, 40)
    )
  })

  it.effect("what is counted is what was told", () =>
    each(60, 49, (one, sizes) => {
      const session = Matcher.open(Matcher.make(one.pattern, one.options))
      const told: Array<Matcher.Output<any, Letter>> = []
      let taken = 0
      for (let at = 0; at < one.events.length; at += sizes[0]!) {
        const chunk = one.events.slice(at, at + sizes[0]!)
        told.push(...session.push(chunk))
        taken += chunk.length
      }
      const stats = session.stats()
      const count = (tag: string) => told.filter(({ _tag }) => _tag === tag).length
      const matches = told.reduce((sum, output) => output._tag === "Matches" ? sum + output.matches.count : sum, 0)
      assert.strictEqual(stats.matches, matches)
      assert.strictEqual(stats.late, count("Late"))
      if (one.options.timedOut === true) assert.strictEqual(stats.timedOut, count("TimedOut"))
      if (one.options.onOverflow !== "fail") assert.strictEqual(stats.overflowed, count("Overflow"))
      if (count("Failed") > 0) return
      assert.strictEqual(stats.events, taken)
      const unkeyed = one.options.keyBy === undefined
        ? 0
        : one.events.filter((event) => one.options.keyBy!(event) === undefined).length
      assert.isAtMost(stats.unkeyed, unkeyed)
    }))
})

/** Of matches of one moment: event by event, the smallest first, and a longer one before its beginning. */
const byPositions = (left: ReadonlyArray<number>, right: ReadonlyArray<number>): number => {
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    if (left[at] !== right[at]) return left[at]! - right[at]!
  }
  return right.length - left.length
}

describe("Matcher: negations beside each other", () => {
  const negation = FastCheck.record({
    _tag: FastCheck.constant("Negation" as const),
    contiguity: FastCheck.constantFrom("notNext" as const, "notFollowedBy" as const),
    tags: FastCheck.constantFrom(["A"], ["B"], ["C"], ["D"], ["A", "B"]),
    where: FastCheck.constant([])
  })
  const doubled = (cases: FastCheck.Arbitrary<PatternLaws.Case<Letter>>) =>
    FastCheck.tuple(cases, FastCheck.array(negation, { minLength: 1, maxLength: 2 }), FastCheck.nat(3)).map(
      ([one, negations, place]) => {
        const { elements, within, ...rest } = one.pattern.definition
        const at = 1 + place % elements.length
        const more = [...elements.slice(0, at), ...negations, ...elements.slice(at)]
        const definition = { ...rest, elements: more, within: within ?? (place === 0 ? undefined : 9) }
        return { one, pattern: Either.flatMap(Pattern.fromDefinition(definition), Pattern.check) }
      }
    ).filter(({ pattern }) => Either.isRight(pattern)).map(({ one, pattern }) => {
      const more: PatternLaws.Case<Letter> = { ...one, pattern: Either.getOrThrow(pattern) }
      return Object.assign(more, { [FastCheck.toStringMethod]: () => PatternLaws.print(more) })
    })

  it.effect("engine = oracle, also where two or three stand beside each other", () =>
    Effect.all([
      Law.check(PatternLaws.engineIsOracle({ cases: doubled(PatternLaws.cases), timestamp }), {
        numRuns: 250,
        seed: 51
      }),
      Law.check(PatternLaws.engineIsOracle({ cases: doubled(PatternLaws.setCases), timestamp, timedOut: false }), {
        numRuns: 250,
        seed: 52
      })
    ]))
})

describe("PatternLaws: a broken law's case", () => {
  it("is a program that can be run, and answers as the case does", () => {
    const evaluated = (text: string): PatternOracle.Answer<any> => {
      const body = text.replace("PatternOracle.run(", "return PatternOracle.run(")
      return new Function("Either", "Pattern", "PatternOracle", body)(Either, Pattern, PatternOracle)
    }
    FastCheck.assert(
      FastCheck.property(PatternLaws.cases, (one) => {
        const { end, events, pattern } = one
        assert.deepStrictEqual(
          evaluated(PatternLaws.print(one)),
          PatternOracle.run(pattern, events, { timestamp, end })
        )
      }),
      { numRuns: 60, seed: 53 }
    )
    const any = Pattern.anyEvent
    const pattern = Pattern.begin("a", any, { where: ({ _tag }) => _tag === "A" }).pipe(
      Pattern.followedBy("b", any, { where: ({ _tag }, { a }) => _tag !== a._tag })
    )
    const events: ReadonlyArray<Letter> = [{ _tag: "B", x: 0, at: 0 }, { _tag: "A", x: 0, at: 1 }, {
      _tag: "B",
      x: 0,
      at: 2
    }]
    const { matches } = evaluated(PatternLaws.print({ pattern, events, end: Number.POSITIVE_INFINITY }))
    assert.deepStrictEqual(matches.map(({ events }) => events), [[["a", 1], ["b", 2]]])
  })
})
