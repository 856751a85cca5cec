// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as Sqlite from "effect-skald/store/Sqlite"
import { Effect, Layer, Schema } from "effect"
import { liveHeap } from "../support/liveHeap.ts"
import * as Soak from "../support/soak.ts"
import { tempFile } from "../support/tempDirectory.ts"

const Waits = Saga.make("waits", {
  version: 1,
  payload: Schema.Struct({ n: Schema.Number }),
  success: Schema.String,
  error: Schema.Never,
  idempotencyKey: ({ n }) => `order-${n}`
})

/** What may stay in memory of a saga that waits, in bytes: its entry in the index, and its place among those let go. */
const most = 2_048

const heap = Effect.gen(function*() {
  for (let pass = 0; pass < 4; pass++) {
    liveHeap()
    yield* Effect.sleep("50 millis")
  }
  return liveHeap()
})

const each = <E, R>(ns: ReadonlyArray<number>, one: (n: number) => Effect.Effect<unknown, E, R>) =>
  Effect.forEach(ns, one, { concurrency: 50, discard: true })

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

describe("sagas that wait", () => {
  it.scopedLive("ten thousand of them cost little memory, and a signal brings back those that it is for", () => {
    const count = Math.max(1_000, Soak.times(10_000))
    /** Those in memory, and those that were brought back. */
    const bodies = new Set<number>()
    let runs = 0
    const live = Waits.toLayer(({ n }) =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            runs++
            bodies.add(n)
          }),
          () => Effect.sync(() => bodies.delete(n))
        )
        yield* Saga.step("reserve", {
          success: Schema.String,
          execute: () => Effect.succeed(`reservation ${n}`),
          compensate: () => Effect.void
        })
        return yield* Effect.orDie(Saga.signal("paid", { schema: Schema.String }))
      })
    )
    const letGo = Effect.repeat(Effect.sleep("20 millis"), { until: () => bodies.size === 0 })
    const signal = (n: number) => Waits.signal(`order-${n}`, { name: "paid", schema: Schema.String, value: `${n}` })
    const engine = SagaEngine.layerOf(live, { idleAfter: "200 millis" })
    return Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* Effect.gen(function*() {
        // what is compiled and cached on the way is no part of a saga's memory
        yield* each(range(-500, 0), (n) => Waits.start({ n }))
        yield* letGo
        yield* each(range(-500, 0), (n) => Effect.zipRight(signal(n), Waits.run({ n })))
        const before = yield* heap
        yield* each(range(0, count), (n) => Waits.start({ n }))
        yield* letGo
        const after = yield* heap
        const bytes = Math.round((after - before) / count)
        const ran = runs
        for (const n of [7, 500, 999]) {
          yield* signal(n)
          assert.strictEqual(yield* Waits.run({ n }), `${n}`)
        }
        assert.strictEqual(runs, ran + 3, "no other was brought back")
        Soak.report("sagaWaiting", `${count} sagas that wait for a signal: ${bytes} bytes of the heap for each`)
        assert.isBelow(bytes, most)
      }).pipe(Effect.provide(Layer.provideMerge(engine, Layer.orDie(Sqlite.layerFile({ filename })))))
      const started = performance.now()
      yield* Effect.gen(function*() {
        yield* SagaEngine.SagaEngine
        yield* letGo
        const millis = Math.round(performance.now() - started)
        Soak.report("sagaWaiting", `${count - 3} were taken over by the next engine, and let go, in ${millis} ms`)
        assert.isBelow(millis, 30_000)
        yield* signal(1)
        assert.strictEqual(yield* Waits.run({ n: 1 }), "1")
      }).pipe(Effect.provide(Layer.provideMerge(engine, Layer.orDie(Sqlite.layerFile({ filename })))))
    })
  }, 3_600_000)
})
