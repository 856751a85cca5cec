/**
 * Deciders: the pure heart of an aggregate. A contract (Schemas of state, commands, events, errors) first, then the
 * behaviour: a command and a state decide events, and a state evolves by an event.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import type * as HashMap from "effect/HashMap"
import type { Pipeable } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import type * as Machine from "../event/Machine.ts"
import * as internal from "../internal/cqrs/decider.ts"
import * as combinators from "../internal/cqrs/deciderCombinators.ts"

/**
 * Marks deciders.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = internal.TypeId

/**
 * The type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A value that says what it is by its `_tag`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tagged {
  readonly _tag: string
}

/**
 * What a decider promises: its name, and the Schemas of what goes in and comes out. It holds no behaviour, so clients may
 * import it without importing the rules.
 *
 * @since 0.1.0
 * @category models
 */
export interface Contract<out Name extends string, in out S, in out C, in out E extends Tagged, in out Err> {
  readonly name: Name
  readonly state: Schema.Schema<S, any>
  readonly commands: Schema.Schema<C, any>
  readonly events: Schema.Schema<E, any>
  /** `Schema.Never` where no command is ever refused. */
  readonly errors: Schema.Schema<Err, any>
}

/**
 * What a decider does. All of it is synchronous and pure: facts from outside, the time included, reach `decide` inside
 * the command.
 *
 * @since 0.1.0
 * @category models
 */
export interface Behaviour<in out S, in C, in out E extends Tagged, out Err> {
  /** The state before the first event. */
  readonly initial: S
  /** The events that a command leads to, none if nothing changes, or the refusal. */
  readonly decide: (command: C, state: S) => Either.Either<ReadonlyArray<E>, Err>
  /** The state after an event. Total: a log outlives the rules that it was written under. */
  readonly evolve: (state: S, event: E) => S
}

/**
 * A decider: a contract with its behaviour.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decider<out Name extends string, in out S, in out C, in out E extends Tagged, in out Err = never>
  extends Contract<Name, S, C, E, Err>, Behaviour<S, C, E, Err>, Pipeable
{
  readonly [TypeId]: TypeId
}

/**
 * Any decider.
 *
 * @since 0.1.0
 * @category models
 */
export type Any = Decider<string, any, any, any, any> | Decider<string, any, any, any, never>

/**
 * The state of a decider.
 *
 * @since 0.1.0
 * @category models
 */
export type State<D extends { readonly state: Schema.Schema<any, any> }> = Schema.Schema.Type<D["state"]>

/**
 * The commands of a decider.
 *
 * @since 0.1.0
 * @category models
 */
export type Command<D extends { readonly commands: Schema.Schema<any, any> }> = Schema.Schema.Type<D["commands"]>

/**
 * The events of a decider.
 *
 * @since 0.1.0
 * @category models
 */
export type Event<D extends { readonly events: Schema.Schema<any, any> }> = Schema.Schema.Type<D["events"]>

/**
 * The errors that a decider refuses commands with.
 *
 * @since 0.1.0
 * @category models
 */
export type Error<D extends { readonly errors: Schema.Schema.All }> = Schema.Schema.Type<D["errors"]>

/**
 * What the first call of {@link make} gives: the contract, which becomes the decider when it is called with the behaviour.
 *
 * @since 0.1.0
 * @category models
 */
export interface Builder<out Name extends string, in out S, in out C, in out E extends Tagged, in out Err>
  extends Contract<Name, S, C, E, Err>
{
  (behaviour: Behaviour<S, C, E, Err>): Decider<Name, S, C, E, Err>
}

/**
 * A decider, in two calls: the contract, then the behaviour. What the first call gives is a value of its own, which
 * clients can import alone.
 *
 * Two calls, because TypeScript keeps the literal types in `evolve` only where the type of the state is fixed before.
 *
 * Throws {@link InvalidInput} with every fault when built: a name that is empty or too long, something that is not a
 * Schema, events without a literal `_tag` or with one tag twice, an initial state that the Schema of the state refuses.
 *
 * @example
 * ```ts
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import { Either, Schema } from "effect"
 *
 * const Place = Schema.TaggedStruct("Place", { order: Schema.String })
 * const Placed = Event.make("Placed", { order: Schema.String })
 * class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
 *
 * const OrderContract = Decider.make("order", {
 *   state: Schema.Struct({ status: Schema.Literal("none", "placed") }),
 *   commands: Place,
 *   events: Placed,
 *   errors: Refused
 * })
 *
 * const Order = OrderContract({
 *   initial: { status: "none" },
 *   decide: ({ order }, state) =>
 *     state.status === "none" ? Either.right([Placed({ order })]) : Either.left(new Refused({ why: "placed already" })),
 *   evolve: () => ({ status: "placed" })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: <
  const Name extends string,
  S,
  SI,
  C,
  CI,
  E extends Tagged,
  EI,
  Err = never,
  ErrI = never
>(name: Name, contract: {
  readonly state: Schema.Schema<S, SI>
  readonly commands: Schema.Schema<C, CI>
  readonly events: Schema.Schema<E, EI>
  readonly errors?: Schema.Schema<Err, ErrI> | undefined
}) => Builder<Name, S, C, E, Err> = internal.make

/**
 * Whether a value is a decider.
 *
 * @since 0.1.0
 * @category guards
 */
export const isDecider = (value: unknown): value is Any => internal.isDecider(value)

/**
 * What a command led to: the events, and the state after them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decided<out S, out E> {
  readonly events: ReadonlyArray<E>
  readonly state: S
}

/**
 * The state after all of some events, from a state on: `evolveAll(d, evolveAll(d, s, a), b)` is `evolveAll(d, s, [...a, ...b])`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const evolveAll: {
  <S, E>(state: S, events: Iterable<E>): (self: { readonly evolve: (state: S, event: E) => S }) => S
  <S, E>(self: { readonly evolve: (state: S, event: E) => S }, state: S, events: Iterable<E>): S
} = dual(3, internal.evolveAll)

/**
 * Decides one command on a state, and evolves the state by the events decided.
 *
 * @since 0.1.0
 * @category combinators
 */
export const decide: {
  <S, C>(state: S, command: C): <E extends Tagged, Err>(
    self: Behaviour<S, C, E, Err>
  ) => Either.Either<Decided<S, E>, Err>
  <S, C, E extends Tagged, Err>(
    self: Behaviour<S, C, E, Err>,
    state: S,
    command: C
  ): Either.Either<Decided<S, E>, Err>
} = dual(
  3,
  <S, C, E extends Tagged, Err>(
    self: Behaviour<S, C, E, Err>,
    state: S,
    command: C
  ): Either.Either<Decided<S, E>, Err> =>
    Either.map(self.decide(command, state), (events) => ({ events, state: internal.evolveAll(self, state, events) }))
)

/**
 * What a row of commands led to: the events of those that were accepted, the refusals of the others.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ran<out S, out E, out Err> extends Decided<S, E> {
  /** The commands that were refused, by their index. */
  readonly refusals: ReadonlyArray<{ readonly index: number; readonly error: Err }>
}

/**
 * Decides commands one after the other, from the initial state or a given one. A refused command changes nothing, and
 * the next is decided.
 *
 * @since 0.1.0
 * @category combinators
 */
export const run: {
  <S, C>(commands: Iterable<C>, from?: { readonly state: S }): <E extends Tagged, Err>(
    self: Behaviour<S, C, E, Err>
  ) => Ran<S, E, Err>
  <S, C, E extends Tagged, Err>(
    self: Behaviour<S, C, E, Err>,
    commands: Iterable<C>,
    from?: { readonly state: NoInfer<S> }
  ): Ran<S, E, Err>
} = dual((args) => internal.isBehaviour(args[0]), internal.run)

/**
 * A decider as a machine from commands to answers: the events of a command, or its refusal. The state folds the
 * events of accepted commands; a refusal leaves it as it was.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toMachine: <S, C, E extends Tagged, Err>(
  self: Behaviour<S, C, E, Err>
) => Machine.Machine<S, C, Either.Either<ReadonlyArray<E>, Err>> = internal.toMachine

type Shared<A extends Tagged, B extends Tagged> = A["_tag"] & B["_tag"]

/**
 * Accepts what shares no tag with the other side; the type that is missing otherwise names the tags.
 *
 * @since 0.1.0
 * @category models
 */
export type Apart<What extends string, A extends Tagged, B extends Tagged> = [Shared<A, B>] extends [never] ? unknown
  : { readonly [K in `${What} on both sides`]: Shared<A, B> }

/**
 * Two deciders side by side, both asked each time: the state is the pair of their states, a command is a pair of commands.
 *
 * Both sides decide on their own state. The events of the left come before those of the right. If either refuses, nothing
 * happens, and the refusal is the left one's when both refuse (so grouping three deciders either way answers alike). An
 * event evolves the side that its tag belongs to; tags on both sides do not type-check, and throw `InvalidInput` when built.
 *
 * @example
 * ```ts
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import { Either, Schema } from "effect"
 *
 * const Sold = Event.make("Sold", { pieces: Schema.Int })
 * const Stock = Decider.make("stock", { state: Schema.Int, commands: Schema.Int, events: Sold })({
 *   initial: 100,
 *   decide: (pieces) => Either.right([Sold({ pieces })]),
 *   evolve: (left, { pieces }) => left - pieces
 * })
 * const Earned = Event.make("Earned", { cents: Schema.Int })
 * const Till = Decider.make("till", { state: Schema.Int, commands: Schema.Int, events: Earned })({
 *   initial: 0,
 *   decide: (cents) => Either.right([Earned({ cents })]),
 *   evolve: (held, { cents }) => held + cents
 * })
 *
 * const Shop = Decider.product("shop", Stock, Till)
 * Decider.run(Shop, [[1, 250], [2, 500]]).state // [97, 750]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const product: <
  const Name extends string,
  SA,
  CA,
  EA extends Tagged,
  ErrA,
  SB,
  CB,
  EB extends Tagged,
  ErrB
>(
  name: Name,
  left: Decider<string, SA, CA, EA, ErrA>,
  right: Decider<string, SB, CB, EB, ErrB> & Apart<"events", EA, EB>
) => Decider<Name, readonly [SA, SB], readonly [CA, CB], EA | EB, ErrA | ErrB> = combinators.product as never

/**
 * Two deciders side by side, one asked each time: the state is the pair of their states, a command is one of either side.
 *
 * A command is decided by the side that its tag belongs to, on that side's state; the other side neither sees it nor
 * changes. Tags of commands or events on both sides do not type-check, and throw `InvalidInput` when built.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sum: <
  const Name extends string,
  SA,
  CA extends Tagged,
  EA extends Tagged,
  ErrA,
  SB,
  CB extends Tagged,
  EB extends Tagged,
  ErrB
>(
  name: Name,
  left: Decider<string, SA, CA, EA, ErrA>,
  right: Decider<string, SB, CB, EB, ErrB> & Apart<"commands", CA, CB> & Apart<"events", EA, EB>
) => Decider<Name, readonly [SA, SB], CA | CB, EA | EB, ErrA | ErrB> = combinators.sum as never

/**
 * A command for one of {@link many}; its tag is the name given there.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedCommand<out Name extends string, out K extends string, out C> {
  readonly _tag: Name
  readonly key: K
  readonly command: C
}

/**
 * An event of one of {@link many}, with the tag of the event in it.
 *
 * @since 0.1.0
 * @category models
 */
export type KeyedEvent<K extends string, E extends Tagged> = E extends Tagged
  ? { readonly _tag: E["_tag"]; readonly key: K; readonly event: E }
  : never

/**
 * One decider for each key, each on a state of its own. A key that has had no event is at the initial state.
 *
 * Commands and events carry their key. The state is an immutable map, encoded as pairs in the order of their keys. Events
 * keep their tag, schema version, subject, tags and upcasters, so that they are found and read in a store as those of one
 * are.
 *
 * @example
 * ```ts
 * import * as Decider from "effect-skald/cqrs/Decider"
 * import * as Event from "effect-skald/event/Event"
 * import { Either, Schema } from "effect"
 *
 * const Taken = Event.make("Taken", {})
 * const Seat = Decider.make("seat", {
 *   state: Schema.Literal("free", "taken"),
 *   commands: Schema.TaggedStruct("Take", {}),
 *   events: Taken
 * })({
 *   initial: "free",
 *   decide: (_command, state) => Either.right(state === "free" ? [Taken({})] : []),
 *   evolve: () => "taken"
 * })
 *
 * const Hall = Decider.many("hall", Seat, { key: Schema.String })
 * Hall.decide({ _tag: "hall", key: "A1", command: { _tag: "Take" } }, Hall.initial)
 * // Either.right([{ _tag: "Taken", key: "A1", event: { _tag: "Taken" } }])
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const many: <const Name extends string, S, C, E extends Tagged, Err, K extends string, KI>(
  name: Name,
  self: Decider<string, S, C, E, Err>,
  options: { readonly key: Schema.Schema<K, KI> }
) => Decider<Name, HashMap.HashMap<K, S>, KeyedCommand<Name, K, C>, KeyedEvent<K, E>, Err> = combinators.many as never

/**
 * The same decider for other commands, each read as one of its own.
 *
 * @since 0.1.0
 * @category combinators
 */
export const contramapCommand: {
  <C2, C2I, C>(options: { readonly commands: Schema.Schema<C2, C2I>; readonly from: (command: C2) => C }): <
    Name extends string,
    S,
    E extends Tagged,
    Err
  >(self: Decider<Name, S, C, E, Err>) => Decider<Name, S, C2, E, Err>
  <Name extends string, S, C, E extends Tagged, Err, C2, C2I>(
    self: Decider<Name, S, C, E, Err>,
    options: { readonly commands: Schema.Schema<C2, C2I>; readonly from: (command: C2) => C }
  ): Decider<Name, S, C2, E, Err>
} = dual(2, combinators.contramapCommand)

/**
 * The same decider with other events. Both ways are needed, since events are decided and evolved by: `from(to(event))`
 * must mean the same as `event`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const mapEvent: {
  <E extends Tagged, E2 extends Tagged, E2I>(options: {
    readonly events: Schema.Schema<E2, E2I>
    readonly to: (event: E) => E2
    readonly from: (event: E2) => E
  }): <Name extends string, S, C, Err>(self: Decider<Name, S, C, E, Err>) => Decider<Name, S, C, E2, Err>
  <Name extends string, S, C, E extends Tagged, Err, E2 extends Tagged, E2I>(
    self: Decider<Name, S, C, E, Err>,
    options: {
      readonly events: Schema.Schema<E2, E2I>
      readonly to: (event: E) => E2
      readonly from: (event: E2) => E
    }
  ): Decider<Name, S, C, E2, Err>
} = dual(2, combinators.mapEvent)
