/** What people and programs outside ask of a saga: decided on its state alone. */
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { OperationRefused } from "../../saga/SagaError.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import type { By, Resolution, Told } from "../../saga/SagaEngine.ts"
import { isHeld, mayReopen, whole } from "./acts.ts"
import { pivotState } from "./questions.ts"
import { type Activity, activity, type SagaState } from "./state.ts"

export interface Command<A, E> {
  /** What is to be journaled, if anything. */
  readonly decide: (state: SagaState) => Either.Either<ReadonlyArray<Journal.JournalEvent>, E>
  /** The answer, from the state after what was journaled. */
  readonly answer: (before: SagaState, after: SagaState) => A
  /** Whether it asks for a rollback. */
  readonly cancels: boolean
}

export const signal = (slot: string, value: unknown): Command<Told, never> => {
  /** It was waited for, and is not any more. */
  const missed = (state: SagaState): boolean => {
    const waiting = Array.from(HashMap.values(state.activities))
      .filter((each) => each.signal === slot && each.round === state.round)
    // One that was cut off is waited for again once a person has the saga go on.
    const over = (each: Activity) => each.state === "failed" || (each.state === "lost" && !isHeld(state))
    return waiting.length > 0 && waiting.every(over)
  }
  const late = (state: SagaState): boolean => state.ended !== undefined || state.decision !== undefined || missed(state)
  const told = (state: SagaState): Told | undefined =>
    HashMap.has(state.signals, slot) ? "duplicate" : late(state) ? "late" : undefined
  return {
    cancels: false,
    decide: (state) =>
      Either.right(
        told(state) !== undefined
          ? []
          : [Journal.SignalReceived({ signal: slot, ...(value === undefined ? {} : { value }) })]
      ),
    answer: (before, after) => told(before) ?? (missed(after) ? "late" : "accepted")
  }
}

const refuse = (state: SagaState, act: string, reason: OperationRefused["reason"]) =>
  Either.left(new OperationRefused({ saga: state.saga, id: state.id, act, reason }))

const operator = (
  act: "retry" | "skip" | "resolve" | "cancel",
  by: By & { readonly step?: string | undefined },
  refusal: (state: SagaState) => OperationRefused["reason"] | undefined,
  more: { readonly value?: unknown; readonly failure?: Journal.Failure } = {}
): Command<void, OperationRefused> => ({
  cancels: act === "cancel",
  decide: (state) => {
    const reason = state.ended === undefined ? refusal(state) : "ended"
    if (reason !== undefined) return refuse(state, act, reason)
    return Either.right([Journal.OperatorActed({
      saga: state.saga,
      id: state.id,
      act,
      by: by.by,
      why: by.why,
      ...(by.step === undefined ? {} : { step: by.step }),
      ...more
    })])
  },
  answer: () => undefined
})

export const cancel = (by: By): Command<void, OperationRefused> =>
  operator("cancel", { by: by.by, why: by.why }, (state) => {
    if (state.decision !== undefined || state.cancel !== undefined) return "compensating"
    return pivotState(state) === "passed" ? "pastPivot" : undefined
  })

const intervention = (state: SagaState, subject: string) =>
  Option.getOrUndefined(HashMap.get(state.interventions, subject))

export const retry = (by: By & { readonly step?: string | undefined }): Command<void, OperationRefused> =>
  operator("retry", by, (state) => {
    if (by.step === undefined) return HashMap.isEmpty(state.interventions) ? "notNeeded" : undefined
    if (activity(state, by.step) === undefined) return "noSuchStep"
    return intervention(state, by.step) === undefined ? "notNeeded" : undefined
  })

export const skip = (by: By & { readonly step: string }): Command<void, OperationRefused> =>
  operator("skip", by, (state) => {
    if (activity(state, by.step) === undefined) return "noSuchStep"
    return intervention(state, by.step)?.reason === "compensationFailed" ? undefined : "notNeeded"
  })

export const resolve = (by: By & { readonly step: string } & Resolution): Command<void, OperationRefused> =>
  operator(
    "resolve",
    by,
    (state) => {
      const step = activity(state, by.step)
      if (step === undefined) return "noSuchStep"
      const stuck = intervention(state, by.step)
      if (stuck !== undefined) return stuck.reason === "compensationFailed" ? "notNeeded" : undefined
      if (isHeld(state) && mayReopen(state, step)) return undefined
      // What a person has said, and the step cannot have come to, may be said again.
      return whole(state) === "definitionMismatch" &&
          state.acts.some((said) => said.act === "resolve" && said.step === by.step)
        ? undefined
        : "notNeeded"
    },
    "failure" in by
      ? { failure: { kind: "error", message: `resolved by ${by.by}`, codec: "json", value: by.failure } }
      : by.value === undefined
      ? {}
      : { value: by.value }
  )
