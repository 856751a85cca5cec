import type { Serialized } from "../event/PayloadFormat.ts"
import * as Position from "../event/Position.ts"
import { ConditionFailed, type DuplicateEvent, StreamTombstoned, VersionConflict } from "../store/AppendError.ts"
import type * as Driver from "../store/Driver.ts"
import * as Idempotency from "./idempotency.ts"
import * as Locks from "./postgresLocks.ts"

/** How an append is answered that the driver itself did not fail with. */
export type Answer = Driver.AppendResult | DuplicateEvent | VersionConflict | StreamTombstoned | ConditionFailed

/** An append and the locks that it needs. */
export interface Prepared {
  readonly request: Driver.AppendRequest
  readonly locks: Locks.Locks
  readonly events: number
  /** Bytes, about. */
  readonly size: number
}

/** A row of the answer of the database's function, its columns in order. */
export type AnswerRow = readonly [
  outcome: "busy" | "ok" | "known" | "versions" | "matched",
  from: number | null,
  to: number | null,
  first: string | null,
  at: string | null,
  versions: ReadonlyArray<string> | null,
  known: string | null
]

export const prepare = (request: Driver.AppendRequest): Prepared => {
  let events = 0
  let size = 0
  for (const group of request.groups) {
    for (const { metadata, payload } of group.events) {
      events++
      size += payload.length + metadata.length + 256
    }
  }
  return { request, locks: Locks.make(request), events, size }
}

/** Whether an append waits for all others, so that there is no point in trying it without waiting. */
export const isWide = ({ locks, request }: Prepared): boolean => locks.get(Locks.ofLog(request.tenant)) === true

/** Those without a condition first, as the database's function wants them. */
export const inOrder = (batch: ReadonlyArray<Prepared>): ReadonlyArray<Prepared> =>
  batch.some(({ request }) => request.failIf !== undefined)
    ? [
      ...batch.filter(({ request }) => request.failIf === undefined),
      ...batch.filter(({ request }) => request.failIf !== undefined)
    ]
    : batch

/** The locks of several appends, in the order that everybody takes them. */
export const locksOf = (batch: ReadonlyArray<Prepared>): ReadonlyArray<readonly [key: number, exclusive: boolean]> => {
  const all = new Map<number, boolean>()
  for (const { locks } of batch) {
    for (const [key, exclusive] of locks) if (exclusive || !all.has(key)) all.set(key, exclusive)
  }
  return Locks.inOrder(all)
}

/** The columns that the database's function is given, in its order. */
const makeColumns = () => ({
  tenant: [] as Array<unknown>,
  groups: [] as Array<unknown>,
  rows: [] as Array<unknown>,
  tags: [] as Array<unknown>,
  query: [] as Array<unknown>,
  after: [] as Array<unknown>,
  groupTenant: [] as Array<unknown>,
  groupStream: [] as Array<unknown>,
  groupCategory: [] as Array<unknown>,
  groupExpected: [] as Array<unknown>,
  groupCount: [] as Array<unknown>,
  group: [] as Array<unknown>,
  number: [] as Array<unknown>,
  id: [] as Array<unknown>,
  type: [] as Array<unknown>,
  schemaVersion: [] as Array<unknown>,
  format: [] as Array<unknown>,
  payload: [] as Array<unknown>,
  bytes: [] as Array<unknown>,
  metadata: [] as Array<unknown>,
  correlation: [] as Array<unknown>,
  source: [] as Array<unknown>,
  tagList: [] as Array<unknown>,
  occurredAt: [] as Array<unknown>,
  content: [] as Array<unknown>,
  tagRow: [] as Array<unknown>,
  tag: [] as Array<unknown>
})

/** How many parameters that makes, with the four before them and the one after. */
export const parameterCount = 4 + Object.keys(makeColumns()).length + 1

/** What the database's function is given. */
export const parameters = (
  batch: ReadonlyArray<Prepared>,
  locks: ReadonlyArray<readonly [key: number, exclusive: boolean]>,
  wait: boolean,
  channel: string
): Array<unknown> => {
  const all = makeColumns()
  let plain = 0
  for (const { request } of batch) {
    for (const group of request.groups) {
      all.groupTenant.push(request.tenant)
      all.groupStream.push(group.stream)
      all.groupCategory.push(group.category)
      all.groupExpected.push(expectation(group.expected))
      all.groupCount.push(group.events.length)
      let number = 0
      for (const row of group.events) {
        all.group.push(all.groupStream.length)
        all.number.push(++number)
        all.id.push(row.id)
        all.type.push(row.type)
        all.schemaVersion.push(row.schemaVersion)
        all.format.push(row.format)
        addPayload(row.payload, all.payload, all.bytes)
        all.metadata.push(row.metadata)
        all.correlation.push(row.correlationId)
        all.source.push(row.source)
        all.tagList.push(row.tags.length === 0 ? null : JSON.stringify(row.tags))
        all.occurredAt.push(row.occurredAt)
        all.content.push(row.content)
        for (const tag of row.tags) {
          all.tagRow.push(all.id.length)
          all.tag.push(tag)
        }
      }
    }
    all.tenant.push(request.tenant)
    all.groups.push(all.groupStream.length)
    all.rows.push(all.id.length)
    all.tags.push(all.tag.length)
    const { failIf } = request
    if (failIf === undefined) plain++
    all.query.push(failIf?.query._tag === "Items" ? JSON.stringify(failIf.query.items) : null)
    all.after.push(failIf?.after ?? 0)
  }
  return [
    wait,
    plain,
    locks.map(([key]) => key),
    locks.map(([, exclusive]) => exclusive),
    ...Object.values(all),
    channel
  ]
}

/** Text in one column and bytes in the other; text with NUL, which PostgreSQL's text cannot hold, in both. */
export const addPayload = (payload: Serialized, texts: Array<unknown>, bytes: Array<unknown>): void => {
  if (typeof payload !== "string") {
    texts.push(null)
    bytes.push(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
  } else if (payload.includes("\u0000")) {
    texts.push("")
    bytes.push(Buffer.from(payload))
  } else {
    texts.push(payload)
    bytes.push(null)
  }
}

export const expectation = (expected: Driver.Group["expected"]): number =>
  expected === "any" ? -1 : expected === "streamExists" ? -2 : expected === "noStream" ? 0 : expected

/** The answer to each append of a batch, in its order. */
export const answers = (batch: ReadonlyArray<Prepared>, rows: ReadonlyArray<AnswerRow>): ReadonlyArray<Answer> => {
  const all: Array<Answer> = []
  for (const row of rows) {
    const [outcome, from, to, first, at, versions, known] = row
    const slice = batch.slice(from! - 1, to!)
    if (outcome === "ok") addWritten(slice, Number(first), Number(at), versions!, all)
    else all.push(refusal(slice[0]!.request, outcome, first, versions, known))
  }
  return all
}

const addWritten = (
  batch: ReadonlyArray<Prepared>,
  first: number,
  recordedAt: number,
  versions: ReadonlyArray<string>,
  all: Array<Answer>
): void => {
  let position = first
  let index = 0
  for (const { request } of batch) {
    const events: Array<{ readonly version: number; readonly position: number }> = []
    for (const group of request.groups) {
      const before = Number(versions[index++])
      for (let number = 1; number <= group.events.length; number++) {
        events.push({ version: before + number, position: position++ })
      }
    }
    all.push({ repeated: false, recordedAt, events })
  }
}

const refusal = (
  request: Driver.AppendRequest,
  outcome: AnswerRow[0],
  position: string | null,
  versions: ReadonlyArray<string> | null,
  known: string | null
): Answer => {
  if (outcome === "known") {
    const found = new Map<string, Idempotency.Known>()
    for (const [id, stream, version, position, recordedAt, content] of JSON.parse(known!) as ReadonlyArray<any>) {
      found.set(id, { stream, version, position, recordedAt, content })
    }
    return Idempotency.judge(request.groups, (id) => found.get(id))!
  }
  if (outcome === "matched") return new ConditionFailed({ query: request.failIf!.query, position: Number(position) })
  for (let index = 0; index < request.groups.length; index++) {
    const { expected, stream } = request.groups[index]!
    const actual = Number(versions![index])
    if (actual < 0) return new StreamTombstoned({ stream })
    if (!Position.meets(expected, actual)) return new VersionConflict({ stream, expected, actual })
  }
  throw new Error(`the database refused an append, and did not say why (${outcome})`)
}
