import type * as Effect from "effect/Effect"
import type { Metadata } from "../../event/Envelope.ts"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { categoryOf } from "../store/categoryOf.ts"
import * as Reads from "./eventReads.ts"
import type { EventSql } from "./eventSql.ts"

/** Runs a statement on the writing connection. */
type Write = (text: string, ...params: ReadonlyArray<unknown>) => unknown

/** How statements are run. */
interface Runner {
  readonly read: <A>(operation: string, run: (reads: Reads.Run) => A) => Effect.Effect<A, StoreError>
  /** In a transaction: told where the log is, and tells how far it then is. */
  readonly write: <A>(
    operation: string,
    run: (transaction: {
      readonly head: number
      readonly write: Write
      readonly onCommit: (position: number) => void
    }) => A
  ) => Effect.Effect<A, StoreError>
}

/** Where a row of the log stands. */
interface Place {
  readonly tenant: string
  readonly stream: string
  readonly category: string | null
  readonly version: number
  readonly position: number
  readonly recordedAt: number
}

/** Writes a row and its tags. */
export const insert = (write: Write, sql: EventSql, row: Driver.NewRow, place: Place): void => {
  write(
    sql.insertEvent,
    place.position,
    place.tenant,
    place.stream,
    place.version,
    place.category,
    row.id,
    row.type,
    row.schemaVersion,
    row.format,
    row.correlationId,
    row.source,
    row.tags.length === 0 ? null : JSON.stringify(row.tags),
    row.occurredAt,
    place.recordedAt,
    row.content,
    row.metadata,
    row.payload
  )
  for (const tag of row.tags) write(sql.insertTag, tag, place.tenant, place.position)
}

export const make = (sql: EventSql, runner: Runner): Driver.Transfer => ({
  state: runner.read("EventStore.transfer", (run) => ({
    head: run(sql.head, [])[0]![0] as number,
    removed: run(sql.removed, [])[0]![0] as number
  })),
  rows: ({ after, limit, to }) =>
    runner.read("EventStore.transfer", (run) =>
      run(sql.wholeRows, [after, to, limit]).map((row): Driver.WholeRow => ({
        ...Reads.toRow(row),
        tenant: row[13],
        content: row[14]
      }))),
  remembered: ({ after, limit }) =>
    runner.read(
      "EventStore.transfer",
      (run) =>
        run(sql.remembered, [after?.id ?? "", after?.tenant ?? "", limit]).map((row): Driver.Remembered => ({
          id: row[0],
          tenant: row[1],
          stream: row[2],
          version: row[3],
          position: row[4],
          recordedAt: row[5],
          content: row[6]
        }))
    ),
  streams: ({ after, limit, to }) =>
    runner.read(
      "EventStore.transfer",
      (run) =>
        run(sql.shortened, [to, after?.stream ?? "", after?.tenant ?? "", limit]).map((row): Driver.Shortened => ({
          stream: row[0],
          tenant: row[1],
          firstVersion: row[2],
          tombstoned: row[3] === 1,
          version: row[3] === 1 ? row[4] : Math.max(row[4], row[5])
        }))
    ),
  write: (batch) =>
    runner.write("EventStore.transfer", ({ head, onCommit, write }) => {
      if (batch.head !== head) return { state: "other", head }
      let position = head
      let recordedAt = 0
      for (const row of batch.rows) {
        const { correlationId = row.id } = JSON.parse(row.metadata) as Metadata
        const tags: ReadonlyArray<string> = row.tags === null ? [] : JSON.parse(row.tags)
        insert(write, sql, { ...row, correlationId, tags }, { ...row, category: categoryOf(row.stream) })
        position = Math.max(position, row.position)
        recordedAt = Math.max(recordedAt, row.recordedAt)
      }
      for (const known of batch.remembered) {
        const { content, id, stream, tenant, version } = known
        write(sql.remember, id, tenant, stream, version, known.position, known.recordedAt, content)
        position = Math.max(position, known.position)
        recordedAt = Math.max(recordedAt, known.recordedAt)
      }
      for (const { firstVersion, stream, tenant, tombstoned, version } of batch.streams) {
        write(sql.mark, stream, tenant, version, firstVersion, tombstoned ? 1 : 0)
      }
      // other processes, and what this one remembers of the log, take notice of it
      write(sql.moved, position, recordedAt)
      onCommit(position)
      return { state: "done" }
    })
})
