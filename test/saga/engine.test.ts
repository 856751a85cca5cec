/** What an engine does with sagas, beside carrying them through: operators, signals, stops, versions, lists. */
import { assert, describe } from "@effect/vitest"
import { Effect, Either, Exit, Fiber, Layer, Schedule, Schema, TestClock, TestServices } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import { equal } from "../support/assert.ts"
import { define, Failed, operator, step, test, until } from "../support/sagaFeatures.ts"

const engine = <E>(sagas: Layer.Layer<never, E, SagaEngine.SagaEngine>) => SagaEngine.layerOf(sagas)

describe("engine", () => {
  test("an id that is started a hundred times at once runs once; another payload is refused", () => {
    const log: Array<string> = []
    const Once = Saga.make("once", {
      version: 1,
      payload: Schema.Struct({ id: Schema.String, n: Schema.Number }),
      success: Schema.String,
      error: Failed,
      idempotencyKey: ({ id }) => id
    })
    return Effect.gen(function*() {
      const results = yield* Effect.all(Array.from({ length: 100 }, () => Once.run({ id: "a", n: 1 })), {
        concurrency: "unbounded"
      })
      equal(new Set(results), new Set(["one"]))
      equal(log, ["one"])
      equal((yield* Effect.flip(Once.start({ id: "a", n: 2 })))._tag, "PayloadDiffers")
    }).pipe(Effect.provide(engine(Once.toLayer(() => step(log, "one")))))
  })

  test("a stop of the engine runs no compensation, and the next engine commits", () => {
    const log: Array<string> = []
    const Stops = define("stops")
    const live = Stops.toLayer(() =>
      Effect.zipRight(step(log, "a"), Effect.zipRight(Saga.sleep("nap", "1 hour"), step(log, "b")))
    )
    return Effect.gen(function*() {
      yield* Effect.zipRight(Stops.start({ id: "x" }), until(Stops, "x", "waiting")).pipe(Effect.provide(engine(live)))
      equal(log, ["a"])
      yield* TestClock.adjust("2 hours")
      equal(yield* Stops.run({ id: "x" }).pipe(Effect.provide(engine(live))), "b")
      equal(log, ["a", "b"])
    })
  })

  test("a stop in the midst of a step or of a compensation leaves it to the next engine", () => {
    const log: Array<string> = []
    const open = { b: false, undo: false }
    const Mid = define("mid")
    const blocked = (name: "b" | "undo") => Effect.suspend(() => open[name] ? Effect.succeed(name) : Effect.never)
    const live = Mid.toLayer(() =>
      Effect.gen(function*() {
        yield* Saga.step("a", {
          success: Schema.String,
          execute: () => Effect.succeed("a"),
          compensate: () => Effect.asVoid(Effect.zipRight(Effect.sync(() => log.push("undo a")), blocked("undo")))
        })
        yield* step(log, "b", blocked("b"))
        return yield* new Failed({ why: "always" })
      })
    )
    const begun = (entry: string) =>
      Effect.repeat(TestServices.provideLive(Effect.sleep("1 millis")), { until: () => log.includes(entry) })
    return Effect.gen(function*() {
      yield* Effect.zipRight(Mid.start({ id: "x" }), begun("b")).pipe(Effect.provide(engine(live)))
      equal(log, ["b"])
      open.b = true
      yield* begun("undo a").pipe(Effect.provide(engine(live)))
      equal(log, ["b", "b", "undo b Done", "undo a"])
      open.undo = true
      equal((yield* Effect.flip(Mid.run({ id: "x" }).pipe(Effect.provide(engine(live)))))._tag, "Failed")
      equal(log, ["b", "b", "undo b Done", "undo a", "undo a"])
    })
  })

  test("cancel: before the pivot all is undone, after it is refused, and so is a second time", () => {
    const log: Array<string> = []
    const Cancels = define("cancels")
    const live = Cancels.toLayer(({ id }) =>
      Effect.gen(function*() {
        yield* step(log, `a`)
        if (id === "after") yield* Saga.pivot("p", { success: Schema.Void, execute: () => Effect.void })
        yield* Saga.signal("go", { schema: Schema.Void })
        return "went"
      })
    )
    return Effect.gen(function*() {
      const run = yield* Effect.fork(Effect.either(Cancels.run({ id: "before" })))
      yield* until(Cancels, "before", "waiting")
      yield* Cancels.cancel("before", operator)
      const failure = yield* Fiber.join(run)
      assert(Either.isLeft(failure) && failure.left._tag === "SagaCancelled")
      equal([failure.left.by, failure.left.why], ["ann", "told so"])
      equal(log, ["a", "undo a Done"])
      const status = yield* Cancels.status("before")
      equal([status.state, status.reason], ["compensated", "cancelled"])
      equal((yield* Effect.flip(Cancels.cancel("before", operator)))._tag, "OperationRefused")
      yield* Cancels.start({ id: "after" })
      yield* until(Cancels, "after", "waiting")
      const refused = yield* Effect.flip(Cancels.cancel("after", operator))
      assert(refused._tag === "OperationRefused" && refused.reason === "pastPivot")
      equal(yield* Cancels.signal("after", { name: "go", schema: Schema.Void, value: undefined }), "accepted")
      equal(yield* Cancels.run({ id: "after" }), "went")
    }).pipe(Effect.provide(engine(live)))
  })

  test("signals: before the wait, twice, at the limit, after the end", () => {
    const Asks = define("asks")
    const live = Asks.toLayer(() =>
      Effect.gen(function*() {
        const first = yield* Saga.signal("first", { schema: Schema.NumberFromString })
        const second = yield* Saga.signal("second", { schema: Schema.String, within: "1 minute" }).pipe(
          Effect.catchTag("SignalTimedOut", () => Effect.succeed("too late"))
        )
        yield* Saga.signal("third", { schema: Schema.String })
        return `${first + 1} ${second}`
      })
    )
    const tell = <A, I>(name: string, schema: Schema.Schema<A, I>, value: NoInfer<A>) =>
      Asks.signal("x", { name, schema, value })
    return Effect.gen(function*() {
      equal((yield* Effect.flip(tell("first", Schema.NumberFromString, 1)))._tag, "SagaNotFound")
      yield* Asks.start({ id: "x" })
      equal(yield* tell("third", Schema.String, "early"), "accepted")
      equal(yield* tell("first", Schema.NumberFromString, 41), "accepted")
      equal(yield* tell("first", Schema.NumberFromString, 99), "duplicate")
      yield* until(Asks, "x", "waiting")
      yield* TestClock.adjust("1 minute")
      equal(yield* Asks.run({ id: "x" }), "42 too late")
      equal(yield* tell("second", Schema.String, "now"), "late")
    }).pipe(Effect.provide(engine(live)))
  })

  test("a compensation that always fails: six runs, then a person; skipped, the saga ends with its own error", () => {
    let runs = 0
    const log: Array<string> = []
    const Stuck = define("stuck")
    const live = Stuck.toLayer(() =>
      Effect.gen(function*() {
        yield* step(log, "first")
        yield* Saga.step("second", {
          success: Schema.Void,
          execute: () => Effect.void,
          compensate: () => Effect.zipRight(Effect.sync(() => void runs++), Effect.fail("down")),
          compensateRetry: Schedule.spaced("2 hours").pipe(Schedule.intersect(Schedule.recurs(5))),
          compensateExhausted: "intervene"
        })
        return yield* new Failed({ why: "its own" })
      })
    )
    return Effect.gen(function*() {
      // Its retries wait for hours, over restarts.
      yield* Effect.zipRight(Stuck.start({ id: "x" }), until(Stuck, "x", "compensating")).pipe(
        Effect.provide(engine(live))
      )
      yield* Effect.gen(function*() {
        const run = yield* Effect.fork(Effect.flip(Stuck.run({ id: "x" })))
        for (let count = 0; count < 6; count++) {
          yield* TestClock.adjust("2 hours")
          yield* TestServices.provideLive(Effect.sleep("5 millis"))
        }
        const needs = yield* Fiber.join(run)
        assert(needs._tag === "NeedsIntervention")
        equal([needs.reason, needs.step, needs.sagaFailure?.tag], ["compensationFailed", "second", "Failed"])
        equal(runs, 6)
        const service = yield* SagaEngine.SagaEngine
        const listed = yield* service.list({ states: ["needsIntervention"] })
        equal(listed.map(({ id, saga }) => [saga, id]), [["stuck", "x"]])
        yield* service.skip({ saga: "stuck", id: "x" }, { step: "second", ...operator })
        const own = yield* Effect.flip(Stuck.run({ id: "x" }))
        assert(own instanceof Failed && own.why === "its own")
        equal(log, ["first", "undo first Done"])
        equal((yield* Stuck.status("x")).acts.map(({ act, by }) => [act, by]), [["skip", "ann"]])
      }).pipe(Effect.provide(engine(live)))
    })
  })

  test("retries keep their count over a stop of the engine", () => {
    const log: Array<string> = []
    const Tries = define("tries")
    const live = Tries.toLayer(() =>
      Saga.step("try", {
        success: Schema.String,
        execute: () => Effect.zipRight(Effect.sync(() => log.push("try")), new Failed({ why: "again" })),
        retry: Schedule.spaced("1 hour").pipe(Schedule.intersect(Schedule.recurs(3)))
      })
    )
    return Effect.gen(function*() {
      yield* Effect.zipRight(Tries.start({ id: "x" }), until(Tries, "x", "waiting")).pipe(Effect.provide(engine(live)))
      yield* TestClock.adjust("1 hour")
      yield* Effect.gen(function*() {
        const run = yield* Effect.fork(Effect.flip(Tries.run({ id: "x" })))
        for (let count = 0; count < 4; count++) {
          yield* TestServices.provideLive(Effect.sleep("5 millis"))
          yield* TestClock.adjust("1 hour")
        }
        equal((yield* Fiber.join(run))._tag, "Failed")
        equal(log.length, 4)
      }).pipe(Effect.provide(engine(live)))
    })
  })

  test("the whole saga is tried again by its Schedule, with other keys", () => {
    const keys: Array<string> = []
    const Rounds = define("rounds", { retry: Schedule.recurs(2) })
    const live = Rounds.toLayer(() =>
      Effect.zipRight(
        Saga.step("a", {
          success: Schema.Void,
          execute: (key) => Effect.sync(() => void keys.push(key)),
          compensate: () => Effect.void
        }),
        Effect.suspend(() => keys.length < 3 ? new Failed({ why: "not yet" }) : Effect.succeed("third time"))
      )
    )
    return Effect.gen(function*() {
      equal(yield* Rounds.run({ id: "x" }), "third time")
      equal(new Set(keys).size, 3)
      equal((yield* Rounds.status("x")).round, 3)
    }).pipe(Effect.provide(engine(live)))
  })

  test("a suspended saga keeps what was done, and goes on when an operator says so", () => {
    const log: Array<string> = []
    let up = false
    const Suspends = define("suspends", { onFailure: "suspend" })
    const live = Suspends.toLayer(() =>
      Effect.zipRight(
        step(log, "a"),
        step(log, "b", Effect.suspend(() => up ? Effect.succeed("b") : new Failed({ why: "down" })))
      )
    )
    return Effect.gen(function*() {
      const needs = yield* Effect.flip(Suspends.run({ id: "x" }))
      assert(needs._tag === "NeedsIntervention" && needs.reason === "suspended")
      equal(log, ["a", "b"])
      up = true
      const service = yield* SagaEngine.SagaEngine
      yield* service.retry({ saga: "suspends", id: "x" }, operator)
      equal(yield* Suspends.run({ id: "x" }), "b")
      equal(log, ["a", "b", "b"])
    }).pipe(Effect.provide(engine(live)))
  })

  test("a definition that does not fit any more is said to be so, for that saga alone", () => {
    const log: Array<string> = []
    const Changes = define("changes")
    const body = (names: ReadonlyArray<string>) =>
      Changes.toLayer(() =>
        Effect.zipRight(
          Effect.forEach(names, (name) => step(log, name), { discard: true }),
          Saga.signal("go", { schema: Schema.String })
        )
      )
    return Effect.gen(function*() {
      yield* Effect.zipRight(Changes.start({ id: "x" }), until(Changes, "x", "waiting")).pipe(
        Effect.provide(engine(body(["a", "b"])))
      )
      for (const names of [["a"], ["a", "c"], ["b", "a"], ["z", "a", "b"], ["a", "b", "c"]]) {
        const status = yield* Effect.zipRight(until(Changes, "x", "needsIntervention"), Changes.status("x")).pipe(
          Effect.provide(engine(body(names)))
        )
        equal(status.interventions.map(({ reason }) => reason), ["definitionMismatch"])
        // An operator who has put the right definition back.
        yield* Effect.gen(function*() {
          const service = yield* SagaEngine.SagaEngine
          yield* service.retry({ saga: "changes", id: "x" }, operator)
          yield* until(Changes, "x", "waiting")
        }).pipe(Effect.provide(engine(body(["a", "b"]))))
      }
      equal(log, ["a", "b"])
    })
  })

  test("an engine does not start without the versions in flight, unless told to", () => {
    const One = define("versions", { version: 1 })
    const Two = define("versions", { version: 2 })
    const body = () => Saga.signal("go", { schema: Schema.String })
    return Effect.gen(function*() {
      yield* Effect.zipRight(One.start({ id: "x" }), until(One, "x", "waiting")).pipe(
        Effect.provide(engine(One.toLayer(body)))
      )
      const refused = yield* Effect.flip(Effect.provide(Effect.void, engine(Two.toLayer(body))))
      assert(refused._tag === "UnregisteredSagas")
      equal(refused.missing, [{ saga: "versions", version: 1, inFlight: 1 }])
      yield* Effect.provide(Effect.void, SagaEngine.layerOf(Two.toLayer(body), { withoutUnregistered: true }))
      yield* Effect.gen(function*() {
        yield* One.signal("x", { name: "go", schema: Schema.String, value: "went" })
        equal(yield* One.run({ id: "x" }), "went")
      }).pipe(Effect.provide(engine(Layer.merge(One.toLayer(body), Two.toLayer(body)))))
    })
  })

  test("steps that no saga can have roll it back: a name twice, a compensation after the pivot", () => {
    const log: Array<string> = []
    const Bad = define("bad")
    const live = Bad.toLayer(({ id }) => {
      switch (id) {
        case "twice":
          return Effect.zipRight(step(log, "a"), step(log, "a"))
        default:
          return Effect.zipRight(
            Saga.pivot("p", { success: Schema.Void, execute: () => Effect.void }),
            step(log, "a")
          )
      }
    })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Bad.run({ id: "twice" }))
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die")
      equal(log, ["a", "undo a Done"])
      const stuck = yield* Effect.flip(Bad.run({ id: "after" }))
      assert(stuck._tag === "NeedsIntervention" && stuck.reason === "failedAfterPivot")
      equal(stuck.failure?.tag, "InvalidStep")
      equal(log, ["a", "undo a Done"])
    }).pipe(Effect.provide(engine(live)))
  })

  test("a status is what the journal says: the same to the engine that ran the saga and to one that reads it", () => {
    const log: Array<string> = []
    const Reads = define("reads")
    const live = Reads.toLayer(({ id }) =>
      Effect.gen(function*() {
        yield* step(log, "a")
        yield* Effect.all([step(log, "b"), Effect.ignore(step(log, "c", new Failed({ why: "c" })))], { concurrency: 2 })
        yield* Effect.ignore(Saga.nested("n", Effect.zipRight(step(log, "d"), Effect.fail(new Failed({ why: "n" })))))
        yield* Effect.raceFirst(step(log, "slow", Effect.never), step(log, "quick"))
        if (id === "fails") return yield* new Failed({ why: "told to" })
        if (id === "waits") yield* Saga.signal("go", { schema: Schema.String })
        return "done"
      })
    )
    const ids = ["completes", "fails", "waits"]
    const all = Effect.forEach(ids, (id) => Reads.status(id))
    return Effect.gen(function*() {
      const ran = yield* Effect.gen(function*() {
        yield* Reads.run({ id: "completes" })
        yield* Effect.flip(Reads.run({ id: "fails" }))
        yield* Reads.start({ id: "waits" })
        yield* until(Reads, "waits", "waiting")
        return yield* all
      }).pipe(Effect.provide(engine(live)))
      const read = yield* Effect.provide(all, SagaEngine.layerOf(Layer.empty, { withoutUnregistered: true }))
      equal(read, ran)
      equal(ran.map(({ state }) => state), ["completed", "compensated", "waiting"])
      const undone = ran.map(({ steps }) =>
        steps.filter(({ compensation }) => compensation === "undone").map(({ step }) => step).sort()
      )
      // What failed, lost a race, or was given up is undone before a commit; all of it in a rollback.
      equal(undone, [["c", "n/d", "slow"], ["a", "b", "c", "n/d", "quick", "slow"], ["n/d"]])
    })
  })

  test("lists and statistics: by state and name, ended ones too", () =>
    Effect.gen(function*() {
      const Lists = define("lists")
      const live = Lists.toLayer(({ id }) =>
        id === "ok" ? Effect.succeed("ok") : Saga.signal("go", { schema: Schema.String })
      )
      yield* Effect.gen(function*() {
        yield* Lists.run({ id: "ok" })
        yield* Lists.start({ id: "waits" })
        yield* until(Lists, "waits", "waiting")
        const service = yield* SagaEngine.SagaEngine
        const ids = (states: SagaEngine.ListOptions["states"]) =>
          Effect.map(service.list({ saga: "lists", states }), (all) => all.map(({ id }) => id))
        equal(yield* ids(undefined), ["waits"])
        equal(yield* ids(["waiting"]), ["waits"])
        equal(yield* ids(["completed"]), ["ok"])
        equal(yield* ids(["compensated"]), [])
        const { lists } = yield* service.statistics
        equal([lists?.completed, lists?.waiting], [1, 1])
        yield* Lists.cancel("waits", operator)
      }).pipe(Effect.provide(engine(live)))
    }))
})
