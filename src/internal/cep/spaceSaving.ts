/** Space-Saving: counts of at most so many values; a new one takes the place, and the count, of the rarest. */

export const add = (counts: Map<string, number>, value: string, capacity: number): Map<string, number> => {
  const known = counts.get(value)
  if (known !== undefined || counts.size < capacity) {
    counts.set(value, (known ?? 0) + 1)
    return counts
  }
  let rarest: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const [candidate, count] of counts) {
    if (count < least) {
      rarest = candidate
      least = count
    }
  }
  counts.delete(rarest!)
  counts.set(value, least + 1)
  return counts
}

export const merge = (
  left: Map<string, number>,
  right: ReadonlyMap<string, number>,
  capacity: number
): Map<string, number> => {
  // what a full side does not know may have come there as often as its rarest
  const missing = (counts: ReadonlyMap<string, number>): number =>
    counts.size < capacity ? 0 : Math.min(...counts.values())
  const [fromLeft, fromRight] = [missing(left), missing(right)]
  for (const [value, count] of left) {
    if (!right.has(value)) left.set(value, count + fromRight)
  }
  for (const [value, count] of right) left.set(value, (left.get(value) ?? fromLeft) + count)
  if (left.size <= capacity) return left
  return new Map(byFrequency(left).slice(0, capacity))
}

export const byFrequency = (counts: ReadonlyMap<string, number>): Array<readonly [string, number]> =>
  [...counts].sort(([a, first], [b, second]) => second - first || (a < b ? -1 : 1))
