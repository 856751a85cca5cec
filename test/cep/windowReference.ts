/** The obvious way to do windows: everything is kept, and every answer is worked out from it anew. */
import type * as Window from "effect-skald/cep/Window"

export interface Reading {
  readonly id: number
  readonly key: string | undefined
  readonly at: number
  readonly n: number
}

export interface Settings {
  readonly shape: Window.Shape
  readonly lateness: number
  readonly allowed: number
  readonly emission: Window.Emission
}

/** What is told, with a list of ids as the value, how many it is of, and whether the window was told before. */
export type Told =
  | readonly [
    "Result" | "Retraction",
    key: string,
    start: number,
    end: number,
    ids: ReadonlyArray<number>,
    count: number,
    update: boolean
  ]
  | readonly ["Late", id: number]

const of = (
  tag: "Result" | "Retraction",
  key: string | undefined,
  start: number,
  end: number,
  ids: ReadonlyArray<number>,
  update = false
): Told => [tag, key!, start, end, ids, ids.length, update]

interface Told1 {
  readonly told: Told
  readonly end: number
}

const idsOf = (readings: ReadonlyArray<Reading>): ReadonlyArray<number> =>
  readings.map(({ id }) => id).sort((a, b) => a - b)

export const make = (settings: Settings) => {
  switch (settings.shape._tag) {
    case "Sliding":
      return sliding(settings, settings.shape)
    case "Session":
      return session(settings, settings.shape.gap)
    case "Count":
      return counted(settings.shape)
  }
}

interface Reference {
  readonly event: (reading: Reading) => ReadonlyArray<Told>
  readonly time: (watermark: number) => ReadonlyArray<Told>
  /** The windows that are not complete, in any order. */
  readonly open: () => ReadonlyArray<Told>
}

const sliding = (
  { allowed, emission, lateness }: Settings,
  { every, offset, size }: Extract<Window.Shape, { readonly _tag: "Sliding" }>
): Reference => {
  const taken: Array<Reading> = []
  let watermark = -Infinity

  const startsOf = (time: number): ReadonlyArray<number> => {
    const starts: Array<number> = []
    for (let start = time - size + 1; start <= time; start++) {
      if ((((start - offset) % every) + every) % every === 0) starts.push(start)
    }
    return starts
  }
  const over = (key: string | undefined, start: number) =>
    taken.filter((other) => other.key === key && other.at >= start && other.at < start + size)

  /** The windows that hold something and end in a stretch of time. */
  const between = (from: number, to: number): ReadonlyArray<Told> => {
    const starts = new Set(taken.flatMap(({ at }) => startsOf(at)))
    const told: Array<Told1> = []
    for (const start of starts) {
      const end = start + size
      if (end - 1 <= from || end - 1 > to) continue
      for (const key of new Set(taken.map(({ key }) => key))) {
        const ids = idsOf(over(key, start))
        if (ids.length > 0) told.push({ told: of("Result", key, start, end, ids), end })
      }
    }
    return told.sort((a, b) => a.end - b.end).map(({ told }) => told)
  }

  const time = (to: number): ReadonlyArray<Told> => {
    const from = watermark
    watermark = Math.max(watermark, to)
    return between(from, watermark)
  }

  return {
    event: (reading) => {
      if (reading.key === undefined) return time(reading.at - lateness - 1)
      const starts = startsOf(reading.at)
      if (starts.every((start) => start + size - 1 + allowed <= watermark)) {
        return [["Late", reading.id], ...time(reading.at - lateness - 1)]
      }
      const complete = starts.filter((start) => start + size - 1 <= watermark)
      const open = complete.filter((start) => start + size - 1 + allowed > watermark)
      const before = open.map((start) => idsOf(over(reading.key, start)))
      taken.push(reading)
      const told = open.flatMap((start, index): ReadonlyArray<Told> => {
        const ids = emission === "discarding" ? [reading.id] : idsOf(over(reading.key, start))
        const update = before[index]!.length > 0
        const result = of("Result", reading.key, start, start + size, ids, update)
        return emission === "retracting" && update
          ? [of("Retraction", reading.key, start, start + size, before[index]!), result]
          : [result]
      })
      return [...told, ...time(reading.at - lateness - 1)]
    },
    time,
    open: () => between(watermark, Number.POSITIVE_INFINITY)
  }
}

const session = ({ allowed, emission, lateness }: Settings, gap: number): Reference => {
  /** Not closed. */
  let taken: Array<Reading> = []
  /** Told in their present shape, by the ids they hold. */
  const told = new Set<string>()
  /** Events that were told, for those who want but the new ones. */
  const spent = new Set<number>()
  let watermark = -Infinity

  const sessionsOf = (key: string | undefined): ReadonlyArray<ReadonlyArray<Reading>> => {
    const sessions: Array<Array<Reading>> = []
    for (const reading of taken.filter((other) => other.key === key).sort((a, b) => a.at - b.at)) {
      const last = sessions.at(-1)
      if (last !== undefined && reading.at - last.at(-1)!.at <= gap) last.push(reading)
      else sessions.push([reading])
    }
    return sessions
  }
  const endOf = (session: ReadonlyArray<Reading>) => session.at(-1)!.at + gap
  const nameOf = (session: ReadonlyArray<Reading>) => idsOf(session).join()
  const line = (
    tag: "Result" | "Retraction",
    session: ReadonlyArray<Reading>,
    ids: ReadonlyArray<number>,
    update: boolean
  ): Told => of(tag, session[0]!.key, session[0]!.at, endOf(session), ids, update)
  /** What it would be told as now. */
  const resultOf = (session: ReadonlyArray<Reading>): Told => {
    const fresh = idsOf(session).filter((id) => emission !== "discarding" || !spent.has(id))
    return line("Result", session, fresh, session.some(({ id }) => spent.has(id)))
  }
  const tell = (session: ReadonlyArray<Reading>): Told => {
    told.add(nameOf(session))
    const result = resultOf(session)
    for (const { id } of session) spent.add(id)
    return result
  }

  const time = (to: number): ReadonlyArray<Told> => {
    watermark = Math.max(watermark, to)
    const all = [...new Set(taken.map(({ key }) => key))].flatMap(sessionsOf)
    const complete = all.filter((session) => endOf(session) <= watermark)
    const fresh = complete.filter((session) => !told.has(nameOf(session))).sort((a, b) => endOf(a) - endOf(b))
    const results = fresh.map(tell)
    const closed = new Set(complete.filter((session) => endOf(session) + allowed <= watermark).flat())
    taken = taken.filter((reading) => !closed.has(reading))
    return results
  }

  return {
    event: (reading) => {
      const next = () => time(reading.at - lateness - 1)
      if (reading.key === undefined) return next()
      const before = sessionsOf(reading.key)
      const touched = before.filter((session) => session[0]!.at - gap <= reading.at && endOf(session) >= reading.at)
      if (touched.length === 0 && reading.at + gap + allowed <= watermark) return [["Late", reading.id], ...next()]
      const retracted = emission === "retracting"
        ? touched.filter((session) => told.has(nameOf(session))).map((session) =>
          line("Retraction", session, idsOf(session), false)
        )
        : []
      taken.push(reading)
      const now = sessionsOf(reading.key).find((session) => session.includes(reading))!
      return [...retracted, ...(endOf(now) <= watermark ? [tell(now)] : []), ...next()]
    },
    time,
    open: () =>
      [...new Set(taken.map(({ key }) => key))].flatMap(sessionsOf).filter((session) => !told.has(nameOf(session)))
        .map(resultOf)
  }
}

const counted = ({ every, size }: Extract<Window.Shape, { readonly _tag: "Count" }>): Reference => {
  const keys = new Map<string, Array<Reading>>()
  return {
    event: (reading) => {
      if (reading.key === undefined) return []
      const all = keys.get(reading.key) ?? []
      keys.set(reading.key, all)
      all.push(reading)
      const start = all.length - size
      return start >= 0 && start % every === 0
        ? [of("Result", reading.key, start, all.length, idsOf(all.slice(start)))]
        : []
    },
    time: () => [],
    open: () =>
      [...keys].flatMap(([key, all]) =>
        all.flatMap((_, start) =>
          start % every === 0 && start + size > all.length
            ? [of("Result", key, start, start + size, idsOf(all.slice(start)))]
            : []
        )
      )
  }
}
