import type { Aggregation } from "../../cep/Aggregation.ts"
import * as Part from "./windowPart.ts"

/** What a key brought in one stretch: of time, or of its events. */
export interface Pane<S> extends Part.Cell<S> {
  series: Series<any, S, any>
  at: number
  /** It and all after it in its block, once a window needed that. */
  tailCount: number
  tail: S
}

/** How panes make windows: all windows are of one size, and blocks of that size begin at the offset. */
export interface Geometry<A, S, R> {
  readonly aggregation: Aggregation<A, S, R>
  readonly size: number
  readonly offset: number
  /** Where an answer is put that is looked at at once. */
  readonly answer: Part.Cell<S>
}

export const geometry = <A, S, R>(
  aggregation: Aggregation<A, S, R>,
  size: number,
  offset: number
): Geometry<A, S, R> => ({ aggregation, size, offset, answer: Part.cellOf(aggregation) })

/** The beginning of the block that holds an instant. */
export const blockOf = ({ offset, size }: Pick<Geometry<any, any, any>, "offset" | "size">, at: number): number =>
  Math.floor((at - offset) / size) * size + offset

/**
 * The panes of a key, in order, and what a window of them comes to.
 *
 * Time is cut into blocks as long as a window, so that a window is the end of one block and the beginning of the next. Of the
 * one, the merges from each pane to the block's end are made together, once; the other grows by a pane at a time. So each pane
 * is merged three times, however many windows it is in, and nothing has to be taken out of a state again (van Herk,
 * "A fast algorithm for local minimum and maximum filters", Pattern Recognition Letters 13(7), 1992, for streams Tangwongsan et
 * al., "General Incremental Sliding-Window Aggregation", PVLDB 8(7), 2015). What is merged with what depends on the panes' places
 * alone: a sum of fractions is the same to its last bit after a restart, and when it is taken back.
 *
 * States that grow with their events would be kept many times over by that; they are merged from pane to pane for each window.
 */
export class Series<A, S, R> {
  readonly key: string
  /** Whether the windows to come may hold something of it. */
  live = false
  /** Where it is among those that are live. */
  place = -1
  readonly #of: Geometry<A, S, R>
  #panes: Array<Pane<S>> = []
  /** Where the first one is that is still of use. */
  #head = 0
  #last: Pane<S> | undefined
  /** The block whose panes have their tails. */
  #tails = Number.NaN
  // the beginning of a block, until where, and how many panes are before that
  #block = Number.NaN
  #until = Number.NaN
  #taken = 0
  #front: Part.Cell<S> | undefined

  constructor(key: string, of: Geometry<A, S, R>) {
    this.key = key
    this.#of = of
  }

  get panes(): ReadonlyArray<Pane<S>> {
    return this.#panes.slice(this.#head)
  }

  get last(): Pane<S> | undefined {
    return this.#last
  }

  find(at: number): Pane<S> | undefined {
    // mostly it is newer than all that there is
    if (this.#last === undefined || this.#last.at < at) return undefined
    const pane = this.#panes[this.#from(at)]!
    return pane.at === at ? pane : undefined
  }

  /** Says whether windows that begin at an instant or later hold nothing of it, and lets it live no longer then. */
  isOver(start: number): boolean {
    if (this.live && this.#last !== undefined && this.#last.at >= start) return false
    this.live = false
    return true
  }

  /** A pane that is not there yet; in place of one that is no more, if there is any. */
  insert(at: number, count: number, state: S, spare?: Pane<S>): Pane<S> {
    const pane = spare ?? { series: this, at, count, state, tailCount: 0, tail: state }
    if (spare !== undefined) {
      spare.series = this
      spare.at = at
      spare.count = count
      spare.state = state
      spare.tailCount = 0
      spare.tail = state
    }
    if (this.#last === undefined || this.#last.at < at) {
      this.#panes.push(pane)
      this.#last = pane
    } else this.#panes.splice(this.#from(at), 0, pane)
    return pane
  }

  /** Says that a pane is another than it was, or new, and that windows before now were made of what it was. */
  changed(at: number): void {
    if (at >= this.#tails && at < this.#tails + this.#of.size) this.#tails = Number.NaN
    if (at < this.#until) this.#block = Number.NaN
  }

  /** Takes the first panes away, up to an instant, exclusive. */
  drop(before: number): void {
    const panes = this.#panes
    while (this.#head < panes.length && panes[this.#head]!.at < before) this.#head++
    if (this.#head === panes.length) this.#last = undefined
    if (this.#head < 32 || this.#head * 2 < panes.length) return
    this.#panes = panes.slice(this.#head)
    this.#taken -= this.#head
    this.#head = 0
  }

  /** A window, of all that are asked for one after the other, and the block of its beginning. The answer is for looking at, now. */
  over(from: number, to: number, block: number): Part.Cell<S> | undefined {
    const panes = this.#panes
    const first = this.#from(from)
    if (first === panes.length) return undefined
    const pane = panes[first]!
    if (pane.at >= to) return undefined
    if (first + 1 === panes.length || panes[first + 1]!.at >= to) return pane
    const { aggregation } = this.#of
    if (aggregation.grows) return this.#merged(first, to)
    if (block === from) return this.#frontUntil(block, first, to)
    const middle = block + this.#of.size
    if (pane.at >= middle) return this.#frontUntil(middle, first, to)
    this.#makeTails(block, first)
    const front = this.#frontUntil(middle, first, to)
    const answer = this.#of.answer
    answer.count = pane.tailCount
    answer.state = pane.tail
    if (front === undefined) return answer
    answer.count += front.count
    answer.state = aggregation.merge(aggregation.copy(pane.tail), front.state)
    return answer
  }

  /** The same, of any window at any time, and for keeping. */
  anyOver(from: number, to: number): Part.Cell<S> | undefined {
    const { aggregation, size } = this.#of
    const first = this.#from(from)
    const block = blockOf(this.#of, from)
    const middle = aggregation.grows ? to : block === from ? from : block + size
    const end = this.#from(middle)
    const right = this.#merged(aggregation.grows ? first : end, to)
    if (aggregation.grows || first >= end) return right
    let left: Part.Cell<S> | undefined
    for (let index = end - 1; index >= first; index--) {
      const cell = Part.copyOf(aggregation, this.#panes[index]!)
      if (left !== undefined) Part.mergeInto(aggregation, cell, left)
      left = cell
    }
    if (left !== undefined && right !== undefined) Part.mergeInto(aggregation, left, right)
    return left
  }

  /** The first pane at an instant or after it. */
  #from(at: number): number {
    const panes = this.#panes
    let low = this.#head
    let high = panes.length
    // of what is asked for most, the first has it, or the last
    if (low === high || panes[low]!.at >= at) return low
    if (panes[high - 1]!.at < at) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (panes[middle]!.at < at) low = middle + 1
      else high = middle
    }
    return low
  }

  #merged(first: number, to: number): Part.Cell<S> | undefined {
    const { aggregation } = this.#of
    let all: Part.Cell<S> | undefined
    for (let index = first; index < this.#panes.length && this.#panes[index]!.at < to; index++) {
      if (all === undefined) all = Part.copyOf(aggregation, this.#panes[index]!)
      else Part.mergeInto(aggregation, all, this.#panes[index]!)
    }
    return all
  }

  #makeTails(block: number, first: number): void {
    if (this.#tails === block) return
    this.#tails = block
    const { aggregation, size } = this.#of
    const panes = this.#panes
    let after: Pane<S> | undefined
    for (let index = this.#from(block + size) - 1; index >= first; index--) {
      const pane = panes[index]!
      pane.tailCount = pane.count
      pane.tail = aggregation.copy(pane.state)
      if (after !== undefined) {
        pane.tailCount += after.tailCount
        pane.tail = aggregation.merge(pane.tail, after.tail)
      }
      after = pane
    }
  }

  #frontUntil(block: number, first: number, to: number): Part.Cell<S> | undefined {
    const { aggregation } = this.#of
    const panes = this.#panes
    if (this.#block !== block || this.#until > to) {
      this.#block = block
      this.#front = undefined
      this.#taken = Math.max(first, this.#from(block))
    }
    this.#until = to
    while (this.#taken < panes.length && panes[this.#taken]!.at < to) {
      const pane = panes[this.#taken++]!
      if (this.#front === undefined) this.#front = Part.copyOf(aggregation, pane)
      else Part.mergeInto(aggregation, this.#front, pane)
    }
    return this.#front
  }
}
