import type { Aggregation } from "../../cep/Aggregation.ts"
import type { Emission, Output, Result, Shape } from "../../cep/Window.ts"
import { isInstant } from "./timeSchema.ts"
import * as Counts from "./windowCounts.ts"
import * as Panes from "./windowPanes.ts"
import { type Host, Outputs, type Part } from "./windowPart.ts"
import * as Sessions from "./windowSessions.ts"

export interface Settings<Ev, S, R> {
  readonly shape: Shape
  readonly aggregation: Aggregation<Ev, S, R>
  readonly timestamp: ((event: Ev) => number) | undefined
  readonly keyBy: ((event: Ev) => string | undefined) | undefined
  readonly lateness: number
  readonly allowed: number
  readonly emission: Emission
}

export interface Counters {
  events: number
  late: number
  unkeyed: number
  untimed: number
  results: number
}

export interface Snapshot {
  readonly watermark: number
  readonly counts: Counters
  /** Of the kind of windows it is of. */
  readonly kept: unknown
}

export const initial = ({ _tag }: Shape): Snapshot => ({
  watermark: -Infinity,
  counts: { events: 0, late: 0, unkeyed: 0, untimed: 0, results: 0 },
  kept: _tag === "Session" ? Sessions.none : []
})

/** Events into windows, time onwards, results out: plain synchronous code. */
export class Engine<Ev, S, R> {
  readonly counts: Counters
  readonly #outputs: Outputs<R, Ev>
  readonly #timestamp: ((event: Ev) => number) | undefined
  readonly #keyBy: ((event: Ev) => string | undefined) | undefined
  /** How far behind an event's time the watermark is. An event just so late is still in time, so that it is before it. */
  readonly #behind: number
  readonly #part: Part<Ev, any>
  watermark: number

  constructor(settings: Settings<Ev, S, R>, from: Snapshot) {
    this.#timestamp = settings.timestamp
    this.#keyBy = settings.keyBy
    this.#behind = settings.lateness + 1
    this.watermark = from.watermark
    this.counts = { ...from.counts }
    this.#outputs = new Outputs(this.counts)
    this.#part = partOf(settings, from, this.#outputs)
  }

  push(events: Iterable<Ev>): void {
    for (const event of events) this.one(event)
  }

  one(event: Ev): void {
    const { counts } = this
    const keyBy = this.#keyBy
    const timestamp = this.#timestamp
    counts.events++
    const key = keyBy === undefined ? "" : keyBy(event)
    let time = 0
    if (timestamp !== undefined) {
      time = Math.floor(timestamp(event))
      if (!isInstant(time)) {
        counts.untimed++
        this.#outputs.untimed(event)
        return
      }
    }
    if (key === undefined) counts.unkeyed++
    else if (!this.#part.add(key, time, event, this)) {
      counts.late++
      this.#outputs.late(event)
    }
    if (timestamp !== undefined) this.advance(time - this.#behind)
  }

  advance(watermark: number): void {
    if (!(watermark > this.watermark)) return
    this.watermark = watermark
    if (watermark >= this.#part.due()) this.#part.advance(watermark)
  }

  /** What was told since it was taken last. */
  take(): ReadonlyArray<Output<R, Ev>> {
    return this.#outputs.take()
  }

  open(): ReadonlyArray<Result<R>> {
    return this.#part.open(this.watermark)
  }

  snapshot(): Snapshot {
    return { watermark: this.watermark, counts: { ...this.counts }, kept: this.#part.snapshot() }
  }
}

const partOf = <Ev, S, R>(
  { aggregation, allowed, emission, shape }: Settings<Ev, S, R>,
  { kept, watermark }: Snapshot,
  outputs: Outputs<R, Ev>
): Part<Ev, any> => {
  const host: Host<Ev, S, R> = { aggregation, emission, allowed, outputs }
  switch (shape._tag) {
    case "Sliding":
      return new Panes.Panes(host, shape, kept as Panes.Stored<S>, watermark)
    case "Session":
      return Sessions.make(host, shape.gap, kept as Sessions.Stored<S>)
    case "Count":
      return Counts.make(host, shape, kept as Counts.Stored<S>)
  }
}
