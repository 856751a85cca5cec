import type * as Driver from "../../store/Driver.ts"
import type * as Query from "../../store/Query.ts"
import * as Marks from "../store/marks.ts"
import { columns, type EventSql } from "./eventSql.ts"

/** A statement's text and what it is given. */
export interface Plan {
  readonly text: string
  readonly params: Array<unknown>
}

/** Answers a statement with its rows as arrays. */
export type Run = (text: string, params: ReadonlyArray<unknown>) => Array<Array<any>>

/** A row as `columns` names it. */
export const toRow = (row: Array<any>): Driver.Row => ({
  id: row[3],
  stream: row[1],
  version: row[2],
  position: row[0],
  type: row[4],
  schemaVersion: row[5],
  format: row[6],
  payload: row[7],
  metadata: row[8],
  source: row[9],
  tags: row[10],
  occurredAt: row[11],
  recordedAt: row[12]
})

/**
 * Where a page looks for its events: an index whose events come in order of position, or the tags. Several sources are
 * merged; what they hold beside the page's events is filtered out.
 */
interface Source {
  readonly of: "event" | "tag"
  readonly index: string
  readonly where: ReadonlyArray<string>
  readonly params: ReadonlyArray<unknown>
  /** Further conditions on the event. */
  readonly also: ReadonlyArray<string>
  readonly alsoParams: ReadonlyArray<unknown>
  readonly order: string
  /** What every event of it meets, so that it need not be asked again. */
  readonly serves: ReadonlyArray<keyof Driver.LogPage>
}

/** The most indexes that are merged; a page that asks for more names goes through the log. */
const maxSources = 64

/** Below so many, events that do not come in order are sorted rather than sought in the log. */
const few = 2_048

const list = (values: ReadonlyArray<unknown>): string => values.map(() => "?").join(", ")

/** The statement for a page of the log. `run` is for looking how much there is. */
export const plan = (sql: EventSql, page: Driver.LogPage, run: Run): Plan => {
  const within = page.time?.of === "recordedAt" ? recordedWithin(sql, page, run) : page
  const sources = chosen(sql, within, run)
  return select(sql, within, sources ?? [scan(sql)], columns)
}

/** The first event after a position that a query matches. */
export const firstMatch = (
  sql: EventSql,
  tenant: string,
  query: Query.Query,
  after: number,
  run: Run
): number | undefined => {
  const page: Driver.LogPage = {
    tenant,
    stream: undefined,
    category: undefined,
    types: undefined,
    query: query._tag === "All" ? undefined : query,
    correlationId: undefined,
    time: undefined,
    after,
    to: Number.MAX_SAFE_INTEGER,
    backwards: false,
    limit: 1
  }
  const found = chosen(sql, page, run) ?? [scan(sql)]
  // the mark of a tombstone is no event
  const sources = query._tag === "All"
    ? found.map((source) => ({ ...source, also: ["+event.type <> ?"], alsoParams: [Marks.tombstoned] }))
    : found
  const { params, text } = select(sql, page, sources, ["position"])
  return run(text, params)[0]?.[0]
}

const chosen = (sql: EventSql, page: Driver.LogPage, run: Run): ReadonlyArray<Source> | undefined => {
  const sources = candidates(sql, page, run)
  // Over all tenants, an index does not yield its events in order.
  if (sources === undefined || page.tenant !== undefined) return sources
  return sources.reduce((sum, source) => sum + count(sql, source, run), 0) < few ? sources : undefined
}

const candidates = (sql: EventSql, page: Driver.LogPage, run: Run): ReadonlyArray<Source> | undefined => {
  if (page.stream !== undefined) return [ofStream(sql, page, page.stream, run)]
  if (page.correlationId !== undefined) return [byColumn(sql, page, "correlation", page.correlationId, "correlationId")]
  if (page.query?._tag === "Items") {
    const sources = page.query.items.flatMap((item) => ofItem(sql, page, item, run))
    if (sources.length <= maxSources) return sources
  }
  if (page.types !== undefined && page.types.length <= maxSources) {
    return page.types.map((type) => byColumn(sql, page, "type", type, "types"))
  }
  if (page.category !== undefined) return [byColumn(sql, page, "category", page.category, "category")]
  if (page.time?.of === "occurredAt") {
    const { since, until } = page.time
    const source: Source = {
      ...byIndex(sql, "occurred"),
      where: ["event.occurred_at >= ?", "event.occurred_at < ?"],
      params: [since, until],
      serves: ["time"]
    }
    if (count(sql, source, run) < few) return [source]
  }
  return page.tenant === undefined || page.tenant === ""
    ? undefined
    : [{
      ...byIndex(sql, "tenant"),
      where: ["event.tenant = ?", "event.tenant <> ''"],
      params: [page.tenant],
      serves: ["tenant"]
    }]
}

const scan = (sql: EventSql): Source => ({ ...byIndex(sql, "stream"), index: "" })

const byIndex = (sql: EventSql, name: Parameters<EventSql["index"]>[0]): Source => ({
  of: "event",
  index: sql.index(name),
  where: [],
  params: [],
  also: [],
  alsoParams: [],
  order: "event.position",
  serves: []
})

const byColumn = (
  sql: EventSql,
  page: Driver.LogPage,
  name: "correlation" | "type" | "category",
  value: string,
  serves: keyof Driver.LogPage
): Source => ({
  ...byIndex(sql, name),
  where: [
    `event.${name === "correlation" ? "correlation_id" : name} = ?`,
    ...(page.tenant === undefined ? [] : ["event.tenant = ?"])
  ],
  params: page.tenant === undefined ? [value] : [value, page.tenant],
  serves: ["tenant", serves]
})

/**
 * In a stream, versions and positions go up together; the index has the versions, so positions are sought by halving: else each
 * page would pass over all pages before it.
 */
const ofStream = (sql: EventSql, page: Driver.LogPage, stream: string, run: Run): Source => {
  const source: Source = { ...byIndex(sql, "stream"), serves: ["stream", "tenant"] }
  if (page.tenant === undefined) return { ...source, where: ["event.stream = ?"], params: [stream] }
  const params = [stream, page.tenant]
  const where = ["event.stream = ?", "event.tenant = ?"]
  const ordered = { ...source, order: "event.version" }
  const firstBeyond = (position: number): number => {
    let low = 1
    let high = run(sql.status, [...params, ...params])[0]![0] + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const found = run(sql.firstOfStream, [...params, middle])[0] as [number, number] | undefined
      if (found === undefined || found[1] > position) high = middle
      else low = found[0] + 1
    }
    return low
  }
  if (page.backwards) {
    return { ...ordered, where: [...where, "event.version < ?"], params: [...params, firstBeyond(page.to)] }
  }
  if (page.after === 0) return { ...ordered, where, params }
  return { ...ordered, where: [...where, "event.version >= ?"], params: [...params, firstBeyond(page.after)] }
}

const ofItem = (sql: EventSql, page: Driver.LogPage, item: Query.Item, run: Run): ReadonlyArray<Source> => {
  if (item.tags === undefined || item.tags.length === 0) {
    return item.types!.map((type) => byColumn(sql, page, "type", type, "query"))
  }
  const tagged = item.tags.map((tag): Source => ({
    of: "tag",
    index: "",
    where: ["tag.tag = ?", ...(page.tenant === undefined ? [] : ["tag.tenant = ?"])],
    params: page.tenant === undefined ? [tag] : [tag, page.tenant],
    also: [],
    alsoParams: [],
    order: "tag.position",
    serves: ["tenant", "query"]
  }))
  const rarest = tagged.length === 1 ? 0 : indexOfLeast(tagged.map((source) => count(sql, source, run)))
  const others = item.tags.filter((_, index) => index !== rarest)
  const types = item.types ?? []
  return [{
    ...tagged[rarest]!,
    also: [...others.map(() => hasTag(sql)), ...(types.length === 0 ? [] : [`event.type IN (${list(types)})`])],
    alsoParams: [...others, ...types]
  }]
}

const indexOfLeast = (numbers: ReadonlyArray<number>): number => numbers.indexOf(Math.min(...numbers))

const hasTag = (sql: EventSql): string =>
  `EXISTS (SELECT 1 FROM ${sql.tags} AS has WHERE has.tag = ? AND has.tenant = event.tenant AND has.position = event.position)`

/** How many events a source holds, counted up to `few`. */
const count = (sql: EventSql, source: Source, run: Run): number =>
  run(
    `SELECT count(*) FROM (SELECT 1 FROM ${from(sql, source, false)} WHERE ${source.where.join(" AND ")} LIMIT ${few})`,
    source.params
  )[0]![0]

const from = (sql: EventSql, source: Source, joined: boolean): string =>
  source.of === "event"
    ? `${sql.events} AS event ${source.index === "" ? "NOT INDEXED" : `INDEXED BY ${source.index}`}`
    : joined
    ? `${sql.tags} AS tag CROSS JOIN ${sql.events} AS event ON event.position = tag.position`
    : `${sql.tags} AS tag`

const select = (
  sql: EventSql,
  page: Driver.LogPage,
  sources: ReadonlyArray<Source>,
  named: ReadonlyArray<string>
): Plan => {
  const direction = page.backwards ? " DESC" : ""
  const filter = conditions(sql, page, sources[0]!.serves)
  const params: Array<unknown> = []
  const part = (source: Source, selected: string): string => {
    const where = [...source.where, `${source.of}.position > ?`, `${source.of}.position <= ?`]
    const further = [...source.also, ...filter.where]
    params.push(...source.params, page.after, page.to, ...source.alsoParams, ...filter.params)
    const joined = further.length > 0 || sources.length === 1
    return `SELECT ${selected} FROM ${from(sql, source, joined)} WHERE ${[...where, ...further].join(" AND ")}`
  }
  const [only] = sources
  const selected = named.map((name) => `event.${name}`).join(", ")
  const text = sources.length === 1
    ? `${part(only!, selected)} ORDER BY ${only!.order}${direction} LIMIT ?`
    : `SELECT ${selected} FROM (${
      sources.map((source) => part(source, `${source.of}.position AS position`)).join(" UNION ")
    } ORDER BY 1${direction} LIMIT ?) AS found CROSS JOIN ${sql.events} AS event ON event.position = found.position
      ORDER BY found.position${direction}`
  params.push(page.limit)
  return { text, params }
}

/** What a page asks for beside positions, as far as its source does not serve it. */
const conditions = (
  sql: EventSql,
  page: Driver.LogPage,
  served: ReadonlyArray<keyof Driver.LogPage>
): { readonly where: ReadonlyArray<string>; readonly params: ReadonlyArray<unknown> } => {
  const where: Array<string> = []
  const params: Array<unknown> = []
  const add = (member: keyof Driver.LogPage, text: () => string, ...values: ReadonlyArray<unknown>) => {
    if (page[member] === undefined || served.includes(member)) return
    where.push(text())
    params.push(...values)
  }
  const { query, time, types } = page
  // The + keeps a condition from being taken for a reason to use another index than the one that was chosen.
  add("tenant", () => "+event.tenant = ?", page.tenant)
  add("stream", () => "+event.stream = ?", page.stream)
  add("category", () => "+event.category = ?", page.category)
  add("types", () => `+event.type IN (${list(types!)})`, ...types ?? [])
  add("correlationId", () => "+event.correlation_id = ?", page.correlationId)
  // The other time was made a range of positions.
  add("time", () => "+event.occurred_at >= ? AND +event.occurred_at < ?", time?.since, time?.until)
  if (query?._tag === "Items") {
    const names = query.items.flatMap(({ tags = [], types = [] }) => [...types, ...tags])
    add("query", () => `(${query.items.map((item) => `(${itemCondition(sql, item)})`).join(" OR ")})`, ...names)
  }
  return { where, params }
}

const itemCondition = (sql: EventSql, { tags = [], types = [] }: Query.Item): string =>
  [...(types.length === 0 ? [] : [`+event.type IN (${list(types)})`]), ...tags.map(() => hasTag(sql))].join(" AND ")

/** The time of recording goes up with the position, so that its range is one of positions, found by halving. */
const recordedWithin = (sql: EventSql, page: Driver.LogPage, run: Run): Driver.LogPage => {
  const { since, until } = page.time!
  const head = run(sql.head, [])[0]![0] as number
  const firstAt = (instant: number): number => {
    let low = 1
    let high = head + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const found = run(sql.firstAtOrBeyond, [middle])[0] as [number, number] | undefined
      if (found === undefined || found[1] >= instant) high = middle
      else low = found[0] + 1
    }
    return low
  }
  return {
    ...page,
    time: undefined,
    after: Math.max(page.after, firstAt(since) - 1),
    to: Math.min(page.to, firstAt(until) - 1)
  }
}
