/**
 * The pure algebra beneath the house: a machine is an initial state and a step `(state, input) → (state, outputs)`.
 *
 * A decider is a machine from commands to events, a projection one from events to a state, a process manager one from
 * events to commands, a pattern matcher one from events to matches. Machines compose in sequence (`compose`), side by
 * side (`tensor`), by choice (`either`), over many keys (`keyed`) and with feedback (`feedback`); `docs/algebra.md`
 * says which laws hold for which machines, and `effect-skald/testing/MachineLaws` checks them on yours.
 *
 * Steps are synchronous and pure: they do not change their arguments, and answer the same for the same. That is what
 * makes replay, snapshots, chunks and rebuilds agree.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as HashMap from "effect/HashMap"
import type { Inspectable } from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import * as internal from "../internal/event/machine.ts"
import * as composing from "../internal/event/machineCompose.ts"
import * as keying from "../internal/event/machineKeyed.ts"
import * as streaming from "../internal/event/machineStream.ts"

/**
 * The mark of a machine.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-skald/event/Machine")

/**
 * The type of the mark of a machine.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

// -------------------------------------------------------------------------------------------------------------- models

/**
 * An initial state `S` and a step from a state and an input `I` to a state and any number of outputs `O`.
 *
 * `E` is what a step may fail with. Only `feedback` and `absolve` bring a failure in and only `catchAll` takes it out;
 * with `E = never` a machine answers every input. An input that fails counts as never given: neither its outputs nor
 * the state it had reached are seen.
 *
 * @since 0.1.0
 * @category models
 */
export interface Machine<in out S, in I, out O, out E = never> extends Pipeable, Inspectable {
  readonly [TypeId]: {
    readonly _S: Types.Invariant<S>
    readonly _I: Types.Contravariant<I>
    readonly _O: Types.Covariant<O>
    readonly _E: Types.Covariant<E>
  }
  /** The state before any input. */
  readonly initial: S
}

/**
 * What goes through `A ⊗ B` in one turn: a list of `A` on the left wire and a list of `B` on the right one, either of
 * which may be empty. The order within a wire means something, the order between the two does not.
 *
 * @since 0.1.0
 * @category models
 */
export type Turn<A, B> = readonly [left: ReadonlyArray<A>, right: ReadonlyArray<B>]

/**
 * Where `runEither` stopped: the failure, the index of the input that failed, and the state and outputs before it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stopped<S, O, E> {
  readonly error: E
  readonly index: number
  readonly state: S
  readonly outputs: ReadonlyArray<O>
}

/**
 * Feedback did not come to rest: after `maxTurns` tokens that came back because of one input, `pending` more were
 * waiting.
 *
 * @since 0.1.0
 * @category errors
 */
export class FeedbackUnsettled
  extends Schema.TaggedError<FeedbackUnsettled>("effect-skald/event/FeedbackUnsettled")("FeedbackUnsettled", {
    /** The input that set it off. */
    input: Schema.Unknown,
    maxTurns: Schema.Number,
    pending: Schema.Number
  })
{
  override get message(): string {
    return `feedback did not settle within ${this.maxTurns} turns for one input, ${this.pending} still waiting`
  }
}

/**
 * How many tokens may come back for one input of `feedback`, unless it is told otherwise: 1,000.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMaxTurns = 1000

/**
 * Whether a value is a machine.
 *
 * @since 0.1.0
 * @category guards
 */
export const isMachine = (value: unknown): value is Machine<unknown, never, unknown, unknown> =>
  hasProperty(value, TypeId)

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * Builds a machine from its initial state and its step.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const everySecond = Machine.make({
 *   initial: 0,
 *   step: (seen, word: string) => [seen + 1, seen % 2 === 1 ? [word] : []]
 * })
 *
 * Machine.run(everySecond, everySecond.initial, ["a", "b", "c", "d"]) // [4, ["b", "d"]]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <S, I, O>(options: {
  readonly initial: S
  readonly step: (state: S, input: I) => readonly [state: S, outputs: ReadonlyArray<O>]
}): Machine<S, I, O> => internal.fromOpen(options.initial, internal.stepping(options.step))

/**
 * Builds a machine whose step hands out its outputs by calling `emit`, before it returns the next state; for hot paths,
 * since nothing is allocated for an input.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const rises = Machine.makeEmit({
 *   initial: 0,
 *   step: (last, price: number, emit: (rise: number) => void) => {
 *     if (price > last) emit(price - last)
 *     return price
 *   }
 * })
 *
 * Machine.run(rises, 10, [12, 11, 15]) // [15, [2, 4]]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEmit = <S, I, O = never>(options: {
  readonly initial: S
  readonly step: (state: S, input: I, emit: (output: O) => void) => S
}): Machine<S, I, O> => internal.fromOpen(options.initial, internal.emitting(options.step))

/**
 * The machine that remembers nothing and answers each input with one output.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const cents = Machine.lift((euros: number) => euros * 100)
 *
 * Machine.run(cents, null, [1, 2]) // [null, [100, 200]]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const lift = <I, O>(f: (input: I) => O): Machine<null, I, O> =>
  internal.fromOpen(null, (_state, emit) => ({ push: (input) => emit(f(input)), state: () => null }))

/**
 * The machine that answers each input with itself: what `compose` leaves a machine unchanged with.
 *
 * @since 0.1.0
 * @category constructors
 */
export const identity = <A>(): Machine<null, A, A> => internal.fromOpen(null, passing)

const passing: internal.Open<null, any, any> = (_state, emit) => ({ push: emit, state: () => null })

/**
 * The identity of the unit `I` of `tensor`: a wire on which nothing but the empty list of events ever comes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unit: Machine<null, never, never> = identity()

/**
 * Makes a machine of a plain reducer: it keeps the state and answers nothing. Its `replay` is the fold of the history.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const balance = Machine.fold(0, (sum, amount: number) => sum + amount)
 *
 * Machine.replay(balance, balance.initial, [100, -30, 5]) // 75
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fold = <S, I>(initial: S, reduce: (state: S, input: I) => S): Machine<S, I, never> =>
  internal.fromOpen(initial, internal.emitting(reduce))

/**
 * Like `fold`, and answers each input with the state after it.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const balance = Machine.scan(0, (sum, amount: number) => sum + amount)
 *
 * Machine.run(balance, balance.initial, [100, -30, 5]) // [75, [100, 70, 75]]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const scan = <S, I>(initial: S, reduce: (state: S, input: I) => S): Machine<S, I, S> =>
  internal.fromOpen(
    initial,
    internal.emitting((state, input: I, emit: (output: S) => void) => {
      const next = reduce(state, input)
      emit(next)
      return next
    })
  )

// --------------------------------------------------------------------------------------------------------- combinators

/**
 * In sequence: every output of the first machine is an input of `that`, in order.
 *
 * The outputs for one input of the whole are those of `that` for all that the first answered. Chains of thousands are
 * fine, however they are nested: they neither open nor run on a deep call stack.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const words = Machine.make({ initial: null, step: (state, line: string) => [state, line.split(" ")] })
 * const numbered = Machine.make({ initial: 1, step: (n, word: string) => [n + 1, [`${n} ${word}`]] })
 * const machine = words.pipe(Machine.compose(numbered))
 *
 * Machine.run(machine, machine.initial, ["to be", "or"]) // [[null, 4], ["1 to", "2 be", "3 or"]]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const compose: {
  <S2, O, O2, E2>(
    that: Machine<S2, O, O2, E2>
  ): <S1, I, E1>(self: Machine<S1, I, O, E1>) => Machine<readonly [S1, S2], I, O2, E1 | E2>
  <S1, I, O, E1, S2, O2, E2>(
    self: Machine<S1, I, O, E1>,
    that: Machine<S2, O, O2, E2>
  ): Machine<readonly [S1, S2], I, O2, E1 | E2>
} = dual(2, composing.compose)

/**
 * Side by side (`⊗`): the left list of a turn goes through the first machine, the right list through `that`, and what
 * they answer is one turn.
 *
 * Wires carry lists because machines answer with any number of outputs: on pairs of single values, interchange would
 * hold only for machines with exactly one output for each input. If both sides fail in one turn, the left failure is
 * reported.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const total = Machine.fold(0, (sum, amount: number) => sum + amount)
 * const largest = Machine.fold(0, (most, amount: number) => Math.max(most, amount))
 * // two projections of the same events
 * const both = Machine.tensor(total, largest).pipe(
 *   Machine.contramap((amount: number) => [[amount], [amount]] as const)
 * )
 *
 * Machine.replay(both, both.initial, [3, 9, 4]) // [16, 9]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const tensor: {
  <S2, I2, O2, E2>(
    that: Machine<S2, I2, O2, E2>
  ): <S1, I1, O1, E1>(
    self: Machine<S1, I1, O1, E1>
  ) => Machine<readonly [S1, S2], Turn<I1, I2>, Turn<O1, O2>, E1 | E2>
  <S1, I1, O1, E1, S2, I2, O2, E2>(
    self: Machine<S1, I1, O1, E1>,
    that: Machine<S2, I2, O2, E2>
  ): Machine<readonly [S1, S2], Turn<I1, I2>, Turn<O1, O2>, E1 | E2>
} = dual(2, <S1, I1, O1, E1, S2, I2, O2, E2>(
  self: Machine<S1, I1, O1, E1>,
  that: Machine<S2, I2, O2, E2>
) => internal.fromOpen([self.initial, that.initial], internal.tensor(self, that)))

/**
 * By choice: a `Left` goes to the first machine and its outputs come out as `Left`, a `Right` goes to `that`.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { Either } from "effect"
 *
 * const orders = Machine.scan(0, (count, _order: string) => count + 1)
 * const payments = Machine.scan(0, (sum, amount: number) => sum + amount)
 * const machine = Machine.either(orders, payments)
 *
 * Machine.run(machine, machine.initial, [Either.left("o-1"), Either.right(20), Either.right(5)])
 * // [[1, 25], [Either.left(1), Either.right(20), Either.right(25)]]
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const either: {
  <S2, I2, O2, E2>(
    that: Machine<S2, I2, O2, E2>
  ): <S1, I1, O1, E1>(
    self: Machine<S1, I1, O1, E1>
  ) => Machine<readonly [S1, S2], Either.Either<I2, I1>, Either.Either<O2, O1>, E1 | E2>
  <S1, I1, O1, E1, S2, I2, O2, E2>(
    self: Machine<S1, I1, O1, E1>,
    that: Machine<S2, I2, O2, E2>
  ): Machine<readonly [S1, S2], Either.Either<I2, I1>, Either.Either<O2, O1>, E1 | E2>
} = dual(2, <S1, I1, O1, E1, S2, I2, O2, E2>(
  self: Machine<S1, I1, O1, E1>,
  that: Machine<S2, I2, O2, E2>
) => internal.fromOpen([self.initial, that.initial], internal.either(self, that)))

/**
 * Over many keys: one copy of the machine for each key, started when its first input comes.
 *
 * Keys are compared by `Equal`, as in `HashMap` (so `Data` keys by content; `NaN`, which equals nothing, is a new key
 * each time). Where `done` says so of a key's state after an input, the key is forgotten, and its next input starts
 * afresh.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { HashMap } from "effect"
 *
 * const stock = Machine.scan(0, (left, move: { sku: string; by: number }) => left + move.by)
 * const all = stock.pipe(Machine.keyed((move: { sku: string; by: number }) => move.sku))
 * const [state] = Machine.run(all, all.initial, [{ sku: "a", by: 5 }, { sku: "b", by: 2 }, { sku: "a", by: -1 }])
 *
 * HashMap.get(state, "a") // Option.some(4)
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const keyed: {
  <I, K>(
    keyOf: (input: I) => K
  ): <S, O, E>(self: Machine<S, I, O, E>) => Machine<HashMap.HashMap<K, S>, I, O, E>
  <S, I, K>(
    keyOf: (input: I) => K,
    options: { readonly done?: ((state: S) => boolean) | undefined }
  ): <O, E>(self: Machine<S, I, O, E>) => Machine<HashMap.HashMap<K, S>, I, O, E>
  <S, I, O, E, K>(
    self: Machine<S, I, O, E>,
    keyOf: (input: I) => K,
    options?: { readonly done?: ((state: S) => boolean) | undefined }
  ): Machine<HashMap.HashMap<K, S>, I, O, E>
} = dual((args) => isMachine(args[0]), <S, I, O, E, K>(
  self: Machine<S, I, O, E>,
  keyOf: (input: I) => K,
  options?: { readonly done?: ((state: S) => boolean) | undefined }
) => internal.fromOpen(HashMap.empty<K, S>(), keying.keyed(self, keyOf, options?.done)))

/**
 * With feedback (the trace over the sum): of what the machine answers, a `Right` goes out, and a `Left` is a token that
 * comes back in, until none is left.
 *
 * Tokens that come back wait in one queue, first in, first out, and what goes out goes out at once; an input has
 * settled before the next one is taken. Fails with `FeedbackUnsettled` when more than `maxTurns` tokens come back for
 * one input (`defaultMaxTurns`). Throws a `RangeError` if `maxTurns` is not a whole number, 0 or more.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { Either } from "effect"
 *
 * // a policy: half of what is left is asked for again, and everything is reported
 * const halving = Machine.lift((input: Either.Either<number, number>) => Either.merge(input)).pipe(
 *   Machine.compose(Machine.make({
 *     initial: null,
 *     step: (state, n: number) => [state, n > 1 ? [Either.right(n), Either.left(n >> 1)] : [Either.right(n)]]
 *   })),
 *   Machine.feedback()
 * )
 *
 * Machine.runEither(halving, halving.initial, [10]) // Either.right([[null, null], [10, 5, 2, 1]])
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const feedback: {
  (options?: { readonly maxTurns?: number | undefined }): <S, A, B, U, E>(
    self: Machine<S, Either.Either<A, U>, Either.Either<B, U>, E>
  ) => Machine<S, A, B, E | FeedbackUnsettled>
  <S, A, B, U, E>(
    self: Machine<S, Either.Either<A, U>, Either.Either<B, U>, E>,
    options?: { readonly maxTurns?: number | undefined }
  ): Machine<S, A, B, E | FeedbackUnsettled>
} = dual((args) => isMachine(args[0]), <S, A, B, U, E>(
  self: Machine<S, Either.Either<A, U>, Either.Either<B, U>, E>,
  options?: { readonly maxTurns?: number | undefined }
): Machine<S, A, B, E | FeedbackUnsettled> => {
  const maxTurns = options?.maxTurns ?? defaultMaxTurns
  if (!Number.isSafeInteger(maxTurns) || maxTurns < 0) {
    throw new RangeError(`maxTurns must be a whole number, 0 or more, and is ${maxTurns}`)
  }
  return internal.fromOpen(
    self.initial,
    internal.feedback(self, maxTurns, (input, pending) => new FeedbackUnsettled({ input, maxTurns, pending }))
  )
})

/**
 * Changes each output by a function.
 *
 * @since 0.1.0
 * @category combinators
 */
export const map: {
  <O, O2>(f: (output: O) => O2): <S, I, E>(self: Machine<S, I, O, E>) => Machine<S, I, O2, E>
  <S, I, O, E, O2>(self: Machine<S, I, O, E>, f: (output: O) => O2): Machine<S, I, O2, E>
} = dual(
  2,
  <S, I, O, E, O2>(self: Machine<S, I, O, E>, f: (output: O) => O2): Machine<S, I, O2, E> =>
    internal.fromOpen(
      self.initial,
      (state, emit) => internal.open(self, state, (output) => emit(f(output)))
    )
)

/**
 * Changes each input by a function before the machine sees it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const contramap: {
  <I2, I>(f: (input: I2) => I): <S, O, E>(self: Machine<S, I, O, E>) => Machine<S, I2, O, E>
  <S, I, O, E, I2>(self: Machine<S, I, O, E>, f: (input: I2) => I): Machine<S, I2, O, E>
} = dual(
  2,
  <S, I, O, E, I2>(self: Machine<S, I, O, E>, f: (input: I2) => I): Machine<S, I2, O, E> =>
    internal.fromOpen(self.initial, (state, emit) => {
      const inner = internal.open(self, state, emit)
      return { push: (input) => inner.push(f(input)), state: inner.state }
    })
)

/**
 * The same machine, started elsewhere: from a snapshot, for example.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withInitial: {
  <S>(initial: S): <I, O, E>(self: Machine<S, I, O, E>) => Machine<S, I, O, E>
  <S, I, O, E>(self: Machine<S, I, O, E>, initial: S): Machine<S, I, O, E>
} = dual(
  2,
  <S, I, O, E>(self: Machine<S, I, O, E>, initial: S): Machine<S, I, O, E> =>
    internal.fromOpen(initial, internal.opening(self))
)

// ------------------------------------------------------------------------------------------------------------ failures

/**
 * Fails where the machine answers with a `Left`, and unpacks the `Right`s.
 *
 * @since 0.1.0
 * @category failures
 */
export const absolve = <S, I, O, E2, E>(self: Machine<S, I, Either.Either<O, E2>, E>): Machine<S, I, O, E | E2> =>
  internal.fromOpen(self.initial, internal.absolve(self))

/**
 * Answers an input that fails with what `handler` gives instead; the state stays as it was before that input.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { Either } from "effect"
 *
 * const sums = Machine.scan(0, (sum, n: number) => sum + n).pipe(
 *   Machine.map((sum) => sum < 0 ? Either.left("overdrawn") : Either.right(sum)),
 *   Machine.absolve,
 *   Machine.catchAll((reason, n) => [`${n}: ${reason}`])
 * )
 *
 * Machine.run(sums, sums.initial, [3, -5, 1]) // [4, [3, "-5: overdrawn", 4]]
 * ```
 *
 * @since 0.1.0
 * @category failures
 */
export const catchAll: {
  <E, I, O2>(
    handler: (error: E, input: I) => ReadonlyArray<O2>
  ): <S, O>(self: Machine<S, I, O, E>) => Machine<S, I, O | O2>
  <S, I, O, E, O2>(
    self: Machine<S, I, O, E>,
    handler: (error: E, input: I) => ReadonlyArray<O2>
  ): Machine<S, I, O | O2>
} = dual(2, <S, I, O, E, O2>(
  self: Machine<S, I, O, E>,
  handler: (error: E, input: I) => ReadonlyArray<O2>
): Machine<S, I, O | O2> => internal.fromOpen(self.initial, internal.catchAll(self, handler)))

// ------------------------------------------------------------------------------------------------------------- running

/**
 * One step: the next state, and the outputs for one input.
 *
 * @since 0.1.0
 * @category destructors
 */
export const step: {
  <S, I>(state: S, input: I): <O>(self: Machine<S, I, O>) => readonly [state: S, outputs: ReadonlyArray<O>]
  <S, I, O>(self: Machine<S, I, O>, state: S, input: I): readonly [state: S, outputs: ReadonlyArray<O>]
} = dual(3, <S, I, O>(self: Machine<S, I, O>, state: S, input: I) => run(self, state, [input]))

/**
 * Runs a chunk of inputs from a state, and gives the state after it and all outputs in order.
 *
 * How a history is cut into chunks makes no difference. A machine that may fail is run by `runEither`.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const sums = Machine.scan(0, (sum, n: number) => sum + n)
 * const [state, first] = Machine.run(sums, sums.initial, [1, 2])  // [3, [1, 3]]
 * const [, second] = Machine.run(sums, state, [3])                // [6, [6]]
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const run: {
  <S, I>(
    state: S,
    inputs: Iterable<I>
  ): <O>(self: Machine<S, I, O>) => readonly [state: S, outputs: ReadonlyArray<O>]
  <S, I, O>(
    self: Machine<S, I, O>,
    state: S,
    inputs: Iterable<I>
  ): readonly [state: S, outputs: ReadonlyArray<O>]
} = dual(
  3,
  <S, I, O>(
    self: Machine<S, I, O>,
    state: S,
    inputs: Iterable<I>
  ): readonly [state: S, outputs: ReadonlyArray<O>] => {
    const outputs: Array<O> = []
    const next = internal.run(self, state, inputs, (output) => {
      outputs.push(output)
    })
    return [next, outputs]
  }
)

/**
 * Runs a chunk of inputs through a machine that may fail.
 *
 * A failure says at which input it was, and what state and outputs there were before that input; the inputs after it
 * were not taken.
 *
 * @since 0.1.0
 * @category destructors
 */
export const runEither: {
  <S, I>(
    state: S,
    inputs: Iterable<I>
  ): <O, E>(
    self: Machine<S, I, O, E>
  ) => Either.Either<readonly [state: S, outputs: ReadonlyArray<O>], Stopped<S, O, E>>
  <S, I, O, E>(
    self: Machine<S, I, O, E>,
    state: S,
    inputs: Iterable<I>
  ): Either.Either<readonly [state: S, outputs: ReadonlyArray<O>], Stopped<S, O, E>>
} = dual(3, internal.runEither)

/**
 * The state over a history: `replay(m, s, [...a, ...b])` is `replay(m, replay(m, s, a), b)`. Outputs are not kept.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 *
 * const balance = Machine.fold(0, (sum, amount: number) => sum + amount)
 * const snapshot = Machine.replay(balance, balance.initial, [100, -30])
 *
 * Machine.replay(balance, snapshot, [5]) // 75, as from the beginning
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const replay: {
  <S, I>(state: S, history: Iterable<I>): <O>(self: Machine<S, I, O>) => S
  <S, I, O>(self: Machine<S, I, O>, state: S, history: Iterable<I>): S
} = dual(3, <S, I, O>(self: Machine<S, I, O>, state: S, history: Iterable<I>): S => internal.run(self, state, history))

// ------------------------------------------------------------------------------------------------------------- streams

/**
 * Drives a machine from a Stream: its inputs are the elements, its outputs the elements of the new stream.
 *
 * Works chunk by chunk. Each run of the stream starts at the initial state (`withInitial` changes it). When the machine
 * fails, what it answered to earlier inputs still comes out.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { Stream } from "effect"
 *
 * const sums = Stream.make(1, 2, 3).pipe(Machine.toStream(Machine.scan(0, (sum, n: number) => sum + n))) // 1, 3, 6
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const toStream: <S, I, O, E>(
  self: Machine<S, I, O, E>
) => <E2, R>(stream: Stream.Stream<I, E2, R>) => Stream.Stream<O, E | E2, R> = streaming.toStream

/**
 * Drives a machine from a Stream, starting at a given state, and gives the state back: one element for each chunk of
 * inputs, with the state after it and the outputs for it, so that both can be stored together.
 *
 * When the machine fails inside a chunk, what came before the failing input is one more element, then the stream fails.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { Effect, Stream } from "effect"
 *
 * const sums = Machine.scan(0, (sum, n: number) => sum + n)
 * const program = Stream.make(1, 2, 3).pipe(
 *   Machine.toStreamFrom(sums, 10),
 *   Stream.runForEach(([state, outputs]) => Effect.log(`checkpoint ${state} after ${outputs.length} outputs`))
 * )
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const toStreamFrom: <S, I, O, E>(
  self: Machine<S, I, O, E>,
  state: S
) => <E2, R>(
  stream: Stream.Stream<I, E2, R>
) => Stream.Stream<readonly [state: S, outputs: ReadonlyArray<O>], E | E2, R> = streaming.toStreamFrom

/**
 * The replay of a Stream: the state after all its elements, from a given state. Outputs are not kept.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import { Stream } from "effect"
 *
 * const balance = Machine.fold(0, (sum, amount: number) => sum + amount)
 * const program = Stream.run(Stream.make(100, -30, 5), Machine.toSink(balance, balance.initial)) // Effect of 75
 * ```
 *
 * @since 0.1.0
 * @category streams
 */
export const toSink: <S, I, O, E>(self: Machine<S, I, O, E>, state: S) => Sink.Sink<S, I, never, E> = streaming.toSink
