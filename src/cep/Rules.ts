/**
 * Rules: patterns that are watched for, and what is done about each match.
 *
 * A match is a message. What the rules find is published on the bus, under the subject `rule.` and the rule's name, and each
 * rule's action is a subscription to it: with verdicts for each of its errors, retries that survive a restart, dead letters that
 * can be looked at and handled again. The id of the message comes from the match, so that one that is found again, after a crash
 * and a restart, has the same: `Rules.once` lets its action happen once.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BusError } from "../bus/BusError.ts"
import { EventBus, type PublishError } from "../bus/EventBus.ts"
import * as Inbox from "../bus/Inbox.ts"
import type * as OnError from "../bus/OnError.ts"
import * as Subscription from "../bus/Subscription.ts"
import * as Event from "../event/Event.ts"
import * as EventCodec from "../event/EventCodec.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"
import * as History from "../internal/cep/ruleHistory.ts"
import * as Internal from "../internal/cep/rules.ts"
import * as RuleSet from "../internal/cep/ruleSet.ts"
import * as Matcher from "./Matcher.ts"
import type { Pattern } from "./Pattern.ts"

/**
 * The most matches of one rule and key that are told of one moment, when nothing is said; more are counted in `cut`.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMaxMatches = 10_000

/**
 * How many events of a key a rule looks back on that says `last: true` and no number: 100.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultLast = 100

/**
 * Of how many events from the bus the rules know that they have taken them: 10,000.
 *
 * @since 0.1.0
 * @category constants
 */
export const rememberedEvents: number = Internal.remembered

/**
 * The type of the messages that matches are sent as.
 *
 * @since 0.1.0
 * @category constants
 */
export const matchType: string = Internal.matchType

// -------------------------------------------------------------------------------------------------------------- models

/**
 * What an action is told of a match beside what it binds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Detection {
  /** The same for the same match, whenever it is found: a key for those who must not act twice. */
  readonly id: string
  readonly rule: string
  readonly key: string
  /** When the match was complete, in milliseconds: the time of its last event, or the instant at which its time was over. */
  readonly time: number
  readonly events: ReadonlyArray<{ readonly step: string; readonly id: string; readonly type: string }>
  readonly delivery: Subscription.Delivery
}

/**
 * What a rule is made of.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<B, Ev, Es extends ReadonlyArray<Event.Any>, E, R>
  extends Matcher.Options<Ev>, Omit<Subscription.Options<R>, "start" | "kept">
{
  /**
   * The types by which events are read: those that the pattern names, unless given. They must be given for a pattern that does not
   * tell them, since it was stored or names any event.
   */
  readonly events?: (Es & Event.UniqueTags<Es> & Listed<Ev, Es[number]["Type"]>) | undefined
  readonly pattern: Pattern<B, Ev>
  readonly action: (match: B, detection: Detection) => Effect.Effect<void, E, R>
  /**
   * How many events of a key the rule looks back on: those of a match lie among so many that came one after the other, whatever
   * the time, and what is older is forgotten. The events that are listed count. It takes the place of `within`: a negation at the
   * end is told with the last of so many events. Caps on partial matches are on those of one key. `true` for {@link defaultLast};
   * without it events are as old as they may be.
   */
  readonly last?: number | true | undefined
  /** {@link defaultMaxMatches} when not given. */
  readonly maxMatches?: number | undefined
}

/**
 * Says where a pattern names an event whose type is not listed.
 *
 * @since 0.1.0
 * @category types
 */
export type Listed<Ev, All> = [Ev] extends [All] ? unknown : "the pattern names events that are not listed"

/**
 * A rule at work.
 *
 * @since 0.1.0
 * @category models
 */
export interface Info {
  readonly name: string
  readonly paused: boolean
}

/**
 * A partial match that is alive.
 *
 * @since 0.1.0
 * @category models
 */
export interface Partial {
  readonly rule: string
  readonly key: string
  /** The step that was reached. */
  readonly step: string
  /** How many events it has. */
  readonly taken: number
  /** How many steps the pattern has. */
  readonly steps: number
  readonly awaits: ReadonlyArray<string>
  /** The one taken last. */
  readonly last: { readonly event: unknown; readonly time: number }
}

/**
 * What was counted of a rule.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats extends RuleSet.Stats {}

/**
 * An event that is at hand, with the id that matches know it by.
 *
 * @since 0.1.0
 * @category models
 */
export interface Identified<out Ev> {
  readonly id: string
  readonly event: Ev
}

/**
 * What the rules of an application do. Feeds push; a rule is added by {@link layer} or {@link run}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly list: Effect.Effect<ReadonlyArray<Info>>
  /** A rule that is paused sees no events; those that come meanwhile are none to it. */
  readonly pause: (name: string) => Effect.Effect<void, InvalidInput>
  readonly resume: (name: string) => Effect.Effect<void, InvalidInput>
  readonly stats: (name: string) => Effect.Effect<Stats, InvalidInput>
  /** The partial matches that are alive, of one rule. */
  readonly partialMatches: (name: string) => Effect.Effect<ReadonlyArray<Partial>, InvalidInput>
  /** Ends when what was found is published; what could not be is kept, and published first the next time. */
  readonly push: (
    events: Iterable<Identified<{ readonly _tag: string }>>
  ) => Effect.Effect<void, PublishError>
  /** Says that time has come to an instant, in milliseconds: what was to happen until then happens. */
  readonly advance: (time: number) => Effect.Effect<void, PublishError>
  /** For those who build feeds. */
  readonly feed: Internal.Feed
}

/**
 * The rules of an application.
 *
 * @since 0.1.0
 * @category services
 */
export class Rules extends Context.Tag("effect-skald/cep/Rules")<Rules, Service>() {}

/**
 * No rules yet: {@link layer} adds them.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEmpty: Layer.Layer<Rules, never, EventBus> = Layer.effect(
  Rules,
  Effect.map(EventBus, (bus): Service => Internal.make(bus))
)

// --------------------------------------------------------------------------------------------------------------- rules

/**
 * Why a rule could not begin.
 *
 * @since 0.1.0
 * @category errors
 */
export type RuleError = InvalidInput | BusError

/**
 * A rule, as long as the scope lasts. It takes the place of one of the same name, and begins with the next event: what the other
 * has found and not acted on yet is acted on by this one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run: {
  <B, Ev extends { readonly _tag: string }, const Es extends ReadonlyArray<Event.Any>, R>(
    name: string,
    options: Options<B, Ev, Es, never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Effect.Effect<void, RuleError, Rules | EventBus | Scope.Scope | R>
  <B, Ev extends { readonly _tag: string }, const Es extends ReadonlyArray<Event.Any>, E, R>(
    name: string,
    options: Options<B, Ev, Es, E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Effect.Effect<void, RuleError, Rules | EventBus | Scope.Scope | R>
} = (name: string, options: any): Effect.Effect<void, RuleError, any> =>
  Effect.gen(function*() {
    const rules = yield* Rules
    const events = options.events ?? options.pattern.events
    if (events === undefined) {
      return yield* Faults.invalid("events", "must be given: the pattern does not tell which types it names")
    }
    const last: number | undefined = options.last === true ? defaultLast : options.last
    const problem = last === undefined ? undefined : Faults.countProblem(last, 1)
    if (problem !== undefined) return yield* Faults.invalid("last", problem)
    const history = last === undefined ? undefined : History.make<any>(options.pattern, options, last)
    const definition: RuleSet.Definition = {
      name,
      matcher: history?.matcher ?? Matcher.make(options.pattern, options),
      history,
      codec: EventCodec.make(Event.group<any>(events), {}),
      types: Event.storedTypes(events),
      maxMatches: options.maxMatches ?? defaultMaxMatches
    }
    // one that takes its place ends it
    const acting = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    yield* Subscription.runSelect(Internal.subjectOf(name), {
      ...options,
      select: Internal.subjectOf(name),
      start: "latest",
      kept: true,
      handler: ({ payload }, delivery) =>
        Effect.suspend(() => {
          const { events, ...sent } = payload as RuleSet.Detected
          const match = RuleSet.bind(definition, events)
          // A match whose events cannot be read any more is as an event that cannot: it is put aside.
          if (Either.isLeft(match)) return Effect.die(match.left)
          return options.action(match.right, { ...sent, events, delivery })
        })
    }).pipe(Scope.extend(acting))
    yield* Effect.acquireRelease(
      rules.feed.add(definition, Scope.close(acting, Exit.void)),
      () => rules.feed.remove(definition)
    )
  })

/**
 * A rule as a Layer.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as Rules from "effect-skald/cep/Rules"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const Failed = Event.make("Failed", { user: Schema.String, at: Schema.Number })
 * const Login = Event.make("Login", { user: Schema.String, at: Schema.Number })
 *
 * const Guessed = Rules.layer("guessed", {
 *   pattern: Pattern.begin("failures", Failed, { times: { min: 3 } }).pipe(
 *     Pattern.followedBy("login", Login),
 *     Pattern.within("1 minute")
 *   ),
 *   timestamp: (event) => event.at,
 *   keyBy: (event) => event.user,
 *   action: ({ failures, login }) => Effect.log(`${login.user} after ${failures.length} failures`)
 * })
 *
 * const App = Guessed.pipe(Layer.provideMerge(Rules.layerEmpty), Layer.provideMerge(EventBus.layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <B, Ev extends { readonly _tag: string }, const Es extends ReadonlyArray<Event.Any>, R>(
    name: string,
    options: Options<B, Ev, Es, never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Layer.Layer<never, RuleError, Rules | EventBus | R>
  <B, Ev extends { readonly _tag: string }, const Es extends ReadonlyArray<Event.Any>, E, R>(
    name: string,
    options: Options<B, Ev, Es, E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Layer.Layer<never, RuleError, Rules | EventBus | R>
} = (name: string, options: any): Layer.Layer<never, RuleError, any> => Layer.scopedDiscard(run(name, options))

/**
 * An action that happens once for each match, though it is found or delivered again.
 *
 * @since 0.1.0
 * @category combinators
 */
export const once = <B, E, R>(
  action: (match: B, detection: Detection) => Effect.Effect<void, E, R>
): (match: B, detection: Detection) => Effect.Effect<void, E | BusError, R | Inbox.Inbox> =>
(match, detection) =>
  Effect.flatMap(
    Inbox.Inbox,
    (inbox) => Effect.asVoid(inbox.once(detection.delivery.subscription, detection.id, action(match, detection)))
  )

// --------------------------------------------------------------------------------------------------------------- feeds

/**
 * Feeds the rules from a stream, to its end.
 *
 * @since 0.1.0
 * @category feeds
 */
export const fromStream = <Ev extends { readonly _tag: string }, E, R>(
  events: Stream.Stream<Identified<Ev>, E, R>
): Effect.Effect<void, E | PublishError, R | Rules> =>
  Effect.flatMap(Rules, (rules) => Stream.runForEachChunk(events, (chunk) => rules.push(chunk)))

/**
 * How the rules are fed from the event store.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoreOptions extends Internal.StoreOptions {}

/**
 * Feeds the rules from the event store, in order, from where they were: position and partial matches are kept together in the
 * `SnapshotStore`, once what was found until there is published. Killed in between, it finds again what it found since, with the
 * same ids. One of several processes of one name feeds; another takes over when it ends or is killed.
 *
 * Add the rules before: one that comes later, or that was changed, begins with the next event.
 *
 * @example
 * ```ts
 * import * as Rules from "effect-skald/cep/Rules"
 * import { Layer } from "effect"
 *
 * declare const Guessed: Layer.Layer<never, never, Rules.Rules>
 *
 * const App = Rules.layerStore({ name: "security" }).pipe(Layer.provide(Guessed), Layer.provideMerge(Rules.layerEmpty))
 * ```
 *
 * @since 0.1.0
 * @category feeds
 */
export const layerStore = (
  options: StoreOptions
): Layer.Layer<never, Internal.StoreFeedError, Rules | Internal.StoreFeedServices> =>
  Layer.scopedDiscard(Effect.flatMap(Rules, (rules) => Internal.fromStore(rules.feed, options)))

/**
 * Feeds the rules from the bus, as the subscription of a name. What has begun to match is held in this process alone: it is gone
 * with it. For what must not be missed, feed them from the store.
 *
 * A message that is delivered again is taken once, if its id is among those of the last {@link rememberedEvents}.
 *
 * @since 0.1.0
 * @category feeds
 */
export const layerBus = (
  name: string,
  options: { readonly select?: Internal.Select | undefined } = {}
): Layer.Layer<never, Subscription.SubscribeError, Rules | EventBus> =>
  Layer.scopedDiscard(Effect.flatMap(Rules, (rules) => Internal.fromBus(rules.feed, name, options.select ?? "*")))
