/** The acceptance cases of sagas, by their numbers; 23 stands with choreography. */
import { assert, it } from "@effect/vitest"
import { Effect, Either, Exit, Layer, Schema, Stream, TestClock, TestServices } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import type { EventStore } from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import { onBoth } from "../support/embedded.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {}

const define = (name: string) =>
  Saga.make(name, {
    version: 1,
    payload: Schema.Struct({ id: Schema.String, items: Schema.Number }),
    success: Schema.String,
    error: Failed,
    idempotencyKey: ({ id }) => id
  })

const journalOf = (saga: string, id: string) =>
  Effect.map(
    Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf(saga, id))),
    (events) => Array.from(events)
  )

/** A program over an engine with these sagas. */
const over =
  <E>(sagas: Layer.Layer<never, E, SagaEngine.SagaEngine>) =>
  <A, E2>(program: Effect.Effect<A, E2, SagaEngine.SagaEngine | EventStore>) =>
    Effect.provide(program, SagaEngine.layerOf(sagas))

onBoth("acceptance: sagas", (layer) => {
  it.layer(layer)("17 to 22", (it) => {
    it.effect("17: two steps succeed: completed, each ran once, no compensation, steps recorded in order", () => {
      const ran: Array<string> = []
      const Two = define("two")
      const live = Two.toLayer(({ items }) =>
        Effect.gen(function*() {
          const one = yield* Saga.step("step1", {
            success: Schema.Number,
            execute: () => Effect.sync(() => ran.push("step1") + items),
            compensate: () => Effect.sync(() => void ran.push("undo1"))
          })
          yield* Saga.step("step2", {
            success: Schema.Void,
            execute: () => Effect.sync(() => void ran.push("step2")),
            compensate: () => Effect.sync(() => void ran.push("undo2"))
          })
          return `done ${one}`
        })
      )
      return Effect.gen(function*() {
        equal(yield* Two.run({ id: "a", items: 41 }), "done 42")
        equal(ran, ["step1", "step2"])
        const status = yield* Two.status("a")
        equal(status.state, "completed")
        equal(status.steps.map(({ name }) => name), ["step1", "step2"])
        equal(status.steps.map(({ attempts, state }) => [state, attempts]), [["done", 1], ["done", 1]])
      }).pipe(over(live))
    })

    it.effect("18: step 2 fails: its typed error; undo 1 ran once with step 1's result, undo 2 with Unknown", () => {
      const undone: Array<unknown> = []
      const body = (noEffect: boolean) => () =>
        Effect.gen(function*() {
          yield* Saga.step("step1", {
            success: Schema.String,
            execute: () => Effect.succeed("payment-1"),
            compensate: (outcome) => Effect.sync(() => void undone.push(["step1", outcome]))
          })
          yield* Saga.step("step2", {
            success: Schema.Void,
            execute: () => new Failed({ why: "no stock" }),
            noEffectOn: () => noEffect,
            compensate: (outcome) => Effect.sync(() => void undone.push(["step2", outcome]))
          })
          return "never"
        })
      const Unsure = define("unsure")
      const Sure = define("sure")
      return Effect.gen(function*() {
        const failure = yield* Effect.flip(Unsure.run({ id: "a", items: 1 }))
        assert(failure instanceof Failed)
        equal(failure.why, "no stock")
        equal(undone, [["step2", { _tag: "Unknown" }], ["step1", { _tag: "Done", value: "payment-1" }]])
        undone.length = 0
        equal((yield* Effect.flip(Sure.run({ id: "a", items: 1 })))._tag, "Failed")
        equal(undone, [["step1", { _tag: "Done", value: "payment-1" }]])
      }).pipe(over(Layer.merge(Unsure.toLayer(body(false)), Sure.toLayer(body(true)))))
    })

    it.effect("19: payment fails: inventory is released once; a validation has nothing to compensate", () => {
      const released: Array<string> = []
      const Order = define("order")
      const live = Order.toLayer(({ items }) =>
        Effect.gen(function*() {
          yield* Saga.step("validate", { success: Schema.Void, execute: () => Effect.void })
          yield* Saga.step("reserve", {
            success: Schema.Number,
            execute: () => Effect.succeed(items),
            compensate: (outcome) =>
              Effect.sync(() => void released.push(outcome._tag === "Done" ? `${outcome.value}` : "?"))
          })
          yield* Saga.step("pay", {
            success: Schema.Void,
            execute: () => new Failed({ why: "declined" }),
            noEffectOn: (error) => error.why === "declined"
          })
          return "paid"
        })
      )
      return Effect.gen(function*() {
        const exit = yield* Effect.exit(Order.run({ id: "o", items: 3 }))
        assert(Exit.isFailure(exit))
        equal(released, ["3"])
        const status = yield* Order.status("o")
        equal(status.state, "compensated")
        equal(status.steps.map(({ compensation, name }) => [name, compensation]), [
          ["validate", "none"],
          ["reserve", "undone"],
          ["pay", "none"]
        ])
      }).pipe(over(live))
    })

    it.effect("21: a failed saga's journal ends with its end, versions without gap, the input as it was given", () => {
      const Failing = define("failing")
      const live = Failing.toLayer(() =>
        Saga.step("one", {
          success: Schema.String,
          execute: () => Effect.succeed("merged"),
          compensate: () => Effect.void
        }).pipe(Effect.zipRight(new Failed({ why: "at the end" })))
      )
      return Effect.gen(function*() {
        equal((yield* Effect.either(Failing.run({ id: "f", items: 7 })))._tag, "Left")
        const journal = yield* journalOf("failing", "f")
        equal(journal.map(({ version }) => version), journal.map((_, index) => index + 1))
        equal(journal.map(({ type }) => type), [
          "SagaStarted",
          "SagaStepIntended",
          "SagaStepDone",
          "SagaDecided",
          "SagaCompensationIntended",
          "SagaCompensated",
          "SagaEnded"
        ])
        includes(journal[0]!.payload, { payload: { id: "f", items: 7 } })
        includes(journal.at(-1)!.payload, { state: "compensated", reason: "failed" })
      }).pipe(over(live))
    })

    it.effect("22: a completed saga never becomes timed out; one that is timed out is compensated", () => {
      const undone: Array<string> = []
      const Slow = Saga.make("slow", {
        version: 1,
        payload: Schema.Struct({ id: Schema.String, wait: Schema.Number }),
        success: Schema.Void,
        error: Schema.Never,
        idempotencyKey: ({ id }) => id,
        deadline: "600 millis"
      })
      const live = Slow.toLayer(({ id, wait }) =>
        Effect.gen(function*() {
          yield* Saga.step("hold", {
            success: Schema.Void,
            execute: () => Effect.void,
            compensate: () => Effect.sync(() => void undone.push(id))
          })
          yield* Saga.sleep("wait", `${wait} millis`)
        })
      )
      return Effect.gen(function*() {
        const quick = yield* Effect.fork(Slow.run({ id: "quick", wait: 300 }))
        const late = yield* Effect.fork(Slow.run({ id: "late", wait: 3_000 }))
        // What is on its way to the disk is not waited for by the test's clock.
        yield* waiting(Slow, ["quick", "late"])
        yield* TestClock.adjust("300 millis")
        yield* quick
        yield* TestClock.adjust("300 millis")
        const error = yield* Effect.flip(late)
        equal(error._tag, "SagaTimedOut")
        equal(undone, ["late"])
        yield* TestClock.adjust("100 millis")
        equal((yield* Slow.status("quick")).state, "completed")
        equal((yield* Slow.status("late")).state, "timedOut")
      }).pipe(over(live))
    })
  })
})

/** Waits until sagas wait. */
const waiting = (saga: Pick<Saga.Saga<never, never, never>, "status">, ids: ReadonlyArray<string>) =>
  Effect.forEach(ids, (id) =>
    Effect.repeat(
      Effect.zipRight(
        TestServices.provideLive(Effect.sleep("1 millis")),
        Effect.map(
          Effect.either(saga.status(id)),
          (status) => Either.isRight(status) && status.right.state === "waiting"
        )
      ),
      { until: (is) => is }
    ), { discard: true })
