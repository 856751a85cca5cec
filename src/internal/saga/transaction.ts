import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { EventIds } from "../../event/EventId.ts"
import {
  Current,
  defaultCompensateRetry,
  type Host,
  type Outcome,
  Running,
  type StepRequest
} from "../../saga/SagaDefinition.ts"
import { InvalidStep, NeedsIntervention, StepTimedOut } from "../../saga/SagaError.ts"
import { nameProblem } from "./saga.ts"
import * as Failures from "./failure.ts"
import { identity, keyOf } from "./identity.ts"

/** The name of a saga that has none. */
const name = "transaction"

interface Entry {
  readonly step: string
  outcome: Outcome<unknown>
  /** Whether the body knows of its success; what it does not know of is undone although it commits. */
  kept: boolean
  readonly undo: (outcome: Outcome<unknown>) => Effect.Effect<void>
}

/** The same steps with no engine and no journal: their compensations run when the effect fails or is interrupted. */
export const transaction = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Running>> =>
  Effect.flatMap(EventIds, (ids) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const run = new InMemory(ids(now))
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          Effect.exit(restore(Effect.provideService(effect, Running, run.host("")))),
          (exit) => {
            if (Exit.isSuccess(exit)) {
              const { invalid } = run
              return invalid === undefined
                ? Effect.zipRight(run.undo((entry) => !entry.kept), exit)
                : Effect.zipRight(run.undo(() => true), Effect.die(invalid))
            }
            // Past the pivot nothing is undone.
            return run.pivot === "passed" ? exit : Effect.matchCauseEffect(run.undo(() => true), {
              onFailure: (cause) => Effect.failCause(Cause.sequential(exit.cause, cause)),
              onSuccess: () => exit
            })
          }
        )
      )
    })) as Effect.Effect<A, E, Exclude<R, Running>>

class InMemory {
  private readonly id: string
  private entries: Array<Entry> = []
  private readonly claimed = new Set<string>()
  pivot: "none" | "open" | "passed" = "none"
  invalid: InvalidStep | undefined

  constructor(id: string) {
    this.id = id
  }

  host(parent: string): Host {
    const refused = (name: string, key: string | undefined) => this.refused(parent, name, key)
    return {
      step: (request) => Effect.suspend(() => this.step(parent, request)),
      sleep: (name, key, duration) => Effect.suspend(() => refused(name, key) ?? Effect.sleep(duration)),
      signal: () => Effect.dieMessage("a transaction in memory has nobody who could send it a signal"),
      nested: (name, key, body) => Effect.suspend(() => this.nested(parent, name, key, body))
    }
  }

  private refuse(step: string, reason: InvalidStep["reason"], detail?: string): Effect.Effect<never> {
    this.invalid ??= new InvalidStep({ step, reason, ...(detail === undefined ? {} : { detail }) })
    return Effect.die(this.invalid)
  }

  private refused(parent: string, name: string, key: string | undefined): Effect.Effect<never> | undefined {
    const problem = nameProblem(name)
    if (problem !== undefined) return this.refuse(name, "name", problem)
    const step = identity(parent, name, key, 1)
    if (this.claimed.has(step)) return this.refuse(step, "duplicate")
    this.claimed.add(step)
    return undefined
  }

  private step(parent: string, request: StepRequest): Effect.Effect<any, any, any> {
    const step = identity(parent, request.name, request.key, 1)
    if (this.pivot !== "none" && request.kind !== "retriable") return this.refuse(step, "afterPivot")
    const refused = this.refused(parent, request.name, request.key)
    if (refused !== undefined) return refused
    let attempt = 0
    /** The attempt whose key counts: one that took too long has no answer, and is tried again with its own. */
    let keyed = 1
    let answered = false
    const { compensate, execute, kind, noEffectOn, retry, timeout } = request
    const keyNow = () => keyOf(name, this.id, step, keyed, request.keyPer)
    const within = <A>(effect: (key: string) => Effect.Effect<A, any, any>, number: number) => {
      const key = keyNow()
      return Effect.provideService(Effect.suspend(() => effect(key)), Current, {
        saga: name,
        id: this.id,
        step,
        key,
        compensationKey: `${key}/compensation`,
        attempt: number,
        round: 1
      })
    }
    let mayHaveEffect = false
    const once = Effect.suspend(() => {
      attempt++
      if (answered) keyed = attempt
      const run = within(execute, attempt)
      return Effect.tapError(
        timeout === undefined ? run : Effect.timeoutFail(run, {
          duration: Duration.decode(timeout),
          onTimeout: () => new StepTimedOut({ step })
        }),
        (error) =>
          Effect.sync(() => {
            answered = !(error instanceof StepTimedOut)
            mayHaveEffect ||= !saysNoEffect(noEffectOn, error)
          })
      )
    })
    const tried = retry === undefined ? once : Effect.retry(once, retry)
    const dying = (error: unknown) => error instanceof StepTimedOut ? Effect.die(error) : Effect.fail(error)
    const ended = Effect.catchAll(tried, dying)
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.context<any>(), (context) => {
        const services = Context.omit(Running)(context)
        const stuck = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
          request.compensateExhausted === "continue"
            ? Effect.logError(`${step} could not be undone`, cause)
            : Effect.die(
              new NeedsIntervention({
                saga: name,
                id: this.id,
                reason: "compensationFailed",
                step,
                failure: Failures.ofDefect(cause)
              })
            )
        const undoOf = (compensate: NonNullable<StepRequest["compensate"]>): Entry["undo"] => (outcome) => {
          let number = 0
          const run = Effect.suspend(() => within((key) => compensate(outcome, key), ++number))
          const retried = Effect.retry(Effect.sandbox(run), request.compensateRetry ?? defaultCompensateRetry)
          return Effect.catchAll(Effect.provide(retried, services), stuck) as Effect.Effect<void>
        }
        const entry: Entry | undefined = compensate === undefined
          ? undefined
          : { step, outcome: { _tag: "Unknown" }, kept: false, undo: undoOf(compensate) }
        if (entry !== undefined) this.entries.push(entry)
        if (kind === "pivot") this.pivot = "open"
        return Effect.flatMap(Effect.exit(kind === "pivot" ? ended : restore(ended)), (exit) => {
          if (Exit.isSuccess(exit)) {
            if (kind === "pivot") this.pivot = "passed"
            if (entry === undefined) return exit
            entry.outcome = { _tag: "Done", value: exit.value }
            return Effect.as(
              Effect.zipRight(
                restore(Effect.yieldNow()),
                Effect.sync(() => {
                  entry.kept = true
                })
              ),
              exit.value
            )
          }
          if (kind === "pivot") this.pivot = "none"
          if (entry !== undefined && !mayHaveEffect && Cause.failureOption(exit.cause)._tag === "Some") this.drop(entry)
          return exit
        })
      })
    )
  }

  private drop(entry: Entry): void {
    this.entries = this.entries.filter((other) => other !== entry)
  }

  private nested(
    parent: string,
    name: string,
    key: string | undefined,
    body: Effect.Effect<any, any, any>
  ): Effect.Effect<any, any, any> {
    const refused = this.refused(parent, name, key)
    if (refused !== undefined) return refused
    const id = identity(parent, name, key, 1)
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.exit(restore(Effect.provideService(body, Running, this.host(id)))),
        (exit) =>
          Exit.isSuccess(exit) || this.pivot === "passed"
            ? exit
            : Effect.zipRight(this.undo((entry) => entry.step.startsWith(`${id}/`)), exit)
      )
    )
  }

  /** In the reverse order of their start, in a fiber that nobody has interrupted. */
  undo(which: (entry: Entry) => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const todo = this.entries.filter(which).reverse()
      if (todo.length === 0) return Effect.void
      this.entries = this.entries.filter((entry) => !which(entry))
      const undone = Effect.forEach(todo, (entry) => entry.undo(entry.outcome), { discard: true })
      return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(undone)), Fiber.join)
    })
  }
}

const saysNoEffect = (says: ((error: any) => boolean) | undefined, error: unknown): boolean => {
  try {
    return says?.(error) === true
  } catch {
    return false
  }
}
