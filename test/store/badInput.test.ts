import { assert, describe, it } from "@effect/vitest"
import { EventStore, layerMemory } from "effect-skald/store/EventStore"
import { Cause, Chunk, Effect, Exit, Option, Stream } from "effect"
import type { BadInput } from "../support/badInput.ts"
import { eventInputs } from "./badInput/eventInputs.ts"
import { storeInputs } from "./badInput/storeInputs.ts"

/** Every public function that takes data from outside, with what it refuses. Add the inputs of a new one here. */
const all: ReadonlyArray<BadInput> = [...eventInputs, ...storeInputs]

/** What is in the store, to see that a refusal has changed nothing. */
const content = Effect.gen(function*() {
  const store = yield* EventStore
  const log = yield* Stream.runCollect(store.readAll({ allTenants: true }))
  return [Chunk.toReadonlyArray(log), yield* store.head, yield* store.streamState("order-1")]
})

describe("bad input is refused with a typed error that names field and problem, and nothing is written", () => {
  it("the table is long enough, and names each case once", () => {
    assert.isAtLeast(all.length, 60)
    const names = all.map(({ call, given }) => `${call}: ${given}`)
    assert.deepStrictEqual(names, Array.from(new Set(names)))
  })

  for (const { call, given, path, problem, run, tag } of all) {
    it.effect(`${call}: ${given}`, () =>
      Effect.gen(function*() {
        const store = yield* EventStore
        yield* store.append([
          { stream: "order-1", events: [{ id: "e-1", type: "Placed", payload: {} }, { type: "Paid", payload: {} }] }
        ])
        const before = yield* content
        const exit = yield* Effect.exit(run)
        if (Exit.isSuccess(exit)) return assert.fail(`was accepted: ${JSON.stringify(exit.value)}`)
        const failure = Option.getOrUndefined(Cause.failureOption(exit.cause)) as any
        assert.isDefined(failure, `is not typed: ${Cause.pretty(exit.cause)}`)
        assert.strictEqual(failure._tag, tag, Cause.pretty(exit.cause))
        const faults: ReadonlyArray<{ readonly path: string; readonly problem: string }> = failure.faults
        const found = faults.find((fault) => fault.path === path)
        assert.isDefined(found, `no fault at ${path}: ${failure.message}`)
        assert.include(found!.problem, problem)
        assert.include(failure.message, `${path}: `)
        assert.deepStrictEqual(yield* content, before)
      }).pipe(Effect.provide(layerMemory)))
  }

  it.effect("all faults of an input are told at once", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const error = yield* Effect.flip(Stream.runDrain(
        store.readAll({ after: -1, to: 0.5, limit: -3, category: "a-b", types: [], correlationId: "", since: "noon" })
      ))
      assert.deepStrictEqual((error as any).faults.map((fault: { path: string }) => fault.path).sort(), [
        "after",
        "category",
        "correlationId",
        "limit",
        "since",
        "to",
        "types"
      ])
    }).pipe(Effect.provide(layerMemory)))
})
