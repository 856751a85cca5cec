/** Columns of text go to PostgreSQL as one text with control characters between them: nothing that is stored may be taken for one. */
import { assert, it } from "@effect/vitest"
import * as PayloadFormat from "effect-skald/event/PayloadFormat"
import * as EventStore from "effect-skald/store/EventStore"
import * as Postgres from "effect-skald/store/Postgres"
import { Chunk, Context, Effect, Layer, Stream } from "effect"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

Servers.suite("postgres", "Text on its way to PostgreSQL", (url) => {
  const open = (prefix: string, format: PayloadFormat.Format) =>
    Layer.build(
      Postgres.layer({ prefix }).pipe(
        Layer.provide(Layer.succeed(PayloadFormat.PayloadFormat, PayloadFormat.formats(format))),
        Layer.provide(Database.client(url))
      )
    ).pipe(Effect.map(Context.get(EventStore.EventStore)))

  const plain: PayloadFormat.Format = {
    name: "plain",
    write: (value) => String(value),
    read: (serialized) => typeof serialized === "string" ? serialized : new TextDecoder().decode(serialized)
  }

  it.scoped("payloads that hold control characters, quotes and nothing come back, alone and beside each other", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* Database.prefix(url), plain)
      const odd = ["", "\u001f", "\u001e", "a\u001fb", "\u001e\u001f\u0000", "{\"a\\\\\"}", "NULL", "\n\t", "ü𝄞", ""]
      const events = (payloads: ReadonlyArray<string>) => payloads.map((payload) => ({ type: "Said", payload }))
      yield* store.append([{ stream: "talk-1", events: events(odd) }])
      for (const payload of odd) yield* store.append([{ stream: "talk-2", events: events([payload]) }])
      // of many callers, in one call of the database's function
      yield* Effect.all(odd.map((payload, n) => store.append([{ stream: `many-${n}`, events: events([payload]) }])), {
        concurrency: "unbounded"
      })
      for (const stream of ["talk-1", "talk-2"]) {
        const read = yield* Stream.runCollect(store.read(stream))
        assert.deepStrictEqual(Chunk.toReadonlyArray(read).map(({ payload }) => payload), odd)
      }
      const many = yield* Stream.runCollect(store.readAll({ category: "many" }))
      for (const { payload, stream } of many) assert.strictEqual(payload, odd[Number(stream.slice("many-".length))])
      assert.lengthOf(many, odd.length)
    }))

  it.scoped("events that differ in type, source and tags, and those that are equal in them, keep their own", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* Database.prefix(url), PayloadFormat.json)
      const kinds = [
        { type: "A", source: "/a", tags: ["x"] },
        { type: "A", source: "/a", tags: ["x"] },
        { type: "B", source: "/a", tags: [] },
        { type: "B", source: "/b", tags: ["y", "x"] }
      ]
      for (const [n, list] of [kinds.slice(0, 2), kinds, kinds.slice(2, 3), kinds.slice(1, 3)].entries()) {
        yield* store.append([{ stream: `s-${n}`, events: list.map((kind) => ({ ...kind, payload: null })) }])
        const read = yield* Stream.runCollect(store.read(`s-${n}`))
        assert.deepStrictEqual(
          Chunk.toReadonlyArray(read).map(({ source, tags, type }) => ({ type, source, tags: [...tags].sort() })),
          list.map((kind) => ({ ...kind, tags: [...kind.tags].sort() }))
        )
      }
    }))

  it.scoped("a format whose name would be taken for two is refused, and nothing is written", () =>
    Effect.gen(function*() {
      const store = yield* open(yield* Database.prefix(url), { ...plain, name: "pl\u001fain" })
      for (const length of [1, 2, 3]) {
        const events = Array.from({ length }, () => ({ type: "Said", payload: "x" }))
        const error = yield* Effect.flip(store.append([{ stream: "talk-1", events }]))
        assert.strictEqual(error._tag, "StoreError")
        assert.include(String((error as { readonly cause?: unknown }).cause), "control character")
      }
      assert.strictEqual(yield* store.head, 0)
    }))
})
