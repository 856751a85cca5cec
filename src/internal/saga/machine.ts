/**
 * The middle of the engine: what a journal says, as a fold. Pure; the engine drives it event by event, and so do readers.
 */
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import type * as SchedulePosition from "../../resilience/SchedulePosition.ts"
import type { Ending, Failure, JournalEvent, Kind, Reason } from "../../saga/SagaJournal.ts"
import type { Act, Intervention } from "../../saga/SagaStatus.ts"

type Position = SchedulePosition.Position

export interface Compensation {
  readonly state: "registered" | "running" | "undone" | "neverHappened" | "skipped" | "left"
  readonly attempts: number
  readonly position: Position | undefined
  readonly due: number | undefined
  readonly failure: Failure | undefined
}

/** An activity: a step, a sleep, a wait for a signal. */
export interface Activity {
  readonly id: string
  /** The version of its intent in the journal: compensations run in the reverse order of these. */
  readonly seq: number
  readonly place: string
  readonly name: string
  readonly kind: Kind
  readonly round: number
  readonly compensated: boolean
  /**
   * - `running`: an attempt was begun, and nothing is known of it;
   * - `retrying`: the last attempt failed, another is due;
   * - `stuck`: it waits for an operator; `reopened`: he wants another attempt.
   */
  readonly state: "running" | "retrying" | "stuck" | "reopened" | "done" | "failed" | "lost"
  readonly attempts: number
  /** The attempt whose key counts, where each has its own: the one after an attempt that was answered, with a failure. */
  readonly keyed: number
  /** Whether the last attempt was answered; one that was not is settled with its own key. */
  readonly answered: boolean
  /** Whether an attempt before the last may have had an effect. */
  readonly tainted: boolean
  /** Whether it has succeeded, also where nobody waited for that any more. */
  readonly done: boolean
  readonly position: Position | undefined
  readonly due: number | undefined
  readonly signal: string | undefined
  readonly value: unknown
  readonly failure: Failure | undefined
  readonly noEffect: boolean
  /** The version of the event that settled it; 0 while none has. */
  readonly outcome: number
  readonly begunAt: number
  readonly endedAt: number | undefined
  readonly compensation: Compensation
}

export interface Decision {
  readonly decision: "commit" | "rollback"
  readonly reason: Reason | undefined
  readonly failure: Failure | undefined
}

export interface SagaState {
  /** Of the stream. */
  readonly version: number
  readonly saga: string
  readonly id: string
  readonly definition: number
  readonly payload: unknown
  readonly seed: number
  readonly startedAt: number
  readonly deadline: number | undefined
  readonly late: boolean
  readonly round: number
  readonly roundDue: number | undefined
  readonly retryPosition: Position | undefined
  readonly activities: HashMap.HashMap<string, Activity>
  readonly signals: HashMap.HashMap<string, { readonly seq: number; readonly at: number; readonly value: unknown }>
  readonly nested: HashSet.HashSet<string>
  readonly decision: Decision | undefined
  readonly cancel: { readonly by: string; readonly why: string } | undefined
  /** The pivot of this round. */
  readonly pivot: string | undefined
  readonly interventions: HashMap.HashMap<string, Intervention>
  readonly acts: ReadonlyArray<Act>
  readonly ended:
    | {
      readonly state: Ending
      readonly at: number
      readonly value: unknown
      readonly failure: Failure | undefined
      readonly reason: Reason | undefined
      readonly left: ReadonlyArray<string>
    }
    | undefined
}

export const initial: SagaState = {
  version: 0,
  saga: "",
  id: "",
  definition: 0,
  payload: undefined,
  seed: 0,
  startedAt: 0,
  deadline: undefined,
  late: false,
  round: 1,
  roundDue: undefined,
  retryPosition: undefined,
  activities: HashMap.empty(),
  signals: HashMap.empty(),
  nested: HashSet.empty(),
  decision: undefined,
  cancel: undefined,
  pivot: undefined,
  interventions: HashMap.empty(),
  acts: [],
  ended: undefined
}

const unregistered: Compensation = {
  state: "registered",
  attempts: 0,
  position: undefined,
  due: undefined,
  failure: undefined
}

export const activity = (state: SagaState, id: string): Activity | undefined =>
  Option.getOrUndefined(HashMap.get(state.activities, id))

type Own = { -readonly [Name in keyof SagaState]: SagaState[Name] }

/** The copy that {@link apply} has made, and changes until it gives it away. */
const put = (copy: SagaState, id: string, activity: Activity): SagaState => {
  const own: Own = copy
  own.activities = HashMap.set(copy.activities, id, activity)
  return copy
}

const change = (copy: SagaState, id: string, to: (before: Activity) => Partial<Activity>): SagaState => {
  const before = activity(copy, id)
  return before === undefined ? copy : put(copy, id, { ...before, ...to(before) })
}

const begin = (
  copy: SagaState,
  event: { readonly step: string; readonly place: string; readonly name: string },
  at: number,
  // built member by member: most of what a fold does is this
  { compensated = false, due, kind, signal }: {
    readonly kind: Kind
    readonly compensated?: boolean
    readonly due?: number | undefined
    readonly signal?: string
  }
): SagaState =>
  put(copy, event.step, {
    id: event.step,
    seq: copy.version,
    place: event.place,
    name: event.name,
    kind,
    round: copy.round,
    compensated,
    state: "running",
    attempts: 1,
    keyed: 1,
    answered: false,
    tainted: false,
    done: false,
    position: undefined,
    due,
    signal,
    value: undefined,
    failure: undefined,
    noEffect: false,
    outcome: 0,
    begunAt: at,
    endedAt: undefined,
    compensation: unregistered
  })

const settle = (
  state: SagaState,
  id: string,
  at: number,
  as: Partial<Activity> & { readonly state: Activity["state"] }
): SagaState => change(state, id, () => ({ ...as, outcome: state.version, endedAt: at, due: undefined }))

/** Why the saga as a whole needs a person, where it does. */
export const whole = (state: SagaState): Intervention["reason"] | undefined =>
  Option.getOrUndefined(HashMap.get(state.interventions, ""))?.reason

const withoutIntervention = (state: SagaState, step: string | undefined): SagaState => ({
  ...state,
  interventions: HashMap.remove(state.interventions, step ?? "")
})

/** In journal order. */
export const inOrder = (state: SagaState): ReadonlyArray<Activity> =>
  Array.from(HashMap.values(state.activities)).sort((a, b) => a.seq - b.seq)

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

/** Whether something that is waited for is to come yet. */
export const isAwaited = ({ state }: Activity): boolean => state === "running" || state === "reopened"

/** Whether a failure is an answer: of what took too long, or of what a crash cut off, nobody knows what it did. */
const answers = ({ kind }: Failure): boolean => kind === "error" || kind === "defect"

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

const acted = (state: SagaState, event: Acted, at: number): SagaState => {
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

const compensation = (state: SagaState, id: string, to: Partial<Compensation>): SagaState =>
  change(state, id, (before) => ({ compensation: { ...before.compensation, ...to } }))

/** A copy for the next event. Member by member: to spread a state that holds instants takes several times as long. */
const afterOf = (before: SagaState): Own => ({
  version: before.version + 1,
  saga: before.saga,
  id: before.id,
  definition: before.definition,
  payload: before.payload,
  seed: before.seed,
  startedAt: before.startedAt,
  deadline: before.deadline,
  late: before.late,
  round: before.round,
  roundDue: before.roundDue,
  retryPosition: before.retryPosition,
  activities: before.activities,
  signals: before.signals,
  nested: before.nested,
  decision: before.decision,
  cancel: before.cancel,
  pivot: before.pivot,
  interventions: before.interventions,
  acts: before.acts,
  ended: before.ended
})

/** An activity that has succeeded; likewise. */
const doneOf = (before: Activity, value: unknown, outcome: number, at: number): Activity => ({
  id: before.id,
  seq: before.seq,
  place: before.place,
  name: before.name,
  kind: before.kind,
  round: before.round,
  compensated: before.compensated,
  state: "done",
  attempts: before.attempts,
  keyed: before.keyed,
  answered: before.answered,
  tainted: before.tainted,
  done: true,
  position: before.position,
  due: undefined,
  signal: before.signal,
  value,
  failure: undefined,
  noEffect: before.noEffect,
  outcome,
  begunAt: before.begunAt,
  endedAt: at,
  compensation: before.compensation
})

/** The state after one more event, recorded at an instant. */
export const apply = (before: SagaState, event: JournalEvent, at: number): SagaState => {
  const state = afterOf(before)
  switch (event._tag) {
    case "SagaStarted":
      state.saga = event.saga
      state.id = event.id
      state.definition = event.version
      state.payload = event.payload
      state.seed = event.seed
      state.startedAt = at
      state.deadline = event.deadline
      return state
    case "SagaResumed":
      return state
    case "SagaRoundStarted":
      return {
        ...state,
        round: event.round,
        roundDue: event.due,
        retryPosition: event.position,
        decision: undefined,
        pivot: undefined
      }
    case "SagaStepIntended": {
      const next = begin(state, event, at, { kind: event.kind, compensated: event.compensated })
      if (event.kind === "pivot") state.pivot = event.step
      return next
    }
    case "SagaStepAttempted":
      return change(state, event.step, (step) => ({
        state: "running",
        attempts: event.attempt,
        keyed: step.answered ? event.attempt : step.keyed,
        answered: false,
        tainted: step.tainted || step.state === "running",
        due: undefined
      }))
    case "SagaAttemptFailed":
      return change(state, event.step, (step) => ({
        state: "retrying",
        failure: event.failure,
        answered: answers(event.failure),
        tainted: step.tainted || !event.noEffect,
        position: event.position,
        due: event.due
      }))
    case "SagaStepDone": {
      const running = activity(state, event.step)
      return running === undefined ? state : put(state, event.step, doneOf(running, event.value, state.version, at))
    }
    case "SagaStepFailed":
      return settle(state, event.step, at, {
        state: "failed",
        failure: event.failure,
        answered: answers(event.failure),
        noEffect: event.noEffect
      })
    case "SagaStepLost":
      // Nobody is needed for it any more.
      return change(withoutIntervention(state, event.step), event.step, () => ({
        state: "lost",
        outcome: state.version,
        endedAt: at
      }))
    case "SagaTimerSet":
      return begin(state, event, at, { kind: "sleep", due: event.due })
    case "SagaTimerFired":
      return settle(state, event.step, at, { state: "done" })
    case "SagaSignalAwaited": {
      const known = Option.getOrUndefined(HashMap.get(state.signals, event.signal))
      const next = begin(state, event, at, { kind: "signal", signal: event.signal, due: event.due })
      return known === undefined ? next : settle(next, event.step, at, { state: "done", value: known.value })
    }
    case "SagaSignalReceived": {
      if (HashMap.has(state.signals, event.signal)) return state
      let next: SagaState = {
        ...state,
        signals: HashMap.set(state.signals, event.signal, { seq: state.version, at, value: event.value })
      }
      for (const each of HashMap.values(state.activities)) {
        if (each.signal === event.signal && isAwaited(each)) {
          next = settle(next, each.id, at, { state: "done", value: event.value })
        }
      }
      return next
    }
    case "SagaSignalLimitPassed": {
      const awaited = activity(state, event.step)
      return awaited !== undefined && isAwaited(awaited)
        ? settle(state, event.step, at, { state: "failed", noEffect: true })
        : state
    }
    case "SagaNestedDecided":
      return { ...state, nested: HashSet.add(state.nested, event.nested) }
    case "SagaDecided":
      state.decision = { decision: event.decision, reason: event.reason, failure: event.failure }
      state.interventions = HashMap.empty()
      return state
    case "SagaCompensationIntended":
      return compensation(state, event.step, { state: "running", attempts: event.attempt, due: undefined })
    case "SagaCompensated":
      return compensation(state, event.step, { state: event.how })
    case "SagaCompensationFailed":
      return compensation(state, event.step, {
        state: event.left === true ? "left" : "registered",
        failure: event.failure,
        position: event.position,
        due: event.due
      })
    case "SagaInterventionNeeded": {
      const { failure, reason, step } = event
      const next: SagaState = {
        ...state,
        interventions: HashMap.set(state.interventions, step ?? "", {
          reason,
          since: at,
          ...(step === undefined ? {} : { step }),
          ...(failure === undefined ? {} : { failure })
        })
      }
      return step === undefined || reason === "compensationFailed"
        ? next
        : change(next, step, (stuck) => ({
          state: "stuck",
          failure: failure ?? stuck.failure,
          answered: reason !== "unknownOutcome" && failure !== undefined && answers(failure),
          due: undefined
        }))
    }
    case "SagaOperatorActed":
      return acted(state, event, at)
    case "SagaDeadlinePassed":
      return { ...state, late: true }
    case "SagaEnded":
      state.interventions = HashMap.empty()
      state.ended = {
        state: event.state,
        at,
        value: event.value,
        failure: event.failure,
        reason: event.reason,
        left: event.left
      }
      return state
  }
}

/** A journal, folded. */
export const fold = (
  events: Iterable<{ readonly event: JournalEvent; readonly at: number }>,
  from: SagaState = initial
): SagaState => {
  let state = from
  for (const { at, event } of events) state = apply(state, event, at)
  return state
}

// -------------------------------------------------------------------------------------------------------------- questions

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
