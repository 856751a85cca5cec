// More of what was decided about sagas, case by case: contracts, contexts, replays of a rollback, two operators, lists.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Schedule, Schema, TestClock } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { layerOf, SagaEngine } from "effect-skald/saga/SagaEngine"
import { InvalidStep } from "effect-skald/saga/SagaError"
import * as Journal from "effect-skald/saga/SagaJournal"
import { EventStore } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, leave, operator, over, pause, step, test, until } from "../support/sagaFeatures.ts"

const undone = (log: ReadonlyArray<string>) => log.filter((entry) => entry.startsWith("undo"))

describe("a contract", () => {
  /** A step of it waits: nobody knows when it will have been driven again. */
  const waits = Schedule.forever.pipe(Schedule.mapEffect(() => Effect.sleep("1 second")))

  it("with a version, a deadline or a Schedule that cannot be is refused, all faults at once", () => {
    const make = () =>
      Saga.make("a/b", {
        version: 0,
        payload: Schema.String,
        success: Schema.Void,
        error: Schema.String,
        idempotencyKey: (id) => id,
        deadline: Duration.infinity,
        retry: waits
      })
    try {
      make()
      assert.fail("it was made")
    } catch (error) {
      const { faults } = error as { readonly faults: ReadonlyArray<{ readonly path: string }> }
      equal(faults.map(({ path }) => path), ["name", "version", "deadline", "retry"])
    }
  })

  test("a step whose Schedule cannot be resumed has no effect: the saga is rolled back before its intent", () => {
    const log: Array<string> = []
    const Moody = define("moody")
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Moody.run({ id: "x" }))
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die")
      assert(exit.cause.defect instanceof InvalidStep)
      equal([exit.cause.defect.step, exit.cause.defect.reason], ["b", "schedule"])
      equal(log, ["a", "undo a Done"])
      equal((yield* Moody.status("x")).steps.map(({ name }) => name), ["a"])
    }).pipe(over(Moody.toLayer(() => Effect.zipRight(step(log, "a"), step(log, "b", undefined, { retry: waits })))))
  })

  test("that nobody registered cannot be started, nor one that nobody started be asked for", () => {
    const Unknown = define("unknown")
    return Effect.gen(function*() {
      equal((yield* Effect.flip(Unknown.start({ id: "x" })))._tag, "SagaNotRegistered")
      equal((yield* Effect.flip(Unknown.status("x")))._tag, "SagaNotFound")
      equal((yield* Effect.flip(Unknown.cancel("x", operator)))._tag, "SagaNotFound")
      equal((yield* Effect.flip(Unknown.result("x")))._tag, "SagaNotFound")
    }).pipe(over(Layer.empty))
  })
})

describe("where a step runs", () => {
  test("ids, keys, attempt and round, in the step and in its compensation", () => {
    const told: Array<unknown> = []
    const Where = define("where", { retry: Schedule.recurs(1) })
    const tell = (what: string) => Effect.map(Saga.context, (where) => void told.push([what, where]))
    const live = Where.toLayer(() =>
      Saga.step("s", {
        success: Schema.String,
        key: "k",
        retry: Schedule.recurs(1),
        execute: () => Effect.zipRight(tell("do"), new Failed({ why: "no" })),
        compensate: () => tell("undo")
      })
    )
    const expected = (what: string, key: string, attempt: number, round: number) => {
      const whole = `where/x/${key}`
      const where = { saga: "where", id: "x", step: key, key: whole, compensationKey: `${whole}/compensation` }
      return [what, { ...where, attempt, round }]
    }
    return Effect.gen(function*() {
      yield* Effect.flip(Where.run({ id: "x" }))
      equal(told, [
        expected("do", "s[k]", 1, 1),
        expected("do", "s[k]", 2, 1),
        expected("undo", "s[k]", 1, 1),
        expected("do", "2#s[k]", 1, 2),
        expected("do", "2#s[k]", 2, 2),
        expected("undo", "2#s[k]", 1, 2)
      ])
    }).pipe(over(live))
  })

  test("a compensation of which nothing is said is tried again by the default, and then a person is asked", () => {
    const at: Array<number> = []
    let count = 0
    const Dies = define("dies")
    const live = Dies.toLayer(() =>
      Effect.zipRight(
        Saga.step("s", {
          success: Schema.Void,
          execute: () => Effect.void,
          compensate: () =>
            Effect.zipRight(
              Effect.map(TestClock.currentTimeMillis, (now) => void at.push(now)),
              Effect.die("a bug")
            )
        }),
        new Failed({ why: "its own" })
      )
    )
    return Effect.gen(function*() {
      const run = yield* Effect.fork(Effect.flip(Dies.run({ id: "x" })))
      for (let seconds = 0; seconds < 20; seconds++) yield* Effect.zipRight(TestClock.adjust("1 second"), pause)
      const needs = yield* Fiber.join(run)
      assert(needs._tag === "NeedsIntervention")
      equal(needs.reason, "compensationFailed")
      // as often as the constant says, which is exported
      const driver = yield* Schedule.driver(Saga.defaultCompensateRetry)
      const recurs = yield* Effect.fork(Effect.ignore(Effect.forever(Effect.tap(driver.next(0), () => count++))))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(recurs)
      equal(at.length, 1 + count)
    }).pipe(over(live))
  })
})

describe("a rollback that another engine goes on with", () => {
  test("begins no step that is not in the journal, whatever its body does by then", () => {
    const log: Array<string> = []
    const gate = { open: false, undo: false }
    const Gated = define("gated")
    const live = Gated.toLayer(() =>
      Effect.gen(function*() {
        yield* step(log, "a", undefined, { undo: eventually(Effect.sync(() => gate.undo)) })
        yield* eventually(Effect.sync(() => (log.push("between"), gate.open)))
        return yield* step(log, "b")
      })
    )
    return Effect.gen(function*() {
      yield* Effect.gen(function*() {
        yield* Gated.start({ id: "x" })
        yield* eventually(Effect.sync(() => log.includes("between")))
        yield* Gated.cancel("x", operator)
        yield* eventually(Effect.sync(() => log.includes("undo a Done")))
      }).pipe(over(live))
      gate.open = true
      gate.undo = true
      const error = yield* Effect.flip(Gated.run({ id: "x" })).pipe(over(live))
      equal([error._tag, log.includes("b"), undone(log).length], ["SagaCancelled", false, 2])
    })
  })

  test("stops where its payload cannot be read any more, and undoes nothing", () => {
    const log: Array<string> = []
    const Before = define("payload")
    const After = Saga.make("payload", {
      version: 1,
      payload: Schema.Struct({ id: Schema.String, amount: Schema.Number }),
      success: Schema.String,
      error: Failed,
      idempotencyKey: ({ id }) => id
    })
    const body = Effect.zipRight(step(log, "a"), Saga.signal("go", { schema: Schema.String }))
    return Effect.gen(function*() {
      yield* leave(Before, Before.toLayer(() => body), "waiting")
      yield* Effect.gen(function*() {
        yield* until(After, "x", "needsIntervention")
        equal((yield* After.status("x")).interventions.map(({ reason }) => reason), ["definitionMismatch"])
      }).pipe(over(After.toLayer(() => body)))
      equal(log, ["a"])
      yield* Effect.gen(function*() {
        const engine = yield* SagaEngine
        yield* engine.retry({ saga: "payload", id: "x" }, operator)
        yield* Before.signal("x", { name: "go", schema: Schema.String, value: "went" })
        equal(yield* Before.run({ id: "x" }), "went")
      }).pipe(over(Before.toLayer(() => body)))
      equal(log, ["a"])
    })
  })
})

describe("a compensation of a nested saga that is stuck", () => {
  test("is still the first to be undone after a cancel, and the parent's own follow when it is skipped", () => {
    const log: Array<string> = []
    const Nests = define("nests")
    const live = Nests.toLayer(() =>
      Effect.gen(function*() {
        yield* step(log, "a")
        const inner = Effect.gen(function*() {
          yield* step(log, "b")
          yield* Saga.step("c", {
            success: Schema.Void,
            execute: () => Effect.void,
            compensate: () => Effect.suspend(() => (log.push("try c"), Effect.fail("down"))),
            compensateRetry: Schedule.recurs(1),
            compensateExhausted: "intervene"
          })
          return yield* new Failed({ why: "inner" })
        })
        yield* Effect.ignore(Saga.nested("inner", inner))
        return yield* step(log, "d")
      })
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      const ref = { saga: "nests", id: "x" }
      yield* Nests.start({ id: "x" })
      yield* until(Nests, "x", "needsIntervention")
      equal(log, ["a", "b", "try c", "try c"])
      yield* Nests.cancel("x", operator)
      yield* until(Nests, "x", "needsIntervention")
      yield* eventually(Effect.map(Nests.status("x"), ({ reason }) => reason === "cancelled"))
      yield* until(Nests, "x", "needsIntervention")
      equal(undone(log), [])
      yield* engine.skip(ref, { step: "inner/c", ...operator })
      equal((yield* Effect.flip(Nests.run({ id: "x" })))._tag, "SagaCancelled")
      equal(undone(log), ["undo b Done", "undo a Done"])
      assert(!log.includes("d"))
    }).pipe(over(live))
  })
})

describe("operators", () => {
  test("two at once from two processes: the first of the journal counts, the other is refused and not journaled", () => {
    const Dies = define("acts")
    let runs = 0
    const live = Dies.toLayer(() =>
      Saga.step("s", {
        success: Schema.String,
        execute: () => Effect.suspend(() => (runs++, Effect.die("a bug"))),
        onDefect: "intervene"
      })
    )
    /** Somebody else's act comes right before ours. */
    const first = Layer.effect(
      EventStore,
      Effect.map(EventStore, (store) => {
        let came = false
        return {
          ...store,
          append: (...[groups, options]: Parameters<typeof store.append>) => {
            const append = store.append(groups, options)
            if (came || !groups[0]!.events.some(({ type }) => type === "SagaOperatorActed")) return append
            came = true
            const theirs = Journal.OperatorActed({
              saga: "acts",
              id: "x",
              act: "resolve",
              by: "bob",
              why: "seen in their books",
              step: "s",
              value: "theirs"
            })
            return Journal.Sagas.append(Journal.idOf("acts", "x"), [theirs]).pipe(
              Effect.provideService(EventStore, store),
              Effect.orDie,
              Effect.zipRight(append)
            )
          }
        }
      })
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      yield* Dies.start({ id: "x" })
      yield* until(Dies, "x", "needsIntervention")
      const ours = yield* Effect.flip(engine.retry({ saga: "acts", id: "x" }, { step: "s", ...operator }))
      assert(ours._tag === "OperationRefused")
      equal([yield* Dies.run({ id: "x" }), runs], ["theirs", 1])
      equal((yield* Dies.status("x")).acts.map(({ act, by }) => [act, by]), [["resolve", "bob"]])
    }).pipe(Effect.provide(Layer.provide(layerOf(live), first)))
  })

  test("a suspended saga's failed step is settled with a value, and not run again", () => {
    const log: Array<string> = []
    const Suspends = define("suspends", { onFailure: "suspend" })
    const live = Suspends.toLayer(() =>
      Effect.zipWith(step(log, "a"), step(log, "b", new Failed({ why: "down" })), (a, b) => `${a}, ${b}`)
    )
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      yield* Suspends.start({ id: "x" })
      yield* until(Suspends, "x", "needsIntervention")
      yield* engine.resolve({ saga: "suspends", id: "x" }, { step: "b", value: "by hand", ...operator })
      equal([yield* Suspends.run({ id: "x" }), log], ["a, by hand", ["a", "b"]])
    }).pipe(over(live))
  })
})

describe("lists", () => {
  test("of those that have ended show those that are old enough, however many are younger", () => {
    const Ends = define("ends")
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      const ids = (options: Parameters<typeof engine.list>[0]) =>
        Effect.map(engine.list({ states: ["completed"], ...options }), (all) => all.map(({ id }) => id))
      const runs = (ids: ReadonlyArray<string>) =>
        Effect.forEach(ids, (id) => Effect.zipRight(Ends.run({ id }), TestClock.adjust("1 minute")))
      yield* runs(["old-1", "old-2"])
      yield* TestClock.adjust("2 days")
      yield* runs(["new-1", "new-2", "new-3"])
      equal(yield* ids({ olderThan: "1 day", limit: 2 }), ["old-1", "old-2"])
      equal(yield* ids({ olderThan: "1 day", limit: 1 }), ["old-2"])
      equal(yield* ids({ limit: 2 }), ["new-2", "new-3"])
      equal(yield* ids({ olderThan: "3 days" }), [])
      equal((yield* engine.statistics)["ends"]?.completed, 5)
    }).pipe(over(Ends.toLayer(() => Effect.succeed("done"))))
  })
})
