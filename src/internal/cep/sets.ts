import { Automaton, type Configuration, type Move, type Waiting } from "./automaton.ts"
import type * as Compile from "./compile.ts"
import * as Nodes from "./nodes.ts"
import type { Node, Table, Taken } from "./nodes.ts"
import { Heap } from "../heap.ts"

/**
 * Tier A: the partial matches of a key, as one set for each configuration that they are in. What an event costs depends on how
 * many configurations there are, not on how many partial matches, nor on the window.
 */

type Tagged = { readonly _tag: string }

/** What was held at a snapshot. */
export interface Read {
  readonly table: Table
  readonly keys: ReadonlyArray<{
    readonly key: string
    readonly sets: ReadonlyArray<{
      readonly done: boolean
      readonly waiting: ReadonlyArray<Waiting>
      readonly root: Node
    }>
  }>
}

/** Matches that are held as a set. */
export interface Found {
  readonly table: Table
  readonly roots: ReadonlyArray<Node>
  readonly floor: number
  readonly count: number
}

/** What is told: runs are given from their first event on. */
export interface Host {
  /** One alone is given as it is. */
  readonly found: (key: string, matches: Found | readonly [ReadonlyArray<Taken>], count: number) => void
  readonly overflow: (key: string, run: ReadonlyArray<Taken>) => void
  readonly full: (key: string, run: ReadonlyArray<Taken>) => void
}

/** The partial matches of one key. */
export class Keyed {
  key = ""
  /** The configurations that there are, and the set of each: as many as `size` says. */
  configurations: Array<Configuration> = []
  roots: Array<Node> = []
  size = 0
  /** What begins before this event is gone. */
  floor = 0
  /** Events that something began with, as long as the window lasts: their places and times, from `oldest` on. */
  seqs: Array<number> = []
  times: Array<number> = []
  oldest = 0
  /** How many taken events are held: at the most, or exactly. */
  held = 0
  exact = true
  /** Whether it is looked at when a window has passed. */
  scheduled = false
  /** Nothing of it waits. It keeps its place for a while, as it may soon come again. */
  gone = false
  /** Before which event it came last. */
  since = 0
}

/** So many keys that are gone may be held, or as many as are not; and as many without a name, for those that come. */
const spares = 1_024

export class Sets {
  readonly automaton: Automaton
  /** How many keys there are of which something waits. */
  size = 0
  /** The most taken events that were held at once. */
  most = 0
  table: Table
  private held = 0
  private readonly keys: Map<string, Keyed> = new Map()
  /** That of the name "", which may be the only one. */
  private unnamed: Keyed | undefined
  private readonly settings: Compile.Bounded
  private readonly host: Host
  private readonly window: number
  private readonly dues = new Heap<{ readonly at: number; readonly of: Keyed }>((a, b) => a.at < b.at)
  private readonly spare: Array<Keyed> = []
  /** What the event does to each configuration of the key at hand, and how much more is to be held then. */
  private readonly moves: Array<Move> = []
  private needs = 0
  private rows = 0
  /** The lists that are made for it. */
  private configurations: Array<Configuration> = []
  private roots: Array<Node> = []
  private length = 0
  private stamp = 0

  constructor(settings: Compile.Bounded, host: Host) {
    this.settings = settings
    this.host = host
    this.window = settings.program.window
    this.automaton = new Automaton(settings.program, settings.program.named)
    this.table = Nodes.empty(this.automaton.steps)
  }

  /** The number of an event's tag; of one that no step names, 0. */
  tagOf(event: Tagged): number {
    return this.automaton.tags.get(event._tag) ?? 0
  }

  push(event: Tagged, tag: number, key: string, seq: number, time: number): void {
    const { automaton } = this
    const begin = automaton.begin(tag, event, seq)
    // where events have no keys, that of all is not looked up for each
    let of = key === "" ? this.unnamed : this.keys.get(key)
    if (of === undefined || of.gone) {
      if (begin.idle) return
      this.needs = 0
      this.rows = 0
      of = this.open(key, of, seq)
    } else {
      this.outdate(of, time)
      if (!this.concerns(of, tag, event, seq) && begin.idle) return
    }
    const needs = this.needs + begin.needs
    const { maxRuns, maxRunsPerKey } = this.settings
    let room = needs
    if (needs > 0 && (of.held + needs > maxRunsPerKey || this.held + needs > maxRuns)) {
      room = this.room(of, tag, begin, event, seq, time)
    }
    if (this.table.size + this.rows + begin.rows > this.table.capacity) {
      this.copy(this.rows + begin.rows)
      // what is not there any more has left the lists
      this.concerns(of, tag, event, seq)
    }
    if (room >= 0) this.take(of, begin, room, event, seq, time)
    if (of.size === 0) this.close(of)
    if (automaton.isFull) automaton.forget(this.live())
  }

  /** Works out what the event does; whether it does anything. */
  private concerns(of: Keyed, tag: number, event: Tagged, seq: number): boolean {
    const { automaton, moves, table: { max } } = this
    const { configurations, floor, roots, size } = of
    let concerns = false
    let needs = 0
    let rows = 0
    for (let at = 0; at < size; at++) {
      if (max[roots[at]!]! < floor) {
        concerns = true
        continue
      }
      const move = automaton.move(configurations[at]!, tag, event, seq)
      moves[at] = move
      needs += move.needs
      rows += move.rows
      if (!move.idle) concerns = true
    }
    this.needs = needs
    this.rows = rows
    return concerns
  }

  private take(of: Keyed, begin: Move, room: number, event: Tagged, seq: number, time: number): void {
    const { moves, table } = this
    const { configurations, floor, roots, size } = of
    let complete: Array<Node> | undefined
    let left = room
    this.stamp++
    this.length = 0
    for (let at = 0; at < size; at++) {
      const root = roots[at]!
      if (table.max[root]! < floor) {
        of.exact = false
        continue
      }
      const { reports, skip, takes } = moves[at]!
      for (let n = 0; n < takes.length; n++) {
        const { reports, step, to } = takes[n]!
        const node = table.extend(root, event, seq, time, step)
        if (reports) (complete ??= []).push(node)
        if (to !== undefined && this.admit(of, node, left--)) this.add(to, node)
      }
      if (reports) (complete ??= []).push(root)
      if (skip === undefined) of.exact = false
      else this.add(skip, root)
    }
    for (let n = 0; n < begin.takes.length; n++) {
      const { reports, step, to } = begin.takes[n]!
      const node = table.extend(Nodes.none, event, seq, time, step)
      if (reports) (complete ??= []).push(node)
      if (to === undefined || !this.admit(of, node, left--)) continue
      this.add(to, node)
      if (this.window !== Infinity) this.begun(of, seq, time)
    }
    of.configurations = this.configurations
    of.roots = this.roots
    of.size = this.length
    this.configurations = configurations
    this.roots = roots
    if (this.held > this.most) this.most = this.held
    if (complete === undefined) return
    let count = 0
    for (const root of complete) count += table.count(root, floor)
    if (count === 0) return
    if (count === 1) {
      // as most are, and no reason to hold on to the table
      const root = complete.find((one) => table.lives(one, floor))!
      this.host.found(of.key, [table.any(root, floor)], 1)
      return
    }
    table.lent = true
    this.host.found(of.key, { table, roots: complete, floor, count }, count)
  }

  private add(to: Configuration, node: Node): void {
    if (to.stamp === this.stamp) this.roots[to.at] = this.table.union(this.roots[to.at]!, node)
    else {
      to.stamp = this.stamp
      to.at = this.length++
      this.configurations[to.at] = to
      this.roots[to.at] = node
    }
  }

  private begun(of: Keyed, seq: number, time: number): void {
    if (of.seqs.at(-1) === seq) return
    of.seqs.push(seq)
    of.times.push(time)
    if (!of.scheduled) this.schedule(of, time + this.window)
  }

  // -------------------------------------------------------------------------------------------------------- time

  /** What has begun so long ago that it cannot be a match any more is gone. */
  private outdate(of: Keyed, now: number): void {
    const { seqs, times } = of
    if (of.oldest >= times.length || !(times[of.oldest]! + this.window <= now)) return
    do of.oldest++
    while (of.oldest < times.length && times[of.oldest]! + this.window <= now)
    of.exact = false
    of.floor = Math.max(of.floor, seqs[of.oldest] ?? seqs.at(-1)! + 1)
    if (of.oldest < 1_024 || of.oldest * 2 < times.length) return
    of.seqs = seqs.slice(of.oldest)
    of.times = times.slice(of.oldest)
    of.oldest = 0
  }

  /** Time has come to an instant. */
  tick(now: number): void {
    for (let next = this.dues.peek(); next !== undefined && next.at <= now; next = this.dues.peek()) {
      const { of } = next
      this.dues.pop()
      of.scheduled = false
      if (of.gone) continue
      this.outdate(of, now)
      this.purge(of)
      if (of.size === 0) this.close(of)
      else this.schedule(of, this.timeOf(of, this.newest(of)) + this.window)
    }
  }

  private schedule(of: Keyed, at: number): void {
    of.scheduled = true
    this.dues.push({ at, of })
    if (this.dues.size <= 64 + 2 * (this.keys.size + this.spare.length)) return
    this.dues.keep(({ of }) => {
      if (of.gone) of.scheduled = false
      return !of.gone
    })
  }

  /** The place of the event with which the newest partial match began. */
  private newest({ roots, size }: Keyed): number {
    let newest = 0
    for (let at = 0; at < size; at++) newest = Math.max(newest, this.table.max[roots[at]!]!)
    return newest
  }

  private timeOf(of: Keyed, seq: number): number {
    let low = of.oldest
    let high = of.seqs.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (of.seqs[middle]! < seq) low = middle + 1
      else high = middle
    }
    return of.times[low] ?? 0
  }

  // -------------------------------------------------------------------------------------------------------- room

  private open(key: string, known: Keyed | undefined, seq: number): Keyed {
    const of = known ?? this.named(key)
    of.gone = false
    of.since = seq
    this.size++
    return of
  }

  private named(key: string): Keyed {
    const of = this.spare.pop() ?? new Keyed()
    of.key = key
    this.keys.set(key, of)
    if (key === "") this.unnamed = of
    return of
  }

  private close(of: Keyed): void {
    this.size--
    // of a thousand matchers, each of which waits for another event to copy its table, the events of all would be held
    if (this.size === 0) this.table.clear()
    this.held -= of.held
    of.gone = true
    of.floor = 0
    of.held = 0
    of.exact = true
    of.size = 0
    of.oldest = 0
    if (of.seqs.length > 0) {
      of.seqs = []
      of.times = []
    }
    if (this.keys.size - this.size > Math.max(this.size, spares)) this.sweep()
  }

  /** Forgets the names of the keys that are gone. */
  private sweep(): void {
    for (const of of this.keys.values()) {
      if (!of.gone) continue
      this.keys.delete(of.key)
      if (of === this.unnamed) this.unnamed = undefined
      if (this.spare.length < spares) this.spare.push(of)
    }
  }

  /** The keys of which something waits, in the order in which they came. */
  private present(): Array<Keyed> {
    return [...this.keys.values()].filter(({ gone }) => !gone).sort((one, other) => one.since - other.since)
  }

  private admit(of: Keyed, node: Node, room: number): boolean {
    if (room <= 0) {
      this.host.overflow(of.key, this.table.any(node, of.floor))
      return false
    }
    of.held++
    this.held++
    return true
  }

  private purge(of: Keyed): void {
    let kept = 0
    for (let at = 0; at < of.size; at++) {
      const root = of.roots[at]!
      if (this.table.max[root]! < of.floor) continue
      of.roots[kept] = root
      of.configurations[kept++] = of.configurations[at]!
    }
    of.size = kept
  }

  /** Looks how much a key holds. */
  private look(of: Keyed): void {
    if (of.exact) return
    this.purge(of)
    this.found(of, this.table.held(of.roots, of.size, of.floor))
  }

  private found(of: Keyed, { leaves, taken }: Nodes.Held): void {
    const { seqs, times } = this.table
    this.held += taken - of.held
    of.held = taken
    of.exact = true
    if (this.window === Infinity) return
    of.seqs = []
    of.times = []
    of.oldest = 0
    for (const leaf of leaves) {
      if (of.seqs.at(-1) === seqs[leaf]) continue
      of.seqs.push(seqs[leaf]!)
      of.times.push(times[leaf]!)
    }
  }

  /** Lets go of what is not there any more, and makes room for more. */
  private copy(rows: number): void {
    const keys = this.present()
    for (const of of keys) this.purge(of)
    const { held, table } = this.table.copied(keys, rows)
    this.table = table
    for (let at = 0; at < keys.length; at++) this.found(keys[at]!, held[at]!)
  }

  /** How many events more may be held, once room is made as far as the policy goes; less than none when it has failed. */
  private room(of: Keyed, tag: number, begin: Move, event: Tagged, seq: number, time: number): number {
    const { maxRuns, maxRunsPerKey, policy } = this.settings
    let needs = 0
    const left = () => {
      this.concerns(of, tag, event, seq)
      needs = this.needs + begin.needs
      return Math.min(maxRunsPerKey - of.held, maxRuns - this.held)
    }
    this.look(of)
    if (left() < needs && of.held + needs <= maxRunsPerKey) {
      for (const one of this.keys.values()) this.look(one)
    }
    let room = left()
    for (let drops = policy === "dropOldest"; drops && room < needs; room = left()) {
      const perKey = of.held + needs > maxRunsPerKey
      const cap = perKey ? maxRunsPerKey : maxRuns
      drops = this.drop(perKey ? [of] : this.present(), of, Math.max(1, cap >> 3))
    }
    if (room >= needs || policy !== "fail") return Math.max(0, room)
    for (let at = 0; at <= of.size; at++) {
      const { takes } = at === of.size ? begin : this.moves[at]!
      const take = takes.find(({ to }) => to !== undefined)
      if (take === undefined) continue
      const before = at === of.size ? [] : this.table.any(of.roots[at]!, of.floor)
      this.host.full(of.key, [...before, { step: this.automaton.steps[take.step] ?? "", event, index: seq, time }])
      break
    }
    return -1
  }

  /** Lets go of all that has begun with the oldest events; whether there were any. The key at hand stays. */
  private drop(keys: ReadonlyArray<Keyed>, at: Keyed, count: number): boolean {
    const { table } = this
    const all = keys.flatMap((of) => table.held(of.roots, of.size, of.floor).leaves.map((leaf) => ({ leaf, of })))
      .sort((one, other) => table.seqs[one.leaf]! - table.seqs[other.leaf]!)
    const oldest = all[Math.min(count, all.length) - 1]
    if (oldest === undefined) return false
    const last = table.seqs[oldest.leaf]!
    for (const { leaf, of } of all) {
      if (table.seqs[leaf]! > last) break
      this.host.overflow(of.key, table.any(leaf, 0))
      of.floor = table.seqs[leaf]! + 1
      of.exact = false
    }
    for (const of of keys) {
      this.look(of)
      if (of.size === 0 && of !== at) this.close(of)
    }
    return true
  }

  // ------------------------------------------------------------------------------------------------------- looking

  /** How many partial matches there are. */
  runs(now: number): number {
    let sum = 0
    for (const of of this.keys.values()) {
      this.outdate(of, now)
      for (let at = 0; at < of.size; at++) sum += this.table.count(of.roots[at]!, of.floor)
    }
    return sum
  }

  /** All that is held, without what is gone. */
  all(now: number): ReadonlyArray<Keyed> {
    for (const of of this.keys.values()) this.outdate(of, now)
    this.copy(0)
    return this.present().filter(({ size }) => size > 0)
  }

  /** Takes up what was held at a snapshot. */
  restore({ keys, table }: Read): void {
    this.table = table
    for (const { key, sets } of keys) {
      const of = this.open(key, undefined, -1)
      for (const { done, root, waiting } of sets) {
        const configuration = this.automaton.configuration(waiting, done)
        if (configuration === undefined) continue
        of.configurations[of.size] = configuration
        of.roots[of.size++] = root
      }
      of.exact = false
      this.look(of)
      const first = of.times[0]
      if (first !== undefined) this.schedule(of, first + this.window)
    }
    this.most = this.held
  }

  private *live(): Iterable<Configuration> {
    for (const { configurations, size } of this.keys.values()) {
      for (let at = 0; at < size; at++) yield configurations[at]!
    }
  }
}
