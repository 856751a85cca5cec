import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import * as SchedulePosition from "../../resilience/SchedulePosition.ts"
import { Current, Running, type StepContext, type StepRequest } from "../../saga/SagaDefinition.ts"
import { OutcomeUnknown, StepTimedOut } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import { beginBy, claimBy, held, invalid, orLost, type Restore, turn } from "./activity.ts"
import * as Body from "./body.ts"
import { isSmall } from "./entry.ts"
import { exitOf } from "./exitOf.ts"
import * as Failures from "./failure.ts"
import { keyOf } from "./identity.ts"
import type { Activity } from "./state.ts"
import type { Runner } from "./runner.ts"
import { resumable } from "./schedule.ts"

/** A step of a body: from its journal, or run and journaled. */
export const step = (runner: Runner, parent: string, request: StepRequest): Effect.Effect<any, any, any> =>
  Effect.uninterruptibleMask((restore) => {
    const fiber = running()
    const found = claimBy(fiber, runner, parent, request.kind, request.name, request.key)
    if (found._tag === "Refused") return restore(found.why)
    const { id } = found
    const problem = problemOf(request)
    if (problem !== undefined) return invalid(runner, id, problem.reason, problem.detail)
    const run = new StepRun(runner, request, id, fiber, restore)
    if (found._tag === "Known") {
      run.register()
      return orLost(runner, id, run.goOn)
    }
    const { compensate, key, kind, name } = request
    const { place } = found
    const compensated = compensate !== undefined
    const begun = beginBy(
      fiber,
      runner,
      kind,
      key === undefined
        ? { _tag: "SagaStepIntended", step: id, place, name, kind, compensated }
        : { _tag: "SagaStepIntended", step: id, place, name, kind, compensated, key }
    )
    const done = exitOf(begun)
    return done?._tag === "Success" ? run.begun(done.value) : Effect.flatMap(begun, (begun) => run.begun(begun))
  })

const running = (): Fiber.RuntimeFiber<any, any> => Option.getOrThrow(Fiber.getCurrentFiber())

const problemOf = (request: StepRequest) => {
  if (request.onUnknown === "ask" && request.resolve === undefined) {
    return { reason: "resolve" as const, detail: "onUnknown: \"ask\" needs resolve" }
  }
  for (const schedule of [request.retry, request.compensateRetry]) {
    const refused = schedule === undefined ? undefined : Either.getLeft(resumable(schedule, errorOf(request, schedule)))
    if (refused !== undefined && Option.isSome(refused)) {
      return { reason: "schedule" as const, detail: refused.value.message }
    }
  }
  return undefined
}

const executeOf = (request: StepRequest, key: string): Effect.Effect<any, any> => {
  try {
    return request.execute(key) as Effect.Effect<any, any>
  } catch (defect) {
    return Exit.die(defect)
  }
}

const errorOf = (request: StepRequest, schedule: Schedule.Schedule<unknown, any>) =>
  schedule === request.retry ? request.error : undefined

class StepRun {
  private readonly runner: Runner
  private readonly request: StepRequest
  private readonly id: string
  /** The body's, in which the step stands. */
  private readonly fiber: Fiber.RuntimeFiber<any, any>
  private readonly context: Context.Context<any>
  /** Lets in whatever interrupts the fiber. */
  private readonly open: Restore
  /** The same, but for a pivot, which nothing in its saga interrupts. */
  private readonly restore: Restore

  constructor(
    runner: Runner,
    request: StepRequest,
    id: string,
    fiber: Fiber.RuntimeFiber<any, any>,
    restore: Restore
  ) {
    this.runner = runner
    this.request = request
    this.id = id
    this.fiber = fiber
    this.context = fiber.currentContext as Context.Context<any>
    this.open = restore
    this.restore = request.kind === "pivot" ? (effect) => this.apart(effect) : restore
  }

  private get now(): Activity {
    return this.runner.activity(this.id)!
  }

  /** The first attempt, where its intent is journaled. */
  begun(begun: boolean): Effect.Effect<any, any> {
    if (!begun) return this.open(held(this.runner))
    this.register()
    return orLost(this.runner, this.id, this.attempt(1))
  }

  /** Hands the compensation to the saga's plan, as its intent is journaled. */
  register(): void {
    const { compensate } = this.request
    if (compensate === undefined) return
    const { compensateExhausted, compensateRetry, onUnknown, resolve, success } = this.request
    this.runner.compensations.set(this.id, {
      run: (outcome, attempt) =>
        this.within(attempt, (key) => compensate(outcome, key)) as Effect.Effect<void, unknown>,
      ask: onUnknown === "ask" && resolve !== undefined
        ? this.within(1, resolve) as Effect.Effect<Option.Option<unknown>>
        : undefined,
      decode: (value) => ParseResult.decodeUnknownEither(success)(value),
      retry: compensateRetry,
      exhausted: compensateExhausted
    })
  }

  /** The user's code, with its services and where it runs, under the time and chance of the outside. */
  private within<A, E>(attempt: number, f: (key: string) => Effect.Effect<A, E, any>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const where = this.where(attempt)
      return Body.outside(Effect.suspend(() => f(where.key)), this.runner.services, this.contextOf(where))
    })
  }

  private where(attempt: number): StepContext {
    const { id, round, saga } = this.runner.state
    const { keyed } = this.runner.activity(this.id) ?? { keyed: 1 }
    const key = keyOf(saga, id, this.id, keyed, this.request.keyPer)
    return { saga, id, step: this.id, key, compensationKey: `${key}/compensation`, attempt, round }
  }

  /** What the step may use: all that its body may, but no steps of its own. */
  private contextOf(where: StepContext): Context.Context<any> {
    const services = new Map(this.context.unsafeMap)
    services.delete(Running.key)
    services.set(Current.key, where)
    return Context.unsafeMake(services)
  }

  /** Runs what a race does not interrupt, and a stop of the engine does. */
  private apart<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { runner } = this
    return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => {
      runner.apart.add(fiber)
      if (runner.closed) fiber.unsafeInterruptAsFork(fiber.id())
      return Effect.ensuring(Fiber.join(fiber), Effect.sync(() => runner.apart.delete(fiber)))
    })
  }

  /** From where the journal stands. */
  readonly goOn: Effect.Effect<any, any> = Effect.suspend(() => {
    const { id, now: known, open, request, restore, runner } = this
    switch (known.state) {
      case "done":
        return Effect.zipRight(open(turn(runner, known)), this.answer(known))
      case "failed":
        return Effect.zipRight(
          open(turn(runner, known)),
          Effect.zipRight(
            Body.seen(id, known.endedAt ?? 0),
            Effect.failCause(
              Failures.toCause(known.failure, id, request.error, runner.definition.contract.error)
            )
          )
        )
      case "lost":
        return open(Effect.never)
      default:
        if (runner.blocked()) return open(held(runner))
    }
    switch (known.state) {
      case "stuck":
        return Effect.zipRight(restore(runner.awaitActivity(id)), this.goOn)
      case "retrying":
        return Effect.zipRight(restore(runner.until(known.due ?? 0)), this.again)
      case "reopened":
        return this.again
      case "running":
        return this.unknown
    }
  })

  private answer(known: Activity): Effect.Effect<any, any> {
    return this.read(known.value, known.endedAt ?? 0)
  }

  /** The result as it is journaled, given to the body. */
  private read(value: unknown, at: number): Effect.Effect<any, any> {
    const decoded = ParseResult.decodeUnknownEither(this.request.success)(value)
    if (Either.isLeft(decoded)) return this.open(this.runner.mismatch(`the result of ${this.id} cannot be read`))
    Body.seenBy(this.fiber, this.id, at)
    return Effect.succeed(decoded.right)
  }

  /** A crash has left open what the last attempt did. */
  private readonly unknown: Effect.Effect<any, any> = Effect.suspend(() => {
    const { id, request, restore } = this
    switch (request.onUnknown) {
      case "retry":
        return this.again
      case "ask":
        return Effect.flatMap(
          Effect.exit(restore(this.within(this.now.attempts, request.resolve!))),
          (exit) => {
            if (Exit.isSuccess(exit)) {
              return Option.isSome(exit.value) ? this.succeeded(exit.value.value) : this.again
            }
            return Cause.isInterruptedOnly(exit.cause)
              ? Effect.failCause(exit.cause)
              : this.stuck("unknownOutcome", Failures.ofDefect(exit.cause))
          }
        )
      case "compensate":
        return this.failed(Cause.die(new OutcomeUnknown({ step: id })), false)
      case "intervene":
        return this.stuck("unknownOutcome", undefined)
    }
  })

  /** One more attempt, journaled before it runs. */
  private readonly again: Effect.Effect<any, any> = Effect.suspend(() => {
    const { id, open, runner } = this
    const attempt = this.now.attempts + 1
    return Effect.flatMap(
      runner.note([Journal.StepAttempted({ step: id, attempt })], () => !runner.blocked()),
      (begun) => begun ? this.attempt(attempt) : open(held(runner))
    )
  })

  attempt(attempt: number): Effect.Effect<any, any> {
    const { fiber, request, runner } = this
    if (runner.closed) return Effect.interrupt
    const where = this.where(attempt)
    // One that was interrupted before is not asked for what it does.
    if (request.kind === "pivot" || Body.isInterrupted(fiber)) {
      return this.run(attempt, where, Effect.suspend(() => request.execute(where.key)) as Effect.Effect<any, any>)
    }
    const execute = executeOf(request, where.key)
    const done = exitOf(execute)
    if (done === undefined) return this.run(attempt, where, execute)
    // There is nothing that could be interrupted, or take too long, or ask where it runs.
    return done._tag === "Success" ? this.succeeded(done.value) : this.failedAttempt(attempt, done.cause)
  }

  /** Runs the user's code, under the time and chance of the outside, and settles what comes of it. */
  private run(attempt: number, where: StepContext, execute: Effect.Effect<any, any>): Effect.Effect<any, any> {
    const { fiber, id, request, restore, runner } = this
    return Effect.suspend(() => {
      const limited = request.timeout === undefined ? execute : Effect.timeoutFailCause(execute, {
        duration: Duration.decode(request.timeout),
        onTimeout: () => Cause.die(new StepTimedOut({ step: id }))
      })
      const leave = Body.enter(fiber, runner.services, this.contextOf(where))
      return Effect.matchCauseEffect(restore(limited), {
        onFailure: (cause) => {
          leave()
          return this.failedAttempt(attempt, cause)
        },
        onSuccess: (value) => {
          leave()
          return this.succeeded(value)
        }
      })
    })
  }

  private succeeded(value: unknown): Effect.Effect<any, any> {
    const { fiber, id, open, request, runner } = this
    const encoded = ParseResult.encodeUnknownEither(request.success)(value)
    if (Either.isLeft(encoded)) return this.unkept(encoded.left)
    const done: Journal.JournalEvent = {
      _tag: "SagaStepDone",
      step: id,
      ...(encoded.right === undefined ? {} : { value: encoded.right })
    }
    // With nobody beside it, what follows may be journaled in one piece with it: all of it stands before the next effect runs.
    if (request.kind !== "pivot" && Body.isAlone(fiber) && runner.isAhead() && isSmall(encoded.right)) {
      const at = runner.now()
      runner.writer.later([done], at, fiber)
      return this.read(encoded.right, at)
    }
    return Effect.matchCauseEffect(runner.write([done]), {
      onFailure: (cause) => {
        if (Cause.isInterrupted(cause)) return Effect.failCause(cause as Cause.Cause<never>)
        const why = `the result of ${id} cannot be journaled: ${String(Cause.squash(cause))}`
        return this.unkept(new Cause.RuntimeException(why))
      },
      // A sibling that came first may interrupt it here: then it is known to be lost.
      onSuccess: () =>
        Effect.zipRight(
          open(Effect.yieldNow()),
          Effect.suspend(() => this.answer(this.now))
        )
    })
  }

  /** It has succeeded, and what it answered cannot be journaled: what is not undone is settled by a person. */
  private unkept(why: unknown): Effect.Effect<any, any> {
    const cause = Cause.die(why)
    return this.request.kind === "compensatable"
      ? this.failed(cause, false)
      : this.stuck("defect", Failures.ofDefect(cause))
  }

  private failedAttempt(attempt: number, cause: Cause.Cause<any>): Effect.Effect<any, any> {
    const { id, request, restore, runner } = this
    const error = Option.getOrUndefined(Option.map(Cause.failureOption(cause), (value) => ({ value })))
    const defect = Option.getOrUndefined(Cause.dieOption(cause))
    const timedOut = error === undefined && defect instanceof StepTimedOut
    if (error === undefined && defect === undefined) return Effect.failCause(cause)
    if (error === undefined && !timedOut) {
      return request.onDefect === "intervene" || request.kind === "retriable"
        ? this.stuck("defect", Failures.ofDefect(cause))
        : this.failed(cause, false)
    }
    const noEffect = error !== undefined && saysNoEffect(request, error.value)
    const failure = error === undefined
      ? Failures.ofDefect(cause)
      : Failures.ofError(error.value, request.error, runner.definition.contract.error)
    const next = request.retry === undefined ? undefined : this.nextAttempt(request.retry, error?.value ?? defect)
    if (next !== undefined) {
      const failed = Journal.AttemptFailed({ step: id, attempt, failure, noEffect, position: next, due: next.next! })
      return Effect.flatMap(runner.note([failed]), () => {
        const known = this.now
        // Somebody may have settled it meanwhile.
        if (known.state !== "retrying") return this.goOn
        return Effect.zipRight(restore(runner.until(next.next!)), this.again)
      })
    }
    if (request.kind === "retriable") return this.stuck("retriableExhausted", failure)
    // To undo what came before a pivot that may have happened would be worse than to ask.
    return request.kind === "pivot" && timedOut ? this.stuck("unknownOutcome", failure) : this.failed(cause, noEffect)
  }

  private nextAttempt(schedule: Schedule.Schedule<unknown, any>, input: unknown) {
    const { runner } = this
    const before = this.now.position ?? SchedulePosition.initialWith(runner.state.seed)
    const taken = Either.flatMap(
      resumable(schedule, this.request.error),
      (driven) => driven.step(before, runner.now(), input)
    )
    return Either.isRight(taken) && taken.right.position.next !== null ? taken.right.position : undefined
  }

  private failed(cause: Cause.Cause<any>, noEffect: boolean): Effect.Effect<any, any> {
    const { id, open, request, runner } = this
    const failure = Failures.ofCause(cause, request.error, runner.definition.contract.error)
    return Effect.zipRight(
      runner.note([Journal.StepFailed({ step: id, failure, noEffect })]),
      Effect.zipRight(
        open(Effect.yieldNow()),
        Effect.zipRight(Effect.suspend(() => Body.seen(id, this.now.endedAt ?? 0)), Effect.failCause(cause))
      )
    )
  }

  private stuck(reason: Journal.InterventionReason, failure: Journal.Failure | undefined): Effect.Effect<any, any> {
    const { id, runner } = this
    return Effect.zipRight(this.restore(runner.intervene(reason, id, failure)), Effect.suspend(() => this.goOn))
  }
}

const saysNoEffect = (request: StepRequest, error: unknown): boolean => {
  try {
    return request.noEffectOn?.(error) === true
  } catch {
    return false
  }
}
