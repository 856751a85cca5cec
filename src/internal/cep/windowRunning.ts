import type { Aggregation } from "../../cep/Aggregation.ts"
import { lowerBound, type Outputs } from "./windowPart.ts"
import type { Pane, Series } from "./windowSeries.ts"

/**
 * What the panes of the window told last come to, of each key: panes that come in are merged in, and those that go are taken out,
 * which an aggregation must be able to do exactly. What a window costs is then in those alone that come and go, and in telling it,
 * whatever its length.
 *
 * Keys, counts and states are in columns of their own, so that a window is told of all keys by running along them.
 */
export class Running<A, S, R> {
  readonly #aggregation: Aggregation<A, S, R>
  readonly #unmerge: (left: S, right: S) => S
  /** All panes there are, by their beginning, and these beginnings in order. */
  readonly #panes: ReadonlyMap<number, ReadonlyArray<Pane<S>>>
  readonly #starts: ReadonlyArray<number>
  /** Those of which windows to come may hold something, each at its place; and some that are no more, which come to nothing. */
  readonly #live: Array<Series<A, S, R>>
  readonly #keys: Array<string> = []
  readonly #counts: Array<number> = []
  readonly #states: Array<S> = []
  /** Those panes are in that begin in this stretch: their series are live. */
  #from = -Infinity
  #to = -Infinity

  constructor(
    aggregation: Aggregation<A, S, R>,
    unmerge: (left: S, right: S) => S,
    panes: ReadonlyMap<number, ReadonlyArray<Pane<S>>>,
    starts: ReadonlyArray<number>,
    live: Array<Series<A, S, R>>
  ) {
    this.#aggregation = aggregation
    this.#unmerge = unmerge
    this.#panes = panes
    this.#starts = starts
    this.#live = live
  }

  /** The series that has become live last. */
  enter(series: Series<A, S, R>): void {
    series.place = this.#keys.length
    this.#keys.push(series.key)
    this.#counts.push(0)
    this.#states.push(this.#aggregation.empty())
  }

  /** Another event for a pane, if it is in. */
  again(series: Series<A, S, R>, start: number, value: A): void {
    if (!this.#covers(start)) return
    const { place } = series
    this.#counts[place]!++
    this.#states[place] = this.#aggregation.add(this.#states[place]!, value)
  }

  /** Takes the panes of a beginning out, if they are in. */
  drop(start: number): void {
    if (this.#covers(start)) this.#takeOut(start)
  }

  /** Of all keys, a window that is later than the one before. */
  tell(start: number, end: number, outputs: Outputs<R, A>): void {
    this.#slide(start, end)
    const aggregation = this.#aggregation
    const live = this.#live
    const keys = this.#keys
    const counts = this.#counts
    const states = this.#states
    let kept = 0
    for (let at = 0; at < counts.length; at++) {
      const count = counts[at]!
      if (count > 0) outputs.result(keys[at]!, start, end, count, aggregation.result(states[at]!), false)
      else if (live[at]!.isOver(start)) continue
      if (kept < at) this.#move(at, kept)
      kept++
    }
    if (kept < counts.length) {
      live.length =
        keys.length =
        counts.length =
        states.length =
          kept
    }
  }

  #covers(start: number): boolean {
    return start >= this.#from && start < this.#to
  }

  #slide(from: number, to: number): void {
    const starts = this.#starts
    const kept = Math.min(from, this.#to)
    for (let at = lowerBound(starts, this.#from); at < starts.length && starts[at]! < kept; at++) {
      this.#takeOut(starts[at]!)
    }
    const { merge } = this.#aggregation
    const counts = this.#counts
    const states = this.#states
    for (let at = lowerBound(starts, Math.max(from, this.#to)); at < starts.length && starts[at]! < to; at++) {
      for (const { count, series: { place }, state } of this.#panes.get(starts[at]!)!) {
        counts[place]! += count
        states[place] = merge(states[place]!, state)
      }
    }
    this.#from = from
    this.#to = to
  }

  #takeOut(start: number): void {
    const unmerge = this.#unmerge
    const counts = this.#counts
    const states = this.#states
    for (const { count, series: { place }, state } of this.#panes.get(start)!) {
      counts[place]! -= count
      states[place] = unmerge(states[place]!, state)
    }
  }

  #move(from: number, to: number): void {
    const series = this.#live[from]!
    series.place = to
    this.#live[to] = series
    this.#keys[to] = series.key
    this.#counts[to] = this.#counts[from]!
    this.#states[to] = this.#states[from]!
  }
}
