/** A process that dies at any write to the journal, before it or after it: the next one carries the saga through. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { layerMemory } from "effect-skald/store/EventStore"
import { bodies, check, type When } from "../support/sagaWorld.ts"

/** Every so many of the cases: the soak of the crash harness runs them by the ten thousand. */
const every = 23

describe("a process that dies", () => {
  for (const [name, { steps }] of Object.entries(bodies)) {
    it.live(`${name}: at writes of its journal, once and twice, with each step failing`, () =>
      Effect.gen(function*() {
        const failures: ReadonlyArray<readonly [string | undefined, When]> = [
          [undefined, "never"],
          ...steps.flatMap((step) => step === "r" ? [] : [[step, "before"] as const, [step, "after"] as const])
        ]
        let number = 0
        let ran = 0
        for (const [failing, how] of failures) {
          const whole = yield* Effect.provide(check(name, failing, how, []), layerMemory)
          assert(whole >= 4)
          for (let at = 1; at <= whole; at++) {
            for (const when of ["before", "after"] as const) {
              if (number++ % every !== 0) continue
              const again = (number % 5) + 1
              const crashes = ran++ % 2 === 0 ? [[at, when] as const] : [[at, when] as const, [again, when] as const]
              yield* Effect.provide(check(name, failing, how, crashes), layerMemory)
            }
          }
        }
        assert(ran > 2)
      }), 60_000)
  }
})
