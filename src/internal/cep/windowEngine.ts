import type { Aggregation } from "../../cep/Aggregation.ts"
import type { Emission, Output, Result, Shape } from "../../cep/Window.ts"
import * as Counts from "./windowCounts.ts"
import * as Panes from "./windowPanes.ts"
import type { Host, Part } from "./windowPart.ts"
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
  private readonly timestamp: ((event: Ev) => number) | undefined
  private readonly keyBy: ((event: Ev) => string | undefined) | undefined
  /** How far behind an event's time the watermark is. An event just so late is still in time, so that it is before it. */
  private readonly behind: number
  private readonly part: Part<Ev, any>
  private readonly emit: (output: Output<R, Ev>) => void
  watermark: number

  constructor(settings: Settings<Ev, S, R>, from: Snapshot, emit: (output: Output<R, Ev>) => void) {
    this.timestamp = settings.timestamp
    this.keyBy = settings.keyBy
    this.behind = settings.lateness + 1
    this.watermark = from.watermark
    this.counts = { ...from.counts }
    this.emit = emit
    this.part = partOf(settings, from, (output) => {
      this.counts.results++
      emit(output)
    })
  }

  push(events: Iterable<Ev>): void {
    const { behind, counts, keyBy, part, timestamp } = this
    for (const event of events) {
      counts.events++
      const key = keyBy === undefined ? "" : keyBy(event)
      let time = 0
      if (timestamp !== undefined) {
        time = Math.floor(timestamp(event))
        if (!Number.isFinite(time)) {
          counts.untimed++
          this.emit({ _tag: "Untimed", event })
          continue
        }
      }
      if (key === undefined) counts.unkeyed++
      else if (!part.add(key, time, event, this)) {
        counts.late++
        this.emit({ _tag: "Late", event })
      }
      if (timestamp !== undefined) this.advance(time - behind)
    }
  }

  advance(watermark: number): void {
    if (!(watermark > this.watermark)) return
    this.watermark = watermark
    if (watermark >= this.part.due()) this.part.advance(watermark)
  }

  open(): ReadonlyArray<Result<R>> {
    return this.part.open(this.watermark)
  }

  snapshot(): Snapshot {
    return { watermark: this.watermark, counts: { ...this.counts }, kept: this.part.snapshot() }
  }
}

const partOf = <Ev, S, R>(
  settings: Settings<Ev, S, R>,
  { kept, watermark }: Snapshot,
  emit: (output: Output<R, Ev>) => void
): Part<Ev, any> => {
  const { aggregation, allowed, emission, shape } = settings
  const host: Host<Ev, S, R> = {
    aggregation,
    emission,
    allowed,
    result: (key, start, end, count, value, update) => emit({ _tag: "Result", key, start, end, count, value, update }),
    retraction: (key, start, end, count, value, update) =>
      emit({ _tag: "Retraction", key, start, end, count, value, update })
  }
  switch (shape._tag) {
    case "Sliding":
      return Panes.make(host, shape, kept as Panes.Stored<S>, watermark)
    case "Session":
      return Sessions.make(host, shape.gap, kept as Sessions.Stored<S>)
    case "Count":
      return Counts.make(host, shape, kept as Counts.Stored<S>)
  }
}
