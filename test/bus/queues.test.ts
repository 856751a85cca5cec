import { assert, describe, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Pull from "effect-skald/bus/Pull"
import * as Queues from "effect-skald/bus/Queues"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import {
  Deferred,
  Duration,
  Effect,
  FastCheck as fc,
  Layer,
  Metric,
  Option,
  Schedule,
  Schema,
  Stream,
  TestClock,
  TestContext
} from "effect"

const Said = Event.make("Said", { n: Schema.Number })
const bus = Publisher.make([Said])
class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const layer = Layer.provideMerge(Queues.layer, EventBus.layerMemory)
const settle = Effect.repeatN(Effect.yieldNow(), 500)
const publish = (...numbers: ReadonlyArray<number>) => bus.publishAll(numbers.map((n) => Said({ n })))
const of = (name: string) => Effect.flatMap(Queues.Queues, (queues) => queues.get(name))

/** The state of the metric of a name and some labels. */
const metricOf = (name: string, labels: { readonly [name: string]: string }) =>
  Effect.map(Metric.snapshot, (all) => {
    const found = all.find(({ metricKey }) =>
      metricKey.name === name &&
      Object.entries(labels).every(([key, value]) =>
        metricKey.tags.some((tag) => tag.key === key && tag.value === value)
      ) &&
      ("error.type" in labels || metricKey.tags.every(({ key }) => key !== "error.type"))
    )
    return found?.metricState as { readonly count?: number; readonly sum?: number; readonly value?: number } | undefined
  })

describe("queues", () => {
  it.scoped("tell what waits, since when, and what is in flight, for every subscription of the bus", () =>
    Effect.gen(function*() {
      const queues = yield* Queues.Queues
      const gate = yield* Deferred.make<void>()
      yield* Subscription.run("b", { events: [Said], prefetch: 2, handler: () => Deferred.await(gate) })
      yield* Effect.scoped(Pull.make("a", { events: [Said] }))
      assert.deepStrictEqual(yield* queues.subscriptions, ["a", "b"])
      yield* publish(1, 2, 3, 4)
      yield* (yield* EventBus.EventBus).publish([{ type: "Said", payload: { _tag: "Said", n: 5 }, delay: "1 hour" }])
      yield* settle
      yield* TestClock.adjust("90 seconds")
      const [a, b] = yield* queues.all
      assert.deepInclude(a!, { subscription: "a", ready: 4, waiting: 1, inFlight: 0, processing: Option.none() })
      assert.deepStrictEqual(a!.oldestAge, Option.some(Duration.seconds(90)))
      assert.deepInclude(b!, { subscription: "b", ready: 2, waiting: 1, inFlight: 2 })
      assert.strictEqual(Option.getOrThrow(b!.processing).active, 1)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      const after = yield* of("b")
      assert.deepInclude(after, { ready: 0, inFlight: 0, oldestAge: Option.none() })
      assert.deepStrictEqual(Option.getOrThrow(after.processing).totals, {
        taken: 4,
        handled: 4,
        failed: 0,
        retried: 0,
        dead: 0
      })
      const refused = yield* Effect.flip(of("nobody"))
      assert.strictEqual(refused._tag, "InvalidInput")
    }).pipe(Effect.provide(layer)))

  it.scoped("tell how many were handled, failed, retried and put aside, and how fast, over the last minute", () =>
    Effect.gen(function*() {
      const fails = new Map([[1, 1], [2, 9]])
      yield* Subscription.run("s", {
        events: [Said],
        handler: ({ n }): Effect.Effect<void, Busy> => {
          const left = fails.get(n) ?? 0
          fails.set(n, left - 1)
          return left > 0 ? new Busy() : n === 3 ? Effect.die("broken") : Effect.void
        },
        onError: { Busy: OnError.retry(Schedule.recurs(2), OnError.deadLetter) }
      })
      yield* TestClock.adjust("40 seconds")
      yield* publish(1, 2, 3, 4, 5)
      yield* settle
      const { active, rates, totals } = Option.getOrThrow((yield* of("s")).processing)
      // 1 once, 2 three times, 3 by a defect
      assert.deepStrictEqual(totals, { taken: 5, handled: 3, failed: 5, retried: 3, dead: 2 })
      assert.strictEqual(active, 0)
      assert.deepStrictEqual(rates, { taken: 5 / 40, handled: 3 / 40, failed: 5 / 40, retried: 3 / 40, dead: 2 / 40 })
      yield* TestClock.adjust("2 minutes")
      const later = Option.getOrThrow((yield* of("s")).processing)
      assert.deepStrictEqual(later.rates, { taken: 0, handled: 0, failed: 0, retried: 0, dead: 0 })
      assert.deepStrictEqual(later.totals, totals)
      assert.deepStrictEqual(later.durations, Option.none())
    }).pipe(Effect.provide(layer)))

  it("percentiles are within 1 % of those of what handlers took", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 40 }), (millis) =>
        Effect.gen(function*() {
          yield* Subscription.run("s", {
            events: [Said],
            concurrency: millis.length,
            handler: ({ n }) =>
              Effect.sleep(Duration.millis(n))
          })
          yield* publish(...millis)
          yield* settle
          yield* TestClock.adjust("20 seconds")
          yield* settle
          const { durations } = Option.getOrThrow((yield* of("s")).processing)
          const sorted = millis.toSorted((a, b) => a - b)
          for (const [name, share] of [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]] as const) {
            const exact = sorted[Math.floor(share * (sorted.length - 1))]!
            const told = Duration.toMillis(Option.getOrThrow(durations)[name])
            assert.approximately(told, exact, exact * 0.01 + 1e-9)
          }
        }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layer, TestContext.TestContext)), Effect.runPromise)),
      { numRuns: 15 }
    ), 60_000)

  it.scoped("what is pulled is measured as well, from when it was asked for until it is settled", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said] })
      yield* publish(1, 2, 3)
      yield* settle
      const [one, two, three] = yield* said.pull(3)
      assert.strictEqual(Option.getOrThrow((yield* of("s")).processing).active, 3)
      yield* TestClock.adjust("4 seconds")
      yield* one!.ack
      yield* two!.retryLater("1 hour")
      yield* three!.deadLetter(new Busy())
      const { active, durations, totals } = Option.getOrThrow((yield* of("s")).processing)
      assert.strictEqual(active, 0)
      assert.deepStrictEqual(totals, { taken: 3, handled: 1, failed: 2, retried: 1, dead: 1 })
      assert.approximately(Duration.toMillis(Option.getOrThrow(durations).p50), 4_000, 40)
    }).pipe(Effect.provide(layer)))

  it.scoped("samples come again and again, with a subscription that is new, and without one that has ended", () =>
    Effect.gen(function*() {
      const queues = yield* Queues.Queues
      const seen: Array<ReadonlyArray<string>> = []
      yield* Effect.fork(
        Stream.runForEach(
          queues.samples("10 seconds"),
          (all) => Effect.sync(() => void seen.push(all.map(({ subscription }) => subscription)))
        )
      )
      yield* settle
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Subscription.run("brief", { events: [Said], kept: false, handler: () => Effect.void })
        yield* TestClock.adjust("10 seconds")
        yield* settle
      }))
      yield* TestClock.adjust("10 seconds")
      yield* settle
      assert.deepStrictEqual(seen, [[], ["brief"], []])
    }).pipe(Effect.provide(layer)))
})

describe("metrics", () => {
  it.scoped("of what is handled, by OpenTelemetry's names, need nothing but a subscription", () =>
    Effect.gen(function*() {
      const group = { "messaging.consumer.group.name": "metered", "messaging.system": "memory" }
      yield* Subscription.run("metered", {
        events: [Said],
        handler: ({ n }): Effect.Effect<void, Busy> => n === 2 ? new Busy() : Effect.sleep("2 seconds"),
        onError: { Busy: OnError.retry(Schedule.recurs(1), OnError.deadLetter) }
      })
      const sent = metricOf("messaging.client.sent.messages", { "messaging.system": "memory" })
      const before = (yield* sent)?.count ?? 0
      yield* publish(1, 2)
      assert.strictEqual((yield* sent)!.count! - before, 2)
      yield* settle
      yield* TestClock.adjust("2 seconds")
      yield* settle
      assert.deepInclude(yield* metricOf("messaging.process.duration", group), { count: 1, sum: 2 })
      assert.deepInclude(
        yield* metricOf("messaging.process.duration", { ...group, "error.type": "Busy" }),
        { count: 2, sum: 0 }
      )
      assert.deepInclude(yield* metricOf("messaging.client.consumed.messages", group), { count: 2 })
      assert.deepInclude(yield* metricOf("skald.bus.retries", group), { count: 1 })
      assert.deepInclude(yield* metricOf("skald.bus.dead_letters", group), { count: 1 })
    }).pipe(Effect.provide(layer)))

  it.scoped("of what waits are kept up to date by a layer", () =>
    Effect.gen(function*() {
      const group = { "messaging.consumer.group.name": "gauged" }
      yield* Effect.scoped(Pull.make("gauged", { events: [Said] }))
      yield* publish(1, 2, 3)
      yield* Layer.build(Queues.layerMetrics({ every: "10 seconds" }))
      yield* settle
      assert.deepInclude(yield* metricOf("skald.bus.subscription.ready", group), { value: 3 })
      yield* TestClock.adjust("10 seconds")
      yield* settle
      assert.deepInclude(yield* metricOf("skald.bus.subscription.oldest_age", group), { value: 10 })
      assert.deepInclude(yield* metricOf("skald.bus.subscription.in_flight", group), { value: 0 })
      assert.deepInclude(yield* metricOf("skald.bus.subscription.waiting", group), { value: 0 })
    }).pipe(Effect.provide(layer)))
})
