import { assert, describe, it } from "@effect/vitest"
import { DateTime, FastCheck, Schema } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import { Given } from "effect-skald/testing/Given"
import * as Laws from "effect-skald/testing/Laws"
import {
  Airport,
  AirportDisrupted,
  AirportRecovered,
  FlightDeparted,
  ReportFlight
} from "../../examples/flights/Airport.ts"
import { AirportCode } from "../../examples/flights/Flight.ts"

const airport = AirportCode.make("DTW")
const rest = { airport, destination: AirportCode.make("LAS"), distance: 1750 }

/** An instant so many minutes into a day. */
const minute = (minutes: number) => DateTime.add(DateTime.unsafeMake("2001-02-14T06:00:00Z"), { minutes })

const flight = (minutes: number, delay: number) => ReportFlight.make({ ...rest, at: minute(minutes), delay })
const departed = (minutes: number, delay: number) => FlightDeparted({ ...rest, at: minute(minutes), delay })
const disrupted = (minutes: number) => AirportDisrupted({ airport, at: minute(minutes) })
const recovered = (minutes: number) => AirportRecovered({ airport, at: minute(minutes) })

/** What flights, given as minute and delay, lead to beside departures. */
const changes = (...flights: ReadonlyArray<readonly [minutes: number, delay: number]>) =>
  Decider.run(Airport, flights.map(([minutes, delay]) => flight(minutes, delay))).events
    .filter((event) => event._tag !== "FlightDeparted")

describe("an airport is disrupted", () => {
  it("by the third late departure, itself included, right after that departure", () => {
    Given(Airport, [departed(0, 30), departed(10, 45)])
      .when(flight(20, 30))
      .thenEvents([departed(20, 30), disrupted(20)])
      .thenState({ departures: 3, operation: { _tag: "Disrupted", since: minute(20), punctual: 0 } })
  })

  it("by 30 minutes late, not by 29", () => {
    assert.deepStrictEqual(changes([0, 30], [1, 30], [2, 30]), [disrupted(2)])
    assert.deepStrictEqual(changes([0, 30], [1, 30], [2, 29]), [])
    assert.deepStrictEqual(changes([0, 30], [1, 29], [2, 30]), [])
  })

  it("by three within 179 minutes, not within 180", () => {
    assert.deepStrictEqual(changes([0, 60], [90, 60], [179, 60]), [disrupted(179)])
    assert.deepStrictEqual(changes([0, 60], [90, 60], [180, 60]), [])
  })

  it("by any three that are near enough, whatever came before and in between", () => {
    assert.deepStrictEqual(changes([0, 60], [90, 60], [180, 60], [200, 60]), [disrupted(200)])
    assert.deepStrictEqual(changes([0, 60], [1, 0], [2, -9], [90, 60], [91, 29], [179, 60]), [disrupted(179)])
  })

  it("by three at one instant", () => {
    assert.deepStrictEqual(changes([5, 60], [5, 60], [5, 60]), [disrupted(5)])
  })

  it("by those reported out of their order, as long as they are near each other", () => {
    assert.deepStrictEqual(changes([100, 60], [0, 60], [50, 60]), [disrupted(50)])
    assert.deepStrictEqual(changes([179, 60], [90, 60], [0, 60]), [disrupted(0)])
    assert.deepStrictEqual(changes([180, 60], [90, 60], [0, 60]), [])
    assert.deepStrictEqual(changes([180, 60], [0, 60], [90, 60], [100, 60]), [disrupted(100)])
  })

  it("once, however many more are late", () => {
    assert.deepStrictEqual(changes([0, 60], [1, 60], [2, 60], [3, 60], [4, 60], [5, 60], [6, 60]), [disrupted(2)])
  })
})

describe("an airport recovers", () => {
  const bad = [[0, 60], [1, 60], [2, 60]] as const

  it("by the third departure in a row that is less than 15 late", () => {
    Given(Airport, [departed(0, 60), departed(1, 60), departed(2, 60), disrupted(2), departed(3, 14), departed(4, -20)])
      .when(flight(5, 14))
      .thenEvents([departed(5, 14), recovered(5)])
      .thenState({ departures: 6, operation: { _tag: "Normal", late: [] } })
  })

  it("by 14 minutes late, not by 15, which begins the row anew", () => {
    assert.deepStrictEqual(changes(...bad, [3, 14], [4, 14], [5, 14]), [disrupted(2), recovered(5)])
    assert.deepStrictEqual(changes(...bad, [3, 14], [4, 14], [5, 15], [6, 14], [7, 14]), [disrupted(2)])
    assert.deepStrictEqual(changes(...bad, [3, 14], [4, 14], [5, 15], [6, 14], [7, 14], [8, 0]), [
      disrupted(2),
      recovered(8)
    ])
  })

  it("not before it is disrupted: departures in time before count for nothing", () => {
    assert.deepStrictEqual(changes([0, 60], [1, 60], [2, 0], [3, 0], [4, 60], [5, 0]), [disrupted(4)])
    assert.deepStrictEqual(changes([0, 0], [1, 0], [2, 0], [3, 0]), [])
  })

  it("and those late before the recovery, disrupted or not, no longer count", () => {
    const back = [...bad, [3, 60], [4, 0], [5, 0], [6, 0]] as const
    assert.deepStrictEqual(changes(...back, [7, 60], [8, 60]), [disrupted(2), recovered(6)])
    assert.deepStrictEqual(changes(...back, [7, 60], [8, 60], [9, 60]), [disrupted(2), recovered(6), disrupted(9)])
  })
})

describe("laws of airports", () => {
  /** Flights close enough in time, and late often enough, that all rules come into play. */
  const commands = FastCheck.record({
    minutes: FastCheck.nat(400),
    delay: FastCheck.oneof(FastCheck.constantFrom(14, 15, 29, 30), FastCheck.integer({ min: -60, max: 300 }))
  }).map(({ delay, minutes }) => flight(minutes, delay))

  for (const law of Laws.decider(Airport, { commands })) it(law.name, law.check)

  it("remembers few late departures, however many there were", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(commands, { maxLength: 200 }), (flights) => {
      const { operation } = Decider.run(Airport, flights).state
      assert.isTrue(operation._tag === "Disrupted" || operation.late.length < 3)
    }))
  })

  it("disruptions and recoveries take turns, and no command is without a departure", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(commands, { maxLength: 200 }), (flights) => {
      const { events } = Decider.run(Airport, flights)
      const turns = events.filter((event) => event._tag !== "FlightDeparted").map((event) => event._tag)
      turns.forEach((turn, index) =>
        assert.strictEqual(turn, index % 2 === 0 ? "AirportDisrupted" : "AirportRecovered")
      )
      assert.strictEqual(events.length - turns.length, flights.length)
    }))
  })

  it("an event says what the command said", () => {
    const departure = Schema.encodeSync(FlightDeparted)(departed(0, -5))
    assert.deepStrictEqual(departure, {
      _tag: "FlightDeparted",
      airport: "DTW",
      at: "2001-02-14T06:00:00.000Z",
      delay: -5,
      destination: "LAS",
      distance: 1750
    })
  })
})
