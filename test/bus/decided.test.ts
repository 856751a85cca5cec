// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import { KeyValueStore } from "@effect/platform"
import * as ClaimCheck from "effect-skald/bus/ClaimCheck"
import type { DeadLetter } from "effect-skald/bus/DeadLetter"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlBus from "effect-skald/bus/Sql"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as Retryability from "effect-skald/resilience/Retryability"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Deferred, Effect, Fiber, Layer, Schema, Stream, TestClock, TestServices } from "effect"

// What was decided about the bus where its design leaves it open: each sentence is a test, on both embedded drivers.

const Placed = Event.make("Placed", { order: Schema.String }, { subject: "order.placed" })
const Paid = Event.make("Paid", { order: Schema.String }, { subject: "order.paid" })
const bus = Publisher.make([Placed, Paid])

class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}, Retryability.permanent) {}

type Bus =
  | EventBus.EventBus
  | EventBus.Capable<"delay">
  | EventBus.Capable<"priority">
  | EventBus.Capable<"history">

/** Lets real time pass until it holds, whatever the clock of the test says. */
const until = (what: string, holds: () => boolean) =>
  Effect.gen(function*() {
    for (let looks = 0; !holds(); looks++) {
      if (looks > 2_000) return yield* Effect.dieMessage(`not within 10 s: ${what}`)
      yield* TestServices.provideLive(Effect.sleep("5 millis"))
    }
  })

/** What does not come has had the time to. */
const settle = Effect.repeatN(TestServices.provideLive(Effect.sleep("2 millis")), 25)

const letters = Effect.flatMap(
  DeadLetters.DeadLetters,
  (service) => Effect.map(Stream.runCollect(service.list({})), (all): ReadonlyArray<DeadLetter> => Array.from(all))
)

const told = (all: ReadonlyArray<DeadLetter>) =>
  all.map(({ message, reason, subscription }) => `${subscription} ${message.id} ${reason}`).sort()

const collect = (
  name: string,
  { event = Placed, prefetch }: { readonly event?: typeof Placed | typeof Paid; readonly prefetch?: number } = {}
) => {
  const seen: Array<string> = []
  return Effect.as(
    Subscription.run(name, {
      events: [event],
      prefetch,
      handler: ({ order }) => Effect.sync(() => void seen.push(order))
    }),
    seen
  )
}

/** Takes no message before it is told to, and then one after the other; the first is the gate itself. */
const gated = Effect.gen(function*() {
  const open = yield* Deferred.make<void>()
  const seen: Array<string> = []
  const options = (concurrency: number, prefetch?: number) => ({
    events: [Placed] as const,
    concurrency,
    prefetch,
    handler: ({ order }: { readonly order: string }) =>
      Effect.zipRight(Deferred.await(open), Effect.sync(() => void seen.push(order)))
  })
  return { seen, options, open: Deferred.succeed(open, undefined) }
})

const inFlight = Effect.flatMap(EventBus.EventBus, ({ depth }) => Effect.map(depth("s"), (depth) => depth.inFlight))

const cases = (title: string, driver: Layer.Layer<Bus, unknown>) =>
  describe(title, () => {
    const layer = Layer.provideMerge(DeadLetters.layer, driver)

    it.scoped("reprocessing ignores the time to live, begins at the first attempt, and keeps the history", () =>
      Effect.gen(function*() {
        const state = { on: true }
        const runs: Array<readonly [string, number]> = []
        yield* Subscription.run("s", {
          events: [Placed],
          handler: ({ order }, { attempt }): Effect.Effect<void, Wrong> =>
            Effect.suspend(() => {
              runs.push([order, attempt])
              return state.on ? Effect.fail(new Wrong()) : Effect.void
            }),
          onError: { Wrong: OnError.deadLetter }
        })
        yield* bus.publish(Placed({ order: "o-1" }), { ttl: "1 minute" })
        yield* until("the first run", () => runs.length === 1)
        let all: ReadonlyArray<DeadLetter> = []
        while (all.length < 1) all = yield* Effect.zipRight(settle, letters)
        assert.deepStrictEqual([all[0]!.reason, all[0]!.attempts, all[0]!.history.length], ["permanent", 1, 1])
        yield* TestClock.adjust("1 day")
        const service = yield* DeadLetters.DeadLetters
        assert.strictEqual(yield* service.reprocess({}), 1)
        yield* until("the second run", () => runs.length === 2)
        all = []
        while (all.length < 1) all = yield* Effect.zipRight(settle, letters)
        assert.deepStrictEqual([all[0]!.reason, all[0]!.attempts, all[0]!.history.length, all[0]!.reprocessed], [
          "permanent",
          1,
          2,
          1
        ])
        state.on = false
        yield* service.reprocess({})
        yield* until("the third run", () => runs.length === 3)
        assert.deepStrictEqual(runs, [["o-1", 1], ["o-1", 1], ["o-1", 1]])
      }).pipe(Effect.provide(layer)))

    it.scoped("the time to live counts from publishing, also where a message waits for its time", () =>
      Effect.gen(function*() {
        const seen = yield* collect("s")
        yield* bus.publish(Placed({ order: "short" }), { delay: "1 minute", ttl: "59 seconds" })
        yield* bus.publish(Placed({ order: "long" }), { delay: "1 minute", ttl: "61 seconds" })
        yield* TestClock.adjust("1 minute")
        yield* until("the one that lives", () => seen.length === 1)
        let all: ReadonlyArray<DeadLetter> = []
        while (all.length < 1) all = yield* Effect.zipRight(settle, letters)
        assert.deepStrictEqual([seen, all.map(({ reason }) => reason)], [["long"], ["expired"]])
      }).pipe(Effect.provide(layer)))

    it.scoped("what cannot be decoded does not hold its key, and is a dead letter of those alone that selected it", () =>
      Effect.gen(function*() {
        const service = yield* EventBus.EventBus
        const one = yield* collect("one")
        const other = yield* collect("other")
        const none = yield* collect("none", { event: Paid })
        const payload = (order: unknown) => ({ _tag: "Placed", order })
        const subject = "order.placed"
        yield* service.publish([
          { id: "1", type: "Placed", subject, key: "k", payload: payload("first") },
          { id: "2", type: "Placed", subject, key: "k", payload: payload(7) },
          { id: "3", type: "Placed", subject, key: "k", payload: payload("third") }
        ])
        yield* until("the one behind it", () => one.length === 2 && other.length === 2)
        yield* settle
        assert.deepStrictEqual([one, other, none], [["first", "third"], ["first", "third"], []])
        assert.deepStrictEqual(told(yield* letters), ["one 2 undecodable", "other 2 undecodable"])
      }).pipe(Effect.provide(layer)))

    it.scoped("ten for each that may be handled at once stand in the process, and no more", () =>
      Effect.gen(function*() {
        const { open, options, seen } = yield* gated
        yield* Subscription.run("s", options(2))
        yield* bus.publishAll(Array.from({ length: 50 }, (_, n) => Placed({ order: String(n) })))
        yield* settle
        assert.strictEqual(yield* inFlight, 2 * Subscription.defaultPrefetch)
        yield* open
        yield* until("all", () => seen.length === 50)
      }).pipe(Effect.provide(layer)))

    it.scoped("priority decides among what has not been taken yet; one that says none is 4", () =>
      Effect.gen(function*() {
        const { open, options, seen } = yield* gated
        yield* Subscription.run("s", options(1, 3))
        yield* bus.publishAll([1, 2, 3].map((n) => Placed({ order: `taken ${n}` })), { priority: 0 })
        while ((yield* inFlight) < 3) yield* settle
        for (const [order, priority] of [["three", 3], ["none", undefined], ["four", 4], ["five", 5]] as const) {
          yield* bus.publish(Placed({ order }), priority === undefined ? {} : { priority })
        }
        yield* settle
        yield* open
        yield* until("all", () => seen.length === 7)
        assert.deepStrictEqual(seen, ["taken 1", "taken 2", "taken 3", "five", "none", "four", "three"])
      }).pipe(Effect.provide(layer)))

    it.scoped("a message that waits gains no more than the highest priority: then the older one is first", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(collect("s"))
        yield* bus.publish(Placed({ order: "older, 0" }), { priority: 0 })
        yield* TestClock.adjust("1 minute")
        yield* bus.publish(Placed({ order: "newer, 5" }), { priority: 5 })
        yield* TestClock.adjust("20 minutes")
        yield* bus.publish(Placed({ order: "newest, 9" }), { priority: 9 })
        const seen = yield* collect("s", { prefetch: 1 })
        yield* until("all", () => seen.length === 3)
        assert.deepStrictEqual(seen, ["older, 0", "newer, 5", "newest, 9"])
      }).pipe(Effect.provide(layer)))

    it.scoped("the end waits ten seconds for what runs, then interrupts it and gives it back", () =>
      Effect.gen(function*() {
        const begun = yield* Deferred.make<void>()
        let interrupted = false
        const running = yield* Effect.fork(Effect.scoped(Effect.zipRight(
          Subscription.run("s", {
            events: [Placed],
            handler: () =>
              Effect.zipRight(
                Deferred.succeed(begun, undefined),
                Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
              )
          }),
          Effect.zipRight(bus.publish(Placed({ order: "o" })), Deferred.await(begun))
        )))
        yield* settle
        yield* TestClock.adjust(Subscription.defaultDrain)
        yield* Fiber.join(running)
        assert.isTrue(interrupted)
        const seen = yield* collect("s")
        yield* until("it comes again", () => seen.length === 1)
      }).pipe(Effect.provide(layer)))
  })

cases("decided: memory", EventBus.layerMemory)
cases("decided: SQLite", Layer.provide(SqlBus.layer(), SqliteClient.layer({ filename: ":memory:" })))

describe("decided: the limit of a claim check", () => {
  it.scoped("a payload of 256 KiB stays in its message, one that is a byte longer is checked in", () =>
    Effect.gen(function*() {
      const store = yield* KeyValueStore.KeyValueStore
      const service = yield* EventBus.EventBus
      // a text of so many bytes, quotes included
      const payload = (bytes: number) => "x".repeat(bytes - 2)
      yield* service.publish([{ type: "Placed", payload: payload(ClaimCheck.defaultLimit) }])
      assert.strictEqual(yield* store.size, 0)
      yield* service.publish([{ type: "Placed", payload: payload(ClaimCheck.defaultLimit + 1) }])
      assert.strictEqual(yield* store.size, 1)
      assert.strictEqual(ClaimCheck.defaultLimit, 256 * 1_024)
    }).pipe(Effect.provide(
      EventBus.layerMemory.pipe(Layer.provide(ClaimCheck.layer()), Layer.provideMerge(KeyValueStore.layerMemory))
    )))
})
