import type * as Compile from "./cepCompile.ts"
import type { Path } from "./cepCompile.ts"
import * as Kept from "./cepKept.ts"
import type { Waiting } from "./cepAutomaton.ts"
import type { Node, Table, Taken } from "./cepNodes.ts"
import { ordered } from "./cepOrdered.ts"
import * as Runs from "./cepRuns.ts"
import { type Read, Sets } from "./cepSets.ts"
import { Heap } from "./heap.ts"

/** Everything around the partial matches: order of events, time, keys, caps, outputs. Plain synchronous code over chunks. */

export type Tagged = { readonly _tag: string }

export interface Settings {
  readonly program: Compile.Program
  readonly tier: "sets" | "runs"
  readonly timestamp: ((event: any) => number) | undefined
  readonly keyBy: ((event: any) => string | undefined) | undefined
  readonly lateness: number
  readonly comparator: ((left: any, right: any) => number) | undefined
  readonly timedOut: boolean
  readonly maxRunsPerKey: number
  readonly maxRuns: number
  readonly policy: "fail" | "dropOldest" | "dropNewest"
}

export type Output =
  | { readonly _tag: "Matches"; readonly key: string; readonly time: number; readonly matches: Array<Path> | Found }
  | { readonly _tag: "TimedOut"; readonly key: string; readonly time: number; readonly run: Run }
  | { readonly _tag: "Late"; readonly event: any }
  | { readonly _tag: "Overflow"; readonly key: string; readonly run: Run }
  | {
    readonly _tag: "Failed"
    readonly reason: "skip" | "overflow"
    readonly key: string
    readonly run: Run
  }

/** A run of events, as each tier has it. */
export type Run = Path | ReadonlyArray<Taken>

/** Matches that are held as a set. */
export interface Found {
  readonly table: Table
  readonly roots: ReadonlyArray<Node>
  readonly floor: number
  readonly count: number
}

export interface Counts {
  events: number
  late: number
  unkeyed: number
  matches: number
  timedOut: number
  overflowed: number
}

interface Coming {
  readonly time: number
  readonly event: Tagged
}

/** What an engine is at a position; everything in it is data, but for the events, which are as they came. */
export interface Snapshot {
  readonly seq: number
  readonly time: number
  readonly newest: number
  readonly closed: number
  readonly failed: boolean
  readonly counts: Counts
  readonly waiting: ReadonlyArray<{ readonly time: number; readonly event: any }>
  readonly events: ReadonlyArray<{ readonly seq: number; readonly time: number; readonly event: any }>
  readonly paths: ReadonlyArray<
    { readonly before: number; readonly step: string; readonly event: number; readonly done: boolean }
  >
  readonly states: ReadonlyArray<{ readonly from: number; readonly wait: number }>
  readonly keys: ReadonlyArray<{
    readonly key: string
    readonly floor: number
    readonly moment: number
    readonly held: ReadonlyArray<{ readonly path: number; readonly moment: number }>
  }>
  /** Oldest first. */
  readonly runs: ReadonlyArray<{
    readonly key: number
    readonly path: number
    readonly state: number
    readonly waits: ReadonlyArray<boolean>
    readonly ended: ReadonlyArray<ReadonlyArray<boolean>>
    readonly fresh: boolean
    readonly ending: boolean
    readonly nextPassed: boolean
    readonly windowPassed: boolean
  }>
  /** Of the other tier: nodes after those that they lead to, a union where there is no event; the sets of each key. */
  readonly nodes: ReadonlyArray<
    { readonly event: number; readonly step: string; readonly left: number; readonly right: number }
  >
  readonly sets: ReadonlyArray<{
    readonly key: string
    readonly of: ReadonlyArray<{
      readonly done: boolean
      readonly waiting: ReadonlyArray<{
        readonly state: number
        readonly waits: ReadonlyArray<boolean>
        readonly ended: ReadonlyArray<ReadonlyArray<boolean>>
        readonly fresh: boolean
        readonly ending: boolean
        readonly nextPassed: boolean
      }>
      readonly node: number
    }>
  }>
}

export const empty: Snapshot = {
  seq: 0,
  time: -Infinity,
  newest: -Infinity,
  closed: -Infinity,
  failed: false,
  counts: { events: 0, late: 0, unkeyed: 0, matches: 0, timedOut: 0, overflowed: 0 },
  waiting: [],
  events: [],
  paths: [],
  states: [],
  keys: [],
  runs: [],
  nodes: [],
  sets: []
}

export class Engine implements Runs.Host {
  readonly program: Compile.Program
  readonly counts: Counts
  /** All runs that wait, from the oldest to the newest. */
  private eldest: Runs.Run | undefined
  private youngest: Runs.Run | undefined
  private count = 0
  private mostRuns = 0
  private readonly settings: Settings
  private readonly keys: Map<string, Runs.Runs> = new Map()
  private readonly dues = new Heap<Runs.Run>((a, b) => a.due < b.due)
  private waiting: Array<Coming>
  private outputs: Array<Output> = []
  private last: Array<Path> | undefined
  private seq: number
  private now: number
  private newest: number
  private closed: number
  private failed: boolean
  /** What holds partial matches as sets, where that is how they are held. */
  readonly sets: Sets | undefined

  constructor(settings: Settings, from: Snapshot) {
    this.settings = settings
    this.program = settings.program
    this.seq = from.seq
    this.now = from.time
    this.newest = from.newest
    this.closed = from.closed
    this.failed = from.failed
    this.counts = { ...from.counts }
    this.waiting = [...from.waiting]
    // runs go on as runs: they are what every pattern can be matched by
    this.sets = settings.tier === "runs" || from.runs.length > 0 || from.keys.length > 0
      ? undefined
      : new Sets(settings, this)
    this.restore(from)
  }

  get runs(): number {
    return this.sets?.runs(this.now) ?? this.count
  }

  get keyCount(): number {
    return this.sets?.keys.size ?? this.keys.size
  }

  get most(): number {
    return this.sets?.most ?? this.mostRuns
  }

  push(events: Iterable<any>): Array<Output> {
    const { comparator, lateness, timestamp } = this.settings
    for (const event of events) {
      if (this.failed) break
      this.counts.events++
      const time = timestamp === undefined ? 0 : timestamp(event)
      if (!(time > this.closed) || !(time >= this.newest - lateness)) {
        this.counts.late++
        this.outputs.push({ _tag: "Late", event })
        continue
      }
      if (lateness === 0 && comparator === undefined) {
        this.newest = Math.max(this.newest, time)
        this.process(event, time)
        continue
      }
      this.hold({ time, event })
      this.newest = Math.max(this.newest, time)
      this.release(this.newest - lateness, comparator === undefined)
    }
    return this.flush()
  }

  /** Time has come to an instant, whatever was seen of it: no event at it or before it is taken any more. */
  advance(time: number): Array<Output> {
    if (!this.failed && time > this.closed) {
      this.closed = time
      this.newest = Math.max(this.newest, time)
      this.release(time, true)
    }
    return this.flush()
  }

  private flush(): Array<Output> {
    const { outputs } = this
    this.outputs = []
    this.last = undefined
    return outputs
  }

  private hold(one: Coming): void {
    const { comparator } = this.settings
    const { waiting } = this
    let low = 0
    let high = waiting.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = waiting[middle]
      const before = other !== undefined &&
        (other.time < one.time || (other.time === one.time && (comparator?.(other.event, one.event) ?? 0) <= 0))
      if (before) low = middle + 1
      else high = middle
    }
    waiting.splice(low, 0, one)
  }

  private release(watermark: number, inclusive: boolean): void {
    let count = 0
    for (const { event, time } of this.waiting) {
      if (this.failed || (inclusive ? time > watermark : time >= watermark)) break
      count++
      this.process(event, time)
    }
    if (count > 0) this.waiting = this.waiting.slice(count)
    this.tick(watermark)
  }

  private process(event: Tagged, time: number): void {
    this.tick(time)
    if (this.failed) return
    const seq = this.seq++
    const { keyBy, program } = this.settings
    if (program.tags !== undefined && !program.tags.has(event._tag)) return
    const key = keyBy === undefined ? "" : keyBy(event)
    if (key === undefined) {
      this.counts.unkeyed++
      return
    }
    if (this.sets !== undefined) return this.sets.push(event, key, seq, time)
    const known = this.keys.get(key)
    // where nothing has begun, only what may begin something is looked at
    if (known === undefined && program.root.tags?.has(event._tag) === false) return
    const runs = known ?? new Runs.Runs(key, this)
    this.last = undefined
    runs.push(event, seq, time)
    if (known === undefined) {
      if (!runs.isEmpty) this.keys.set(key, runs)
    } else if (runs.isEmpty) this.keys.delete(key)
  }

  /** Time moves on: what is due is done, instant by instant. */
  private tick(time: number): void {
    if (!(time > this.now)) return
    this.sets?.tick(time)
    for (let run = this.dues.peek(); run !== undefined && run.due <= time && !this.failed; run = this.dues.peek()) {
      this.dues.pop()
      if (run.dead) continue
      this.now = run.due
      const due = [run]
      for (let next = this.dues.peek(); next !== undefined && next.due === this.now; next = this.dues.peek()) {
        this.dues.pop()
        if (!next.dead) due.push(next)
      }
      if (due.length === 1) this.over(run.of, due)
      else this.expire(due)
    }
    this.now = time
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
    if (this.failed) return
    this.counts.matches++
    if (this.last === undefined) {
      this.last = [path]
      this.outputs.push({ _tag: "Matches", key: of.key, time: this.now, matches: this.last })
    } else this.last.push(path)
  }

  timedOut(of: Runs.Runs, path: Path): void {
    if (this.failed) return
    this.counts.timedOut++
    if (this.settings.timedOut) this.outputs.push({ _tag: "TimedOut", key: of.key, time: this.now, run: path })
  }

  missed(of: Runs.Runs, path: Path): void {
    this.fail("skip", of.key, path)
  }

  private fail(reason: "skip" | "overflow", key: string, run: Run): void {
    if (this.failed) return
    this.failed = true
    this.outputs.push({ _tag: "Failed", reason, key, run })
  }

  // ------------------------------------------------------------------------------------------------- what sets tell

  found(key: string, table: Table, roots: ReadonlyArray<Node>, floor: number, count: number): void {
    this.counts.matches = Math.min(Number.MAX_VALUE, this.counts.matches + count)
    this.outputs.push({ _tag: "Matches", key, time: this.now, matches: { table, roots, floor, count } })
  }

  overflow(key: string, run: Run): void {
    this.counts.overflowed++
    this.outputs.push({ _tag: "Overflow", key, run })
  }

  full(key: string, run: Run): void {
    this.fail("overflow", key, run)
  }

  admit(run: Runs.Run): boolean {
    const { maxRuns, maxRunsPerKey, policy } = this.settings
    const perKey = run.of.size >= maxRunsPerKey
    if (perKey || this.count >= maxRuns) {
      if (policy === "fail") {
        this.full(run.of.key, run.path)
        return false
      }
      if (policy === "dropNewest") {
        this.overflow(run.of.key, run.path)
        return false
      }
      const oldest = this.oldest(perKey ? run.of : undefined)
      if (oldest !== undefined) {
        this.overflow(oldest.of.key, oldest.path)
        oldest.of.drop(oldest)
        if (oldest.of !== run.of && oldest.of.isEmpty) this.keys.delete(oldest.of.key)
      }
    }
    this.join(run)
    if (this.count > this.mostRuns) this.mostRuns = this.count
    return true
  }

  private join(run: Runs.Run): void {
    run.older = this.youngest
    if (this.youngest === undefined) this.eldest = run
    else this.youngest.newer = run
    this.youngest = run
    this.count++
  }

  private oldest(of: Runs.Runs | undefined): Runs.Run | undefined {
    for (let run = this.eldest; run !== undefined; run = run.newer) if (of === undefined || run.of === of) return run
    return undefined
  }

  leave(run: Runs.Run): void {
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

  private *all(): Iterable<Runs.Run> {
    for (let run = this.eldest; run !== undefined; run = run.newer) yield run
  }

  /** Partial matches, oldest first, with the steps that they await. */
  *partial(
    limit: number
  ): Iterable<{ readonly key: string; readonly run: Run; readonly awaits: ReadonlyArray<string> }> {
    let left = limit
    for (const { of, open, path, state, waits } of this.all()) {
      if (left-- <= 0) return
      yield { key: of.key, run: path, awaits: open === 0 ? [] : awaited([{ state, waits }]) }
    }
    if (this.sets === undefined) return
    for (const { configurations, key, roots, size } of this.sets.all(this.now)) {
      for (let at = 0; at < size; at++) {
        const { waiting } = configurations[at]!
        for (const run of ordered(this.sets.table, [roots[at]!], 0)) {
          if (left-- <= 0) return
          yield { key, run, awaits: awaited(waiting) }
        }
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------ snapshots

  snapshot(): Snapshot {
    const kept = new Kept.Kept(this.program)
    const paths: Array<Snapshot["paths"][number]> = []
    const pathAt = new Map<Path, number>()
    const pathOf = (path: Path): number => {
      for (const one of Runs.list(path)) {
        if (pathAt.has(one)) continue
        const before = one.before === undefined ? -1 : pathAt.get(one.before) ?? -1
        pathAt.set(one, paths.push({ before, step: one.step, event: kept.event(one), done: one.done }) - 1)
      }
      return pathAt.get(path) ?? -1
    }
    const keys = [...this.keys.values()]
    const keyAt = new Map(keys.map((of, at) => [of, at] as const))
    const runs = Array.from(this.all(), (run) => ({
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
    const sets = this.sets === undefined ? { nodes: [], sets: [] } : Kept.write(this.sets, this.now, kept)
    return {
      seq: this.seq,
      time: this.now,
      newest: this.newest,
      closed: this.closed,
      failed: this.failed,
      counts: { ...this.counts },
      waiting: [...this.waiting],
      events: kept.events,
      paths,
      states: kept.states,
      keys: held,
      ...sets,
      runs
    }
  }

  private restore(from: Snapshot): void {
    const paths: Array<Path> = []
    for (const { before, done, event, step } of from.paths) {
      const parent = paths[before]
      const one = from.events[event]
      if (one === undefined) throw new RangeError("the snapshot misses an event")
      paths.push(pathFrom(parent, { ...one, step }, done))
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

  /** What was held as sets goes on as sets, or, where it must, as runs. */
  private resumeSets(held: Read): void {
    if (this.sets !== undefined) return this.sets.restore(held)
    for (const { key, sets } of held.keys) {
      const of = new Runs.Runs(key, this)
      this.keys.set(key, of)
      const known = new Map<Path | undefined, Map<string, Path>>()
      for (const { done, root, waiting } of sets) {
        for (const run of ordered(held.table, [root], 0)) {
          let path: Path | undefined
          for (const taken of run) {
            const name = JSON.stringify([taken.step, taken.seq])
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

const pathFrom = (before: Path | undefined, { event, seq, step, time }: Taken, done: boolean): Path =>
  Object.assign(Runs.pathOf(before, step, event, seq, time), { done })

const awaited = (all: ReadonlyArray<Pick<Waiting, "state" | "waits">>): ReadonlyArray<string> => [
  ...new Set(all.flatMap(({ state, waits }) => state.waits.flatMap(({ step }, at) => waits[at] === true ? [step] : [])))
]
