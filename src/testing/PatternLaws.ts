/**
 * The laws that every pattern keeps, as properties to run on your own patterns; and random patterns to run them with.
 *
 * @since 0.1.0
 */
import * as FastCheck from "effect/FastCheck"
import * as Matcher from "../cep/Matcher.ts"
import type * as Pattern from "../cep/Pattern.ts"
import type * as Event from "../event/Event.ts"
import * as Faults from "../internal/faults.ts"
import * as Cases from "../internal/testing/patternCases.ts"
import * as Arbitraries from "./Arbitraries.ts"
import * as Law from "./Law.ts"
import * as PatternOracle from "./PatternOracle.ts"

// ------------------------------------------------------------------------------------------------------------- models

/**
 * The events of random patterns: four tags, a number, and when it happened.
 *
 * @since 0.1.0
 * @category models
 */
export interface Letter extends Cases.Letter {}

/**
 * A pattern, events in order of time, and how far time goes on after the last one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Case<Ev> extends Cases.Case<Ev> {}

// -------------------------------------------------------------------------------------------------------- arbitraries

/**
 * Random legal patterns over random events: every construct, alone and inside of others, with conditions as data.
 *
 * @since 0.1.0
 * @category arbitraries
 */
export const cases: FastCheck.Arbitrary<Case<Letter>> = Cases.cases

/**
 * The same, as far as partial matches are held as sets.
 *
 * @since 0.1.0
 * @category arbitraries
 */
export const setCases: FastCheck.Arbitrary<Case<Letter>> = Cases.setCases

/**
 * A case as a program that can be run: what a broken law prints.
 *
 * @since 0.1.0
 * @category conversions
 */
export const print: (one: Case<any>) => string = Cases.print

// --------------------------------------------------------------------------------------------------------------- laws

/** What is reported, and where; both sides in one form. */
interface Told {
  readonly matches: ReadonlyArray<string>
  readonly timedOut: ReadonlyArray<string>
  readonly failed: boolean
}

type Listed = ReadonlyArray<readonly [step: string, index: number]>

const line = (events: Listed, at: number | undefined): string =>
  `${events.map(([step, index]) => `${step}:${index}`).join(" ")} @ ${at ?? "end"}`

const oracle = <Ev extends { readonly _tag: string }>(
  { end, events, pattern }: Case<Ev>,
  timestamp: (event: Ev) => number
): Told => {
  const { matches, missed, timedOut } = PatternOracle.run(pattern, events, { timestamp, end })
  return {
    matches: matches.map(({ events, reportedAt }) => line(events, reportedAt)),
    timedOut: timedOut.map(({ events, reportedAt }) => line(events, reportedAt)).sort(),
    failed: missed !== undefined
  }
}

const listed = <Ev>(events: ReadonlyArray<Matcher.Taken<Ev>>): Listed => events.map(({ index, step }) => [step, index])

/** How partial matches are kept before the rest and after it; as the engine chooses unless told. */
type Tiers = readonly ["runs" | undefined, "runs" | undefined]

/** The engine, an event at a time, or with a rest at one of them, when all that it is is stored and read again. */
const engine = <Ev>(
  { end, events, pattern }: Case<Ev>,
  timestamp: (event: Ev) => number,
  options: { readonly timedOut: boolean; readonly rest: number; readonly tiers: Tiers }
): Told => {
  const [before, after] = options.tiers
  const make = (tier: "runs" | undefined) => Matcher.make(pattern, { timestamp, timedOut: options.timedOut, tier })
  const matcher = make(before)
  let session = Matcher.open(matcher)
  const matches: Array<string> = []
  const timedOut: Array<string> = []
  let failed = false
  const tell = (outputs: ReadonlyArray<Matcher.Output<any, Ev>>, at: number | undefined) => {
    for (const output of outputs) {
      if (output._tag === "Matches") {
        const all = [...output.matches]
        if (all.length !== output.matches.count) matches.push(`counted ${output.matches.count}, not ${all.length}`)
        for (const { events } of all) matches.push(line(listed(events), at))
        const [first] = all
        if (first !== undefined && line(listed(output.matches.first.events), at) !== line(listed(first.events), at)) {
          matches.push("the first is not the first")
        }
      } else if (output._tag === "TimedOut") timedOut.push(line(listed(output.events), at))
      else if (output._tag === "Failed") failed = true
    }
  }
  for (const [at, event] of events.entries()) {
    if (at === options.rest) {
      session = Matcher.open(after === before ? matcher : make(after), structuredClone(session.snapshot()))
    }
    tell(session.push([event]), at)
  }
  tell(session.advance(end), undefined)
  return { matches, timedOut: timedOut.sort(), failed }
}

/**
 * The engine answers what the oracle does: the same matches in the same order at the same events, the same partial matches
 * timed out, also with a rest in between when its snapshot is stored and read. Where partial matches are held as sets, they are
 * also kept one by one, all the time or from the rest on.
 *
 * @example
 * ```ts
 * import * as Law from "effect-skald/testing/Law"
 * import * as PatternLaws from "effect-skald/testing/PatternLaws"
 *
 * const program = Law.check(PatternLaws.engineIsOracle({ cases: PatternLaws.cases, timestamp: ({ at }) => at }))
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const engineIsOracle = <Ev extends { readonly _tag: string }>(options: {
  readonly cases: FastCheck.Arbitrary<Case<Ev>>
  readonly timestamp: (event: Ev) => number
  /** Whether the partial matches that time out are compared, which are kept one by one then; drawn when not given. */
  readonly timedOut?: boolean | undefined
}): Law.Law =>
  Law.make(
    "engine = oracle",
    {
      one: options.cases,
      rest: FastCheck.nat(8),
      timedOut: options.timedOut === undefined ? FastCheck.boolean() : FastCheck.constant(options.timedOut)
    },
    ({ one, rest, timedOut }) => {
      const expected = oracle(one, options.timestamp)
      const { tier } = Matcher.make(one.pattern, { timestamp: options.timestamp, timedOut })
      const ways: ReadonlyArray<Tiers> = tier.name === "runs"
        ? [[undefined, undefined]]
        : [[undefined, undefined], rest % 2 === 0 ? ["runs", "runs"] : [undefined, "runs"]]
      for (const tiers of ways) {
        const actual = engine(one, options.timestamp, { timedOut, rest, tiers })
        const same = JSON.stringify(actual.matches) === JSON.stringify(expected.matches) &&
          actual.failed === expected.failed &&
          (!timedOut || JSON.stringify(actual.timedOut) === JSON.stringify(expected.timedOut))
        if (!same) return { case: print(one), tiers, engine: actual, oracle: expected }
      }
      return undefined
    }
  )

/**
 * What the laws of a pattern of your own are tried on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Ev> {
  /** When an event happened, in milliseconds. */
  readonly timestamp: (event: Ev) => number
  /**
   * Events that it is to be tried on, where ids must agree for anything to match; they are put into the order of their times. Up
   * to {@link defaultMaxEvents}, drawn from the Schemas of the types that it names, when not given.
   */
  readonly events?: FastCheck.Arbitrary<ReadonlyArray<Ev>> | undefined
}

/**
 * The most events of a case; the oracle tries all of their combinations.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaultMaxEvents = 9

/**
 * All laws of a pattern, without keys:
 *
 * - some cases match: the other laws are not kept for want of them;
 * - the engine answers what the oracle does, also with a rest in between;
 * - how events are cut into chunks does not matter.
 *
 * Throws `InvalidInput` where there are neither `events` nor types that the pattern names.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import * as Law from "effect-skald/testing/Law"
 * import * as PatternLaws from "effect-skald/testing/PatternLaws"
 * import { Schema } from "effect"
 *
 * const Asked = Event.make("Asked", { at: Schema.Int })
 * const Answered = Event.make("Answered", { at: Schema.Int })
 * const late = Pattern.begin("asked", Asked).pipe(Pattern.notFollowedBy(Answered), Pattern.within("1 hour"))
 *
 * const program = Law.check(PatternLaws.laws(late, { timestamp: ({ at }) => at }))
 * ```
 *
 * @since 0.1.0
 * @category laws
 */
export const laws = <B, Ev extends { readonly _tag: string }>(
  pattern: Pattern.Pattern<B, Ev>,
  { events, timestamp }: Options<NoInfer<Ev>>
): ReadonlyArray<Law.Law> => {
  const time = pattern.definition.within ?? 0
  const cases = (events ?? drawn(pattern)).map((some): Case<Ev> => {
    const inOrder = some.slice().sort((left, right) => timestamp(left) - timestamp(right))
    const end = inOrder.length === 0 ? 0 : timestamp(inOrder.at(-1)!) + time
    return { pattern, events: inOrder, end }
  })
  return [
    Law.make("some cases match", { one: cases }, ({ one }) => {
      FastCheck.pre(oracle(one, timestamp).matches.length > 0)
      return undefined
    }),
    engineIsOracle({ cases, timestamp }),
    Law.make("chunks do not matter", { one: cases, size: FastCheck.integer({ min: 2, max: 5 }) }, ({ one, size }) => {
      const [single, chunked] = [1, size].map((size) => JSON.stringify(pushed(one, timestamp, size)))
      return single === chunked ? undefined : { events: one.events, size, single, chunked }
    })
  ]
}

const drawn = <Ev>({ events }: Pattern.Pattern<any, Ev>): FastCheck.Arbitrary<ReadonlyArray<Ev>> => {
  if (events === undefined || events.length === 0) {
    throw Faults.invalid("events", "must be given: the pattern does not tell which types it names")
  }
  const one = FastCheck.oneof(...events.map((event: Event.Any) => Arbitraries.of(event)))
  return FastCheck.array(one, { maxLength: defaultMaxEvents })
}

/** The events of all matches, pushed in chunks of a size. */
const pushed = <Ev>(
  { end, events, pattern }: Case<Ev>,
  timestamp: (event: Ev) => number,
  size: number
): ReadonlyArray<Listed> => {
  const session = Matcher.open(Matcher.make(pattern, { timestamp }))
  const outputs: Array<Matcher.Output<any, Ev>> = []
  for (let at = 0; at < events.length; at += size) outputs.push(...session.push(events.slice(at, at + size)))
  outputs.push(...session.advance(end))
  return outputs.flatMap((output) =>
    output._tag === "Matches" ? Array.from(output.matches, ({ events }) => listed(events)) : []
  )
}
