import { describe, it } from "@effect/vitest"
import * as EventCodec from "effect-skald/event/EventCodec"
import * as Event from "effect-skald/event/Event"
import * as EventId from "effect-skald/event/EventId"
import { Either, FastCheck as fc, Schema } from "effect"
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import { validate, version } from "uuid"

const Line = Schema.Struct({ sku: Schema.NonEmptyString, count: Schema.Int, gift: Schema.Boolean })

const fields = {
  order: Schema.String,
  total: Schema.Number,
  kind: Schema.Literal("new"),
  lines: Schema.Array(Line),
  first: Schema.optionalWith(Line, { exact: true })
}

const mostly = (usual: fc.Arbitrary<unknown>, other: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: other })

/** Values that such a Schema takes, and values beside them. */
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(undefined, null, "", "new", "other", 0, -0, 1.5, Number.NaN, true, false, [], {}),
    fc.string(),
    fc.integer()
  ),
  line: fc.record(
    {
      sku: mostly(fc.string({ minLength: 1 }), tie("leaf")),
      count: mostly(fc.integer(), tie("leaf")),
      gift: mostly(fc.boolean(), tie("leaf"))
    },
    { requiredKeys: ["sku", "count", "gift"] }
  ),
  lines: mostly(fc.array(tie("line"), { maxLength: 2 }), tie("leaf")),
  event: fc.record({
    _tag: fc.constantFrom("Plain", "Plain", "Plain", "Plain", "Plain", "Plain", "Other", undefined),
    order: mostly(fc.string(), tie("leaf")),
    total: mostly(fc.double(), tie("leaf")),
    kind: mostly(fc.constant("new"), tie("leaf")),
    lines: tie("lines"),
    first: mostly(tie("line"), tie("leaf")),
    more: tie("leaf")
  }, { requiredKeys: ["_tag", "order", "total", "kind", "lines"] })
})).event

const Plain = Event.make("Plain", fields)
/** The same, for Effect's own way. */
const Slow = Schema.TaggedStruct("Plain", fields)
const codec = EventCodec.make(Event.group([Plain]))

const raw = (payload: unknown) => ({
  id: "e-1",
  stream: "s",
  version: 1,
  position: 1,
  type: "Plain",
  schemaVersion: 1,
  payload,
  metadata: {},
  source: "/",
  tags: [],
  occurredAt: undefined,
  recordedAt: undefined
} as never)

describe("events whose Schema transforms nothing", () => {
  it("are read as the Schema reads them, whatever comes", () => {
    let read = 0
    fc.assert(
      fc.property(value, (given) => {
        const expected = Schema.decodeUnknownEither(Slow)(given)
        const actual = codec.decode(raw(given))
        // a payload without a tag is given that of its envelope
        if (typeof given === "object" && given !== null && (given as { _tag?: unknown })._tag === undefined) return
        strictEqual(Either.isRight(actual), Either.isRight(expected))
        if (Either.isLeft(actual) || Either.isLeft(expected)) return
        read++
        deepStrictEqual(actual.right.payload, expected.right)
        deepStrictEqual(Object.keys(actual.right.payload), Object.keys(expected.right))
      }),
      { numRuns: 1_000 }
    )
    ok(read > 100, `${read} were read`)
  })

  it("are written as the Schema writes them, as values of their own", () => {
    let written = 0
    fc.assert(
      fc.property(value, (given) => {
        const expected = Schema.encodeUnknownEither(Slow)(given)
        const actual = EventCodec.encode(codec, given as never)
        // what JSON cannot give back is refused on top of what the Schema refuses
        if (Either.isLeft(actual)) {
          return ok(Either.isLeft(expected) || !Object.values(expected.right).every(isJson))
        }
        written++
        deepStrictEqual(actual.right.payload, Either.getOrThrow(expected))
        ok(actual.right.payload !== given)
        ok((actual.right.payload as { lines: unknown }).lines !== (given as { lines: unknown }).lines)
      }),
      { numRuns: 1_000 }
    )
    ok(written > 100, `${written} were written`)
  })
})

const isJson = (each: unknown): boolean =>
  typeof each === "string" ? (each as never as { isWellFormed: () => boolean }).isWellFormed() : each === undefined || (
    typeof each === "number" ? Number.isFinite(each) : true
  )

describe("EventId.uuid7", () => {
  it("makes UUIDs of version 7 of its time, no two alike", () => {
    const seen = new Set<string>()
    const variants = new Set<string>()
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 48 - 1 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (time, part) => {
          const id = EventId.uuid7(time + (time < 2 ** 40 ? part : 0))
          ok(validate(id), id)
          strictEqual(version(id), 7)
          strictEqual(parseInt(id.slice(0, 8) + id.slice(9, 13), 16), time)
          strictEqual(EventId.problem(id), undefined)
          variants.add(id[19]!)
          seen.add(id.slice(14))
        }
      ),
      { numRuns: 3_000 }
    )
    strictEqual(seen.size, 3_000)
    deepStrictEqual(Array.from(variants).sort(), ["8", "9", "a", "b"])
  })
})
