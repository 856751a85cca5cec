import type { Serialized } from "../../event/PayloadFormat.ts"
import * as Position from "../../event/Position.ts"
import { ConditionFailed, type DuplicateEvent, StreamTombstoned, VersionConflict } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import * as Idempotency from "../store/idempotency.ts"
import * as Locks from "./locks.ts"

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

/** How many parameters the database's function has. */
export const parameterCount = 32

/**
 * What the database's function is given, in its order.
 *
 * Columns of text go as one text each, cut by a control character that no name and no JSON text holds: that costs a fraction of
 * an array literal, in which every quote of every payload is escaped. What is the same for all events is sent once.
 */
export const parameters = (
  batch: ReadonlyArray<Prepared>,
  locks: ReadonlyArray<readonly [key: number, exclusive: boolean]>,
  wait: boolean,
  channel: string
): Array<unknown> => {
  const appends = { tenant: texts(), groups: integers(), rows: integers(), tags: integers() }
  const queries: Array<string | null> = []
  const after = integers()
  const group = { tenant: texts(), stream: texts(), category: texts(), expected: integers(), count: integers() }
  const row = {
    group: integers(),
    number: integers(),
    id: texts(),
    type: texts(),
    schemaVersion: integers(),
    format: texts(),
    payload: texts(),
    metadata: texts(),
    correlation: texts(),
    source: texts(),
    tagList: texts(),
    occurredAt: integers(),
    content: texts()
  }
  const bytes: Array<Buffer | null> = []
  const tagRow = integers()
  const tag = texts()
  let plain = 0
  let groups = 0
  let rows = 0
  let tags = 0
  for (const { request } of batch) {
    for (const { category, events, expected, stream } of request.groups) {
      groups++
      group.tenant.push(request.tenant)
      group.stream.push(stream)
      group.category.push(category ?? none)
      group.expected.push(expectation(expected))
      group.count.push(events.length)
      for (let index = 0; index < events.length; index++) {
        const event = events[index]!
        rows++
        row.group.push(groups)
        row.number.push(index + 1)
        row.id.push(event.id)
        row.type.push(event.type)
        row.schemaVersion.push(event.schemaVersion)
        row.format.push(event.format)
        row.payload.push(textOf(event.payload) ?? none)
        bytes.push(bytesOf(event.payload))
        row.metadata.push(event.metadata)
        row.correlation.push(event.correlationId)
        row.source.push(event.source)
        row.occurredAt.push(event.occurredAt)
        row.content.push(event.content)
        row.tagList.push(event.tags.length === 0 ? none : JSON.stringify(event.tags))
        for (const name of event.tags) {
          tags++
          tagRow.push(rows)
          tag.push(name)
        }
      }
    }
    appends.tenant.push(request.tenant)
    appends.groups.push(groups)
    appends.rows.push(rows)
    appends.tags.push(tags)
    const { failIf } = request
    if (failIf === undefined) plain++
    queries.push(failIf?.query._tag === "Items" ? JSON.stringify(failIf.query.items) : null)
    after.push(failIf?.after ?? 0)
  }
  return [
    wait,
    plain,
    `{${locks.map(([key]) => key).join()}}`,
    `{${locks.map(([, exclusive]) => exclusive).join()}}`,
    joined(appends.tenant),
    list(appends.groups),
    list(appends.rows),
    list(appends.tags),
    queries,
    list(after),
    joined(group.tenant),
    joined(group.stream),
    joined(group.category),
    list(group.expected),
    list(group.count),
    list(row.group),
    list(row.number),
    joined(row.id),
    between(once(row.type)),
    list(once(row.schemaVersion)),
    between(once(row.format)),
    joined(row.payload),
    bytes.some((each) => each !== null) ? bytes : "{}",
    joined(row.metadata),
    joined(row.correlation),
    between(once(row.source)),
    between(once(row.tagList)),
    list(row.occurredAt),
    joined(row.content),
    list(tagRow),
    joined(tag),
    channel
  ]
}

/** Cuts a column of text. Names and JSON texts hold no control characters. */
const cut = "\u001f"
/** Stands for no value in a column of text. */
const none = "\u001e"

const texts = (): Array<string> => []
const integers = (): Array<number> => []

/** A column of text: each value is followed by a cut, so that one that is empty is told from none at all. */
const joined = (values: ReadonlyArray<string>): string => values.length === 0 ? "" : values.join(cut) + cut

/** Values with cuts between them. Where one would be taken for two, so many that the database's function refuses them. */
const between = (values: ReadonlyArray<string>): string =>
  values.some((value) => value.includes(cut)) ? cut.repeat(maxRows) : values.join(cut)

/** More than the events of any call. */
const maxRows = 1_000_000

const list = (values: ReadonlyArray<number>): string => `{${values.join()}}`

/** One value where all are the same. */
const once = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => {
  const first = values[0]
  for (const value of values) if (value !== first) return values
  return values.slice(0, 1)
}

/** Text that PostgreSQL's text cannot hold, or not on the way to it, is in both columns. */
const isOdd = (text: string): boolean => text.includes("\u0000") || text.includes(cut) || text.includes(none)

/** What is in the column of text. */
const textOf = (payload: Serialized): string | null =>
  typeof payload !== "string" ? null : isOdd(payload) ? "" : payload

/** What is in the column of bytes. */
const bytesOf = (payload: Serialized): Buffer | null =>
  typeof payload !== "string"
    ? Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    : isOdd(payload)
    ? Buffer.from(payload)
    : null

/** Text in one column and bytes in the other; odd text in both. */
export const addPayload = (payload: Serialized, texts: Array<unknown>, bytes: Array<unknown>): void => {
  texts.push(textOf(payload))
  bytes.push(bytesOf(payload))
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
