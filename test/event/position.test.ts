import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, JSONSchema, Schema } from "effect"
import * as Position from "effect-skald/event/Position"

const counts = fc.oneof(fc.nat(), fc.maxSafeNat())
const anything = fc.oneof(
  fc.anything(),
  fc.double(),
  fc.constantFrom(-1, -0.5, 2 ** 53, Number.NaN, Infinity, -Infinity, "1", "any ", "ANY", 1n, null, undefined)
)

describe("positions and versions", () => {
  for (const [name, branded] of [["Position", Position.Position], ["StreamVersion", Position.StreamVersion]] as const) {
    it(`${name}: whole numbers from 0, and nothing else`, () => {
      const schema: Schema.Schema<number> & { readonly make: (value: number) => number } = branded as never
      const is = Schema.is(schema)
      fc.assert(fc.property(counts, (count) => is(count)))
      fc.assert(fc.property(anything, (value) => {
        assert.strictEqual(is(value), typeof value === "number" && Number.isSafeInteger(value) && value >= 0)
      }))
      fc.assert(fc.property(Arbitrary.make(schema), (count) => is(count)))
      assert.deepInclude((JSONSchema.make(schema) as any).$defs[name], { type: "integer", minimum: 0 })
      assert.strictEqual(String(schema.ast), name)
      assert.throws(() => schema.make(-1), /must be at least 0, got -1/)
      assert.throws(() => schema.make(1.5), /must be a whole number, got 1.5/)
    })
  }

  it("the start stands before every event", () => {
    fc.assert(fc.property(counts, (count) => Position.start <= count))
  })
})

describe("what an appender expects", () => {
  it("is one of three words or a version; exactly 0 is no stream", () => {
    fc.assert(fc.property(fc.oneof(counts, fc.constantFrom("any", "noStream", "streamExists")), (value) => {
      assert.deepStrictEqual(
        Position.expected(value),
        Either.right(value === 0 ? "noStream" : value) as never
      )
      assert.isTrue(Schema.is(Position.ExpectedVersion)(value))
      assert.isUndefined(Position.expectedProblem(value))
    }))
    assert.deepStrictEqual(Position.expected(-0), Either.right("noStream") as never)
  })

  it("is nothing else", () => {
    const words = ["any", "noStream", "streamExists"]
    fc.assert(fc.property(anything, (value) => {
      const legal = (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) ||
        words.includes(value as string)
      assert.strictEqual(Either.isRight(Position.expected(value)), legal)
      assert.strictEqual(Schema.is(Position.ExpectedVersion)(value), legal)
    }))
    const messages: ReadonlyArray<readonly [unknown, string]> = [
      [-1, "expected: must be at least 0, got -1"],
      [1.5, "expected: must be a whole number, got 1.5"],
      [Number.NaN, "expected: must be a whole number, got NaN"],
      [2 ** 53, "expected: must be a whole number, got 9007199254740992"],
      ["nostream", "expected: must be \"any\", \"noStream\", \"streamExists\" or a version, got \"nostream\""],
      [3n, "expected: must be \"any\", \"noStream\", \"streamExists\" or a version, got 3"],
      [undefined, "expected: must be \"any\", \"noStream\", \"streamExists\" or a version, got undefined"]
    ]
    for (const [value, message] of messages) {
      assert.strictEqual(Either.getOrThrow(Either.flip(Position.expected(value))).message, message)
    }
  })

  it("is met, or not, by the version of the stream", () => {
    fc.assert(fc.property(counts, counts, (version, actual) => {
      assert.isTrue(Position.meets("any", actual))
      assert.strictEqual(Position.meets("noStream", actual), actual === 0)
      assert.strictEqual(Position.meets("streamExists", actual), actual > 0)
      assert.strictEqual(Position.meets(version, actual), version === actual)
      assert.isTrue(Position.meets(actual, actual))
      // what is said as a number and as a word means the same
      assert.strictEqual(Position.meets(0, actual), Position.meets("noStream", actual))
    }))
  })

  it("is a Schema whose values are all read", () => {
    fc.assert(
      fc.property(Arbitrary.make(Position.ExpectedVersion), (value) => Either.isRight(Position.expected(value)))
    )
    assert.isTrue(JSON.stringify(JSONSchema.make(Position.ExpectedVersion)).includes("streamExists"))
  })
})
