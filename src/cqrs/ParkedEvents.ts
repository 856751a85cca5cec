/**
 * Events that a projection could not take, put aside with every later event of their streams: nothing is skipped silently.
 *
 * A projection that runs with `onFailure: "park"` puts them here. Only where an event stands in the log is kept, not the event:
 * when it is tried again it is read again, by the code of today, and one that was truncated since is gone from here as well.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as Internal from "../internal/projectionParked.ts"
import type { ReadError } from "../store/Category.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { Handler, Projection } from "./ProjectionDefinition.ts"
import type { Running } from "./ProjectionRunning.ts"

/**
 * An event that was put aside.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parked {
  readonly position: Position
  readonly stream: StreamId
  readonly tenant: string | undefined
  readonly id: string
  readonly type: string
  /** `failed`: it was tried; `behind`: it was not, since an earlier event of its stream stands here. */
  readonly reason: "failed" | "behind"
  /** Why it failed, in words; empty for one that was not tried. */
  readonly problem: string
  /** How often it was tried. */
  readonly attempts: number
  readonly parkedAt: DateTime.Utc
}

/**
 * Which of the events that a projection has put aside: those of a stream, the one at a position, or all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection {
  readonly stream?: string | undefined
  readonly position?: number | undefined
}

/**
 * What keeps the events that were put aside, by the key of their projection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Adds entries; one that stands there already stays as it is. */
  readonly add: (key: string, entries: ReadonlyArray<Parked>) => Effect.Effect<void, StoreError>
  /** The entries of a key, by position. */
  readonly list: (key: string) => Effect.Effect<ReadonlyArray<Parked>, StoreError>
  /** Forgets entries, and tells how many stood there. Of two who forget one at once, the second waits and is told 0. */
  readonly remove: (key: string, positions: ReadonlyArray<number>) => Effect.Effect<number, StoreError>
  /** Says of an entry that it failed again. */
  readonly failedAgain: (key: string, position: number, problem: string) => Effect.Effect<void, StoreError>
  /**
   * Runs an effect in one transaction, where there are transactions; in memory only what was forgotten comes back when it
   * fails.
   */
  readonly atomically: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
}

/**
 * Keeps the events that were put aside. {@link layerMemory} keeps them in memory, `SqlParkedEvents` in a table.
 *
 * @since 0.1.0
 * @category services
 */
export class ParkedEvents extends Context.Tag("effect-skald/cqrs/ParkedEvents")<ParkedEvents, Service>() {}

/**
 * {@link ParkedEvents}, where the options of a projection ask for it.
 *
 * @since 0.1.0
 * @category models
 */
export type Parking<O> = "onFailure" extends keyof O ? "park" extends O["onFailure"] ? ParkedEvents : never : never

/**
 * What a second try came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retried {
  /** How many events were projected. */
  readonly done: number
  /** How many cannot be read from the log any more, and were forgotten. */
  readonly gone: number
  /** How many stand aside still, in the streams that were tried. */
  readonly left: number
}

/**
 * What a projection has put aside, by position.
 *
 * @example
 * ```ts
 * import * as ParkedEvents from "effect-skald/cqrs/ParkedEvents"
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 * const Mails = Projection.handler("mails", { events: [Placed], handle: () => Effect.void })
 *
 * const repair = Effect.gen(function*() {
 *   for (const parked of yield* ParkedEvents.list(Mails)) {
 *     yield* Effect.log(`${parked.stream} stands still since ${parked.type} at ${parked.position}: ${parked.problem}`)
 *   }
 *   yield* ParkedEvents.drop(Mails, { position: 17 }) // never to be projected
 *   return yield* ParkedEvents.retry(Mails) // what waited behind it, in order
 * })
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const list: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    selection?: Selection
  ): Effect.Effect<ReadonlyArray<Parked>, StoreError | InvalidInput, ParkedEvents | SnapshotStore>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    selection?: Selection
  ): Effect.Effect<ReadonlyArray<Parked>, StoreError | InvalidInput, ParkedEvents | CheckpointStore>
} = Internal.list as never

/**
 * Tries again what was put aside, stream by stream, in order: each event once more; a stream whose event fails again stands
 * still there, and the others go on. Once nothing of a stream stands aside, its new events are projected as they come.
 *
 * An event and its entry are one transaction where there are transactions. A projection into a value is held by the process
 * that runs it, which is asked to do it; a handler may be retried by any process, while it runs elsewhere.
 *
 * @since 0.1.0
 * @category combinators
 */
export const retry: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    selection?: Pick<Selection, "stream">
  ): Effect.Effect<Retried, ReadError, EventStore | ParkedEvents | SnapshotStore | Running<Name>>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    selection?: Pick<Selection, "stream">
  ): Effect.Effect<Retried, ReadError, EventStore | ParkedEvents | CheckpointStore | R>
} = Internal.retry as never

/**
 * Forgets what was put aside: it is never projected. What of its stream stands behind it stays aside until it is retried.
 *
 * @since 0.1.0
 * @category combinators
 */
export const drop: {
  <Name extends string, S, E>(
    self: Projection<Name, S, E>,
    selection: Selection
  ): Effect.Effect<number, StoreError | InvalidInput, ParkedEvents | SnapshotStore | Running<Name>>
  <Name extends string, E, Err, R>(
    self: Handler<Name, E, Err, R>,
    selection: Selection
  ): Effect.Effect<number, StoreError | InvalidInput, ParkedEvents | CheckpointStore>
} = Internal.drop as never

/**
 * Keeps them in memory. Nothing survives the process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<ParkedEvents> = Layer.sync(ParkedEvents, () => {
  const byKey = new Map<string, Map<number, Parked>>()
  const of = (key: string): Map<number, Parked> => {
    let parked = byKey.get(key)
    if (parked === undefined) byKey.set(key, parked = new Map())
    return parked
  }
  return {
    add: (key, entries) =>
      Effect.sync(() => {
        const parked = of(key)
        for (const entry of entries) if (!parked.has(entry.position)) parked.set(entry.position, entry)
      }),
    list: (key) => Effect.sync(() => [...of(key).values()].sort((a, b) => a.position - b.position)),
    remove: (key, positions) =>
      Effect.map(FiberRef.get(removed), (removed) => {
        const entries = positions.flatMap((position) => of(key).get(position) ?? [])
        for (const entry of entries) of(key).delete(entry.position)
        removed?.push(...entries.map((entry) => () => void of(key).set(entry.position, entry)))
        return entries.length
      }),
    failedAgain: (key, position, problem) =>
      Effect.sync(() => {
        const entry = of(key).get(position)
        if (entry === undefined) return
        of(key).set(position, { ...entry, reason: "failed", problem, attempts: entry.attempts + 1 })
      }),
    atomically: (effect) =>
      Effect.suspend(() => {
        const comesBack: Array<() => void> = []
        return Effect.onError(Effect.locally(effect, removed, comesBack), () =>
          Effect.sync(() => {
            for (const comeBack of comesBack) comeBack()
          }))
      })
  }
})

/** What the fiber's transaction in memory would have to bring back. */
const removed = FiberRef.unsafeMake<Array<() => void> | undefined>(undefined)
