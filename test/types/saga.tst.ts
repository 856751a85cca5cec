/** What the design promises of sagas to users. */
import { Effect, type Layer, Option, Schedule, Schema } from "effect"
import * as FromSteps from "effect-skald/saga/FromSteps"
import * as Saga from "effect-skald/saga/Saga"
import type { SagaEngine } from "effect-skald/saga/SagaEngine"
import type { SignalTimedOut } from "effect-skald/saga/SagaError"
import { describe, expect, test } from "tstyche"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
class Smtp extends Schema.TaggedError<Smtp>()("Smtp", { after: Schema.Number }) {}
class Pay extends Effect.Tag("Pay")<Pay, {
  readonly charge: (key: string) => Effect.Effect<string, Refused>
  readonly refund: (key: string) => Effect.Effect<void, Smtp>
  readonly forget: (key: string) => Effect.Effect<void>
}>() {}

class Mail extends Effect.Tag("Mail")<Mail, { readonly send: (to: string) => Effect.Effect<void, Smtp> }>() {}

const Fulfil = Saga.make("fulfil", {
  version: 1,
  payload: Schema.Struct({ order: Schema.String }),
  success: Schema.String,
  error: Refused,
  idempotencyKey: (p) => p.order
})
export const FulfilLive: Layer.Layer<never, never, SagaEngine | Pay> = Fulfil.toLayer(Effect.fn(function*() {
  return yield* Saga.step("charge", {
    success: Schema.String,
    execute: Pay.charge,
    compensate: (outcome, key) => Pay.refund(outcome._tag === "Done" ? outcome.value : key),
    compensateRetry: Schedule.recurs(3),
    compensateExhausted: "intervene"
  })
}))
// dprint-ignore
// @ts-expect-error a compensation that can fail, with no word on what then: No overload matches this call.
export const bad = Saga.step("charge", { success: Schema.String, execute: Pay.charge, compensate: (_outcome, key) => Pay.refund(key) })

describe("steps", () => {
  test("a step has its error, and needs what it and its compensation need", () => {
    const step = Saga.step("charge", {
      success: Schema.String,
      execute: Pay.charge,
      compensate: (_, key) => Pay.forget(key)
    })
    expect(step).type.toBe<Effect.Effect<string, Refused, Pay | Saga.Running>>()
    const within = Saga.step("where", {
      success: Schema.String,
      execute: () => Effect.map(Saga.context, ({ id }) => id)
    })
    expect(within).type.toBe<Effect.Effect<string, never, Saga.Running>>()
  })

  test("the Schema of a step's error leaves the parameters of its functions to be known", () => {
    const step = Saga.step("charge", {
      success: Schema.String,
      error: Schema.Union(Refused, Smtp),
      execute: (key) => key === "" ? new Smtp({ after: 1 }) : Pay.charge(key),
      retry: Schedule.recurs(3),
      compensate: (_, key) => Pay.forget(key)
    })
    expect(step).type.toBe<Effect.Effect<string, Refused | Smtp, Pay | Saga.Running>>()
    expect(Saga.step).type.not.toBeCallableWith("charge", {
      success: Schema.String,
      error: Smtp,
      execute: (key: string) => Pay.charge(key)
    })
  })

  test("a compensation on a pivot, and on a retriable step, is refused", () => {
    const options = { success: Schema.String, execute: () => Effect.succeed(""), compensate: () => Effect.void }
    expect(Saga.pivot).type.not.toBeCallableWith("p", options)
    expect(Saga.retriable).type.not.toBeCallableWith("r", options)
    expect(Saga.step).type.toBeCallableWith("s", options)
  })

  test("waiting durably in a compensation, and a step within a step, leave a need that nobody has", () => {
    const waits = Fulfil.toLayer(() =>
      Saga.step("charge", {
        success: Schema.String,
        execute: Pay.charge,
        compensate: () => Saga.sleep("wait", "1 hour")
      })
    )
    expect(waits).type.toBe<Layer.Layer<never, never, SagaEngine | Pay | Saga.StepsInSteps>>()
    const steps = Fulfil.toLayer(() =>
      Saga.step("outer", {
        success: Schema.String,
        execute: () => Saga.step("inner", { success: Schema.String, execute: () => Effect.succeed("") })
      })
    )
    expect(steps).type.toBe<Layer.Layer<never, never, SagaEngine | Saga.StepsInSteps>>()
  })

  test("a missing dependency of a step or of its compensation is a need of the layer", () => {
    const live = Fulfil.toLayer(() =>
      Saga.step("s", {
        success: Schema.String,
        execute: () => Effect.succeed(""),
        compensate: (_, key) => Pay.forget(key)
      })
    )
    expect(live).type.toBe<Layer.Layer<never, never, SagaEngine | Pay>>()
  })

  test("a signal with a limit may fail to come", () => {
    expect(Saga.signal("s", { schema: Schema.Number })).type.toBe<Effect.Effect<number, never, Saga.Running>>()
    expect(Saga.signal("s", { schema: Schema.Number, within: "1 hour" })).type.toBe<
      Effect.Effect<number, SignalTimedOut, Saga.Running>
    >()
  })

  test("a compensation that may fail says when it is tried again, and what then: both, not one", () => {
    const fails = {
      success: Schema.String,
      execute: () => Effect.succeed(""),
      compensate: (_: Saga.Outcome<string>, key: string) => Pay.refund(key)
    }
    expect(Saga.step).type.not.toBeCallableWith("s", fails)
    expect(Saga.step).type.not.toBeCallableWith("s", { ...fails, compensateRetry: Schedule.recurs(1) })
    expect(Saga.step).type.not.toBeCallableWith("s", { ...fails, compensateExhausted: "continue" as const })
    expect(Saga.step).type.toBeCallableWith("s", {
      ...fails,
      compensateRetry: Schedule.recurs(1),
      compensateExhausted: "continue" as const
    })
  })

  test("a compensation is told what its step gives, and nothing else", () => {
    const options = { success: Schema.String, execute: () => Effect.succeed("") }
    expect(Saga.step).type.not.toBeCallableWith("s", {
      ...options,
      compensate: (outcome: Saga.Outcome<number>) => Effect.asVoid(Effect.succeed(outcome))
    })
  })

  test("what is not to be undone cannot be left to a compensation, nor a failure be without effect", () => {
    const options = { success: Schema.String, execute: () => Effect.succeed("") }
    expect(Saga.pivot).type.not.toBeCallableWith("p", { ...options, onUnknown: "compensate" as const })
    expect(Saga.retriable).type.not.toBeCallableWith("r", { ...options, onUnknown: "compensate" as const })
    expect(Saga.step).type.toBeCallableWith("s", { ...options, onUnknown: "compensate" as const })
    expect(Saga.step).type.not.toBeCallableWith("s", { success: Schema.Number, execute: () => Effect.succeed("") })
  })

  test("a signal's value is what its Schema says, a payload what the contract says", () => {
    expect(Fulfil.signal).type.not.toBeCallableWith("id", { name: "go", schema: Schema.Number, value: "one" })
    expect(Fulfil.signal).type.toBeCallableWith("id", { name: "go", schema: Schema.Number, value: 1 })
    expect(Fulfil.run).type.not.toBeCallableWith({ customer: "c" })
  })

  test("a match has a case for each way to end, and knows the saga's own error", () => {
    const cases = {
      onCompleted: (value: string) => value,
      onCancelled: () => "cancelled",
      onTimedOut: () => "timed out",
      onUnfinished: () => "unfinished"
    }
    const run = Fulfil.run({ order: "o" })
    expect(Saga.match).type.not.toBeCallableWith(run, cases)
    expect(Saga.match(run, { ...cases, onFailed: (error) => error._tag })).type.toBe<
      Effect.Effect<
        string,
        never,
        SagaEngine
      >
    >()
  })

  test("the body answers and fails with what its contract says", () => {
    expect(Fulfil.toLayer).type.not.toBeCallableWith(() => Effect.succeed(1))
    expect(Fulfil.toLayer).type.not.toBeCallableWith(() => Effect.fail(new Smtp({ after: 1 })))
  })

  test("a transaction needs no engine", () => {
    const step = Saga.step("charge", { success: Schema.String, execute: Pay.charge })
    expect(Saga.transaction(step)).type.toBe<Effect.Effect<string, Refused, Pay>>()
  })
})

describe("lists of steps", () => {
  const reserved = FromSteps.make<{ readonly order: string }>().step("reserve", {
    gives: { reservation: Schema.String },
    execute: ({ order }) => Effect.succeed({ reservation: order })
  })

  test("each step sees the data as of the one before", () => {
    reserved.step("charge", {
      gives: { payment: Schema.Number },
      execute: (data) => {
        expect(data).type.toBe<{ readonly order: string; readonly reservation: string }>()
        return Effect.succeed({ payment: 1 })
      }
    })
    expect(reserved.step).type.not.toBeCallableWith("charge", {
      execute: (data: { readonly shipment: string }) => Effect.succeed({ is: data.shipment })
    })
  })

  test("a name twice, and a step that can be undone after the pivot, are refused", () => {
    expect(reserved.step).type.not.toBeCallableWith("reserve", { execute: () => Effect.succeed({}) })
    const passed = reserved.pivot("ship", { execute: () => Effect.succeed({}) })
    expect(passed.step).type.toBe<never>()
    expect(passed.pivot).type.toBe<never>()
    expect(passed.retriable).type.toBeCallableWith("tell", { execute: () => Effect.succeed({}) })
  })

  test("a compensation is told the data as it was after its step, or before it", () => {
    const body = reserved.body({
      compensate: {
        reserve: (undo) => {
          if (undo._tag === "Done") {
            expect(undo.data).type.toBe<{ readonly order: string; readonly reservation: string }>()
          } else expect(undo.data).type.toBe<{ readonly order: string }>()
          return Effect.void
        }
      },
      result: ({ reservation }) => reservation
    })
    expect(body).type.toBe<(payload: { readonly order: string }) => Effect.Effect<string, never, Saga.Running>>()
    expect(reserved.body).type.not.toBeCallableWith({
      compensate: { unheard: () => Effect.void },
      result: () => ""
    })
  })

  test("what a step did is asked for by the data before it, and answered by what it gives", () => {
    const gives = { total: Schema.Number }
    const execute = () => Effect.succeed({ total: 1 })
    reserved.step("price", {
      gives,
      execute,
      onUnknown: "ask",
      resolve: (data, key) => {
        expect(data).type.toBe<{ readonly order: string; readonly reservation: string }>()
        expect(key).type.toBe<string>()
        return Effect.succeed(Option.some({ total: 2 }))
      }
    })
    const asks = { gives, execute, onUnknown: "ask" as const }
    const none = Effect.succeed(Option.none<{ readonly total: number }>())
    expect(reserved.pivot).type.toBeCallableWith("p", { ...asks, resolve: () => none })
    expect(reserved.step).type.not.toBeCallableWith("s", { ...asks, resolve: () => Effect.succeed({ total: 2 }) })
    expect(reserved.step).type.not.toBeCallableWith("s", {
      ...asks,
      resolve: () => Effect.succeed(Option.some({ total: "2" }))
    })
    expect(reserved.step).type.not.toBeCallableWith("s", { ...asks, resolve: () => Effect.fail("down") })
    expect(reserved.step).type.not.toBeCallableWith("s", {
      ...asks,
      resolve: (_: { readonly shipment: string }) => none
    })
    expect(reserved.pivot).type.not.toBeCallableWith("p", { gives, execute, onUnknown: "compensate" as const })
  })

  test("compensations have the services that each needs, and nobody else's", () => {
    const two = reserved.step("charge", { execute: () => Effect.succeed({}) })
    const body = two.body({
      compensate: {
        reserve: (_, key) => Pay.forget(key),
        charge: { undo: (_, key) => Mail.send(key), retry: Schedule.recurs(1), exhausted: "continue" }
      },
      result: ({ reservation }) => reservation
    })
    expect(body).type.toBe<
      (payload: { readonly order: string }) => Effect.Effect<string, never, Pay | Mail | Saga.Running>
    >()
  })

  test("a compensation that may fail with no word on what then, one of a pivot, and one of other data are refused", () => {
    const passed = reserved.pivot("ship", { execute: () => Effect.succeed({}) })
    const result = () => ""
    expect(passed.body).type.not.toBeCallableWith({
      compensate: { reserve: () => Effect.fail("down") },
      result
    })
    expect(passed.body).type.not.toBeCallableWith({ compensate: { ship: () => Effect.void }, result })
    expect(passed.body).type.not.toBeCallableWith({
      compensate: { reserve: (_: FromSteps.Undo<{ readonly shipment: string }, never>) => Effect.void },
      result
    })
    expect(passed.body).type.toBeCallableWith({ compensate: { reserve: () => Effect.void }, result })
  })
})
