import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Projection from "../cqrs/Projection.ts"
import * as Correlation from "../event/Correlation.ts"
import type { Raw, Recorded } from "../event/Envelope.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import { CheckpointStore } from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import * as Snapshot from "../store/Snapshot.ts"
import { SnapshotStore } from "../store/SnapshotStore.ts"
import { copy } from "./copy.ts"
import * as Faults from "./faults.ts"
import { tenantKey } from "./tenantKey.ts"

export const defaultSaveEvery = 1000

/** A projection at work: where it is, and what it does with events. */
export interface Work {
  position: number
  readonly state: () => unknown
  /** Projects a chunk: all of it, or what comes before the first event that fails. */
  readonly accept: (raws: ReadonlyArray<Raw>) => Effect.Effect<void, unknown, any>
  /** Told that nothing it asks for stands up to a position that it has not seen. */
  readonly caughtUp: (position: number) => Effect.Effect<void, unknown, any>
}

/** Takes a projection up where it was left. */
export const open = (
  self: Projection.Any,
  options: Projection.RunOptions | undefined
): Effect.Effect<Work, unknown, any> =>
  Effect.gen(function*() {
    const saveEvery = options?.saveEvery ?? defaultSaveEvery
    const faults = Faults.make()
    const problem = Faults.countProblem(saveEvery, 1)
    if (problem !== undefined) faults.add("options.saveEvery", problem)
    yield* Faults.orInvalid(faults, () => undefined)
    return yield* self._tag === "State" ? openState(self, saveEvery) : openHandler(self, saveEvery)
  })

/** One key for each tenant, unless the projection is of all tenants. */
const keyOf = (self: Projection.Any): Effect.Effect<string> =>
  Effect.map(
    Correlation.current,
    ({ tenant }) => tenantKey(self.allTenants ? undefined : tenant, `projection/${self.name}`)
  )

/** Folds events onto a state: all of them, or those before the first that `apply` throws for. */
export const fold = <S, E>(
  self: Projection.Projection<string, S, E>,
  state: S,
  events: ReadonlyArray<Recorded<E>>
): { readonly state: S; readonly count: number; readonly thrown?: { readonly defect: unknown } } => {
  let count = 0
  try {
    for (; count < events.length; count++) state = self.apply(state, events[count]!.payload, events[count]!)
    return { state, count }
  } catch (defect) {
    return { state, count, thrown: { defect } }
  }
}

const openState = (self: Projection.Projection<string, any, any>, saveEvery: number) =>
  Effect.gen(function*() {
    const snapshots = yield* SnapshotStore
    const key = yield* keyOf(self)
    const fingerprint = Either.getOrThrow(Snapshot.fingerprint(self.name, self.version, self.state))
    const text = Schema.parseJson(self.state)
    const kept = yield* readable(key, text, yield* snapshots.load(key, fingerprint))
    let state = Option.isSome(kept) ? kept.value.state : copy(self.initial)
    let saved: number = Option.isSome(kept) ? kept.value.version : 0
    let unsaved = 0
    const save = Effect.gen(function*() {
      const position = work.position
      const savedAt = yield* DateTime.now
      // a state that its own Schema refuses is a defect of `apply`
      const encoded = yield* Effect.orDie(Schema.encode(text)(state))
      yield* snapshots.save({ key, fingerprint, version: position as StreamVersion, state: encoded, savedAt })
      saved = position
      unsaved = 0
    })
    const work: Work = {
      position: saved,
      state: () => state,
      accept: (raws) =>
        Effect.suspend((): Effect.Effect<void, unknown> => {
          const decoded = self.decodeAll(raws)
          const folded = fold(self, state, decoded.events)
          state = folded.state
          work.position = folded.thrown === undefined && decoded.error === undefined
            ? last(raws, work.position)
            : last(decoded.events.slice(0, folded.count), work.position)
          unsaved += folded.count
          if (folded.thrown === undefined && decoded.error === undefined) {
            return unsaved >= saveEvery ? save : Effect.void
          }
          return Effect.zipRight(
            Effect.exit(save),
            folded.thrown !== undefined ? Effect.die(folded.thrown.defect) : Effect.fail(decoded.error)
          )
        }),
      caughtUp: (position) =>
        Effect.suspend(() => {
          work.position = Math.max(work.position, position)
          return unsaved > 0 || work.position - saved >= saveEvery ? save : Effect.void
        })
    }
    return work
  })

/**
 * What was kept, where it can be read and is of this log: a state is only ever a short cut, and is made anew from the events
 * otherwise.
 */
const readable = <S>(
  key: string,
  text: Schema.Schema<S, string>,
  kept: Option.Option<{ readonly version: number; readonly state: string }>
) =>
  Effect.gen(function*() {
    if (Option.isNone(kept)) return kept
    const { state, version } = kept.value
    const head = yield* Effect.flatMap(EventStore, (store) => store.head)
    if (version > head) {
      yield* Effect.logWarning(`state of ${key} is of position ${version}, the log ends at ${head}: it is made anew`)
      return Option.none()
    }
    const decoded = ParseResult.decodeEither(text)(state)
    if (Either.isRight(decoded)) return Option.some({ state: decoded.right, version })
    const issue = ParseResult.TreeFormatter.formatIssueSync(decoded.left)
    yield* Effect.logWarning(`state of ${key} at position ${version} cannot be read, it is made anew: ${issue}`)
    return Option.none()
  })

const openHandler = (self: Projection.Handler<string, any, any, any>, saveEvery: number) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const name = `${yield* keyOf(self)}@${self.version}`
    let saved = Option.getOrUndefined(yield* checkpoints.get(name))
    const commit = (next: number, effect: Effect.Effect<void, any, any>) =>
      Effect.map(checkpoints.commit(name, { expected: saved, next: next as Position, effect }), () => {
        saved = next as Position
        work.position = next
      })
    const work: Work = {
      position: saved ?? 0,
      state: () => undefined,
      accept: (raws) =>
        Effect.suspend(() => {
          const { error, events } = self.decodeAll(raws)
          const position = last(error === undefined ? raws : events, work.position)
          return Effect.zipRight(
            position > work.position
              ? commit(position, events.length > 0 ? self.handle(events) : Effect.void)
              : Effect.void,
            error === undefined ? Effect.void : Effect.fail(error)
          )
        }),
      caughtUp: (position) =>
        Effect.suspend(() => {
          if (position - (saved ?? 0) >= saveEvery) return commit(position, Effect.void)
          work.position = Math.max(work.position, position)
          return Effect.void
        })
    }
    return work
  })

/** Where events lead to. */
const last = (events: ReadonlyArray<Recorded<unknown>>, before: number): number =>
  Math.max(before, events[events.length - 1]?.position ?? before)
