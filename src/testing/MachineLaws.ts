/**
 * The laws that every machine keeps, as properties to run on your own machines; and random machines to run them with.
 *
 * Two machines are the same when they give the same outputs for each input, for every sequence of inputs: states are
 * not compared unless a law says so. The laws of `tensor` are in `TensorLaws`, those of `either` in `SumLaws`, those of
 * `feedback` in `TraceLaws`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Machine from "../event/Machine.ts"
import * as Compare from "../internal/compare.ts"
import * as internal from "../internal/testing/machineObserve.ts"
import * as Law from "./Law.ts"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * What a law is checked on: one machine, or an arbitrary that draws machines.
 *
 * @since 0.1.0
 * @category models
 */
export type Given<M> = internal.Given<M>

/**
 * One machine, the sequences of inputs it is tried on, and how to compare: by content (fields of plain objects, arrays,
 * maps, `Equal`) unless told otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Subject<S, I, O, E> {
  readonly machine: Given<Machine.Machine<S, I, O, E>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<I>>
  readonly equals?: ((left: O, right: O) => boolean) | undefined
  readonly stateEquals?: ((left: S, right: S) => boolean) | undefined
  /** What storing does to a state, encoding and decoding it for example: a machine must not notice. */
  readonly snapshot?: ((state: S) => S) | undefined
}

// ------------------------------------------------------------------------------------------------------- arbitraries

/**
 * Random machines over finite alphabets, with a table of transitions that shrinks and prints.
 *
 * A step answers with 0 to `maxOutputs` outputs (3 unless given), or with what `answers` draws; there are up to
 * `maxStates` states (3 unless given). Inputs outside `inputs` are refused by a `RangeError`.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import * as MachineLaws from "effect-skald/testing/MachineLaws"
 * import { FastCheck } from "effect"
 *
 * const machine = MachineLaws.arbitrary({ inputs: ["a", "b"], outputs: [1, 2] })
 * const inputs = FastCheck.array(FastCheck.constantFrom("a", "b"))
 *
 * const program = Law.check(MachineLaws.identity({ machine, inputs }))
 * ```
 *
 * @since 0.1.0
 * @category arbitraries
 */
export const arbitrary = <I, O>(options: {
  readonly inputs: ReadonlyArray<I>
  readonly outputs: ReadonlyArray<O>
  readonly maxStates?: number | undefined
  readonly maxOutputs?: number | undefined
  readonly answers?: FastCheck.Arbitrary<ReadonlyArray<O>> | undefined
}): FastCheck.Arbitrary<Machine.Machine<number, I, O>> => {
  const { inputs, outputs } = options
  const states = options.maxStates ?? 3
  const answers = options.answers ?? (outputs.length === 0
    ? FastCheck.constant<ReadonlyArray<O>>([])
    : FastCheck.array(FastCheck.constantFrom(...outputs), { maxLength: options.maxOutputs ?? 3 }))
  const size = states * inputs.length
  return FastCheck
    .array(FastCheck.tuple(FastCheck.nat(states - 1), answers), { minLength: size, maxLength: size })
    .map((table) => {
      const machine = Machine.make<number, I, O>({
        initial: 0,
        step: (state, input) => {
          const row = table[state * inputs.length + inputs.findIndex((one) => Compare.same(one, input))]
          if (row === undefined) throw new RangeError(`${Law.show(input)} is none of the machine's inputs`)
          return row
        }
      })
      const print = () =>
        table.map(([next, answer], index) =>
          `${Math.floor(index / inputs.length)} -${Law.show(inputs[index % inputs.length])}-> ${next} ${
            Law.show(answer)
          }`
        ).join("; ")
      return Object.assign(machine, { [FastCheck.toStringMethod]: print })
    })
}

// ----------------------------------------------------------------------------------------------------------- category

/**
 * `identity ; f = f = f ; identity`, for every machine.
 *
 * @since 0.1.0
 * @category laws
 */
export const identity = <S, I, O, E>(options: Subject<S, I, O, E>): Law.Law =>
  Law.make(
    "identity is the unit of sequence",
    { machine: internal.given(options.machine), inputs: options.inputs },
    ({ inputs, machine }) => {
      const alone = ["f", internal.observe(machine, inputs)] as const
      const before = [
        "identity ; f",
        internal.observe(Machine.compose(Machine.identity<I>(), machine), inputs)
      ] as const
      const after = ["f ; identity", internal.observe(Machine.compose(machine, Machine.identity<O>()), inputs)] as const
      return internal.difference([alone, before], options) ?? internal.difference([alone, after], options)
    }
  )

/**
 * `(f ; g) ; h = f ; (g ; h)`, for every machine.
 *
 * @since 0.1.0
 * @category laws
 */
export const associativity = <A, B, C, D>(options: {
  readonly first: Given<internal.AnyState<A, B>>
  readonly second: Given<internal.AnyState<B, C>>
  readonly third: Given<internal.AnyState<C, D>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
  readonly equals?: ((left: D, right: D) => boolean) | undefined
}): Law.Law =>
  Law.make(
    "sequence is associative",
    {
      f: internal.given(options.first),
      g: internal.given(options.second),
      h: internal.given(options.third),
      inputs: options.inputs
    },
    ({ f, g, h, inputs }) =>
      internal.difference([
        ["(f ; g) ; h", internal.observe(Machine.compose(Machine.compose(f, g), h), inputs)],
        ["f ; (g ; h)", internal.observe(Machine.compose(f, Machine.compose(g, h)), inputs)]
      ], options)
  )

/**
 * `map` and `contramap` keep the identity and composition of functions, and are sequence with `lift`; for every
 * machine.
 *
 * The functions wrap and unwrap values, so that nothing about inputs and outputs is assumed.
 *
 * @since 0.1.0
 * @category laws
 */
export const functor = <S, I, O, E>(options: Subject<S, I, O, E>): Law.Law =>
  Law.make(
    "map and contramap are functors",
    { machine: internal.given(options.machine), inputs: options.inputs },
    ({ inputs, machine }) => {
      const equals = options.equals ?? Compare.same
      const wrap = <A>(value: A) => ({ value })
      const unwrap = <A>(wrapped: { readonly value: A }) => wrapped.value
      const deep = inputs.map((input) => wrap(wrap(input)))
      const twice = {
        equals: (left: { value: { value: O } }, right: { value: { value: O } }) =>
          equals(left.value.value, right.value.value)
      }
      const alone = ["f", internal.observe(machine, inputs)] as const
      return internal.difference(
        [alone, ["f map identity", internal.observe(Machine.map(machine, (output) => output), inputs)]],
        options
      ) ?? internal.difference(
        [alone, ["f contramap identity", internal.observe(Machine.contramap(machine, (input: I) => input), inputs)]],
        options
      ) ?? internal.difference([
        ["f map wrap map wrap", internal.observe(Machine.map(Machine.map(machine, wrap), wrap), inputs)],
        ["f map (wrap then wrap)", internal.observe(Machine.map(machine, (output) => wrap(wrap(output))), inputs)]
      ], twice) ?? internal.difference([
        [
          "f contramap unwrap contramap unwrap",
          internal.observe(machine.pipe(Machine.contramap(unwrap<I>), Machine.contramap(unwrap<{ value: I }>)), deep)
        ],
        ["f", internal.observe(machine, inputs)]
      ], options) ?? internal.difference([
        ["f map wrap", internal.observe(Machine.map(machine, (output) => wrap(wrap(output))), inputs)],
        [
          "f ; lift wrap",
          internal.observe(Machine.compose(machine, Machine.lift((output: O) => wrap(wrap(output)))), inputs)
        ]
      ], twice) ?? internal.difference([
        [
          "lift unwrap ; f",
          internal.observe(
            Machine.compose(Machine.lift((input: { value: { value: I } }) => input.value.value), machine),
            deep
          )
        ],
        alone
      ], options)
    }
  )

// ------------------------------------------------------------------------------------------------------------ running

/**
 * How a history is cut into chunks makes no difference to outputs, failure or final state; for every machine.
 *
 * @since 0.1.0
 * @category laws
 */
export const chunking = <S, I, O, E>(options: Subject<S, I, O, E>): Law.Law =>
  Law.make(
    "chunking does not matter",
    {
      machine: internal.given(options.machine),
      inputs: options.inputs,
      cuts: FastCheck.array(FastCheck.nat(), { maxLength: 5 })
    },
    ({ cuts, inputs, machine }) => {
      const whole = end(Machine.runEither(machine, machine.initial, inputs))
      let chunked: Ended<S, O, E> = { state: machine.initial, outputs: [] }
      let from = 0
      for (const to of [...cuts.map((cut) => cut % (inputs.length + 1)).sort((a, b) => a - b), inputs.length]) {
        const next = end(Machine.runEither(machine, chunked.state, inputs.slice(from, to)))
        chunked = { ...next, outputs: [...chunked.outputs, ...next.outputs] }
        if ("failure" in next) {
          chunked = { ...chunked, failure: { ...next.failure, index: from + next.failure.index } }
          break
        }
        from = to
      }
      const same = internal.sameLists(whole.outputs, chunked.outputs, options.equals ?? Compare.same) &&
        (options.stateEquals ?? Compare.same)(whole.state, chunked.state) &&
        Compare.same(whole.failure, chunked.failure)
      return same ? undefined : { "at once": whole, "in chunks": chunked }
    }
  )

interface Ended<S, O, E> {
  readonly state: S
  readonly outputs: ReadonlyArray<O>
  readonly failure?: { readonly error: E; readonly index: number }
}

const end = <S, O, E>(
  answer: Either.Either<readonly [S, ReadonlyArray<O>], Machine.Stopped<S, O, E>>
): Ended<S, O, E> =>
  Either.isRight(answer) ? { state: answer.right[0], outputs: answer.right[1] } : {
    state: answer.left.state,
    outputs: answer.left.outputs,
    failure: { error: answer.left.error, index: answer.left.index }
  }

/**
 * `replay(a ++ b) = replay(b) from replay(a)`, with a snapshot stored and read in between; for every machine. Of a
 * machine that fails, it is the history before the failure that is replayed.
 *
 * Compared are the states and what the machine goes on to answer.
 *
 * @since 0.1.0
 * @category laws
 */
export const replay = <S, I, O, E>(options: Subject<S, I, O, E>): Law.Law =>
  Law.make(
    "replay(a ++ b) = replay(b) from replay(a)",
    { machine: internal.given(options.machine), a: options.inputs, b: options.inputs },
    ({ a, b, machine }) => {
      const history = [...a, ...b]
      const whole = Machine.runEither(machine, machine.initial, history)
      const length = Either.isRight(whole) ? history.length : whole.left.index
      const cut = Math.min(a.length, length)
      const first = end(Machine.runEither(machine, machine.initial, history.slice(0, cut)))
      const stored = options.snapshot === undefined ? first.state : options.snapshot(first.state)
      const second = end(Machine.runEither(machine, stored, history.slice(cut, length)))
      const all = end(whole)
      const same = (options.stateEquals ?? Compare.same)(all.state, second.state) &&
        internal.sameLists(all.outputs, [...first.outputs, ...second.outputs], options.equals ?? Compare.same)
      return same ? undefined : { "replay(a ++ b)": all, "replay(b) from replay(a)": second, "replay(a)": first }
    }
  )

/**
 * A step answers the same for the same, and changes neither its state nor its input; for every machine.
 *
 * States and inputs that are plain objects or arrays are frozen, so that a step which changes them throws.
 *
 * @since 0.1.0
 * @category laws
 */
export const purity = <S, I, O, E>(options: Subject<S, I, O, E>): Law.Law =>
  Law.make(
    "steps are pure",
    { machine: internal.given(options.machine), inputs: options.inputs },
    ({ inputs, machine }) => {
      let state = freeze(machine.initial)
      for (const input of inputs) {
        freeze(input)
        const first = end(Machine.runEither(machine, state, [input]))
        const second = end(Machine.runEither(machine, state, [input]))
        const same = (options.stateEquals ?? Compare.same)(first.state, second.state) &&
          internal.sameLists(first.outputs, second.outputs, options.equals ?? Compare.same) &&
          Compare.same(first.failure, second.failure)
        if (!same) return { "state before": state, input, "first time": first, "second time": second }
        if (first.failure !== undefined) return undefined
        state = freeze(first.state)
      }
      return undefined
    }
  )

const freeze = <A>(value: A): A => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) return value
  Object.freeze(value)
  for (const part of Object.values(value)) freeze(part)
  return value
}

// --------------------------------------------------------------------------------------------------- keys and folds

/**
 * Of the inputs of one key, `keyed` makes what the machine alone makes of them; for every machine.
 *
 * @since 0.1.0
 * @category laws
 */
export const keyed = <S, I, O, E, K>(
  options: Subject<S, I, O, E> & { readonly key: (input: I) => K }
): Law.Law =>
  Law.make(
    "keys do not see each other",
    { machine: internal.given(options.machine), inputs: options.inputs },
    ({ inputs, machine }) => {
      const all = internal.observe(Machine.keyed(machine, options.key), inputs)
      const seen = inputs.slice(0, all.outputs.length)
      for (const key of seen.map(options.key)) {
        const own = seen.map((input, index) => ({ input, outputs: all.outputs[index] ?? [] }))
          .filter(({ input }) => Compare.same(options.key(input), key))
        const difference = internal.difference([
          [`keyed, for ${Law.show(key)}`, { outputs: own.map(({ outputs }) => outputs) }],
          [`alone, for ${Law.show(key)}`, internal.observe(machine, own.map(({ input }) => input))]
        ], options)
        if (difference !== undefined) return difference
      }
      return undefined
    }
  )

/**
 * Fold fusion: where `through(reduce(s, i)) = fused(through(s), i)`, folding with `reduce` and then going `through` is
 * folding with `fused`. Checks the conclusion after every prefix of the history: a read model that is computed directly
 * agrees with one that is computed from another's state.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import * as MachineLaws from "effect-skald/testing/MachineLaws"
 * import { FastCheck } from "effect"
 *
 * const program = Law.check(MachineLaws.foldFusion({
 *   initial: [] as ReadonlyArray<number>,
 *   reduce: (all, n: number) => [...all, n],
 *   through: (all) => all.length,
 *   fused: (count) => count + 1,
 *   inputs: FastCheck.array(FastCheck.integer())
 * }))
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const foldFusion = <S, T, I>(options: {
  readonly initial: S
  readonly reduce: (state: S, input: I) => S
  readonly through: (state: S) => T
  readonly fused: (state: T, input: I) => T
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<I>>
  readonly equals?: ((left: T, right: T) => boolean) | undefined
}): Law.Law =>
  Law.make("fold fusion", { inputs: options.inputs }, ({ inputs }) => {
    const { fused, initial, reduce, through } = options
    return internal.difference([
      ["fold, then through", internal.observe(Machine.map(Machine.scan(initial, reduce), through), inputs)],
      ["fused fold", internal.observe(Machine.scan(through(initial), fused), inputs)]
    ], options)
  })

// ---------------------------------------------------------------------------------------------------------- together

/**
 * All laws of one machine: identity, functors, chunking, replay, purity.
 *
 * @since 0.1.0
 * @category laws
 */
export const laws = <S, I, O, E>(options: Subject<S, I, O, E>): ReadonlyArray<Law.Law> => [
  identity(options),
  functor(options),
  chunking(options),
  replay(options),
  purity(options)
]

/**
 * Checks all laws of one machine.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import * as MachineLaws from "effect-skald/testing/MachineLaws"
 * import { Effect, FastCheck } from "effect"
 *
 * const balance = Machine.scan(0, (sum, amount: number) => sum + amount)
 *
 * Effect.runSync(MachineLaws.check({ machine: balance, inputs: FastCheck.array(FastCheck.integer()) }))
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const check = <S, I, O, E>(
  options: Subject<S, I, O, E>,
  parameters?: Law.Parameters
): Effect.Effect<void, Law.LawBroken> => Law.check(laws(options), parameters)
