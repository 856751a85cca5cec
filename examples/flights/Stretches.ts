/**
 * Punctuality by the hour: of each airport, the six hours that end with each full hour, in sliding windows.
 */
import { DateTime } from "effect"
import * as Aggregation from "effect-skald/cep/Aggregation"
import * as Window from "effect-skald/cep/Window"
import type { FlightDeparted } from "./Airport.ts"
import { late } from "./Punctuality.ts"

type Departure = typeof FlightDeparted.Type

/** What the windows tell. */
export interface Stretches {
  /** How many windows there are with a departure in them. */
  readonly windows: number
  /** Those with at least {@link least} departures of which half or more were late. */
  readonly poor: number
  /** The poorest, one of an airport: by the share that was late, then by how many that was; of equals the earlier, then by code. */
  readonly poorest: ReadonlyArray<{
    readonly airport: string
    /** The hour that they begin with, `2001-02-14T09:00:00.000Z`. */
    readonly from: string
    readonly departures: number
    readonly late: number
  }>
}

/** So many departures are enough to tell. */
export const least = 5

/** So many are told. */
export const told = 5

const punctuality = Window.make({
  shape: Window.sliding("6 hours", "1 hour"),
  aggregate: Aggregation.sum(({ delay }: Departure) => delay >= late ? 1 : 0),
  timestamp: ({ at }) => at.epochMillis,
  keyBy: ({ airport }) => airport
})

/** Looks at departures that are in the order of time. */
export const find = (departures: ReadonlyArray<Departure>): Stretches => {
  const session = Window.open(punctuality)
  let windows = 0
  const poor: Array<Window.Result<number>> = []
  for (const output of [...session.push(departures), ...session.advance(Number.POSITIVE_INFINITY)]) {
    if (output._tag !== "Result") continue
    windows++
    if (output.count >= least && output.value * 2 >= output.count) poor.push(output)
  }
  poor.sort((a, b) =>
    b.value / b.count - a.value / a.count || b.value - a.value || a.start - b.start || (a.key < b.key ? -1 : 1)
  )
  const ofEach = new Map<string, Window.Result<number>>()
  for (const each of poor) if (!ofEach.has(each.key)) ofEach.set(each.key, each)
  return {
    windows,
    poor: poor.length,
    poorest: [...ofEach.values()].slice(0, told).map(({ count, key, start, value }) => ({
      airport: key,
      from: DateTime.formatIso(DateTime.unsafeMake(start)),
      departures: count,
      late: value
    }))
  }
}
