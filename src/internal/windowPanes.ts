import type { Result } from "../cep/Window.ts"
import * as Part from "./windowPart.ts"

/** Keys of a pane with their cells, in the order in which they came. */
type Pane<S> = Map<string, Part.Cell<S>>

export type Stored<S> = ReadonlyArray<
  readonly [start: number, cells: ReadonlyArray<readonly [key: string, count: number, state: S]>]
>

/**
 * Windows of one size that begin at regular instants, tumbling and sliding. What two of them share is kept once: time is cut
 * into panes of the greatest length that divides both size and distance, an event goes into one pane, and a window that is
 * complete merges its panes (Li et al., "No Pane, No Gain", SIGMOD Record 34(1), 2005).
 */
export const make = <A, S, R>(
  host: Part.Host<A, S, R>,
  shape: { readonly size: number; readonly every: number; readonly offset: number },
  from: Stored<S>,
  watermark: number
): Part.Part<A, Stored<S>> => {
  const { aggregation, allowed, emission } = host
  const { every, offset, size } = shape
  const width = Part.gcd(size, every)
  const panes = new Map<number, Pane<S>>()
  /** Their starts, in order. */
  let starts: Array<number> = []
  let due = Number.POSITIVE_INFINITY
  // the pane of the event before, and until when an event for it is for windows that were not told yet
  let lastStart = Number.NaN
  let lastPane: Pane<S> | undefined
  let lastFresh = -Infinity

  /** The end of the first window that holds what begins at `start` and ends after `after`. */
  const firstEnd = (start: number, after: number): number => {
    const from = Math.max(start + width, after + 1)
    // ends are at offset + size + k * every
    return Math.ceil((from - offset - size) / every) * every + offset + size
  }
  const lastEnd = (start: number): number => Math.floor((start - offset) / every) * every + offset + size

  /** When a pane is of use for the first time, to a window that is not complete, or of none any more. */
  const dueOf = (start: number, watermark: number): number => {
    const end = firstEnd(start, watermark + 1)
    return end <= lastEnd(start) ? end - 1 : lastEnd(start) - 1 + allowed
  }

  const insert = (start: number, watermark: number): Pane<S> => {
    const pane: Pane<S> = new Map()
    panes.set(start, pane)
    let at = starts.length
    while (at > 0 && starts[at - 1]! > start) at--
    starts.splice(at, 0, start)
    due = Math.min(due, dueOf(start, watermark))
    return pane
  }

  for (const [start, cells] of from) {
    const pane = insert(start, watermark)
    for (const [key, count, state] of cells) pane.set(key, { count, state: aggregation.copy(state) })
  }

  const within = (start: number, end: number): ReadonlyArray<Pane<S>> => {
    const found: Array<Pane<S>> = []
    for (const at of starts) {
      if (at >= end) break
      if (at >= start) found.push(panes.get(at)!)
    }
    return found
  }

  /** All keys of a window, merged. */
  const merged = (start: number, end: number): Pane<S> => {
    const [first, ...rest] = within(start, end)
    if (first === undefined) return new Map()
    if (rest.length === 0) return first
    const all: Pane<S> = new Map()
    for (const pane of [first, ...rest]) {
      for (const [key, cell] of pane) {
        const known = all.get(key)
        if (known === undefined) all.set(key, Part.copyOf(aggregation, cell))
        else Part.mergeInto(aggregation, known, cell)
      }
    }
    return all
  }

  const mergedKey = (key: string, start: number, end: number): Part.Cell<S> | undefined => {
    let all: Part.Cell<S> | undefined
    for (const pane of within(start, end)) {
      const cell = pane.get(key)
      if (cell === undefined) continue
      if (all === undefined) all = Part.copyOf(aggregation, cell)
      else Part.mergeInto(aggregation, all, cell)
    }
    return all
  }

  const resultOf = (key: string, end: number, cell: Part.Cell<S>, update: boolean): Result<R> => ({
    key,
    start: end - size,
    end,
    count: cell.count,
    value: aggregation.result(cell.state),
    update
  })

  /** An event for windows that were told already. */
  const again = (key: string, start: number, value: A, pane: Pane<S>, watermark: number): void => {
    const told: Array<{ readonly end: number; readonly before: Part.Cell<S> | undefined }> = []
    for (let end = firstEnd(start, -Infinity); end <= lastEnd(start) && end - 1 <= watermark; end += every) {
      if (end - 1 + allowed > watermark) told.push({ end, before: mergedKey(key, end - size, end) })
    }
    const cell = pane.get(key) ?? Part.cellOf(aggregation)
    pane.set(key, cell)
    Part.addTo(aggregation, cell, value)
    for (const { before, end } of told) {
      const update = before !== undefined
      if (emission === "discarding") {
        host.result(resultOf(key, end, Part.only(aggregation, value), update))
        continue
      }
      if (emission === "retracting" && before !== undefined) host.retraction(resultOf(key, end, before, false))
      host.result(resultOf(key, end, mergedKey(key, end - size, end)!, update))
    }
  }

  /** The next window that is not complete at a watermark and holds something. */
  const next = (watermark: number): number => {
    for (const start of starts) {
      const end = firstEnd(start, watermark + 1)
      if (end <= lastEnd(start)) return end
    }
    return Number.POSITIVE_INFINITY
  }

  return {
    add: (key, time, value, watermark) => {
      const start = Math.floor((time - offset) / width) * width + offset
      if (start === lastStart && watermark < lastFresh) {
        const known = lastPane!.get(key)
        if (known !== undefined) {
          known.count++
          known.state = aggregation.add(known.state, value)
          return true
        }
      }
      if (lastEnd(start) - 1 + allowed <= watermark) return false
      const pane = panes.get(start) ?? insert(start, watermark)
      const fresh = firstEnd(start, -Infinity) - 1
      if (fresh <= watermark) {
        again(key, start, value, pane, watermark)
        return true
      }
      lastPane = pane
      lastStart = start
      lastFresh = fresh
      let cell = pane.get(key)
      if (cell === undefined) {
        cell = Part.cellOf(aggregation)
        pane.set(key, cell)
      }
      Part.addTo(aggregation, cell, value)
      return true
    },
    due: () => due,
    advance: (watermark) => {
      // what was complete at the watermark before has been told: `due` is beyond it
      for (let end = next(due - 1); Number.isFinite(end) && end - 1 <= watermark; end = next(end - 1)) {
        for (const [key, cell] of merged(end - size, end)) host.result(resultOf(key, end, cell, false))
      }
      const kept = starts.filter((start) => lastEnd(start) - 1 + allowed > watermark)
      if (kept.length < starts.length) {
        for (const start of starts) if (lastEnd(start) - 1 + allowed <= watermark) panes.delete(start)
        starts = kept
        lastStart = Number.NaN
      }
      due = Number.POSITIVE_INFINITY
      for (const start of starts) due = Math.min(due, dueOf(start, watermark))
    },
    open: (watermark) => {
      const found: Array<Result<R>> = []
      for (let end = next(watermark); Number.isFinite(end); end = next(end - 1)) {
        for (const [key, cell] of merged(end - size, end)) found.push(resultOf(key, end, cell, false))
      }
      return found
    },
    snapshot: () =>
      starts.map((start) =>
        [
          start,
          Array.from(panes.get(start)!, ([key, { count, state }]) => [key, count, aggregation.copy(state)] as const)
        ] as const
      )
  }
}
