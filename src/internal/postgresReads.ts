import type * as Driver from "../store/Driver.ts"
import type * as Query from "../store/Query.ts"
import * as Marks from "./marks.ts"

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

/** The most indexes that are merged; a page that asks for more names goes through the log. */
const maxSources = 64

/** The statement for a page of a stream. */
export const streamPage = (table: (name: string) => string, page: Driver.StreamPage): Plan => ({
  text: `SELECT ${columns} FROM ${table("events")} AS event
    WHERE event.stream = $1 AND event.tenant = $2 AND event.version >= $3 AND event.version <= $4
      AND event.type <> '${Marks.tombstoned}'
    ORDER BY event.version${page.backwards ? " DESC" : ""} LIMIT $5`,
  params: [page.stream, page.tenant, page.from, page.to, page.limit]
})

/** The statement for a page of the log. */
export const logPage = (table: (name: string) => string, page: Driver.LogPage): Plan => {
  const params: Array<unknown> = []
  const given = (value: unknown, type: string): string => `$${params.push(value)}::${type}`
  const direction = page.backwards ? " DESC" : ""
  const after = given(page.after, "int8")
  const to = given(page.to, "int8")
  const limit = given(page.limit, "int8")
  const within = (alias: string) => `${alias}.position > ${after} AND ${alias}.position <= ${to}`
  const owner = page.tenant === undefined ? undefined : given(page.tenant, "text")
  const ofTenant = (alias: string) => owner === undefined ? [] : [`${alias}.tenant = ${owner}`]

  const where: Array<string> = []
  if (page.stream !== undefined) where.push(`event.stream = ${given(page.stream, "text")}`)
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
  const order = page.stream !== undefined && page.tenant !== undefined ? "event.version" : "event.position"

  if (
    sources === undefined || sources.length > maxSources || page.stream !== undefined ||
    page.correlationId !== undefined
  ) {
    if (page.types !== undefined) where.push(ofTypes(page.types))
    if (items !== undefined) where.push(`(${items.map((item) => `(${ofItem(item)})`).join(" OR ")})`)
    return {
      text: `SELECT ${columns} FROM ${table("events")} AS event
        WHERE ${[within("event"), ...ofTenant("event"), ...where].join(" AND ")}
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

type Source =
  | { readonly type: string }
  | { readonly tag: string; readonly others: ReadonlyArray<string>; readonly types: ReadonlyArray<string> }
