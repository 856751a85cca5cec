import * as Effect from "effect/Effect"
import * as Event from "../../event/Event.ts"
import * as EventCodec from "../../event/EventCodec.ts"
import type { InvalidEvent } from "../../event/InvalidInput.ts"
import { PayloadFormat } from "../../event/PayloadFormat.ts"
import type * as Driver from "../../store/Driver.ts"
import { PayloadTransform } from "../../store/PayloadTransform.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as LogLine from "./logLine.ts"
import * as Rows from "../rows.ts"

/** The last of each kind that was read. */
export interface Place {
  readonly kind: "events" | "ids" | "streams"
  readonly position: number
  readonly id: { readonly id: string; readonly tenant: string } | undefined
  readonly stream: { readonly stream: string; readonly tenant: string } | undefined
}

export const start: Place = { kind: "events", position: 0, id: undefined, stream: undefined }

/** The place after a line. */
export const placeOf = (before: Place, line: LogLine.Line): Place => {
  switch (line.kind) {
    case "event":
      return { ...before, position: line.row.position }
    case "id":
      return { ...before, kind: "ids", id: line.remembered }
    case "stream":
      return { ...before, kind: "streams", stream: line.stream }
    default:
      return before
  }
}

/** Some lines of one kind. */
export interface Page {
  readonly kind: Place["kind"]
  readonly lines: ReadonlyArray<string>
  readonly place: Place
}

/** How many rows a page asks for at first and at most, and about how many characters it should hold. */
const pageRows = { first: 16, most: 1024, size: 4_194_304 }

type Failure = StoreError | EventCodec.DecodeError | InvalidEvent

/** Reads a log, page by page: events, then ids, then streams. */
export const reader = (
  transfer: Driver.Transfer,
  to: number,
  upcast: ReadonlyArray<Event.Any> | undefined
): Effect.Effect<(place: Place) => Effect.Effect<Page | undefined, Failure>> =>
  Effect.gen(function*() {
    const upcasted = upcast === undefined ? undefined : yield* upcaster(upcast)
    let limit = pageRows.first
    const events = (place: Place): Effect.Effect<Page | undefined, Failure> =>
      Effect.gen(function*() {
        const rows = yield* transfer.rows({ after: place.position, to, limit })
        if (rows.length === 0) return yield* ids({ ...place, kind: "ids" })
        const written = upcasted === undefined ? rows : yield* upcasted(rows)
        const lines = written.map(LogLine.ofRow)
        const size = lines.reduce((sum, line) => sum + line.length, 0) / lines.length
        limit = Math.max(1, Math.min(limit * 2, Math.floor(pageRows.size / size), pageRows.most))
        return { kind: "events" as const, lines, place: { ...place, position: rows[rows.length - 1]!.position } }
      })
    const ids = (place: Place): Effect.Effect<Page | undefined, Failure> =>
      Effect.flatMap(transfer.remembered({ after: place.id, limit: pageRows.most }), (found) =>
        found.length === 0
          ? streams({ ...place, kind: "streams" })
          : Effect.succeed({
            kind: "ids" as const,
            lines: found.map(LogLine.ofRemembered),
            place: { ...place, id: found[found.length - 1]! }
          }))
    const streams = (place: Place): Effect.Effect<Page | undefined, Failure> =>
      Effect.map(
        transfer.streams({ after: place.stream, to, limit: pageRows.most }),
        (found) =>
          found.length === 0 ? undefined : {
            kind: "streams" as const,
            lines: found.map(LogLine.ofStream),
            place: { ...place, stream: found[found.length - 1]! }
          }
      )
    const readers = { events, ids, streams }
    return (place) => Effect.suspend(() => readers[place.kind](place))
  })

/** Rows as the upcasters of some event types make them; those of other types as they are. */
const upcaster = (types: ReadonlyArray<Event.Any>) =>
  Effect.gen(function*() {
    const formats = yield* PayloadFormat
    const transform = yield* PayloadTransform
    const group: Event.Group<ReadonlyArray<Event.Any>> = Event.group(types as never) as never
    const codec: EventCodec.EventCodec<any> = EventCodec.make(group)
    const known = new Set(Event.storedTypes(types))
    const toRaws = Rows.reader(formats, transform)
    const format = Rows.formatName(formats, transform)
    const one = (row: Driver.WholeRow): Effect.Effect<Driver.WholeRow, Failure> =>
      Effect.gen(function*() {
        const [raw] = yield* toRaws([row])
        const { payload } = yield* codec.decode(raw!)
        const encoded = yield* EventCodec.encode(codec, payload)
        if (encoded.type === row.type && encoded.schemaVersion === row.schemaVersion) return row
        const plain = formats.write.write(encoded.payload)
        const item = { tenant: row.tenant, stream: row.stream, type: encoded.type, id: row.id, payload: plain }
        const written = transform === undefined ? [plain] : yield* Effect.mapError(
          transform.encode([item]),
          (cause) => new StoreError({ reason: "unknown", operation: "PayloadTransform.encode", cause })
        )
        return {
          ...row,
          type: encoded.type,
          schemaVersion: encoded.schemaVersion,
          format,
          payload: written[0]!,
          tags: encoded.tags.length === 0 ? null : JSON.stringify(Array.from(new Set(encoded.tags)).sort())
        }
      })
    return (rows: ReadonlyArray<Driver.WholeRow>) =>
      Effect.forEach(rows, (row) => known.has(row.type) ? one(row) : Effect.succeed(row))
  })
