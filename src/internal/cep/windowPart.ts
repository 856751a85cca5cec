import type { Aggregation } from "../../cep/Aggregation.ts"
import type { Emission, Result } from "../../cep/Window.ts"

/** How many events there were, and what the aggregation keeps of them. */
export interface Cell<S> {
  count: number
  state: S
}

/** Takes what a result is made of: the output is made at once, and once. */
export type Tell<R> = (key: string, start: number, end: number, count: number, value: R, update: boolean) => void

/** What every kind of window is given. */
export interface Host<A, S, R> {
  readonly aggregation: Aggregation<A, S, R>
  readonly emission: Emission
  /** How long a window is kept after it was complete, in milliseconds. */
  readonly allowed: number
  readonly result: Tell<R>
  readonly retraction: Tell<R>
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

export const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b)
