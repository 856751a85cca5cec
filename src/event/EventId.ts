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
  if (millis !== lastMillis) writeTime(millis)
  if (drawn === random.length) {
    randomFillSync(random)
    drawn = 0
  }
  const first = random[drawn]!
  codes[15] = digits[first & 15]!
  codes[19] = variants[first >> 6]!
  codes[16] = digits[random[drawn + 1]! & 15]!
  for (let at = 0; at < places.length; at += 2) {
    const byte = random[drawn + 2 + (at >> 1)]!
    codes[places[at]!] = digits[byte >> 4]!
    codes[places[at + 1]!] = digits[byte & 15]!
  }
  drawn += perId
  // one flat text: one put together of pieces keeps the pieces, for as long as it is kept itself
  return String.fromCharCode.apply(null, codes)
}

/** An id has 48 bits of time. */
const beyond = 2 ** 48
let lastMillis = Number.NaN

const writeTime = (millis: number): void => {
  const time = (((Math.floor(millis) % beyond) + beyond) % beyond).toString(16).padStart(12, "0")
  for (let at = 0; at < 12; at++) codes[at < 8 ? at : at + 1] = time.charCodeAt(at)
  lastMillis = millis
}

const codesOf = (text: string): Array<number> => Array.from(text, (each) => each.charCodeAt(0))

/** The id that is written next, as character codes. */
const codes = codesOf("00000000-0000-7000-8000-000000000000")
const digits = codesOf("0123456789abcdef")
/** Two of the bits there are fixed. */
const variants = codesOf("89ab")
/** Where the random digits go, two of a byte, but for the three that the first two bytes give. */
const places = [17, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35]

/** Random bytes, drawn by the page: a draw costs more than the bytes. */
const perId = 2 + places.length / 2
const random = new Uint8Array(perId * 512)
let drawn = random.length

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
