/** The promises of `OnError`: a verdict for each error that a handler can fail with, no more and no less. */
import { Cause, Effect, Schedule, Schema } from "effect"
import * as OnError from "effect-skald/bus/OnError"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import { describe, expect, test } from "tstyche"

class Smtp extends Schema.TaggedError<Smtp>()("Smtp", { after: Schema.Number }) {}
class Bad extends Schema.TaggedError<Bad>()("Bad", {}) {}

/** A subscription's options, as the bus will take them. */
declare const subscribe: {
  <R>(options: {
    readonly handler: (event: string) => Effect.Effect<void, never, R>
    readonly onError?: { readonly [tag: string]: never }
  }): R
  <E, R>(options: {
    readonly handler: (event: string) => Effect.Effect<void, E, R>
    readonly onError: OnError.Verdicts<E>
  }): R
}
declare const send: (to: string) => Effect.Effect<void, Smtp | Bad>
declare const untagged: Effect.Effect<void, Error | Bad>
declare const openTag: Effect.Effect<void, { readonly _tag: string }>
declare const anything: Effect.Effect<void, unknown>

const patient = OnError.retry(
  Schedule.recurs(3),
  OnError.retryLater(Schedule.spaced("1 minute"), OnError.deadLetter)
)

describe("verdicts", () => {
  test("one for each tag, in any combination of verdicts", () => {
    expect(subscribe).type.toBeCallableWith({ handler: send, onError: { Smtp: patient, Bad: OnError.deadLetter } })
    expect(subscribe).type.toBeCallableWith({ handler: send, onError: { Smtp: OnError.pause, Bad: OnError.ignore } })
    expect(subscribe).type.toBeCallableWith({
      handler: send,
      onError: {
        Smtp: OnError.standard,
        Bad: OnError.retry(RetryPolicy.exponential("1 second", { times: 3 }), patient)
      }
    })
  })

  test("a missing one is refused", () => {
    expect(subscribe).type.not.toBeCallableWith({ handler: send, onError: { Smtp: OnError.deadLetter } })
    expect(subscribe).type.not.toBeCallableWith({ handler: send, onError: {} })
    expect(subscribe).type.not.toBeCallableWith({ handler: send })
  })

  test("errors without a tag are one, orElse", () => {
    expect(subscribe).type.toBeCallableWith({
      handler: () => untagged,
      onError: { Bad: OnError.deadLetter, orElse: OnError.deadLetter }
    })
    expect(subscribe).type.not.toBeCallableWith({ handler: () => untagged, onError: { Bad: OnError.deadLetter } })
    expect(subscribe).type.toBeCallableWith({ handler: () => openTag, onError: { orElse: OnError.pause } })
    expect(subscribe).type.not.toBeCallableWith({ handler: () => openTag, onError: {} })
  })

  test("a handler that cannot fail needs none, and takes none", () => {
    expect(subscribe).type.toBeCallableWith({ handler: () => Effect.void })
    expect(subscribe).type.not.toBeCallableWith({ handler: () => Effect.void, onError: { Bad: OnError.deadLetter } })
  })

  test("an error that cannot occur is refused", () => {
    // @ts-expect-error Object literal may only specify known properties
    const surplus: OnError.Verdicts<Bad> = { Bad: OnError.deadLetter, Smtp: OnError.deadLetter }
    expect(surplus).type.toBeAssignableTo<{ readonly Bad: OnError.Verdict }>()
  })

  test("where nothing is known of the error, any verdicts do", () => {
    expect<OnError.Verdicts<unknown>>().type.toBe<{ readonly [tag: string]: OnError.Verdict }>()
    expect(subscribe).type.toBeCallableWith({ handler: () => anything, onError: { Bad: OnError.pause } })
  })

  test("a verdict is made by this module's values, and what is no verdict is refused", () => {
    expect(subscribe).type.not.toBeCallableWith({ handler: send, onError: { Smtp: "deadLetter", Bad: OnError.ignore } })
    expect(OnError.retry).type.not.toBeCallableWith(Schedule.recurs(3))
    expect(OnError.retry).type.not.toBeCallableWith({ times: 3 }, OnError.deadLetter)
    expect(OnError.retryLater).type.not.toBeCallableWith(1_000, OnError.deadLetter)
    expect(OnError.retry).type.toBeCallableWith(
      Schedule.recurWhile((error: Smtp) => error.after > 0),
      OnError.deadLetter
    )
  })

  test("keys follow the union, Effect's own errors too", () => {
    expect<keyof OnError.Verdicts<Smtp | Bad | Cause.TimeoutException>>().type.toBe<
      "Smtp" | "Bad" | "TimeoutException"
    >()
    expect<keyof OnError.Verdicts<Smtp | string | undefined>>().type.toBe<"Smtp" | "orElse">()
  })
})
