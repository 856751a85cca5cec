import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, FastCheck, Fiber, Layer, Schedule, Schema, Scope, Stream, TestClock } from "effect"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Inbox from "effect-skald/bus/Inbox"
import * as OnError from "effect-skald/bus/OnError"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Event from "effect-skald/event/Event"
import * as Memory from "effect-skald/Memory"
import { EventStore } from "effect-skald/store/EventStore"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { forAll } from "effect-skald/testing/ForAll"

const Failed = Event.make("Failed", { user: Schema.String, at: Schema.Number })
const Login = Event.make("Login", { user: Schema.String, at: Schema.Number })
const guessed = Pattern.begin("failures", Failed, { times: { min: 2, max: 2 } }).pipe(
  Pattern.followedBy("login", Login),
  Pattern.within("1 minute")
)

const base = Rules.layerEmpty.pipe(
  Layer.provideMerge(Layer.mergeAll(EventBus.layerMemory, Inbox.layerMemory))
)
const rule = <E = never>(
  action: (text: string, detection: Rules.Detection) => Effect.Effect<void, E>,
  onError: OnError.Verdicts<E>
) =>
  Rules.run<any, any, any, E, never>("guessed", {
    pattern: guessed as Pattern.Pattern<any, any>,
    timestamp: (event) => event.at,
    keyBy: (event) => event.user,
    action: ({ failures, login }, detection) =>
      action(`${login.user} ${failures.map(({ at }: { at: number }) => at).join()} ${login.at}`, detection),
    onError
  })
const failed = (id: string, user: string, at: number) => ({ id, event: Failed({ user, at }) })
const login = (id: string, user: string, at: number) => ({ id, event: Login({ user, at }) })

/** Lets the subscriptions of the memory bus have their turns. */
const settle = Effect.yieldNow().pipe(Effect.repeatN(60))

describe("Rules", () => {
  it.scoped("an action is run for each match, with what it binds", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const details: Array<Rules.Detection> = []
      yield* rule((text, detection) =>
        Effect.sync(() => {
          seen.push(text)
          details.push(detection)
        }), {})
      const rules = yield* Rules.Rules
      yield* rules.push([failed("1", "ann", 0), failed("2", "bob", 1), failed("3", "ann", 2), login("4", "ann", 3)])
      yield* settle
      assert.deepStrictEqual(seen, ["ann 0,2 3"])
      const [{ events, id, key, rule: name, time }] = details as [Rules.Detection]
      assert.deepStrictEqual(
        { events: events.map(({ id, step, type }) => [step, type, id]), key, name, time },
        {
          events: [["failures", "Failed", "1"], ["failures", "Failed", "3"], ["login", "Login", "4"]],
          key: "ann",
          name: "guessed",
          time: 3
        }
      )
      assert.match(id, /^[0-9a-f]{64}$/)
      assert.deepInclude(yield* rules.stats("guessed"), { events: 4, matches: 1, detected: 1, cut: 0 })
    }).pipe(Effect.provide(base)))

  it.scoped("a pattern that does not tell its types is refused where they are not given", () =>
    Effect.gen(function*() {
      const some = { pattern: Pattern.begin("any", Pattern.anyEvent), action: () => Effect.void }
      const refused = yield* Effect.flip(Rules.run("some", some))
      assert.strictEqual(
        refused.message,
        "events: must be given: the pattern does not tell which types it names"
      )
      yield* Rules.run("some", { ...some, events: [Failed, Login] as any })
    }).pipe(Effect.provide(base)))

  it.scoped("what has begun to match can be looked at", () =>
    Effect.gen(function*() {
      yield* rule(() => Effect.void, {})
      const rules = yield* Rules.Rules
      yield* rules.push([failed("1", "ann", 0), failed("2", "ann", 5)])
      const alive = yield* rules.partialMatches("guessed")
      assert.deepInclude(alive, {
        rule: "guessed",
        key: "ann",
        step: "failures",
        taken: 2,
        steps: 2,
        awaits: ["login"],
        last: { event: Failed({ user: "ann", at: 5 }), time: 5 }
      })
      yield* rules.advance(120_000)
      assert.deepStrictEqual(yield* rules.partialMatches("guessed"), [])
      const refused = yield* Effect.flip(rules.stats("other"))
      assert.strictEqual(refused.message, `name: must be a rule that was added, got "other"`)
    }).pipe(Effect.provide(base)))

  it.scoped("rules are added, replaced, paused, resumed and removed while events come", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const seen: Array<string> = []
      const say = (who: string) => (text: string) => Effect.sync(() => void seen.push(`${who} ${text}`))
      const attack = (n: number) =>
        Effect.zipRight(
          rules.push([failed(`${n}a`, "ann", n), failed(`${n}b`, "ann", n), login(`${n}c`, "ann", n)]),
          settle
        )
      yield* attack(0)
      const first = yield* Scope.make()
      yield* Scope.extend(rule(say("first"), {}), first)
      yield* attack(100_000)
      const second = yield* Scope.make()
      yield* Scope.close(first, Exit.void)
      yield* Scope.extend(rule(say("second"), {}), second)
      yield* attack(200_000)
      yield* rules.pause("guessed")
      assert.deepStrictEqual(yield* rules.list, [{ name: "guessed", paused: true }])
      yield* attack(300_000)
      yield* rules.resume("guessed")
      yield* attack(400_000)
      yield* Scope.close(second, Exit.void)
      yield* attack(500_000)
      assert.deepStrictEqual(yield* rules.list, [])
      assert.deepStrictEqual(seen, [
        "first ann 100000,100000 100000",
        "second ann 200000,200000 200000",
        "second ann 400000,400000 400000"
      ])
    }).pipe(Effect.provide(base)))

  it.scoped("an action that fails is retried by its verdict, then put aside, and handled again", () =>
    Effect.gen(function*() {
      class Down extends Schema.TaggedError<Down>()("Down", {}) {}
      let down = true
      let runs = 0
      yield* rule(() => Effect.suspend(() => (runs++, down ? Effect.fail(new Down()) : Effect.void)), {
        Down: OnError.retry(Schedule.recurs(2), OnError.deadLetter)
      })
      const rules = yield* Rules.Rules
      yield* rules.push([failed("1", "ann", 0), failed("2", "ann", 1), login("3", "ann", 2)])
      yield* settle
      const letters = yield* DeadLetters.DeadLetters
      const { bySubscription } = yield* letters.statistics({})
      assert.deepStrictEqual(bySubscription, { "rule.guessed": 1 } as never)
      assert.strictEqual(runs, 3)
      down = false
      yield* letters.reprocess({ subscription: "rule.guessed" })
      yield* settle
      assert.strictEqual(runs, 4)
      assert.strictEqual((yield* letters.statistics({})).total, 0)
    }).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, base))))

  it.scoped("two hundred rules of other types are not asked about an event", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      for (let n = 0; n < 200; n++) {
        const Kind = Event.make(`Kind${n}`, {})
        yield* Rules.run(`kind-${n}`, {
          events: [Kind],
          pattern: Pattern.begin("one", Kind),
          action: () => Effect.void
        })
      }
      yield* rules.push(Array.from({ length: 100 }, (_, id) => ({ id: String(id), event: { _tag: "Kind7" } })))
      assert.strictEqual((yield* rules.stats("kind-7")).events, 100)
      for (let n = 8; n < 200; n++) assert.strictEqual((yield* rules.stats(`kind-${n}`)).events, 0)
    }).pipe(Effect.provide(base)))
})

describe("Rules: feeds", () => {
  it.scoped("from a stream", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      yield* rule((text) => Effect.sync(() => void seen.push(text)), {})
      yield* Rules.fromStream(
        Stream.make<Array<Rules.Identified<typeof Failed.Type | typeof Login.Type>>>(
          failed("1", "ann", 0),
          failed("2", "ann", 1),
          login("3", "ann", 2)
        )
      )
      yield* settle
      assert.deepStrictEqual(seen, ["ann 0,1 2"])
    }).pipe(Effect.provide(base)))

  it.scoped("from the bus, whose own matches are none of its events", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      yield* rule((text) => Effect.sync(() => void seen.push(text)), {})
      yield* Layer.build(Rules.layerBus("rules"))
      const bus = yield* EventBus.EventBus
      yield* bus.publish([
        { type: "Failed", payload: { _tag: "Failed", user: "ann", at: 0 } },
        { type: "Failed", payload: { _tag: "Failed", user: "ann", at: 1 } },
        { type: "Login", payload: { _tag: "Login", user: "ann", at: 2 } }
      ])
      yield* settle
      assert.deepStrictEqual(seen, ["ann 0,1 2"])
    }).pipe(Effect.provide(base)))

  it.effect("from the store: killed anywhere, each match is acted on, and once", () =>
    forAll(
      FastCheck.record({
        events: FastCheck.array(
          FastCheck.record({ user: FastCheck.constantFrom("a", "b"), login: FastCheck.boolean() }),
          {
            minLength: 1,
            maxLength: 24
          }
        ),
        kills: FastCheck.array(FastCheck.nat(24), { maxLength: 3 }),
        keeps: FastCheck.array(FastCheck.boolean(), { minLength: 8, maxLength: 8 }),
        every: FastCheck.integer({ min: 1, max: 6 })
      }),
      ({ events, every, keeps, kills }) =>
        Effect.gen(function*() {
          const shared = yield* Layer.build(Layer.mergeAll(Memory.layer, EventBus.layerMemory, Inbox.layerMemory))
          const acted: Array<string> = []
          const found = new Set<string>()
          let saves = 0
          /** Of what is saved, some is lost: a process is killed before it, or after it. */
          const snapshots = Layer.map(Layer.succeedContext(shared), (context) => {
            const all = Context.get(context, SnapshotStore)
            return Context.make(SnapshotStore, {
              ...all,
              save: (snapshot) => keeps[saves++ % keeps.length] === true ? all.save(snapshot) : Effect.succeed(true)
            })
          })
          const store = Context.get(shared, EventStore)
          const life = (append: ReadonlyArray<(typeof events)[number]>, offset: number) =>
            Effect.gen(function*() {
              yield* rule((text, detection) =>
                Effect.gen(function*() {
                  found.add(detection.id)
                  yield* Rules.once(() => Effect.sync(() => void acted.push(text)))(undefined, detection)
                }).pipe(Effect.provide(shared), Effect.orDie), {})
              yield* Layer.build(Rules.layerStore({ name: "r", after: "earliest", every }))
              for (const [index, { login, user }] of append.entries()) {
                const at = offset + index
                yield* store.append([{
                  stream: `user-${user}`,
                  events: [{
                    type: login ? "Login" : "Failed",
                    payload: { _tag: login ? "Login" : "Failed", user, at }
                  }]
                }])
              }
              yield* settle
              yield* TestClock.adjust("1 second")
              yield* settle
            }).pipe(
              Effect.scoped,
              Effect.provide(
                Rules.layerEmpty.pipe(Layer.provideMerge(snapshots), Layer.provideMerge(Layer.succeedContext(shared)))
              )
            )
          const cuts = [0, ...kills.map((kill) => Math.min(kill, events.length)).sort((a, b) => a - b), events.length]
          for (let life_ = 0; life_ + 1 < cuts.length; life_++) {
            yield* life(events.slice(cuts[life_], cuts[life_ + 1]), cuts[life_]!)
          }
          // once more, so that what was found last is delivered
          yield* life([], events.length)

          const expected: Array<string> = []
          for (const user of ["a", "b"]) {
            const own = events.flatMap((event, at) => event.user === user ? [{ ...event, at }] : [])
            for (const [index, { at, login }] of own.entries()) {
              if (login) continue
              const second = own.slice(index + 1).find(({ login }) => !login)
              const last = second && own.slice(own.indexOf(second) + 1).find(({ login }) => login)
              if (last) expected.push(`${user} ${at},${second.at} ${last.at}`)
            }
          }
          assert.sameMembers(acted, expected)
          assert.strictEqual(found.size, expected.length)
        }).pipe(Effect.scoped),
      { numRuns: 25, seed: 41 }
    ))

  it.scoped("what waits for time alone happens as the clock goes on", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const store = yield* EventStore
      yield* Rules.run("abandoned", {
        events: [Failed, Login],
        pattern: Pattern.begin("failed", Failed).pipe(Pattern.notFollowedBy(Login), Pattern.within("1 minute")),
        timestamp: (event) => event.at,
        keyBy: (event) => event.user,
        action: ({ failed }) => Effect.sync(() => void seen.push(failed.user))
      })
      yield* Layer.build(Rules.layerStore({ name: "clocked", after: "earliest", clock: { every: "10 seconds" } }))
      yield* store.append([{
        stream: "user-x",
        events: [{ type: "Failed", payload: { _tag: "Failed", user: "x", at: 0 } }]
      }])
      yield* settle
      yield* TestClock.adjust("50 seconds")
      yield* settle
      assert.deepStrictEqual(seen, [])
      yield* TestClock.adjust("11 seconds")
      yield* settle
      assert.deepStrictEqual(seen, ["x"])
      yield* Fiber.roots.pipe(Effect.asVoid)
    }).pipe(Effect.provide(Rules.layerEmpty.pipe(Layer.provideMerge(Layer.merge(Memory.layer, EventBus.layerMemory))))))
})
