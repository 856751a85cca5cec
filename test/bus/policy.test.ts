import { assert, describe, it } from "@effect/vitest"
import * as BusPolicy from "effect-skald/bus/BusPolicy"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import { Context, Effect, FastCheck as fc, Layer, Schedule, Schema, Stream, TestClock, TestContext } from "effect"

const Said = Event.make("Said", { n: Schema.Number })
const bus = Publisher.make([Said])
class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const layer = Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)
const settle = Effect.repeatN(Effect.yieldNow(), 500)
const publish = (n: number, options: Publisher.Options = {}) => bus.publish(Said({ n }), options)
const listed = Effect.flatMap(
  DeadLetters.DeadLetters,
  (letters) => Effect.map(Stream.runCollect(letters.list({})), (all) => Array.from(all))
)

describe("a time limit for handlers", () => {
  it.scoped("one that takes longer is interrupted, which counts as an attempt that failed", () =>
    Effect.gen(function*() {
      const runs: Array<string> = []
      yield* Subscription.run("s", {
        events: [Said],
        timeout: "10 seconds",
        onTimeout: OnError.retry(Schedule.recurs(1), OnError.deadLetter),
        handler: (_, { attempt }) =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => void runs.push(`interrupted ${attempt}`)))
      })
      yield* publish(1)
      yield* settle
      yield* TestClock.adjust("9999 millis")
      yield* settle
      assert.deepStrictEqual(runs, [])
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.deepStrictEqual(runs, ["interrupted 1"])
      yield* TestClock.adjust("10 seconds")
      yield* settle
      const [letter] = yield* listed
      assert.deepInclude(letter!, { reason: "exhausted", attempts: 2 })
      assert.deepStrictEqual(letter!.history.map(({ tag }) => tag), ["HandlerTimeout", "HandlerTimeout"])
      assert.strictEqual(letter!.error.message, `the handler of "s" took longer than 10s`)
    }).pipe(Effect.provide(layer)))

  it.scoped("without a verdict of its own it is what the bus does by default, and never orElse", () =>
    Effect.gen(function*() {
      let runs = 0
      yield* Subscription.run("s", {
        events: [Said],
        timeout: "1 second",
        handler: (): Effect.Effect<void, Error> => Effect.suspend(() => runs++ === 0 ? Effect.never : Effect.void),
        onError: { orElse: OnError.deadLetter }
      })
      yield* publish(1)
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.strictEqual(runs, 2)
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(
      Effect.provide(
        Layer.provideMerge(layer, BusPolicy.layerVerdict(OnError.retry(Schedule.recurs(1), OnError.deadLetter)))
      )
    ))

  it.effect("one of no length is refused", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(
        Effect.scoped(Subscription.run("s", { events: [Said], timeout: 0, handler: () => Effect.void }))
      )
      assert.deepStrictEqual(refused._tag === "InvalidInput" && refused.faults.map(({ path }) => path), ["timeout"])
    }).pipe(Effect.provide(layer)))
})

describe("what a whole bus does", () => {
  const failing = (name: string, verdict: OnError.Verdict, runs: Array<number>) =>
    Subscription.run(name, {
      events: [Said],
      handler: (_, { attempt }): Effect.Effect<void, Busy> => {
        runs.push(attempt)
        return new Busy()
      },
      onError: { Busy: verdict }
    })

  it.scoped("a subscription inherits the bus's verdict, or ends its own with it, or has another", () =>
    Effect.gen(function*() {
      const [inherits, ends, own]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
      yield* failing("inherits", OnError.inherit, inherits)
      yield* failing("ends", OnError.retry(Schedule.recurs(1), OnError.inherit), ends)
      yield* failing("own", OnError.deadLetter, own)
      yield* publish(1)
      yield* settle
      assert.deepStrictEqual([inherits.length, ends.length, own.length], [3, 4, 1])
      assert.sameDeepMembers(
        (yield* listed).map(({ attempts, reason, subscription }) => [subscription, reason, attempts]),
        [
          ["inherits", "exhausted", 3],
          ["ends", "exhausted", 4],
          ["own", "rejected", 1]
        ]
      )
    }).pipe(
      Effect.provide(
        Layer.provideMerge(layer, BusPolicy.layerVerdict(OnError.retry(Schedule.recurs(2), OnError.inherit)))
      )
    ))

  it.scoped("nothing said anywhere is three retries, from about a second, then a dead letter", () =>
    Effect.gen(function*() {
      const runs: Array<number> = []
      yield* failing("s", OnError.inherit, runs)
      yield* publish(1)
      yield* settle
      for (let second = 0; second < 120; second++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.repeatN(Effect.yieldNow(), 50)
      }
      assert.deepStrictEqual(runs, [1, 2, 3, 4])
      assert.deepStrictEqual((yield* listed).map(({ reason }) => reason), ["exhausted"])
    }).pipe(Effect.provide(layer)))

  it.scoped("a Schedule of the bus's that looks at errors is refused when a subscription begins", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(failing("s", OnError.deadLetter, []))
      assert.deepStrictEqual(refused._tag === "InvalidInput" && refused.faults.map(({ path }) => path), [
        "DefaultVerdict"
      ])
    }).pipe(Effect.provide(Layer.provideMerge(
      layer,
      BusPolicy.layerVerdict(
        OnError.retry(Schedule.recurWhile((error: Busy) => error._tag === "Busy"), OnError.deadLetter)
      )
    ))))

  class Desk extends Context.Tag("Desk")<Desk, Array<string>>() {}

  it.scoped("the dead-letter handler of the bus is told of every subscription's letters, after the subscription's own", () => {
    const told: Array<string> = []
    const handler = BusPolicy.layerDeadLetterHandler((letter) =>
      Effect.flatMap(Desk, (desk) => {
        desk.push(`bus: ${letter.subscription} ${letter.reason} ${letter.attempts}`)
        return letter.subscription === "two" ? Effect.die("the desk is closed") : Effect.void
      })
    ).pipe(Layer.provide(Layer.succeed(Desk, told)))
    return Effect.gen(function*() {
      yield* Subscription.run("one", {
        events: [Said],
        handler: () => new Busy(),
        onError: { Busy: OnError.deadLetter },
        onDeadLetter: ({ subscription }) =>
          Effect.zipRight(Effect.sync(() => void told.push(`own: ${subscription}`)), Effect.fail("not heard"))
      })
      yield* Subscription.run("two", { events: [Said], handler: () => Effect.die("broken") })
      yield* publish(1)
      yield* settle
      assert.sameMembers(told, ["own: one", "bus: one rejected 1", "bus: two defect 1"])
      assert.isBelow(told.indexOf("own: one"), told.indexOf("bus: one rejected 1"))
      assert.strictEqual((yield* listed).length, 2)
      const { inFlight, ready } = yield* (yield* EventBus.EventBus).depth("two")
      assert.deepStrictEqual([inFlight, ready], [0, 0])
    }).pipe(Effect.provide(Layer.provideMerge(layer, handler)))
  })
})

describe("the limit that a message carries", () => {
  it("no handler runs more often than the message and its policy allow, whichever is less", () =>
    fc.assert(
      fc.asyncProperty(
        fc.option(fc.nat({ max: 6 }), { nil: undefined }),
        fc.nat({ max: 3 }),
        fc.nat({ max: 3 }),
        (retries, inPlace, later) =>
          Effect.gen(function*() {
            let runs = 0
            yield* Subscription.run("s", {
              events: [Said],
              handler: () => {
                runs++
                return new Busy()
              },
              onError: {
                Busy: OnError.retry(
                  Schedule.recurs(inPlace),
                  OnError.retryLater(
                    Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(later)),
                    OnError.deadLetter
                  )
                )
              }
            })
            yield* publish(1, { retries })
            for (let second = 0; second < 8; second++) {
              yield* Effect.repeatN(Effect.yieldNow(), 100)
              yield* TestClock.adjust("1 second")
            }
            yield* settle
            const allowed = Math.min(retries ?? Infinity, inPlace + later) + 1
            assert.strictEqual(runs, allowed)
            assert.deepStrictEqual((yield* listed).map(({ attempts, reason }) => [reason, attempts]), [[
              "exhausted",
              allowed
            ]])
            // reprocessed, it is counted anew
            yield* Effect.flatMap(DeadLetters.DeadLetters, (letters) => letters.reprocess({}))
            for (let second = 0; second < 8; second++) {
              yield* Effect.repeatN(Effect.yieldNow(), 100)
              yield* TestClock.adjust("1 second")
            }
            yield* settle
            assert.strictEqual(runs, allowed * 2)
          }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layer, TestContext.TestContext)), Effect.runPromise)
      ),
      { numRuns: 12 }
    ), 60_000)

  it.scoped("zero retries still run once; other numbers are refused", () =>
    Effect.gen(function*() {
      let runs = 0
      yield* Subscription.run("s", {
        events: [Said],
        handler: () => {
          runs++
          return new Busy()
        },
        onError: { Busy: OnError.retry(Schedule.recurs(5), OnError.ignore) }
      })
      yield* publish(1, { retries: 0 })
      yield* settle
      assert.strictEqual(runs, 1)
      assert.deepStrictEqual(yield* listed, [])
      for (const retries of [-1, 0.5, Number.NaN]) {
        const refused = yield* Effect.flip(publish(1, { retries }))
        assert.deepStrictEqual(
          refused._tag === "InvalidEvent" && refused.faults.map(({ path }) => path),
          ["messages[0].retries"]
        )
      }
    }).pipe(Effect.provide(layer)))
})

describe("a handler", () => {
  it.scoped("is told which subscription it handles for", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      yield* Subscription.run("mine", {
        events: [Said],
        handler: (_, { subscription }) => Effect.sync(() => void seen.push(subscription))
      })
      yield* publish(1)
      yield* settle
      assert.deepStrictEqual(seen, ["mine"])
    }).pipe(Effect.provide(layer)))
})
