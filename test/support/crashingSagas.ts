/** Sagas of every shape, over services that keep their effects in a ledger, for the crash harness. */
import * as Saga from "effect-skald/saga/Saga"
import type { SagaEngine } from "effect-skald/saga/SagaEngine"
import type * as SagaCrash from "effect-skald/testing/SagaCrash"
import { Effect, type Layer, Schedule, Schema } from "effect"

export class Failed extends Schema.TaggedError<Failed>()("Failed", { step: Schema.String }) {}

export type Shape = "sequential" | "parallel" | "nested"

export const shapes: ReadonlyArray<Shape> = ["sequential", "parallel", "nested"]

type Body = Effect.Effect<unknown, Failed, Saga.Running>

// Made once: whether a Schedule can be resumed is tried at its first use, and each engine life runs the body.
const once = Schedule.exponential("1 seconds").pipe(Schedule.intersect(Schedule.recurs(1)))
const hourly = Schedule.spaced("1 hours").pipe(Schedule.intersect(Schedule.recurs(3)))

/** A step that is retried once, and whose compensation is. */
const step = (ledger: SagaCrash.Ledger, name: string): Body =>
  Saga.step(name, {
    success: Schema.String,
    execute: (key) => Effect.as(ledger.perform(name, key, () => new Failed({ step: name })), `${name} done`),
    retry: once,
    compensate: (_outcome, key) => ledger.undo(name, key, () => new Failed({ step: name })),
    compensateRetry: hourly,
    compensateExhausted: "intervene"
  })

const bodyOf = (ledger: SagaCrash.Ledger, shape: Shape, steps: number): Body => {
  const all = Array.from({ length: steps }, (_, number) => step(ledger, `s${number + 1}`))
  if (shape === "sequential") return Effect.all(all, { discard: true })
  const half = Math.ceil(steps / 2)
  return shape === "parallel"
    ? Effect.zipRight(
      Effect.all(all.slice(0, half), { concurrency: "unbounded" }),
      Effect.all(all.slice(half), { discard: true })
    )
    : Effect.zipRight(
      Saga.nested("inner", Effect.all(all.slice(0, half), { discard: true })),
      Effect.all(all.slice(half), { discard: true })
    )
}

/** A saga of so many steps, as the harness takes it. */
export const sagaOf = (shape: Shape, steps: number): {
  readonly saga: Saga.Saga<string, string, Failed>
  readonly payload: (number: number) => string
  readonly live: (ledger: SagaCrash.Ledger) => Layer.Layer<never, never, SagaEngine>
} => {
  const saga = Saga.make(`${shape}-${steps}`, {
    version: 1,
    payload: Schema.String,
    success: Schema.String,
    error: Failed,
    idempotencyKey: (id) => id
  })
  return {
    saga,
    payload: (number) => `case-${number}`,
    live: (ledger) => saga.toLayer(() => Effect.as(bodyOf(ledger, shape, steps), "all done"))
  }
}
