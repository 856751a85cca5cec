import { afterAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Law from "effect-skald/testing/Law"
import * as PatternLaws from "effect-skald/testing/PatternLaws"
import * as Soak from "../support/soak.ts"

/** Random patterns against random events, engine against oracle: 200,000 pairs when it is run whole, half of them as sets. */
const pairs = Soak.times(200_000)
const batch = 500
const batches = Math.ceil(pairs / batch)
let kept = 0

describe("Matcher: engine = oracle", () => {
  it.effect(
    `over ${pairs.toLocaleString("en-US")} random patterns and sequences of events`,
    () =>
      Effect.gen(function*() {
        for (let at = 0; at < batches; at++) {
          // every other one is of patterns whose partial matches are held as sets, and those are kept one by one as well
          yield* Law.check(
            at % 2 === 0
              ? PatternLaws.engineIsOracle({ cases: PatternLaws.cases, timestamp: ({ at }) => at })
              : PatternLaws.engineIsOracle({ cases: PatternLaws.setCases, timestamp: ({ at }) => at, timedOut: false }),
            { numRuns: Math.min(batch, pairs - at * batch), seed: 7_000 + at }
          )
          // the runner's worker must hear of its parent now and then
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          kept += Math.min(batch, pairs - at * batch)
        }
      }),
    120_000 + Soak.times(3_600_000)
  )
})

afterAll(() =>
  Soak.report("cep", `engine = oracle over ${kept.toLocaleString("en-US")} random pairs of pattern and events`)
)
