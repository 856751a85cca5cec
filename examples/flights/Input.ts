/**
 * Reads flights from a file: a JSON array of them, as the data set is, or one flight a line (NDJSON).
 */
import * as FileSystem from "@effect/platform/FileSystem"
import type { PlatformError } from "@effect/platform/Error"
import { Chunk, DateTime, Effect, Either, Stream } from "effect"
import { createHash } from "node:crypto"
import * as Flight from "./Flight.ts"
import * as Records from "./Records.ts"

/** What is known of a file before its flights are read. */
export interface Survey {
  readonly file: string
  /** SHA-256 of the content: what tells this input from another. */
  readonly digest: string
  /** How many records there are to read. */
  readonly records: number
}

/** A record of the file: a flight, or what is wrong with it. */
export type Entry = Reported | Malformed

export interface Reported {
  readonly _tag: "Reported"
  readonly record: number
  readonly flight: Flight.Flight
  /** The same for the same flight in any file and at any place; the second of two equal ones gets `#2`. */
  readonly id: string
}

export interface Malformed {
  readonly _tag: "Malformed"
  readonly record: number
  readonly line: number
  readonly column: number
  readonly reason: string
}

export const isReported = (entry: Entry): entry is Reported => entry._tag === "Reported"

/** Reads a file once through, to know how much there is of it. */
export const survey = (
  file: string,
  limit: number
): Effect.Effect<Survey, PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { stream } = yield* FileSystem.FileSystem
    const hash = createHash("sha256")
    const records = yield* pieces(Stream.tap(stream(file), (bytes) => Effect.sync(() => hash.update(bytes)))).pipe(
      Stream.runCount
    )
    return { file, digest: hash.digest("hex"), records: Math.min(records, limit) }
  })

/** The first records of a file, in their order. */
export const read = (
  file: string,
  limit: number
): Stream.Stream<Entry, PlatformError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, ({ stream }) => {
    const seen = new Map<string, number>()
    return pieces(stream(file)).pipe(Stream.take(limit), Stream.mapChunks(Chunk.map((piece) => entry(piece, seen))))
  }))

const pieces = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Records.Piece, E, R> =>
  Stream.suspend(() => {
    const cutter = Records.cutter()
    return Stream.decodeText(bytes).pipe(
      Stream.mapChunks(Chunk.flatMap((text) => Chunk.unsafeFromArray(cutter.push(text)))),
      Stream.concat(Stream.suspend(() => Stream.fromIterable(cutter.end())))
    )
  })

const entry = ({ column, line, record, text }: Records.Piece, seen: Map<string, number>): Entry => {
  const flight = text.length < Records.maxLength
    ? Flight.fromJson(text)
    : Either.left(`is longer than ${Records.maxLength} characters`)
  if (Either.isLeft(flight)) return { _tag: "Malformed", record, line, column, reason: flight.left }
  const { at, delay, destination, distance, origin } = flight.right
  const content = `${origin}-${destination} ${DateTime.formatIso(at)} ${delay} ${distance}`
  const count = (seen.get(content) ?? 0) + 1
  seen.set(content, count)
  return { _tag: "Reported", record, flight: flight.right, id: count === 1 ? content : `${content} #${count}` }
}
