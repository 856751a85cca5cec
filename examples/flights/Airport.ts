/**
 * An airport as a decider: each flight is a command to the airport that it leaves from.
 *
 * - It is **disrupted** when, while it is not, a departure 30 minutes late or more makes it the third such in less than 180
 *   minutes, itself included.
 * - It has **recovered** when, while it is disrupted, three departures in a row were less than 15 minutes late.
 *
 * Flights count in the order in which they are reported. Times only say which late ones are near each other: one that is
 * reported 180 minutes or more behind the newest late one comes too late to count.
 */
import { type DateTime, Either, Schema } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import * as Snapshot from "effect-skald/store/Snapshot"
import * as Flight from "./Flight.ts"

/** What each event says: at which airport it happened, and when. */
const where = { airport: Flight.AirportCode, at: Schema.DateTimeUtc }

export const FlightDeparted = Event.make("FlightDeparted", { ...where, ...Flight.fields })
export const AirportDisrupted = Event.make("AirportDisrupted", where)
export const AirportRecovered = Event.make("AirportRecovered", where)

/** The command: a flight is reported. */
export const ReportFlight = Schema.TaggedStruct("ReportFlight", { ...where, ...Flight.fields })

/** Departures so late are what disrupts an airport, if there are so many of them within less than so many minutes. */
export const disruption = { late: 30, departures: 3, minutes: 180 }

/** So many departures in a row that are less late are a recovery. */
export const recovery = { late: 15, departures: 3 }

export const AirportState = Schema.Struct({
  departures: Schema.NonNegativeInt,
  operation: Schema.Union(
    /** `late`: when the recent late departures were, those that may still be among the three. */
    Schema.TaggedStruct("Normal", { late: Schema.Array(Schema.DateTimeUtc) }),
    /** `punctual`: how many departures in a row were in time. */
    Schema.TaggedStruct("Disrupted", { since: Schema.DateTimeUtc, punctual: Schema.NonNegativeInt })
  )
})
export type AirportState = typeof AirportState.Type

export const Airport = Decider.make("airport", {
  state: AirportState,
  commands: ReportFlight,
  events: Schema.Union(FlightDeparted, AirportDisrupted, AirportRecovered)
})({
  initial: { departures: 0, operation: { _tag: "Normal", late: [] } },

  decide: (flight, { operation }) => {
    const departed = FlightDeparted(flight)
    const { airport, at } = flight
    if (operation._tag === "Normal") {
      return lateWith(operation.late, flight).length >= disruption.departures
        ? Either.right([departed, AirportDisrupted({ airport, at })])
        : Either.right([departed])
    }
    return punctualWith(operation.punctual, flight) >= recovery.departures
      ? Either.right([departed, AirportRecovered({ airport, at })])
      : Either.right([departed])
  },

  evolve: ({ departures, operation }, event) => {
    switch (event._tag) {
      case "FlightDeparted":
        return {
          departures: departures + 1,
          operation: operation._tag === "Normal"
            ? { _tag: "Normal", late: lateWith(operation.late, event) }
            : { ...operation, punctual: punctualWith(operation.punctual, event) }
        }
      case "AirportDisrupted":
        return { departures, operation: { _tag: "Disrupted", since: event.at, punctual: 0 } }
      case "AirportRecovered":
        return { departures, operation: { _tag: "Normal", late: [] } }
    }
  }
})

type Departure = { readonly at: DateTime.Utc; readonly delay: number }

/** The late departures with this one, without those that are too far from the newest to matter. */
const lateWith = (late: ReadonlyArray<DateTime.Utc>, { at, delay }: Departure): ReadonlyArray<DateTime.Utc> => {
  if (delay < disruption.late) return late
  const all = [...late, at]
  const newest = Math.max(...all.map((time) => time.epochMillis))
  return all.filter((time) => newest - time.epochMillis < disruption.minutes * 60_000)
}

const punctualWith = (punctual: number, { delay }: Departure): number => delay < recovery.late ? punctual + 1 : 0

/** One stream for each airport: `airport-DTW`. */
export const Airports = Category.make("airport", {
  id: Flight.AirportCode,
  events: [FlightDeparted, AirportDisrupted, AirportRecovered]
})

/** The airports over the event store: 220 of them stay in memory between commands, and leave a snapshot now and then. */
export const airports = Aggregate.make(Airport, Airports, { snapshot: Snapshot.every(100), cache: 1_000 })
