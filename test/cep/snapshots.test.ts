import { assert, describe, it } from "@effect/vitest"
import { FastCheck, Schema } from "effect"
import * as Matcher from "effect-skald/cep/Matcher"
import * as PatternLaws from "effect-skald/testing/PatternLaws"

/** A rest at every place of every sequence, through JSON text: what comes after it is what comes without it. */

type Letter = PatternLaws.Letter
const Letter: Schema.Schema<Letter> = Schema.Struct({
  _tag: Schema.Literal("A", "B", "C", "D"),
  x: Schema.Number,
  at: Schema.Number
})
const snapshots = Matcher.SnapshotOf(Letter)
const throughText = (snapshot: Matcher.Snapshot): Matcher.Snapshot =>
  Schema.decodeUnknownSync(snapshots)(JSON.parse(JSON.stringify(Schema.encodeSync(snapshots)(snapshot))))

const lines = (outputs: ReadonlyArray<Matcher.Output<any, Letter>>): ReadonlyArray<string> =>
  outputs.flatMap((output) => {
    const shown = (events: ReadonlyArray<Matcher.Taken<Letter>>) =>
      events.map(({ event, index, step, time }) => `${step}:${event._tag}${index}@${time}`).join(" ")
    switch (output._tag) {
      case "Matches":
        return [
          `${output.key}@${output.time}: ${output.matches.count}`,
          ...Array.from(output.matches, ({ events }) => shown(events))
        ]
      case "Late":
        return [`late ${JSON.stringify(output.event)}`]
      default:
        return [`${output._tag} ${output.key}: ${shown(output.events)}`]
    }
  })

const lived = (session: Matcher.Session<any, Letter>): ReadonlyArray<string> =>
  session.partialMatches().map(({ awaits, events, key }) =>
    `${key} ${events.map(({ index, step }) => `${step}${index}`).join()}: ${[...awaits].sort().join()}`
  ).sort()

/** The most that was held is what this session held, and no more is said of it. */
const counted = ({ mostPartialMatches: _, ...stats }: Matcher.Stats) => stats

interface Tried {
  readonly one: PatternLaws.Case<Letter>
  readonly options: Matcher.Options<Letter>
  /** How far events come behind their time, and after which of them time is told. */
  readonly delays: ReadonlyArray<number>
  readonly told: number
}

const tried = (cases: FastCheck.Arbitrary<PatternLaws.Case<Letter>>): FastCheck.Arbitrary<Tried> =>
  FastCheck.record({
    one: cases,
    keyed: FastCheck.boolean(),
    lateness: FastCheck.constantFrom(0, 0, 3),
    timedOut: FastCheck.boolean(),
    cap: FastCheck.constantFrom(undefined, undefined, 2, 5),
    onOverflow: FastCheck.constantFrom<Matcher.OverflowPolicy>("fail", "dropOldest", "dropNewest"),
    delays: FastCheck.array(FastCheck.nat(4), { minLength: 9, maxLength: 9 }),
    told: FastCheck.nat(12)
  }).map(({ cap, delays, keyed, lateness, onOverflow, one, timedOut, told }) => ({
    one,
    options: {
      timestamp: ({ at }) => at,
      ...keyed && { keyBy: ({ x }) => x === 2 ? undefined : `k${x}` },
      ...lateness > 0 && { lateness },
      ...timedOut && { timedOut },
      ...cap !== undefined && { maxPartialMatches: cap * 2, maxPartialMatchesPerKey: cap, onOverflow }
    },
    delays,
    told
  }))

const check = ({ delays, one, options, told }: Tried, tier: "sets" | "runs" | undefined): boolean => {
  const matcher = Matcher.make(one.pattern, options)
  if (tier !== undefined && matcher.tier.name !== tier) return false
  const events = one.events.map((event, at) => ({ event, seen: event.at + (delays[at] ?? 0) }))
    .sort((left, right) => left.seen - right.seen)
  const steps = events.map(({ event }, at) => (session: Matcher.Session<any, Letter>): ReadonlyArray<string> => [
    ...lines(session.push([event])),
    ...at === told ? lines(session.advance(event.at + 1)) : []
  ])
  steps.push((session) => lines(session.advance(one.end)))
  const whole = Matcher.open(matcher)
  const expected = steps.map((step) => step(whole).join("\n"))
  for (let rest = 0; rest <= steps.length; rest++) {
    const before = Matcher.open(matcher)
    for (const step of steps.slice(0, rest)) step(before)
    const after = Matcher.open(matcher, throughText(before.snapshot()))
    assert.deepStrictEqual(counted(after.stats()), counted(before.stats()), `stats at ${rest}`)
    assert.deepStrictEqual(lived(after), lived(before), `partial matches at ${rest}`)
    assert.deepStrictEqual(
      steps.slice(rest).map((step) => step(after).join("\n")),
      expected.slice(rest),
      `after ${rest}`
    )
    assert.deepStrictEqual(counted(after.stats()), counted(whole.stats()), `stats in the end, after ${rest}`)
    assert.deepStrictEqual(lived(after), lived(whole), `partial matches in the end, after ${rest}`)
  }
  return true
}

describe("Matcher: a rest anywhere makes no difference", () => {
  it("to partial matches kept one by one, of every construct, with keys, lateness, time-outs and caps", () => {
    let runs = 0
    FastCheck.assert(
      FastCheck.property(tried(PatternLaws.cases), (one) => {
        if (check({ ...one, options: { ...one.options, tier: "runs" } }, undefined)) runs++
      }),
      { numRuns: 40, seed: 71 }
    )
    assert.strictEqual(runs, 40)
  })

  it("to partial matches held as sets", () => {
    let sets = 0
    FastCheck.assert(
      FastCheck.property(tried(PatternLaws.setCases), ({ options: { timedOut: _, ...options }, ...one }) => {
        if (check({ ...one, options }, "sets")) sets++
      }),
      { numRuns: 40, seed: 72 }
    )
    assert.strictEqual(sets, 40)
  })
})
