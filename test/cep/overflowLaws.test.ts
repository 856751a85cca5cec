import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Schema } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Event from "effect-skald/event/Event"
import { forAll } from "effect-skald/testing/ForAll"

/** Which partial match makes room for another, and what it costs to find it. */

const A = Event.make("A", { key: Schema.String, at: Schema.Number })
const B = Event.make("B", { key: Schema.String, at: Schema.Number })
type Any = typeof A.Type | typeof B.Type

const open = (options: Matcher.Options<Any>) =>
  Matcher.open(Matcher.make(Pattern.begin("a", A).pipe(Pattern.followedBy("b", B)), {
    tier: "runs",
    onOverflow: "dropOldest",
    keyBy: ({ key }) => key,
    ...options
  }))

/** The slow way: all that waits in one list, oldest first, which is walked through each time. */
const slowly = (events: ReadonlyArray<Any>, perKey: number, inAll: number): ReadonlyArray<string> => {
  const told: Array<string> = []
  let waiting: Array<Any> = []
  for (const event of events) {
    if (event._tag === "B") {
      const own = waiting.filter(({ key }) => key === event.key)
      for (const { at } of own) told.push(`match ${at} ${event.at}`)
      waiting = waiting.filter(({ key }) => key !== event.key)
      continue
    }
    const full = waiting.filter(({ key }) => key === event.key).length >= perKey
    const oldest = full || waiting.length >= inAll
      ? waiting.findIndex(({ key }) => !full || key === event.key)
      : -1
    if (oldest >= 0) { for (const { at } of waiting.splice(oldest, 1)) told.push(`overflow ${at}`) }
    waiting.push(event)
  }
  return told
}

const lines = (outputs: ReadonlyArray<Matcher.Output<any, Any>>): ReadonlyArray<string> =>
  outputs.flatMap((output) => {
    switch (output._tag) {
      case "Matches":
        return Array.from(output.matches, ({ events }) => `match ${events.map(({ event }) => event.at).join(" ")}`)
      case "Overflow":
        return [`overflow ${output.events.map(({ event }) => event.at).join(" ")}`]
      default:
        throw new Error(`the matcher said ${output._tag}`)
    }
  })

describe("dropOldest", () => {
  it.effect("drops the ones that a walk through all that waits finds to be the oldest, before and after a rest", () => {
    let dropped = 0
    return Effect.tap(
      forAll(
        FastCheck.record({
          perKey: FastCheck.integer({ min: 1, max: 4 }),
          inAll: FastCheck.integer({ min: 2, max: 9 }),
          rest: FastCheck.nat(60),
          events: FastCheck.array(
            FastCheck.record({
              key: FastCheck.constantFrom("x", "y", "z", "u"),
              make: FastCheck.constantFrom(A, A, A, A, B)
            }),
            { minLength: 20, maxLength: 60 }
          )
        }),
        ({ events, inAll, perKey, rest }) =>
          Effect.sync(() => {
            const all = events.map(({ key, make }, at): Any => make({ key, at }))
            const options = { maxPartialMatchesPerKey: perKey, maxPartialMatches: inAll }
            const expected = slowly(all, perKey, inAll)
            dropped += expected.filter((line) => line.startsWith("overflow")).length
            assert.deepStrictEqual(lines(open(options).push(all)), expected)
            const first = open(options)
            const before = first.push(all.slice(0, rest))
            const matcher = Matcher.make(Pattern.begin("a", A).pipe(Pattern.followedBy("b", B)), {
              tier: "runs",
              onOverflow: "dropOldest",
              keyBy: ({ key }) => key,
              ...options
            })
            const second = Matcher.open(matcher, first.snapshot())
            assert.deepStrictEqual(lines([...before, ...second.push(all.slice(rest))]), expected)
          }),
        { numRuns: 300, seed: 53 }
      ),
      () => Effect.sync(() => assert.isAbove(dropped, 2_000))
    )
  })

  it("costs about as much with 30,000 keys at their cap as with 100", () => {
    /** Processor time of so many events of the key that came last, all of which drop one. */
    const cost = (keys: number): number => {
      const session = open({ maxPartialMatchesPerKey: 1 })
      session.push(Array.from({ length: keys }, (_, n) => A({ key: `k${n}`, at: n })))
      const again = Array.from({ length: 3_000 }, (_, n) => A({ key: `k${keys - 1 - n % 50}`, at: keys + n }))
      let least = Infinity
      for (let round = 0; round < 5; round++) {
        const from = process.cpuUsage()
        session.push(again)
        const { system, user } = process.cpuUsage(from)
        least = Math.min(least, system + user)
      }
      assert.strictEqual(session.stats().overflowed, 15_000)
      return least
    }
    cost(100)
    const few = cost(100)
    // walked through, so many keys would cost 300 times as much
    assert.isBelow(cost(30_000), 20 * few + 5_000)
  })
})
