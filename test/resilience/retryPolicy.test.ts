import { assert, describe, it } from "@effect/vitest"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { forAll } from "effect-skald/testing/ForAll"
import {
  Clock,
  Duration,
  Effect,
  FastCheck,
  Fiber,
  Random,
  Schedule,
  ScheduleDecision,
  ScheduleIntervals,
  Schema,
  TestClock
} from "effect"
import { equal } from "../support/assert.ts"

/** The delays of a policy that is asked whenever it is due, until it ends or so many were seen. */
const delays = <In>(policy: Schedule.Schedule<unknown, In>, count = 8, error?: In) =>
  Effect.gen(function*() {
    const found: Array<number | "end"> = []
    let state: unknown = policy.initial
    let now = 0
    while (found.length < count) {
      const [next, , decision] = yield* policy.step(now, error as In, state)
      if (ScheduleDecision.isDone(decision)) return [...found, "end"]
      const start = ScheduleIntervals.start(decision.intervals)
      found.push(start - now)
      state = next
      now = start
    }
    return found
  })

/** How often an effect that always fails runs, and when each run begins, in milliseconds. */
const runs = <E>(policy: Schedule.Schedule<unknown, E>, error: E, takes: Duration.DurationInput = 0) =>
  Effect.gen(function*() {
    const started = yield* Clock.currentTimeMillis
    const at: Array<number> = []
    const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      at.push(now - started)
      return Effect.zipRight(Effect.sleep(takes), Effect.fail(error))
    })
    const fiber = yield* Effect.fork(Effect.flip(Effect.retry(attempt, policy)))
    yield* TestClock.adjust("1 day")
    assert.strictEqual(yield* Fiber.join(fiber), error)
    return at
  })

describe("RetryPolicy", () => {
  it.effect("shapes: fixed, linear, exponential with its factor, Fibonacci", () =>
    Effect.gen(function*() {
      equal(yield* delays(RetryPolicy.fixed("1 second"), 4), [1_000, 1_000, 1_000, 1_000])
      equal(yield* delays(RetryPolicy.linear("60 seconds"), 4), [60_000, 120_000, 180_000, 240_000])
      equal(yield* delays(RetryPolicy.exponential("1 second"), 5), [1_000, 2_000, 4_000, 8_000, 16_000])
      equal(yield* delays(RetryPolicy.exponential("1 second", { factor: 3 }), 4), [1_000, 3_000, 9_000, 27_000])
      equal(yield* delays(RetryPolicy.fibonacci("1 second"), 7), [1_000, 1_000, 2_000, 3_000, 5_000, 8_000, 13_000])
      equal(yield* delays(RetryPolicy.exponential(0), 3), [0, 0, 0])
    }))

  it.effect("shapes say what Effect's own say, as far as numbers are exact", () =>
    forAll(FastCheck.integer({ min: 1, max: 100_000 }), (millis) =>
      Effect.gen(function*() {
        equal(yield* delays(RetryPolicy.exponential(millis)), yield* delays(Schedule.exponential(millis)))
        equal(yield* delays(RetryPolicy.linear(millis)), yield* delays(Schedule.linear(millis)))
        equal(yield* delays(RetryPolicy.fibonacci(millis)), yield* delays(Schedule.fibonacci(millis)))
        equal(yield* delays(RetryPolicy.fixed(millis)), yield* delays(Schedule.spaced(millis)))
      }), { numRuns: 20 }))

  it.effect("a retry that comes after very many others has a finite delay, and the cap holds", () =>
    Effect.gen(function*() {
      for (
        const [policy, last] of [
          [RetryPolicy.exponential("1 second", { cap: "1 minute" }), 60_000],
          [RetryPolicy.fibonacci("1 second", { cap: "1 minute" }), 60_000],
          [RetryPolicy.exponential("1 second", { factor: 0.5 }), 0],
          [Schedule.exponential("1 second").pipe(RetryPolicy.capped("1 minute")), 60_000]
        ] as const
      ) {
        const found = (yield* delays(policy, 3_000)) as Array<number>
        assert.strictEqual(found.length, 3_000)
        assert.closeTo(found[2_999]!, last, 1e-3)
      }
    }))

  it.effect("bounds: times, within, cap, jitter", () =>
    Effect.gen(function*() {
      equal(yield* delays(RetryPolicy.fixed("1 second", { times: 2 })), [1_000, 1_000, "end"])
      equal(yield* delays(RetryPolicy.fixed("1 second", { times: 0 })), ["end"])
      equal(yield* delays(RetryPolicy.exponential("1 second", { cap: "3 seconds", times: 4 })), [
        1_000,
        2_000,
        3_000,
        3_000,
        "end"
      ])
      equal(yield* runs(RetryPolicy.exponential("1 second", { within: "10 seconds" }), "down"), [
        0,
        1_000,
        3_000,
        7_000
      ])
    }))

  it.effect("attempts count every run, retries the runs after the first", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* runs(Schedule.forever.pipe(RetryPolicy.upToAttempts(3)), "down")).length, 3)
      assert.strictEqual((yield* runs(Schedule.forever.pipe(RetryPolicy.upToRetries(3)), "down")).length, 4)
      assert.strictEqual((yield* runs(Schedule.forever.pipe(RetryPolicy.upToRetries(0)), "down")).length, 1)
      assert.strictEqual((yield* runs(Schedule.forever.pipe(RetryPolicy.upToAttempts(1)), "down")).length, 1)
    }))

  it.effect("no retry begins later than the limit after the first failure, however long attempts take", () =>
    forAll(
      FastCheck.record({
        base: FastCheck.integer({ min: 1, max: 5_000 }),
        limit: FastCheck.integer({ min: 0, max: 60_000 }),
        takes: FastCheck.nat(5_000)
      }),
      ({ base, limit, takes }) =>
        Effect.gen(function*() {
          const at = yield* runs(RetryPolicy.exponential(base).pipe(RetryPolicy.upToElapsed(limit)), "down", takes)
          const first = takes
          for (const instant of at.slice(1)) assert.isAtMost(instant - first, limit)
          // and it did not end before it had to
          const next = at[at.length - 1]! + takes + base * 2 ** (at.length - 1)
          assert.isAbove(next - first, limit)
        }),
      { numRuns: 50 }
    ))

  it.effect("full jitter lies between nothing and the delay, everywhere in it; decorrelated between base and three times the last", () =>
    Effect.gen(function*() {
      const full = (yield* delays(RetryPolicy.fixed("1 second", { jitter: "full" }), 300)) as Array<number>
      assert.isTrue(full.every((delay) => delay >= 0 && delay <= 1_000.01))
      assert.isBelow(Math.min(...full), 50)
      assert.isAbove(Math.max(...full), 950)
      assert.closeTo(full.reduce((sum, delay) => sum + delay) / full.length, 500, 60)
      const drawn = (yield* delays(RetryPolicy.decorrelated("1 second", { cap: "20 seconds" }), 300)) as Array<number>
      let last = 1_000
      for (const delay of drawn) {
        assert.isAtLeast(delay, 1_000 - 0.01)
        // the sum of an instant and a delay is rounded
        assert.isAtMost(delay, Math.min(20_000, last * 3) + 0.01)
        last = delay
      }
      assert.isAbove(Math.max(...drawn), 10_000)
      equal(yield* delays(RetryPolicy.decorrelated("1 minute", { cap: "1 second", times: 2 })), [1_000, 1_000, "end"])
    }).pipe(Effect.withRandom(Random.make("drawn once for all"))))

  it.effect("the named ones are what they are said to be", () =>
    Effect.gen(function*() {
      const standard = (yield* delays(RetryPolicy.standard, 10)) as Array<number>
      assert.strictEqual(standard.length, RetryPolicy.standardRetries + 1)
      assert.strictEqual(standard[RetryPolicy.standardRetries] as unknown, "end")
      const conflict = (yield* delays(RetryPolicy.conflict, 10)) as Array<number>
      assert.strictEqual(conflict.length, RetryPolicy.conflictRetries + 1)
      conflict.slice(0, -1).forEach((delay, retry) =>
        assert.isAtMost(delay, Duration.toMillis(RetryPolicy.conflictDelay) * 2 ** retry)
      )
    }))

  it("numbers that mean nothing are refused when built", () => {
    for (const bad of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => RetryPolicy.upToRetries(Schedule.forever, bad), RangeError)
      assert.throws(() => RetryPolicy.upToAttempts(Schedule.forever, bad), RangeError)
      assert.throws(() => RetryPolicy.fixed("1 second", { times: bad }), RangeError)
    }
    assert.throws(() => RetryPolicy.upToAttempts(Schedule.forever, 0), RangeError)
    for (const bad of [0, -2, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => RetryPolicy.exponential("1 second", { factor: bad }), RangeError)
    }
  })

  it.effect("a delay is at least as long as the error asks for", () =>
    Effect.gen(function*() {
      const policy = RetryPolicy.fixed("1 second", { times: 2 }).pipe(
        RetryPolicy.notBefore((error: { readonly seconds?: number }) =>
          error.seconds === undefined ? undefined : `${error.seconds} seconds`
        )
      )
      equal(yield* delays(policy, 3, { seconds: 5 }), [5_000, 5_000, "end"])
      equal(yield* delays(policy, 3, { seconds: 0 }), [1_000, 1_000, "end"])
      equal(yield* delays(policy, 3, {}), [1_000, 1_000, "end"])
    }))
})

class Down extends Schema.TaggedError<Down>()("Down", {}, Retryability.retryable) {}
class Bad extends Schema.TaggedError<Bad>()("Bad", { field: Schema.String }, Retryability.permanent) {}
class Worse extends Bad.extend<Worse>("Worse")({}) {}
class Unmarked extends Schema.TaggedError<Unmarked>()("Unmarked", {}) {}
class Plain extends Error {
  readonly _tag = "Plain"
}

describe("Retryability", () => {
  it("is read from the class of the error", () => {
    assert.strictEqual(Retryability.of(new Down()), "retryable")
    assert.strictEqual(Retryability.of(new Bad({ field: "to" })), "permanent")
    for (
      const unmarked of [new Unmarked(), new Plain(), new Error("?"), { _tag: "Down" }, "text", null, undefined, 1]
    ) {
      assert.isUndefined(Retryability.of(unmarked))
      assert.isTrue(Retryability.isRetryable(unmarked))
      assert.isFalse(Retryability.isRetryable(unmarked, { otherwise: "permanent" }))
    }
    assert.isUndefined(Retryability.of(new Worse({ field: "to" })), "a subclass says it for itself")
    assert.isUndefined(Retryability.of(Object.create(null)))
  })

  it("is told by tag, which wins", () => {
    const tags = { Down: "permanent", Plain: "permanent" } as const
    assert.isFalse(Retryability.isRetryable(new Down(), { tags }))
    assert.isFalse(Retryability.isRetryable(new Plain(), { tags }))
    assert.isFalse(Retryability.isRetryable(new Bad({ field: "to" }), { tags }))
    assert.isTrue(Retryability.isRetryable({ _tag: "toString" }, { tags }), "no tag of the table")
  })

  it("is gathered from the members of a Schema", () => {
    const Lost = Schema.TaggedStruct("Lost", { why: Schema.String }).annotations(Retryability.permanent)
    const Inner = Schema.Union(Lost, Unmarked)
    interface Nested {
      readonly _tag: "Nested"
      readonly of?: Nested | undefined
    }
    const Nested: Schema.Schema<Nested> = Schema.suspend(() =>
      Schema.Struct({ _tag: Schema.Literal("Nested"), of: Schema.optional(Nested) }).annotations(Retryability.retryable)
    )
    equal(Retryability.tagsOf(Schema.Union(Down, Bad, Inner, Schema.String, Nested)), {
      Down: "retryable",
      Bad: "permanent",
      Lost: "permanent",
      Nested: "retryable"
    })
  })

  it.effect("a permanent error ends the retries at once, a retryable or unmarked one does not", () =>
    Effect.gen(function*() {
      const policy = RetryPolicy.fixed("1 second", { times: 2 })
      assert.strictEqual((yield* runs(policy.pipe(RetryPolicy.whileRetryable()), new Bad({ field: "to" }))).length, 1)
      assert.strictEqual((yield* runs(policy.pipe(RetryPolicy.whileRetryable()), new Down())).length, 3)
      assert.strictEqual((yield* runs(RetryPolicy.whileRetryable(policy), new Unmarked())).length, 3)
      assert.strictEqual(
        (yield* runs(RetryPolicy.whileRetryable(policy, { otherwise: "permanent" }), new Unmarked())).length,
        1
      )
      assert.strictEqual(
        (yield* runs(policy.pipe(RetryPolicy.whileRetryable({ tags: { Down: "permanent" } })), new Down())).length,
        1
      )
    }))
})
