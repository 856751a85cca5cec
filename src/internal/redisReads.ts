import type * as Driver from "../store/Driver.ts"
import { StoreError } from "../store/StoreError.ts"
import * as Keys from "./redisKeys.ts"

/** An entry of the log as it comes, every part as bytes. */
export type Entry = readonly [id: Buffer, fields: ReadonlyArray<Buffer>]

/** What a page of the log asks for, as `scan` of the scripts takes it. */
export const plan = (page: Driver.LogPage): string => {
  const all: Array<readonly [kind: string, name: string]> = []
  if (page.stream !== undefined) all.push(["s", page.stream])
  if (page.category !== undefined) all.push(["c", page.category])
  if (page.correlationId !== undefined) all.push(["o", page.correlationId])
  const { query, time } = page
  return JSON.stringify({
    tenant: page.tenant === undefined ? null : Keys.tenant(page.tenant),
    all,
    types: page.types,
    items: query?._tag === "Items" ? query.items : undefined,
    occurred: time?.of === "occurredAt" ? [String(time.since), String(time.until)] : undefined,
    recorded: time?.of === "recordedAt" ? [time.since, time.until] : undefined
  })
}

/** Rows of entries, or what is wrong with one. */
export const rows = (operation: string, entries: ReadonlyArray<Entry>): ReadonlyArray<Driver.Row> | StoreError => {
  const all: Array<Driver.Row> = []
  for (const entry of entries) {
    try {
      all.push(row(entry))
    } catch (error) {
      const cause = new Error(`entry ${String(entry[0])} of the log is no event`, { cause: error })
      return new StoreError({ operation, reason: "corrupt", cause })
    }
  }
  return all
}

const row = ([id, fields]: Entry): Driver.Row => {
  const [_id, type, schemaVersion, format, metadata, source, tags, occurredAt, , , isBytes] = JSON.parse(
    fields[9]!.toString()
  )
  const payload = fields[11]!
  return {
    id: _id,
    stream: fields[3]!.toString(),
    version: Number(fields[5]),
    position: Number.parseInt(id.toString(), 10),
    type,
    schemaVersion,
    format,
    // Bytes are cut out of what came from the network, and would keep all of it.
    payload: isBytes === 1 ? new Uint8Array(payload) : payload.toString(),
    metadata,
    source,
    tags,
    occurredAt,
    recordedAt: Number(fields[7])
  }
}
