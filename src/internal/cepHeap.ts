/** A binary heap by a number, the least first; of the same number, in no order. */
export class Heap<A> {
  private readonly items: Array<{ readonly at: number; readonly value: A }> = []

  get size(): number {
    return this.items.length
  }

  get least(): number {
    return this.items[0]?.at ?? Infinity
  }

  push(at: number, value: A): void {
    const { items } = this
    let child = items.push({ at, value }) - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (this.at(parent) <= this.at(child)) return
      this.swap(parent, child)
      child = parent
    }
  }

  pop(): A | undefined {
    const { items } = this
    const first = items[0]
    const last = items.pop()
    if (first === undefined || last === undefined) return undefined
    if (items.length === 0) return first.value
    items[0] = last
    this.sink(0)
    return first.value
  }

  /** Forgets what is no longer wanted. */
  keep(wanted: (value: A) => boolean): void {
    const kept = this.items.filter(({ value }) => wanted(value))
    this.items.length = 0
    for (const item of kept) this.items.push(item)
    for (let parent = (kept.length >> 1) - 1; parent >= 0; parent--) this.sink(parent)
  }

  private sink(from: number): void {
    let parent = from
    for (;;) {
      let least = parent
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < this.items.length && this.at(child) < this.at(least)) least = child
      }
      if (least === parent) return
      this.swap(parent, least)
      parent = least
    }
  }

  private at(index: number): number {
    return this.items[index]?.at ?? Infinity
  }

  private swap(left: number, right: number): void {
    const { items } = this
    const one = items[left]
    const other = items[right]
    if (one === undefined || other === undefined) return
    items[left] = other
    items[right] = one
  }
}
