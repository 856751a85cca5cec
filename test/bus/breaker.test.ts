import { assert, describe, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as CircuitBreaker from "effect-skald/resilience/CircuitBreaker"
import * as Retryability from "effect-skald/resilience/Retryability"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schedule, Schema, Scope, Stream, TestClock } from "effect"

const Said = Event.make("Said", { n: Schema.Number })
const bus = Publisher.make([Said])

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}
class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}, Retryability.permanent) {}

const layer = Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)
const settle = Effect.repeatN(Effect.yieldNow(), 500)
const publish = (...numbers: ReadonlyArray<number>) => bus.publishAll(numbers.map((n) => Said({ n })))
const depth = Effect.flatMap(EventBus.EventBus, (service) => service.depth("s"))
const listed = Effect.flatMap(
  DeadLetters.DeadLetters,
  (letters) => Effect.map(Stream.runCollect(letters.list({})), (all) => Array.from(all))
)
const stateOf = ({ breaker }: Subscription.Running) => Effect.map(Option.getOrThrow(breaker).state, ({ _tag }) => _tag)

/** A handler whose runs are noted, and that fails while it is told to. */
const subject = () => {
  const runs: Array<readonly [number, number]> = []
  const state: { fail: ((n: number) => Effect.Effect<void, Busy | Wrong>) | undefined } = {
    fail: () => new Busy()
  }
  return {
    runs,
    state,
    handler: ({ n }: { readonly n: number }, { attempt }: Subscription.Delivery) =>
      Effect.suspend(() => {
        runs.push([n, attempt])
        return state.fail === undefined ? Effect.void : state.fail(n)
      })
  }
}

const dead = { Busy: OnError.deadLetter, Wrong: OnError.deadLetter }

describe("acceptance", () => {
  it.scoped("15: five failures in a row open it, not five with successes between", () =>
    Effect.gen(function*() {
      const { handler, runs, state } = subject()
      state.fail = (n) => n % 3 === 0 ? Effect.void : new Busy()
      const running = yield* Subscription.run("s", { events: [Said], breaker: {}, handler, onError: dead })
      yield* publish(1, 2, 3, 4, 5, 6, 7, 8)
      yield* settle
      assert.strictEqual(yield* stateOf(running), "Closed")
      state.fail = () => new Busy()
      yield* publish(9, 10, 11, 12, 13)
      yield* settle
      // 7 and 8 have failed before
      assert.deepStrictEqual(runs.map(([n]) => n), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
      assert.strictEqual(yield* stateOf(running), "Open")
    }).pipe(Effect.provide(layer)))

  it.scoped("15: while it is open nothing is taken, and no attempt is spent; after 30 s it is tried, and closes", () =>
    Effect.gen(function*() {
      const { handler, runs, state } = subject()
      const running = yield* Subscription.run("s", {
        events: [Said],
        breaker: {},
        handler,
        onError: { Busy: OnError.retry(Schedule.spaced("1 second"), OnError.deadLetter), Wrong: OnError.deadLetter }
      })
      yield* publish(1, 2, 3)
      yield* settle
      yield* TestClock.adjust("4 seconds")
      yield* settle
      const five = [1, 2, 3, 4, 5].map((attempt) => [1, attempt])
      assert.deepStrictEqual(runs, five as never)
      assert.strictEqual(yield* stateOf(running), "Open")
      // opened after the run at 4 s; its retry falls due and is refused, for 30 s
      yield* TestClock.adjust("29999 millis")
      yield* settle
      assert.deepStrictEqual(runs, five as never)
      const { inFlight, ready } = yield* depth
      assert.deepStrictEqual([inFlight, ready], [1, 2])
      state.fail = undefined
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.deepStrictEqual(runs.slice(5), [[1, 6], [2, 1], [3, 1]])
      assert.strictEqual(yield* stateOf(running), "Closed")
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(Effect.provide(layer)))

  it.scoped("15: half-open it runs three trials at once, and one that fails opens it again", () =>
    Effect.gen(function*() {
      const { handler, runs, state } = subject()
      const running = yield* Subscription.run("s", {
        events: [Said],
        breaker: {},
        concurrency: 10,
        handler,
        onError: dead
      })
      yield* publish(1, 2, 3, 4, 5)
      yield* settle
      assert.strictEqual(yield* stateOf(running), "Open")
      const gate = yield* Deferred.make<void, Busy>()
      state.fail = () => Deferred.await(gate)
      yield* publish(11, 12, 13, 14, 15, 16, 17, 18)
      yield* settle
      assert.strictEqual(runs.length, 5)
      yield* TestClock.adjust("30 seconds")
      yield* settle
      assert.strictEqual(runs.length, 5 + CircuitBreaker.defaultTrials)
      assert.strictEqual(yield* stateOf(running), "HalfOpen")
      yield* Deferred.fail(gate, new Busy())
      yield* settle
      assert.strictEqual(yield* stateOf(running), "Open")
      assert.strictEqual(runs.length, 5 + CircuitBreaker.defaultTrials)
      state.fail = undefined
      yield* TestClock.adjust("30 seconds")
      yield* settle
      assert.strictEqual(yield* stateOf(running), "Closed")
      assert.sameMembers(runs.slice(5).map(([n]) => n), [11, 12, 13, 14, 15, 16, 17, 18])
      assert.isTrue(runs.every(([, attempt]) => attempt === 1))
    }).pipe(Effect.provide(layer)))
})

describe("a breaker in a subscription", () => {
  const cases: ReadonlyArray<readonly [string, (n: number) => Effect.Effect<void, Busy | Wrong>, object, string]> = [
    ["permanent errors do not count", () => new Wrong(), {}, "Closed"],
    [
      "permanent errors count where a predicate says so",
      () => new Wrong(),
      { breaker: { counts: () => true } },
      "Open"
    ],
    [
      "retryable errors do not count where a predicate says so",
      () => new Busy(),
      { breaker: { counts: () => false } },
      "Closed"
    ],
    ["defects count", () => Effect.die("broken"), {}, "Open"],
    ["time-outs count", () => Effect.never, { timeout: "1 second", onTimeout: OnError.deadLetter }, "Open"]
  ]
  for (const [title, fail, options, expected] of cases) {
    it.scoped(title, () =>
      Effect.gen(function*() {
        const { handler, state } = subject()
        state.fail = fail
        const running = yield* Subscription.run("s", {
          events: [Said],
          breaker: {},
          handler,
          onError: dead,
          ...options
        })
        yield* publish(1, 2, 3, 4, 5)
        yield* settle
        yield* TestClock.adjust("5 seconds")
        yield* settle
        assert.strictEqual(yield* stateOf(running), expected)
      }).pipe(Effect.provide(layer)))
  }

  it.scoped("what it does not take while it is open, another process takes", () =>
    Effect.gen(function*() {
      const { handler, runs, state } = subject()
      yield* Subscription.run("s", { events: [Said], breaker: {}, concurrency: 2, handler, onError: dead })
      state.fail = () => new Busy()
      yield* publish(1, 2, 3, 4, 5)
      yield* settle
      yield* publish(6, 7, 8)
      yield* settle
      assert.strictEqual(runs.length, 5)
      const other: Array<number> = []
      yield* Subscription.run("s", { events: [Said], handler: ({ n }) => Effect.sync(() => void other.push(n)) })
      yield* settle
      assert.deepStrictEqual(other, [6, 7, 8])
    }).pipe(Effect.provide(layer)))

  it.scoped("it is one for all consumers of a name in this process, and none for others", () =>
    Effect.gen(function*() {
      const { handler, runs, state } = subject()
      const [one, two] = yield* Effect.all(
        Array.from({ length: 2 }, () => Subscription.run("s", { events: [Said], breaker: {}, handler, onError: dead }))
      )
      const other = yield* Subscription.run("other", { events: [Said], breaker: {}, handler: () => Effect.void })
      yield* publish(1, 2, 3, 4, 5, 6, 7, 8)
      yield* settle
      assert.strictEqual(runs.length, 5)
      assert.deepStrictEqual(yield* Effect.all([one!, two!, other].map(stateOf)), ["Open", "Open", "Closed"])
      // and is told by hand
      state.fail = undefined
      yield* Option.getOrThrow(one!.breaker).close
      yield* settle
      assert.strictEqual(runs.length, 8)
    }).pipe(Effect.provide(layer)))

  it.scoped("messages of a key keep their order over it", () =>
    Effect.gen(function*() {
      const { handler, runs, state } = subject()
      yield* Subscription.run("s", {
        events: [Said],
        breaker: { trip: CircuitBreaker.consecutive(2) },
        concurrency: 4,
        key: ({ n }) => `${n % 2}`,
        handler,
        onError: { Busy: OnError.retry(Schedule.spaced("1 second"), OnError.deadLetter), Wrong: OnError.deadLetter }
      })
      yield* publish(1, 2, 3, 4, 5, 6, 7, 8)
      yield* settle
      assert.deepStrictEqual(runs, [[1, 1], [2, 1]])
      state.fail = undefined
      yield* TestClock.adjust("31 seconds")
      yield* settle
      const order = runs.slice(2).map(([n]) => n)
      assert.deepStrictEqual(order.filter((n) => n % 2 === 1), [1, 3, 5, 7])
      assert.deepStrictEqual(order.filter((n) => n % 2 === 0), [2, 4, 6, 8])
    }).pipe(Effect.provide(layer)))

  it.scoped("the end of a subscription does not wait for what waits for its breaker", () =>
    Effect.gen(function*() {
      const { handler, runs } = subject()
      const scope = yield* Scope.make()
      yield* Scope.extend(
        Subscription.run("s", {
          events: [Said],
          breaker: {},
          handler,
          onError: { Busy: OnError.retry(Schedule.recurs(10), OnError.deadLetter), Wrong: OnError.deadLetter }
        }),
        scope
      )
      yield* publish(1)
      yield* settle
      assert.strictEqual(runs.length, 5)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      assert.isNotNull(closing.unsafePoll())
      yield* Fiber.join(closing)
      const seen: Array<number> = []
      yield* Subscription.run("s", {
        events: [Said],
        handler: (_, { attempt }) => Effect.sync(() => void seen.push(attempt))
      })
      yield* settle
      assert.deepStrictEqual(seen, [6])
    }).pipe(Effect.provide(layer)))

  it.scoped("a message whose time to live ends while it waits is expired, not handled", () =>
    Effect.gen(function*() {
      const { handler, runs } = subject()
      yield* Subscription.run("s", {
        events: [Said],
        breaker: {},
        handler,
        onError: { Busy: OnError.retry(Schedule.recurs(10), OnError.deadLetter), Wrong: OnError.deadLetter }
      })
      yield* bus.publish(Said({ n: 1 }), { ttl: "10 seconds" })
      yield* settle
      yield* TestClock.adjust("30 seconds")
      yield* settle
      assert.strictEqual(runs.length, 5)
      assert.deepStrictEqual((yield* listed).map(({ attempts, reason }) => [reason, attempts]), [["expired", 5]])
    }).pipe(Effect.provide(layer)))

  it.scoped("the refusal of a breaker of the handler's own is a failure like others", () =>
    Effect.gen(function*() {
      const own = yield* CircuitBreaker.make("own")
      yield* own.open
      yield* Subscription.run("s", {
        events: [Said],
        breaker: {},
        handler: () => own.protect(Effect.void),
        onError: { CircuitOpen: OnError.deadLetter }
      })
      yield* publish(1)
      yield* settle
      assert.deepStrictEqual((yield* listed).map(({ error, reason }) => [reason, error.tag]), [[
        "rejected",
        "CircuitOpen"
      ]])
    }).pipe(Effect.provide(layer)))
})
