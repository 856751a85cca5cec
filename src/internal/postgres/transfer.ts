import * as Effect from "effect/Effect"
import type { Metadata } from "../../event/Envelope.ts"
import type * as Driver from "../../store/Driver.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { categoryOf } from "../store/categoryOf.ts"
import * as Batch from "./batch.ts"
import * as Reads from "./reads.ts"

/** How statements are run: `read` also inside the transaction that `write` makes. */
interface Runner {
  readonly table: (name: string) => string
  readonly read: (
    text: string,
    params: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<any>>, StoreError>
  readonly write: <A>(effect: Effect.Effect<A, StoreError>) => Effect.Effect<A, StoreError>
}

type Query = Runner["read"]

/** The columns of some values, for `unnest`. */
const columnsOf = <A>(
  values: ReadonlyArray<A>,
  ...of: ReadonlyArray<(value: A) => unknown>
): ReadonlyArray<ReadonlyArray<unknown>> => of.map((column) => values.map(column))

const insertRows = (query: Query, table: Runner["table"], rows: ReadonlyArray<Driver.WholeRow>) => {
  const payloads: Array<unknown> = []
  const bytes: Array<unknown> = []
  const tags: Array<readonly [tag: string, tenant: string, position: number]> = []
  for (const row of rows) {
    Batch.addPayload(row.payload, payloads, bytes)
    const own: ReadonlyArray<string> = row.tags === null ? [] : JSON.parse(row.tags)
    for (const tag of own) tags.push([tag, row.tenant, row.position])
  }
  const inserted = query(
    `INSERT INTO ${table("events")} (
        position, version, occurred_at, recorded_at, schema_version, tenant, stream, category, id, type, format,
        correlation_id, source, tags, content, metadata, payload, payload_bytes
      )
      SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int4[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
        $18::bytea[])`,
    [
      ...columnsOf(
        rows,
        (row) => row.position,
        (row) => row.version,
        (row) => row.occurredAt,
        (row) => row.recordedAt,
        (row) => row.schemaVersion,
        (row) => row.tenant,
        (row) => row.stream,
        (row) => categoryOf(row.stream),
        (row) => row.id,
        (row) => row.type,
        (row) => row.format,
        (row) => (JSON.parse(row.metadata) as Metadata).correlationId ?? row.id,
        (row) => row.source,
        (row) => row.tags,
        (row) => row.content,
        (row) => row.metadata
      ),
      payloads,
      bytes
    ]
  )
  if (tags.length === 0) return inserted
  return Effect.zipRight(
    inserted,
    query(
      `INSERT INTO ${table("tags")} (tag, tenant, position) SELECT * FROM unnest($1::text[], $2::text[], $3::int8[])`,
      columnsOf(tags, ([tag]) => tag, ([, tenant]) => tenant, ([, , position]) => position)
    )
  )
}

const insertRemembered = (query: Query, table: Runner["table"], remembered: ReadonlyArray<Driver.Remembered>) =>
  query(
    `WITH known AS (
        INSERT INTO ${table("retired")} (id, tenant, stream, version, position, recorded_at, content)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::text[])
        RETURNING position
      )
      UPDATE ${table("log")} SET position = greatest(position, (SELECT max(known.position) FROM known))`,
    columnsOf(
      remembered,
      (each) => each.id,
      (each) => each.tenant,
      (each) => each.stream,
      (each) => each.version,
      (each) => each.position,
      (each) => each.recordedAt,
      (each) => each.content
    )
  )

const insertStreams = (query: Query, table: Runner["table"], streams: ReadonlyArray<Driver.Shortened>) =>
  query(
    `INSERT INTO ${table("marks")} (stream, tenant, version, first_version, tombstoned)
      SELECT * FROM unnest($1::text[], $2::text[], $3::int8[], $4::int8[], $5::boolean[])`,
    columnsOf(
      streams,
      (each) => each.stream,
      (each) => each.tenant,
      (each) => each.version,
      (each) => each.firstVersion,
      (each) => each.tombstoned
    )
  )

export const make = ({ read, table, write }: Runner): Driver.Transfer => ({
  state: Effect.map(
    read(
      `SELECT (SELECT head FROM ${table("head")}()),
        (SELECT coalesce(sum(first_version - 1 + tombstoned::int), 0) FROM ${table("marks")})`,
      []
    ),
    (rows) => ({ head: Number(rows[0]![0]), removed: Number(rows[0]![1]) })
  ),
  rows: ({ after, limit, to }) =>
    Effect.map(
      read(
        `SELECT ${Reads.columns}, event.tenant, event.content FROM ${table("events")} AS event
          WHERE event.position > $1 AND event.position <= $2 ORDER BY event.position LIMIT $3`,
        [after, to, limit]
      ),
      (rows) => rows.map((row): Driver.WholeRow => ({ ...Reads.toRow(row), tenant: row[14], content: row[15] }))
    ),
  remembered: ({ after, limit }) =>
    Effect.map(
      read(
        `SELECT id, tenant, stream, version, position, recorded_at, content FROM ${table("retired")}
          WHERE (id, tenant) > ($1, $2) ORDER BY id, tenant LIMIT $3`,
        [after?.id ?? "", after?.tenant ?? "", limit]
      ),
      (rows) =>
        rows.map((row): Driver.Remembered => ({
          id: row[0],
          tenant: row[1],
          stream: row[2],
          version: Number(row[3]),
          position: Number(row[4]),
          recordedAt: Number(row[5]),
          content: row[6]
        }))
    ),
  streams: ({ after, limit, to }) =>
    Effect.map(
      read(
        `SELECT mark.stream, mark.tenant, mark.first_version, mark.tombstoned, mark.version, coalesce((
            SELECT event.version FROM ${table("events")} AS event
            WHERE event.stream = mark.stream AND event.tenant = mark.tenant AND event.position <= $1
            ORDER BY event.version DESC LIMIT 1
          ), 0) FROM ${table("marks")} AS mark
          WHERE (mark.stream, mark.tenant) > ($2, $3) ORDER BY mark.stream, mark.tenant LIMIT $4`,
        [to, after?.stream ?? "", after?.tenant ?? "", limit]
      ),
      (rows) =>
        rows.map((row): Driver.Shortened => ({
          stream: row[0],
          tenant: row[1],
          firstVersion: Number(row[2]),
          tombstoned: row[3] === true,
          version: row[3] === true ? Number(row[4]) : Math.max(Number(row[4]), Number(row[5]))
        }))
    ),
  write: (batch) =>
    write(Effect.gen(function*() {
      // nobody draws a position meanwhile (see `draw`), and readers stay below what is written
      yield* read(
        `SELECT pg_advisory_xact_lock('${table("log")}'::regclass::oid::int8::bit(32)::int4, 0),
          pg_advisory_xact_lock_shared('${
          table("positions")
        }'::regclass::oid::int8::bit(32)::int4, $1::int8::bit(32)::int4)`,
        [batch.head]
      )
      const [found] = yield* read(`SELECT head, settled FROM ${table("head")}()`, [])
      const head = Number(found![0])
      if (head !== batch.head || found![1] !== true) return { state: "other" as const, head }
      const position = Math.max(
        head,
        ...batch.rows.map((row) => row.position),
        ...batch.remembered.map((row) => row.position)
      )
      const recordedAt = Math.max(
        0,
        ...batch.rows.map((row) => row.recordedAt),
        ...batch.remembered.map((row) => row.recordedAt)
      )
      if (batch.rows.length > 0) yield* insertRows(read, table, batch.rows)
      if (batch.remembered.length > 0) yield* insertRemembered(read, table, batch.remembered)
      if (batch.streams.length > 0) yield* insertStreams(read, table, batch.streams)
      yield* read(
        `SELECT setval('${table("positions")}', greatest((SELECT last_value FROM ${table("positions")}), $1::int8)),
          setval('${table("clock")}', greatest((SELECT last_value FROM ${table("clock")}), $2::int8))`,
        [position, recordedAt]
      )
      return { state: "done" as const }
    }))
})
