import type * as Driver from "../../store/Driver.ts"
import type * as Query from "../../store/Query.ts"
import * as Marks from "../store/marks.ts"

/** A statement's text and what it is given. */
export interface Plan {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

export const columns = [
  "position",
  "stream",
  "version",
  "id",
  "type",
  "schema_version",
  "format",
  "payload",
  "metadata",
  "source",
  "tags",
  "occurred_at",
  "recorded_at",
  "payload_bytes"
].map((name) => `event.${name}`).join(", ")

/** A row as `columns` names it. 64-bit integers come as text. */
export const toRow = (row: ReadonlyArray<any>): Driver.Row => ({
  id: row[3],
  stream: row[1],
  version: Number(row[2]),
  position: Number(row[0]),
  type: row[4],
  schemaVersion: row[5],
  format: row[6],
  payload: row[13] === null ? row[7] : row[7] === null ? row[13] : row[13].toString(),
  metadata: row[8],
  source: row[9],
  tags: row[10],
  occurredAt: Number(row[11]),
  recordedAt: Number(row[12])
})

/**
 * A limit that the planner does not see. Where it sees one that is not below what it expects to find, it collects
 * everything that is left and sorts it, and its expectation of a long stream among many short ones is far too low: each page would
 * read the rest of the stream. Where it sees none it takes the index that yields the rows in order, and stops.
 */
const unseen = (limit: string): string => `(SELECT ${limit})`

/** The most indexes that are merged; a page that asks for more names goes through the log. */
const maxSources = 64

/** The statement for a page of a stream. */
export const streamPage = (table: (name: string) => string, page: Driver.StreamPage): Plan => ({
  text: `SELECT ${columns} FROM ${table("events")} AS event
    WHERE event.stream = $1 AND event.tenant = $2 AND event.version >= $3 AND event.version <= $4
      AND event.type <> '${Marks.tombstoned}'
    ORDER BY event.version${page.backwards ? " DESC" : ""} LIMIT ${unseen("$5::int8")}`,
  params: [page.stream, page.tenant, page.from, page.to, page.limit]
})

/** The statement for a page of the log. */
export const logPage = (table: (name: string) => string, page: Driver.LogPage): Plan => {
  const params: Array<unknown> = []
  const given = (value: unknown, type: string): string => `$${params.push(value)}::${type}`
  const direction = page.backwards ? " DESC" : ""
  /** Given when it is first asked for: the database refuses what no statement uses. */
  const once = (value: number): () => string => {
    let text: string | undefined
    return () => text ??= given(value, "int8")
  }
  const after = once(page.after)
  const to = once(page.to)
  const limit = unseen(given(page.limit, "int8"))
  const within = (alias: string) => `${alias}.position > ${after()} AND ${alias}.position <= ${to()}`
  const owner = page.tenant === undefined ? undefined : given(page.tenant, "text")
  const ofTenant = (alias: string) => owner === undefined ? [] : [`${alias}.tenant = ${owner}`]

  const where: Array<string> = []
  if (page.stream !== undefined) {
    const stream = given(page.stream, "text")
    where.push(`event.stream = ${stream}`)
    if (owner !== undefined) {
      const beyond = (position: string) => firstBeyond(table("events"), stream, owner, position)
      if (page.backwards) where.push(`event.version < ${beyond(to())}`)
      else if (page.after > 0) where.push(`event.version >= ${beyond(after())}`)
    }
  }
  if (page.category !== undefined) where.push(`event.category = ${given(page.category, "text")}`)
  if (page.correlationId !== undefined) where.push(`event.correlation_id = ${given(page.correlationId, "text")}`)
  if (page.time !== undefined) {
    const column = page.time.of === "occurredAt" ? "event.occurred_at" : "event.recorded_at"
    where.push(`${column} >= ${given(page.time.since, "int8")}`, `${column} < ${given(page.time.until, "int8")}`)
  }
  const hasTag = (tag: string) =>
    `EXISTS (SELECT FROM ${table("tags")} AS has
      WHERE has.tag = ${given(tag, "text")} AND has.tenant = event.tenant AND has.position = event.position)`
  const ofTypes = (types: ReadonlyArray<string>) => `event.type = ANY (${given(types, "text[]")})`
  const ofItem = ({ tags = [], types = [] }: Query.Item) =>
    [...(types.length === 0 ? [] : [ofTypes(types)]), ...tags.map(hasTag)].join(" AND ")

  const items = page.query?._tag === "Items" ? page.query.items : undefined
  /** Where to look, one index each: types, or tags with what else their item asks for. */
  const sources = items !== undefined
    ? items.flatMap((item): ReadonlyArray<Source> =>
      item.tags === undefined || item.tags.length === 0
        ? item.types!.map((type) => ({ type }))
        : [{ tag: item.tags[0]!, others: item.tags.slice(1), types: item.types ?? [] }]
    )
    : page.types?.map((type): Source => ({ type }))
  const inStream = page.stream !== undefined && page.tenant !== undefined
  const order = inStream ? "event.version" : "event.position"
  // What the versions do not say already; as it is written, it is no reason to use the index of positions.
  const besides = page.backwards
    ? page.after === 0 ? [] : [`(event.position > ${after()}) IS TRUE`]
    : [`(event.position <= ${to()}) IS TRUE`]

  if (
    sources === undefined || sources.length > maxSources || page.stream !== undefined ||
    page.correlationId !== undefined
  ) {
    if (page.types !== undefined) where.push(ofTypes(page.types))
    if (items !== undefined) where.push(`(${items.map((item) => `(${ofItem(item)})`).join(" OR ")})`)
    return {
      text: `SELECT ${columns} FROM ${table("events")} AS event
        WHERE ${[...(inStream ? besides : [within("event")]), ...ofTenant("event"), ...where].join(" AND ")}
        ORDER BY ${order}${direction} LIMIT ${limit}`,
      params
    }
  }
  // Types stand beside a query: they narrow what it finds.
  if (items !== undefined && page.types !== undefined) where.push(ofTypes(page.types))
  const parts = sources.map((source) => {
    const alias = "tag" in source ? "tag" : "event"
    const from = "tag" in source
      ? `${table("tags")} AS tag JOIN ${table("events")} AS event ON event.position = tag.position`
      : `${table("events")} AS event`
    const own = "tag" in source
      ? [
        `tag.tag = ${given(source.tag, "text")}`,
        ...source.others.map(hasTag),
        ...(source.types.length === 0 ? [] : [ofTypes(source.types)])
      ]
      : [`event.type = ${given(source.type, "text")}`]
    return `(SELECT ${alias}.position FROM ${from}
      WHERE ${[...own, ...ofTenant(alias), within(alias), ...where].join(" AND ")}
      ORDER BY ${alias}.position${direction} LIMIT ${limit})`
  })
  return {
    text: `SELECT ${columns} FROM (
        SELECT position FROM (${parts.join(" UNION ")}) AS found ORDER BY position${direction} LIMIT ${limit}
      ) AS found JOIN ${table("events")} AS event ON event.position = found.position
      ORDER BY event.position${direction}`,
    params
  }
}

/**
 * The first version of a stream whose position is beyond one. In a stream, versions and positions go up together; the index has
 * the versions, so the position is sought by halving: else each page would pass over all pages before it.
 */
const firstBeyond = (events: string, stream: string, tenant: string, position: string): string => {
  const own = `event.stream = ${stream} AND event.tenant = ${tenant}`
  return `(WITH RECURSIVE halved(low, high) AS (
      SELECT 1::int8, coalesce((SELECT max(event.version) FROM ${events} AS event WHERE ${own}), 0) + 1
      UNION ALL
      SELECT CASE WHEN found.position <= ${position} THEN found.version + 1 ELSE low END,
        CASE WHEN found.position <= ${position} THEN high ELSE (low + high) / 2 END
      FROM halved LEFT JOIN LATERAL (
        SELECT event.version, event.position FROM ${events} AS event
        WHERE ${own} AND event.version >= (low + high) / 2 ORDER BY event.version LIMIT 1
      ) AS found ON true
      WHERE low < high
    ) SELECT low FROM halved WHERE low >= high)`
}

type Source =
  | { readonly type: string }
  | { readonly tag: string; readonly others: ReadonlyArray<string>; readonly types: ReadonlyArray<string> }
