import type * as Compile from "./compile.ts"
import { holds, type State } from "./compile.ts"
import { byPositions, type Path, pathOf } from "./path.ts"

/** Tier B: every partial match is a run, which waits in a state with the events taken so far. The runs of one key. */

export interface Run {
  readonly of: Runs
  readonly path: Path
  readonly state: State
  /** Which of the state's waits go on, if any does. As the state has it until one stops. */
  waits: ReadonlyArray<boolean>
  /** Of each wait, which of the greedy loops left behind have been ended. */
  ended: ReadonlyArray<ReadonlyArray<boolean>>
  open: number
  /** No event has come since the last one taken. */
  fresh: boolean
  /** Whether it may still be a match as it is. */
  ending: boolean
  nextPassed: boolean
  windowPassed: boolean
  dead: boolean
  /** When it is looked at, though no event comes. */
  due: number
  /** Its neighbours among all runs, oldest first. */
  older: Run | undefined
  newer: Run | undefined
  /** Its neighbours among those of its key, where the oldest may have to make room. */
  elder: Run | undefined
  younger: Run | undefined
}

/** Whether a run goes on to wait. */
export const waitsAt = (run: Run, at: number): boolean => run.open > 0 && run.waits[at] === true

/** A run that waits in a state, as it is after so much has happened. */
export const run = (
  of: Runs,
  path: Path,
  state: State,
  from: Pick<Run, "waits" | "ended" | "fresh" | "ending" | "nextPassed" | "windowPassed">
): Run => {
  let open = 0
  for (let at = 0; at < from.waits.length; at++) if (from.waits[at] === true) open++
  const { ended, ending, fresh, nextPassed, waits, windowPassed } = from
  return {
    of,
    path,
    state,
    waits,
    ended,
    open,
    fresh,
    ending,
    nextPassed,
    windowPassed,
    dead: false,
    due: Infinity,
    older: undefined,
    newer: undefined,
    elder: undefined,
    younger: undefined
  }
}

/** What runs tell the engine. */
export interface Host {
  readonly program: Compile.Program
  readonly match: (of: Runs, path: Path) => void
  readonly timedOut: (of: Runs, path: Path) => void
  readonly missed: (of: Runs, path: Path) => void
  /** A run begins to wait; whether there is room for it. */
  readonly admit: (run: Run) => boolean
  readonly leave: (run: Run) => void
  /** A run is to be looked at when its `due` has come. */
  readonly due: (run: Run) => void
}

interface Held {
  readonly path: Path
  readonly moment: number
}

/** Runs that wait in one state, so that an event looks at those only that it may concern. */
interface Bucket {
  readonly state: State
  readonly runs: Array<Run>
}

export class Runs {
  readonly key: string
  readonly buckets: Array<Bucket> = []
  /** Of its runs, where the oldest may have to make room. */
  eldest: Run | undefined
  youngest: Run | undefined
  held: Array<Held> = []
  floor = 0
  moment = 0
  size = 0
  private readonly host: Host
  private completed: Array<Path> = []
  private born: Array<Run> = []
  /** What the event at hand has been taken as where nothing had begun. */
  private begun: Path | undefined

  constructor(key: string, host: Host) {
    this.key = key
    this.host = host
  }

  get isEmpty(): boolean {
    return this.size === 0 && this.held.length === 0
  }

  /** Takes one event in. */
  push(event: { readonly _tag: string }, seq: number, time: number): void {
    this.moment++
    this.begun = undefined
    const { buckets } = this
    for (let at = 0; at < buckets.length; at++) {
      const { runs, state: { tags } } = buckets[at]!
      if (runs.length === 0 || (tags !== undefined && !tags.has(event._tag))) continue
      let died = false
      for (let n = 0; n < runs.length; n++) {
        const run = runs[n]!
        if (!run.dead) this.step(run, event, seq, time)
        if (run.dead) died = true
      }
      if (died) compact(runs)
    }
    this.start(event, seq, time)
    if (this.born.length > 0) {
      for (const run of this.born) this.add(run)
      this.born = []
    }
    this.settle()
  }

  /** Time has come to an instant at which some of the runs were due. */
  expire(runs: ReadonlyArray<Run>, now: number): void {
    this.moment++
    const { window } = this.host.program
    for (const run of runs) {
      if (run.dead) continue
      const { path, state: { waits } } = run
      for (let at = 0; at < waits.length; at++) {
        if (waitsAt(run, at) && Math.min(path.startTime + window, path.time + waits[at]!.gap) <= now) this.stop(run, at)
      }
      if (run.ending && path.startTime + window <= now) {
        run.windowPassed = true
        if (!run.nextPassed) this.giveUp(run)
      }
      this.close(run)
      if (!run.dead) this.schedule(run)
    }
    for (let at = 0; at < runs.length; at++) {
      const { state } = runs[at]!
      if (at === 0 || runs[at - 1]!.state !== state) compact(this.bucket(state).runs)
    }
    const [first] = runs
    if (runs.length > 1) {
      const over = new Set(runs.map(({ path }) => path).filter(isOver))
      for (const path of [...over].sort(byPositions)) this.host.timedOut(this, path)
    } else if (first !== undefined && isOver(first.path)) this.host.timedOut(this, first.path)
    this.settle()
  }

  private bucket(state: State): Bucket {
    const { buckets } = this
    for (let at = 0; at < buckets.length; at++) if (buckets[at]!.state === state) return buckets[at]!
    const made: Bucket = { state, runs: [] }
    // those that have been left empty make room
    let kept = 0
    for (const bucket of buckets) if (bucket.runs.length > 0) buckets[kept++] = bucket
    buckets.length = kept
    buckets.push(made)
    return made
  }

  private start(event: { readonly _tag: string }, seq: number, time: number): void {
    const { root } = this.host.program
    for (const wait of root.waits) {
      if (!holds(wait.test, event, undefined) || ends(wait.until, event, undefined)) continue
      if (wait.greedy.some((one) => !ends(one.until, event, undefined) && holds(one.test, event, undefined))) continue
      this.take(undefined, wait, event, seq, time)
    }
  }

  private step(run: Run, event: { readonly _tag: string }, seq: number, time: number): void {
    const { path, state } = run
    const { end } = state
    for (let at = 0; at < state.waits.length; at++) {
      const wait = state.waits[at]
      if (wait === undefined || !waitsAt(run, at)) continue
      if (this.clings(run, at, wait, event) || (run.fresh && some(wait.notNext, event, path))) {
        this.stop(run, at)
        continue
      }
      const over = ends(wait.until, event, path)
      if (over && wait.again) {
        this.stop(run, at)
        continue
      }
      const fits = holds(wait.test, event, path)
      if (fits && !over) {
        if (end?.holding === at) this.giveUp(run)
        this.take(path, wait, event, seq, time)
      }
      const closes = wait.contiguity === "next" || (wait.contiguity === "followedBy" && fits) ||
        some(wait.notFollowedBy, event, path)
      if (closes) this.stop(run, at)
    }
    if (run.ending && end !== undefined) {
      const broken = (run.fresh && some(end.notNext, event, path)) ||
        some(end.notFollowedBy, event, path)
      if (broken) this.giveUp(run)
      else run.nextPassed = true
    }
    run.fresh = false
    this.close(run)
  }

  /** Whether the event belongs to a greedy loop that was left, and cannot be left behind. */
  private clings(run: Run, at: number, { greedy }: Compile.Wait, event: { readonly _tag: string }): boolean {
    for (let one = 0; one < greedy.length; one++) {
      if (run.ended[at]?.[one] === true) continue
      const { test, until } = greedy[one]!
      if (ends(until, event, run.path)) {
        run.ended = run.ended.map((each, wait) => wait === at ? each.map((is, index) => is || index === one) : each)
      } else if (holds(test, event, run.path)) return true
    }
    return false
  }

  private take(
    before: Path | undefined,
    wait: Compile.Wait,
    event: { readonly _tag: string },
    seq: number,
    time: number
  ): void {
    // the same events under the same names are one path, whatever ways lead to it
    let path = before === undefined ? this.begun : before.next
    while (path !== undefined && (path.index !== seq || path.step !== wait.step)) {
      path = path.index === seq
        ? path.other
        : undefined
    }
    const state = wait.to()
    if (path === undefined) {
      const other = before === undefined ? this.begun : before.next
      path = pathOf(before, wait.step, event, seq, time)
      path.other = other !== undefined && other.index === seq ? other : undefined
      if (before === undefined) this.begun = path
      else before.next = path
    } else {
      for (let at = this.born.length - 1; at >= 0; at--) {
        const one = this.born[at]!
        if (one.path === path && one.state === state) return
      }
    }
    this.born.push(run(this, path, state, state.fresh))
  }

  private add(run: Run): void {
    const { path } = run
    path.live += run.open + (run.ending ? 1 : 0)
    if (run.ending) this.complete(run)
    if (run.open === 0 && !run.ending) return
    if (!this.host.admit(run)) {
      path.live -= run.open + (run.ending ? 1 : 0)
      return
    }
    this.keep(run)
    this.schedule(run)
  }

  /** Puts a run among the others. */
  keep(run: Run): void {
    this.size++
    const { runs } = this.bucket(run.state)
    // those that a cap has dropped are still among them, until an event comes that concerns them
    if (runs.length > 64 + 2 * this.size) compact(runs)
    runs.push(run)
  }

  schedule(run: Run): void {
    const { path, state } = run
    const { window } = this.host.program
    let at = run.ending && state.end !== undefined &&
        (!run.nextPassed || (state.end.notFollowedBy.length > 0 && !run.windowPassed))
      ? path.startTime + window
      : Infinity
    for (let index = 0; index < state.waits.length; index++) {
      if (waitsAt(run, index)) at = Math.min(at, path.startTime + window, path.time + state.waits[index]!.gap)
    }
    if (at === Infinity) return
    run.due = at
    this.host.due(run)
  }

  private stop(run: Run, at: number): void {
    if (!waitsAt(run, at)) return
    // the last one has no need to be told from the others
    if (run.open > 1) run.waits = run.waits.map((open, index) => open && index !== at)
    run.open--
    run.path.live--
  }

  private giveUp(run: Run): void {
    if (!run.ending) return
    run.ending = false
    run.path.live--
  }

  /** Reports a run that is a match as it is, once all that must not come has not come. */
  private complete(run: Run): void {
    const { end } = run.state
    if (!run.ending || end === undefined || !run.nextPassed) return
    if (end.notFollowedBy.length > 0 && !run.windowPassed) return
    if (end.holding >= 0 && waitsAt(run, end.holding)) return
    this.giveUp(run)
    if (run.path.done) return
    run.path.done = true
    this.completed.push(run.path)
  }

  private close(run: Run): void {
    this.complete(run)
    if (run.open === 0 && !run.ending) this.drop(run)
  }

  /** Ends a run without a word. */
  drop(run: Run): void {
    if (run.dead) return
    run.dead = true
    run.path.live -= run.open + (run.ending ? 1 : 0)
    this.size--
    this.host.leave(run)
  }

  /** At the end of a moment: what is reported, and what that prunes. */
  private settle(): void {
    const { completed } = this
    if (completed.length > 0) {
      this.completed = []
      if (this.host.program.skip._tag === "none") {
        if (completed.length > 1) completed.sort(byPositions)
        for (const path of completed) this.host.match(this, path)
        return
      }
      for (const path of completed) if (path.start >= this.floor) this.held.push({ path, moment: this.moment })
      this.held.sort((left, right) =>
        left.path.start - right.path.start || left.moment - right.moment || byPositions(left.path, right.path)
      )
    }
    this.release()
  }

  /** Reports what is held back by nothing that began earlier. */
  release(): void {
    for (let first = this.held[0]; first !== undefined; first = this.held[0]) {
      const { path } = first
      for (const { runs } of this.buckets) {
        for (const run of runs) if (!run.dead && run.path.start < path.start) return
      }
      this.held.shift()
      this.host.match(this, path)
      const to = skipTo(this.host.program.skip, path)
      if (to === undefined) return this.host.missed(this, path)
      if (to > this.floor) this.prune(to)
    }
  }

  private prune(floor: number): void {
    this.floor = floor
    this.held = this.held.filter(({ path }) => path.start >= floor)
    for (const { runs } of this.buckets) {
      for (const run of runs) if (run.path.start < floor) this.drop(run)
      compact(runs)
    }
  }
}

/** Whether a run of events waits for nothing more, without having been a match. */
const isOver = ({ done, live }: Path): boolean => live === 0 && !done

const compact = (runs: Array<Run>): void => {
  let kept = 0
  for (let at = 0; at < runs.length; at++) if (!runs[at]!.dead) runs[kept++] = runs[at]!
  runs.length = kept
}

const some = (tests: ReadonlyArray<Compile.Test>, event: { readonly _tag: string }, path: Path): boolean => {
  for (let at = 0; at < tests.length; at++) if (holds(tests[at]!, event, path)) return true
  return false
}

/** Whether an event ends a loop. */
const ends = (until: Compile.Test | undefined, event: { readonly _tag: string }, path: Path | undefined): boolean =>
  until !== undefined && holds(until, event, path)

/** Where the next match may begin, after one; none where there is no such event, and that is to fail. */
const skipTo = (skip: Compile.Program["skip"], path: Path): number | undefined => {
  switch (skip._tag) {
    case "none":
      return 0
    case "toNext":
      return path.start + 1
    case "pastLast":
      return path.index + 1
    default: {
      let to: number | undefined
      for (let at: Path | undefined = path; at !== undefined; at = at.before) {
        if (at.step !== skip.step) continue
        to = at.index
        if (skip._tag === "toLast") break
      }
      if (to === undefined) return skip.failOnMiss ? undefined : 0
      return to === path.start ? undefined : to
    }
  }
}
