import type * as Either from "effect/Either"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as SchedulePosition from "../../resilience/SchedulePosition.ts"

type Found = Either.Either<SchedulePosition.Resumable<unknown, unknown>, SchedulePosition.NotResumable>

const timed = new WeakMap<Schedule.Schedule<unknown, any>, Found>()
const typed = new WeakMap<Schedule.Schedule<unknown, any>, WeakMap<Schema.Schema.Any, Found>>()

/** A Schedule whose position is journaled; trying whether it can be takes a while, and is done once for each Schedule. */
export const resumable = (
  schedule: Schedule.Schedule<unknown, any>,
  error: Schema.Schema<any, any> | undefined
): Found => {
  if (error === undefined) {
    let found = timed.get(schedule)
    if (found === undefined) timed.set(schedule, found = SchedulePosition.timed(schedule))
    return found
  }
  let bySchema = typed.get(schedule)
  if (bySchema === undefined) typed.set(schedule, bySchema = new WeakMap())
  let found = bySchema.get(error)
  if (found === undefined) bySchema.set(error, found = SchedulePosition.make(schedule, error))
  return found
}
