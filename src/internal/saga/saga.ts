import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { InvalidInput } from "../../event/InvalidInput.ts"
import { type Contract, Running, type StepRequest } from "../../saga/SagaDefinition.ts"
import * as Faults from "../faults.ts"
import { resumable } from "./schedule.ts"

/** Checks a contract; throws where it cannot be one. */
export const contract = (name: string, options: any): Contract => {
  const faults = Faults.make()
  const problem = nameProblem(name)
  if (problem !== undefined) faults.add("name", problem)
  const version = Faults.countProblem(options.version, 1)
  if (version !== undefined) faults.add("version", version)
  if (options.deadline !== undefined) {
    const deadline = Option.map(Duration.decodeUnknown(options.deadline), Duration.toMillis)
    if (Option.isNone(deadline) || !Number.isFinite(deadline.value)) faults.add("deadline", "must be finite")
  }
  if (options.retry !== undefined) {
    const refused = Either.getLeft(resumable(options.retry, options.error))
    if (Option.isSome(refused)) faults.add("retry", refused.value.message)
  }
  const [first, ...rest] = faults.all
  if (first !== undefined) throw new InvalidInput({ faults: [first, ...rest] })
  return {
    name,
    version: options.version,
    payload: options.payload,
    success: options.success,
    error: options.error,
    idempotencyKey: options.idempotencyKey,
    deadline: options.deadline,
    onFailure: options.onFailure ?? "rollback",
    retry: options.retry
  }
}

/** What is wrong with the name of a saga, of a step, or with a key. */
export const nameProblem = (name: unknown): string | undefined =>
  Faults.nameProblem(name, 128) ?? (/[/[#]/.test(name as string) ? "must not hold \"/\", \"[\" or \"#\"" : undefined)

/** A step on its way to its host, with what is not given filled in. */
export const step = (kind: StepRequest["kind"], name: string, options: any): Effect.Effect<any, any, any> => {
  const request: StepRequest = {
    kind,
    name,
    key: options.key,
    success: options.success,
    error: options.error,
    execute: options.execute,
    compensate: options.compensate,
    compensateRetry: options.compensateRetry,
    compensateExhausted: options.compensateExhausted ?? "intervene",
    retry: options.retry,
    timeout: options.timeout,
    keyPer: options.keyPer ?? "step",
    onUnknown: options.onUnknown ?? "retry",
    resolve: options.resolve,
    noEffectOn: options.noEffectOn,
    onDefect: options.onDefect ?? "rollback"
  }
  return Effect.withFiberRuntime((fiber) => {
    const context = fiber.currentContext as Context.Context<Running>
    // not there: the Tag says so
    return context.unsafeMap.has(Running.key)
      ? Context.get(context, Running).step(request)
      : Effect.flatMap(Running, (host) => host.step(request))
  })
}

export const sleep = (
  name: string,
  duration: Duration.DurationInput,
  key?: string
): Effect.Effect<void, never, Running> => Effect.flatMap(Running, (host) => host.sleep(name, key, duration))
