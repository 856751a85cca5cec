import { Automaton, type Configuration, type Move, type Waiting } from "./cepAutomaton.ts"
import type * as Compile from "./cepCompile.ts"
import * as Nodes from "./cepNodes.ts"
import type { Node, Occurrence } from "./cepNodes.ts"
import { Heap } from "./heap.ts"

/**
 * Tier A: the partial matches of a key, as one set for each configuration that they are in. What an event costs depends on how
 * many configurations there are, not on how many partial matches, nor on the window.
 */

type Tagged = { readonly _tag: string }

export interface Settings {
  readonly program: Compile.Program
  readonly maxRunsPerKey: number
  readonly maxRuns: number
  readonly policy: "fail" | "dropOldest" | "dropNewest"
}

/** What is told: runs are given from their first event on. */
export interface Host {
  readonly found: (key: string, roots: ReadonlyArray<Node>, floor: number, count: number) => void
  readonly overflow: (key: string, run: ReadonlyArray<Node>) => void
  readonly full: (key: string, run: ReadonlyArray<Node>) => void
}

/** The partial matches of one key. */
export class Keyed {
  key = ""
  configurations: Array<Configuration> = []
  roots: Array<Node> = []
  /** What begins before this event is gone. */
  floor = 0
  /** Events that something began with, as long as the window lasts: their places and times, from `oldest` on. */
  seqs: Array<number> = []
  times: Array<number> = []
  oldest = 0
  /** How many taken events are held, at the most. */
  held = 0
  /** How many were when that was looked at, and how many came since. */
  looked = 0
  made = 0
  /** Whether it is looked at when a window has passed. */
  scheduled = false
  gone = false
}

/** So many events are taken before it is looked how much of what is held is there still. */
const looksAfter = 256

/** So many keys that are gone are kept for those that come. */
const spares = 1_024

export class Sets {
  readonly automaton: Automaton
  readonly keys: Map<string, Keyed> = new Map()
  /** The most taken events that were held at once. */
  most = 0
  private held = 0
  private readonly settings: Settings
  private readonly host: Host
  private readonly window: number
  private readonly dues = new Heap<{ readonly at: number; readonly of: Keyed }>((a, b) => a.at < b.at)
  private readonly spare: Array<Keyed> = []
  /** What the event does to each configuration of the key at hand, and how many events more are to be held then. */
  private readonly moves: Array<Move> = []
  private needs = 0
  /** The lists that are made for it. */
  private configurations: Array<Configuration> = []
  private roots: Array<Node> = []
  private stamp = 0

  constructor(settings: Settings, host: Host) {
    this.settings = settings
    this.host = host
    this.window = settings.program.window
    this.automaton = new Automaton(settings.program, settings.program.named)
  }

  push(event: Tagged, key: string, seq: number, time: number): void {
    const { automaton } = this
    const tag = automaton.tags.get(event._tag) ?? 0
    const begin = automaton.begin(tag, event, seq)
    let of = this.keys.get(key)
    if (of === undefined) {
      if (begin.idle) return
      this.needs = 0
      of = this.open(key)
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
    if (room >= 0) this.take(of, begin, room, event, seq, time)
    if (of.roots.length === 0) this.close(of)
    else if (of.made > looksAfter + 2 * of.looked) this.look(of)
    if (automaton.isFull) automaton.forget(this.live())
  }

  /** Works out what the event does; whether it does anything. */
  private concerns(of: Keyed, tag: number, event: Tagged, seq: number): boolean {
    const { automaton, moves } = this
    const { configurations, floor, roots } = of
    let concerns = false
    let needs = 0
    for (let at = 0; at < configurations.length; at++) {
      if (roots[at]!.max < floor) {
        concerns = true
        continue
      }
      const move = automaton.move(configurations[at]!, tag, event, seq)
      moves[at] = move
      needs += move.needs
      if (!move.idle) concerns = true
    }
    this.needs = needs
    return concerns
  }

  private take(of: Keyed, begin: Move, room: number, event: Tagged, seq: number, time: number): void {
    const { moves } = this
    const { configurations, floor, roots } = of
    const taken: Occurrence = { event, seq, time }
    let complete: Array<Node> | undefined
    let left = room
    this.stamp++
    for (let at = 0; at < configurations.length; at++) {
      const root = roots[at]!
      if (root.max < floor) continue
      const { reports, skip, takes } = moves[at]!
      for (let n = 0; n < takes.length; n++) {
        const { reports, step, to } = takes[n]!
        const node = Nodes.extend(root, taken, step)
        if (reports) (complete ??= []).push(node)
        if (to !== undefined && this.admit(of, node, left--)) this.add(to, node)
      }
      if (reports) (complete ??= []).push(root)
      if (skip !== undefined) this.add(skip, root)
    }
    for (let n = 0; n < begin.takes.length; n++) {
      const { reports, step, to } = begin.takes[n]!
      const node = Nodes.leaf(taken, step)
      if (reports) (complete ??= []).push(node)
      if (to === undefined || !this.admit(of, node, left--)) continue
      this.add(to, node)
      if (this.window !== Infinity) this.begun(of, seq, time)
    }
    of.configurations = this.configurations
    of.roots = this.roots
    configurations.length = 0
    roots.length = 0
    this.configurations = configurations
    this.roots = roots
    if (this.held > this.most) this.most = this.held
    if (complete === undefined) return
    let count = 0
    for (const root of complete) count += Nodes.count(root, floor)
    if (count > 0) this.host.found(of.key, complete, floor, count)
  }

  private add(to: Configuration, node: Node): void {
    if (to.stamp === this.stamp) this.roots[to.at] = Nodes.union(this.roots[to.at]!, node)
    else {
      to.stamp = this.stamp
      to.at = this.configurations.push(to) - 1
      this.roots.push(node)
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
      if (of.roots.length === 0) this.close(of)
      else this.schedule(of, this.timeOf(of, of.roots.reduce((most, { max }) => Math.max(most, max), 0)) + this.window)
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

  private open(key: string): Keyed {
    const of = this.spare.pop() ?? new Keyed()
    of.key = key
    of.gone = false
    this.keys.set(key, of)
    return of
  }

  private close(of: Keyed): void {
    this.keys.delete(of.key)
    this.held -= of.held
    of.gone = true
    of.floor =
      of.oldest =
      of.held =
      of.looked =
      of.made =
        0
    of.seqs.length =
      of.times.length =
      of.configurations.length =
      of.roots.length =
        0
    if (this.spare.length < spares) this.spare.push(of)
  }

  private admit(of: Keyed, node: Node, room: number): boolean {
    if (room <= 0) {
      this.host.overflow(of.key, Nodes.any(node, of.floor))
      return false
    }
    of.made++
    of.held++
    this.held++
    return true
  }

  private purge(of: Keyed): void {
    let kept = 0
    for (let at = 0; at < of.roots.length; at++) {
      const root = of.roots[at]!
      if (root.max < of.floor) continue
      of.roots[kept] = root
      of.configurations[kept++] = of.configurations[at]!
    }
    of.roots.length = of.configurations.length = kept
  }

  /** Looks how much is held, and lets go of the rest. */
  look(of: Keyed): Nodes.Held {
    this.purge(of)
    if (of.floor > 0) of.roots = of.roots.map((root) => Nodes.trim(root, of.floor) ?? root)
    const held = Nodes.held(of.roots, of.floor)
    this.held += held.taken - of.held
    of.held = of.looked = held.taken
    of.made = 0
    if (this.window !== Infinity) {
      const starts = held.leaves.filter(({ max }, at) => held.leaves[at + 1]?.max !== max)
      of.seqs = starts.map(({ max }) => max)
      of.times = starts.map(({ taken }) => taken?.time ?? 0)
      of.oldest = 0
    }
    return held
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
    if (left() < needs && of.held + needs <= maxRunsPerKey) { for (const one of this.keys.values()) this.look(one) }
    let room = left()
    while (room < needs && policy === "dropOldest") {
      const perKey = of.held + needs > maxRunsPerKey
      const cap = perKey ? maxRunsPerKey : maxRuns
      if (!this.drop(perKey ? [of] : [...this.keys.values()], of, Math.max(1, cap >> 3))) break
      room = left()
    }
    if (room >= needs || policy !== "fail") return Math.max(0, room)
    const taken = { event, seq, time }
    for (const [at, { takes }] of this.moves.entries()) {
      const root = of.roots[at]
      const take = takes.find(({ to }) => to !== undefined)
      if (root === undefined || take === undefined) continue
      this.host.full(of.key, Nodes.any(Nodes.extend(root, taken, take.step), of.floor))
      return -1
    }
    this.host.full(of.key, [Nodes.leaf(taken, begin.takes.find(({ to }) => to !== undefined)?.step ?? "")])
    return -1
  }

  /** Lets go of all that has begun with the oldest events; whether there were any. The key at hand stays. */
  private drop(keys: ReadonlyArray<Keyed>, at: Keyed, count: number): boolean {
    const all = keys.flatMap((of) => Nodes.held(of.roots, of.floor).leaves.map((leaf) => ({ leaf, of })))
      .sort((one, other) => one.leaf.max - other.leaf.max)
    const last = all[Math.min(count, all.length) - 1]?.leaf.max
    if (last === undefined) return false
    for (const { leaf, of } of all) {
      if (leaf.max > last) break
      this.host.overflow(of.key, [leaf])
      of.floor = leaf.max + 1
    }
    for (const of of keys) {
      this.look(of)
      if (of.roots.length === 0 && of !== at) this.close(of)
    }
    return true
  }

  // ------------------------------------------------------------------------------------------------------- looking

  /** How many partial matches there are. */
  runs(now: number): number {
    let sum = 0
    for (const of of this.keys.values()) {
      this.outdate(of, now)
      for (const root of of.roots) sum += Nodes.count(root, of.floor)
    }
    return sum
  }

  /** All that is held, without what is gone. */
  all(now: number): ReadonlyArray<Keyed> {
    return [...this.keys.values()].filter((of) => {
      this.outdate(of, now)
      this.look(of)
      return of.roots.length > 0
    })
  }

  /** Takes up what was held at a snapshot. */
  restore(
    key: string,
    held: ReadonlyArray<{ readonly waiting: ReadonlyArray<Waiting>; readonly done: boolean; readonly root: Node }>
  ): void {
    const of = this.open(key)
    for (const { done, root, waiting } of held) {
      const configuration = this.automaton.configuration(waiting, done)
      if (configuration === undefined) continue
      of.configurations.push(configuration)
      of.roots.push(root)
    }
    this.look(of)
    this.most = Math.max(this.most, this.held)
    const last = of.times.at(-1)
    if (last !== undefined) this.schedule(of, last + this.window)
  }

  private *live(): Iterable<Configuration> {
    for (const { configurations } of this.keys.values()) yield* configurations
  }
}
