import type { Effect, Either, Stream } from "effect"
import { Schema } from "effect"
import * as CloudEvents from "effect-skald/event/CloudEvents"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Position from "effect-skald/event/Position"
import * as StreamId from "effect-skald/event/StreamId"
import { describe, expect, test } from "tstyche"

const PaidV1 = Schema.Struct({ order: Schema.String })
const PaidV2 = Schema.Struct({ order: Schema.String, payment: Schema.String })

const Placed = Event.make("Placed", {
  order: Schema.String,
  status: Schema.Literal("new", "paid"),
  lines: Schema.Number.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 1)),
  note: Schema.optional(Schema.String)
})
const Paid = Event.make("Paid", { order: Schema.String, payment: Schema.String, at: Schema.Date }, {
  version: 3,
  subject: "order.paid",
  tags: (event) => [`payment:${event.payment}`],
  upcast: {
    1: Event.upcast(PaidV1, (old) => ({ ...old, payment: "legacy" })),
    2: Event.upcast(PaidV2, (old) => ({ ...old, at: new Date(0) }))
  }
})
class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { order: Schema.String }) {}

describe("Event.make", () => {
  test("keeps the literal tag, and the types of the fields", () => {
    expect(Placed.tag).type.toBe<"Placed">()
    expect<typeof Placed.Type>().type.toBe<
      {
        readonly _tag: "Placed"
        readonly order: string
        readonly status: "new" | "paid"
        readonly lines: number
        readonly note?: string | undefined
      }
    >()
    expect<typeof Paid.Encoded>().type.toBe<
      { readonly _tag: "Paid"; readonly order: string; readonly payment: string; readonly at: string }
    >()
    expect<typeof Paid.Context>().type.toBe<never>()
  })

  test("constructs an event; defaults and optional fields may be left out, the tag is never given", () => {
    expect(Placed({ order: "o", status: "new" })).type.toBe<typeof Placed.Type>()
    expect(Placed).type.toBeCallableWith({ order: "o", status: "paid" as const, lines: 2, note: "x" })
    expect(Placed).type.not.toBeCallableWith({ order: "o" })
    expect(Placed).type.not.toBeCallableWith({ order: "o", status: "lost" as const })
    expect(Placed).type.not.toBeCallableWith({ order: 1, status: "new" as const })
    expect(Placed).type.not.toBeCallableWith()
    const Ticked = Event.make("Ticked", { at: Schema.optional(Schema.Number) })
    expect(Ticked).type.toBeCallableWith()
    expect(Ticked).type.toBeCallableWith({ at: 1 })
    expect(Event.make("Bare", {})).type.toBeCallableWith()
  })

  test("is a Schema wherever one is", () => {
    expect(Placed).type.toBeAssignableTo<Schema.Schema<typeof Placed.Type, typeof Placed.Encoded>>()
    expect(Placed).type.toBeAssignableTo<Event.Any>()
    expect(Schema.Union(Placed, Paid)).type.toBeAssignableTo<Event.Any>()
    expect<Schema.Schema.Type<Schema.Array$<typeof Placed>>>().type.toBe<ReadonlyArray<typeof Placed.Type>>()
    expect(Placed.fields.order).type.toBe<typeof Schema.String>()
    expect(Placed.pipe(Schema.filter((event) => event.lines > 0))).type.toBeAssignableTo<Event.Any>()
  })

  test("refuses a reserved tag", () => {
    expect(Event.make).type.not.toBeCallableWith("$Marked" as const, {})
    expect(Event.make).type.not.toBeCallableWith("" as const, {})
    expect(Event.make).type.toBeCallableWith("Marked$" as const, {})
  })

  test("refuses a field that is the tag", () => {
    expect(Event.make).type.not.toBeCallableWith("Placed" as const, { _tag: Schema.String })
  })

  test("gives tags the event of today", () => {
    Event.make("Placed", { order: Schema.String }, {
      tags: (event) => {
        expect(event.order).type.toBe<string>()
        return []
      }
    })
    Event.make("Placed", { order: Schema.String, at: Schema.Date }, {
      version: 2,
      tags: (event) => {
        expect(event.at).type.toBe<Date>()
        return []
      },
      upcast: { 1: Event.upcast(PaidV1, (old) => ({ ...old, at: new Date(0) })) }
    })
  })
})

describe("a chain of upcasters", () => {
  const fields = { order: Schema.String, payment: Schema.String, at: Schema.Date }
  const one = Event.upcast(PaidV1, (old) => ({ ...old, payment: "legacy" }))
  const two = Event.upcast(PaidV2, (old) => ({ ...old, at: new Date(0) }))

  test("knows the values of each version", () => {
    Event.upcast(PaidV2, (old) => {
      expect(old).type.toBe<typeof PaidV2.Type>()
      return old
    })
    expect(one.to).type.toBe<(old: typeof PaidV1.Type) => { payment: string; order: string }>()
  })

  test("is whole: a missing link does not type-check", () => {
    expect(Event.make).type.toBeCallableWith("Paid" as const, fields, {
      version: 3 as const,
      upcast: { 1: one, 2: two }
    })
    // @ts-expect-error No overload matches this call.
    Event.make("Paid", fields, { version: 3, upcast: { 2: two } })
    // @ts-expect-error No overload matches this call.
    Event.make("Paid", fields, { version: 3, upcast: { 1: one } })
    // @ts-expect-error No overload matches this call.
    Event.make("Paid", fields, { version: 3, upcast: {} })
    // @ts-expect-error No overload matches this call.
    Event.make("Paid", fields, { version: 3 })
  })

  test("is rightly typed: a link that leads elsewhere does not type-check", () => {
    const astray = Event.upcast(PaidV1, (old) => ({ ...old, payment: 7 }))
    // @ts-expect-error No overload matches this call.
    Event.make("Paid", fields, { version: 3, upcast: { 1: astray, 2: two } })
    const short = Event.upcast(PaidV2, (old) => old)
    // @ts-expect-error No overload matches this call.
    Event.make("Paid", fields, { version: 3, upcast: { 1: one, 2: short } })
  })
})

describe("Event.group", () => {
  test("knows every event", () => {
    const Orders = Event.group([Placed, Paid, Cancelled])
    expect<Schema.Schema.Type<typeof Orders.schema>>().type.toBe<typeof Placed.Type | typeof Paid.Type | Cancelled>()
    expect(Orders.types).type.toBe<readonly [typeof Placed, typeof Paid, typeof Cancelled]>()
  })

  test("accepts every tagged Schema, and nothing untagged", () => {
    Event.group([Schema.TaggedStruct("A", {}), Cancelled, Schema.Union(Placed, Paid)])
    Event.group([])
    // @ts-expect-error is not assignable to type
    Event.group([Schema.Struct({ order: Schema.String })])
    // @ts-expect-error is not assignable to type
    Event.group([Schema.String])
  })

  test("refuses a tag that stands twice, naming it", () => {
    // @ts-expect-error "two event types with the tag"
    Event.group([Placed, Paid, Placed])
    // @ts-expect-error "two event types with the tag"
    Event.group([Placed, Schema.TaggedStruct("Placed", {})])
    // @ts-expect-error "two event types with the tag"
    Event.group([Schema.Union(Placed, Paid), Paid])
  })
})

describe("EventCodec", () => {
  const Orders = Event.group([Placed, Cancelled])

  test("codes the events of its group", () => {
    const codec = EventCodec.make(Orders)
    expect(codec).type.toBe<EventCodec.EventCodec<typeof Placed.Type | Cancelled>>()
    expect(codec.decode).type.toBe<
      (raw: Envelope.Raw) => Either.Either<Envelope.Recorded<typeof Placed.Type | Cancelled>, EventCodec.DecodeError>
    >()
    expect(EventCodec.encode).type.not.toBeCallableWith(codec, Paid({ order: "o", payment: "p", at: new Date(0) }))
  })

  test("gives what it does not know only where that is asked for", () => {
    const keeping = EventCodec.make(Orders, { unknown: "keep" })
    expect(keeping).type.toBe<
      EventCodec.EventCodec<typeof Placed.Type | Cancelled, typeof Placed.Type | Cancelled | EventCodec.Unknown>
    >()
    expect(EventCodec.make(Orders, { unknown: "fail" })).type.toBe<
      EventCodec.EventCodec<typeof Placed.Type | Cancelled>
    >()
  })
})

describe("Envelope", () => {
  test("is of its event", () => {
    const made = Envelope.make(Placed({ order: "o", status: "new" }), { id: "1", headers: { a: "b" } })
    expect(made).type.toBe<Envelope.New<typeof Placed.Type>>()
    expect(Envelope.make).type.not.toBeCallableWith({ order: "o" })
    expect(Envelope.make).type.not.toBeCallableWith(Placed({ order: "o", status: "new" }), { headers: { a: 1 } })
  })

  test("a recorded event is one of a wider payload, too", () => {
    expect<Envelope.Recorded<Cancelled>>().type.toBeAssignableTo<Envelope.Recorded<Cancelled | typeof Placed.Type>>()
    expect<Envelope.Recorded<Cancelled>>().type.toBeAssignableTo<Envelope.Raw>()
    expect<Envelope.Raw>().type.not.toBeAssignableTo<Envelope.Recorded<Cancelled>>()
  })
})

describe("names and places", () => {
  test("cannot be taken for one another", () => {
    expect(StreamId.make("order", "1")).type.toBe<Either.Either<StreamId.StreamId, InvalidInput>>()
    expect<string>().type.not.toBeAssignableTo<StreamId.StreamId>()
    expect<Position.Position>().type.not.toBeAssignableTo<Position.StreamVersion>()
    expect<Position.StreamVersion>().type.not.toBeAssignableTo<Position.Position>()
    expect<number>().type.not.toBeAssignableTo<Position.Position>()
    expect<Position.ExpectedVersion>().type.toBe<number | "any" | "noStream" | "streamExists">()
  })
})

describe("Correlation", () => {
  test("leaves an effect's type alone, both ways it is called", () => {
    const effect = null as unknown as Effect.Effect<1, "e", "r">
    expect(effect.pipe(Correlation.locally({ tenant: "a" }))).type.toBe<Effect.Effect<1, "e", "r">>()
    expect(Correlation.locally(effect, { tenant: "a" })).type.toBe<Effect.Effect<1, "e", "r">>()
    expect(effect.pipe(Correlation.causedBy({ id: "1", metadata: {} }))).type.toBe<Effect.Effect<1, "e", "r">>()
    expect(Correlation.locally).type.not.toBeCallableWith({ tenant: 1 })
    expect<Stream.Stream<1>>().type.not.toBeAssignableTo<Parameters<typeof Correlation.causedBy>[0]>()
  })
})

describe("CloudEvents", () => {
  test("take raw events and give them back, failing with every fault", () => {
    expect(CloudEvents.encode).type.toBe<(recorded: Envelope.Raw) => CloudEvents.CloudEvent>()
    expect(CloudEvents.decode({})).type.toBe<Effect.Effect<Envelope.Raw, InvalidInput>>()
    expect(CloudEvents.decodeBatch([])).type.toBe<Effect.Effect<ReadonlyArray<Envelope.Raw>, InvalidInput>>()
    expect<Schema.Schema.Type<typeof CloudEvents.CloudEvent>>().type.toBe<CloudEvents.CloudEvent>()
    expect<Schema.Schema.Encoded<typeof CloudEvents.CloudEvent>>().type.toBe<CloudEvents.CloudEvent>()
    expect({ specversion: "1.0" as const, id: "1", source: "/", type: "t", anything: true }).type.toBeAssignableTo<
      CloudEvents.CloudEvent
    >()
    expect({ specversion: "0.3" as const, id: "1", source: "/", type: "t" }).type.not.toBeAssignableTo<
      CloudEvents.CloudEvent
    >()
  })
})
