/** A process that dies at any write to the journal, before it or after it: the next one carries the saga through. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { layerMemory } from "effect-skald/store/EventStore"
import { bodies, check, type When } from "../support/sagaWorld.ts"

describe("a process that dies", () => {
  for (const [name, { steps }] of Object.entries(bodies)) {
    it.live(
      `${name}: at every write of its journal, once and twice, with each step failing`,
      () =>
        Effect.gen(function*() {
          const failures: ReadonlyArray<readonly [string | undefined, When]> = [
            [undefined, "never"],
            ...steps.flatMap((step) => step === "r" ? [] : [[step, "before"] as const, [step, "after"] as const])
          ]
          let cases = 0
          for (const [failing, how] of failures) {
            const whole = yield* Effect.provide(check(name, failing, how, []), layerMemory)
            for (let at = 1; at <= whole; at++) {
              for (const when of ["before", "after"] as const) {
                yield* Effect.provide(check(name, failing, how, [[at, when]]), layerMemory)
                cases++
                if (at % 6 !== 0) continue
                for (let again = 1; again <= 3; again++) {
                  yield* Effect.provide(check(name, failing, how, [[at, when], [again, when]]), layerMemory)
                  cases++
                }
              }
            }
          }
          assert(cases > 50)
        }),
      60_000
    )
  }
})
