import { assert, describe, it } from "@effect/vitest"
import * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import { EventStore } from "effect-skald/store/EventStore"
import { Effect, type Layer, Stream } from "effect"

const layers: ReadonlyArray<readonly [string, Layer.Layer<EventStore, unknown>]> = [
  ["memory", Memory.layer],
  ["sqlite", Sqlite.layer({ filename: ":memory:" })]
]

for (const [name, layer] of layers) {
  describe(name, () => {
    it.scoped("a hook may append, and what it appended is undone with its append", () =>
      Effect.gen(function*() {
        const store = yield* EventStore
        const count = Stream.runCount(store.readAll())
        yield* store.onAppend((events) =>
          Effect.gen(function*() {
            const [first] = events
            if (first!.type === "Derived") return
            yield* store.append([{ stream: `derived-${first!.position}`, events: [{ type: "Derived", payload: {} }] }])
            if (first!.type === "Refused") return yield* Effect.fail("no")
          })
        )
        yield* store.append([{ stream: "a-1", events: [{ type: "Accepted", payload: {} }] }])
        assert.strictEqual(yield* count, 2)
        const error = yield* Effect.flip(
          store.append([{ stream: "a-2", events: [{ type: "Refused", payload: {} }] }])
        )
        assert.propertyVal(error, "reason", "hook")
        assert.strictEqual(yield* count, 2)
        assert.deepStrictEqual(yield* store.streamState("a-2"), { _tag: "missing" })
        const racing = Effect.forEach(
          Array.from({ length: 5 }),
          () => store.append([{ stream: "a-3", events: [{ type: "Accepted", payload: {} }] }]),
          { concurrency: "unbounded" }
        )
        yield* racing
        assert.strictEqual(yield* count, 12)
      }).pipe(Effect.provide(layer)))
  })
}
