/**
 * Patterns over events: which events, in which order, how often, within which time.
 *
 * A pattern is an immutable value. It begins with a step, and `next`, `followedBy` and `followedByAny` say how the next one
 * follows; the type of a match grows with each of them. `docs/patterns.md` tells what each construct matches, and
 * `effect-skald/testing/PatternOracle` is the same as a program that a person can read.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { Pipeable } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type * as Event from "../event/Event.ts"
import * as Check from "../internal/cep/check.ts"
import type * as Data from "../internal/cep/condition.ts"
import type * as Element from "../internal/cep/element.ts"
import * as internal from "../internal/cep/pattern.ts"

// -------------------------------------------------------------------------------------------------------------- models

/**
 * The mark of a pattern.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = internal.TypeId as any

/**
 * The type of the mark of a pattern.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A pattern whose matches bind `B`, over events `Ev`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pattern<in out B, out Ev> extends Pipeable {
  readonly [TypeId]: { readonly _B: Types.Invariant<B>; readonly _Ev: Types.Covariant<Ev> }
  /** What it is made of, as data. */
  readonly definition: Definition
  /** The event types that it names; none are told where it names any event, or was made from data that does not tell them. */
  readonly events: ReadonlyArray<Event.Any> | undefined
}

/**
 * What a pattern is made of, as data; functions are only in its conditions.
 *
 * @since 0.1.0
 * @category models
 */
export type Definition = Element.Definition

/**
 * What a match of a pattern binds.
 *
 * @since 0.1.0
 * @category models
 */
export type Match<P> = P extends Pattern<infer B, any> ? B : never

/**
 * The events that a pattern names.
 *
 * @since 0.1.0
 * @category models
 */
export type Events<P> = P extends Pattern<any, infer Ev> ? Ev : never

/**
 * A pattern cannot be: which step, why, and in words that complete "step …".
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidPattern
  extends Schema.TaggedError<InvalidPattern>("effect-skald/cep/InvalidPattern")("InvalidPattern", {
    step: Schema.String,
    reason: Schema.Literal(...Check.reasons),
    problem: Schema.String
  })
{
  override get message(): string {
    return `${JSON.stringify(this.step)} ${this.problem}`
  }
}

const refuse: internal.Refuse = (fault) => new InvalidPattern(fault)

/**
 * How often a step or group is taken: `min` times or more, up to `max` if given; `within` bounds the time between an
 * element and the one before it, exclusive.
 *
 * @since 0.1.0
 * @category models
 */
export interface Times {
  readonly min: number
  readonly max?: number | undefined
  readonly within?: Duration.DurationInput | undefined
}

/**
 * A condition on an event: a function of the event, of what is bound so far, and of what the step's own loop has taken so
 * far; or a `Condition`, which is data and can be stored.
 *
 * @since 0.1.0
 * @category models
 */
export type Where<T, B> = ((event: T, soFar: B, own: ReadonlyArray<T>) => boolean) | Data.Condition

type Item<V> = NonNullable<V> extends ReadonlyArray<infer A> ? A : NonNullable<V>

/** The steps bound so far whose events have a field. */
type StepsWith<B, F extends PropertyKey> = {
  [K in keyof B]: F extends keyof Item<B[K]> ? K : never
}[keyof B]

/**
 * Equality joins: which field of this event equals the field of the same name of an earlier step's events. Nothing is asked
 * of a step that has taken no event.
 *
 * @since 0.1.0
 * @category models
 */
export type Join<T, B> = { readonly [F in Exclude<keyof T, "_tag">]?: StepsWith<B, F> | undefined }

/**
 * What a step may say.
 *
 * @since 0.1.0
 * @category models
 */
export interface StepOptions<T, B> {
  /** Which of the events. */
  readonly where?: Where<T, B> | undefined
  readonly join?: Join<T, B> | undefined
  /** A loop. */
  readonly times?: Times | undefined
  /** The step may be left out. */
  readonly optional?: true | undefined
  /** The time since the event taken before, exclusive; for every element of a loop. */
  readonly within?: Duration.DurationInput | undefined
  /** Elements of the loop follow each other at once. */
  readonly consecutive?: true | undefined
  /** Elements of the loop follow each other with any events between them. */
  readonly allowCombinations?: true | undefined
  /** The loop takes all it can: none of its events is left to the next step, or skipped. */
  readonly greedy?: true | undefined
  /** A greedy loop at the end is reported once, when it closes. */
  readonly maximal?: true | undefined
  /** The event that ends a loop without upper bound. */
  readonly until?: Where<T, B> | undefined
}

/** Nothing but what is known: a word that is mistaken for another would be passed over. */
type Known<O, Options> =
  & { readonly [K in Exclude<keyof O, keyof Options>]?: never }
  & (O extends { readonly times: infer X }
    ? { readonly times: { readonly [K in Exclude<keyof X, keyof Times>]?: never } }
    : unknown)

/** What options ask of each other. Asked the other way round, it would hide from callbacks what they are called with. */
type Legal<O> =
  & (O extends
    | { readonly greedy: true }
    | { readonly maximal: true }
    | { readonly consecutive: true }
    | { readonly allowCombinations: true } ? { readonly times: Times }
    : unknown)
  & (O extends { readonly until: {} } ? { readonly times: Times & { readonly max?: undefined } } : unknown)
  & (O extends { readonly allowCombinations: true } ? { readonly consecutive?: never; readonly greedy?: never }
    : unknown)
  & (O extends { readonly maximal: true } ? { readonly greedy: true } : unknown)
  & Known<O, StepOptions<any, any>>

/**
 * What a step adds to a match: an event, an event or nothing, or a list.
 *
 * @since 0.1.0
 * @category models
 */
export type Bound<N extends string, T, O> = O extends { readonly times: infer X }
  ? (O extends { readonly optional: true } ? { readonly [K in N]?: readonly [T, ...Array<T>] }
    : X extends { readonly min: infer Min } ? (Min extends 0 ? { readonly [K in N]: ReadonlyArray<T> } :
        number extends Min ? { readonly [K in N]: ReadonlyArray<T> }
        : { readonly [K in N]: readonly [T, ...Array<T>] })
    : never)
  : O extends { readonly optional: true } ? { readonly [K in N]?: T }
  : { readonly [K in N]: T }

type Free<N extends string, B> = string extends N ? N : N extends keyof B ? never : N

/**
 * What a group may say.
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupOptions {
  readonly times?: Times | undefined
  readonly optional?: true | undefined
  readonly consecutive?: true | undefined
  readonly allowCombinations?: true | undefined
}

/**
 * What a group binds: what its part does, maybe, or lists of it, in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Grouped<B, O> = O extends { readonly times: any }
  ? (O extends { readonly optional: true } ? { readonly [K in keyof B]?: ReadonlyArray<Item<B[K]>> }
    : { readonly [K in keyof B]-?: ReadonlyArray<Item<B[K]>> })
  : O extends { readonly optional: true } ? { readonly [K in keyof B]?: B[K] }
  : B

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * Any event at all, for steps and negations that do not ask which.
 *
 * @since 0.1.0
 * @category constructors
 */
export const anyEvent: Schema.Struct<{ _tag: typeof Schema.String }> = Schema.Struct({ _tag: Schema.String })

/**
 * The first step of a pattern.
 *
 * Throws `InvalidPattern` for what cannot be and does not show in types; so do all combinators.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Login = Event.make("Login", { user: Schema.String })
 * const Failed = Event.make("Failed", { user: Schema.String })
 *
 * // match: { failures: NonEmptyReadonlyArray<Failed>, login: Login }
 * const guessed = Pattern.begin("failures", Failed, { times: { min: 3 } }).pipe(
 *   Pattern.followedBy("login", Login, { join: { user: "failures" } }),
 *   Pattern.within("10 minutes")
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const begin = <N extends string, E extends Event.Any, const O extends StepOptions<E["Type"], {}> = {}>(
  name: N,
  event: E,
  options?: O & StepOptions<E["Type"], {}> & Legal<O>
): Pattern<Bound<N, E["Type"], O>, E["Type"]> =>
  internal.fromDefinition(
    refuse,
    {
      elements: [internal.step(refuse, "followedBy", name, event, options as internal.GivenStep | undefined)],
      skip: { _tag: "none" }
    },
    internal.named(event)
  )

/**
 * A pattern from what it is made of: for patterns that come from elsewhere. Nothing is known of their types.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDefinition = (
  definition: Definition,
  events?: ReadonlyArray<Event.Any>
): Either.Either<Pattern<any, any>, InvalidPattern> =>
  Either.try({
    try: () => internal.fromDefinition(refuse, definition, events),
    catch: (error) => {
      if (error instanceof InvalidPattern) return error
      throw error
    }
  })

/**
 * A pattern as one thing: optional, or taken several times.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 *
 * const Asked = Event.make("Asked", {})
 * const Refused = Event.make("Refused", {})
 *
 * // match: { asked: ReadonlyArray<Asked>, refused: ReadonlyArray<Refused> }
 * const twice = Pattern.begin("asked", Asked).pipe(
 *   Pattern.followedBy("refused", Refused),
 *   Pattern.group({ times: { min: 2 } })
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const group =
  <const O extends GroupOptions>(options: O & GroupOptions & Known<O, GroupOptions>) =>
  <B, Ev>(self: Pattern<B, Ev>): Pattern<Types.Simplify<Grouped<B, O>>, Ev> =>
    internal.ofElement(refuse, internal.group(refuse, self, options), [self])

type Bounds<Ps extends ReadonlyArray<Pattern<any, any>>> = { [I in keyof Ps]: Match<Ps[I]> }[number]

/**
 * Alternatives: the matches of the one and those of the others, each as though the others were not there. What stands
 * before and after is common to them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const or = <const Ps extends readonly [Pattern<any, any>, Pattern<any, any>, ...Array<Pattern<any, any>>]>(
  ...alternatives: Ps
): Pattern<Bounds<Ps>, Events<Ps[number]>> =>
  internal.ofElement(
    refuse,
    { _tag: "Or", contiguity: "followedBy", of: alternatives.map((part) => internal.partOf(refuse, part)) },
    alternatives
  )

/**
 * All of the parts, in any order: one after the other, up to eight of them. A part follows the one before it relaxed,
 * unless the options say otherwise.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 *
 * const Paid = Event.make("Paid", {})
 * const Packed = Event.make("Packed", {})
 *
 * // match: { paid: Paid, packed: Packed }
 * const ready = Pattern.and([Pattern.begin("paid", Paid), Pattern.begin("packed", Packed)])
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const and = <const Ps extends readonly [Pattern<any, any>, Pattern<any, any>, ...Array<Pattern<any, any>>]>(
  parts: Ps,
  options: { readonly contiguity?: "next" | "followedBy" | "followedByAny" | undefined } = {}
): Pattern<Types.Simplify<Types.UnionToIntersection<Bounds<Ps>>>, Events<Ps[number]>> =>
  internal.ofElement(
    refuse,
    {
      _tag: "And",
      contiguity: "followedBy",
      inner: options.contiguity ?? "followedBy",
      of: parts.map((part) => internal.partOf(refuse, part))
    },
    parts
  )

// --------------------------------------------------------------------------------------------------------- combinators

/** How a step is added, under each contiguity. */
interface AddStep {
  <N extends string, E extends Event.Any, B, const O extends StepOptions<E["Type"], B> = {}>(
    name: Free<N, B>,
    event: E,
    options?: O & StepOptions<E["Type"], B> & Legal<O>
  ): <Ev>(self: Pattern<B, Ev>) => Pattern<Types.Simplify<B & Bound<N, E["Type"], O>>, Ev | E["Type"]>
}

const adding = (contiguity: Element.Contiguity): AddStep =>
(name: string, event: Event.Any, options?: unknown) =>
(
  self: Pattern<any, any>
) =>
  internal.append(
    refuse,
    self,
    internal.step(refuse, contiguity, name, event, options as internal.GivenStep | undefined),
    internal.named(event)
  )

/**
 * Strict: the very next event, whatever its type, is the step's.
 *
 * @since 0.1.0
 * @category combinators
 */
export const next: AddStep = adding("next")

/**
 * Relaxed: the first event that satisfies the step; others in between are passed over.
 *
 * @since 0.1.0
 * @category combinators
 */
export const followedBy: AddStep = adding("followedBy")

/**
 * Any event that satisfies the step, also when earlier ones did: a match for each.
 *
 * @since 0.1.0
 * @category combinators
 */
export const followedByAny: AddStep = adding("followedByAny")

/** How a pattern is added, under each contiguity. */
interface AddPattern {
  <B2, Ev2>(
    part: Pattern<B2, Ev2>
  ): <B, Ev>(
    self: [keyof B & keyof B2] extends [never] ? Pattern<B, Ev> : never
  ) => Pattern<B extends unknown ? B2 extends unknown ? Types.Simplify<B & B2> : never : never, Ev | Ev2>
}

const addingPattern = (contiguity: Element.Contiguity): AddPattern => (part) => (self: any): any =>
  internal.appendPart(refuse, self, contiguity, part)

/**
 * Strict, with a whole pattern: its first event is the very next one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const nextPattern: AddPattern = addingPattern("next")

/**
 * Relaxed, with a whole pattern: alternatives, a group, or what was built elsewhere.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 *
 * const Placed = Event.make("Placed", {})
 * const Cancelled = Event.make("Cancelled", {})
 * const Expired = Event.make("Expired", {})
 *
 * // match: { placed: Placed, cancelled: Cancelled } | { placed: Placed, expired: Expired }
 * const lost = Pattern.begin("placed", Placed).pipe(
 *   Pattern.followedByPattern(Pattern.or(Pattern.begin("cancelled", Cancelled), Pattern.begin("expired", Expired)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const followedByPattern: AddPattern = addingPattern("followedBy")

/**
 * With a whole pattern that begins at any event that can begin it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const followedByAnyPattern: AddPattern = addingPattern("followedByAny")

/** How a negation is added. */
interface AddNegation {
  <E extends Event.Any, B>(
    event: E,
    options?: { readonly where?: Where<E["Type"], B> | undefined; readonly join?: Join<E["Type"], B> | undefined }
  ): <Ev>(self: Pattern<B, Ev>) => Pattern<B, Ev | E["Type"]>
}

const negating =
  (contiguity: "notNext" | "notFollowedBy"): AddNegation => (event: Event.Any, options?: unknown) => (self: any): any =>
    internal.append(
      refuse,
      self,
      internal.negation(refuse, contiguity, event, options as internal.GivenStep | undefined),
      internal.named(event)
    )

/**
 * The very next event is there, and is not one of these.
 *
 * At the end of a pattern the match is reported on that event, which is not part of it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const notNext: AddNegation = negating("notNext")

/**
 * None of these events comes before the next step's. At the end of a pattern, which then needs `within`: none comes before
 * the window has passed, and the match is reported then, with no event needed.
 *
 * @since 0.1.0
 * @category combinators
 */
export const notFollowedBy: AddNegation = negating("notFollowedBy")

/**
 * The time from the first event of a match to its last, exclusive: events exactly this far apart are no match.
 *
 * @since 0.1.0
 * @category combinators
 */
export const within = (duration: Duration.DurationInput) => <B, Ev>(self: Pattern<B, Ev>): Pattern<B, Ev> =>
  internal.fromDefinition(refuse, { ...self.definition, within: Duration.toMillis(duration) }, self.events)

const skipping = (skip: Element.Skip) => <B, Ev>(self: Pattern<B, Ev>): Pattern<B, Ev> =>
  internal.fromDefinition(refuse, { ...self.definition, skip }, self.events)

/**
 * After a match, no other that begins at the same event.
 *
 * @since 0.1.0
 * @category combinators
 */
export const skipToNext: <B, Ev>(self: Pattern<B, Ev>) => Pattern<B, Ev> = skipping({ _tag: "toNext" })

/**
 * After a match, no other that begins before its last event or at it: matches do not overlap.
 *
 * @since 0.1.0
 * @category combinators
 */
export const skipPastLast: <B, Ev>(self: Pattern<B, Ev>) => Pattern<B, Ev> = skipping({ _tag: "pastLast" })

/**
 * After a match, no other that begins before the first event of a step. A match without such an event prunes nothing, or
 * fails where `failOnMiss` is set; one whose own first event it is fails.
 *
 * @since 0.1.0
 * @category combinators
 */
export const skipToFirst = <B, N extends keyof B & string>(
  step: N,
  options: { readonly failOnMiss?: boolean | undefined } = {}
): <Ev>(self: Pattern<B, Ev>) => Pattern<B, Ev> =>
  skipping({ _tag: "toFirst", step, failOnMiss: options.failOnMiss === true })

/**
 * Like {@link skipToFirst}, with the last event of the step.
 *
 * @since 0.1.0
 * @category combinators
 */
export const skipToLast = <B, N extends keyof B & string>(
  step: N,
  options: { readonly failOnMiss?: boolean | undefined } = {}
): <Ev>(self: Pattern<B, Ev>) => Pattern<B, Ev> =>
  skipping({ _tag: "toLast", step, failOnMiss: options.failOnMiss === true })

// -------------------------------------------------------------------------------------------------------- destructors

/**
 * Whether a value is a pattern.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPattern = (value: unknown): value is Pattern<unknown, unknown> => hasProperty(value, TypeId)

/**
 * The pattern, if it is legal as a whole. Matchers ask this first.
 *
 * What only the whole can tell: a negation at the end needs `within`, a gap fits into the window, the step that is skipped to
 * and those that conditions name exist, a maximal loop closes.
 *
 * @example
 * ```ts
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Duration, Either } from "effect"
 *
 * const Cart = Event.make("Cart", {})
 * const Checkout = Event.make("Checkout", {})
 * const abandoned = Pattern.begin("cart", Cart).pipe(Pattern.notFollowedBy(Checkout))
 *
 * Either.isLeft(Pattern.check(abandoned)) // true: there is no time at which nothing has followed
 * Either.isRight(Pattern.check(abandoned.pipe(Pattern.within(Duration.minutes(30))))) // true
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const check = <B, Ev>(self: Pattern<B, Ev>): Either.Either<Pattern<B, Ev>, InvalidPattern> => {
  const fault = Check.fault(self.definition, false)
  return fault === undefined ? Either.right(self) : Either.left(refuse(fault))
}

/**
 * The names of a pattern's steps, in the order in which they are written.
 *
 * @since 0.1.0
 * @category destructors
 */
export const steps = (self: Pattern<any, any>): ReadonlyArray<string> => internal.names(self)
