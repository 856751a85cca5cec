import type { Waiting } from "./automaton.ts"
import type * as Compile from "./compile.ts"
import * as Nodes from "./nodes.ts"
import type { Node, Taken } from "./nodes.ts"
import type { Read, Sets } from "./sets.ts"

/** Snapshots of both tiers: what they are, events and states once each, and the sets of the first. */

export interface Counts {
  events: number
  late: number
  unkeyed: number
  matches: number
  timedOut: number
  overflowed: number
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
  readonly runs: ReadonlyArray<
    Compile.Fresh & { readonly key: number; readonly path: number; readonly state: number }
  >
  /** Of the other tier: nodes after those that they lead to, a union where there is no event; the sets of each key. */
  readonly nodes: ReadonlyArray<
    { readonly event: number; readonly step: string; readonly left: number; readonly right: number }
  >
  readonly sets: ReadonlyArray<{
    readonly key: string
    readonly of: ReadonlyArray<{
      readonly done: boolean
      readonly waiting: ReadonlyArray<Omit<Waiting, "state"> & { readonly state: number }>
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

/** Writes down events and states, each once. */
export class Kept {
  readonly events: Array<Snapshot["events"][number]> = []
  readonly states: Array<Snapshot["states"][number]> = []
  private readonly program: Compile.Program
  private readonly eventAt: Map<number, number> = new Map()
  private readonly stateAt: Map<number, number> = new Map()

  constructor(program: Compile.Program) {
    this.program = program
  }

  event({ event, index, time }: Omit<Taken, "step">): number {
    const known = this.eventAt.get(index)
    if (known !== undefined) return known
    const at = this.events.push({ seq: index, time, event }) - 1
    this.eventAt.set(index, at)
    return at
  }

  /** A state has no name but the way that leads to it. */
  state(id: number): number {
    const route: Array<Compile.State> = []
    let at = this.program.state(id)
    while (!this.stateAt.has(at.id) && at.via !== undefined) {
      route.push(at)
      at = this.program.state(at.via.from)
    }
    for (const { id, via } of route.reverse()) {
      if (via === undefined) continue
      this.stateAt.set(id, this.states.push({ from: this.stateAt.get(via.from) ?? -1, wait: via.wait }) - 1)
    }
    return this.stateAt.get(id) ?? -1
  }
}

/** The states that a snapshot names. */
export const statesOf = (program: Compile.Program, from: Snapshot): ReadonlyArray<Compile.State> => {
  const states: Array<Compile.State> = []
  for (const { from: parent, wait } of from.states) {
    const state = (states[parent] ?? program.root).waits[wait]?.to()
    if (state === undefined) throw new RangeError("the snapshot is of another pattern")
    states.push(state)
  }
  return states
}

/** Writes down all that sets hold: nodes after those that they lead to. */
export const write = (sets: Sets, now: number, kept: Kept): Pick<Snapshot, "nodes" | "sets"> => {
  const nodes: Array<Snapshot["nodes"][number]> = []
  const all = sets.all(now)
  const { table } = sets
  const known = new Map<Node, number>([[Nodes.none, -1]])
  const nodeOf = (root: Node): number => {
    const stack = [root]
    for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
      const left = table.left[node]!
      const right = table.right[node]!
      const open = [right, left].filter((one) => !known.has(one))
      if (!known.has(node) && open.length > 0) {
        stack.push(...open)
        continue
      }
      stack.pop()
      if (known.has(node)) continue
      const taken = table.taken(node)
      const at = nodes.push({
        event: taken === undefined ? -1 : kept.event(taken),
        step: taken?.step ?? "",
        left: known.get(left) ?? -1,
        right: known.get(right) ?? -1
      })
      known.set(node, at - 1)
    }
    return known.get(root) ?? -1
  }
  return {
    sets: all.map(({ configurations, key, roots, size }) => ({
      key,
      of: configurations.slice(0, size).map(({ done, waiting }, at) => ({
        done,
        waiting: waiting.map(({ ended, ending, fresh, nextPassed, state, waits }) => ({
          state: kept.state(state.id),
          waits,
          ended,
          fresh,
          ending,
          nextPassed
        })),
        node: nodeOf(roots[at]!)
      }))
    })),
    nodes
  }
}

/** Reads what was held as sets, key by key. */
export const read = (
  program: Compile.Program,
  from: Snapshot
): Read => {
  const states = statesOf(program, from)
  const table = Nodes.empty(program.shapes.steps, from.nodes.length)
  const missing = () => new RangeError("the snapshot misses what a set is made of")
  for (const { event, left, right, step } of from.nodes) {
    const taken = from.events[event]
    if (taken !== undefined && left < table.size) {
      table.extend(left, taken.event, taken.seq, taken.time, table.names.indexOf(step))
    } else if (left >= 0 && right >= 0 && Math.max(left, right) < table.size) table.union(left, right)
    else throw missing()
  }
  const keys = from.sets.map(({ key, of }) => ({
    key,
    sets: of.map(({ done, node, waiting }) => {
      if (node < 0 || node >= table.size) throw missing()
      return {
        done,
        root: node,
        waiting: waiting.map((one) => {
          const state = states[one.state]
          if (state === undefined) throw new RangeError("the snapshot is of another pattern")
          return { ...one, state }
        })
      }
    })
  }))
  return { table, keys }
}
