/**
 * Where events are kept that a projection could not take, put aside with every later event of their streams: nothing is skipped silently.
 *
 * A projection that runs with `onFailure: "park"` puts them here; `ProjectionParking` lists, retries and drops them. Only where an event stands in the log is kept, not the event:
 * when it is tried again it is read again, by the code of today, and one that was truncated since is gone from here as well.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type { Position } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import type { StoreError } from "./StoreError.ts"

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
 * Keeps the events that were put aside. {@link layerMemory} keeps them in memory, `SqlParkedEvents` in a table, `RedisParkedEvents` in Redis.
 *
 * @since 0.1.0
 * @category services
 */
export class ParkedEvents extends Context.Tag("effect-skald/store/ParkedEvents")<ParkedEvents, Service>() {}

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
        const entries = positions.flatMap((position) => {
          const entry = of(key).get(position)
          of(key).delete(position)
          return entry ?? []
        })
        removed?.push(...entries.map((entry) => () => void of(key).set(entry.position, entry)))
        return entries.length
      }),
    failedAgain: (key, position, problem) =>
      Effect.sync(() => {
        const entry = of(key).get(position)
        if (entry === undefined) return
        of(key).set(position, { ...entry, reason: "failed", problem, attempts: entry.attempts + 1 })
      }),
    atomically: <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.flatMap(FiberRef.get(removed), (outer) => {
        const comesBack: Array<() => void> = []
        return Effect.onExit(Effect.locally(effect, removed, comesBack), (exit) =>
          Effect.sync(() => {
            // one inside another shares its fate
            if (Exit.isSuccess(exit)) outer?.push(...comesBack)
            else for (const comeBack of comesBack) comeBack()
          }))
      })
  }
})

/** What the fiber's transaction in memory would have to bring back. */
const removed = FiberRef.unsafeMake<Array<() => void> | undefined>(undefined)
