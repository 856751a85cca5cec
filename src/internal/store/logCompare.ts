import * as Effect from "effect/Effect"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as LogLine from "./logLine.ts"

/** What of an export a store has already. */
export interface Comparison {
  /** What of some lines, which come in the order of an export, is not there; `undefined` where something else is. */
  readonly missing: (
    lines: ReadonlyArray<LogLine.Line>
  ) => Effect.Effect<Omit<Driver.TransferBatch, "head"> | undefined, StoreError>
  /** Whether nothing is there beyond the lines. */
  readonly isAll: Effect.Effect<boolean, StoreError>
}

/** Compares with what the store held when it was looked at; an empty one is not read at all. */
export const make = (transfer: Driver.Transfer, found: Driver.LogState): Comparison => {
  const isEmpty = found.head === 0 && found.removed === 0
  let position = 0
  let id: Driver.Remembered | undefined
  let stream: Driver.Shortened | undefined

  /** The part of the wanted that is not there, where what is there is the rest. */
  const without = <A>(
    wanted: ReadonlyArray<A>,
    there: ReadonlyArray<A>,
    text: (value: A) => string
  ): ReadonlyArray<A> | undefined =>
    there.length <= wanted.length && there.every((each, index) => text(each) === text(wanted[index]!))
      ? wanted.slice(there.length)
      : undefined

  return {
    missing: (lines) =>
      Effect.gen(function*() {
        const rows = lines.flatMap((line) => line.kind === "event" ? [line.row] : [])
        const remembered = lines.flatMap((line) => line.kind === "id" ? [line.remembered] : [])
        const streams = lines.flatMap((line) => line.kind === "stream" ? [line.stream] : [])
        if (isEmpty) return { rows, remembered, streams }
        const last = rows[rows.length - 1]?.position ?? position
        const thereRows = rows.length === 0 ? [] : yield* transfer.rows({
          after: position,
          to: Math.min(last, found.head),
          limit: rows.length + 1
        })
        const thereIds = remembered.length === 0
          ? []
          : yield* transfer.remembered({ after: id, limit: remembered.length })
        const thereStreams = streams.length === 0 ? [] : yield* transfer.streams({
          after: stream,
          to: Number.MAX_SAFE_INTEGER,
          limit: streams.length
        })
        position = last
        id = remembered[remembered.length - 1] ?? id
        stream = streams[streams.length - 1] ?? stream
        const newRows = without(rows, thereRows, LogLine.ofRow)
        const newIds = without(remembered, thereIds, LogLine.ofRemembered)
        const newStreams = without(streams, thereStreams, LogLine.ofStream)
        return newRows === undefined || newIds === undefined || newStreams === undefined
          ? undefined
          : { rows: newRows, remembered: newIds, streams: newStreams }
      }),
    isAll: Effect.suspend(() =>
      isEmpty ? Effect.succeed(true) : Effect.gen(function*() {
        const more = yield* Effect.all([
          transfer.rows({ after: position, to: Number.MAX_SAFE_INTEGER, limit: 1 }),
          transfer.remembered({ after: id, limit: 1 }),
          transfer.streams({ after: stream, to: Number.MAX_SAFE_INTEGER, limit: 1 })
        ])
        return more.every((each) => each.length === 0)
      })
    )
  }
}
