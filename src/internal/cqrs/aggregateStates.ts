import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Options, StateError } from "../../cqrs/Aggregate.ts"
import type { Decider } from "../../cqrs/Decider.ts"
import { HistoryTruncated } from "../../cqrs/HistoryTruncated.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { Recorded } from "../../event/Envelope.ts"
import type { EventCodec } from "../../event/EventCodec.ts"
import type { StreamVersion } from "../../event/Position.ts"
import type { StreamId } from "../../event/StreamId.ts"
import { EventStore, type Operations, type Page } from "../../store/EventStore.ts"
import type * as Snapshot from "../../store/Snapshot.ts"
import type { SnapshotStore } from "../../store/SnapshotStore.ts"
import * as Snapshots from "./aggregateSnapshots.ts"
import type { Loaded } from "./aggregateSnapshots.ts"
import { compactionId } from "../store/compactionId.ts"
import * as Lru from "../lru.ts"
import { tenantKey } from "../store/tenantKey.ts"

/** The states of a decider over its streams: folded, kept in memory and in snapshots. */
export const make = <S, E extends { readonly _tag: string }>(
  decider: Decider<string, S, any, E, any>,
  codec: EventCodec<any, E>,
  options: Options & {
    readonly snapshot?: Snapshot.Policy | undefined
    readonly version?: number | undefined
    readonly carriers?: ReadonlyArray<string> | undefined
  }
) => {
  const carriers = new Set(options.carriers)
  const snapshots = options.snapshot === undefined
    ? undefined
    : Snapshots.make(decider, options.snapshot, options.version ?? 1)
  const cacheOf = caches<Loaded<S>>(options.cache)
  const origin: Loaded<S> = {
    state: decider.initial,
    version: 0 as StreamVersion,
    last: undefined,
    snapshotVersion: 0,
    snapshotAt: undefined
  }

  /** Whether an event carries the whole state, as compaction writes it or as the aggregate was told. */
  const carries = ({ id, payload, stream, version }: Recorded<E>): boolean =>
    carriers.has(payload._tag) || id === compactionId(stream, version - 1)

  /** Folds a page of a stream onto a base, and what follows it, up to a version. */
  const foldPage = (
    store: Operations,
    stream: StreamId,
    base: Loaded<S>,
    { events: raws, more }: Page,
    to: number | undefined
  ): Effect.Effect<Loaded<S>, StateError> => {
    const last = raws[raws.length - 1]
    if (last === undefined) return Effect.succeed(base)
    const { error, events } = codec.decodeAll(raws)
    if (error !== undefined) return Effect.fail(error)
    // where older events are gone, the first that carries the whole state is where the state begins
    let from = 0
    if (raws[0]!.version > base.version + 1) {
      from = events.findIndex(carries)
      if (from < 0) {
        return more
          ? Effect.flatMap(
            store.readPage(stream, { from: last.version + 1, to }),
            (page) => foldPage(store, stream, base, page, to)
          )
          : Effect.fail(new HistoryTruncated({ stream, firstVersion: raws[0]!.version }))
      }
    }
    let state = base.state
    for (; from < events.length; from++) state = decider.evolve(state, events[from]!.payload)
    const loaded = { ...base, state, version: last.version, last: { id: last.id, position: last.position } }
    return more ? foldOn(store, stream, loaded, to) : Effect.succeed(loaded)
  }

  const foldOn = (store: Operations, stream: StreamId, base: Loaded<S>, to: number | undefined) =>
    Effect.flatMap(
      store.readPage(stream, { from: base.version + 1, to }),
      (page) => foldPage(store, stream, base, page, to)
    )

  /**
   * Folds the events of a stream beyond a state that was kept; answers none where the state is of another history.
   * Its own last event is read again to tell, unless it was truncated since.
   */
  const foldBeyond = (store: Operations, stream: StreamId, base: Loaded<S>, to: number | undefined) =>
    Effect.flatMap(
      store.readPage(stream, { from: base.version, to }),
      (page): Effect.Effect<Option.Option<Loaded<S>>, StateError> => {
        const [first] = page.events
        if (first !== undefined && first.version === base.version) {
          return first.id === base.last?.id && first.position === base.last.position
            ? Effect.asSome(foldPage(store, stream, base, { ...page, events: page.events.slice(1) }, to))
            : Effect.succeedNone
        }
        return Effect.flatMap(
          stillStands(store, stream, base),
          (stands) => stands ? Effect.asSome(foldPage(store, stream, base, page, to)) : Effect.succeedNone
        )
      }
    )

  /** Whether the last event of a state stood where it says, though it was truncated. */
  const stillStands = (store: Operations, stream: StreamId, { last, version }: Loaded<S>) =>
    Effect.gen(function*() {
      const state = yield* store.streamState(stream)
      // whatever came after it must be there
      if (last === undefined || state._tag !== "live" || state.firstVersion !== version + 1) return false
      const found = yield* store.find(last.id)
      return Option.isSome(found) && found.value.stream === stream && found.value.version === version &&
        found.value.position === last.position
    })

  /** How things stand, at a version or now: from what was kept of it, if anything, and the events that came since. */
  const load = (stream: StreamId, to?: number): Effect.Effect<Loaded<S>, StateError, EventStore | SnapshotStore> =>
    Effect.flatMap(EventStore, (store) =>
      Effect.withFiberRuntime((fiber) => {
        const key = keyOf(fiber, stream)
        const cache = cacheOf(store)
        const fits = (base: Loaded<S> | undefined): base is Loaded<S> =>
          base !== undefined && (to === undefined || base.version <= to)
        const fromOrigin = foldOn(store, stream, origin, to)
        const fromSnapshot = snapshots === undefined
          ? fromOrigin
          : Effect.flatMap(snapshots.load(key), (found) => {
            const base = Option.getOrUndefined(found)
            return fits(base) ? orElse(foldBeyond(store, stream, base, to), fromOrigin) : fromOrigin
          })
        const kept = cache?.get(key)
        const loaded = fits(kept) ? orElse(foldBeyond(store, stream, kept, to), fromSnapshot) : fromSnapshot
        return cache === undefined || to !== undefined
          ? loaded
          : Effect.tap(loaded, (now) => Effect.sync(() => keep(cache, key, now)))
      }))

  const keep = (cache: Lru.Lru<string, Loaded<S>>, key: string, loaded: Loaded<S>) =>
    loaded.version === 0 ? cache.delete(key) : cache.set(key, loaded)

  /** Keeps the state after an append, in memory and, where the policy says so, in a snapshot. */
  const remember = (stream: StreamId, loaded: Loaded<S>) =>
    Effect.flatMap(EventStore, (store) =>
      Effect.withFiberRuntime<void, never, SnapshotStore>((fiber) => {
        const key = keyOf(fiber, stream)
        const cache = cacheOf(store)
        cache?.set(key, loaded)
        if (snapshots === undefined) return Effect.void
        return Effect.map(snapshots.saveIfDue(key, loaded), (saved) => {
          if (Option.isSome(saved)) cache?.set(key, saved.value)
        })
      }))

  /** Fails where a stream that shows nothing had events. */
  const ensureNone = (stream: StreamId): Effect.Effect<void, StateError, EventStore> =>
    Effect.flatMap(
      EventStore,
      (store) =>
        Effect.flatMap(store.streamState(stream), (state) =>
          state._tag === "live" && state.firstVersion > 1
            ? Effect.fail(new HistoryTruncated({ stream, firstVersion: state.firstVersion }))
            : Effect.void)
    )

  /** As `load`; and where there is nothing, it is made sure that there never was. */
  const loadKnown = (stream: StreamId, to?: number): Effect.Effect<Loaded<S>, StateError, EventStore | SnapshotStore> =>
    Effect.tap(load(stream, to), ({ version }) => version === 0 && to !== 0 ? ensureNone(stream) : Effect.void)

  return { carries, load, loadKnown, ensureNone, remember }
}

/** The answer of a load that may find nothing, or of another. */
const orElse = <A, E, R, E2, R2>(self: Effect.Effect<Option.Option<A>, E, R>, that: Effect.Effect<A, E2, R2>) =>
  Effect.flatMap(self, (found): Effect.Effect<A, E2, R2> => Option.isNone(found) ? that : Effect.succeed(found.value))

const keyOf = (fiber: Fiber.RuntimeFiber<any, any>, stream: StreamId): string =>
  tenantKey(fiber.getFiberRef(Correlation.currentCorrelation).tenant, stream)

/** A cache for each store that an aggregate is used over: what one store holds says nothing of another. */
const caches = <A>(capacity: number | undefined): (store: Operations) => Lru.Lru<string, A> | undefined => {
  if (capacity === undefined) return () => undefined
  const byStore = new WeakMap<Operations, Lru.Lru<string, A>>()
  return (store) => {
    let cache = byStore.get(store)
    if (cache === undefined) byStore.set(store, cache = Lru.make(capacity))
    return cache
  }
}
