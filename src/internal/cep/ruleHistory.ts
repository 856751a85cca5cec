import * as Schema from "effect/Schema"
import * as Matcher from "../../cep/Matcher.ts"
import * as Pattern from "../../cep/Pattern.ts"
import * as Interest from "./interest.ts"

/** What a rule of the last events is made of: the number of the event takes the place of its time. */
export interface History<Ev> {
  readonly matcher: Matcher.Matcher<any, Ev>
  readonly keyBy: ((event: Ev) => string | undefined) | undefined
  readonly timestamp: ((event: Ev) => number) | undefined
  /** The number of the event that is being pushed. */
  readonly clock: { now: number }
}

export const make = <Ev>(
  pattern: Pattern.Pattern<any, Ev>,
  { keyBy, lateness, timestamp, ...options }: Matcher.Options<Ev>,
  last: number
): History<Ev> => {
  if (Interest.isTimed(pattern.definition) || lateness !== undefined) {
    throw new Pattern.InvalidPattern({
      step: "the pattern",
      reason: "duration",
      problem: "asks for time, but the rule counts: it takes either the last events or those within a time"
    })
  }
  const clock = { now: 0 }
  const matcher = Matcher.make(Pattern.within(last)(pattern), { ...options, timestamp: () => clock.now })
  return { matcher, keyBy, timestamp, clock }
}

interface Counts {
  events: number
  unkeyed: number
  matches: number
  overflowed: number
  timedOut: number | undefined
}

export interface Snapshot {
  readonly fingerprint: string
  readonly failed: boolean
  readonly counts: Counts
  readonly keys: ReadonlyArray<readonly [key: string, seen: number, session: Matcher.Snapshot]>
}

export const SnapshotOf = <Ev, I>(events: Schema.Schema<Ev, I>): Schema.Schema<Snapshot, any> =>
  Schema.Struct({
    fingerprint: Schema.String,
    failed: Schema.Boolean,
    counts: Schema.mutable(Schema.Struct({
      events: Schema.Number,
      unkeyed: Schema.Number,
      matches: Schema.Number,
      overflowed: Schema.Number,
      timedOut: Schema.UndefinedOr(Schema.Number)
    })),
    keys: Schema.Array(Schema.Tuple(Schema.String, Schema.Number, Matcher.SnapshotOf(events)))
  }) as Schema.Schema<any, any>

interface Keyed<Ev> {
  seen: number
  readonly session: Matcher.Session<any, Ev>
}

/**
 * Matches whose events lie among the last so many of their key: a matcher for each key, whose time is the number of the event.
 * A key of which nothing is about to match is forgotten, and counts from the beginning when it comes again, which is the same.
 */
export const open = <Ev>(
  { clock, keyBy, matcher, timestamp }: History<Ev>,
  from?: Snapshot
): Pick<Matcher.Session<any, Ev>, "push" | "advance" | "partialMatches" | "stats"> & {
  readonly snapshot: () => Snapshot
} => {
  /** Of those that were forgotten, and of no key. */
  const gone: Counts = { events: 0, unkeyed: 0, matches: 0, overflowed: 0, timedOut: 0, ...from?.counts }
  const keys = new Map<string, Keyed<Ev>>(
    from?.keys.map(([key, seen, session]) => [key, { seen, session: Matcher.open(matcher, session) }])
  )
  let failed = from?.failed ?? false
  let alive = 0
  for (const { session } of keys.values()) alive += session.stats().partialMatches
  let most = alive

  const add = (counts: Counts, { events, matches, overflowed, timedOut }: Matcher.Stats): Counts => {
    counts.events += events
    counts.matches += matches
    counts.overflowed += overflowed
    counts.timedOut = timedOut === undefined || counts.timedOut === undefined ? undefined : counts.timedOut + timedOut
    return counts
  }

  const one = (event: Ev): ReadonlyArray<Matcher.Output<any, Ev>> => {
    const key = keyBy === undefined ? "" : keyBy(event)
    if (key === undefined) {
      gone.events++
      gone.unkeyed++
      return []
    }
    const known = keys.get(key)
    const keyed = known ?? { seen: 0, session: Matcher.open(matcher) }
    clock.now = keyed.seen++
    alive -= known === undefined ? 0 : keyed.session.stats().partialMatches
    const outputs = keyed.session.push([event])
    const stats = keyed.session.stats()
    alive += stats.partialMatches
    most = Math.max(most, alive)
    if (stats.partialMatches > 0) keys.set(key, keyed)
    else {
      keys.delete(key)
      add(gone, stats)
    }
    return outputs.map((output) => {
      if (output._tag === "Late") return output
      if (output._tag === "Failed") failed = true
      return "time" in output && timestamp !== undefined
        ? { ...output, key, time: timestamp(event) }
        : { ...output, key }
    })
  }

  return {
    push: (events) => Array.from(events).flatMap((event) => failed ? [] : one(event)),
    advance: () => [],
    partialMatches: (limit) => {
      const found: Array<Matcher.PartialMatch<Ev>> = []
      for (const [key, { session }] of keys) {
        for (const { awaits, events } of session.partialMatches(limit)) {
          if (limit !== undefined && found.length >= limit) return found
          found.push({
            key,
            awaits,
            events: timestamp === undefined
              ? events
              : events.map((taken) => ({ ...taken, time: timestamp(taken.event) }))
          })
        }
      }
      return found
    },
    snapshot: () => ({
      fingerprint: matcher.fingerprint,
      failed,
      counts: { ...gone },
      keys: Array.from(keys, ([key, { seen, session }]) => [key, seen, session.snapshot()] as const)
    }),
    stats: () => {
      const counts = { ...gone }
      for (const { session } of keys.values()) add(counts, session.stats())
      return { ...counts, late: 0, partialMatches: alive, mostPartialMatches: most, keys: keys.size }
    }
  }
}
