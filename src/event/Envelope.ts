/**
 * An event with everything that is known about it beside its payload: before it is recorded, and after.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Position, StreamVersion } from "./Position.ts"
import type { StreamId } from "./StreamId.ts"

/**
 * Marks envelopes, so that they are told from plain events.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-skald/event/Envelope")

/**
 * The type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * W3C trace context: the span that an event was appended in.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TraceContext = Schema.Struct({
  traceparent: Schema.String,
  tracestate: Schema.optionalWith(Schema.String, { exact: true })
})

/**
 * Schema of what accompanies an event: which conversation it belongs to, what caused it, who for and who by.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Metadata = Schema.Struct({
  /** One id for everything that one request set off; the event's own id when it began the conversation. */
  correlationId: Schema.optionalWith(Schema.String, { exact: true }),
  /** The id of the command or event that this one follows from; absent at the root. */
  causationId: Schema.optionalWith(Schema.String, { exact: true }),
  /** The tenant, part of the uniqueness of streams and ids. */
  tenant: Schema.optionalWith(Schema.String, { exact: true }),
  /** Who acted. */
  actor: Schema.optionalWith(Schema.String, { exact: true }),
  trace: Schema.optionalWith(TraceContext, { exact: true }),
  /** Free headers of the application. */
  headers: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true })
})

/**
 * What accompanies an event.
 *
 * @since 0.1.0
 * @category models
 */
export interface Metadata extends Schema.Schema.Type<typeof Metadata> {}

/**
 * An event about to be appended, with what its appender wants to say of it. Made by {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface New<out E> extends Pipeable {
  readonly [TypeId]: TypeId
  readonly event: E
  readonly id: string | undefined
  readonly occurredAt: DateTime.DateTime.Input | undefined
  readonly source: string | undefined
  readonly metadata: Metadata
}

/**
 * An event as the store gives it back.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded<out P> {
  /** Unique in the tenant; a UUID v7 unless the appender chose one. */
  readonly id: string
  readonly stream: StreamId
  /** 1, 2, 3 … within the stream. */
  readonly version: StreamVersion
  /** Strictly increasing over the whole log. */
  readonly position: Position
  /** The tag of the event. */
  readonly type: string
  /** The version of the Schema that it was written with. */
  readonly schemaVersion: number
  readonly payload: P
  readonly metadata: Metadata
  /** The service it came from; `"/"` when none was named. */
  readonly source: string
  /** For queries and consistency boundaries; a set. */
  readonly tags: ReadonlyArray<string>
  /** When it happened: given by the appender, else the appender's Clock. */
  readonly occurredAt: DateTime.Utc
  /** When the store recorded it; never decreases as the position grows. */
  readonly recordedAt: DateTime.Utc
}

/**
 * A recorded event that no codec has read yet: its payload is the parsed, undecoded value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw extends Recorded<unknown> {}

/**
 * What may be said of a new event beside its payload.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Metadata {
  /** Its id, for idempotent appends: 1 to 128 UTF-16 code units; a UUID v7 when not given. */
  readonly id?: string | undefined
  /** When it happened, if not now. */
  readonly occurredAt?: DateTime.DateTime.Input | undefined
  /** The service it comes from; the one named by `Correlation` when not given. */
  readonly source?: string | undefined
}

const Proto = {
  [TypeId]: TypeId,
  pipe() {
    // oxlint-disable-next-line prefer-rest-params -- `pipe` is variadic by design
    return pipeArguments(this, arguments)
  }
}

/**
 * A new event with an id, a time, or metadata of its own. Where a plain event says enough, no envelope is needed.
 *
 * What is given here wins over what `Correlation` carries. An instant that cannot be read is refused on append, with the
 * other faults.
 *
 * @example
 * ```ts
 * import * as Envelope from "effect-skald/event/Envelope"
 *
 * Envelope.make({ _tag: "FlightDeparted", delay: 12 }, {
 *   id: "flight-2001-01-01-SLC-1",
 *   occurredAt: "2001-01-01T06:01:00Z",
 *   headers: { importer: "batch-7" }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E extends { readonly _tag: string }>(event: E, options: Options = {}): New<E> => {
  const { id, occurredAt, source, ...metadata } = options
  return Object.assign(Object.create(Proto), { event, id, occurredAt, source, metadata })
}

/**
 * Whether a value is an envelope made by {@link make}.
 *
 * @since 0.1.0
 * @category guards
 */
export const isNew = (value: unknown): value is New<{ readonly _tag: string }> => Predicate.hasProperty(value, TypeId)

/**
 * The same recorded event with another payload.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withPayload = <P>(recorded: Recorded<unknown>, payload: P): Recorded<P> => ({
  // Member by member, which costs half of a spread: this runs for every event that is read.
  id: recorded.id,
  stream: recorded.stream,
  version: recorded.version,
  position: recorded.position,
  type: recorded.type,
  schemaVersion: recorded.schemaVersion,
  payload,
  metadata: recorded.metadata,
  source: recorded.source,
  tags: recorded.tags,
  occurredAt: recorded.occurredAt,
  recordedAt: recorded.recordedAt
})
