/**
 * Random values for property tests, derived from Schemas: commands, events, states, histories that a decider can really
 * have, envelopes and logs. All of them shrink.
 *
 * @since 0.1.0
 */
import * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Decider from "../cqrs/Decider.ts"
import * as Envelope from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import * as Position from "../event/Position.ts"
import * as StreamId from "../event/StreamId.ts"
import * as EventTypes from "../internal/event/eventTypes.ts"
import * as Faults from "../internal/faults.ts"
import * as Json from "../internal/json.ts"

/**
 * Values of a Schema, of those that a store can hold: without `NaN`, infinities, `-0`, and text that is not well-formed,
 * where the Schema does not encode them as something else, and without keys `__proto__`.
 *
 * Throws when built for a Schema that has no arbitrary: give it an `arbitrary` annotation.
 *
 * @example
 * ```ts
 * import * as Arbitraries from "effect-skald/testing/Arbitraries"
 * import { FastCheck, Schema } from "effect"
 *
 * FastCheck.assert(FastCheck.property(Arbitraries.of(Schema.Number), (n) => Number.isFinite(n)))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const of = <A, I>(schema: Schema.Schema<A, I>): FastCheck.Arbitrary<A> => {
  const encode = Schema.encodeEither(schema)
  return Arbitrary.make(schema).filter((value) => {
    const faults = Faults.make()
    Json.checkKeys(value, "", faults)
    if (faults.all.length > 0) return false
    const encoded = encode(value)
    return Either.isLeft(encoded) || isStorable(encoded.right)
  })
}

/** Only what JSON has no value for is left out: what a Schema encodes wrongly is for the laws to find. */
const isStorable = (value: unknown): boolean => {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value === "string") return Faults.isWellFormed(value)
  if (Array.isArray(value)) return value.every(isStorable)
  return Predicate.isRecord(value)
    ? Object.entries(value).every(([key, member]) => isStorable(key) && isStorable(member))
    : true
}

/**
 * Commands of a decider, by their Schema alone: most of them are refused wherever ids must agree. Give laws and histories
 * an arbitrary of your own there.
 *
 * @since 0.1.0
 * @category deciders
 */
export const command = <C>(decider: { readonly commands: Schema.Schema<C, any> }): FastCheck.Arbitrary<C> =>
  of(decider.commands)

/**
 * Events of a decider, by their Schema alone.
 *
 * @since 0.1.0
 * @category deciders
 */
export const event = <E>(decider: { readonly events: Schema.Schema<E, any> }): FastCheck.Arbitrary<E> =>
  of(decider.events)

/**
 * States of a decider, by their Schema alone: also such as no history leads to.
 *
 * @since 0.1.0
 * @category deciders
 */
export const state = <S>(decider: { readonly state: Schema.Schema<S, any> }): FastCheck.Arbitrary<S> =>
  of(decider.state)

/**
 * How long histories are, and what leads to them.
 *
 * @since 0.1.0
 * @category models
 */
export interface HistoryOptions<C> {
  /** The commands to try; those of the Schema when not given. */
  readonly commands?: FastCheck.Arbitrary<C> | undefined
  /** The most commands tried for one history; {@link defaultMaxCommands} when not given. */
  readonly maxCommands?: number | undefined
}

/**
 * The most commands that are tried for one history.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultMaxCommands = 12

/**
 * Rows of commands for a decider.
 *
 * @since 0.1.0
 * @category deciders
 */
export const commands = <C>(
  decider: { readonly commands: Schema.Schema<C, any> },
  options?: HistoryOptions<C>
): FastCheck.Arbitrary<ReadonlyArray<C>> =>
  FastCheck.array(options?.commands ?? command(decider), {
    maxLength: options?.maxCommands ?? defaultMaxCommands,
    size: "max"
  })

/**
 * Histories that a decider can have: the events that random commands lead to from the initial state, refused commands
 * leaving none.
 *
 * @example
 * ```ts
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import * as Arbitraries from "effect-skald/testing/Arbitraries"
 * import { Either, FastCheck, Schema } from "effect"
 *
 * const Counted = Event.make("Counted", { by: Schema.Int })
 * const Counter = Decider.make("counter", { state: Schema.Int, commands: Schema.Int, events: Counted })({
 *   initial: 0,
 *   decide: (by, count) => Either.right(count + by < 0 ? [] : [Counted({ by })]),
 *   evolve: (count, { by }) => count + by
 * })
 *
 * FastCheck.assert(
 *   FastCheck.property(
 *     Arbitraries.history(Counter),
 *     (history) => Decider.evolveAll(Counter, Counter.initial, history) >= 0
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category deciders
 */
export const history = <S, C, E extends Decider.Tagged, Err>(
  decider: Decider.Decider<string, S, C, E, Err>,
  options?: HistoryOptions<NoInfer<C>>
): FastCheck.Arbitrary<ReadonlyArray<E>> =>
  commands(decider, options).map((tried) => Decider.run(decider, tried).events)

const name = (maxLength: number): FastCheck.Arbitrary<string> =>
  FastCheck.string({ minLength: 1, maxLength, unit: "grapheme" }).filter(
    (text) => Faults.nameProblem(text, maxLength) === undefined
  )

const hex = (length: number): FastCheck.Arbitrary<string> =>
  FastCheck.array(FastCheck.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length }).map((digits) =>
    digits.map((digit) => digit.toString(16)).join("")
  ).filter((text) => /[^0]/.test(text))

/**
 * Instants between 1970 and 2100, to the millisecond.
 *
 * @since 0.1.0
 * @category envelopes
 */
export const instant: FastCheck.Arbitrary<DateTime.Utc> = FastCheck.integer({
  min: 0,
  max: Date.UTC(2100, 0)
}).map((millis) => DateTime.unsafeMake(millis))

/**
 * Names of streams, each in a category.
 *
 * @since 0.1.0
 * @category envelopes
 */
export const streamId: FastCheck.Arbitrary<StreamId.StreamId> = FastCheck.tuple(
  name(24).filter((category) => StreamId.categoryProblem(category) === undefined),
  name(40)
).map(([category, id]) => Either.getOrThrow(StreamId.make(category, id)))

/**
 * Ids of events, as an appender may choose them.
 *
 * @since 0.1.0
 * @category envelopes
 */
export const eventId: FastCheck.Arbitrary<string> = FastCheck.oneof(FastCheck.uuid(), name(128))

/**
 * What accompanies events.
 *
 * @since 0.1.0
 * @category envelopes
 */
export const metadata: FastCheck.Arbitrary<Envelope.Metadata> = FastCheck.record({
  correlationId: name(40),
  causationId: name(40),
  tenant: name(24),
  actor: name(24),
  trace: FastCheck.tuple(hex(32), hex(16)).map(([trace, span]) => ({ traceparent: `00-${trace}-${span}-01` })),
  headers: FastCheck.dictionary(name(12), FastCheck.string(), { noNullPrototype: true, maxKeys: 3 })
}, { requiredKeys: [] })

/**
 * New events of an event type in their envelopes, each with an id and a time of its own or without.
 *
 * @since 0.1.0
 * @category envelopes
 */
export const envelope = <E extends Event.Any>(
  type: E
): FastCheck.Arbitrary<Envelope.New<Event.Of<E>>> =>
  FastCheck.record({
    event: of(type as Schema.Schema<Event.Of<E>, any>),
    id: FastCheck.option(eventId, { nil: undefined }),
    occurredAt: FastCheck.option(instant, { nil: undefined }),
    source: FastCheck.option(name(24), { nil: undefined }),
    metadata
  }).map(({ event, metadata, ...said }) => Envelope.make(event, { ...said, ...metadata }))

/**
 * Logs as a store gives them back: positions and times of recording grow, possibly with gaps, versions count from 1 within
 * each stream, ids are unique.
 *
 * @since 0.1.0
 * @category envelopes
 */
export const log = <E extends Event.Any>(
  type: E,
  options?: {
    /** The most events of a log; 20 when not given. */
    readonly maxLength?: number | undefined
    /** The streams to record in; a few random ones when not given. */
    readonly streams?: FastCheck.Arbitrary<StreamId.StreamId> | undefined
  }
): FastCheck.Arbitrary<ReadonlyArray<Envelope.Recorded<Event.Of<E>>>> => {
  const known = EventTypes.entries([type])
  const record = FastCheck.record({
    event: of(type as Schema.Schema<Event.Of<E>, any>),
    stream: FastCheck.nat(),
    gap: FastCheck.nat(3),
    later: FastCheck.nat(100_000),
    occurredAt: instant,
    metadata
  })
  return FastCheck.tuple(
    FastCheck.uniqueArray(options?.streams ?? streamId, { minLength: 1, maxLength: 3 }),
    FastCheck.array(record, { maxLength: options?.maxLength ?? 20, size: "max" }),
    FastCheck.uuid()
  ).map(([streams, records, base]) => {
    const versions = new Map<StreamId.StreamId, number>()
    let position = 0
    let recordedAt = 978_307_200_000
    return records.map(({ event, gap, later, metadata, occurredAt, stream: index }) => {
      const stream = streams[index % streams.length]!
      const version = (versions.get(stream) ?? 0) + 1
      versions.set(stream, version)
      position += 1 + gap
      recordedAt += later
      const entry = known.get(event._tag)
      return {
        id: `${base}/${position}`,
        stream,
        version: Position.StreamVersion.make(version),
        position: Position.Position.make(position),
        type: event._tag,
        schemaVersion: entry?.version ?? 1,
        payload: event,
        metadata,
        source: "/",
        tags: Array.from(new Set(entry?.tagsOf?.(event) ?? [])),
        occurredAt,
        recordedAt: DateTime.unsafeMake(recordedAt)
      }
    })
  })
}
