import { expect, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as StoreBus from "effect-skald/bus/StoreBus"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { EventStore } from "effect-skald/store/EventStore"
import { DateTime, Effect, Exit, Layer, Option, Schedule, Schema, Scope, Stream } from "effect"
import { onBoth } from "../support/embedded.ts"

const Placed = Event.make("Placed", { n: Schema.Number }, { subject: "order.placed" })
const Paid = Event.make("Paid", { n: Schema.Number }, { subject: "order.paid" })
const bus = Publisher.make([Placed, Paid])

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Lets real time pass until it holds. */
const until = (holds: () => boolean, what: string) =>
  Effect.gen(function*() {
    const from = performance.now()
    while (!holds()) {
      if (performance.now() - from > 8_000) return yield* Effect.die(new Error(`not within 8 s: ${what}`))
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
    }
  })

const collect = (
  name: string,
  options: Partial<Subscription.EventOptions<[typeof Placed, typeof Paid], never, never>>
) => {
  const seen: Array<number> = []
  return Effect.as(
    Subscription.run(name, {
      ...options,
      events: [Placed, Paid],
      handler: ({ n }) => Effect.sync(() => void seen.push(n))
    }),
    seen
  )
}

onBoth("a bus backed by the store", (stores) => {
  const over = (options?: StoreBus.Options) =>
    Layer.provideMerge(
      DeadLetters.layer,
      StoreBus.layer(options).pipe(Layer.provide(EventBus.layerMemory), Layer.provideMerge(stores))
    )
  const layer = over()

  it.scopedLive("what is published is an event: read by stream, type, time and correlation", () =>
    Effect.gen(function*() {
      const deliveries: Array<Subscription.Delivery> = []
      yield* Subscription.run("s", {
        events: [Placed],
        handler: (_, delivery) => Effect.sync(() => void deliveries.push(delivery))
      })
      const placed = Envelope.make(Placed({ n: 1 }), {
        id: "a",
        occurredAt: "2020-01-02T00:00:00Z",
        headers: { own: "1" }
      })
      yield* bus.publish(placed, { key: "o-1", priority: "high" }).pipe(
        Correlation.locally({ correlationId: "talk", tenant: "acme" })
      )
      yield* bus.publishAll([Paid({ n: 2 }), Paid({ n: 3 })])
      const store = yield* EventStore
      const read = (options: Parameters<typeof store.readAll>[0]) =>
        Effect.map(
          Stream.runCollect(store.readAll({ allTenants: true, ...options })),
          (events) => Array.from(events, ({ payload }) => (payload as { readonly n: number }).n)
        )
      expect(yield* read({ stream: "published-o-1" })).toEqual([1])
      expect(yield* read({ stream: "published-order.paid" })).toEqual([2, 3])
      expect(yield* read({ types: ["Paid"] })).toEqual([2, 3])
      expect(yield* read({ until: DateTime.unsafeMake("2021-01-01T00:00:00Z") })).toEqual([1])
      expect(yield* read({ correlationId: "talk" })).toEqual([1])
      yield* until(() => deliveries.length === 1, "the delivery")
      const [delivery] = deliveries
      expect([delivery!.id, delivery!.subject, delivery!.key]).toEqual(["a", "order.placed", "o-1"])
      expect(delivery!.metadata).toEqual({ correlationId: "talk", tenant: "acme", headers: { own: "1" } })
      expect(delivery!.occurredAt.epochMillis).toBe(Date.parse("2020-01-02T00:00:00Z"))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a new subscription starts with the first, with those of now, or after any position", () =>
    Effect.gen(function*() {
      for (const n of numbers(6)) yield* bus.publish(Placed({ n }), { key: "k" })
      const earliest = yield* collect("earliest", { start: "earliest" })
      const third = yield* collect("third", { start: 3 })
      const latest = yield* collect("latest", {})
      yield* bus.publish(Placed({ n: 6 }), { key: "k" })
      yield* until(() => earliest.length === 7 && third.length === 4 && latest.length === 1, "all of them")
      expect([earliest, third, latest]).toEqual([numbers(7), [3, 4, 5, 6], [6]])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("a known subscription goes on where it was, wherever it says that it starts", () =>
    Effect.gen(function*() {
      const first = yield* Scope.make()
      const seen = yield* Scope.extend(collect("s", { start: "earliest" }), first)
      for (const n of numbers(5)) yield* bus.publish(Placed({ n }), { key: "k" })
      yield* until(() => seen.length === 5, "the first")
      yield* Scope.close(first, Exit.void)
      for (const n of numbers(5)) yield* bus.publish(Paid({ n: 5 + n }), { key: "k" })
      const rest = yield* collect("s", { start: "earliest" })
      yield* until(() => rest.length === 5, "the rest")
      expect([...seen, ...rest]).toEqual(numbers(10))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("two consumers of one name share its messages, each of which is handled once", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* collect("s", { start: "earliest" }), yield* collect("s", { start: "earliest" })]
      for (const n of numbers(40)) yield* bus.publish(Placed({ n }))
      yield* until(() => a.length + b.length >= 40, "40 messages")
      expect([...a, ...b].sort((x, y) => x - y)).toEqual(numbers(40))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("one that is not kept is forgotten with its last consumer", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const seen = yield* Scope.extend(collect("s", { kept: false }), scope)
      yield* bus.publish(Placed({ n: 1 }))
      yield* until(() => seen.length === 1, "the message")
      const checkpoints = yield* CheckpointStore
      expect(Option.isSome(yield* checkpoints.get(":bus/published/s"))).toBe(true)
      yield* Scope.close(scope, Exit.void)
      expect(Option.isNone(yield* checkpoints.get(":bus/published/s"))).toBe(true)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("retries, order by key, dead letters and reprocessing are those of any bus", () =>
    Effect.gen(function*() {
      const runs: Array<string> = []
      let closed = true
      yield* Subscription.run("s", {
        events: [Placed],
        concurrency: 4,
        handler: ({ n }, { attempt }): Effect.Effect<void, Busy> => {
          runs.push(`${n}/${attempt}`)
          return n === 1 && (attempt < 3 || closed) ? new Busy() : Effect.void
        },
        onError: {
          Busy: OnError.retryLater(
            Schedule.spaced("5 millis").pipe(Schedule.intersect(Schedule.recurs(2))),
            OnError.deadLetter
          )
        }
      })
      yield* bus.publishAll([Placed({ n: 1 }), Placed({ n: 2 })], { key: "k" })
      yield* until(() => runs.includes("2/1"), "the second of the key")
      expect(runs).toEqual(["1/1", "1/2", "1/3", "2/1"])
      const letters = yield* DeadLetters.DeadLetters
      expect((yield* letters.statistics({})).bySubscription).toEqual({ s: 1 })
      closed = false
      yield* letters.reprocess({})
      yield* until(() => runs.length === 7, "three more")
      expect(runs.slice(4)).toEqual(["1/1", "1/2", "1/3"])
      expect((yield* letters.statistics({})).total).toBe(0)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("the same message again is the same; another one under its id is refused, and so is a delay", () =>
    Effect.gen(function*() {
      const seen = yield* collect("s", {})
      const message = { id: "m", type: "Placed", subject: "order.placed", payload: { _tag: "Placed", n: 1 } }
      const service = yield* EventBus.EventBus
      yield* service.publish([message])
      yield* service.publish([message])
      yield* bus.publish(Placed({ n: 2 }))
      yield* until(() => seen.length >= 2, "both")
      expect(seen).toEqual([1, 2])
      const other = yield* Effect.flip(service.publish([{ ...message, payload: { _tag: "Placed", n: 3 } }]))
      expect(other._tag === "BusError" && other.reason).toBe("refused")
      const delayed = yield* Effect.flip(service.publish([{ ...message, id: "n", delay: "1 minute" }]))
      expect(delayed._tag).toBe("InvalidEvent")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("with everything, what others append are messages as well", () =>
    Effect.gen(function*() {
      const seen = yield* collect("s", { start: "earliest" })
      const Orders = Category.make("order", { id: Schema.String, events: [Placed, Paid] })
      yield* Orders.append("1", [Placed({ n: 1 })])
      yield* bus.publish(Paid({ n: 2 }))
      yield* until(() => seen.length >= 2, "both")
      expect(seen).toEqual([1, 2])
    }).pipe(Effect.provide(over({ everything: true }))))

  it.scopedLive("by subject and by expression; the log is not read further ahead than there is room", () =>
    Effect.gen(function*() {
      const count = StoreBus.ahead + 600
      for (let from = 0; from < count; from += 400) {
        yield* bus.publishAll(
          numbers(400).map((n) => (from + n) % 2 === 0 ? Placed({ n: from + n }) : Paid({ n: from + n }))
        )
      }
      let handled = 0
      const running = yield* Subscription.runSelect("s", {
        select: ["order.placed", /paid$/],
        start: "earliest",
        handler: () => Effect.sync(() => void handled++),
        onError: {}
      })
      yield* running.pause
      const service = yield* EventBus.EventBus
      let most = 0
      for (let look = 0; look < 40; look++) {
        const { inFlight, ready, waiting } = yield* service.depth("s")
        most = Math.max(most, ready + waiting + inFlight)
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      }
      expect(most).toBeLessThanOrEqual(StoreBus.ahead + 100)
      yield* running.resume
      yield* until(() => handled >= count, "all of them")
      expect(handled).toBe(count)
    }).pipe(Effect.provide(layer)))

  it.effect("a category with a dash is refused", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(Effect.scoped(Layer.build(over({ category: "a-b" }))))
      expect(refused._tag).toBe("InvalidInput")
    }))
})
