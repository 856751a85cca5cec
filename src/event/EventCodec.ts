/**
 * Between events and what is stored of them: encodes, decodes and upcasts the event types of a group.
 *
 * Decoders are built once for a codec; coding an event is plain synchronous code.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { encoderOf, pathOf } from "../internal/event/eventEncoder.ts"
import { storedTypes, tagsOfType } from "../internal/event/eventTypes.ts"
import * as Faults from "../internal/faults.ts"
import * as PlainSchema from "../internal/event/plainSchema.ts"
import type { Raw, Recorded } from "./Envelope.ts"
import { withPayload } from "./Envelope.ts"
import type { Any, Entry, Group } from "./Event.ts"
import { Fault, InvalidEvent } from "./InvalidInput.ts"

const place = {
  id: Schema.String,
  type: Schema.String,
  schemaVersion: Schema.Number,
  stream: Schema.String,
  version: Schema.Number,
  position: Schema.Number
}

interface Place extends Schema.Struct.Type<typeof place> {}

const placeOf = (raw: Recorded<unknown>): Place => ({
  id: raw.id,
  type: raw.type,
  schemaVersion: raw.schemaVersion,
  stream: raw.stream,
  version: raw.version,
  position: raw.position
})

const describe = (at: Place): string =>
  `${at.type} (schema version ${at.schemaVersion}), event ${at.id} at version ${at.version} of ${at.stream}, position ${at.position}`

/**
 * A recorded event whose type, or whose schema version, the codec does not know: a newer program wrote it, or the event
 * type is missing from the group.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownEventType
  extends Schema.TaggedError<UnknownEventType>("effect-skald/event/UnknownEventType")("UnknownEventType", {
    ...place,
    reason: Schema.Literal("unknownType", "unknownSchemaVersion"),
    /** The types, or the newest schema version of this type, that the codec knows. */
    known: Schema.Array(Schema.String)
  })
{
  override get message(): string {
    return `cannot read ${describe(this)}: ${
      this.reason === "unknownType"
        ? `known types are ${this.known.join(", ")}`
        : `known up to version ${this.known[0]}`
    }`
  }
}

/**
 * A recorded event whose payload its Schema, or one of its upcasters, refuses.
 *
 * @since 0.1.0
 * @category errors
 */
export class UndecodableEvent
  extends Schema.TaggedError<UndecodableEvent>("effect-skald/event/UndecodableEvent")("UndecodableEvent", {
    ...place,
    /** The Schema's issue, each fault with its path. */
    faults: Schema.Array(Fault),
    /** The Schema's issue as a tree, for people. */
    issue: Schema.String,
    /** What an upcaster, or the Schema itself, threw, if that was it. */
    cause: Schema.optional(Schema.Defect)
  })
{
  override get message(): string {
    return `cannot decode ${describe(this)}:\n${this.issue}`
  }
}

/**
 * Why a recorded event could not be read.
 *
 * @since 0.1.0
 * @category errors
 */
export type DecodeError = UnknownEventType | UndecodableEvent

/**
 * Schema of {@link DecodeError}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DecodeError: Schema.Union<[typeof UnknownEventType, typeof UndecodableEvent]> = Schema.Union(
  UnknownEventType,
  UndecodableEvent
)

/**
 * What stands for an event of an unknown type where those are kept: the payload as it was stored.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unknown {
  readonly _tag: "$Unknown"
  readonly type: string
  readonly schemaVersion: number
  readonly payload: unknown
}

/**
 * An event made ready for the store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  readonly type: string
  readonly schemaVersion: number
  /** A JSON value. */
  readonly payload: unknown
  readonly tags: ReadonlyArray<string>
}

/**
 * Codes the events `E` of a group, and reads `A`: the same, and {@link Unknown} where unknown types are kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventCodec<in E, out A = E> {
  /** What is known of each event type, by its tag. */
  readonly entries: ReadonlyMap<string, Entry>
  /**
   * Checks an event by its Schema and encodes it; adds each fault, its path below `path`, and answers `undefined` when
   * there is one. An array of faults serves a whole append.
   */
  readonly encodeInto: (event: E, path: string, faults: Array<Fault>) => Encoded | undefined
  /** Decodes one recorded event, upcast from the version it was written with. */
  readonly decode: (raw: Raw) => Either.Either<Recorded<A>, DecodeError>
  /**
   * Decodes recorded events up to the first that cannot be read. The library's own marks, whose types begin with `$`, are
   * left out unless the group names them.
   */
  readonly decodeAll: (raws: ReadonlyArray<Raw>) => Decoded<A>
}

/**
 * What came of decoding a chunk: the events before the first failure, and that failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoded<out A> {
  readonly events: ReadonlyArray<Recorded<A>>
  readonly error: DecodeError | undefined
}

type Decoder = (raw: Raw) => Either.Either<unknown, DecodeError>

/**
 * The codec of a group of event types.
 *
 * An unknown type is a typed failure, or is kept as {@link Unknown} with `unknown: "keep"`. A Schema that cannot be decoded
 * synchronously gives {@link UndecodableEvent}.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import * as EventCodec from "effect-skald/event/EventCodec"
 * import { Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { order: Schema.String })
 * const codec = EventCodec.make(Event.group([Placed]))
 *
 * EventCodec.encode(codec, Placed({ order: "o-1" }))
 * // Either.right({ type: "Placed", schemaVersion: 1, payload: { _tag: "Placed", order: "o-1" }, tags: [] })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <const Es extends ReadonlyArray<Any>>(
    group: Group<Es>,
    options?: { readonly unknown?: "fail" | undefined }
  ): EventCodec<Es[number]["Type"]>
  <const Es extends ReadonlyArray<Any>>(
    group: Group<Es>,
    options: { readonly unknown: "keep" }
  ): EventCodec<Es[number]["Type"], Es[number]["Type"] | Unknown>
} = (group: Group<ReadonlyArray<Any>>, options?: { readonly unknown?: "fail" | "keep" | undefined }): any => {
  const { entries } = group
  const encoders = new Map(Array.from(entries.values(), (entry) => [entry.tag, encoderOf(entry)]))
  const decoders = new Map(
    Array.from(entries.values()).flatMap((entry) => {
      const decoder = decoderOf(entry)
      return [entry.tag, ...entry.aliases].map((name) => [name, decoder] as const)
    })
  )
  const decodeOther: Decoder = options?.unknown === "keep" ? keepUnknown : refuseUnknown(storedTypes(entries.values()))

  const encodeInto: EventCodec<any>["encodeInto"] = (event, path, faults) => {
    const encoder = Predicate.hasProperty(event, "_tag") ? encoders.get(event._tag as string) : undefined
    if (encoder !== undefined) return encoder(event, path, faults)
    const known = Array.from(entries.keys()).join(", ")
    faults.push(new Fault({ path, problem: `must be an event of ${known}, got ${Faults.show(event)}` }))
    return undefined
  }
  const decodePayload = (raw: Raw) => (decoders.get(raw.type) ?? decodeOther)(raw)
  const decodeAll: EventCodec<any>["decodeAll"] = (raws) => {
    const events: Array<Recorded<unknown>> = []
    for (const raw of raws) {
      const decoder = decoders.get(raw.type)
      if (decoder === undefined && raw.type.startsWith("$")) continue
      const decoded = (decoder ?? decodeOther)(raw)
      if (Either.isLeft(decoded)) return { events, error: decoded.left }
      events.push(withPayload(raw, decoded.right))
    }
    return { events, error: undefined }
  }
  return {
    entries,
    encodeInto,
    decode: (raw: Raw) => Either.map(decodePayload(raw), (payload) => withPayload(raw, payload)),
    decodeAll
  }
}

/**
 * Checks and encodes one event; fails with every fault of it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const encode = <E, A>(codec: EventCodec<E, A>, event: E): Either.Either<Encoded, InvalidEvent> => {
  const faults: Array<Fault> = []
  const encoded = codec.encodeInto(event, "event", faults)
  return encoded !== undefined
    ? Either.right(encoded)
    : Either.left(new InvalidEvent({ faults: faults as [Fault, ...Array<Fault>] }))
}

const decoderOf = (entry: Entry): Decoder => {
  const current = { decode: decodeUnknown(entry.schema), tags: [entry.tag] }
  const older = new Map(
    Object.entries(entry.upcasters).map(([version, link]) => [
      Number(version),
      { decode: decodeUnknown(link.schema), tags: tagsOfType(AST.encodedAST(link.schema.ast)) }
    ])
  )
  // What upcasters make is checked, and freed of what the older Schema had and this one does not.
  const validate = ParseResult.validateEither(entry.schema, allErrors)

  const upcast = (raw: Raw, old: unknown): Either.Either<unknown, DecodeError> => {
    let value: any = old
    try {
      for (let version = raw.schemaVersion; version < entry.version; version++) {
        value = entry.upcasters[version]!.to(value)
      }
    } catch (cause) {
      return Either.left(undecodable(raw, [], `an upcaster threw ${String(cause)}`, cause))
    }
    const event = validate(Predicate.isReadonlyRecord(value) ? { ...value, _tag: entry.tag } : value)
    return Either.mapLeft(event, (issue) => refused(raw, issue))
  }
  const decode: Decoder = (raw) => {
    const isCurrent = raw.schemaVersion === entry.version
    const link = isCurrent ? current : older.get(raw.schemaVersion)
    if (link === undefined) {
      return Either.left(
        new UnknownEventType({ ...placeOf(raw), reason: "unknownSchemaVersion", known: [String(entry.version)] })
      )
    }
    const { payload } = raw
    const decoded = link.decode(
      raw.type === entry.tag || link.tags?.includes(raw.type) === true
        ? tagged(raw.type, payload)
        : renamed(raw.type, entry.tag, payload)
    )
    if (Either.isLeft(decoded)) return Either.left(refused(raw, decoded.left))
    return isCurrent ? decoded as Either.Either<unknown, never> : upcast(raw, decoded.right)
  }
  return (raw) => {
    // A Schema may throw for what it was not made for: what nests too deep overflows the stack.
    try {
      return decode(raw)
    } catch (cause) {
      return Either.left(undecodable(raw, [], `its Schema threw ${String(cause)}`, cause))
    }
  }
}

const allErrors = { errors: "all" } as const

const decodeUnknown = (
  schema: Schema.Schema<any, any>
): (value: unknown) => Either.Either<unknown, ParseResult.ParseIssue> => {
  const decode = ParseResult.decodeUnknownEither(schema, allErrors)
  const copy = PlainSchema.copyOf(schema.ast, allErrors)
  if (copy === undefined) return decode
  return (value) => {
    const copied = copy(value)
    return copied === PlainSchema.left ? decode(value) : Either.right(copied)
  }
}

/** A payload of another house may leave the tag to its envelope. */
const tagged = (tag: string, payload: unknown): unknown =>
  typeof payload === "object" && payload !== null && !("_tag" in payload) ? { _tag: tag, ...payload } : payload

/** What was recorded under a former tag, under the present one; another tag than those is left for the Schema to refuse. */
const renamed = (from: string, tag: string, payload: unknown): unknown =>
  Predicate.isReadonlyRecord(payload) && (!("_tag" in payload) || payload._tag === from)
    ? { ...payload, _tag: tag }
    : payload

const undecodable = (raw: Raw, faults: ReadonlyArray<Fault>, issue: string, cause?: unknown): UndecodableEvent =>
  new UndecodableEvent({ ...placeOf(raw), faults, issue, ...(cause === undefined ? undefined : { cause }) })

const refused = (raw: Raw, issue: ParseResult.ParseIssue): UndecodableEvent =>
  undecodable(
    raw,
    ParseResult.ArrayFormatter.formatIssueSync(issue).map((each) =>
      new Fault({ path: pathOf("payload", each.path), problem: each.message })
    ),
    ParseResult.TreeFormatter.formatIssueSync(issue)
  )

const keepUnknown: Decoder = (raw) =>
  Either.right(
    { _tag: "$Unknown", type: raw.type, schemaVersion: raw.schemaVersion, payload: raw.payload } satisfies Unknown
  )

const refuseUnknown = (known: ReadonlyArray<string>): Decoder => (raw) =>
  Either.left(new UnknownEventType({ ...placeOf(raw), reason: "unknownType", known }))
