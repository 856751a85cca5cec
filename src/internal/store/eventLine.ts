import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { ParentSpan } from "effect/Tracer"
import * as Context from "effect/Context"
import * as Correlation from "../../event/Correlation.ts"
import { Metadata, type Raw } from "../../event/Envelope.ts"
import { Position, StreamVersion } from "../../event/Position.ts"
import { StreamId } from "../../event/StreamId.ts"
import type { AppendError } from "../../store/AppendError.ts"
import type { Appended, Operations } from "../../store/EventStore.ts"

/** An event as a line of NDJSON: everything that is recorded of it, instants to the millisecond. */
const Line = Schema.parseJson(Schema.Struct({
  id: Schema.String,
  stream: StreamId,
  version: StreamVersion,
  position: Position,
  type: Schema.String,
  schemaVersion: Schema.Int,
  payload: Schema.Unknown,
  metadata: Metadata,
  source: Schema.String,
  tags: Schema.Array(Schema.String),
  occurredAt: Schema.DateTimeUtc,
  recordedAt: Schema.DateTimeUtc
}))

const decode = ParseResult.decodeEither(Line)

/** The line of an event, without its end. */
export const write = (event: Raw): string =>
  JSON.stringify({
    id: event.id,
    stream: event.stream,
    version: event.version,
    position: event.position,
    type: event.type,
    schemaVersion: event.schemaVersion,
    payload: event.payload,
    metadata: event.metadata,
    source: event.source,
    tags: event.tags,
    occurredAt: DateTime.formatIso(event.occurredAt),
    recordedAt: DateTime.formatIso(event.recordedAt)
  })

/** The event of a line, or what is wrong with it. */
export const read = (line: string): Either.Either<Raw, string> =>
  Either.mapLeft(decode(line), (issue) => ParseResult.TreeFormatter.formatIssueSync(issue))

/** Appends events of one stream as they were recorded elsewhere, taking nothing from the fiber but the tenant. */
export const append = (
  store: Operations,
  events: readonly [Raw, ...Array<Raw>]
): Effect.Effect<Appended, AppendError> => {
  const [first] = events
  const { tenant } = first.metadata
  return store.append([{
    stream: first.stream,
    expected: first.version === 1 ? "noStream" : first.version - 1,
    events: events.map(({ id, metadata, occurredAt, payload, schemaVersion, source, tags, type }) => ({
      id,
      metadata,
      occurredAt,
      payload,
      schemaVersion,
      source,
      tags,
      type
    }))
  }]).pipe(
    Effect.locally(Correlation.currentCorrelation, tenant === undefined ? {} : { tenant }),
    Effect.mapInputContext((context: Context.Context<never>) => Context.omit(ParentSpan)(context as never) as never)
  )
}
