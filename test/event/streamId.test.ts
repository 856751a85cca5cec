import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, JSONSchema, Option, Schema } from "effect"
import * as EventId from "effect-skald/event/EventId"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import * as StreamId from "effect-skald/event/StreamId"

const faultsOf = (parsed: Either.Either<unknown, InvalidInput>): ReadonlyArray<string> =>
  Either.match(parsed, {
    onLeft: (error) => error.faults.map((fault) => `${fault.path}: ${fault.problem}`),
    onRight: () => []
  })

/** Any text, of which most is a name and some is not. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 20 }),
  fc.array(fc.nat(0xffff).map((unit) => String.fromCharCode(unit)), { maxLength: 5 }).map((units) => units.join("")),
  fc.constantFrom(
    "",
    "-",
    "a-",
    "-a",
    "a-b-c",
    "a",
    "x".repeat(512),
    "x".repeat(513),
    `a-${"x".repeat(510)}`,
    "a\u0000b"
  )
)

/** The rule, said once more and otherwise: as a person would check it. */
const isName = (name: string): boolean =>
  name.length >= 1 && name.length <= 512 &&
  Array.from(name).every((character) => {
    const code = character.codePointAt(0)!
    return !(code < 32 || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xdfff))
  })

describe("a stream's name", () => {
  it("is made of its category and its id, and gives both back", () => {
    fc.assert(
      fc.property(text, text, (category, id) => {
        const made = StreamId.make(category, id)
        const legal = isName(category) && !category.includes("-") && isName(id) &&
          category.length + 1 + id.length <= 512
        assert.strictEqual(Either.isRight(made), legal)
        if (Either.isRight(made)) {
          assert.strictEqual(made.right as string, `${category}-${id}`)
          assert.deepStrictEqual(StreamId.category(made.right), Option.some(category))
          assert.strictEqual(StreamId.id(made.right), id)
          assert.deepStrictEqual(StreamId.parse(made.right), made)
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("is parsed as it is, or refused", () => {
    fc.assert(
      fc.property(text, (name) => {
        const parsed = StreamId.parse(name)
        const dash = name.indexOf("-")
        assert.strictEqual(Either.isRight(parsed), isName(name) && dash !== 0 && (dash < 0 || dash < name.length - 1))
        if (Either.isRight(parsed)) assert.strictEqual(parsed.right as string, name)
        assert.strictEqual(Schema.is(StreamId.StreamId)(name), Either.isRight(parsed))
        assert.strictEqual(StreamId.problem(name) === undefined, Either.isRight(parsed))
      }),
      { numRuns: 1000 }
    )
  })

  it("is of no category without a dash, and of what stands before the first", () => {
    assert.deepStrictEqual(StreamId.category("audit"), Option.none())
    assert.strictEqual(StreamId.id("audit"), "audit")
    assert.deepStrictEqual(StreamId.category("order-line-7"), Option.some("order"))
    assert.strictEqual(StreamId.id("order-line-7"), "line-7")
  })

  it("is neither folded nor trimmed", () => {
    for (const name of ["Order-A", "order-a", " order-a", "order-a ", "o\u0308rder-1", "\u00f6rder-1", "order-𝄞"]) {
      assert.strictEqual(Either.getOrThrow(StreamId.parse(name)) as string, name)
    }
  })

  const refusals: ReadonlyArray<readonly [string, string, ReadonlyArray<string>]> = [
    ["", "", ["category: must not be empty", "id: must not be empty"]],
    ["order-line", "1", ["category: must not hold \"-\", got \"order-line\""]],
    ["a\nb", "\ud800", [
      "category: must not hold control characters, got \"a\\nb\"",
      "id: must be well-formed Unicode, got \"\\ud800\""
    ]],
    ["order", "x".repeat(507), ["id: must leave \"order-…\" at most 512 UTF-16 code units, has 513"]],
    ["order", "x".repeat(513), ["id: must have at most 512 UTF-16 code units, has 513"]],
    [7 as never, undefined as never, ["category: must be a string, got 7", "id: must be a string, got undefined"]]
  ]
  for (const [category, id, faults] of refusals) {
    it(`is refused: ${JSON.stringify(category).slice(0, 14)} and ${JSON.stringify(id)?.slice(0, 14)}`, () => {
      assert.deepStrictEqual(faultsOf(StreamId.make(category, id)), faults)
    })
  }

  it("from outside is refused naming the stream", () => {
    assert.deepStrictEqual(faultsOf(StreamId.parse("-1")), [
      "stream: must name a category before the first \"-\", got \"-1\""
    ])
    assert.deepStrictEqual(faultsOf(StreamId.parse("order-")), ["stream: must name an id after \"order-\""])
    for (const value of [undefined, null, 1, {}, [], Symbol.iterator, () => "a-b", new String("a-b")]) {
      assert.lengthOf(faultsOf(StreamId.parse(value)), 1)
    }
  })

  it("is a Schema with arbitrary values and a JSON Schema", () => {
    fc.assert(fc.property(Arbitrary.make(StreamId.StreamId), (name) => StreamId.problem(name) === undefined))
    assert.deepStrictEqual((JSONSchema.make(StreamId.StreamId) as any).$defs.StreamId, {
      type: "string",
      minLength: 1,
      maxLength: 512
    })
    assert.strictEqual(String(StreamId.StreamId.ast), "StreamId")
  })
})

describe("an event's id", () => {
  it("is a UUID of version 7 that holds the time, and sorts by it", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (millis) => {
      const id = EventId.uuid7(millis)
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.strictEqual(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16), millis)
      assert.isUndefined(EventId.problem(id))
    }))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 47 }), fc.integer({ min: 1, max: 2 ** 40 }), (millis, later) => {
        assert.isBelow(compare(EventId.uuid7(millis), EventId.uuid7(millis + later)), 0)
      })
    )
  })

  it("differs for every event, also within one millisecond", () => {
    const ids = new Set(Array.from({ length: 100_000 }, () => EventId.uuid7(1_700_000_000_000)))
    assert.strictEqual(ids.size, 100_000)
  })

  it("of the user's is any name of at most 128", () => {
    for (const id of ["1", "x".repeat(128), "Ä", "a b", "-", "𝄞".repeat(64)]) assert.isUndefined(EventId.problem(id))
    assert.strictEqual(EventId.problem(""), "must not be empty")
    assert.strictEqual(EventId.problem("x".repeat(129)), "must have at most 128 UTF-16 code units, has 129")
    assert.strictEqual(EventId.problem("𝄞".repeat(65)), "must have at most 128 UTF-16 code units, has 130")
    assert.strictEqual(EventId.problem("a\u007f"), "must not hold control characters, got \"a\u007f\"")
    assert.strictEqual(EventId.problem(7), "must be a string, got 7")
  })

  const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0
})
