import * as Effect from "effect/Effect"
import type { Encoded, Timer } from "../../saga/Timers.ts"
import { Heap } from "../heap.ts"

interface Entry {
  readonly timer: Timer
  /** From when on it can be claimed. */
  from: number
  claim: string | undefined
}

/** A place in the queue: it counts while its entry is there and has not moved. */
interface Place {
  readonly entry: Entry
  readonly from: number
}

const before = (a: Timer, b: Timer): boolean => a.at !== b.at ? a.at < b.at : a.id < b.id

/** The timers of one namespace: by id, and by when they can be claimed. */
class Namespace {
  readonly entries = new Map<string, Entry>()
  readonly #queue = new Heap<Place>((a, b) =>
    a.from !== b.from ? a.from < b.from : before(a.entry.timer, b.entry.timer)
  )

  put(entry: Entry): void {
    this.entries.set(entry.timer.id, entry)
    this.#enqueue(entry)
  }

  move(entry: Entry, from: number): void {
    entry.from = from
    this.#enqueue(entry)
  }

  first(): Entry | undefined {
    for (;;) {
      const place = this.#queue.peek()
      if (place === undefined || this.#counts(place)) return place?.entry
      this.#queue.pop()
    }
  }

  #enqueue(entry: Entry): void {
    this.#queue.push({ entry, from: entry.from })
    if (this.#queue.size > 2 * this.entries.size + 64) this.#queue.keep((place) => this.#counts(place))
  }

  #counts({ entry, from }: Place): boolean {
    return entry.from === from && this.entries.get(entry.timer.id) === entry
  }
}

/** Timers in memory. */
export const make = (): Encoded => {
  const namespaces = new Map<string, Namespace>()
  const claims = new Map<string, ReadonlyArray<Entry>>()
  const of = (name: string): Namespace => {
    let namespace = namespaces.get(name)
    if (namespace === undefined) namespaces.set(name, namespace = new Namespace())
    return namespace
  }
  const forget = (name: string, id: string): boolean => {
    const namespace = namespaces.get(name)
    if (namespace === undefined || !namespace.entries.delete(id)) return false
    if (namespace.entries.size === 0) namespaces.delete(name)
    return true
  }
  /** What is there still and has the claim. */
  const claimed = (name: string, claim: string): ReadonlyArray<Entry> =>
    (claims.get(claim) ?? []).filter((entry) =>
      entry.claim === claim && namespaces.get(name)?.entries.get(entry.timer.id) === entry
    )

  return {
    set: (timers) =>
      Effect.sync(() => {
        for (const timer of timers) of(timer.namespace).put({ timer, from: timer.at, claim: undefined })
      }),
    cancel: (name, ids) => Effect.sync(() => ids.filter((id) => forget(name, id)).length),
    page: (name, after, limit) =>
      Effect.sync(() => {
        const all = Array.from(namespaces.get(name)?.entries.values() ?? [], (entry) => entry.timer)
        const rest = after === undefined
          ? all
          : all.filter(({ at, id }) => at > after.at || (at === after.at && id > after.id))
        return rest.sort((a, b) => before(a, b) ? -1 : 1).slice(0, limit)
      }),
    count: (name) => Effect.sync(() => namespaces.get(name)?.entries.size ?? 0),
    next: (names) =>
      Effect.sync(() => {
        const next = new Map<string, number>()
        for (const name of names) {
          const first = namespaces.get(name)?.first()
          if (first !== undefined) next.set(name, first.from)
        }
        return next
      }),
    claim: ({ claim, limit, namespace: name, now, until }) =>
      Effect.sync(() => {
        const namespace = namespaces.get(name)
        if (namespace === undefined) return []
        const found: Array<Entry> = []
        while (found.length < limit) {
          const first = namespace.first()
          if (first === undefined || first.from > now) break
          first.claim = claim
          namespace.move(first, until)
          found.push(first)
        }
        if (found.length > 0) claims.set(claim, found)
        return found.map((entry) => entry.timer)
      }),
    renew: (name, claim, until) =>
      Effect.sync(() => {
        for (const entry of claimed(name, claim)) of(name).move(entry, until)
      }),
    finish: (name, claim, ids) =>
      Effect.sync(() => {
        const wanted = ids === undefined ? undefined : new Set(ids)
        for (const { timer } of claimed(name, claim)) {
          if (wanted === undefined || wanted.has(timer.id)) forget(name, timer.id)
        }
        if (wanted === undefined) claims.delete(claim)
      }),
    release: (name, claim, from) =>
      Effect.sync(() => {
        for (const entry of claimed(name, claim)) {
          entry.claim = undefined
          of(name).move(entry, from ?? entry.timer.at)
        }
        claims.delete(claim)
      })
  }
}
