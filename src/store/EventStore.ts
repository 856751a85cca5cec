/**
 * The event store: append with optimistic concurrency, read, subscribe.
 *
 * This service moves events whose payloads are JSON values; `Category` is its typed view.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Metadata, Raw } from "../event/Envelope.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { ExpectedVersion, Position, StreamVersion } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as Internal from "../internal/store/eventStore.ts"
import * as Memory from "../internal/store/memoryDriver.ts"
import * as Reconnect from "../internal/store/reconnect.ts"
import type { AppendError, StreamNotFound, StreamTombstoned, VersionConflict } from "./AppendError.ts"
import type { Capability, Driver, Transfer } from "./Driver.ts"
import type { Query } from "./Query.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * An event to append, its payload already a JSON value.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewEvent {
  readonly type: string
  readonly payload: unknown
  /** 1 when not given. */
  readonly schemaVersion?: number | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  /** A UUID v7 when not given. */
  readonly id?: string | undefined
  /** The Clock's time when not given. */
  readonly occurredAt?: DateTime.DateTime.Input | undefined
  /** The one in `Correlation`, else `"/"`, when not given. */
  readonly source?: string | undefined
  /** Wins over what `Correlation` carries; headers are merged. */
  readonly metadata?: Metadata | undefined
}

/**
 * The part of an append that concerns one stream. Without events it checks its stream, atomically with the rest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Group {
  readonly stream: string
  /** `"any"` when not given. */
  readonly expected?: ExpectedVersion | undefined
  readonly events: ReadonlyArray<NewEvent>
}

/**
 * A consistency boundary beyond a stream: the append is refused when an event that matches was recorded after a position.
 *
 * @since 0.1.0
 * @category models
 */
export interface AppendOptions {
  readonly failIf?: Query | undefined
  /** Exclusive; the start of the log when not given. */
  readonly after?: number | undefined
}

/**
 * Where the events of an append stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Appended {
  /** Whether they stood there already: the append repeats an earlier one, and this is the earlier one's answer. */
  readonly repeated: boolean
  /** The position of the last event. */
  readonly position: Position
  readonly recordedAt: DateTime.Utc
  /** In the order given. */
  readonly events: ReadonlyArray<AppendedEvent>
}

/**
 * Where one event of an append stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface AppendedEvent {
  readonly id: string
  readonly stream: StreamId
  readonly version: StreamVersion
  readonly position: Position
}

/**
 * Which instants, half-open: `since` ≤ instant < `until`. By `occurredAt` unless `recordedAt` is asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface TimeRange {
  readonly since?: DateTime.DateTime.Input | undefined
  readonly until?: DateTime.DateTime.Input | undefined
  readonly time?: "occurredAt" | "recordedAt" | undefined
}

/**
 * Which part of one stream. `from` and `to` are inclusive versions, the lower and the upper bound in both directions;
 * `limit` is how many events at most.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadOptions {
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly backwards?: boolean | undefined
  readonly limit?: number | undefined
}

/**
 * Which events of the log: those that meet everything that is asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter extends TimeRange {
  readonly stream?: string | undefined
  readonly category?: string | undefined
  /** Any of these types. */
  readonly types?: ReadonlyArray<string> | undefined
  readonly query?: Query | undefined
  readonly correlationId?: string | undefined
  /** Every tenant's events instead of those of the fiber's tenant. */
  readonly allTenants?: boolean | undefined
}

/**
 * Which part of the log, and which events of it. `after` is exclusive, `to` inclusive, the lower and the upper bound in both
 * directions.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadAllOptions extends Filter {
  readonly after?: number | undefined
  readonly to?: number | undefined
  readonly backwards?: boolean | undefined
  readonly limit?: number | undefined
}

/**
 * Which events to follow, and from where.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubscribeOptions extends Filter {
  /**
   * `"earliest"`: from the first event; `"latest"`: what is recorded after the subscription was acquired; or the position
   * after which to begin. `"latest"` when not given.
   */
  readonly after?: "earliest" | "latest" | number | undefined
  /** Runs each time the subscription has delivered all there is, with the position that it has come to. */
  readonly onCaughtUp?: ((position: Position) => Effect.Effect<void>) | undefined
  /**
   * How the subscription goes on where the database cannot be reached, after what the driver has tried by itself; it begins
   * anew with each answer of the database. When it ends, the subscription fails with the last `StoreError`. That of the
   * store's layer when not given, {@link reconnect} where that says nothing either.
   */
  readonly reconnect?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * How a subscription goes on when its connection was lost: from 100 ms, doubling up to 5 s, with full jitter, without an end.
 *
 * @example
 * ```ts
 * import * as EventStore from "effect-skald/store/EventStore"
 * import { Effect, Schedule } from "effect"
 *
 * // one that gives up, so that somebody else takes over
 * export const events = Effect.map(EventStore.EventStore, (store) =>
 *   store.subscribe({ after: "earliest", reconnect: EventStore.reconnect.pipe(Schedule.upTo("1 minute")) }))
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const reconnect: Schedule.Schedule<unknown> = Reconnect.schedule

/**
 * What the service does beside its driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServiceOptions {
  /** How subscriptions go on that say nothing of it themselves; {@link reconnect} by default. */
  readonly reconnect?: Schedule.Schedule<unknown, StoreError> | undefined
}

/**
 * What is known of a stream.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamState =
  | { readonly _tag: "missing" }
  | {
    readonly _tag: "live"
    readonly version: StreamVersion
    /** The first version that was not truncated; one more than `version` when all were. */
    readonly firstVersion: StreamVersion
  }
  | { readonly _tag: "tombstoned"; readonly version: StreamVersion }

/**
 * A page of a stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly events: ReadonlyArray<Raw>
  /** Whether events may follow. */
  readonly more: boolean
}

/**
 * Why a read failed.
 *
 * @since 0.1.0
 * @category errors
 */
export type ReadError = StoreError | InvalidInput

/**
 * The event store's operations. `C` is what its driver can do beyond what every driver can.
 *
 * @since 0.1.0
 * @category models
 */
export type Service<C extends Capability = never> =
  & Operations
  & ("transactions" extends C ? Transactions : unknown)

/**
 * What an event store over a driver with `transactions` can do as well.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transactions {
  /** Runs an effect in one transaction: its appends and, over SQL, its own statements commit together or not at all. */
  readonly withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
}

/**
 * What every event store can do.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operations {
  /** The driver's name. */
  readonly driver: string
  readonly capabilities: ReadonlySet<Capability>
  /**
   * Appends to one or several streams, all or nothing. Resolves when the driver has committed; inside a caller's
   * transaction on a driver that has `transactions`, when the rows are written in it.
   */
  readonly append: (
    groups: ReadonlyArray<Group>,
    options?: AppendOptions
  ) => Effect.Effect<Appended, AppendError>
  /** The events of one stream; nothing when it is missing, truncated or tombstoned. */
  readonly read: (stream: string, options?: ReadOptions) => Stream.Stream<Raw, ReadError>
  /**
   * One page of a stream, forwards: for folding a short stream, where setting up a `Stream` would cost more than the read.
   * There is more where `more` says so; the next page begins after the last event.
   */
  readonly readPage: (stream: string, options?: {
    readonly from?: number | undefined
    readonly to?: number | undefined
  }) => Effect.Effect<Page, ReadError>
  /** The events of the log, up to what was recorded when the reader gets there. */
  readonly readAll: (options?: ReadAllOptions) => Stream.Stream<Raw, ReadError>
  /** Catches up, then follows, without a hole or a repeat between the two. Each consumer is slowed by itself alone. */
  readonly subscribe: (options?: SubscribeOptions) => Stream.Stream<Raw, ReadError>
  /** Where the event of an id stands in the fiber's tenant, also when it was truncated since. */
  readonly find: (id: string) => Effect.Effect<Option.Option<AppendedEvent>, ReadError>
  readonly streamState: (stream: string) => Effect.Effect<StreamState, ReadError>
  /** The position of the last event that readers see; 0 for an empty log. */
  readonly head: Effect.Effect<Position, StoreError>
  /**
   * Makes the events below a version unreadable, for ever; versions go on. The id of what is gone is still known.
   *
   * **Conditions see what reads see**: truncating an event frees whatever a `failIf` query kept unique by it.
   */
  readonly truncate: (stream: string, options: {
    /** At most the last version plus one, which empties the stream. */
    readonly before: number
  }) => Effect.Effect<void, ReadError | StreamNotFound | StreamTombstoned>
  /**
   * Ends a stream for ever: no read shows its events, no append reaches it, and its snapshots go where the fiber has a
   * `SnapshotStore`. A mark in the log, `Tombstone.Tombstoned`, tells projections and subscriptions.
   */
  readonly tombstone: (stream: string, options?: {
    readonly expected?: ExpectedVersion | undefined
  }) => Effect.Effect<void, ReadError | VersionConflict | StreamNotFound | StreamTombstoned>
  /** A whole log as it stands, for `Export` and `Import`. */
  readonly transfer: Transfer
  /**
   * Runs a hook inside the transaction of every append of this process, before it is committed, for as long as the scope is
   * open. A hook that fails fails that append, with `StoreError` of reason `hook`. Repeats do not run it.
   */
  readonly onAppend: (hook: (events: ReadonlyArray<Raw>) => Effect.Effect<void, unknown>) => Effect.Effect<
    void,
    never,
    Scope.Scope
  >
}

/**
 * The event store.
 *
 * @example
 * ```ts
 * import { EventStore, layerMemory } from "effect-skald/store/EventStore"
 * import { Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* EventStore
 *   yield* store.append([{ stream: "order-1", expected: "noStream", events: [{ type: "Placed", payload: { total: 10 } }] }])
 *   return yield* Stream.runCollect(store.read("order-1"))
 * }).pipe(Effect.provide(layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class EventStore extends Context.Tag("effect-skald/store/EventStore")<EventStore, Service>() {}

/**
 * Stands in a Layer's type for something that its driver can do. See {@link capable}.
 *
 * @since 0.1.0
 * @category services
 */
export interface Capable<in out C extends Capability> {
  readonly _: unique symbol
  readonly capability: C
}

/**
 * The event store of a driver that can do something that not every driver can; over another one, the program does not
 * type-check.
 *
 * @example
 * ```ts
 * import * as EventStore from "effect-skald/store/EventStore"
 * import { Effect } from "effect"
 *
 * // Effect<void, …, Capable<"transactions">>: runs over SQLite or PostgreSQL, is refused over memory
 * const both = Effect.gen(function*() {
 *   const store = yield* EventStore.capable("transactions")
 *   yield* store.withTransaction(store.append([{ stream: "order-1", events: [{ type: "Placed", payload: {} }] }]))
 * })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export const capable = <const C extends Capability>(capability: C): Context.Tag<Capable<C>, Service<C>> =>
  Context.GenericTag<Capable<C>, Service<C>>(`effect-skald/store/EventStore/${capability}`)

/**
 * Whether the stores that are built under it put each append in a span, `EventStore.append`, named as OpenTelemetry's database
 * conventions say. Off by default: a span costs several times what an append in memory does.
 *
 * @example
 * ```ts
 * import * as EventStore from "effect-skald/store/EventStore"
 * import { Layer } from "effect"
 *
 * const Traced = EventStore.layerMemory.pipe(Layer.provide(Layer.succeed(EventStore.Spans, true)))
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export class Spans extends Context.Reference<Spans>()("effect-skald/store/EventStore/Spans", {
  defaultValue: (): boolean => false
}) {}

/**
 * The service over a driver: checks, correlation, ids, formats, transforms, paging and subscriptions. The formats, transform
 * and id generator are those of the context that it is made in.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded = <C extends Capability = never>(
  driver: Driver<C>,
  options?: ServiceOptions
): Effect.Effect<Service<C>> =>
  Effect.flatMap(Spans, (spans) => Internal.makeEncoded(driver, spans, options?.reconnect))

/**
 * A Layer of the service over a driver, with a tag for each of the driver's capabilities.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDriver = <E, R, C extends Capability = never>(
  driver: Effect.Effect<Driver<C>, E, R>,
  options?: ServiceOptions
): Layer.Layer<EventStore | (C extends Capability ? Capable<C> : never), E, Exclude<R, Scope.Scope>> =>
  Layer.scopedContext(Effect.map(Effect.flatMap(driver, (made) => makeEncoded(made, options)), (service) => {
    let context: Context.Context<any> = Context.make(EventStore, service as unknown as Service)
    for (const capability of service.capabilities) context = Context.add(context, capable(capability), service as any)
    return context
  }))

/**
 * The driver in memory, a log of its own each time it is made: for several stores over one log, with
 * payload formats or transforms of their own for example.
 *
 * @since 0.1.0
 * @category constructors
 */
export const driverMemory: Effect.Effect<Driver, never, Scope.Scope> = Memory.make

/**
 * An event store in memory, one for each time the layer is built. Nothing survives the process.
 *
 * An append is one synchronous piece of work, so that concurrent appends need no lock; only while hooks run do others wait.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<EventStore> = layerDriver(driverMemory)
