import { assert, describe, it } from "@effect/vitest"
import { DateTime, Either, FastCheck, Schema } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as EventCodec from "effect-skald/event/EventCodec"
import * as StreamId from "effect-skald/event/StreamId"
import * as Arbitraries from "effect-skald/testing/Arbitraries"
import { Order, OrderPaid, OrderPlaced } from "../support/order.ts"

const Both = Schema.Union(OrderPlaced, OrderPaid)

describe("values of Schemas", () => {
  const Loose = Schema.Struct({ n: Schema.Number, list: Schema.Array(Schema.Number), when: Schema.Date })

  it.prop("are valid, and can be stored", [Arbitraries.of(Loose)], ([value]) => {
    assert.isTrue(Schema.is(Loose)(value))
    assert.deepStrictEqual(Schema.decodeSync(Loose)(JSON.parse(JSON.stringify(Schema.encodeSync(Loose)(value)))), value)
  })

  it("hold what JSON lacks where the Schema encodes it", () => {
    const Read = Schema.transform(Schema.String, Schema.Number, { strict: true, decode: Number, encode: String })
    const drawn = FastCheck.sample(Arbitraries.of(Read), { seed: 1, numRuns: 1_000 })
    assert.isTrue(drawn.some((n) => !Number.isFinite(n)))
  })

  it("a Schema without an arbitrary is refused when built", () => {
    assert.throws(() => Arbitraries.of(Schema.declare((u): u is URL => u instanceof URL)), /arbitrary/)
  })
})

describe("of a decider", () => {
  it.prop(
    "commands, events and states are valid",
    [Arbitraries.command(Order), Arbitraries.event(Order), Arbitraries.state(Order)],
    ([command, event, state]) => {
      assert.isTrue(Schema.is(Order.commands)(command))
      assert.isTrue(Schema.is(Order.events)(event))
      assert.isTrue(Schema.is(Order.state)(state))
    }
  )

  it.prop("histories are what the decider itself decides", [Arbitraries.history(Order)], ([history]) => {
    const [first, ...rest] = history.map(({ _tag }) => _tag)
    if (first === undefined) return
    assert.strictEqual(first, "OrderPlaced")
    assert.notInclude(rest, "OrderPlaced")
    if (rest.includes("OrderCancelled")) assert.strictEqual(rest.indexOf("OrderCancelled"), rest.length - 1)
  })

  it("histories get everywhere, and shrink", () => {
    const history = Arbitraries.history(Order)
    const tags = new Set(FastCheck.sample(history, { seed: 1, numRuns: 100 }).flat().map(({ _tag }) => _tag))
    assert.deepStrictEqual(Array.from(tags).sort(), ["OrderCancelled", "OrderPaid", "OrderPlaced"])
    const details = FastCheck.check(
      FastCheck.property(history, (events) => !events.some(({ _tag }) => _tag === "OrderCancelled")),
      { seed: 1, numRuns: 1_000 }
    )
    assert.deepStrictEqual(details.counterexample?.[0].map(({ _tag }) => _tag), ["OrderPlaced", "OrderCancelled"])
  })

  it("their length and their commands can be chosen", () => {
    const Count = Decider.make("count", { state: Schema.Int, commands: Schema.Int, events: Event.make("C", {}) })({
      initial: 0,
      decide: (n) => Either.right(n === 7 ? [{ _tag: "C" }] : []),
      evolve: (count) => count + 1
    })
    const history = Arbitraries.history(Count, { commands: FastCheck.constant(7), maxCommands: 3 })
    const lengths = new Set(FastCheck.sample(history, { seed: 1, numRuns: 200 }).map((events) => events.length))
    assert.deepStrictEqual(Array.from(lengths).sort(), [0, 1, 2, 3])
  })
})

describe("of envelopes", () => {
  it.prop("stream names are accepted", [Arbitraries.streamId], ([stream]) => {
    assert.deepStrictEqual(StreamId.parse(stream), Either.right(stream))
    assert.strictEqual(StreamId.category(stream)._tag, "Some")
  })

  it.prop("metadata is valid", [Arbitraries.metadata], ([metadata]) => {
    assert.isTrue(Schema.is(Envelope.Metadata)(metadata))
    if (metadata.trace) assert.match(metadata.trace.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  it.prop("envelopes hold valid events", [Arbitraries.envelope(Both)], ([envelope]) => {
    assert.isTrue(Envelope.isNew(envelope))
    assert.isTrue(Schema.is(Both)(envelope.event))
    assert.isTrue(envelope.occurredAt === undefined || DateTime.isDateTime(envelope.occurredAt))
    assert.isTrue(Schema.is(Envelope.Metadata)(envelope.metadata))
  })

  it.prop("logs are what a store gives back", [Arbitraries.log(Both, { maxLength: 30 })], ([log]) => {
    const versions = new Map<string, number>()
    let [position, recordedAt] = [0, -Infinity]
    for (const recorded of log) {
      assert.isAbove(recorded.position, position)
      assert.isAtLeast(DateTime.toEpochMillis(recorded.recordedAt), recordedAt)
      assert.strictEqual(recorded.version, (versions.get(recorded.stream) ?? 0) + 1)
      assert.strictEqual(recorded.type, recorded.payload._tag)
      assert.strictEqual(recorded.schemaVersion, recorded.type === "OrderPaid" ? 3 : 1)
      assert.deepStrictEqual(recorded.tags, recorded.type === "OrderPlaced" ? [`order:${recorded.payload.order}`] : [])
      versions.set(recorded.stream, recorded.version)
      ;[position, recordedAt] = [recorded.position, DateTime.toEpochMillis(recorded.recordedAt)]
    }
    assert.strictEqual(new Set(log.map(({ id }) => id)).size, log.length)
  })

  it.prop("and its codec reads them", [Arbitraries.log(Both)], ([log]) => {
    const codec = EventCodec.make(Event.group([OrderPlaced, OrderPaid]))
    for (const recorded of log) {
      const { payload } = Either.getOrThrow(EventCodec.encode(codec, recorded.payload))
      assert.deepStrictEqual(codec.decode({ ...recorded, payload }), Either.right(recorded) as never)
    }
  })

  it("logs have several streams, and several events in one", () => {
    const logs = FastCheck.sample(Arbitraries.log(Both), { seed: 1, numRuns: 50 })
    assert.isTrue(logs.some((log) => new Set(log.map(({ stream }) => stream)).size > 1))
    assert.isTrue(logs.some((log) => log.some(({ version }) => version > 2)))
  })
})
