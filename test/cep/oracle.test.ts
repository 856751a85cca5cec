import { assert, describe, it } from "@effect/vitest"
import * as PatternOracle from "effect-skald/testing/PatternOracle"
import * as Cases from "./cases.ts"

describe("PatternOracle: the worked cases", () => {
  it("there are 82 of them", () => assert.strictEqual(Cases.all.length, 82))

  it.each(Cases.all.map((one) => [one.id, one] as const))("%s", (_, one) => {
    const { matches } = PatternOracle.run(Cases.pattern(one), Cases.events(one), { timestamp: ({ ts }) => ts ?? 0 })
    assert.deepStrictEqual(
      Cases.sorted(matches.map(({ events, reportedAt }) => ({ events, at: reportedAt ?? null }))),
      Cases.expected(one)
    )
  })
})
