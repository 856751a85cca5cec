/**
 * What the flights add up to: two SQL tables beside the events, in the same database, and statistics of the events themselves.
 *
 * A projection writes its table and its checkpoint in one transaction, so that each event counts once, whatever is killed
 * when.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { DateTime, Effect } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Projections from "effect-skald/cqrs/Projections"
import { AirportDisrupted, AirportRecovered, Airports, FlightDeparted } from "./Airport.ts"

/** So many minutes late are late in the report. */
export const late = 15

/** A row for each airport. */
export type AirportRow = {
  readonly code: string
  readonly departures: number
  readonly totalDelay: number
  readonly disruptions: number
  readonly recoveries: number
}

/** A row for each UTC day, `2001-02-14`. */
export type DayRow = {
  readonly day: string
  readonly departures: number
  readonly late: number
}

export const ByAirport = Projection.handler("punctuality-by-airport", {
  events: [FlightDeparted, AirportDisrupted, AirportRecovered],
  handle: Effect.fnUntraced(function*(events) {
    const rows = new Map<string, AirportRow>()
    for (const { payload } of events) {
      const row = rows.get(payload.airport) ??
        { code: payload.airport, departures: 0, totalDelay: 0, disruptions: 0, recoveries: 0 }
      rows.set(
        row.code,
        payload._tag === "FlightDeparted"
          ? { ...row, departures: row.departures + 1, totalDelay: row.totalDelay + payload.delay }
          : payload._tag === "AirportDisrupted"
          ? { ...row, disruptions: row.disruptions + 1 }
          : { ...row, recoveries: row.recoveries + 1 }
      )
    }
    const sql = yield* SqlClient.SqlClient
    yield* sql`
      INSERT INTO punctuality_by_airport ${sql.insert([...rows.values()])}
      ON CONFLICT (code) DO UPDATE SET
        departures = punctuality_by_airport.departures + excluded.departures,
        "totalDelay" = punctuality_by_airport."totalDelay" + excluded."totalDelay",
        disruptions = punctuality_by_airport.disruptions + excluded.disruptions,
        recoveries = punctuality_by_airport.recoveries + excluded.recoveries`
  })
})

export const ByDay = Projection.handler("punctuality-by-day", {
  events: [FlightDeparted],
  handle: Effect.fnUntraced(function*(events) {
    const rows = new Map<string, DayRow>()
    for (const { payload } of events) {
      const day = DateTime.formatIsoDateUtc(payload.at)
      const row = rows.get(day) ?? { day, departures: 0, late: 0 }
      rows.set(day, { day, departures: row.departures + 1, late: row.late + (payload.delay >= late ? 1 : 0) })
    }
    const sql = yield* SqlClient.SqlClient
    yield* sql`
      INSERT INTO punctuality_by_day ${sql.insert([...rows.values()])}
      ON CONFLICT (day) DO UPDATE SET
        departures = punctuality_by_day.departures + excluded.departures,
        late = punctuality_by_day.late + excluded.late`
  })
})

/** One of the library's own: how many events, and of which types. It is kept as one value, beside the snapshots. */
export const Statistics = Projections.statistics("flight-statistics", { category: Airports.name })

/** Makes the tables where they are missing, in SQL that SQLite and PostgreSQL both understand. */
export const tables = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE IF NOT EXISTS punctuality_by_airport (
      code TEXT PRIMARY KEY,
      departures INTEGER NOT NULL,
      "totalDelay" INTEGER NOT NULL,
      disruptions INTEGER NOT NULL,
      recoveries INTEGER NOT NULL
    )`
  yield* sql`
    CREATE TABLE IF NOT EXISTS punctuality_by_day (
      day TEXT PRIMARY KEY,
      departures INTEGER NOT NULL,
      late INTEGER NOT NULL
    )`
})

/**
 * Brings the projections up to the head of the log, each from where it was.
 *
 * A service that never ends would have them follow by itself, with `Projection.layerAsync`; this program ends, and must know
 * when they are there.
 */
export const catchUp = Effect.all({
  byAirport: Projection.catchUp(ByAirport),
  byDay: Projection.catchUp(ByDay),
  statistics: Projection.catchUp(Statistics)
})

/** The rows of both tables, in the order of their keys. */
export const rows = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const airports = yield* sql<AirportRow>`SELECT * FROM punctuality_by_airport ORDER BY code`
  const days = yield* sql<DayRow>`SELECT * FROM punctuality_by_day ORDER BY day`
  return { airports, days }
})
