/**
 * How many events of each key came in the last minute, told every second: as windows, and as one would write it by hand: a ring
 * of counts for each key and their sum, from which what leaves is taken.
 */
import * as Aggregation from "effect-skald/cep/Aggregation"
import * as Window from "effect-skald/cep/Window"
import type * as Kit from "../kit.ts"

const size = 60_000
const every = 1_000
const ring = size / every
const chunk = 1_024

interface Ev {
  readonly key: string
  readonly at: number
}

export type Lists = ReadonlyArray<ReadonlyArray<Ev>>

/** One a millisecond; before the first of them, both sides run until the compilers have had their time. */
export const events = (keys: number) => {
  const names = Array.from({ length: keys }, (_, n) => `key-${n}`)
  let warm = false
  return ({ quick }: Kit.Context): Lists => {
    const lists = Array.from({ length: quick ? 300 : 2_000 }, (_, list) =>
      Array.from({ length: chunk }, (_, n) => ({
        key: names[((list * chunk + n) * 7_919) % keys]!,
        at: list * chunk + n
      })))
    if (!warm) { for (const list of lists.slice(0, 100)) lasting.push(list) }
    const until = performance.now() + (warm ? 0 : quick ? 1_000 : 6_000)
    while (performance.now() < until) {
      ours(lists)
      byHand(lists)
    }
    warm = true
    return lists
  }
}

/** What was told: how many results, and a sum that depends on each of them. */
export interface Told {
  results: number
  sum: number
}

interface Result {
  readonly end: number
  readonly value: number
}

const tell = (told: Told, { end, value }: Result): void => {
  told.results++
  told.sum = (told.sum + value * (end % 1_000_003)) % 1_000_000_007
}

const counts = Window.make({
  shape: Window.sliding(size, every),
  aggregate: Aggregation.count,
  timestamp: ({ at }: Ev) => at,
  keyBy: ({ key }: Ev) => key
})

/**
 * Open all the time, as windows are: what was compiled goes when the last object of its kind is collected, as all of a pass are
 * before the next, and each pass would have it compiled anew.
 */
export const lasting = Window.open(counts)

export const ours = (lists: Lists): Told => {
  const session = Window.open(counts)
  const told: Told = { results: 0, sum: 0 }
  for (const list of lists) {
    for (const output of session.push(list)) if (output._tag === "Result") tell(told, output)
  }
  return told
}

export const byHand = (lists: Lists): Told => {
  interface Counted {
    readonly key: string
    readonly counts: Int32Array
    sum: number
  }
  const told: Told = { results: 0, sum: 0 }
  const keys = new Map<string, Counted>()
  let pane = 0
  for (const list of lists) {
    const outputs: Array<Result & { readonly key: string; readonly start: number }> = []
    for (const { at, key } of list) {
      while (at >= (pane + 1) * every) {
        const end = (pane + 1) * every
        for (const counted of keys.values()) {
          if (counted.sum > 0) outputs.push({ key: counted.key, start: end - size, end, value: counted.sum })
          const leaves = (pane + 1) % ring
          counted.sum -= counted.counts[leaves]!
          counted.counts[leaves] = 0
        }
        pane++
      }
      let counted = keys.get(key)
      if (counted === undefined) {
        counted = { key, counts: new Int32Array(ring), sum: 0 }
        keys.set(key, counted)
      }
      counted.counts[Math.floor(at / every) % ring]!++
      counted.sum++
    }
    for (const output of outputs) tell(told, output)
  }
  return told
}

/** Sees to it that every pass of either side tells the same. */
export const gate = () => {
  const known = new Map<number, Told>()
  return (told: Told, lists: Lists): number => {
    const { results, sum } = known.get(lists.length) ?? told
    if (results === 0 || results !== told.results || sum !== told.sum) {
      throw new Error(`one told ${results} results of sum ${sum}, the other ${told.results} of ${told.sum}`)
    }
    known.set(lists.length, told)
    return lists.length * chunk
  }
}
