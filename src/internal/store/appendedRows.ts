import type * as Driver from "../../store/Driver.ts"

/** The rows of an append, as a read gives them back. */
export const rowsOf = (request: Driver.AppendRequest, result: Driver.AppendResult): ReadonlyArray<Driver.Row> => {
  let index = 0
  return request.groups.flatMap(({ events, stream }) =>
    events.map((row) => {
      const { position, version } = result.events[index++]!
      return {
        id: row.id,
        stream,
        version,
        position,
        type: row.type,
        schemaVersion: row.schemaVersion,
        format: row.format,
        payload: row.payload,
        metadata: row.metadata,
        source: row.source,
        tags: row.tags.length === 0 ? null : JSON.stringify(row.tags),
        occurredAt: row.occurredAt,
        recordedAt: result.recordedAt
      }
    })
  )
}
