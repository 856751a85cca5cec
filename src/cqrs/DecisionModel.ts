/**
 * Decisions beyond one stream: a decision model is made of several small folds, each of some event types and tags. They are
 * read by one query, the command is decided on their states, and what it decides is appended on condition that no event
 * which the query matches was recorded since.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Event from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Position.ts"
import * as Internal from "../internal/cqrs/decisionModel.ts"
import type { AppendError } from "../store/AppendError.ts"
import type { Category, ReadError } from "../store/Category.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { Query } from "../store/Query.ts"
import type * as Aggregate from "./Aggregate.ts"
import type { Tagged } from "./Decider.ts"

/**
 * A fold of some event types. Every `Decider` is one: a model may be built from deciders that are there.
 *
 * @since 0.1.0
 * @category models
 */
export interface View<in out S, in out E extends Tagged> {
  readonly events: Schema.Schema<E, any>
  readonly initial: S
  readonly evolve: (state: S, event: E) => S
}

/**
 * Several views by name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Views {
  readonly [name: string]: View<any, any>
}

/**
 * The states of several views.
 *
 * @since 0.1.0
 * @category models
 */
export type States<V extends Views> = {
  readonly [K in keyof V]: V[K] extends View<infer S, any> ? S : never
}

/**
 * Which events each view is of: those that have all of its tags. Without tags, it is of every event of its types.
 *
 * @since 0.1.0
 * @category models
 */
export type Tags<V extends Views> = { readonly [K in keyof V]: ReadonlyArray<string> }

/**
 * The events that a decision leads to.
 *
 * @since 0.1.0
 * @category models
 */
export type Decided<D> = D extends Either.Either<infer Es extends ReadonlyArray<Tagged>, any> ? Es[number] : never

/**
 * The refusals of a decision.
 *
 * @since 0.1.0
 * @category models
 */
export type Refused<D> = D extends Either.Either<any, infer Err> ? Err : never

/**
 * What a decision is made of, and where it is recorded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<
  V extends Views,
  C,
  CI,
  Id,
  E extends Tagged,
  D extends Either.Either<ReadonlyArray<E>, unknown>
> {
  readonly commands: Schema.Schema<C, CI>
  readonly views: V
  /** The tags of each view, for one command: whatever the command is decided on must be found by them. */
  readonly tags: (command: C) => Tags<V>
  /** What the command leads to, or its refusal: synchronous and pure, as that of a decider. */
  readonly decide: (command: C, states: States<V>) => D
  /** Where the events are recorded: it takes all that are decided, and may hold others. */
  readonly category: Category<Id, any, any> & Aggregate.Records<E>
  readonly id: (command: C) => NoInfer<Id>
  /** When to decide again after a conflict; `RetryPolicy.conflict` when not given, `Schedule.stop` for never. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

/**
 * What may be said of a command beside its payload.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExecuteOptions extends Omit<Aggregate.ExecuteOptions, "expected"> {
  /** Instead of the model's, for this command. */
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

/**
 * What a command led to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Executed<out E> {
  /** What was decided and recorded; empty where the command changed nothing. */
  readonly events: ReadonlyArray<E>
  /** The position of the last of those events; `undefined` where there is none. */
  readonly position: Position | undefined
  /** Whether a command of this id was executed before: this is what it led to then, and nothing happened now. */
  readonly repeated: boolean
}

/**
 * How things stand for a command.
 *
 * @since 0.1.0
 * @category models
 */
export interface Current<V extends Views> {
  readonly states: States<V>
  /** The position up to which the log was read. */
  readonly position: Position
}

/**
 * Why a command was not executed, beside the model's own refusals. `ConditionFailed` comes only after the retries.
 *
 * @since 0.1.0
 * @category errors
 */
export type ExecuteError = AppendError | ReadError

/**
 * A decision model.
 *
 * @since 0.1.0
 * @category models
 */
export interface DecisionModel<out Name extends string, V extends Views, in C, out E extends Tagged, out Err> {
  readonly name: Name
  /** What is read for a command, and guards what it decides. */
  readonly query: (command: C) => Either.Either<Query, InvalidInput>
  /** What the command would be decided on now. */
  readonly state: (command: C) => Effect.Effect<Current<V>, ReadError, EventStore>
  /**
   * Decides a command and records what it decides. Where an event that the query matches was recorded meanwhile, reads and
   * decides again, as the Schedule says. A command that is refused, or changes nothing, records nothing.
   */
  readonly execute: (
    command: C,
    options?: ExecuteOptions
  ) => Effect.Effect<Executed<E>, Err | ExecuteError, EventStore>
}

/**
 * A view from a list of event types.
 *
 * @example
 * ```ts
 * import * as DecisionModel from "effect-skald/cqrs/DecisionModel"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Defined = Event.make("Defined", { capacity: Schema.Int })
 * const CapacityChanged = Event.make("CapacityChanged", { capacity: Schema.Int })
 *
 * const Capacity = DecisionModel.view({
 *   events: [Defined, CapacityChanged],
 *   initial: 0,
 *   evolve: (_, { capacity }) => capacity
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const view: <S, const Es extends ReadonlyArray<Event.Any>>(options: {
  readonly events: Event.UniqueTags<Es>
  readonly initial: S
  readonly evolve: (state: S, event: Es[number]["Type"]) => NoInfer<S>
}) => View<S, Es[number]["Type"]> = Internal.view as never

/**
 * A decision model. Throws `InvalidInput` when it is built of no view, or of two event types with one tag.
 *
 * What makes it safe is that the query finds whatever is decided on: a fact that no view is of is not guarded. A retried
 * `decide` sees states that were read anew.
 *
 * @example
 * ```ts
 * import * as DecisionModel from "effect-skald/cqrs/DecisionModel"
 * import * as Event from "effect-skald/event/Event"
 * import * as Category from "effect-skald/store/Category"
 * import { Either, Schema } from "effect"
 *
 * const Registered = Event.make("Registered", { name: Schema.String }, { tags: ({ name }) => [`name:${name}`] })
 * const Users = Category.make("user", { events: [Registered] })
 * class Taken extends Schema.TaggedError<Taken>()("Taken", { name: Schema.String }) {}
 *
 * // a name is given once, whatever stream it is recorded in
 * const Register = DecisionModel.make("register", {
 *   commands: Schema.Struct({ id: Schema.String, name: Schema.String }),
 *   views: { taken: DecisionModel.view({ events: [Registered], initial: false, evolve: () => true }) },
 *   tags: ({ name }) => ({ taken: [`name:${name}`] }),
 *   decide: ({ name }, { taken }) => taken ? Either.left(new Taken({ name })) : Either.right([Registered({ name })]),
 *   category: Users,
 *   id: ({ id }) => id
 * })
 *
 * const program = Register.execute({ id: "u-1", name: "alice" }, { commandId: "request-7" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: <
  const Name extends string,
  const V extends Views,
  C,
  CI,
  Id,
  E extends Tagged,
  D extends Either.Either<ReadonlyArray<E>, unknown>
>(
  name: Name,
  options: Options<V, C, CI, Id, E, D>
) => DecisionModel<Name, V, C, Decided<D>, Refused<D>> = Internal.make as never
