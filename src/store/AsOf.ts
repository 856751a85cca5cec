/**
 * Moments in the past, for reads of how things stood then.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"
import * as Instant from "../internal/instant.ts"

/**
 * A moment: the version of a stream, a position of the log, or an instant, of `occurredAt` or of `recordedAt`. What stands
 * at that very moment is included.
 *
 * @since 0.1.0
 * @category models
 */
export type AsOf = { readonly version: number } | LogMoment

/**
 * A moment that means something for the whole log.
 *
 * @since 0.1.0
 * @category models
 */
export type LogMoment =
  | { readonly position: number }
  | { readonly occurredAt: DateTime.DateTime.Input }
  | { readonly recordedAt: DateTime.DateTime.Input }

/**
 * The bounds of a read of the log as of a moment; fails with `InvalidInput` naming what cannot be read of it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const bounds = (asOf: LogMoment): Either.Either<Bounds, InvalidInput> => {
  const faults = Faults.make()
  const read = boundsInto(asOf, faults)
  return Faults.orInvalid(faults, () => read)
}

/**
 * Checks a moment from outside; fails with `InvalidInput` naming what cannot be read of it.
 *
 * @since 0.1.0
 * @category guards
 */
export const check = (asOf: AsOf): Either.Either<void, InvalidInput> => {
  const faults = Faults.make()
  if (Predicate.hasProperty(asOf, "version")) {
    const problem = Faults.countProblem(asOf.version, 0)
    if (problem !== undefined) faults.add("asOf.version", problem)
  } else boundsInto(asOf as LogMoment, faults)
  return Faults.orInvalid(faults, () => undefined)
}

/**
 * What a moment means for a read of the log.
 *
 * @since 0.1.0
 * @category models
 */
export type Bounds =
  | { readonly to: number }
  | { readonly until: number; readonly time: "occurredAt" | "recordedAt" }

const boundsInto = (asOf: LogMoment, faults: Faults.Faults): Bounds => {
  if (Predicate.hasProperty(asOf, "position")) {
    const problem = Faults.countProblem(asOf.position, 0)
    if (problem !== undefined) faults.add("asOf.position", problem)
    return { to: asOf.position }
  }
  // ranges are half-open, and a moment is included
  for (const time of ["occurredAt", "recordedAt"] as const) {
    if (Predicate.hasProperty(asOf, time)) {
      return { until: Instant.millis(asOf[time] as DateTime.DateTime.Input, `asOf.${time}`, faults) + 1, time }
    }
  }
  faults.add("asOf", `must name a version, a position, occurredAt or recordedAt, got ${Faults.show(asOf)}`)
  return { to: 0 }
}
