/**
 * A whole store as NDJSON: every event of every tenant as it stands, the ids of those that were removed, and what was truncated
 * or tombstoned. `effect-skald/store/Import` makes the same store of it, over any driver.
 *
 * Events are lines of JSON that tools can read; payloads stay as they are stored, encrypted ones encrypted. The file ends with
 * the number of its lines and the SHA-256 of what stands before. Equal logs give equal files, byte by byte.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash, type Hash } from "node:crypto"
import type * as Event from "../event/Event.ts"
import type { DecodeError } from "../event/EventCodec.ts"
import type { InvalidEvent } from "../event/InvalidInput.ts"
import * as LogLine from "../internal/store/logLine.ts"
import * as Pages from "../internal/store/logPages.ts"
import * as TextLines from "../internal/store/textLines.ts"
import { EventStore } from "./EventStore.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Why an export failed.
 *
 * - `unavailable`: the file cannot be read or written;
 * - `changed`: something was truncated or tombstoned since the export began, so that it would be neither the one log nor the
 *   other: begin anew. Appends do not disturb it;
 * - `otherFile`: the file that it would go on with is no export of this log.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExportError extends Schema.TaggedError<ExportError>("effect-skald/store/ExportError")("ExportError", {
  reason: Schema.Literal("unavailable", "changed", "otherFile"),
  /** The file; `""` where there is none. */
  path: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return this.path === "" ? this.problem : `${this.path}: ${this.problem}`
  }
}

/**
 * How far an export is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly events: number
  readonly ids: number
  readonly streams: number
  /** Written in all, with what an earlier run wrote. */
  readonly bytes: number
  /** The position of the last event that was written. */
  readonly position: number
  /** The position that the export goes up to. */
  readonly head: number
  /** Whether the file is whole. */
  readonly done: boolean
}

/**
 * What an export may be asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Event types whose older events are written as their upcasters make them, under their present names: for a store that code
   * without those upcasters reads. Others are written as they stand, and so are all without it. Ids are remembered with the
   * content that was appended.
   */
  readonly upcast?: ReadonlyArray<Event.Any> | undefined
}

/**
 * Why an export may fail: an event that cannot be upcast fails only where that is asked for.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = ExportError | StoreError | DecodeError | InvalidEvent

const changed = (path: string) =>
  new ExportError({
    reason: "changed",
    path,
    problem: "events were truncated or a stream was tombstoned since the export began: begin anew"
  })

/** Where an export is. */
interface Cursor {
  readonly place: Pages.Place
  readonly header: LogLine.Header
  readonly hash: Hash
  readonly events: number
  readonly ids: number
  readonly streams: number
  readonly bytes: number
  readonly position: number
  readonly done: boolean
}

interface Part {
  readonly text: string
  readonly cursor: Cursor
}

const begin = (state: { readonly head: number; readonly removed: number }): Part => {
  const text = LogLine.ofHeader(state)
  return {
    text,
    cursor: {
      place: Pages.start,
      header: { kind: "log", format: 1, ...state },
      hash: createHash("sha256").update(text),
      events: 0,
      ids: 0,
      streams: 0,
      bytes: Buffer.byteLength(text),
      position: 0,
      done: false
    }
  }
}

const progressOf = ({ bytes, done, events, header, ids, position, streams }: Cursor): Progress => ({
  events,
  ids,
  streams,
  bytes,
  position,
  head: header.head,
  done
})

/** What comes after a cursor, part by part. */
const partsFrom = (
  cursor: Cursor,
  options: Options | undefined,
  path: string
): Stream.Stream<Part, Failure, EventStore> =>
  Stream.unwrap(Effect.gen(function*() {
    const { transfer } = yield* EventStore
    const next = yield* Pages.reader(transfer, cursor.header.head, options?.upcast)
    return Stream.paginateEffect(cursor, (before) =>
      Effect.gen(function*() {
        const page = yield* next(before.place)
        if (page !== undefined) {
          const text = page.lines.join("")
          const cursor: Cursor = {
            ...before,
            place: page.place,
            hash: before.hash.update(text),
            events: before.events + (page.kind === "events" ? page.lines.length : 0),
            ids: before.ids + (page.kind === "ids" ? page.lines.length : 0),
            streams: before.streams + (page.kind === "streams" ? page.lines.length : 0),
            bytes: before.bytes + Buffer.byteLength(text),
            position: page.place.position
          }
          return [{ text, cursor }, Option.some(cursor)]
        }
        const state = yield* transfer.state
        if (state.removed !== before.header.removed) return yield* changed(path)
        const { events, ids, streams } = before
        const text = LogLine.ofEnd({ events, ids, streams, sha256: before.hash.digest("hex") })
        return [
          { text, cursor: { ...before, bytes: before.bytes + Buffer.byteLength(text), done: true } },
          Option.none<Cursor>()
        ]
      }))
  }))

/**
 * The text of an export, in pieces of whole lines, in bounded memory. Appends may go on meanwhile: it goes up to the head that
 * the log has when it is run.
 *
 * @since 0.1.0
 * @category runners
 */
export const text = (options?: Options): Stream.Stream<string, Failure, EventStore> =>
  Stream.unwrap(Effect.gen(function*() {
    const { transfer } = yield* EventStore
    const first = begin(yield* transfer.state)
    return Stream.concat(
      Stream.make(first.text),
      Stream.map(partsFrom(first.cursor, options, ""), (part) => part.text)
    )
  }))

const unavailable = (path: string, problem: string) => (cause: unknown) =>
  new ExportError({ reason: "unavailable", path, problem, cause })

const otherFile = (path: string, problem: string) => new ExportError({ reason: "otherFile", path, problem })

/**
 * Exports into a file, and tells how far it is. A file that an earlier run left unfinished, wherever it was stopped, is gone on
 * with: to the byte what one run would have written. One that is whole is left as it is.
 *
 * @example
 * ```ts
 * import * as NodeContext from "@effect/platform-node/NodeContext"
 * import * as Export from "effect-skald/store/Export"
 * import { Effect, Stream } from "effect"
 *
 * const backup = Export.toFile("backup.ndjson").pipe(
 *   Stream.runForEach(({ bytes, head, position }) => Effect.logInfo(`${bytes} bytes, ${position} of ${head}`)),
 *   Effect.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const toFile = (
  path: string,
  options?: Options
): Stream.Stream<Progress, Failure, EventStore | FileSystem.FileSystem> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { transfer } = yield* EventStore
    const state = yield* transfer.state
    const there = yield* Effect.mapError(fs.exists(path), unavailable(path, "cannot be looked at"))
    const left = there ? yield* resume(fs, path, state) : undefined
    if (left?.done === true) return Stream.make(progressOf(left))
    if (left !== undefined) {
      yield* Effect.mapError(fs.truncate(path, FileSystem.Size(left.bytes)), unavailable(path, "cannot be cut"))
    }
    const file = yield* Effect.mapError(
      fs.open(path, { flag: left === undefined ? "w" : "a" }),
      unavailable(path, "cannot be opened")
    )
    const write = ({ cursor, text }: Part) =>
      file.writeAll(new TextEncoder().encode(text)).pipe(
        Effect.zipRight(cursor.done ? file.sync : Effect.void),
        Effect.mapError(unavailable(path, "cannot be written")),
        Effect.as(progressOf(cursor))
      )
    const first = left === undefined ? begin(state) : undefined
    const from = left ?? first!.cursor
    const parts = partsFrom(from, options, path)
    return Stream.mapEffect(first === undefined ? parts : Stream.concat(Stream.make(first), parts), write)
  }))

/** Where an earlier run was stopped; `undefined` where not even the first line is whole. */
const resume = (
  fs: FileSystem.FileSystem,
  path: string,
  state: { readonly head: number; readonly removed: number }
): Effect.Effect<Cursor | undefined, ExportError> =>
  TextLines.cut(fs.stream(path)).pipe(
    Stream.mapError(unavailable(path, "cannot be read")),
    Stream.runFoldEffect(
      undefined as Cursor | undefined,
      (cursor, line): Effect.Effect<Cursor | undefined, ExportError> => {
        if (!line.ended) return Effect.succeed(cursor)
        const read = LogLine.read(line.text)
        if (Either.isLeft(read)) return otherFile(path, `line ${line.number} is of no export: ${read.left.problem}`)
        const { right } = read
        if (cursor === undefined) {
          if (right.kind !== "log") return otherFile(path, "does not begin as an export does")
          if (right.head > state.head) return otherFile(path, `goes up to ${right.head}, the log to ${state.head}`)
          return right.removed === state.removed
            ? Effect.succeed(begin(right).cursor)
            : changed(path)
        }
        if (right.kind === "log" || cursor.done) return otherFile(path, `line ${line.number} is one too many`)
        if (right.kind === "end") {
          const sha256 = cursor.hash.digest("hex")
          return sha256 === right.sha256
            ? Effect.succeed({ ...cursor, bytes: line.offset, done: true })
            : otherFile(path, "its SHA-256 is not that of its last line")
        }
        const place = Pages.placeOf(cursor.place, right)
        return Effect.succeed({
          ...cursor,
          place,
          hash: cursor.hash.update(line.bytes),
          bytes: line.offset,
          position: place.position,
          events: cursor.events + (right.kind === "event" ? 1 : 0),
          ids: cursor.ids + (right.kind === "id" ? 1 : 0),
          streams: cursor.streams + (right.kind === "stream" ? 1 : 0)
        })
      }
    )
  )

/**
 * The SHA-256 of what an export of the store would hold before its last line: equal logs have the same, whatever their drivers.
 *
 * @since 0.1.0
 * @category accessors
 */
export const sha256: Effect.Effect<string, ExportError | StoreError, EventStore> = Effect.flatMap(
  Stream.runLast(text()),
  Option.match({
    onNone: () => Effect.succeed(""),
    onSome: (last) => {
      const end = LogLine.read(last.trimEnd())
      return Effect.succeed(Either.isRight(end) && end.right.kind === "end" ? end.right.sha256 : "")
    }
  })
) as Effect.Effect<string, ExportError | StoreError, EventStore>
