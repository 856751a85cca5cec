/**
 * The laws of machines side by side (`tensor`, ⊗, on turns), as properties to run on your own machines.
 *
 * The isomorphisms that the laws speak of are those of `effect-skald/event/MachineWiring`. All laws hold for machines
 * with any number of outputs. Where two sides fail in one turn, which failure is reported depends on how the composite
 * is put together, so the laws only ask that both composites fail at the same input.
 *
 * @since 0.1.0
 */
import * as FastCheck from "effect/FastCheck"
import type { Turn } from "../event/Machine.ts"
import * as Machine from "../event/Machine.ts"
import * as Wiring from "../event/MachineWiring.ts"
import * as internal from "../internal/testing/machineObserve.ts"
import * as Law from "./Law.ts"
import type { Given } from "./MachineLaws.ts"

/**
 * Draws turns: short lists on both wires.
 *
 * @since 0.1.0
 * @category arbitraries
 */
export const turns = <A, B>(
  left: FastCheck.Arbitrary<A>,
  right: FastCheck.Arbitrary<B>
): FastCheck.Arbitrary<Turn<A, B>> =>
  FastCheck.tuple(FastCheck.array(left, { maxLength: 3 }), FastCheck.array(right, { maxLength: 3 }))

const anyFailure = { anyFailure: true }

/**
 * `identity ⊗ identity = identity`.
 *
 * @since 0.1.0
 * @category laws
 */
export const identity = <A, B>(
  options: { readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Turn<A, B>>> }
): Law.Law =>
  Law.make("⊗ keeps the identity", { inputs: options.inputs }, ({ inputs }) =>
    internal.difference([
      ["identity ⊗ identity", internal.observe(Machine.tensor(Machine.identity<A>(), Machine.identity<B>()), inputs)],
      ["identity", internal.observe(Machine.identity<Turn<A, B>>(), inputs)]
    ]))

/**
 * Interchange: `(f₁ ⊗ g₁) ; (f₂ ⊗ g₂) = (f₁ ; f₂) ⊗ (g₁ ; g₂)`, for all machines.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import * as Law from "effect-skald/testing/Law"
 * import * as TensorLaws from "effect-skald/testing/TensorLaws"
 * import { FastCheck } from "effect"
 *
 * const sums = Machine.scan(0, (sum, n: number) => sum + n)
 * const echo = Machine.make({ initial: null, step: (state, n: number) => [state, n > 0 ? [n, n] : []] })
 *
 * const program = Law.check(TensorLaws.interchange({
 *   left: [echo, sums],
 *   right: [sums, echo],
 *   inputs: FastCheck.array(TensorLaws.turns(FastCheck.integer(), FastCheck.integer()))
 * }))
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const interchange = <A, B, C, X, Y, Z>(
  options: internal.Square<A, B, C, X, Y, Z> & { readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Turn<A, X>>> }
): Law.Law =>
  Law.make(
    "interchange of ; and ⊗",
    internal.square(options, options.inputs),
    ({ f1, f2, g1, g2, inputs }) =>
      internal.difference([
        [
          "(f1 ⊗ g1) ; (f2 ⊗ g2)",
          internal.observe(Machine.compose(Machine.tensor(f1, g1), Machine.tensor(f2, g2)), inputs)
        ],
        [
          "(f1 ; f2) ⊗ (g1 ; g2)",
          internal.observe(Machine.tensor(Machine.compose(f1, f2), Machine.compose(g1, g2)), inputs)
        ]
      ], anyFailure)
  )

/**
 * The empty list of events is the unit of ⊗: `f ≅ f ⊗ I` and `f ≅ I ⊗ f`, through `tensorWithUnitRight` and
 * `tensorUnitRight` (and the left ones), naturally; for all machines.
 *
 * From `A` to `A ⊗ I` and back is exactly the identity. From `A ⊗ I` to `A` and back gives the same events in the same
 * order, each in a turn of its own.
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
    "the empty list of events is the unit of ⊗",
    {
      f: internal.given(options.machine),
      inputs: options.inputs,
      lists: FastCheck.array(options.inputs, { maxLength: 4 })
    },
    ({ f, inputs, lists }) => {
      const alone = ["f", internal.observe(f, inputs)] as const
      const right = Machine.tensor(f, Machine.unit)
      const left = Machine.tensor(Machine.unit, f)
      const rights = lists.map((list) => [list, []] as const)
      const lefts = lists.map((list) => [[], list] as const)
      const there = Machine.compose(Wiring.tensorUnitRight<A>(), Wiring.tensorWithUnitRight<A>())
      return internal.difference([alone, [
        "A → A ⊗ I ; f ⊗ I ; B ⊗ I → B",
        internal.observe(
          Wiring.tensorWithUnitRight<A>().pipe(Machine.compose(right), Machine.compose(Wiring.tensorUnitRight<B>())),
          inputs
        )
      ]], options) ?? internal.difference([alone, [
        "A → I ⊗ A ; I ⊗ f ; I ⊗ B → B",
        internal.observe(
          Wiring.tensorWithUnitLeft<A>().pipe(Machine.compose(left), Machine.compose(Wiring.tensorUnitLeft<B>())),
          inputs
        )
      ]], options) ?? internal.difference([
        ["f ⊗ I ; B ⊗ I → B", internal.observe(Machine.compose(right, Wiring.tensorUnitRight<B>()), rights)],
        ["A ⊗ I → A ; f", internal.observe(Machine.compose(Wiring.tensorUnitRight<A>(), f), rights)]
      ], options) ?? internal.difference([
        ["I ⊗ f ; I ⊗ B → B", internal.observe(Machine.compose(left, Wiring.tensorUnitLeft<B>()), lefts)],
        ["I ⊗ A → A ; f", internal.observe(Machine.compose(Wiring.tensorUnitLeft<A>(), f), lefts)]
      ], options) ?? internal.difference([
        ["A ⊗ I → A → A ⊗ I", internal.observe(there, rights)],
        ["the same events, each a turn", {
          outputs: lists.map((list) => list.map((one): Turn<A, never> => [[one], []]))
        }]
      ])
    }
  )

/**
 * ⊗ is associative: `((f ⊗ g) ⊗ h) ; associate = associate ; (f ⊗ (g ⊗ h))`, for all machines.
 *
 * `associate ; unassociate` gives the same events on each of the three wires, in the same order, in one inner turn; it
 * is exactly the identity on inputs with one inner turn each.
 *
 * @since 0.1.0
 * @category laws
 */
export const associativity = <A, B, C, X, Y, Z>(options: {
  readonly first: Given<internal.AnyState<A, X>>
  readonly second: Given<internal.AnyState<B, Y>>
  readonly third: Given<internal.AnyState<C, Z>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Turn<Turn<A, B>, C>>>
}): Law.Law =>
  Law.make(
    "⊗ is associative",
    {
      f: internal.given(options.first),
      g: internal.given(options.second),
      h: internal.given(options.third),
      inputs: options.inputs
    },
    ({ f, g, h, inputs }) =>
      internal.difference([
        [
          "((f ⊗ g) ⊗ h) ; associate",
          internal.observe(
            Machine.compose(Machine.tensor(Machine.tensor(f, g), h), Wiring.tensorAssociate<X, Y, Z>()),
            inputs
          )
        ],
        [
          "associate ; (f ⊗ (g ⊗ h))",
          internal.observe(
            Machine.compose(Wiring.tensorAssociate<A, B, C>(), Machine.tensor(f, Machine.tensor(g, h))),
            inputs
          )
        ]
      ], anyFailure) ?? internal.difference([
        [
          "associate ; unassociate",
          internal.observe(
            Machine.compose(Wiring.tensorAssociate<A, B, C>(), Wiring.tensorUnassociate<A, B, C>()),
            inputs
          )
        ],
        ["the same events in one inner turn", {
          outputs: inputs.map(([inner, thirds]): ReadonlyArray<Turn<Turn<A, B>, C>> => [
            [[[inner.flatMap(([left]) => left), inner.flatMap(([, right]) => right)]], thirds]
          ])
        }]
      ])
  )

/**
 * ⊗ is symmetric: `(f ⊗ g) ; swap = swap ; (g ⊗ f)`, and `swap ; swap = identity`; for all machines.
 *
 * @since 0.1.0
 * @category laws
 */
export const symmetry = <A, B, X, Y>(options: {
  readonly first: Given<internal.AnyState<A, X>>
  readonly second: Given<internal.AnyState<B, Y>>
  readonly inputs: FastCheck.Arbitrary<ReadonlyArray<Turn<A, B>>>
}): Law.Law =>
  Law.make(
    "⊗ is symmetric",
    { f: internal.given(options.first), g: internal.given(options.second), inputs: options.inputs },
    ({ f, g, inputs }) => {
      const swap = Wiring.tensorSwap<A, B>()
      return internal.difference([
        ["(f ⊗ g) ; swap", internal.observe(Machine.compose(Machine.tensor(f, g), Wiring.tensorSwap<X, Y>()), inputs)],
        ["swap ; (g ⊗ f)", internal.observe(Machine.compose(swap, Machine.tensor(g, f)), inputs)]
      ], anyFailure) ?? internal.difference([
        ["swap ; swap", internal.observe(Machine.compose(swap, Wiring.tensorSwap<B, A>()), inputs)],
        ["identity", { outputs: inputs.map((input) => [input]) }]
      ])
    }
  )
