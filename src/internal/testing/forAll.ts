import { Effect, FastCheck, Runtime } from "effect"

/** How many cases run before timers and sockets, a test runner's among them, get their turn. */
const inRow = 100

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A property over generated values whose check is an Effect; it dies with the smallest counterexample. */
export const forAll = <A, E, R>(
  arbitrary: FastCheck.Arbitrary<A>,
  check: (value: A) => Effect.Effect<void, E, R>,
  parameters?: { readonly numRuns?: number | undefined; readonly seed?: number | undefined }
): Effect.Effect<void, never, R> =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) => {
    const run = Runtime.runPromise(runtime)
    let cases = 0
    const property = FastCheck.asyncProperty(arbitrary, async (value) => {
      if (++cases % inRow === 0) await turn()
      await run(check(value))
    })
    const { numRuns, seed } = parameters ?? {}
    return Effect.promise(() =>
      FastCheck.assert(property, {
        ...(numRuns === undefined ? {} : { numRuns }),
        ...(seed === undefined ? {} : { seed })
      })
    )
  })
