import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Duration, Effect, Fiber, Layer, Metric, Option, Queue, Stream, TestClock } from "effect"
import * as Lag from "effect-skald/cqrs/Lag"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionTakeOver from "effect-skald/cqrs/ProjectionTakeOver"
import * as Correlation from "effect-skald/event/Correlation"
import * as Memory from "effect-skald/Memory"
import { EventStore } from "effect-skald/store/EventStore"
import { StoreError } from "effect-skald/store/StoreError"
import { equal, includes } from "../support/assert.ts"
import { Deposited, Wallets, Withdrawn } from "../support/wallet.ts"

const put = (...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append("a", amounts.map((amount) => Deposited({ amount }))), ({ position }) => position)

/** A handler that goes no further while its gate is shut. */
const gated = Effect.gen(function*() {
  const gate = yield* Effect.makeLatch(true)
  const projection = Projection.handler("gated", { events: [Deposited], handle: () => gate.await })
  return { gate, projection }
})

const lagOf = (name: string) => Effect.map(Lag.report, (lags) => lags.filter((lag) => lag.name === name))
const settle = TestClock.adjust("1 second")

describe("Lag", () => {
  it.effect("of a projection: its own events that it has before it, and how old the first is; gone when it ends", () =>
    Effect.gen(function*() {
      const { gate, projection } = yield* gated
      yield* Effect.gen(function*() {
        yield* Projection.awaitPosition(projection, yield* put(1))
        includes((yield* lagOf("gated"))[0]!, {
          kind: "projection",
          position: 1,
          head: 1,
          events: 0,
          age: Duration.zero
        })
        yield* gate.close
        yield* put(2, 3)
        yield* TestClock.adjust("10 seconds")
        yield* Wallets.append("a", [Withdrawn({ amount: 1 })])
        yield* put(4)
        yield* TestClock.adjust("20 seconds")
        equal(yield* lagOf("gated"), [
          { name: "gated", kind: "projection", position: 1, head: 5, events: 3, age: Duration.seconds(30) }
        ])
        yield* gate.open
        yield* settle
        includes((yield* lagOf("gated"))[0]!, { position: 5, events: 0, age: Duration.zero })
      }).pipe(Effect.provide(Projection.layerAsync(projection)))
      equal(yield* lagOf("gated"), [])
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("of another tenant's projection, and of one that several processes run", () =>
    Effect.gen(function*() {
      const { gate, projection } = yield* gated
      const as = Correlation.locally({ tenant: "one" })
      yield* gate.close
      yield* put(1).pipe(as)
      yield* put(2)
      const layers = Layer.merge(
        Layer.locally(Projection.layerAsync(projection), Correlation.currentCorrelation, { tenant: "one" }),
        ProjectionTakeOver.layer(Projection.handler("taken", { ...projection, events: [Deposited] }))
      )
      yield* Effect.gen(function*() {
        yield* settle
        includes((yield* lagOf("gated"))[0]!, { events: 1, position: 0 })
        includes((yield* lagOf("taken"))[0]!, { events: 1, position: 0 })
      }).pipe(Effect.provide(layers))
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("is counted up to a bound", () =>
    Effect.gen(function*() {
      const { gate, projection } = yield* gated
      yield* gate.close
      yield* put(...Array.from({ length: Lag.countUpTo + 5 }, (_, n) => n))
      yield* Effect.provide(
        Effect.map(lagOf("gated"), ([lag]) => includes(lag!, { events: Lag.countUpTo })),
        Projection.layerAsync(projection)
      )
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("of a subscription: what was not taken yet", () =>
    Effect.gen(function*() {
      const handled = yield* Queue.unbounded<number>()
      const go = yield* Effect.makeLatch(false)
      yield* put(1)
      const fiber = yield* Effect.fork(Stream.runForEach(
        Lag.subscribe("mails", { category: "wallet", after: "earliest" }),
        (event) => Effect.zipRight(go.await, Queue.offer(handled, event.position))
      ))
      yield* settle
      includes((yield* lagOf("mails"))[0]!, { kind: "subscription", events: 1, position: 0, age: Duration.seconds(1) })
      yield* go.open
      yield* put(2, 3)
      yield* settle
      equal(Chunk.toReadonlyArray(yield* Queue.takeAll(handled)), [1, 2, 3])
      includes((yield* lagOf("mails"))[0]!, { events: 0, position: 3 })
      yield* Fiber.interrupt(fiber)
      equal(yield* lagOf("mails"), [])
      // it begins where it is asked to
      const first = yield* Deferred.make<number>()
      yield* Effect.fork(Stream.runForEach(Lag.subscribe("later"), ({ position }) => Deferred.succeed(first, position)))
      yield* settle
      const position = yield* put(4)
      assert.strictEqual(yield* Deferred.await(first), position)
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("as metrics, by name and kind, kept up to date", () =>
    Effect.gen(function*() {
      const { gate, projection } = yield* gated
      yield* gate.close
      const value = (metric: typeof Lag.events) =>
        Effect.map(
          Metric.value(metric.pipe(Metric.tagged("name", "gated"), Metric.tagged("kind", "projection"))),
          (state) => state.value
        )
      yield* Effect.gen(function*() {
        yield* put(1, 2, 3)
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(yield* value(Lag.events), 3)
        assert.strictEqual(yield* value(Lag.seconds), 20)
        yield* gate.open
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* value(Lag.events), 0)
        assert.strictEqual(yield* value(Lag.seconds), 0)
      }).pipe(Effect.provide(Layer.merge(Projection.layerAsync(projection), Lag.layerMetrics({ every: "10 seconds" }))))
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("alerts: one when one falls behind, by events or by age, one when it is back", () =>
    Effect.gen(function*() {
      const { gate, projection } = yield* gated
      yield* gate.close
      yield* Effect.gen(function*() {
        const found = yield* Queue.unbounded<Lag.Alert>()
        for (const threshold of [{ events: 2 }, { age: "1 minute", every: "1 second" }] as const) {
          yield* Effect.forkScoped(Stream.runForEach(Lag.alerts(threshold), (alert) => Queue.offer(found, alert)))
        }
        const told = Effect.map(
          Queue.takeAll(found),
          (alerts) => Chunk.toReadonlyArray(alerts).map(({ _tag, lag }) => [_tag, lag.name, lag.events])
        )
        yield* put(1, 2)
        yield* TestClock.adjust("30 seconds")
        equal(yield* told, [])
        yield* put(3)
        yield* TestClock.adjust("10 seconds")
        equal(yield* told, [["Behind", "gated", 3]])
        yield* TestClock.adjust("1 minute")
        equal(yield* told, [["Behind", "gated", 3]])
        yield* TestClock.adjust("1 minute")
        equal(yield* told, [])
        yield* gate.open
        yield* TestClock.adjust("10 seconds")
        equal(yield* told, [["Recovered", "gated", 0], ["Recovered", "gated", 0]])
      }).pipe(Effect.scoped, Effect.provide(Projection.layerAsync(projection)))
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("a store that cannot be asked for a while hides nothing from what is told later", () =>
    Effect.gen(function*() {
      const { gate, projection } = yield* gated
      yield* gate.close
      const store = yield* EventStore
      let asked = 0
      const flaky = Projection.layerAsync(projection).pipe(Layer.provide(Layer.succeed(EventStore, {
        ...store,
        head: Effect.suspend(() =>
          asked++ < 2
            ? Effect.fail(new StoreError({ reason: "unavailable", operation: "EventStore.head" }))
            : store.head
        )
      })))
      yield* Effect.gen(function*() {
        yield* put(1)
        const first = yield* Effect.fork(Stream.runHead(Lag.alerts({ events: 0 })))
        yield* TestClock.adjust("1 minute")
        includes(Option.getOrThrow(yield* first), { _tag: "Behind" })
        assert.isAbove(asked, 2)
      }).pipe(Effect.provide(flaky))
    }).pipe(Effect.provide(Memory.layer)))

  it("refuses thresholds that name nothing, or what is not counted", () => {
    for (const threshold of [{}, { events: -1 }, { events: Lag.countUpTo }, { events: 1.5 }]) {
      assert.throws(() => Lag.alerts(threshold), /threshold/)
    }
  })
})
