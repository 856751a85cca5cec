/** Wakes those who wait for the messages of a subscription. */
export interface Signals {
  readonly wake: (groups: ReadonlyArray<number>) => void
  readonly wakeAll: () => void
  /** Calls back at the next wake; the answer takes that back. */
  readonly listen: (group: () => number, onWake: () => void) => () => void
}

export const make = (): Signals => {
  const all = new Set<{ readonly group: () => number; readonly onWake: () => void }>()
  return {
    wake: (groups) => {
      for (const { group, onWake } of all) if (groups.includes(group())) onWake()
    },
    wakeAll: () => {
      for (const { onWake } of all) onWake()
    },
    listen: (group, onWake) => {
      const entry = { group, onWake }
      all.add(entry)
      return () => all.delete(entry)
    }
  }
}
