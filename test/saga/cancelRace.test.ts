/** Another process cancels a saga in the very moment in which its owner goes on: what is journaled first counts. */
import { assert, it } from "@effect/vitest"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as Journal from "effect-skald/saga/SagaJournal"
import { EventStore, layerMemory } from "effect-skald/store/EventStore"
import { Effect, Either, Layer, Schema, Stream } from "effect"

const Order = Saga.make("order", {
  version: 1,
  payload: Schema.String,
  success: Schema.String,
  error: Schema.Never,
  idempotencyKey: (id) => id
})

const live = (done: Array<string>) =>
  Order.toLayer(() =>
    Effect.gen(function*() {
      yield* Saga.step("reserve", {
        success: Schema.Void,
        execute: () => Effect.sync(() => void done.push("reserve")),
        compensate: () => Effect.sync(() => void done.push("release"))
      })
      yield* Saga.pivot("pay", { success: Schema.Void, execute: () => Effect.sync(() => void done.push("pay")) })
      return "paid"
    })
  )

/** As `live`, without a pivot: until the commit it may be cancelled. */
const withoutPivot = (done: Array<string>) =>
  Order.toLayer(() =>
    Effect.as(
      Saga.step("reserve", {
        success: Schema.Void,
        execute: () => Effect.sync(() => void done.push("reserve")),
        compensate: () => Effect.sync(() => void done.push("release"))
      }),
      "paid"
    )
  )

/** A store over which somebody else cancels the saga right before an event of a kind is appended, once. */
const cancelledBefore = (isIt: (type: string, payload: any) => boolean) =>
  Layer.effect(
    EventStore,
    Effect.map(EventStore, (store) => {
      let cancelled = false
      return {
        ...store,
        append: (groups: Parameters<typeof store.append>[0], options: Parameters<typeof store.append>[1]) => {
          const append = store.append(groups, options)
          const [group] = groups
          if (cancelled || !group!.events.some(({ payload, type }) => isIt(type, payload))) return append
          cancelled = true
          const theirs = Journal.OperatorActed({ saga: "order", id: "o-1", act: "cancel", by: "ann", why: "other" })
          return Journal.Sagas.append(Journal.idOf("order", "o-1"), [theirs]).pipe(
            Effect.provideService(EventStore, store),
            Effect.orDie,
            Effect.zipRight(append)
          )
        }
      }
    })
  ).pipe(Layer.provide(layerMemory))

const ran = (saga: typeof live, isIt: (type: string, payload: any) => boolean) => {
  const done: Array<string> = []
  return Effect.gen(function*() {
    const answer = yield* Effect.either(Order.run("o-1"))
    const journal = yield* Stream.runCollect(Journal.Sagas.read(Journal.idOf("order", "o-1")))
    return {
      done,
      answer: Either.isRight(answer) ? answer.right : answer.left._tag,
      state: (yield* Order.status("o-1")).state,
      journal: Array.from(journal, ({ payload }) => payload._tag)
    }
  }).pipe(Effect.provide(Layer.provideMerge(SagaEngine.layerOf(saga(done)), cancelledBefore(isIt))))
}

it.effect("before a pivot's intent: the pivot does not run, and the saga is rolled back", () =>
  Effect.gen(function*() {
    const { answer, done, journal, state } = yield* ran(
      live,
      (type, { kind }) => type === "SagaStepIntended" && kind === "pivot"
    )
    assert.deepStrictEqual(done, ["reserve", "release"])
    assert.deepStrictEqual([answer, state], ["SagaCancelled", "compensated"])
    assert.strictEqual(journal.filter((tag) => tag === "SagaStepIntended").length, 1)
  }))

it.effect("before the commit: it is rolled back", () =>
  Effect.gen(function*() {
    const { answer, done, state } = yield* ran(
      withoutPivot,
      (type, { decision }) => type === "SagaDecided" && decision === "commit"
    )
    assert.deepStrictEqual(done, ["reserve", "release"])
    assert.deepStrictEqual([answer, state], ["SagaCancelled", "compensated"])
  }))

it.effect("after the pivot, before the commit: it comes to nothing", () =>
  Effect.gen(function*() {
    const { answer, done, state } = yield* ran(
      live,
      (type, { decision }) => type === "SagaDecided" && decision === "commit"
    )
    assert.deepStrictEqual(done, ["reserve", "pay"])
    assert.deepStrictEqual([answer, state], ["paid", "completed"])
  }))
