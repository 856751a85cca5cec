/**
 * A whole store made of what `effect-skald/store/Export` wrote: the same events at the same positions, with their ids, times and
 * tenants, the ids that are remembered, what was truncated, and the streams that were tombstoned. Over whichever driver, an export
 * of the copy is the same file again.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as Compare from "../internal/store/logCompare.ts"
import * as LogLine from "../internal/store/logLine.ts"
import * as TextLines from "../internal/store/textLines.ts"
import type { TransferBatch } from "./Driver.ts"
import { EventStore } from "./EventStore.ts"
import * as Export from "./Export.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Why an import failed. What was written until then stays, and is gone on with when it is run again; what does not pass the
 * check that comes first has written nothing.
 *
 * - `unavailable`: the file cannot be read;
 * - `line`: a line is not what it must be; `line` and `field` tell where;
 * - `incomplete`: the text ends before its last line;
 * - `checksum`: the last line's counts or SHA-256 are not those of the text;
 * - `otherEvents`: the store holds events that are not of this export, or somebody else appends to it;
 * - `differs`: read back, the store is not what the export says.
 *
 * @since 0.1.0
 * @category errors
 */
export class ImportError extends Schema.TaggedError<ImportError>("effect-skald/store/ImportError")("ImportError", {
  reason: Schema.Literal("unavailable", "line", "incomplete", "checksum", "otherEvents", "differs"),
  /** 1 for the first; 0 where it is about no line. */
  line: Schema.Number,
  /** The member of the line, as a path; `""` for the whole. */
  field: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const where = [...(this.line === 0 ? [] : [`line ${this.line}`]), ...(this.field === "" ? [] : [this.field])]
    return where.length === 0 ? this.problem : `${where.join(", ")}: ${this.problem}`
  }
}

/**
 * How far an import is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** `check`: the file is gone through; `write`: the store is written; `readBack`: it is compared with the file. */
  readonly phase: "check" | "write" | "readBack"
  readonly events: number
  readonly ids: number
  readonly streams: number
  /** Of the text. */
  readonly bytes: number
  readonly lines: number
  /** Whether this phase has ended. */
  readonly done: boolean
}

const failed = (reason: ImportError["reason"], problem: string, line = 0, field = "") =>
  new ImportError({ reason, line, field, problem })

/** What has been read of a text. */
class Reading {
  readonly hash = createHash("sha256")
  events = 0
  ids = 0
  streams = 0
  bytes = 0
  lines = 0
  position = 0
  header: LogLine.Header | undefined
  end: LogLine.End | undefined

  /** Takes a line, or says what is wrong with it. */
  take(line: TextLines.TextLine): Either.Either<LogLine.Line, ImportError> {
    const bad = (problem: string, field = "") => Either.left(failed("line", problem, line.number, field))
    if (this.end !== undefined) return bad("stands behind the last line")
    if (!line.ended) return Either.left(failed("incomplete", "is cut off", line.number))
    const read = LogLine.read(line.text)
    if (Either.isLeft(read)) return bad(read.left.problem, read.left.field)
    const { right } = read
    const problem = this.place(right)
    if (problem !== undefined) return bad(...problem)
    this.lines = line.number
    this.bytes = line.offset
    if (right.kind === "end") return this.finish(right, line.number)
    this.hash.update(line.bytes)
    return Either.right(right)
  }

  /** Where a line may stand: first the log, then events by position, then ids, then streams. */
  private place(line: LogLine.Line): [problem: string, field: string] | undefined {
    if (this.header === undefined) {
      if (line.kind !== "log") return [`must be "log" in the first line, got "${line.kind}"`, "kind"]
      this.header = line
      return undefined
    }
    switch (line.kind) {
      case "log":
        return ["must stand in the first line alone", "kind"]
      case "event": {
        const { position } = line.row
        if (this.ids > 0 || this.streams > 0) return ["must stand before ids and streams", "kind"]
        if (position <= this.position) return [`must be beyond ${this.position}, got ${position}`, "position"]
        if (position > this.header.head) return [`must be at most ${this.header.head}, got ${position}`, "position"]
        this.position = position
        this.events++
        return undefined
      }
      case "id":
        if (this.streams > 0) return ["must stand before streams", "kind"]
        this.ids++
        return undefined
      case "stream":
        this.streams++
        return undefined
      case "end":
        this.end = line
        return undefined
    }
  }

  private finish(end: LogLine.End, line: number): Either.Either<LogLine.Line, ImportError> {
    for (const field of ["events", "ids", "streams"] as const) {
      if (end[field] !== this[field]) {
        return Either.left(failed("checksum", `says ${end[field]}, the text has ${this[field]}`, line, field))
      }
    }
    return end.sha256 === this.hash.digest("hex")
      ? Either.right(end)
      : Either.left(failed("checksum", "is not that of the text", line, "sha256"))
  }

  ensureEnd(): Either.Either<void, ImportError> {
    return this.end === undefined
      ? Either.left(failed("incomplete", "ends before its last line", this.lines))
      : Either.void
  }

  progress(phase: Progress["phase"], done: boolean): Progress {
    const { bytes, events, ids, lines, streams } = this
    return { phase, events, ids, streams, bytes, lines, done }
  }
}

/** The most lines, and about how many characters, that are written together. */
const batchLines = 500
const batchSize = 4_194_304

/** Lines in batches, in bounded memory. */
const batches = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<ReadonlyArray<TextLines.TextLine>, E, R> =>
  Stream.suspend(() => {
    let batch: Array<TextLines.TextLine> = []
    let size = 0
    const full = Stream.mapConcat(TextLines.cut(bytes), (line) => {
      batch.push(line)
      size += line.bytes.length
      if (batch.length < batchLines && size < batchSize) return []
      const out = batch
      batch = []
      size = 0
      return [out]
    })
    return Stream.concat(full, Stream.suspend(() => batch.length === 0 ? Stream.empty : Stream.make(batch)))
  })

/**
 * Goes through an export without a store: each line, the counts, the SHA-256.
 *
 * @since 0.1.0
 * @category runners
 */
export const check = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Progress, ImportError | E, R> =>
  Stream.suspend(() => {
    const reading = new Reading()
    const progress = Stream.mapEffect(
      batches(bytes),
      (batch) =>
        Effect.suspend((): Effect.Effect<Progress, ImportError> => {
          for (const line of batch) {
            const taken = reading.take(line)
            if (Either.isLeft(taken)) return Effect.fail(taken.left)
          }
          return Effect.succeed(reading.progress("check", reading.end !== undefined))
        })
    )
    return Stream.concat(progress, Stream.execute(Effect.suspend(() => reading.ensureEnd())))
  })

/**
 * Writes what an export holds into the store, and tells how far it is. The store must be empty, or hold the beginning of just
 * this export, from an import that was stopped: what is there is compared line by line, and the rest is written. Each batch of
 * lines is one transaction.
 *
 * The text is checked while it is written: what stands before a bad line has then been written. {@link fromFile} checks first.
 *
 * @since 0.1.0
 * @category runners
 */
export const fromBytes = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Progress, ImportError | StoreError | E, EventStore | R> =>
  Stream.unwrap(Effect.gen(function*() {
    const { transfer } = yield* EventStore
    const found = yield* transfer.state
    const reading = new Reading()
    const there = Compare.make(transfer, found)
    let { head } = found

    const write = (batch: Omit<TransferBatch, "head">) =>
      Effect.gen(function*() {
        if (batch.rows.length + batch.remembered.length + batch.streams.length === 0) return
        const answer = yield* transfer.write({ ...batch, head })
        if (answer.state === "other") {
          return yield* failed(
            "otherEvents",
            `the log ends at ${answer.head}, and not at ${head}: somebody else appends to it`
          )
        }
        for (const { position } of batch.rows) head = Math.max(head, position)
        for (const { position } of batch.remembered) head = Math.max(head, position)
      })

    const take = (lines: ReadonlyArray<TextLines.TextLine>) =>
      Effect.gen(function*() {
        const read: Array<LogLine.Line> = []
        for (const line of lines) read.push(yield* reading.take(line))
        const missing = yield* there.missing(read)
        if (missing === undefined) {
          return yield* failed("otherEvents", "the store holds events that are not of this export", lines[0]!.number)
        }
        yield* write(missing)
        if (reading.end !== undefined && !(yield* there.isAll)) {
          return yield* failed("otherEvents", "the store holds more than this export")
        }
        return reading.progress("write", reading.end !== undefined)
      })

    return Stream.concat(
      Stream.mapEffect(batches(bytes), take),
      Stream.execute(Effect.suspend(() => reading.ensureEnd()))
    )
  }))

const unavailable = (path: string) => (cause: unknown) =>
  new ImportError({ reason: "unavailable", line: 0, field: "", problem: `${path} cannot be read`, cause })

/**
 * Imports a file: checks it to its end before anything is written, writes, and then reads the store back and compares its
 * SHA-256 with that of the file. Stopped, or killed, it is run again: it goes on where it was.
 *
 * @example
 * ```ts
 * import * as NodeContext from "@effect/platform-node/NodeContext"
 * import * as Import from "effect-skald/store/Import"
 * import { Effect, Stream } from "effect"
 *
 * const restore = Import.fromFile("backup.ndjson").pipe(
 *   Stream.runForEach(({ events, phase }) => Effect.logInfo(`${phase}: ${events} events`)),
 *   Effect.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const fromFile = (
  path: string
): Stream.Stream<Progress, ImportError | StoreError, EventStore | FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => {
    const bytes = Stream.mapError(fs.stream(path), unavailable(path))
    let whole: Progress | undefined
    const written = Stream.tap(fromBytes(bytes), (progress) => Effect.sync(() => whole = progress))
    const readBack = Stream.unwrap(Effect.gen(function*() {
      const copy = yield* Effect.mapError(
        Export.sha256,
        (error) => error._tag === "ExportError" ? failed("otherEvents", error.problem) : error
      )
      const end = yield* Stream.runLast(TextLines.cut(bytes))
      const last = LogLine.read(end._tag === "Some" ? end.value.text : "")
      return Either.isRight(last) && last.right.kind === "end" && last.right.sha256 === copy
        ? Stream.make<[Progress]>({ ...whole!, phase: "readBack", done: true })
        : Stream.fail(failed("differs", "read back, the store is not what the export says"))
    }))
    return Stream.concat(Stream.concat(check(bytes), written), readBack)
  }))
