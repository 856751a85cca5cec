/** The events of a partial match. */

/** The run of events taken so far, as a list from its end; the same run is the same object. */
export interface Path {
  readonly before: Path | undefined
  readonly step: string
  readonly event: { readonly _tag: string }
  /** Its place in the order of all events of the matcher. */
  readonly seq: number
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
  seq: number,
  time: number
): Path => ({
  before,
  step,
  event,
  seq,
  time,
  start: before === undefined ? seq : before.start,
  startTime: before === undefined ? time : before.startTime,
  live: 0,
  done: false,
  bound: undefined,
  next: undefined,
  other: undefined
})

/** By positions, event by event, a longer one before its beginning; then by the names of the steps. */
export const byPositions = (left: Path, right: Path): number => {
  if (left === right) return 0
  const mine = list(left)
  const others = list(right)
  for (const [at, path] of mine.entries()) {
    const other = others[at]
    if (other === undefined) return -1
    if (path.seq !== other.seq) return path.seq - other.seq
  }
  if (mine.length < others.length) return 1
  const [a, b] = [mine, others].map((paths) => JSON.stringify(paths.map(({ step }) => step)))
  return a === b ? 0 : (a ?? "") < (b ?? "") ? -1 : 1
}

/** The events of a path in order, each as the path up to it. */
export const list = (path: Path): ReadonlyArray<Path> => {
  const found: Array<Path> = []
  for (let at: Path | undefined = path; at !== undefined; at = at.before) found.push(at)
  return found.reverse()
}

/** The events of a path, from its first one on. */
export const events = (path: Path): ReadonlyArray<readonly [step: string, event: { readonly _tag: string }]> => {
  const found: Array<readonly [string, { readonly _tag: string }]> = []
  for (let at: Path | undefined = path; at !== undefined; at = at.before) found.push([at.step, at.event])
  return found.reverse()
}
