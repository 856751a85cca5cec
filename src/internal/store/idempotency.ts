import type * as Driver from "../../store/Driver.ts"
import { DuplicateEvent } from "../../store/AppendError.ts"

/** What is remembered of an event, for as long as its id is. */
export interface Known {
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly recordedAt: number
  readonly content: string
}

/**
 * Decides about the ids of an append, the same way for every driver: `undefined` when all are new, the first answer when
 * all are known, consecutive, in order, of equal content and at the place that the expectation asks for; otherwise the
 * error.
 */
export const judge = (
  groups: ReadonlyArray<Driver.Group>,
  known: (id: string) => Known | undefined
): Driver.AppendResult | DuplicateEvent | undefined => {
  let first: Known | undefined
  let firstId = ""
  let isNew = false
  for (const group of groups) {
    for (const event of group.events) {
      const found = known(event.id)
      if (found === undefined) isNew = true
      else if (first === undefined) {
        first = found
        firstId = event.id
      }
      if (isNew && first !== undefined) return new DuplicateEvent({ id: firstId, reason: "partly" })
    }
  }
  if (first === undefined) return undefined
  const events: Array<{ readonly version: number; readonly position: number }> = []
  for (const group of groups) {
    let next = firstVersion(group.expected)
    for (const event of group.events) {
      const found = known(event.id)!
      if (found.stream !== group.stream || (next !== undefined && found.version !== next)) {
        return new DuplicateEvent({ id: event.id, reason: "elsewhere" })
      }
      if (found.content !== event.content) return new DuplicateEvent({ id: event.id, reason: "differs" })
      next = found.version + 1
      events.push({ version: found.version, position: found.position })
    }
  }
  return { repeated: true, recordedAt: first.recordedAt, events }
}

/** The version that the first event of an append gets, where its expectation fixes it. */
const firstVersion = (expected: Driver.Group["expected"]): number | undefined =>
  expected === "any" || expected === "streamExists" ? undefined : expected === "noStream" ? 1 : expected + 1
