import type { Delivered, Depth, Settlement } from "../../bus/BusDriver.ts"
import { ageing, type Message, priorities } from "../../bus/Message.ts"
import { Fifo } from "../fifo.ts"
import { Heap } from "../heap.ts"

/** One message of one subscription. */
interface Item {
  readonly message: Message
  /** Its place among those that are ready: given when it becomes so. */
  order: number
  /** Since when it has been ready. */
  since: number
  /** Before this it is not delivered. */
  at: number
  deliveries: number
  state: string | undefined
  /** Counts the deliveries for ever: a receipt of an earlier one is stale. */
  ticket: number
  where: "delayed" | "ready" | "blocked" | "flight" | "gone"
}

/** The messages of a key that wait for the one that has its turn. */
interface Turn {
  holder: Item
  readonly blocked: Fifo<Item>
}

/** A delivery of a message, which is its own receipt. */
class Taken implements Delivered {
  readonly receipt: unknown
  readonly message: Message
  readonly deliveries: number
  readonly state: string | undefined
  readonly item: Item
  readonly ticket: number
  /** Where it stands among what its consumer holds. */
  place = -1

  constructor(item: Item) {
    this.receipt = this
    this.message = item.message
    this.deliveries = item.deliveries
    this.state = item.state
    this.item = item
    this.ticket = item.ticket
  }
}

/** What a consumer has taken and not settled. */
export class Held {
  readonly #taken: Array<Taken> = []

  add(taken: Taken): void {
    taken.place = this.#taken.push(taken) - 1
  }

  delete(receipt: unknown): void {
    const { place } = receipt as Taken
    if (this.#taken[place] !== receipt) return
    const last = this.#taken.pop()!
    if (last === receipt) return
    this.#taken[place] = last
    last.place = place
  }

  /** In no order. */
  forEach(visit: (receipt: unknown) => void): void {
    this.#taken.forEach(visit)
  }
}

/** One level of priority: first in, first out; what was given back stands at its old place. */
interface Level {
  readonly fresh: Fifo<Item>
  readonly returned: Heap<Item>
}

const byOrder = (a: Item, b: Item): boolean => a.order < b.order
const byInstant = (a: Item, b: Item): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/**
 * The messages of one subscription: which is next, by priority and age, by key, by time. Plain and synchronous; the instant
 * is told with each call.
 */
export class BusQueue {
  readonly #levels: ReadonlyArray<Level> = Array.from(
    { length: priorities.highest + 1 },
    () => ({ fresh: new Fifo(), returned: new Heap(byOrder) })
  )
  readonly #delayed = new Heap(byInstant)
  readonly #turns = new Map<string, Turn>()
  #orders = 0
  #ready = 0
  #blocked = 0
  #inFlight = 0

  add(message: Message, now: number, state?: string): Item {
    const item: Item = {
      message,
      order: this.#orders++,
      since: now,
      at: message.readyAt,
      deliveries: 0,
      state,
      ticket: 0,
      where: "delayed"
    }
    if (item.at > now) this.#delayed.push(item)
    else this.#enter(item, now)
    return item
  }

  /** The next messages, at most `max`. */
  take(max: number, now: number): ReadonlyArray<Taken> {
    this.#wake(now)
    const taken: Array<Taken> = []
    // what is taken makes nothing ready
    const only = this.#only()
    while (taken.length < max) {
      const level = only === undefined ? this.#next(now) : peek(only) === undefined ? undefined : only
      if (level === undefined) break
      const item = this.#shift(level)
      const { key } = item.message
      if (key !== undefined) {
        const turn = this.#turns.get(key)
        if (turn === undefined) this.#turns.set(key, { holder: item, blocked: new Fifo() })
        else if (turn.holder !== item) {
          item.where = "blocked"
          this.#blocked++
          turn.blocked.push(item)
          continue
        }
      }
      item.where = "flight"
      item.deliveries++
      item.ticket++
      this.#inFlight++
      taken.push(new Taken(item))
    }
    return taken
  }

  settle(settlement: Settlement, now: number): void {
    const { item, ticket } = settlement.receipt as Taken
    if (item.where !== "flight" || item.ticket !== ticket) return
    switch (settlement._tag) {
      case "keep":
        item.state = settlement.state
        item.deliveries = 0
        return
      case "return":
        this.#inFlight--
        if (!settlement.counted && item.deliveries > 0) item.deliveries--
        return this.#giveBack(item)
      case "done":
        this.#inFlight--
        item.where = "gone"
        return this.#passTurn(item)
      case "later":
        this.#inFlight--
        item.state = settlement.state
        item.deliveries = 0
        item.at = settlement.at
        item.where = "delayed"
        this.#delayed.push(item)
        if (settlement.overtake) this.#passTurn(item)
        this.#wake(now)
    }
  }

  /** Delivers again what a consumer took and did not settle. Its deliveries stay counted. */
  lost(receipt: unknown): void {
    const { item, ticket } = receipt as Taken
    if (item.where !== "flight" || item.ticket !== ticket) return
    this.#inFlight--
    this.#giveBack(item)
  }

  /** Withdraws a message whose time has not come. */
  cancel(item: Item): boolean {
    if (item.where !== "delayed") return false
    item.where = "gone"
    return true
  }

  /** Whether a message can be taken, or one that waits for its key stands before it. */
  hasReady(): boolean {
    return this.#ready > 0
  }

  /** When the next message becomes ready. */
  nextAt(): number | undefined {
    for (let item = this.#delayed.peek(); item !== undefined; item = this.#delayed.peek()) {
      if (item.where === "delayed") return item.at
      this.#delayed.pop()
    }
    return undefined
  }

  depth(now: number): Depth {
    this.#wake(now)
    let oldest: number | undefined
    for (const level of this.#levels) {
      const head = peek(level)
      if (head !== undefined) oldest = Math.min(oldest ?? Infinity, head.since)
    }
    let delayed = 0
    this.#delayed.forEach((item) => {
      if (item.where === "delayed") delayed++
    })
    return { ready: this.#ready, waiting: delayed + this.#blocked, inFlight: this.#inFlight, oldest }
  }

  /** Readies all whose time has come, in the order of their times. */
  #wake(now: number): void {
    for (let item = this.#delayed.peek(); item !== undefined; item = this.#delayed.peek()) {
      if (item.where === "delayed" && item.at > now) return
      this.#delayed.pop()
      if (item.where === "gone") continue
      item.order = this.#orders++
      this.#enter(item, item.at)
    }
  }

  #enter(item: Item, since: number): void {
    item.since = since
    item.where = "ready"
    this.#ready++
    this.#levels[item.message.priority]!.fresh.push(item)
  }

  #giveBack(item: Item): void {
    item.where = "ready"
    this.#ready++
    this.#levels[item.message.priority]!.returned.push(item)
  }

  /** Lets the next of the key take its turn. */
  #passTurn({ message: { key } }: Item): void {
    if (key === undefined) return
    const turn = this.#turns.get(key)!
    const next = turn.blocked.shift()
    if (next === undefined) return void this.#turns.delete(key)
    this.#blocked--
    turn.holder = next
    this.#giveBack(next)
  }

  /** The level that alone has messages, if that is so, as where nobody states priorities: none need be compared then. */
  #only(): Level | undefined {
    let only: Level | undefined
    for (const level of this.#levels) {
      if (level.fresh.size === 0 && level.returned.size === 0) continue
      if (only !== undefined) return undefined
      only = level
    }
    return only
  }

  /** The level whose first message comes first: that of the highest priority with its age, then of the longest wait. */
  #next(now: number): Level | undefined {
    let best: Level | undefined
    let bestPriority = -1
    let bestOrder = 0
    for (let priority = priorities.highest; priority >= priorities.lowest; priority--) {
      const level = this.#levels[priority]!
      const head = peek(level)
      if (head === undefined) continue
      const aged = Math.min(priorities.highest, priority + Math.max(0, Math.floor((now - head.since) / ageing)))
      if (aged > bestPriority || (aged === bestPriority && head.order < bestOrder)) {
        best = level
        bestPriority = aged
        bestOrder = head.order
      }
    }
    return best
  }

  #shift(level: Level): Item {
    this.#ready--
    return isReturnedNext(level) ? level.returned.pop()! : level.fresh.shift()!
  }
}

const isReturnedNext = ({ fresh, returned }: Level): boolean => {
  const first = returned.peek()
  return first !== undefined && first.order < (fresh.peek()?.order ?? Infinity)
}

const peek = (level: Level): Item | undefined => isReturnedNext(level) ? level.returned.peek() : level.fresh.peek()

export type { Item }
