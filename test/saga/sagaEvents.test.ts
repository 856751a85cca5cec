/** The events of journals are events like any other: on the bus, in a projection, and in a pattern. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Memory from "effect-skald/Memory"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import * as SagaEvents from "effect-skald/saga/SagaEvents"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import { equal } from "../support/assert.ts"
import { define, eventually, Failed, operator, pause, step } from "../support/sagaFeatures.ts"

const Told = define("told")
const Stuck = define("stuck", { onFailure: "suspend" })

const live = Layer.merge(
  Told.toLayer(({ id }) => id.startsWith("ok") ? step([], "a") : new Failed({ why: id })),
  Stuck.toLayer(({ id }) => step([], "a", new Failed({ why: id })))
)
const App = Layer.provideMerge(SagaEngine.layerOf(live), Memory.layer)

describe("the events of sagas", () => {
  it.scoped("are told on the bus as they are journaled, also those from before, and once over a restart of the relay", () => {
    const ended: Array<string> = []
    const stuck: Array<string> = []
    const all: Array<string> = []
    const subscribed = Layer.mergeAll(
      Subscription.layer("ended", {
        events: [SagaJournal.Ended],
        key: ({ id }) => id,
        handler: ({ id, saga, state }) => Effect.sync(() => void ended.push(`${saga} ${id} ${state}`))
      }),
      Subscription.layer("stuck", {
        events: [SagaJournal.InterventionNeeded, SagaJournal.OperatorActed],
        handler: (event) =>
          Effect.sync(() => void stuck.push(event._tag === "SagaOperatorActed" ? event.by : event.reason))
      }),
      Subscription.layerSelect("all", {
        select: "*",
        handler: (_, { id, type }) => Effect.sync(() => void all.push(`${type} ${id}`))
      })
    )
    const relayed = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: () => boolean) =>
      Effect.zipLeft(effect, eventually(Effect.sync(holds))).pipe(
        Effect.zipLeft(pause),
        Effect.provide(SagaEvents.layer())
      )
    return Effect.gen(function*() {
      yield* Told.run({ id: "ok-1" })
      yield* relayed(Effect.exit(Told.run({ id: "no" })), () => ended.length === 2)
      equal(ended.slice().sort(), ["told no compensated", "told ok-1 completed"])
      yield* relayed(
        Effect.gen(function*() {
          yield* Effect.exit(Stuck.run({ id: "s" }))
          const engine = yield* SagaEngine.SagaEngine
          yield* engine.cancel({ saga: "stuck", id: "s" }, operator)
          yield* Effect.exit(Stuck.run({ id: "s" }))
        }),
        () => ended.length === 3
      )
      yield* eventually(Effect.sync(() => stuck.length === 2))
      equal(stuck, ["suspended", "ann"])
      // started, decided, ended, of each; and what came of the third
      yield* eventually(Effect.sync(() => all.length >= 11))
      yield* pause
      equal([all.length, new Set(all).size], [11, 11])
    }).pipe(Effect.provide(Layer.provideMerge(subscribed, App)))
  })

  it.effect("are projected", () => {
    const Outcomes = Projection.make("outcomes", {
      category: SagaJournal.Sagas.name,
      events: [SagaJournal.Started, SagaJournal.Ended],
      state: Schema.Record({ key: Schema.String, value: Schema.Int }),
      initial: {},
      apply: (counts, event) => {
        const name = event._tag === "SagaStarted" ? "started" : event.state
        return { ...counts, [name]: (counts[name] ?? 0) + 1 }
      }
    })
    return Effect.gen(function*() {
      yield* Effect.forEach(["ok-1", "no-1", "ok-2", "no-2", "ok-3"], (id) => Effect.exit(Told.run({ id })), {
        concurrency: 5
      })
      equal((yield* Projection.catchUp(Outcomes)).state, { started: 5, completed: 3, compensated: 2 })
    }).pipe(Effect.provide(App))
  })

  it.scoped("are matched: three of one saga that fail in a row, with none that succeeds between", () => {
    const alarms: Array<ReadonlyArray<string>> = []
    const Failing = Rules.layer("failing", {
      events: [SagaJournal.Ended],
      pattern: Pattern.begin("failed", SagaJournal.Ended, {
        where: ({ state }) => state === "compensated",
        times: { min: 3, max: 3 },
        consecutive: true
      }),
      keyBy: ({ saga }) => saga,
      action: ({ failed }) => Effect.sync(() => void alarms.push(failed.map(({ id }) => id)))
    })
    const Watching = Rules.layerStore({ name: "sagas", after: "earliest" }).pipe(
      Layer.provideMerge(Failing),
      Layer.provideMerge(Rules.layerEmpty),
      Layer.provideMerge(App)
    )
    return Effect.gen(function*() {
      for (const id of ["no-1", "no-2", "ok-1", "no-3", "no-4", "no-5", "ok-2"]) yield* Effect.exit(Told.run({ id }))
      const rules = yield* Rules.Rules
      yield* eventually(Effect.map(rules.stats("failing"), ({ events }) => events === 7))
      yield* eventually(Effect.sync(() => alarms.length > 0))
      yield* pause
      equal(alarms, [["no-3", "no-4", "no-5"]])
    }).pipe(Effect.provide(Watching))
  })
})
