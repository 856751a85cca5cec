/**
 * The laws of machines by choice (`either`, +), as properties to run on your own machines.
 *
 * The isomorphisms that the laws speak of are those of `effect-skald/event/MachineWiring`. All laws hold exactly, for
 * machines with any number of outputs, and for machines that fail.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Machine from "../event/Machine.ts"
import * as Wiring from "../event/MachineWiring.ts"
import * as internal from "../internal/testing/machineObserve.ts"
import * as Law from "./Law.ts"
import type { Given } from "./MachineLaws.ts"

/**
 * Draws choices: a left or a right.
 *
 * @since 0.1.0
 * @category arbitraries
 */
export const choices = <A, B>(
  left: FastCheck.Arbitrary<A>,
  right: FastCheck.Arbitrary<B>
): FastCheck.Arbitrary<Either.Either<B, A>> => FastCheck.oneof(left.map(Either.left), right.map(Either.right))

/**
 * `identity + identity = identity`.
 *
 * @since 0.1.0
 * @category laws
 */
export const identity = <A, B>(
  options: { readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Either.Either<B, A>>> }
): Law.Law =>
  Law.make("+ keeps the identity", { inputs: options.inputs }, ({ inputs }) =>
    internal.difference([
      ["identity + identity", internal.observe(Machine.either(Machine.identity<A>(), Machine.identity<B>()), inputs)],
      ["identity", internal.observe(Machine.identity<Either.Either<B, A>>(), inputs)]
    ]))

/**
 * Interchange: `(f₁ + g₁) ; (f₂ + g₂) = (f₁ ; f₂) + (g₁ ; g₂)`, for all machines.
 *
 * @since 0.1.0
 * @category laws
 */
export const interchange = <A, B, C, X, Y, Z>(
  options: internal.Square<A, B, C, X, Y, Z> & {
    readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Either.Either<X, A>>>
  }
): Law.Law =>
  Law.make(
    "interchange of ; and +",
    internal.square(options, options.inputs),
    ({ f1, f2, g1, g2, inputs }) =>
      internal.difference([
        [
          "(f1 + g1) ; (f2 + g2)",
          internal.observe(Machine.compose(Machine.either(f1, g1), Machine.either(f2, g2)), inputs)
        ],
        [
          "(f1 ; f2) + (g1 ; g2)",
          internal.observe(Machine.either(Machine.compose(f1, f2), Machine.compose(g1, g2)), inputs)
        ]
      ])
  )

/**
 * The wire on which nothing comes is the unit of +: `f = A → A + 0 ; f + 0 ; B + 0 → B`, and on the other side; for all
 * machines, and exactly.
 *
 * @since 0.1.0
 * @category laws
 */
export const unit = <A, B>(options: {
  readonly machine: Given<internal.AnyState<A, B>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<A>>
  readonly equals?: ((left: B, right: B) => boolean) | undefined
}): Law.Law =>
  Law.make(
    "the empty choice is the unit of +",
    { f: internal.given(options.machine), inputs: options.inputs },
    ({ f, inputs }) => {
      const alone = ["f", internal.observe(f, inputs)] as const
      const nothing = Machine.identity<never>()
      const right = Wiring.eitherWithUnitRight<A>().pipe(
        Machine.compose(Machine.either(f, nothing)),
        Machine.compose(Wiring.eitherUnitRight<B>())
      )
      const left = Wiring.eitherWithUnitLeft<A>().pipe(
        Machine.compose(Machine.either(nothing, f)),
        Machine.compose(Wiring.eitherUnitLeft<B>())
      )
      const lefts = inputs.map((input) => Either.left(input))
      const rights = inputs.map((input) => Either.right(input))
      return internal.difference(
        [alone, ["A → A + 0 ; f + 0 ; B + 0 → B", internal.observe(right, inputs)]],
        options
      ) ??
        internal.difference([alone, ["A → 0 + A ; 0 + f ; 0 + B → B", internal.observe(left, inputs)]], options) ??
        internal.difference([
          [
            "A + 0 → A → A + 0",
            internal.observe(Machine.compose(Wiring.eitherUnitRight<A>(), Wiring.eitherWithUnitRight<A>()), lefts)
          ],
          ["identity", internal.observe(Machine.identity<Either.Either<never, A>>(), lefts)]
        ]) ?? internal.difference([
          [
            "0 + A → A → 0 + A",
            internal.observe(Machine.compose(Wiring.eitherUnitLeft<A>(), Wiring.eitherWithUnitLeft<A>()), rights)
          ],
          ["identity", internal.observe(Machine.identity<Either.Either<A>>(), rights)]
        ])
    }
  )

/**
 * + is associative: `((f + g) + h) ; associate = associate ; (f + (g + h))`, and `associate ; unassociate = identity`;
 * for all machines, and exactly.
 *
 * @since 0.1.0
 * @category laws
 */
export const associativity = <A, B, C, X, Y, Z>(options: {
  readonly first: Given<internal.AnyState<A, X>>
  readonly second: Given<internal.AnyState<B, Y>>
  readonly third: Given<internal.AnyState<C, Z>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Either.Either<C, Either.Either<B, A>>>>
}): Law.Law =>
  Law.make(
    "+ is associative",
    {
      f: internal.given(options.first),
      g: internal.given(options.second),
      h: internal.given(options.third),
      inputs: options.inputs
    },
    ({ f, g, h, inputs }) => {
      const associate = Wiring.eitherAssociate<A, B, C>()
      return internal.difference([
        [
          "((f + g) + h) ; associate",
          internal.observe(
            Machine.compose(Machine.either(Machine.either(f, g), h), Wiring.eitherAssociate<X, Y, Z>()),
            inputs
          )
        ],
        [
          "associate ; (f + (g + h))",
          internal.observe(Machine.compose(associate, Machine.either(f, Machine.either(g, h))), inputs)
        ]
      ]) ?? internal.difference([
        [
          "associate ; unassociate",
          internal.observe(Machine.compose(associate, Wiring.eitherUnassociate<A, B, C>()), inputs)
        ],
        ["identity", { outputs: inputs.map((input) => [input]) }]
      ])
    }
  )

/**
 * + is symmetric: `(f + g) ; swap = swap ; (g + f)`, and `swap ; swap = identity`; for all machines, and exactly.
 *
 * @since 0.1.0
 * @category laws
 */
export const symmetry = <A, B, X, Y>(options: {
  readonly first: Given<internal.AnyState<A, X>>
  readonly second: Given<internal.AnyState<B, Y>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Either.Either<B, A>>>
}): Law.Law =>
  Law.make(
    "+ is symmetric",
    { f: internal.given(options.first), g: internal.given(options.second), inputs: options.inputs },
    ({ f, g, inputs }) => {
      const swap = Wiring.eitherSwap<A, B>()
      return internal.difference([
        ["(f + g) ; swap", internal.observe(Machine.compose(Machine.either(f, g), Wiring.eitherSwap<X, Y>()), inputs)],
        ["swap ; (g + f)", internal.observe(Machine.compose(swap, Machine.either(g, f)), inputs)]
      ]) ?? internal.difference([
        ["swap ; swap", internal.observe(Machine.compose(swap, Wiring.eitherSwap<B, A>()), inputs)],
        ["identity", { outputs: inputs.map((input) => [input]) }]
      ])
    }
  )
