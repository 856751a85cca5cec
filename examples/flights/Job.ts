/**
 * The whole job: the import, or a rebuild of what it has led to, then the notices to the operations desk, the sagas of recovery, what
 * patterns and windows find, and the report.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import { DateTime, Effect, HashMap, Option } from "effect"
import { airports, FlightDeparted } from "./Airport.ts"
import { AirportCode } from "./Flight.ts"
import * as History from "./History.ts"
import * as Import from "./Import.ts"
import * as Input from "./Input.ts"
import * as Names from "./Names.ts"
import * as Operations from "./Operations.ts"
import * as Punctuality from "./Punctuality.ts"
import * as Rebuild from "./Rebuild.ts"
import * as Recovery from "./Recovery.ts"
import * as Report from "./Report.ts"
import { Screen } from "./Screen.ts"

/** The instant in the past that some airports are read as of. */
export const noon = DateTime.unsafeMake("2001-02-14T12:00:00Z")

/** How many airports are read then: those most disrupted. */
const someAirports = 5

export interface Options {
  readonly data: string | undefined
  readonly limit: number
  readonly json: string | undefined
  readonly rebuild: boolean
}

export const run = ({ data, json, limit, rebuild }: Options) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const screen = yield* Screen
    yield* Punctuality.tables

    const names = yield* Names.names
    const rebuilt = rebuild ? yield* Rebuild.run : undefined
    const imported = rebuild ? undefined : yield* Import.run(yield* Input.survey(data ?? Names.flights(), limit))

    const { statistics: { state: statistics } } = yield* Punctuality.catchUp
    const flights = Option.getOrElse(HashMap.get(statistics.byType, FlightDeparted.tag), () => 0)
    const desk = yield* Operations.run
    const history = yield* History.read
    const report = Report.make({ flights, events: statistics.events }, yield* Punctuality.rows, {
      desk,
      recovery: yield* Recovery.run(History.disruptions(history)),
      ...History.recognised(History.inOrder(history.map(({ payload }) => payload)))
    })

    const codes = Report.mostDisrupted(report, someAirports).map(({ code }) => AirportCode.make(code))
    const then = yield* airports.states(codes, { occurredAt: noon })
    const details = {
      names,
      imported,
      rebuilt,
      asOf: noon,
      then: then.map(([code, { state }]) => [code, state] as const)
    }

    yield* screen.show(Report.text(report, details, { columns: screen.columns, colors: screen.hasColors }))
    if (json !== undefined) yield* fs.writeFileString(json, `${JSON.stringify(report, null, 2)}\n`)
  })
