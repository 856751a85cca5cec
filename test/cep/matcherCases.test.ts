import { assert, describe, it } from "@effect/vitest"
import * as Matcher from "effect-skald/cep/Matcher"
import * as Cases from "./cases.ts"

describe("Matcher: the worked cases", () => {
  it.each(Cases.all.map((one) => [one.id, one] as const))("%s", (_, one) => {
    // F068 gives events that are not in order of time, to an engine that takes them as they come; it asks for no time.
    const timed = one.id === "F068" ? {} : { timestamp: ({ ts }: Cases.CaseEvent) => ts ?? 0 }
    const session = Matcher.open(Matcher.make(Cases.pattern(one), timed))
    const matches = Cases.events(one).flatMap((event, at) =>
      session.push([event]).flatMap((output) => {
        assert.strictEqual(output._tag, "Matches")
        return output._tag === "Matches"
          ? [...output.matches].map(({ events }) => ({
            at,
            events: events.map(({ index, step }) => [step, index] as const)
          }))
          : []
      })
    )
    assert.deepStrictEqual(Cases.sorted(matches), Cases.expected(one))
  })
})
