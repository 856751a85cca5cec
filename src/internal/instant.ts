import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Faults from "./faults.ts"

/** The furthest instant from the epoch that a date can hold, in milliseconds. */
const furthest = 8.64e15

/** Milliseconds since the epoch of an instant from outside; adds a fault where it cannot be read. */
export const millis = (
  input: DateTime.DateTime.Input,
  path: string,
  faults: Faults.Faults
): number => {
  const read: Option.Option<DateTime.DateTime> = DateTime.make(input)
  if (Option.isSome(read) && Math.abs(read.value.epochMillis) <= furthest) return Math.trunc(read.value.epochMillis)
  faults.add(path, `must be an instant, got ${Faults.show(input)}`)
  return 0
}

/** An instant as a date, the last one kept: many messages in a row are of one millisecond. */
export const utcs = (): (millis: number) => DateTime.Utc => {
  let last = DateTime.unsafeMake(0)
  return (millis) => last.epochMillis === millis ? last : last = DateTime.unsafeMake(millis)
}
