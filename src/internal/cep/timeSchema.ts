import * as Schema from "effect/Schema"

/** The last instant that a `Date` knows, in milliseconds since 1970, and as far before it is the first. */
const furthest = 8.64e15

/**
 * Whether a time is an instant. What is beyond is none that anybody means, microseconds perhaps; and what is beyond 2⁵³ has
 * no next millisecond.
 */
export const isInstant = (time: number): boolean => time >= -furthest && time <= furthest

/** An instant in milliseconds as a JSON value, which times before any and after all are no numbers of. */
export const Instant: Schema.Schema<number, number | "-Infinity" | "Infinity"> = Schema.transform(
  Schema.Union(Schema.Number, Schema.Literal("-Infinity", "Infinity")),
  Schema.Number,
  {
    strict: true,
    decode: (time) => typeof time === "number" ? time : Number(time),
    encode: (time) => time === Number.POSITIVE_INFINITY ? "Infinity" : time === -Infinity ? "-Infinity" : time
  }
)
