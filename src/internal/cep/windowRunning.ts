import type { Aggregation } from "../../cep/Aggregation.ts"
import { lowerBound } from "./windowPart.ts"
import type { Pane } from "./windowSeries.ts"

/**
 * What the panes of the window told last come to, of each key, kept with its series: panes that come in are merged in, and those
 * that go are taken out, which an aggregation must be able to do exactly. What a window costs is then in those alone that come
 * and go, whatever its length, and a key of which none does is not looked at.
 */
export class Running<A, S> {
  readonly #aggregation: Aggregation<A, S, any>
  readonly #unmerge: (left: S, right: S) => S
  /** All panes there are, by their beginning, and these beginnings in order. */
  readonly #panes: ReadonlyMap<number, ReadonlyArray<Pane<S>>>
  readonly #starts: ReadonlyArray<number>
  /** Those are in that begin in this stretch. */
  #from = -Infinity
  #to = -Infinity

  constructor(
    aggregation: Aggregation<A, S, any>,
    unmerge: (left: S, right: S) => S,
    panes: ReadonlyMap<number, ReadonlyArray<Pane<S>>>,
    starts: ReadonlyArray<number>
  ) {
    this.#aggregation = aggregation
    this.#unmerge = unmerge
    this.#panes = panes
    this.#starts = starts
  }

  /** Whether a pane of this beginning is in. */
  covers(start: number): boolean {
    return start >= this.#from && start < this.#to
  }

  /** Goes on to a later stretch. */
  slide(from: number, to: number): void {
    const starts = this.#starts
    const kept = Math.min(from, this.#to)
    for (let at = lowerBound(starts, this.#from); at < starts.length && starts[at]! < kept; at++) this.drop(starts[at]!)
    const { merge } = this.#aggregation
    for (let at = lowerBound(starts, Math.max(from, this.#to)); at < starts.length && starts[at]! < to; at++) {
      for (const pane of this.#panes.get(starts[at]!)!) {
        const { series } = pane
        series.count += pane.count
        series.state = merge(series.state, pane.state)
      }
    }
    this.#from = from
    this.#to = to
  }

  /** Takes out the panes of a beginning that is covered. */
  drop(start: number): void {
    const unmerge = this.#unmerge
    for (const pane of this.#panes.get(start)!) {
      const { series } = pane
      series.count -= pane.count
      series.state = unmerge(series.state, pane.state)
    }
  }
}
