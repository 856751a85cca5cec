/**
 * Where the ids of events come from, when the appender gives none.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import { randomFillSync } from "node:crypto"
import { v7 } from "uuid"
import * as Faults from "../internal/faults.ts"

/**
 * The longest id of an event, in UTF-16 code units.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxLength = 128

/**
 * Makes ids from the Clock's time in milliseconds. It must never make one twice, in any process.
 *
 * @since 0.1.0
 * @category models
 */
export type Generator = (millis: number) => string

/**
 * UUID version 7 (RFC 9562): its first 48 bits are the time, so that ids sort roughly by it; the rest is drawn from the
 * system's secure generator, for an id that two processes must never share is no matter for a seeded one.
 *
 * @since 0.1.0
 * @category generators
 */
export const uuid7: Generator = (millis) => v7({ msecs: millis, rng: nextRandom })

/** Drawn by the page: a draw costs more than the bytes. */
const random = new Uint8Array(8_192)
let drawn = random.length

const nextRandom = (): Uint8Array => {
  if (drawn === random.length) {
    randomFillSync(random)
    drawn = 0
  }
  return random.subarray(drawn, drawn += 16)
}

/**
 * The generator of the stores that are built under it: UUID v7 unless a layer says otherwise, for ids that a test can name.
 *
 * @example
 * ```ts
 * import * as EventId from "effect-skald/event/EventId"
 * import { Layer } from "effect"
 *
 * let count = 0
 * const Counted = Layer.succeed(EventId.EventIds, () => `event-${++count}`)
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export class EventIds extends Context.Reference<EventIds>()("effect-skald/event/EventIds", {
  defaultValue: (): Generator => uuid7
}) {}

/**
 * What is wrong with an event's id, or `undefined`: 1 to 128 UTF-16 code units of well-formed Unicode without control
 * characters, compared by code point, its case kept.
 *
 * @since 0.1.0
 * @category guards
 */
export const problem = (id: unknown): string | undefined => Faults.nameProblem(id, maxLength)
