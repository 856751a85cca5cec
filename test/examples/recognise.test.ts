import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Machine from "effect-skald/event/Machine"
import { detector, rare, warmUp } from "../../examples/anomaly/Model.ts"
import { ReadingTaken } from "../../examples/anomaly/Readings.ts"
import type { Banking } from "../../examples/fraud/Events.ts"
import { Guessed } from "../../examples/fraud/Suspicion.ts"
import { suspicious, traffic } from "../../examples/fraud/Traffic.ts"

describe("fraud", () => {
  it("the rule's pattern finds what a direct computation finds, in traffic of many seeds", () => {
    const matcher = Matcher.make(Guessed, {
      timestamp: (event: Banking) => event.at,
      keyBy: (event) => event.account
    })
    let found = 0
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer(), (visits, seed) => {
        const events = traffic(visits, seed)
        const session = Matcher.open(matcher)
        const told = [...session.push(events), ...session.advance(Number.POSITIVE_INFINITY)]
        const transfers = told.flatMap((output) =>
          output._tag === "Matches" ? Array.from(output.matches, ({ match }) => match.transfer.transfer) : []
        )
        assert.deepStrictEqual(transfers.sort(), suspicious(events))
        found += transfers.length
      }),
      { numRuns: 100, seed: 51 }
    )
    assert.isAbove(found, 100)
  })
})

describe("29: anomaly", () => {
  const levels = fc.constantFrom(10, 20, 30)
  const readings = (celsius: ReadonlyArray<number>) =>
    celsius.map((celsius, number) => ReadingTaken({ sensor: "s", number, celsius }))
  const run = (celsius: ReadonlyArray<number>) => Machine.run(detector, detector.initial, readings(celsius))

  it("what has come after the same three levels is judged before it is learned", () => {
    // a steady sensor: three readings to have a context, then as many as the warm-up needs, then something else, twice
    const steady = Array.from({ length: 3 + warmUp }, () => 20)
    assert.deepStrictEqual(run([...steady, 30])[1].map(({ level, of, times }) => [level, times, of]), [
      ["high", 0, warmUp]
    ])
    // had it learned first, one of so few would not be rare
    assert.isAbove(1 / (warmUp + 1), rare)
  })

  it("nothing is flagged before a warm-up", () => {
    const short = Array.from({ length: 3 + warmUp - 1 }, () => 20)
    assert.deepStrictEqual(run([...short, 30])[1], [])
    fc.assert(
      fc.property(fc.array(levels, { maxLength: 3 + warmUp }), (celsius) => {
        assert.deepStrictEqual(run(celsius)[1], [])
      }),
      { numRuns: 200, seed: 52 }
    )
  })

  it("replaying the log rebuilds the same learned model, from anywhere on", () => {
    fc.assert(
      fc.property(fc.array(levels, { maxLength: 300 }), fc.nat(300), (celsius, cut) => {
        const all = readings(celsius)
        const [model, told] = Machine.run(detector, detector.initial, all)
        const [half, first] = Machine.run(detector, detector.initial, all.slice(0, cut))
        const [rest, second] = Machine.run(detector, half, all.slice(cut))
        assert.deepStrictEqual(rest, model)
        assert.deepStrictEqual([...first, ...second], [...told])
        assert.deepStrictEqual(Machine.replay(detector, detector.initial, all), model)
      }),
      { numRuns: 100, seed: 53 }
    )
  })
})
