/**
 * The laws of feedback: the axioms of a trace over the sum, as properties to run on your own machines.
 *
 * `Tr(f)` is `Machine.feedback(f)`. With tokens taken first in, first out, tightening on the right, sliding, vanishing
 * over the empty wire, yanking and superposing hold for all machines. Tightening on the left and vanishing over two
 * wires hold where no two things are on the way at once, and only there; `docs/algebra.md` shows why, and the tests of
 * this library show the counterexamples. Cases in which a side does not settle are left out: the two sides count turns
 * differently.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Machine from "../event/Machine.ts"
import * as Wiring from "../event/MachineWiring.ts"
import * as core from "../internal/event/machine.ts"
import * as internal from "../internal/testing/machineObserve.ts"
import * as Law from "./Law.ts"
import type { Given } from "./MachineLaws.ts"

/**
 * A machine whose `Left`s are fed back and whose `Right`s come from outside and go out.
 *
 * @since 0.1.0
 * @category models
 */
export type Body<A, B, U, V = U> = Machine.Machine<any, Either.Either<A, U>, Either.Either<B, V>, unknown>

const settled = <O>(observed: internal.Observed<O>): internal.Observed<O> => {
  FastCheck.pre(!(observed.failure instanceof Machine.FeedbackUnsettled))
  return observed
}

const trace = <A, B, U>(body: Body<A, B, U>) => Machine.feedback(body)

const observe = <A, B>(machine: internal.AnyState<A, B>, inputs: ReadonlyArray<A>) =>
  settled(internal.observe(machine, inputs))

/**
 * Tightening on the left (naturality in the input): `Tr((h + U) ; f) = h ; Tr(f)`, for every `h` with at most one
 * output for each input. Inputs to which `h` answers more are cut off.
 *
 * With two outputs, `h ; Tr(f)` settles the first before the second is taken, and `Tr((h + U) ; f)` takes both first.
 *
 * @since 0.1.0
 * @category laws
 */
export const tighteningLeft = <A0, A, B, U>(options: {
  readonly before: Given<internal.AnyState<A0, A>>
  readonly machine: Given<Body<A, B, U>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A0>>
}): Law.Law =>
  Law.make(
    "feedback tightens on the left",
    { h: internal.given(options.before), f: internal.given(options.machine), inputs: options.inputs },
    ({ f, h, inputs }) => {
      const many = internal.observe(h, inputs).outputs.findIndex((outputs) => outputs.length > 1)
      const some = many < 0 ? inputs : inputs.slice(0, many)
      FastCheck.pre(inputs.length === 0 || some.length > 0)
      return internal.difference([
        ["Tr((h + U) ; f)", observe(trace(Machine.compose(Machine.either(Machine.identity<U>(), h), f)), some)],
        ["h ; Tr(f)", observe(Machine.compose(h, trace(f)), some)]
      ])
    }
  )

/**
 * Tightening on the right (naturality in the output): `Tr(f ; (k + U)) = Tr(f) ; k`, for all machines.
 *
 * It holds because what goes out goes out at once, before any token comes back.
 *
 * @since 0.1.0
 * @category laws
 */
export const tighteningRight = <A, B, C, U>(options: {
  readonly machine: Given<Body<A, B, U>>
  readonly after: Given<internal.AnyState<B, C>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
}): Law.Law =>
  Law.make(
    "feedback tightens on the right",
    { f: internal.given(options.machine), k: internal.given(options.after), inputs: options.inputs },
    ({ f, inputs, k }) =>
      internal.difference([
        ["Tr(f ; (k + U))", observe(trace(Machine.compose(f, Machine.either(Machine.identity<U>(), k))), inputs)],
        ["Tr(f) ; k", observe(Machine.compose(trace(f), k), inputs)]
      ])
  )

/**
 * Sliding (dinaturality): `Tr(f ; (B + g)) = Tr((A + g) ; f)` for `f : A + U → B + V` and `g : V → U`, for all
 * machines.
 *
 * It holds because tokens are taken first in, first out; with the newest first, `g` would see them in another order on
 * one side than on the other. Where both machines fail in one turn, only that both sides fail is asked.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import * as MachineLaws from "effect-skald/testing/MachineLaws"
 * import * as TraceLaws from "effect-skald/testing/TraceLaws"
 * import { Either, FastCheck } from "effect"
 *
 * const ports: ReadonlyArray<Either.Either<string, string>> = [Either.right("a"), Either.left("u")]
 *
 * const program = Law.check(TraceLaws.sliding({
 *   machine: MachineLaws.arbitrary({ inputs: ports, outputs: ports, maxOutputs: 2 }),
 *   slide: MachineLaws.arbitrary({ inputs: ["u"], outputs: ["u"] }),
 *   inputs: FastCheck.array(FastCheck.constant("a"))
 * }))
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const sliding = <A, B, U, V>(options: {
  readonly machine: Given<Body<A, B, U, V>>
  readonly slide: Given<internal.AnyState<V, U>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
}): Law.Law =>
  Law.make(
    "feedback slides",
    { f: internal.given(options.machine), g: internal.given(options.slide), inputs: options.inputs },
    ({ f, g, inputs }) =>
      internal.difference([
        ["Tr(f ; (B + g))", observe(trace(Machine.compose(f, Machine.either(g, Machine.identity<B>()))), inputs)],
        ["Tr((A + g) ; f)", observe(trace(Machine.compose(Machine.either(g, Machine.identity<A>()), f)), inputs)]
      ], { anyFailure: true })
  )

/**
 * Vanishing over the empty wire: `Tr(f)` is `f` where nothing can come back, for all machines.
 *
 * @since 0.1.0
 * @category laws
 */
export const vanishingUnit = <A, B>(options: {
  readonly machine: Given<internal.AnyState<A, B>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
}): Law.Law =>
  Law.make(
    "feedback over nothing vanishes",
    { f: internal.given(options.machine), inputs: options.inputs },
    ({ f, inputs }) =>
      internal.difference([
        [
          "Tr(0 + A → A ; f ; B → 0 + B)",
          observe(
            trace(Wiring.eitherUnitLeft<A>().pipe(Machine.compose(f), Machine.compose(Wiring.eitherWithUnitLeft<B>()))),
            inputs
          )
        ],
        ["f", observe(f, inputs)]
      ])
  )

/**
 * A machine with two wires that are fed back: a `Left` is a token on the first (`Left`) or on the second (`Right`) of
 * them.
 *
 * @since 0.1.0
 * @category models
 */
export type TwoWires<S, A, B, U, V> = Machine.Machine<
  S,
  Either.Either<A, Either.Either<V, U>>,
  Either.Either<B, Either.Either<V, U>>,
  unknown
>

/** Feedback over the second wire, and over the first one around it. */
const nested = <S, A, B, U, V>(f: TwoWires<S, A, B, U, V>): internal.AnyState<A, B> =>
  f.pipe(
    Machine.contramap((input: Either.Either<Either.Either<A, U>, V>): Either.Either<A, Either.Either<V, U>> => {
      if (Either.isLeft(input)) return Either.left(Either.right(input.left))
      return Either.isLeft(input.right) ? Either.left(Either.left(input.right.left)) : Either.right(input.right.right)
    }),
    Machine.map((output): Either.Either<Either.Either<B, U>, V> => {
      if (Either.isRight(output)) return Either.right(Either.right(output.right))
      return Either.isRight(output.left)
        ? Either.left(output.left.right)
        : Either.right(Either.left(output.left.left))
    }),
    Machine.feedback(),
    Machine.feedback()
  )

/** The machine, with a note of the most tokens that one of its steps has sent back. */
const counted = <S, A, B, U, V>(f: TwoWires<S, A, B, U, V>) => {
  let most = 0
  const machine: TwoWires<S, A, B, U, V> = core.fromOpen(f.initial, (state, emit) => {
    let count = 0
    const instance = core.open(f, state, (output) => {
      if (Either.isLeft(output)) most = Math.max(most, ++count)
      emit(output)
    })
    return {
      push: (input) => {
        count = 0
        instance.push(input)
      },
      state: instance.state
    }
  })
  return { machine, most: () => most }
}

/**
 * Vanishing over two wires: feeding both back at once is feeding back one and then the other, for every machine that
 * sends at most one token back in a step. Cases in which one sends more are left out.
 *
 * With two tokens on the way, the inner loop settles its own before the outer one takes the other; one queue for both
 * takes them in the order they came.
 *
 * @since 0.1.0
 * @category laws
 */
export const vanishingTensor = <S, A, B, U, V>(options: {
  readonly machine: Given<TwoWires<S, A, B, U, V>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
}): Law.Law =>
  Law.make(
    "feedback over two wires is feedback over one after the other",
    { f: internal.given(options.machine), inputs: options.inputs },
    ({ f, inputs }) => {
      const { machine, most } = counted(f)
      const once = observe(trace(machine), inputs)
      FastCheck.pre(most() <= 1)
      return internal.difference([["Tr[U + V](f)", once], ["Tr[U](Tr[V](f))", observe(nested(f), inputs)]])
    }
  )

/**
 * Vanishing over two wires, up to the order of outputs: for every machine that remembers nothing (its state is `null`),
 * however many tokens it sends back.
 *
 * @since 0.1.0
 * @category laws
 */
export const vanishingUnordered = <A, B, U, V>(options: {
  readonly machine: Given<TwoWires<null, A, B, U, V>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
}): Law.Law =>
  Law.make(
    "feedback over two wires is feedback over one after the other, in some order",
    { f: internal.given(options.machine), inputs: options.inputs },
    ({ f, inputs }) =>
      internal.difference([
        ["Tr[U + V](f)", observe(trace(f), inputs)],
        ["Tr[U](Tr[V](f))", observe(nested(f), inputs)]
      ], { groups: internal.sameBags, anyFailure: true })
  )

/**
 * Yanking: `Tr(swap) = identity`: what goes round once comes out as it went in.
 *
 * @since 0.1.0
 * @category laws
 */
export const yanking = <A>(options: { readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>> }): Law.Law =>
  Law.make("feedback yanks", { inputs: options.inputs }, ({ inputs }) =>
    internal.difference([
      ["Tr(swap)", observe(trace(Wiring.eitherSwap<A, A>()), inputs)],
      ["identity", observe(Machine.identity<A>(), inputs)]
    ]))

/**
 * Superposing: `Tr(g + f) = g + Tr(f)`, where `g` is beside the loop and no token of the loop reaches it; for all
 * machines.
 *
 * @since 0.1.0
 * @category laws
 */
export const superposing = <A, B, C, D, U>(options: {
  readonly beside: Given<internal.AnyState<C, D>>
  readonly machine: Given<Body<A, B, U>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Either.Either<A, C>>>
}): Law.Law =>
  Law.make(
    "feedback superposes",
    { g: internal.given(options.beside), f: internal.given(options.machine), inputs: options.inputs },
    ({ f, g, inputs }) => {
      const body = Machine.either(g, f).pipe(
        Machine.contramap((input: Either.Either<Either.Either<A, C>, U>): Either.Either<Either.Either<A, U>, C> => {
          if (Either.isLeft(input)) return Either.right(Either.left(input.left))
          return Either.isLeft(input.right)
            ? Either.left(input.right.left)
            : Either.right(Either.right(input.right.right))
        }),
        Machine.map((output): Either.Either<Either.Either<B, D>, U> => {
          if (Either.isLeft(output)) return Either.right(Either.left(output.left))
          return Either.isLeft(output.right)
            ? Either.left(output.right.left)
            : Either.right(Either.right(output.right.right))
        })
      )
      return internal.difference([
        ["Tr(g + f)", observe(trace(body), inputs)],
        ["g + Tr(f)", observe(Machine.either(g, trace(f)), inputs)]
      ])
    }
  )
