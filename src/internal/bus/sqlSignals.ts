/** A consumer, as those see it that may have something for it. */
export interface Listener {
  readonly group: () => number
  /** Whether it has nothing to do. */
  readonly isWaiting: () => boolean
  readonly onWake: () => void
}

/** Wakes those who wait for the messages of a subscription. */
export interface Signals {
  readonly wake: (groups: ReadonlyArray<number>) => void
  readonly wakeAll: () => void
  /** The subscriptions that somebody waits for. */
  readonly waiting: () => ReadonlyArray<number>
  /** The answer takes it away again. */
  readonly listen: (listener: Listener) => () => void
}

export const make = (): Signals => {
  const all = new Set<Listener>()
  return {
    wake: (groups) => {
      if (groups.length === 0) return
      const wanted = new Set(groups)
      for (const listener of all) if (wanted.has(listener.group())) listener.onWake()
    },
    wakeAll: () => {
      for (const listener of all) listener.onWake()
    },
    waiting: () => {
      const groups = new Set<number>()
      for (const listener of all) if (listener.isWaiting()) groups.add(listener.group())
      return Array.from(groups)
    },
    listen: (listener) => {
      all.add(listener)
      return () => all.delete(listener)
    }
  }
}
