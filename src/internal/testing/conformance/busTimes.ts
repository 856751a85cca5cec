import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { DeadLetters } from "../../../bus/DeadLetters.ts"
import { EventBus } from "../../../bus/EventBus.ts"
import * as OnError from "../../../bus/OnError.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import * as Envelope from "../../../event/Envelope.ts"
import {
  busSection,
  Busy,
  collector,
  depthOf,
  exactly,
  gate,
  know,
  lettersOf,
  now,
  pass,
  quiet,
  topic,
  until,
  untilEmpty,
  untilLetters
} from "./busCase.ts"
import { check, equal } from "./case.ts"

/** Its time passes between its first attempt and the second, whichever way it waits for that. */
const expiresWhileItWaits = (verdict: typeof OnError.retry) =>
  Effect.gen(function*() {
    const { Placed, name, placed, publish } = topic()
    const { add, seen } = collector<number>()
    yield* Subscription.run(name(), {
      events: [Placed],
      handler: (_, { attempt }): Effect.Effect<void, Busy> => Effect.zipRight(add(attempt), new Busy()),
      onError: { Busy: verdict(Schedule.spaced("1200 millis"), OnError.deadLetter) }
    })
    yield* publish(placed("o"), { ttl: "1 second" })
    const [letter] = yield* untilLetters(name(), 1)
    equal([letter!.reason, letter!.attempts, seen], ["expired", 1, [1]])
  })

export const ttlSection = busSection("time to live", {
  "passed before delivery: the handler is not called, a dead letter says expired": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      yield* know(name(), Placed)
      yield* publish(placed("late"), { ttl: "20 millis" })
      yield* publish(placed("in time"), { ttl: "1 hour" })
      yield* pass(40)
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      const [letter] = yield* untilLetters(name(), 1)
      equal([letter!.reason, letter!.attempts], ["expired", 0])
      yield* exactly(seen, 1)
      equal(seen, ["in time"])
      yield* untilEmpty(name())
      // reprocessing is somebody's will, which counts more
      yield* Effect.flatMap(DeadLetters, (letters) => letters.reprocess({ subscription: name() }))
      yield* exactly(seen, 2)
    }),
  "passed while the handler runs: its success counts": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: ({ order }) => Effect.zipRight(pass(1_200), add(order))
      })
      yield* publish(placed("o"), { ttl: "1 second" })
      yield* exactly(seen, 1)
      yield* untilEmpty(name())
      equal(yield* lettersOf(name()), [])
    }),
  "passed between retries in place: expired, after the attempts that were made": () =>
    expiresWhileItWaits(OnError.retry),
  "passed while it was given back: expired, after the attempts that were made": () =>
    expiresWhileItWaits(OnError.retryLater)
})

export const delaySection = busSection("delay", {
  "a delayed message comes at its time, never before": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<readonly [string, number]>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: ({ order }) => Effect.flatMap(now, (at) => add([order, at]))
      })
      const receipts = new Map<string, number>()
      for (const delay of [120, 60, 90, 0]) {
        const { readyAt } = yield* publish(placed(`${delay}`), { delay })
        receipts.set(`${delay}`, readyAt.epochMillis)
      }
      const at = DateTime.unsafeMake((yield* now) + 150)
      receipts.set("at", (yield* publish(placed("at"), { at })).readyAt.epochMillis)
      yield* exactly(seen, 5)
      // in the order of their instants; a slow machine may take longer to publish than they are apart, and then the one that waits
      // for nothing may pass one that has just become due
      const waited = (label: string) => label !== "0"
      const order = Array.from(receipts).sort(([, a], [, b]) => a - b).map(([label]) => label)
      equal(seen.map(([label]) => label).filter(waited), order.filter(waited))
      for (const [label, when] of seen) {
        check(when >= receipts.get(label)!, `${label} came ${receipts.get(label)! - when} ms early`)
      }
      equal(receipts.get("at"), at.epochMillis)
    }),
  "a message that waits for its time can be cancelled, once, and not after": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const bus = yield* EventBus
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      yield* publish(Envelope.make(placed("cancelled"), { id: `${id} a` }), { delay: "1 second" })
      yield* publish(Envelope.make(placed("kept"), { id: `${id} b` }), { delay: "1 second" })
      equal(yield* bus.cancel(`${id} a`), "cancelled")
      equal(yield* bus.cancel(`${id} a`), "tooLate")
      equal(yield* bus.cancel(`${id} unknown`), "tooLate")
      yield* exactly(seen, 1)
      equal(seen, ["kept"])
      equal(yield* bus.cancel(`${id} b`), "tooLate")
      yield* untilEmpty(name())
    }),
  "cancelled for one, it is cancelled for all": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const bus = yield* EventBus
      for (const label of ["a", "b"]) yield* know(name(label), Placed)
      yield* publish(Envelope.make(placed("o"), { id: `${id} m` }), { delay: "1 hour" })
      equal((yield* depthOf(name("a"))).waiting, 1)
      equal(yield* bus.cancel(`${id} m`), "cancelled")
      for (const label of ["a", "b"]) yield* untilEmpty(name(label))
    }),
  "an instant that has passed is no delay": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      yield* publish(placed("o"), { at: DateTime.unsafeMake(1_000) })
      yield* exactly(seen, 1)
    })
}, ["delay"])

export const prioritySection = busSection("priority", {
  "a higher one overtakes what waits; equal ones are first in, first out": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      yield* know(name(), Placed)
      for (const n of [1, 2]) {
        for (const priority of ["low", "normal", "high", 9, 0, 5] as const) {
          yield* publish(placed(`${priority}`, n), { priority })
        }
      }
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        prefetch: 1,
        handler: ({ n, order }) => add(`${order} ${n}`)
      })
      yield* exactly(seen, 12)
      equal(seen, ["9", "high", "5", "normal", "low", "0"].flatMap((each) => [`${each} 1`, `${each} 2`]))
    }),
  "a message of the highest comes past a backlog of 500": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish, publishMany } = topic()
      const { add, seen } = collector<string>()
      const first = gate()
      yield* Subscription.run(name(), {
        events: [Placed],
        prefetch: 1,
        handler: ({ n, order }) => Effect.zipRight(add(order), n === 0 && order === "many" ? first.wait : Effect.void)
      })
      yield* publishMany(500)
      yield* until("the first", () => seen.length === 1)
      yield* publish(placed("urgent"), { priority: 9 })
      yield* first.open
      yield* until("the urgent one", () => seen.includes("urgent"))
      check(seen.indexOf("urgent") <= 2, `it came as number ${seen.indexOf("urgent") + 1}`)
      yield* exactly(seen, 501)
    }),
  "a delayed message joins at its priority when its time comes": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      yield* know(name(), Placed)
      yield* publish(placed("high later"), { priority: "high", delay: "500 millis" })
      yield* publish(placed("low"), { priority: "low" })
      yield* publish(placed("normal"))
      yield* publish(placed("high"), { priority: "high" })
      yield* pass(550)
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], prefetch: 1, handler: ({ order }) => add(order) })
      yield* exactly(seen, 4)
      equal(seen, ["high", "high later", "normal", "low"])
    })
}, ["priority", "delay"])

export const historySection = busSection("history", {
  "a new subscription starts with the latest, or with the earliest; a known one goes on where it was": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      const once = (label: "latest" | "earliest", count: number) =>
        Effect.scoped(Effect.zipRight(
          Subscription.run(name(label), {
            events: [Placed],
            start: label,
            handler: ({ order }) => add(`${label} ${order}`)
          }),
          Effect.zipRight(until(`${count} messages`, () => seen.length >= count), quiet)
        ))
      yield* publish(placed("1"))
      yield* once("latest", 0)
      yield* once("earliest", 1)
      equal(seen, ["earliest 1"])
      yield* publish(placed("2"))
      yield* once("latest", 2)
      yield* once("earliest", 3)
      equal(seen, ["earliest 1", "latest 2", "earliest 2"])
    })
}, ["history"])
