import * as Correlation from "effect-skald/event/Correlation"
import { EventStore, type Operations } from "effect-skald/store/EventStore"
import * as Query from "effect-skald/store/Query"
import { Effect, Stream } from "effect"
import { type BadInput, badInputs } from "../../support/badInput.ts"

const long = "x".repeat(513)

const withStore = <A>(use: (store: Operations) => Effect.Effect<A, unknown>): Effect.Effect<A, unknown, EventStore> =>
  Effect.flatMap(EventStore, use)

const placed = { type: "Placed", payload: {} }

const append = (groups: any, options?: any) => withStore((store) => store.append(groups, options))

/** One event among good ones, in a call that is good otherwise. */
const appendEvent = (event: any) =>
  append([
    { stream: "order-2", events: [placed] },
    { stream: "order-3", expected: "noStream", events: [placed, event] }
  ])

const at = (member: string) => `groups[1].events[1]${member}`

const nested = (depth: number): unknown => depth === 0 ? 1 : [nested(depth - 1)]

const circular: { [name: string]: unknown } = {}
circular["left"] = circular
circular["right"] = [circular]

const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`

/** Inputs of `src/store`. */
export const storeInputs: ReadonlyArray<BadInput> = [
  ...badInputs("EventStore.append", "InvalidEvent", ([groups, options]: [any, any?]) => append(groups, options), [
    ["no list", ["order-1"], "groups", "must be a list, got \"order-1\""],
    ["nothing", [undefined], "groups", "must be a list, got undefined"],
    ["an empty list", [[]], "groups", "must hold an event"],
    ["checks alone", [[{ stream: "order-1", events: [] }]], "groups", "must hold an event"],
    ["a group that is none", [[{ stream: "order-2", events: [placed] }, null]], "groups[1].stream", "must be a string"],
    [
      "a group without events",
      [[{ stream: "order-2", events: [placed] }, { stream: "order-3" }]],
      "groups[1].events",
      "must be a list"
    ],
    ["events that are text", [[{ stream: "order-2", events: "Placed" }]], "groups[0].events", "must be a list"],
    ["a stream without a name", [[{ stream: "", events: [placed] }]], "groups[0].stream", "must not be empty"],
    [
      "a stream name that is too long",
      [[{ stream: `order-${long}`, events: [placed] }]],
      "groups[0].stream",
      "at most 512"
    ],
    [
      "a stream with a control character",
      [[{ stream: "order-\u0007", events: [placed] }]],
      "groups[0].stream",
      "control characters"
    ],
    [
      "a stream twice",
      [[{ stream: "a-1", events: [placed] }, { stream: "a-1", events: [placed] }]],
      "groups[1].stream",
      "stands twice"
    ],
    [
      "a negative expectation",
      [[{ stream: "order-2", expected: -1, events: [placed] }]],
      "groups[0].expected",
      "must be at least 0"
    ],
    [
      "an expectation that is a fraction",
      [[{ stream: "order-2", expected: 0.5, events: [placed] }]],
      "groups[0].expected",
      "must be a whole number"
    ],
    [
      "an expectation in other words",
      [[{ stream: "order-2", expected: "exists", events: [placed] }]],
      "groups[0].expected",
      "or a version, got \"exists\""
    ],
    [
      "an id twice",
      [[{ stream: "a-1", events: [{ ...placed, id: "e" }] }, { stream: "a-2", events: [{ ...placed, id: "e" }] }]],
      "groups[1].events[0].id",
      "stands twice"
    ],
    [
      "a condition that is no query",
      [[{ stream: "a-1", events: [placed] }], { failIf: { tags: ["a"] } }],
      "failIf",
      "must be a Query"
    ],
    [
      "a condition that is null",
      [[{ stream: "a-1", events: [placed] }], { failIf: null }],
      "failIf",
      "must be a Query, got null"
    ],
    [
      "a condition without items",
      [[{ stream: "a-1", events: [placed] }], { failIf: { _tag: "Items", items: [] } }],
      "failIf",
      "must hold an item"
    ],
    [
      "a condition with an empty item",
      [[{ stream: "a-1", events: [placed] }], { failIf: { _tag: "Items", items: [{}] } }],
      "failIf[0]",
      "must name a type or a tag"
    ],
    [
      "a position without a condition",
      [[{ stream: "a-1", events: [placed] }], { after: 3 }],
      "after",
      "must come with failIf"
    ],
    [
      "a negative position",
      [[{ stream: "a-1", events: [placed] }], { failIf: Query.all, after: -1 }],
      "after",
      "must be at least 0"
    ]
  ]),
  ...badInputs("EventStore.append, an event", "InvalidEvent", appendEvent, [
    ["none", null, at(""), "must be an event, got null"],
    ["text", "Placed", at(""), "must be an event, got \"Placed\""],
    ["no type", { payload: {} }, at(".type"), "must be a string, got undefined"],
    ["an empty type", { type: "", payload: {} }, at(".type"), "must not be empty"],
    ["a type that is too long", { type: long, payload: {} }, at(".type"), "at most 512"],
    ["no payload", { type: "A" }, at(".payload"), "must be a JSON value, got undefined"],
    ["NaN", { type: "A", payload: { n: Number.NaN } }, at(".payload.n"), "must be a finite number, got NaN"],
    ["infinity", { type: "A", payload: [[Infinity]] }, at(".payload[0][0]"), "must be a finite number"],
    ["a bigint", { type: "A", payload: { deep: [{ n: 1n }] } }, at(".payload.deep[0].n"), "got a bigint"],
    [
      "a Date",
      { type: "A", payload: { on: new Date(0) } },
      at(".payload.on"),
      "got a Date: give its Schema an encoding"
    ],
    ["a Map", { type: "A", payload: new Map() }, at(".payload"), "got a Map"],
    ["a function", { type: "A", payload: { f: () => 1 } }, at(".payload.f"), "got a function"],
    ["a symbol", { type: "A", payload: { s: Symbol("s") } }, at(".payload.s"), "got Symbol(s)"],
    ["a lone surrogate", { type: "A", payload: { text: "a\udc00" } }, at(".payload.text"), "well-formed Unicode"],
    [
      "a lone surrogate in a key",
      { type: "A", payload: { "\ud800": 1 } },
      at(".payload"),
      "keys of well-formed Unicode"
    ],
    ["a key __proto__", { type: "A", payload: JSON.parse("{\"__proto__\":1}") }, at(".payload"), "__proto__"],
    [
      "201 levels",
      { type: "A", payload: nested(201) },
      at(`.payload${"[0]".repeat(200)}`),
      "must not nest deeper than 200"
    ],
    [
      "a payload that holds itself twice",
      { type: "A", payload: circular },
      at(`.payload${".left".repeat(200)}`),
      "must not nest deeper"
    ],
    ["an empty id", { ...placed, id: "" }, at(".id"), "must not be empty"],
    [
      "an id of 129 code units",
      { ...placed, id: "x".repeat(129) },
      at(".id"),
      "at most 128 UTF-16 code units, has 129"
    ],
    ["an id that is a number", { ...placed, id: 7 }, at(".id"), "must be a string, got 7"],
    ["an id with NUL", { ...placed, id: "e\u0000" }, at(".id"), "control characters"],
    ["schema version 0", { ...placed, schemaVersion: 0 }, at(".schemaVersion"), "must be at least 1"],
    [
      "a schema version in text",
      { ...placed, schemaVersion: "2" },
      at(".schemaVersion"),
      "must be a number, got \"2\""
    ],
    ["tags in text", { ...placed, tags: "a,b" }, at(".tags"), "must be a list, got \"a,b\""],
    ["tags that are null", { ...placed, tags: null }, at(".tags"), "must be a list, got null"],
    ["an empty tag", { ...placed, tags: ["a", ""] }, at(".tags[1]"), "must not be empty"],
    ["a tag that is too long", { ...placed, tags: [long] }, at(".tags[0]"), "at most 512"],
    ["a tag that is an object", { ...placed, tags: [{}] }, at(".tags[0]"), "must be a string, got {}"],
    [
      "an instant in words",
      { ...placed, occurredAt: "yesterday" },
      at(".occurredAt"),
      "must be an instant, got \"yesterday\""
    ],
    [
      "an instant that is no date",
      { ...placed, occurredAt: new Date(Number.NaN) },
      at(".occurredAt"),
      "must be an instant"
    ],
    ["an instant that is NaN", { ...placed, occurredAt: Number.NaN }, at(".occurredAt"), "must be an instant, got NaN"],
    ["an instant that is null", { ...placed, occurredAt: null }, at(".occurredAt"), "must be an instant, got null"],
    ["an instant beyond time", { ...placed, occurredAt: 1e17 }, at(".occurredAt"), "must be an instant"],
    ["an empty source", { ...placed, source: "" }, at(".source"), "must not be empty"],
    ["metadata in text", { ...placed, metadata: "bob" }, at(".metadata"), "must be an object, got \"bob\""],
    ["metadata that is a list", { ...placed, metadata: ["bob"] }, at(".metadata"), "must be an object"],
    [
      "an empty correlation id",
      { ...placed, metadata: { correlationId: "" } },
      at(".metadata.correlationId"),
      "must not be empty"
    ],
    [
      "a causation id that is too long",
      { ...placed, metadata: { causationId: long } },
      at(".metadata.causationId"),
      "at most 512"
    ],
    [
      "an actor that is a number",
      { ...placed, metadata: { actor: 7 } },
      at(".metadata.actor"),
      "must be a string, got 7"
    ],
    ["another tenant", { ...placed, metadata: { tenant: "other" } }, at(".metadata.tenant"), "must be the tenant"],
    [
      "headers in text",
      { ...placed, metadata: { headers: "a=b" } },
      at(".metadata.headers"),
      "must be an object, got \"a=b\""
    ],
    [
      "a header that is a number",
      { ...placed, metadata: { headers: { try: 2 } } },
      at(".metadata.headers.try"),
      "must be a string, got 2"
    ],
    [
      "a header without a name",
      { ...placed, metadata: { headers: { "": "x" } } },
      at(".metadata.headers"),
      "must not be empty"
    ],
    [
      "a header with a lone surrogate",
      { ...placed, metadata: { headers: { h: "\ud800" } } },
      at(".metadata.headers.h"),
      "well-formed"
    ],
    [
      "a traceparent of another kind",
      { ...placed, metadata: { trace: { traceparent: "00-1-2-3" } } },
      at(".metadata.trace.traceparent"),
      "W3C"
    ],
    ["no traceparent", { ...placed, metadata: { trace: {} } }, at(".metadata.trace.traceparent"), "W3C"],
    [
      "a trace in text",
      { ...placed, metadata: { trace: traceparent } },
      at(".metadata.trace.traceparent"),
      "W3C"
    ],
    [
      "a tracestate that is a number",
      { ...placed, metadata: { trace: { traceparent, tracestate: 7 } } },
      at(".metadata.trace.tracestate"),
      "must be a string"
    ]
  ]),
  ...badInputs(
    "EventStore.append, in a tenant",
    "InvalidEvent",
    (tenant: any) => append([{ stream: "order-2", events: [placed] }]).pipe(Correlation.locally({ tenant })),
    [
      ["with a control character", "acme\u0000", "tenant", "control characters"],
      ["too long", long, "tenant", "at most 512"],
      ["that is a number", 7, "tenant", "must be a string, got 7"]
    ]
  ),
  ...badInputs(
    "EventStore.append, among",
    "InvalidEvent",
    (correlation: any) => append([{ stream: "order-2", events: [placed] }]).pipe(Correlation.locally(correlation)),
    [
      [
        "an empty correlation id",
        { correlationId: "" },
        "groups[0].events[0].metadata.correlationId",
        "must not be empty"
      ],
      ["a source that is too long", { source: long }, "groups[0].events[0].source", "at most 512"],
      ["headers that are numbers", { headers: { n: 7 } }, "groups[0].events[0].metadata.headers.n", "must be a string"]
    ]
  ),
  ...badInputs(
    "EventStore.read",
    "InvalidInput",
    ([stream, options]: [any, any?]) => withStore((store) => Stream.runDrain(store.read(stream, options))),
    [
      ["no stream", [undefined], "stream", "must be a string, got undefined"],
      ["an empty stream", [""], "stream", "must not be empty"],
      ["a stream without an id", ["order-"], "stream", "must name an id"],
      ["a negative start", ["order-1", { from: -1 }], "from", "must be at least 0, got -1"],
      ["a start that is a fraction", ["order-1", { from: 1.5 }], "from", "must be a whole number"],
      ["an end in text", ["order-1", { to: "2" }], "to", "must be a number, got \"2\""],
      ["an end that is NaN", ["order-1", { to: Number.NaN }], "to", "must be a whole number, got NaN"],
      ["a negative limit", ["order-1", { limit: -1 }], "limit", "must be at least 0, got -1"],
      ["a limit without end", ["order-1", { limit: Infinity }], "limit", "must be a whole number, got Infinity"],
      ["a limit that is null", ["order-1", { limit: null }], "limit", "must be a number, got null"],
      ["a direction in text", ["order-1", { backwards: "yes" }], "backwards", "must be true or false, got \"yes\""]
    ]
  ),
  ...badInputs(
    "EventStore.readPage",
    "InvalidInput",
    ([stream, options]: [any, any?]) => withStore((store) => store.readPage(stream, options)),
    [
      ["an empty stream", [""], "stream", "must not be empty"],
      ["a negative start", ["order-1", { from: -1 }], "from", "must be at least 0"],
      ["an end that is a fraction", ["order-1", { to: 0.1 }], "to", "must be a whole number"]
    ]
  ),
  ...badInputs(
    "EventStore.readAll",
    "InvalidInput",
    (options: any) => withStore((store) => Stream.runDrain(store.readAll(options))),
    [
      ["a negative position", { after: -1 }, "after", "must be at least 0"],
      ["an end that is a fraction", { to: 0.5 }, "to", "must be a whole number"],
      ["a negative limit", { limit: -1 }, "limit", "must be at least 0"],
      ["an empty stream", { stream: "" }, "stream", "must not be empty"],
      ["an empty category", { category: "" }, "category", "must not be empty"],
      ["a category with a dash", { category: "order-line" }, "category", "must not hold \"-\""],
      ["no types", { types: [] }, "types", "must be a list that names a type"],
      ["types in text", { types: "Placed" }, "types", "must be a list that names a type"],
      ["an empty type", { types: ["A", ""] }, "types[1]", "must not be empty"],
      ["a query that is none", { query: { types: ["A"] } }, "query", "must be a Query"],
      [
        "a query with types in text",
        { query: { _tag: "Items", items: [{ types: "A" }] } },
        "query[0].types",
        "must be a list"
      ],
      ["an empty correlation id", { correlationId: "" }, "correlationId", "must not be empty"],
      ["a beginning in words", { since: "noon" }, "since", "must be an instant, got \"noon\""],
      ["an end that is NaN", { until: Number.NaN }, "until", "must be an instant, got NaN"],
      ["a beginning that is null", { since: null }, "since", "must be an instant, got null"],
      ["another time", { time: "savedAt" }, "time", "must be \"occurredAt\" or \"recordedAt\", got \"savedAt\""],
      ["a direction that is a number", { backwards: 1 }, "backwards", "must be true or false, got 1"],
      ["all tenants in text", { allTenants: "yes" }, "allTenants", "must be true or false, got \"yes\""]
    ]
  ),
  ...badInputs(
    "EventStore.subscribe",
    "InvalidInput",
    (options: any) => withStore((store) => Stream.runDrain(store.subscribe(options))),
    [
      ["a start in other words", { after: "now" }, "after", "must be a number, got \"now\""],
      ["a negative start", { after: -1 }, "after", "must be at least 0"],
      ["a start that is a fraction", { after: 0.5 }, "after", "must be a whole number"],
      ["a category with a dash", { category: "a-b" }, "category", "must not hold \"-\""],
      ["types that are none", { types: [7] }, "types[0]", "must be a string, got 7"],
      ["a query without items", { query: { _tag: "Items", items: [] } }, "query", "must hold an item"]
    ]
  ),
  ...badInputs("EventStore.find", "InvalidInput", (id: any) => withStore((store) => store.find(id)), [
    ["an empty id", "", "id", "must not be empty"],
    ["an id that is too long", "x".repeat(129), "id", "at most 128"],
    ["an id that is none", undefined, "id", "must be a string"]
  ]),
  ...badInputs(
    "EventStore.streamState",
    "InvalidInput",
    (stream: any) => withStore((store) => store.streamState(stream)),
    [
      ["an empty stream", "", "stream", "must not be empty"],
      ["a lone surrogate", "order-\ud800", "stream", "well-formed"]
    ]
  ),
  ...badInputs(
    "EventStore.truncate",
    "InvalidInput",
    ([stream, options]: [any, any]) => withStore((store) => store.truncate(stream, options)),
    [
      ["an empty stream", ["", { before: 1 }], "stream", "must not be empty"],
      ["version 0", ["order-1", { before: 0 }], "before", "must be at least 1, got 0"],
      ["a version that is a fraction", ["order-1", { before: 1.5 }], "before", "must be a whole number"],
      ["a version beyond the last plus one", ["order-1", { before: 4 }], "before", "must be at most 3"],
      ["no version", ["order-1", {}], "before", "must be a number, got undefined"]
    ]
  ),
  ...badInputs(
    "EventStore.tombstone",
    "InvalidInput",
    ([stream, options]: [any, any?]) => withStore((store) => store.tombstone(stream, options)),
    [
      ["an empty stream", [""], "stream", "must not be empty"],
      ["a negative expectation", ["order-1", { expected: -2 }], "expected", "must be at least 0"],
      ["an expectation in other words", ["order-1", { expected: "dead" }], "expected", "or a version, got \"dead\""]
    ]
  )
]
