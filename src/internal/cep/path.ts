/** The events of a partial match. */

/** An event in its place, taken by a step. */
interface Placed {
  readonly step: string
  /** In the order of all events of the matcher. */
  readonly index: number
}

/** The run of events taken so far, as a list from its end; the same run is the same object. */
export interface Path extends Placed {
  readonly before: Path | undefined
  readonly event: { readonly _tag: string }
  readonly time: number
  readonly start: number
  readonly startTime: number
  /** How many runs wait with it. */
  live: number
  /** Whether it was a match, or was to be one. */
  done: boolean
  bound: Record<string, unknown> | undefined
  /** What the event that came last has made of it, and what else that event has made of the same one. */
  next: Path | undefined
  other: Path | undefined
}

/** A run of events with one more. */
export const pathOf = (
  before: Path | undefined,
  step: string,
  event: { readonly _tag: string },
  index: number,
  time: number
): Path => ({
  before,
  step,
  event,
  index,
  time,
  start: before === undefined ? index : before.start,
  startTime: before === undefined ? time : before.startTime,
  live: 0,
  done: false,
  bound: undefined,
  next: undefined,
  other: undefined
})

/** The events of a path in order, each as the path up to it. */
export const list = (path: Path): ReadonlyArray<Path> => {
  const found: Array<Path> = []
  for (let at: Path | undefined = path; at !== undefined; at = at.before) found.push(at)
  return found.reverse()
}

/** The order of paths: that of their events. */
export const byPositions = (left: Path, right: Path): number => left === right ? 0 : inOrder(list(left), list(right))

/** By positions, event by event, a longer one before its beginning; then by the names of the steps. */
export const inOrder = (mine: ReadonlyArray<Placed>, others: ReadonlyArray<Placed>): number => {
  for (let at = 0; at < mine.length; at++) {
    const other = others[at]
    if (other === undefined) return -1
    const apart = mine[at]!.index - other.index
    if (apart !== 0) return apart
  }
  if (mine.length < others.length) return 1
  const [a, b] = [mine, others].map((all) => JSON.stringify(all.map(({ step }) => step)))
  return a === b ? 0 : (a ?? "") < (b ?? "") ? -1 : 1
}
