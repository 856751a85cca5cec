/** Small sagas whose steps say what they did, and engines over a store that outlives them. */
import { it } from "@effect/vitest"
import { Effect, Either, Fiber, type Layer, type Schedule, Schema, type Scope, TestServices } from "effect"
import * as Saga from "effect-skald/saga/Saga"
import * as SagaEngine from "effect-skald/saga/SagaEngine"
import { type EventStore, layerMemory } from "effect-skald/store/EventStore"

export class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {}

export const define = (
  name: string,
  options: {
    readonly version?: number
    readonly onFailure?: "suspend"
    readonly retry?: Schedule.Schedule<unknown, Failed>
    readonly deadline?: string
  } = {}
) =>
  Saga.make(name, {
    version: options.version ?? 1,
    payload: Schema.Struct({ id: Schema.String }),
    success: Schema.String,
    error: Failed,
    idempotencyKey: ({ id }) => id,
    onFailure: options.onFailure,
    retry: options.retry,
    deadline: options.deadline as "1 hour" | undefined
  })

export const operator = { by: "ann", why: "told so" }

/** A step that says that it ran, and how it was undone. */
export const step = (
  log: Array<string>,
  name: string,
  effect: Effect.Effect<string, Failed> = Effect.succeed(name),
  options: {
    readonly key?: string
    readonly retry?: Schedule.Schedule<unknown, Failed>
    readonly undo?: Effect.Effect<void>
  } = {}
) =>
  Saga.step(name, {
    success: Schema.String,
    execute: () => Effect.zipRight(Effect.sync(() => void log.push(name)), effect),
    compensate: (outcome) =>
      Effect.zipRight(Effect.sync(() => void log.push(`undo ${name} ${outcome._tag}`)), options.undo ?? Effect.void),
    key: options.key,
    retry: options.retry
  })

/** Lets everything run that waits for no time of the test's. */
export const pause = TestServices.provideLive(Effect.sleep("2 millis"))

/** Waits until something holds that is no matter of time. */
export const eventually = <E, R>(holds: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.asVoid(Effect.repeat(Effect.zipRight(pause, holds), { until: (held) => held }))

type Asked = {
  readonly status: (id: string) => Effect.Effect<{ readonly state: string }, unknown, SagaEngine.SagaEngine>
}

/** Waits until a saga is in a state. */
export const until = (saga: Asked, id: string, state: string) =>
  eventually(Effect.map(
    Effect.either(saga.status(id)),
    (status) => Either.isRight(status) && status.right.state === state
  ))

/** Runs an effect over an engine of its own, which stops when the effect has ended. */
export const over =
  <E>(sagas: Layer.Layer<never, E, SagaEngine.SagaEngine>, options: SagaEngine.Options = {}) =>
  <A, E2, R>(effect: Effect.Effect<A, E2, R>) => Effect.provide(effect, SagaEngine.layerOf(sagas, options))

/** Starts a saga over an engine that stops once it is in a state. */
export const leave = <A, Err, E>(
  saga: Saga.Saga<{ readonly id: string }, A, Err>,
  sagas: Layer.Layer<never, E, SagaEngine.SagaEngine>,
  state: string,
  id = "x"
) => Effect.zipRight(saga.start({ id }), until(saga, id, state)).pipe(over(sagas))

/** What a run in the background comes to. */
export const running = <A, E, R>(run: Effect.Effect<A, E, R>) => Effect.map(Effect.fork(Effect.exit(run)), Fiber.join)

/** A test over a store of its own. */
export const test = <E>(name: string, program: () => Effect.Effect<unknown, E, EventStore | Scope.Scope>) =>
  it.scoped(name, () => Effect.provide(program(), layerMemory))
