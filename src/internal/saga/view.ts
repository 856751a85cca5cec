/** What is told of a saga's state to those who ask. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as ParseResult from "effect/ParseResult"
import type { Contract } from "../../saga/SagaDefinition.ts"
import { NeedsIntervention, SagaCancelled, SagaTimedOut } from "../../saga/SagaError.ts"
import type { State, Status, Step } from "../../saga/SagaStatus.ts"
import * as Failures from "./failure.ts"
import { toUndo } from "./questions.ts"
import { type Activity, inOrder, type SagaState } from "./state.ts"

const open = (each: Activity): boolean =>
  each.state === "running" || each.state === "retrying" || each.state === "reopened" || each.state === "stuck"

const waits = (each: Activity): boolean => each.kind === "sleep" || each.kind === "signal" || each.state === "retrying"

export const stateOf = (state: SagaState): State => {
  if (state.ended !== undefined) return state.ended.state
  if (HashMap.size(state.interventions) > 0) return "needsIntervention"
  if (state.decision?.decision === "rollback") return "compensating"
  if (HashMap.size(state.activities) === 0) return "started"
  const inRound = Array.from(HashMap.values(state.activities)).filter(({ round }) => round === state.round)
  // its next round is to begin
  if (inRound.length === 0) return state.roundDue === undefined ? "running" : "waiting"
  const active = inRound.filter(open)
  return active.length > 0 && active.every(waits) ? "waiting" : "running"
}

const stepOf = (each: Activity): Step => {
  const { compensation } = each
  const none = !each.compensated || (compensation.state === "registered" && !toUndo(each))
  return {
    step: each.id,
    name: each.name,
    kind: each.kind,
    round: each.round,
    state: each.state === "stuck" || (open(each) && waits(each))
      ? "waiting"
      : each.state === "reopened"
      ? "running"
      : each.state as Step["state"],
    attempts: each.attempts,
    begunAt: each.begunAt,
    endedAt: each.endedAt,
    due: (open(each) ? each.due : undefined) ?? compensation.due,
    value: each.value,
    failure: each.failure,
    compensation: none ? "none" : compensation.state,
    compensationAttempts: compensation.attempts,
    compensationFailure: compensation.failure
  }
}

export const statusOf = (state: SagaState): Status => ({
  saga: state.saga,
  id: state.id,
  version: state.definition,
  state: stateOf(state),
  round: state.round,
  startedAt: state.startedAt,
  endedAt: state.ended?.at,
  deadline: state.deadline,
  late: state.late,
  payload: state.payload,
  steps: inOrder(state).map(stepOf),
  reason: state.ended?.reason ?? state.decision?.reason,
  failure: state.ended?.failure ?? state.decision?.failure,
  value: state.ended?.value,
  interventions: Array.from(HashMap.values(state.interventions)),
  acts: state.acts,
  left: state.ended?.left ?? []
})

/** How a saga that has ended did so. */
export const resultOf = (
  contract: Contract,
  state: SagaState,
  ended: NonNullable<SagaState["ended"]>
): Effect.Effect<Exit.Exit<any, any>, SagaCancelled | SagaTimedOut> => {
  const { id, saga } = state
  if (ended.state === "completed") {
    return Effect.match(ParseResult.decodeUnknown(contract.success)(ended.value), {
      onFailure: (issue) => Exit.die(new Error(`the result of ${saga} "${id}" cannot be read`, { cause: issue })),
      onSuccess: (value) => Exit.succeed(value)
    })
  }
  switch (ended.reason) {
    case "cancelled":
      return new SagaCancelled({ saga, id, by: state.cancel?.by ?? "", why: state.cancel?.why ?? "" })
    case "timedOut":
      return new SagaTimedOut({ saga, id })
    default:
      return Effect.succeed(
        ended.failure === undefined
          ? Exit.die(new Error(`${saga} "${id}" failed`))
          : Exit.failCause(Failures.toCause(ended.failure, id, undefined, contract.error) as Cause.Cause<unknown>)
      )
  }
}

/** Why a saga stands still, if it does. */
export const stuckOf = (state: SagaState): NeedsIntervention | undefined => {
  if (HashMap.isEmpty(state.interventions)) return undefined
  const first = Array.from(HashMap.values(state.interventions)).sort((a, b) => a.since - b.since)[0]
  if (first === undefined) return undefined
  const sagaFailure = state.decision?.failure
  return new NeedsIntervention({
    saga: state.saga,
    id: state.id,
    reason: first.reason,
    ...(first.step === undefined ? {} : { step: first.step }),
    ...(first.failure === undefined ? {} : { failure: first.failure }),
    ...(sagaFailure === undefined ? {} : { sagaFailure })
  })
}
