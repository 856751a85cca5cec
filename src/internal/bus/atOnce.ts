import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Fiber from "effect/Fiber"

const atOnce: unique symbol = Symbol("effect-skald/atOnce")

type Fibers = Fiber.RuntimeFiber<any, any>

/**
 * What an operation does where no time need pass: plain code that the calling fiber runs. What is `checked` holds JSON values that
 * nobody else changes, and that were looked at.
 */
export type AtOnce<I, A, E> = (input: I, fiber: Fibers, checked?: boolean) => Either.Either<A, E>

/**
 * Says of an operation how it is done at once. That goes with the function: whoever puts another in its place (a claim check, a
 * store beneath) is not passed by.
 */
export const also = <F extends (input: any) => unknown, A, E>(
  operation: F,
  now: AtOnce<Parameters<F>[0], A, E>
): F => Object.assign(operation, { [atOnce]: now })

/** How an operation is done at once, where it can be; a test's driver may lack the operation itself. */
export const of = <I, A, E>(
  operation: ((input: I) => Effect.Effect<A, E>) | undefined
): AtOnce<I, A, E> | undefined => (operation as { readonly [atOnce]?: AtOnce<I, A, E> } | undefined)?.[atOnce]
