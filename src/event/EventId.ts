/**
 * Where the ids of events come from, when the appender gives none.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import { randomFillSync } from "node:crypto"
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
export const uuid7: Generator = (millis) => {
  if (millis !== lastMillis) {
    const time = (((Math.floor(millis) % beyond) + beyond) % beyond).toString(16).padStart(12, "0")
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`
    lastMillis = millis
  }
  if (drawn === digits.length) draw()
  const at = drawn
  drawn += perId
  const digit = digits.charCodeAt(at)
  return prefix + digits.slice(at + 1, at + 4) + variants[(digit < 97 ? digit : digit - 87) & 3]! +
    digits.slice(at + 4, at + 7) + "-" + digits.slice(at + 7, at + perId)
}

/** An id has 48 bits of time. */
const beyond = 2 ** 48
let lastMillis = Number.NaN
let prefix = ""

/** Its two highest bits are fixed. */
const variants = ["-8", "-9", "-a", "-b"]

/** Random digits, drawn by the page: a draw costs more than the bytes, and so does writing bytes as digits one by one. */
const perId = 19
const random = new Uint8Array(perId * 256)
let digits = ""
let drawn = 0

const draw = (): void => {
  digits = Buffer.from(randomFillSync(random).buffer).toString("hex")
  drawn = 0
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
