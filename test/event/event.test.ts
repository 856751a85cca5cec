import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Equal, FastCheck as fc, JSONSchema, ParseResult, Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Arbitraries from "effect-skald/testing/Arbitraries"

const PaidV1 = Schema.Struct({ order: Schema.String })
const PaidV2 = Schema.Struct({ order: Schema.String, payment: Schema.String })

const Placed = Event.make("Placed", {
  order: Schema.String,
  customer: Schema.String,
  lines: Schema.Int.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 1)),
  note: Schema.optional(Schema.String)
}, { subject: "order.placed", tags: (event) => [`customer:${event.customer}`] })

const Paid = Event.make("Paid", { order: Schema.String, payment: Schema.String, at: Schema.Date }, {
  version: 3,
  subject: "order.paid",
  upcast: {
    1: Event.upcast(PaidV1, (old) => ({ ...old, payment: "legacy" })),
    2: Event.upcast(PaidV2, (old) => ({ ...old, at: new Date(0) }))
  }
})

class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { order: Schema.String }) {}

const Failed = Schema.TaggedStruct("Failed", { order: Schema.String })

const faultsOf = (build: () => unknown): ReadonlyArray<string> => {
  try {
    build()
  } catch (error) {
    assert.instanceOf(error, InvalidInput)
    return (error as InvalidInput).faults.map((fault) => `${fault.path}: ${fault.problem}`)
  }
  return []
}

describe("constructing an event", () => {
  it("gives a plain tagged value, with the defaults of its fields", () => {
    const event = Placed({ order: "o-1", customer: "c-1" })
    assert.deepStrictEqual(event, { _tag: "Placed", order: "o-1", customer: "c-1", lines: 1 })
    assert.strictEqual(Object.getPrototypeOf(event), Object.prototype)
    assert.deepStrictEqual(Placed({ order: "o-1", customer: "c-1", lines: 4 }).lines, 4)
    assert.deepStrictEqual(Placed.make({ order: "o-1", customer: "c-1" }), event)
  })

  it("throws what Schema throws for what it refuses, every fault named", () => {
    const build = () => Placed({ order: "o-1", customer: "c-1", lines: 1.5 })
    assert.throws(build, ParseResult.ParseError as never)
    assert.throws(build, /lines/)
  })

  it("keeps the tag its own, whatever it is given", () => {
    assert.strictEqual(Placed({ _tag: "Place", order: "o-1", customer: "c-1" } as never)._tag, "Placed")
  })

  it("needs no argument where no field is needed", () => {
    const Ticked = Event.make("Ticked", { at: Schema.optional(Schema.Number) })
    assert.deepStrictEqual(Ticked(), { _tag: "Ticked" })
    assert.deepStrictEqual(Ticked({ at: 1 }), { _tag: "Ticked", at: 1 })
  })

  it("never throws for what its Schema makes", () => {
    fc.assert(fc.property(Arbitrary.make(Paid), (event) => {
      assert.deepStrictEqual(Paid(event), event)
    }))
  })
})

describe("an event type is a Schema", () => {
  const everywhere: ReadonlyArray<readonly [string, Schema.Schema<any, any>]> = [
    ["itself", Placed],
    ["in a union", Schema.Union(Placed, Paid)],
    ["in an array", Schema.Array(Placed)],
    ["in a struct", Schema.Struct({ event: Placed, all: Schema.NonEmptyArray(Paid) })],
    ["in a record", Schema.Record({ key: Schema.String, value: Placed })],
    ["in a tuple", Schema.Tuple(Placed, Schema.optionalElement(Paid))],
    ["optional", Schema.Struct({ event: Schema.optional(Placed) })],
    ["nullable", Schema.NullOr(Placed)],
    ["in an Option", Schema.Option(Placed)],
    ["filtered", Placed.pipe(Schema.filter((event) => event.lines !== 13))],
    ["branded", Placed.pipe(Schema.brand("Checked"))],
    ["annotated", Placed.annotations({ title: "an order was placed" })],
    ["extended", Schema.extend(Placed, Schema.Struct({ extra: Schema.Number }))],
    ["without a field", Placed.pipe(Schema.omit("customer"))],
    ["with some fields", Paid.pipe(Schema.pick("_tag", "at"))],
    ["partial", Schema.partial(Paid)],
    ["mutable", Schema.mutable(Paid)],
    [
      "in a class",
      (() => {
        class Holder extends Schema.Class<Holder>("Holder")({ event: Paid }) {}
        return Holder
      })()
    ],
    ["suspended", Schema.suspend(() => Placed)],
    ["as JSON", Schema.parseJson(Paid)],
    ["composed", Schema.compose(Schema.parseJson(), Paid, { strict: false })],
    [
      "transformed",
      Schema.transform(Paid, Schema.String, {
        decode: (e) => e.order,
        encode: (order) => ({ _tag: "Paid" as const, order, payment: "p", at: new Date(0) })
      })
    ],
    ["the decoded side", Schema.typeSchema(Paid)],
    ["the encoded side", Schema.encodedSchema(Paid)]
  ]

  for (const [place, schema] of everywhere) {
    it(`${place}: its values are made, checked, coded and compared`, () => {
      assert.isTrue(Schema.isSchema(schema))
      const is = Schema.is(schema)
      const equals = Schema.equivalence(schema)
      fc.assert(
        fc.property(Arbitraries.of(schema), (value) => {
          assert.isTrue(is(value))
          const encoded = Schema.encodeSync(schema)(value)
          const decoded = Schema.decodeUnknownSync(schema)(encoded)
          assert.isTrue(is(decoded))
          // a transformation need not come back with its source's equality; its own must hold
          assert.isTrue(equals(decoded, value))
        }),
        { numRuns: 20 }
      )
    })
  }

  it("has a JSON Schema under its tag, of which its copies are references", () => {
    const schema: any = JSONSchema.make(Schema.Struct({ one: Placed, many: Schema.Array(Placed), other: Failed }))
    assert.deepStrictEqual(schema.properties.one, { $ref: "#/$defs/Placed" })
    assert.deepStrictEqual(schema.properties.many.items, { $ref: "#/$defs/Placed" })
    assert.deepStrictEqual(Object.keys(schema.$defs), ["Placed", "Int"])
    assert.deepStrictEqual(schema.$defs.Placed.required, ["_tag", "order", "customer", "lines"])
  })

  it("says its tag in messages and as a function", () => {
    assert.strictEqual(String(Placed.ast), "Placed")
    assert.strictEqual(Placed.name, "Placed")
    assert.match(
      String((Schema.decodeUnknownEither(Placed)({ _tag: "Placed" }) as any).left),
      /^\(?ParseError: Placed|^Placed/
    )
  })

  it("shows its fields, and what was said of it", () => {
    assert.deepStrictEqual(Object.keys(Placed.fields), ["_tag", "order", "customer", "lines", "note"])
    assert.strictEqual(Placed.tag, "Placed")
    assert.strictEqual(Placed.version, 1)
    assert.strictEqual(Placed.subject, "order.placed")
    assert.strictEqual(Paid.version, 3)
    assert.deepStrictEqual(Object.keys(Paid.upcasters), ["1", "2"])
    assert.deepStrictEqual(Placed.tagsOf(Placed({ order: "o", customer: "c" })), ["customer:c"])
    assert.deepStrictEqual(Paid.tagsOf(Paid({ order: "o", payment: "p", at: new Date(0) })), [])
    assert.strictEqual(Event.make("Bare", {}).subject, "Bare")
  })

  it("pipes", () => {
    assert.strictEqual(Placed.pipe((schema) => schema), Placed)
    assert.isTrue(Schema.is(Placed.pipe(Schema.filter(() => true)))(Placed({ order: "o", customer: "c" })))
    assert.isFalse(Schema.is(Placed.pipe(Schema.filter(() => false)))(Placed({ order: "o", customer: "c" })))
  })
})

describe("an event type that is refused", () => {
  it("names every fault", () => {
    assert.deepStrictEqual(
      faultsOf(() =>
        Event.make("$Marked" as never, { _tag: Schema.String } as never, {
          version: 4,
          subject: "",
          upcast: { 0: Event.upcast(PaidV1, (old) => old), 2: {}, 7: Event.upcast(PaidV1, (old) => old) }
        } as never)
      ),
      [
        "tag: must not begin with \"$\", which marks the library's own, got \"$Marked\"",
        "fields._tag: is taken by the event's tag",
        "options.subject: must not be empty",
        "options.upcast[1]: must lead from version 1 to 2",
        "options.upcast[2]: must lead from version 2 to 3",
        "options.upcast[3]: must lead from version 3 to 4",
        "options.upcast[0]: must be a version below 4",
        "options.upcast[7]: must be a version below 4"
      ]
    )
  })

  const tags: ReadonlyArray<readonly [unknown, string]> = [
    ["", "tag: must not be empty"],
    ["$Any", "tag: must not begin with \"$\", which marks the library's own, got \"$Any\""],
    ["a\u0000b", "tag: must not hold control characters, got \"a\\u0000b\""],
    ["\ud800", "tag: must be well-formed Unicode, got \"\\ud800\""],
    ["x".repeat(513), "tag: must have at most 512 UTF-16 code units, has 513"],
    [7, "tag: must be a string, got 7"],
    [undefined, "tag: must be a string, got undefined"]
  ]
  for (const [tag, fault] of tags) {
    it(`for the tag ${JSON.stringify(tag)?.slice(0, 12)}`, () => {
      assert.deepStrictEqual(faultsOf(() => Event.make(tag as never, {})), [fault])
      assert.strictEqual(Event.tagProblem(tag), fault.slice("tag: ".length))
    })
  }

  const versions: ReadonlyArray<readonly [unknown, string]> = [
    [0, "must be at least 1, got 0"],
    [-1, "must be at least 1, got -1"],
    [1.5, "must be a whole number, got 1.5"],
    [Number.NaN, "must be a whole number, got NaN"],
    [2 ** 53, "must be a whole number, got 9007199254740992"],
    ["2", "must be a number, got \"2\""]
  ]
  for (const [version, problem] of versions) {
    it(`for the version ${String(version)}`, () => {
      assert.deepStrictEqual(
        faultsOf(() => Event.make("Paid", {}, { version, upcast: {} } as never)),
        [`options.version: ${problem}`]
      )
    })
  }

  it("for a version beyond what anyone can have upcasters for, without naming each", () => {
    assert.deepStrictEqual(
      faultsOf(() => Event.make("Paid", {}, { version: 1_000_000, upcast: {} } as never)).length,
      1
    )
  })
})

describe("a group", () => {
  it("knows each tag of every kind of event type", () => {
    const group = Event.group([Placed, Schema.Union(Paid, Cancelled), Failed])
    assert.deepStrictEqual(Array.from(group.entries.keys()), ["Placed", "Paid", "Cancelled", "Failed"])
    assert.deepStrictEqual(
      Array.from(group.entries.values(), ({ subject, version }) => [subject, version]),
      [["order.placed", 1], ["order.paid", 3], ["Cancelled", 1], ["Failed", 1]]
    )
    assert.deepStrictEqual(group.types.length, 3)
    assert.isTrue(Schema.is(group.schema)(new Cancelled({ order: "o" })))
  })

  it("reads a tag that is a union of literals", () => {
    const Moved = Schema.Struct({ _tag: Schema.Literal("Up", "Down"), by: Schema.Number })
    assert.deepStrictEqual(Array.from(Event.group([Moved]).entries.keys()), ["Up", "Down"])
  })

  it("of none is a group that knows nothing", () => {
    assert.strictEqual(Event.group([]).entries.size, 0)
  })

  const copies: ReadonlyArray<readonly [string, Event.Any]> = [
    ["annotated", Paid.annotations({ title: "paid" })],
    ["annotated with another identifier", Paid.annotations({ identifier: "PaidEvent" })],
    ["filtered", Paid.pipe(Schema.filter(() => true))],
    [
      "filtered twice and branded",
      Paid.pipe(Schema.filter(() => true), Schema.filter(() => true), Schema.brand("Checked"))
    ],
    ["suspended", Schema.suspend(() => Paid) as never],
    ["mutable", Schema.mutable(Paid) as never],
    ["in a union of one", Schema.Union(Paid) as never],
    ["in a filtered union", Schema.Union(Placed, Paid).pipe(Schema.filter(() => true)) as never],
    ["in a suspended union", Schema.suspend(() => Schema.Union(Placed, Schema.suspend(() => Paid))) as never],
    ["in an annotated union", Schema.Union(Placed, Paid).annotations({ identifier: "OrderEvent" })],
    ["in a union in a union", Schema.Union(Placed, Schema.Union(Cancelled, Paid)) as never]
  ]
  for (const [how, copy] of copies) {
    it(`knows version, subject and upcasters of an event type that is ${how}`, () => {
      const entry = Event.group([copy]).entries.get("Paid")!
      assert.strictEqual(entry.version, 3)
      assert.strictEqual(entry.subject, "order.paid")
      assert.strictEqual(entry.upcasters, Paid.upcasters)
    })
  }

  it("refuses what turns a versioned event type into something else, for its upcasters do not lead there", () => {
    const turned = Schema.transform(Paid, Schema.typeSchema(Paid), {
      strict: false,
      decode: (event: any) => event,
      encode: (event: any) => event
    })
    const fault = ["events[0]: must not transform \"Paid\", which has upcasters"]
    assert.deepStrictEqual(faultsOf(() => Event.group([turned] as never)), fault)
    assert.deepStrictEqual(faultsOf(() => Event.group([turned.pipe(Schema.filter(() => true))] as never)), fault)
    assert.deepStrictEqual(
      faultsOf(() => Event.group([Schema.compose(Schema.parseJson(), Paid, { strict: false })] as never)),
      fault
    )
  })

  it("names every fault, with the place", () => {
    assert.deepStrictEqual(
      faultsOf(() =>
        Event.group([
          Placed,
          Schema.Struct({ name: Schema.String }),
          Placed,
          Schema.Union(Paid, Paid),
          "Placed",
          Schema.TaggedStruct("$Mark", {}),
          Schema.Struct({ _tag: Schema.String }),
          Schema.TaggedStruct("", {}),
          undefined
        ] as never)
      ),
      [
        "events[1]: must be a Schema of values with a literal \"_tag\"",
        "events[2]._tag: must differ from the others', \"Placed\" stands twice",
        "events[3]._tag: must differ from the others', \"Paid\" stands twice",
        "events[4]: must be a Schema, got \"Placed\"",
        "events[5]._tag: must not begin with \"$\", which marks the library's own, got \"$Mark\"",
        "events[6]: must be a Schema of values with a literal \"_tag\"",
        "events[7]._tag: must not be empty",
        "events[8]: must be a Schema, got undefined"
      ]
    )
  })

  it("refuses what is no list of event types", () => {
    for (const types of [undefined, null, "Placed", Placed, {}]) {
      assert.lengthOf(faultsOf(() => Event.group(types as never)), 1)
    }
  })

  it("is equal to no other, and its entries compare by identity", () => {
    assert.isFalse(Equal.equals(Event.group([Placed]), Event.group([Placed])))
  })
})
