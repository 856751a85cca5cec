import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import type { Stored } from "./journalWriter.ts"
import type { SagaState } from "./state.ts"

const startedKey = MetricKey.counter("skald.saga.started", { description: "sagas started by this process" })
const endedKey = MetricKey.counter("skald.saga.ended", { description: "sagas that ended in this process, by state" })
const stuckKey = MetricKey.counter("skald.saga.interventions", {
  description: "how often a saga of this process came to need a person, by reason"
})

type Counter = Metric.Metric.Counter<number>

/** By key, by the value of the second label, by saga. */
const counters = new Map<MetricKey.MetricKey.Counter<number>, Map<string, Map<string, Counter>>>()

const within = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  let found = map.get(key)
  if (found === undefined) map.set(key, found = make())
  return found
}

/** A counter of a saga, by a second label where there is one. To label a metric takes longer than to count, and is done once. */
const counter = (
  key: MetricKey.MetricKey.Counter<number>,
  saga: string,
  label?: string,
  value = ""
): Counter =>
  within(within(within(counters, key, () => new Map()), value, () => new Map<string, Counter>()), saga, () => {
    const labels = [MetricLabel.make("saga", saga), ...label === undefined ? [] : [MetricLabel.make(label, value)]]
    return Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labels))
  })

export const started = (saga: string): void => counter(startedKey, saga).unsafeUpdate(1, [])

/** Counts what an event of a journal tells. */
export const count = (_runner: unknown, _before: SagaState, { event }: Stored): void => {
  if (event._tag === "SagaEnded") counter(endedKey, event.saga, "state", event.state).unsafeUpdate(1, [])
  else if (event._tag === "SagaInterventionNeeded") {
    counter(stuckKey, event.saga, "reason", event.reason).unsafeUpdate(1, [])
  }
}
