import { AllRuns } from "./allRuns.ts"
import type { Waiting } from "./automaton.ts"
import type * as Compile from "./compile.ts"
import * as Kept from "./kept.ts"
import type { Taken } from "./nodes.ts"
import { ordered } from "./ordered.ts"
import type { Path } from "./path.ts"
import { type Found, Sets } from "./sets.ts"

/** Everything around the partial matches: order of events, time, keys, caps, outputs. Plain synchronous code over chunks. */

export type Tagged = { readonly _tag: string }

export interface Settings extends Compile.Bounded {
  readonly tier: "sets" | "runs"
  readonly timestamp: ((event: any) => number) | undefined
  readonly keyBy: ((event: any) => string | undefined) | undefined
  readonly lateness: number
  readonly comparator: ((left: any, right: any) => number) | undefined
  readonly timedOut: boolean
}

export type Output =
  | {
    readonly _tag: "Matches"
    readonly key: string
    readonly time: number
    readonly matches: Found | ReadonlyArray<Run>
  }
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

interface Coming {
  readonly time: number
  readonly event: Tagged
}

export class Engine {
  readonly program: Compile.Program
  readonly counts: Kept.Counts
  private readonly settings: Settings
  private waiting: Array<Coming>
  private outputs: Array<Output> = []
  private seq: number
  private now: number
  private newest: number
  private closed: number
  private failed: boolean
  /** What holds partial matches, one or the other. */
  readonly sets: Sets | undefined
  readonly all: AllRuns | undefined

  constructor(settings: Settings, from: Kept.Snapshot) {
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
    const asRuns = settings.tier === "runs" || from.runs.length > 0 || from.keys.length > 0
    this.sets = asRuns ? undefined : new Sets(settings, this)
    this.all = asRuns ? new AllRuns(settings, this) : undefined
    this.all?.restore(from)
    this.sets?.restore(Kept.read(this.program, from))
  }

  get runs(): number {
    return this.sets?.runs(this.now) ?? this.all?.count ?? 0
  }

  get keyCount(): number {
    return this.sets?.size ?? this.all?.keys.size ?? 0
  }

  get most(): number {
    return this.sets?.most ?? this.all?.most ?? 0
  }

  push(events: Iterable<any>): Array<Output> {
    const { comparator, lateness, timestamp } = this.settings
    const sorts = lateness > 0 || comparator !== undefined
    for (const event of events) {
      if (this.failed) break
      this.counts.events++
      const time = timestamp === undefined ? 0 : timestamp(event)
      // with an event that is infinitely far ahead all others would be late
      if (!(time > this.closed) || !(time >= this.newest - lateness) || time === Number.POSITIVE_INFINITY) {
        this.counts.late++
        this.outputs.push({ _tag: "Late", event })
        continue
      }
      if (time > this.newest) this.newest = time
      if (!sorts) {
        this.process(event, time)
        continue
      }
      this.hold({ time, event })
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
    const { sets } = this
    const { keyBy, program: { tags } } = this.settings
    // sets have a number for each of these tags, so that the tag is looked up once
    const tag = sets?.tagOf(event) ?? 0
    if (tags !== undefined && (sets === undefined ? !tags.has(event._tag) : tag === 0)) return
    const key = keyBy === undefined ? "" : keyBy(event)
    if (key === undefined) {
      this.counts.unkeyed++
      return
    }
    if (sets !== undefined) return sets.push(event, tag, key, seq, time)
    this.all?.push(event, key, seq, time)
  }

  /** Time moves on: what is due is done, instant by instant. */
  private tick(time: number): void {
    if (!(time > this.now)) return
    this.sets?.tick(time)
    this.all?.tick(time)
    this.now = time
  }

  // ------------------------------------------------------------------------------------------------ what they tell

  get isOver(): boolean {
    return this.failed
  }

  /** Time has come to an instant at which something happens. */
  at(time: number): void {
    this.now = time
  }

  matches(key: string, matches: Array<Path>): void {
    this.outputs.push({ _tag: "Matches", key, time: this.now, matches })
  }

  matched(): void {
    this.counts.matches++
  }

  timedOut(key: string, run: Path): void {
    this.counts.timedOut++
    if (this.settings.timedOut) this.outputs.push({ _tag: "TimedOut", key, time: this.now, run })
  }

  missed(key: string, run: Path): void {
    this.fail("skip", key, run)
  }

  private fail(reason: "skip" | "overflow", key: string, run: Run): void {
    if (this.failed) return
    this.failed = true
    this.outputs.push({ _tag: "Failed", reason, key, run })
  }

  found(key: string, matches: Found | ReadonlyArray<Run>, count: number): void {
    this.counts.matches = Math.min(Number.MAX_VALUE, this.counts.matches + count)
    this.outputs.push({ _tag: "Matches", key, time: this.now, matches })
  }

  overflow(key: string, run: Run): void {
    this.counts.overflowed++
    this.outputs.push({ _tag: "Overflow", key, run })
  }

  full(key: string, run: Run): void {
    this.fail("overflow", key, run)
  }

  /** Partial matches, oldest first, with the steps that they await. */
  *partial(
    limit: number
  ): Iterable<{ readonly key: string; readonly run: Run; readonly awaits: ReadonlyArray<string> }> {
    let left = limit
    for (const { of, open, path, state, waits } of this.all?.list() ?? []) {
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

  snapshot(): Kept.Snapshot {
    const kept = new Kept.Kept(this.program)
    const runs = this.all?.snapshot(kept) ?? { paths: [], keys: [], runs: [] }
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
      states: kept.states,
      ...runs,
      ...sets
    }
  }
}

const awaited = (all: ReadonlyArray<Pick<Waiting, "state" | "waits">>): ReadonlyArray<string> => [
  ...new Set(all.flatMap(({ state, waits }) => state.waits.flatMap(({ step }, at) => waits[at] === true ? [step] : [])))
]
