import type { Result } from "../../cep/Window.ts"
import * as Part from "./windowPart.ts"
import { blockOf, geometry as geometryOf, type Pane, Series } from "./windowSeries.ts"

/** Keys with their panes, those first of which windows to come may hold something, in the order in which they are told. */
export type Stored<S> = ReadonlyArray<
  readonly [
    key: string,
    live: boolean,
    panes: ReadonlyArray<readonly [start: number, count: number, state: S]>
  ]
>

/**
 * Windows of one size that begin at regular instants, tumbling and sliding. What two of them share is kept once: time is cut
 * into panes of the greatest length that divides both size and distance, and an event goes into one pane (Li et al., "No Pane,
 * No Gain", SIGMOD Record 34(1), 2005).
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
  const geometry = geometryOf(aggregation, size, offset)
  const keys = new Map<string, Series<A, S, R>>()
  /** Those of which windows to come may hold something. */
  const live = new Set<Series<A, S, R>>()
  /** Who has a pane that begins at an instant. */
  const panes = new Map<number, Array<Series<A, S, R>>>()
  /** These instants, in order. */
  const starts: Array<number> = []
  let due = Number.POSITIVE_INFINITY
  // the pane of the event before, and until when an event for it is for windows that were not told yet
  let lastStart = Number.NaN
  let lastFresh = -Infinity
  // the start that the last new pane had, and who has one of it
  let lastInserted = Number.NaN
  let lastThose: Array<Series<A, S, R>> = []

  /** The end of the first window that holds what begins at `start` and ends after `after`. */
  const firstEnd = (start: number, after: number): number => {
    const from = Math.max(start + width, after + 1)
    // ends are at offset + size + k * every
    return Math.ceil((from - offset - size) / every) * every + offset + size
  }
  const lastEnd = (start: number): number => Math.floor((start - offset) / every) * every + offset + size
  /** The watermark from which on a pane is of no use. */
  const goneAt = (start: number): number => lastEnd(start) - 1 + allowed

  /** The end of the next window that is not complete at a watermark and holds something. */
  const next = (watermark: number): number => {
    let low = 0
    let high = starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (firstEnd(starts[middle]!, watermark + 1) <= lastEnd(starts[middle]!)) high = middle
      else low = middle + 1
    }
    return low < starts.length ? firstEnd(starts[low]!, watermark + 1) : Number.POSITIVE_INFINITY
  }
  const nextDue = (watermark: number): number =>
    starts.length === 0 ? Number.POSITIVE_INFINITY : Math.min(next(watermark) - 1, goneAt(starts[0]!))

  const seriesOf = (key: string): Series<A, S, R> => {
    let series = keys.get(key)
    if (series === undefined) {
      series = new Series(key, geometry)
      keys.set(key, series)
    }
    return series
  }

  const insert = (series: Series<A, S, R>, start: number, count: number, state: S, watermark: number): Pane<S> => {
    if (start !== lastInserted) {
      lastInserted = start
      let those = panes.get(start)
      if (those === undefined) {
        those = []
        panes.set(start, those)
        let at = starts.length
        while (at > 0 && starts[at - 1]! > start) at--
        starts.splice(at, 0, start)
        const end = firstEnd(start, watermark + 1)
        due = Math.min(due, end <= lastEnd(start) ? end - 1 : goneAt(start))
      }
      lastThose = those
    }
    lastThose.push(series)
    return series.insert(start, count, state)
  }

  const enliven = (series: Series<A, S, R>): void => {
    if (series.live) return
    series.live = true
    live.add(series)
  }

  for (const [key, isLive, cells] of from) {
    const series = seriesOf(key)
    if (isLive) enliven(series)
    for (const [start, count, state] of cells) insert(series, start, count, aggregation.copy(state), watermark)
  }

  /** The pane for an event. */
  const paneOf = (series: Series<A, S, R>, start: number, watermark: number): Pane<S> => {
    const known = series.find(start)
    if (known !== undefined) return known
    enliven(series)
    return insert(series, start, 0, aggregation.empty(), watermark)
  }

  const result = (key: string, end: number, { count, state }: Part.Cell<S>, update: boolean): void =>
    host.result(key, end - size, end, count, aggregation.result(state), update)

  /** An event for windows that were told already. */
  const again = (series: Series<A, S, R>, start: number, value: A, watermark: number): void => {
    const { key } = series
    const told: Array<{ readonly end: number; readonly before: Part.Cell<S> | undefined }> = []
    for (let end = firstEnd(start, -Infinity); end <= lastEnd(start) && end - 1 <= watermark; end += every) {
      if (end - 1 + allowed > watermark) told.push({ end, before: series.anyOver(end - size, end) })
    }
    Part.addTo(aggregation, paneOf(series, start, watermark), value)
    series.changed(start)
    for (const { before, end } of told) {
      const update = before !== undefined
      if (emission === "discarding") {
        result(key, end, Part.only(aggregation, value), update)
        continue
      }
      if (emission === "retracting" && before !== undefined) {
        host.retraction(key, end - size, end, before.count, aggregation.result(before.state), false)
      }
      result(key, end, series.anyOver(end - size, end)!, update)
    }
  }

  /** Of all keys, the window of an end. */
  const tell = (end: number): void => {
    const start = end - size
    const block = blockOf(shape, start)
    for (const series of live) {
      const cell = series.over(start, end, block)
      if (cell !== undefined) result(series.key, end, cell, false)
      else if (series.last!.at < start) {
        series.live = false
        live.delete(series)
      }
    }
  }

  return {
    add: (key, time, value, at) => {
      let start = lastStart
      if (!(time >= start && time < start + width)) {
        const { watermark } = at
        start = Math.floor((time - offset) / width) * width + offset
        if (goneAt(start) <= watermark) return false
        const fresh = firstEnd(start, -Infinity) - 1
        if (fresh <= watermark) {
          again(seriesOf(key), start, value, watermark)
          return true
        }
        lastStart = start
        lastFresh = fresh
      }
      const series = keys.get(key) ?? seriesOf(key)
      const last = series.last
      const pane = last !== undefined && last.at === start ? last : paneOf(series, start, at.watermark)
      pane.count++
      pane.state = aggregation.add(pane.state, value)
      return true
    },
    due: () => due,
    advance: (watermark) => {
      // what was complete at the watermark before has been told: `due` is beyond it
      for (let end = next(due - 1); Number.isFinite(end) && end - 1 <= watermark; end = next(end - 1)) tell(end)
      while (starts.length > 0 && goneAt(starts[0]!) <= watermark) {
        const start = starts.shift()!
        for (const series of panes.get(start)!) {
          series.drop(start + width)
          if (series.last !== undefined) continue
          keys.delete(series.key)
          live.delete(series)
        }
        panes.delete(start)
        if (start === lastInserted) lastInserted = Number.NaN
      }
      if (lastFresh <= watermark) lastStart = Number.NaN
      due = nextDue(watermark)
    },
    open: (watermark) => {
      const found: Array<Result<R>> = []
      for (let end = next(watermark); Number.isFinite(end); end = next(end - 1)) {
        for (const series of live) {
          const cell = series.anyOver(end - size, end)
          if (cell === undefined) continue
          const { count, state } = cell
          const { key } = series
          found.push({ key, start: end - size, end, count, value: aggregation.result(state), update: false })
        }
      }
      return found
    },
    snapshot: () =>
      // the order of those that are not told is of no account: it is the same for the same state
      [...live, ...Array.from(keys.values()).filter(({ live }) => !live).sort((a, b) => a.key < b.key ? -1 : 1)].map((
        { key, live, panes }
      ) => [key, live, panes.map(({ at, count, state }) => [at, count, aggregation.copy(state)] as const)] as const)
  }
}
