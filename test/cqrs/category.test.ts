import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Either, Fiber, type Layer, Option, Schema, Stream, TestClock } from "effect"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import * as Query from "effect-skald/store/Query"
import { equal, includes } from "../support/assert.ts"
import { onBoth } from "../support/embedded.ts"

const OrderId = Schema.String.pipe(Schema.pattern(/^o-\d+$/), Schema.brand("OrderId"))
const id = OrderId.make

const Placed = Event.make("Placed", { total: Schema.Number, at: Schema.DateTimeUtc }, {
  tags: (event) => [`total:${event.total}`]
})
class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { why: Schema.String }) {}
const Paid = Event.make("Paid", { by: Schema.String }, {
  version: 2,
  upcast: { 1: Event.upcast(Schema.Struct({}), () => ({ by: "unknown" })) }
})

const Orders = Category.make("order", { id: OrderId, events: [Placed, Cancelled, Paid] })
const Notes = Category.make("note", { events: [Event.make("Noted", { text: Schema.String })] })
const noted = (text: string) => ({ _tag: "Noted" as const, text })

const placed = (total: number) => Placed({ total, at: Schema.decodeSync(Schema.DateTimeUtc)("2001-02-14T12:00:00Z") })

const list = <A, E, R>(stream: Stream.Stream<A, E, R>) => Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)
const payloads = <A, E, R>(stream: Stream.Stream<Envelope.Recorded<A>, E, R>) =>
  Effect.map(list(stream), (events) => events.map((event) => event.payload))

onBoth("Category", (layer) => {
  const test = (title: string, body: () => Effect.Effect<void, unknown, Layer.Layer.Success<typeof layer>>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  test("appends and reads typed events", () =>
    Effect.gen(function*() {
      const first = yield* Orders.append(id("o-1"), [placed(10)], { expected: "noStream" })
      includes(first, { version: 1, repeated: false })
      const second = yield* Orders.append(id("o-1"), [Paid({ by: "card" }), new Cancelled({ why: "late" })], {
        expected: 1
      })
      includes(second, { version: 3 })
      equal(second.events.map((event) => [event.stream, event.version]), [["order-o-1", 2], ["order-o-1", 3]])
      const events = yield* list(Orders.read(id("o-1")))
      equal(events.map((event) => event.payload), [placed(10), Paid({ by: "card" }), new Cancelled({ why: "late" })])
      assert.instanceOf(events[2]!.payload, Cancelled)
      equal(events.map((event) => [event.type, event.schemaVersion, event.version, event.tags]), [
        ["Placed", 1, 1, ["total:10"]],
        ["Paid", 2, 2, []],
        ["Cancelled", 1, 3, []]
      ])
      equal(yield* payloads(Orders.read(id("o-2"))), [])
    }))

  test("an expectation that does not hold is a typed failure, and nothing is written", () =>
    Effect.gen(function*() {
      yield* Orders.append(id("o-1"), [placed(10)])
      for (const expected of ["noStream", 0, 2, 7] as const) {
        const error = yield* Effect.flip(Orders.append(id("o-1"), [placed(11)], { expected }))
        includes(error, { _tag: "VersionConflict", stream: "order-o-1", actual: 1 })
      }
      includes(yield* Effect.flip(Orders.append(id("o-2"), [placed(11)], { expected: "streamExists" })), { actual: 0 })
      includes(yield* Orders.append(id("o-1"), [placed(11)], { expected: "streamExists" }), { version: 2 })
      includes(yield* Orders.append(id("o-1"), [placed(12)], { expected: "any" }), { version: 3 })
    }))

  test("reads parts of a stream, in both directions, and pages of it", () =>
    Effect.gen(function*() {
      yield* Orders.append(id("o-1"), [1, 2, 3, 4, 5].map(placed))
      const totals = (options?: Category.ReadOptions) =>
        Effect.map(payloads(Orders.read(id("o-1"), options)), (all) =>
          all.map((event) => event._tag === "Placed" ? event.total : 0))
      equal(yield* totals({ from: 2, to: 4 }), [2, 3, 4])
      equal(yield* totals({ backwards: true, limit: 2 }), [5, 4])
      equal(yield* totals({ from: 4, to: 2 }), [])
      const page = yield* Orders.readPage(id("o-1"), { from: 2, to: 3 })
      equal(
        page.events.map((event) =>
          event.version
        ),
        [2, 3]
      )
      assert.isFalse(page.more)
      yield* Orders.append(id("o-1"), Array.from({ length: 300 }, (_, n) => placed(n)))
      const long = yield* Orders.readPage(id("o-1"))
      assert.isTrue(long.more)
      assert.strictEqual(long.events[0]!.version, 1)
    }))

  test("reads all streams of the category in the order of the log, and the types that are asked for", () =>
    Effect.gen(function*() {
      yield* Orders.append(id("o-1"), [placed(1)])
      yield* Notes.append("n", [noted("x")])
      yield* Orders.append(id("o-2"), [placed(2), Paid({ by: "card" })])
      yield* Orders.append(id("o-1"), [new Cancelled({ why: "late" })])
      const all = yield* list(Orders.readAll())
      equal(all.map((event) => [event.stream, event.payload._tag]), [
        ["order-o-1", "Placed"],
        ["order-o-2", "Placed"],
        ["order-o-2", "Paid"],
        ["order-o-1", "Cancelled"]
      ])
      equal((yield* list(Orders.readAll({ types: [Placed] }))).map((event) => event.payload.total), [1, 2])
      equal((yield* list(Orders.readAll({ types: [Cancelled, Paid], backwards: true }))).map((event) => event.type), [
        "Cancelled",
        "Paid"
      ])
      equal((yield* list(Orders.readAll({ after: all[1]!.position, limit: 1 }))).map((event) => event.type), ["Paid"])
      equal(
        (yield* list(Orders.readAll({ query: Query.unsafeMake({ tags: ["total:2"] }) }))).map((event) => event.stream),
        ["order-o-2"]
      )
      includes(yield* Effect.flip(list(Orders.readAll({ types: [] }))), { _tag: "InvalidInput" })
    }))

  test("subscribes: catches up, then follows, the types that are asked for", () =>
    Effect.gen(function*() {
      yield* Orders.append(id("o-1"), [placed(1), Paid({ by: "card" })])
      const fiber = yield* Effect.fork(
        list(Stream.take(Orders.subscribe({ after: "earliest", types: [Placed] }), 3))
      )
      yield* Effect.yieldNow()
      yield* Notes.append("n", [noted("x")])
      yield* Orders.append(id("o-2"), [placed(2)])
      yield* Orders.append(id("o-1"), [new Cancelled({ why: "late" }), placed(3)])
      const events = yield* Fiber.join(fiber)
      equal(events.map((event) => event.payload.total), [1, 2, 3])
    }))

  test("as of a version, a position, the time of occurring and of recording", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000)
      const first = yield* Orders.append(id("o-1"), [placed(1)])
      yield* TestClock.setTime(2_000)
      // recorded second, occurred first
      yield* Orders.append(id("o-1"), [Envelope.make(placed(2), { occurredAt: 500 })])
      yield* Orders.append(id("o-2"), [placed(9)])
      yield* TestClock.setTime(3_000)
      const third = yield* Orders.append(id("o-1"), [placed(3)])
      const at = (asOf: Extract<Category.ReadOptions, { readonly asOf: unknown }>["asOf"]) =>
        Effect.map(list(Orders.read(id("o-1"), { asOf })), (events) => events.map((event) => event.version))
      equal(yield* at({ version: 0 }), [])
      equal(yield* at({ version: 2 }), [1, 2])
      equal(yield* at({ version: 99 }), [1, 2, 3])
      equal(yield* at({ position: 0 }), [])
      equal(yield* at({ position: first.position }), [1])
      equal(yield* at({ position: third.position - 1 }), [1, 2])
      equal(yield* at({ occurredAt: 499 }), [])
      equal(yield* at({ occurredAt: 500 }), [2])
      equal(yield* at({ occurredAt: "1970-01-01T00:00:01Z" }), [1, 2])
      equal(yield* at({ recordedAt: 1_999 }), [1])
      equal(yield* at({ recordedAt: new Date(2_000) }), [1, 2])
      for (const bad of [{ version: -1 }, { position: 0.5 }, { occurredAt: "noon" }, { recordedAt: Number.NaN }]) {
        const error = yield* Effect.flip(at(bad as never))
        assert.instanceOf(error, InvalidInput)
        assert.match((error as InvalidInput).faults[0].path, /^asOf\./)
      }
    }))

  test("envelopes say what plain events do not", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(7_000)
      yield* Orders.append(id("o-1"), [
        Envelope.make(placed(1), {
          id: "mine",
          occurredAt: "2001-02-14T00:00:00Z",
          source: "/import",
          actor: "alice",
          correlationId: "talk",
          headers: { batch: "7" }
        }),
        placed(2)
      ]).pipe(Correlation.locally({ actor: "bob", source: "/shop" }))
      const [first, second] = yield* list(Orders.read(id("o-1")))
      includes(first, { id: "mine", source: "/import" })
      equal(first!.metadata, { correlationId: "talk", actor: "alice", headers: { batch: "7" } })
      assert.strictEqual(first!.occurredAt.epochMillis, Date.UTC(2001, 1, 14))
      includes(second, { source: "/shop" })
      includes(second!.metadata, { actor: "bob" })
      assert.strictEqual(second!.occurredAt.epochMillis, 7_000)
      // the same id again is a repeat; with other content it is refused
      const again = yield* Orders.append(id("o-1"), [
        Envelope.make(placed(1), { id: "mine", occurredAt: "2001-02-14T00:00:00Z" })
      ])
      includes(again, { repeated: true, version: 1 })
      includes(yield* Effect.flip(Orders.append(id("o-1"), [Envelope.make(placed(5), { id: "mine" })])), {
        _tag: "DuplicateEvent",
        reason: "differs"
      })
    }))

  test("all faults of an append are told at once, each with its path, and nothing is written", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Orders.append(
        id("o-1"),
        [
          placed(1),
          { _tag: "Placed", total: "much", at: 0 } as never,
          { _tag: "Gone" } as never,
          Envelope.make({ _tag: "Paid", by: 7 } as never)
        ]
      ))
      assert.strictEqual(error._tag, "InvalidEvent")
      equal((error as InvalidInput).faults.map((fault) => fault.path), [
        "events[1].total",
        "events[1].at",
        "events[2]",
        "events[3].by"
      ])
      includes(yield* Effect.flip(Orders.append(id("o-1"), [])), { _tag: "InvalidEvent" })
      includes(yield* Effect.flip(Orders.append(id("o-1"), [placed(1)], { expected: -1 })), { _tag: "InvalidEvent" })
      equal(yield* list(Orders.readAll()), [])
    }))

  test("an append over several categories is all or nothing", () =>
    Effect.gen(function*() {
      yield* Category.appendAll([
        Orders.part(id("o-1"), [placed(1)], { expected: "noStream" }),
        Notes.part("n", [noted("x"), noted("y")])
      ])
      const conflict = Category.appendAll([
        Notes.part("n", [noted("z")]),
        Orders.part(id("o-1"), [placed(2)], { expected: "noStream" })
      ])
      includes(yield* Effect.flip(conflict), { _tag: "VersionConflict", stream: "order-o-1", expected: "noStream" })
      // a part without events is a check
      includes(
        yield* Effect.flip(Category.appendAll([
          Notes.part("n", [noted("z")]),
          Orders.part(id("o-9"), [], {
            expected: "streamExists"
          })
        ])),
        { _tag: "VersionConflict" }
      )
      yield* Category.appendAll([Notes.part("n", [noted("z")]), Orders.part(id("o-1"), [], { expected: 1 })])
      equal(yield* payloads(Notes.readAll()), ["x", "y", "z"].map(noted))
      equal((yield* list(Orders.readAll())).length, 1)
      // beyond streams: on condition that nothing was recorded
      const condition = { failIf: Query.unsafeMake({ tags: ["total:1"] }) }
      includes(yield* Effect.flip(Category.appendAll([Notes.part("n", [noted("!")])], condition)), {
        _tag: "ConditionFailed"
      })
      includes(yield* Effect.flip(Notes.append("n", [noted("!")], condition)), { _tag: "ConditionFailed" })
      // a part that cannot be encoded fails the whole
      includes(yield* Effect.flip(Category.appendAll([Notes.part("n", [noted("!")]), Notes.part("", [noted("!")])])), {
        _tag: "InvalidInput"
      })
      equal((yield* payloads(Notes.readAll())).length, 3)
    }))

  test("an event of another type is a typed failure after those before it, or is kept", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      yield* Notes.append("n", [noted("x")])
      yield* store.append([{ stream: "note-n", events: [{ type: "Drawn", schemaVersion: 3, payload: { line: [1] } }] }])
      yield* Notes.append("n", [noted("y")])
      const seen: Array<unknown> = []
      const watching = Stream.runForEach(Notes.read("n"), (event) => Effect.sync(() => seen.push(event.payload)))
      const error = yield* Effect.flip(watching)
      includes(error, { _tag: "UnknownEventType", type: "Drawn", stream: "note-n", version: 2 })
      equal(seen, [noted("x")])
      includes(yield* Effect.flip(Notes.readPage("n")), { _tag: "UnknownEventType" })
      includes(yield* Effect.flip(list(Notes.readAll())), { _tag: "UnknownEventType" })

      const Kept = Category.make("note", { events: [Event.make("Noted", { text: Schema.String })], unknown: "keep" })
      const unknown = { _tag: "$Unknown", type: "Drawn", schemaVersion: 3, payload: { line: [1] } }
      for (const stream of [Kept.read("n"), Kept.readAll()]) {
        equal(yield* payloads(stream), [noted("x"), unknown, noted("y")])
      }
      equal((yield* Kept.readPage("n")).events.map((event) => event.payload), [noted("x"), unknown, noted("y")])
    }))

  test("what an older program wrote is brought up", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.EventStore
      yield* store.append([{ stream: "order-o-1", events: [{ type: "Paid", schemaVersion: 1, payload: {} }] }])
      equal(yield* payloads(Orders.read(id("o-1"))), [Paid({ by: "unknown" })])
      // of its own payload, too, the Schema may refuse what it finds
      yield* store.append([{ stream: "order-o-1", events: [{ type: "Paid", schemaVersion: 2, payload: { by: 7 } }] }])
      includes(yield* Effect.flip(payloads(Orders.read(id("o-1")))), {
        _tag: "UndecodableEvent",
        type: "Paid",
        version: 2
      })
    }))

  test("tenants do not see each other's streams", () =>
    Effect.gen(function*() {
      const as = (tenant: string) => Correlation.locally({ tenant })
      includes(yield* Notes.append("n", [noted("x")], { expected: "noStream" }).pipe(as("one")), { version: 1 })
      includes(yield* Notes.append("n", [noted("y")], { expected: "noStream" }).pipe(as("two")), { version: 1 })
      equal(yield* payloads(Notes.read("n")).pipe(as("two")), [noted("y")])
      equal(yield* payloads(Notes.read("n")), [])
      equal(yield* payloads(Notes.readAll()).pipe(as("one")), [noted("x")])
      equal(yield* payloads(Notes.readAll({ allTenants: true })), [noted("x"), noted("y")])
    }))
})

describe("ids of a category", () => {
  const Point = Category.make("point", {
    id: Schema.transform(Schema.String, Schema.Struct({ x: Schema.NumberFromString, y: Schema.NumberFromString }), {
      strict: true,
      decode: (text) => ({ x: text.split(",")[0]!, y: text.split(",")[1]! }),
      encode: ({ x, y }) => `${x},${y}`
    }),
    events: [Placed]
  })

  it("are what their Schema makes of them, and back", () => {
    equal(Orders.stream(id("o-7")), Either.right("order-o-7"))
    equal(Orders.idOf("order-o-7"), Either.right("o-7"))
    equal(Point.stream({ x: 1, y: -2 }), Either.right("point-1,-2"))
    equal(Point.idOf("point-1,-2"), Either.right({ x: 1, y: -2 }))
    equal(Notes.stream("a-b-c"), Either.right("note-a-b-c"))
    equal(Notes.idOf("note-a-b-c"), Either.right("a-b-c"))
  })

  it.effect("that cannot be used are refused everywhere, named", () =>
    Effect.gen(function*() {
      const bad = "seven" as typeof OrderId.Type
      const fails = <A, R>(effect: Effect.Effect<A, unknown, R>) =>
        Effect.map(Effect.flip(effect), (error) => {
          assert.instanceOf(error, InvalidInput)
          assert.strictEqual((error as InvalidInput).faults[0].path, "id")
        })
      yield* fails(Orders.append(bad, [placed(1)]))
      yield* fails(list(Orders.read(bad)))
      yield* fails(list(Orders.read(bad, { asOf: { version: 1 } })))
      yield* fails(Orders.readPage(bad))
      yield* fails(Category.appendAll([Orders.part(bad, [placed(1)])]))
      yield* fails(Orders.stream(bad))
      yield* fails(Orders.idOf("order-seven"))
      yield* fails(Notes.stream(""))
      yield* fails(Notes.stream("\u0000"))
      yield* fails(Notes.stream("\ud800"))
      yield* fails(Notes.stream("x".repeat(508)))
      assert.isTrue(Either.isRight(Notes.stream("x".repeat(507))))
      assert.isTrue(Either.isLeft(Notes.idOf("order-o-7")))
      assert.isTrue(Option.isSome(Either.getLeft(Notes.idOf("noted-x"))))
    }).pipe(Effect.provide(EventStore.layerMemory)))

  it("a name that cannot be a category's, and types that cannot be events', are refused when built", () => {
    const refused = (build: () => unknown, path: string) => {
      const error = Either.merge(Either.try({ try: build, catch: (error) => error }))
      assert.instanceOf(error, InvalidInput)
      assert.strictEqual((error as InvalidInput).faults[0].path, path)
    }
    for (const name of ["", "a-b", "a\u0000", "x".repeat(513)]) {
      refused(() => Category.make(name, { events: [Placed] }), "name")
    }
    refused(() => Category.make("order", { events: [Placed, Placed] as never }), "events[1]._tag")
    refused(() => Category.make("order", { events: [Schema.Struct({ n: Schema.Int })] as never }), "events[0]")
  })
})
