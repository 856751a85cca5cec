import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as SchedulePosition from "../../resilience/SchedulePosition.ts"
import { defaultCompensateRetry, type Exhausted, type Outcome } from "../../saga/SagaDefinition.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import * as Failures from "./failure.ts"
import { toUndo } from "./questions.ts"
import type { Activity } from "./state.ts"
import type { Runner } from "./runner.ts"
import * as Schedules from "./schedule.ts"

/** How a step is undone. */
export interface Compensate {
  readonly run: (outcome: Outcome<unknown>, attempt: number) => Effect.Effect<void, unknown>
  /** Says what the step did, where its definition wants that asked. */
  readonly ask: Effect.Effect<Option.Option<unknown>> | undefined
  readonly decode: (value: unknown) => Either.Either<unknown, unknown>
  readonly retry: Schedule.Schedule<unknown, any> | undefined
  readonly exhausted: Exhausted
}

/** Undoes steps one after the other, in the order given; each is settled before the next begins. */
export const compensateAll = (runner: Runner, plan: ReadonlyArray<Activity>): Effect.Effect<void> =>
  Effect.forEach(plan, (each) => compensate(runner, each.id), { discard: true })

const compensate = (runner: Runner, id: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const activity = runner.activity(id)!
    // Before the saga commits, a rollback may be wanted: it does the rest.
    if (!toUndo(activity) || runner.wanted !== undefined) return Effect.void
    const how = runner.compensations.get(id)
    if (how === undefined) {
      return Effect.zipRight(
        runner.intervene("definitionMismatch", undefined, mismatch(`${id} has no compensation any more`)),
        compensate(runner, id)
      )
    }
    if (runner.isStuck(id)) return Effect.zipRight(runner.awaitAct(id), compensate(runner, id))
    const { due } = activity.compensation
    if (due !== undefined && due > runner.now()) {
      return Effect.zipRight(untilDue(runner, due), compensate(runner, id))
    }
    return Effect.flatMap(outcomeOf(runner, activity, how), (outcome) =>
      outcome === undefined
        ? Effect.asVoid(runner.note([Journal.Compensated({ step: id, how: "neverHappened" })]))
        : attempt(runner, activity, how, outcome))
  })

/** Before a decision a rollback may yet be wanted, which does not wait for what is due in hours. */
const untilDue = (runner: Runner, due: number): Effect.Effect<void> =>
  runner.state.decision === undefined
    ? runner.quiet.waiting(due, Effect.raceFirst(runner.until(due), runner.awaitChange))
    : runner.until(due)

const mismatch = (message: string): Journal.Failure => ({ kind: "invalid", message })

const unknown: Outcome<unknown> = { _tag: "Unknown" }

const outcomeOf = (
  runner: Runner,
  activity: Activity,
  how: Compensate
): Effect.Effect<Outcome<unknown> | undefined> => {
  if (activity.done) {
    const value = how.decode(activity.value)
    return Either.isRight(value)
      ? Effect.succeed({ _tag: "Done", value: value.right })
      : Effect.zipRight(
        runner.intervene("definitionMismatch", undefined, mismatch(`the result of ${activity.id} cannot be read`)),
        Effect.suspend(() => outcomeOf(runner, activity, how))
      )
  }
  // Nobody knows: a step that can be asked is, and where it cannot answer it is undone all the same.
  return how.ask === undefined ?
    Effect.succeed(unknown) :
    Effect.map(Effect.exit(how.ask), (exit) =>
      Exit.isFailure(exit)
        ? unknown
        : Option.match(exit.value, { onNone: () => undefined, onSome: (value) => ({ _tag: "Done", value }) }))
}

const attempt = (
  runner: Runner,
  { compensation, id }: Activity,
  how: Compensate,
  outcome: Outcome<unknown>
): Effect.Effect<void> => {
  const number = compensation.attempts + 1
  return Effect.zipRight(
    runner.note([{ _tag: "SagaCompensationIntended", step: id, attempt: number }]),
    Effect.flatMap(Effect.exit(how.run(outcome, number)), (exit) => {
      if (runner.closed) return Effect.interrupt
      if (Exit.isSuccess(exit)) return undone(runner, id)
      const failure = Failures.ofCause(exit.cause, undefined, runner.definition.contract.error)
      const before = compensation.position ?? SchedulePosition.initialWith(runner.state.seed)
      const taken = Either.flatMap(
        Schedules.resumable(how.retry ?? defaultCompensateRetry, undefined),
        (driven) => driven.step(before, runner.now(), failure)
      )
      const position = Either.isRight(taken) ? taken.right.position : { ...before, next: null }
      const failed = { step: id, attempt: number, failure, position }
      if (position.next !== null) {
        return Effect.zipRight(
          runner.note([Journal.CompensationFailed({ ...failed, due: position.next })]),
          compensate(runner, id)
        )
      }
      return how.exhausted === "continue"
        ? Effect.asVoid(runner.note([Journal.CompensationFailed({ ...failed, left: true })]))
        : Effect.zipRight(
          runner.intervene("compensationFailed", id, failure, [Journal.CompensationFailed(failed)]),
          compensate(runner, id)
        )
    })
  )
}

/** Under the decision to roll back it is journaled in one piece with the next intent, or the end: before anything else is done. */
const undone = (runner: Runner, id: string): Effect.Effect<void> => {
  const event: Journal.JournalEvent = { _tag: "SagaCompensated", step: id, how: "undone" }
  return runner.state.decision === undefined
    ? Effect.asVoid(runner.note([event]))
    : Effect.withFiberRuntime((fiber) => {
      runner.writer.later([event], runner.now(), fiber)
      return Effect.void
    })
}
