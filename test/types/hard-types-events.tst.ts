/** What the design promises of events to users, word for word, against the real modules. */
import { Schema } from "effect"
import type { Types } from "effect"
import * as Event from "effect-skald/event/Event"
import { describe, expect, test } from "tstyche"

const PaidV1 = Schema.Struct({ order: Schema.String })
const PaidV2 = Schema.Struct({ order: Schema.String, payment: Schema.String })
const fields = {
  order: Schema.String,
  customer: Schema.String,
  lines: Schema.Number.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 1))
}
export const Placed = Event.make("Placed", fields, { subject: "order.placed", tags: (e) => [`customer:${e.customer}`] })
export const Paid = Event.make("Paid", { order: Schema.String, payment: Schema.String, at: Schema.Number }, {
  version: 3,
  upcast: {
    1: Event.upcast(PaidV1, (o) => ({ ...o, payment: "legacy" })),
    2: Event.upcast(PaidV2, (o) => ({ ...o, at: 0 }))
  }
})
// dprint-ignore
// @ts-expect-error a missing link: No overload matches this call.
export const hole = Event.make("Paid", { order: Schema.String, at: Schema.Number }, { version: 3, upcast: { 2: Event.upcast(PaidV2, (o) => ({ ...o, at: 0 })) } })
class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { order: Schema.String }) {}
export const one = Placed({ order: "o-1", customer: "c-1" })

/** The shape that the design gives an event type. */
interface Promised<Tag extends string, F extends Schema.Struct.Fields> extends Schema.TaggedStruct<Tag, F> {
  readonly version: number
  readonly subject: string
  (fields: Types.Simplify<Schema.Struct.Constructor<F>>): Types.Simplify<{ readonly _tag: Tag } & Schema.Struct.Type<F>>
}
type AnyEvent = Schema.Schema<any, any, never> & { readonly Type: { readonly _tag: string } }

describe("the design's promises about events", () => {
  test("event types have the promised shape, and so has any tagged Schema", () => {
    expect(Placed).type.toBeAssignableTo<Promised<"Placed", typeof fields>>()
    expect(Placed).type.toBeAssignableTo<AnyEvent>()
    expect(Paid).type.toBeAssignableTo<AnyEvent>()
    expect(Cancelled).type.toBeAssignableTo<AnyEvent>()
    expect<AnyEvent>().type.toBe<Event.Any>()
  })

  test("constructor defaults apply, and the value is a plain tagged one", () => {
    expect(one).type.toBe<
      { readonly _tag: "Placed"; readonly order: string; readonly customer: string; readonly lines: number }
    >()
  })
})
