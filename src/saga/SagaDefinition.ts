/**
 * What a saga is made of, before it runs: its contract, its steps, and who carries them out.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"

/**
 * What a compensation is told of its step: what it did, or that nobody knows whether and what.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome<A> = { readonly _tag: "Done"; readonly value: A } | { readonly _tag: "Unknown" }

/**
 * Who carries out the steps of a body: an engine with its journal, or `Saga.transaction` in memory.
 *
 * @since 0.1.0
 * @category services
 */
export class Running extends Context.Tag("effect-skald/saga/Running")<Running, Host>() {}

/**
 * Where a step, or a compensation, runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface StepContext {
  readonly saga: string
  readonly id: string
  /** The step's identity in its saga: parents, name and key. */
  readonly step: string
  /** The idempotency key that `execute` and `compensate` are given. */
  readonly key: string
  /** Another key, for what the compensation itself does. */
  readonly compensationKey: string
  /** From 1; of the execution, or of the compensation. */
  readonly attempt: number
  /** From 1; more where the whole saga is retried. */
  readonly round: number
}

/**
 * The Tag of {@link StepContext}, there inside of steps and compensations.
 *
 * @since 0.1.0
 * @category services
 */
export class Current extends Context.Tag("effect-skald/saga/Current")<Current, StepContext>() {}

/**
 * What is done about a step after a crash that left its outcome open: it is run again with the same key, asked after
 * (`resolve`), compensated with its saga, or left to a person.
 *
 * @since 0.1.0
 * @category models
 */
export type OnUnknown = "retry" | "ask" | "compensate" | "intervene"

/**
 * What is done once a compensation's Schedule has ended: the saga stops for a person, or goes on with the next compensation
 * and names this one in its end.
 *
 * @since 0.1.0
 * @category models
 */
export type Exhausted = "intervene" | "continue"

/**
 * When a compensation is tried again of which nothing is said: five times, exponentially from 200 ms, with jitter, at most 30 s
 * apart.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultCompensateRetry: Schedule.Schedule<unknown> = RetryPolicy.exponential("200 millis", {
  cap: "30 seconds",
  times: 5
})

/**
 * A step on its way to its host, its types forgotten.
 *
 * @since 0.1.0
 * @category models
 */
export interface StepRequest {
  readonly kind: "compensatable" | "pivot" | "retriable"
  readonly name: string
  readonly key: string | undefined
  readonly success: Schema.Schema<any, any>
  readonly error: Schema.Schema<any, any> | undefined
  readonly execute: (key: string) => Effect.Effect<any, any, any>
  readonly compensate: ((outcome: Outcome<any>, key: string) => Effect.Effect<void, any, any>) | undefined
  readonly compensateRetry: Schedule.Schedule<unknown, any> | undefined
  readonly compensateExhausted: Exhausted
  readonly retry: Schedule.Schedule<unknown, any> | undefined
  readonly timeout: Duration.DurationInput | undefined
  readonly keyPer: "step" | "attempt"
  readonly onUnknown: OnUnknown
  readonly resolve: ((key: string) => Effect.Effect<Option.Option<any>, never, any>) | undefined
  readonly noEffectOn: ((error: any) => boolean) | undefined
  readonly onDefect: "rollback" | "intervene"
}

/**
 * What a body asks of its host.
 *
 * @since 0.1.0
 * @category models
 */
export interface Host {
  readonly step: (request: StepRequest) => Effect.Effect<any, any, any>
  readonly sleep: (name: string, key: string | undefined, duration: Duration.DurationInput) => Effect.Effect<void>
  readonly signal: (request: SignalRequest) => Effect.Effect<any, any>
  readonly nested: (
    name: string,
    key: string | undefined,
    body: Effect.Effect<any, any, any>
  ) => Effect.Effect<any, any, any>
}

/**
 * A wait for a signal on its way to its host.
 *
 * @since 0.1.0
 * @category models
 */
export interface SignalRequest {
  readonly name: string
  readonly key: string | undefined
  readonly schema: Schema.Schema<any, any>
  readonly within: Duration.DurationInput | undefined
}

/**
 * A contract, its types forgotten.
 *
 * @since 0.1.0
 * @category models
 */
export interface Contract {
  readonly name: string
  readonly version: number
  readonly payload: Schema.Schema<any, any>
  readonly success: Schema.Schema<any, any>
  readonly error: Schema.Schema<any, any>
  readonly idempotencyKey: (payload: any) => string
  readonly deadline: Duration.DurationInput | undefined
  readonly onFailure: "rollback" | "suspend"
  readonly retry: Schedule.Schedule<unknown, any> | undefined
}

/**
 * A contract with its body, as an engine is given it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Definition {
  readonly contract: Contract
  readonly body: (payload: any) => Effect.Effect<any, any, any>
  readonly context: Context.Context<never>
}
