import { type Node, none, type Table, type Taken } from "./nodes.ts"
import { inOrder } from "./path.ts"

/**
 * The runs of some nodes in the documented order, each when it is asked for.
 *
 * Nodes lead from the last event of a run to its first, and the order goes by the first. So the graph is turned around once,
 * in time linear in what is reachable of it; from then on the run that is next is found by going from event to event, and there is
 * none that leads nowhere: a run costs its own events, and a look at those that may stand in the same place.
 */

/** A node with what leads to it. */
interface Turned {
  readonly taken: Taken | undefined
  readonly above: Array<Turned>
  /** Whether runs end with it. */
  ends: boolean
  /** Where one gets to from a union that leads nowhere else. */
  hop: Turned | undefined
}

/** An event in its place, and the ways that lead to it. */
interface Place {
  readonly at: Turned
  readonly from: Array<Place>
}

/** The places of one event. */
interface Group {
  readonly seq: number
  readonly places: Array<Place>
}

/** So many are made at once, and put in order then. */
const few = 8

export const ordered = (
  table: Table,
  roots: ReadonlyArray<Node>,
  floor: number
): Iterable<ReadonlyArray<Taken>> => {
  const alive = roots.filter((root) => table.lives(root, floor))
  let count = 0
  for (const root of alive) count += table.count(root, floor)
  return count > few ? oneByOne(table, alive, floor) : together(table, alive, floor)
}

/** Walks back from the last event of each run to its first. */
const together = (table: Table, roots: ReadonlyArray<Node>, floor: number): Array<ReadonlyArray<Taken>> => {
  const found: Array<ReadonlyArray<Taken>> = []
  const after: Array<Taken> = []
  const walk = (from: Node, length: number): void => {
    let taken = length
    for (let node = from; node !== none; node = table.left[node]!) {
      const event = table.taken(node)
      const right = table.right[node]!
      if (event !== undefined) after[taken++] = event
      else if (table.lives(right, floor)) walk(right, taken)
    }
    found.push(after.slice(0, taken).reverse())
  }
  for (const root of roots) walk(root, 0)
  return found.length > 1 ? found.sort(inOrder) : found
}

function* oneByOne(table: Table, roots: ReadonlyArray<Node>, floor: number): Generator<ReadonlyArray<Taken>> {
  const stack: Array<{ readonly groups: ReadonlyArray<Group>; at: number; readonly ends: ReadonlyArray<Place> }> = [
    { groups: grouped(leaves(table, roots, floor).map((at) => ({ at, from: [] }))), at: 0, ends: [] }
  ]
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const group = top.groups[top.at++]
    if (group !== undefined) {
      stack.push(onward(group.places))
      continue
    }
    // what goes on comes before what ends here
    stack.pop()
    if (top.ends.length > 0) yield* named(top.ends)
  }
}

/** Turns the graph around; the first events of its runs. */
const leaves = (table: Table, roots: ReadonlyArray<Node>, floor: number): ReadonlyArray<Turned> => {
  const known = new Map<Node, Turned>()
  const found: Array<Turned> = []
  const todo: Array<Node> = []
  const turn = (node: Node): Turned => {
    let turned = known.get(node)
    if (turned === undefined) {
      turned = { taken: table.taken(node), above: [], ends: false, hop: undefined }
      known.set(node, turned)
      todo.push(node)
    }
    return turned
  }
  for (const root of roots) turn(root).ends = true
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    const turned = turn(node)
    const left = table.left[node]!
    const right = table.right[node]!
    if (left === none) found.push(turned)
    else if (table.lives(left, floor)) turn(left).above.push(turned)
    if (table.lives(right, floor)) turn(right).above.push(turned)
  }
  return found
}

/** The first of what a union leads to that is no union, or leads to several, or ends runs. */
const hop = (from: Turned): Turned => {
  let to = from
  for (;;) {
    const [only] = to.above
    if (to.hop !== undefined) to = to.hop
    else if (to.taken === undefined && !to.ends && to.above.length === 1 && only !== undefined) to = only
    else break
  }
  for (let at = from; at !== to;) {
    const next: Turned = at.hop ?? at.above[0]!
    at.hop = to
    at = next
  }
  return to
}

/** What may come after the events of some places, and what ends with them. */
const onward = (places: ReadonlyArray<Place>) => {
  const next = new Map<Turned, Place>()
  const ends: Array<Place> = []
  const todo: Array<Turned> = []
  for (const place of places) {
    if (place.at.ends) ends.push(place)
    todo.push(...place.at.above)
    for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
      const to = one.taken === undefined ? hop(one) : one
      if (to.taken === undefined) {
        if (to.ends) ends.push(place)
        for (const above of to.above) todo.push(above)
        continue
      }
      const known = next.get(to)
      if (known === undefined) next.set(to, { at: to, from: [place] })
      else known.from.push(place)
    }
  }
  return { groups: grouped([...next.values()]), at: 0, ends }
}

const seqOf = ({ at }: Place): number => at.taken?.index ?? -1

const grouped = (places: ReadonlyArray<Place>): ReadonlyArray<Group> => {
  const groups: Array<Group> = []
  for (const place of [...places].sort((one, other) => seqOf(one) - seqOf(other))) {
    const last = groups.at(-1)
    if (last !== undefined && last.seq === seqOf(place)) last.places.push(place)
    else groups.push({ seq: seqOf(place), places: [place] })
  }
  return groups
}

/** The runs through some places: all of the same events, told apart by the steps that took them. */
const named = (ends: ReadonlyArray<Place>): ReadonlyArray<ReadonlyArray<Taken>> => {
  const found: Array<ReadonlyArray<Taken>> = []
  const back = (end: Place, after: ReadonlyArray<Taken>): void => {
    // from its last event on
    const run = [...after]
    let place = end
    for (;;) {
      if (place.at.taken !== undefined) run.push(place.at.taken)
      const [only] = place.from
      if (only === undefined || place.from.length > 1) break
      place = only
    }
    if (place.from.length === 0) found.push(run.reverse())
    for (const one of place.from) back(one, run)
  }
  for (const end of ends) back(end, [])
  if (found.length < 2) return found
  return found.map((run) => ({ run, name: JSON.stringify(run.map(({ step }) => step)) }))
    .sort((one, other) => one.name < other.name ? -1 : 1)
    .map(({ run }) => run)
}
