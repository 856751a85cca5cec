import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { EventBus, NewMessage, PublishError } from "../../bus/EventBus.ts"
import type { Service as Bus } from "../../bus/EventBus.ts"
import * as OnError from "../../bus/OnError.ts"
import type * as Selector from "../../bus/Selector.ts"
import * as Subscription from "../../bus/Subscription.ts"
import type { Info, Partial, Service } from "../../cep/Rules.ts"
import type { Raw } from "../../event/Envelope.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../../event/Position.ts"
import { EventStore, type Filter, type ReadError } from "../../store/EventStore.ts"
import * as Lease from "../../store/Lease.ts"
import { Fingerprint } from "../../store/Snapshot.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Faults from "../faults.ts"
import { keepOn } from "../keepOn.ts"
import * as Lru from "../lru.ts"
import * as RuleSet from "./ruleSet.ts"
import { unrecorded } from "../unrecorded.ts"

export const matchType = "RuleMatched"

export const subjectOf = (rule: string): string => `rule.${rule}`

const overflows = Metric.counter("skald.rules.overflows", {
  description: "partial matches that rules had no room for, by rule",
  incremental: true
})

/** What feeds the rules do to them. One at a time. */
export interface Feed {
  /** In place of one of the same name, whose `end` is run before: from then on it acts on nothing. */
  readonly add: (definition: RuleSet.Definition, end?: Effect.Effect<void>) => Effect.Effect<void, InvalidInput>
  /** Unless another has taken its place. */
  readonly remove: (definition: RuleSet.Definition) => Effect.Effect<void>
  readonly push: (facts: Iterable<RuleSet.Fact>) => Effect.Effect<void, PublishError>
  readonly advance: (time: number) => Effect.Effect<void, PublishError>
  readonly snapshot: Effect.Effect<RuleSet.Snapshot>
  readonly restore: (from: RuleSet.Snapshot) => Effect.Effect<ReadonlyArray<string>>
}

export const make = (bus: Bus): Service => {
  const unheard: Array<readonly [rule: string, told: RuleSet.Told]> = []
  const rules = new RuleSet.RuleSet((rule, told) => {
    unheard.push([rule, told])
  })
  const working = new Map<string, { readonly definition: RuleSet.Definition; readonly end: Effect.Effect<void> }>()
  const turn = Effect.unsafeMakeSemaphore(1).withPermits(1)
  /** Found, and not published yet. */
  let pending: Array<RuleSet.Detected> = []

  const tell = Effect.suspend(() =>
    Effect.forEach(unheard.splice(0), ([rule, told]) => {
      switch (told._tag) {
        // counted, and no fault of anybody's
        case "Late":
        case "TimedOut":
          return Effect.void
        case "Overflow":
        case "Failed":
          return Effect.zipRight(
            told._tag === "Overflow" ? Metric.increment(Metric.tagged(overflows, "rule", rule)) : Effect.void,
            Effect.logWarning(`rule "${rule}": ${told._tag} of key ${Faults.show(told.key)}`)
          )
        default:
          return Effect.logWarning(`rule "${rule}" cannot read an event: ${told.message}`)
      }
    }, { discard: true })
  )

  const publish = Effect.suspend(() => {
    if (pending.length === 0) return Effect.void
    const { messages: most } = bus.limits
    const next = pending.slice(0, most)
    return Effect.zipRight(
      bus.publish(next.map(messageOf)),
      Effect.suspend((): Effect.Effect<void, PublishError> => {
        pending = pending.slice(next.length)
        return publish
      })
    )
  })

  const found = (find: () => ReadonlyArray<RuleSet.Detected>): Effect.Effect<void, PublishError> =>
    turn(Effect.zipRight(
      Effect.sync(() => {
        for (const one of find()) pending.push(one)
      }),
      Effect.zipRight(tell, publish)
    ))

  const feed: Feed = {
    add: (definition, end = Effect.void) => {
      const { name } = definition
      const problem = Faults.nameProblem(name)
      if (problem !== undefined) return refuse(problem)
      return Effect.suspend(() => {
        const earlier = working.get(name)
        working.set(name, { definition, end })
        return Effect.zipRight(
          earlier === undefined ? Effect.void : earlier.end,
          turn(Effect.sync(() => {
            if (working.get(name)?.definition === definition) rules.add(definition)
          }))
        )
      })
    },
    remove: (definition) =>
      turn(Effect.sync(() => {
        if (working.get(definition.name)?.definition !== definition) return
        working.delete(definition.name)
        rules.remove(definition.name)
      })),
    push: (facts) =>
      found(() => {
        const all: Array<RuleSet.Detected> = []
        for (const fact of facts) rules.push(fact, all)
        return all
      }),
    advance: (time) => found(() => rules.advance(time)),
    snapshot: turn(Effect.sync(() => rules.snapshot())),
    restore: (from) => turn(Effect.sync(() => rules.restore(from)))
  }

  const named = <A>(name: string, of: () => A): Effect.Effect<A, InvalidInput> =>
    turn(Effect.suspend(() =>
      rules.isPaused(name) === undefined
        ? refuse(`must be a rule that was added, got ${Faults.show(name)}`)
        : Effect.succeed(of())
    ))

  return {
    list: Effect.sync(() => rules.names.map((name): Info => ({ name, paused: rules.isPaused(name) === true }))),
    pause: (name) => named(name, () => void rules.pause(name, true)),
    resume: (name) => named(name, () => void rules.pause(name, false)),
    stats: (name) => named(name, () => rules.stats(name)!),
    partialMatches: (name) =>
      named(name, () =>
        rules.partialMatches(name).map(({ awaits, events, key }): Partial => {
          const last = events.at(-1)!
          return {
            rule: name,
            key,
            step: last.step,
            taken: events.length,
            steps: rules.steps(name),
            awaits,
            last: { event: last.event, time: last.time }
          }
        })),
    push: (events) => feed.push(Array.from(events, ({ event, id }): RuleSet.Fact => ({ _tag: "Known", id, event }))),
    advance: feed.advance,
    feed
  }
}

const refuse = (problem: string): Effect.Effect<never, InvalidInput> => Effect.fail(Faults.invalid("name", problem))

const messageOf = (detected: RuleSet.Detected): NewMessage => ({
  id: detected.id,
  type: matchType,
  subject: subjectOf(detected.rule),
  payload: detected,
  ...(detected.key === "" ? {} : { key: detected.key })
})

// --------------------------------------------------------------------------------------------------------------- feeds

export interface StoreOptions {
  /** Where it stands is kept under this name, and one of several processes of it works at a time. */
  readonly name: string
  /** Where it begins the first time: `latest` when not given. */
  readonly after?: "earliest" | "latest" | number | undefined
  /** Which events; all when not given. */
  readonly filter?: Filter | undefined
  /** After how many events its place is kept, with what has begun to match; 1,000 when not given. */
  readonly every?: number | undefined
  /** And after how long, where there was any; a second when not given. */
  readonly interval?: Duration.DurationInput | undefined
  /**
   * How often the rules are told the clock's time while nothing comes, and how far behind it they stay, so that what waits for
   * time alone happens; they are not when it is not given.
   */
  readonly clock?: {
    readonly every: Duration.DurationInput
    readonly delay?: Duration.DurationInput | undefined
  } | undefined
  readonly lease?: Lease.Options | undefined
}

export type StoreFeedError = StoreError | InvalidInput

export type StoreFeedServices = EventStore | SnapshotStore | Lease.Lease

/** Of no Schema: a snapshot tells by itself which rules it is of. */
const fingerprint = Fingerprint.make("effect-skald/rules/1")

interface Kept {
  readonly rules: RuleSet.Snapshot
}

export const fromStore = (
  feed: Feed,
  options: StoreOptions
): Effect.Effect<void, StoreFeedError, StoreFeedServices | Scope.Scope> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const snapshots = yield* SnapshotStore
    const leases = yield* Lease.Lease
    const key = `rules-${options.name}`
    const every = options.every ?? 1_000
    const problem = Faults.nameProblem(options.name) ?? Faults.countProblem(every, 1)
    if (problem !== undefined) return yield* refuse(problem)

    const follow = (reset: Effect.Effect<void>) =>
      Effect.gen(function*() {
        const kept = yield* snapshots.load(key, fingerprint)
        let at: number
        if (Option.isSome(kept)) {
          at = kept.value.position!
          const anew = yield* feed.restore((JSON.parse(kept.value.state) as Kept).rules)
          if (anew.length > 0) yield* Effect.logInfo(`rules that begin anew after ${at}: ${anew.join(", ")}`)
        } else {
          yield* feed.restore({})
          const after = options.after ?? "latest"
          at = after === "latest" ? yield* store.head : after === "earliest" ? 0 : after
        }
        let saved = at
        const save = Effect.gen(function*() {
          const position = at
          const rules = yield* feed.snapshot
          yield* snapshots.save({
            key,
            fingerprint,
            version: position as StreamVersion,
            position: position as Position,
            state: JSON.stringify({ rules } satisfies Kept),
            savedAt: yield* DateTime.now
          })
          saved = position
        })
        // so that one that is killed before its first event does not begin with what is the latest by then
        if (Option.isNone(kept)) yield* save
        // with no event being taken, so that place and partial matches are of one moment
        const turn = Effect.unsafeMakeSemaphore(1).withPermits(1)
        const saveNew = turn(Effect.suspend(() => at > saved ? save : Effect.void))
        const take = (events: Iterable<Raw>): Effect.Effect<void, ReadError | PublishError> =>
          turn(Effect.suspend(() => {
            const raws = Array.from(events)
            return Effect.zipRight(
              feed.push(raws.map((raw): RuleSet.Fact => ({ _tag: "Raw", raw }))),
              Effect.suspend(() => {
                at = raws.at(-1)?.position ?? at
                return at - saved >= every ? save : Effect.void
              })
            )
          }))
        const following = store.subscribe({ ...options.filter, after: at }).pipe(
          Stream.runForEachChunk((events) => Effect.zipRight(take(events), reset)),
          Effect.zipRight(Effect.never)
        )
        const saving = Effect.forever(Effect.delay(saveNew, options.interval ?? "1 second"))
        const { clock } = options
        const ticking = clock === undefined ? Effect.never : Clock.currentTimeMillis.pipe(
          Effect.flatMap((now) => feed.advance(now - (clock.delay === undefined ? 0 : Duration.toMillis(clock.delay)))),
          Effect.delay(clock.every),
          Effect.forever
        )
        return yield* Effect.raceAll([following, saving, ticking]).pipe(
          Effect.onInterrupt(() => Effect.ignoreLogged(saveNew))
        )
      })

    yield* Effect.forkScoped(
      keepOn(
        `the feed of rules "${options.name}"`,
        Subscription.defaultReconnect,
        (reset) => leases.withLease(key, options.lease)(() => follow(reset))
      )
    )
  })

export type Select = Selector.Input

/** Of so many events it is known that they were taken, should the bus deliver them again. */
export const remembered = 10_000

export const fromBus = (
  feed: Feed,
  name: string,
  select: Selector.Input
): Effect.Effect<void, Subscription.SubscribeError, EventBus | Scope.Scope> =>
  Effect.suspend(() => {
    const taken = Lru.make<string, true>(remembered)
    /** The event, as the rules get to it, unless they have it. */
    function* fact(raw: Raw): Iterable<RuleSet.Fact> {
      if (taken.get(raw.id)) return
      taken.set(raw.id, true)
      yield { _tag: "Raw", raw }
    }
    return Effect.asVoid(Subscription.runSelect(name, {
      select,
      handler: (event, delivery) =>
        event._tag === matchType
          ? Effect.void
          : feed.push(fact(unrecorded(
            { id: delivery.id, type: event._tag, schemaVersion: event.schemaVersion, payload: event.payload },
            delivery
          ))),
      onError: { InvalidEvent: OnError.inherit, MessageTooLarge: OnError.deadLetter, BusError: OnError.inherit }
    }))
  })
