/**
 * What happened, in the order of time: the log has it in the order in which it was reported, airport beside airport.
 */
import { Chunk, Effect, Stream } from "effect"
import type { Recorded } from "effect-skald/event/Envelope"
import { AirportDisrupted, Airports, FlightDeparted } from "./Airport.ts"
import * as Inbound from "./Inbound.ts"
import * as KnockOn from "./KnockOn.ts"
import * as Stretches from "./Stretches.ts"

type Disruption = typeof AirportDisrupted.Type
type Event = typeof FlightDeparted.Type | Disruption

/** Events of one minute by the code of the airport, those of one airport as they were reported. */
export const inOrder = (events: ReadonlyArray<Event>): ReadonlyArray<Event> =>
  [...events].sort((a, b) =>
    a.at.epochMillis - b.at.epochMillis || (a.airport < b.airport ? -1 : a.airport > b.airport ? 1 : 0)
  )

/** All departures and disruptions, as they are recorded. */
export const read = Effect.map(
  Stream.runCollect(Airports.readAll({ types: [FlightDeparted, AirportDisrupted] })),
  Chunk.toReadonlyArray
)

/** The disruptions among them. */
export const disruptions = (recorded: ReadonlyArray<Recorded<Event>>): ReadonlyArray<Recorded<Disruption>> =>
  recorded.flatMap(({ payload, ...rest }) => payload._tag === "AirportDisrupted" ? [{ ...rest, payload }] : [])

/** What patterns, windows and a join find in events that are in order. */
export const recognised = (events: ReadonlyArray<Event>) => {
  const departures = events.filter((event) => event._tag === "FlightDeparted")
  return {
    knockOns: KnockOn.find(departures),
    stretches: Stretches.find(departures),
    inbound: Inbound.find(events)
  }
}
