import * as Effect from "effect/Effect"
import type { Metadata } from "../../event/Envelope.ts"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { categoryOf } from "./categoryOf.ts"
import { type Entry, keyOf, rowOf, type StreamLog, upperBound } from "./memoryLog.ts"

/** What a log in memory is copied from. */
interface Source {
  readonly log: ReadonlyArray<Entry>
  readonly streams: ReadonlyMap<string, StreamLog>
  readonly ids: ReadonlyMap<string, Entry>
  readonly state: () => Driver.LogState
  readonly import: (batch: Driver.TransferBatch) => Effect.Effect<
    { readonly state: "done" } | { readonly state: "other"; readonly head: number },
    StoreError
  >
}

/** By the bytes of their UTF-8. */
const compare = (left: string, right: string): number =>
  left === right ? 0 : Buffer.compare(Buffer.from(left), Buffer.from(right))

export const make = ({ ids, import: write, log, state, streams }: Source): Driver.Transfer => {
  // sorting is for each time that something was removed, not for each page
  let of = -1
  let remembered: ReadonlyArray<Driver.Remembered> = []
  let shortened: ReadonlyArray<StreamLog> = []
  const look = (): void => {
    const { removed } = state()
    if (of === removed) return
    of = removed
    remembered = Array.from(ids.values()).filter((entry) => entry.version < entry.owner.firstVersion)
      .map(rememberedOf)
      .sort((a, b) => compare(a.id, b.id) || compare(a.tenant, b.tenant))
    shortened = Array.from(streams.values()).filter((stream) => stream.firstVersion > 1 || stream.tombstoned)
      .sort((a, b) => compare(a.stream, b.stream) || compare(a.tenant, b.tenant))
  }
  return {
    state: Effect.sync(state),
    rows: ({ after, limit, to }) =>
      Effect.sync(() => {
        const rows: Array<Driver.WholeRow> = []
        const high = upperBound(log, Math.min(to, state().head))
        for (let index = upperBound(log, after); index < high && rows.length < limit; index++) {
          const entry = log[index]!
          if (entry.version < entry.owner.firstVersion) continue
          rows.push({ ...rowOf(entry), tenant: entry.owner.tenant, content: entry.given.content })
        }
        return rows
      }),
    remembered: ({ after, limit }) =>
      Effect.sync(() => {
        look()
        const from = after === undefined
          ? 0
          : firstIndex(remembered, (each) => (compare(each.id, after.id) || compare(each.tenant, after.tenant)) > 0)
        return remembered.slice(from, from + limit)
      }),
    streams: ({ after, limit, to }) =>
      Effect.sync(() => {
        look()
        const from = after === undefined
          ? 0
          : firstIndex(
            shortened,
            (each) => (compare(each.stream, after.stream) || compare(each.tenant, after.tenant)) > 0
          )
        return shortened.slice(from, from + limit).map((stream) => ({
          tenant: stream.tenant,
          stream: stream.stream,
          version: stream.tombstoned ? stream.firstVersion - 1 : versionAt(stream, to),
          firstVersion: stream.firstVersion,
          tombstoned: stream.tombstoned
        }))
      }),
    write
  }
}

const rememberedOf = ({ given, owner, position, recordedAt, version }: Entry): Driver.Remembered => ({
  tenant: owner.tenant,
  id: given.id,
  stream: owner.stream,
  version,
  position,
  recordedAt,
  content: given.content
})

const versionAt = ({ entries }: StreamLog, position: number): number => {
  let version = entries.length
  while (version > 0 && (entries[version - 1]?.position ?? 0) > position) version--
  return version
}

/** The index of the first that is beyond, in a list whose end is. */
const firstIndex = <A>(list: ReadonlyArray<A>, isBeyond: (value: A) => boolean): number => {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBeyond(list[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

/** What a part of a log makes of the streams; the entries that can be read are left for the log. */
export const read = (
  batch: Driver.TransferBatch,
  streams: Map<string, StreamLog>,
  ids: Map<string, Entry>
): {
  readonly entries: ReadonlyArray<Entry>
  readonly shortened: ReadonlyArray<{
    readonly of: StreamLog
    readonly firstVersion: number
    readonly tombstoned: boolean
  }>
  readonly position: number
  readonly recordedAt: number
} => {
  const last = { position: 0, recordedAt: 0 }
  const ownerOf = (tenant: string, stream: string): StreamLog => {
    const key = keyOf(tenant, stream)
    let owner = streams.get(key)
    if (owner === undefined) {
      owner = { tenant, stream, category: categoryOf(stream), entries: [], firstVersion: 1, tombstoned: false }
      streams.set(key, owner)
    }
    return owner
  }
  const add = (entry: Entry): Entry => {
    entry.owner.entries[entry.version - 1] = entry
    ids.set(keyOf(entry.owner.tenant, entry.given.id), entry)
    last.position = Math.max(last.position, entry.position)
    last.recordedAt = Math.max(last.recordedAt, entry.recordedAt)
    return entry
  }
  const entries = batch.rows.map((row) => {
    const { position, recordedAt, version } = row
    return add({ given: givenOf(row), owner: ownerOf(row.tenant, row.stream), version, position, recordedAt })
  })
  for (const { content, id, position, recordedAt, stream, tenant, version } of batch.remembered) {
    add({ given: { ...gone, id, content }, owner: ownerOf(tenant, stream), version, position, recordedAt })
  }
  const shortened = batch.streams.map(({ firstVersion, stream, tenant, tombstoned, version }) => {
    const of = ownerOf(tenant, stream)
    of.entries.length = Math.max(of.entries.length, tombstoned ? version + 1 : version)
    return { of, firstVersion, tombstoned }
  })
  return { entries, shortened, ...last }
}

const givenOf = (row: Driver.WholeRow): Driver.NewRow => ({
  id: row.id,
  type: row.type,
  schemaVersion: row.schemaVersion,
  format: row.format,
  payload: row.payload,
  metadata: row.metadata,
  correlationId: (JSON.parse(row.metadata) as Metadata).correlationId ?? row.id,
  source: row.source,
  tags: row.tags === null ? [] : JSON.parse(row.tags),
  occurredAt: row.occurredAt,
  content: row.content
})

/** What is left of an event that was removed elsewhere: its id and its content. */
const gone: Omit<Driver.NewRow, "id" | "content"> = {
  type: "",
  schemaVersion: 1,
  format: "",
  payload: "",
  metadata: "{}",
  correlationId: "",
  source: "",
  tags: [],
  occurredAt: 0
}
