import { assert, describe, it } from "@effect/vitest"
import { DateTime, FastCheck } from "effect"
import { AirportDisrupted, FlightDeparted } from "../../examples/flights/Airport.ts"
import { AirportCode } from "../../examples/flights/Flight.ts"
import * as History from "../../examples/flights/History.ts"
import * as Direct from "../support/flightsDirect.ts"

/** What the job finds in the history that some records lead to. */
const recognised = (lines: ReadonlyArray<Direct.Line>) => {
  const at = (minute: number) => DateTime.unsafeMake(minute * 60_000)
  const departures = lines.map((line) =>
    FlightDeparted({
      airport: AirportCode.make(line.origin),
      at: at(Direct.minutes(line)),
      destination: AirportCode.make(line.destination),
      delay: line.delay,
      distance: 1
    })
  )
  const disruptions = [...new Set(lines.map(({ origin }) => origin))].flatMap((code) =>
    Direct.walk(lines.filter(({ origin }) => origin === code)).disruptions.map((minute) =>
      AirportDisrupted({ airport: AirportCode.make(code), at: at(minute) })
    )
  )
  return History.recognised(History.inOrder([...departures, ...disruptions]))
}

const direct = (lines: ReadonlyArray<Direct.Line>) => {
  const { inbound, knockOns, stretches } = Direct.computed(lines)
  return { knockOns, stretches, inbound }
}

describe("what patterns, windows and a join find in flights", () => {
  it("is what loops over the records find, in real ones", () => {
    const real = Direct.data().slice(6_000, 14_000)
    assert.deepStrictEqual(recognised(real), direct(real))
    assert.isAbove(direct(real).knockOns.matches, 5)
  })

  it("is what loops over the records find, in a few airports that are all late", () => {
    const code = FastCheck.constantFrom("AAA", "BBB", "CCC", "DDD")
    const line = FastCheck.record({
      minute: FastCheck.integer({ min: 0, max: 599 }),
      delay: FastCheck.constantFrom(14, 15, 30, 35, 40),
      origin: code,
      destination: code
    })
    let matches = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.array(line, { minLength: 10, maxLength: 50 }), (drawn) => {
        const lines = drawn.sort((a, b) => a.minute - b.minute).map(({ minute, ...rest }) => ({
          ...rest,
          date: `2001/02/14 ${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`
        }))
        const expected = direct(lines)
        matches += expected.knockOns.matches
        assert.deepStrictEqual(recognised(lines), expected)
      }),
      { seed: 2001, numRuns: 200 }
    )
    assert.isAbove(matches, 200)
  })
})
