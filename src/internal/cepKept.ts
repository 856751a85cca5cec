import type { Configuration } from "./cepAutomaton.ts"
import type * as Compile from "./cepCompile.ts"
import type { Snapshot } from "./cepEngine.ts"
import { extend, leaf, type Node, type Occurrence, union } from "./cepNodes.ts"
import type { Sets } from "./cepSets.ts"

/** What snapshots of both tiers are made of: events and states once each, and the sets of the first. */

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

  event({ event, seq, time }: Occurrence): number {
    const known = this.eventAt.get(seq)
    if (known !== undefined) return known
    const at = this.events.push({ seq, time, event }) - 1
    this.eventAt.set(seq, at)
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
  const known = new Map<Node, number>()
  const nodeOf = (root: Node): number => {
    const stack = [root]
    for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
      const { left, right, step, taken } = node
      const open = [right, left].filter((one) => one !== undefined && !known.has(one)) as Array<Node>
      if (known.has(node) || open.length === 0) {
        stack.pop()
        if (known.has(node)) continue
        const at = nodes.push({
          event: taken === undefined ? -1 : kept.event(taken),
          step,
          left: left === undefined ? -1 : known.get(left) ?? -1,
          right: right === undefined ? -1 : known.get(right) ?? -1
        })
        known.set(node, at - 1)
      } else stack.push(...open)
    }
    return known.get(root) ?? -1
  }
  return {
    sets: sets.all(now).map(({ configurations, key, roots }) => ({
      key,
      of: configurations.map(({ done, waiting }, at) => ({
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

/** A set of a snapshot, and what it is a set of. */
export interface Read {
  readonly key: string
  readonly done: boolean
  readonly waiting: Configuration["waiting"]
  readonly root: Node
}

/** Reads what sets held, key by key. */
export const read = (program: Compile.Program, from: Snapshot): ReadonlyArray<ReadonlyArray<Read>> => {
  const states = statesOf(program, from)
  const nodes: Array<Node> = []
  for (const { event, left, right, step } of from.nodes) {
    const taken = from.events[event]
    const before = nodes[left]
    const other = nodes[right]
    if (taken !== undefined) nodes.push(before === undefined ? leaf(taken, step) : extend(before, taken, step))
    else if (before !== undefined && other !== undefined) nodes.push(union(before, other))
    else throw new RangeError("the snapshot misses what a set is made of")
  }
  return from.sets.map(({ key, of }) =>
    of.map(({ done, node, waiting }): Read => {
      const root = nodes[node]
      if (root === undefined) throw new RangeError("the snapshot misses what a set is made of")
      return {
        key,
        done,
        root,
        waiting: waiting.map((one) => {
          const state = states[one.state]
          if (state === undefined) throw new RangeError("the snapshot is of another pattern")
          return { ...one, state }
        })
      }
    })
  )
}
