/** Every state of a saga: what a cancel does in it, and that a host that stops in it undoes nothing. */
import { assert, describe } from "@effect/vitest"
import { Effect, Either, Exit, Fiber, Layer, ManagedRuntime, Schedule, Schema, TestClock } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import { EventStore } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, operator, over, pause, step, test, until } from "../support/sagaFeatures.ts"

/** How far a saga has come when it stands still. */
const stages = [
  "body",
  "step",
  "sleep",
  "signal",
  "limited",
  "retry",
  "nested",
  "parallel",
  "race",
  "suspended",
  "pivot",
  "retriable",
  "sleepAfterPivot",
  "stuckAfterPivot"
] as const
type Stage = (typeof stages)[number]

const afterPivot: ReadonlyArray<Stage> = ["retriable", "sleepAfterPivot", "stuckAfterPivot"]
const states: { readonly [stage in Stage]: string } = {
  body: "started",
  step: "running",
  sleep: "waiting",
  signal: "waiting",
  limited: "waiting",
  retry: "waiting",
  nested: "running",
  parallel: "running",
  race: "running",
  suspended: "needsIntervention",
  pivot: "running",
  retriable: "running",
  sleepAfterPivot: "waiting",
  stuckAfterPivot: "needsIntervention"
}

/** A saga that does a step, stands still at its stage until it is let go, and does another. */
const make = (stage: Stage) => {
  const log: Array<string> = []
  const gate = { open: false, reached: false, pivotFails: false }
  const Stages = define(stage, stage === "suspended" ? { onFailure: "suspend" } : {})
  const stand = Effect.as(eventually(Effect.sync(() => (gate.reached = true, gate.open))), "let go")
  const pivot = Saga.pivot("pivot", {
    success: Schema.String,
    execute: () =>
      Effect.zipRight(
        stage === "pivot" ? stand : Effect.void,
        Effect.suspend(() => gate.pivotFails ? new Failed({ why: "pivot" }) : Effect.succeed("passed"))
      )
  })
  const failing = Effect.suspend(() => {
    gate.reached = true
    return gate.open ? Effect.succeed("up again") : new Failed({ why: "down" })
  })
  const hour = Schedule.recurs(9).pipe(Schedule.addDelay(() => "1 hour"))
  const stands: { readonly [stage in Stage]: Effect.Effect<unknown, Failed, Saga.Running> } = {
    body: stand,
    step: step(log, "step", stand),
    sleep: Saga.sleep("sleep", "1 hour"),
    signal: Saga.signal("go", { schema: Schema.String }),
    limited: Effect.ignore(Saga.signal("go", { schema: Schema.String, within: "1 hour" })),
    retry: step(log, "retry", failing, { retry: hour }),
    nested: Saga.nested("inner", Effect.zipRight(step(log, "b"), step(log, "c", stand))),
    parallel: Effect.all([step(log, "b"), step(log, "c", stand)], { concurrency: 2 }),
    race: Effect.raceFirst(step(log, "b", stand), step(log, "c", Effect.never)),
    suspended: step(log, "step", failing),
    pivot,
    retriable: Effect.zipRight(pivot, Saga.retriable("r", { success: Schema.String, execute: () => stand })),
    sleepAfterPivot: Effect.zipRight(pivot, Saga.sleep("sleep", "1 hour")),
    stuckAfterPivot: Effect.zipRight(pivot, Saga.retriable("r", { success: Schema.String, execute: () => failing }))
  }
  const live = Stages.toLayer(() =>
    Effect.gen(function*() {
      yield* step(log, "first")
      if (stage === "body") yield* stand
      else yield* stands[stage]
      return "completed"
    })
  )
  // `body` stands before its first activity
  const early = Stages.toLayer(() =>
    Effect.zipRight(stand, Effect.zipRight(step(log, "first"), Effect.succeed("completed")))
  )
  const reached = Effect.zipRight(
    until(Stages, "x", states[stage]),
    ["sleep", "signal", "limited", "sleepAfterPivot"].includes(stage)
      ? pause
      : eventually(Effect.sync(() => gate.reached))
  )
  /** Whatever it waits for comes. */
  const letGo = Effect.gen(function*() {
    gate.open = true
    const engine = yield* SagaEngine.SagaEngine
    if (states[stage] === "needsIntervention") yield* engine.retry({ saga: stage, id: "x" }, operator)
    if (stage === "signal") yield* engine.signal({ saga: stage, id: "x" }, { name: "go", value: "went" })
    yield* pause
    yield* TestClock.adjust("1 hour")
  })
  const undone = () => log.filter((entry) => entry.startsWith("undo"))
  return { Stages, live: stage === "body" ? early : live, gate, log, reached, letGo, undone }
}

describe("cancel", () => {
  for (const stage of stages) {
    if (stage === "pivot") continue
    const refused = afterPivot.includes(stage)
    test(`at ${stage}, ${states[stage]}: ${refused ? "refused, and it goes on" : "all is undone, in reverse order"}`, () => {
      const { Stages, letGo, live, log, reached, undone } = make(stage)
      return Effect.gen(function*() {
        yield* Stages.start({ id: "x" })
        yield* reached
        const answer = yield* Effect.either(Stages.cancel("x", operator))
        if (refused) {
          assert(Either.isLeft(answer) && answer.left._tag === "OperationRefused")
          equal(answer.left.reason, "pastPivot")
          yield* letGo
          equal(yield* Stages.run({ id: "x" }), "completed")
          return equal(undone(), [])
        }
        assert(Either.isRight(answer))
        const ended = yield* Effect.flip(Stages.run({ id: "x" }))
        assert(ended._tag === "SagaCancelled")
        const begun = log.filter((entry) => !entry.startsWith("undo"))
        // each once, and the last that was begun first
        equal(undone().map((entry) => entry.split(" ")[1]), Array.from(new Set(begun)).reverse())
        const status = yield* Stages.status("x")
        equal([status.state, status.reason], ["compensated", "cancelled"])
        const again = yield* Effect.flip(Stages.cancel("x", operator))
        assert(again._tag === "OperationRefused")
        equal(again.reason, "ended")
        equal((yield* Stages.status("x")).acts.length, 1)
      }).pipe(over(live))
    })
  }

  for (const fails of [false, true]) {
    test(`while the pivot is open, which then ${fails ? "fails: it is rolled back" : "succeeds: it comes to nothing"}`, () => {
      const { Stages, gate, live, reached, undone } = make("pivot")
      return Effect.gen(function*() {
        yield* Stages.start({ id: "x" })
        yield* reached
        const run = yield* Effect.fork(Effect.either(Stages.run({ id: "x" })))
        yield* Stages.cancel("x", operator)
        yield* pause
        equal(undone(), [])
        gate.pivotFails = fails
        gate.open = true
        const ended = yield* Fiber.join(run)
        if (!fails) return equal([ended, undone()], [Either.right("completed"), []])
        assert(Either.isLeft(ended) && ended.left._tag === "SagaCancelled")
        equal(undone(), ["undo first Done"])
      }).pipe(over(live))
    })
  }

  test("while it is rolled back, and while a compensation waits for a person: refused", () => {
    const Rolls = define("rolls")
    let up = false
    const live = Rolls.toLayer(() =>
      Effect.zipRight(
        Saga.step("a", {
          success: Schema.Void,
          execute: () => Effect.void,
          compensate: () => Effect.suspend(() => up ? Effect.void : Effect.fail("down")),
          compensateRetry: Schedule.recurs(1).pipe(Schedule.addDelay(() => "1 hour")),
          compensateExhausted: "intervene"
        }),
        new Failed({ why: "its own" })
      )
    )
    const refusal = Effect.map(
      Effect.flip(Rolls.cancel("x", operator)),
      (error) => error._tag === "OperationRefused" ? error.reason : error._tag
    )
    return Effect.gen(function*() {
      yield* Rolls.start({ id: "x" })
      yield* until(Rolls, "x", "compensating")
      yield* eventually(Effect.map(Rolls.status("x"), ({ steps }) => steps[0]?.due !== undefined))
      equal(yield* refusal, "compensating")
      yield* TestClock.adjust("1 hour")
      yield* until(Rolls, "x", "needsIntervention")
      equal(yield* refusal, "compensating")
      up = true
      const engine = yield* SagaEngine.SagaEngine
      yield* engine.retry({ saga: "rolls", id: "x" }, operator)
      const own = yield* Effect.flip(Rolls.run({ id: "x" }))
      assert(own instanceof Failed)
      equal(yield* refusal, "ended")
    }).pipe(over(live))
  })
})

describe("a host that stops", () => {
  for (const stage of stages) {
    for (const how of ["its runtime is disposed", "its program is interrupted"] as const) {
      test(`at ${stage}, ${states[stage]}; ${how}: nothing is undone, and the next host commits`, () => {
        const { Stages, letGo, live, reached, undone } = make(stage)
        return Effect.gen(function*() {
          const store = yield* EventStore
          const host = Layer.provide(SagaEngine.layerOf(live), Layer.succeed(EventStore, store))
          const program = Effect.zipRight(Stages.start({ id: "x" }), reached)
          if (how === "its runtime is disposed") {
            // In the test's time: a runtime of its own would have the real one.
            const services = yield* Effect.context<never>()
            const clock = yield* Effect.clock
            const runtime = ManagedRuntime.make(Layer.provideMerge(host, Layer.setClock(clock)))
            yield* Effect.promise(() => runtime.runPromise(Effect.provide(program, services)))
            yield* Effect.promise(() => runtime.dispose())
          } else {
            const fiber = yield* Effect.fork(Effect.provide(Effect.zipRight(program, Effect.never), host))
            yield* Effect.raceFirst(
              eventually(Effect.map(
                Effect.either(Effect.provide(Stages.status("x"), reader)),
                (status) => Either.isRight(status) && status.right.state === states[stage]
              )),
              Fiber.join(fiber)
            )
            yield* pause
            yield* Fiber.interrupt(fiber)
          }
          equal(undone(), [])
          const exit = yield* Effect.gen(function*() {
            const run = yield* Effect.fork(Effect.exit(Effect.zipRight(
              states[stage] === "needsIntervention"
                ? eventually(Effect.map(Stages.status("x"), ({ acts }) => acts.length > 0))
                : Effect.void,
              Stages.run({ id: "x" })
            )))
            yield* until(Stages, "x", states[stage])
            yield* letGo
            for (let hours = 0; hours < 3; hours++) {
              yield* pause
              yield* TestClock.adjust("1 hour")
            }
            return yield* Fiber.join(run)
          }).pipe(over(live))
          equal(exit, Exit.succeed("completed"))
          // what loses a race is undone in the end, and nothing else
          equal(undone(), stage === "race" ? ["undo c Unknown"] : [])
        })
      })
    }
  }
})

/** An engine that carries nothing through. */
const reader = SagaEngine.layerOf(Layer.empty, { withoutUnregistered: true })
