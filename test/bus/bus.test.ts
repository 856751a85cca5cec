import { describe, expect, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import type { DeadLetter } from "effect-skald/bus/DeadLetter"
import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as Retryability from "effect-skald/resilience/Retryability"
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Schedule,
  Schema,
  Scope,
  Stream,
  TestClock
} from "effect"

const Placed = Event.make("Placed", { order: Schema.String }, { subject: "order.placed" })
const Paid = Event.make("Paid", { order: Schema.String, amount: Schema.Number }, { subject: "order.paid" })
const bus = Publisher.make([Placed, Paid])

class Busy extends Schema.TaggedError<Busy>()("Busy", { n: Schema.Number }) {}
class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}, Retryability.permanent) {}

const layer = Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)

/** Lets everything that can run without time passing run. */
const settle = Effect.repeatN(Effect.yieldNow(), 500)

const collector = <E>() => {
  const seen: Array<E> = []
  return { seen, add: (event: E) => Effect.sync(() => void seen.push(event)) }
}

const listed = (filter: DeadLetters.Filter = {}) =>
  Effect.flatMap(
    DeadLetters.DeadLetters,
    (letters) => Effect.map(Stream.runCollect(letters.list(filter)), (all) => Array.from(all))
  )

describe("acceptance", () => {
  it.scoped("9: a handler on one tag, a handler object naming it, and *, which sees every event once", () =>
    Effect.gen(function*() {
      const one = collector<unknown>()
      const object = collector<unknown>()
      const all = collector<unknown>()
      yield* Subscription.run("one", { events: [Placed], handler: one.add })
      yield* Subscription.run("object", {
        ...Subscription.handlers([Placed, Paid], { Placed: object.add, Paid: () => Effect.void })
      })
      yield* Subscription.runSelect("all", { select: "*", handler: (event) => all.add(event), onError: {} })
      yield* bus.publish(Placed({ order: "o-1" }))
      yield* bus.publish(Paid({ order: "o-1", amount: 5 }))
      yield* settle
      expect(one.seen).toEqual([{ _tag: "Placed", order: "o-1" }])
      expect(object.seen).toEqual([{ _tag: "Placed", order: "o-1" }])
      expect(all.seen).toEqual([
        { _tag: "Placed", schemaVersion: 1, payload: { _tag: "Placed", order: "o-1" } },
        { _tag: "Paid", schemaVersion: 1, payload: { _tag: "Paid", order: "o-1", amount: 5 } }
      ])
    }).pipe(Effect.provide(layer)))

  it.scoped("10: two groups both get every event; a success does not commit past an earlier failure", () =>
    Effect.gen(function*() {
      const a = collector<string>()
      const b = collector<string>()
      const scope = yield* Scope.make()
      const failing = { on: true }
      const first = Subscription.run("a", {
        events: [Placed],
        concurrency: 2,
        handler: ({ order }): Effect.Effect<void, Busy> =>
          order === "1" && failing.on ? Effect.fail(new Busy({ n: 1 })) : a.add(order),
        onError: { Busy: OnError.retry(Schedule.spaced("1 hour"), OnError.deadLetter) }
      })
      yield* Effect.provideService(first, Scope.Scope, scope)
      yield* Subscription.run("b", { events: [Placed], handler: ({ order }) => b.add(order) })
      yield* bus.publishAll([Placed({ order: "1" }), Placed({ order: "2" })])
      yield* settle
      expect(a.seen).toEqual(["2"])
      expect(b.seen).toEqual(["1", "2"])
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      yield* TestClock.adjust(Subscription.defaultDrain)
      yield* Fiber.join(closing)
      failing.on = false
      yield* first
      yield* TestClock.adjust("1 hour")
      yield* settle
      expect(a.seen).toEqual(["2", "1"])
    }).pipe(Effect.provide(layer)))

  it.scoped("11: a permanent error makes one attempt, a temporary one with retry of 5 six; reprocess and remove", () =>
    Effect.gen(function*() {
      const attempts: Array<[string, number]> = []
      const told: Array<DeadLetter> = []
      const failing = { on: true }
      yield* Subscription.run("s", {
        events: [Placed],
        handler: ({ order }, { attempt }): Effect.Effect<void, Busy | Wrong> => {
          attempts.push([order, attempt])
          return !failing.on ? Effect.void : order === "wrong" ? new Wrong() : new Busy({ n: attempt })
        },
        onError: {
          Busy: OnError.retry(Schedule.recurs(5), OnError.deadLetter),
          Wrong: OnError.retry(Schedule.recurs(5), OnError.deadLetter)
        },
        onDeadLetter: (letter) => Effect.sync(() => void told.push(letter))
      })
      yield* bus.publish(Envelope.make(Placed({ order: "wrong" }), { id: "w" }))
      yield* bus.publish(Envelope.make(Placed({ order: "busy" }), { id: "b" }))
      yield* settle
      expect(attempts.filter(([order]) => order === "wrong")).toEqual([["wrong", 1]])
      expect(attempts.filter(([order]) => order === "busy").map(([, n]) => n)).toEqual([1, 2, 3, 4, 5, 6])
      const letters = yield* listed()
      expect(letters.map(({ attempts: n, error, message, reason }) => [message.id, reason, error.tag, n])).toEqual([
        ["b", "exhausted", "Busy", 6],
        ["w", "permanent", "Wrong", 1]
      ])
      expect(letters[0]!.history.map(({ tag }) => tag)).toEqual(["Busy", "Busy", "Busy", "Busy", "Busy", "Busy"])
      expect(told.map(({ message }) => message.id)).toEqual(["w", "b"])

      failing.on = false
      attempts.length = 0
      const dead = yield* DeadLetters.DeadLetters
      expect(yield* dead.reprocess({ ids: ["b"] })).toBe(1)
      yield* settle
      expect(attempts).toEqual([["busy", 1]])
      expect(yield* dead.remove({ ids: ["w"] })).toBe(1)
      expect(yield* listed()).toEqual([])
    }).pipe(Effect.provide(layer)))

  it.scoped("12: a message whose TTL passed before delivery is a dead letter, and its handler is not called", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      const running = yield* Subscription.run("s", { events: [Placed], handler: ({ order }) => add(order) })
      yield* running.pause
      // what the consumer waits for already it still takes
      yield* bus.publish(Placed({ order: "first" }))
      yield* settle
      yield* bus.publish(Placed({ order: "late" }), { ttl: "1 minute" })
      yield* bus.publish(Placed({ order: "in time" }), { ttl: "1 hour" })
      yield* TestClock.adjust("1 minute")
      yield* running.resume
      yield* settle
      expect(seen).toEqual(["first", "in time"])
      const letters = yield* listed()
      expect(letters.map(({ attempts, reason }) => [reason, attempts])).toEqual([["expired", 0]])
      const dead = yield* DeadLetters.DeadLetters
      yield* dead.reprocess({})
      yield* settle
      expect(seen).toEqual(["first", "in time", "late"])
    }).pipe(Effect.provide(layer)))

  it.scoped("13: high, normal, low; equal ones first in, first out; a delayed one joins at its priority", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      const gate = yield* Deferred.make<void>()
      yield* Subscription.run("s", {
        events: [Placed],
        prefetch: 1,
        handler: ({ order }) => Effect.zipRight(add(order), order === "gate" ? Deferred.await(gate) : Effect.void)
      })
      yield* bus.publish(Placed({ order: "gate" }))
      yield* settle
      yield* bus.publish(Placed({ order: "delayed high" }), { priority: "high", delay: "30 seconds" })
      yield* bus.publish(Placed({ order: "low" }), { priority: "low" })
      yield* bus.publish(Placed({ order: "normal 1" }))
      yield* bus.publish(Placed({ order: "normal 2" }), { priority: "normal" })
      yield* bus.publish(Placed({ order: "high" }), { priority: "high" })
      yield* bus.publish(Placed({ order: "delayed normal" }), { delay: "30 seconds" })
      yield* TestClock.adjust("30 seconds")
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      expect(seen).toEqual(["gate", "high", "delayed high", "normal 1", "normal 2", "delayed normal", "low"])
    }).pipe(Effect.provide(layer)))
})

describe("delivery", () => {
  it.scoped("a delayed message is never early, and can be cancelled until its time", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      yield* Subscription.run("s", { events: [Placed], handler: ({ order }) => add(order) })
      const service = yield* EventBus.EventBus
      yield* bus.publish(Envelope.make(Placed({ order: "a" }), { id: "a" }), { delay: "1 minute" })
      yield* bus.publish(Envelope.make(Placed({ order: "b" }), { id: "b" }), { delay: "1 minute" })
      yield* TestClock.adjust(Duration.millis(59_999))
      yield* settle
      expect(seen).toEqual([])
      expect(yield* service.cancel("b")).toBe("cancelled")
      expect(yield* service.cancel("b")).toBe("tooLate")
      yield* TestClock.adjust(Duration.millis(1))
      yield* settle
      expect(seen).toEqual(["a"])
      expect(yield* service.cancel("a")).toBe("tooLate")
    }).pipe(Effect.provide(layer)))

  it.scoped("messages of one key are handled in order, also over retries; keys go on in parallel", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      let failed = 0
      yield* Subscription.run("s", {
        events: [Paid],
        concurrency: 4,
        handler: ({ amount, order }): Effect.Effect<void, Busy> =>
          order === "a" && amount === 1 && failed++ < 2
            ? new Busy({ n: failed })
            : add(`${order}${amount}`),
        onError: { Busy: OnError.retry(Schedule.spaced("1 second"), OnError.deadLetter) }
      })
      for (const amount of [1, 2, 3]) {
        for (const order of ["a", "b"]) yield* bus.publish(Paid({ order, amount }), { key: order })
      }
      yield* settle
      expect(seen).toEqual(["b1", "b2", "b3"])
      yield* TestClock.adjust("2 seconds")
      yield* settle
      expect(seen).toEqual(["b1", "b2", "b3", "a1", "a2", "a3"])
    }).pipe(Effect.provide(layer)))

  for (const by of ["the published key", "a key of the subscription"] as const) {
    it.scoped(`a later retry holds back later messages of ${by}`, () =>
      Effect.gen(function*() {
        const { add, seen } = collector<string>()
        let failed = 0
        yield* Subscription.run("s", {
          events: [Paid],
          concurrency: 4,
          ...(by === "the published key" ? undefined : { key: (event: { readonly order: string }) => event.order }),
          handler: ({ amount, order }): Effect.Effect<void, Busy> =>
            order === "a" && amount === 1 && failed++ < 2
              ? new Busy({ n: failed })
              : add(`${order}${amount}`),
          onError: { Busy: OnError.retryLater(Schedule.spaced("1 minute"), OnError.deadLetter) }
        })
        const publish = (order: string, amount: number) =>
          bus.publish(Paid({ order, amount }), by === "the published key" ? { key: order } : {})
        for (const amount of [1, 2]) {
          for (const order of ["a", "b"]) yield* publish(order, amount)
        }
        yield* settle
        yield* publish("a", 3)
        yield* settle
        expect(seen).toEqual(["b1", "b2"])
        yield* TestClock.adjust("1 minute")
        yield* settle
        yield* publish("a", 4)
        yield* settle
        expect(seen).toEqual(["b1", "b2"])
        yield* TestClock.adjust("1 minute")
        yield* settle
        expect(seen).toEqual(["b1", "b2", "a1", "a2", "a3", "a4"])
      }).pipe(Effect.provide(layer)))
  }

  it.scoped("with overtake, later messages of its key pass one that is retried later", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      let failed = 0
      yield* Subscription.run("s", {
        events: [Paid],
        handler: ({ amount }): Effect.Effect<void, Busy> =>
          amount === 1 && failed++ < 1 ? new Busy({ n: 1 }) : add(`${amount}`),
        onError: { Busy: OnError.retryLater(Schedule.spaced("1 minute"), OnError.deadLetter, { overtake: true }) }
      })
      yield* bus.publish(Paid({ order: "a", amount: 1 }), { key: "a" })
      yield* bus.publish(Paid({ order: "a", amount: 2 }), { key: "a" })
      yield* settle
      expect(seen).toEqual(["2"])
      yield* TestClock.adjust("1 minute")
      yield* settle
      expect(seen).toEqual(["2", "1"])
    }).pipe(Effect.provide(layer)))

  it.scoped("a handler that dies is not run again; its message is a dead letter with the whole cause", () =>
    Effect.gen(function*() {
      let runs = 0
      yield* Subscription.run("s", {
        events: [Placed],
        handler: () => {
          runs++
          return Effect.die(new Error("broken"))
        }
      })
      yield* bus.publish(Placed({ order: "o" }))
      yield* settle
      expect(runs).toBe(1)
      const [letter] = yield* listed()
      expect([letter!.reason, letter!.attempts, letter!.error.message]).toEqual(["defect", 1, "broken"])
      expect(letter!.cause).toContain("broken")
    }).pipe(Effect.provide(layer)))

  it.scoped("a handler that throws before it is an Effect is a defect as well", () =>
    Effect.gen(function*() {
      yield* Subscription.run("s", {
        events: [Placed],
        handler: (): Effect.Effect<void> => {
          throw new Error("thrown")
        }
      })
      yield* bus.publish(Placed({ order: "o" }))
      yield* settle
      expect((yield* listed()).map(({ reason }) => reason)).toEqual(["defect"])
    }).pipe(Effect.provide(layer)))

  it.scoped("a handler that interrupts itself has not handled its message; after 10 deliveries it is crashed", () =>
    Effect.gen(function*() {
      let runs = 0
      yield* Subscription.run("s", {
        events: [Placed],
        handler: () => {
          runs++
          return Effect.interrupt
        }
      })
      yield* bus.publish(Placed({ order: "o" }))
      yield* settle
      expect(runs).toBe(Subscription.defaultDeliveries)
      expect((yield* listed()).map(({ attempts, reason }) => [reason, attempts])).toEqual([["crashed", 10]])
    }).pipe(Effect.provide(layer)))

  it.scoped("what cannot be decoded, and what nobody knows, are dead letters byte for byte; consumption goes on", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      yield* Subscription.run("s", { events: [Placed], handler: ({ order }) => add(order) })
      const service = yield* EventBus.EventBus
      yield* service.publish([
        { id: "bad", type: "Placed", payload: { _tag: "Placed", order: 7 } },
        { id: "newer", type: "Placed", schemaVersion: 2, payload: { _tag: "Placed", order: "o" } },
        { id: "good", type: "Placed", payload: { _tag: "Placed", order: "good" } }
      ])
      yield* settle
      expect(seen).toEqual(["good"])
      const letters = yield* listed()
      expect(letters.map(({ attempts, message, reason }) => [message.id, reason, attempts])).toEqual([
        ["bad", "undecodable", 0],
        ["newer", "unknownType", 0]
      ])
      const [bad] = letters
      expect("payload" in bad!.message && bad!.message.payload).toBe("{\"_tag\":\"Placed\",\"order\":7}")
      const dead = yield* DeadLetters.DeadLetters
      expect(yield* dead.edit({ subscription: "s", id: "bad" }, { _tag: "Placed", order: "mended" })).toBe(true)
      expect(yield* dead.reprocess({ ids: ["bad"] })).toBe(1)
      yield* settle
      expect(seen).toEqual(["good", "mended"])
    }).pipe(Effect.provide(layer)))

  it.scoped("what a handler publishes is caused by what it handles", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<unknown>()
      yield* Subscription.run("s", {
        events: [Placed],
        handler: ({ order }) => Effect.asVoid(Effect.orDie(bus.publish(Paid({ order, amount: 1 }))))
      })
      yield* Subscription.run("t", {
        events: [Paid],
        handler: (_, { metadata }) => add([metadata.correlationId, metadata.causationId, metadata.tenant])
      })
      yield* bus.publish(Envelope.make(Placed({ order: "o" }), { id: "cause" })).pipe(
        Correlation.locally({ correlationId: "conversation", tenant: "acme" })
      )
      yield* settle
      expect(seen).toEqual([["conversation", "cause", "acme"]])
    }).pipe(Effect.provide(layer)))

  it.scoped("pause gives the message back and stops; resumed, it is handled again, its attempts counted on", () =>
    Effect.gen(function*() {
      const attempts: Array<number> = []
      const failing = { on: true }
      const running = yield* Subscription.run("s", {
        events: [Placed],
        handler: (_, { attempt }): Effect.Effect<void, Busy> => {
          attempts.push(attempt)
          return failing.on ? new Busy({ n: 1 }) : Effect.void
        },
        onError: { Busy: OnError.pause }
      })
      yield* bus.publish(Placed({ order: "o" }))
      yield* settle
      expect(yield* running.isPaused).toBe(true)
      failing.on = false
      yield* running.resume
      yield* settle
      expect(attempts).toEqual([1, 2])
      const service = yield* EventBus.EventBus
      expect(yield* service.depth("s")).toEqual({ ready: 0, waiting: 0, inFlight: 0, oldest: undefined })
    }).pipe(Effect.provide(layer)))

  it.scoped("ignore takes the message for handled", () =>
    Effect.gen(function*() {
      yield* Subscription.run("s", {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> => new Busy({ n: 1 }),
        onError: { Busy: OnError.ignore }
      })
      yield* bus.publish(Placed({ order: "o" }))
      yield* settle
      expect(yield* listed()).toEqual([])
      const service = yield* EventBus.EventBus
      expect(yield* service.depth("s")).toEqual({ ready: 0, waiting: 0, inFlight: 0, oldest: undefined })
    }).pipe(Effect.provide(layer)))

  it.scoped("retries in place, then later, then a dead letter: at the times that the Schedules say", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      yield* Subscription.run("s", {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> =>
          Effect.flatMap(TestClock.currentTimeMillis, (now) => {
            times.push(now)
            return new Busy({ n: 1 })
          }),
        onError: {
          Busy: OnError.retry(
            RetryPolicy.linear("1 second", { times: 2 }),
            OnError.retryLater(RetryPolicy.linear("1 minute", { times: 3 }), OnError.deadLetter)
          )
        }
      })
      yield* bus.publish(Placed({ order: "o" }))
      for (const step of ["1 second", "2 seconds", "1 minute", "2 minutes", "3 minutes"] as const) {
        yield* settle
        yield* TestClock.adjust(step)
      }
      yield* settle
      expect(times).toEqual([0, 1_000, 3_000, 63_000, 183_000, 363_000])
      expect((yield* listed()).map(({ attempts, reason }) => [reason, attempts])).toEqual([["exhausted", 6]])
    }).pipe(Effect.provide(layer)))

  it.scoped("takes no more messages ahead than it may", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      yield* Subscription.run("s", {
        events: [Placed],
        concurrency: 3,
        prefetch: 20,
        handler: () => Deferred.await(gate)
      })
      yield* bus.publishAll(Array.from({ length: 1_000 }, (_, n) => Placed({ order: `${n}` })))
      yield* settle
      const service = yield* EventBus.EventBus
      const depth = yield* service.depth("s")
      expect([depth.ready, depth.inFlight]).toEqual([980, 20])
      yield* Deferred.succeed(gate, undefined)
      yield* settle
    }).pipe(Effect.provide(layer)))

  it.scoped("its end waits for what runs, gives back the rest, and loses nothing", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      const gate = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* Effect.provideService(
        Subscription.run("s", {
          events: [Placed],
          concurrency: 2,
          handler: ({ order }) => order === "stuck" ? Effect.never : Effect.zipRight(Deferred.await(gate), add(order))
        }),
        Scope.Scope,
        scope
      )
      yield* bus.publishAll(["stuck", "1", "2", "3"].map((order) => Placed({ order })))
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      expect(seen).toEqual(["1"])
      expect(yield* Fiber.poll(closing)).toEqual(Option.none())
      yield* TestClock.adjust(Subscription.defaultDrain)
      yield* Fiber.join(closing)
      yield* Subscription.run("s", {
        events: [Placed],
        handler: ({ order }, { attempt }) => add(`${order}/${attempt}`)
      })
      yield* settle
      expect(seen).toEqual(["1", "stuck/1", "2/1", "3/1"])
    }).pipe(Effect.provide(layer)))

  it.scoped("consumers of one name share its messages", () =>
    Effect.gen(function*() {
      const a = collector<string>()
      const b = collector<string>()
      for (const { add } of [a, b]) {
        yield* Subscription.run("s", {
          events: [Placed],
          prefetch: 1,
          handler: ({ order }) => Effect.zipRight(add(order), Effect.sleep("1 second"))
        })
      }
      yield* bus.publishAll(Array.from({ length: 10 }, (_, n) => Placed({ order: `${n}` })))
      for (let second = 0; second < 10; second++) {
        yield* settle
        yield* TestClock.adjust("1 second")
      }
      expect([...a.seen, ...b.seen].sort()).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
      expect(a.seen.length).toBe(5)
    }).pipe(Effect.provide(layer)))

  it.scoped("a new subscription starts with the latest, or with the earliest; a known one goes on where it was", () =>
    Effect.gen(function*() {
      const { add, seen } = collector<string>()
      yield* bus.publish(Placed({ order: "1" }))
      const once = (name: string, start: "latest" | "earliest") =>
        Effect.scoped(Effect.zipRight(
          Subscription.run(name, { events: [Placed], start, handler: ({ order }) => add(`${name}${order}`) }),
          settle
        ))
      yield* once("l", "latest")
      yield* once("e", "earliest")
      expect(seen).toEqual(["e1"])
      yield* bus.publish(Placed({ order: "2" }))
      yield* once("l", "latest")
      yield* once("e", "earliest")
      expect(seen).toEqual(["e1", "l2", "e2"])
    }).pipe(Effect.provide(layer)))
})

describe("bad input", () => {
  it.effect("a message with faults is refused with all of them, and nothing of its call is published", () =>
    Effect.gen(function*() {
      const service = yield* EventBus.EventBus
      const { add, seen } = collector<string>()
      yield* Subscription.run("s", { events: [Placed], handler: ({ order }) => add(order) })
      const refused = yield* Effect.flip(service.publish([
        { type: "Placed", payload: { _tag: "Placed", order: "fine" } },
        {
          id: "",
          type: "",
          subject: "a..b",
          schemaVersion: 0,
          payload: { amount: Number.NaN },
          priority: 10,
          delay: "1 minute",
          at: 5,
          ttl: Infinity,
          key: "",
          headers: { "": "x" }
        }
      ]))
      expect(refused._tag).toBe("InvalidEvent")
      expect(refused._tag === "InvalidEvent" && refused.faults.map(({ path }) => path)).toEqual([
        "messages[1].id",
        "messages[1].type",
        "messages[1].subject",
        "messages[1].schemaVersion",
        "messages[1].payload.amount",
        "messages[1].key",
        "messages[1].priority",
        "messages[1].at",
        "messages[1].ttl",
        "messages[1].metadata.headers"
      ])
      yield* settle
      expect(seen).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("an event that its Schema refuses is a typed failure", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(bus.publish({ _tag: "Placed", order: 7 as never }))
      expect(refused._tag === "InvalidEvent" && refused.faults.map(({ path }) => path)).toEqual(["events[0].order"])
    }).pipe(Effect.provide(layer)))

  it.effect("a payload that is too large is told with its size", () =>
    Effect.gen(function*() {
      const service = yield* EventBus.EventBus
      const refused = yield* Effect.flip(service.publish([{ type: "T", payload: "x".repeat(67_108_865) }]))
      expect(refused).toMatchObject({ _tag: "MessageTooLarge", what: "payload", limit: 67_108_864, actual: 67_108_867 })
    }).pipe(Effect.provide(layer)))

  it.each<[string, object, string]>([
    ["no concurrency", { concurrency: 0 }, "concurrency"],
    ["half a message ahead", { prefetch: 0.5 }, "prefetch"],
    ["no deliveries", { deliveries: 0 }, "deliveries"],
    ["a drain that is no duration", { drain: "soon" }, "drain"],
    [
      "a Schedule that looks at the error",
      { onError: { Busy: OnError.retry(Schedule.recurWhile((error: Busy) => error.n < 3), OnError.deadLetter) } },
      "onError.Busy"
    ]
  ])("a subscription with %s does not begin", (_, options, path) =>
    Effect.gen(function*() {
      const run = Subscription.run as (name: string, options: object) => Effect.Effect<
        Subscription.Running,
        Subscription.SubscribeError,
        EventBus.EventBus | Scope.Scope
      >
      const refused = yield* Effect.flip(
        Effect.scoped(run("s", { events: [Placed], handler: () => Effect.void, ...options }))
      )
      expect(refused._tag === "InvalidInput" && refused.faults.map((fault) => fault.path)).toEqual([path])
    }).pipe(Effect.provide(layer), Effect.runPromise))

  it.effect("a subscription without a name, or to nothing, does not begin", () =>
    Effect.gen(function*() {
      const handler = () => Effect.void
      const unnamed = yield* Effect.flip(Effect.scoped(Subscription.run("", { events: [Placed], handler })))
      expect(unnamed._tag === "InvalidInput" && unnamed.faults.map(({ path }) => path)).toEqual(["name"])
      const nothing = yield* Effect.flip(Effect.scoped(
        Subscription.runSelect("s", { select: "a..b", handler, onError: {} })
      ))
      expect(nothing._tag === "InvalidInput" && nothing.faults.map(({ path }) => path)).toEqual(["select"])
      const service = yield* EventBus.EventBus
      const unknown = yield* Effect.flip(service.depth("nobody"))
      expect(unknown._tag === "InvalidInput" && unknown.faults.map(({ path }) => path)).toEqual(["subscription"])
    }).pipe(Effect.provide(layer)))
})
