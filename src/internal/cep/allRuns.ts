import type { Waiting } from "./automaton.ts"
import type * as Compile from "./compile.ts"
import * as Kept from "./kept.ts"
import type { Snapshot } from "./kept.ts"
import type { Taken } from "./nodes.ts"
import { ordered } from "./ordered.ts"
import * as Paths from "./path.ts"
import type { Path } from "./path.ts"
import * as Runs from "./runs.ts"
import type { Read } from "./sets.ts"
import { Heap } from "../heap.ts"

/** Tier B: the runs of all keys, when they are due, and how many of them there may be. */

/** What is told. */
export interface Host {
  readonly isOver: boolean
  readonly at: (time: number) => void
  /** Matches of a moment: more may be added to the list. */
  readonly matches: (key: string, matches: Array<Path>) => void
  readonly matched: () => void
  readonly timedOut: (key: string, path: Path) => void
  readonly missed: (key: string, path: Path) => void
  readonly overflow: (key: string, path: Path) => void
  readonly full: (key: string, path: Path) => void
}

export class AllRuns implements Runs.Host {
  readonly program: Compile.Program
  readonly keys: Map<string, Runs.Runs> = new Map()
  /** How many runs wait, and the most that did at once. */
  count = 0
  most = 0
  /** All runs that wait, from the oldest to the newest. */
  private eldest: Runs.Run | undefined
  private youngest: Runs.Run | undefined
  private readonly dues = new Heap<Runs.Run>((a, b) => a.due < b.due)
  private readonly settings: Compile.Bounded
  private readonly host: Host
  private last: Array<Path> | undefined
  /** Keys whose oldest run made room for another key's: what it held back may be reported. */
  private readonly robbed: Set<Runs.Runs> = new Set()
  private now = -Infinity

  constructor(settings: Compile.Bounded, host: Host) {
    this.settings = settings
    this.program = settings.program
    this.host = host
  }

  push(event: { readonly _tag: string }, key: string, seq: number, time: number): void {
    const known = this.keys.get(key)
    // where nothing has begun, only what may begin something is looked at
    if (known === undefined && this.program.root.tags?.has(event._tag) === false) return
    const runs = known ?? new Runs.Runs(key, this)
    this.last = undefined
    runs.push(event, seq, time)
    if (known === undefined) {
      if (!runs.isEmpty) this.keys.set(key, runs)
    } else if (runs.isEmpty) this.keys.delete(key)
    if (this.robbed.size === 0) return
    for (const of of this.robbed) {
      this.last = undefined
      of.release()
      if (of.isEmpty) this.keys.delete(of.key)
    }
    this.robbed.clear()
  }

  /** Time moves on: what is due is done, instant by instant. */
  tick(time: number): void {
    for (
      let run = this.dues.peek();
      run !== undefined && run.due <= time && !this.host.isOver;
      run = this.dues.peek()
    ) {
      this.dues.pop()
      if (run.dead) continue
      this.now = run.due
      this.host.at(run.due)
      const due = [run]
      for (let next = this.dues.peek(); next !== undefined && next.due === this.now; next = this.dues.peek()) {
        this.dues.pop()
        if (!next.dead) due.push(next)
      }
      if (due.length === 1) this.over(run.of, due)
      else this.expire(due)
    }
  }

  /** Some runs are due now: key by key, that first which began first. */
  private expire(due: ReadonlyArray<Runs.Run>): void {
    const byKey = new Map<Runs.Runs, Array<Runs.Run>>()
    for (const run of due) {
      const others = byKey.get(run.of)
      if (others === undefined) byKey.set(run.of, [run])
      else others.push(run)
    }
    const first = (runs: ReadonlyArray<Runs.Run>) => Math.min(...runs.map(({ path }) => path.start))
    const order = [...byKey].map(([of, runs]) => ({ of, runs, first: byKey.size === 1 ? 0 : first(runs) }))
    for (const { of, runs } of order.sort((left, right) => left.first - right.first)) this.over(of, runs)
  }

  private over(of: Runs.Runs, runs: ReadonlyArray<Runs.Run>): void {
    this.last = undefined
    of.expire(runs, this.now)
    if (of.isEmpty) this.keys.delete(of.key)
  }

  // ------------------------------------------------------------------------------------------------- what runs tell

  match(of: Runs.Runs, path: Path): void {
    if (this.host.isOver) return
    this.host.matched()
    if (this.last === undefined) {
      this.last = [path]
      this.host.matches(of.key, this.last)
    } else this.last.push(path)
  }

  timedOut(of: Runs.Runs, path: Path): void {
    if (!this.host.isOver) this.host.timedOut(of.key, path)
  }

  missed(of: Runs.Runs, path: Path): void {
    this.host.missed(of.key, path)
  }

  admit(run: Runs.Run): boolean {
    const { maxRuns, maxRunsPerKey, policy } = this.settings
    const perKey = run.of.size >= maxRunsPerKey
    if (perKey || this.count >= maxRuns) {
      if (policy === "fail") {
        this.host.full(run.of.key, run.path)
        return false
      }
      if (policy === "dropNewest") {
        this.host.overflow(run.of.key, run.path)
        return false
      }
      const oldest = perKey ? run.of.eldest : this.eldest
      if (oldest !== undefined) {
        this.host.overflow(oldest.of.key, oldest.path)
        oldest.of.drop(oldest)
        if (oldest.of !== run.of) this.robbed.add(oldest.of)
      }
    }
    this.join(run)
    if (this.count > this.most) this.most = this.count
    return true
  }

  private join(run: Runs.Run): void {
    run.older = this.youngest
    if (this.youngest === undefined) this.eldest = run
    else this.youngest.newer = run
    this.youngest = run
    this.count++
    if (this.settings.policy !== "dropOldest") return
    const { of } = run
    run.elder = of.youngest
    if (of.youngest === undefined) of.eldest = run
    else of.youngest.younger = run
    of.youngest = run
  }

  leave(run: Runs.Run): void {
    this.part(run)
    if (this.settings.policy !== "dropOldest") return
    const { elder, of, younger } = run
    if (elder === undefined) of.eldest = younger
    else elder.younger = younger
    if (younger === undefined) of.youngest = elder
    else younger.elder = elder
    run.elder = undefined
    run.younger = undefined
  }

  private part(run: Runs.Run): void {
    const { newer, older } = run
    if (older === undefined) this.eldest = newer
    else older.newer = newer
    if (newer === undefined) this.youngest = older
    else newer.older = older
    run.older = undefined
    run.newer = undefined
    this.count--
  }

  due(run: Runs.Run): void {
    this.dues.push(run)
    if (this.dues.size > 64 + 2 * this.count) this.dues.keep(({ dead }) => !dead)
  }

  /** Oldest first. */
  *list(): Iterable<Runs.Run> {
    for (let run = this.eldest; run !== undefined; run = run.newer) yield run
  }

  // ------------------------------------------------------------------------------------------------------ snapshots

  snapshot(kept: Kept.Kept): Pick<Snapshot, "paths" | "keys" | "runs"> {
    const paths: Array<Snapshot["paths"][number]> = []
    const pathAt = new Map<Path, number>()
    const pathOf = (path: Path): number => {
      for (const one of Paths.list(path)) {
        if (pathAt.has(one)) continue
        const before = one.before === undefined ? -1 : pathAt.get(one.before) ?? -1
        pathAt.set(one, paths.push({ before, step: one.step, event: kept.event(one), done: one.done }) - 1)
      }
      return pathAt.get(path) ?? -1
    }
    const keys = [...this.keys.values()]
    const keyAt = new Map(keys.map((of, at) => [of, at] as const))
    const runs = Array.from(this.list(), (run) => ({
      key: keyAt.get(run.of) ?? -1,
      path: pathOf(run.path),
      state: kept.state(run.state.id),
      waits: run.open === 0 ? run.waits.map(() => false) : [...run.waits],
      ended: run.ended.map((one) => [...one]),
      fresh: run.fresh,
      ending: run.ending,
      nextPassed: run.nextPassed,
      windowPassed: run.windowPassed
    }))
    const held = keys.map((of) => ({
      key: of.key,
      floor: of.floor,
      moment: of.moment,
      held: of.held.map(({ moment, path }) => ({ path: pathOf(path), moment }))
    }))
    return { paths, keys: held, runs }
  }

  /** Takes up what was kept of runs, and of sets, which go on as runs. */
  restore(from: Snapshot): void {
    const paths: Array<Path> = []
    for (const { before, done, event, step } of from.paths) {
      const parent = paths[before]
      const one = from.events[event]
      if (one === undefined) throw new RangeError("the snapshot misses an event")
      paths.push(pathFrom(parent, { ...one, index: one.seq, step }, done))
    }
    const states = Kept.statesOf(this.program, from)
    const keys = from.keys.map(({ floor, held, key, moment }) => {
      const of = new Runs.Runs(key, this)
      of.floor = floor
      of.moment = moment
      of.held = held.flatMap(({ moment, path }) => {
        const found = paths[path]
        return found === undefined ? [] : [{ path: found, moment }]
      })
      this.keys.set(key, of)
      return of
    })
    for (const one of from.runs) {
      const of = keys[one.key]
      const path = paths[one.path]
      const state = one.state === -1 ? undefined : states[one.state]
      if (of === undefined || path === undefined || state === undefined) {
        throw new RangeError("the snapshot misses what a run has taken")
      }
      this.resume(of, path, { ...one, state })
    }
    this.resumeSets(Kept.read(this.program, from))
  }

  private resume(of: Runs.Runs, path: Path, from: Waiting & Partial<Pick<Runs.Run, "windowPassed">>): void {
    const run = Runs.run(of, path, from.state, { ...from, windowPassed: from.windowPassed === true })
    path.live += run.open + (run.ending ? 1 : 0)
    this.join(run)
    of.keep(run)
    of.schedule(run)
  }

  /** Each run of a set is a run of its own, in every state that the set waits in. */
  private resumeSets(held: Read): void {
    for (const { key, sets } of held.keys) {
      const of = new Runs.Runs(key, this)
      this.keys.set(key, of)
      const known = new Map<Path | undefined, Map<string, Path>>()
      for (const { done, root, waiting } of sets) {
        for (const run of ordered(held.table, [root], 0)) {
          let path: Path | undefined
          for (const taken of run) {
            const name = JSON.stringify([taken.step, taken.index])
            let after = known.get(path)
            if (after === undefined) known.set(path, after = new Map())
            const before: Path | undefined = path
            path = after.get(name)
            if (path === undefined) after.set(name, path = pathFrom(before, taken, false))
          }
          if (path === undefined) continue
          path.done = done
          for (const one of waiting) this.resume(of, path, one)
        }
      }
    }
  }
}

const pathFrom = (before: Path | undefined, { event, index, step, time }: Taken, done: boolean): Path =>
  Object.assign(Paths.pathOf(before, step, event, index, time), { done })
