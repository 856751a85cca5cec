/**
 * Finds the matches of a pattern in a stream of events: plain synchronous code over chunks, for many keys, in event time.
 *
 * `docs/patterns.md` says what matches; `effect-skald/testing/PatternOracle` says it as a program, and this engine is tested
 * against it. A matcher is a value; `open` starts it, `machine` makes it a `Machine`, for streams, snapshots and
 * composition.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { Fault, InvalidInput } from "../event/InvalidInput.ts"
import type * as Machine from "../event/Machine.ts"
import * as Compile from "../internal/cep/compile.ts"
import * as Engine from "../internal/cep/engine.ts"
import { fingerprint } from "../internal/cep/fingerprint.ts"
import * as Explain from "../internal/cep/explain.ts"
import { isTimed } from "../internal/cep/interest.ts"
import * as Kept from "../internal/cep/kept.ts"
import { Matches, taken } from "../internal/cep/matchSet.ts"
import * as Snapshots from "../internal/cep/snapshot.ts"
import { tierOf } from "../internal/cep/tier.ts"
import * as MachineInternal from "../internal/event/machine.ts"
import * as Pattern from "./Pattern.ts"

// -------------------------------------------------------------------------------------------------------------- models

/**
 * What to do when there is no room for another partial match: fail, drop the one that is oldest, or the new one.
 *
 * @since 0.1.0
 * @category models
 */
export type OverflowPolicy = "fail" | "dropOldest" | "dropNewest"

/**
 * How many partial matches may wait for one key, unless it is told otherwise: 100,000.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMaxPartialMatchesPerKey = 100_000

/**
 * How many partial matches may wait in all, unless it is told otherwise: 1,000,000.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMaxPartialMatches = 1_000_000

/**
 * How a pattern is to be matched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Ev> {
  /** When an event happened, in milliseconds. Patterns with `within` need it. Without it events are taken as they come. */
  readonly timestamp?: ((event: Ev) => number) | undefined
  /** Which events belong together; each key is matched alone. Events of no key are counted, and match nothing. */
  readonly keyBy?: ((event: Ev) => string | undefined) | undefined
  /** How far behind the newest event another may be and still be put in order; none unless given. */
  readonly lateness?: Duration.DurationInput | undefined
  /** The order of events of the same time; that of arrival unless given. */
  readonly order?: ((left: Ev, right: Ev) => number) | undefined
  /** Whether partial matches whose time is over are told. They are kept one by one then, as `tier: "runs"` has it. */
  readonly timedOut?: boolean | undefined
  /** `runs` keeps partial matches one by one, though they could be held as sets (`explain` says whether they are). */
  readonly tier?: "runs" | undefined
  /** Of partial matches held as sets, caps are on the events taken, which they share. */
  readonly maxPartialMatchesPerKey?: number | undefined
  readonly maxPartialMatches?: number | undefined
  /** `fail` unless given. */
  readonly onOverflow?: OverflowPolicy | undefined
}

/**
 * A pattern with how it is to be matched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Matcher<in out B, in out Ev> {
  readonly pattern: Pattern.Pattern<B, Ev>
  readonly options: Options<Ev>
  /** A name of what the pattern is made of: a snapshot is of one fingerprint. */
  readonly fingerprint: string
  /** Whether partial matches are held as sets or one by one, and why. */
  readonly tier: Tier
}

/**
 * How partial matches are kept: held as sets that share what they have in common, or kept one by one, as runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tier {
  readonly name: "sets" | "runs"
  readonly why: string
}

/**
 * One event of a match.
 *
 * @since 0.1.0
 * @category models
 */
export interface Taken<Ev> {
  readonly step: string
  readonly event: Ev
  /** Its place among all events that the matcher has taken in, from 0. */
  readonly index: number
  readonly time: number
}

/**
 * A match: what it binds, and its events in order.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found<B, Ev> {
  readonly match: B
  readonly events: ReadonlyArray<Taken<Ev>>
}

/**
 * The matches of one key that were completed at one moment, in the documented order; each is made when it is asked for.
 *
 * Where partial matches are held as sets, 10⁸ of them are counted without being made, and the first few are had without the
 * others.
 *
 * @example
 * ```ts
 * import * as Matcher from "effect-skald/cep/Matcher"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Stream } from "effect"
 *
 * const Asked = Event.make("Asked", {})
 * const Answered = Event.make("Answered", {})
 * const session = Matcher.open(
 *   Matcher.make(Pattern.begin("asked", Asked).pipe(Pattern.followedByAny("answered", Answered)))
 * )
 *
 * for (const output of session.push([Asked({}), Asked({}), Answered({})])) {
 *   if (output._tag !== "Matches") continue
 *   console.log(output.matches.count) // 2
 *   const ten = output.matches.stream.pipe(Stream.take(10))
 * }
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface MatchSet<B, Ev> extends Iterable<Found<B, Ev>> {
  /** Exact up to 2⁵³. */
  readonly count: number
  readonly first: Found<B, Ev>
  /** All of them, as they are asked for. */
  readonly stream: Stream.Stream<Found<B, Ev>>
}

/**
 * What a matcher answers: matches; a partial match whose time is over; an event that came too late; a partial match for
 * which there was no room; and that it has failed, after which it answers nothing more. An event whose time is no finite
 * number is late, too.
 *
 * It fails when there is no room and the policy is `fail`, or when a skip strategy has nowhere to go; `events` are those of the
 * partial match that was to be added, or of the match after which it was to be skipped.
 *
 * @since 0.1.0
 * @category models
 */
export type Output<B, Ev> =
  | { readonly _tag: "Matches"; readonly key: string; readonly time: number; readonly matches: MatchSet<B, Ev> }
  | {
    readonly _tag: "TimedOut"
    readonly key: string
    readonly time: number
    readonly events: ReadonlyArray<Taken<Ev>>
  }
  | { readonly _tag: "Late"; readonly event: Ev }
  | { readonly _tag: "Overflow"; readonly key: string; readonly events: ReadonlyArray<Taken<Ev>> }
  | {
    readonly _tag: "Failed"
    readonly reason: "skip" | "overflow"
    readonly key: string
    readonly events: ReadonlyArray<Taken<Ev>>
  }

/**
 * What was counted since the matcher first began, and what it holds now.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  readonly events: number
  readonly late: number
  /** Events of no key. */
  readonly unkeyed: number
  readonly matches: number
  /** Partial matches whose time was over; not known where they are held as sets. */
  readonly timedOut: number | undefined
  readonly overflowed: number
  readonly partialMatches: number
  /** The most that this session held at once, as the caps count: partial matches, or the taken events of sets of them. */
  readonly mostPartialMatches: number
  readonly keys: number
}

/**
 * What a matcher is at a position: all that it needs to go on as if it had never stopped.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot extends Kept.Snapshot {
  readonly fingerprint: string
}

/**
 * A matcher at work.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session<B, Ev> {
  /** Takes events in; the chunk may be of any size, which makes no difference to what is answered. */
  readonly push: (events: Iterable<Ev>) => ReadonlyArray<Output<B, Ev>>
  /** Says that time has come to an instant, in milliseconds: what was to happen until then happens, and events at it or before it are late. */
  readonly advance: (time: number) => ReadonlyArray<Output<B, Ev>>
  /** What has begun to match and may still: of each partial match its events so far, oldest first; 10,000 unless more are asked for. */
  readonly partialMatches: (limit?: number) => ReadonlyArray<PartialMatch<Ev>>
  readonly snapshot: () => Snapshot
  readonly stats: () => Stats
}

/**
 * A run of events that may still become a match.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartialMatch<Ev> {
  readonly key: string
  readonly events: ReadonlyArray<Taken<Ev>>
  /** The steps one of which comes next; none while it only waits for its time. */
  readonly awaits: ReadonlyArray<string>
}

/**
 * A snapshot is not of this matcher's pattern.
 *
 * @since 0.1.0
 * @category errors
 */
export class SnapshotMismatch
  extends Schema.TaggedError<SnapshotMismatch>("effect-skald/cep/SnapshotMismatch")("SnapshotMismatch", {
    expected: Schema.String,
    actual: Schema.String
  })
{
  override get message(): string {
    return `the snapshot is of pattern ${this.actual}, not of ${this.expected}`
  }
}

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * A matcher of a pattern.
 *
 * Throws `InvalidPattern` if the pattern is not legal as a whole (`Pattern.check`), and if it asks for time and there is no
 * `timestamp`; and `InvalidInput` for caps that are not whole numbers, 1 or more (or infinite).
 *
 * @example
 * ```ts
 * import * as Matcher from "effect-skald/cep/Matcher"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Cart = Event.make("Cart", { user: Schema.String, at: Schema.Number })
 * const Checkout = Event.make("Checkout", { user: Schema.String, at: Schema.Number })
 * const abandoned = Pattern.begin("cart", Cart).pipe(
 *   Pattern.notFollowedBy(Checkout),
 *   Pattern.within("30 minutes")
 * )
 *
 * const matcher = Matcher.make(abandoned, { timestamp: (event) => event.at, keyBy: (event) => event.user })
 * const session = Matcher.open(matcher)
 * session.push([Cart({ user: "u", at: 0 })]) // []
 * session.advance(1_800_000) // [{ _tag: "Matches", key: "u", … }]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <B, Ev>(pattern: Pattern.Pattern<B, Ev>, options: Options<Ev> = {}): Matcher<B, Ev> => {
  const { definition } = Either.getOrThrowWith(Pattern.check(pattern), (error) => error)
  if (options.timestamp === undefined && isTimed(definition)) {
    throw new Pattern.InvalidPattern({
      step: "the pattern",
      reason: "duration",
      problem: "asks for time, which needs a `timestamp`"
    })
  }
  const faults = (["maxPartialMatchesPerKey", "maxPartialMatches"] as const).flatMap((path) => {
    const cap = options[path]
    return cap === undefined || cap === Number.POSITIVE_INFINITY || (Number.isSafeInteger(cap) && cap > 0)
      ? []
      : [new Fault({ path, problem: `must be a whole number, 1 or more, got ${cap}` })]
  })
  if (Arr.isNonEmptyArray(faults)) throw new InvalidInput({ faults })
  const tier: Tier = options.tier === "runs"
    ? { name: "runs", why: "the options ask for it" }
    : tierOf(definition, { timedOut: options.timedOut === true })
  return { pattern, options, fingerprint: fingerprint(definition), tier }
}

// ---------------------------------------------------------------------------------------------------------- running

/**
 * Starts a matcher, from the beginning or from a snapshot. A snapshot of another pattern throws `SnapshotMismatch`.
 *
 * @since 0.1.0
 * @category runners
 */
export const open = <B, Ev>(self: Matcher<B, Ev>, from: Snapshot = initial(self)): Session<B, Ev> => {
  if (from.fingerprint !== self.fingerprint) {
    throw new SnapshotMismatch({ expected: self.fingerprint, actual: from.fingerprint })
  }
  const { definition } = self.pattern
  const { options } = self
  const program = Compile.compile(definition)
  const engine = new Engine.Engine({
    program,
    tier: self.tier.name,
    timestamp: options.timestamp,
    keyBy: options.keyBy,
    lateness: options.lateness === undefined ? 0 : Duration.toMillis(options.lateness),
    comparator: options.order,
    timedOut: options.timedOut === true,
    maxRunsPerKey: options.maxPartialMatchesPerKey ?? defaultMaxPartialMatchesPerKey,
    maxRuns: options.maxPartialMatches ?? defaultMaxPartialMatches,
    policy: options.onOverflow ?? "fail"
  }, from)
  const told = (outputs: ReadonlyArray<Engine.Output>) =>
    outputs.map((output): Output<B, Ev> => {
      switch (output._tag) {
        case "Matches":
          return {
            _tag: "Matches",
            key: output.key,
            time: output.time,
            matches: new Matches<B, Ev>(program.shapes, output.matches)
          }
        case "Late":
          return output
        default: {
          const { run, ...rest } = output
          return { ...rest, events: taken<Ev>(run) } as Output<B, Ev>
        }
      }
    })
  return {
    push: (events) => told(engine.push(events)),
    advance: (time) => told(engine.advance(time)),
    partialMatches: (limit = 10_000) =>
      Array.from(engine.partial(limit), ({ awaits, key, run }) => ({ key, events: taken<Ev>(run), awaits })),
    snapshot: () => ({ ...engine.snapshot(), fingerprint: self.fingerprint }),
    stats: () => ({
      ...engine.counts,
      timedOut: engine.sets === undefined ? engine.counts.timedOut : undefined,
      partialMatches: engine.runs,
      mostPartialMatches: engine.most,
      keys: engine.keyCount
    })
  }
}

/**
 * A matcher that has seen nothing.
 *
 * @since 0.1.0
 * @category runners
 */
export const initial = (self: Matcher<any, any>): Snapshot => ({ ...Kept.empty, fingerprint: self.fingerprint })

/**
 * What a matcher takes in as a machine: an event, or that time has come to an instant.
 *
 * @since 0.1.0
 * @category models
 */
export type Input<Ev> = { readonly _tag: "Event"; readonly event: Ev } | {
  readonly _tag: "Time"
  readonly time: number
}

/**
 * The matcher as a machine from events to what it answers; its state is the snapshot.
 *
 * @example
 * ```ts
 * import * as Matcher from "effect-skald/cep/Matcher"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import * as Machine from "effect-skald/event/Machine"
 * import { Stream } from "effect"
 *
 * const Asked = Event.make("Asked", {})
 * const Answered = Event.make("Answered", {})
 * const matcher = Matcher.make(Pattern.begin("asked", Asked).pipe(Pattern.followedBy("answered", Answered)))
 *
 * const outputs = Stream.make(Asked({}), Answered({})).pipe(
 *   Stream.map((event) => ({ _tag: "Event" as const, event })),
 *   Machine.toStream(Matcher.machine(matcher))
 * )
 * ```
 *
 * @since 0.1.0
 * @category runners
 */
export const machine = <B, Ev>(self: Matcher<B, Ev>): Machine.Machine<Snapshot, Input<Ev>, Output<B, Ev>> =>
  MachineInternal.fromOpen(initial(self), (state, emit) => {
    const session = open(self, state)
    return {
      push: (input: Input<Ev>) => {
        const outputs = input._tag === "Event" ? session.push([input.event]) : session.advance(input.time)
        for (const output of outputs) emit(output)
      },
      state: session.snapshot
    }
  })

/**
 * Snapshots as they are stored, given a Schema of the events.
 *
 * @example
 * ```ts
 * import * as Matcher from "effect-skald/cep/Matcher"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Asked = Event.make("Asked", {})
 * const Answered = Event.make("Answered", {})
 * const matcher = Matcher.make(Pattern.begin("asked", Asked).pipe(Pattern.followedBy("answered", Answered)))
 *
 * const session = Matcher.open(matcher)
 * session.push([Asked({})])
 * const stored = Schema.encodeSync(Matcher.SnapshotOf(Schema.Union(Asked, Answered)))(session.snapshot())
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const SnapshotOf = <Ev, I>(events: Schema.Schema<Ev, I>): Schema.Schema<Snapshot, unknown> =>
  Snapshots.schema(events)

// --------------------------------------------------------------------------------------------------------- explaining

/**
 * How a pattern is matched, and what that costs.
 *
 * `bound` says what limits what is held of one key. Of partial matches that are kept one by one: `strict`, each is gone with the
 * next event; `window`, a power of the events in the window, one degree for the start and one for each loop; `combinations`,
 * exponential in the events of the window: any events of a step, or a loop that is left and entered again in several ways;
 * `unbounded`, nothing but the caps. Of sets, which share the events that they have taken: `strict` and `unbounded`
 * are the same, and all others are `window`: so many taken events as the window has, times states, however many partial matches
 * they come to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Explanation {
  /** Partial matches are held as sets that share what they have in common, or kept one by one, as runs. */
  readonly tier: "sets" | "runs"
  /** Why they are. */
  readonly why: string
  /** How many states there are, up to 10,000. */
  readonly states: number
  readonly bound: "strict" | "window" | "combinations" | "unbounded"
  readonly skip: Pattern.Definition["skip"]["_tag"]
  /** The types of events that change anything; none: every event may. */
  readonly tags: ReadonlyArray<string> | undefined
  readonly warnings: ReadonlyArray<string>
  /** A flow chart in Mermaid. */
  readonly diagram: string
}

/**
 * Says how a matcher will work, before it has seen any event.
 *
 * @example
 * ```ts
 * import * as Matcher from "effect-skald/cep/Matcher"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 *
 * const Asked = Event.make("Asked", {})
 * const Answered = Event.make("Answered", {})
 * const matcher = Matcher.make(Pattern.begin("asked", Asked).pipe(Pattern.followedBy("answered", Answered)))
 *
 * Matcher.explain(matcher).warnings // ["without `within`, partial matches wait for ever: …"]
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const explain = (self: Matcher<any, any>): Explanation => {
  const program = Compile.compile(self.pattern.definition)
  const { tier } = self
  const { bound: alone, diagram, more, states } = Explain.explain(program)
  const bound = tier.name === "sets" && alone === "combinations" ? "window" : alone
  const warnings: Array<string> = []
  if (bound === "unbounded") {
    warnings.push(
      tier.name === "sets"
        ? "without `within`, partial matches wait for ever: only the caps limit how many events are held for them"
        : "without `within`, partial matches wait for ever: only the caps limit how many there are"
    )
  }
  if (bound === "combinations") {
    warnings.push("combinations of events: partial matches may double with every event in the window")
  }
  if (more) warnings.push(`there are more than ${states} states`)
  return {
    tier: tier.name,
    why: tier.why,
    states,
    bound,
    skip: program.skip._tag,
    tags: program.tags && [...program.tags],
    warnings,
    diagram
  }
}
