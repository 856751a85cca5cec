/**
 * Ten thousand sagas that wait for a signal: what each costs of the memory, how long an engine takes to take them over after a
 * restart, how long the first signal takes to bring one back, and how many a second come back. PostgreSQL takes part where
 * `SKALD_POSTGRES_URL` says where it is.
 */
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import { Duration, Effect, Layer, Schema } from "effect"
import * as Kit from "./kit.ts"
import { onEach } from "./support/storePlaces.ts"

const count = process.argv.includes("--quick") ? 1_000 : 10_000

const Waits = Saga.make("waits", {
  version: 1,
  payload: Schema.Struct({ n: Schema.Number }),
  success: Schema.String,
  error: Schema.Never,
  idempotencyKey: ({ n }) => `order-${n}`
})

/** How many bodies are in memory. */
let bodies = 0

const live = Waits.toLayer(({ n }) =>
  Effect.gen(function*() {
    yield* Effect.acquireRelease(Effect.sync(() => bodies++), () => Effect.sync(() => bodies--))
    yield* Saga.step("reserve", {
      success: Schema.String,
      execute: () => Effect.succeed(`reservation ${n}`),
      compensate: () => Effect.void
    })
    return yield* Effect.orDie(Saga.signal("paid", { schema: Schema.String }))
  })
)

const engine = SagaEngine.layerOf(live, { idleAfter: "500 millis" })

const heap = Effect.gen(function*() {
  for (let pass = 0; pass < 4; pass++) {
    globalThis.gc?.()
    yield* Effect.sleep("50 millis")
  }
  return process.memoryUsage().heapUsed
})

/** What it gives, and how many milliseconds it took. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(effect), ([duration, value]) => [value, Duration.toMillis(duration)] as const)

const letGo = Effect.repeat(Effect.sleep("20 millis"), { until: () => bodies === 0 })

const measure = Effect.gen(function*() {
  // what is compiled and cached on the way is no part of a saga's memory
  const warm = Array.from({ length: 300 }, (_, n) => -1 - n)
  const all = <E, R>(ns: ReadonlyArray<number>, one: (n: number) => Effect.Effect<unknown, E, R>) =>
    Effect.forEach(ns, one, { concurrency: 50, discard: true })
  yield* Effect.provide(
    Effect.zipRight(all(warm, (n) => Waits.start({ n })), letGo),
    engine
  )
  const before = yield* Effect.provide(
    Effect.zipRight(
      all(warm, (n) =>
        Effect.zipRight(
          Waits.signal(`order-${n}`, { name: "paid", schema: Schema.String, value: "yes" }),
          Waits.run({ n })
        )),
      heap
    ),
    engine
  )
  yield* Effect.provide(
    Effect.zipRight(
      all(Array.from({ length: count }, (_, n) => n), (n) => Waits.start({ n })),
      letGo
    ),
    engine
  )
  return yield* Effect.scoped(Effect.gen(function*() {
    const [context, recovering] = yield* timed(Layer.build(engine))
    const [, letting] = yield* timed(letGo)
    const after = yield* heap
    const signal = (n: number) =>
      Effect.provide(Waits.signal(`order-${n}`, { name: "paid", schema: Schema.String, value: "yes" }), context)
    const result = (n: number) => Effect.provide(Waits.run({ n }), context)
    const [, first] = yield* timed(Effect.zipRight(signal(0), result(0)))
    const some = Array.from({ length: Math.floor(count / 10) }, (_, n) => n + 1)
    const [, waking] = yield* timed(
      all(some, (n) => Effect.zipRight(signal(n), result(n)))
    )
    return {
      heap: (after - before) / count,
      recovering: recovering + letting,
      first,
      waking: some.length / waking * 1_000
    }
  }))
})

export default onEach(measure).flatMap(([name, once]) => {
  const sagas = `${count.toLocaleString("en-US")} waiting sagas`
  const told = { rounds: 1, warmups: 0 }
  return [
    Kit.measure(`${name}: heap for each of ${sagas}`, {
      ...told,
      unit: "B",
      better: "lower",
      ours: { value: async () => (await once()).heap }
    }),
    Kit.measure(`${name}: ${sagas} taken over after a restart, and let go again`, {
      ...told,
      unit: "ms",
      better: "lower",
      goal: 30_000,
      ours: { value: async () => (await once()).recovering }
    }),
    Kit.measure(`${name}: the first of them is brought back`, {
      ...told,
      unit: "ms",
      better: "lower",
      ours: { value: async () => (await once()).first }
    }),
    Kit.measure(`${name}: a tenth of them is brought back`, {
      ...told,
      unit: "sagas/s",
      ours: { value: async () => (await once()).waking }
    })
  ]
})
