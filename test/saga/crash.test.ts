import { assert, describe, it } from "@effect/vitest"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaCrash from "effect-skald/testing/SagaCrash"
import { Effect, Random, Schema } from "effect"
import { sagaOf, shapes } from "../support/crashingSagas.ts"

describe("crashes of sagas, in memory", () => {
  for (const shape of shapes) {
    for (const steps of [1, 2, 3, 4, 5, 6]) {
      it.effect(
        `${shape}, ${steps} steps: all or nothing, whatever fails and wherever it crashes`,
        () =>
          Effect.gen(function*() {
            const report = yield* SagaCrash.check({ ...sagaOf(shape, steps), maxCases: 20 })
            assert.strictEqual(report.cases, 20)
            assert.isAbove(report.completed, 0)
            assert.isAbove(report.compensated, 0)
            assert.isAbove(report.crashes, 5)
          }),
        60_000
      )
    }
  }
})

class Failed extends Schema.TaggedError<Failed>()("Failed", {}) {}

/** A saga whose second step fails where a case says so, and whose first step is careless in one way. */
const careless = (
  name: string,
  first: (ledger: SagaCrash.Ledger) => Effect.Effect<void, Failed, Saga.Running>
): SagaCrash.Options<string, void, Failed> => {
  const saga = Saga.make(name, {
    version: 1,
    payload: Schema.String,
    success: Schema.Void,
    error: Failed,
    idempotencyKey: (id) => id
  })
  return {
    saga,
    payload: (number) => `case-${number}`,
    crashes: 1,
    live: (ledger) =>
      saga.toLayer(() =>
        Effect.zipRight(
          first(ledger),
          Saga.step("last", {
            success: Schema.Void,
            execute: (key) => ledger.perform("last", key, () => new Failed()),
            compensate: (_outcome, key) => ledger.undo("last", key)
          })
        )
      )
  }
}

describe("the crash harness finds", () => {
  const brokenOf = (options: SagaCrash.Options<string, void, Failed>) =>
    Effect.map(Effect.flip(SagaCrash.check(options)), ({ problems, trace }) => {
      assert.isNotEmpty(trace)
      return problems.join("; ")
    })

  it.effect("a step that is not undone", () =>
    Effect.gen(function*() {
      const problems = yield* brokenOf(careless("forgetful", (ledger) =>
        Saga.step("first", {
          success: Schema.Void,
          execute: (key) => ledger.perform("first", key, () => new Failed())
        }).pipe(Effect.asVoid)))
      assert.include(problems, "it is compensated, and \"first\" stands")
    }))

  it.effect("an effect outside of a step", () =>
    Effect.gen(function*() {
      const problems = yield* brokenOf(
        careless("outside", (ledger) => ledger.perform("first", "key", () => new Failed()))
      )
      assert.include(problems, "\"first\" stands")
    }))

  it.effect("a key that differs each time", () =>
    Effect.gen(function*() {
      const problems = yield* brokenOf(careless("keyless", (ledger) =>
        Saga.step("first", {
          success: Schema.Void,
          execute: () => Effect.flatMap(Random.nextInt, (key) => ledger.perform("first", `${key}`, () => new Failed())),
          compensate: (_outcome, key) => ledger.undo("first", key)
        })))
      assert.match(problems, /with the key|stands/)
    }))

  it.effect("a compensation that does nothing where the outcome is unknown", () =>
    Effect.gen(function*() {
      const problems = yield* brokenOf(careless("hopeful", (ledger) =>
        Saga.step("first", {
          success: Schema.Void,
          execute: (key) => ledger.perform("first", key, () => new Failed()),
          compensate: (outcome, key) => outcome._tag === "Done" ? ledger.undo("first", key) : Effect.void
        })))
      assert.include(problems, "\"first\" stands")
    }))
})
