/** A map that holds so many entries and gives up the least recently used. */
export interface Lru<K, V> {
  readonly get: (key: K) => V | undefined
  readonly set: (key: K, value: V) => void
  readonly delete: (key: K) => void
  readonly clear: () => void
}

/** A Map remembers the order of insertion: what is used is inserted anew, so the first is the least recently used. */
export const make = <K, V>(capacity: number): Lru<K, V> => {
  const entries = new Map<K, V>()
  const set = (key: K, value: V): void => {
    entries.delete(key)
    entries.set(key, value)
    if (entries.size > capacity) entries.delete(entries.keys().next().value as K)
  }
  return {
    get: (key) => {
      const value = entries.get(key)
      if (value !== undefined) set(key, value)
      return value
    },
    set,
    delete: (key) => {
      entries.delete(key)
    },
    clear: () => entries.clear()
  }
}
