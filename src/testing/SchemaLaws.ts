/**
 * The laws of what is stored: values survive their Schema, and what older Schemas wrote is still read.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import type * as FastCheck from "effect/FastCheck"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type { Raw } from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import * as EventCodec from "../event/EventCodec.ts"
import * as Position from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as Compare from "../internal/compare.ts"
import * as EventTypes from "../internal/event/eventTypes.ts"
import * as Survival from "../internal/testing/survival.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Law from "./Law.ts"

/**
 * Values of a Schema survive being stored: encoded, written as JSON, read and decoded, they are what they were.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import * as SchemaLaws from "effect-skald/testing/SchemaLaws"
 * import { Effect, Schema } from "effect"
 *
 * // JSON makes a string of a Date, and the Schema does not know how to read it
 * const broken = SchemaLaws.stored("invoices", Schema.Struct({ due: Schema.DateFromSelf }))
 *
 * Effect.runSync(Effect.flip(Law.check(broken))).message // the law "invoices survive being stored" does not hold …
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const stored = <A, I>(
  what: string,
  schema: Schema.Schema<A, I>,
  values?: FastCheck.Arbitrary<NoInfer<A>>
): Law.Law => {
  const survive = Survival.survives(Survival.stored(schema))
  return Law.make(
    `${what} survive being stored`,
    { value: values ?? Arbitraries.of(schema) },
    ({ value }) => {
      const found = survive(value)
      if (found === undefined) return undefined
      const { value: _, ...rest } = found
      return rest
    }
  )
}

/**
 * What was written with each older version of event types becomes a valid event of today, read as a store reads it.
 * One law for each version; none for event types that have no older one.
 *
 * @since 0.1.0
 * @category laws
 */
export const upcasts = (...types: ReadonlyArray<Event.Any | Schema.Schema<any, any>>): ReadonlyArray<Law.Law> =>
  Array.from(EventTypes.entries(types as ReadonlyArray<Event.Any>).values()).flatMap((entry) => {
    const check = Compare.checker(entry.schema)
    const codec = EventCodec.make({ types: [], schema: entry.schema as never, entries: new Map([[entry.tag, entry]]) })
    return Object.entries(entry.upcasters).map(([version, link]) => {
      const older = link.schema as Schema.Schema<any, any>
      const encode = ParseResult.encodeEither(older)
      return Law.make(
        `${entry.tag} of version ${version} becomes a valid one of version ${entry.version}`,
        { older: Arbitraries.of(older) },
        (drawn) => {
          const payload = encode(drawn.older)
          if (Either.isLeft(payload)) return { "cannot be encoded": Survival.issue(payload.left) }
          const raw = { ...recorded, type: entry.tag, schemaVersion: Number(version), payload: payload.right }
          const read: Either.Either<{ readonly payload: unknown }, EventCodec.DecodeError> = codec.decode(raw)
          if (Either.isLeft(read)) return { "cannot be read": Survival.oneLine(read.left.message) }
          const problem = check(read.right.payload)
          return problem === undefined
            ? undefined
            : { becomes: read.right.payload, "which is not valid": Survival.oneLine(problem) }
        }
      )
    })
  })

const recorded: Omit<Raw, "type" | "schemaVersion" | "payload"> = {
  id: "an event of a law",
  stream: "law-upcasts" as StreamId,
  version: Position.StreamVersion.make(1),
  position: Position.Position.make(1),
  metadata: {},
  source: "/",
  tags: [],
  occurredAt: DateTime.unsafeMake(0),
  recordedAt: DateTime.unsafeMake(0)
}
