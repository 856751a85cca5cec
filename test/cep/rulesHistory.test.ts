import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, FastCheck, Layer, Schema, TestClock } from "effect"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Event from "effect-skald/event/Event"
import { forAll } from "effect-skald/testing/ForAll"

const Failed = Event.make("Failed", { user: Schema.String, n: Schema.Number })
const Login = Event.make("Login", { user: Schema.String, n: Schema.Number })
const Read = Event.make("Read", { user: Schema.String, n: Schema.Number })
type Any = typeof Failed.Type | typeof Login.Type | typeof Read.Type

const base = Layer.provideMerge(Rules.layerEmpty, EventBus.layerMemory)
const settle = Effect.yieldNow().pipe(Effect.repeatN(60))
const identified = (event: Any) => ({ id: `${event.n}`, event })

const guessed = Pattern.begin("failures", Failed, { times: { min: 2, max: 2 } }).pipe(
  Pattern.followedBy("login", Login)
)

describe("Rules of the last events of a key", () => {
  it.effect("find what lies among so many of one key, wherever they are kept and go on", () => {
    let matches = 0
    let forgotten = 0
    return Effect.tap(
      forAll(
        FastCheck.record({
          last: FastCheck.integer({ min: 3, max: 7 }),
          events: FastCheck.array(
            FastCheck.record({
              user: FastCheck.constantFrom("a", "b"),
              make: FastCheck.constantFrom(Failed, Failed, Login, Read)
            }),
            { minLength: 20, maxLength: 40 }
          ),
          restarts: FastCheck.array(FastCheck.nat(40), { maxLength: 3 })
        }),
        ({ events, last, restarts }) =>
          Effect.gen(function*() {
            const found: Array<string> = []
            const rules = yield* Rules.Rules
            yield* Rules.run("guessed", {
              events: [Failed, Login, Read],
              pattern: guessed,
              last,
              keyBy: (event: Any) => event.user,
              action: ({ failures, login }, { key }) =>
                Effect.sync(() => void found.push(`${key} ${failures.map(({ n }) => n).join()} ${login.n}`))
            })
            const all = events.map(({ make, user }, n): Any => make({ user, n }))
            for (const event of all) {
              if (restarts.includes(event.n)) {
                const kept = JSON.parse(JSON.stringify(yield* rules.feed.snapshot))
                assert.deepStrictEqual(yield* rules.feed.restore(kept), [])
              }
              yield* rules.push([identified(event)])
            }
            yield* settle
            yield* TestClock.adjust("1 second")
            yield* settle

            const expected = ["a", "b"].flatMap((user) => {
              const own = all.filter((event) => event.user === user)
              return own.flatMap((first, at) => {
                if (first._tag !== "Failed") return []
                const second = own.findIndex((event, index) => index > at && event._tag === "Failed")
                const login = own.findIndex((event, index) => index > second && event._tag === "Login")
                if (second === -1 || login === -1) return []
                if (login - at >= last) {
                  forgotten++
                  return []
                }
                matches++
                return [`${user} ${first.n},${own[second]!.n} ${own[login]!.n}`]
              })
            })
            assert.sameMembers(found, expected)
            const stats = yield* rules.stats("guessed")
            assert.deepInclude(stats, { events: events.length, matches: expected.length, late: 0 })
            for (const { key, taken } of yield* rules.partialMatches("guessed")) {
              assert.isAtMost(taken, 2)
              assert.include(["a", "b"], key)
            }
          }).pipe(Effect.scoped, Effect.provide(base)),
        { numRuns: 30, seed: 47 }
      ),
      () =>
        Effect.sync(() => {
          assert.isAbove(matches, 50)
          assert.isAbove(forgotten, 20)
        })
    )
  })

  it.scoped("what is older is forgotten, and nothing is kept of a key that has nothing", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const missed: Array<string> = []
      yield* Rules.run("left", {
        events: [Failed, Login, Read],
        pattern: Pattern.begin("failed", Failed).pipe(Pattern.notFollowedBy(Login)),
        last: 3,
        keyBy: (event: Any) => event.user,
        timestamp: (event: Any) => 1_000 + event.n,
        action: ({ failed }, { key, time }) => Effect.sync(() => void missed.push(`${key} ${failed.n} at ${time}`))
      })
      yield* rules.push(
        [Failed({ user: "a", n: 1 }), Read({ user: "b", n: 2 }), Read({ user: "a", n: 3 })].map(identified)
      )
      const alive = yield* rules.partialMatches("left")
      assert.deepStrictEqual(alive.map(({ key, last, step }) => [key, step, last.time]), [["a", "failed", 1_001]])
      assert.deepInclude(yield* rules.stats("left"), { keys: 1, partialMatches: 1 })
      // the third event since, itself included, was no login
      yield* rules.push(
        [Read({ user: "b", n: 4 }), Read({ user: "a", n: 5 }), Read({ user: "a", n: 6 })].map(identified)
      )
      yield* settle
      assert.deepStrictEqual(missed, ["a 1 at 1006"])
      assert.deepStrictEqual(yield* rules.partialMatches("left"), [])
      assert.deepInclude(yield* rules.stats("left"), { events: 6, matches: 1, keys: 0, partialMatches: 0 })
    }).pipe(Effect.provide(base)))

  it.scoped("who names no number has the usual one: what is older by one event is forgotten", () =>
    Effect.gen(function*() {
      const rules = yield* Rules.Rules
      const seen: Array<string> = []
      yield* Rules.run("usual", {
        events: [Failed, Login, Read],
        pattern: Pattern.begin("failed", Failed).pipe(Pattern.followedBy("login", Login)),
        last: true,
        keyBy: (event: Any) => event.user,
        action: ({ failed, login }, { key }) => Effect.sync(() => void seen.push(`${key} ${failed.n} ${login.n}`))
      })
      // of two keys by turns, so that events of the other do not count
      for (const [user, between] of [["a", Rules.defaultLast - 2], ["b", Rules.defaultLast - 1]] as const) {
        yield* rules.push([Failed({ user, n: 0 })].map(identified))
        for (let n = 1; n <= between; n++) {
          yield* rules.push([Read({ user, n }), Read({ user: "other", n })].map(identified))
        }
        yield* rules.push([Login({ user, n: between + 1 })].map(identified))
      }
      yield* settle
      assert.deepStrictEqual(seen, [`a 0 ${Rules.defaultLast - 1}`])
      assert.strictEqual(Rules.defaultLast, 100)
    }).pipe(Effect.provide(base)))

  it.scoped("a count that is none, and a pattern that asks for time as well, are refused", () =>
    Effect.gen(function*() {
      const rule = (last: number, pattern: Pattern.Pattern<any, Any>) =>
        Rules.run("guessed", {
          events: [Failed, Login, Read],
          pattern,
          last,
          timestamp: (event: Any) => event.n,
          action: () => Effect.void
        })
      const refused = yield* Effect.flip(rule(0, guessed))
      assert.strictEqual(refused.message, "last: must be at least 1, got 0")
      const cause = yield* Effect.sandbox(rule(5, Pattern.within("1 minute")(guessed))).pipe(Effect.flip)
      const [defect] = Cause.defects(cause)
      assert.instanceOf(defect, Pattern.InvalidPattern)
      assert.include((defect as Pattern.InvalidPattern).message, "either the last events or those within a time")
    }).pipe(Effect.provide(base)))
})
