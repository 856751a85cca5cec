/** What a definition may say of its steps, and what an operator may do about them. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Option, Schedule, Schema } from "effect"
import * as FromSteps from "effect-skald/saga/FromSteps"
import * as Saga from "effect-skald/saga/Saga"
import { SagaEngine } from "effect-skald/saga/SagaEngine"
import { equal } from "../support/assert.ts"
import { define, Failed, leave, operator, over, running, step, test, until } from "../support/sagaFeatures.ts"

describe("a step whose outcome a crash has left open", () => {
  /** What stands outside, by key, and what was asked of it. */
  const world = () => {
    const state = { done: new Map<string, string>(), log: new Array<string>(), open: false }
    /** Does its work, and does not come back while the world is not open. */
    const execute = (key: string) =>
      Effect.suspend(() => {
        state.log.push(`run ${key}`)
        if (!state.done.has(key)) state.done.set(key, `by run ${state.log.length}`)
        return state.open ? Effect.succeed(state.done.get(key)!) : Effect.never
      })
    const compensate = (outcome: Saga.Outcome<string>, key: string) =>
      Effect.sync(() => {
        state.log.push(`undo ${key} ${outcome._tag}`)
        state.done.delete(key)
      })
    return { state, execute, compensate }
  }

  test("retry: it is run again with the same key", () => {
    const { compensate, execute, state } = world()
    const Again = define("again")
    const live = Again.toLayer(() => Saga.step("s", { success: Schema.String, execute, compensate }))
    return Effect.gen(function*() {
      yield* leave(Again, live, "running")
      state.open = true
      equal(yield* Again.run({ id: "x" }).pipe(over(live)), "by run 1")
      equal(state.log, ["run again/x/s", "run again/x/s"])
    })
  })

  test("ask: what `resolve` knows is its result, and where it knows nothing it is run", () => {
    const { compensate, execute, state } = world()
    const Asks = define("asks")
    const live = Asks.toLayer(() =>
      Saga.step("s", {
        success: Schema.String,
        execute,
        compensate,
        onUnknown: "ask",
        resolve: (key) =>
          Effect.sync(() => {
            state.log.push(`ask ${key}`)
            return Option.fromNullable(state.done.get(key))
          })
      })
    )
    return Effect.gen(function*() {
      yield* leave(Asks, live, "running")
      equal(yield* Asks.run({ id: "x" }).pipe(over(live)), "by run 1")
      equal(state.log, ["run asks/x/s", "ask asks/x/s"])
      yield* leave(Asks, live, "running", "y")
      state.done.clear()
      state.open = true
      equal(yield* Asks.run({ id: "y" }).pipe(over(live)), "by run 5")
      equal(state.log.slice(2), ["run asks/y/s", "ask asks/y/s", "run asks/y/s"])
    })
  })

  test("ask, in a list: `resolve` sees the data as of the step before, and gives the step's fields", () => {
    const { execute, state } = world()
    const Listed = define("listed")
    const asked: Array<unknown> = []
    const live = Listed.toLayer(
      FromSteps.make<{ readonly id: string }>()
        .step("a", { gives: { a: Schema.Number }, execute: () => Effect.succeed({ a: 7 }) })
        .step("s", {
          gives: { s: Schema.String },
          execute: (_, key) => Effect.map(execute(key), (s) => ({ s })),
          onUnknown: "ask",
          resolve: (data, key) =>
            Effect.sync(() => {
              asked.push(data)
              return Option.map(Option.fromNullable(state.done.get(key)), (s) => ({ s }))
            })
        })
        .body({ result: ({ a, s }) => `${a} ${s}` })
    )
    return Effect.gen(function*() {
      yield* leave(Listed, live, "running")
      equal(yield* Listed.run({ id: "x" }).pipe(over(live)), "7 by run 1")
      equal(asked, [{ id: "x", a: 7 }])
      yield* leave(Listed, live, "running", "y")
      state.done.clear()
      state.open = true
      equal(yield* Listed.run({ id: "y" }).pipe(over(live)), "7 by run 3")
      equal(state.log, ["run listed/x/s", "run listed/y/s", "run listed/y/s"])
      equal(asked, [{ id: "x", a: 7 }, { id: "y", a: 7 }])
    })
  })

  test("compensate: the saga is rolled back, and the compensation is told that nobody knows", () => {
    const { compensate, execute, state } = world()
    const Undoes = define("undoes")
    const live = Undoes.toLayer(() =>
      Saga.step("s", { success: Schema.String, execute, compensate, onUnknown: "compensate" })
    )
    return Effect.gen(function*() {
      yield* leave(Undoes, live, "running")
      const exit = yield* Effect.exit(Undoes.run({ id: "x" })).pipe(over(live))
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die")
      equal(state.log, ["run undoes/x/s", "undo undoes/x/s Unknown"])
      equal(state.done.size, 0)
    })
  })

  test("intervene: a person says what it came to, a value or a failure, and it is not run again", () => {
    const { compensate, execute, state } = world()
    const Told = define("told")
    const live = Told.toLayer(() =>
      Effect.map(
        Saga.step("s", { success: Schema.String, execute, compensate, onUnknown: "intervene" }),
        (value) => `${value}!`
      )
    )
    const ref = (id: string) => ({ saga: "told", id })
    return Effect.gen(function*() {
      yield* leave(Told, live, "running", "value")
      yield* leave(Told, live, "running", "failure")
      yield* leave(Told, live, "running", "again")
      yield* Effect.gen(function*() {
        const engine = yield* SagaEngine
        for (const id of ["value", "failure", "again"]) yield* until(Told, id, "needsIntervention")
        // All that is needed to decide is there.
        const status = yield* Told.status("value")
        const [intervention] = status.interventions
        equal([intervention?.reason, intervention?.step], ["unknownOutcome", "s"])
        equal(status.payload, { id: "value" })
        equal(status.steps.map(({ attempts, name, state }) => [name, state, attempts]), [["s", "waiting", 1]])
        // What cannot be is refused, and changes nothing.
        const refused = yield* Effect.flip(engine.resolve(ref("value"), { step: "other", value: "x", ...operator }))
        assert(refused._tag === "OperationRefused" && refused.reason === "noSuchStep")
        const nameless = yield* Effect.flip(engine.resolve(ref("value"), { step: "s", value: "x", by: "", why: "w" }))
        equal(nameless._tag, "InvalidInput")
        equal((yield* Told.status("value")).acts, [])

        yield* engine.resolve(ref("value"), { step: "s", value: "seen in their books", ...operator })
        equal(yield* Told.run({ id: "value" }), "seen in their books!")
        yield* engine.resolve(ref("failure"), {
          step: "s",
          failure: { _tag: "Failed", why: "they refused it" },
          ...operator
        })
        const failed = yield* Effect.flip(Told.run({ id: "failure" }))
        assert(failed instanceof Failed && failed.why === "they refused it")
        equal(state.log.slice(3), ["undo told/failure/s Unknown"])
        state.open = true
        yield* engine.retry(ref("again"), { step: "s", ...operator })
        equal(yield* Told.run({ id: "again" }), "by run 3!")
        equal(
          (yield* Effect.flip(engine.resolve(ref("again"), { step: "s", value: "x", ...operator })))._tag,
          "OperationRefused"
        )
        equal((yield* Told.status("value")).acts.map(({ act, by, step, why }) => [act, by, why, step]), [
          ["resolve", "ann", "told so", "s"]
        ])
      }).pipe(over(live))
    })
  })

  test("a key for each attempt: those that failed have their own, and one that nobody knows of keeps its", () => {
    const keys: Array<string> = []
    const Keyed = define("keyed")
    let block = true
    const live = Keyed.toLayer(() =>
      Effect.zipRight(
        Saga.step("s", {
          success: Schema.Void,
          keyPer: "attempt",
          retry: Schedule.recurs(5),
          execute: (key) =>
            Effect.suspend(() => {
              keys.push(key)
              if (keys.length < 3) return new Failed({ why: "remembered by its key" })
              return block ? Effect.never : Effect.void
            }),
          compensate: (_, key) => Effect.sync(() => void keys.push(`undo ${key}`))
        }),
        new Failed({ why: "in the end" })
      )
    )
    return Effect.gen(function*() {
      yield* Keyed.start({ id: "x" }).pipe(
        Effect.zipRight(Effect.repeat(Effect.yieldNow(), { until: () => keys.length === 3 })),
        over(live)
      )
      block = false
      yield* Effect.flip(Keyed.run({ id: "x" })).pipe(over(live))
      const [first, second, third] = ["keyed/x/s#1", "keyed/x/s#2", "keyed/x/s#3"]
      equal(keys, [first, second, third, third, `undo ${third}`])
    })
  })
})

describe("a step that dies", () => {
  const dies = (log: Array<string>, onDefect: "rollback" | "intervene", times: number) => {
    let runs = 0
    return Effect.zipRight(
      step(log, "a"),
      Saga.step("b", {
        success: Schema.String,
        execute: () => Effect.suspend(() => ++runs <= times ? Effect.die("a bug") : Effect.succeed("mended")),
        retry: Schedule.recurs(5),
        onDefect
      })
    )
  }

  test("is not run again, and its saga is rolled back with the defect", () => {
    const log: Array<string> = []
    const Dies = define("dies")
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Dies.run({ id: "x" }))
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die")
      equal(log, ["a", "undo a Done"])
      equal((yield* Dies.status("x")).steps[1]?.attempts, 1)
    }).pipe(over(Dies.toLayer(() => dies(log, "rollback", 1))))
  })

  test("or a person is asked, who may have it run again", () => {
    const log: Array<string> = []
    const Asks = define("asks")
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      const needs = yield* Effect.flip(Asks.run({ id: "x" }))
      assert(needs._tag === "NeedsIntervention")
      equal([needs.reason, needs.step, needs.failure?.kind], ["defect", "b", "defect"])
      equal(log, ["a"])
      yield* engine.retry({ saga: "asks", id: "x" }, { step: "b", ...operator })
      equal(yield* Asks.run({ id: "x" }), "mended")
      equal(log, ["a"])
    }).pipe(over(Asks.toLayer(() => dies(log, "intervene", 1))))
  })
})

describe("compensations", () => {
  const failing = (log: Array<string>, compensateExhausted: "intervene" | "continue") =>
    Effect.gen(function*() {
      yield* step(log, "a")
      yield* Saga.step("b", {
        success: Schema.Void,
        execute: () => Effect.void,
        compensate: () => Effect.zipRight(Effect.sync(() => log.push("try b")), Effect.fail("down")),
        compensateRetry: Schedule.recurs(2),
        compensateExhausted
      })
      yield* step(log, "c")
      return yield* new Failed({ why: "its own" })
    })

  test("one that is exhausted stops the others, which may depend on it", () => {
    const log: Array<string> = []
    const Stops = define("stops")
    return Effect.gen(function*() {
      const needs = yield* Effect.flip(Stops.run({ id: "x" }))
      assert(needs._tag === "NeedsIntervention")
      equal([needs.reason, needs.step, needs.sagaFailure?.tag], ["compensationFailed", "b", "Failed"])
      equal(log, ["a", "c", "undo c Done", "try b", "try b", "try b"])
      // Tried again, its Schedule begins anew; it is bounded all the same.
      const engine = yield* SagaEngine
      yield* engine.retry({ saga: "stops", id: "x" }, operator)
      equal((yield* Effect.flip(Stops.run({ id: "x" })))._tag, "NeedsIntervention")
      equal(log.filter((entry) => entry === "try b").length, 6)
      const done = yield* running(Stops.run({ id: "x" }))
      void done
      yield* engine.skip({ saga: "stops", id: "x" }, { step: "b", ...operator })
      const own = yield* Effect.flip(Stops.run({ id: "x" }))
      assert(own instanceof Failed)
      equal(log.at(-1), "undo a Done")
    }).pipe(over(Stops.toLayer(() => failing(log, "intervene"))))
  })

  test("or is left behind, by name, and the others run", () => {
    const log: Array<string> = []
    const GoesOn = define("goesOn")
    return Effect.gen(function*() {
      const own = yield* Effect.flip(GoesOn.run({ id: "x" }))
      assert(own instanceof Failed && own.why === "its own")
      equal(log, ["a", "c", "undo c Done", "try b", "try b", "try b", "undo a Done"])
      const { left, state, steps } = yield* GoesOn.status("x")
      equal([state, left], ["compensated", ["b"]])
      equal(steps.map(({ compensation, name }) => [name, compensation]), [["a", "undone"], ["b", "left"], [
        "c",
        "undone"
      ]])
    }).pipe(over(GoesOn.toLayer(() => failing(log, "continue"))))
  })

  test("a failure without effect is undone all the same where an earlier attempt may have had one", () => {
    const log: Array<string> = []
    const Tainted = define("tainted")
    const live = Tainted.toLayer(({ id }) => {
      let attempts = id === "clean" ? 1 : 0
      return Saga.step("s", {
        success: Schema.String,
        execute: () => new Failed({ why: ++attempts === 1 ? "no answer" : "refused" }),
        noEffectOn: ({ why }) => why === "refused",
        retry: Schedule.recurs(1),
        compensate: (outcome) => Effect.sync(() => void log.push(`${id} ${outcome._tag}`))
      })
    })
    return Effect.gen(function*() {
      yield* Effect.flip(Tainted.run({ id: "clean" }))
      equal(log, [])
      yield* Effect.flip(Tainted.run({ id: "tainted" }))
      equal(log, ["tainted Unknown"])
    }).pipe(over(live))
  })
})
