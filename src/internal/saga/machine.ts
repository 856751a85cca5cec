/**
 * The middle of the engine: what a journal says, as a fold. Pure; the engine drives it event by event, and so do readers.
 */
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import type { Failure, JournalEvent } from "../../saga/SagaJournal.ts"
import { acted, withoutIntervention } from "./acts.ts"
import { isAwaited } from "./questions.ts"
import {
  activity,
  afterOf,
  begin,
  change,
  compensation,
  doneOf,
  initial,
  put,
  type SagaState,
  settle
} from "./state.ts"

/** Whether a failure is an answer: of what took too long, or of what a crash cut off, nobody knows what it did. */
const answers = ({ kind }: Failure): boolean => kind === "error" || kind === "defect"

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
