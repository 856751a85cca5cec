import type { Result } from "../../cep/Window.ts"
import { Heap } from "../heap.ts"
import * as Part from "./windowPart.ts"

interface Session<S> extends Part.Cell<S> {
  readonly key: string
  /** In the order in which they began to be. */
  readonly seq: number
  first: number
  last: number
  /** Whether its result, as it is now, was told. */
  told: boolean
  /** Whether a result of it was told before. */
  update: boolean
  /** No more: taken into another, or closed. */
  gone: boolean
}

export interface Stored<S> {
  readonly seq: number
  readonly sessions: ReadonlyArray<{
    readonly key: string
    readonly seq: number
    readonly first: number
    readonly last: number
    readonly told: boolean
    readonly update: boolean
    readonly count: number
    readonly state: S
  }>
}

export const none: Stored<never> = { seq: 0, sessions: [] }

/**
 * Windows of what comes close together: of each key, events at most the gap apart are of one session. An event between two
 * sessions joins them into one.
 */
export const make = <A, S, R>(
  host: Part.Host<A, S, R>,
  gap: number,
  from: Stored<S>
): Part.Part<A, Stored<S>> => {
  const { aggregation, allowed, emission, outputs } = host
  /** Of each key, in order of time. */
  const keys = new Map<string, Array<Session<S>>>()
  let seq = from.seq

  const endOf = ({ last }: Session<S>): number => last + gap
  /** When something is to be done about it: it is complete, or kept no longer. */
  const dueOf = (session: Session<S>): number => session.told ? endOf(session) + allowed : endOf(session)

  interface Due {
    readonly at: number
    readonly session: Session<S>
  }
  const dues = new Heap<Due>((a, b) =>
    a.at !== b.at
      ? a.at < b.at
      : a.session.first !== b.session.first
      ? a.session.first < b.session.first
      : a.session.seq < b.session.seq
  )
  const watch = (session: Session<S>): void => dues.push({ at: dueOf(session), session })

  for (const stored of from.sessions) {
    const session: Session<S> = { ...stored, state: aggregation.copy(stored.state), gone: false }
    const sessions = keys.get(session.key)
    if (sessions === undefined) keys.set(session.key, [session])
    else sessions.push(session)
    watch(session)
  }

  const resultOf = (session: Session<S>): Result<R> => ({
    key: session.key,
    start: session.first,
    end: endOf(session),
    count: session.count,
    value: aggregation.result(session.state),
    update: session.update
  })

  const tellAs = (what: "result" | "retraction", session: Session<S>, update: boolean): void =>
    outputs[what](session.key, session.first, endOf(session), session.count, aggregation.result(session.state), update)

  const tell = (session: Session<S>): void => {
    tellAs("result", session, session.update)
    session.told = true
    session.update = true
    if (emission !== "discarding") return
    session.count = 0
    session.state = aggregation.empty()
  }

  /** Those that an event at a time touches: they stand beside each other. */
  const touched = (sessions: ReadonlyArray<Session<S>>, time: number): readonly [from: number, to: number] => {
    // the newest are at the end, and so is what most events are for
    let to = sessions.length
    while (to > 0 && sessions[to - 1]!.first - gap > time) to--
    let from = to
    while (from > 0 && endOf(sessions[from - 1]!) >= time) from--
    return [from, to]
  }

  /** Takes the second, which begins later, into the first. */
  const join = (left: Session<S>, right: Session<S>): void => {
    left.last = Math.max(left.last, right.last)
    left.update ||= right.update
    right.gone = true
    Part.mergeInto(aggregation, left, right)
  }

  return {
    add: (key, time, value, { watermark }) => {
      const sessions = keys.get(key) ?? []
      const [from, to] = touched(sessions, time)
      if (from === to) {
        if (time + gap + allowed <= watermark) return false
        const session: Session<S> = {
          key,
          seq: seq++,
          first: time,
          last: time,
          told: false,
          update: false,
          gone: false,
          ...Part.only(aggregation, value)
        }
        if (sessions.length === 0) keys.set(key, sessions)
        sessions.splice(from, 0, session)
        if (endOf(session) <= watermark) tell(session)
        watch(session)
        return true
      }
      const [session, ...others] = sessions.slice(from, to) as [Session<S>, ...Array<Session<S>>]
      const before = dueOf(session)
      if (emission === "retracting") {
        for (const other of [session, ...others]) if (other.told) tellAs("retraction", other, false)
      }
      for (const other of others) join(session, other)
      if (others.length > 0) sessions.splice(from + 1, others.length)
      session.first = Math.min(session.first, time)
      session.last = Math.max(session.last, time)
      Part.addTo(aggregation, session, value)
      session.told = false
      if (endOf(session) <= watermark) tell(session)
      // An entry that comes too early is put back; one that came too late would be missed.
      if (dueOf(session) < before) watch(session)
      return true
    },
    due: () => dues.peek()?.at ?? Number.POSITIVE_INFINITY,
    advance: (watermark) => {
      for (let next = dues.peek(); next !== undefined && next.at <= watermark; next = dues.peek()) {
        dues.pop()
        const { session } = next
        if (session.gone) continue
        if (dueOf(session) > next.at) {
          watch(session)
          continue
        }
        if (!session.told) {
          tell(session)
          if (dueOf(session) > watermark) {
            watch(session)
            continue
          }
        }
        session.gone = true
        const sessions = keys.get(session.key)!
        sessions.splice(sessions.indexOf(session), 1)
        if (sessions.length === 0) keys.delete(session.key)
      }
    },
    open: () =>
      [...keys.values()].flat().filter(({ told }) => !told).sort((a, b) =>
        endOf(a) - endOf(b) || a.first - b.first || a.seq - b.seq
      ).map(resultOf),
    snapshot: () => ({
      seq,
      sessions: [...keys.values()].flatMap((sessions) =>
        sessions.map(({ count, first, key, last, seq, state, told, update }) => ({
          key,
          seq,
          first,
          last,
          told,
          update,
          count,
          state: aggregation.copy(state)
        }))
      )
    })
  }
}
