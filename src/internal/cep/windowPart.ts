import type { Aggregation } from "../../cep/Aggregation.ts"
import type { Emission, Output, Result } from "../../cep/Window.ts"

/** How many events there were, and what the aggregation keeps of them. */
export interface Cell<S> {
  count: number
  state: S
}

/** What is told, until somebody takes it. */
export class Outputs<R, Ev> {
  readonly #counts: { results: number }
  #all: Array<Output<R, Ev>> = []

  constructor(counts: { results: number }) {
    this.#counts = counts
  }

  take(): ReadonlyArray<Output<R, Ev>> {
    const all = this.#all
    this.#all = []
    return all
  }

  result(key: string, start: number, end: number, count: number, value: R, update: boolean): void {
    this.#counts.results++
    this.#all.push({ _tag: "Result", key, start, end, count, value, update })
  }

  retraction(key: string, start: number, end: number, count: number, value: R, update: boolean): void {
    this.#counts.results++
    this.#all.push({ _tag: "Retraction", key, start, end, count, value, update })
  }

  late(event: Ev): void {
    this.#all.push({ _tag: "Late", event })
  }

  untimed(event: Ev): void {
    this.#all.push({ _tag: "Untimed", event })
  }
}

/** What every kind of window is given. */
export interface Host<A, S, R> {
  readonly aggregation: Aggregation<A, S, R>
  readonly emission: Emission
  /** How long a window is kept after it was complete, in milliseconds. */
  readonly allowed: number
  readonly outputs: Outputs<R, A>
}

/** A kind of windows at work. */
export interface Part<A, Stored> {
  /** Answers whether any window was still open to it. The watermark is of before the event, and asked for only where it matters. */
  readonly add: (key: string, time: number, value: A, at: { readonly watermark: number }) => boolean
  /** The watermark at which something is to be done. */
  readonly due: () => number
  readonly advance: (watermark: number) => void
  /** Those that are not complete, each as if it were. */
  readonly open: (watermark: number) => ReadonlyArray<Result<any>>
  readonly snapshot: () => Stored
}

export const cellOf = <A, S, R>(aggregation: Aggregation<A, S, R>): Cell<S> => ({
  count: 0,
  state: aggregation.empty()
})

export const copyOf = <A, S, R>(aggregation: Aggregation<A, S, R>, { count, state }: Cell<S>): Cell<S> => ({
  count,
  state: aggregation.copy(state)
})

/** Takes one cell into another, which is changed. */
export const mergeInto = <A, S, R>(aggregation: Aggregation<A, S, R>, left: Cell<S>, right: Cell<S>): void => {
  left.count += right.count
  left.state = aggregation.merge(left.state, right.state)
}

export const addTo = <A, S, R>(aggregation: Aggregation<A, S, R>, cell: Cell<S>, value: A): void => {
  cell.count++
  cell.state = aggregation.add(cell.state, value)
}

/** An event by itself. */
export const only = <A, S, R>(aggregation: Aggregation<A, S, R>, value: A): Cell<S> => {
  const cell = cellOf(aggregation)
  addTo(aggregation, cell, value)
  return cell
}

/** Where the first of some numbers in order is that is not below another. */
export const lowerBound = (sorted: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

export const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b)
