import * as Schema from "effect/Schema"

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
