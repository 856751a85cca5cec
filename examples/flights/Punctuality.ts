/**
 * What the flights add up to: two SQL tables beside the events, in the same database, and statistics of the events themselves.
 *
 * A projection writes its table and its checkpoint in one transaction, so that each event counts once, whatever is killed
 * when. A rebuild writes a table of its own, and the one before answers until it has come as far.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { DateTime, Effect, type Stream } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import { Generation } from "effect-skald/cqrs/ProjectionContext"
import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
import * as Projections from "effect-skald/cqrs/Projections"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import type { ReadError } from "effect-skald/store/Category"
import type { CheckpointConflict, CheckpointStore } from "effect-skald/store/CheckpointStore"
import type { EventStore } from "effect-skald/store/EventStore"
import type { SnapshotStore } from "effect-skald/store/SnapshotStore"
import type { StoreError } from "effect-skald/store/StoreError"
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

/** The table of a model; each rebuild writes another. */
const airportsOf = (generation: number): string => tableOf("punctuality_by_airport", generation)
const daysOf = (generation: number): string => tableOf("punctuality_by_day", generation)
const tableOf = (name: string, generation: number): string => generation === 0 ? name : `${name}_${generation}`

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
      INSERT INTO ${sql(airportsOf(yield* Generation))} AS known ${sql.insert([...rows.values()])}
      ON CONFLICT (code) DO UPDATE SET
        departures = known.departures + excluded.departures,
        "totalDelay" = known."totalDelay" + excluded."totalDelay",
        disruptions = known.disruptions + excluded.disruptions,
        recoveries = known.recoveries + excluded.recoveries`
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
      INSERT INTO ${sql(daysOf(yield* Generation))} AS known ${sql.insert([...rows.values()])}
      ON CONFLICT (day) DO UPDATE SET
        departures = known.departures + excluded.departures,
        late = known.late + excluded.late`
  })
})

/** One of the library's own: how many events, and of which types. It is kept as one value, beside the snapshots. */
export const Statistics = Projections.statistics("flight-statistics", { category: Airports.name })

/** In SQL that SQLite and PostgreSQL both understand. */
const makeAirports = (generation: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql`
      CREATE TABLE IF NOT EXISTS ${sql(airportsOf(generation))} (
        code TEXT PRIMARY KEY,
        departures INTEGER NOT NULL,
        "totalDelay" INTEGER NOT NULL,
        disruptions INTEGER NOT NULL,
        recoveries INTEGER NOT NULL
      )`)

const makeDays = (generation: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql`
      CREATE TABLE IF NOT EXISTS ${sql(daysOf(generation))} (
        day TEXT PRIMARY KEY,
        departures INTEGER NOT NULL,
        late INTEGER NOT NULL
      )`)

const drop = (table: string) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP TABLE IF EXISTS ${sql(table)}`)

/** Makes the tables that answer, where they are missing. */
export const tables = Effect.gen(function*() {
  yield* makeAirports(yield* ProjectionRebuild.generation(ByAirport))
  yield* makeDays(yield* ProjectionRebuild.generation(ByDay))
})

/** What a rebuild of a table does: it fills an empty one, which takes the place of the one before. */
const inTable = <E, R>(
  table: (generation: number) => string,
  make: (generation: number) => Effect.Effect<unknown, E, R>
) => ({
  prepare: (generation: number) => Effect.zipRight(drop(table(generation)), make(generation)),
  swap: ({ from }: { readonly from: number }) => drop(table(from))
})

/** A projection that can be made anew. */
export interface Rebuild {
  readonly name: string
  /** Which model of it answers. */
  readonly generation: Effect.Effect<number, StoreError | InvalidInput, CheckpointStore | SnapshotStore>
  /** Makes it anew. */
  readonly progress: Stream.Stream<
    ProjectionRebuild.Progress,
    ReadError | CheckpointConflict | SqlError,
    EventStore | CheckpointStore | SnapshotStore | SqlClient.SqlClient
  >
}

export const rebuilds: ReadonlyArray<Rebuild> = [
  {
    name: ByAirport.name,
    generation: ProjectionRebuild.generation(ByAirport),
    progress: ProjectionRebuild.rebuild(ByAirport, inTable(airportsOf, makeAirports))
  },
  {
    name: ByDay.name,
    generation: ProjectionRebuild.generation(ByDay),
    progress: ProjectionRebuild.rebuild(ByDay, inTable(daysOf, makeDays))
  },
  {
    name: Statistics.name,
    generation: ProjectionRebuild.generation(Statistics),
    progress: ProjectionRebuild.rebuild(Statistics)
  }
]

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
  const airports = sql(airportsOf(yield* ProjectionRebuild.generation(ByAirport)))
  const days = sql(daysOf(yield* ProjectionRebuild.generation(ByDay)))
  return {
    airports: yield* sql<AirportRow>`SELECT * FROM ${airports} ORDER BY code`,
    days: yield* sql<DayRow>`SELECT * FROM ${days} ORDER BY day`
  }
  // both of one moment, though somebody rebuilds meanwhile
}).pipe((read) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(read)))
