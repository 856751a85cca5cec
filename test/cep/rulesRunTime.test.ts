import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Metric, Schema, Scope, TestClock } from "effect"
import { BusError } from "effect-skald/bus/BusError"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Inbox from "effect-skald/bus/Inbox"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Event from "effect-skald/event/Event"

const Failed = Event.make("Failed", { user: Schema.String, at: Schema.Number })
const Login = Event.make("Login", { user: Schema.String, at: Schema.Number })
const guessed = Pattern.begin("failures", Failed, { times: { min: 2, max: 2 } }).pipe(
  Pattern.followedBy("login", Login),
  Pattern.within("1 minute")
)

const base = Rules.layerEmpty.pipe(
  Layer.provideMerge(Layer.mergeAll(EventBus.layerMemory, Inbox.layerMemory))
)
const rule = (action: (text: string) => Effect.Effect<void>) =>
  Rules.run("guessed", {
    pattern: guessed,
    timestamp: (event) => event.at,
    keyBy: (event) => event.user,
    action: ({ failures, login }) => action(`${failures.map(({ at }) => at).join()} ${login.at}`)
  })
const failed = (at: number) => ({ id: `f${at}`, event: Failed({ user: "ann", at }) })
const login = (at: number) => ({ id: `l${at}`, event: Login({ user: "ann", at }) })
const settle = Effect.yieldNow().pipe(Effect.repeatN(80))

describe("Rules at run time", () => {
  it.scoped("one that takes the place of another has its matches from then on, all of them", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const seen: Array<string> = []
      const say = (who: string) => (text: string) => Effect.sync(() => void seen.push(`${who} ${text}`))
      yield* rule(say("first"))
      yield* rules.push([failed(1), failed(2)])
      const second = yield* Scope.make()
      yield* Scope.extend(rule(say("second")), second)
      // it begins with the next event
      yield* rules.push([login(3)])
      yield* settle
      assert.deepStrictEqual(seen, [])
      const times = Array.from({ length: 9 }, (_, n) => 100_000 * (n + 1))
      for (const at of times) {
        yield* rules.push([failed(at), failed(at + 1), login(at + 2)])
        yield* settle
      }
      assert.deepStrictEqual(seen, times.map((at) => `second ${at},${at + 1} ${at + 2}`))
      assert.deepStrictEqual(yield* rules.list, [{ name: "guessed", paused: false }])
      yield* Scope.close(second, Exit.void)
      // what it took the place of does not come back
      assert.deepStrictEqual(yield* rules.list, [])
    }).pipe(Effect.provide(base)))

  it.scoped("a rest keeps what was paused, and what was counted", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const seen: Array<string> = []
      yield* rule((text) => Effect.sync(() => void seen.push(text)))
      yield* rules.push([failed(1), failed(2), login(3), failed(4)])
      yield* rules.pause("guessed")
      const kept = JSON.parse(JSON.stringify(yield* rules.feed.snapshot))
      assert.deepStrictEqual(yield* rules.feed.restore(kept), [])
      assert.deepStrictEqual(yield* rules.list, [{ name: "guessed", paused: true }])
      assert.deepInclude(yield* rules.stats("guessed"), { events: 4, matches: 1, detected: 1 })
      yield* rules.push([failed(5), login(6)])
      yield* rules.resume("guessed")
      yield* rules.push([failed(7), login(8)])
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      // what had begun before the pause goes on after it; what came meanwhile was none
      assert.deepStrictEqual(seen, ["1,2 3", "2,4 8", "4,7 8"])
    }).pipe(Effect.provide(base)))

  it.scoped("of one moment so many matches are told as were asked for, and the others counted", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const seen: Array<number> = []
      yield* Rules.run("any", {
        pattern: Pattern.begin("failed", Failed).pipe(Pattern.followedByAny("login", Login)),
        maxMatches: 2,
        action: ({ failed }) => Effect.sync(() => void seen.push(failed.at))
      })
      yield* rules.push([failed(1), failed(2), failed(3), login(4)])
      yield* settle
      assert.deepStrictEqual(seen, [1, 2])
      assert.deepInclude(yield* rules.stats("any"), { matches: 3, detected: 2, cut: 1, partialMatches: 3 })
      // held as a set, and listed one by one all the same
      const alive = yield* rules.partialMatches("any")
      assert.deepStrictEqual(
        alive.map(({ awaits, last, step, steps, taken }) => [step, taken, steps, awaits, last.time]),
        [
          ["failed", 1, 2, ["login"], 0],
          ["failed", 1, 2, ["login"], 0],
          ["failed", 1, 2, ["login"], 0]
        ]
      )
      yield* rules.push([login(5)])
      assert.deepInclude(yield* rules.stats("any"), { matches: 6, detected: 4, cut: 2 })
    }).pipe(Effect.provide(base)))

  it.scoped("what cannot be read is counted, and the others are taken", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const bus = yield* EventBus.EventBus
      const seen: Array<string> = []
      yield* rule((text) => Effect.sync(() => void seen.push(text)))
      yield* Layer.build(Rules.layerBus("rules"))
      yield* bus.publish([
        { type: "Failed", payload: Failed({ user: "ann", at: 1 }) },
        { type: "Failed", payload: { _tag: "Failed", user: 7 } },
        { type: "Failed", payload: Failed({ user: "ann", at: 2 }) },
        { type: "Login", payload: Login({ user: "ann", at: 3 }) }
      ])
      yield* settle
      assert.deepStrictEqual(seen, ["1,2 3"])
      assert.deepInclude(yield* rules.stats("guessed"), { events: 3, undecodable: 1, detected: 1 })
    }).pipe(Effect.provide(base)))

  it.scoped("what is counted is counted of each rule alone", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const named = (
        name: string,
        timedOut: boolean,
        keyBy: (event: { readonly user: string }) => string | undefined
      ) =>
        Rules.run(name, {
          pattern: guessed,
          timestamp: (event) => event.at,
          keyBy,
          timedOut,
          action: () => Effect.void
        })
      yield* named("each", true, ({ user }) => user)
      yield* named("some", false, ({ user }) => user === "bob" ? undefined : user)
      yield* Rules.run("logins", {
        pattern: Pattern.begin("login", Login),
        timestamp: (event) => event.at,
        action: () => Effect.void
      })
      const of = (user: string, at: number) => ({ id: `${user}${at}`, event: Failed({ user, at }) })
      yield* rules.push([of("ann", 0), of("bob", 1), of("ann", 2), of("cid", 3), of("ann", 1)])
      yield* rules.push([{ id: "in", event: Login({ user: "ann", at: 4 }) }, of("dan", 60_001)])
      const told = { matches: 1, detected: 1, cut: 0, overflowed: 0, undecodable: 0 }
      // ann's second failure, cid's and dan's still wait; bob's has been out of time since 60,001
      const waiting = { events: 7, late: 1, keys: 3, partialMatches: 3 }
      assert.deepInclude(yield* rules.stats("each"), {
        ...told,
        ...waiting,
        unkeyed: 0,
        timedOut: 1,
        mostPartialMatches: 4
      })
      // held as sets: how many were out of time is not known
      assert.deepInclude(yield* rules.stats("some"), { ...told, ...waiting, unkeyed: 1, timedOut: undefined })
      assert.deepInclude(yield* rules.stats("logins"), { ...told, events: 1, late: 0, keys: 0, partialMatches: 0 })
    }).pipe(Effect.provide(base)))

  it.scoped("a rule with no room left says so and goes on without the oldest, or is done", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const seen: Array<number> = []
      const capped = (name: string, onOverflow: "dropOldest" | "fail") =>
        Rules.run(name, {
          pattern: Pattern.begin("failed", Failed).pipe(Pattern.followedBy("login", Login)),
          maxPartialMatches: 1,
          tier: "runs",
          onOverflow,
          action: ({ failed }) => Effect.sync(() => void seen.push(failed.at))
        })
      yield* capped("drops", "dropOldest")
      yield* capped("fails", "fail")
      yield* rules.push([failed(1), failed(2), failed(3), login(4)])
      yield* settle
      assert.deepStrictEqual(seen, [3])
      assert.deepInclude(yield* rules.stats("drops"), { events: 4, matches: 1, overflowed: 2, partialMatches: 0 })
      assert.deepInclude(yield* rules.stats("fails"), { events: 2, matches: 0 })
      const overflows = (yield* Metric.snapshot).find(({ metricKey: { name, tags } }) =>
        name === "skald.rules.overflows" && tags.some(({ value }) => value === "drops")
      )
      assert.propertyVal(overflows?.metricState, "count", 2)
    }).pipe(Effect.provide(base)))

  /** A bus that refuses what rules have found, the first time. */
  const refusing = Layer.map(EventBus.layerMemory, (context) => {
    const bus = Context.get(context, EventBus.EventBus)
    let refused = false
    return Context.make(EventBus.EventBus, {
      ...bus,
      publish: (messages) => {
        if (refused || messages.every(({ type }) => type !== Rules.matchType)) return bus.publish(messages)
        refused = true
        return Effect.fail(new BusError({ reason: "unavailable", operation: "EventBus.publish" }))
      }
    })
  })

  it.scoped("an event that the bus delivers again is taken once, though what it made could not be published", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const bus = yield* EventBus.EventBus
      const seen: Array<string> = []
      yield* Rules.run("failures", {
        pattern: Pattern.begin("failures", Failed, { times: { min: 2, max: 2 } }),
        action: ({ failures }) => Effect.sync(() => void seen.push(failures.map(({ at }) => at).join()))
      })
      yield* Layer.build(Rules.layerBus("rules"))
      for (const at of [1, 2, 3]) {
        yield* bus.publish([{ id: `f${at}`, type: "Failed", payload: Failed({ user: "ann", at }) }])
        yield* settle
        yield* TestClock.adjust("1 minute")
        yield* settle
      }
      assert.deepStrictEqual(seen, ["1,2", "2,3"])
      assert.deepInclude(yield* rules.stats("failures"), { events: 3, matches: 2, detected: 2 })
    }).pipe(Effect.provide(Rules.layerEmpty.pipe(Layer.provideMerge(Layer.merge(refusing, Inbox.layerMemory))))))
})
