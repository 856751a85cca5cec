/** The other forms of a saga: a transaction in memory, and a list of steps. Acceptance case 20 is among them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import * as FromSteps from "effect-skald/saga/FromSteps"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import { layerMemory } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {}

const step = (log: Array<string>, name: string, effect: Effect.Effect<string, Failed> = Effect.succeed(name)) =>
  Saga.step(name, {
    success: Schema.String,
    execute: () => Effect.zipRight(Effect.sync(() => void log.push(name)), effect),
    compensate: (outcome) =>
      Effect.sync(() => void log.push(`undo ${name}${outcome._tag === "Done" ? ` ${outcome.value}` : "?"}`))
  })

describe("a transaction", () => {
  it.effect("commits, and undoes nothing", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      equal(yield* Saga.transaction(Effect.zipWith(step(log, "a"), step(log, "b"), (a, b) => a + b)), "ab")
      equal(log, ["a", "b"])
    })
  })

  it.effect("undoes in reverse order what was done when it fails, and keeps its error", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const failing = Effect.zipRight(
        Effect.zipRight(step(log, "a"), step(log, "b")),
        step(log, "c", new Failed({ why: "no" }))
      )
      equal((yield* Effect.flip(Saga.transaction(failing))).why, "no")
      equal(log, ["a", "b", "c", "undo c?", "undo b b", "undo a a"])
    })
  })

  it.effect("undoes when it is interrupted in the midst of a step", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        Saga.transaction(Effect.zipRight(step(log, "a"), step(log, "b", Effect.never)))
      )
      while (!log.includes("b")) yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      equal(log, ["a", "b", "undo b?", "undo a a"])
    })
  })

  it.effect("undoes the loser of a race although it commits, and nothing past its pivot", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      equal(
        yield* Saga.transaction(
          Effect.race(step(log, "slow", Effect.never), Effect.zipRight(settle, step(log, "quick")))
        ),
        "quick"
      )
      equal(log.filter((entry) => entry.startsWith("undo")), ["undo slow?"])
      const passed = yield* Effect.exit(Saga.transaction(Effect.gen(function*() {
        yield* step(log, "kept")
        yield* Saga.pivot("p", { success: Schema.Void, execute: () => Effect.void })
        return yield* new Failed({ why: "late" })
      })))
      assert(Exit.isFailure(passed))
      equal(log.includes("undo kept kept"), false)
    })
  })

  it.effect("refuses a name twice, after it has undone what was done", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Saga.transaction(Effect.zipRight(step(log, "a"), step(log, "a"))))
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die")
      equal(log, ["a", "undo a a"])
    })
  })

  it.effect("a nested one that fails is undone before its parent goes on", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const parent = Effect.gen(function*() {
        yield* step(log, "a")
        yield* Effect.ignore(
          Saga.nested("n", Effect.zipRight(step(log, "b"), Effect.fail(new Failed({ why: "inner" }))))
        )
        return yield* step(log, "c")
      })
      equal(yield* Saga.transaction(parent), "c")
      equal(log, ["a", "b", "undo b b", "c"])
    })
  })
})

/** Lets the fibers of a race run. */
const settle = Effect.replicateEffect(Effect.yieldNow(), 50, { discard: true })

const define = (name: string) =>
  Saga.make(name, {
    version: 1,
    payload: Schema.Struct({ order: Schema.String }),
    success: Schema.String,
    error: Failed,
    idempotencyKey: ({ order }) => order
  })

describe("a list of steps", () => {
  const told: Array<unknown> = []
  const list = FromSteps.make<{ readonly order: string }>()
    .step("reserve", {
      gives: { reservation: Schema.String },
      execute: ({ order }) => Effect.succeed({ reservation: `for ${order}` })
    })
    .step("price", {
      gives: { total: Schema.Number },
      execute: ({ reservation }) => Effect.succeed({ total: reservation.length })
    })
    .step("charge", {
      execute: ({ total }) => total > 8 ? new Failed({ why: "too dear" }) : Effect.succeed({}),
      retry: Schedule.recurs(1)
    })
    .body({
      compensate: {
        reserve: (undo) => Effect.sync(() => void told.push(["reserve", undo])),
        charge: (undo) => Effect.sync(() => void told.push(["charge", undo]))
      },
      result: ({ total }) => `paid ${total}`
    })

  it.effect("20: a compensation gets the data as it was after its step, or before one that failed", () => {
    const Listed = define("listed")
    return Effect.gen(function*() {
      equal(yield* Listed.run({ order: "o-1" }), "paid 7")
      equal(told, [])
      equal((yield* Effect.flip(Listed.run({ order: "o-12345" })))._tag, "Failed")
      equal(told, [
        ["charge", { _tag: "Unknown", data: { order: "o-12345", reservation: "for o-12345", total: 11 } }],
        ["reserve", { _tag: "Done", data: { order: "o-12345", reservation: "for o-12345" } }]
      ])
    }).pipe(Effect.provide(Layer.provideMerge(SagaEngine.layerOf(Listed.toLayer(list)), layerMemory)))
  })

  it.effect("writes the journal that the body of the same steps writes", () => {
    const Listed = define("listed")
    const Written = define("written")
    const body = ({ order }: { readonly order: string }) =>
      Effect.gen(function*() {
        const { reservation } = yield* Saga.step("reserve", {
          success: Schema.Struct({ reservation: Schema.String }),
          execute: () => Effect.succeed({ reservation: `for ${order}` }),
          compensate: () => Effect.void
        })
        const { total } = yield* Saga.step("price", {
          success: Schema.Struct({ total: Schema.Number }),
          execute: () => Effect.succeed({ total: reservation.length })
        })
        yield* Saga.step("charge", {
          success: Schema.Struct({}),
          execute: () => total > 8 ? new Failed({ why: "too dear" }) : Effect.succeed({}),
          retry: Schedule.recurs(1),
          compensate: () => Effect.void
        })
        return `paid ${total}`
      })
    const journal = (saga: string, id: string) =>
      Effect.map(
        Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf(saga, id))),
        (events) =>
          Array.from(events, ({ payload }) => {
            const text = JSON.stringify(
              payload,
              (name, value) => name === "seed" || name === "due" || name === "instants" || name === "next" ? 0 : value
            )
            return text.replaceAll(saga, "saga")
          })
      )
    return Effect.gen(function*() {
      for (const order of ["o-1", "o-12345"]) {
        yield* Effect.exit(Listed.run({ order }))
        yield* Effect.exit(Written.run({ order }))
        equal(yield* journal("listed", order), yield* journal("written", order))
      }
    }).pipe(
      Effect.provide(
        Layer.provideMerge(SagaEngine.layerOf(Layer.merge(Listed.toLayer(list), Written.toLayer(body))), layerMemory)
      )
    )
  })
})
