import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import * as Sketch from "../ddSketch.ts"
import * as PerSubscription from "./perSubscription.ts"

/** What is counted. */
export const kinds = ["taken", "handled", "failed", "retried", "dead"] as const
export type Kind = typeof kinds[number]
export type Counts = { readonly [K in Kind]: number }

/** How finely the window slides, and how long each slot of it is, in milliseconds. */
const slots = 6
const slotMillis = 10_000
export const windowMillis = slots * slotMillis

/** Percentiles are within 1 % of what was measured. */
const gamma = 1.02
const scale = 1 / Math.log(gamma)

interface Slot {
  readonly index: number
  readonly counts: { [K in Kind]: number }
  readonly durations: Sketch.Sketch
}

const noCounts = (): { [K in Kind]: number } => ({ taken: 0, handled: 0, failed: 0, retried: 0, dead: 0 })

/** How long handlers took, in seconds, by the boundaries that OpenTelemetry advises. */
const durations = MetricKey.histogram(
  "messaging.process.duration",
  MetricBoundaries.fromIterable([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]),
  "How long the handlers of messages took, in seconds"
)
const consumed = MetricKey.counter("messaging.client.consumed.messages", {
  description: "Messages that were delivered to subscriptions"
})
const retries = MetricKey.counter("skald.bus.retries", { description: "Runs of handlers that are to be repeated" })
const deaths = MetricKey.counter("skald.bus.dead_letters", { description: "Messages that were put aside" })

const none: ReadonlyArray<never> = []

/** More kinds of errors than this are counted as one. */
const maxErrorTypes = 100

/** What one subscription does in this process: in numbers, for a window of time, and as metrics. Plain and synchronous. */
export class Meter {
  readonly #labels: ReadonlyArray<MetricLabel.MetricLabel>
  readonly #since: number
  readonly #slots: Array<Slot> = []
  readonly #totals = noCounts()
  readonly #durationsBy = new Map<string, Metric.Metric<any, number, unknown>>()
  #metrics: {
    readonly consumed: Metric.Metric.Counter<number>
    readonly retries: Metric.Metric.Counter<number>
    readonly dead: Metric.Metric.Counter<number>
  } | undefined
  #active = 0

  constructor(system: string, subscription: string, since: number) {
    this.#since = since
    this.#labels = [
      MetricLabel.make("messaging.system", system),
      MetricLabel.make("messaging.consumer.group.name", subscription)
    ]
  }

  /** A message was taken up, and something will have ended. */
  taken(now: number): void {
    this.#active++
    this.#slotOf(now).counts.taken++
    this.#totals.taken++
    this.#own().consumed.unsafeUpdate(1, none)
  }

  /** What was taken up has been settled. */
  left(): void {
    this.#active--
  }

  /** A handler has ended after so many milliseconds; `error` is what it failed with. */
  ended(millis: number, now: number, error: string | undefined): void {
    const slot = this.#slotOf(now)
    if (error === undefined) {
      slot.counts.handled++
      this.#totals.handled++
    } else {
      slot.counts.failed++
      this.#totals.failed++
    }
    Sketch.add(slot.durations, millis, scale)
    this.#durationsOf(error ?? "").unsafeUpdate(millis / 1_000, none)
  }

  retried(now: number): void {
    this.#slotOf(now).counts.retried++
    this.#totals.retried++
    this.#own().retries.unsafeUpdate(1, none)
  }

  dead(now: number): void {
    this.#slotOf(now).counts.dead++
    this.#totals.dead++
    this.#own().dead.unsafeUpdate(1, none)
  }

  /** What is known now. */
  read(now: number) {
    const first = Math.floor(now / slotMillis) - slots + 1
    const counts = noCounts()
    const sketch = Sketch.empty()
    for (const slot of this.#slots) {
      if (slot.index < first) continue
      for (const kind of kinds) counts[kind] += slot.counts[kind]
      Sketch.merge(sketch, slot.durations)
    }
    const seconds = Math.max(1, Math.min(now - this.#since, now - first * slotMillis)) / 1_000
    return {
      active: this.#active,
      totals: { ...this.#totals } as Counts,
      rates: Object.fromEntries(kinds.map((kind) => [kind, counts[kind] / seconds])) as Counts,
      quantile: (at: number) => Sketch.quantile(sketch, at, gamma)
    }
  }

  #slotOf(now: number): Slot {
    const index = Math.floor(now / slotMillis)
    const last = this.#slots[this.#slots.length - 1]
    // a clock that was put back goes on in the last slot
    if (last !== undefined && last.index >= index) return last
    const slot: Slot = { index, counts: noCounts(), durations: Sketch.empty() }
    this.#slots.push(slot)
    if (this.#slots.length > slots) this.#slots.shift()
    return slot
  }

  /** Made when they are first needed, since there may be many subscriptions that nothing ever comes for. */
  #own() {
    return this.#metrics ??= {
      consumed: this.#labelled(consumed),
      retries: this.#labelled(retries),
      dead: this.#labelled(deaths)
    }
  }

  #durationsOf(error: string): Metric.Metric<any, number, unknown> {
    const known = this.#durationsBy.get(error)
    if (known !== undefined) return known
    if (this.#durationsBy.size >= maxErrorTypes && error !== "_OTHER") return this.#durationsOf("_OTHER")
    const made = this.#labelled(durations, error === "" ? [] : [MetricLabel.make("error.type", error)])
    this.#durationsBy.set(error, made)
    return made
  }

  /** The labels belong to the key, so that an update looks nothing up. */
  #labelled<Type extends MetricKeyType.MetricKeyType<any, any>>(
    key: MetricKey.MetricKey<Type>,
    more: ReadonlyArray<MetricLabel.MetricLabel> = []
  ) {
    return Metric.fromMetricKey(MetricKey.taggedWithLabels(key, [...this.#labels, ...more]))
  }
}

/** The meter of each subscription that runs in this process. */
export const meters = PerSubscription.make<Meter>()

const sent = MetricKey.counter("messaging.client.sent.messages", { description: "Messages that were published" })

/** Counts what is published through a driver. */
export const sentBy = (system: string): (count: number) => void => {
  const metric = Metric.fromMetricKey(
    MetricKey.taggedWithLabels(sent, [MetricLabel.make("messaging.system", system)])
  )
  return (count) => metric.unsafeUpdate(count, none)
}
