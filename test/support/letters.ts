/** Three kinds of events, and patterns of them as text. */
import * as PatternText from "effect-skald/cep/PatternText"
import * as Event from "effect-skald/event/Event"
import { Either, Schema } from "effect"

const fields = { key: Schema.optional(Schema.String), at: Schema.Number }
export const A = Event.make("A", fields)
export const B = Event.make("B", fields)
export const C = Event.make("C", fields)
export const Any = Schema.Union(A, B, C)
export type Any = typeof Any.Type

export const pattern = (text: string) =>
  Either.getOrThrowWith(PatternText.parse(text, { events: [A, B, C] }), (error) => error)
export const timestamp = ({ at }: Any) => at
export const keyBy = ({ key }: Any) => key
