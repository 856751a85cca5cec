/**
 * What a person would write instead of a rule: `A -> B` within a time, by key, in event time. A thousand of these on types of their own
 * tell what a thousand of anything cost whose state comes through the processor's cache by turns.
 */
export interface Stamped {
  readonly key: string
  readonly at: number
}

interface Fact {
  readonly id: string
  readonly event: { readonly _tag: string }
}

interface Begun {
  readonly id: string
  readonly key: string
  readonly time: number
  readonly event: Fact["event"]
}

export class Loop {
  events = 0
  matches = 0
  private readonly begun: string
  private readonly ended: string
  private readonly window: number
  private readonly timestamp: (event: any) => number
  private readonly keyBy: (event: any) => string
  private readonly waiting = new Map<string, Array<Begun>>()
  /** Those that began, oldest first, from `first` on. */
  private order: Array<Begun> = []
  private first = 0

  constructor(
    begun: string,
    ended: string,
    window: number,
    timestamp: (event: any) => number,
    keyBy: (event: any) => string
  ) {
    this.begun = begun
    this.ended = ended
    this.window = window
    this.timestamp = timestamp
    this.keyBy = keyBy
  }

  push({ event, id }: Fact): void {
    this.events++
    const time = this.timestamp(event)
    this.forget(time)
    const key = this.keyBy(event)
    const own = this.waiting.get(key)
    if (event._tag === this.begun) {
      const one = { id, key, time, event }
      if (own === undefined) this.waiting.set(key, [one])
      else own.push(one)
      this.order.push(one)
    } else if (event._tag === this.ended && own !== undefined) {
      this.matches += own.length
      this.waiting.delete(key)
    }
  }

  private forget(now: number): void {
    for (; this.first < this.order.length; this.first++) {
      const { key, time } = this.order[this.first]!
      if (time + this.window > now) break
      const own = this.waiting.get(key)
      if (own === undefined) continue
      const left = own.findIndex((one) => one.time + this.window > now)
      if (left === -1) this.waiting.delete(key)
      else own.splice(0, left)
    }
    if (this.first < 64 || this.first * 2 < this.order.length) return
    this.order = this.order.slice(this.first)
    this.first = 0
  }
}

/** Loops by the type of an event, as rules are found. */
export class Loops {
  private readonly byType = new Map<string, ReadonlyArray<Loop>>()

  add(types: ReadonlyArray<string>, loop: Loop): void {
    for (const type of types) this.byType.set(type, [...this.byType.get(type) ?? [], loop])
  }

  push(facts: Iterable<Fact>): void {
    for (const fact of facts) {
      for (const loop of this.byType.get(fact.event._tag) ?? []) loop.push(fact)
    }
  }

  /** How many events all of them have seen. */
  get events(): number {
    return [...new Set([...this.byType.values()].flat())].reduce((sum, { events }) => sum + events, 0)
  }
}
