/**
 * A flight as the data set has it.
 *
 * `{ "date": "2001/01/01 00:47", "delay": 66, "distance": 1750, "origin": "DTW", "destination": "LAS" }`
 */
import { DateTime, Either, Option, ParseResult, Schema } from "effect"

/** The code of an airport: `DTW`. */
export const AirportCode = Schema.String.pipe(
  Schema.pattern(/^[A-Z0-9]{3,4}$/, { message: ({ actual }) => `must be the code of an airport, got ${show(actual)}` }),
  Schema.brand("AirportCode")
)
export type AirportCode = typeof AirportCode.Type

/** A flight's `date`, `2001/01/01 00:47`, taken as it is given and read as UTC. */
export const FlightTime = Schema.transformOrFail(Schema.String, Schema.DateTimeUtcFromSelf, {
  strict: true,
  decode: (text, _options, ast) =>
    Either.fromOption(
      parseTime(text),
      () => new ParseResult.Type(ast, text, `must be a time such as 2001/01/31 00:47, got ${show(text)}`)
    ),
  encode: (time) => ParseResult.succeed(formatTime(time))
})

/** Minutes after the time in the timetable; negative when the flight left early. */
export const Delay = Schema.Int.pipe(Schema.between(-100_000, 100_000))

/** Miles. */
export const Distance = Schema.NonNegative

/** What is known of each flight. */
export const fields = { destination: AirportCode, delay: Delay, distance: Distance }

/** A flight, read from a record of the data set. */
export const Flight = Schema.Struct({
  at: Schema.propertySignature(FlightTime).pipe(Schema.fromKey("date")),
  origin: AirportCode,
  ...fields
})
export interface Flight extends Schema.Schema.Type<typeof Flight> {}

/** Reads a flight from JSON text; the left side says what is wrong with it, all faults at once. */
export const fromJson = (text: string): Either.Either<Flight, string> =>
  Either.mapLeft(decode(text), (issue) =>
    ParseResult.ArrayFormatter.formatIssueSync(issue)
      .map(({ message, path }) => [...path, message].join(" "))
      .join("; "))

const decode = ParseResult.decodeEither(Schema.parseJson(Flight), { errors: "all" })

const parseTime = (text: string) => {
  const time = /^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}$/.test(text)
    ? DateTime.make(`${text.replaceAll("/", "-").replace(" ", "T")}Z`)
    : DateTime.make(Number.NaN)
  // 30 February is read as 2 March elsewhere
  return Option.filter(time, (time) => formatTime(time) === text)
}

const formatTime = (time: DateTime.Utc): string =>
  DateTime.formatIso(time).slice(0, 16).replaceAll("-", "/").replace("T", " ")

const show = (value: unknown): string => JSON.stringify(value)
