// What was decided about sagas, case by case, where no other test holds it: each sentence is a test.
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule, Schema, TestClock } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import { layerOf, SagaEngine } from "effect-skald/saga/SagaEngine"
import * as Journal from "effect-skald/saga/SagaJournal"
import { EventStore } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, operator, over, pause, step, test, until } from "../support/sagaFeatures.ts"

const undone = (log: ReadonlyArray<string>) => log.filter((entry) => entry.startsWith("undo"))

describe("a pivot whose outcome a person knows", () => {
  const make = (log: Array<string>) => {
    const Pays = define("pays")
    const live = Pays.toLayer(() =>
      Effect.zipRight(
        step(log, "reserve"),
        Saga.pivot("pay", {
          success: Schema.String,
          execute: () => Effect.zipRight(Effect.sync(() => void log.push("pay")), Effect.never),
          onUnknown: "intervene"
        })
      )
    )
    const ref = { saga: "pays", id: "x" }
    const resolved = Effect.flatMap(
      SagaEngine,
      (engine) => engine.resolve(ref, { step: "pay", failure: { _tag: "Failed", why: "refused" }, ...operator })
    )
    const begun = Effect.zipRight(Pays.start({ id: "x" }), eventually(Effect.sync(() => log.includes("pay"))))
    return { Pays, live, resolved, begun }
  }

  test("failed: the saga is rolled back with that failure", () => {
    const log: Array<string> = []
    const { Pays, begun, live, resolved } = make(log)
    return Effect.gen(function*() {
      yield* begun.pipe(over(live))
      yield* Effect.gen(function*() {
        yield* until(Pays, "x", "needsIntervention")
        yield* resolved
        const error = yield* Effect.flip(Pays.run({ id: "x" }))
        assert(error instanceof Failed && error.why === "refused")
        equal(log, ["reserve", "pay", "undo reserve Done"])
      }).pipe(over(live))
    })
  })

  test("failed, after a cancel that waited for that: the saga is rolled back as cancelled", () => {
    const log: Array<string> = []
    const { Pays, begun, live, resolved } = make(log)
    return Effect.gen(function*() {
      yield* begun.pipe(over(live))
      yield* Effect.gen(function*() {
        yield* until(Pays, "x", "needsIntervention")
        yield* Pays.cancel("x", operator)
        yield* pause
        equal([(yield* Pays.status("x")).state, undone(log)], ["needsIntervention", []])
        yield* resolved
        equal((yield* Effect.flip(Pays.run({ id: "x" })))._tag, "SagaCancelled")
        equal(undone(log), ["undo reserve Done"])
      }).pipe(over(live))
    })
  })
})

describe("a pivot that failed and is tried again by a person", () => {
  for (const fails of [false, true]) {
    test(`is open again: a cancel waits, and ${fails ? "rolls back where it fails" : "comes to nothing"}`, () => {
      const log: Array<string> = []
      const gate = { tries: 0, open: false }
      const Pays = define("again", { onFailure: "suspend" })
      const live = Pays.toLayer(() =>
        Effect.zipRight(
          step(log, "reserve"),
          Saga.pivot("pay", {
            success: Schema.String,
            execute: () =>
              Effect.suspend(() => {
                if (++gate.tries === 1) return new Failed({ why: "down" })
                return Effect.zipRight(
                  eventually(Effect.sync(() => gate.open)),
                  Effect.suspend(() => fails ? new Failed({ why: "refused" }) : Effect.succeed("paid"))
                )
              })
          })
        )
      )
      return Effect.gen(function*() {
        const engine = yield* SagaEngine
        yield* Pays.start({ id: "x" })
        yield* until(Pays, "x", "needsIntervention")
        yield* engine.retry({ saga: "again", id: "x" }, operator)
        yield* eventually(Effect.sync(() => gate.tries === 2))
        const run = yield* Effect.fork(Effect.either(Pays.run({ id: "x" })))
        yield* Pays.cancel("x", operator)
        yield* pause
        equal(undone(log), [])
        gate.open = true
        const ended = yield* Fiber.join(run)
        equal(
          [ended._tag === "Left" ? ended.left._tag : ended.right, undone(log)],
          fails ? ["SagaCancelled", ["undo reserve Done"]] : ["paid", []]
        )
      }).pipe(over(live))
    })
  }
})

describe("the loser of a race that needs a person", () => {
  test("needs none any more: it is undone, and the saga commits", () => {
    const log: Array<string> = []
    const Races = define("races")
    const live = Races.toLayer(() =>
      Effect.zipRight(
        Effect.raceFirst(
          Saga.step("dies", {
            success: Schema.String,
            execute: () => Effect.die("a bug"),
            onDefect: "intervene",
            compensate: (outcome) => Effect.sync(() => void log.push(`undo dies ${outcome._tag}`))
          }),
          Saga.signal("other", { schema: Schema.String })
        ),
        Saga.signal("go", { schema: Schema.String })
      )
    )
    const stuck = Effect.flatMap(SagaEngine, (engine) => engine.list({ states: ["needsIntervention"] }))
    return Effect.gen(function*() {
      yield* Races.start({ id: "x" })
      yield* until(Races, "x", "needsIntervention")
      equal((yield* stuck).length, 1)
      yield* Races.signal("x", { name: "other", schema: Schema.String, value: "won" })
      yield* until(Races, "x", "waiting")
      equal((yield* Races.status("x")).interventions, [])
      const engine = yield* SagaEngine
      equal((yield* engine.list()).map(({ interventions, state }) => [state, interventions]), [["waiting", []]])
      yield* Races.signal("x", { name: "go", schema: Schema.String, value: "went" })
      equal(yield* Races.run({ id: "x" }), "went")
      equal(log, ["undo dies Unknown"])
    }).pipe(over(live))
  })
})

describe("a person who says something wrong", () => {
  test("a value that the step cannot have had stops the saga, and can be said again", () => {
    const log: Array<string> = []
    const Told = define("wrongly")
    const live = Told.toLayer(() =>
      Effect.map(
        Saga.step("count", {
          success: Schema.Number,
          execute: () => Effect.die("a bug"),
          onDefect: "intervene",
          compensate: (outcome) => Effect.sync(() => void log.push(outcome._tag))
        }),
        (count) => `${count + 1}`
      )
    )
    const ref = { saga: "wrongly", id: "x" }
    return Effect.gen(function*() {
      const engine = yield* SagaEngine
      yield* Told.start({ id: "x" })
      yield* until(Told, "x", "needsIntervention")
      yield* engine.resolve(ref, { step: "count", value: "many", ...operator })
      yield* eventually(
        Effect.map(Told.status("x"), ({ interventions }) => interventions[0]?.reason === "definitionMismatch")
      )
      yield* engine.resolve(ref, { step: "count", value: 41, ...operator })
      equal(yield* Told.run({ id: "x" }), "42")
      equal(log, [])
      equal((yield* Told.status("x")).acts.map(({ act }) => act), ["resolve", "resolve"])
    }).pipe(over(live))
  })
})

describe("signals from two processes at once", () => {
  test("the first of the journal counts, and the sender of the other is told so", () => {
    const Asks = define("asks")
    const live = Asks.toLayer(() => Saga.signal("go", { schema: Schema.String }))
    /** Somebody else's signal comes right before ours. */
    const first = Layer.effect(
      EventStore,
      Effect.map(EventStore, (store) => {
        let came = false
        return {
          ...store,
          append: (...[groups, options]: Parameters<typeof store.append>) => {
            const append = store.append(groups, options)
            if (came || !groups[0]!.events.some(({ type }) => type === "SagaSignalReceived")) return append
            came = true
            const theirs = Journal.SignalReceived({ signal: "go", value: "theirs" })
            return Journal.Sagas.append(Journal.idOf("asks", "x"), [theirs]).pipe(
              Effect.provideService(EventStore, store),
              Effect.orDie,
              Effect.zipRight(append)
            )
          }
        }
      })
    )
    return Effect.gen(function*() {
      yield* Asks.start({ id: "x" })
      yield* until(Asks, "x", "waiting")
      equal(yield* Asks.signal("x", { name: "go", schema: Schema.String, value: "ours" }), "duplicate")
      equal(yield* Asks.run({ id: "x" }), "theirs")
    }).pipe(Effect.provide(Layer.provide(layerOf(live), first)))
  })
})

describe("what is undone before the commit", () => {
  test("and waits for hours until it is tried again, holds back neither a cancel nor a signal", () => {
    const log: Array<string> = []
    const Waits = define("strays")
    const hours = Schedule.spaced("6 hours").pipe(Schedule.intersect(Schedule.recurs(3)))
    const live = Waits.toLayer(() =>
      Effect.zipRight(
        step(log, "a"),
        Effect.raceFirst(
          Saga.step("loser", {
            success: Schema.String,
            execute: () => Effect.never,
            compensate: () => Effect.suspend(() => log.push("try loser") === 3 ? Effect.fail("down") : Effect.void),
            compensateRetry: hours,
            compensateExhausted: "intervene"
          }),
          Effect.zipRight(Effect.suspend(() => pause), step(log, "winner"))
        )
      )
    )
    return Effect.gen(function*() {
      yield* Waits.start({ id: "x" })
      yield* eventually(Effect.map(Waits.status("x"), ({ steps }) => steps.some(({ due }) => due !== undefined)))
      equal(yield* Waits.signal("x", { name: "any", schema: Schema.Void, value: undefined }), "accepted")
      yield* Waits.cancel("x", operator)
      yield* until(Waits, "x", "compensating")
      const run = yield* Effect.fork(Effect.flip(Waits.run({ id: "x" })))
      yield* pause
      yield* TestClock.adjust("6 hours")
      equal((yield* Fiber.join(run))._tag, "SagaCancelled")
      equal(log, ["a", "winner", "try loser", "undo winner Done", "try loser", "undo a Done"])
    }).pipe(over(live))
  })
})

describe("a pivot of which nobody knows whether it happened", () => {
  const make = (name: string, pivot: Effect.Effect<string, Failed, Saga.Running>) => {
    const log: Array<string> = []
    const Pays = define(name)
    const settled = (by: { readonly value: unknown }) =>
      Effect.flatMap(
        SagaEngine,
        (engine) => engine.resolve({ saga: name, id: "x" }, { step: "pay", ...by, ...operator })
      )
    return { Pays, log, settled, live: Pays.toLayer(() => Effect.zipRight(step(log, "reserve"), pivot)) }
  }

  test("as it took too long: a person says what came of it, and a cancel waits for that", () => {
    const pivot = Saga.pivot("pay", { success: Schema.String, execute: () => Effect.never, timeout: "1 minute" })
    const { Pays, live, log, settled } = make("slow", pivot)
    return Effect.gen(function*() {
      yield* Pays.start({ id: "x" })
      yield* until(Pays, "x", "running")
      yield* pause
      yield* TestClock.adjust("1 minute")
      yield* until(Pays, "x", "needsIntervention")
      const { interventions } = yield* Pays.status("x")
      equal(interventions.map(({ failure, reason }) => [reason, failure?.kind]), [["unknownOutcome", "timeout"]])
      yield* Pays.cancel("x", operator)
      yield* pause
      equal(log, ["reserve"])
      yield* settled({ value: "paid, as their books say" })
      equal([yield* Pays.run({ id: "x" }), log], ["paid, as their books say", ["reserve"]])
    }).pipe(over(live))
  })

  test("as what it answered cannot be journaled: likewise, and nothing is undone", () => {
    const pivot = Saga.pivot("pay", {
      success: Schema.String.pipe(Schema.maxLength(3)),
      execute: () => Effect.succeed("more than fits")
    })
    const { Pays, live, log, settled } = make("large", pivot)
    return Effect.gen(function*() {
      const needs = yield* Effect.flip(Pays.run({ id: "x" }))
      assert(needs._tag === "NeedsIntervention")
      equal([needs.reason, needs.step, log], ["defect", "pay", ["reserve"]])
      yield* settled({ value: "ok" })
      equal([yield* Pays.run({ id: "x" }), log], ["ok", ["reserve"]])
    }).pipe(over(live))
  })
})

describe("two processes that start an id at once", () => {
  for (const same of [true, false]) {
    test(`${same ? "with one payload: both join the one that runs" : "with two: the second is refused"}`, () => {
      const Twice = define("twice")
      const Other = Saga.make("twice", {
        version: 1,
        payload: Schema.Struct({ id: Schema.String, more: Schema.optional(Schema.String) }),
        success: Schema.String,
        error: Failed,
        idempotencyKey: ({ id }) => id
      })
      const log: Array<string> = []
      const first = Layer.effect(
        EventStore,
        Effect.map(EventStore, (store) => {
          let came = false
          return {
            ...store,
            append: (...[groups, options]: Parameters<typeof store.append>) => {
              const append = store.append(groups, options)
              if (came || !groups[0]!.events.some(({ type }) => type === "SagaStarted")) return append
              came = true
              const payload = { id: "x", ...(same ? {} : { more: "theirs" }) }
              const theirs = Journal.Started({ saga: "twice", id: "x", version: 1, payload, seed: 1 })
              return Journal.Sagas.append(Journal.idOf("twice", "x"), [theirs]).pipe(
                Effect.provideService(EventStore, store),
                Effect.orDie,
                Effect.zipRight(append)
              )
            }
          }
        })
      )
      return Effect.gen(function*() {
        const answer = yield* Effect.either(Twice.run({ id: "x" }))
        equal(answer._tag === "Left" ? answer.left._tag : answer.right, same ? "a" : "PayloadDiffers")
        if (same) equal(log, ["a"])
      }).pipe(Effect.provide(Layer.provide(layerOf(Other.toLayer(() => step(log, "a"))), first)))
    })
  }
})
