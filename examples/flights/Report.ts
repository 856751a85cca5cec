/**
 * The report: as data, and as text that a person likes to read.
 */
import { DateTime } from "effect"
import type { AirportState } from "./Airport.ts"
import type { Imported } from "./Import.ts"
import type { Inbound } from "./Inbound.ts"
import type { KnockOns } from "./KnockOn.ts"
import type { Notified } from "./Operations.ts"
import type * as Punctuality from "./Punctuality.ts"
import type { Rebuilt } from "./Rebuild.ts"
import type { Recovered } from "./Recovery.ts"
import type { Stretches } from "./Stretches.ts"

/** The report as data; what `--json` writes. */
export interface Report {
  readonly flights: number
  readonly events: number
  readonly airports: ReadonlyArray<{
    readonly code: string
    readonly departures: number
    /** Minutes; flights that left early count with less than none. */
    readonly meanDelay: number
    readonly disruptions: number
    readonly recoveries: number
  }>
  readonly days: ReadonlyArray<{
    /** A UTC day, `2001-02-14`. */
    readonly day: string
    readonly departures: number
    /** Departures 15 minutes late or more. */
    readonly late: number
  }>
  /** What became of the notices to the operations desk. */
  readonly desk: Notified
  /** What became of the sagas that a disruption begins. */
  readonly recovery: Recovered
  readonly knockOns: KnockOns
  readonly stretches: Stretches
  readonly inbound: Inbound
}

/** What the text tells beyond that. */
export interface Details {
  readonly names: ReadonlyMap<string, string>
  /** What this run did: read flights, or project those that were there anew. */
  readonly imported: Imported | undefined
  readonly rebuilt?: Rebuilt | undefined
  /** How some airports were as of an instant. */
  readonly asOf: DateTime.Utc
  readonly then: ReadonlyArray<readonly [code: string, AirportState]>
}

export const make = (
  counts: { readonly flights: number; readonly events: number },
  rows: {
    readonly airports: ReadonlyArray<Punctuality.AirportRow>
    readonly days: ReadonlyArray<Punctuality.DayRow>
  },
  others: Pick<Report, "desk" | "recovery" | "knockOns" | "stretches" | "inbound">
): Report => ({
  ...counts,
  airports: rows.airports.map(({ totalDelay, ...row }) => ({
    code: row.code,
    departures: row.departures,
    meanDelay: row.departures === 0 ? 0 : totalDelay / row.departures,
    disruptions: row.disruptions,
    recoveries: row.recoveries
  })),
  days: rows.days,
  ...others
})

/** The airports with most disruptions, the busier of two with as many first. */
export const mostDisrupted = (report: Report, howMany: number): Report["airports"] =>
  report.airports
    .filter((airport) => airport.disruptions > 0)
    .sort((a, b) => b.disruptions - a.disruptions || b.departures - a.departures || (a.code < b.code ? -1 : 1))
    .slice(0, howMany)

/** How text is set off; nothing of it changes where no colours are. */
interface Ink {
  readonly title: (text: string) => string
  readonly late: (text: string) => string
  readonly pale: (text: string) => string
}

const ink = (colors: boolean): Ink => {
  const paint = (code: string) => (text: string) => colors && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text
  return { title: paint("1"), late: paint("31"), pale: paint("2") }
}

/** The report as text, for so many columns. */
export const text = (
  report: Report,
  details: Details,
  screen: { readonly columns: number; readonly colors: boolean }
): string => {
  const pen = ink(screen.colors)
  return [
    totals(report, details.imported?.malformed ?? 0, pen),
    disrupted(report, details.names, pen),
    desk(report.desk, pen),
    recovery(report.recovery, pen),
    knockOns(report.knockOns, pen),
    stretches(report.stretches, report.inbound, pen),
    days(report, screen.columns, pen),
    asOf(details, pen),
    rates(details, pen)
  ].filter((section) => section.length > 0).map((section) => section.join("\n")).join("\n\n") + "\n"
}

const totals = (report: Report, malformed: number, pen: Ink): ReadonlyArray<string> => {
  const sum = (of: (airport: Report["airports"][number]) => number) =>
    report.airports.reduce((all, a) => all + of(a), 0)
  const late = report.days.reduce((all, day) => all + day.late, 0)
  const first = report.days[0]?.day
  const last = report.days[report.days.length - 1]?.day
  const delay = sum((a) => a.meanDelay * a.departures)
  return [
    pen.title(
      first === undefined ? "Flights" : first === last ? `Flights of ${first}` : `Flights from ${first} to ${last}`
    ),
    table([
      ["flights", count(report.flights), `from ${plural(report.airports.length, "airport")}`],
      ["late", count(late), `${percent(late, report.flights)} of them, by 15 minutes or more`],
      ["mean delay", report.flights === 0 ? "-" : (delay / report.flights).toFixed(1), "minutes"],
      ["disruptions", count(sum((a) => a.disruptions)), `and ${count(sum((a) => a.recoveries))} recoveries`],
      ["events", count(report.events), "in the log"],
      ...(malformed === 0 ? [] : [["malformed", count(malformed), "records of the input, left out"]])
    ], ["left", "right", "left"])
  ]
}

const disrupted = (report: Report, names: ReadonlyMap<string, string>, pen: Ink): ReadonlyArray<string> => {
  const airports = mostDisrupted(report, 10)
  const most = airports[0]?.disruptions
  if (most === undefined) return []
  return [
    pen.title(airports.length === 1 ? "The airport disrupted" : `The ${airports.length} airports most disrupted`),
    table(
      airports.map((airport) => [
        airport.code,
        names.get(airport.code) ?? "",
        count(airport.departures),
        airport.meanDelay.toFixed(1),
        count(airport.disruptions),
        pen.late("█".repeat(Math.max(1, Math.round(airport.disruptions / most * 20))))
      ]),
      ["left", "left", "right", "right", "right", "left"],
      ["", "", "flights", "mean delay", "disruptions", ""]
    )
  ]
}

const desk = ({ deadLettered, delivered, reprocessed, retried }: Notified, pen: Ink): ReadonlyArray<string> =>
  delivered + deadLettered === 0 ? [] : [
    pen.title("The operations desk"),
    table([
      ["delivered", count(delivered), "notices of disruptions and recoveries"],
      ["retried", count(retried), "of them, where the desk was busy or closed at first"],
      ["put aside", count(deadLettered), "as dead letters"],
      ["reprocessed", count(reprocessed), "of these, when the desk was open again"]
    ], ["left", "right", "left"])
  ]

const recovery = ({ balanced, committed, compensated, pools, retried }: Recovered, pen: Ink): ReadonlyArray<string> =>
  committed + compensated === 0 ? [] : [
    pen.title("Recovery, a saga for each disruption"),
    table([
      ["committed", count(committed), "with a crew, a gate and rooms from what the airport has"],
      ["compensated", count(compensated), "where one of them was not to be had, and the others were given back"],
      ["retried", count(retried), "requests that were put off"],
      ...pools.map(({ free, held, pool, size }) => [
        pool,
        count(held),
        `held, and ${count(free)} free: ${balanced ? "" : pen.late("not ")}the ${count(size)} that there were`
      ])
    ], ["left", "right", "left"])
  ]

const knockOns = ({ days, matches, mostPartialMatches }: KnockOns, pen: Ink): ReadonlyArray<string> =>
  matches === 0 ? [] : [
    pen.title("Knock-on days, late departures in a row and then late ones where they flew to"),
    table(days.slice(0, someDays).map(({ airport, day, hit }) => [day, airport, `then ${hit.join(", ")}`]), [
      "left",
      "left",
      "left"
    ]),
    `  ${plural(days.length, "day")}, ${plural(matches, "match", "matches")}; ` +
    `${plural(mostPartialMatches, "partial match", "partial matches")} held at most`
  ]

const stretches = (
  { poor, poorest, windows }: Stretches,
  { flights, most, unmet }: Inbound,
  pen: Ink
): ReadonlyArray<string> => [
  ...(poorest.length === 0 ? [] : [
    pen.title("Poorest six hours of an airport"),
    table(
      poorest.map(({ airport, departures, from, late }) => [
        airport,
        `from ${instant(DateTime.unsafeMake(from))}`,
        `${late} of ${departures} departures late`
      ]),
      ["left", "left", "left"]
    ),
    `  of ${plural(windows, "window")} ${count(poor)} had half of their departures late, or more`
  ]),
  ...(flights + unmet === 0 ? [] : [
    `  ${plural(flights, "flight")} were on the way to a disruption, ${count(most)} to one of them at most; ` +
    `${plural(unmet, "disruption")} met none`
  ])
]

/** How many knock-on days are told. */
const someDays = 10

/** How high the bars are. */
const height = 12

/** A bar for each day, as many charts as are needed beneath each other: how many departed, and how many of them late. */
const days = (report: Report, columns: number, pen: Ink): ReadonlyArray<string> => {
  const most = Math.max(0, ...report.days.map((day) => day.departures))
  if (most === 0) return []
  const margin = count(most).length + 4
  const width = Math.max(10, columns - margin)
  const charts = Array.from(
    { length: Math.ceil(report.days.length / width) },
    (_, index) => report.days.slice(index * width, (index + 1) * width)
  )
  const worst = report.days.reduce((a, b) => b.late / b.departures > a.late / a.departures ? b : a)
  return [
    `${pen.title("Departures by day")}   ${pen.late("█")} late  ${pen.pale("░")} in time`,
    ...charts.flatMap((chart) => [...bars(chart, most, margin, pen), dates(chart, margin)]),
    `  The worst day was ${worst.day}: ${percent(worst.late, worst.departures)} of its departures were late.`
  ]
}

const bars = (chart: Report["days"], most: number, margin: number, pen: Ink): ReadonlyArray<string> =>
  Array.from({ length: height }, (_, index) => {
    const level = height - index
    const label = level === height ? count(most) : level === height / 2 ? count(Math.round(most / 2)) : ""
    const cells = chart.map(({ departures, late }) =>
      reaches(late, most, level) ? pen.late("█") : reaches(departures, most, level) ? pen.pale("░") : " "
    )
    return `${label.padStart(margin - 2)} ┤${cells.join("")}`.trimEnd()
  })

/** Whether a bar fills a row of the chart, the first of them being 1; by half of it is enough. */
const reaches = (value: number, most: number, level: number): boolean => Math.round(value / most * height) >= level

/** The dates beneath a chart, each beginning where its bar stands, as far as there is room. */
const dates = (chart: Report["days"], margin: number): string => {
  let line = " ".repeat(margin)
  chart.forEach(({ day }, index) => {
    const isMarked = index === 0 || day.endsWith("-01") || day.endsWith("-15")
    if (isMarked && line.length <= margin + index) line = `${line.padEnd(margin + index)}${day.slice(5)} `
  })
  return line.trimEnd()
}

const asOf = ({ asOf, names, then }: Details, pen: Ink): ReadonlyArray<string> =>
  then.length === 0 ? [] : [
    pen.title(`As of ${instant(asOf)}`),
    table(
      then.map(([code, { departures, operation }]) => [
        code,
        names.get(code) ?? "",
        count(departures),
        operation._tag === "Disrupted" ? pen.late(`disrupted since ${instant(operation.since)}`) : "in normal operation"
      ]),
      ["left", "left", "right", "left"],
      ["", "", "flights", ""]
    )
  ]

const rates = ({ imported, rebuilt }: Details, pen: Ink): ReadonlyArray<string> => [
  ...(rebuilt === undefined ? [] : [
    pen.title("This run"),
    `  ${plural(rebuilt.projections, "projection")} made anew of ${plural(rebuilt.events, "event")} in ` +
    `${rebuilt.seconds.toFixed(1)} s: ${count(perSecond(rebuilt.events, rebuilt.seconds))} events/s`
  ]),
  ...(imported === undefined ? [] : imported.flights === 0 ? [pen.pale("There was nothing new to record.")] : [
    pen.title("This run"),
    `  ${plural(imported.flights, "flight")} and ${plural(imported.events, "event")} recorded in ` +
    `${imported.seconds.toFixed(1)} s: ${count(perSecond(imported.flights, imported.seconds))} flights/s, ` +
    `${count(perSecond(imported.events, imported.seconds))} events/s`
  ])
]

// ------------------------------------------------------------------------------------------------------------- setting

type Align = "left" | "right"

/** Rows in columns as wide as they must be. */
const table = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  align: ReadonlyArray<Align>,
  head?: ReadonlyArray<string>
): string => {
  const all = head === undefined ? rows : [head, ...rows]
  const widths = align.map((_, index) => Math.max(...all.map((row) => (row[index] ?? "").length)))
  return all.map((row) =>
    `  ${
      row.map((cell, index) =>
        align[index] === "right" ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)
      )
        .join("  ")
    }`.trimEnd()
  ).join("\n")
}

const count = (value: number): string => value.toLocaleString("en-US")

const plural = (value: number, noun: string, nouns = `${noun}s`): string =>
  `${count(value)} ${value === 1 ? noun : nouns}`

const percent = (part: number, whole: number): string => whole === 0 ? "0 %" : `${(part / whole * 100).toFixed(1)} %`

const perSecond = (value: number, seconds: number): number => Math.round(value / Math.max(seconds, 0.001))

const instant = (time: DateTime.Utc): string => `${DateTime.formatIso(time).slice(0, 16).replace("T", " ")} UTC`
