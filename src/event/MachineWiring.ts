/**
 * Machines that only rearrange wires: the isomorphisms up to which `tensor` and `either` are associative, have a unit,
 * and are symmetric.
 *
 * On the sum (`Either`) they are isomorphisms exactly. On the tensor a turn carries lists, and a nested turn may cut
 * the same events into more or fewer turns: going there and back gives the same events on each wire, in order, but all
 * in one inner turn. `docs/algebra.md` says which laws are therefore exact and which hold up to that cutting.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { Turn } from "./Machine.ts"
import * as Machine from "./Machine.ts"

// ------------------------------------------------------------------------------------------------------ on the tensor

/**
 * `(A ⊗ B) ⊗ C → A ⊗ (B ⊗ C)`; inner turns become one.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import * as Wiring from "effect-skald/event/MachineWiring"
 *
 * const associate = Wiring.tensorAssociate<string, number, boolean>()
 *
 * Machine.run(associate, null, [[[[["a"], [1]], [["b"], []]], [true]]])
 * // [null, [[["a", "b"], [[[1], [true]]]]]]
 * ```
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorAssociate = <A, B, C>(): Machine.Machine<null, Turn<Turn<A, B>, C>, Turn<A, Turn<B, C>>> =>
  Machine.lift(([turns, thirds]) => [turns.flatMap((turn) => turn[0]), [[turns.flatMap((turn) => turn[1]), thirds]]])

/**
 * `A ⊗ (B ⊗ C) → (A ⊗ B) ⊗ C`; inner turns become one.
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorUnassociate = <A, B, C>(): Machine.Machine<null, Turn<A, Turn<B, C>>, Turn<Turn<A, B>, C>> =>
  Machine.lift(([firsts, turns]) => [[[firsts, turns.flatMap((turn) => turn[0])]], turns.flatMap((turn) => turn[1])])

/**
 * `A ⊗ I → A`, where `I` is the wire of the empty list; each event becomes an output of its own.
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorUnitRight = <A>(): Machine.Machine<null, Turn<A, never>, A> =>
  Machine.make({ initial: null, step: (state, turn: Turn<A, never>) => [state, turn[0]] })

/**
 * `A → A ⊗ I`: each event is a turn of its own.
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorWithUnitRight = <A>(): Machine.Machine<null, A, Turn<A, never>> =>
  Machine.lift((input) => [[input], []])

/**
 * `I ⊗ A → A`; each event becomes an output of its own.
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorUnitLeft = <A>(): Machine.Machine<null, Turn<never, A>, A> =>
  Machine.make({ initial: null, step: (state, turn: Turn<never, A>) => [state, turn[1]] })

/**
 * `A → I ⊗ A`: each event is a turn of its own.
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorWithUnitLeft = <A>(): Machine.Machine<null, A, Turn<never, A>> =>
  Machine.lift((input) => [[], [input]])

/**
 * `A ⊗ B → B ⊗ A`, its own inverse.
 *
 * @since 0.1.0
 * @category tensors
 */
export const tensorSwap = <A, B>(): Machine.Machine<null, Turn<A, B>, Turn<B, A>> =>
  Machine.lift(([left, right]) => [right, left])

// --------------------------------------------------------------------------------------------------------- on the sum

/**
 * `(A + B) + C → A + (B + C)`, where the left of an `Either` is written first.
 *
 * @example
 * ```ts
 * import * as Machine from "effect-skald/event/Machine"
 * import * as Wiring from "effect-skald/event/MachineWiring"
 * import { Either } from "effect"
 *
 * const associate = Wiring.eitherAssociate<string, number, boolean>()
 *
 * Machine.run(associate, null, [Either.left(Either.right(1))]) // [null, [Either.right(Either.left(1))]]
 * ```
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherAssociate = <A, B, C>(): Machine.Machine<
  null,
  Either.Either<C, Either.Either<B, A>>,
  Either.Either<Either.Either<C, B>, A>
> =>
  Machine.lift((input) => {
    if (Either.isRight(input)) return Either.right(Either.right(input.right))
    return Either.isLeft(input.left) ? Either.left(input.left.left) : Either.right(Either.left(input.left.right))
  })

/**
 * `A + (B + C) → (A + B) + C`, the inverse of `eitherAssociate`.
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherUnassociate = <A, B, C>(): Machine.Machine<
  null,
  Either.Either<Either.Either<C, B>, A>,
  Either.Either<C, Either.Either<B, A>>
> =>
  Machine.lift((input) => {
    if (Either.isLeft(input)) return Either.left(Either.left(input.left))
    return Either.isLeft(input.right) ? Either.left(Either.right(input.right.left)) : Either.right(input.right.right)
  })

/**
 * `A + 0 → A`, where nothing can come on the wire `0`.
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherUnitRight = <A>(): Machine.Machine<null, Either.Either<never, A>, A> => Machine.lift(Either.merge)

/**
 * `A → A + 0`, the inverse of `eitherUnitRight`.
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherWithUnitRight = <A>(): Machine.Machine<null, A, Either.Either<never, A>> => Machine.lift(Either.left)

/**
 * `0 + A → A`.
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherUnitLeft = <A>(): Machine.Machine<null, Either.Either<A>, A> => Machine.lift(Either.merge)

/**
 * `A → 0 + A`, the inverse of `eitherUnitLeft`.
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherWithUnitLeft = <A>(): Machine.Machine<null, A, Either.Either<A>> => Machine.lift(Either.right)

/**
 * `A + B → B + A`, its own inverse.
 *
 * @since 0.1.0
 * @category sums
 */
export const eitherSwap = <A, B>(): Machine.Machine<null, Either.Either<B, A>, Either.Either<A, B>> =>
  Machine.lift(Either.flip)
