import * as CloudEvents from "effect-skald/event/CloudEvents"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import * as Position from "effect-skald/event/Position"
import * as StreamId from "effect-skald/event/StreamId"
import * as Query from "effect-skald/store/Query"
import { Schema } from "effect"
import { type BadInput, badInputs, throwing } from "../../support/badInput.ts"

const long = "x".repeat(513)

const Placed = Event.make("Placed", { order: Schema.NonEmptyString, total: Schema.Int }, {
  tags: (event) => [`order:${event.order}`]
})
const Blob = Event.make("Blob", { value: Schema.Unknown })
const codec = EventCodec.make(Event.group([Placed, Blob]))

class Money {
  readonly cents = 1
}

const cloudEvent = { specversion: "1.0", id: "e-1", source: "/shop", type: "Placed", subject: "order-1" }

/** Inputs of `src/event`. */
export const eventInputs: ReadonlyArray<BadInput> = [
  ...badInputs("StreamId.parse", "InvalidInput", StreamId.parse, [
    ["nothing", undefined, "stream", "must be a string, got undefined"],
    ["a number", 7, "stream", "must be a string, got 7"],
    ["an object", { stream: "a-1" }, "stream", "must be a string"],
    ["an empty name", "", "stream", "must not be empty"],
    ["a name of 513 code units", long, "stream", "at most 512 UTF-16 code units, has 513"],
    ["NUL in it", "order-\u0000", "stream", "control characters"],
    ["a line break in it", "order-1\n2", "stream", "control characters"],
    ["a C1 control character", "order-\u0085", "stream", "control characters"],
    ["a lone surrogate", "order-\ud83d", "stream", "well-formed Unicode"],
    ["no category before its dash", "-1", "stream", "must name a category"],
    ["no id after its dash", "order-", "stream", "must name an id"]
  ]),
  ...badInputs("StreamId.make", "InvalidInput", ([category, id]: [any, any]) => StreamId.make(category, id), [
    ["an empty category", ["", "1"], "category", "must not be empty"],
    ["a dash in the category", ["order-line", "1"], "category", "must not hold \"-\""],
    ["a category that is none", [null, "1"], "category", "must be a string, got null"],
    ["an empty id", ["order", ""], "id", "must not be empty"],
    ["an id that is a number", ["order", 1], "id", "must be a string, got 1"],
    ["a category and an id that are too long together", ["x".repeat(300), "y".repeat(300)], "id", "at most 512"]
  ]),
  ...badInputs("Position.expected", "InvalidInput", Position.expected, [
    ["a negative version", -1, "expected", "must be at least 0, got -1"],
    ["a fraction", 1.5, "expected", "must be a whole number, got 1.5"],
    ["NaN", Number.NaN, "expected", "must be a whole number, got NaN"],
    ["infinity", Infinity, "expected", "must be a whole number"],
    ["beyond what is exact", 2 ** 53, "expected", "must be a whole number"],
    ["a number in text", "3", "expected", "must be \"any\", \"noStream\", \"streamExists\" or a version, got \"3\""],
    ["another word", "ANY", "expected", "or a version"],
    ["null", null, "expected", "or a version, got null"]
  ]),
  ...badInputs(
    "Event.make",
    "InvalidInput",
    ([tag, fields, options]: [any, any?, any?]) => throwing(() => Event.make(tag, fields ?? {}, options)),
    [
      ["an empty tag", [""], "tag", "must not be empty"],
      ["a tag that is reserved", ["$Mark"], "tag", "must not begin with \"$\""],
      ["a tag that is no string", [7], "tag", "must be a string, got 7"],
      ["a tag that is too long", [long], "tag", "at most 512"],
      ["a field named _tag", ["A", { _tag: Schema.String }], "fields._tag", "is taken"],
      ["version 0", ["A", {}, { version: 0, upcast: {} }], "options.version", "must be at least 1, got 0"],
      [
        "a version that is a fraction",
        ["A", {}, { version: 1.5, upcast: {} }],
        "options.version",
        "must be a whole number"
      ],
      [
        "a hole in its upcasters",
        ["A", {}, { version: 3, upcast: { 2: Event.upcast(Schema.Struct({}), () => ({})) } }],
        "options.upcast[1]",
        "must lead from version 1 to 2"
      ],
      [
        "an upcaster from its own version",
        ["A", {}, { version: 1, upcast: { 1: Event.upcast(Schema.Struct({}), () => ({})) } }],
        "options.upcast[1]",
        "must be a version below 1"
      ],
      ["an upcaster that is none", ["A", {}, { version: 2, upcast: { 1: "x" } }], "options.upcast[1]", "must lead"],
      ["an empty subject", ["A", {}, { subject: "" }], "options.subject", "must not be empty"]
    ]
  ),
  ...badInputs("Event.group", "InvalidInput", (types: any) => throwing(() => Event.group(types)), [
    ["one tag twice", [Placed, Event.make("Placed", {})], "events[1]._tag", "\"Placed\" stands twice"],
    ["what is no Schema", [Placed, { _tag: "Paid" }], "events[1]", "must be a Schema"],
    ["a Schema without a tag", [Schema.Struct({ a: Schema.String })], "events[0]", "literal \"_tag\""],
    ["a tag that is not a literal", [Schema.Struct({ _tag: Schema.String })], "events[0]", "literal \"_tag\""],
    ["a reserved tag", [Schema.TaggedStruct("$Own", {})], "events[0]._tag", "must not begin with \"$\""]
  ]),
  ...badInputs("EventCodec.encode", "InvalidEvent", (event: any) => EventCodec.encode(codec, event), [
    ["nothing", undefined, "event", "must be an event of Placed, Blob, got undefined"],
    ["an event of another group", { _tag: "Paid" }, "event", "must be an event of Placed, Blob"],
    ["a missing field", { _tag: "Placed", order: "o-1" }, "event.total", "is missing"],
    ["a field of another type", { _tag: "Placed", order: "o-1", total: "12" }, "event.total", "12"],
    [
      "a field that its Schema refuses",
      { _tag: "Placed", order: "", total: 1 },
      "event.order",
      "Expected a non empty string"
    ],
    ["a payload that is no JSON", { _tag: "Blob", value: 1n }, "event.value", "got a bigint"],
    ["a class in a payload", { _tag: "Blob", value: new Money() }, "event.value", "got a Money"],
    ["a lone surrogate in a payload", { _tag: "Blob", value: ["\ud800"] }, "event.value[0]", "well-formed Unicode"],
    ["a tag of a query that is too long", { _tag: "Placed", order: long, total: 1 }, "event.tags[0]", "at most 512"]
  ]),
  ...badInputs("Query.make", "InvalidInput", (items: any) => Query.make(...items), [
    ["no item", [], "items", "must hold an item"],
    ["an empty item", [{}], "items[0]", "must name a type or a tag"],
    ["an item of empty lists", [{ types: ["A"] }, { types: [], tags: [] }], "items[1]", "must name a type or a tag"],
    ["an item that is none", [null], "items[0]", "must name a type or a tag"],
    ["an empty type", [{ types: ["A", ""] }], "items[0].types[1]", "must not be empty"],
    ["a tag that is no string", [{ tags: [7] }], "items[0].tags[0]", "must be a string, got 7"],
    ["a tag with a control character", [{ tags: ["a\tb"] }], "items[0].tags[0]", "control characters"],
    ["types that are no list", [{ types: "OrderPlaced" }], "items[0].types", "must be a list"],
    ["tags that are no list", [{ types: ["A"], tags: { length: 1 } }], "items[0].tags", "must be a list"]
  ]),
  ...badInputs("CloudEvents.decode", "InvalidInput", (input: any) => CloudEvents.decode(input), [
    ["nothing", undefined, "event", "must be"],
    ["an empty id", { ...cloudEvent, id: "" }, "event.id", "must not be empty"],
    ["no type", { ...cloudEvent, type: undefined }, "event.type", "must be given"],
    [
      "another version of the specification",
      { ...cloudEvent, specversion: "0.3" },
      "event.specversion",
      "must be \"1.0\""
    ],
    ["a time in words", { ...cloudEvent, time: "yesterday" }, "event.time", "RFC 3339"],
    ["data in Base64 that is none", { ...cloudEvent, data_base64: "%%" }, "event.data_base64", "Base64"]
  ]),
  ...badInputs("CloudEvents.decodeBatch", "InvalidInput", (input: any) => CloudEvents.decodeBatch(input), [
    ["no list", { ...cloudEvent }, "events", "must be a list"],
    ["one that is bad", [cloudEvent, { ...cloudEvent, source: undefined }], "events[1].source", "must be given"]
  ])
]
