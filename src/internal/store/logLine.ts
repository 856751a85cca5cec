import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Driver from "../../store/Driver.ts"

/** What a file of a whole log begins with: how far the log went, and how much of it had been removed. */
export interface Header extends Driver.LogState {
  readonly kind: "log"
  readonly format: 1
}

/** What it ends with: how many lines of each kind, and the SHA-256 of all bytes before this line. */
export interface End {
  readonly kind: "end"
  readonly events: number
  readonly ids: number
  readonly streams: number
  readonly sha256: string
}

/** A line: one thing that is known of the log. */
export type Line =
  | Header
  | { readonly kind: "event"; readonly row: Driver.WholeRow }
  | { readonly kind: "id"; readonly remembered: Driver.Remembered }
  | { readonly kind: "stream"; readonly stream: Driver.Shortened }
  | End

/** Text that JSON would write again as it is may stand in a line as the value that it is. */
const isCanonical = (text: string): boolean => {
  try {
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

/** A member of the line: the value where that gives the text back, and otherwise the text. */
const member = (name: string, text: string): string =>
  isCanonical(text) ? `"${name}":${text}` : `"${name}Text":${JSON.stringify(text)}`

/** The line of an event, with its end. The order of the members is fixed, so that equal events have equal lines. */
export const ofRow = (row: Driver.WholeRow): string => {
  const { id, position, schemaVersion, stream, tenant, type, version } = row
  const head = JSON.stringify({ kind: "event", position, tenant, stream, version, id, type, schemaVersion })
  const payload = typeof row.payload === "string"
    ? member("payload", row.payload)
    : `"payloadBase64":"${Buffer.from(row.payload).toString("base64")}"`
  const { content, format, occurredAt, recordedAt, source } = row
  const rest = JSON.stringify({ format, source, occurredAt, recordedAt, content })
  const tags = row.tags === null ? "" : `,${member("tags", row.tags)}`
  return `${head.slice(0, -1)},${payload},${member("metadata", row.metadata)}${tags},${rest.slice(1)}\n`
}

export const ofRemembered = (each: Driver.Remembered): string => {
  const { content, id, position, recordedAt, stream, tenant, version } = each
  return `${JSON.stringify({ kind: "id", id, tenant, stream, version, position, recordedAt, content })}\n`
}

export const ofStream = ({ firstVersion, stream, tenant, tombstoned, version }: Driver.Shortened): string =>
  `${JSON.stringify({ kind: "stream", stream, tenant, version, firstVersion, tombstoned })}\n`

export const ofHeader = ({ head, removed }: Driver.LogState): string =>
  `${JSON.stringify({ kind: "log", format: 1, head, removed })}\n`

export const ofEnd = ({ events, ids, sha256, streams }: Omit<End, "kind">): string =>
  `${JSON.stringify({ kind: "end", events, ids, streams, sha256 })}\n`

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))
const Place = Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER))
const Millis = Schema.Int
const Name = Schema.NonEmptyString
const optional = <S extends Schema.Schema.Any>(schema: S) => Schema.optionalWith(schema, { exact: true })

const where = { tenant: Schema.String, stream: Name }

const Event = Schema.Struct({
  kind: Schema.Literal("event"),
  position: Place,
  ...where,
  version: Place,
  id: Name,
  type: Name,
  schemaVersion: Place,
  payload: optional(Schema.Unknown),
  payloadText: optional(Schema.String),
  payloadBase64: optional(Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9+/]*={0,2}$/))),
  metadata: optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  metadataText: optional(Schema.String),
  tags: optional(Schema.Array(Name)),
  tagsText: optional(Schema.String),
  format: Name,
  source: Schema.String,
  occurredAt: Millis,
  recordedAt: Millis,
  content: Schema.String
})

const AnyLine = {
  log: Schema.Struct({ kind: Schema.Literal("log"), format: Schema.Literal(1), head: Count, removed: Count }),
  event: Event,
  id: Schema.Struct({
    kind: Schema.Literal("id"),
    id: Name,
    ...where,
    version: Place,
    position: Place,
    recordedAt: Millis,
    content: Schema.String
  }),
  stream: Schema.Struct({
    kind: Schema.Literal("stream"),
    ...where,
    version: Count,
    firstVersion: Place,
    tombstoned: Schema.Boolean
  }),
  end: Schema.Struct({
    kind: Schema.Literal("end"),
    events: Count,
    ids: Count,
    streams: Count,
    sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))
  })
} as const

const decoders = new Map<unknown, (value: unknown) => Either.Either<any, ParseResult.ParseIssue>>(
  Object.entries(AnyLine).map(([kind, schema]) => [
    kind,
    ParseResult.decodeUnknownEither(schema as Schema.Schema<any>, { onExcessProperty: "error" })
  ])
)

/** What is wrong with a line, and with which member of it; `""` for the whole. */
export interface Problem {
  readonly field: string
  readonly problem: string
}

const problem = (field: string, text: string): Either.Either<never, Problem> => Either.left({ field, problem: text })

/** Reads a line without its end. */
export const read = (text: string): Either.Either<Line, Problem> => {
  let value: any
  try {
    value = JSON.parse(text)
  } catch (error) {
    return problem("", `is no JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return problem("", "must be an object")
  const decode = decoders.get(value.kind)
  if (decode === undefined) return problem("kind", `must be one of ${Array.from(decoders.keys()).join(", ")}`)
  const decoded = decode(value)
  if (Either.isLeft(decoded)) {
    const [issue] = ParseResult.ArrayFormatter.formatIssueSync(decoded.left)
    return problem(issue!.path.map(String).join("."), issue!.message)
  }
  if (value.kind === "event") return rowOf(decoded.right)
  const { kind: _, ...rest } = decoded.right
  if (value.kind === "id") return Either.right({ kind: "id", remembered: rest })
  return Either.right(value.kind === "stream" ? { kind: "stream", stream: rest } : decoded.right)
}

const rowOf = (line: typeof Event.Type): Either.Either<Line, Problem> => {
  const given = ["payload", "payloadText", "payloadBase64"].filter((name) => name in line)
  if (given.length !== 1) return problem("payload", "must be given once")
  if (("metadata" in line) === ("metadataText" in line)) return problem("metadata", "must be given once")
  if ("tags" in line && "tagsText" in line) return problem("tags", "must be given once")
  const metadata = line.metadataText ?? JSON.stringify(line.metadata)
  const tags = line.tagsText ?? (line.tags === undefined ? null : JSON.stringify(line.tags))
  for (const [name, text] of [["metadata", metadata], ["tags", tags]] as const) {
    if (text !== null && !isJson(text)) return problem(`${name}Text`, "is no JSON")
  }
  const {
    content,
    format,
    id,
    occurredAt,
    position,
    recordedAt,
    schemaVersion,
    source,
    stream,
    tenant,
    type,
    version
  } = line
  const payload = line.payloadBase64 !== undefined
    ? new Uint8Array(Buffer.from(line.payloadBase64, "base64"))
    : line.payloadText ?? JSON.stringify(line.payload)
  return Either.right({
    kind: "event",
    row: {
      id,
      stream,
      version,
      position,
      type,
      schemaVersion,
      format,
      payload,
      metadata,
      source,
      tags,
      occurredAt,
      recordedAt,
      tenant,
      content
    }
  })
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
