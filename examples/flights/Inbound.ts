/**
 * Flights that were on their way to trouble: departures joined with the disruptions of the airports that they flew to, within
 * two hours after they left.
 */
import * as Join from "effect-skald/cep/Join"
import type { AirportDisrupted, FlightDeparted } from "./Airport.ts"

type Departure = typeof FlightDeparted.Type
type Disruption = typeof AirportDisrupted.Type

/** What the join tells. */
export interface Inbound {
  /** Flights that were under way when the airport that they flew to was disrupted; one of two disruptions counts twice. */
  readonly flights: number
  /** The most that were under way to one of them. */
  readonly most: number
  /** Disruptions that nobody was on the way to. */
  readonly unmet: number
}

const underWay = Join.make({
  kind: "right",
  left: { timestamp: ({ at }: Departure) => at.epochMillis, keyBy: ({ destination }) => destination },
  right: { timestamp: ({ at }: Disruption) => at.epochMillis, keyBy: ({ airport }) => airport },
  within: { before: 0, after: "2 hours" }
})

/** Joins events that are in the order of time. */
export const find = (events: ReadonlyArray<Departure | Disruption>): Inbound => {
  const session = Join.open(underWay)
  const outputs = session.push(events.map((event) =>
    event._tag === "FlightDeparted"
      ? { side: "left", input: { _tag: "Event", event } } as const
      : { side: "right", input: { _tag: "Event", event } } as const
  ))
  const end = { _tag: "Time", time: Number.POSITIVE_INFINITY } as const
  const rest = session.push([{ side: "left", input: end }, { side: "right", input: end }])
  const met = new Map<Disruption, number>()
  let unmet = 0
  for (const output of [...outputs, ...rest]) {
    if (output._tag === "Pair") met.set(output.right, (met.get(output.right) ?? 0) + 1)
    if (output._tag === "RightOnly") unmet++
  }
  const flights = [...met.values()]
  return { flights: flights.reduce((sum, each) => sum + each, 0), most: Math.max(0, ...flights), unmet }
}
