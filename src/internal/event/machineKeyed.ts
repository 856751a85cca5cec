/**
 * One machine for each key.
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as HashMap from "effect/HashMap"
import type { Machine } from "../../event/Machine.ts"
import * as internal from "./machine.ts"

interface Entry<S, I, K> {
  readonly key: K
  readonly instance: internal.Instance<S, I>
  /** Not yet in the persistent map. */
  fresh: boolean
  /** Differs from the persistent map. */
  touched: boolean
}

/**
 * One machine for each key. Keys that were touched stay open beside the persistent map, and are written to it when the
 * state is asked for; so a run costs one write for each key, not one for each input.
 */
export const keyed = <S, I, O, E, K>(
  self: Machine<S, I, O, E>,
  keyOf: (input: I) => K,
  done: ((state: S) => boolean) | undefined
): internal.Open<HashMap.HashMap<K, S>, I, O> =>
(state, emit) => {
  let map = state
  const touched = new Set<Entry<S, I, K>>()
  // Primitive keys have a native Map; the others are compared by `Equal`, as HashMap does. NaN equals nothing there.
  const primitives = new Map<K, Entry<S, I, K>>()
  const buckets = new Map<number, Array<Entry<S, I, K>>>()
  const isPrimitive = (key: K) =>
    key === null || (typeof key !== "object" && typeof key !== "function" && !Number.isNaN(key))

  const find = (key: K): Entry<S, I, K> => {
    const primitive = isPrimitive(key)
    const hash = primitive ? 0 : Hash.hash(key)
    const bucket = primitive ? undefined : buckets.get(hash)
    const known = primitive ? primitives.get(key) : bucket?.find((entry) => Equal.equals(entry.key, key))
    if (known !== undefined) return known
    const before = HashMap.get(map, key)
    const entry = {
      key,
      instance: internal.open(self, before._tag === "Some" ? before.value : self.initial, emit),
      fresh: before._tag === "None",
      touched: false
    }
    if (primitive) primitives.set(key, entry)
    else if (bucket === undefined) buckets.set(hash, [entry])
    else bucket.push(entry)
    return entry
  }

  const forget = (entry: Entry<S, I, K>) => {
    touched.delete(entry)
    if (!entry.fresh) map = HashMap.remove(map, entry.key)
    if (isPrimitive(entry.key)) {
      primitives.delete(entry.key)
      return
    }
    const hash = Hash.hash(entry.key)
    const others = buckets.get(hash)?.filter((other) => other !== entry) ?? []
    if (others.length === 0) buckets.delete(hash)
    else buckets.set(hash, others)
  }

  return {
    push: (input) => {
      const entry = find(keyOf(input))
      if (!entry.touched) {
        entry.touched = true
        touched.add(entry)
      }
      entry.instance.push(input)
      if (done !== undefined && done(entry.instance.state())) forget(entry)
    },
    state: () => {
      if (touched.size > 0) {
        map = HashMap.mutate(map, (draft) => {
          for (const entry of touched) {
            HashMap.set(draft, entry.key, entry.instance.state())
            entry.fresh = false
            entry.touched = false
          }
        })
        touched.clear()
      }
      return map
    }
  }
}
