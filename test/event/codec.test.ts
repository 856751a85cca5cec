import { assert, describe, it } from "@effect/vitest"
import { BigDecimal, DateTime, Effect, Either, FastCheck as fc, Option, Schema } from "effect"
import type * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import type { Fault } from "effect-skald/event/InvalidInput"
import * as MessagePack from "effect-skald/event/MessagePack"
import * as PayloadFormat from "effect-skald/event/PayloadFormat"
import * as Position from "effect-skald/event/Position"
import type { StreamId } from "effect-skald/event/StreamId"
import * as Arbitraries from "effect-skald/testing/Arbitraries"

// ---- every shape of event that an application may have

class Address extends Schema.Class<Address>("Address")({ street: Schema.String, number: Schema.Int }) {}

class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", {
  order: Schema.String,
  reason: Schema.optionalWith(Schema.String, { as: "Option" }),
  at: Schema.DateTimeUtc
}) {}

const Placed = Event.make("Placed", {
  order: Schema.String,
  on: Schema.Date,
  total: Schema.BigInt,
  weight: Schema.BigDecimal,
  ship: Schema.NullOr(Address),
  lines: Schema.Array(Schema.Struct({ sku: Schema.NonEmptyString, count: Schema.Positive })),
  labels: Schema.HashMap({ key: Schema.String, value: Schema.Number.pipe(Schema.finite()) }),
  note: Schema.optional(Schema.String),
  exact: Schema.optionalWith(Schema.Int, { exact: true }),
  absent: Schema.OptionFromNullOr(Schema.String),
  priority: Schema.optionalWith(Schema.Int, { default: () => 4 }),
  count: Schema.Int.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 1)),
  renamed: Schema.propertySignature(Schema.Boolean).pipe(Schema.fromKey("old_name")),
  bytes: Schema.Uint8ArrayFromBase64,
  free: Schema.Record({ key: Schema.String, value: Schema.Number.pipe(Schema.finite()) })
}, { subject: "order.placed", tags: (event) => [`order:${event.order.length}`, "order", "order"] })

const Moved = Schema.Struct({ _tag: Schema.Literal("Up", "Down"), by: Schema.Int })

interface Tree {
  readonly label: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  label: Schema.String,
  children: Schema.Array(Schema.suspend(() => Tree))
})
const Grown = Event.make("Grown", { tree: Tree })

const Free = Event.make("Free", { payload: Schema.Unknown })

const PaidV1 = Schema.Struct({ order: Schema.String, cents: Schema.NumberFromString })
const PaidV2 = Schema.TaggedStruct("Paid", { order: Schema.String, amount: Schema.Number })
const PaidV3 = Schema.Struct({ order: Schema.String, amount: Schema.Number, on: Schema.Date })
const Paid = Event.make("Paid", {
  order: Schema.String,
  amount: Schema.Number,
  on: Schema.Date,
  currency: Schema.Literal("EUR", "USD")
}, {
  version: 4,
  upcast: {
    1: Event.upcast(PaidV1, ({ cents, order }) => ({ _tag: "Paid" as const, order, amount: cents / 100 })),
    2: Event.upcast(PaidV2, ({ amount, order }) => ({ order, amount, on: new Date(0) })),
    3: Event.upcast(PaidV3, (old) => ({ ...old, currency: "EUR" as const }))
  }
})

const all = Event.group([Placed, Schema.Union(Cancelled, Paid), Moved, Grown, Free])
const codec = EventCodec.make(all)
type All = typeof all["schema"]["Type"]

const place = {
  id: "e-1",
  stream: "order-42" as StreamId,
  version: Position.StreamVersion.make(3),
  position: Position.Position.make(17),
  metadata: {},
  source: "/",
  tags: [],
  occurredAt: DateTime.unsafeMake(0),
  recordedAt: DateTime.unsafeMake(0)
}

const raw = (type: string, payload: unknown, schemaVersion = 1): Envelope.Raw => ({
  ...place,
  type,
  schemaVersion,
  payload
})

const encode = <E>(by: EventCodec.EventCodec<E, any>, event: unknown): EventCodec.Encoded =>
  Either.getOrThrowWith(EventCodec.encode(by, event as E), (error) => error)

const faultsOf = (event: unknown, by: EventCodec.EventCodec<any, any> = codec): ReadonlyArray<string> =>
  Either.match(EventCodec.encode(by, event), {
    onLeft: (error) => error.faults.map((fault) => `${fault.path}: ${fault.problem}`),
    onRight: () => []
  })

const errorOf = (found: Envelope.Raw, by: EventCodec.EventCodec<any, any> = codec): EventCodec.DecodeError =>
  Either.getOrThrowWith(Either.flip(by.decode(found)), () => new Error("was decoded"))

describe("what is encoded", () => {
  const eventual: fc.Arbitrary<All> = fc.oneof(
    Arbitraries.of(Placed),
    Arbitraries.of(Cancelled),
    Arbitraries.of(Paid),
    Arbitraries.of(Moved),
    Arbitraries.of(Grown)
  )

  for (const format of [PayloadFormat.json, MessagePack.format]) {
    it(`is decoded to the same event, through ${format.name}`, () => {
      fc.assert(
        fc.property(eventual, (event) => {
          const { payload, schemaVersion, type } = encode(codec, event)
          const stored = format.read(format.write(payload))
          const read = codec.decode(raw(type, stored, schemaVersion))
          const decoded = Either.getOrThrowWith(read, (error) => error).payload
          assert.isTrue(equals(normal(decoded), normal(event)))
          assert.strictEqual(Object.getPrototypeOf(decoded), Object.getPrototypeOf(event))
          assert.deepStrictEqual(normal(encode(codec, decoded).payload), normal(payload))
        }),
        { numRuns: 200 }
      )
    })
  }

  const equals = Schema.equivalence(all.schema)

  /** `undefined` members are absent in JSON, and -0 is 0. */
  const normal = (value: any): any =>
    Object.is(value, -0) ?
      0 :
      value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype
      ? Object.fromEntries(
        Object.entries(value).filter(([, member]) => member !== undefined).map(([key, member]) => [key, normal(member)])
      )
      : Array.isArray(value)
      ? value.map(normal)
      : value

  it("names its type, its schema version and its set of tags", () => {
    assert.deepStrictEqual(encode(codec, Paid({ order: "o", amount: 1, on: new Date(0), currency: "USD" })), {
      type: "Paid",
      schemaVersion: 4,
      payload: { _tag: "Paid", order: "o", amount: 1, on: "1970-01-01T00:00:00.000Z", currency: "USD" },
      tags: []
    })
    fc.assert(
      fc.property(Arbitraries.of(Placed), (event) => {
        assert.deepStrictEqual(encode(codec, event).tags, [`order:${event.order.length}`, "order"])
      }),
      { numRuns: 20 }
    )
    assert.strictEqual(encode(codec, { _tag: "Down", by: 1 }).type, "Down")
  })

  it("is a filtered copy's too, with the version of the type", () => {
    const checked = EventCodec.make(Event.group([Paid.pipe(Schema.filter((event) => event.amount >= 0))]))
    const event = Paid({ order: "o", amount: 1, on: new Date(0), currency: "USD" })
    assert.strictEqual(encode(checked, event).schemaVersion, 4)
    assert.lengthOf(faultsOf({ ...event, amount: -1 }, checked), 1)
    const old = checked.decode(raw("Paid", { _tag: "Paid", order: "o", cents: "-100" }, 1))
    assert.strictEqual(Either.getOrThrow(Either.flip(old))._tag, "UndecodableEvent")
  })

  it("may be a plain value of a class's fields, and is read as its instance", () => {
    const fields = { order: "o", reason: Option.some("r"), at: DateTime.unsafeMake(0) }
    const { payload } = encode(codec, { _tag: "Cancelled", ...fields })
    assert.deepStrictEqual(payload, encode(codec, new Cancelled(fields)).payload)
    assert.instanceOf(Either.getOrThrow(codec.decode(raw("Cancelled", payload))).payload, Cancelled)
  })

  it("is never changed by decoding, nor is the recorded event", () => {
    const stored = Object.freeze(raw("Free", Object.freeze({ _tag: "Free", payload: Object.freeze([1]) })))
    const read = Either.getOrThrow(codec.decode(stored))
    assert.deepStrictEqual({ ...read }, { ...stored })
    assert.notStrictEqual(read, stored)
  })
})

describe("events of older versions", () => {
  const chain: ReadonlyArray<readonly [number, Schema.Schema<any, any>]> = [[1, PaidV1], [2, PaidV2], [3, PaidV3], [
    4,
    Paid
  ]]
  for (const [version, schema] of chain) {
    it(`version ${version}: each value becomes a valid event of today`, () => {
      const encodeOld = Schema.encodeSync(schema)
      fc.assert(fc.property(Arbitraries.of(schema), (old) => {
        const stored = JSON.parse(JSON.stringify(encodeOld(old)))
        const read = codec.decode(raw("Paid", stored, version))
        const event = Either.getOrThrowWith(read, (error) => error).payload
        assert.isTrue(Schema.is(Paid)(event))
        assert.strictEqual(event._tag, "Paid")
        if (version < 4) assert.deepInclude(event, { order: old.order, currency: "EUR" })
      }))
    })
  }

  it("go through every link", () => {
    const read = codec.decode(raw("Paid", { _tag: "Paid", order: "o", cents: "250" }, 1))
    assert.deepStrictEqual(Either.getOrThrow(read).payload, {
      _tag: "Paid",
      order: "o",
      amount: 2.5,
      on: new Date(0),
      currency: "EUR"
    } as never)
    assert.strictEqual(Either.getOrThrow(read).schemaVersion, 1)
  })

  it("are read where the payload leaves the tag to its envelope", () => {
    for (const [version, payload] of [[1, { order: "o", cents: "1" }], [2, { order: "o", amount: 1 }]] as const) {
      assert.isTrue(Either.isRight(codec.decode(raw("Paid", payload, version))), `version ${version}`)
    }
    assert.isTrue(Either.isRight(codec.decode(raw("Up", { by: 1 }))))
  })

  it("leave nothing of the old fields that today's Schema does not have", () => {
    const Renamed = Event.make("Renamed", { name: Schema.String }, {
      version: 2,
      upcast: { 1: Event.upcast(Schema.Struct({ title: Schema.String }), (old) => ({ ...old, name: old.title })) }
    })
    const read = EventCodec.make(Event.group([Renamed])).decode(raw("Renamed", { _tag: "Renamed", title: "x" }, 1))
    assert.deepStrictEqual(Either.getOrThrow(read).payload, { _tag: "Renamed", name: "x" })
  })

  it("are refused where an upcaster throws, with what it threw", () => {
    const boom = new Error("no such order")
    const Broken = Event.make("Broken", { order: Schema.String }, {
      version: 2,
      upcast: {
        1: Event.upcast(Schema.Struct({}), (): { readonly order: string } => {
          throw boom
        })
      }
    })
    const error = errorOf(raw("Broken", {}, 1), EventCodec.make(Event.group([Broken])))
    assert.strictEqual(error._tag, "UndecodableEvent")
    assert.strictEqual((error as EventCodec.UndecodableEvent).cause, boom)
    assert.strictEqual(
      error.message,
      "cannot decode Broken (schema version 1), event e-1 at version 3 of order-42, position 17:\n"
        + "an upcaster threw Error: no such order"
    )
  })

  it("are refused where an upcaster makes what today's Schema refuses", () => {
    const Positive = Event.make("Positive", { n: Schema.Positive }, {
      version: 2,
      upcast: { 1: Event.upcast(Schema.Struct({ n: Schema.Number }), (old) => old) }
    })
    const by = EventCodec.make(Event.group([Positive]))
    assert.isTrue(Either.isRight(by.decode(raw("Positive", { n: 1 }, 1))))
    const error = errorOf(raw("Positive", { n: -1 }, 1), by) as EventCodec.UndecodableEvent
    assert.deepStrictEqual(error.faults.map((fault) => fault.path), ["payload.n"])
    for (const nonsense of [undefined, null, 7, "x", []]) {
      const Nonsense = Event.make("Nonsense", { n: Schema.Number }, {
        version: 2,
        upcast: { 1: Event.upcast(Schema.Struct({}), () => nonsense as never) }
      })
      assert.strictEqual(
        errorOf(raw("Nonsense", {}, 1), EventCodec.make(Event.group([Nonsense])))._tag,
        "UndecodableEvent"
      )
    }
  })

  it("of versions never heard of are unknown, newer or older", () => {
    for (const version of [5, 0, -1, 1.5, Number.NaN]) {
      const error = errorOf(raw("Paid", {}, version)) as EventCodec.UnknownEventType
      assert.strictEqual(error._tag, "UnknownEventType")
      assert.strictEqual(error.reason, "unknownSchemaVersion")
      assert.deepStrictEqual(error.known, ["4"])
    }
  })
})

describe("what cannot be read", () => {
  it("an unknown type fails, saying where and what is known", () => {
    const error = errorOf(raw("Refunded", { _tag: "Refunded" }))
    assert.deepInclude(error, {
      _tag: "UnknownEventType",
      reason: "unknownType",
      id: "e-1",
      type: "Refunded",
      schemaVersion: 1,
      stream: "order-42",
      version: 3,
      position: 17
    })
    assert.strictEqual(
      error.message,
      "cannot read Refunded (schema version 1), event e-1 at version 3 of order-42, position 17: "
        + "known types are Placed, Cancelled, Paid, Up, Down, Grown, Free"
    )
    assert.strictEqual(
      errorOf(raw("Paid", {}, 5)).message,
      "cannot read Paid (schema version 5), event e-1 at version 3 of order-42, position 17: known up to version 4"
    )
  })

  it("an unknown type is kept as it was stored, by choice", () => {
    const keeping = EventCodec.make(all, { unknown: "keep" })
    const payload = { anything: [1, null] }
    assert.deepStrictEqual(Either.getOrThrow(keeping.decode(raw("Refunded", payload, 7))).payload, {
      _tag: "$Unknown",
      type: "Refunded",
      schemaVersion: 7,
      payload
    })
    assert.strictEqual(keeping.decodeAll([raw("Refunded", payload), raw("Up", { by: 1 })]).events.length, 2)
    // a version that is not known is no unknown type: what it means is known to be something else
    assert.isTrue(Either.isLeft(keeping.decode(raw("Paid", {}, 5))))
  })

  it("a payload that its Schema refuses names every fault and shows the tree", () => {
    const error = errorOf(raw("Paid", { _tag: "Paid", order: 7, amount: "x", on: "1970-01-01T00:00:00.000Z" }, 4))
    assert.strictEqual(error._tag, "UndecodableEvent")
    const { faults, message } = error as EventCodec.UndecodableEvent
    assert.deepStrictEqual(faults.map((fault) => `${fault.path}: ${fault.problem}`), [
      "payload.order: Expected string, actual 7",
      "payload.amount: Expected number, actual \"x\"",
      "payload.currency: is missing"
    ])
    assert.strictEqual(
      message,
      [
        "cannot decode Paid (schema version 4), event e-1 at version 3 of order-42, position 17:",
        "Paid",
        "├─ [\"order\"]",
        "│  └─ Expected string, actual 7",
        "├─ [\"amount\"]",
        "│  └─ Expected number, actual \"x\"",
        "└─ [\"currency\"]",
        "   └─ is missing"
      ].join("\n")
    )
  })

  it("a payload of an older version likewise", () => {
    const error = errorOf(raw("Paid", { order: "o", cents: "x" }, 1)) as EventCodec.UndecodableEvent
    assert.deepStrictEqual(error.faults.map((fault) => fault.path), ["payload.cents"])
    assert.strictEqual(error.schemaVersion, 1)
  })

  it("a payload of anything at all is a typed failure", () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom("Placed", "Cancelled", "Paid", "Up", "Grown"), (payload, type) => {
        const read = codec.decode(raw(type, payload, type === "Paid" ? 4 : 1))
        assert.isTrue(Either.isLeft(read))
      })
    )
    for (const payload of [undefined, null, 0, "", [], { _tag: "Other" }]) {
      assert.strictEqual(errorOf(raw("Placed", payload))._tag, "UndecodableEvent")
    }
  })

  it("a payload that nests too deep for the stack is a typed failure", () => {
    let tree: Tree = { label: "", children: [] }
    for (let depth = 0; depth < 100_000; depth++) tree = { label: "", children: [tree] }
    assert.strictEqual(errorOf(raw("Grown", { _tag: "Grown", tree }))._tag, "UndecodableEvent")
  })

  it("a Schema that throws, or that needs an asynchronous step, is a typed failure", () => {
    const Throwing = Event.make("Throwing", {
      at: Schema.transform(Schema.String, Schema.String, {
        decode: () => {
          throw new Error("decode")
        },
        encode: () => {
          throw new Error("encode")
        }
      })
    })
    const Slow = Event.make("Slow", {
      at: Schema.transformOrFail(Schema.String, Schema.String, {
        decode: (text) => Effect.delay(Effect.succeed(text), "1 second"),
        encode: (text) => Effect.delay(Effect.succeed(text), "1 second")
      })
    })
    const by = EventCodec.make(Event.group([Throwing, Slow]))
    const error = errorOf(raw("Throwing", { at: "x" }), by) as EventCodec.UndecodableEvent
    assert.strictEqual(error._tag, "UndecodableEvent")
    assert.deepStrictEqual(error.cause, new Error("decode"))
    assert.strictEqual(errorOf(raw("Slow", { at: "x" }), by)._tag, "UndecodableEvent")
    assert.deepStrictEqual(faultsOf({ _tag: "Throwing", at: "x" }, by), ["event: cannot be encoded: Error: encode"])
    assert.lengthOf(faultsOf({ _tag: "Slow", at: "x" }, by), 1)
  })

  it("comes back from its own Schema, as an error that is sent elsewhere", () => {
    for (const error of [errorOf(raw("Refunded", {})), errorOf(raw("Paid", {}, 4))]) {
      const sent = JSON.parse(JSON.stringify(Schema.encodeSync(EventCodec.DecodeError)(error)))
      assert.strictEqual(Schema.decodeSync(EventCodec.DecodeError)(sent).message, error.message)
    }
  })
})

describe("decoding a chunk", () => {
  const good = raw("Up", { _tag: "Up", by: 1 })

  it("stops at the first event that cannot be read, and gives those before it", () => {
    const decoded = codec.decodeAll([good, good, raw("Refunded", {}), good])
    assert.strictEqual(decoded.events.length, 2)
    assert.strictEqual(decoded.error?._tag, "UnknownEventType")
    assert.strictEqual(codec.decodeAll([good, raw("Up", {}), good]).error?._tag, "UndecodableEvent")
    assert.deepStrictEqual(codec.decodeAll([]), { events: [], error: undefined })
  })

  it("agrees with decoding one by one", () => {
    const one = fc.oneof(
      fc.constant(good),
      fc.constant(raw("Refunded", {})),
      fc.constant(raw("Up", { by: 1.5 })),
      fc.constant(raw("$Mark", {}))
    )
    fc.assert(fc.property(fc.array(one, { maxLength: 8 }), (raws) => {
      const read = raws.filter((each) => each.type !== "$Mark").map((each) => codec.decode(each))
      const failed = read.findIndex(Either.isLeft)
      const { error, events } = codec.decodeAll(raws)
      assert.deepStrictEqual(
        events.map((event) => Either.right(event)),
        (failed < 0 ? read : read.slice(0, failed)) as never
      )
      assert.deepStrictEqual(error && Either.left(error), (failed < 0 ? undefined : read[failed]) as never)
    }))
  })

  it("leaves out the library's own marks", () => {
    const { error, events } = codec.decodeAll([raw("$Tombstone", {}), good, raw("$Anything", null)])
    assert.isUndefined(error)
    assert.deepStrictEqual(events.map((event) => event.type), ["Up"])
  })
})

describe("what cannot be encoded", () => {
  it("names every fault of an event at once, with its path", () => {
    assert.deepStrictEqual(
      faultsOf({ _tag: "Paid", order: 7, amount: "x", on: new Date(Number.NaN), currency: "GBP" }),
      [
        "event.order: Expected string, actual 7",
        "event.amount: Expected number, actual \"x\"",
        "event.on: Expected a valid Date, actual Invalid Date",
        "event.currency: Expected \"EUR\", actual \"GBP\"",
        "event.currency: Expected \"USD\", actual \"GBP\""
      ]
    )
    assert.deepStrictEqual(faultsOf({ _tag: "Grown", tree: { label: "", children: [{ label: 1, children: [] }] } }), [
      "event.tree.children[0].label: Expected string, actual 1"
    ])
  })

  it("several events share one list of faults", () => {
    const faults: Array<Fault> = []
    for (let index = 0; index < 3; index++) {
      codec.encodeInto({ _tag: "Up", by: 0.5 }, `groups[0].events[${index}]`, faults)
    }
    assert.deepStrictEqual(faults.map((fault) => fault.path), [0, 1, 2].map((index) => `groups[0].events[${index}].by`))
  })

  it("is anything that is no event of the group", () => {
    for (const event of [undefined, null, 1, "Up", [], {}, { _tag: 7 }, { _tag: "Other" }, { _tag: "__proto__" }]) {
      const [fault] = faultsOf(event)
      assert.match(fault!, /^event: must be an event of Placed, Cancelled, Paid, Up, Down, Grown, Free, got /)
    }
    fc.assert(fc.property(fc.anything(), (event) => {
      assert.isNotEmpty(faultsOf(event))
    }))
  })

  const free = (payload: unknown) => faultsOf({ _tag: "Free", payload })

  const hazards: ReadonlyArray<readonly [string, unknown, string]> = [
    ["NaN", { a: Number.NaN }, "event.payload.a: must be a finite number, got NaN"],
    ["Infinity", [1, Infinity], "event.payload[1]: must be a finite number, got Infinity"],
    ["-Infinity", -Infinity, "event.payload: must be a finite number, got -Infinity"],
    ["a bigint", { a: [1n] }, "event.payload.a[0]: must be a JSON value, got a bigint"],
    ["a lone surrogate", { a: "\ud800" }, "event.payload.a: must be well-formed Unicode, got \"\\ud800\""],
    [
      "a key with a lone surrogate",
      { "\udc00": 1 },
      "event.payload: must have keys of well-formed Unicode, got \"\\udc00\""
    ],
    [
      "a Date",
      { at: new Date(0) },
      "event.payload.at: must be a JSON value, got a Date: give its Schema an encoding to JSON"
    ],
    ["a Map", new Map(), "event.payload: must be a JSON value, got a Map: give its Schema an encoding to JSON"],
    [
      "an instance of a class",
      [new Address({ street: "s", number: 1 })],
      "event.payload[0]: must be a JSON value, got a Address: give its Schema an encoding to JSON"
    ],
    [
      "bytes",
      new Uint8Array(2),
      "event.payload: must be a JSON value, got a Uint8Array: give its Schema an encoding to JSON"
    ],
    [
      "a boxed string",
      new String("x"),
      "event.payload: must be a JSON value, got a String: give its Schema an encoding to JSON"
    ],
    ["undefined in an array", [undefined], "event.payload[0]: must be a JSON value, got undefined"],
    // oxlint-disable-next-line no-sparse-arrays -- holes are what is tested
    ["a hole in an array", [1, , 2], "event.payload[1]: must be a JSON value, got undefined"],
    ["a function", { f: () => 1 }, "event.payload.f: must be a JSON value, got a function"],
    ["a symbol", { s: Symbol.for("x") }, "event.payload.s: must be a JSON value, got Symbol(x)"],
    ["an object with toJSON", { toJSON: () => 1 }, "event.payload.toJSON: must be a JSON value, got a function"],
    [
      "a key __proto__",
      JSON.parse("{\"a\":{\"__proto__\":{\"admin\":true}}}"),
      "event.payload.a: must not have a key \"__proto__\""
    ]
  ]
  for (const [what, payload, fault] of hazards) {
    it(`is ${what}, which JSON would lose or change`, () => {
      assert.deepStrictEqual(free(payload), [fault])
    })
  }

  it("is a key __proto__ of a record, which its Schema would drop", () => {
    const record = (free: unknown) =>
      faultsOf({ ...Arbitraries.of && fc.sample(Arbitraries.of(Placed), { numRuns: 1, seed: 1 })[0], free })
    assert.deepStrictEqual(record({ a: 1 }), [])
    assert.deepStrictEqual(record(JSON.parse("{\"__proto__\":1,\"a\":1}")), [
      "event.free: must not have a key \"__proto__\""
    ])
  })

  it("is nothing else: every JSON value is encoded as it is", () => {
    const json = fc.jsonValue({ stringUnit: "binary" }).filter((value) => !JSON.stringify(value).includes("__proto__"))
    fc.assert(fc.property(json, (payload) => {
      assert.deepStrictEqual(encode(codec, { _tag: "Free", payload }).payload, { _tag: "Free", payload })
    }))
    for (const payload of [null, -0, Number.MAX_VALUE, 5e-324, "", "\u0000", "𝄞", Object.create(null), { undefined }]) {
      assert.deepStrictEqual(free(payload), [])
    }
  })

  const nested = (levels: number): unknown =>
    levels === 0 ? 1 : levels % 2 === 0 ? [nested(levels - 1)] : { a: nested(levels - 1) }

  it("is a payload that nests deeper than 200 levels", () => {
    // the event itself is the first level
    assert.deepStrictEqual(free(nested(199)), [])
    assert.match(free(nested(200))[0]!, /^event\.payload.*: must not nest deeper than 200 levels$/)
    assert.lengthOf(free(nested(200)), 1)
    let deep: unknown = 1
    for (let level = 0; level < 1_000_000; level++) deep = [deep]
    assert.lengthOf(free(deep), 1)
  })

  it("is a cyclic object, whatever its Schema", () => {
    const cycle: any = {}
    cycle.one = cycle
    cycle.two = cycle
    assert.lengthOf(free(cycle), 1)
    const list: Array<unknown> = []
    list.push(list, list)
    assert.lengthOf(free(list), 1)
    const tree: any = { label: "", children: [] }
    tree.children.push(tree, tree)
    assert.deepStrictEqual(faultsOf({ _tag: "Grown", tree }), [
      "event: cannot be encoded: RangeError: Maximum call stack size exceeded"
    ])
    const own: any = { _tag: "Free" }
    own.payload = own
    assert.lengthOf(faultsOf(own), 1)
    assert.lengthOf(faultsOf(cycle), 1)
  })

  it("a value that stands in two places is no cycle", () => {
    const shared = { a: 1 }
    assert.deepStrictEqual(encode(codec, { _tag: "Free", payload: [shared, shared] }).payload, {
      _tag: "Free",
      payload: [shared, shared]
    })
  })

  it("an array of a million numbers is encoded, and one wrong among them is found", () => {
    const numbers: Array<number> = Array.from({ length: 1_000_000 }, (_, index) => index)
    assert.deepStrictEqual(free(numbers), [])
    numbers[999_999] = Number.NaN
    assert.deepStrictEqual(free(numbers), ["event.payload[999999]: must be a finite number, got NaN"])
  })

  it("names the tags that no store keeps, and survives what reads them", () => {
    const tagging = (tags: (event: { readonly order: string }) => any) =>
      faultsOf(
        { _tag: "Tagged", order: "o" },
        EventCodec.make(Event.group([Event.make("Tagged", { order: Schema.String }, { tags })]))
      )
    assert.deepStrictEqual(tagging(() => ["", "a\u0000", 7, "ok"]), [
      "event.tags[0]: must not be empty",
      "event.tags[1]: must not hold control characters, got \"a\\u0000\"",
      "event.tags[2]: must be a string, got 7"
    ])
    assert.deepStrictEqual(tagging(() => "customer"), ["event.tags: must be a list, got \"customer\""])
    assert.deepStrictEqual(tagging(() => undefined), ["event.tags: must be a list, got undefined"])
    assert.deepStrictEqual(
      tagging(() => {
        throw new Error("no customer")
      }),
      ["event.tags: cannot be read: Error: no customer"]
    )
  })

  it("is said in messages of well-formed text, whatever the value", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", minLength: 40, maxLength: 80 }), (text) => {
      for (const fault of faultsOf(text)) assert.notMatch(fault, /\p{Cs}/u)
    }))
    assert.notMatch(faultsOf("𝄞".repeat(40))[0]!, /\p{Cs}/u)
  })
})

describe("amounts of money", () => {
  it("keep every digit", () => {
    const event = {
      ...fc.sample(Arbitraries.of(Placed), { numRuns: 1, seed: 1 })[0]!,
      total: 123_456_789_012_345_678_901_234_567_890n,
      weight: BigDecimal.unsafeFromString("0.1000000000000000000000000001")
    }
    const { payload } = encode(codec, event)
    const read = Either.getOrThrow(codec.decode(raw("Placed", JSON.parse(JSON.stringify(payload)))))
      .payload as typeof event
    assert.strictEqual(read.total, event.total)
    assert.isTrue(BigDecimal.equals(read.weight, event.weight))
  })
})
