/** What resilience promises in types: policies are Schedules, errors are in the channel, requirements pass through. */
import type { Duration } from "effect"
import { Context, Effect, Schedule, Schema } from "effect"
import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
import * as CircuitBreakers from "effect-skald/resilience/CircuitBreakers"
import * as Idempotency from "effect-skald/resilience/Idempotency"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as SchedulePosition from "effect-skald/resilience/SchedulePosition"
import { describe, expect, test } from "tstyche"

class Declined extends Schema.TaggedError<Declined>()("Declined", { why: Schema.String }) {}
class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}
class Bank extends Context.Tag("Bank")<Bank, { readonly id: string }>() {}

declare const charge: Effect.Effect<number, Declined | Unreachable, Bank>
declare const breaker: CircuitBreaker.CircuitBreaker

describe("policies", () => {
  test("are Schedules, and need nothing", () => {
    expect(RetryPolicy.exponential("1 second", { times: 3 })).type.toBe<Schedule.Schedule<Duration.Duration>>()
    expect(RetryPolicy.standard).type.toBeAssignableTo<Schedule.Schedule<unknown, Declined>>()
    expect(RetryPolicy.upToRetries(Schedule.forever, 3)).type.toBe<Schedule.Schedule<number>>()
    expect(Schedule.forever.pipe(RetryPolicy.upToElapsed("1 second"))).type.toBe<Schedule.Schedule<number>>()
  })

  test("what looks at errors says which", () => {
    const policy = RetryPolicy.standard.pipe(RetryPolicy.notBefore((error: Declined) => error.why.length))
    expect(policy).type.toBeAssignableTo<Schedule.Schedule<unknown, Declined>>()
    expect(policy).type.not.toBeAssignableTo<Schedule.Schedule<unknown, Unreachable>>()
  })

  test("decorrelated jitter asks for its cap, and takes no other jitter", () => {
    expect(RetryPolicy.decorrelated).type.not.toBeCallableWith("1 second", {})
    expect(RetryPolicy.decorrelated).type.not.toBeCallableWith("1 second", { cap: "1 minute", jitter: "full" })
    expect(RetryPolicy.decorrelated).type.toBeCallableWith("1 second", { cap: "1 minute", times: 3 })
  })
})

describe("positions", () => {
  test("a Schedule that needs a service cannot be driven again", () => {
    const needy = Schedule.mapEffect(Schedule.forever, () => Bank)
    expect(SchedulePosition.counted).type.not.toBeCallableWith(needy)
    expect(SchedulePosition.timed).type.not.toBeCallableWith(needy)
    expect(SchedulePosition.make).type.not.toBeCallableWith(needy, Schema.String)
  })

  test("the inputs that are kept are those that the Schedule takes", () => {
    const policy = Schedule.recurWhile((error: Declined) => error.why === "")
    expect(SchedulePosition.make).type.toBeCallableWith(policy, Declined)
    expect(SchedulePosition.make).type.not.toBeCallableWith(policy, Unreachable)
  })
})

describe("breakers", () => {
  test("add their refusal to the errors, and the registry to the requirements", () => {
    expect(charge.pipe(CircuitBreaker.withBreaker(breaker))).type.toBe<
      Effect.Effect<number, Declined | Unreachable | CircuitBreaker.CircuitOpen, Bank>
    >()
    expect(charge.pipe(CircuitBreakers.withBreaker("bank"))).type.toBe<
      Effect.Effect<
        number,
        Declined | Unreachable | CircuitBreaker.CircuitOpen,
        Bank | CircuitBreakers.CircuitBreakers
      >
    >()
  })
})

describe("idempotency", () => {
  test("adds its own errors, and what may come out of the store", () => {
    expect(charge.pipe(Idempotency.once("k", { success: Schema.Number, failure: Declined }))).type.toBe<
      Effect.Effect<
        number,
        Declined | Unreachable | Idempotency.IdempotencyError | Idempotency.KeyReused,
        Bank | Idempotency.Idempotency
      >
    >()
    expect(Effect.succeed(1).pipe(Idempotency.once("k", { success: Schema.Number }))).type.toBe<
      Effect.Effect<number, Idempotency.IdempotencyError | Idempotency.KeyReused, Idempotency.Idempotency>
    >()
  })

  test("a result that the Schema does not describe, and a Schema that needs a service, do not type-check", () => {
    expect(Idempotency.once("k", { success: Schema.String })).type.not.toBeCallableWith(Effect.succeed(1))
    const needy = Schema.transformOrFail(Schema.String, Schema.String, {
      decode: (text) => Effect.as(Bank, text),
      encode: (text) => Effect.succeed(text)
    })
    expect(Idempotency.once).type.not.toBeCallableWith("k", { success: needy })
  })
})
