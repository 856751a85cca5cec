import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Effect, FastCheck as fc, JSONSchema, ParseResult, Schema, TestClock } from "effect"
import * as CloudEvents from "effect-skald/event/CloudEvents"
import type * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import type { Fault, InvalidInput } from "effect-skald/event/InvalidInput"
import * as Position from "effect-skald/event/Position"
import { problem as nameProblem, type StreamId } from "effect-skald/event/StreamId"
import * as Arbitraries from "effect-skald/testing/Arbitraries"

// ---- what a store may hold

const name = (maxLength: number) =>
  fc.string({ minLength: 1, maxLength, unit: "binary" }).filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text))

const value = fc.oneof(fc.string({ unit: "binary" }), fc.string())

const headerName = fc.oneof(
  name(30),
  fc.stringMatching(/^[a-z0-9]{1,24}$/),
  fc.constantFrom(
    "__proto__",
    "constructor",
    "id",
    "data",
    "dataschema",
    "datacontenttype",
    "data_base64",
    "tenant",
    "tracestate",
    "skaldheaders",
    "skaldtags",
    "X-Request-Id",
    "abcdefghijklmnopqrst",
    "abcdefghijklmnopqrstu"
  )
)

const headers = fc.array(fc.tuple(headerName, value), { maxLength: 5 }).map((entries) => Object.fromEntries(entries))

const metadata: fc.Arbitrary<Envelope.Metadata> = fc.record({
  correlationId: name(40),
  causationId: name(40),
  tenant: name(24),
  actor: name(24),
  trace: fc.oneof(
    fc.record({ traceparent: fc.constant("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") }),
    fc.record({
      traceparent: fc.constant("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
      tracestate: fc.constantFrom("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=b")
    })
  ),
  headers
}, { requiredKeys: [] })

const instant = fc.oneof(
  Arbitraries.instant,
  fc.integer({ min: -8.64e15, max: 8.64e15 }).map((millis) => DateTime.unsafeMake(millis)),
  fc.constantFrom(-62_167_219_200_000, -62_167_219_200_001, 253_402_300_799_999, 253_402_300_800_000, 0, -1, 8.64e15)
    .map((millis) => DateTime.unsafeMake(millis))
)

const source = fc.oneof(
  name(30),
  fc.constantFrom(
    "/",
    "https://github.com/cloudevents?a=b#c",
    "my service",
    "100%",
    "a%20b",
    "1:2",
    "#a#b",
    "[",
    "//",
    "é"
  )
)

const json = fc.jsonValue({ depthSize: "small", stringUnit: "binary" }).map((given) =>
  // a key `__proto__` is refused on append
  JSON.parse(JSON.stringify(given).replaceAll("__proto__", "proto"))
)

const raw: fc.Arbitrary<Envelope.Raw> = fc.record({
  id: name(60),
  stream: Arbitraries.streamId as fc.Arbitrary<StreamId>,
  version: fc.oneof(fc.nat(), fc.maxSafeNat()).map((n) => Position.StreamVersion.make(n)),
  position: fc.oneof(fc.nat(), fc.maxSafeNat()).map((n) => Position.Position.make(n)),
  type: name(30),
  schemaVersion: fc.oneof(
    fc.integer({ min: 1, max: 9 }),
    fc.constantFrom(2 ** 31 - 1, 2 ** 31, Number.MAX_SAFE_INTEGER)
  ),
  payload: json,
  metadata,
  source,
  tags: fc.uniqueArray(name(20), { maxLength: 3 }),
  occurredAt: instant,
  recordedAt: instant
})

/** Through the text that a socket carries. */
const carried = (event: unknown): unknown => JSON.parse(JSON.stringify(event))

const decode = (event: unknown, options?: CloudEvents.DecodeOptions): Envelope.Raw =>
  Effect.runSync(CloudEvents.decode(event, options))

const faultsOf = (program: Effect.Effect<unknown, InvalidInput>): ReadonlyArray<string> =>
  Effect.runSync(Effect.match(program, {
    onFailure: (error) => error.faults.map((fault) => `${fault.path}: ${fault.problem}`),
    onSuccess: () => []
  }))

const minimal = { specversion: "1.0", id: "1", source: "/mycontext", type: "com.example.someevent" }

describe("a recorded event", () => {
  it("comes back as it was, through text", () => {
    fc.assert(
      fc.property(raw, (recorded) => {
        assert.deepStrictEqual(decode(carried(CloudEvents.encode(recorded))), recorded)
      }),
      { numRuns: 1000 }
    )
  })

  it("comes back in a batch, in order", () => {
    fc.assert(fc.property(fc.array(raw, { maxLength: 5 }), (log) => {
      assert.deepStrictEqual(
        Effect.runSync(CloudEvents.decodeBatch(carried(log.map(CloudEvents.encode)))),
        log
      )
    }))
  })

  it("becomes a CloudEvent to the letter of the specification", () => {
    const legal = /^[a-z0-9]{1,20}$/
    const forbidden = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u
    // names with noncharacters are the one thing that a store holds and a CloudEvents String may not
    const strict = raw.filter((recorded) =>
      !forbidden.test(JSON.stringify({ ...recorded, payload: null, metadata: { ...recorded.metadata, headers: {} } }))
    )
    fc.assert(
      fc.property(strict, (recorded) => {
        const event = CloudEvents.encode(recorded)
        assert.isTrue(Schema.is(CloudEvents.CloudEvent)(event))
        for (const [attribute, value] of Object.entries(event)) {
          if (attribute === "data") continue
          assert.match(attribute, legal)
          if (typeof value === "string") assert.notMatch(value, forbidden)
          else assert.isTrue(Number.isInteger(value) && (value as number) < 2 ** 31)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("reads well", () => {
    const recorded: Envelope.Raw = {
      id: "018f3a2b-0000-7000-8000-000000000001",
      stream: "order-42" as StreamId,
      version: Position.StreamVersion.make(3),
      position: Position.Position.make(3_000_000_000),
      type: "OrderPaid",
      schemaVersion: 2,
      payload: { _tag: "OrderPaid", order: "42" },
      metadata: {
        correlationId: "c-1",
        causationId: "e-1",
        tenant: "acme",
        actor: "alice",
        trace: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "a=b" },
        headers: { region: "eu", "X-Request-Id": "7", dataschema: "https://example.com/order.json", note: "a\nb" }
      },
      source: "my shop",
      tags: ["customer:1"],
      occurredAt: DateTime.unsafeMake("2024-02-29T23:59:59.123Z"),
      recordedAt: DateTime.unsafeMake("2024-03-01T00:00:00.000Z")
    }
    assert.deepStrictEqual(CloudEvents.encode(recorded) as unknown, {
      specversion: "1.0",
      id: "018f3a2b-0000-7000-8000-000000000001",
      source: "my%20shop",
      type: "OrderPaid",
      subject: "order-42",
      time: "2024-02-29T23:59:59.123Z",
      datacontenttype: "application/json",
      correlationid: "c-1",
      causationid: "e-1",
      tenant: "acme",
      actor: "alice",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "a=b",
      recordedtime: "2024-03-01T00:00:00.000Z",
      skaldsource: "my shop",
      skaldstreamversion: 3,
      skaldposition: "3000000000",
      skaldschemaversion: 2,
      skaldtags: "[\"customer:1\"]",
      region: "eu",
      dataschema: "https://example.com/order.json",
      skaldheaders: "{\"X-Request-Id\":\"7\",\"note\":\"a\\nb\"}",
      data: { _tag: "OrderPaid", order: "42" }
    })
  })

  it("carries its payload to a codec at the other end", () => {
    const Placed = Event.make("Placed", { order: Schema.String, at: Schema.Date, amount: Schema.BigInt })
    const codec = EventCodec.make(Event.group([Placed]))
    fc.assert(fc.property(Arbitraries.of(Placed), raw, (event, envelope) => {
      const { faults, value } = encoded(codec, event)
      assert.deepStrictEqual(faults, [])
      const read = codec.decode(decode(carried(CloudEvents.encode({ ...envelope, ...value }))))
      assert.isTrue(read._tag === "Right")
      assert.deepStrictEqual(read._tag === "Right" ? read.right.payload : undefined, event)
    }))
  })
})

const encoded = <E>(codec: EventCodec.EventCodec<E>, event: E) => {
  const faults: Array<Fault> = []
  return { value: codec.encodeInto(event, "event", faults)!, faults }
}

describe("the examples of the specification", () => {
  const common = {
    specversion: "1.0",
    source: "/mycontext",
    time: "2018-04-05T17:31:00Z",
    comexampleextension1: "value",
    comexampleothervalue: 5
  }
  const others = { comexampleextension1: "value", comexampleothervalue: "5" }

  it("binary data keeps its Base64 and its media type", () => {
    const event = {
      ...common,
      type: "com.example.someevent",
      id: "A234-1234-1234",
      datacontenttype: "application/vnd.apache.thrift.binary",
      data_base64: "AAECAwQ="
    }
    assert.isTrue(Schema.is(CloudEvents.CloudEvent)(event))
    const read = decode(event)
    assert.strictEqual(read.payload, "AAECAwQ=")
    assert.deepStrictEqual(read.metadata, {
      headers: { ...others, datacontenttype: "application/vnd.apache.thrift.binary" }
    })
  })

  it("XML as a string, and an unset extension", () => {
    const read = decode({
      ...common,
      type: "com.example.someevent",
      id: "B234-1234-1234",
      unsetextension: null,
      datacontenttype: "application/xml",
      data: "<much wow=\"xml\"/>"
    })
    assert.strictEqual(read.payload, "<much wow=\"xml\"/>")
    assert.deepStrictEqual(read.metadata, { headers: { ...others, datacontenttype: "application/xml" } })
  })

  it.effect("an object, and a subject that is null", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000)
      const read = yield* CloudEvents.decode({
        ...common,
        type: "com.example.someevent",
        subject: null,
        id: "C234-1234-1234",
        datacontenttype: "application/json",
        data: { appinfoA: "abc", appinfoB: 123, appinfoC: true }
      })
      assert.deepStrictEqual(read, {
        id: "C234-1234-1234",
        stream: "/mycontext" as StreamId,
        version: Position.StreamVersion.make(0),
        position: Position.start,
        type: "com.example.someevent",
        schemaVersion: 1,
        payload: { appinfoA: "abc", appinfoB: 123, appinfoC: true },
        metadata: { headers: others },
        source: "/mycontext",
        tags: [],
        occurredAt: DateTime.unsafeMake("2018-04-05T17:31:00Z"),
        recordedAt: DateTime.unsafeMake(1_000)
      })
    }))

  it("a JSON string without a media type is that string", () => {
    assert.strictEqual(
      decode({ ...common, type: "com.example.someevent", id: "D234-1234-1234", data: "I'm just a string" }).payload,
      "I'm just a string"
    )
  })

  it("the event of the core specification", () => {
    const read = decode({
      specversion: "1.0",
      type: "com.github.pull_request.opened",
      source: "https://github.com/cloudevents/spec/pull",
      subject: "123",
      id: "A234-1234-1234",
      time: "2018-04-05T17:31:00Z",
      comexampleextension1: "value",
      comexampleothervalue: 5,
      datacontenttype: "text/xml",
      data: "<much wow=\"xml\"/>"
    })
    assert.strictEqual(read.stream as string, "123")
    assert.strictEqual(read.source, "https://github.com/cloudevents/spec/pull")
  })

  it("a batch, and an empty one", () => {
    const batch = [
      {
        ...common,
        type: "com.example.someevent",
        source: "/mycontext/4",
        id: "B234-1234-1234",
        datacontenttype: "application/vnd.apache.thrift.binary",
        data_base64: "AAECAwQ="
      },
      {
        ...common,
        type: "com.example.someotherevent",
        source: "/mycontext/9",
        id: "C234-1234-1234",
        time: "2018-04-05T17:31:05Z",
        datacontenttype: "application/json",
        data: { appinfoA: "abc", appinfoB: 123, appinfoC: true }
      }
    ]
    const read = Effect.runSync(CloudEvents.decodeBatch(batch))
    assert.deepStrictEqual(read.map((each) => each.id), ["B234-1234-1234", "C234-1234-1234"])
    assert.deepStrictEqual(Effect.runSync(CloudEvents.decodeBatch([])), [])
  })

  it("sources of the specification are URI references, and others are not", () => {
    const legal = [
      "https://github.com/cloudevents",
      "mailto:cncf-wg-serverless@lists.cncf.io",
      "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
      "/cloudevents/spec/pull/123",
      "/sensors/tn-1234567/alerts",
      "1-555-123-4567",
      "//[2001:db8::7]:80/c=GB?objectClass?one",
      "ldap://[2001:db8::7]/c=GB?objectClass?one",
      "tel:+1-816-555-1212",
      "?q",
      "#f",
      "//",
      "/",
      "."
    ]
    const illegal = ["my service", "100%", "1:2", "a#b#c", "a[b]", "é", "http://a b/", "<x>", "a\\b", "%zz"]
    for (const source of legal) assert.deepStrictEqual(faultsOf(CloudEvents.decode({ ...minimal, source })), [], source)
    for (const source of illegal) {
      assert.deepStrictEqual(
        faultsOf(CloudEvents.decode({ ...minimal, source })),
        [`event.source: must be a URI reference, got ${JSON.stringify(source)}`]
      )
    }
  })

  it("RFC 3339 timestamps are read to the millisecond, in any zone", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"],
      ["1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z"],
      ["1990-12-31T23:59:60Z", "1991-01-01T00:00:00.000Z"],
      ["1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000Z"],
      ["1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"],
      ["2018-04-05t17:31:00.123456789z", "2018-04-05T17:31:00.123Z"],
      ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
      ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"]
    ]
    for (const [time, instant] of cases) {
      assert.strictEqual(DateTime.formatIso(decode({ ...minimal, time }).occurredAt), instant)
    }
    const illegal = [
      "2018-04-05",
      "2018-04-05T17:31:00",
      "2018-04-05 17:31:00Z",
      "2023-02-29T00:00:00Z",
      "2018-13-01T00:00:00Z",
      "2018-00-01T00:00:00Z",
      "2018-04-31T00:00:00Z",
      "2018-04-05T24:00:00Z",
      "2018-04-05T17:60:00Z",
      "2018-04-05T17:31:61Z",
      "2018-04-05T17:31:00+24:00",
      "2018-04-05T17:31:00.Z",
      "+002018-04-05T17:31:00Z",
      "Thu, 05 Apr 2018 17:31:00 GMT",
      "1522949460000",
      ""
    ]
    for (const time of illegal) assert.lengthOf(faultsOf(CloudEvents.decode({ ...minimal, time })), 1, time)
  })
})

describe("an event from elsewhere", () => {
  it.effect("needs no more than the four required attributes", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(5_000)
      const read = yield* CloudEvents.decode(minimal)
      assert.deepStrictEqual(read.payload, {})
      assert.deepStrictEqual(read.metadata, {})
      assert.strictEqual(read.occurredAt.epochMillis, 5_000)
      assert.strictEqual(read.recordedAt.epochMillis, 5_000)
      const recorded = yield* CloudEvents.decode({ ...minimal, recordedtime: "1970-01-01T00:00:02Z" })
      assert.strictEqual(recorded.occurredAt.epochMillis, 2_000)
      assert.strictEqual(recorded.recordedAt.epochMillis, 2_000)
    }))

  it("keeps null as data, and JSON in Base64 where the media type says so", () => {
    assert.strictEqual(decode({ ...minimal, data: null }).payload, null)
    assert.strictEqual(decode({ ...minimal, data: null, data_base64: null }).payload, null)
    const data_base64 = Buffer.from("{\"a\":\"é\"}").toString("base64")
    assert.deepStrictEqual(decode({ ...minimal, datacontenttype: "application/json", data_base64 }).payload, { a: "é" })
    assert.deepStrictEqual(decode({ ...minimal, datacontenttype: "a/b+json; charset=utf-8", data_base64 }).payload, {
      a: "é"
    })
    assert.strictEqual(decode({ ...minimal, data_base64 }).payload, data_base64)
  })

  it("survives being forwarded: read, written and read again it is the same", () => {
    const extension = fc.tuple(
      fc.oneof(fc.stringMatching(/^[a-z0-9]{1,25}$/), fc.constantFrom("tenant", "tracestate", "dataschema2", "actor")),
      fc.oneof(fc.boolean(), fc.integer(), name(10), fc.constant(null))
    )
    const foreign = fc.record({
      event: Arbitrary.make(CloudEvents.CloudEvent),
      extensions: fc.array(extension, { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
      type: fc.constantFrom({}, { datacontenttype: "text/plain" }, { dataschema: "https://example.com/s" })
    }).map(({ event, extensions, type }) => ({ time: "2001-01-01T00:00:00Z", ...extensions, ...type, ...event }))
      // "/-" is a source, and no name of a stream: such an event is refused unless the reader chooses its stream
      .filter((event) => nameProblem(event.subject ?? event.source) === undefined)
    fc.assert(
      fc.property(foreign, (event) => {
        const read = decode(carried({ ...event, recordedtime: "2001-01-01T00:00:00Z" }))
        assert.deepStrictEqual(decode(carried(CloudEvents.encode(read))), read)
      }),
      { numRuns: 300 }
    )
  })

  it("is put into the stream that the reader chooses", () => {
    assert.strictEqual(decode(minimal, { stream: (event) => `in-${event.id}` }).stream as string, "in-1")
    assert.deepStrictEqual(faultsOf(CloudEvents.decode(minimal, { stream: () => "-" })), [
      "event.subject: must be the name of a stream: must name a category before the first \"-\", got \"-\""
    ])
  })
})

describe("what is no CloudEvent", () => {
  it("is refused with every fault at once", () => {
    assert.deepStrictEqual(
      faultsOf(CloudEvents.decode({
        specversion: "0.3",
        id: "",
        source: "not a uri",
        subject: "",
        time: "yesterday",
        datacontenttype: "json",
        dataschema: "/relative",
        data: { deep: [Number.NaN] },
        data_base64: "***",
        Extension: "x",
        my_extension: "x",
        object: {},
        fraction: 1.5,
        big: 2 ** 31,
        control: "a\u0000b",
        skaldposition: "-1",
        skaldtags: "customer"
      })),
      [
        "event.specversion: must be \"1.0\", got \"0.3\"",
        "event.id: must not be empty",
        "event.source: must be a URI reference, got \"not a uri\"",
        "event.type: must be given",
        "event.subject: must not be empty",
        "event.time: must be an RFC 3339 timestamp, got \"yesterday\"",
        "event.datacontenttype: must be a media type, got \"json\"",
        "event.dataschema: must be an absolute URI, got \"/relative\"",
        "event.data_base64: must be text in Base64, got \"***\"",
        "event.Extension: must be named in lower-case letters and digits",
        "event.my_extension: must be named in lower-case letters and digits",
        "event.object: must be a string, a boolean or a 32-bit integer, got {}",
        "event.fraction: must be a string, a boolean or a 32-bit integer, got 1.5",
        "event.big: must be a string, a boolean or a 32-bit integer, got 2147483648",
        "event.control: must not hold control characters, got \"a\\u0000b\"",
        "event.data_base64: must not stand beside data",
        "event.data.deep[0]: must be a finite number, got NaN"
      ]
    )
    assert.deepStrictEqual(
      faultsOf(CloudEvents.decode({
        ...minimal,
        subject: "order-",
        skaldposition: "-1",
        skaldstreamversion: 1.5.toString(),
        skaldschemaversion: 0,
        skaldtags: "customer",
        skaldheaders: "{\"a\":1}",
        skaldoccurredms: "9e99",
        recordedtime: "now",
        datacontenttype: "application/json",
        data_base64: "AAECAwQ="
      })),
      [
        "event.subject: must be the name of a stream: must name an id after \"order-\"",
        "event.recordedtime: must be an RFC 3339 timestamp, got \"now\"",
        "event.skaldstreamversion: must be a number, got \"1.5\"",
        "event.skaldposition: must be at least 0, got -1",
        "event.skaldschemaversion: must be at least 1, got 0",
        "event.data_base64: must hold JSON, as its application/json says",
        "event.skaldheaders: must be an object of strings in JSON, got \"{\\\"a\\\":1}\"",
        "event.skaldtags: must be a list of strings in JSON, got \"customer\"",
        "event.skaldoccurredms: must be milliseconds since 1970, got \"9e99\""
      ]
    )
  })

  it("is refused whatever it is", () => {
    for (const input of [undefined, null, 1, "event", [], [minimal], () => minimal, Symbol.iterator, new Map()]) {
      assert.isNotEmpty(faultsOf(CloudEvents.decode(input)), String(input))
    }
    fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withMap: true }), (input) => {
      faultsOf(CloudEvents.decode(input))
      faultsOf(CloudEvents.decodeBatch(input))
    }))
  })

  it("in a batch is named by its place", () => {
    assert.deepStrictEqual(
      faultsOf(CloudEvents.decodeBatch([minimal, { ...minimal, id: "" }, null, { ...minimal, type: 3 }])),
      [
        "events[1].id: must not be empty",
        "events[2]: must be an object, got null",
        "events[3].type: must be a string, got 3"
      ]
    )
    assert.deepStrictEqual(faultsOf(CloudEvents.decodeBatch({})), ["events: must be a list, got {}"])
  })
})

describe("the Schema", () => {
  it("says each fault with its place", () => {
    const result = Schema.decodeUnknownEither(CloudEvents.CloudEvent)({ ...minimal, id: "", time: "x" })
    assert.isTrue(result._tag === "Left")
    if (result._tag === "Left") {
      assert.deepStrictEqual(
        ParseResult.ArrayFormatter.formatErrorSync(result.left).map((issue) => [issue.path, issue.message]),
        [[["id"], "must not be empty"], [["time"], "must be an RFC 3339 timestamp, got \"x\""]]
      )
    }
  })

  it("keeps unknown extensions, and encodes what it decodes", () => {
    const event = { ...minimal, foo: 1, bar: true, baz: "x", nil: null }
    assert.deepStrictEqual(Schema.decodeUnknownSync(CloudEvents.CloudEvent)(event) as unknown, event)
    assert.deepStrictEqual(Schema.encodeSync(CloudEvents.CloudEvent)(event as never) as unknown, event)
  })

  it("has a JSON Schema and arbitrary values", () => {
    const schema: any = JSONSchema.make(CloudEvents.CloudEvent)
    assert.deepStrictEqual(schema.$defs.CloudEvent.required, ["specversion", "id", "source", "type"])
    fc.assert(fc.property(Arbitrary.make(CloudEvents.CloudEvent), (event) => Schema.is(CloudEvents.CloudEvent)(event)))
  })
})
