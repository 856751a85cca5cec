/**
 * The typed view of the event store: the streams of one kind of thing, named `category-id`, and the events they hold.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Envelope from "../event/Envelope.ts"
import * as Event from "../event/Event.ts"
import * as EventCodec from "../event/EventCodec.ts"
import { type Fault, InvalidEvent, type InvalidInput } from "../event/InvalidInput.ts"
import type { ExpectedVersion, StreamVersion } from "../event/Position.ts"
import * as StreamId from "../event/StreamId.ts"
import * as Faults from "../internal/faults.ts"
import type { AppendError } from "./AppendError.ts"
import * as AsOf from "./AsOf.ts"
import * as EventStore from "./EventStore.ts"

/**
 * Why typed events could not be read.
 *
 * @since 0.1.0
 * @category errors
 */
export type ReadError = EventStore.ReadError | EventCodec.DecodeError

/**
 * Where the events of an append to one stream stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Appended extends EventStore.Appended {
  /** The version of the last event. */
  readonly version: StreamVersion
}

/**
 * What an append to a category may ask for.
 *
 * @since 0.1.0
 * @category models
 */
export interface AppendOptions extends EventStore.AppendOptions {
  /** `"any"` when not given. */
  readonly expected?: ExpectedVersion | undefined
}

/**
 * Which part of a stream: some versions, or what it was as of a moment.
 *
 * @since 0.1.0
 * @category models
 */
export type ReadOptions = EventStore.ReadOptions | { readonly asOf: AsOf.AsOf }

/**
 * Which events of a category. Those of types that are not asked for are not read at all.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadAllOptions<E extends Event.Any> extends Omit<EventStore.ReadAllOptions, "category" | "types"> {
  /** Event types of the category, or all of them when not given. */
  readonly types?: ReadonlyArray<E> | undefined
}

/**
 * Which events of a category to follow, and from where.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubscribeOptions<E extends Event.Any> extends Omit<EventStore.SubscribeOptions, "category" | "types"> {
  /** Event types of the category, or all of them when not given. */
  readonly types?: ReadonlyArray<E> | undefined
}

/**
 * A page of a stream, decoded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page<out A> {
  readonly events: ReadonlyArray<Envelope.Recorded<A>>
  /** Whether events may follow. */
  readonly more: boolean
}

/**
 * The streams of one kind of thing. `Id` names one of them, `E` is what is appended to them and `A` what is read: the same,
 * and `EventCodec.Unknown` where unknown types are kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface Category<Id, Es extends ReadonlyArray<Event.Any>, A = Es[number]["Type"]> {
  readonly name: string
  readonly id: Schema.Schema<Id, string>
  readonly group: Event.Group<Es>
  readonly codec: EventCodec.EventCodec<Es[number]["Type"], A>
  /** The stream of one thing; fails for an id that its Schema, or a stream's name, refuses. */
  readonly stream: (id: Id) => Either.Either<StreamId.StreamId, InvalidInput>
  /** The id that a stream of this category was named by. */
  readonly idOf: (stream: string) => Either.Either<Id, InvalidInput>
  /** Appends events, or envelopes where something is to be said of them, to one stream. All of them or none. */
  readonly append: (
    id: Id,
    events: ReadonlyArray<Es[number]["Type"] | Envelope.New<Es[number]["Type"]>>,
    options?: AppendOptions
  ) => Effect.Effect<Appended, AppendError | InvalidInput, EventStore.EventStore>
  /** The events as a part of an append over several streams; see {@link appendAll}. */
  readonly part: (
    id: Id,
    events: ReadonlyArray<Es[number]["Type"] | Envelope.New<Es[number]["Type"]>>,
    options?: { readonly expected?: ExpectedVersion | undefined }
  ) => Either.Either<EventStore.Group, InvalidEvent | InvalidInput>
  /** The events of one stream. */
  readonly read: (
    id: Id,
    options?: ReadOptions
  ) => Stream.Stream<Envelope.Recorded<A>, ReadError, EventStore.EventStore>
  /** One page of a stream, forwards; see `EventStore.readPage`. Fails where one of its events cannot be read. */
  readonly readPage: (id: Id, options?: {
    readonly from?: number | undefined
    readonly to?: number | undefined
  }) => Effect.Effect<Page<A>, ReadError, EventStore.EventStore>
  /** The events of all its streams, in the order of the log. */
  readonly readAll: <const T extends Es[number] = Es[number]>(
    options?: ReadAllOptions<T>
  ) => Stream.Stream<Envelope.Recorded<Es[number] extends T ? A : T["Type"]>, ReadError, EventStore.EventStore>
  /** Catches up, then follows. */
  readonly subscribe: <const T extends Es[number] = Es[number]>(
    options?: SubscribeOptions<T>
  ) => Stream.Stream<Envelope.Recorded<Es[number] extends T ? A : T["Type"]>, ReadError, EventStore.EventStore>
}

/**
 * A category: its name, the Schema of its ids (strings when none is given), and the types of its events.
 *
 * An event of another type in one of its streams is a typed failure of the reader, or is kept raw with `unknown: "keep"`.
 * A name that holds `-`, and two event types with one tag, throw {@link InvalidInput} when built.
 *
 * @example
 * ```ts
 * import * as Category from "effect-skald/store/Category"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { total: Schema.Number })
 * const OrderPaid = Event.make("OrderPaid", { payment: Schema.String })
 * const Orders = Category.make("order", { events: [OrderPlaced, OrderPaid] })
 *
 * const program = Effect.gen(function*() {
 *   yield* Orders.append("o-1", [OrderPlaced({ total: 10 })], { expected: "noStream" })
 *   const paid = yield* Stream.runCollect(Orders.readAll({ types: [OrderPaid] }))
 *   return yield* Stream.runCollect(Orders.read("o-1", { asOf: { occurredAt: "2026-01-01T00:00:00Z" } }))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <const Es extends ReadonlyArray<Event.Any>, Id = string>(name: string, options: {
    readonly id?: Schema.Schema<Id, string>
    readonly events: Event.UniqueTags<Es>
    readonly unknown?: "fail" | undefined
  }): Category<Id, Es>
  <const Es extends ReadonlyArray<Event.Any>, Id = string>(name: string, options: {
    readonly id?: Schema.Schema<Id, string>
    readonly events: Event.UniqueTags<Es>
    readonly unknown: "keep"
  }): Category<Id, Es, Es[number]["Type"] | EventCodec.Unknown>
} = (name: string, options: {
  readonly id?: Schema.Schema<any, string>
  readonly events: any
  readonly unknown?: "fail" | "keep" | undefined
}): Category<any, ReadonlyArray<Event.Any>, any> => {
  const problem = StreamId.categoryProblem(name)
  if (problem !== undefined) throw Faults.invalid("name", problem)
  const group: Event.Group<ReadonlyArray<Event.Any>> = Event.group(options.events)
  const codec: EventCodec.EventCodec<any> = EventCodec.make(group, options as any)
  const id = options.id ?? (Schema.String as Schema.Schema<any, string>)
  const encodeId = ParseResult.encodeUnknownEither(id)
  const decodeId = ParseResult.decodeUnknownEither(id)

  const stream = (of: unknown): Either.Either<StreamId.StreamId, InvalidInput> =>
    Either.flatMap(Either.mapLeft(encodeId(of), refusedId), (text) => StreamId.make(name, text))

  const part: Category<any, ReadonlyArray<Event.Any>>["part"] = (of, events, partOptions) =>
    Either.flatMap(stream(of), (streamId) =>
      Either.map(encodeAll(codec, events), (encoded) => ({
        stream: streamId,
        expected: partOptions?.expected,
        events: encoded
      })))

  const typesOf = (types: ReadonlyArray<Event.Any> | undefined) =>
    types === undefined ? undefined : Event.storedTypes(types)

  return {
    name,
    id,
    group,
    codec,
    stream,
    idOf: (of) =>
      of.startsWith(`${name}-`)
        ? Either.mapLeft(decodeId(of.slice(name.length + 1)), refusedId)
        : Either.left(
          Faults.invalid("stream", `must be of ${name}, got "${of}"`)
        ),
    part,
    append: (of, events, appendOptions) =>
      Effect.flatMap(
        EventStore.EventStore,
        (store) =>
          Effect.flatMap(part(of, events, appendOptions), (group) =>
            Effect.map(store.append([group], appendOptions), (appended): Appended => ({
              ...appended,
              version: appended.events[appended.events.length - 1]!.version
            })))
      ),
    read: (of, readOptions) =>
      Stream.unwrap(
        Effect.flatMap(EventStore.EventStore, (store) =>
          Effect.map(
            Either.flatMap(checkAsOf(readOptions), () => stream(of)),
            (streamId) => {
              const raws = readOptions === undefined || !("asOf" in readOptions)
                ? store.read(streamId, readOptions)
                : "version" in readOptions.asOf
                ? store.read(streamId, { to: readOptions.asOf.version })
                : Stream.unwrap(
                  Effect.map(AsOf.bounds(readOptions.asOf), (bounds) => store.readAll({ stream: streamId, ...bounds }))
                )
              return decoded(codec, raws)
            }
          ))
      ),
    readPage: (of, pageOptions) =>
      Effect.flatMap(
        EventStore.EventStore,
        (store) =>
          Effect.flatMap(stream(of), (streamId) =>
            Effect.flatMap(store.readPage(streamId, pageOptions), ({ events, more }) => {
              const read = codec.decodeAll(events)
              return read.error === undefined
                ? Effect.succeed({ events: read.events, more })
                : Effect.fail(read.error)
            }))
      ),
    readAll: (readOptions) =>
      Stream.unwrap(
        Effect.map(EventStore.EventStore, (store) =>
          decoded(codec, store.readAll({ ...readOptions, category: name, types: typesOf(readOptions?.types) })))
      ),
    subscribe: (subscribeOptions) =>
      Stream.unwrap(
        Effect.map(EventStore.EventStore, (store) =>
          decoded(
            codec,
            store.subscribe({ ...subscribeOptions, category: name, types: typesOf(subscribeOptions?.types) })
          ))
      )
  }
}

/**
 * Appends to several streams, of one category or several, all or nothing.
 *
 * @example
 * ```ts
 * import * as Category from "effect-skald/store/Category"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Moved = Event.make("Moved", { amount: Schema.Number })
 * const Accounts = Category.make("account", { events: [Moved] })
 *
 * const transfer = Category.appendAll([
 *   Accounts.part("a", [Moved({ amount: -5 })], { expected: 3 }),
 *   Accounts.part("b", [Moved({ amount: 5 })], { expected: "streamExists" })
 * ])
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const appendAll = (
  parts: ReadonlyArray<Either.Either<EventStore.Group, InvalidEvent | InvalidInput>>,
  options?: EventStore.AppendOptions
): Effect.Effect<EventStore.Appended, AppendError | InvalidInput, EventStore.EventStore> =>
  Effect.flatMap(
    EventStore.EventStore,
    (store) => Effect.flatMap(Either.all(parts), (groups) => store.append(groups, options))
  )

/**
 * Decodes the events of a Stream, chunk by chunk. Those before the first that cannot be read are still delivered.
 *
 * @since 0.1.0
 * @category combinators
 */
export const decoded = <E, A, Err, R>(
  codec: EventCodec.EventCodec<E, A>,
  raws: Stream.Stream<Envelope.Raw, Err, R>
): Stream.Stream<Envelope.Recorded<A>, Err | EventCodec.DecodeError, R> =>
  Stream.flatMap(Stream.chunks(raws), (chunk) => {
    const { error, events } = codec.decodeAll(Chunk.toReadonlyArray(chunk))
    const readable = Stream.fromChunk(Chunk.unsafeFromArray(events))
    return error === undefined ? readable : Stream.concat(readable, Stream.fail(error))
  })

const checkAsOf = (options: ReadOptions | undefined): Either.Either<void, InvalidInput> =>
  options !== undefined && "asOf" in options ? AsOf.check(options.asOf) : Either.void

const refusedId = (issue: ParseResult.ParseIssue): InvalidInput =>
  Faults.invalid("id", ParseResult.TreeFormatter.formatIssueSync(issue))

const encodeAll = (
  codec: EventCodec.EventCodec<any>,
  events: ReadonlyArray<unknown>
): Either.Either<ReadonlyArray<EventStore.NewEvent>, InvalidEvent> => {
  const faults: Array<Fault> = []
  const encoded: Array<EventStore.NewEvent> = []
  for (let index = 0; index < events.length; index++) {
    const given = events[index]
    const envelope = Envelope.isNew(given) ? given : undefined
    const event = codec.encodeInto(envelope === undefined ? given : envelope.event, `events[${index}]`, faults)
    if (event === undefined) continue
    encoded.push(
      envelope === undefined ? event : {
        ...event,
        id: envelope.id,
        occurredAt: envelope.occurredAt,
        source: envelope.source,
        metadata: envelope.metadata
      }
    )
  }
  return faults.length === 0
    ? Either.right(encoded)
    : Either.left(new InvalidEvent({ faults: faults as [Fault, ...Array<Fault>] }))
}
