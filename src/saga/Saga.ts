/**
 * Sagas: a piece of work in steps that is carried through, or undone, whatever is killed when.
 *
 * A saga is a Scope that survives crashes. Each step registers its compensation; if the saga rolls back they run in reverse
 * order, if it commits they do not. What makes it durable is its journal, a stream in the event store.
 *
 * The body is an ordinary Effect. **It runs again** over the journal when an engine takes a saga over: journaled steps answer
 * what they answered, and what stands between them runs once more; so what must not happen twice belongs into a step. The
 * body's `Clock` tells the time of the last step that it saw, and its `Random` is seeded, so that it takes the same way again.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/saga/saga.ts"
import * as Transactions from "../internal/saga/transaction.ts"
import * as FromSteps from "./FromSteps.ts"
import {
  type Contract,
  Current,
  defaultCompensateRetry,
  type Exhausted,
  type OnUnknown,
  type Outcome,
  Running
} from "./SagaDefinition.ts"
import { type By, SagaEngine, type Told } from "./SagaEngine.ts"
import type { AskError, OperationRefused, SagaNotFound, SignalTimedOut, StartError, Unfinished } from "./SagaError.ts"
import type { Status } from "./SagaStatus.ts"

export {
  /**
   * The Tag of where a step runs.
   *
   * @since 0.1.0
   * @category services
   */
  Current,
  /**
   * When a compensation is tried again of which nothing is said.
   *
   * @since 0.1.0
   * @category constants
   */
  defaultCompensateRetry,
  /**
   * What a compensation is told of its step.
   *
   * @since 0.1.0
   * @category models
   */
  type Outcome,
  /**
   * Who carries out the steps of a body.
   *
   * @since 0.1.0
   * @category services
   */
  Running
}

// -------------------------------------------------------------------------------------------------------------- contract

/**
 * What a saga promises, before it has a body.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<P, PI, A, AI, Err, ErrI> {
  /** Raise it when the body changes so that it does not fit the journals of sagas in flight any more. */
  readonly version: number
  readonly payload: Schema.Schema<P, PI>
  readonly success: Schema.Schema<A, AI>
  readonly error: Schema.Schema<Err, ErrI>
  /** The id of the saga: starting an id again joins it. */
  readonly idempotencyKey: (payload: P) => string
  /**
   * How long the saga may take: then it is rolled back and ends `timedOut`, or goes on and is said to be late where it is past
   * its pivot. No limit when not given.
   */
  readonly deadline?: Duration.DurationInput | undefined
  /** `"rollback"` when not given; `"suspend"` keeps what was done and waits for an operator. */
  readonly onFailure?: "rollback" | "suspend" | undefined
  /** When the whole saga, once it is rolled back, is tried again before it ends as failed. Never when not given. */
  readonly retry?: Schedule.Schedule<unknown, NoInfer<Err>> | undefined
}

/**
 * A saga: its contract, and what can be asked of one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Saga<in out P, in out A, in out Err> {
  readonly name: string
  readonly contract: Contract
  /** Registers the body with the engine. Its scope ends with the body, also where that only stops to go on elsewhere. */
  readonly toLayer: <R>(
    body: (payload: P) => Effect.Effect<A, Err, R>
  ) => Layer.Layer<never, never, SagaEngine | Exclude<R, Running | Scope.Scope>>
  /**
   * Starts the saga, or joins the one of its id, and waits for its end. Interrupting this only stops waiting; a defect of the
   * body is this effect's.
   */
  readonly run: (payload: P) => Effect.Effect<A, Err | StartError | Unfinished, SagaEngine>
  /** Starts the saga, or joins the one of its id; answers the id. */
  readonly start: (payload: P) => Effect.Effect<string, StartError, SagaEngine>
  /** Waits for the end of a saga. */
  readonly result: (
    id: string
  ) => Effect.Effect<Exit.Exit<A, Err>, AskError | SagaNotFound | Unfinished, SagaEngine>
  readonly status: (id: string) => Effect.Effect<Status, AskError | SagaNotFound, SagaEngine>
  /** Tells a saga something that it waits, or will wait, for; the first of a name counts. */
  readonly signal: <S, SI>(
    id: string,
    signal: {
      readonly name: string
      readonly key?: string | undefined
      readonly schema: Schema.Schema<S, SI>
      readonly value: NoInfer<S>
    }
  ) => Effect.Effect<Told, AskError | SagaNotFound, SagaEngine>
  /** Rolls a saga back; see `SagaEngine`. */
  readonly cancel: (
    id: string,
    by: By
  ) => Effect.Effect<void, AskError | SagaNotFound | OperationRefused, SagaEngine>
}

/**
 * A saga's contract. A name with `/`, and a bad version, throw `InvalidInput` when built.
 *
 * @example
 * ```ts
 * import * as Saga from "effect-skald/saga/Saga"
 * import { Effect, Schedule, Schema } from "effect"
 *
 * class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
 * declare const charge: (cents: number, key: string) => Effect.Effect<string, Refused>
 * declare const refund: (payment: string) => Effect.Effect<void>
 * declare const refundByKey: (key: string) => Effect.Effect<void>
 *
 * const Fulfil = Saga.make("fulfil", {
 *   version: 1,
 *   payload: Schema.Struct({ order: Schema.String, cents: Schema.Number }),
 *   success: Schema.String,
 *   error: Refused,
 *   idempotencyKey: (request) => request.order
 * })
 *
 * const FulfilLive = Fulfil.toLayer((request) =>
 *   Effect.gen(function*() {
 *     const payment = yield* Saga.step("charge", {
 *       success: Schema.String,
 *       execute: (key) => charge(request.cents, key),
 *       compensate: (outcome, key) => outcome._tag === "Done" ? refund(outcome.value) : refundByKey(key),
 *       retry: Schedule.recurs(3)
 *     })
 *     yield* Saga.sleep("cool-off", "14 days")
 *     return payment
 *   })
 * )
 *
 * const program = Fulfil.run({ order: "o-1", cents: 500 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <P, PI, A, AI, Err, ErrI>(
  name: string,
  options: Options<P, PI, A, AI, Err, ErrI>
): Saga<P, A, Err> => {
  const contract: Contract = Internal.contract(name, options)
  const run = (payload: P): Effect.Effect<A, Err | StartError | Unfinished, SagaEngine> =>
    Effect.flatMap(SagaEngine, (engine) =>
      Effect.flatMap(engine.start(contract, payload), (id) =>
        Effect.flatten(
          Effect.catchTag(engine.result(contract, id), "SagaNotFound", (error) => Effect.die(error))
        )))
  return {
    name,
    contract,
    toLayer: (body) =>
      Layer.scopedDiscard(
        Effect.flatMap(SagaEngine, (engine) =>
          Effect.flatMap(Effect.context<never>(), (context) => engine.register({ contract, body, context })))
      ) as never,
    run,
    start: (payload) => Effect.flatMap(SagaEngine, (engine) => engine.start(contract, payload)),
    result: (id) => Effect.flatMap(SagaEngine, (engine) => engine.result(contract, id)),
    status: (id) => Effect.flatMap(SagaEngine, (engine) => engine.status({ saga: name, id })),
    signal: (id, { key, name: signal, schema, value }) =>
      Effect.flatMap(SagaEngine, (engine) =>
        Effect.flatMap(
          Effect.mapError(ParseResult.encodeUnknown(schema)(value), (issue) =>
            new InvalidInput({
              faults: [new Fault({ path: "value", problem: ParseResult.TreeFormatter.formatIssueSync(issue) })]
            })),
          (encoded) => engine.signal({ saga: name, id }, { name: signal, key, value: encoded })
        )),
    cancel: (id, by) => Effect.flatMap(SagaEngine, (engine) => engine.cancel({ saga: name, id }, by))
  }
}

// ----------------------------------------------------------------------------------------------------------------- steps

/**
 * What a saga needs whose step has steps of its own, or whose compensation waits durably: nobody has it, and so the saga does
 * not type-check where its layer is built. Steps belong into the body, and a compensation waits by `compensateRetry`.
 *
 * @since 0.1.0
 * @category models
 */
export interface StepsInSteps {
  readonly "a step has no steps of its own": unique symbol
}

/**
 * What a step needs of its saga.
 *
 * @since 0.1.0
 * @category models
 */
export type Needs<R> = 0 extends 1 & R ? Running
  : [Running] extends [R] ? StepsInSteps | Exclude<R, Current>
  : Exclude<R, Current> | Running

/**
 * What every kind of step may say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Execution<A, I, E, R> {
  readonly success: Schema.Schema<A, I>
  /** Runs at least once; the key is the same each time, for providers that remember it. */
  readonly execute: (key: string) => Effect.Effect<A, E, R>
  /** Tells a step from others of its name, in a loop. */
  readonly key?: string | undefined
  /**
   * How a failure is journaled, for a body that looks into one that it has caught. Without it, the saga's own error Schema
   * serves, and where that does not fit its members as JSON, with their tag.
   */
  readonly error?: Schema.Schema<E, any> | undefined
  /** When a failed attempt is followed by another; never when not given. Its position survives crashes. Defects are final. */
  readonly retry?: Schedule.Schedule<unknown, NoInfer<E>> | undefined
  /** How long an attempt may take; it is retried as if it had failed, and is the defect `StepTimedOut` in the end. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * `"attempt"` gives each attempt a key of its own, for providers that remember failures; `"step"` when not given. An attempt
   * that a crash has cut off, or that took too long, is tried again with its key; a compensation is told the last key, so that
   * attempts that have failed must have had no effect.
   */
  readonly keyPer?: "step" | "attempt" | undefined
  /** Says what the step did, for `onUnknown: "ask"`; none where it never happened. */
  readonly resolve?: ((key: string) => Effect.Effect<Option.Option<A>, never, R>) | undefined
  /** What becomes of a saga whose step died; `"rollback"` when not given. */
  readonly onDefect?: "rollback" | "intervene" | undefined
}

/**
 * A step that can be undone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step<A, I, E, R> extends Execution<A, I, E, R> {
  /** What is done where a crash left the outcome open; `"retry"`, with the same key, when not given. */
  readonly onUnknown?: OnUnknown | undefined
  /** Whether a failure had no effect, so that there is nothing to undo. */
  readonly noEffectOn?: ((error: NoInfer<E>) => boolean) | undefined
}

/**
 * A step that cannot be undone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Final<A, I, E, R> extends Execution<A, I, E, R> {
  /** What is done where a crash left the outcome open; `"retry"`, with the same key, when not given. */
  readonly onUnknown?: Exclude<OnUnknown, "compensate"> | undefined
  readonly compensate?: never
}

/**
 * A step: runs once and is journaled, or is undone with its saga.
 *
 * A compensation may fail only where `compensateRetry` says when it is tried again and `compensateExhausted` what is done in the
 * end. It tolerates that the step never happened (`Unknown`).
 *
 * @since 0.1.0
 * @category steps
 */
export const step: {
  <A, I, E, R, R2 = never>(
    name: string,
    options:
      & Step<A, I, E, R>
      & {
        readonly compensate?: ((outcome: Outcome<A>, key: string) => Effect.Effect<void, never, R2>) | undefined
        /** What is done about one that dies; five more tries when not given. */
        readonly compensateRetry?: Schedule.Schedule<unknown, unknown> | undefined
        /** `"intervene"` when not given. */
        readonly compensateExhausted?: Exhausted | undefined
      }
  ): Effect.Effect<A, E, Needs<R | R2>>
  <A, I, E, R, E2, R2>(
    name: string,
    options:
      & Step<A, I, E, R>
      & {
        readonly compensate: (outcome: Outcome<A>, key: string) => Effect.Effect<void, E2, R2>
        readonly compensateRetry: Schedule.Schedule<unknown, NoInfer<E2>>
        readonly compensateExhausted: Exhausted
      }
  ): Effect.Effect<A, E, Needs<R | R2>>
} = (name: string, options: any): any => Internal.step("compensatable", name, options)

/**
 * The point of no return: once it is done the saga goes forwards only. While its outcome is open nothing is decided; if it
 * fails the saga is rolled back.
 *
 * @since 0.1.0
 * @category steps
 */
export const pivot: <A, I, E, R>(
  name: string,
  options: Final<A, I, E, R>
) => Effect.Effect<A, E, Needs<R>> = (name: string, options: any): any => Internal.step("pivot", name, options)

/**
 * A step that is never undone, after the pivot: once its retries have ended, the saga waits for an operator.
 *
 * @since 0.1.0
 * @category steps
 */
export const retriable: <A, I, E, R>(
  name: string,
  options: Final<A, I, E, R>
) => Effect.Effect<A, E, Needs<R>> = (name: string, options: any): any => Internal.step("retriable", name, options)

/**
 * Waits, across restarts; the instant is fixed when it begins.
 *
 * @since 0.1.0
 * @category steps
 */
export const sleep = (
  name: string,
  duration: Duration.DurationInput,
  options?: { readonly key?: string | undefined }
): Effect.Effect<void, never, Running> => Effect.flatMap(Running, (host) => host.sleep(name, options?.key, duration))

/**
 * Waits for an answer from outside, across restarts. One that came before is there at once. With `within`, fails when it does
 * not come in time.
 *
 * @since 0.1.0
 * @category steps
 */
export const signal: {
  <A, I>(name: string, options: {
    readonly schema: Schema.Schema<A, I>
    readonly key?: string | undefined
    readonly within?: undefined
  }): Effect.Effect<A, never, Running>
  <A, I>(name: string, options: {
    readonly schema: Schema.Schema<A, I>
    readonly key?: string | undefined
    readonly within: Duration.DurationInput
  }): Effect.Effect<A, SignalTimedOut, Running>
} = (name: string, options: {
  readonly schema: Schema.Schema<any, any>
  readonly key?: string | undefined
  readonly within?: Duration.DurationInput | undefined
}): Effect.Effect<any, never, Running> =>
  Effect.flatMap(
    Running,
    (host) =>
      host.signal({ name, key: options.key, schema: options.schema, within: options.within }) as Effect.Effect<any>
  )

/**
 * A saga within a saga. Its steps bear its name; when it fails, what it did is undone before its parent hears of it, and the
 * parent may go on; when it succeeds, its compensations are its parent's.
 *
 * @since 0.1.0
 * @category steps
 */
export const nested = <A, E, R>(
  name: string,
  body: Effect.Effect<A, E, R>,
  options?: { readonly key?: string | undefined }
): Effect.Effect<A, E, R | Running> => Effect.flatMap(Running, (host) => host.nested(name, options?.key, body))

/**
 * Where a step, or a compensation, runs: ids, keys, attempt, round.
 *
 * @since 0.1.0
 * @category accessors
 */
export const context: Effect.Effect<Context.Tag.Service<Current>, never, Current> = Current

// ------------------------------------------------------------------------------------------------------------------ forms

/**
 * The same steps with no engine and no journal, in memory: a Scope whose finalizers are the compensations. They run when the
 * effect fails, or is interrupted, before its pivot; a crash leaves what was done.
 *
 * Signals have no place in it. A compensation that is exhausted stops the others with the defect `NeedsIntervention`, unless it
 * says `"continue"`.
 *
 * @example
 * ```ts
 * import * as Saga from "effect-skald/saga/Saga"
 * import { Effect, Schema } from "effect"
 *
 * declare const charge: (key: string) => Effect.Effect<string, "declined">
 * declare const refund: (key: string) => Effect.Effect<void>
 *
 * const program = Saga.transaction(
 *   Saga.step("charge", { success: Schema.String, execute: charge, compensate: (_, key) => refund(key) })
 * )
 * ```
 *
 * @since 0.1.0
 * @category forms
 */
export const transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Running>> =
  Transactions.transaction

/**
 * A saga's body as a list of steps; see `FromSteps`.
 *
 * @since 0.1.0
 * @category forms
 */
export const fromSteps: <P extends object>() => FromSteps.Steps<P, P, never, {}, false, never, never> = FromSteps.make

// ---------------------------------------------------------------------------------------------------------------- results

/**
 * What becomes of a `run`, by how it ended: with a value, with the saga's own error, cancelled, timed out, or stuck.
 *
 * @since 0.1.0
 * @category combinators
 */
export const match: <A, Err, R, B1, B2, B3, B4, B5 = never>(
  run: Effect.Effect<A, Err | Unfinished, R>,
  cases: {
    readonly onCompleted: (value: A) => B1
    readonly onFailed: (error: Exclude<Err, Unfinished>) => B2
    readonly onCancelled: (cancelled: Extract<Unfinished, { readonly _tag: "SagaCancelled" }>) => B3
    readonly onTimedOut: (timedOut: Extract<Unfinished, { readonly _tag: "SagaTimedOut" }>) => B4
    /** It waits for an operator, or its engine stopped: it has not ended. */
    readonly onUnfinished: (
      unfinished: Extract<Unfinished, { readonly _tag: "NeedsIntervention" | "EngineStopped" }>
    ) => B5
  }
) => Effect.Effect<B1 | B2 | B3 | B4 | B5, never, R> = (run, cases) =>
  Effect.match(run, {
    onSuccess: cases.onCompleted,
    onFailure: (error: any): any => {
      switch (error?._tag) {
        case "SagaCancelled":
          return cases.onCancelled(error)
        case "SagaTimedOut":
          return cases.onTimedOut(error)
        case "NeedsIntervention":
        case "EngineStopped":
          return cases.onUnfinished(error)
        default:
          return cases.onFailed(error)
      }
    }
  })
