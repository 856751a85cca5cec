/** Time limits of steps and sagas: whatever a saga does when its deadline passes, and over restarts. */
import { assert, describe } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schedule, Schema, TestClock } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { SagaEngine } from "effect-skald/saga/SagaEngine"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, leave, operator, over, pause, step, test, until } from "../support/sagaFeatures.ts"

const undone = (log: ReadonlyArray<string>) => log.filter((entry) => entry.startsWith("undo"))

describe("a step's time limit", () => {
  const slow = (keys: Array<string>, log: Array<string>, times: number) =>
    Saga.step("slow", {
      success: Schema.String,
      timeout: "1 minute",
      retry: Schedule.spaced("1 hour").pipe(Schedule.intersect(Schedule.recurs(2))),
      execute: (key) => Effect.suspend(() => keys.push(key) <= times ? Effect.never : Effect.succeed("at last")),
      compensate: (outcome, key) => Effect.sync(() => void log.push(`undo ${outcome._tag} ${key}`))
    })
  const passes = (minutes: number) =>
    Effect.zipRight(pause, Effect.zipRight(TestClock.adjust(Duration.minutes(minutes)), pause))

  test("ends the attempt, which is tried again with its key, by its Schedule, over a restart", () => {
    const [keys, log]: [Array<string>, Array<string>] = [[], []]
    const Slow = define("slow")
    const live = Slow.toLayer(() => slow(keys, log, 2))
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        yield* Slow.start({ id: "x" })
        yield* eventually(Effect.sync(() => keys.length === 1))
        yield* passes(1)
        yield* until(Slow, "x", "waiting")
      }).pipe(over(live))
      equal(keys.length, 1)
      yield* Effect.gen(function*() {
        const run = yield* Effect.fork(Slow.run({ id: "x" }))
        yield* passes(60)
        equal(keys.length, 2)
        yield* passes(1)
        yield* passes(60)
        equal(yield* Fiber.join(run), "at last")
      }).pipe(over(live))
      equal([new Set(keys), log], [new Set(["slow/x/slow"]), []])
    })
  })

  test("used up: the saga is rolled back, and the step undone, as nobody knows what it did", () => {
    const [keys, log]: [Array<string>, Array<string>] = [[], []]
    const Slow = define("slower")
    return Effect.gen(function*() {
      const run = yield* Effect.fork(Effect.exit(Slow.run({ id: "x" })))
      yield* eventually(Effect.sync(() => keys.length === 1))
      for (const minutes of [1, 60, 1, 60, 1]) yield* passes(minutes)
      const exit = yield* Fiber.join(run)
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die")
      equal((exit.cause.defect as { readonly _tag: string })._tag, "StepTimedOut")
      equal([keys.length, log], [3, ["undo Unknown slower/x/slow"]])
      const { failure, steps } = yield* Slow.status("x")
      equal([failure?.kind, steps[0]?.attempts, steps[0]?.failure?.kind], ["timeout", 3, "timeout"])
    }).pipe(over(Slow.toLayer(() => slow(keys, log, 9))))
  })
})

describe("a saga's deadline that passes", () => {
  const hour = TestClock.adjust("1 hour")
  const limit = { deadline: "1 hour" } as const
  /** A step that is undone once somebody lets it. */
  const held = (log: Array<string>, gate: { open: boolean }) =>
    step(log, "held", Effect.succeed("held"), { undo: eventually(Effect.sync(() => gate.open)) })

  test("while a step is stuck, or the saga suspended: all is undone, and nobody is needed any more", () => {
    const log: Array<string> = []
    const Stuck = define("stuck", { ...limit, onFailure: "suspend" })
    const live = Stuck.toLayer(({ id }) =>
      Effect.zipRight(
        step(log, id),
        id === "suspended"
          ? new Failed({ why: "down" })
          : Saga.step("dies", { success: Schema.String, execute: () => Effect.die("a bug"), onDefect: "intervene" })
      )
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      for (const id of ["suspended", "dying"]) {
        yield* Stuck.start({ id })
        yield* until(Stuck, id, "needsIntervention")
      }
      yield* hour
      for (const id of ["suspended", "dying"]) yield* until(Stuck, id, "timedOut")
      equal(undone(log).toSorted(), ["undo dying Done", "undo suspended Done"])
      equal(yield* engine.list(), [])
      equal((yield* Effect.flip(Stuck.run({ id: "dying" })))._tag, "SagaTimedOut")
    }).pipe(over(live))
  })

  test("while it waits for its next round: it ends timed out, and there is no other", () => {
    const log: Array<string> = []
    const Rounds = define("rounds", { ...limit, retry: Schedule.spaced("3 hours") })
    return Effect.gen(function*() {
      yield* Rounds.start({ id: "x" })
      yield* eventually(Effect.map(Rounds.status("x"), ({ round }) => round === 2))
      yield* hour
      equal((yield* Effect.flip(Rounds.run({ id: "x" })))._tag, "SagaTimedOut")
      yield* TestClock.adjust("5 hours")
      equal(log, ["a", "undo a Done"])
    }).pipe(over(Rounds.toLayer(() => Effect.zipRight(step(log, "a"), new Failed({ why: "no" })))))
  })

  test("while it compensates, also over a restart: it keeps its own error and reason, and is not tried again", () => {
    const log: Array<string> = []
    const gate = { open: false }
    const Fails = define("fails", { ...limit, retry: Schedule.recurs(3) })
    const live = Fails.toLayer(() => Effect.zipRight(held(log, gate), new Failed({ why: "its own" })))
    return Effect.gen(function*() {
      yield* Effect.zipRight(Fails.start({ id: "x" }), eventually(Effect.sync(() => log.length === 2))).pipe(over(live))
      yield* hour
      yield* Effect.gen(function*() {
        yield* eventually(Effect.sync(() => log.length === 3))
        gate.open = true
        const error = yield* Effect.flip(Fails.run({ id: "x" }))
        assert(error instanceof Failed)
        const { reason, round, state } = yield* Fails.status("x")
        equal([state, reason, round], ["compensated", "failed", 1])
      }).pipe(over(live))
      equal(log, ["held", "undo held Done", "undo held Done"])
    })
  })

  for (const fails of [false, true]) {
    test(`while the pivot is open, which then ${fails ? "fails: timed out" : "succeeds: it commits, and is late"}`, () => {
      const log: Array<string> = []
      const gate = { begun: 0, open: false }
      const Pays = define("pays", limit)
      const live = Pays.toLayer(() =>
        Effect.zipRight(
          step(log, "a"),
          Saga.pivot("pay", {
            success: Schema.String,
            execute: () =>
              Effect.suspend(() => {
                gate.begun++
                return Effect.zipRight(
                  eventually(Effect.sync(() => gate.open)),
                  Effect.suspend(() => fails ? new Failed({ why: "refused" }) : Effect.succeed("paid"))
                )
              })
          })
        )
      )
      return Effect.gen(function*() {
        // the deadline passes while no engine is there
        yield* Effect.zipRight(Pays.start({ id: "x" }), eventually(Effect.sync(() => gate.begun === 1))).pipe(
          over(live)
        )
        yield* hour
        yield* Effect.gen(function*() {
          yield* eventually(Effect.sync(() => gate.begun === 2))
          const run = yield* Effect.fork(Effect.either(Pays.run({ id: "x" })))
          yield* pause
          equal([undone(log), (yield* Pays.status("x")).state], [[], "running"])
          gate.open = true
          const ended = yield* Fiber.join(run)
          const { late, state } = yield* Pays.status("x")
          equal(
            [ended._tag === "Left" ? ended.left._tag : ended.right, state, undone(log)],
            fails ? ["SagaTimedOut", "timedOut", ["undo a Done"]] : ["paid", "completed", []]
          )
          if (!fails) equal(late, true)
        }).pipe(over(live))
      })
    })
  }

  test("while no engine is there: the next one rolls back before anything else is begun", () => {
    const log: Array<string> = []
    const Waits = define("waits", limit)
    const live = Waits.toLayer(() =>
      Effect.zipRight(step(log, "a"), Effect.zipRight(Saga.sleep("nap", "30 minutes"), step(log, "b")))
    )
    return Effect.gen(function*() {
      yield* leave(Waits, live, "waiting")
      yield* hour
      const error = yield* Effect.flip(Waits.run({ id: "x" })).pipe(over(live))
      equal([error._tag, log], ["SagaTimedOut", ["a", "undo a Done"]])
    })
  })

  test("while it waits for a person after its pivot: it needs him still, and is late", () => {
    const log: Array<string> = []
    const gate = { up: false }
    const After = define("after", limit)
    const live = After.toLayer(() =>
      Effect.gen(function*() {
        yield* step(log, "a")
        yield* Saga.pivot("p", { success: Schema.Void, execute: () => Effect.void })
        return yield* Saga.retriable("r", {
          success: Schema.String,
          execute: () => Effect.suspend(() => gate.up ? Effect.succeed("done") : new Failed({ why: "down" }))
        })
      })
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      yield* After.start({ id: "x" })
      yield* until(After, "x", "needsIntervention")
      yield* hour
      yield* eventually(Effect.map(After.status("x"), ({ late }) => late))
      equal((yield* After.status("x")).state, "needsIntervention")
      gate.up = true
      yield* engine.retry({ saga: "after", id: "x" }, operator)
      equal([yield* After.run({ id: "x" }), log], ["done", ["a"]])
    }).pipe(over(live))
  })
})
