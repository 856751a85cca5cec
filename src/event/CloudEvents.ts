/**
 * Recorded events as CloudEvents 1.0 in JSON, and back: one event (`application/cloudevents+json`) or a batch of them
 * (`application/cloudevents-batch+json`).
 *
 * | of the recorded event | in the CloudEvent |
 * | --- | --- |
 * | `id`, `type`, `source` | `id`, `type`, `source`; a source that is no URI reference is percent-encoded there, and stands as it is in `skaldsource` |
 * | `stream` | `subject` |
 * | `occurredAt`, `recordedAt` | `time`, `recordedtime`; outside the years 0 to 9999, as milliseconds in `skaldoccurredms`, `skaldrecordedms` |
 * | `payload` | `data`, with `datacontenttype` `application/json` |
 * | `metadata` | `correlationid`, `causationid`, `tenant`, `actor`, `traceparent`, `tracestate` |
 * | `metadata.headers` | an extension each where name and value may be one; `dataschema`; the others as one JSON object in `skaldheaders` |
 * | `version`, `position`, `schemaVersion` | `skaldstreamversion`, `skaldposition`, `skaldschemaversion`; as text beyond 32 bits |
 * | `tags` | a JSON array in `skaldtags` |
 *
 * What is read back is what was written, to the millisecond. An event from elsewhere is read as if recorded nowhere yet:
 * version and position 0, schema version 1, its further extensions as headers.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import { check, isSet } from "../internal/event/cloudEventCheck.ts"
import {
  canStandAlone,
  isTextList,
  isTexts,
  metadataOf,
  parseJson,
  payloadOf
} from "../internal/event/cloudEventParts.ts"
import * as Types from "../internal/event/cloudEventTypes.ts"
import * as Faults from "../internal/faults.ts"
import type { Raw } from "./Envelope.ts"
import * as EventId from "./EventId.ts"
import type { InvalidInput } from "./InvalidInput.ts"
import type { Position, StreamVersion } from "./Position.ts"
import * as StreamId from "./StreamId.ts"

/**
 * The media type of one event in JSON.
 *
 * @since 0.1.0
 * @category constants
 */
export const contentType = "application/cloudevents+json"

/**
 * The media type of a batch: a JSON array of events.
 *
 * @since 0.1.0
 * @category constants
 */
export const batchContentType = "application/cloudevents-batch+json"

/**
 * A CloudEvent as a JSON value. An optional attribute that is `null` is as good as absent; `data` may be `null`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloudEvent {
  readonly specversion: "1.0"
  readonly id: string
  /** A URI reference. */
  readonly source: string
  readonly type: string
  readonly subject?: string | null | undefined
  /** An RFC 3339 timestamp. */
  readonly time?: string | null | undefined
  readonly datacontenttype?: string | null | undefined
  /** An absolute URI. */
  readonly dataschema?: string | null | undefined
  readonly data?: unknown
  readonly data_base64?: string | null | undefined
  /** Extensions: lower-case letters and digits; booleans, 32-bit integers and strings. */
  readonly [extension: string]: unknown
}

/**
 * Schema of a CloudEvent from anywhere: what CloudEvents 1.0 asks of each attribute is checked, all faults are reported
 * together, and extensions are kept as they are.
 *
 * @example
 * ```ts
 * import * as CloudEvents from "effect-skald/event/CloudEvents"
 * import { Schema } from "effect"
 *
 * const isCloudEvent = Schema.is(CloudEvents.CloudEvent)
 * isCloudEvent({ specversion: "1.0", id: "1", source: "/shop", type: "order.placed" }) // true
 * isCloudEvent({ specversion: "1.0", id: "", source: "/shop", type: "order.placed" })  // false
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const CloudEvent: Schema.Schema<CloudEvent> = (() => {
  const parse = (
    input: unknown,
    _: unknown,
    ast: AST.Declaration
  ): Either.Either<CloudEvent, ParseResult.ParseIssue> => {
    const faults = Faults.make()
    if (check(input, "", faults)) return Either.right(input)
    const [first, ...rest] = faults.all.map(({ path, problem }) =>
      new ParseResult.Pointer(path, input, new ParseResult.Type(ast, input, problem))
    )
    return Either.left(new ParseResult.Composite(ast, input, [first!, ...rest]))
  }
  return Schema.declare([], { decode: () => parse, encode: () => parse }, {
    identifier: "CloudEvent",
    jsonSchema: {
      type: "object",
      required: ["specversion", "id", "source", "type"],
      properties: {
        specversion: { type: "string", enum: ["1.0"] },
        id: { type: "string", minLength: 1 },
        source: { type: "string", minLength: 1, format: "uri-reference" },
        type: { type: "string", minLength: 1 },
        subject: { type: ["string", "null"], minLength: 1 },
        time: { type: ["string", "null"], format: "date-time" },
        datacontenttype: { type: ["string", "null"], minLength: 1 },
        dataschema: { type: ["string", "null"], minLength: 1, format: "uri" },
        data: {},
        data_base64: { type: ["string", "null"], contentEncoding: "base64" }
      },
      additionalProperties: { type: ["string", "boolean", "integer", "null"] }
    },
    arbitrary: () => (fc) =>
      fc.record({
        specversion: fc.constant("1.0" as const),
        id: fc.uuid(),
        source: fc.webPath({ size: "small" }).map((path) => path === "" ? "/" : path),
        type: fc.stringMatching(/^[a-z]{1,8}(\.[a-z]{1,8}){0,2}$/),
        subject: fc.option(fc.stringMatching(/^[a-z]{1,8}-[a-z0-9]{1,8}$/), { nil: undefined }),
        time: fc.option(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("2100-01-01T00:00:00Z") }), {
          nil: undefined
        }).map((date) => date?.toISOString()),
        data: fc.jsonValue()
      })
  })
})()

/**
 * A recorded event as a CloudEvent. Its payload must be the stored one, a JSON value, not a decoded event.
 *
 * @example
 * ```ts
 * import * as CloudEvents from "effect-skald/event/CloudEvents"
 * import { Effect } from "effect"
 *
 * const forwarded = CloudEvents.decode({
 *   specversion: "1.0",
 *   id: "C234-1234-1234",
 *   source: "/shop",
 *   type: "OrderPlaced",
 *   subject: "order-42",
 *   data: { total: 10 }
 * }).pipe(Effect.map(CloudEvents.encode), Effect.map((event) => JSON.stringify(event)))
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (recorded: Raw): CloudEvent => {
  const { headers, trace, ...metadata } = recorded.metadata
  const isReference = Types.isUriReference(recorded.source)
  const occurredAt = Types.fromInstant(recorded.occurredAt.epochMillis)
  const recordedAt = Types.fromInstant(recorded.recordedAt.epochMillis)
  const [alone, together] = Arr.partition(
    Object.entries(headers ?? {}),
    ([name, value]) => !canStandAlone(name, value)
  )
  const event: { [name: string]: unknown } = {
    specversion: "1.0",
    id: recorded.id,
    source: isReference ? recorded.source : encodeURIComponent(recorded.source),
    type: recorded.type,
    subject: recorded.stream,
    time: occurredAt,
    datacontenttype: "application/json",
    correlationid: metadata.correlationId,
    causationid: metadata.causationId,
    tenant: metadata.tenant,
    actor: metadata.actor,
    traceparent: trace?.traceparent,
    tracestate: trace?.tracestate,
    recordedtime: recordedAt,
    skaldsource: isReference ? undefined : recorded.source,
    skaldoccurredms: occurredAt === undefined ? String(recorded.occurredAt.epochMillis) : undefined,
    skaldrecordedms: recordedAt === undefined ? String(recorded.recordedAt.epochMillis) : undefined,
    skaldstreamversion: Types.fromCount(recorded.version),
    skaldposition: Types.fromCount(recorded.position),
    skaldschemaversion: Types.fromCount(recorded.schemaVersion),
    skaldtags: recorded.tags.length > 0 ? Types.utterableJson(recorded.tags) : undefined,
    ...Object.fromEntries(alone),
    skaldheaders: headers !== undefined && (together.length > 0 || alone.length === 0)
      ? Types.utterableJson(Object.fromEntries(together))
      : undefined,
    data: recorded.payload
  }
  for (const name of Object.keys(event)) if (event[name] === undefined) delete event[name]
  return event as unknown as CloudEvent
}

/**
 * How CloudEvents from elsewhere are read.
 *
 * @since 0.1.0
 * @category models
 */
export interface DecodeOptions {
  /** The stream that an event belongs to; its `subject` when not given, its `source` where it has no subject. */
  readonly stream?: ((event: CloudEvent) => string) | undefined
}

/**
 * Reads a CloudEvent: one that {@link encode} wrote comes back as it was; one from elsewhere as if recorded nowhere yet.
 *
 * An event without `data` has the payload `{}`. Of `data_base64`, JSON is parsed where `datacontenttype` declares it, and
 * the Base64 text is kept otherwise. A `time` that is not stated is the `recordedtime`, and that the Clock's. A
 * `datacontenttype` other than `application/json`, and extensions without a meaning here, become headers. Who the tenant
 * and the actor are is only what the sender says. Fails with every fault at once.
 *
 * @example
 * ```ts
 * import * as CloudEvents from "effect-skald/event/CloudEvents"
 * import { Effect } from "effect"
 *
 * const event = CloudEvents.decode({ specversion: "1.0", id: "", source: "/shop" }).pipe(
 *   Effect.catchTag("InvalidInput", (error) => Effect.succeed(error.message))
 *   // "event.id: must not be empty\nevent.type: must be given"
 * )
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (input: unknown, options?: DecodeOptions): Effect.Effect<Raw, InvalidInput> =>
  Effect.flatMap(DateTime.now, (now) => {
    const faults = Faults.make()
    const raw = read(input, "event", now, options, faults)
    return Faults.orInvalid(faults, () => raw!)
  })

/**
 * Reads a batch of CloudEvents, all or none; fails with every fault of every event, `events[3].id` for example.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeBatch = (
  input: unknown,
  options?: DecodeOptions
): Effect.Effect<ReadonlyArray<Raw>, InvalidInput> =>
  Effect.flatMap(DateTime.now, (now) => {
    const faults = Faults.make()
    if (!Array.isArray(input)) faults.add("events", `must be a list, got ${Faults.show(input)}`)
    const raws = Array.isArray(input)
      ? input.map((event, index) => read(event, `events[${index}]`, now, options, faults))
      : []
    return Faults.orInvalid(faults, () => raws as ReadonlyArray<Raw>)
  })

const read = (
  input: unknown,
  path: string,
  now: DateTime.Utc,
  options: DecodeOptions | undefined,
  faults: Faults.Faults
): Raw | undefined => {
  const before = faults.all.length
  if (!check(input, `${path}.`, faults)) return undefined
  const add = (name: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(`${path}.${name}`, problem)
  }
  const said = (name: string): string | undefined => isSet(input[name]) ? String(input[name]) : undefined

  const count = (name: string, least: number): number => {
    const value = Types.toCount(input[name] ?? least)
    add(name, Faults.countProblem(value, least))
    return value as number
  }
  const instant = (name: string, inMillis: string): DateTime.Utc | undefined => {
    const stated = said(name)
    if (stated === undefined && !isSet(input[inMillis])) return undefined
    const at = stated === undefined ? Types.toCount(input[inMillis]) : Types.timestamp(stated)
    if (typeof at === "number" && Math.abs(at) <= 8.64e15) return DateTime.unsafeMake(at)
    if (stated === undefined) add(inMillis, `must be milliseconds since 1970, got ${Faults.show(input[inMillis])}`)
    else add(name, `must be an RFC 3339 timestamp, got ${Faults.show(stated)}`)
    return undefined
  }
  const json = <A>(name: string, is: (value: unknown) => value is A, what: string): A | undefined => {
    const stated = said(name)
    if (stated === undefined) return undefined
    const value = Option.filter(parseJson(stated), is)
    add(name, Option.isNone(value) ? `must be ${what} in JSON, got ${Faults.show(stated)}` : undefined)
    return Option.getOrUndefined(value)
  }

  add("id", EventId.problem(input.id))
  add("type", Faults.nameProblem(input.type))
  const source = said("skaldsource") ?? input.source
  add("source", Faults.nameProblem(source))
  const stream = options?.stream?.(input) ?? input.subject ?? source
  const streamProblem = StreamId.problem(stream)
  add("subject", streamProblem && `must be the name of a stream: ${streamProblem}`)
  const recordedAt = instant("recordedtime", "skaldrecordedms")
  const raw: Raw = {
    id: input.id,
    stream: stream as StreamId.StreamId,
    version: count("skaldstreamversion", 0) as StreamVersion,
    position: count("skaldposition", 0) as Position,
    type: input.type,
    schemaVersion: count("skaldschemaversion", 1),
    payload: payloadOf(input, add),
    metadata: metadataOf(input, said, json("skaldheaders", isTexts, "an object of strings")),
    source,
    tags: json("skaldtags", isTextList, "a list of strings") ?? [],
    occurredAt: instant("time", "skaldoccurredms") ?? recordedAt ?? now,
    recordedAt: recordedAt ?? now
  }
  return faults.all.length > before ? undefined : raw
}
