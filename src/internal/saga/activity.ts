import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { InvalidStep } from "../../saga/SagaError.ts"
import type { JournalEvent, Kind } from "../../saga/SagaJournal.ts"
import * as Body from "./body.ts"
import { nameProblem } from "./saga.ts"
import { exitOf } from "./exitOf.ts"
import { identity } from "./identity.ts"
import type { Activity } from "./state.ts"
import type { Runner } from "./runner.ts"

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** What a body asked for, found in the journal or new; or why it gets nothing. */
export type Claim =
  | { readonly _tag: "Known"; readonly id: string }
  | { readonly _tag: "New"; readonly id: string; readonly place: string }
  | { readonly _tag: "Refused"; readonly why: Effect.Effect<never> }

const refused = (why: Effect.Effect<never>): Claim => ({ _tag: "Refused", why })

/** A step that no saga can have. The body may swallow the defect; the saga remembers it. */
export const invalid = (
  runner: Runner,
  step: string,
  reason: InvalidStep["reason"],
  detail?: string
): Effect.Effect<never> => {
  const error = new InvalidStep({ step, reason, ...(detail === undefined ? {} : { detail }) })
  runner.invalid ??= error
  return Effect.die(error)
}

/** Looks an activity up that the body asks for, and whether it may. */
export const claim = (
  runner: Runner,
  parent: string,
  kind: Kind,
  name: string,
  key: string | undefined
): Effect.Effect<Claim> =>
  Effect.withFiberRuntime((fiber) => Effect.succeed(claimBy(fiber, runner, parent, kind, name, key)))

/** The same, asked by the fiber that is given. */
export const claimBy = (
  fiber: Fiber.RuntimeFiber<any, any>,
  runner: Runner,
  parent: string,
  kind: Kind,
  name: string,
  key: string | undefined
): Claim => {
  const { at } = fiber.getFiberRef(Body.place)
  const problem = nameProblem(name)
  if (problem !== undefined) return refused(invalid(runner, name, "name", problem))
  const id = identity(parent, name, key, runner.state.round)
  if (runner.claimed.has(id)) return refused(invalid(runner, id, "duplicate"))
  const known = runner.activity(id)
  if (known === undefined && runner.pivoting && (kind === "compensatable" || kind === "pivot")) {
    return refused(invalid(runner, id, "afterPivot"))
  }
  if (known !== undefined && known.kind !== kind) {
    return refused(runner.mismatch(`${id} is a ${kind}, and was a ${known.kind}`))
  }
  // On a branch, what stands where depends on how many fibers there were; off it, each place has its one activity.
  if (known === undefined || (!at.includes(">") && known.place !== at)) {
    const other = runner.replay.otherAt(at, id)
    if (other !== undefined) return refused(runner.mismatch(`${id} is asked for where ${other} was`))
  }
  runner.claimed.add(id)
  if (known === undefined) return { _tag: "New", id, place: at }
  runner.replay.claim(id)
  return { _tag: "Known", id }
}

/**
 * Journals that an activity begins. False where nothing may begin any more: the body goes no further then.
 */
export const begin = (runner: Runner, kind: Kind, event: JournalEvent): Effect.Effect<boolean> =>
  runner.note([event], () => mayBegin(runner, kind))

/** The same, asked by the fiber that is given, which is not interrupted; an Exit where it is done already. */
export const beginBy = (
  fiber: Fiber.RuntimeFiber<any, any>,
  runner: Runner,
  kind: Kind,
  event: JournalEvent
): Effect.Effect<boolean> => {
  const begun = runner.writer.writeBy(fiber, [event], () => mayBegin(runner, kind))
  const done = exitOf(begun)
  return done !== undefined && Exit.isSuccess(done) ? begun as Effect.Effect<boolean> : Effect.orDie(begun)
}

const mayBegin = (runner: Runner, kind: Kind): boolean => {
  // asked again: another process may have cancelled before this came to the journal
  if (kind === "pivot" && runner.pivoting && runner.state.cancel !== undefined) {
    runner.pivoting = false
    runner.consider()
  }
  if (runner.blocked()) return false
  if (kind === "pivot") runner.pivoting = true
  return true
}

/** Where nothing may begin any more: a body that is rolled back waits to be stopped, what is left over of another ends. */
export const held = (runner: Runner): Effect.Effect<never> =>
  Effect.suspend(() => runner.closed || runner.deciding === "commit" ? Effect.interrupt : Effect.never)

/**
 * Runs what an activity waits for, where the activity itself is not interrupted. When what it waits for is while the saga goes on,
 * the activity is lost: that is journaled before whoever interrupted it goes on, and it never comes to anything on a replay.
 */
export const orLost = <A, E, R>(runner: Runner, id: string, waiting: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Exit.isExit(waiting) && Exit.isSuccess(waiting) ? waiting : Effect.catchAllCause(waiting, (cause) => {
    const failed = Effect.failCause(cause)
    if (!Cause.isInterruptedOnly(cause)) return failed
    const { kind, state } = runner.activity(id)!
    // A pivot is not interrupted by its saga, and what has failed is known.
    if (kind === "pivot" || state === "lost" || state === "failed") return failed
    return Effect.zipRight(
      Effect.exit(runner.note([{ _tag: "SagaStepLost", step: id }], () => !runner.blocked())),
      failed
    )
  })

/** Waits for an activity's turn in the journal's order, and lets siblings be heard that came first. */
export const turn = (runner: Runner, known: Activity): Effect.Effect<void> =>
  Effect.zipRight(runner.replay.turn(known.id), Effect.yieldNow())
