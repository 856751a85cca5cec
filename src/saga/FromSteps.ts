/**
 * Sagas as lists: each step gives a record, which is merged into the saga's data; compensations stand in a map by name.
 *
 * The types know the data as of each step. They refuse two steps of one name, a step that asks for data that is not there yet,
 * and a compensatable step after the pivot.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import * as Internal from "../internal/saga/saga.ts"
import type { Current, Exhausted, OnUnknown, Running } from "./SagaDefinition.ts"

/**
 * What every kind of step of a list may say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Execution<D, F extends Schema.Struct.Fields, E, R> {
  /** The fields that it adds to the data; none when not given. */
  readonly gives?: F | undefined
  /** Runs at least once, with the data as of the step before, and the same key each time. */
  readonly execute: (data: D, key: string) => Effect.Effect<Schema.Struct.Type<F>, E, R>
  readonly error?: Schema.Schema<E, any> | undefined
  readonly retry?: Schedule.Schedule<unknown, NoInfer<E>> | undefined
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Says what the step did, for `onUnknown: "ask"`: the fields that it gives, or none where it never happened. It is told the
   * data as of the step before, and the key that the step had.
   */
  readonly resolve?:
    | ((data: D, key: string) => Effect.Effect<Option.Option<Schema.Struct.Type<F>>, never, R>)
    | undefined
  readonly keyPer?: "step" | "attempt" | undefined
  readonly onDefect?: "rollback" | "intervene" | undefined
}

/**
 * What a step of a list is that can be undone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<D, F extends Schema.Struct.Fields, E, R> extends Execution<D, F, E, R> {
  /** What is done where a crash left the outcome open; `"retry"`, with the same key, when not given. */
  readonly onUnknown?: OnUnknown | undefined
  /** Whether a failure had no effect, so that there is nothing to undo. */
  readonly noEffectOn?: ((error: NoInfer<E>) => boolean) | undefined
}

/**
 * What a step of a list is that cannot be undone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Final<D, F extends Schema.Struct.Fields, E, R> extends Execution<D, F, E, R> {
  /** What is done where a crash left the outcome open; `"retry"`, with the same key, when not given. */
  readonly onUnknown?: Exclude<OnUnknown, "compensate"> | undefined
}

/**
 * What a compensation knows: the data as it was merged after its step, or as it was before, where nobody knows what the step
 * did.
 *
 * @since 0.1.0
 * @category models
 */
export type Undo<Before, After> =
  | { readonly _tag: "Done"; readonly data: After }
  | { readonly _tag: "Unknown"; readonly data: Before }

/**
 * How a step of a list is undone. What may fail says when it is tried again, and what then.
 *
 * @since 0.1.0
 * @category models
 */
export type Compensation<Before, After, R> =
  | ((undo: Undo<Before, After>, key: string) => Effect.Effect<void, never, R>)
  | {
    readonly undo: (undo: Undo<Before, After>, key: string) => Effect.Effect<void, any, R>
    readonly retry: Schedule.Schedule<unknown>
    readonly exhausted: Exhausted
  }

/**
 * How the steps of a list are undone, by their names; `Rs` is what each of them needs.
 *
 * @since 0.1.0
 * @category models
 */
export type Compensations<Marks, Rs> = {
  readonly [N in keyof Rs]: N extends keyof Marks ? Compensation<Data<Marks[N], 0>, Data<Marks[N], 1>, Rs[N]> : never
}

/** The data before a step, or after it. */
type Data<Mark, At extends 0 | 1> = Mark extends readonly [unknown, unknown] ? Mark[At] : never

type Merged<D, F extends Schema.Struct.Fields> = Types.Simplify<Omit<D, keyof F> & Schema.Struct.Type<F>>

type Free<N extends string, Names> = N extends Names ? never : N

/**
 * A list of steps: `P` is the payload, `D` the data after the last of them, `Names` their names, `Marks` the data before and
 * after each that can be undone, `Passed` whether there was a pivot.
 *
 * @since 0.1.0
 * @category models
 */
export interface Steps<P, D, Names extends string, Marks, Passed extends boolean, E, R> {
  /** A step that can be undone; not after the pivot. */
  readonly step: Passed extends true ? never : <const N extends string, E2, R2, F extends Schema.Struct.Fields = {}>(
    name: Free<N, Names>,
    options: Options<D, F, E2, R2>
  ) => Steps<
    P,
    Merged<D, F>,
    Names | N,
    Marks & { readonly [K in N]: readonly [D, Merged<D, F>] },
    false,
    E | E2,
    R | R2
  >
  /** The point of no return. */
  readonly pivot: Passed extends true ? never : <const N extends string, E2, R2, F extends Schema.Struct.Fields = {}>(
    name: Free<N, Names>,
    options: Final<D, F, E2, R2>
  ) => Steps<P, Merged<D, F>, Names | N, Marks, true, E | E2, R | R2>
  /** A step that is never undone. */
  readonly retriable: <const N extends string, E2, R2, F extends Schema.Struct.Fields = {}>(
    name: Free<N, Names>,
    options: Final<D, F, E2, R2>
  ) => Steps<P, Merged<D, F>, Names | N, Marks, Passed, E | E2, R | R2>
  /** A durable sleep between two steps. */
  readonly sleep: <const N extends string>(
    name: Free<N, Names>,
    duration: Duration.DurationInput
  ) => Steps<P, D, Names | N, Marks, Passed, E, R>
  /** The body of a saga: how its steps are undone, and what it answers. */
  readonly body: <A, Rs = {}>(options: {
    readonly compensate?: Compensations<Marks, Rs> | undefined
    readonly result: (data: D) => A
  }) => (payload: P) => Effect.Effect<A, E, Exclude<R | Rs[keyof Rs], Current> | Running>
}

interface Item {
  readonly kind: "compensatable" | "pivot" | "retriable" | "sleep"
  readonly name: string
  readonly options: any
}

/**
 * The empty list, over a payload that the data begins with.
 *
 * @example
 * ```ts
 * import * as FromSteps from "effect-skald/saga/FromSteps"
 * import * as Saga from "effect-skald/saga/Saga"
 * import { Effect, Schema } from "effect"
 *
 * declare const reserve: (order: string, key: string) => Effect.Effect<{ readonly reservation: string }>
 * declare const release: (reservation: string) => Effect.Effect<void>
 * declare const ship: (reservation: string, key: string) => Effect.Effect<{}>
 *
 * const Order = Saga.make("order", {
 *   version: 1,
 *   payload: Schema.Struct({ order: Schema.String }),
 *   success: Schema.String,
 *   error: Schema.Never,
 *   idempotencyKey: ({ order }) => order
 * })
 *
 * const OrderLive = Order.toLayer(
 *   FromSteps.make<{ readonly order: string }>()
 *     .step("reserve", { gives: { reservation: Schema.String }, execute: ({ order }, key) => reserve(order, key) })
 *     .pivot("ship", { execute: ({ reservation }, key) => ship(reservation, key) })
 *     .body({
 *       compensate: { reserve: (undo) => undo._tag === "Done" ? release(undo.data.reservation) : Effect.void },
 *       result: ({ reservation }) => reservation
 *     })
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <P extends object>(): Steps<P, P, never, {}, false, never, never> => build([]) as never

const build = (items: ReadonlyArray<Item>): Steps<any, any, any, any, any, any, any> => {
  const add = (kind: Item["kind"]) => (name: string, options: any) => build([...items, { kind, name, options }])
  return {
    step: add("compensatable"),
    pivot: add("pivot"),
    retriable: add("retriable"),
    sleep: add("sleep"),
    body: ({ compensate = {}, result }: any) => (payload: object) =>
      Effect.map(
        Effect.reduce(items, { ...payload } as any, (data, item) => runItem(item, data, compensate[item.name])),
        result
      )
  } as never
}

const runItem = (
  { kind, name, options }: Item,
  data: object,
  compensation: any
): Effect.Effect<object, any, any> => {
  if (kind === "sleep") return Effect.as(Internal.sleep(name, options), data)
  const { execute, gives, resolve, ...rest } = options
  const undo = typeof compensation === "function" ? { undo: compensation } : compensation
  return Effect.map(
    Internal.step(kind, name, {
      ...rest,
      success: Schema.Struct(gives ?? {}),
      execute: (key: string) => execute(data, key),
      ...(resolve === undefined ? {} : { resolve: (key: string) => resolve(data, key) }),
      ...(undo === undefined || kind !== "compensatable" ? {} : {
        compensate: (outcome: any, key: string) =>
          undo.undo(
            outcome._tag === "Done"
              ? { _tag: "Done", data: { ...data, ...outcome.value } }
              : { _tag: "Unknown", data },
            key
          ),
        compensateRetry: undo.retry,
        compensateExhausted: undo.exhausted
      })
    }),
    (given: object) => ({ ...data, ...given })
  )
}
