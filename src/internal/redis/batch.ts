import { ConditionFailed, type DuplicateEvent, StreamTombstoned, VersionConflict } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as Idempotency from "../store/idempotency.ts"
import type { Argument } from "./connection.ts"
import { reasonOf } from "./errors.ts"
import * as Keys from "./keys.ts"

/** How an append is answered. */
export type Answer =
  | Driver.AppendResult
  | DuplicateEvent
  | VersionConflict
  | StreamTombstoned
  | ConditionFailed
  | StoreError

/** An append as the script takes it. */
export interface Prepared {
  readonly request: Driver.AppendRequest
  readonly args: ReadonlyArray<Argument>
  readonly events: number
  /** Bytes, about. */
  readonly size: number
}

/** Whose hook is running, and for how many milliseconds the log is kept for it. */
export interface Hold {
  readonly token: string
  readonly mode: "begin" | "join"
  readonly lease: number
}

/**
 * An append as arguments: how many follow, tenant, condition, after, how many groups; of each group its stream,
 * category, expectation, how many events; of each event eight, and its tags.
 */
export const prepare = (request: Driver.AppendRequest): Prepared => {
  const { failIf, groups, tenant } = request
  const args: Array<Argument> = [
    "",
    Keys.tenant(tenant),
    failIf === undefined ? "" : failIf.query._tag === "All" ? "*" : JSON.stringify(failIf.query.items),
    failIf === undefined ? "0" : String(failIf.after),
    String(groups.length)
  ]
  let events = 0
  let size = 0
  for (const group of groups) {
    args.push(group.stream, group.category ?? "", expectation(group.expected), String(group.events.length))
    for (const row of group.events) {
      const { metadata, payload } = row
      events++
      size += payload.length + metadata.length + 256
      pushEvent(args, row, group.category)
    }
  }
  args[0] = String(args.length - 1)
  return { request, args, events, size }
}

/** An event as arguments: its id, content, type, correlation, time, header, payload, how many tags, and these. */
export const pushEvent = (args: Array<Argument>, row: Driver.NewRow, category: string | null): void => {
  const { payload, tags } = row
  args.push(
    row.id,
    row.content,
    row.type,
    row.correlationId,
    String(row.occurredAt),
    header(row, category),
    typeof payload === "string" ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    String(tags.length)
  )
  for (const tag of tags) args.push(tag)
}

/** What is kept beside a payload, as the scripts and `reads.ts` read it. */
const header = (row: Driver.NewRow, category: string | null): string =>
  JSON.stringify([
    row.id,
    row.type,
    row.schemaVersion,
    row.format,
    row.metadata,
    row.source,
    row.tags.length === 0 ? null : JSON.stringify(row.tags),
    row.occurredAt,
    row.correlationId,
    category,
    typeof row.payload === "string" ? 0 : 1
  ])

export const expectation = (expected: Driver.Group["expected"]): string =>
  expected === "any" ? "-1" : expected === "streamExists" ? "-2" : expected === "noStream" ? "0" : String(expected)

/** The arguments of a call of the script. */
export const parameters = (batch: ReadonlyArray<Prepared>, hold?: Hold): Array<Argument> => {
  const all: Array<Argument> = hold === undefined
    ? ["", "", "0", String(batch.length)]
    : [hold.token, hold.mode, String(hold.lease), String(batch.length)]
  for (const { args } of batch) for (let index = 0; index < args.length; index++) all.push(args[index]!)
  return all
}

/** The script's answer to one append. */
export type Reply =
  | readonly ["ok", first: number, recordedAt: number, ...versions: ReadonlyArray<number>]
  | readonly ["known", ...idsAndPlaces: ReadonlyArray<string>]
  | readonly ["version", group: number, actual: number]
  | readonly ["matched", position: number]
  | readonly ["failed", message: string]

export const answer = ({ request }: Prepared, reply: Reply): Answer => {
  switch (reply[0]) {
    case "ok":
      return written(request, reply)
    case "known": {
      const found = new Map<string, Idempotency.Known>()
      for (let index = 1; index < reply.length; index += 2) found.set(reply[index]!, place(reply[index + 1]!))
      return Idempotency.judge(request.groups, (id) => found.get(id))!
    }
    case "version": {
      const { expected, stream } = request.groups[reply[1] - 1]!
      return reply[2] < 0
        ? new StreamTombstoned({ stream })
        : new VersionConflict({ stream, expected, actual: reply[2] })
    }
    case "matched":
      return new ConditionFailed({ query: request.failIf!.query, position: reply[1] })
    case "failed": {
      const cause = new Error(reply[1])
      return new StoreError({ operation: "EventStore.append", reason: reasonOf(cause), cause })
    }
  }
}

const written = (request: Driver.AppendRequest, reply: Reply & { readonly 0: "ok" }): Driver.AppendResult => {
  const events: Array<{ readonly version: number; readonly position: number }> = []
  let position = reply[1]
  for (let index = 0; index < request.groups.length; index++) {
    const before = reply[index + 3] as number
    const count = request.groups[index]!.events.length
    for (let number = 1; number <= count; number++) events.push({ version: before + number, position: position++ })
  }
  return { repeated: false, recordedAt: reply[2], events }
}

/** What `place` reads. */
export const placeOf = ({ content, position, recordedAt, stream, version }: Idempotency.Known): string =>
  `${version} ${position} ${recordedAt} ${content} ${stream}`

/** Where an event stands, and its content: what is remembered of an id. A stream's name may hold spaces. */
export const place = (text: string): Idempotency.Known => {
  const [version = "", position = "", recordedAt = "", content = "", ...stream] = text.split(" ")
  return {
    stream: stream.join(" "),
    version: Number(version),
    position: Number(position),
    recordedAt: Number(recordedAt),
    content
  }
}

/** The last position of what was appended. */
export const lastPosition = ({ events }: Driver.AppendResult): number => events[events.length - 1]!.position
