import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, FastCheck as fc, Schema } from "effect"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { Fault, format, InvalidEvent, InvalidInput } from "effect-skald/event/InvalidInput"
import * as Arbitraries from "effect-skald/testing/Arbitraries"

const Placed = Event.make("Placed", { order: Schema.String })
const event = Placed({ order: "o-1" })

describe("a new event in its envelope", () => {
  it("keeps the event, and says of it what it is told", () => {
    fc.assert(
      fc.property(Arbitraries.metadata, Arbitraries.eventId, Arbitraries.instant, (metadata, id, occurredAt) => {
        const made = Envelope.make(event, { id, occurredAt, source: "/shop", ...metadata })
        assert.strictEqual(made.event, event)
        assert.strictEqual(made.id, id)
        assert.strictEqual(made.occurredAt, occurredAt)
        assert.strictEqual(made.source, "/shop")
        assert.deepStrictEqual(made.metadata, metadata)
        assert.isTrue(Envelope.isNew(made))
      })
    )
  })

  it("says nothing where nothing is said", () => {
    const made = Envelope.make(event)
    assert.deepStrictEqual([made.id, made.occurredAt, made.source, made.metadata], [
      undefined,
      undefined,
      undefined,
      {}
    ])
  })

  it("pipes", () => {
    assert.strictEqual(Envelope.make(event).pipe((self) => self.event), event)
    assert.strictEqual(Envelope.make(event).pipe((self) => self.event, (each) => each.order), "o-1")
  })

  it("is told from plain events, whatever they hold", () => {
    fc.assert(fc.property(fc.anything(), (value) => !Envelope.isNew(value)))
    assert.isFalse(Envelope.isNew(event))
    assert.isFalse(Envelope.isNew({ event, id: "1", metadata: {} }))
  })
})

describe("a recorded event", () => {
  it("with another payload is the same otherwise, and the first is left alone", () => {
    fc.assert(fc.property(Arbitraries.log(Placed), fc.anything(), (log, payload) => {
      for (const recorded of log) {
        const before = { ...recorded }
        const other = Envelope.withPayload(recorded, payload)
        assert.strictEqual(other.payload, payload)
        assert.deepStrictEqual({ ...other, payload: null }, { ...before, payload: null } as never)
        assert.deepStrictEqual({ ...recorded }, before)
      }
    }))
  })
})

describe("metadata", () => {
  it("comes back from its Schema, in every combination", () => {
    // Schema's records drop a key `__proto__`; the store refuses it
    const storable = Arbitrary.make(Envelope.Metadata).filter(({ headers = {} }) =>
      !Object.hasOwn(headers, "__proto__")
    )
    fc.assert(fc.property(storable, (metadata) => {
      const { headers, ...rest } = metadata
      const kept = headers === undefined ? rest : { ...rest, headers: { ...headers } }
      assert.deepStrictEqual(Schema.decodeUnknownSync(Envelope.Metadata)(JSON.parse(JSON.stringify(metadata))), kept)
    }))
  })

  it("is refused where a member is no text", () => {
    const is = Schema.is(Envelope.Metadata)
    assert.isTrue(is({}))
    for (
      const wrong of [
        { tenant: 1 },
        { headers: { a: 1 } },
        { trace: {} },
        { trace: "00-…" },
        { actor: undefined },
        null
      ]
    ) {
      assert.isFalse(is(wrong), JSON.stringify(wrong))
    }
  })
})

describe("a refusal", () => {
  const faults = [
    new Fault({ path: "events[0].id", problem: "must not be empty" }),
    new Fault({ path: "tags[1]", problem: "must be a string, got 7" })
  ] as const

  it("says one fault on a line", () => {
    const text = "events[0].id: must not be empty\ntags[1]: must be a string, got 7"
    assert.strictEqual(format(faults), text)
    assert.strictEqual(new InvalidInput({ faults }).message, text)
    assert.strictEqual(new InvalidEvent({ faults }).message, text)
    assert.match(String(new InvalidInput({ faults })), /events\[0\]\.id: must not be empty/)
  })

  it("is sent and read as itself, and is never without a fault", () => {
    const sent = JSON.parse(JSON.stringify(Schema.encodeSync(InvalidInput)(new InvalidInput({ faults }))))
    const read = Schema.decodeSync(InvalidInput)(sent)
    assert.instanceOf(read, InvalidInput)
    assert.strictEqual(read.message, new InvalidInput({ faults }).message)
    assert.throws(() => new InvalidInput({ faults: [] as never }))
  })
})
