/**
 * What a driver of the event store implements: rows in, rows out. Everything else (Schemas, formats, checks, correlation,
 * streams and subscriptions) is done once, above it, by `EventStore.makeEncoded`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Serialized } from "../event/PayloadFormat.ts"
import type { ExpectedVersion } from "../event/Position.ts"
import type {
  ConditionFailed,
  DuplicateEvent,
  StreamNotFound,
  StreamTombstoned,
  VersionConflict
} from "./AppendError.ts"
import type { Query } from "./Query.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * What some drivers can do and others cannot. A program that needs one asks for it by `EventStore.capable`, and does not
 * type-check over a driver without it.
 *
 * - `transactions`: an append inside the caller's transaction joins it, so that it shares the fate of the caller's own
 *   tables;
 * - `durable`: what was acknowledged survives a crash of the process;
 * - `shared`: several processes may use the same log.
 *
 * @since 0.1.0
 * @category models
 */
export type Capability = "transactions" | "durable" | "shared"

/**
 * An event that was checked and serialized, on its way into the log.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewRow {
  readonly id: string
  readonly type: string
  readonly schemaVersion: number
  /** The payload's format, and its transform after a `|` where there is one. */
  readonly format: string
  readonly payload: Serialized
  /** JSON text of the metadata. */
  readonly metadata: string
  readonly correlationId: string
  readonly source: string
  readonly tags: ReadonlyArray<string>
  /** Milliseconds since the epoch. */
  readonly occurredAt: number
  /** What makes two events equal for idempotency, as a hash taken before any transform. */
  readonly content: string
}

/**
 * An event as it stands in the log.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly id: string
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly type: string
  readonly schemaVersion: number
  readonly format: string
  readonly payload: Serialized
  /** JSON text of the metadata. */
  readonly metadata: string
  readonly source: string
  /** JSON text of the list of tags; `null` when there is none. */
  readonly tags: string | null
  /** Milliseconds since the epoch. */
  readonly occurredAt: number
  /** Milliseconds since the epoch; never decreases with the position. */
  readonly recordedAt: number
}

/**
 * The part of an append that concerns one stream. Without events it is a check of the stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Group {
  readonly stream: string
  /** What stands before the stream's first `-`; `null` when there is none. */
  readonly category: string | null
  readonly expected: ExpectedVersion
  readonly events: ReadonlyArray<NewRow>
}

/**
 * One atomic append. No stream and no id stands in it twice, and it has at least one event.
 *
 * @since 0.1.0
 * @category models
 */
export interface AppendRequest {
  /** The tenant; `""` when there is none. Part of the uniqueness of streams, ids and conditions. */
  readonly tenant: string
  readonly groups: ReadonlyArray<Group>
  /** Refuse the append when an event that matches was recorded after the position. */
  readonly failIf: { readonly query: Query; readonly after: number } | undefined
  /** The appender's time, milliseconds since the epoch. */
  readonly now: number
}

/**
 * Where the events of an append stand, in the order given.
 *
 * @since 0.1.0
 * @category models
 */
export interface AppendResult {
  /** Whether they stood there before: the append was a repeat, and this is the first one's answer. */
  readonly repeated: boolean
  readonly recordedAt: number
  readonly events: ReadonlyArray<{ readonly version: number; readonly position: number }>
}

/**
 * Runs inside the transaction of an append, after its rows are written and before they are committed. When it fails, this
 * append alone is undone.
 *
 * @since 0.1.0
 * @category models
 */
export type Hook = (rows: ReadonlyArray<Row>) => Effect.Effect<void, unknown>

/**
 * How a driver may refuse an append.
 *
 * @since 0.1.0
 * @category errors
 */
export type Refusal = DuplicateEvent | VersionConflict | StreamTombstoned | ConditionFailed | StoreError

/**
 * A page of one stream. Bounds are inclusive versions, the lower and the upper one in both directions.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamPage {
  readonly tenant: string
  readonly stream: string
  readonly from: number
  readonly to: number
  readonly backwards: boolean
  readonly limit: number
}

/**
 * A page of the log: the events that meet every member that is not `undefined`.
 *
 * @since 0.1.0
 * @category models
 */
export interface LogPage {
  /** `undefined` for all tenants. */
  readonly tenant: string | undefined
  readonly stream: string | undefined
  readonly category: string | undefined
  readonly types: ReadonlyArray<string> | undefined
  readonly query: Query | undefined
  readonly correlationId: string | undefined
  /** Milliseconds since the epoch, half-open. */
  readonly time: {
    readonly of: "occurredAt" | "recordedAt"
    readonly since: number
    readonly until: number
  } | undefined
  /** Exclusive lower bound. */
  readonly after: number
  /** Inclusive upper bound. */
  readonly to: number
  readonly backwards: boolean
  readonly limit: number
}

/**
 * The rows of a page, in order, and the position up to which the log was looked through: no event that the page asks for
 * will ever appear at or before it that is not among the rows.
 *
 * @since 0.1.0
 * @category models
 */
export interface LogRows {
  readonly rows: ReadonlyArray<Row>
  readonly upTo: number
}

/**
 * What is known of a stream: whether it exists, where its last event stands, and what was truncated of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamStatus {
  readonly state: "missing" | "live" | "tombstoned"
  /** The version of its last event, 0 when it is missing. */
  readonly version: number
  /** The first version that may still be read. */
  readonly firstVersion: number
}

/**
 * Where an event stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found {
  readonly stream: string
  readonly version: number
  readonly position: number
}

/**
 * The most that a driver takes in one append.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly events: number
  readonly streams: number
  /** Bytes of one payload as it is stored. */
  readonly payload: number
}

/**
 * The end of a stream, and the mark of it: an event of the library's own that tells readers of the log.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tombstoning {
  readonly tenant: string
  readonly stream: string
  readonly category: string | null
  readonly expected: ExpectedVersion
  /** Written as the stream's last event, at the next position, in the transaction that ends the stream. */
  readonly mark: NewRow
  /** The appender's time, milliseconds since the epoch. */
  readonly now: number
}

/**
 * A row with what readers have no use for, and a copy of the log does.
 *
 * @since 0.1.0
 * @category models
 */
export interface WholeRow extends Row {
  /** `""` when there is none. */
  readonly tenant: string
  readonly content: string
}

/**
 * What is remembered of an event that was truncated, or whose stream was tombstoned.
 *
 * @since 0.1.0
 * @category models
 */
export interface Remembered {
  readonly tenant: string
  readonly id: string
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly recordedAt: number
  readonly content: string
}

/**
 * A stream that was truncated or tombstoned.
 *
 * @since 0.1.0
 * @category models
 */
export interface Shortened {
  readonly tenant: string
  readonly stream: string
  /** Of its last event, the mark of a tombstone left aside. */
  readonly version: number
  /** Of a tombstoned stream one more than its version. */
  readonly firstVersion: number
  readonly tombstoned: boolean
}

/**
 * Whether a copy that was begun is still a copy of the same log.
 *
 * @since 0.1.0
 * @category models
 */
export interface LogState {
  /** The position up to which readers see the log. */
  readonly head: number
  /**
   * How much was ever removed: the sum over all streams of their first version less one, and one more for each that is
   * tombstoned. Whatever the driver, a copy has the same.
   */
  readonly removed: number
}

/**
 * A part of a log that is copied into another store. Rows keep their positions, ids, times and contents.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransferBatch {
  /**
   * The head that the log must have. Another one means that it holds, or is being given, other events: then nothing is
   * written.
   */
  readonly head: number
  /** Beyond the head, in the order of their positions. Gaps are kept, between positions and before first versions. */
  readonly rows: ReadonlyArray<WholeRow>
  readonly remembered: ReadonlyArray<Remembered>
  readonly streams: ReadonlyArray<Shortened>
}

/**
 * Reads and writes a log of all tenants as it stands, for copying whole stores. Names compare by the bytes of their UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transfer {
  readonly state: Effect.Effect<LogState, StoreError>
  /** Rows that can be read, marks of tombstones with them, by position: `after` exclusive, `to` inclusive. */
  readonly rows: (page: {
    readonly after: number
    readonly to: number
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<WholeRow>, StoreError>
  /** Ids of events that were removed, ordered by id and then tenant, from the first after one of them. */
  readonly remembered: (page: {
    readonly after: { readonly id: string; readonly tenant: string } | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<Remembered>, StoreError>
  /**
   * Streams of which something was removed, ordered by name and then tenant, from the first after one of them. Their
   * versions are those of their last events at or below `to`.
   */
  readonly streams: (page: {
    readonly after: { readonly stream: string; readonly tenant: string } | undefined
    readonly to: number
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<Shortened>, StoreError>
  /**
   * Writes a part, all or nothing. The head is then the last position in it or before it, that of a removed event counted.
   * Answers with the head that it found where it was another one, and has written nothing.
   */
  readonly write: (batch: TransferBatch) => Effect.Effect<
    { readonly state: "done" } | { readonly state: "other"; readonly head: number },
    StoreError
  >
}

/**
 * The driver's contract.
 *
 * - An append is atomic: every row or none, whatever happens to the process. Concurrent appends may be committed together;
 *   a conflict or a failing hook fails its own append only.
 * - Refusals win in the order of `AppendError`; `idempotency.judge` decides about known ids the same way for every driver.
 * - Positions grow in the order in which rows become visible: a reader that has seen position n has seen every row at or
 *   below n that it will ever see.
 * - Rows below a stream's first version, and those of a tombstoned stream, are shown by no read and match no condition. The
 *   mark of a tombstone is shown by reads of the log, not by those of its stream; a condition on every event does not
 *   match it (`Query.matches`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Driver<C extends Capability = never> {
  /** The name in metrics, spans and messages: `memory`, `sqlite` …. */
  readonly name: string
  readonly capabilities: ReadonlyArray<C>
  readonly limits: Limits
  readonly append: (request: AppendRequest, hook: Hook | undefined) => Effect.Effect<AppendResult, Refusal>
  readonly readStream: (page: StreamPage) => Effect.Effect<ReadonlyArray<Row>, StoreError>
  readonly readLog: (page: LogPage) => Effect.Effect<LogRows, StoreError>
  /** Whether a page of the log may be asked for while the one before is worked on; it is not where this is not given. */
  readonly readsAhead?: Effect.Effect<boolean> | undefined
  /** The position up to which readers see the log. */
  readonly head: Effect.Effect<number, StoreError>
  readonly streamStatus: (tenant: string, stream: string) => Effect.Effect<StreamStatus, StoreError>
  /** Where the event of an id stands, or stood before it was truncated: ids are remembered. */
  readonly find: (tenant: string, id: string) => Effect.Effect<Found | undefined, StoreError>
  /** Makes every event below `before` unreadable, for ever. `before` is at most the last version plus one. */
  readonly truncate: (request: {
    readonly tenant: string
    readonly stream: string
    readonly before: number
  }) => Effect.Effect<
    { readonly state: "done" } | { readonly state: "beyond"; readonly version: number },
    StreamNotFound | StreamTombstoned | StoreError
  >
  /** Ends a stream for ever, and writes the mark of it. Its status goes on telling the version before the mark. */
  readonly tombstone: (
    request: Tombstoning
  ) => Effect.Effect<void, VersionConflict | StreamNotFound | StreamTombstoned | StoreError>
  readonly transfer: Transfer
  /** Waits until the log may reach beyond a position. It may answer too soon, never not at all. */
  readonly awaitBeyond: (position: number) => Effect.Effect<void, StoreError>
  /** Runs an effect in one transaction of the driver; appends inside it join it. */
  readonly withTransaction: "transactions" extends C
    ? <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
    : undefined
}
