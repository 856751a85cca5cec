import type * as Compile from "./cepCompile.ts"
import type { Path } from "./cepCompile.ts"
import * as Runs from "./cepRuns.ts"
import { Heap } from "./heap.ts"

/** Everything around the runs: order of events, time, keys, caps, outputs. Plain synchronous code over chunks. */

export type Tagged = { readonly _tag: string }

export interface Settings {
  readonly program: Compile.Program
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
  | { readonly _tag: "Matches"; readonly key: string; readonly time: number; readonly matches: Array<Path> }
  | { readonly _tag: "TimedOut"; readonly key: string; readonly time: number; readonly path: Path }
  | { readonly _tag: "Late"; readonly event: any }
  | { readonly _tag: "Overflow"; readonly key: string; readonly path: Path }
  | {
    readonly _tag: "Failed"
    readonly reason: "skip" | "overflow"
    readonly key: string
    readonly path: Path
  }

export interface Counts {
  events: number
  late: number
  unkeyed: number
  matches: number
  timedOut: number
  overflowed: number
}

interface Waiting {
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
  runs: []
}

export class Engine implements Runs.Host {
  readonly program: Compile.Program
  readonly counts: Counts
  /** All runs that wait, oldest first. */
  readonly all: Set<Runs.Run> = new Set()
  mostRuns = 0
  private readonly settings: Settings
  private readonly keys: Map<string, Runs.Runs> = new Map()
  private readonly dues = new Heap<{ readonly at: number; readonly run: Runs.Run }>((a, b) => a.at < b.at)
  private waiting: Array<Waiting>
  private outputs: Array<Output> = []
  private last: Extract<Output, { readonly _tag: "Matches" }> | undefined
  private seq: number
  private now: number
  private newest: number
  private closed: number
  private failed: boolean

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
    this.restore(from)
  }

  get runs(): number {
    return this.all.size
  }

  get keyCount(): number {
    return this.keys.size
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

  private hold(one: Waiting): void {
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
    let runs = this.keys.get(key)
    const known = runs !== undefined
    runs ??= new Runs.Runs(key, this)
    this.last = undefined
    runs.push(event, seq, time)
    if (known && runs.isEmpty) this.keys.delete(key)
    else if (!known && !runs.isEmpty) this.keys.set(key, runs)
  }

  /** Time moves on: what is due is done, instant by instant. */
  private tick(time: number): void {
    if (!(time > this.now)) return
    for (let next = this.dues.peek(); next !== undefined && next.at <= time && !this.failed; next = this.dues.peek()) {
      const { at } = next
      const byKey = new Map<Runs.Runs, Array<Runs.Run>>()
      while (this.dues.peek()?.at === at) {
        const { run } = this.dues.pop()!
        if (run.dead) continue
        const due = byKey.get(run.of)
        if (due === undefined) byKey.set(run.of, [run])
        else due.push(run)
      }
      this.now = at
      const order = [...byKey].map(([of, due]) => ({ of, due, first: Math.min(...due.map(({ path }) => path.start)) }))
        .sort((left, right) => left.first - right.first)
      for (const { due, of } of order) {
        this.last = undefined
        of.expire(due, at)
        if (of.isEmpty) this.keys.delete(of.key)
      }
    }
    this.now = time
  }

  // ------------------------------------------------------------------------------------------------- what runs tell

  match(of: Runs.Runs, path: Path): void {
    if (this.failed) return
    this.counts.matches++
    if (this.last === undefined) {
      this.last = { _tag: "Matches", key: of.key, time: this.now, matches: [path] }
      this.outputs.push(this.last)
    } else this.last.matches.push(path)
  }

  timedOut(of: Runs.Runs, path: Path): void {
    if (this.failed) return
    this.counts.timedOut++
    if (this.settings.timedOut) this.outputs.push({ _tag: "TimedOut", key: of.key, time: this.now, path })
  }

  missed(of: Runs.Runs, path: Path): void {
    this.fail("skip", of, path)
  }

  private fail(reason: "skip" | "overflow", of: Runs.Runs, path: Path): void {
    if (this.failed) return
    this.failed = true
    this.outputs.push({ _tag: "Failed", reason, key: of.key, path })
  }

  admit(run: Runs.Run): boolean {
    const { maxRuns, maxRunsPerKey, policy } = this.settings
    const perKey = run.of.size >= maxRunsPerKey
    if (perKey || this.all.size >= maxRuns) {
      if (policy === "fail") {
        this.fail("overflow", run.of, run.path)
        return false
      }
      this.counts.overflowed++
      if (policy === "dropNewest") {
        this.outputs.push({ _tag: "Overflow", key: run.of.key, path: run.path })
        return false
      }
      const oldest = this.oldest(perKey ? run.of : undefined)
      if (oldest !== undefined) {
        this.outputs.push({ _tag: "Overflow", key: oldest.of.key, path: oldest.path })
        oldest.of.drop(oldest)
        if (oldest.of !== run.of && oldest.of.isEmpty) this.keys.delete(oldest.of.key)
      }
    }
    this.all.add(run)
    this.mostRuns = Math.max(this.mostRuns, this.all.size)
    return true
  }

  private oldest(of: Runs.Runs | undefined): Runs.Run | undefined {
    for (const run of this.all) if (of === undefined || run.of === of) return run
    return undefined
  }

  leave(run: Runs.Run): void {
    this.all.delete(run)
  }

  due(run: Runs.Run, at: number): void {
    this.dues.push({ at, run })
    if (this.dues.size > 64 + 2 * this.all.size) this.dues.keep(({ run }) => !run.dead)
  }

  // ------------------------------------------------------------------------------------------------------ snapshots

  snapshot(): Snapshot {
    const events: Array<Snapshot["events"][number]> = []
    const eventAt = new Map<number, number>()
    const paths: Array<Snapshot["paths"][number]> = []
    const pathAt = new Map<Path, number>()
    const states: Array<Snapshot["states"][number]> = []
    const stateAt = new Map<number, number>()
    const eventOf = ({ event, seq, time }: Path): number => {
      const known = eventAt.get(seq)
      if (known !== undefined) return known
      const at = events.push({ seq, time, event }) - 1
      eventAt.set(seq, at)
      return at
    }
    const pathOf = (path: Path): number => {
      for (const one of Runs.list(path)) {
        if (pathAt.has(one)) continue
        const before = one.before === undefined ? -1 : pathAt.get(one.before) ?? -1
        pathAt.set(one, paths.push({ before, step: one.step, event: eventOf(one), done: one.done }) - 1)
      }
      return pathAt.get(path) ?? -1
    }
    const stateOf = (id: number): number => {
      const route: Array<Compile.State> = []
      let at = this.program.state(id)
      while (!stateAt.has(at.id) && at.via !== undefined) {
        route.push(at)
        at = this.program.state(at.via.from)
      }
      for (const { id, via } of route.reverse()) {
        if (via === undefined) continue
        stateAt.set(id, states.push({ from: stateAt.get(via.from) ?? -1, wait: via.wait }) - 1)
      }
      return stateAt.get(id) ?? -1
    }
    const keys = [...this.keys.values()]
    const keyAt = new Map(keys.map((of, at) => [of, at] as const))
    const runs = [...this.all].map((run) => ({
      key: keyAt.get(run.of) ?? -1,
      path: pathOf(run.path),
      state: stateOf(run.state.id),
      waits: [...run.waits],
      ended: run.ended.map((one) => [...one]),
      fresh: run.fresh,
      ending: run.ending,
      nextPassed: run.nextPassed,
      windowPassed: run.windowPassed
    }))
    return {
      seq: this.seq,
      time: this.now,
      newest: this.newest,
      closed: this.closed,
      failed: this.failed,
      counts: { ...this.counts },
      waiting: [...this.waiting],
      events,
      paths,
      states,
      keys: keys.map((of) => ({
        key: of.key,
        floor: of.floor,
        moment: of.moment,
        held: of.held.map(({ moment, path }) => ({ path: pathOf(path), moment }))
      })),
      runs
    }
  }

  private restore(from: Snapshot): void {
    const paths: Array<Path> = []
    for (const { before, done, event, step } of from.paths) {
      const parent = paths[before]
      const one = from.events[event]
      if (one === undefined) throw new RangeError("the snapshot misses an event")
      paths.push({
        before: parent,
        step,
        event: one.event,
        seq: one.seq,
        time: one.time,
        start: parent?.start ?? one.seq,
        startTime: parent?.startTime ?? one.time,
        live: 0,
        done,
        bound: undefined
      })
    }
    const states: Array<Compile.State> = []
    for (const { from: parent, wait } of from.states) {
      const state = (states[parent] ?? this.program.root).waits[wait]?.to()
      if (state === undefined) throw new RangeError("the snapshot is of another pattern")
      states.push(state)
    }
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
      const open = one.waits.filter((waits) => waits).length
      const run: Runs.Run = {
        of,
        path,
        state,
        waits: [...one.waits],
        ended: one.ended.map((each) => [...each]),
        open,
        fresh: one.fresh,
        ending: one.ending,
        nextPassed: one.nextPassed,
        windowPassed: one.windowPassed,
        dead: false
      }
      path.live += open + (one.ending ? 1 : 0)
      this.all.add(run)
      of.keep(run)
      of.schedule(run)
    }
  }
}
