/** A binary heap: the least of many, again and again; of equal ones, in no order. */
export class Heap<A> {
  readonly #items: Array<A> = []
  readonly #before: (a: A, b: A) => boolean

  constructor(before: (a: A, b: A) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  peek(): A | undefined {
    return this.#items[0]
  }

  push(item: A): void {
    const items = this.#items
    let at = items.push(item) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!this.#before(item, items[above]!)) break
      items[at] = items[above]!
      at = above
    }
    items[at] = item
  }

  pop(): A | undefined {
    const items = this.#items
    const least = items[0]
    const last = items.pop()
    if (items.length > 0) this.#sink(0, last!)
    return least
  }

  /** Forgets what is no longer wanted. */
  keep(wanted: (item: A) => boolean): void {
    const items = this.#items
    const kept = items.filter(wanted)
    items.length = 0
    for (const item of kept) items.push(item)
    for (let at = (items.length >> 1) - 1; at >= 0; at--) this.#sink(at, items[at]!)
  }

  /** In no order. */
  forEach(visit: (item: A) => void): void {
    this.#items.forEach((item) => visit(item))
  }

  /** Puts an item in at a place, or below it. */
  #sink(from: number, item: A): void {
    const items = this.#items
    let at = from
    for (;;) {
      let below = 2 * at + 1
      if (below >= items.length) break
      if (below + 1 < items.length && this.#before(items[below + 1]!, items[below]!)) below++
      if (!this.#before(items[below]!, item)) break
      items[at] = items[below]!
      at = below
    }
    items[at] = item
  }
}
