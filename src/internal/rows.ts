import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { Metadata, Raw } from "../event/Envelope.ts"
import type { Formats, Serialized } from "../event/PayloadFormat.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import type * as Driver from "../store/Driver.ts"
import type { Item, Transform } from "../store/PayloadTransform.ts"
import { StoreError } from "../store/StoreError.ts"

/** Shared by events and readers, as metadata is; frozen, so that nobody can change what another sees. */
const noTags: ReadonlyArray<string> = Object.freeze([])

const parseMetadata = (text: string): Metadata => {
  const metadata: Metadata = JSON.parse(text)
  if (metadata.headers !== undefined) Object.freeze(metadata.headers)
  if (metadata.trace !== undefined) Object.freeze(metadata.trace)
  return Object.freeze(metadata)
}

/** What a payload is marked with: its format, and the transform after a `|` where there is one. */
export const formatName = (formats: Formats, transform: Transform | undefined): string =>
  transform === undefined ? formats.write.name : `${formats.write.name}|${transform.name}`

/** Reads rows, in chunks: takes the transform back where it was applied, and parses payloads by their formats. */
export const reader = (formats: Formats, transform: Transform | undefined) => {
  const mark = transform === undefined ? undefined : `|${transform.name}`

  /** The payloads that the transform was applied to, by position, as they were before. */
  const revert = (rows: ReadonlyArray<Driver.Row>): Effect.Effect<ReadonlyMap<number, Serialized>, StoreError> => {
    const touched = rows.filter((row) => row.format.endsWith(mark!))
    return transform!.decode(touched.map((row) => itemOf(row, (JSON.parse(row.metadata) as Metadata).tenant ?? "")))
      .pipe(
        Effect.map((payloads) => new Map(touched.map((row, index) => [row.position, payloads[index]!]))),
        Effect.mapError((cause) => new StoreError({ reason: "unknown", operation: "PayloadTransform.decode", cause }))
      )
  }

  const parse = (rows: ReadonlyArray<Driver.Row>, reverted: ReadonlyMap<number, Serialized> | undefined) => {
    const raws: Array<Raw> = []
    let metadata: Metadata = {}
    let metadataText = "{}"
    for (const row of rows) {
      const payload = reverted?.get(row.position)
      const name = payload === undefined ? row.format : row.format.slice(0, -mark!.length)
      const format = formats.read.get(name)
      if (format === undefined) {
        return corrupt(row, `its format "${name}" is none of ${Array.from(formats.read.keys()).join(", ")}`)
      }
      try {
        if (row.metadata !== metadataText) {
          metadata = parseMetadata(row.metadata)
          metadataText = row.metadata
        }
        raws.push({
          id: row.id,
          stream: row.stream as StreamId,
          version: row.version as StreamVersion,
          position: row.position as Position,
          type: row.type,
          schemaVersion: row.schemaVersion,
          payload: format.read(payload ?? row.payload),
          metadata,
          source: row.source,
          tags: row.tags === null ? noTags : JSON.parse(row.tags),
          occurredAt: DateTime.unsafeMake(row.occurredAt),
          recordedAt: DateTime.unsafeMake(row.recordedAt)
        })
      } catch (cause) {
        return corrupt(row, String(cause))
      }
    }
    return Effect.succeed(raws)
  }

  return (rows: ReadonlyArray<Driver.Row>): Effect.Effect<ReadonlyArray<Raw>, StoreError> =>
    mark !== undefined && rows.some((row) => row.format.endsWith(mark))
      ? Effect.flatMap(revert(rows), (reverted) => parse(rows, reverted))
      : Effect.suspend(() => parse(rows, undefined))
}

/** The row with another payload; its content stays that of the payload before. */
const withPayload = (row: Driver.NewRow, payload: Serialized): Driver.NewRow => ({
  id: row.id,
  type: row.type,
  schemaVersion: row.schemaVersion,
  format: row.format,
  payload,
  metadata: row.metadata,
  correlationId: row.correlationId,
  source: row.source,
  tags: row.tags,
  occurredAt: row.occurredAt,
  content: row.content
})

/** Applies the transform to the payloads of an append. */
export const transformed = (
  transform: Transform,
  request: Driver.AppendRequest
): Effect.Effect<Driver.AppendRequest, StoreError> => {
  const items = request.groups.flatMap((group) =>
    group.events.map((event) =>
      itemOf({ stream: group.stream, type: event.type, id: event.id, payload: event.payload }, request.tenant)
    )
  )
  return transform.encode(items).pipe(
    Effect.filterOrFail(
      (payloads) => payloads.length === items.length,
      (payloads) => new Error(`${transform.name} made ${payloads.length} payloads of ${items.length}`)
    ),
    Effect.mapError((cause) => new StoreError({ reason: "unknown", operation: "PayloadTransform.encode", cause })),
    Effect.map((payloads) => {
      let index = 0
      const groups = request.groups.map((group) => ({
        ...group,
        events: group.events.map((event) => withPayload(event, payloads[index++]!))
      }))
      return { ...request, groups }
    })
  )
}

const itemOf = (
  row: { readonly stream: string; readonly type: string; readonly id: string; readonly payload: Serialized },
  tenant: string
): Item => ({ tenant, stream: row.stream, type: row.type, id: row.id, payload: row.payload })

const corrupt = (row: Driver.Row, why: string) =>
  Effect.fail(
    new StoreError({
      reason: "corrupt",
      operation: "EventStore.read",
      cause: new Error(`event ${row.id} at version ${row.version} of ${row.stream}, position ${row.position}: ${why}`)
    })
  )
