/**
 * Properties whose check is an Effect.
 *
 * @since 0.1.0
 */
import type { Effect, FastCheck } from "effect"
import * as Internal from "../internal/testing/forAll.ts"

/**
 * Checks a property over generated values; it dies with the smallest counterexample, as fast-check words it. The check runs
 * with the services and the fiber's settings of its surroundings, the TestClock among them.
 *
 * @example
 * ```ts
 * import { forAll } from "effect-skald/testing/ForAll"
 * import { Effect, FastCheck } from "effect"
 *
 * const property = forAll(FastCheck.nat(), (n) => n >= 0 ? Effect.void : Effect.fail("negative"), { numRuns: 50 })
 * ```
 *
 * @since 0.1.0
 * @category properties
 */
export const forAll: <A, E, R>(
  arbitrary: FastCheck.Arbitrary<A>,
  check: (value: A) => Effect.Effect<void, E, R>,
  parameters?: { readonly numRuns?: number | undefined; readonly seed?: number | undefined }
) => Effect.Effect<void, never, R> = Internal.forAll
