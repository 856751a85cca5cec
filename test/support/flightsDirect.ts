/** The report of the flights job once more, by nothing but loops over the records. */
import * as fs from "node:fs"
import * as Names from "../../examples/flights/Names.ts"

export interface Line {
  readonly date: string
  readonly delay: number
  readonly origin: string
  readonly destination: string
}

let all: ReadonlyArray<Line> | undefined

export const data = (): ReadonlyArray<Line> => all ??= JSON.parse(fs.readFileSync(Names.flights(), "utf8"))

const known = new Map<string, number>()

export const minutes = ({ date }: Pick<Line, "date">): number => {
  const minute = known.get(date)
  if (minute !== undefined) return minute
  const [year = 0, month = 0, day = 0, hour = 0, minuteOfHour = 0] = date.split(/\D/).map(Number)
  known.set(date, Date.UTC(year, month - 1, day, hour, minuteOfHour) / 60_000)
  return minutes({ date })
}

const isLate = ({ delay }: Line) => delay >= 15

const dayOf = ({ date }: Line) => date.slice(0, 10).replaceAll("/", "-")

const by = <L extends Line>(lines: ReadonlyArray<L>, key: (line: L) => string) => {
  const groups: Record<string, Array<L>> = {}
  for (const line of lines) (groups[key(line)] ??= []).push(line)
  return Object.entries(groups).sort(([a], [b]) => a < b ? -1 : 1)
}

/** What became of one airport: when it was disrupted, and when it recovered. */
export const walk = (lines: ReadonlyArray<Line>) => {
  const disruptions: Array<number> = []
  const recoveries: Array<number> = []
  let since = 0
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!
    if (disruptions.length === recoveries.length) {
      const near = lines.slice(since, index + 1).filter((other) =>
        other.delay >= 30 && minutes(line) - minutes(other) < 180
      )
      if (line.delay < 30 || near.length < 3) continue
      disruptions.push(minutes(line))
      since = index + 1
    } else if (index - since >= 2 && lines.slice(index - 2, index + 1).every(({ delay }) => delay < 15)) {
      recoveries.push(minutes(line))
      since = index + 1
    }
  }
  return { disruptions, recoveries }
}

const iso = (minute: number) => new Date(minute * 60_000).toISOString()

/** A number from 0 to 99 that is made of a text. */
const percentile = (text: string) => {
  let hash = 2_166_136_261n
  for (const byte of Buffer.from(text)) hash = (hash ^ BigInt(byte)) * 16_777_619n % 4_294_967_296n
  return Number(hash % 100n)
}

/** What the desk does with a notice. */
const moodOf = (tag: string, airport: string, minute: number) => {
  const number = percentile(`${tag} ${airport} ${iso(minute)}`)
  return number < 3 ? "refused" : number < 8 ? "closed" : number < 25 ? "busy" : "open"
}

const deskOf = (lines: ReadonlyArray<Line>) => {
  const moods = by(lines, ({ origin }) => origin).flatMap(([code, flights]) => {
    const { disruptions, recoveries } = walk(flights)
    return [
      ...disruptions.map((minute) => moodOf("AirportDisrupted", code, minute)),
      ...recoveries.map((minute) => moodOf("AirportRecovered", code, minute))
    ]
  })
  const count = (...of: ReadonlyArray<string>) => moods.filter((mood) => of.includes(mood)).length
  return {
    delivered: count("open", "busy", "closed"),
    retried: count("busy", "closed"),
    deadLettered: count("closed", "refused"),
    reprocessed: count("closed")
  }
}

/** What each disruption asks for, one after the other, of what its airport has. */
const recoveryOf = (lines: ReadonlyArray<Line>) => {
  const sizes = { crews: 4, gates: 3, rooms: 90 }
  const names = ["crews", "gates", "rooms"] as const
  const held = { crews: 0, gates: 0, rooms: 0 }
  let airports = 0
  let committed = 0
  let compensated = 0
  let retried = 0
  for (const [code, flights] of by(lines, ({ origin }) => origin)) {
    const { disruptions } = walk(flights)
    if (disruptions.length > 0) airports++
    const left = { ...sizes }
    for (const minute of disruptions) {
      const purpose = `${code} ${iso(minute)}`
      const needed = { crews: 1, gates: 1, rooms: 10 + percentile(purpose) % 31 }
      const failing = names.find((name) => {
        const number = percentile(`${name} ${purpose}`)
        if (number >= 5 && number < 30) retried++
        return number < 9 || needed[name] > left[name]
      })
      if (failing === undefined) {
        committed++
        for (const name of names) {
          left[name] -= needed[name]
          held[name] += needed[name]
        }
      } else compensated++
    }
  }
  return {
    committed,
    compensated,
    retried,
    pools: names.map((pool) => {
      const size = sizes[pool] * airports
      return { pool, size, held: held[pool], free: size - held[pool] }
    }),
    balanced: true
  }
}

/** All departures in the order of time, those of one minute by airport, and those of one airport as they stand. */
const inOrder = (lines: ReadonlyArray<Line>) =>
  lines.map((line) => ({ ...line, at: minutes(line) }))
    .sort((a, b) => a.at - b.at || (a.origin < b.origin ? -1 : a.origin > b.origin ? 1 : 0))

/**
 * Of each airport every run of three departures or more, all of them late, that begin and end within less than two hours; then the
 * first late departure of an airport that one of the run flew to, and the first one after it of another such airport, both less
 * than three hours after the run.
 */
const knockOnsOf = (lines: ReadonlyArray<Line>) => {
  const all = inOrder(lines)
  const days: Record<string, Set<string>> = {}
  let matches = 0
  for (const [code, own] of by(all.map((line, place) => ({ ...line, place })), ({ origin }) => origin)) {
    for (let first = 0; first < own.length; first++) {
      for (let last = first; last < own.length; last++) {
        const run = own.slice(first, last + 1)
        const begin = own[first]!
        const end = own[last]!
        if (!isLate(end) || end.at - begin.at >= 120) break
        if (run.length < 3) continue
        const after: Array<string> = []
        for (let place = end.place + 1; place < all.length && all[place]!.at - end.at < 180; place++) {
          const line = all[place]!
          const isHit = isLate(line) && run.some(({ destination }) => destination === line.origin)
          if (isHit && !after.includes(line.origin)) after.push(line.origin)
        }
        const [one, other] = after
        if (one === undefined || other === undefined) continue
        matches++
        const day = days[`${dayOf(begin)} ${code}`] ??= new Set()
        day.add(one).add(other)
      }
    }
  }
  return {
    matches,
    days: Object.entries(days).sort(([a], [b]) => a < b ? -1 : 1).map(([key, hit]) => ({
      day: key.slice(0, 10),
      airport: key.slice(11),
      hit: [...hit].sort()
    })),
    mostPartialMatches: mostPartialMatches(all)
  }
}

/** A run of late departures, with the airport that was hit first if there is one. */
interface Partial {
  readonly run: ReadonlyArray<Line & { readonly at: number }>
  readonly hit: string | undefined
  /** Whether the run itself may go on: neither has a punctual departure of its airport come, nor a late one taken it further. */
  growing: boolean
  /** Whether an airport that it flew to may still be hit. */
  hitting: boolean
}

/** How many beginnings of matches there are at once that the next event may take further, at most. */
const mostPartialMatches = (all: ReturnType<typeof inOrder>) => {
  let partial: Array<Partial> = []
  let most = 0
  for (const line of all) {
    const next: Array<Partial> = []
    for (const one of partial) {
      const { hit, run } = one
      const begin = run[0]!
      const end = run[run.length - 1]!
      if (line.at - begin.at >= 300) continue
      if (line.at - end.at >= 180 && hit === undefined) one.hitting = false
      if (one.growing && line.origin === begin.origin && (!isLate(line) || line.at - begin.at < 120)) {
        one.growing = false
        if (isLate(line)) next.push({ run: [...run, line], hit: undefined, growing: true, hitting: run.length >= 2 })
      }
      const isHit = isLate(line) && line.at - end.at < 180 && line.origin !== hit &&
        run.some(({ destination }) => destination === line.origin)
      if (one.hitting && isHit) {
        one.hitting = false
        if (hit === undefined) next.push({ run, hit: line.origin, growing: false, hitting: true })
      }
      if (one.growing || one.hitting) next.push(one)
    }
    if (isLate(line)) next.push({ run: [line], hit: undefined, growing: true, hitting: false })
    partial = next
    most = Math.max(most, partial.length)
  }
  return most
}

/** For each airport and full hour the departures of the six hours that begin with it. */
const stretchesOf = (lines: ReadonlyArray<Line>) => {
  let windows = 0
  const poor: Array<{ airport: string; from: number; departures: number; late: number }> = []
  for (const [airport, flights] of by(lines, ({ origin }) => origin)) {
    const hours = new Set(flights.flatMap((line) => {
      const hour = Math.floor(minutes(line) / 60)
      return [0, 1, 2, 3, 4, 5].map((back) => hour - back)
    }))
    windows += hours.size
    const times = flights.map((line) => ({ at: minutes(line), late: isLate(line) }))
    for (const hour of hours) {
      const within = times.filter(({ at }) => at >= hour * 60 && at < hour * 60 + 360)
      const late = within.filter((flight) => flight.late).length
      if (within.length >= 5 && late * 2 >= within.length) {
        poor.push({ airport, from: hour * 60, departures: within.length, late })
      }
    }
  }
  const rank = (of: typeof poor) =>
    of.sort((a, b) => b.late / b.departures - a.late / a.departures || b.late - a.late || a.from - b.from)
  // those of one airport are together and in the order of their codes, and sorting keeps that among equals
  const poorest = rank(
    [...new Set(poor.map(({ airport }) => airport))].flatMap((code) =>
      rank(poor.filter(({ airport }) => airport === code)).slice(0, 1)
    )
  )
  return {
    windows,
    poor: poor.length,
    poorest: poorest.slice(0, 5).map((each) => ({ ...each, from: iso(each.from) }))
  }
}

/** For each disruption the flights to its airport that had left up to two hours before. */
const inboundOf = (lines: ReadonlyArray<Line>) => {
  const flights = by(lines, ({ origin }) => origin).flatMap(([code, own]) =>
    walk(own).disruptions.map((minute) =>
      lines.filter((line) => line.destination === code && minutes(line) <= minute && minute - minutes(line) <= 120)
        .length
    )
  )
  return {
    flights: flights.reduce((sum, each) => sum + each, 0),
    most: Math.max(0, ...flights),
    unmet: flights.filter((each) => each === 0).length
  }
}

/** The whole report. */
export const computed = (lines: ReadonlyArray<Line>) => {
  const airports = by(lines, ({ origin }) => origin).map(([code, flights]) => ({
    code,
    departures: flights.length,
    meanDelay: flights.reduce((sum, { delay }) => sum + delay, 0) / flights.length,
    disruptions: walk(flights).disruptions.length,
    recoveries: walk(flights).recoveries.length
  }))
  return {
    flights: lines.length,
    events: airports.reduce((sum, each) => sum + each.departures + each.disruptions + each.recoveries, 0),
    airports,
    days: by(lines, dayOf).map(([day, flights]) => ({
      day,
      departures: flights.length,
      late: flights.filter(isLate).length
    })),
    desk: deskOf(lines),
    recovery: recoveryOf(lines),
    knockOns: knockOnsOf(lines),
    stretches: stretchesOf(lines),
    inbound: inboundOf(lines)
  }
}
