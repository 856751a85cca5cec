import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Generation } from "../../cqrs/ProjectionContext.ts"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Raw, Recorded } from "../../event/Envelope.ts"
import type { Position } from "../../event/Position.ts"
import { CheckpointStore } from "../../store/CheckpointStore.ts"
import { asEventFailure, EventFailed } from "./projectionParking.ts"
import type * as Parking from "./projectionParking.ts"
import { checkpointName } from "./projectionSite.ts"
import type { Settings, Work } from "./projectionWork.ts"
import { last, ownOf } from "./projectionWork.ts"

/** A handler at work: what it does with events and its checkpoint are one commit. */
export const openHandler = (
  self: Projection.Handler<string, any, any, any>,
  { parking, saveEvery, site }: Settings
): Effect.Effect<Work, unknown, any> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const name = yield* checkpointName(self, site)
    let saved = Option.getOrUndefined(yield* checkpoints.get(name))
    const commit = (next: number, effect: Effect.Effect<void, any, any>) =>
      Effect.map(
        checkpoints.commit(name, { expected: saved, next: next as Position, effect, fence: site.fence }),
        () => {
          saved = next as Position
          work.position = next
        }
      )
    const handle = (events: ReadonlyArray<Recorded<any>>) =>
      events.length === 0
        ? Effect.void
        : site.generation === 0
        ? self.handle(events)
        : Effect.provideService(self.handle(events), Generation, site.generation)

    /** Decodes and handles, as an event's own failure. */
    const take = (raws: ReadonlyArray<Raw>): Effect.Effect<void, EventFailed, any> =>
      Effect.suspend(() => {
        const { error, events } = self.decodeAll(raws)
        return asEventFailure(error === undefined ? handle(events) : Effect.fail(error))
      })

    const acceptOrStop = (raws: ReadonlyArray<Raw>) =>
      Effect.suspend(() => {
        const { error, events } = self.decodeAll(ownOf(raws, work.position, site.takes))
        const position = last(error === undefined ? raws : events, work.position)
        return Effect.zipRight(
          position > work.position ? commit(position, handle(events)) : Effect.void,
          error === undefined ? Effect.void : Effect.fail(error)
        )
      })

    const acceptOrPark = (parking: Parking.Parking) => {
      /** What one commit does with events: those of streams that stand still go behind what stands there. */
      const divide = (raws: ReadonlyArray<Raw>) =>
        Effect.flatMap(parking.standing, (standing) => {
          const behind = raws.filter((raw) => parking.isStanding(standing, raw))
          const rest = behind.length === 0 ? raws : raws.filter((raw) => !parking.isStanding(standing, raw))
          return Effect.zipRight(take(rest), parking.behind(behind))
        })
      const oneByOne = (raws: ReadonlyArray<Raw>) =>
        Effect.forEach(raws, (raw) =>
          Effect.catchIf(
            parking.retrying(commit(raw.position, divide([raw]))),
            (error) => error instanceof EventFailed,
            (failed) => commit(raw.position, parking.park(raw, failed as EventFailed))
          ), { discard: true })
      return (raws: ReadonlyArray<Raw>) =>
        Effect.suspend(() => {
          const own = ownOf(raws, work.position, site.takes)
          const end = last(raws, work.position)
          if (end <= work.position) return Effect.void
          return Effect.catchIf(
            commit(end, divide(own)),
            (error) => error instanceof EventFailed,
            () => Effect.zipRight(oneByOne(own), Effect.sync(() => work.position = Math.max(work.position, end)))
          )
        })
    }

    const work: Work = {
      position: saved ?? 0,
      state: () => undefined,
      accept: parking === undefined ? acceptOrStop : acceptOrPark(parking),
      caughtUp: (position) =>
        Effect.suspend(() => {
          const ahead = position - (saved ?? 0)
          if (ahead >= saveEvery || (site.keepsPosition === true && ahead > 0)) return commit(position, Effect.void)
          work.position = Math.max(work.position, position)
          return Effect.void
        }),
      keep: Effect.suspend(() => work.position > (saved ?? 0) ? commit(work.position, Effect.void) : Effect.void),
      settle: (raw, forget) => raw === undefined ? forget : Effect.zipRight(forget, take([raw]))
    }
    return work
  })
