/**
 * When a snapshot is worth taking, and which snapshots fit the code that reads them.
 *
 * @since 0.1.0
 */
import { type DateTime, Duration, Either, JSONSchema, Schema } from "effect"
import { dual } from "effect/Function"
import { createHash } from "node:crypto"
import * as Faults from "../internal/faults.ts"

/**
 * What a policy knows when it is asked, right after new events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Situation {
  /** The version that a snapshot would have. */
  readonly version: number
  /** How many events have come since the last snapshot; all of them when there is none. */
  readonly sinceEvents: number
  /** When the last snapshot was saved; `undefined` when there is none. */
  readonly lastSavedAt: DateTime.Utc | undefined
  readonly now: DateTime.Utc
}

/**
 * Says whether a snapshot is taken now. It is asked after the append; a snapshot that fails never fails a command.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = (situation: Situation) => boolean

/**
 * How many events since the last snapshot are worth the next one.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultEvery = 100

/**
 * A snapshot every so many events *since the last one*, however they come: 9 → 12 crosses 10 and takes one snapshot.
 *
 * @throws `InvalidInput` when the number is not a whole one of at least 1.
 *
 * @example
 * ```ts
 * import * as Snapshot from "effect-skald/store/Snapshot"
 *
 * export const policy = Snapshot.or(Snapshot.every(500), Snapshot.byAge("1 day"))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const every = (events: number = defaultEvery): Policy => {
  const faults = Faults.make()
  const problem = Faults.countProblem(events, 1)
  if (problem !== undefined) faults.add("events", problem)
  return Either.getOrThrowWith(
    Faults.orInvalid(faults, (): Policy => (situation) => situation.sinceEvents >= events),
    (error) => error
  )
}

/**
 * A snapshot when the last one is at least so old and something has happened since; the first one at once.
 *
 * @since 0.1.0
 * @category constructors
 */
export const byAge = (age: Duration.DurationInput): Policy => {
  const millis = Duration.toMillis(age)
  return ({ lastSavedAt, now, sinceEvents }) =>
    sinceEvents > 0 &&
    (lastSavedAt === undefined || now.epochMillis - lastSavedAt.epochMillis >= millis)
}

/**
 * A snapshot when a predicate of one's own says so.
 *
 * @since 0.1.0
 * @category constructors
 */
export const custom = (predicate: (situation: Situation) => boolean): Policy => predicate

/**
 * No snapshot at all.
 *
 * @since 0.1.0
 * @category constructors
 */
export const never: Policy = () => false

/**
 * A snapshot when one policy or the other asks for it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const or: {
  (that: Policy): (self: Policy) => Policy
  (self: Policy, that: Policy): Policy
} = dual(2, (self: Policy, that: Policy): Policy => (situation) => self(situation) || that(situation))

/**
 * A snapshot when both policies ask for it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const and: {
  (that: Policy): (self: Policy) => Policy
  (self: Policy, that: Policy): Policy
} = dual(2, (self: Policy, that: Policy): Policy => (situation) => self(situation) && that(situation))

/**
 * Which code a snapshot belongs to: name, version, and the shape of the encoded state. Snapshots of another fingerprint are
 * never read.
 *
 * @since 0.1.0
 * @category models
 */
export type Fingerprint = typeof Fingerprint.Type

/**
 * Schema of a fingerprint.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Fingerprint = Schema.NonEmptyString.pipe(Schema.brand("effect-skald/store/Fingerprint"))

/**
 * A state's Schema cannot be fingerprinted, because its encoded side has no JSON Schema: it is no JSON, or not described as
 * such.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoJsonSchema extends Schema.TaggedError<NoJsonSchema>("effect-skald/store/NoJsonSchema")("NoJsonSchema", {
  /** The name of the decider or projection. */
  name: Schema.String,
  /** What is the matter, with the path of the part that has no JSON Schema. */
  problem: Schema.String
}) {
  override get message(): string {
    return `the state of "${this.name}" has no JSON Schema, so that its snapshots cannot be told from stale ones: ${this.problem}`
  }
}

/**
 * The fingerprint of a decider or projection: its name, its version, and the SHA-256 of the JSON Schema of its state's
 * encoded side.
 *
 * The order of fields, and titles, descriptions, examples and defaults, change nothing; every change of what is stored does,
 * and so does the name in an `identifier`.
 * A change of meaning with the same shape needs a new version. A recursive Schema needs an `identifier`.
 *
 * @example
 * ```ts
 * import * as Snapshot from "effect-skald/store/Snapshot"
 * import { Either, Schema } from "effect"
 *
 * const State = Schema.Struct({ total: Schema.Number, since: Schema.Date })
 *
 * export const fingerprint = Either.getOrThrow(Snapshot.fingerprint("revenue", 2, State)) // "revenue/2/5d41…"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fingerprint = <A, I, R>(
  name: string,
  version: number,
  schema: Schema.Schema<A, I, R>
): Either.Either<Fingerprint, NoJsonSchema> =>
  Either.map(jsonSchemaOf(name, schema), (json) => {
    const hash = createHash("sha256").update(JSON.stringify(canonical(json))).digest("hex")
    return Fingerprint.make(`${name}/${version}/${hash}`)
  })

const jsonSchemaOf = <A, I, R>(
  name: string,
  schema: Schema.Schema<A, I, R>
): Either.Either<unknown, NoJsonSchema> =>
  Either.try(() => JSONSchema.make(Schema.encodedSchema(schema))).pipe(
    // The encoded side of a recursive Schema loses its identifiers; `JSONSchema` finds the way itself, but refuses filters.
    Either.orElse(() => Either.try(() => JSONSchema.make(schema))),
    Either.mapLeft((error) =>
      new NoJsonSchema({ name, problem: error instanceof Error ? error.message.replaceAll("\n", ", ") : String(error) })
    )
  )

/** Keywords that say nothing about what is stored. */
const annotations = new Set(["$schema", "$comment", "title", "description", "examples", "default"])

/** Keywords whose value is a map of names, not of keywords. */
const maps = new Set(["properties", "patternProperties", "$defs", "definitions", "dependencies"])

/** One text for equal JSON Schemas: keys sorted, annotations left out; as pairs, since a key may be `__proto__`. */
const canonical = (node: unknown, names = false): unknown => {
  if (Array.isArray(node)) return node.map((item) => canonical(item))
  if (typeof node !== "object" || node === null) return node
  return Object.entries(node).sort(([a], [b]) => a < b ? -1 : 1).flatMap(([key, value]): Array<unknown> => {
    if (names) return [[key, canonical(value)]]
    if (annotations.has(key)) return []
    if (key === "required" && Array.isArray(value)) return [[key, [...value].sort()]]
    // What looks like a keyword in a value is none.
    if (key === "enum" || key === "const") return [[key, value]]
    return [[key, canonical(value, maps.has(key))]]
  })
}
