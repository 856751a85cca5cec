/** What a person has tried again: waits that were cut off or ran out, what failed past the pivot, and nested sagas that were undone. */
import { assert, describe } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { SagaEngine } from "effect-skald/saga/SagaEngine"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, leave, operator, over, pause, step, test, until } from "../support/sagaFeatures.ts"

const go = (within?: "1 hour") => Saga.signal("go", { schema: Schema.String, within: within ?? "9 hours" })
const tell = (saga: string, value: string) =>
  Effect.flatMap(SagaEngine, (engine) => engine.signal({ saga, id: "x" }, { name: "go", value }))
const retry = (saga: string) => Effect.flatMap(SagaEngine, (engine) => engine.retry({ saga, id: "x" }, operator))

describe("a suspended saga that is tried again", () => {
  /** Fails beside something that waits, as long as it is down. */
  const beside = (name: string, waits: Effect.Effect<unknown, unknown, Saga.Running>) => {
    const state = { up: false }
    const Made = define(name, { onFailure: "suspend" })
    const fails = Effect.suspend(() => state.up ? Effect.succeed("up") : new Failed({ why: "down" }))
    const live = Made.toLayer(() =>
      Effect.map(
        Effect.all([waits, Saga.step("fails", { success: Schema.String, execute: () => fails })], { concurrency: 2 }),
        (all) => all.join(" and ")
      ).pipe(Effect.mapError(() => new Failed({ why: "down" })))
    )
    const suspended = Effect.zipRight(Made.start({ id: "x" }), until(Made, "x", "needsIntervention"))
    return { Made, live, state, suspended }
  }

  test("sleeps on until it would have slept", () => {
    const { Made, live, state, suspended } = beside("naps", Effect.as(Saga.sleep("nap", "2 hours"), "slept"))
    return Effect.gen(function*() {
      yield* suspended.pipe(over(live))
      yield* TestClock.adjust("1 hour")
      yield* Effect.gen(function*() {
        state.up = true
        yield* retry("naps")
        yield* until(Made, "x", "waiting")
        yield* pause
        equal((yield* Made.status("x")).state, "waiting")
        yield* TestClock.adjust("1 hour")
        equal(yield* Made.run({ id: "x" }), "slept and up")
      }).pipe(over(live))
    })
  })

  test("hears the signal that it waited for, whether it comes before that or after", () => {
    const before = beside("before", go())
    const after = beside("after", go())
    return Effect.gen(function*() {
      yield* before.suspended.pipe(over(before.live))
      yield* Effect.gen(function*() {
        before.state.up = true
        equal(yield* tell("before", "heard"), "accepted")
        yield* retry("before")
        equal(yield* before.Made.run({ id: "x" }), "heard and up")
      }).pipe(over(before.live))
      yield* after.suspended.pipe(over(after.live))
      yield* Effect.gen(function*() {
        after.state.up = true
        yield* retry("after")
        yield* until(after.Made, "x", "waiting")
      }).pipe(over(after.live))
      yield* Effect.gen(function*() {
        equal(yield* tell("after", "heard"), "accepted")
        equal(yield* after.Made.run({ id: "x" }), "heard and up")
      }).pipe(over(after.live))
    })
  })

  test("has its limit still, where that had not passed", () => {
    const { Made, live, state, suspended } = beside("limited", Effect.catchAll(go(), () => Effect.succeed("too late")))
    return Effect.gen(function*() {
      yield* suspended
      state.up = true
      yield* retry("limited")
      yield* until(Made, "x", "waiting")
      yield* TestClock.adjust("9 hours")
      equal(yield* Made.run({ id: "x" }), "too late and up")
    }).pipe(over(live))
  })

  test("does not take for done what a nested saga has undone", () => {
    const log: Array<string> = []
    const state = { up: false }
    const Nests = define("nests", { onFailure: "suspend" })
    const live = Nests.toLayer(() =>
      Saga.nested(
        "inner",
        Effect.zipRight(
          step(log, "b"),
          step(log, "c", Effect.suspend(() => state.up ? Effect.succeed("c") : new Failed({ why: "down" })))
        )
      )
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      yield* Nests.start({ id: "x" })
      yield* until(Nests, "x", "needsIntervention")
      equal(log, ["b", "c", "undo c Unknown", "undo b Done"])
      state.up = true
      const resolved = yield* Effect.flip(
        engine.resolve({ saga: "nests", id: "x" }, { step: "inner/c", value: "c", ...operator })
      )
      equal(resolved._tag, "OperationRefused")
      yield* retry("nests")
      yield* eventually(Effect.map(Nests.status("x"), ({ acts, state }) => acts.length > 0 && state !== "running"))
      // what was undone stays so: the saga stands where it stood
      equal([(yield* Nests.status("x")).state, log.length], ["needsIntervention", 4])
      yield* Nests.cancel("x", operator)
      equal((yield* Effect.flip(Nests.run({ id: "x" })))._tag, "SagaCancelled")
      equal(log.length, 4)
    }).pipe(over(live))
  })
})

describe("a saga that failed past its pivot", () => {
  const pivot = Saga.pivot("p", { success: Schema.Void, execute: () => Effect.void })

  test("as a signal did not come in time: it waits on once a person says so, or is told the answer by him", () => {
    const Asks = define("asks")
    const live = Asks.toLayer(() => Effect.zipRight(pivot, Effect.orDie(go("1 hour"))))
    const stuck = Effect.gen(function*() {
      yield* leave(Asks, live, "waiting")
      yield* TestClock.adjust("1 hour")
    })
    return Effect.gen(function*() {
      yield* stuck
      yield* Effect.gen(function*() {
        yield* until(Asks, "x", "needsIntervention")
        equal((yield* Asks.status("x")).interventions[0]?.reason, "failedAfterPivot")
        equal(yield* tell("asks", "much too late"), "late")
        yield* retry("asks")
        yield* until(Asks, "x", "waiting")
        equal(yield* tell("asks", "better late"), "accepted")
        equal(yield* Asks.run({ id: "x" }), "better late")
        const engine = yield* SagaEngine
        yield* Asks.start({ id: "y" })
        yield* until(Asks, "y", "waiting")
        yield* TestClock.adjust("1 hour")
        yield* until(Asks, "y", "needsIntervention")
        yield* engine.resolve({ saga: "asks", id: "y" }, { step: "go", value: "by telephone", ...operator })
        equal(yield* Asks.run({ id: "y" }), "by telephone")
      }).pipe(over(live))
    })
  })

  test("as a step beside it failed: that one is tried again, or settled by a person, and never undone alone", () => {
    const log: Array<string> = []
    const state = { up: false }
    const Beside = define("beside")
    const live = Beside.toLayer(() =>
      Effect.map(
        Effect.all([
          step(
            log,
            "slow",
            Effect.zipRight(
              Effect.replicateEffect(pause, 5),
              Effect.suspend(() => state.up ? Effect.succeed("by itself") : new Failed({ why: "down" }))
            )
          ),
          pivot
        ], { concurrency: 2 }),
        ([slow]) => slow
      )
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      for (const id of ["again", "told"]) {
        yield* Beside.start({ id })
        yield* until(Beside, id, "needsIntervention")
      }
      equal(log, ["slow", "slow"])
      yield* engine.resolve({ saga: "beside", id: "told" }, { step: "slow", value: "by hand", ...operator })
      equal(yield* Beside.run({ id: "told" }), "by hand")
      state.up = true
      yield* engine.retry({ saga: "beside", id: "again" }, operator)
      equal([yield* Beside.run({ id: "again" }), log], ["by itself", ["slow", "slow", "slow"]])
      assert(!log.some((entry) => entry.startsWith("undo")))
    }).pipe(over(live))
  })
})
