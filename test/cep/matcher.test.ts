import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Schema, Stream } from "effect"
import * as Condition from "effect-skald/cep/Condition"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Machine from "effect-skald/event/Machine"
import * as MachineLaws from "effect-skald/testing/MachineLaws"
import { A, Any, B, C, keyBy, pattern, timestamp } from "../support/letters.ts"
import { liveHeap } from "../support/liveHeap.ts"

/** What is told, one line for each output. */
const lines = (outputs: ReadonlyArray<Matcher.Output<any, Any>>): ReadonlyArray<string> =>
  outputs.flatMap((output) => {
    switch (output._tag) {
      case "Matches":
        return [...output.matches].map(({ events }) => `${output.key}@${output.time} ${shown(events)}`)
      case "Late":
        return [`late ${output.event._tag}${output.event.at}`]
      default:
        return [`${output._tag} ${output.key} ${shown(output.events)}`]
    }
  })
const shown = (events: ReadonlyArray<Matcher.Taken<Any>>) =>
  events.map(({ event, step }) => `${step}${event.at}`).join(" ")

describe("Matcher: keys and time", () => {
  it("one key does not see the other's events, and keys that are done are forgotten", () => {
    const session = Matcher.open(Matcher.make(pattern("A => B -> C"), { keyBy }))
    session.push([A({ key: "x", at: 1 }), A({ key: "y", at: 2 }), B({ key: "x", at: 3 }), C({ key: "y", at: 4 })])
    assert.deepStrictEqual(lines(session.push([B({ key: "y", at: 5 }), C({ key: "x", at: 6 })])), ["x@0 A1 B3 C6"])
    // held at once: A1 and B3 of one key, A2 of the other
    assert.deepInclude(session.stats(), { keys: 0, partialMatches: 0, matches: 1, mostPartialMatches: 3 })
  })

  it("events of no key match nothing, and are counted", () => {
    const session = Matcher.open(Matcher.make(pattern("A -> B"), { keyBy }))
    assert.deepStrictEqual(session.push([A({ at: 1 }), B({ at: 2 })]), [])
    assert.deepInclude(session.stats(), { unkeyed: 2, events: 2, keys: 0 })
  })

  it("what passes without events happens as time is told", () => {
    const session = Matcher.open(Matcher.make(pattern("A -> !B within 10 ms"), { timestamp, keyBy }))
    session.push([A({ key: "x", at: 0 }), A({ key: "y", at: 3 }), B({ key: "y", at: 4 })])
    assert.deepStrictEqual(session.advance(9), [])
    assert.deepStrictEqual(lines(session.advance(10)), ["x@10 A0"])
    assert.deepInclude(session.stats(), { keys: 0, partialMatches: 0 })
  })

  it("partial matches whose time is over are told, or counted where they are kept one by one", () => {
    const open = (options: Matcher.Options<Any>) =>
      Matcher.open(Matcher.make(pattern("A -> B within 10 ms"), { timestamp, ...options }))
    const events = [A({ at: 0 }), C({ at: 12 })]
    const told = open({ timedOut: true })
    assert.deepStrictEqual(lines(told.push(events)), ["TimedOut  A0"])
    const silent = open({ tier: "runs" })
    assert.deepStrictEqual(silent.push(events), [])
    assert.strictEqual(silent.stats().timedOut, 1)
    const sets = open({})
    assert.deepStrictEqual(sets.push(events), [])
    assert.deepInclude(sets.stats(), { timedOut: undefined, partialMatches: 0, keys: 0 })
  })

  it("an event that goes back in time is late, one of the same time is not", () => {
    const session = Matcher.open(Matcher.make(pattern("A -> B"), { timestamp }))
    const outputs = session.push([A({ at: 5 }), B({ at: 4 }), B({ at: 5 })])
    assert.deepStrictEqual(lines(outputs), ["late B4", "@5 A5 B5"])
    assert.deepInclude(session.stats(), { late: 1, events: 3 })
    session.advance(9)
    assert.deepStrictEqual(lines(session.push([A({ at: 9 }), A({ at: Number.NaN })])), ["late A9", "late ANaN"])
  })

  it("events within the lateness are put in order, and ties by the order given", () => {
    const options = { timestamp, lateness: 3, order: (left: Any, right: Any) => left._tag < right._tag ? -1 : 1 }
    const session = Matcher.open(Matcher.make(pattern("A => B => C"), options))
    const outputs = session.push([C({ at: 5 }), B({ at: 5 }), A({ at: 4 }), A({ at: 9 }), B({ at: 5 })])
    assert.deepStrictEqual(lines(outputs), ["@5 A4 B5 C5", "late B5"])
  })

  it("whatever order events come in within the lateness, the matches are those of their order", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.record({ tag: FastCheck.constantFrom(A, B, C), delay: FastCheck.nat(5) }), {
          maxLength: 20
        }),
        (all) => {
          const events = all.map(({ delay, tag }, at) => ({ event: tag({ at: at * 2 }), seen: at * 2 + delay }))
          const run = (lateness: number, events: ReadonlyArray<Any>) => {
            const session = Matcher.open(
              Matcher.make(pattern("A -> B+ -> C within 9 ms"), { timestamp, lateness, timedOut: true })
            )
            return lines([...session.push(events), ...session.advance(1_000)])
          }
          const late = [...events].sort((left, right) => left.seen - right.seen)
          assert.deepStrictEqual(run(5, late.map(({ event }) => event)), run(0, events.map(({ event }) => event)))
        }
      ),
      { numRuns: 500 }
    )
  })

  it("a pattern that asks for time needs a timestamp", () => {
    assert.throws(() => Matcher.make(pattern("A -> B within 1 s")), "asks for time, which needs a `timestamp`")
    assert.throws(() => Matcher.make(Pattern.begin("a", A).pipe(Pattern.next("b", B, { within: 5 }))), "asks for time")
    assert.throws(() => Matcher.make(Pattern.begin("a", A).pipe(Pattern.notFollowedBy(B))), "which needs `within`")
  })
})

describe("Matcher: a negation at the end", () => {
  it("waits for its time alone once the loop before it is closed", () => {
    const loop: Pattern.Pattern<any, Any> = Pattern.begin("b", B, { times: { min: 1 }, consecutive: true }).pipe(
      Pattern.notFollowedBy(C),
      Pattern.within(10)
    )
    const session = Matcher.open(Matcher.make(loop, { timestamp }))
    session.push([B({ at: 0 }), B({ at: 1 }), A({ at: 2 }), B({ at: 3 })])
    assert.deepStrictEqual(lines(session.advance(10)), ["@10 b0 b1", "@10 b0"])
    assert.deepStrictEqual(lines(session.advance(20)), ["@11 b1", "@13 b3"])
  })
})

describe("Matcher: caps", () => {
  it("that are no whole numbers above 0 are refused, all at once", () => {
    const make = (maxPartialMatches: number, maxPartialMatchesPerKey?: number) => () =>
      Matcher.make(pattern("A -> B"), { maxPartialMatches, maxPartialMatchesPerKey })
    for (const cap of [0, -1, 1.5, Number.NaN]) {
      assert.throws(make(cap), `maxPartialMatches: must be a whole number, 1 or more, got ${cap}`)
    }
    assert.throws(
      make(0, 0.5),
      [
        "maxPartialMatchesPerKey: must be a whole number, 1 or more, got 0.5",
        "maxPartialMatches: must be a whole number, 1 or more, got 0"
      ].join("\n")
    )
    assert.doesNotThrow(make(1, Number.POSITIVE_INFINITY))
  })

  const run = (options: Matcher.Options<Any>) => {
    const session = Matcher.open(Matcher.make(pattern("A -> B"), { keyBy, ...options }))
    const outputs = session.push([
      ...[1, 2, 3].map((at) => A({ key: "x", at })),
      A({ key: "y", at: 4 }),
      B({ key: "x", at: 5 }),
      B({ key: "y", at: 6 })
    ])
    return { outputs: lines(outputs), stats: session.stats() }
  }

  it("drop the oldest of the key", () => {
    const { outputs, stats } = run({ maxPartialMatchesPerKey: 2, onOverflow: "dropOldest" })
    assert.deepStrictEqual(outputs, ["Overflow x A1", "x@0 A2 B5", "x@0 A3 B5", "y@0 A4 B6"])
    assert.deepInclude(stats, { overflowed: 1, mostPartialMatches: 3 })
  })

  it("drop the newest of the key", () => {
    const { outputs, stats } = run({ maxPartialMatchesPerKey: 2, onOverflow: "dropNewest" })
    assert.deepStrictEqual(outputs, ["Overflow x A3", "x@0 A1 B5", "x@0 A2 B5", "y@0 A4 B6"])
    assert.strictEqual(stats.overflowed, 1)
  })

  it("in all: the oldest goes, whatever its key", () => {
    const { outputs } = run({ maxPartialMatches: 3, onOverflow: "dropOldest" })
    assert.deepStrictEqual(outputs, ["Overflow x A1", "x@0 A2 B5", "x@0 A3 B5", "y@0 A4 B6"])
  })

  it("in all: what the oldest of another key held back is reported", () => {
    // C is a match at once, and waits for what A may become
    const both = Pattern.or(Pattern.begin("a", A).pipe(Pattern.followedBy("b", B)), Pattern.begin("c", C))
    const session = Matcher.open(
      Matcher.make(both.pipe(Pattern.skipPastLast), { keyBy, maxPartialMatches: 1, onOverflow: "dropOldest" })
    )
    assert.deepStrictEqual(session.push([A({ key: "x", at: 1 }), C({ key: "x", at: 2 })]), [])
    assert.deepStrictEqual(lines(session.push([A({ key: "y", at: 3 })])), ["Overflow x a1", "x@0 c2"])
    assert.deepInclude(session.stats(), { keys: 1, partialMatches: 1, matches: 1 })
  })

  it("what a cap has dropped is let go of, though no event comes that concerns it", () => {
    const session = Matcher.open(
      Matcher.make(pattern("A -> B"), { tier: "runs", maxPartialMatches: 10, onOverflow: "dropOldest" })
    )
    const push = (from: number) => {
      for (let at = from; at < from + 20_000; at++) session.push([A({ at })])
    }
    push(0)
    const before = liveHeap()
    push(20_000)
    // 20,000 runs that were kept would be 6 MB
    assert.isBelow(liveHeap() - before, 1_500_000)
    assert.deepInclude(session.stats(), { partialMatches: 10, overflowed: 39_990 })
  })

  it("fail, and nothing more is answered", () => {
    const { outputs, stats } = run({ maxPartialMatches: 2 })
    assert.deepStrictEqual(outputs, ["Failed x A3"])
    assert.strictEqual(stats.events, 3)
  })
})

describe("Matcher: snapshots", () => {
  const texts = [
    "A -> B+ -> C within 20 ms",
    "A => !B -> (A | B){2} -> C",
    "A ~> B{1,3} -> !C -> A",
    "A -> !C within 5 ms",
    "A & B & C"
  ]
  const events = FastCheck.array(
    FastCheck.record({
      tag: FastCheck.constantFrom(A, B, C),
      key: FastCheck.constantFrom("x", "y"),
      wait: FastCheck.nat(4)
    }),
    { maxLength: 12 }
  ).map((all) => {
    let at = 0
    return all.map(({ key, tag, wait }): Matcher.Input<Any> => ({ _tag: "Event", event: tag({ key, at: at += wait }) }))
  })
  const inputs = FastCheck.tuple(events, FastCheck.nat(60))
    .map(([events, time]): ReadonlyArray<Matcher.Input<Any>> => [...events, { _tag: "Time", time }])

  it.effect.each(texts)("the laws of machines hold, with a snapshot as JSON in between: %s", (text) => {
    const matcher = Matcher.make(pattern(text), { timestamp, keyBy, timedOut: true, lateness: 2 })
    const schema = Matcher.SnapshotOf(Any)
    const machine = Machine.map(Matcher.machine(matcher), (output) => lines([output]))
    // which way a state was first reached may differ, what is reached may not
    const core = ({ runs, states: _, ...rest }: Matcher.Snapshot) => ({
      ...rest,
      runs: runs.map(({ state: _, ...run }) => run)
    })
    return MachineLaws.check({
      machine,
      inputs,
      stateEquals: (left, right) => JSON.stringify(core(left)) === JSON.stringify(core(right)),
      snapshot: (state) =>
        Schema.decodeUnknownSync(schema)(JSON.parse(JSON.stringify(Schema.encodeSync(schema)(state))))
    }, { numRuns: 40, seed: 7 })
  })

  it("a snapshot of another pattern is refused", () => {
    const one = Matcher.make(pattern("A -> B"))
    const other = Matcher.make(pattern("A -> C"))
    assert.throws(() => Matcher.open(other, Matcher.open(one).snapshot()), "the snapshot is of pattern")
    assert.doesNotThrow(() => Matcher.open(Matcher.make(pattern("A -> B")), Matcher.open(one).snapshot()))
  })

  it("nothing is kept of what cannot match any more", () => {
    const session = Matcher.open(Matcher.make(pattern("A -> B -> C within 10 ms"), { timestamp, keyBy }))
    for (let at = 0; at < 5_000; at++) session.push([A({ key: `k${at}`, at }), B({ key: `k${at}`, at })])
    assert.isAtMost(session.stats().partialMatches, 10)
    assert.isAtMost(session.stats().keys, 10)
    session.advance(6_000)
    const { events, keys, paths, runs } = session.snapshot()
    assert.deepStrictEqual({ events, keys, paths, runs }, { events: [], keys: [], paths: [], runs: [] })
  })

  describe("a loop of 8,000 events", () => {
    const size = 8_000
    const times = { min: size, max: size }
    const as = Array.from({ length: size }, (_, at) => A({ at }))
    const long = (where: any, own?: any) =>
      Matcher.make<any, Any>(
        Pattern.begin("b", B).pipe(
          Pattern.followedBy("a", A, { times, where: own }),
          Pattern.followedBy("c", C, { where })
        ),
        { tier: "runs" }
      )
    const all = (_: unknown, { a }: any) => a.length === size && a[0].at === 0 && a.at(-1).at === size - 1

    it("is asked about as a whole, also after a rest", () => {
      const count = Condition.compare(Condition.count("a"), "=", size)
      for (const where of [all, count]) {
        const session = Matcher.open(long(where))
        session.push([B({ at: 0 }), ...as])
        const rested = Matcher.open(long(where), structuredClone(session.snapshot()))
        for (const one of [session, rested]) {
          const [output] = one.push([C({ at: size })])
          if (output?._tag !== "Matches") return assert.fail("no matches")
          assert.strictEqual(output.matches.count, 1)
          assert.strictEqual(output.matches.first.match.a.length, size)
        }
      }
    })

    it("holds its events once, though each is asked about what was taken before it", () => {
      const session = Matcher.open(
        long(all, (_: unknown, __: unknown, own: ReadonlyArray<unknown>) => own.length < size)
      )
      session.push([B({ at: 0 }), ...as.slice(0, 100)])
      const before = liveHeap()
      session.push(as.slice(100))
      // a list for each event would be 250 MB
      assert.isBelow(liveHeap() - before, 30_000_000)
      assert.strictEqual(session.push([C({ at: size })]).length, 1)
    })
  })

  it("a loop of a million elements is rolled out as far as it is taken", () => {
    const loop = Pattern.begin("a", A, { times: { min: 1_000_000 } })
    const session = Matcher.open(Matcher.make(loop))
    for (let at = 0; at < 20; at++) session.push([A({ at })])
    assert.strictEqual(session.stats().partialMatches, 20)
  })
})

describe("Matcher: sets, streams, explanations", () => {
  it("a set has a count, a first and all, in order", () => {
    const session = Matcher.open(
      Matcher.make(
        Pattern.begin("a", A, { times: { min: 1 }, allowCombinations: true }).pipe(
          Pattern.followedBy("b", B)
        )
      )
    )
    const [output] = session.push([...Array.from({ length: 10 }, (_, at) => A({ at })), B({ at: 10 })])
    if (output?._tag !== "Matches") return assert.fail("no matches")
    assert.strictEqual(output.matches.count, 1_023)
    const { a, b } = output.matches.first.match
    assert.deepStrictEqual([...a, b], [...Array.from({ length: 10 }, (_, at) => A({ at })), B({ at: 10 })])
    assert.strictEqual(shown([...output.matches].at(-1)?.events ?? []), "a9 b10")
  })

  it.effect("as a stream", () =>
    Effect.gen(function*() {
      const matcher = Matcher.make(pattern("A -> B"), { timestamp })
      const outputs = yield* Stream.make(A({ at: 1 }), C({ at: 2 }), B({ at: 3 })).pipe(
        Stream.map((event) => ({ _tag: "Event" as const, event })),
        Machine.toStream(Matcher.machine(matcher)),
        Stream.runCollect
      )
      assert.deepStrictEqual(lines([...outputs]), ["@3 A1 B3"])
    }))

  it("says what limits partial matches, and warns where nothing does", () => {
    const explain = (text: string, tier?: "runs") => Matcher.explain(Matcher.make(pattern(text), { timestamp, tier }))
    assert.deepInclude(explain("A => B => C"), { bound: "strict", warnings: [], states: 4, tags: undefined })
    assert.deepInclude(explain("A -> B within 1 s"), { bound: "window", warnings: [], tags: ["A", "B"], skip: "none" })
    assert.deepInclude(explain("A ~> B within 1 s", "runs"), { tier: "runs", bound: "combinations" })
    assert.deepInclude(explain("A ~> B within 1 s"), { tier: "sets", bound: "window", warnings: [] })
    assert.deepInclude(explain("A -> B"), { bound: "unbounded" })
    assert.include(explain("A -> B").warnings[0] ?? "", "how many events are held")
    assert.include(explain("A -> B", "runs").warnings[0] ?? "", "how many there are")
  })

  it("draws the states", () => {
    assert.strictEqual(
      Matcher.explain(Matcher.make(pattern("A -> B+ => C"))).diagram,
      [
        "flowchart LR",
        "  s0([start])",
        "  s0 -->|\"A\"| s1",
        "  s1 -->|\"-> B\"| s2",
        "  s2 -->|\"-> B\"| s3",
        "  s2 -->|\"=> C\"| s4",
        "  s3 -->|\"-> B\"| s3",
        "  s3 -->|\"=> C\"| s4",
        "  s4 --> match((match))"
      ].join("\n")
    )
  })
})
