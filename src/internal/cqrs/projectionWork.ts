import type * as Effect from "effect/Effect"
import type { Raw, Recorded } from "../../event/Envelope.ts"
import type * as Parking from "./projectionParking.ts"
import type { Site } from "./projectionSite.ts"

/** A projection at work: where it is, and what it does with events. */
export interface Work {
  position: number
  readonly state: () => unknown
  /** Projects a chunk: all of it, or what comes before the first event that fails. What lies behind it is passed over. */
  readonly accept: (raws: ReadonlyArray<Raw>) => Effect.Effect<void, unknown, any>
  /** Told that nothing it asks for stands up to a position that it has not seen. */
  readonly caughtUp: (position: number) => Effect.Effect<void, unknown, any>
  /** Keeps where it is, and what it has. */
  readonly keep: Effect.Effect<void, unknown, any>
  /**
   * Projects one event that was put aside, out of the order of the log, together with an effect that forgets it; nothing
   * else happens meanwhile. Without an event only the effect happens, and what the projection has is kept with it.
   */
  readonly settle: (
    raw: Raw | undefined,
    forget: Effect.Effect<void, unknown, any>
  ) => Effect.Effect<void, unknown, any>
}

/** How a projection works, checked. */
export interface Settings {
  readonly site: Site
  readonly saveEvery: number
  readonly parking: Parking.Parking | undefined
}

/** Where events lead to. */
export const last = (events: ReadonlyArray<Recorded<unknown>>, before: number): number =>
  Math.max(before, events[events.length - 1]?.position ?? before)

/** Those of a chunk that a projection has not seen and that are its own. */
export const ownOf = (raws: ReadonlyArray<Raw>, after: number, takes: Site["takes"]): ReadonlyArray<Raw> =>
  takes === undefined && (raws.length === 0 || raws[0]!.position > after)
    ? raws
    : raws.filter((raw) => raw.position > after && (takes === undefined || takes(raw)))
