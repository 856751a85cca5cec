import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Context, Effect, FastCheck as fc, Layer, Schema, type Scope, Stream } from "effect"
import * as Correlation from "effect-skald/event/Correlation"
import * as Event from "effect-skald/event/Event"
import * as MessagePack from "effect-skald/event/MessagePack"
import { formats, json, PayloadFormat } from "effect-skald/event/PayloadFormat"
import { EventStore, layerDriver, layerMemory, type Operations } from "effect-skald/store/EventStore"
import * as Export from "effect-skald/store/Export"
import * as Import from "effect-skald/store/Import"
import * as Postgres from "effect-skald/store/Postgres"
import * as Sqlite from "effect-skald/store/Sqlite"
import { createHash } from "node:crypto"
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempDirectory, tempFile } from "../support/tempDirectory.ts"

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

type Open = Effect.Effect<Operations, unknown, Scope.Scope>

const memory: Open = Effect.map(Layer.build(layerMemory), Context.get(EventStore))
const sqlite: Open = Effect.flatMap(
  tempFile(),
  (filename) => Effect.map(Layer.build(Sqlite.layerFile({ filename })), Context.get(EventStore))
)

const inStore = (store: Operations) => Effect.provideService(EventStore, store)

const textOf = (store: Operations) => Effect.map(inStore(store)(collect(Export.text())), (parts) => parts.join(""))

const bytesOf = (text: string, size = 1000) => {
  const bytes = Buffer.from(text)
  return Stream.fromIterable(
    Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, index) => bytes.subarray(index * size, (index + 1) * size)
    )
  )
}

const importText = (store: Operations, text: string, size?: number) =>
  inStore(store)(collect(Import.fromBytes(bytesOf(text, size))))

const event = (n: unknown) => ({ type: "A", payload: { n }, tags: [`n:${JSON.stringify(n)}`] })

const acme = Correlation.locally({ tenant: "acme" })

/** Something of everything. */
const fill = (store: Operations) =>
  Effect.gen(function*() {
    yield* store.append([{ stream: "live-1", events: [event(1), event("\u0000ü🦜\n"), event(null)] }])
    yield* store.append([{ stream: "cut-1", events: [1, 2, 3, 4].map(event) }, { stream: "plain", events: [event(0)] }])
    yield* acme(
      store.append([{ stream: "live-1", events: [event(-1.5e-9)] }, { stream: "gone-1", events: [event([])] }])
    )
    yield* store.append([{ stream: "gone-1", events: [1, 2].map(event) }, { stream: "empty-1", events: [event({})] }])
    yield* store.truncate("cut-1", { before: 3 })
    yield* store.tombstone("gone-1")
    yield* acme(store.tombstone("gone-1"))
    yield* store.append([{ stream: "empty-1", events: [event("last")] }])
    yield* store.truncate("empty-1", { before: 3 })
  })

const end = (text: string): Export.Progress & { readonly sha256: string } =>
  JSON.parse(text.trimEnd().split("\n").at(-1)!)

describe("export and import", () => {
  it.scoped("the text is lines of JSON with all there is, and ends with counts and a SHA-256", () =>
    Effect.gen(function*() {
      const store = yield* memory
      yield* fill(store)
      const text = yield* textOf(store)
      const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(lines[0], { kind: "log", format: 1, head: 16, removed: 9 })
      const kinds = lines.map((line) => line.kind)
      assert.deepStrictEqual([...new Set(kinds)], ["log", "event", "id", "stream", "end"])
      assert.deepStrictEqual(
        lines.filter((line) => line.kind === "stream").map(({ kind: _, ...stream }) => stream),
        [
          { stream: "cut-1", tenant: "", version: 4, firstVersion: 3, tombstoned: false },
          { stream: "empty-1", tenant: "", version: 2, firstVersion: 3, tombstoned: false },
          { stream: "gone-1", tenant: "", version: 2, firstVersion: 3, tombstoned: true },
          { stream: "gone-1", tenant: "acme", version: 1, firstVersion: 2, tombstoned: true }
        ]
      )
      const first = lines[1]
      assert.deepStrictEqual([first.stream, first.version, first.payload, first.tags], ["live-1", 1, { n: 1 }, ["n:1"]])
      const { sha256, ...counts } = lines.at(-1)
      assert.deepStrictEqual(counts, { kind: "end", events: 9, ids: 7, streams: 4 })
      const before = text.slice(0, text.lastIndexOf("{\"kind\":\"end\""))
      assert.strictEqual(sha256, createHash("sha256").update(before).digest("hex"))
      assert.strictEqual(yield* inStore(store)(Export.sha256), sha256)
    }))

  const chain = (name: string, stores: ReadonlyArray<readonly [string, Open]>) =>
    it.scoped(`${name}: the copy of the copy is the same to the byte`, () =>
      Effect.gen(function*() {
        const origin = yield* memory
        yield* fill(origin)
        const text = yield* textOf(origin)
        for (const [where, open] of stores) {
          const copy = yield* Effect.orDie(open)
          yield* importText(copy, text, 97)
          assert.strictEqual(yield* textOf(copy), text, where)
          assert.deepStrictEqual(
            yield* collect(copy.readAll({ allTenants: true })),
            yield* collect(origin.readAll({ allTenants: true }))
          )
          // a repeat of what was removed is still a repeat, and what was ended stays ended
          const [gone] = text.split("\n").map((line) => line === "" ? {} : JSON.parse(line)).filter((line) =>
            line.kind === "id" && line.tenant === ""
          )
          assert.strictEqual((yield* copy.find(gone.id))._tag, "Some")
          assert.strictEqual((yield* copy.streamState("gone-1"))._tag, "tombstoned")
          const ended = yield* Effect.flip(copy.append([{ stream: "gone-1", events: [event(1)] }]))
          assert.strictEqual(ended._tag, "StreamTombstoned")
          const more = yield* copy.append([{ stream: "empty-1", expected: 2, events: [event("more")] }])
          assert.strictEqual(more.position > origin.head.pipe(Effect.runSync), true)
        }
      }), 60_000)

  chain("memory → SQLite → memory", [["SQLite", sqlite], ["memory", memory]])

  Servers.suite("postgres", "export and import with PostgreSQL", (url) => {
    const postgres: Open = Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      const client = yield* Layer.build(Database.client(url))
      const layer = layerDriver(Effect.provide(Postgres.make({ prefix }), client))
      return Context.get(yield* Layer.build(layer), EventStore)
    })
    chain("memory → SQLite → PostgreSQL → memory", [["SQLite", sqlite], ["PostgreSQL", postgres], ["memory", memory]])

    it.scoped("an import that was stopped goes on in PostgreSQL", () =>
      Effect.gen(function*() {
        const origin = yield* memory
        yield* fill(origin)
        yield* origin.append([{ stream: "many-1", events: Array.from({ length: 1200 }, (_, n) => event(n)) }])
        const text = yield* textOf(origin)
        const copy = yield* Effect.orDie(postgres)
        yield* Effect.flip(importText(copy, text.slice(0, Math.floor(text.length / 2))))
        yield* importText(copy, text)
        assert.strictEqual(yield* textOf(copy), text)
      }), 60_000)
  })

  it.scoped("payloads of other formats, bytes and text that is no JSON, come back as they were stored", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const open = (write: typeof json) =>
        Effect.map(Layer.build(Layer.fresh(Sqlite.layerFile({ filename }))), Context.get(EventStore)).pipe(
          Effect.provideService(PayloadFormat, formats(write, json, MessagePack.format, odd))
        )
      const odd = {
        name: "odd",
        write: (value: unknown) => ` ${JSON.stringify(value)}`,
        read: (text: string | Uint8Array) => JSON.parse(String(text))
      }
      const first = yield* Effect.orDie(open(json))
      yield* first.append([{ stream: "a-1", events: [event(1)] }])
      const second = yield* Effect.orDie(open(MessagePack.format))
      yield* second.append([{ stream: "a-1", events: [event([1, "\u0000"])] }])
      const third = yield* Effect.orDie(open(odd))
      yield* third.append([{ stream: "a-1", events: [event("spaced")] }])
      const text = yield* textOf(third)
      assert.include(text, "\"payloadText\":\" {")
      assert.include(text, "\"payloadBase64\":\"")
      const copy = yield* memory
      yield* importText(copy, text)
      assert.strictEqual(yield* textOf(copy), text)
    }))

  it.scoped("a store that holds other events is refused, and left as it is", () =>
    Effect.gen(function*() {
      for (const open of [memory, sqlite]) {
        const origin = yield* memory
        yield* fill(origin)
        const text = yield* textOf(origin)
        const other = yield* Effect.orDie(open)
        yield* other.append([{ stream: "mine-1", events: [event(1)] }])
        const before = yield* textOf(other)
        const error = yield* Effect.flip(importText(other, text))
        assert.strictEqual(error._tag === "ImportError" && error.reason, "otherEvents")
        assert.strictEqual(yield* textOf(other), before)
        // the same with more behind it
        const ahead = yield* Effect.orDie(open)
        yield* importText(ahead, text)
        yield* ahead.append([{ stream: "live-1", events: [event(9)] }])
        const more = yield* Effect.flip(importText(ahead, text))
        assert.strictEqual(more._tag === "ImportError" && more.reason, "otherEvents")
      }
    }))

  it.scoped("somebody who appends meanwhile is noticed", () =>
    Effect.gen(function*() {
      const origin = yield* memory
      yield* origin.append([{ stream: "a-1", events: Array.from({ length: 1200 }, (_, n) => event(n)) }])
      const text = yield* textOf(origin)
      const copy = yield* memory
      const error = yield* Effect.flip(
        inStore(copy)(Stream.runForEach(
          Import.fromBytes(bytesOf(text)),
          () => copy.append([{ stream: "b-1", events: [event(0)] }])
        ))
      )
      assert.strictEqual(error._tag === "ImportError" && error.reason, "otherEvents")
    }))

  const badLines: ReadonlyArray<
    readonly [name: string, change: (lines: Array<string>) => void, line: number, field: string, problem: RegExp]
  > = [
    ["no JSON", (lines) => lines[2] = lines[2]!.slice(1), 3, "", /is no JSON/],
    ["no object", (lines) => lines[2] = "[]", 3, "", /must be an object/],
    ["another kind", (lines) => lines[2] = "{\"kind\":\"x\"}", 3, "kind", /one of log, event, id, stream, end/],
    [
      "a version of text",
      (lines) => lines[3] = lines[3]!.replace(/"version":\d+/, "\"version\":\"1\""),
      4,
      "version",
      /number/
    ],
    [
      "a position of 0",
      (lines) => lines[1] = lines[1]!.replace(/"position":\d+/, "\"position\":0"),
      2,
      "position",
      /between/
    ],
    ["a position twice", (lines) => lines[2] = lines[1]!, 3, "position", /must be beyond 1, got 1/],
    ["no id", (lines) => lines[1] = lines[1]!.replace(/"id":"[^"]*",/, ""), 2, "id", /is missing/],
    ["a member too many", (lines) => lines[1] = lines[1]!.replace("{", "{\"x\":1,"), 2, "x", /unexpected/],
    ["no payload", (lines) => lines[1] = lines[1]!.replace("\"payload\":", "\"y\":"), 2, "y", /unexpected/],
    ["an event among the ids", (lines) => lines.splice(11, 0, lines[1]!), 12, "kind", /must stand before ids/],
    ["no first line", (lines) => lines.shift(), 1, "kind", /must be "log" in the first line/],
    ["two first lines", (lines) => lines.splice(1, 0, lines[0]!), 2, "kind", /first line alone/],
    ["something behind the end", (lines) => lines.push(lines[1]!), 23, "", /stands behind/]
  ]

  for (const [name, change, line, field, problem] of badLines) {
    it.scoped(`a bad line is told by its number and field: ${name}`, () =>
      Effect.gen(function*() {
        const origin = yield* memory
        yield* fill(origin)
        const lines = (yield* textOf(origin)).trimEnd().split("\n")
        assert.lengthOf(lines, 22)
        change(lines)
        const error = yield* Effect.flip(Stream.runDrain(Import.check(bytesOf(`${lines.join("\n")}\n`))))
        assert.deepInclude(error, { _tag: "ImportError", reason: "line", line, field })
        assert.match(error.problem, problem)
        const copy = yield* memory
        const same = yield* Effect.flip(importText(copy, `${lines.join("\n")}\n`))
        assert.deepInclude(same, { line, field })
      }))
  }

  it.scoped("a text that was cut, or changed within its rules, is told; a file writes nothing then", () =>
    Effect.gen(function*() {
      const origin = yield* memory
      yield* fill(origin)
      const text = yield* textOf(origin)
      const reasonOf = (changed: string) =>
        Effect.map(Effect.flip(Stream.runDrain(Import.check(bytesOf(changed)))), ({ field, reason }) => [reason, field])
      assert.deepStrictEqual(yield* reasonOf(text.slice(0, -10)), ["incomplete", ""])
      assert.deepStrictEqual(yield* reasonOf(""), ["incomplete", ""])
      assert.deepStrictEqual(yield* reasonOf(text.slice(0, text.lastIndexOf("{"))), ["incomplete", ""])
      const lines = text.split("\n")
      assert.deepStrictEqual(yield* reasonOf(text.replace("\"n\":1}", "\"n\":2}")), ["checksum", "sha256"])
      assert.deepStrictEqual(yield* reasonOf(lines.filter((_, index) => index !== 2).join("\n")), [
        "checksum",
        "events"
      ])
      const path = `${yield* tempDirectory}/bad.ndjson`
      writeFileSync(path, text.replace("\"n\":1}", "\"n\":2}"))
      const copy = yield* memory
      const error = yield* Effect.flip(inStore(copy)(Stream.runDrain(Import.fromFile(path))))
      assert.strictEqual(error._tag === "ImportError" && error.reason, "checksum")
      assert.strictEqual(yield* copy.head, 0)
      const missing = yield* Effect.flip(inStore(copy)(Stream.runDrain(Import.fromFile(`${path}.gone`))))
      assert.strictEqual(missing._tag === "ImportError" && missing.reason, "unavailable")
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.scoped(
    "a file that was stopped at any byte is gone on with, to the byte what one run would have written",
    () =>
      Effect.gen(function*() {
        const origin = yield* memory
        yield* fill(origin)
        const whole = yield* textOf(origin)
        const folder = yield* tempDirectory
        const path = `${folder}/log.ndjson`
        const run = inStore(origin)(collect(Export.toFile(path)))
        const progress = yield* run
        assert.strictEqual(readFileSync(path, "utf8"), whole)
        assert.deepInclude(progress.at(-1)!, {
          done: true,
          events: 9,
          ids: 7,
          streams: 4,
          bytes: Buffer.byteLength(whole)
        })
        const size = Buffer.byteLength(whole)
        for (let at = 0; at <= size; at += 37) {
          writeFileSync(path, Buffer.from(whole).subarray(0, at))
          const last = (yield* run).at(-1)!
          assert.deepInclude(last, { done: true, events: 9, ids: 7, streams: 4, bytes: size })
          assert.strictEqual(readFileSync(path, "utf8"), whole, `from byte ${at}`)
        }
      }).pipe(Effect.provide(NodeFileSystem.layer)),
    60_000
  )

  it.scoped("appends go on during an export; a truncation or a tombstone makes it fail", () =>
    Effect.gen(function*() {
      for (const open of [memory, sqlite]) {
        const store = yield* Effect.orDie(open)
        yield* fill(store)
        const before = yield* textOf(store)
        const during = (meanwhile: Effect.Effect<unknown, unknown>) =>
          inStore(store)(Effect.map(
            collect(Stream.tap(Export.text(), () => Effect.orDie(meanwhile))),
            (parts) => parts.join("")
          ))
        assert.strictEqual(yield* during(store.append([{ stream: "x-1", events: [event(1)] }])), before)
        for (
          const removal of [
            store.truncate("live-1", { before: 2 }),
            store.tombstone("plain").pipe(Effect.catchTag("StreamTombstoned", () => Effect.void))
          ]
        ) {
          const error = yield* Effect.flip(during(removal))
          assert.strictEqual(error._tag === "ExportError" && error.reason, "changed")
        }
        const path = `${yield* tempDirectory}/log.ndjson`
        writeFileSync(path, before.slice(0, 600))
        const resumed = yield* Effect.flip(inStore(store)(Stream.runDrain(Export.toFile(path))))
        assert.strictEqual(resumed._tag === "ExportError" && resumed.reason, "changed")
      }
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.scoped("a file that is no export of this log is not touched", () =>
    Effect.gen(function*() {
      const store = yield* memory
      yield* store.append([{ stream: "a-1", events: [event(1)] }])
      const path = `${yield* tempDirectory}/log.ndjson`
      for (const content of ["hello\n", "{\"kind\":\"log\",\"format\":1,\"head\":99,\"removed\":0}\n"]) {
        writeFileSync(path, content)
        const error = yield* Effect.flip(inStore(store)(Stream.runDrain(Export.toFile(path))))
        assert.strictEqual(error._tag === "ExportError" && error.reason, "otherFile")
        assert.strictEqual(readFileSync(path, "utf8"), content)
      }
      writeFileSync(path, "")
      yield* inStore(store)(Stream.runDrain(Export.toFile(path)))
      const whole = readFileSync(path, "utf8")
      writeFileSync(path, whole.replace("\"n\":1}", "\"n\":2}"))
      const changed = yield* Effect.flip(inStore(store)(Stream.runDrain(Export.toFile(path))))
      assert.strictEqual(changed._tag === "ExportError" && changed.reason, "otherFile")
      appendFileSync(path, "x")
      truncateSync(path, 0)
      assert.strictEqual(end(whole).events, 1)
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.scoped(
    "an import into a file's store that was stopped after any batch goes on; a whole one changes nothing",
    () =>
      Effect.gen(function*() {
        const origin = yield* memory
        yield* fill(origin)
        yield* origin.append([{ stream: "many-1", events: Array.from({ length: 1100 }, (_, n) => event(n)) }])
        yield* origin.truncate("many-1", { before: 600 })
        const path = `${yield* tempDirectory}/log.ndjson`
        yield* inStore(origin)(Stream.runDrain(Export.toFile(path)))
        const text = readFileSync(path, "utf8")
        for (const stop of [1, 2, 3, 4]) {
          const copy = yield* Effect.orDie(sqlite)
          yield* inStore(copy)(Stream.runDrain(Stream.take(Import.fromBytes(bytesOf(text)), stop)))
          const progress = yield* inStore(copy)(collect(Import.fromFile(path)))
          assert.strictEqual(yield* textOf(copy), text)
          assert.deepStrictEqual([...new Set(progress.map(({ phase }) => phase))], ["check", "write", "readBack"])
          assert.deepInclude(progress.at(-1)!, { done: true, events: end(text).events, ids: end(text).ids })
          yield* inStore(copy)(Stream.runDrain(Import.fromFile(path)))
          assert.strictEqual(yield* textOf(copy), text)
        }
      }).pipe(Effect.provide(NodeFileSystem.layer)),
    60_000
  )

  it.scoped("memory stays bounded: a log of 60 MB goes through in parts of a few", () =>
    Effect.gen(function*() {
      const origin = yield* Effect.orDie(sqlite)
      const big = "x".repeat(1_000_000)
      for (let n = 0; n < 60; n++) yield* origin.append([{ stream: `big-${n}`, events: [{ type: "A", payload: big }] }])
      let most = 0
      const sizes = Stream.map(Export.text(), (part) => {
        most = Math.max(most, part.length)
        return Buffer.from(part)
      })
      const copy = yield* memory
      const source = Stream.provideService(sizes, EventStore, origin)
      yield* inStore(copy)(Stream.runDrain(Import.fromBytes(source)))
      assert.strictEqual(yield* inStore(copy)(Export.sha256), yield* inStore(origin)(Export.sha256))
      // the first part is taken before the size of the events is known
      assert.isBelow(most, 17_000_000)
    }), 60_000)

  it.scoped("asked for, older events are written as their upcasters make them", () =>
    Effect.gen(function*() {
      const V1 = Schema.Struct({ cents: Schema.Int })
      const Paid = Event.make("Paid", { cents: Schema.Int, method: Schema.String }, {
        version: 2,
        tags: ({ method }) => [`method:${method}`],
        alias: ["Payed"],
        upcast: { 1: Event.upcast(V1, (old) => ({ ...old, method: "cash" })) }
      })
      const store = yield* memory
      yield* store.append([{
        stream: "p-1",
        events: [
          { type: "Payed", payload: { cents: 1 } },
          { type: "Paid", payload: { _tag: "Paid", cents: 2 } },
          { type: "Other", payload: 3 }
        ]
      }])
      const plain = yield* textOf(store)
      const upcast = (yield* inStore(store)(collect(Export.text({ upcast: [Paid] })))).join("")
      const events = upcast.split("\n").slice(1, 4).map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        events.map(({ payload, schemaVersion, tags, type }) => [type, schemaVersion, payload, tags]),
        [
          ["Paid", 2, { _tag: "Paid", cents: 1, method: "cash" }, ["method:cash"]],
          ["Paid", 2, { _tag: "Paid", cents: 2, method: "cash" }, ["method:cash"]],
          ["Other", 1, 3, undefined]
        ]
      )
      assert.deepStrictEqual(
        plain.split("\n").slice(1, 4).map((line) => JSON.parse(line).content),
        events.map(({ content }) => content)
      )
      const copy = yield* memory
      yield* importText(copy, upcast)
      const found = yield* collect(copy.readAll({ types: ["Paid"] }))
      assert.lengthOf(found, 2)
      yield* store.append([{ stream: "p-1", events: [{ type: "Paid", payload: { cents: "x" } }] }])
      const bad = yield* Effect.flip(inStore(store)(collect(Export.text({ upcast: [Paid] }))))
      assert.strictEqual(bad._tag, "UndecodableEvent")
    }))
})

const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      tenant: fc.constantFrom("", "t", "\uff5e", "🦜"),
      stream: fc.constantFrom("a-1", "a-2", "\uff5e-1", "🦜-1", "plain"),
      payloads: fc.array(fc.jsonValue(), { minLength: 1, maxLength: 3 }),
      tags: fc.uniqueArray(fc.constantFrom("x", "y", "🦜"), { maxLength: 2 })
    })
  },
  fc.record({
    do: fc.constantFrom("truncate" as const, "tombstone" as const),
    tenant: fc.constantFrom("", "t", "\uff5e", "🦜"),
    stream: fc.constantFrom("a-1", "a-2", "\uff5e-1", "🦜-1", "plain"),
    before: fc.integer({ min: 1, max: 6 })
  })
)

describe("the laws of export and import", () => {
  it.scoped.prop(
    "export, import, export is the identity, whatever the store holds, over drivers, and from wherever it was stopped",
    [fc.array(operation, { maxLength: 20, size: "max" }), fc.double({ min: 0, max: 1, noNaN: true })],
    ([operations, cut]) =>
      Effect.gen(function*() {
        const origin = yield* memory
        for (const next of operations) {
          const inTenant = Correlation.locally({ tenant: next.tenant })
          if (next.do === "append") {
            const events = next.payloads.map((payload) => ({ type: "A", payload, tags: next.tags }))
            yield* Effect.either(inTenant(origin.append([{ stream: next.stream, events }])))
          } else if (next.do === "truncate") {
            yield* Effect.either(inTenant(origin.truncate(next.stream, { before: next.before })))
          } else yield* Effect.either(inTenant(origin.tombstone(next.stream)))
        }
        const text = yield* textOf(origin)
        const middle = yield* Effect.orDie(sqlite)
        yield* Effect.either(importText(middle, text.slice(0, Math.floor(text.length * cut)), 64))
        yield* importText(middle, text)
        assert.strictEqual(yield* textOf(middle), text)
        const copy = yield* memory
        yield* importText(copy, yield* textOf(middle))
        assert.strictEqual(yield* textOf(copy), text)
        assert.deepStrictEqual(
          yield* collect(copy.readAll({ allTenants: true })),
          yield* collect(origin.readAll({ allTenants: true }))
        )
      }),
    { fastCheck: { numRuns: 40 }, timeout: 60_000 }
  )
})
