/**
 * Partial matches held as sets, in a graph that shares what they have in common: the enumerable compact set of CORE (Bucchi,
 * Grez, Quintana, Riveros, Vansummeren: "CORE: a Complex Event Recognition Engine", VLDB 2022).
 *
 * A node is an event that was taken after what another node stands for, or the union of two nodes. It knows the greatest and
 * the least start of the runs that it stands for: what begins before a `floor` is not there any more, and is passed over
 * without a look. Nodes are rows of a table of numbers, after those that they lead to. Rows are never changed; what cannot be
 * reached any more is left behind as the table is copied, after as many new rows as it had.
 */

/** A row of the table; less than none: no node. */
export type Node = number

export const none: Node = -1

/** An event that was taken, and by which step. */
export interface Taken {
  readonly step: string
  readonly event: { readonly _tag: string }
  /** Its place in the order of all events of the matcher. */
  readonly index: number
  readonly time: number
}

/** What some nodes stand for, by what it takes to hold it. */
export interface Held {
  /** Events that were taken, each for as many runs as there are. */
  readonly taken: number
  /** The first events of the runs, in their order. */
  readonly leaves: ReadonlyArray<Node>
}

const smallest = 64
const usual = 1_024

/** The rows, as they were when somebody was told of them. */
export class Table {
  readonly names: ReadonlyArray<string>
  readonly capacity: number
  /** What came before, or the part of a union that begins last. */
  readonly left: Int32Array
  readonly right: Int32Array
  readonly max: Float64Array
  readonly min: Float64Array
  /** How many runs there are, those that are not there any more among them. */
  readonly counts: Float64Array
  /** Of the names; -1: a union. */
  readonly steps: Int32Array
  readonly seqs: Float64Array
  readonly times: Float64Array
  readonly events: Array<{ readonly _tag: string } | undefined>
  size = 0
  /** Whether somebody was told of a row, who may look at it whenever he likes. */
  lent = false
  private walk = 0
  private walks: Int32Array | undefined
  private memos: Float64Array | undefined

  constructor(names: ReadonlyArray<string>, capacity: number) {
    this.names = names
    this.capacity = capacity
    this.left = new Int32Array(capacity)
    this.right = new Int32Array(capacity)
    this.max = new Float64Array(capacity)
    this.min = new Float64Array(capacity)
    this.counts = new Float64Array(capacity)
    this.steps = new Int32Array(capacity)
    this.seqs = new Float64Array(capacity)
    this.times = new Float64Array(capacity)
    this.events = []
  }

  /** The runs of a node with one event more; of none, one run of one event. */
  extend(before: Node, event: { readonly _tag: string }, seq: number, time: number, step: number): Node {
    const at = this.size++
    this.left[at] = before
    this.right[at] = none
    if (before === none) {
      this.max[at] = this.min[at] = seq
      this.counts[at] = 1
    } else {
      this.max[at] = this.max[before]!
      this.min[at] = this.min[before]!
      this.counts[at] = this.counts[before]!
    }
    this.steps[at] = step
    this.seqs[at] = seq
    this.times[at] = time
    this.events[at] = event
    return at
  }

  /** The runs of both, of which none is in both. */
  union(one: Node, other: Node): Node {
    const at = this.size++
    const { counts, max, min } = this
    const swap = max[one]! < max[other]!
    const left = swap ? other : one
    const right = swap ? one : other
    this.left[at] = left
    this.right[at] = right
    max[at] = max[left]!
    min[at] = Math.min(min[left]!, min[right]!)
    counts[at] = counts[left]! + counts[right]!
    this.steps[at] = -1
    this.events[at] = undefined
    return at
  }

  /** Once nothing of it can be reached any more: lets go of the events, unless somebody else may reach them. */
  clear(): void {
    if (this.lent) return
    while (this.size > 0) this.events[--this.size] = undefined
  }

  taken(node: Node): Taken | undefined {
    const event = this.events[node]
    return event &&
      { step: this.names[this.steps[node]!] ?? "", event, index: this.seqs[node]!, time: this.times[node]! }
  }

  /** Whether there is any run of the node that begins at the floor or later. */
  lives(node: Node, floor: number): boolean {
    return node !== none && this.max[node]! >= floor
  }

  /** How many runs begin at the floor or later: without walking to them one by one. Exact up to 2⁵³. */
  count(root: Node, floor: number): number {
    const { counts, left, max, min, right } = this
    if (min[root]! >= floor) return counts[root]!
    if (max[root]! < floor) return 0
    const walk = this.begin()
    const walks = this.walks!
    const memos = this.memos!
    const known = (node: Node): number => {
      if (node === none || max[node]! < floor) return 0
      if (min[node]! >= floor) return counts[node]!
      return walks[node] === walk ? memos[node]! : none
    }
    const stack = [root]
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!
      const before = known(left[node]!)
      const other = known(right[node]!)
      if (before !== none && other !== none) {
        walks[node] = walk
        memos[node] = before + other
        stack.pop()
      }
      if (before === none) stack.push(left[node]!)
      if (other === none) stack.push(right[node]!)
    }
    return memos[root]!
  }

  /** Looks at all that can be reached. */
  held(roots: ReadonlyArray<Node>, size: number, floor: number): Held {
    return this.reach(roots, size, floor, this.begin())
  }

  /** Any one of the runs, from its first event on. */
  any(root: Node, floor: number): ReadonlyArray<Taken> {
    const found: Array<Taken> = []
    for (let at = root; at !== none;) {
      const taken = this.taken(at)
      if (taken !== undefined) found.push(taken)
      const left = this.left[at]!
      at = left === none || this.max[left]! >= floor ? left : this.right[at]!
    }
    return found.reverse()
  }

  /** Copies what can be reached from the roots, which are changed to the copies, and says of each list what it holds. */
  copied(
    all: ReadonlyArray<{ readonly roots: Array<Node>; readonly size: number; readonly floor: number }>,
    room: number
  ): {
    readonly table: Table
    readonly held: ReadonlyArray<Held>
  } {
    const walk = this.begin()
    const walks = this.walks!
    const held = all.map(({ floor, roots, size }) => this.reach(roots, size, floor, walk))
    let live = 0
    for (let node = 0; node < this.size; node++) if (walks[node] === walk) live++
    const table = new Table(this.names, Math.max(3 * live + room, Math.min(2 * this.capacity, usual)))
    const to = new Int32Array(this.size).fill(none)
    for (let node = 0; node < this.size; node++) {
      if (walks[node] !== walk) continue
      const left = this.left[node]!
      const before = left === none ? none : to[left]!
      const event = this.events[node]
      if (event !== undefined) {
        to[node] = table.extend(before, event, this.seqs[node]!, this.times[node]!, this.steps[node]!)
        continue
      }
      const other = to[this.right[node]!]!
      to[node] = before === none ? other : other === none ? before : table.union(before, other)
    }
    for (const { roots, size } of all) for (let at = 0; at < size; at++) roots[at] = to[roots[at]!]!
    return { table, held: held.map(({ leaves, taken }) => ({ taken, leaves: leaves.map((leaf) => to[leaf]!) })) }
  }

  private begin(): number {
    this.walks ??= new Int32Array(this.capacity)
    this.memos ??= new Float64Array(this.capacity)
    return ++this.walk
  }

  private reach(roots: ReadonlyArray<Node>, size: number, floor: number, walk: number): Held {
    const { left, max, right, steps } = this
    const walks = this.walks!
    const stack: Array<Node> = []
    for (let at = 0; at < size; at++) if (max[roots[at]!]! >= floor) stack.push(roots[at]!)
    const leaves: Array<Node> = []
    let taken = 0
    while (stack.length > 0) {
      const node = stack.pop()!
      if (walks[node] === walk) continue
      walks[node] = walk
      if (steps[node] !== -1) taken++
      const before = left[node]!
      const other = right[node]!
      if (before === none) leaves.push(node)
      else if (max[before]! >= floor) stack.push(before)
      if (other !== none && max[other]! >= floor) stack.push(other)
    }
    return { taken, leaves: leaves.sort((one, other) => max[one]! - max[other]!) }
  }
}

/** A table without rows, and with room for some. */
export const empty = (names: ReadonlyArray<string>, room = 0): Table => new Table(names, Math.max(smallest, 2 * room))
