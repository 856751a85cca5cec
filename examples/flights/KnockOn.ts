/**
 * Knock-on days: at least three late departures of an airport within two hours, with no punctual one between, then late
 * departures at two of the airports that they flew to, within the next three hours.
 */
import { DateTime } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Pattern from "effect-skald/cep/Pattern"
import { FlightDeparted } from "./Airport.ts"
import { late } from "./Punctuality.ts"

type Departure = typeof FlightDeparted.Type

/** What is known of knock-on delays. */
export interface KnockOns {
  /** Of each run of late departures with each one that it can end with, the first two airports that were hit. */
  readonly matches: number
  /** Where and when they began, by day and airport. */
  readonly days: ReadonlyArray<{
    /** A UTC day, `2001-02-14`. */
    readonly day: string
    readonly airport: string
    /** The airports that were late after it, by code. */
    readonly hit: ReadonlyArray<string>
  }>
  /** The most partial matches that were held at once. */
  readonly mostPartialMatches: number
}

const hours = (from: Departure, to: Departure): number => (to.at.epochMillis - from.at.epochMillis) / 3_600_000

const isLate = ({ delay }: Departure): boolean => delay >= late

/** Whether a flight leaves an airport late that one of those before flew to. */
const isHit = (flight: Departure, before: ReadonlyArray<Departure>): boolean =>
  isLate(flight) && before.some(({ destination }) => destination === flight.airport)

/** The events are those of all airports: which belong together is up to the conditions. */
export const knockOn = Pattern.begin("late", FlightDeparted, {
  where: (flight, _, [first]) =>
    isLate(flight) && (first === undefined || (flight.airport === first.airport && hours(first, flight) < 2)),
  times: { min: 3 },
  until: (flight, _, [first]) => flight.airport === first?.airport && !isLate(flight)
}).pipe(
  Pattern.followedBy("first", FlightDeparted, { where: (flight, { late }) => isHit(flight, late), within: "3 hours" }),
  Pattern.followedBy("second", FlightDeparted, {
    where: (flight, { first, late }) =>
      isHit(flight, late) && flight.airport !== first.airport && hours(late[late.length - 1] ?? first, flight) < 3
  }),
  Pattern.within("5 hours")
)

const matcher = Matcher.make(knockOn, { timestamp: ({ at }) => at.epochMillis })

/** Finds them in departures that are in the order of time. */
export const find = (departures: ReadonlyArray<Departure>): KnockOns => {
  const session = Matcher.open(matcher)
  const days = new Map<string, Set<string>>()
  let matches = 0
  for (const output of session.push(departures)) {
    if (output._tag !== "Matches") continue
    matches += output.matches.count
    for (const { match: { first, late: [cause], second } } of output.matches) {
      const key = `${DateTime.formatIsoDateUtc(cause.at)} ${cause.airport}`
      days.set(key, (days.get(key) ?? new Set()).add(first.airport).add(second.airport))
    }
  }
  return {
    matches,
    days: [...days].sort(([a], [b]) => a < b ? -1 : 1).map(([key, hit]) => {
      const [day = "", airport = ""] = key.split(" ")
      return { day, airport, hit: [...hit].sort() }
    }),
    mostPartialMatches: session.stats().mostPartialMatches
  }
}
