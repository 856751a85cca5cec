/**
 * Ten thousand sagas whose second step is under way when their engine stops: how long the next engine takes until all of them are
 * done. PostgreSQL takes part where `SKALD_POSTGRES_URL` says where it is.
 */
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import { Deferred, Effect, Ref, Schedule, Schema } from "effect"
import * as Kit from "./kit.ts"
import { onEach } from "./support/storePlaces.ts"

const count = process.argv.includes("--quick") ? 1_000 : 10_000
const sagas = `${count.toLocaleString("en-US")} sagas in flight`

const Order = Saga.make("order", {
  version: 1,
  payload: Schema.Struct({ n: Schema.Number }),
  success: Schema.String,
  error: Schema.Never,
  idempotencyKey: ({ n }) => `order-${n}`
})

/** Three steps, of which the second does something. */
const engineOf = (second: Effect.Effect<void>) =>
  SagaEngine.layerOf(Order.toLayer(({ n }) => {
    const step = (name: string, execute: Effect.Effect<void>) =>
      Saga.step(name, {
        success: Schema.String,
        execute: () => Effect.as(execute, `${name} ${n}`),
        compensate: () => Effect.void
      })
    return Effect.zipRight(
      Effect.zipRight(step("reserve", Effect.void), step("charge", second)),
      step("ship", Effect.void)
    )
  }))

/** How often something was done, and when it was done so often. */
const counting = (times: number) =>
  Effect.gen(function*() {
    const reached = yield* Deferred.make<void>()
    const done = yield* Ref.make(0)
    const one = Effect.flatMap(
      Ref.updateAndGet(done, (n) => n + 1),
      (n) => n === times ? Deferred.succeed(reached, undefined) : Effect.void
    )
    return { one, reached: Deferred.await(reached) }
  })

const ns = Array.from({ length: count }, (_, n) => n)

const measure = Effect.gen(function*() {
  const begun = yield* counting(count)
  yield* Effect.provide(
    Effect.zipRight(Effect.forEach(ns, (n) => Order.start({ n }), { concurrency: 50, discard: true }), begun.reached),
    engineOf(Effect.zipRight(begun.one, Effect.never))
  )
  const again = yield* counting(count)
  const before = performance.now()
  return yield* Effect.provide(
    Effect.gen(function*() {
      const engine = yield* SagaEngine.SagaEngine
      yield* again.reached
      yield* Effect.repeat(engine.statistics, {
        until: ({ order }) => order?.completed === count,
        schedule: Schedule.spaced("50 millis")
      })
      const taken = performance.now() - before
      const results = yield* Effect.forEach(ns, (n) => Order.run({ n }), { concurrency: 50 })
      if (results.some((result, n) => result !== `ship ${n}`)) throw new Error("not every saga came to its end")
      return taken
    }),
    engineOf(again.one)
  )
})

export default onEach(measure).map(([name, once]) =>
  Kit.measure(`${name}: ${sagas} are done after a restart`, {
    unit: "ms",
    better: "lower",
    goal: 30_000,
    rounds: 1,
    warmups: 0,
    ours: { value: once }
  })
)
