import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { Retried, Selection } from "../../cqrs/ProjectionParking.ts"
import type { Raw } from "../../event/Envelope.ts"
import { EventStore } from "../../store/EventStore.ts"
import { type Parked, ParkedEvents } from "../../store/ParkedEvents.ts"
import { open } from "./projectionOpen.ts"
import { EventFailed, problemOf, standKey } from "./projectionParking.ts"
import { running } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import type { Work } from "./projectionWork.ts"
import { AtWork, type WorkerHandle } from "./projectionWorker.ts"

const keyOf = (self: Projection.Any) => Effect.flatMap(Site.live(self), (site) => Site.checkpointName(self, site))

const matching = (entries: ReadonlyArray<Parked>, { position, stream }: Selection): ReadonlyArray<Parked> =>
  entries.filter((entry) =>
    (stream === undefined || entry.stream === stream) && (position === undefined || entry.position === position)
  )

export const list = (self: Projection.Any, selection: Selection = {}) =>
  Effect.gen(function*() {
    const store = yield* ParkedEvents
    return matching(yield* store.list(yield* keyOf(self)), selection)
  })

/** A value is held by the one who runs it; a handler may be worked anywhere. */
const workOf = (self: Projection.Any): Effect.Effect<() => Work, unknown, any> =>
  self._tag === "State"
    ? Effect.map(running(self), (handle) => (handle as WorkerHandle)[AtWork])
    : Effect.map(Effect.flatMap(Site.live(self), (site) => open(self, site, undefined)), (work) => () => work)

/** The event itself, by the code of today; it may have been truncated since. */
const read = (self: Projection.Any, entry: Parked) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const found = yield* Stream.runHead(
      store.readAll({ after: entry.position - 1, to: entry.position, allTenants: self.allTenants })
    )
    return Option.filter(found, (raw: Raw) => raw.id === entry.id)
  })

export const retry = (self: Projection.Any, selection: Pick<Selection, "stream"> = {}) =>
  Effect.gen(function*() {
    const store = yield* ParkedEvents
    const key = yield* keyOf(self)
    const work = yield* workOf(self)
    let done = 0
    let gone = 0
    let left = 0
    const one = (entry: Parked): Effect.Effect<boolean, unknown, any> =>
      Effect.gen(function*() {
        const found = yield* read(self, entry)
        // another who retries may have been quicker
        const forget: Effect.Effect<void, unknown> = Effect.flatMap(
          store.remove(key, [entry.position]),
          (removed) => removed === 1 ? Effect.void : Effect.fail(new Settled())
        )
        if (Option.isNone(found)) {
          yield* store.remove(key, [entry.position])
          gone++
          return true
        }
        return yield* store.atomically(work().settle(found.value, forget)).pipe(
          Effect.as(true),
          Effect.tap(() => Effect.sync(() => done++)),
          Effect.catchIf((error) => error instanceof Settled, () => Effect.succeed(true)),
          Effect.catchIf(
            (error) => error instanceof EventFailed,
            (failed) =>
              Effect.as(store.failedAgain(key, entry.position, problemOf((failed as EventFailed).cause)), false)
          )
        )
      })
    const standing = new Set<string>()
    // again until nothing is left but what fails: more may have come to stand behind meanwhile
    while (true) {
      const entries = matching(yield* store.list(key), selection).filter((entry) => !standing.has(standKey(entry)))
      if (entries.length === 0) break
      for (const entry of entries) {
        if (!standing.has(standKey(entry)) && !(yield* one(entry))) standing.add(standKey(entry))
      }
    }
    left = matching(yield* store.list(key), selection).length
    return { done, gone, left } satisfies Retried
  }).pipe(Effect.withSpan("ProjectionParking.retry", { attributes: { projection: self.name } }))

/** Somebody else was quicker. */
class Settled {
  readonly _tag = "Settled"
}

export const drop = (self: Projection.Any, selection: Selection) =>
  Effect.gen(function*() {
    const store = yield* ParkedEvents
    const key = yield* keyOf(self)
    const positions = matching(yield* store.list(key), selection).map(({ position }) => position)
    const forget = store.remove(key, positions)
    if (positions.length === 0) return 0
    yield* self._tag === "State"
      ? Effect.flatMap(workOf(self), (work) => store.atomically(work().settle(undefined, forget)))
      : forget
    return positions.length
  }).pipe(Effect.withSpan("ProjectionParking.drop", { attributes: { projection: self.name } }))
