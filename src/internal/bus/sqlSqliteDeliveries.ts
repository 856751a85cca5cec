import { ageing, priorities } from "../../bus/Message.ts"
import type { Claim, Settled, Taken } from "./sqlDatabase.ts"
import * as Rows from "./sqlRows.ts"
import type * as Tables from "./sqlSqliteTables.ts"

type Row = ReadonlyArray<any>
/** Runs a statement that has rows. */
export type Run = (text: string, ...params: ReadonlyArray<unknown>) => ReadonlyArray<Row>

/** What deliveries are read and written with, inside a transaction that has the write lock. */
export interface Options {
  readonly sql: ReturnType<typeof Tables.statements>
  readonly run: Run
  readonly write: (text: string, ...params: ReadonlyArray<unknown>) => void
}

/** Claims and settlements on SQLite. */
export interface Deliveries {
  readonly claim: (group: number, member: number, max: number, now: number) => Claim
  /** What a claim says where there is nothing to be taken; by any connection. */
  readonly nothing: (run: Run, group: number, now: number) => Claim
  /** Answers whether there is something to be taken now, or to be waited for. */
  readonly settle: (group: number, member: number, settlements: ReadonlyArray<Settled>) => boolean
}

export const make = ({ run, sql, write }: Options): Deliveries => {
  // ---------------------------------------------------------------------------------------------------------- claims

  /** Of each level of priority the first, and of those the first by age; and the level, where they are all of one. */
  const candidates = (group: number, max: number, now: number, highest: number, lowest: number): Candidates => {
    if (highest === lowest) {
      const rows = run(sql.candidates, group, highest, max)
      return { level: highest, found: rows.map((row) => candidateOf(row, highest)) }
    }
    const found: Array<Row> = []
    let level: number | undefined
    let levels = 0
    for (let priority = highest; priority >= lowest; priority--) {
      const rows = run(sql.candidatesAged, group, priority, max)
      if (rows.length === 0) continue
      levels++
      level = priority
      for (const row of rows) found.push(row)
    }
    if (levels < 2) return { level, found: found.map((row) => candidateOf(row, row[9])) }
    const aged = (row: Row) => Math.min(priorities.highest, row[9] + Math.max(0, Math.floor((now - row[8]) / ageing)))
    return {
      level: undefined,
      found: found
        .map((row) => ({ row, level: aged(row) }))
        .sort((a, b) => b.level - a.level || a.row[0] - b.row[0])
        .slice(0, max)
        .map(({ row }) => candidateOf(row, row[9]))
    }
  }

  /** Of each key the one that has the turn, or the first where nobody has it; the others are told to wait for it. */
  const passBy = (group: number, found: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
    if (found.every(({ message }) => message.key === undefined)) return found
    const turns = new Map<string, number>()
    for (const { hasTurn, message, place } of found) if (hasTurn) turns.set(message.key!, place)
    return found.filter(({ hasTurn, message: { key }, place }) => {
      if (key === undefined || hasTurn) return true
      if (!turns.has(key) && run(sql.hasTurn, group, key).length === 0) {
        turns.set(key, place)
        return true
      }
      write(sql.block, place)
      return false
    })
  }

  const take = (group: number, member: number, level: number | undefined, taken: ReadonlyArray<Candidate>): void => {
    // Of one level these are the first, and all of them: so is what stands between the first and the last of them.
    if (level !== undefined) write(sql.takeRange, member, group, level, taken[0]!.place, taken[taken.length - 1]!.place)
    else write(sql.takeAll, member, JSON.stringify(taken.map(({ place }) => place)))
    for (const { hasTurn, message, place } of taken) {
      if (message.key !== undefined && !hasTurn) write(sql.takeTurn, place)
    }
  }

  const claim = (group: number, member: number, max: number, now: number): Claim => {
    const survey = () => run(sql.survey, member, group, group, group)[0]!
    let seen = survey()
    if (seen[0] === 0) return { _tag: "buried" }
    if (seen[1] !== null && seen[1] <= now) {
      for (const [place] of run(sql.due, group, now)) write(sql.ready, place)
      seen = survey()
    }
    const [, , highest, lowest] = seen
    if (highest === null) return nothing(run, group, now)
    for (let round = 0; round < 100; round++) {
      const { found, level } = candidates(group, max, now, highest, lowest)
      const taken = passBy(group, found)
      if (found.length > 0 && taken.length < found.length) continue
      if (taken.length === 0) return nothing(run, group, now)
      take(group, member, level, taken)
      return { _tag: "taken", taken }
    }
    return { _tag: "none", next: 0 }
  }

  const nothing = (run: Run, group: number, now: number): Claim => {
    const [ready, at, exists] = run(sql.isReady, group, group, group)[0]!
    if (exists === 0) return { _tag: "ended" }
    return { _tag: "none", next: ready === 1 ? 0 : at === null ? undefined : Math.max(0, at - now) }
  }

  // ------------------------------------------------------------------------------------------------------ settlements

  /** What stands close together is removed as one. */
  const remove = (member: number, places: ReadonlyArray<number>): void => {
    const ranges = rangesOf(places, places.length >> 3)
    if (ranges === undefined) write(sql.doneAll, JSON.stringify(places), member)
    else for (const [first, last] of ranges) write(sql.doneRange, first, last, member)
  }

  /** Whether there is something to be taken now, or to be waited for. */
  const settle = (group: number, member: number, settlements: ReadonlyArray<Settled>): boolean => {
    let changed = false
    const passed = new Set<string>()
    const plain: Array<number> = []
    for (const { keyed, place, settlement } of settlements) {
      switch (settlement._tag) {
        case "done": {
          if (!keyed) {
            plain.push(place)
            break
          }
          const [gone] = run(sql.done, place, member)
          if (gone !== undefined && gone[0] !== null) passed.add(gone[0])
          break
        }
        case "later": {
          const { at, overtake, state } = settlement
          changed = true
          const [back] = run(sql.later, at, state ?? null, overtake ? 1 : 0, place, member)
          if (overtake && back !== undefined && back[0] !== null) passed.add(back[0])
          break
        }
        case "keep":
          write(sql.keep, settlement.state, place, member)
          break
        case "return":
          changed = true
          write(sql.giveBack, settlement.counted ? 0 : 1, place, member)
      }
    }
    if (plain.length > 0) remove(member, plain)
    for (const key of passed) {
      const [heir] = run(sql.heir, group, key)
      if (heir === undefined) continue
      changed = true
      write(sql.inherit, heir[0])
    }
    return changed
  }

  return { claim, nothing, settle }
}

/** What may be taken. */
interface Candidate extends Taken {
  /** Whether it is the one of its key that may be held. */
  readonly hasTurn: boolean
}

interface Candidates {
  readonly found: ReadonlyArray<Candidate>
  readonly level: number | undefined
}

const candidateOf = (row: Row, priority: number): Candidate => {
  const own = row[1]
  if (own === null) return candidate(row, priority, 0, null, null, 0)
  const [deliveries, state, key, turn] = JSON.parse(own)
  return candidate(row, priority, deliveries, state, key, turn)
}

const candidate = (
  row: Row,
  priority: number,
  deliveries: number,
  state: string | null,
  key: string | null,
  turn: number
): Candidate => ({
  place: row[0],
  deliveries: deliveries + 1,
  state: state ?? undefined,
  hasTurn: turn === 1,
  message: Rows.message(row[2], row[3], row[4], priority, key, row[5], row[6], row[7])
})

/** The first and the last of those that follow one another without a gap; `undefined` where they are more than `most`. */
const rangesOf = (
  places: ReadonlyArray<number>,
  most: number
): ReadonlyArray<readonly [first: number, last: number]> | undefined => {
  const ranges: Array<[number, number]> = []
  let current: [number, number] | undefined
  for (const place of places) {
    if (current !== undefined && place === current[1] + 1) current[1] = place
    else if (ranges.length === Math.max(1, most)) return undefined
    else ranges.push(current = [place, place])
  }
  return ranges
}
