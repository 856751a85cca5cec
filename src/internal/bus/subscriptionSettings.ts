import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type { BusError } from "../../bus/BusError.ts"
import type { DeadLetter } from "../../bus/DeadLetter.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import { HandlerTimeout } from "../../bus/HandlerTimeout.ts"
import type * as OnError from "../../bus/OnError.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type * as CircuitBreaker from "../../resilience/CircuitBreaker.ts"
import * as Retry from "./retry.ts"
import * as Faults from "../faults.ts"
import { tagOf } from "./subscriptionMessage.ts"

type OnDeadLetter = (letter: DeadLetter) => Effect.Effect<void, unknown, any>

/** What is said of a subscription, with what is not said filled in. */
export interface Settings {
  readonly concurrency: number
  readonly prefetch: number
  readonly start: Driver.Start
  readonly drain: Duration.DurationInput
  readonly deliveries: number
  readonly reconnect: Schedule.Schedule<unknown, BusError>
  readonly kept: boolean
  readonly timeout?: Duration.DurationInput
  readonly onTimeout?: OnError.Verdict
  readonly breaker?: CircuitBreaker.Options
  readonly onError?: { readonly [tag: string]: OnError.Verdict }
  readonly onDeadLetter?: OnDeadLetter
  /** The bus's own, which is told after that. */
  readonly busOnDeadLetter: ((letter: DeadLetter) => Effect.Effect<void, unknown>) | undefined
  readonly otherwise: OnError.Verdict
}

export const check = (name: string, settings: Settings): Effect.Effect<void, InvalidInput> => {
  const faults = Faults.make()
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  add("name", Faults.nameProblem(name))
  add("concurrency", Faults.countProblem(settings.concurrency, 1))
  // what follows from a concurrency that was refused is not told as well
  if (Faults.countProblem(settings.concurrency, 1) === undefined) {
    add("prefetch", Faults.countProblem(settings.prefetch, 1))
  }
  add("deliveries", Faults.countProblem(settings.deliveries, 1))
  if (Option.isNone(Duration.decodeUnknown(settings.drain))) {
    add("drain", `must be a duration, got ${Faults.show(settings.drain)}`)
  }
  if (settings.timeout !== undefined) {
    const timeout = Option.getOrUndefined(Duration.decodeUnknown(settings.timeout))
    if (timeout === undefined || !(Duration.toMillis(timeout) > 0)) {
      add("timeout", `must be a duration above 0, got ${Faults.show(settings.timeout)}`)
    }
  }
  return Effect.flatten(Effect.sync(() => Faults.orInvalid(faults, () => undefined)))
}

/** The plan for an error. */
export type Plans = (error: unknown) => Retry.Plan

/** A plan for each verdict; refuses Schedules whose position cannot be kept with a message. */
export const compile = (
  { onError, onTimeout, otherwise }: Settings
): Either.Either<Plans, InvalidInput> => {
  const faults = Faults.make()
  const planOf = (verdict: OnError.Verdict, path: string): Retry.Plan => {
    const plan = Retry.compile(verdict, otherwise)
    if (Either.isRight(plan)) return plan.right
    faults.add(path, plan.left.message)
    return { stages: [], end: "DeadLetter" }
  }
  const plans = new Map(Object.entries(onError ?? {}).map(([tag, verdict]) => [tag, planOf(verdict, `onError.${tag}`)]))
  const standard = planOf(otherwise, "DefaultVerdict")
  const timedOut = onTimeout === undefined ? standard : planOf(onTimeout, "onTimeout")
  const orElse = plans.get("orElse") ?? standard
  return Faults.orInvalid(
    faults,
    () => (error: unknown) => error instanceof HandlerTimeout ? timedOut : plans.get(tagOf(error)) ?? orElse
  )
}
