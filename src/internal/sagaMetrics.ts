import * as Metric from "effect/Metric"
import type { Stored } from "./sagaJournalWriter.ts"
import type { SagaState } from "./sagaMachine.ts"

const startedCounter = Metric.counter("skald_saga_started", { description: "sagas started by this process" })
const endedCounter = Metric.counter("skald_saga_ended", { description: "sagas that ended in this process, by state" })
const stuckCounter = Metric.counter("skald_saga_interventions", {
  description: "how often a saga of this process came to need a person, by reason"
})

export const started = (saga: string): void => Metric.tagged(startedCounter, "saga", saga).unsafeUpdate(1, [])

/** Counts what an event of a journal tells. */
export const count = (_runner: unknown, _before: SagaState, { event }: Stored): void => {
  if (event._tag === "SagaEnded") {
    Metric.tagged(Metric.tagged(endedCounter, "saga", event.saga), "state", event.state).unsafeUpdate(1, [])
  } else if (event._tag === "SagaInterventionNeeded") {
    Metric.tagged(Metric.tagged(stuckCounter, "saga", event.saga), "reason", event.reason).unsafeUpdate(1, [])
  }
}
