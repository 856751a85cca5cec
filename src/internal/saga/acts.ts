/** What persons do about a saga that needs them, as part of the fold. */
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import type { JournalEvent } from "../../saga/SagaJournal.ts"
import type { Intervention } from "../../saga/SagaStatus.ts"
import { pivotState } from "./questions.ts"
import { type Activity, activity, change, inOrder, type SagaState, settle } from "./state.ts"

/** Why the saga as a whole needs a person, where it does. */
export const whole = (state: SagaState): Intervention["reason"] | undefined =>
  Option.getOrUndefined(HashMap.get(state.interventions, ""))?.reason

export const withoutIntervention = (state: SagaState, step: string | undefined): SagaState => ({
  ...state,
  interventions: HashMap.remove(state.interventions, step ?? "")
})

/** What failed or was lost at the end of the journal, with nothing begun after it, is to be tried again. */
const reopenTail = (state: SagaState, at: number): SagaState => {
  const all = inOrder(state).filter((each) => each.round === state.round)
  const last = all.at(-1)?.seq ?? 0
  let next = state
  for (const each of all) {
    if (mayReopen(state, each) && each.outcome > last) next = reopen(next, each.id, at)
  }
  return next
}

/** Whether a person may have something tried again, or say what it came to: what was undone since stays so. */
export const mayReopen = (state: SagaState, each: Activity): boolean =>
  (each.state === "failed" || each.state === "lost") && each.compensation.state === "registered" &&
  !HashSet.some(state.nested, (nested) => each.id.startsWith(`${nested}/`))

const reopen = (state: SagaState, id: string, at: number): SagaState => {
  const signal = activity(state, id)?.signal
  const heard = signal === undefined ? undefined : Option.getOrUndefined(HashMap.get(state.signals, signal))
  if (heard !== undefined) return settle(state, id, at, { state: "done", value: heard.value })
  return change(state, id, (before) => ({
    state: "reopened",
    tainted: true,
    position: undefined,
    // A wait that was cut off goes on until it would have; a limit that has passed is none any more.
    due: before.state === "lost" ? before.due : undefined,
    outcome: 0,
    endedAt: undefined
  }))
}

type Acted = Extract<JournalEvent, { readonly _tag: "SagaOperatorActed" }>

/** Whether the saga has failed, and stands with all that it did. */
export const isHeld = (state: SagaState): boolean => {
  const why = whole(state)
  return why === "suspended" || why === "failedAfterPivot"
}

const retried = (state: SagaState, step: string | undefined, at: number): SagaState => {
  let next = state
  for (const [subject, intervention] of HashMap.toEntries(state.interventions)) {
    if (step !== undefined && subject !== step) continue
    next = { ...next, interventions: HashMap.remove(next.interventions, subject) }
    if (subject === "") next = isHeld(state) ? reopenTail(next, at) : next
    else if (intervention.reason === "compensationFailed") {
      next = change(next, subject, (before) => ({
        compensation: { ...before.compensation, state: "registered", position: undefined, due: undefined }
      }))
    } else next = reopen(next, subject, at)
  }
  return next
}

export const acted = (state: SagaState, event: Acted, at: number): SagaState => {
  const { act, by, step, why } = event
  const next: SagaState = { ...state, acts: [...state.acts, { act, by, why, step, at }] }
  switch (act) {
    case "cancel":
      // It is rolled back, and needs nobody for that; while a pivot is open its outcome is still asked for.
      return {
        ...next,
        cancel: { by, why },
        interventions: pivotState(next) === "open" ? next.interventions : HashMap.empty()
      }
    case "retry":
      return retried(next, step, at)
    case "skip":
      return change(withoutIntervention(next, step), step!, (before) => ({
        compensation: { ...before.compensation, state: "skipped" }
      }))
    case "resolve": {
      const held = isHeld(next)
      const settled = settle(
        withoutIntervention(withoutIntervention(next, step), undefined),
        step!,
        at,
        event.failure === undefined
          ? { state: "done", done: true, value: event.value, failure: undefined }
          : { state: "failed", done: false, failure: event.failure, noEffect: false }
      )
      return held ? reopenOthers(settled, step!, at) : settled
    }
  }
}

const reopenOthers = (state: SagaState, but: string, at: number): SagaState => {
  const kept = activity(state, but)
  const next = reopenTail(state, at)
  return kept === undefined ? next : { ...next, activities: HashMap.set(next.activities, but, kept) }
}
