import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"
import * as Keys from "./keys.ts"

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

/** The first field: version, time, and names, which come after the third space. */
const parts = ([, fields]: Entry): readonly [version: number, recordedAt: number, tenant: string, stream: string] => {
  if (fields.length !== 6 || fields[0]!.toString("latin1") !== "m") throw new Error("it has other fields")
  const text = fields[1]!.toString()
  const first = text.indexOf(" ")
  const second = text.indexOf(" ", first + 1)
  const third = text.indexOf(" ", second + 1)
  const names = third + 1
  // A tenant is `:`, or begins with how long its name is.
  const colon = text.indexOf(":", names)
  const end = colon === names ? names + 1 : colon + Number(text.slice(names, colon)) + 2
  return [Number(text.slice(0, first)), Number(text.slice(first + 1, second)), text.slice(names, end), text.slice(end)]
}

/** Whose event it is. */
export const tenantOf = (entry: Entry): string => Keys.tenantOf(parts(entry)[2])

const row = (entry: Entry): Driver.Row => {
  const [position, fields] = entry
  const [version, recordedAt, , stream] = parts(entry)
  const [id, type, schemaVersion, format, metadata, source, tags, occurredAt, , , isBytes] = JSON.parse(
    fields[3]!.toString()
  )
  const payload = fields[5]!
  return {
    id,
    stream,
    version,
    position: Number.parseInt(position.toString("latin1"), 10),
    type,
    schemaVersion,
    format,
    // Bytes are cut out of what came from the network, and would keep all of it.
    payload: isBytes === 1 ? new Uint8Array(payload) : payload.toString(),
    metadata,
    source,
    tags,
    occurredAt,
    recordedAt
  }
}
