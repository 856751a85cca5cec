import type * as Compile from "./cepCompile.ts"
import { holds, type Path, type State } from "./cepCompile.ts"

/** Tier B: every partial match is a run, which waits in a state with the events taken so far. The runs of one key. */

export interface Run {
  readonly of: Runs
  readonly path: Path
  readonly state: State
  /** Which of the state's waits go on. */
  readonly waits: Array<boolean>
  /** Of each wait, which of the greedy loops left behind have been ended. */
  readonly ended: Array<Array<boolean>>
  open: number
  /** No event has come since the last one taken. */
  fresh: boolean
  /** Whether it may still be a match as it is. */
  ending: boolean
  nextPassed: boolean
  windowPassed: boolean
  dead: boolean
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
  readonly due: (run: Run, at: number) => void
}

interface Held {
  readonly path: Path
  readonly moment: number
}

interface Interned {
  readonly path: Path
  readonly states: Set<number>
}

export class Runs {
  readonly key: string
  /** Runs by state, so that an event looks at those only that it may concern. */
  readonly byState: Map<number, Array<Run>> = new Map()
  held: Array<Held> = []
  floor = 0
  moment = 0
  size = 0
  private readonly host: Host
  private completed: Array<Path> = []
  private born: Array<Run> = []
  private interned: Map<Path | undefined, Map<string, Interned>> = new Map()

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
    this.interned = new Map()
    for (const [id, runs] of this.byState) {
      const [first] = runs
      if (first === undefined) continue
      const { tags } = first.state
      if (tags !== undefined && !tags.has(event._tag)) continue
      for (const run of runs) if (!run.dead) this.step(run, event, seq, time)
      this.compact(id, runs)
    }
    this.start(event, seq, time)
    for (const run of this.born) this.add(run)
    this.born = []
    this.settle()
  }

  /** Time has come to an instant at which some of the runs were due. */
  expire(runs: ReadonlyArray<Run>, now: number): void {
    this.moment++
    const { window } = this.host.program
    const touched = new Set<Path>()
    for (const run of runs) {
      if (run.dead) continue
      const { path, state } = run
      touched.add(path)
      for (const [at, wait] of state.waits.entries()) {
        if (run.waits[at] === true && Math.min(path.startTime + window, path.time + wait.gap) <= now) this.stop(run, at)
      }
      if (run.ending && path.startTime + window <= now) {
        run.windowPassed = true
        if (!run.nextPassed) this.giveUp(run)
      }
      this.close(run)
      if (!run.dead) this.schedule(run)
    }
    for (const id of new Set(runs.map(({ state }) => state.id))) this.compact(id, this.byState.get(id) ?? [])
    for (const path of [...touched].sort(byPositions)) {
      if (path.live === 0 && !path.done) this.host.timedOut(this, path)
    }
    this.settle()
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
      if (wait === undefined || run.waits[at] !== true) continue
      if (this.clings(run, at, wait, event) || (run.fresh && wait.notNext.some((test) => holds(test, event, path)))) {
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
        wait.notFollowedBy.some((test) => holds(test, event, path))
      if (closes) this.stop(run, at)
    }
    if (run.ending && end !== undefined) {
      const broken = (run.fresh && end.notNext.some((test) => holds(test, event, path))) ||
        end.notFollowedBy.some((test) => holds(test, event, path))
      if (broken) this.giveUp(run)
      else run.nextPassed = true
    }
    run.fresh = false
    this.close(run)
  }

  /** Whether the event belongs to a greedy loop that was left, and cannot be left behind. */
  private clings(run: Run, at: number, wait: Compile.Wait, event: { readonly _tag: string }): boolean {
    const ended = run.ended[at]
    if (ended === undefined) return false
    for (const [index, greedy] of wait.greedy.entries()) {
      if (ended[index] === true) continue
      if (ends(greedy.until, event, run.path)) ended[index] = true
      else if (holds(greedy.test, event, run.path)) return true
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
    let steps = this.interned.get(before)
    if (steps === undefined) this.interned.set(before, steps = new Map())
    let known = steps.get(wait.step)
    if (known === undefined) {
      const path: Path = {
        before,
        step: wait.step,
        event,
        seq,
        time,
        start: before?.start ?? seq,
        startTime: before?.startTime ?? time,
        live: 0,
        done: false,
        bound: undefined
      }
      steps.set(wait.step, known = { path, states: new Set() })
    }
    const state = wait.to()
    if (known.states.has(state.id)) return
    known.states.add(state.id)
    this.born.push(this.make(known.path, state))
  }

  private make(path: Path, state: State): Run {
    return {
      of: this,
      path,
      state,
      waits: state.waits.map(() => true),
      ended: state.waits.map(({ greedy }) => greedy.map(() => false)),
      open: state.waits.length,
      fresh: true,
      ending: state.end !== undefined,
      nextPassed: state.end?.notNext.length === 0,
      windowPassed: false,
      dead: false
    }
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
    const runs = this.byState.get(run.state.id)
    if (runs === undefined) this.byState.set(run.state.id, [run])
    else runs.push(run)
  }

  schedule(run: Run): void {
    const { path, state } = run
    const { window } = this.host.program
    let at = run.ending && state.end !== undefined &&
        (!run.nextPassed || (state.end.notFollowedBy.length > 0 && !run.windowPassed))
      ? path.startTime + window
      : Infinity
    for (const [index, wait] of state.waits.entries()) {
      if (run.waits[index] === true) at = Math.min(at, path.startTime + window, path.time + wait.gap)
    }
    if (at !== Infinity) this.host.due(run, at)
  }

  private stop(run: Run, at: number): void {
    if (run.waits[at] !== true) return
    run.waits[at] = false
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
    if (end.holding >= 0 && run.waits[end.holding] === true) return
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

  private compact(id: number, runs: Array<Run>): void {
    let kept = 0
    for (const run of runs) if (!run.dead) runs[kept++] = run
    runs.length = kept
    if (kept === 0) this.byState.delete(id)
  }

  /** At the end of a moment: what is reported, and what that prunes. */
  private settle(): void {
    const { completed } = this
    if (completed.length > 0) {
      this.completed = []
      if (this.host.program.skip._tag === "none") {
        for (const path of completed.sort(byPositions)) this.host.match(this, path)
        return
      }
      for (const path of completed) if (path.start >= this.floor) this.held.push({ path, moment: this.moment })
      this.held.sort((left, right) =>
        left.path.start - right.path.start || left.moment - right.moment || byPositions(left.path, right.path)
      )
    }
    this.release()
  }

  private release(): void {
    for (let first = this.held[0]; first !== undefined; first = this.held[0]) {
      const { path } = first
      for (const runs of this.byState.values()) {
        if (runs.some((run) => !run.dead && run.path.start < path.start)) return
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
    for (const [id, runs] of this.byState) {
      for (const run of runs) if (run.path.start < floor) this.drop(run)
      this.compact(id, runs)
    }
  }
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
      return path.seq + 1
    default: {
      let to: number | undefined
      for (let at: Path | undefined = path; at !== undefined; at = at.before) {
        if (at.step !== skip.step) continue
        to = at.seq
        if (skip._tag === "toLast") break
      }
      if (to === undefined) return skip.failOnMiss ? undefined : 0
      return to === path.start ? undefined : to
    }
  }
}

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
