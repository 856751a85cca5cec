import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck as fc, Layer } from "effect"
import * as MessagePack from "effect-skald/event/MessagePack"
import * as PayloadFormat from "effect-skald/event/PayloadFormat"
import { Packr } from "msgpackr"

/** JSON values as a store lets them through: any keys but `__proto__`. */
const json: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "medium" },
    fc.constantFrom(null, true, false, 0, "", "\u0000", "𝄞", "\ufeff", "\uffff"),
    fc.string({ unit: "binary" }),
    fc.string({ minLength: 30, maxLength: 300 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => Object.is(n, -0) ? 0 : n),
    fc.maxSafeInteger(),
    fc.constantFrom(
      2 ** 31,
      -(2 ** 31),
      2 ** 32,
      2 ** 53 - 1,
      -(2 ** 53 - 1),
      2 ** 63,
      2 ** 64,
      5e-324,
      1.7976931348623157e308
    ),
    fc.array(tie("value")),
    fc.array(fc.integer(), { minLength: 15, maxLength: 40 }),
    fc.dictionary(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom(
          "constructor",
          "toJSON",
          "hasOwnProperty",
          "toString",
          "length",
          "size",
          "0",
          "then",
          "_tag",
          "buffer"
        )
      ),
      tie("value"),
      { noNullPrototype: true }
    ).filter((record) => !Object.hasOwn(record, "__proto__"))
  )
})).value

const nested = (levels: number): unknown => {
  let value: unknown = "end"
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

for (const format of [PayloadFormat.json, MessagePack.format]) {
  describe(format.name, () => {
    const carry = (value: unknown) => format.read(format.write(value))

    it("reads what it wrote", () => {
      fc.assert(
        fc.property(json, (value) => {
          assert.deepStrictEqual(carry(value), value)
        }),
        { numRuns: 500 }
      )
    })

    it("reads it from bytes that lie in a larger buffer, and keeps nothing of them", () => {
      fc.assert(fc.property(json, (value) => {
        const written = format.write(value)
        const bytes = typeof written === "string" ? Buffer.from(written) : written
        const around = new Uint8Array(bytes.length + 20).fill(0x7b)
        around.set(bytes, 10)
        const read = format.read(around.subarray(10, 10 + bytes.length))
        around.fill(0)
        assert.deepStrictEqual(read, value)
      }))
    })

    it("gives bytes of its own each time, which later writes leave alone", () => {
      fc.assert(fc.property(fc.array(json, { minLength: 2, maxLength: 6 }), (values) => {
        const written = values.map(format.write)
        assert.deepStrictEqual(written.map(format.read), values)
      }))
      const first = format.write({ a: 1 })
      if (typeof first !== "string") assert.strictEqual(first.byteLength, first.buffer.byteLength)
    })

    it("leaves out undefined members, and writes -0 as 0 or keeps it", () => {
      assert.deepStrictEqual(carry({ a: undefined, b: [{ c: undefined, d: 1 }] }), { b: [{ d: 1 }] })
      assert.equal(carry(-0), 0)
    })

    it("is written alike by whatever was written before it", () => {
      const value = { b: 1, a: [{ x: "y" }, { x: "z" }] }
      const before = format.write(value)
      for (let index = 0; index < 50; index++) format.write({ b: index, a: [{ x: index }, { x: "z" }] })
      assert.deepStrictEqual(format.write(value), before)
    })

    it("holds 200 levels, and long texts and lists", () => {
      assert.deepStrictEqual(carry(nested(200)), nested(200))
      const long = { text: "é".repeat(500_000), list: Array.from({ length: 100_000 }, (_, index) => index) }
      assert.deepStrictEqual(carry(long), long)
      const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key-${index}`, index]))
      assert.deepStrictEqual(carry(wide), wide)
    })

    it("throws for bytes that are none of its own, and never makes something up", () => {
      assert.throws(() => format.read(new Uint8Array(0)))
      assert.throws(() => format.read(Uint8Array.of(0xc1, 0xff, 0xfe)))
      const written = format.write({ text: "abcdefgh".repeat(10), list: [1, 2, 3] })
      const bytes = typeof written === "string" ? Buffer.from(written) : written
      for (let length = 0; length < bytes.length; length++) assert.throws(() => format.read(bytes.subarray(0, length)))
    })
  })
}

describe("json", () => {
  it("refuses bytes that are no UTF-8, where a lenient reader would change the text", () => {
    assert.throws(() => PayloadFormat.json.read(Uint8Array.of(0x22, 0xff, 0x22)))
    assert.throws(() => PayloadFormat.json.read(Uint8Array.of(0x22, 0xc3, 0x22)))
  })

  it("is text", () => {
    assert.strictEqual(PayloadFormat.json.write({ a: "é" }), "{\"a\":\"é\"}")
  })
})

describe("msgpack", () => {
  it("is plain MessagePack, byte for byte what the specification says", () => {
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [null, "c0"],
      [false, "c2"],
      [true, "c3"],
      [0, "00"],
      [127, "7f"],
      [-1, "ff"],
      [-32, "e0"],
      [255, "ccff"],
      [65_535, "cdffff"],
      [1.5, "cb3ff8000000000000"],
      ["", "a0"],
      ["abc", "a3616263"],
      [[], "90"],
      [[1, [2]], "920191 02".replace(" ", "")],
      [{ compact: true, schema: 0 }, "82a7636f6d70616374c3a6736368656d6100"]
    ]
    for (const [value, hex] of cases) {
      const written = MessagePack.format.write(value)
      assert.strictEqual(Buffer.from(written as Uint8Array).toString("hex"), hex, JSON.stringify(value))
    }
  })

  it("is read by another reader of MessagePack", () => {
    const other = new Packr({ useRecords: false })
    fc.assert(fc.property(json, (value) => {
      assert.deepStrictEqual(other.unpack(MessagePack.format.write(value) as Uint8Array), value)
    }))
  })
})

describe("the formats of a store", () => {
  it("write in the first, and read all that are given, and JSON", () => {
    const formats = PayloadFormat.formats(MessagePack.format)
    assert.strictEqual(formats.write, MessagePack.format)
    assert.deepStrictEqual(Array.from(formats.read.keys()).sort(), ["json", "msgpack"])
    assert.strictEqual(formats.read.get("msgpack"), MessagePack.format)
    assert.deepStrictEqual(Array.from(PayloadFormat.formats(PayloadFormat.json).read.keys()), ["json"])
    const upper: PayloadFormat.Format = { ...PayloadFormat.json, name: "upper" }
    assert.deepStrictEqual(
      Array.from(PayloadFormat.formats(upper, MessagePack.format).read.keys()).sort(),
      ["json", "msgpack", "upper"]
    )
  })

  it("let a format of the user's stand for JSON under its name", () => {
    const own: PayloadFormat.Format = {
      name: "json",
      write: (value) => JSON.stringify(value, null, 1),
      read: PayloadFormat.json.read
    }
    assert.strictEqual(PayloadFormat.formats(own).read.get("json"), own)
  })

  it.effect("are JSON alone unless a layer says otherwise", () =>
    Effect.gen(function*() {
      const initial = yield* PayloadFormat.PayloadFormat
      assert.strictEqual(initial.write, PayloadFormat.json)
      const chosen = yield* PayloadFormat.PayloadFormat.pipe(
        Effect.provide(Layer.succeed(PayloadFormat.PayloadFormat, PayloadFormat.formats(MessagePack.format)))
      )
      assert.strictEqual(chosen.write, MessagePack.format)
      assert.strictEqual(Context.get(Context.empty(), PayloadFormat.PayloadFormat).write, PayloadFormat.json)
    }))
})
