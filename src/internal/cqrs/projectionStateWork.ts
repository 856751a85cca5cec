import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Raw, Recorded } from "../../event/Envelope.ts"
import type { StreamVersion } from "../../event/Position.ts"
import { EventStore } from "../../store/EventStore.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"
import { copy } from "../copy.ts"
import { EventFailed } from "./projectionParking.ts"
import type * as Parking from "./projectionParking.ts"
import { fingerprintOf, snapshotKey } from "./projectionSite.ts"
import type { Settings, Work } from "./projectionWork.ts"
import { last, ownOf } from "./projectionWork.ts"

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

/**
 * A value at work. What is kept of it is only ever a short cut: it is the fold of the log up to its position, but for the
 * events that were put aside.
 */
export const openState = (
  self: Projection.Projection<string, any, any>,
  { parking, saveEvery, site }: Settings
): Effect.Effect<Work, unknown, any> =>
  Effect.gen(function*() {
    const snapshots = yield* SnapshotStore
    const key = yield* snapshotKey(self, site)
    const fingerprint = fingerprintOf(self)
    const text = Schema.parseJson(self.state)
    const kept = yield* readable(key, text, yield* snapshots.load(key, fingerprint))
    let state = Option.isSome(kept) ? kept.value.state : copy(self.initial)
    let saved: number = Option.isSome(kept) ? kept.value.version : 0
    let unsaved = 0
    const saveAs = (state: unknown) =>
      Effect.gen(function*() {
        const position = work.position
        const savedAt = yield* DateTime.now
        // a state that its own Schema refuses is a defect of `apply`
        const encoded = yield* Effect.orDie(Schema.encode(text)(state))
        yield* snapshots.save({ key, fingerprint, version: position as StreamVersion, state: encoded, savedAt })
        saved = position
        unsaved = 0
      })
    const save = Effect.suspend(() => saveAs(state))

    const acceptOrStop = (raws: ReadonlyArray<Raw>) =>
      Effect.suspend((): Effect.Effect<void, unknown> => {
        const decoded = self.decodeAll(ownOf(raws, work.position, site.takes))
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
      })

    const acceptOrPark = (parking: Parking.Parking) => (raws: ReadonlyArray<Raw>) =>
      Effect.gen(function*() {
        const standing = yield* parking.standing
        const own = ownOf(raws, work.position, site.takes)
        const end = last(raws, work.position)
        const behind = own.filter((raw) => parking.isStanding(standing, raw))
        const rest = behind.length === 0 ? own : own.filter((raw) => !parking.isStanding(standing, raw))
        const decoded = self.decodeAll(rest)
        const folded = decoded.error === undefined ? fold(self, state, decoded.events) : undefined
        if (folded !== undefined && folded.thrown === undefined) {
          // what stands aside does so before the state passes it
          yield* parking.behind(behind)
          state = folded.state
          unsaved += folded.count
        } else yield* oneByOne(parking, own)
        work.position = Math.max(work.position, end)
        if (unsaved >= saveEvery) yield* save
      })

    const oneByOne = (parking: Parking.Parking, raws: ReadonlyArray<Raw>) =>
      Effect.forEach(raws, (raw) =>
        Effect.gen(function*() {
          const standing = yield* parking.standing
          if (parking.isStanding(standing, raw)) yield* parking.behind([raw])
          else {
            const applied = applyOne(state, raw)
            if (Either.isLeft(applied)) yield* parking.park(raw, applied.left)
            else {
              state = applied.right
              unsaved++
            }
          }
          work.position = raw.position
        }), { discard: true })

    const applyOne = (state: unknown, raw: Raw): Either.Either<unknown, EventFailed> => {
      const { error, events } = self.decodeAll([raw])
      if (error !== undefined) return Either.left(new EventFailed(Cause.fail(error)))
      const folded = fold(self, state, events)
      return folded.thrown === undefined
        ? Either.right(folded.state)
        : Either.left(new EventFailed(Cause.die(folded.thrown.defect)))
    }

    const alone = parking === undefined ? undefined : Effect.unsafeMakeSemaphore(1).withPermits(1)
    const inTurn = <A, E, R>(effect: Effect.Effect<A, E, R>) => alone === undefined ? effect : alone(effect)
    const accept = parking === undefined ? acceptOrStop : acceptOrPark(parking)

    const work: Work = {
      position: saved,
      state: () => state,
      accept: (raws) => inTurn(accept(raws)),
      caughtUp: (position) =>
        inTurn(Effect.suspend(() => {
          work.position = Math.max(work.position, position)
          return unsaved > 0 || work.position - saved >= saveEvery ? save : Effect.void
        })),
      keep: inTurn(Effect.suspend(() => unsaved > 0 || work.position > saved ? save : Effect.void)),
      settle: (raw, forget) =>
        inTurn(Effect.suspend(() => {
          const applied = raw === undefined ? Either.right(state) : applyOne(state, raw)
          if (Either.isLeft(applied)) return Effect.fail(applied.left)
          return Effect.map(Effect.zipRight(saveAs(applied.right), forget), () => {
            state = applied.right
          })
        }))
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
