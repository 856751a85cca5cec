import * as Position from "../../event/Position.ts"
import { ConditionFailed, type DuplicateEvent, StreamTombstoned, VersionConflict } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import type * as Query from "../../store/Query.ts"
import type * as SqliteClient from "../../store/SqliteClient.ts"
import * as Idempotency from "../store/idempotency.ts"
import { classify } from "./errors.ts"
import * as Reads from "./eventReads.ts"
import type { EventSql } from "./eventSql.ts"

/** How an append is answered that the driver itself did not fail with. */
export type Answer = Driver.AppendResult | DuplicateEvent | VersionConflict | StreamTombstoned | ConditionFailed

/**
 * Judges and writes appends, synchronously, inside a transaction on the writing connection that its caller has begun.
 *
 * What it knows of the log is good for as long as nobody else writes: `load` says so at the beginning of a transaction,
 * `forget` after one that may not have been committed.
 */
export interface Appender {
  /** Takes note of where the log is; forgets everything that others may have changed. */
  readonly load: () => void
  readonly forget: () => void
  /** Writes all rows of an append, or none and says why. What it throws has left the transaction in no known state. */
  readonly append: (request: Driver.AppendRequest) => Answer
  /** The position of the last event. */
  readonly position: () => number
}

/** A tombstoned stream, where its version would stand. */
const tombstoned = -1

/** How many streams' versions are remembered at least. */
const cached = 32_768

/** No name holds NUL. */
const keyOf = (tenant: string, stream: string): string => tenant === "" ? stream : `${tenant}\u0000${stream}`

export const make = (client: SqliteClient.Service, sql: EventSql): Appender => {
  const array = (text: string) => client.prepare("writer", text, "array")
  const state = array(sql.state)
  const recordedAtOf = array(sql.recordedAtOf)
  const status = array(sql.status)
  const known = array(sql.known)
  const isRetired = array(sql.isRetired)
  const insertEvent = client.prepare("writer", sql.insertEvent)
  const insertTag = client.prepare("writer", sql.insertTag)
  const undoTags = client.prepare("writer", sql.undoTags)
  const undoEvents = client.prepare("writer", sql.undoEvents)

  /** Versions by stream, and those before them: when the first are too many they take the place of the second. */
  let versions = new Map<string, number>()
  let older = new Map<string, number>()
  let position = -1
  let changes = -1
  let recordedAt = 0
  let anyRetired = false

  const load = (): void => {
    const [atPosition, atChanges] = state.get() as [number, number]
    if (atPosition === position && atChanges === changes) return
    versions = new Map()
    older = new Map()
    position = atPosition
    changes = atChanges
    const [at, retired] = recordedAtOf.get() as [number, number]
    recordedAt = at
    anyRetired = retired === 1
  }

  const versionOf = (tenant: string, stream: string): number => {
    const key = keyOf(tenant, stream)
    const found = versions.get(key) ?? older.get(key)
    if (found !== undefined) return found
    const [last, marked, , ended] = status.get(stream, tenant, stream, tenant) as [number, number, number, number]
    const version = ended === 1 ? tombstoned : Math.max(last, marked)
    remember(key, version)
    return version
  }

  const remember = (key: string, version: number): void => {
    if (versions.size === cached) {
      older = versions
      versions = new Map()
    }
    versions.set(key, version)
  }

  /** The first match after a position. */
  const firstMatch = (tenant: string, query: Query.Query, after: number): number | undefined =>
    Reads.firstMatch(sql, tenant, query, after, (text, params) => array(text).all(...params) as Array<Array<number>>)

  /** Why an append is refused, its ids left aside. */
  const refusal = (
    { failIf, groups, tenant }: Driver.AppendRequest
  ): VersionConflict | StreamTombstoned | ConditionFailed | undefined => {
    for (const { expected, stream } of groups) {
      const actual = versionOf(tenant, stream)
      if (actual === tombstoned) return new StreamTombstoned({ stream })
      if (!Position.meets(expected, actual)) return new VersionConflict({ stream, expected, actual })
    }
    if (failIf === undefined) return undefined
    const found = firstMatch(tenant, failIf.query, failIf.after)
    return found === undefined ? undefined : new ConditionFailed({ query: failIf.query, position: found })
  }

  const judge = ({ groups, tenant }: Driver.AppendRequest) =>
    Idempotency.judge(groups, (id) => {
      const row = known.get(id, tenant, id, tenant) as [string, number, number, number, string] | undefined
      return row === undefined
        ? undefined
        : { stream: row[0], version: row[1], position: row[2], recordedAt: row[3], content: row[4] }
    })

  const holdsRetired = ({ groups, tenant }: Driver.AppendRequest): boolean =>
    groups.some(({ events }) => events.some(({ id }) => isRetired.get(id, tenant) !== undefined))

  /** Writes the rows; `false` when an id was there already, and then nothing was written. */
  const write = (
    { groups, tenant }: Driver.AppendRequest,
    at: number,
    events: Array<{ readonly version: number; readonly position: number }>
  ): boolean => {
    let next = position
    try {
      for (const group of groups) {
        const { category, stream } = group
        if (group.events.length === 0) continue
        let version = versionOf(tenant, stream)
        for (const row of group.events) {
          next++
          version++
          insertEvent.run(
            next,
            tenant,
            stream,
            version,
            category,
            row.id,
            row.type,
            row.schemaVersion,
            row.format,
            row.correlationId,
            row.source,
            row.tags.length === 0 ? null : JSON.stringify(row.tags),
            row.occurredAt,
            at,
            row.content,
            row.metadata,
            row.payload
          )
          for (const tag of row.tags) insertTag.run(tag, tenant, next)
          events.push({ version, position: next })
        }
      }
      return true
    } catch (error) {
      if (classify(error) !== "constraint") throw error
      if (events.length > 0) {
        undoTags.run(position)
        undoEvents.run(position)
      }
      return false
    }
  }

  return {
    load,
    forget: () => {
      position = -1
    },
    position: () => position,
    // A known id is looked for only where something is in its way: the index on the ids refuses it when it is written.
    append: (request) => {
      const refused = refusal(request)
      if (refused !== undefined) return judge(request) ?? refused
      if (anyRetired && holdsRetired(request)) return judge(request)!
      const at = Math.max(recordedAt, request.now)
      const events: Array<{ readonly version: number; readonly position: number }> = []
      if (!write(request, at, events)) {
        const judged = judge(request)
        if (judged === undefined) throw new Error("the log changed while its lock was held")
        return judged
      }
      recordedAt = at
      position = events[events.length - 1]!.position
      let index = -1
      for (const { events: { length }, stream } of request.groups) {
        index += length
        if (length > 0) remember(keyOf(request.tenant, stream), events[index]!.version)
      }
      return { repeated: false, recordedAt: at, events }
    }
  }
}
