import type { Result } from "../../cep/Window.ts"
import * as Part from "./windowPart.ts"
import { blockOf, geometry as geometryOf, Series } from "./windowSeries.ts"

/** What is kept of a key: how many events it had, and the panes that later windows need. */
interface Counted<A, S, R> {
  seen: number
  readonly series: Series<A, S, R>
}

export type Stored<S> = ReadonlyArray<
  readonly [key: string, seen: number, panes: ReadonlyArray<readonly [start: number, count: number, state: S]>]
>

/** Windows of so many events of a key, one every so many: told with the event that completes them, whatever the time. */
export const make = <A, S, R>(
  host: Part.Host<A, S, R>,
  shape: { readonly size: number; readonly every: number },
  from: Stored<S>
): Part.Part<A, Stored<S>> => {
  const { aggregation, outputs } = host
  const { every, size } = shape
  const width = Part.gcd(size, every)
  const geometry = geometryOf(aggregation, size, 0)
  const keys = new Map<string, Counted<A, S, R>>()
  for (const [key, seen, panes] of from) {
    const series = new Series(key, geometry)
    for (const [start, count, state] of panes) series.insert(start, count, aggregation.copy(state))
    keys.set(key, { seen, series })
  }

  return {
    add: (key, _time, value) => {
      let counted = keys.get(key)
      if (counted === undefined) {
        counted = { seen: 0, series: new Series(key, geometry) }
        keys.set(key, counted)
      }
      const { series } = counted
      const pane = counted.seen % width === 0
        ? series.insert(counted.seen, 0, aggregation.empty())
        : series.last!
      Part.addTo(aggregation, pane, value)
      const seen = ++counted.seen
      if (seen < size || (seen - size) % every !== 0) return true
      const start = seen - size
      const { count, state } = series.over(start, seen, blockOf(geometry, start))!
      outputs.result(key, start, seen, count, aggregation.result(state), false)
      series.drop(start + every)
      return true
    },
    due: () => Number.POSITIVE_INFINITY,
    advance: () => {},
    open: () =>
      Array.from(keys).flatMap(([key, { seen, series }]) => {
        const found: Array<Result<R>> = []
        // the first pane that is kept is where the next window that will be full begins
        for (let start = series.panes[0]?.at ?? seen; start < seen; start += every) {
          const { count, state } = series.anyOver(start, seen)!
          found.push({ key, start, end: start + size, count, value: aggregation.result(state), update: false })
        }
        return found
      }).sort((one, other) => one.end - other.end),
    snapshot: () =>
      Array.from(
        keys,
        ([key, { seen, series }]) =>
          [
            key,
            seen,
            series.panes.map(({ at, count, state }) => [at, count, aggregation.copy(state)] as const)
          ] as const
      )
  }
}
