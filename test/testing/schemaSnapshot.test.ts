import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, FastCheck as fc, Layer, ParseResult, Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Arbitraries from "effect-skald/testing/Arbitraries"
import * as SchemaSnapshot from "effect-skald/testing/SchemaSnapshot"
import { readFileSync, writeFileSync } from "node:fs"
import { tempFile } from "../support/tempDirectory.ts"

const of = (...types: ReadonlyArray<Event.Any>) => Either.getOrThrow(SchemaSnapshot.make(types))

const changes = (before: ReadonlyArray<Event.Any>, after: ReadonlyArray<Event.Any>) =>
  // what is compared is what was in a file
  SchemaSnapshot.compare(JSON.parse(JSON.stringify(of(...before))), of(...after)).map((change) =>
    `${change.tag}/${change.version} ${change.path}: ${change.problem}`
  )

const eventOf = (members: Schema.Struct.Fields): Event.Any => Event.make("A", members as {})

const fields = (before: Schema.Struct.Fields, after: Schema.Struct.Fields) =>
  changes([eventOf(before)], [eventOf(after)])

interface Category {
  readonly name: string
  readonly parent: Category | null
}
const tree = (name: Schema.Schema<string>) => {
  const self: Schema.Schema<Category> = Schema.Struct({
    name,
    parent: Schema.NullOr(Schema.suspend((): Schema.Schema<Category> => self))
  }).annotations({ identifier: "Category" })
  return self
}

describe("changes that are compatible", () => {
  const compatible: ReadonlyArray<readonly [string, Schema.Struct.Fields, Schema.Struct.Fields]> = [
    ["a new optional member", { a: Schema.String }, { a: Schema.String, b: Schema.optional(Schema.Int) }],
    ["a new member with a default", {}, { b: Schema.optionalWith(Schema.Int, { default: () => 1 }) }],
    ["a required member that became optional", { a: Schema.String }, { a: Schema.optional(Schema.String) }],
    ["a wider type", { a: Schema.Int }, { a: Schema.Number }],
    ["null allowed", { a: Schema.Int }, { a: Schema.NullOr(Schema.Int) }],
    ["a further literal", { a: Schema.Literal("x") }, { a: Schema.Literal("x", "y") }],
    ["a literal that became any string", { a: Schema.Literal("x", "y") }, { a: Schema.String }],
    ["a further alternative", { a: Schema.String }, { a: Schema.Union(Schema.Number, Schema.String) }],
    [
      "wider bounds",
      { a: Schema.Number.pipe(Schema.between(1, 5)), b: Schema.String.pipe(Schema.minLength(2)) },
      { a: Schema.Number.pipe(Schema.between(0, 6)), b: Schema.String.pipe(Schema.minLength(1)) }
    ],
    ["a description", { a: Schema.String }, { a: Schema.String.annotations({ description: "said", title: "A" }) }],
    ["members in another order", { a: Schema.String, b: Schema.Int }, { b: Schema.Int, a: Schema.String }],
    ["a struct that became a record", {
      a: Schema.Struct({ x: Schema.Int })
    }, { a: Schema.Record({ key: Schema.String, value: Schema.Int }) }],
    ["anything allowed", { a: Schema.Struct({ x: Schema.Int }) }, { a: Schema.Unknown }],
    ["another decoded type of the same text", { a: Schema.String }, { a: Schema.Date }],
    ["a tuple that became an array", { a: Schema.Tuple(Schema.Int, Schema.Int) }, { a: Schema.Array(Schema.Int) }],
    ["a recursive member, wider", { a: tree(Schema.NonEmptyString) }, { a: tree(Schema.String) }]
  ]
  for (const [name, before, after] of compatible) {
    it(name, () => assert.deepStrictEqual(fields(before, after), []))
  }

  it("no change, of every kind of member", () => {
    for (const [, before, after] of compatible) {
      assert.deepStrictEqual(fields(before, before), [])
      assert.deepStrictEqual(fields(after, after), [])
    }
  })

  it("a raised version whose upcaster reads what was committed", () => {
    const before = Event.make("A", { a: Schema.Int })
    const after = Event.make("A", { b: Schema.String }, {
      version: 2,
      upcast: { 1: Event.upcast(Schema.Struct({ a: Schema.Int }), (old) => ({ b: String(old.a) })) }
    })
    assert.deepStrictEqual(changes([before], [after]), [])
  })

  it("a renamed tag with its alias, also with a new version, and a new event type", () => {
    const before = Event.make("A", { a: Schema.Int })
    const after = Event.make("B", { a: Schema.Number }, { alias: ["A"] })
    const later = Event.make("C", { c: Schema.Number }, {
      alias: ["B", "A"],
      version: 2,
      upcast: { 1: Event.upcast(Schema.Struct({ a: Schema.Number }), ({ a }) => ({ c: a })) }
    })
    assert.deepStrictEqual(changes([before], [after, Event.make("D", {})]), [])
    assert.deepStrictEqual(changes([after], [later]), [])
    assert.deepStrictEqual(changes([before], [later]), [])
  })
})

describe("changes that are refused", () => {
  const refused: ReadonlyArray<readonly [string, Schema.Struct.Fields, Schema.Struct.Fields, ReadonlyArray<string>]> = [
    ["a member removed", { a: Schema.String, b: Schema.Int }, { a: Schema.String }, ["A/1 payload.b: was removed"]],
    ["a new required member", {}, { a: Schema.String }, ["A/1 payload.a: is new and required"]],
    ["an optional member that is required now", { a: Schema.optional(Schema.String) }, { a: Schema.String }, [
      "A/1 payload.a: was optional, and is required now"
    ]],
    ["another type", { a: Schema.Number }, { a: Schema.String }, ["A/1 payload.a: was number, and is string now"]],
    ["a narrower type", { a: Schema.Number }, { a: Schema.Int }, ["A/1 payload.a: was number, and is integer now"]],
    ["another encoding", { a: Schema.DateFromNumber }, { a: Schema.Date }, [
      "A/1 payload.a: was number, and is string now"
    ]],
    ["null not allowed any more", { a: Schema.NullOr(Schema.Int) }, { a: Schema.Int }, [
      "A/1 payload.a: was null, and is integer now"
    ]],
    ["a literal gone", { a: Schema.Literal("x", "y") }, { a: Schema.Literal("y") }, [
      "A/1 payload.a: may have been \"x\", and may not now"
    ]],
    ["any string restricted to literals", { a: Schema.String }, { a: Schema.Literal("y") }, [
      "A/1 payload.a: may have been any string, and is one of a list now"
    ]],
    [
      "an alternative gone",
      {
        a: Schema.Union(Schema.Struct({ k: Schema.Literal("x") }), Schema.Struct({ k: Schema.Literal("y") }))
      },
      { a: Schema.Struct({ k: Schema.Literal("x") }) },
      ["A/1 payload.a.k: may have been \"y\", and may not now"]
    ],
    ["a narrower bound", { a: Schema.Number }, { a: Schema.Number.pipe(Schema.greaterThanOrEqualTo(0)) }, [
      "A/1 payload.a: has a narrower minimum: 0, it was none"
    ]],
    [
      "another pattern",
      { a: Schema.String.pipe(Schema.pattern(/^a/)) },
      { a: Schema.String.pipe(Schema.pattern(/^b/)) },
      ["A/1 payload.a: has another pattern: \"^b\", it was \"^a\""]
    ],
    ["deep inside", {
      a: Schema.Array(Schema.Struct({ x: Schema.Record({ key: Schema.String, value: Schema.Number }) }))
    }, {
      a: Schema.Array(Schema.Struct({ x: Schema.Record({ key: Schema.String, value: Schema.String }) }))
    }, ["A/1 payload.a[].x[key]: was number, and is string now"]],
    ["a tuple that became longer", { a: Schema.Tuple(Schema.Int) }, { a: Schema.Tuple(Schema.Int, Schema.Int) }, [
      "A/1 payload.a: has a narrower minItems: 2, it was 1"
    ]],
    ["a literal beyond a bound", { a: Schema.Literal(1, "x") }, {
      a: Schema.Union(Schema.String, Schema.Int.pipe(Schema.greaterThan(2)))
    }, ["A/1 payload.a: 1 is none of the alternatives any more"]],
    ["anything restricted", { a: Schema.Unknown }, { a: Schema.String }, [
      "A/1 payload.a: may have been anything, and is restricted now"
    ]],
    ["in a recursive member", { a: tree(Schema.String) }, { a: tree(Schema.Literal("x") as never) }, [
      "A/1 payload.a.name: may have been any string, and is one of a list now"
    ]]
  ]
  for (const [name, before, after, expected] of refused) {
    it(name, () => assert.deepStrictEqual(fields(before, after), expected))
  }

  it("an upcaster that does not read what was committed", () => {
    const after = Event.make("A", { b: Schema.String }, {
      version: 2,
      upcast: { 1: Event.upcast(Schema.Struct({ a: Schema.String }), (old) => ({ b: old.a })) }
    })
    assert.deepStrictEqual(changes([Event.make("A", { a: Schema.Int })], [after]), [
      "A/1 payload.a: was integer, and is string now"
    ])
  })

  it("a version lowered, a tag gone, an alias forgotten", () => {
    const second = Event.make("A", {}, { version: 2, upcast: { 1: Event.upcast(Schema.Struct({}), () => ({})) } })
    assert.deepStrictEqual(changes([second], [Event.make("A", {})]), ["A/2 version: was lowered to 1"])
    assert.deepStrictEqual(changes([second], [Event.make("B", {})]), [
      "A/2 _tag: is gone: rename an event type with `alias`"
    ])
    assert.deepStrictEqual(changes([Event.make("B", {}, { alias: ["A"] })], [Event.make("B", {})]), [
      "B/1 alias: does not name \"A\" any more"
    ])
  })
})

describe("the law", () => {
  /** Members whose values show what a reader made of them. */
  const leaf: fc.Arbitrary<Schema.Schema<any, any>> = fc.constantFrom<Schema.Schema<any, any>>(
    Schema.String,
    Schema.Number,
    Schema.Int,
    Schema.Boolean,
    Schema.Null,
    Schema.Literal("x"),
    Schema.Literal("x", "y"),
    Schema.Literal(1, "x"),
    Schema.NullOr(Schema.Int),
    Schema.NonEmptyString,
    Schema.Number.pipe(Schema.between(0, 5)),
    Schema.Int.pipe(Schema.greaterThan(2)),
    Schema.Record({ key: Schema.String, value: Schema.Int })
  )
  const { schema } = fc.letrec<{ schema: Schema.Schema<any, any>; struct: Schema.Schema<any, any> }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 2, depthSize: "small" },
      leaf,
      tie("struct"),
      tie("schema").map((of) => Schema.Array(of)),
      fc.tuple(tie("schema"), tie("schema")).map((of) => Schema.Tuple(...of)),
      fc.tuple(tie("schema"), tie("schema")).map((of) => Schema.Union(...of))
    ),
    struct: fc.dictionary(fc.constantFrom("a", "b"), fc.tuple(tie("schema"), fc.boolean()), { noNullPrototype: true })
      .map((members) =>
        Schema.Struct(
          Object.fromEntries(
            Object.entries(members).map(([name, [of, optional]]) => [name, optional ? Schema.optional(of) : of])
          )
        )
      )
  }))

  /** Schema puts what it refuses into words by `String`, which throws for data with a member named `toString`. */
  const printable = (value: unknown): boolean =>
    typeof value !== "object" || value === null ||
    (!["toString", "valueOf"].some((name) => Object.hasOwn(value, name)) && Object.values(value).every(printable))

  it("after a compatible change, whatever was recorded is read, and whole", () => {
    let compatible = 0
    fc.assert(
      fc.property(schema, schema, fc.boolean(), (before, other, union) => {
        const after = union ? Schema.Union(other, before) : other
        const old = Event.make("A", { it: before })
        const now = Event.make("A", { it: after })
        if (SchemaSnapshot.compare(of(old), of(now)).length > 0) return
        compatible++
        for (const value of fc.sample(Arbitraries.of(before), { numRuns: 20, seed: 7 })) {
          const stored = JSON.parse(JSON.stringify(Schema.encodeSync(before)(value)))
          if (!printable(stored)) continue
          const read = ParseResult.decodeUnknownEither(now)({ _tag: "A", it: stored })
          if (Either.isLeft(read)) throw new Error(`${String(before)} to ${String(after)}: ${JSON.stringify(stored)}`)
          if (!union) {
            assert.deepStrictEqual(JSON.parse(JSON.stringify(Schema.encodeSync(now)(read.right))).it, stored)
          }
        }
      }),
      { numRuns: 300 }
    )
    assert.isAbove(compatible, 15)
  })

  it("no change is a difference of a Schema from itself", () => {
    fc.assert(fc.property(schema, (it) => {
      assert.deepStrictEqual(fields({ it }, { it }), [])
    }))
  })
})

describe("a Schema without a JSON Schema", () => {
  it("is refused, by tag and version", () => {
    const odd = Schema.declare((value): value is Date => value instanceof Date)
    const found = SchemaSnapshot.make([Event.make("A", { at: odd })])
    assert.match(Either.isLeft(found) ? found.left.message : "", /^A \(version 1\): has no JSON Schema: .*at/)
  })
})

describe("the committed file", () => {
  const A = Event.make("A", { a: Schema.Int })
  const A2 = Event.make("A", { a: Schema.Int, b: Schema.optional(Schema.String) })
  const bad = Event.make("A", { a: Schema.String })
  const setup = (variables: ReadonlyArray<readonly [string, string]> = []) =>
    Layer.merge(NodeFileSystem.layer, Layer.setConfigProvider(ConfigProvider.fromMap(new Map(variables))))

  it.scoped("is asked for, written, and kept up to date", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("events.json")
      const missing = yield* Effect.flip(SchemaSnapshot.check(file, [A]))
      assert.strictEqual(
        missing.message,
        `${file} does not exist: run the test once with SKALD_UPDATE_SCHEMAS=true, and commit the file`
      )
      assert.strictEqual(yield* SchemaSnapshot.check(file, [A], { update: true }), "written")
      const written = readFileSync(file, "utf8")
      assert.strictEqual(yield* SchemaSnapshot.check(file, [A]), "unchanged")
      writeFileSync(file, written.replaceAll("\n", "\r\n"))
      assert.strictEqual(yield* SchemaSnapshot.check(file, [A]), "unchanged")
      const outdated = yield* Effect.flip(SchemaSnapshot.check(file, [A2]))
      assert.strictEqual(outdated._tag === "OutdatedSnapshot" && outdated.reason, "outdated")
      assert.strictEqual(yield* SchemaSnapshot.check(file, [A2], { update: true }), "written")
      assert.strictEqual(yield* SchemaSnapshot.check(file, [A2]), "unchanged")
    }).pipe(Effect.provide(setup())))

  it.scoped("is not written over an incompatible change, unless by force", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("events.json")
      yield* SchemaSnapshot.check(file, [A], { update: true })
      const before = readFileSync(file, "utf8")
      for (const update of [false, true]) {
        const error = yield* Effect.flip(SchemaSnapshot.check(file, [bad], { update }))
        assert.strictEqual(
          error.message,
          [
            `event Schemas changed incompatibly since ${file} was written:`,
            "  A (version 1), payload.a: was integer, and is string now",
            "Raise the version of the event type and add an upcaster from the committed Schema."
          ].join("\n")
        )
      }
      assert.strictEqual(readFileSync(file, "utf8"), before)
      assert.strictEqual(yield* SchemaSnapshot.check(file, [bad], { update: "force" }), "written")
      assert.strictEqual(yield* SchemaSnapshot.check(file, [bad]), "unchanged")
    }).pipe(Effect.provide(setup())))

  it.scoped("is written where the configuration says so", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("events.json")
      assert.strictEqual(yield* SchemaSnapshot.check(file, [A]), "written")
    }).pipe(Effect.provide(setup([["SKALD_UPDATE_SCHEMAS", "true"]]))))

  it.scoped("that is none is refused, by name", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("events.json")
      for (const text of ["", "{", "[]", "{\"events\": {\"A\": 1}}"]) {
        writeFileSync(file, text)
        const error = yield* Effect.flip(SchemaSnapshot.check(file, [A]))
        assert.strictEqual(error.message, `${file}: is no snapshot of event Schemas`)
      }
    }).pipe(Effect.provide(setup())))
})
