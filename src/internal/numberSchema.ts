import * as Schema from "effect/Schema"

/** What JSON has no word for, or another number. */
const words = ["NaN", "Infinity", "-Infinity", "-0"] as const

/** Any number as a JSON value: also those that JSON has no number for, which it would make `null`. */
export const AnyNumber: Schema.Schema<number, number | (typeof words)[number]> = Schema.transform(
  Schema.Union(Schema.Number, Schema.Literal(...words)),
  Schema.Number,
  {
    strict: true,
    decode: Number,
    encode: (number) => words.find((word) => Object.is(Number(word), number)) ?? number
  }
)

/** A text or any number, which stay apart: `"NaN"` is not `NaN`. */
export const TextOrNumber: Schema.Schema<string | number, any> = Schema.Union(
  Schema.String,
  Schema.JsonNumber,
  Schema.transform(
    Schema.Struct({ number: Schema.Literal("NaN", "Infinity", "-Infinity") }),
    Schema.Number.pipe(Schema.filter((number) => !Number.isFinite(number))),
    {
      strict: true,
      decode: ({ number }) => Number(number),
      encode: (number) => ({ number: String(number) as "NaN" | "Infinity" | "-Infinity" })
    }
  )
)
