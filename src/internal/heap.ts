/** A binary heap: the least of many, again and again. */
export interface Heap<A> {
  readonly size: () => number
  readonly push: (value: A) => void
  readonly peek: () => A | undefined
  readonly pop: () => A | undefined
  /** In no order. */
  readonly forEach: (visit: (value: A) => void) => void
}

export const make = <A>(before: (a: A, b: A) => boolean): Heap<A> => {
  const values: Array<A> = []
  return {
    size: () => values.length,
    push: (value) => {
      let at = values.length
      values.push(value)
      while (at > 0) {
        const above = (at - 1) >> 1
        if (!before(value, values[above]!)) break
        values[at] = values[above]!
        at = above
      }
      values[at] = value
    },
    peek: () => values[0],
    pop: () => {
      const least = values[0]
      const last = values.pop()
      if (values.length === 0 || last === undefined) return least
      let at = 0
      for (;;) {
        let below = 2 * at + 1
        if (below >= values.length) break
        if (below + 1 < values.length && before(values[below + 1]!, values[below]!)) below++
        if (!before(values[below]!, last)) break
        values[at] = values[below]!
        at = below
      }
      values[at] = last
      return least
    },
    forEach: (visit) => values.forEach(visit)
  }
}
