import type { Kind, Output } from "../../cep/Join.ts"
import type { FromSource } from "../../cep/Watermark.ts"
import { Heap } from "../heap.ts"
import { isInstant } from "./timeSchema.ts"
import * as Watermark from "./watermark.ts"

export interface SideSettings {
  readonly timestamp: (event: any) => number
  readonly keyBy: (event: any) => string | undefined
  readonly lateness: number
  /** How far a partner may be before it, and after it, in milliseconds. */
  readonly before: number
  readonly after: number
  /** Whether what has found no partner is told. */
  readonly outer: boolean
}

export interface Settings {
  readonly left: SideSettings
  readonly right: SideSettings
}

type Side = "left" | "right"

/** An event that waits for partners. */
interface Row {
  readonly seq: number
  readonly side: Side
  readonly key: string | undefined
  readonly time: number
  readonly event: unknown
  matched: boolean
}

export interface Counters {
  left: number
  right: number
  late: number
  unkeyed: number
  untimed: number
  pairs: number
  unmatched: number
}

export interface Snapshot {
  readonly time: Watermark.State
  readonly seq: number
  readonly counts: Counters
  /** In the order in which they came. */
  readonly rows: ReadonlyArray<Readonly<Row>>
}

export const empty: Snapshot = {
  time: Watermark.initial(["left", "right"]),
  seq: 0,
  counts: { left: 0, right: 0, late: 0, unkeyed: 0, untimed: 0, pairs: 0, unmatched: 0 },
  rows: []
}

/** Rows of a side of a key, in order of time and then as they came; the first ones leave first. */
class Line {
  #rows: Array<Row> = []
  #head = 0

  get size(): number {
    return this.#rows.length - this.#head
  }

  add(row: Row): void {
    let at = this.#rows.length
    while (at > this.#head && this.#rows[at - 1]!.time > row.time) at--
    if (at === this.#rows.length) this.#rows.push(row)
    else this.#rows.splice(at, 0, row)
  }

  /** Forgets the oldest. */
  shift(): void {
    this.#head++
    if (this.#head * 2 < this.#rows.length) return
    this.#rows = this.#rows.slice(this.#head)
    this.#head = 0
  }

  /** Those of a stretch of time, both ends included. */
  forEach(from: number, to: number, visit: (row: Row) => void): void {
    let [low, high] = [this.#head, this.#rows.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#rows[middle]!.time < from) low = middle + 1
      else high = middle
    }
    for (let at = low; at < this.#rows.length && this.#rows[at]!.time <= to; at++) visit(this.#rows[at]!)
  }
}

type Lines = { readonly [side in Side]: Line }

/** Rows into pairs, time onwards: plain synchronous code. */
export class Engine {
  readonly counts: Counters
  readonly #settings: Settings
  readonly #emit: (output: Output<any, any, Kind>) => void
  readonly #sources: Watermark.Sources
  readonly #keys = new Map<string, Lines>()
  /** By when nothing can be a partner any more. */
  readonly #closing: Heap<Row>
  #seq: number

  constructor(settings: Settings, from: Snapshot, emit: (output: Output<any, any, Kind>) => void) {
    this.#settings = settings
    this.#emit = emit
    this.counts = { ...from.counts }
    this.#sources = new Watermark.Sources(from.time)
    this.#seq = from.seq
    this.#closing = new Heap((a, b) => {
      const [first, second] = [this.#closeOf(a), this.#closeOf(b)]
      return first !== second ? first < second : a.seq < b.seq
    })
    for (const row of from.rows) this.#keep({ ...row })
  }

  get waiting(): number {
    return this.#closing.size
  }

  push(side: Side, input: FromSource<unknown>): void {
    const { lateness, timestamp } = this.#settings[side]
    if (input._tag === "Event") this.#take(side, input.event)
    Watermark.say(this.#sources, side, input, timestamp, lateness)
    this.#close()
  }

  snapshot(): Snapshot {
    const rows: Array<Row> = []
    this.#closing.forEach((row) => rows.push({ ...row }))
    return {
      time: this.#sources.snapshot(),
      seq: this.#seq,
      counts: { ...this.counts },
      rows: rows.sort((a, b) => a.seq - b.seq)
    }
  }

  #closeOf({ side, time }: Row): number {
    return time + this.#settings[side].after
  }

  #take(side: Side, event: unknown): void {
    const { after, before, keyBy, timestamp } = this.#settings[side]
    this.counts[side]++
    const time = Math.floor(timestamp(event))
    if (!isInstant(time)) {
      this.counts.untimed++
      return this.#emit({ _tag: "Untimed", side, event })
    }
    if (time <= this.#sources.watermark) {
      this.counts.late++
      return this.#emit({ _tag: "Late", side, event })
    }
    const key = keyBy(event)
    const row: Row = { seq: this.#seq++, side, key, time, event, matched: false }
    if (key === undefined) this.counts.unkeyed++
    else {
      this.#keys.get(key)?.[side === "left" ? "right" : "left"].forEach(time - before, time + after, (other) => {
        row.matched = true
        other.matched = true
        this.counts.pairs++
        this.#emit({
          _tag: "Pair",
          key,
          left: side === "left" ? event : other.event,
          right: side === "left" ? other.event : event
        })
      })
    }
    this.#keep(row)
  }

  #keep(row: Row): void {
    // without a key it has no partners: it only waits to be told
    if (row.key === undefined && !this.#settings[row.side].outer) return
    this.#closing.push(row)
    if (row.key === undefined) return
    let lines = this.#keys.get(row.key)
    if (lines === undefined) {
      lines = { left: new Line(), right: new Line() }
      this.#keys.set(row.key, lines)
    }
    lines[row.side].add(row)
  }

  /** Forgets, and where it is asked for tells, what can find no partner any more. */
  #close(): void {
    const { watermark } = this.#sources
    for (
      let row = this.#closing.peek();
      row !== undefined && this.#closeOf(row) <= watermark;
      row = this.#closing.peek()
    ) {
      this.#closing.pop()
      if (row.key !== undefined) {
        const lines = this.#keys.get(row.key)!
        lines[row.side].shift()
        if (lines.left.size + lines.right.size === 0) this.#keys.delete(row.key)
      }
      if (row.matched || !this.#settings[row.side].outer) continue
      this.counts.unmatched++
      this.#emit({ _tag: row.side === "left" ? "LeftOnly" : "RightOnly", key: row.key, event: row.event })
    }
  }
}
