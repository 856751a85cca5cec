/** Sagas that only wait are let go out of memory, and come back when there is something to do. */
import { assert, describe, it } from "@effect/vitest"
import {
  Duration,
  Effect,
  Either,
  Exit,
  Fiber,
  Layer,
  Schedule,
  Schema,
  type Scope,
  Stream,
  TestClock,
  TestServices
} from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import { type EventStore, layerMemory } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {}

/** What happened, and how many bodies are in memory. */
class Log {
  readonly lines: Array<string> = []
  bodies = 0
  runs = 0
}

const step = (log: Log, name: string, effect: Effect.Effect<string, Failed> = Effect.succeed(name)) =>
  Saga.step(name, {
    success: Schema.String,
    execute: () => Effect.zipRight(Effect.sync(() => void log.lines.push(name)), effect),
    compensate: () => Effect.sync(() => void log.lines.push(`undo ${name}`))
  })

const define = (options: { readonly deadline?: "1 hour" } = {}) =>
  Saga.make("waits", {
    version: 1,
    payload: Schema.Struct({ id: Schema.String }),
    success: Schema.String,
    error: Failed,
    idempotencyKey: ({ id }) => id,
    ...options
  })

const Waits = define()

/** A saga whose body is counted while it is in memory. */
const bodyOf = (
  log: Log,
  saga: typeof Waits,
  body: Effect.Effect<string, Failed, Saga.Running | Scope.Scope>
) =>
  saga.toLayer(() =>
    Effect.zipRight(
      Effect.acquireRelease(
        Effect.sync(() => {
          log.bodies++
          log.runs++
        }),
        () => Effect.sync(() => log.bodies--)
      ),
      body
    )
  )

const real = TestServices.provideLive(Effect.sleep("1 millis"))

const eventually = (what: string, isSo: () => boolean) =>
  Effect.gen(function*() {
    for (let tries = 0; !isSo(); tries++) {
      if (tries === 3_000) assert.fail(`not so: ${what}`)
      yield* real
    }
  })

/** A while in which everything has time to do what it is about to do. */
const aWhile = Effect.repeatN(real, 20)

const journal = (id = "x") =>
  Effect.map(
    Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf("waits", id))),
    (events) => Array.from(events, ({ type }) => type)
  )

const waitsFor = (name: string) => Effect.orDie(Saga.signal(name, { schema: Schema.String }))

/** Starts a saga, and has it let go. */
const letGo = (log: Log, saga = Waits) =>
  Effect.gen(function*() {
    yield* saga.start({ id: "x" })
    yield* eventually("it runs", () => log.bodies === 1)
    yield* aWhile
    yield* TestClock.adjust("4 seconds")
    yield* aWhile
    equal(log.bodies, 1)
    yield* TestClock.adjust("2 seconds")
    yield* eventually("it is let go", () => log.bodies === 0)
  })

const test = <E>(
  name: string,
  saga: typeof Waits,
  body: (log: Log) => Effect.Effect<string, Failed, Saga.Running | Scope.Scope>,
  program: (log: Log) => Effect.Effect<unknown, E, EventStore | SagaEngine.SagaEngine | Scope.Scope>
) =>
  it.scoped(name, () => {
    const log = new Log()
    return Effect.provide(program(log), SagaEngine.layerOf(bodyOf(log, saga, body(log)))).pipe(
      Effect.provide(layerMemory)
    )
  })

describe("a saga that only waits", () => {
  test(
    "for a signal is let go after a while, and the signal brings it back",
    Waits,
    (log) => Effect.zipRight(step(log, "a"), Effect.zipRight(waitsFor("go"), step(log, "b"))),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        equal((yield* Waits.status("x")).state, "waiting")
        const engine = yield* SagaEngine.SagaEngine
        equal((yield* engine.list({ states: ["waiting"] })).map(({ id }) => id), ["x"])
        const run = yield* Effect.fork(Waits.run({ id: "x" }))
        yield* aWhile
        equal(log.bodies, 0, "waiting for its result does not bring it back")
        equal(yield* Waits.signal("x", { name: "go", schema: Schema.String, value: "!" }), "accepted")
        equal(yield* Fiber.join(run), "b")
        equal([log.lines, log.runs], [["a", "b"], 2])
        equal((yield* journal()).includes("SagaResumed"), false, "nobody else has had it")
        equal(yield* Waits.signal("x", { name: "go", schema: Schema.String, value: "!" }), "duplicate")
      })
  )

  test(
    "is brought back by a signal also while it is started again",
    Waits,
    () => waitsFor("go"),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        const told = Waits.signal("x", { name: "go", schema: Schema.String, value: "!" })
        const [, ...results] = yield* Effect.all(
          [told, ...Array.from({ length: 20 }, () => Waits.run({ id: "x" }))],
          { concurrency: "unbounded" }
        )
        equal(new Set<unknown>(results), new Set(["!"]))
      })
  )

  test(
    "for two weeks comes back on time",
    Waits,
    (log) => Effect.zipRight(step(log, "a"), Effect.zipRight(Saga.sleep("nap", "14 days"), step(log, "b"))),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        yield* TestClock.adjust("13 days")
        yield* aWhile
        equal([log.bodies, log.runs], [0, 1])
        yield* TestClock.adjust("1 days")
        equal(yield* Waits.run({ id: "x" }), "b")
        equal([log.lines, log.runs], [["a", "b"], 2])
      })
  )

  test(
    "for the next attempt of a step keeps its count of attempts",
    Waits,
    (log) => {
      let attempts = 0
      return Saga.step("a", {
        success: Schema.String,
        execute: () =>
          Effect.suspend(() => {
            log.lines.push("a")
            return ++attempts < 3 ? new Failed({ why: "not yet" }) : Effect.succeed("a")
          }),
        compensate: () => Effect.void,
        retry: Schedule.spaced("6 hours").pipe(Schedule.intersect(Schedule.recurs(2)))
      })
    },
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        equal((yield* Waits.status("x")).steps[0]?.attempts, 1)
        yield* TestClock.adjust("6 hours")
        yield* eventually("the second attempt", () => log.lines.length === 2)
        yield* aWhile
        yield* TestClock.adjust("6 seconds")
        yield* eventually("it is let go again", () => log.bodies === 0)
        yield* TestClock.adjust("6 hours")
        equal(yield* Waits.run({ id: "x" }), "a")
        equal([log.lines.length, log.runs], [3, 3])
      })
  )

  const Limited = define({ deadline: "1 hour" })
  test(
    "is rolled back at its deadline although it was let go",
    Limited,
    (log) => Effect.zipRight(step(log, "a"), waitsFor("go")),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log, Limited)
        const run = yield* Effect.fork(Effect.either(Limited.run({ id: "x" })))
        yield* aWhile
        yield* TestClock.adjust("1 hours")
        const told = yield* Fiber.join(run)
        assert(Either.isLeft(told) && told.left._tag === "SagaTimedOut")
        equal(log.lines, ["a", "undo a"])
      })
  )

  test(
    "for a signal until a limit hears of the limit",
    Waits,
    () =>
      Effect.catchTag(
        Saga.signal("go", { schema: Schema.String, within: "2 hours" }),
        "SignalTimedOut",
        () => Effect.succeed("too late")
      ),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        yield* TestClock.adjust("2 hours")
        equal(yield* Waits.run({ id: "x" }), "too late")
      })
  )

  test(
    "in a race, and in parallel branches, is let go too",
    Waits,
    () =>
      Effect.map(
        Effect.all([
          Effect.raceFirst(waitsFor("first"), Effect.as(Saga.sleep("nap", "1 hour"), "nothing")),
          waitsFor("second"),
          Saga.nested("inner", waitsFor("third"))
        ], { concurrency: "unbounded" }),
        (all) => all.join()
      ),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        yield* Waits.signal("x", { name: "second", schema: Schema.String, value: "2" })
        yield* eventually("it came back", () => log.runs === 2)
        // it still waits for others, and goes as soon as that is known
        yield* eventually("it is let go again", () => log.bodies === 0)
        yield* TestClock.adjust("1 hours")
        yield* eventually("it came back for its nap", () => log.runs === 3)
        yield* Waits.signal("x", { name: "third", schema: Schema.String, value: "3" })
        equal(yield* Waits.run({ id: "x" }), "nothing,2,3")
      })
  )

  test(
    "for a person is let go, and comes back when one has acted",
    Waits,
    (log) => {
      let attempts = 0
      return Effect.zipRight(
        step(log, "a"),
        Saga.retriable("b", {
          success: Schema.String,
          execute: () => ++attempts === 1 ? new Failed({ why: "no" }) : Effect.succeed("b")
        })
      )
    },
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        equal((yield* Effect.flip(Waits.run({ id: "x" })))._tag, "NeedsIntervention")
        equal((yield* Waits.status("x")).state, "needsIntervention")
        const engine = yield* SagaEngine.SagaEngine
        yield* engine.retry({ saga: "waits", id: "x" }, { by: "ann", why: "it is back" })
        equal(yield* Waits.run({ id: "x" }), "b")
        equal(log.runs, 2)
      })
  )

  test(
    "is cancelled without having been in memory, and undone",
    Waits,
    (log) => Effect.zipRight(step(log, "a"), waitsFor("go")),
    (log) =>
      Effect.gen(function*() {
        yield* letGo(log)
        yield* Waits.cancel("x", { by: "ann", why: "enough" })
        equal((yield* Effect.flip(Waits.run({ id: "x" })))._tag, "SagaCancelled")
        equal(log.lines, ["a", "undo a"])
      })
  )

  it.scoped("for the next attempt of a compensation goes on undoing when its time has come", () => {
    const log = new Log()
    let attempts = 0
    const body = Effect.zipRight(
      Saga.step("a", {
        success: Schema.String,
        execute: () => Effect.succeed("a"),
        compensate: () =>
          ++attempts < 2 ? Effect.fail("unreachable" as const) : Effect.sync(() => log.lines.push("undone")),
        compensateRetry: Schedule.spaced("3 hours"),
        compensateExhausted: "intervene"
      }),
      new Failed({ why: "always" })
    )
    return Effect.gen(function*() {
      yield* Waits.start({ id: "x" })
      yield* eventually("its first attempt", () => attempts === 1)
      yield* aWhile
      yield* TestClock.adjust("6 seconds")
      yield* aWhile
      const engine = yield* SagaEngine.SagaEngine
      equal((yield* engine.list({ states: ["compensating"] })).length, 1)
      yield* TestClock.adjust("3 hours")
      equal((yield* Effect.flip(Waits.run({ id: "x" })))._tag, "Failed")
      equal([log.lines, log.runs], [["undone"], 2])
    }).pipe(Effect.provide(Layer.provideMerge(SagaEngine.layerOf(bodyOf(log, Waits, body)), layerMemory)))
  })

  it.scoped("is let go at once where another engine takes it over, with no compensation", () => {
    const log = new Log()
    const live = bodyOf(log, Waits, Effect.zipRight(step(log, "a"), waitsFor("go")))
    return Effect.gen(function*() {
      yield* Effect.zipRight(Waits.start({ id: "x" }), eventually("it runs", () => log.lines.length === 1)).pipe(
        Effect.provide(SagaEngine.layerOf(live))
      )
      yield* Effect.gen(function*() {
        yield* eventually("it was replayed, and let go", () => log.runs === 2 && log.bodies === 0)
        yield* Waits.signal("x", { name: "go", schema: Schema.String, value: "gone" })
        equal(yield* Waits.run({ id: "x" }), "gone")
      }).pipe(Effect.provide(SagaEngine.layerOf(live)))
      equal(log.lines, ["a"])
    }).pipe(Effect.provide(layerMemory))
  })
})

describe("a saga that does something", () => {
  const busy: ReadonlyArray<
    readonly [string, Effect.Effect<unknown, Failed, Saga.Running | Scope.Scope>]
  > = [
    [
      "in a step",
      Saga.step("long", { success: Schema.Void, execute: () => Effect.never, compensate: () => Effect.void })
    ],
    ["beside its wait", Effect.all([waitsFor("go"), Effect.never], { concurrency: "unbounded" })],
    ["while a fiber of its waits", Effect.zipRight(Effect.fork(waitsFor("go")), Effect.never)],
    ["in a sleep that is not the saga's", Effect.sleep("1 hour")],
    ["with a limit of its own to a wait", Effect.orDie(Effect.timeout(waitsFor("go"), "1 hour"))],
    ["in a promise", Effect.promise(() => new Promise(() => undefined))]
  ]
  for (const [name, body] of busy) {
    test(
      `${name} stays in memory`,
      Waits,
      () => Effect.as(body, "done"),
      (log) =>
        Effect.gen(function*() {
          yield* Waits.start({ id: "x" })
          yield* eventually("it runs", () => log.bodies === 1)
          yield* aWhile
          for (let minute = 0; minute < 5; minute++) {
            yield* TestClock.adjust("1 minutes")
            yield* aWhile
          }
          equal([log.bodies, log.runs], [1, 1])
        })
    )
  }

  it.scoped("is never let go where that is not wanted", () => {
    const log = new Log()
    return Effect.gen(function*() {
      yield* Waits.start({ id: "x" })
      yield* eventually("it runs", () => log.bodies === 1)
      yield* TestClock.adjust("30 days")
      yield* aWhile
      equal([log.bodies, log.runs], [1, 1])
      const exit = yield* Effect.exit(Waits.signal("x", { name: "go", schema: Schema.String, value: "!" }))
      assert(Exit.isSuccess(exit))
      equal(yield* Waits.run({ id: "x" }), "!")
    }).pipe(Effect.provide(Layer.provideMerge(
      SagaEngine.layerOf(bodyOf(log, Waits, waitsFor("go")), { idleAfter: Duration.infinity }),
      Layer.fresh(layerMemory)
    )))
  })
})
