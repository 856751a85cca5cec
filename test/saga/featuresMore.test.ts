/** Streams and metrics, results, loops, rounds, waits of hours, what is nested and parallel, signals, and changed definitions. */
import { assert, describe } from "@effect/vitest"
import {
  Deferred,
  Effect,
  Either,
  Exit,
  Fiber,
  Layer,
  Metric,
  type MetricState,
  Option,
  Schedule,
  Schema,
  Stream,
  TestClock
} from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { layerOf, SagaEngine } from "effect-skald/saga/SagaEngine"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, leave, operator, over, pause, step, test, until } from "../support/sagaFeatures.ts"

describe("streams", () => {
  test("changes of state as they come, those who need a person, and the metric of an alert", () => {
    const log: Array<string> = []
    const Told = define("told", { onFailure: "suspend" })
    const live = Told.toLayer(({ id }) =>
      Effect.zipRight(
        step(log, "a", id === "stuck" ? new Failed({ why: "down" }) : Effect.succeed("a")),
        Saga.signal("go", { schema: Schema.String })
      )
    )
    const alarms = Effect.map(Metric.snapshot, (all) => {
      const found = all.find(({ metricKey: { name, tags } }) =>
        name === "skald.saga.interventions" &&
        ["told", "suspended"].every((value) => tags.some((tag) => tag.value === value))
      )
      return found === undefined ? 0 : (found.metricState as MetricState.MetricState.Counter<number>).count
    })
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      const seen: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(engine.changes, (change) => Effect.sync(() => void seen.push(`${change.id} ${change.state}`)))
      )
      const first = yield* Effect.forkScoped(Stream.runHead(engine.interventions))
      yield* pause
      const before = yield* alarms
      yield* Told.start({ id: "goes" })
      yield* until(Told, "goes", "waiting")
      yield* Told.signal("goes", { name: "go", schema: Schema.String, value: "went" })
      equal(yield* Told.run({ id: "goes" }), "went")
      equal((yield* Effect.flip(Told.run({ id: "stuck" })))._tag, "NeedsIntervention")
      const alert = yield* Fiber.join(first)
      assert(Option.isSome(alert))
      const { id, interventions, saga, state } = alert.value
      equal([saga, id, state], ["told", "stuck", "needsIntervention"])
      equal(interventions.map(({ failure, reason }) => [reason, failure?.tag]), [["suspended", "Failed"]])
      equal(yield* alarms, before + 1)
      yield* eventually(Effect.sync(() => seen.includes("stuck needsIntervention")))
      const goes = seen.filter((change) => change.startsWith("goes"))
      equal([goes[0], goes.includes("goes waiting"), goes.at(-1)], ["goes started", true, "goes completed"])
    }).pipe(over(live))
  })
})

describe("results", () => {
  test("match tells how a run ended", () => {
    const log: Array<string> = []
    const Ends = define("ends", { deadline: "1 hour" })
    const live = Ends.toLayer(({ id }) =>
      id === "completed"
        ? Effect.succeed("value")
        : id === "failed"
        ? new Failed({ why: "no" })
        : id === "stuck"
        ? Saga.step("s", { success: Schema.String, execute: () => Effect.die("bug"), onDefect: "intervene" })
        : Effect.zipRight(step(log, id), Saga.signal("never", { schema: Schema.String }))
    )
    const told = (id: string) =>
      Saga.match(Ends.run({ id }), {
        onCompleted: (value) => `completed ${value}`,
        onFailed: (error) => `failed ${error._tag === "Failed" ? error.why : error._tag}`,
        onCancelled: ({ by, why }) => `cancelled by ${by}: ${why}`,
        onTimedOut: ({ id }) => `timed out ${id}`,
        onUnfinished: (unfinished) => `unfinished ${unfinished._tag}`
      })
    return Effect.gen(function*() {
      equal(yield* told("completed"), "completed value")
      equal(yield* told("failed"), "failed no")
      equal(yield* told("stuck"), "unfinished NeedsIntervention")
      const [cancelled, late] = [yield* Effect.fork(told("cancelled")), yield* Effect.fork(told("late"))]
      yield* until(Ends, "cancelled", "waiting")
      yield* until(Ends, "late", "waiting")
      yield* Ends.cancel("cancelled", operator)
      equal(yield* Fiber.join(cancelled), "cancelled by ann: told so")
      yield* TestClock.adjust("1 hour")
      equal(yield* Fiber.join(late), "timed out late")
    }).pipe(over(live))
  })

  test("what has ended keeps no timer for its deadline", () => {
    const Short = define("short", { deadline: "30 days" })
    const sleeping = new Set<number>()
    return Effect.gen(function*() {
      const clock = yield* Effect.clock
      let number = 0
      const watched: typeof clock = Object.create(clock, {
        sleep: {
          value: () => {
            const own = number++
            sleeping.add(own)
            return Effect.onInterrupt(Effect.never, () => Effect.sync(() => sleeping.delete(own)))
          }
        }
      })
      const engine = Layer.provide(
        layerOf(Short.toLayer(() => Saga.signal("go", { schema: Schema.String }))),
        Layer.setClock(watched)
      )
      yield* Effect.gen(function*() {
        const run = yield* Effect.fork(Short.run({ id: "x" }))
        yield* until(Short, "x", "waiting")
        const before = sleeping.size
        yield* Short.signal("x", { name: "go", schema: Schema.String, value: "done" })
        equal(yield* Fiber.join(run), "done")
        yield* eventually(Effect.sync(() => sleeping.size < before))
      }).pipe(Effect.provide(engine))
    })
  })
})

describe("loops", () => {
  test("each turn has its key, before and after a restart", () => {
    const log: Array<string> = []
    const keys: Array<string> = []
    const Loops = define("loops")
    const live = Loops.toLayer(() =>
      Effect.gen(function*() {
        for (const turn of ["1", "a/b", "]"]) {
          yield* Saga.step("turn", {
            success: Schema.Void,
            key: turn,
            execute: (key) => Effect.sync(() => void keys.push(key)),
            compensate: () => Effect.sync(() => void log.push(`undo ${turn}`))
          })
          yield* Saga.sleep("rest", "1 hour", { key: turn })
        }
        return yield* new Failed({ why: "in the end" })
      })
    )
    return Effect.gen(function*() {
      yield* leave(Loops, live, "waiting")
      yield* TestClock.adjust("1 hour")
      yield* Effect.gen(function*() {
        const run = yield* Effect.fork(Effect.flip(Loops.run({ id: "x" })))
        for (let turn = 1; turn < 3; turn++) {
          yield* eventually(Effect.sync(() => keys.length === turn + 1))
          yield* pause
          yield* TestClock.adjust("1 hour")
        }
        equal((yield* Fiber.join(run))._tag, "Failed")
      }).pipe(over(live))
      equal(new Set(keys).size, 3)
      equal(log, ["undo ]", "undo a/b", "undo 1"])
    })
  })
})

describe("rounds", () => {
  test("wait for hours, over restarts, and end with the saga's own error once their Schedule has", () => {
    const log: Array<string> = []
    const Rounds = define("rounds", { retry: Schedule.spaced("3 hours").pipe(Schedule.intersect(Schedule.recurs(2))) })
    const live = Rounds.toLayer(() => Effect.zipRight(step(log, "a"), new Failed({ why: `${log.length}` })))
    const rounds = (count: number) =>
      eventually(Effect.map(Rounds.status("x"), ({ round, state }) => round === count && state === "waiting"))
    return Effect.gen(function*() {
      yield* Effect.zipRight(Rounds.start({ id: "x" }), rounds(2)).pipe(over(live))
      equal(log, ["a", "undo a Done"])
      yield* TestClock.adjust("2 hours")
      yield* Effect.zipRight(rounds(2), pause).pipe(over(live))
      equal(log.length, 2)
      yield* TestClock.adjust("1 hour")
      yield* rounds(3).pipe(over(live))
      equal(log.length, 4)
      yield* TestClock.adjust("3 hours")
      const error = yield* Effect.flip(Rounds.run({ id: "x" })).pipe(over(live))
      assert(error instanceof Failed && error.why === "4")
      equal(log, ["a", "undo a Done", "a", "undo a Done", "a", "undo a Done"])
    })
  })
})

describe("compensations that wait for hours", () => {
  test("are tried when they are due, whichever engine is there then, as often as their Schedule says", () => {
    const tries: Array<number> = []
    const Waits = define("waits")
    const live = Waits.toLayer(() =>
      Effect.zipRight(
        Saga.step("a", {
          success: Schema.Void,
          execute: () => Effect.void,
          compensate: () =>
            Effect.zipRight(
              Effect.flatMap(TestClock.currentTimeMillis, (at) => Effect.sync(() => void tries.push(at / 3_600_000))),
              tries.length < 4 ? Effect.fail("down") : Effect.void
            ),
          compensateRetry: Schedule.spaced("6 hours").pipe(Schedule.intersect(Schedule.recurs(9))),
          compensateExhausted: "intervene"
        }),
        new Failed({ why: "its own" })
      )
    )
    return Effect.gen(function*() {
      yield* TestClock.setTime(0)
      yield* leave(Waits, live, "compensating")
      // an engine for each two hours of a day and a half
      for (let hours = 2; hours <= 36; hours += 2) {
        yield* TestClock.adjust("2 hours")
        yield* Effect.zipRight(pause, Waits.status("x")).pipe(over(live))
      }
      equal(tries, [0, 6, 12, 18, 24])
      const own = yield* Effect.flip(Waits.run({ id: "x" })).pipe(over(live))
      assert(own instanceof Failed)
    })
  })
})

describe("what stands side by side, and within", () => {
  test("a nested saga that completed is undone with its parent, in reverse order", () => {
    const log: Array<string> = []
    const Parent = define("parent")
    const live = Parent.toLayer(() =>
      Effect.gen(function*() {
        yield* step(log, "a")
        yield* Saga.nested("inner", Effect.zipRight(step(log, "b"), Saga.nested("deep", step(log, "c"))))
        yield* step(log, "d")
        return yield* new Failed({ why: "after all" })
      })
    )
    return Effect.gen(function*() {
      equal((yield* Effect.flip(Parent.run({ id: "x" })))._tag, "Failed")
      equal(log.slice(4), ["undo d Done", "undo c Done", "undo b Done", "undo a Done"])
      equal((yield* Parent.status("x")).steps.map(({ step }) => step), ["a", "inner/b", "inner/deep/c", "d"])
    }).pipe(over(live))
  })

  test("when one of parallel steps fails its siblings are stopped, awaited, and undone; none is tried again", () => {
    const log: Array<string> = []
    const Parallel = define("parallel")
    const live = Parallel.toLayer(() =>
      Effect.gen(function*() {
        const stopped = yield* Deferred.make<void>()
        const slow = Effect.onInterrupt(Effect.never, () =>
          Effect.zipRight(pause, Effect.sync(() => void log.push("slow has stopped"))))
        yield* Effect.all([
          step(log, "slow", slow),
          step(log, "retries", new Failed({ why: "again" }), { retry: Schedule.spaced("1 hour") }),
          step(log, "fails", Effect.zipRight(pause, new Failed({ why: "the first" })))
        ], { concurrency: "unbounded" })
        yield* Deferred.await(stopped)
        return "never"
      })
    )
    return Effect.gen(function*() {
      const error = yield* Effect.flip(Parallel.run({ id: "x" }))
      assert(error instanceof Failed && error.why === "the first")
      const end = log.indexOf("slow has stopped")
      assert(end > 0 && log.slice(0, end).every((entry) => !entry.startsWith("undo")))
      equal(log.slice(end + 1), ["undo fails Unknown", "undo retries Unknown", "undo slow Unknown"])
      yield* TestClock.adjust("5 hours")
      yield* pause
      equal(log.filter((entry) => entry === "retries").length, 1)
      equal((yield* Parallel.status("x")).steps.map(({ name, state }) => [name, state]).sort(), [
        ["fails", "failed"],
        ["retries", "lost"],
        ["slow", "lost"]
      ])
    }).pipe(over(live))
  })
})

describe("signals", () => {
  for (const [when, offset] of [["just before", 3_599_999], ["at", 3_600_000], ["after", 3_600_001]] as const) {
    test(`${when} the limit: ${offset < 3_600_000 ? "it is heard" : "it is late"}`, () => {
      const Limited = define("limited")
      const live = Limited.toLayer(() =>
        Saga.signal("go", { schema: Schema.String, within: "1 hour" }).pipe(
          Effect.catchTag("SignalTimedOut", () => Effect.succeed("too late")),
          Effect.zipLeft(Saga.sleep("rest", "1 hour"))
        )
      )
      return Effect.gen(function*() {
        yield* Limited.start({ id: "x" })
        yield* until(Limited, "x", "waiting")
        yield* TestClock.adjust(offset)
        yield* pause
        const told = yield* Limited.signal("x", { name: "go", schema: Schema.String, value: "heard" })
        yield* pause
        yield* TestClock.adjust("2 hours")
        const [answer, result] = offset < 3_600_000 ? ["accepted", "heard"] : ["late", "too late"]
        equal([told, yield* Limited.run({ id: "x" })], [answer, result])
      }).pipe(over(live))
    })
  }

  test("a hundred at once: one is accepted, and its value is the one; each key has its own", () => {
    const Keyed = define("keyed")
    const live = Keyed.toLayer(() =>
      Effect.map(
        Effect.all(["a", "b"].map((key) => Saga.signal("go", { key, schema: Schema.Number }))),
        (values) => values.join()
      )
    )
    return Effect.gen(function*() {
      yield* Keyed.start({ id: "x" })
      const told = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, value) => value),
        (value) => Keyed.signal("x", { name: "go", key: "a", schema: Schema.Number, value }),
        { concurrency: "unbounded" }
      )
      equal(told.filter((answer) => answer === "accepted").length, 1)
      yield* Keyed.signal("x", { name: "go", key: "b", schema: Schema.Number, value: 7 })
      equal(yield* Keyed.run({ id: "x" }), `${told.indexOf("accepted")},7`)
    }).pipe(over(live))
  })
})

describe("a definition that changed while a saga was in flight", () => {
  const log: Array<string> = []
  const go = Saga.signal("go", { schema: Schema.String })
  const before = Effect.gen(function*() {
    yield* step(log, "a")
    yield* Saga.sleep("rest", 0)
    yield* Saga.nested("inner", step(log, "b"))
    yield* Effect.all([step(log, "c"), step(log, "d")], { concurrency: 2 })
    return yield* go
  })
  const changed: { readonly [how: string]: Effect.Effect<string, Failed, Saga.Running> } = {
    "a step became a pivot": Effect.zipRight(
      Saga.pivot("a", { success: Schema.String, execute: () => Effect.succeed("a") }),
      go
    ),
    "a result has another Schema": Effect.zipRight(
      Saga.step("a", { success: Schema.Number, execute: () => Effect.succeed(1), compensate: () => Effect.void }),
      go
    ),
    "a sleep is gone": Effect.zipRight(step(log, "a"), Effect.zipRight(Saga.nested("inner", step(log, "b")), go)),
    "what was nested has another name": Effect.zipRight(
      Effect.zipRight(step(log, "a"), Saga.sleep("rest", 0)),
      Effect.zipRight(Saga.nested("outer", step(log, "b")), go)
    ),
    "a branch is gone": Effect.zipRight(
      Effect.zipRight(step(log, "a"), Saga.sleep("rest", 0)),
      Effect.zipRight(Saga.nested("inner", step(log, "b")), Effect.zipRight(step(log, "c"), go))
    ),
    "it ends before it should": step(log, "a"),
    "it fails before it should": Effect.zipRight(step(log, "a"), new Failed({ why: "now" }))
  }
  for (const [how, body] of Object.entries(changed)) {
    test(`${how}: that saga stops and says so, and nothing is undone`, () => {
      const Changes = define("changes")
      return Effect.gen(function*() {
        log.length = 0
        yield* leave(Changes, Changes.toLayer(() => before), "waiting")
        const ran = log.slice().sort()
        const needs = yield* Effect.zipRight(
          until(Changes, "x", "needsIntervention"),
          Effect.either(Changes.run({ id: "x" }))
        ).pipe(over(Changes.toLayer(() => body), { patience: "1 millis" }), advancing)
        assert(Either.isLeft(needs) && needs.left._tag === "NeedsIntervention")
        equal(needs.left.reason, "definitionMismatch")
        equal(log.slice().sort(), ran)
        // with the right definition back it goes on
        const exit = yield* Effect.gen(function*() {
          const engine = yield* SagaEngine
          yield* engine.retry({ saga: "changes", id: "x" }, operator)
          yield* Changes.signal("x", { name: "go", schema: Schema.String, value: "went" })
          return yield* Effect.exit(Changes.run({ id: "x" }))
        }).pipe(over(Changes.toLayer(() => before)))
        equal(exit, Exit.succeed("went"))
        equal(log.slice().sort(), ran)
      })
    })
  }
})

/** Time goes on meanwhile: an engine waits a while for what a body may yet ask for. */
const advancing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, Effect.forever(Effect.zipRight(pause, TestClock.adjust("1 second"))))
