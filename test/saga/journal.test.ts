/** What is in a saga's journal when, and how its events are written. */
import { describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, FastCheck, Layer, Schema, Stream, TestServices } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import { EventStore, layerMemory } from "effect-skald/store/EventStore"
import { equal } from "../support/assert.ts"

const define = (name: string) =>
  Saga.make(name, {
    version: 1,
    payload: Schema.Struct({ id: Schema.String }),
    success: Schema.Array(Schema.String),
    error: Schema.String,
    idempotencyKey: ({ id }) => id
  })

/** The tags of a journal, without the word that they all begin with. */
const tagsOf = (saga: string, id: string) =>
  Effect.map(
    Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf(saga, id))),
    (events) => Array.from(events, ({ payload }) => payload._tag.slice("Saga".length))
  )

const over = <E>(sagas: Layer.Layer<never, E, SagaEngine.SagaEngine | EventStore>) =>
  Effect.provide(Layer.provideMerge(SagaEngine.layerOf(sagas), layerMemory))

describe("the journal of a saga", () => {
  for (const type of SagaJournal.Sagas.group.types) {
    it(`${type.tag}: is stored as it stands`, () => {
      const encode = Schema.encodeSync(type as unknown as Schema.Schema<unknown>)
      FastCheck.assert(
        FastCheck.property(
          Arbitrary.make(type as unknown as Schema.Schema<unknown>),
          (event) => equal(encode(event), event)
        ),
        { numRuns: 50 }
      )
    })
  }

  it.effect("holds a step's intent, and all results before it, when its effect runs", () => {
    const InOrder = define("inOrder")
    const seen: Array<ReadonlyArray<string>> = []
    const live = Layer.unwrapEffect(Effect.map(EventStore, (store) => {
      const look = Effect.provideService(tagsOf("inOrder", "x"), EventStore, store)
      const step = (name: string) =>
        Saga.step(name, {
          success: Schema.String,
          execute: () => Effect.as(Effect.map(Effect.orDie(look), (tags) => seen.push(tags)), name),
          compensate: () => Effect.asVoid(Effect.map(Effect.orDie(look), (tags) => seen.push(tags)))
        })
      return InOrder.toLayer(({ id }) =>
        Effect.gen(function*() {
          const all = [yield* step("a"), yield* step("b")]
          return id === "x" ? yield* Effect.fail("refused") : all
        })
      )
    }))
    return Effect.gen(function*() {
      equal(yield* Effect.flip(InOrder.run({ id: "x" })), "refused")
      const begun = ["Started", "StepIntended", "StepDone", "StepIntended", "StepDone", "Decided"]
      const undone = ["CompensationIntended", "Compensated"]
      equal(seen, [
        begun.slice(0, 2),
        begun.slice(0, 4),
        [...begun, "CompensationIntended"],
        [...begun, ...undone, "CompensationIntended"]
      ])
      equal(yield* tagsOf("inOrder", "x"), [...begun, ...undone, ...undone, "Ended"])
    }).pipe(over(live))
  })

  it.effect("holds a step's result soon, also where its body then does something else", () =>
    Effect.gen(function*() {
      const Elsewhere = define("elsewhere")
      const go = yield* Deferred.make<void>()
      const live = Elsewhere.toLayer(() =>
        Effect.gen(function*() {
          const a = yield* Saga.step("a", { success: Schema.String, execute: () => Effect.succeed("a") })
          yield* Deferred.await(go)
          return [a]
        })
      )
      yield* Effect.gen(function*() {
        yield* Elsewhere.start({ id: "x" })
        yield* Effect.repeat(
          Effect.zipRight(TestServices.provideLive(Effect.sleep("1 millis")), tagsOf("elsewhere", "x")),
          { until: (tags) => tags.includes("StepDone"), times: 2_000 }
        )
        equal(yield* tagsOf("elsewhere", "x"), ["Started", "StepIntended", "StepDone"])
        equal((yield* Elsewhere.status("x")).steps.map(({ state, value }) => [state, value]), [["done", "a"]])
        yield* Deferred.succeed(go, undefined)
        equal(yield* Elsewhere.run({ id: "x" }), ["a"])
      }).pipe(over(live))
    }))
})
