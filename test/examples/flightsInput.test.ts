import { FileSystem } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, DateTime, Effect, Either, FastCheck, Stream } from "effect"
import * as Flight from "../../examples/flights/Flight.ts"
import * as Input from "../../examples/flights/Input.ts"
import * as Names from "../../examples/flights/Names.ts"
import * as Records from "../../examples/flights/Records.ts"
import { tempFile } from "../support/tempDirectory.ts"

/** Cuts a text that comes in chunks of a length. */
const cut = (text: string, length = text.length + 1): ReadonlyArray<Records.Piece> => {
  const cutter = Records.cutter()
  const pieces: Array<Records.Piece> = []
  for (let at = 0; at < text.length; at += length) pieces.push(...cutter.push(text.slice(at, at + length)))
  return [...pieces, ...cutter.end()]
}

const texts = (text: string) => cut(text).map((piece) => piece.text)

/** Where records begin: `line:column`. */
const places = (text: string) => cut(text).map(({ column, line }) => `${line}:${column}`)

describe("records", () => {
  it("are the elements of an array, whatever stands between them", () => {
    assert.deepStrictEqual(texts(`[{"a":1},{"b":"}{,]"}]`), [`{"a":1}`, `{"b":"}{,]"}`])
    assert.deepStrictEqual(texts(`\n [ {"a":1} ,\r\n\t{"a":{"b":[1,{}]}}\n]\n`), [`{"a":1}`, `{"a":{"b":[1,{}]}}`])
    assert.deepStrictEqual(texts(`[17,null,"a,b",[1,2],{"a":"\\"}"}]`), [
      "17",
      "null",
      `"a,b"`,
      "[1,2]",
      `{"a":"\\"}"}`
    ])
    assert.deepStrictEqual(texts("[]"), [])
  })

  it("are lines where there is no array; blank ones are none", () => {
    assert.deepStrictEqual(texts(`{"a":1}\r\n\n  \noops, {\n{"a":2`), [`{"a":1}`, "oops, {", `{"a":2`])
    assert.deepStrictEqual(texts(""), [])
    assert.deepStrictEqual(texts(" \n\n"), [])
  })

  it("know their place", () => {
    assert.deepStrictEqual(places(`[{"a":1},{"a":2},\n  {"a":3}]`), ["1:2", "1:10", "2:3"])
    assert.deepStrictEqual(places(`{"a":1}\n\n  {"a":2}`), ["1:1", "3:3"])
    assert.deepStrictEqual(cut(`[{},5,{}]`).map(({ record }) => record), [1, 2, 3])
  })

  it("that are broken leave their neighbours whole", () => {
    assert.deepStrictEqual(texts(`[{"a":1},{"a":2,{"a":3}]`), [`{"a":1}`, `{"a":2,`, `{"a":3}`])
    assert.deepStrictEqual(texts(`[{"a":1},not json, at all {"a":3}]`), [`{"a":1}`, "not json, at all", `{"a":3}`])
    assert.deepStrictEqual(texts(`[\n{"a":1},\n"a":2},\n{"a":3}\n]`), [`{"a":1}`, `"a":2},`, `{"a":3}`])
    assert.deepStrictEqual(texts(`[\n{"a":"1},\n{"a":2},\n{"a":3}\n]`), [`{"a":"1},`, `{"a":2}`, `{"a":3}`])
    assert.deepStrictEqual(texts(`[{"a":1},{"a":2`), [`{"a":1}`, `{"a":2`])
  })

  it("that do not end are cut", () => {
    const long = `{"a":"${"x".repeat(3 * Records.maxLength)}`
    for (const text of [`[{"a":1},\n${long}\n{"a":2}]`, `{"a":1}\n${long}\n{"a":2}`]) {
      for (const length of [1_000, 65_536, text.length]) {
        const [first, second, third, ...others] = cut(text, length)
        assert.strictEqual(first?.text, `{"a":1}`)
        assert.strictEqual(second?.text.length, Records.maxLength)
        assert.deepStrictEqual([third?.text, third?.line, others.length], [`{"a":2}`, 3, 0])
      }
    }
  })

  // outside of objects, a brace in a string is taken for the beginning of one, and the end of a line ends all
  const values = FastCheck.array(
    FastCheck.jsonValue({ depthSize: "small" }).filter((value) =>
      typeof value === "object" && value !== null ? !Array.isArray(value) : !JSON.stringify(value).includes("{")
    )
  )

  it("of any array in JSON are its elements, and their text is their JSON", () => {
    FastCheck.assert(FastCheck.property(values, FastCheck.constantFrom(0, 2), (values, indent) => {
      const found = texts(JSON.stringify(values, null, indent)).map((text): unknown => JSON.parse(text))
      assert.deepStrictEqual(found, JSON.parse(JSON.stringify(values)))
    }))
  })

  it("are the same however the text is chunked", () => {
    const piece = FastCheck.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "\"",
      "\\",
      "\n",
      "\r\n",
      " ",
      "1",
      "a",
      `{"a":1}`
    )
    const text = FastCheck.tuple(FastCheck.constantFrom("[", ""), FastCheck.array(piece, { maxLength: 60 }))
      .map(([first, pieces]) => first + pieces.join(""))
    FastCheck.assert(
      FastCheck.property(
        text,
        FastCheck.integer({ min: 1, max: 9 }),
        (text, length) => assert.deepStrictEqual(cut(text, length), cut(text))
      ),
      { numRuns: 1_000 }
    )
  })

  it("hold every character but what separates them", () => {
    const piece = FastCheck.constantFrom("{", "}", "[", "]", ",", ":", "\"", "\\", "\n", " ", "1", "a", `{"a":1}`)
    const text = FastCheck.array(piece, { maxLength: 60 }).map((pieces) => `[${pieces.join("")}`)
    FastCheck.assert(
      FastCheck.property(text, (text) => {
        const characters = (of: string) => of.replaceAll(/[\s,[\]]/g, "")
        assert.strictEqual(characters(texts(text).join("")), characters(text))
      }),
      { numRuns: 1_000 }
    )
  })
})

describe("a flight", () => {
  const good = { date: "2001/01/31 00:47", delay: 66, distance: 1750, origin: "DTW", destination: "LAS" }
  const read = (change: object) => Flight.fromJson(JSON.stringify({ ...good, ...change }))
  const problem = (change: object) => Either.getOrThrow(Either.flip(read(change)))

  it("is read from a record; its time is UTC", () => {
    const flight = Either.getOrThrow(read({ delay: -5, more: "is left out" }))
    assert.strictEqual(DateTime.formatIso(flight.at), "2001-01-31T00:47:00.000Z")
    assert.deepStrictEqual([flight.origin, flight.destination, flight.delay, flight.distance], ["DTW", "LAS", -5, 1750])
  })

  it("is refused with the place and the reason", () => {
    assert.strictEqual(problem({ delay: "late" }), "delay Expected number, actual \"late\"")
    assert.strictEqual(problem({ delay: undefined }), "delay is missing")
    assert.strictEqual(problem({ delay: 1.5 }), "delay Expected an integer, actual 1.5")
    assert.strictEqual(problem({ origin: "Detroit" }), "origin must be the code of an airport, got \"Detroit\"")
    for (const date of ["2001/02/30 10:00", "2001/13/01 10:00", "2001/01/01 24:00", "2001-01-01 10:00", "soon", ""]) {
      assert.strictEqual(problem({ date }), `date must be a time such as 2001/01/31 00:47, got "${date}"`)
    }
    assert.strictEqual(
      problem({ date: 5, distance: -1 }),
      "date Expected string, actual 5; distance Expected a non-negative number, actual -1"
    )
    assert.isTrue(Either.isLeft(Flight.fromJson("{\"date\":")))
    assert.isTrue(Either.isLeft(Flight.fromJson("[]")))
    assert.isTrue(Either.isLeft(Flight.fromJson("null")))
  })
})

describe("input", () => {
  const lines = [
    `{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW","destination":"LAS"}`,
    `{"date":"2001/01/01 00:47","delay":"?","distance":1750,"origin":"DTW","destination":"LAS"}`,
    `{"date":"2001/01/01 01:10","delay":95,"distance":2399,"origin":"HNL","destination":"SFO"}`,
    `{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW","destination":"LAS"}`
  ]

  const entries = (text: string, limit = 1_000) =>
    Effect.gen(function*() {
      const file = yield* tempFile("flights.json")
      const fs = yield* FileSystem.FileSystem
      yield* fs.writeFileString(file, text)
      const survey = yield* Input.survey(file, limit)
      const all = Chunk.toReadonlyArray(yield* Stream.runCollect(Input.read(file, limit)))
      assert.strictEqual(survey.records, all.length)
      return { all, survey }
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

  const ids = (all: ReadonlyArray<Input.Entry>) => all.flatMap((entry) => entry._tag === "Reported" ? [entry.id] : [])

  it.effect("is an array or lines, and the flights are the same", () =>
    Effect.gen(function*() {
      const asLines = yield* entries(lines.join("\n"))
      const asArray = yield* entries(`\uFEFF[${lines.join(",")}]`)
      assert.deepStrictEqual(
        asLines.all.map((entry) => entry._tag),
        ["Reported", "Malformed", "Reported", "Reported"]
      )
      assert.deepStrictEqual(ids(asArray.all), ids(asLines.all))
      assert.notStrictEqual(asArray.survey.digest, asLines.survey.digest)
    }))

  it.effect("has an id for each flight that depends on its content and on equal ones before it", () =>
    Effect.gen(function*() {
      const { all } = yield* entries(lines.join("\n"))
      const [first, second, third, ...others] = ids(all)
      assert.strictEqual(first, "DTW-LAS 2001-01-01T00:47:00.000Z 66 1750")
      assert.strictEqual(second, "HNL-SFO 2001-01-01T01:10:00.000Z 95 2399")
      assert.strictEqual(third, `${first} #2`)
      assert.deepStrictEqual(others, [])
      // a line that is mended or put in between changes no other id
      const mended = ids((yield* entries([lines[2], ...lines.slice(0, 2), lines[3]].join("\n"))).all)
      assert.deepStrictEqual(mended.sort(), ids(all).slice().sort())
    }))

  it.effect("says where a malformed record stands", () =>
    Effect.gen(function*() {
      const { all } = yield* entries(`[${lines.join(",\n ")}]`)
      assert.deepInclude(all[1], {
        _tag: "Malformed",
        record: 2,
        line: 2,
        column: 2,
        reason: "delay Expected number, actual \"?\""
      })
    }))

  it.effect("ends at a limit of records", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* entries(lines.join("\n"), 2)).all.length, 2)
      assert.strictEqual((yield* entries(lines.join("\n"), 0)).all.length, 0)
    }))

  it.effect("of the data set has no malformed record, and a name for each airport", () =>
    Effect.gen(function*() {
      const all = Chunk.toReadonlyArray(yield* Stream.runCollect(Input.read(Names.flights(), 1_000_000)))
      const names = yield* Names.names
      assert.strictEqual(all.length, 20_000)
      assert.strictEqual(new Set(ids(all)).size, 20_000)
      const codes = new Set(all.flatMap((entry) => entry._tag === "Reported" ? [entry.flight.origin] : []))
      assert.deepStrictEqual([...codes].filter((code) => (names.get(code) ?? "") === ""), [])
      assert.strictEqual(names.get("ORD"), "Chicago O'Hare International")
      assert.strictEqual(names.get("53A"), "Dr. C.P. Savage, Sr.")
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})

describe("CSV", () => {
  it("is read with quotes, doubled quotes, empty fields and either end of line", () => {
    assert.deepStrictEqual(Names.parseCsv("a,b\r\n\"x, \"\"y\"\"\",\n,\"\"\nlast"), [
      ["a", "b"],
      ["x, \"y\"", ""],
      ["", ""],
      ["last"]
    ])
    assert.deepStrictEqual(Names.parseCsv("a\n\"two\nlines\"\n"), [["a"], ["two\nlines"]])
    assert.deepStrictEqual(Names.parseCsv(""), [])
  })
})
