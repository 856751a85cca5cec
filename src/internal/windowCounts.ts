import * as Part from "./windowPart.ts"

/** What is kept of a key: how many events it had, and the panes that later windows need, the oldest first. */
interface Counted<S> {
  seen: number
  panes: Array<Part.Cell<S>>
}

export type Stored<S> = ReadonlyArray<
  readonly [key: string, seen: number, panes: ReadonlyArray<readonly [count: number, state: S]>]
>

/** Windows of so many events of a key, one every so many: told with the event that completes them, whatever the time. */
export const make = <A, S, R>(
  host: Part.Host<A, S, R>,
  shape: { readonly size: number; readonly every: number },
  from: Stored<S>
): Part.Part<A, Stored<S>> => {
  const { aggregation } = host
  const { every, size } = shape
  const width = Part.gcd(size, every)
  const keys = new Map<string, Counted<S>>()
  for (const [key, seen, panes] of from) {
    keys.set(key, { seen, panes: panes.map(([count, state]) => ({ count, state: aggregation.copy(state) })) })
  }

  const resultOf = (key: string, start: number, panes: ReadonlyArray<Part.Cell<S>>) => {
    const [first, ...rest] = panes as [Part.Cell<S>, ...Array<Part.Cell<S>>]
    let all = first
    if (rest.length > 0) {
      all = Part.copyOf(aggregation, first)
      for (const pane of rest) Part.mergeInto(aggregation, all, pane)
    }
    return {
      key,
      start,
      end: start + size,
      count: all.count,
      value: aggregation.result(all.state),
      update: false
    }
  }

  return {
    add: (key, _time, value) => {
      let counted = keys.get(key)
      if (counted === undefined) {
        counted = { seen: 0, panes: [] }
        keys.set(key, counted)
      }
      const { panes } = counted
      if (counted.seen % width === 0) panes.push(Part.cellOf(aggregation))
      Part.addTo(aggregation, panes.at(-1)!, value)
      const seen = ++counted.seen
      if (seen < size || (seen - size) % every !== 0) return true
      host.result(resultOf(key, seen - size, panes))
      panes.splice(0, every / width)
      return true
    },
    due: () => Number.POSITIVE_INFINITY,
    advance: () => {},
    open: () =>
      Array.from(keys).flatMap(([key, { panes, seen }]) =>
        panes.length === 0 ? [] : [resultOf(key, seen - panes.reduce((sum, { count }) => sum + count, 0), panes)]
      ),
    snapshot: () =>
      Array.from(
        keys,
        ([key, { panes, seen }]) =>
          [key, seen, panes.map(({ count, state }) => [count, aggregation.copy(state)] as const)] as const
      )
  }
}
