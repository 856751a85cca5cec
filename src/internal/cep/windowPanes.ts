import type { Aggregation } from "../../cep/Aggregation.ts"
import type { Emission, Result } from "../../cep/Window.ts"
import * as Part from "./windowPart.ts"
import { Running } from "./windowRunning.ts"
import { blockOf, type Geometry, geometry, type Pane, Series } from "./windowSeries.ts"

/** Keys with their panes, those first of which windows to come may hold something, in the order in which they are told. */
export type Stored<S> = ReadonlyArray<
  readonly [
    key: string,
    live: boolean,
    panes: ReadonlyArray<readonly [start: number, count: number, state: S]>
  ]
>

export interface Shape {
  readonly size: number
  readonly every: number
  readonly offset: number
}

/**
 * Windows of one size that begin at regular instants, tumbling and sliding. What two of them share is kept once: time is cut
 * into panes of the greatest length that divides both size and distance, and an event goes into one pane (Li et al., "No Pane,
 * No Gain", SIGMOD Record 34(1), 2005).
 *
 * A class, since functions made anew for each would take what was compiled for them with them when it is gone.
 */
export class Panes<A, S, R> implements Part.Part<A, Stored<S>> {
  readonly #aggregation: Aggregation<A, S, R>
  readonly #outputs: Part.Outputs<R, A>
  readonly #emission: Emission
  readonly #allowed: number
  readonly #size: number
  readonly #every: number
  readonly #offset: number
  /** The length of a pane. */
  readonly #width: number
  readonly #geometry: Geometry<A, S, R>
  readonly #keys = new Map<string, Series<A, S, R>>()
  /** Those of which windows to come may hold something; and some of which none may any more, which are passed over. */
  readonly #live: Array<Series<A, S, R>> = []
  /** Those that begin at an instant. */
  readonly #panes = new Map<number, Array<Pane<S>>>()
  /** These instants, in order. */
  readonly #starts: Array<number> = []
  readonly #running: Running<A, S, R> | undefined
  /** Panes that are no more, for new ones: made anew for each event, they would cost the collector much. */
  #spare: Array<Pane<S>> = []
  #due = Number.POSITIVE_INFINITY
  // the pane of the event before, and until when an event for it is for windows that were not told yet
  #lastStart = Number.NaN
  #lastFresh = -Infinity
  // the start that the last new pane had, and all of it
  #lastInserted = Number.NaN
  #lastThose: Array<Pane<S>> = []

  constructor(host: Part.Host<A, S, R>, shape: Shape, from: Stored<S>, watermark: number) {
    this.#aggregation = host.aggregation
    this.#outputs = host.outputs
    this.#emission = host.emission
    this.#allowed = host.allowed
    this.#size = shape.size
    this.#every = shape.every
    this.#offset = shape.offset
    this.#width = Part.gcd(shape.size, shape.every)
    this.#geometry = geometry(host.aggregation, shape.size, shape.offset)
    const { unmerge } = host.aggregation
    this.#running = unmerge && new Running(host.aggregation, unmerge, this.#panes, this.#starts, this.#live)
    for (const [key, isLive, cells] of from) {
      const series = this.#seriesOf(key)
      if (isLive) this.#enliven(series)
      for (const [start, count, state] of cells) {
        this.#insert(series, start, count, host.aggregation.copy(state), watermark)
      }
    }
  }

  add(key: string, time: number, value: A, at: { readonly watermark: number }): boolean {
    let start = this.#lastStart
    const width = this.#width
    if (!(time >= start && time < start + width)) {
      const { watermark } = at
      start = Math.floor((time - this.#offset) / width) * width + this.#offset
      if (this.#goneAt(start) <= watermark) return false
      const fresh = this.#firstEnd(start, -Infinity) - 1
      if (fresh <= watermark) {
        this.#again(this.#seriesOf(key), start, value, watermark)
        return true
      }
      this.#lastStart = start
      this.#lastFresh = fresh
    }
    const series = this.#keys.get(key) ?? this.#seriesOf(key)
    const last = series.last
    const pane = last !== undefined && last.at === start ? last : this.#paneOf(series, start, at.watermark)
    pane.count++
    pane.state = this.#aggregation.add(pane.state, value)
    return true
  }

  due(): number {
    return this.#due
  }

  advance(watermark: number): void {
    // what was complete at the watermark before has been told: `due` is beyond it
    for (
      let end = this.#next(this.#due - 1);
      Number.isFinite(end) && end - 1 <= watermark;
      end = this.#next(end - 1)
    ) this.#tell(end)
    const starts = this.#starts
    while (starts.length > 0 && this.#goneAt(starts[0]!) <= watermark) this.#drop(starts[0]!)
    if (this.#lastFresh <= watermark) this.#lastStart = Number.NaN
    this.#due = starts.length === 0
      ? Number.POSITIVE_INFINITY
      : Math.min(this.#next(watermark) - 1, this.#goneAt(starts[0]!))
  }

  open(watermark: number): ReadonlyArray<Result<R>> {
    const found: Array<Result<R>> = []
    for (let end = this.#next(watermark); Number.isFinite(end); end = this.#next(end - 1)) {
      const start = end - this.#size
      for (const series of this.#live) {
        const cell = series.live ? series.anyOver(start, end) : undefined
        if (cell === undefined) continue
        const { count, state } = cell
        const { key } = series
        found.push({ key, start, end, count, value: this.#aggregation.result(state), update: false })
      }
    }
    return found
  }

  snapshot(): Stored<S> {
    // the order of those that are not told is of no account: it is the same for the same state
    const rest = Array.from(this.#keys.values()).filter(({ live }) => !live).sort((a, b) => a.key < b.key ? -1 : 1)
    return [...this.#live.filter(({ live }) => live), ...rest].map(({ key, live, panes }) =>
      [key, live, panes.map(({ at, count, state }) => [at, count, this.#aggregation.copy(state)] as const)] as const
    )
  }

  // ------------------------------------------------------------------------------------------------------------- instants

  /** The end of the first window that holds what begins at `start` and ends after `after`. */
  #firstEnd(start: number, after: number): number {
    const from = Math.max(start + this.#width, after + 1)
    // ends are at offset + size + k * every; what `floor` answers is a small integer to V8 where it can be, so that results need no
    // box for it
    const first = this.#offset + this.#size
    return Math.floor(Math.ceil((from - first) / this.#every) * this.#every + first)
  }

  #lastEnd(start: number): number {
    return Math.floor((start - this.#offset) / this.#every) * this.#every + this.#offset + this.#size
  }

  /** The watermark from which on a pane is of no use. */
  #goneAt(start: number): number {
    return this.#lastEnd(start) - 1 + this.#allowed
  }

  /** The end of the next window that is not complete at a watermark and holds something. */
  #next(watermark: number): number {
    const starts = this.#starts
    let low = 0
    let high = starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#firstEnd(starts[middle]!, watermark + 1) <= this.#lastEnd(starts[middle]!)) high = middle
      else low = middle + 1
    }
    return low < starts.length ? this.#firstEnd(starts[low]!, watermark + 1) : Number.POSITIVE_INFINITY
  }

  // ---------------------------------------------------------------------------------------------------------------- panes

  #seriesOf(key: string): Series<A, S, R> {
    let series = this.#keys.get(key)
    if (series === undefined) {
      series = new Series(key, this.#geometry)
      this.#keys.set(key, series)
    }
    return series
  }

  #enliven(series: Series<A, S, R>): void {
    if (series.live) return
    series.live = true
    this.#live.push(series)
    this.#running?.enter(series)
  }

  /** The pane for an event. */
  #paneOf(series: Series<A, S, R>, start: number, watermark: number): Pane<S> {
    const known = series.find(start)
    if (known !== undefined) return known
    this.#enliven(series)
    return this.#insert(series, start, 0, this.#aggregation.empty(), watermark)
  }

  #insert(series: Series<A, S, R>, start: number, count: number, state: S, watermark: number): Pane<S> {
    if (start !== this.#lastInserted) {
      this.#lastInserted = start
      let those = this.#panes.get(start)
      if (those === undefined) {
        those = []
        this.#panes.set(start, those)
        const starts = this.#starts
        let at = starts.length
        while (at > 0 && starts[at - 1]! > start) at--
        starts.splice(at, 0, start)
        const end = this.#firstEnd(start, watermark + 1)
        this.#due = Math.min(this.#due, end <= this.#lastEnd(start) ? end - 1 : this.#goneAt(start))
      }
      this.#lastThose = those
    }
    const pane = series.insert(start, count, state, this.#spare.pop())
    this.#lastThose.push(pane)
    return pane
  }

  /** Takes away the panes that begin first. */
  #drop(start: number): void {
    this.#running?.drop(start)
    const those = this.#panes.get(start)!
    for (const { series } of those) {
      series.drop(start + this.#width)
      if (series.last !== undefined) continue
      this.#keys.delete(series.key)
      series.live = false
    }
    this.#starts.shift()
    this.#panes.delete(start)
    this.#spare = those
    if (start === this.#lastInserted) this.#lastInserted = Number.NaN
  }

  // -------------------------------------------------------------------------------------------------------------- results

  #result(key: string, end: number, { count, state }: Part.Cell<S>, update: boolean): void {
    this.#outputs.result(key, end - this.#size, end, count, this.#aggregation.result(state), update)
  }

  /** Of all keys, the window of an end. */
  #tell(end: number): void {
    const start = Math.floor(end - this.#size)
    if (this.#running !== undefined) return this.#running.tell(start, end, this.#outputs)
    const block = blockOf(this.#geometry, start)
    const live = this.#live
    let kept = 0
    for (const series of live) {
      const cell = series.live ? series.over(start, end, block) : undefined
      if (cell !== undefined) this.#result(series.key, end, cell, false)
      else if (series.isOver(start)) continue
      live[kept++] = series
    }
    live.length = kept
  }

  /** An event for windows that were told already. */
  #again(series: Series<A, S, R>, start: number, value: A, watermark: number): void {
    const { key } = series
    const size = this.#size
    const told: Array<{ readonly end: number; readonly before: Part.Cell<S> | undefined }> = []
    for (
      let end = this.#firstEnd(start, -Infinity);
      end <= this.#lastEnd(start) && end - 1 <= watermark;
      end += this.#every
    ) {
      if (end - 1 + this.#allowed > watermark) told.push({ end, before: series.anyOver(end - size, end) })
    }
    Part.addTo(this.#aggregation, this.#paneOf(series, start, watermark), value)
    if (this.#running === undefined) series.changed(start)
    else this.#running.again(series, start, value)
    for (const { before, end } of told) {
      const update = before !== undefined
      if (this.#emission === "discarding") {
        this.#result(key, end, Part.only(this.#aggregation, value), update)
        continue
      }
      if (this.#emission === "retracting" && before !== undefined) {
        this.#outputs.retraction(key, end - size, end, before.count, this.#aggregation.result(before.state), false)
      }
      this.#result(key, end, series.anyOver(end - size, end)!, update)
    }
  }
}
