import { assert, describe, it } from "@effect/vitest"
import { Chunk, DateTime, Effect, Either, FastCheck as fc, Schema, Stream } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import type { Raw } from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import type { Position, StreamVersion } from "effect-skald/event/Position"
import type { StreamId } from "effect-skald/event/StreamId"
import * as Category from "effect-skald/store/Category"
import { EventStore } from "effect-skald/store/EventStore"
import * as Query from "effect-skald/store/Query"
import { onBoth } from "../support/embedded.ts"

const Registered = Event.make("Registered", { course: Schema.String })
const Enrolled = Event.make("Enrolled", { course: Schema.String, seats: Schema.Int }, {
  version: 3,
  alias: ["Registered", "SignedUp"],
  upcast: {
    1: Event.upcast(
      Schema.Struct({ course: Schema.String }),
      (old) => ({ _tag: "SignedUp" as const, ...old, count: 1 })
    ),
    2: Event.upcast(
      Schema.TaggedStruct("SignedUp", { course: Schema.String, count: Schema.Int }),
      ({ count, course }) => ({ course, seats: count })
    )
  }
})
const Left = Event.make("Left", { course: Schema.String })

const raw = (type: string, schemaVersion: number, payload: unknown): Raw => ({
  id: "e-1",
  stream: "course-1" as StreamId,
  version: 1 as StreamVersion,
  position: 1 as Position,
  type,
  schemaVersion,
  payload,
  metadata: {},
  source: "/",
  tags: [],
  occurredAt: DateTime.unsafeMake(0),
  recordedAt: DateTime.unsafeMake(0)
})

const faultsOf = (build: () => unknown): ReadonlyArray<string> => {
  try {
    build()
  } catch (error) {
    assert.instanceOf(error, InvalidInput)
    return (error as InvalidInput).faults.map((fault) => `${fault.path}: ${fault.problem}`)
  }
  return []
}

describe("a renamed event type", () => {
  const codec = EventCodec.make(Event.group([Enrolled, Left]))
  const payloadOf = (type: string, version: number, payload: unknown) =>
    Either.map(codec.decode(raw(type, version, payload)), (event) => event.payload)

  it("reads what was recorded under its former tags, at every version, as its own events", () => {
    const expected = Either.right(Enrolled({ course: "c", seats: 1 }))
    assert.deepStrictEqual(payloadOf("Registered", 1, { _tag: "Registered", course: "c" }), expected)
    assert.deepStrictEqual(payloadOf("Enrolled", 1, { _tag: "Enrolled", course: "c" }), expected)
    assert.deepStrictEqual(payloadOf("Registered", 1, { course: "c" }), expected)
    // an older Schema that names the former tag is given it
    assert.deepStrictEqual(payloadOf("SignedUp", 2, { _tag: "SignedUp", course: "c", count: 1 }), expected)
    assert.deepStrictEqual(payloadOf("SignedUp", 2, { course: "c", count: 1 }), expected)
    assert.deepStrictEqual(payloadOf("Registered", 3, { _tag: "Registered", course: "c", seats: 1 }), expected)
  })

  it("keeps of the recorded event what was stored", () => {
    const event = Either.getOrThrow(codec.decode(raw("Registered", 1, { course: "c" })))
    assert.strictEqual(event.type, "Registered")
    assert.strictEqual(event.schemaVersion, 1)
  })

  it("refuses a payload with the tag of another event, and versions it does not know", () => {
    for (const type of ["Registered", "Enrolled"]) {
      const decoded = codec.decode(raw(type, 3, { _tag: "Left", course: "c", seats: 1 }))
      assert.strictEqual(Either.isLeft(decoded) && decoded.left._tag, "UndecodableEvent")
    }
    const unknown = codec.decode(raw("Registered", 4, { course: "c" }))
    assert.strictEqual(Either.isLeft(unknown) && unknown.left._tag, "UnknownEventType")
    for (const payload of [null, 1, "x", []]) {
      assert.strictEqual(Either.isLeft(codec.decode(raw("Registered", 3, payload))), true)
    }
  })

  it("is written under its present tag alone", () => {
    assert.deepStrictEqual(
      EventCodec.encode(codec, Enrolled({ course: "c", seats: 2 })),
      Either.right({
        type: "Enrolled",
        schemaVersion: 3,
        payload: { _tag: "Enrolled", course: "c", seats: 2 },
        tags: []
      })
    )
    assert.strictEqual(Either.isLeft(EventCodec.encode(codec, Registered({ course: "c" }) as never)), true)
  })

  it("names its aliases among the known types of an unknown one", () => {
    const decoded = codec.decode(raw("Other", 1, {}))
    assert.deepStrictEqual(
      Either.isLeft(decoded) && decoded.left._tag === "UnknownEventType" && decoded.left.known,
      ["Enrolled", "Registered", "SignedUp", "Left"]
    )
  })

  it("reads alike under any of its names", () => {
    fc.assert(fc.property(
      fc.record({ course: fc.string(), seats: fc.integer() }),
      fc.constantFrom("Registered", "SignedUp"),
      fc.boolean(),
      (fields, name, withTag) =>
        assert.deepStrictEqual(
          payloadOf(name, 3, withTag ? { _tag: name, ...fields } : fields),
          payloadOf("Enrolled", 3, { _tag: "Enrolled", ...fields })
        )
    ))
  })
})

describe("aliases are checked when built", () => {
  it("in the event type", () => {
    assert.deepStrictEqual(faultsOf(() => Event.make("A", {}, { alias: ["A", "", "$x", "B", "B"] })), [
      "options.alias[0]: must differ from the tag",
      "options.alias[1]: must not be empty",
      "options.alias[2]: must not begin with \"$\", which marks the library's own, got \"$x\"",
      "options.alias[4]: must not stand twice, got \"B\""
    ])
    assert.deepStrictEqual(faultsOf(() => Event.make("A", {}, { alias: "B" as never })), [
      "options.alias: must be a list of tags, got \"B\""
    ])
  })

  it("in the group: one stored name leads to one event type", () => {
    const renamed = Event.make("B", {}, { alias: ["A"] })
    assert.deepStrictEqual(faultsOf(() => Event.group([renamed, Event.make("A", {})])), [
      "events: must not have \"A\" as an alias of \"B\": it names events of \"A\""
    ])
    assert.deepStrictEqual(faultsOf(() => Event.group([renamed, Event.make("C", {}, { alias: ["A"] })])), [
      "events: must not have \"A\" as an alias of \"C\": it names events of \"B\""
    ])
  })

  it("survive filters and unions", () => {
    const filtered = Enrolled.pipe(Schema.filter((event) => event.seats >= 0))
    assert.deepStrictEqual(Event.storedTypes([Schema.Union(filtered, Left)]), [
      "Enrolled",
      "Registered",
      "SignedUp",
      "Left"
    ])
    assert.deepStrictEqual(Enrolled.aliases, ["Registered", "SignedUp"])
    assert.deepStrictEqual(Left.aliases, [])
  })
})

onBoth("a renamed event type in the store", (layer) => {
  const before = Category.make("course", { events: [Registered, Left] })
  const after = Category.make("course", { events: [Enrolled, Left] })
  const Count = Projection.make("seats", {
    state: Schema.Number,
    events: [Enrolled],
    initial: 0,
    apply: (sum, event) => sum + event.seats
  })

  it.effect("is found by streams, categories, subscriptions and projections", () =>
    Effect.gen(function*() {
      yield* before.append("1", [Registered({ course: "c" }), Left({ course: "c" })])
      yield* after.append("1", [Enrolled({ course: "c", seats: 5 })])
      const tags = (events: Chunk.Chunk<{ readonly payload: { readonly _tag: string } }>) =>
        Chunk.toReadonlyArray(events).map((event) => event.payload._tag)
      assert.deepStrictEqual(tags(yield* Stream.runCollect(after.read("1"))), ["Enrolled", "Left", "Enrolled"])
      assert.deepStrictEqual(
        tags(yield* Stream.runCollect(after.readAll({ types: [Enrolled] }))),
        ["Enrolled", "Enrolled"]
      )
      assert.deepStrictEqual(
        tags(
          yield* Stream.runCollect(Stream.take(after.subscribe({ after: "earliest", types: [Enrolled] }), 2))
        ),
        ["Enrolled", "Enrolled"]
      )
      assert.strictEqual((yield* Projection.catchUp(Count)).state, 6)
      assert.strictEqual(yield* Projection.live(Count), 6)
      const store = yield* EventStore
      const query = Query.unsafeMake({ types: Event.storedTypes([Enrolled]) })
      assert.strictEqual(Chunk.size(yield* Stream.runCollect(store.readAll({ query }))), 2)
    }).pipe(Effect.provide(layer)))
})
