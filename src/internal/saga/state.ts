/** What a journal comes to, and the few ways in which that changes. */
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import type * as SchedulePosition from "../../resilience/SchedulePosition.ts"
import type { Ending, Failure, Kind, Reason } from "../../saga/SagaJournal.ts"
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

export type Own = { -readonly [Name in keyof SagaState]: SagaState[Name] }

/** The copy that the fold has made, and changes until it gives it away. */
export const put = (copy: SagaState, id: string, activity: Activity): SagaState => {
  const own: Own = copy
  own.activities = HashMap.set(copy.activities, id, activity)
  return copy
}

export const change = (copy: SagaState, id: string, to: (before: Activity) => Partial<Activity>): SagaState => {
  const before = activity(copy, id)
  return before === undefined ? copy : put(copy, id, { ...before, ...to(before) })
}

export const begin = (
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

export const settle = (
  state: SagaState,
  id: string,
  at: number,
  as: Partial<Activity> & { readonly state: Activity["state"] }
): SagaState => change(state, id, () => ({ ...as, outcome: state.version, endedAt: at, due: undefined }))

/** In journal order. */
export const inOrder = (state: SagaState): ReadonlyArray<Activity> =>
  Array.from(HashMap.values(state.activities)).sort((a, b) => a.seq - b.seq)

export const compensation = (state: SagaState, id: string, to: Partial<Compensation>): SagaState =>
  change(state, id, (before) => ({ compensation: { ...before.compensation, ...to } }))

/** A copy for the next event. Member by member: to spread a state that holds instants takes several times as long. */
export const afterOf = (before: SagaState): Own => ({
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
export const doneOf = (before: Activity, value: unknown, outcome: number, at: number): Activity => ({
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
