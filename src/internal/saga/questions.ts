/** What the engine asks of a saga's state. */
import * as HashSet from "effect/HashSet"
import { type Activity, activity, inOrder, type SagaState } from "./state.ts"

/** Whether something that is waited for is to come yet. */
export const isAwaited = ({ state }: Activity): boolean => state === "running" || state === "reopened"

/** Whether something may be left of an activity that a rollback has to undo. */
export const toUndo = (each: Activity): boolean => {
  if (!each.compensated) return false
  const { state } = each.compensation
  if (state !== "registered" && state !== "running") return false
  if (each.state === "failed") return each.tainted || !each.noEffect
  if (each.state === "retrying") return each.tainted
  return true
}

/** What a rollback of this round has to undo, in the order in which it is done. */
export const plan = (state: SagaState, within = ""): ReadonlyArray<Activity> =>
  inOrder(state).filter((each) => each.round === state.round && each.id.startsWith(within) && toUndo(each)).reverse()

/**
 * What has to be undone before the saga commits: what was interrupted, or failed and may yet have had an effect, while the saga
 * went on; and what is left of nested sagas that were given up.
 */
export const strayToUndo = (state: SagaState): ReadonlyArray<Activity> =>
  HashSet.size(state.nested) === 0 && !someActivity(state, isStray) ?
    [] :
    plan(state).filter((each) =>
      isStray(each) || HashSet.some(state.nested, (nested) => each.id.startsWith(`${nested}/`))
    )

const isStray = (each: Activity): boolean => each.state === "lost" || each.state === "failed"

/** The steps whose compensations were given up. */
export const leftOver = (state: SagaState): ReadonlyArray<string> =>
  someActivity(state, isLeft) ? inOrder(state).filter(isLeft).map((each) => each.id) : []

const isLeft = (each: Activity): boolean => each.compensation.state === "left"

const someActivity = (state: SagaState, is: (each: Activity) => boolean): boolean => {
  for (const [, each] of state.activities) if (is(each)) return true
  return false
}

/** Whether a pivot was begun, and what came of it. */
export const pivotState = (state: SagaState): "none" | "open" | "passed" | "failed" => {
  const pivot = state.pivot === undefined ? undefined : activity(state, state.pivot)
  if (pivot === undefined) return "none"
  return pivot.state === "done" ? "passed" : pivot.state === "failed" ? "failed" : "open"
}
