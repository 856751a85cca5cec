import { assert, describe, it } from "@effect/vitest"
import * as OnError from "effect-skald/bus/OnError"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { FastCheck, Schedule, Schema } from "effect"
import { equal } from "../support/assert.ts"

class Smtp extends Schema.TaggedError<Smtp>()("Smtp", { after: Schema.Number }) {}

const verdict: FastCheck.Arbitrary<OnError.Verdict> = FastCheck.letrec<{ verdict: OnError.Verdict }>((tie) => ({
  verdict: FastCheck.oneof(
    { maxDepth: 3 },
    FastCheck.constantFrom(OnError.deadLetter, OnError.pause, OnError.ignore),
    tie("verdict").map((then) => OnError.retry(Schedule.recurs(1), then)),
    FastCheck.tuple(tie("verdict"), FastCheck.boolean()).map(([then, overtake]) =>
      OnError.retryLater(Schedule.spaced("1 minute"), then, { overtake })
    )
  )
})).verdict

describe("OnError", () => {
  it("the verdict on an error is that of its tag, else orElse, else the other one", () => {
    const name = FastCheck.constantFrom("Smtp", "Bad", "orElse", "toString", "__proto__", "constructor", "_tag")
    FastCheck.assert(FastCheck.property(
      FastCheck.uniqueArray(FastCheck.tuple(name, verdict), { selector: ([tag]) => tag }),
      FastCheck.oneof(
        name.map((_tag) => ({ _tag })),
        FastCheck.constantFrom(new Error("plain"), "text", undefined, null, 1, { _tag: 1 }, new Smtp({ after: 1 }))
      ),
      verdict,
      (entries, error, otherwise) => {
        const verdicts = Object.fromEntries(entries)
        const table = new Map(entries)
        const tag = (error as { readonly _tag?: unknown } | null | undefined)?._tag
        const expected = (typeof tag === "string" ? table.get(tag) : undefined) ?? table.get("orElse") ?? otherwise
        assert.strictEqual(OnError.verdictOn(verdicts, error, otherwise), expected)
        assert.strictEqual(OnError.verdictOn(undefined, error, otherwise), otherwise)
      }
    ))
  })

  it("verdicts are data: what they were made of, and where they go on", () => {
    const schedule = Schedule.recurs(3)
    const later = Schedule.spaced("1 minute")
    equal(OnError.retry(schedule, OnError.retryLater(later, OnError.pause, { overtake: true })), {
      _tag: "Retry",
      schedule,
      then: { _tag: "RetryLater", schedule: later, overtake: true, then: { _tag: "Pause" } }
    })
    equal(OnError.retryLater(later, OnError.ignore), {
      _tag: "RetryLater",
      schedule: later,
      overtake: false,
      then: { _tag: "Ignore" }
    })
  })

  it("what nobody said anything about: the standard policy in place, then a dead letter", () => {
    equal(OnError.standard, { _tag: "Retry", schedule: RetryPolicy.standard, then: OnError.deadLetter })
  })
})
