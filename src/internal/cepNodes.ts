/**
 * Partial matches held as a set, in a graph that shares what they have in common: the enumerable compact set of CORE (Bucchi,
 * Grez, Quintana, Riveros, Vansummeren: "CORE: a Complex Event Recognition Engine", VLDB 2022).
 *
 * A node is an event that was taken after what another node stands for, or the union of two nodes. It knows the greatest and
 * the least start of the runs that it stands for: what begins before a `floor` is not there any more, and is passed over
 * without a look. Nodes do not change, but for the scratch fields of a walk that is done before anything else happens.
 */

/** An event that was taken, once for all runs that have taken it. */
export interface Occurrence {
  readonly event: { readonly _tag: string }
  /** Its place in the order of all events of the matcher. */
  readonly seq: number
  readonly time: number
}

export class Node {
  /** None: a union. */
  readonly taken: Occurrence | undefined
  readonly step: string
  /** What came before, or the part of a union that begins last. */
  readonly left: Node | undefined
  readonly right: Node | undefined
  readonly max: number
  readonly min: number
  /** How many runs there are, those that are not there any more among them. */
  readonly count: number
  /** The walk that was here last, and what it left. */
  walk = 0
  memo = 0
  copy: Node | undefined = undefined

  constructor(
    taken: Occurrence | undefined,
    step: string,
    left: Node | undefined,
    right: Node | undefined,
    max: number,
    min: number,
    count: number
  ) {
    this.taken = taken
    this.step = step
    this.left = left
    this.right = right
    this.max = max
    this.min = min
    this.count = count
  }
}

let walks = 0

/** One run, of one event. */
export const leaf = (taken: Occurrence, step: string): Node =>
  new Node(taken, step, undefined, undefined, taken.seq, taken.seq, 1)

/** The runs of a node, each with one event more. */
export const extend = (before: Node, taken: Occurrence, step: string): Node =>
  new Node(taken, step, before, undefined, before.max, before.min, before.count)

/** The runs of both, of which none is in both. */
export const union = (one: Node, other: Node): Node => {
  const min = one.min < other.min ? one.min : other.min
  const count = one.count + other.count
  return one.max >= other.max
    ? new Node(undefined, "", one, other, one.max, min, count)
    : new Node(undefined, "", other, one, other.max, min, count)
}

const pending = -1

/** How many runs begin at the floor or later: without walking to them one by one. Exact up to 2⁵³. */
export const count = (root: Node, floor: number): number => {
  if (root.min >= floor) return root.count
  if (root.max < floor) return 0
  const walk = ++walks
  const known = (node: Node | undefined): number => {
    if (node === undefined || node.max < floor) return 0
    if (node.min >= floor) return node.count
    return node.walk === walk ? node.memo : pending
  }
  const stack = [root]
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    const left = known(node.left)
    const right = known(node.right)
    if (left !== pending && right !== pending) {
      node.walk = walk
      node.memo = left + right
      stack.pop()
    }
    if (left === pending) stack.push(node.left!)
    if (right === pending) stack.push(node.right!)
  }
  return root.memo
}

/** The same runs without what begins before the floor, which is let go. What needs no change is the same node. */
export const trim = (root: Node, floor: number): Node | undefined => {
  if (root.max < floor) return undefined
  if (root.min >= floor) return root
  const walk = ++walks
  const waits = (node: Node | undefined): node is Node =>
    node !== undefined && node.max >= floor && node.min < floor && node.walk !== walk
  const trimmed = (node: Node | undefined): Node | undefined => {
    if (node === undefined || node.max < floor) return undefined
    return node.min >= floor ? node : node.copy
  }
  const stack = [root]
  const seen: Array<Node> = []
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    if (waits(node.left) || waits(node.right)) {
      if (waits(node.left)) stack.push(node.left)
      if (waits(node.right)) stack.push(node.right)
      continue
    }
    stack.pop()
    if (node.walk === walk) continue
    const left = trimmed(node.left)
    const right = trimmed(node.right)
    node.walk = walk
    node.copy = node.taken !== undefined
      ? extend(left!, node.taken, node.step)
      : left !== undefined && right !== undefined
      ? union(left, right)
      : left ?? right
    seen.push(node)
  }
  const answer = root.copy
  for (const node of seen) node.copy = undefined
  return answer
}

/** What some nodes stand for, by what it takes to hold it. */
export interface Held {
  /** Events that were taken, each for as many runs as there are. */
  readonly taken: number
  /** The first events of the runs, in their order. */
  readonly leaves: ReadonlyArray<Node>
}

/** Looks at all that is held. */
export const held = (roots: ReadonlyArray<Node>, floor: number): Held => {
  const walk = ++walks
  const stack = roots.filter(({ max }) => max >= floor)
  const leaves: Array<Node> = []
  let taken = 0
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.walk === walk) continue
    node.walk = walk
    if (node.taken !== undefined) taken++
    const { left, right } = node
    if (left !== undefined && left.max >= floor) stack.push(left)
    if (right !== undefined && right.max >= floor) stack.push(right)
    if (left === undefined) leaves.push(node)
  }
  return { taken, leaves: leaves.sort((one, other) => one.max - other.max) }
}

/** Any one of the runs, from its first event on. */
export const any = (root: Node, floor: number): ReadonlyArray<Node> => {
  const found: Array<Node> = []
  for (let at: Node | undefined = root; at !== undefined;) {
    if (at.taken !== undefined) found.push(at)
    const left: Node | undefined = at.left
    at = left === undefined || left.max >= floor ? left : at.right
  }
  return found.reverse()
}
