import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Consumer } from "../../../bus/BusDriver.ts"
import { EventBus, type Service } from "../../../bus/EventBus.ts"
import * as Selector from "../../../bus/Selector.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import {
  away,
  busSection,
  capable,
  collector,
  consume,
  depthOf,
  doneWith,
  exactly,
  gate,
  held,
  know,
  now,
  open,
  otherwise,
  pass,
  pullAll,
  quiet,
  soon,
  topic,
  until,
  untilEmpty
} from "./busCase.ts"
import { check, equal, refused } from "./case.ts"

/** The same bus, whose consumers do some things otherwise. */
const consumers = (change: (consumer: Consumer) => Partial<Consumer>) => (service: Service): Partial<Service> => ({
  consume: (group) => Effect.map(service.consume(group), (consumer) => ({ ...consumer, ...change(consumer) }))
})

export const lifecycleSection = busSection("beginning and end", {
  "a subscription that waits for messages ends at once": () =>
    Effect.gen(function*() {
      const { Placed, name } = topic()
      const running = yield* held(Subscription.run(name(), { events: [Placed], handler: () => Effect.void }))
      yield* quiet
      const closed = yield* Effect.timeoutOption(running.close, "3 seconds")
      check(Option.isSome(closed), "it did not end")
    }),
  "a driver's consumer that waits is interrupted": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const consumer = yield* consume(name(), Placed.tag)
      const fiber = yield* Effect.fork(consumer.pull(1))
      yield* quiet
      check(Exit.isInterrupted(yield* Fiber.interrupt(fiber)), "must wait")
      yield* publish(placed("o"))
      const [delivered] = yield* pullAll(consumer, 1)
      yield* consumer.settle([doneWith(delivered!)])
      yield* untilEmpty(name())
    }),
  "its end takes no more, waits for what runs, and gives back what was not begun": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      const stays = gate()
      const running = yield* held(Subscription.run(name(), {
        events: [Placed],
        concurrency: 2,
        drain: "10 seconds",
        handler: ({ n }) => Effect.zipRight(stays.wait, add(n))
      }))
      yield* publishMany(30)
      yield* quiet
      const closing = yield* Effect.fork(running.close)
      yield* quiet
      equal(Option.isNone(yield* Fiber.poll(closing)), true, "it did not wait")
      yield* stays.open
      yield* Fiber.join(closing)
      equal([...seen].sort((a, b) => a - b), [0, 1])
      const depth = yield* depthOf(name())
      equal([depth.ready + depth.waiting, depth.inFlight], [28, 0])
      yield* Subscription.run(name(), { events: [Placed], handler: ({ n }, { attempt }) => add(n * 10 + attempt) })
      yield* exactly(seen, 30)
      check(seen.slice(2).every((each) => each % 10 === 1), "what was given back counts as attempted")
    }),
  "after its deadline it interrupts what runs and gives it back": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      const running = yield* held(Subscription.run(name(), {
        events: [Placed],
        drain: "80 millis",
        handler: () => Effect.onInterrupt(Effect.never, () => add("interrupted"))
      }))
      yield* publish(placed("o"))
      yield* quiet
      const started = yield* now
      yield* running.close
      const took = (yield* now) - started
      check(took >= 75 && took < 5_000, `its end took ${took} ms`)
      equal(seen, ["interrupted"])
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      yield* exactly(seen, 2)
      yield* untilEmpty(name())
    }),
  "consumption goes on when the driver has been away, in pull and in settle, and nothing is lost": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      let calls = 0
      const sometimes = <A>(operation: string, effect: Effect.Effect<A, any>) =>
        Effect.suspend(() => ++calls % 3 === 0 ? away(operation) : effect)
      yield* otherwise(
        consumers((consumer) => ({
          pull: (max) => sometimes("Consumer.pull", consumer.pull(max)),
          settle: (settlements) => sometimes("Consumer.settle", consumer.settle(settlements))
        })),
        Subscription.run(name(), {
          events: [Placed],
          concurrency: 3,
          prefetch: 3,
          reconnect: soon,
          handler: ({ n }) => add(n)
        })
      )
      for (let n = 0; n < 20; n++) yield* publishMany(5, {}, n * 5)
      yield* exactly(seen, 100)
      equal(new Set(seen).size, 100)
      yield* untilEmpty(name())
      check(calls > 20, "it was never away")
    }),
  "no more than it may is here at once, over a whole backlog": ({ backlog }) =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      yield* know(name(), Placed)
      const page = 5_000
      for (let n = 0; n < backlog; n += page) yield* publishMany(Math.min(page, backlog - n), {}, n)
      const taken = new Set<unknown>()
      let most = 0
      let handled = 0
      let sum = 0
      const first = gate()
      yield* otherwise(
        consumers((consumer) => ({
          pull: (max) =>
            Effect.tap(consumer.pull(max), (pulled) =>
              Effect.sync(() => {
                for (const { receipt } of pulled) taken.add(receipt)
                most = Math.max(most, taken.size)
              })),
          settle: (settlements) =>
            Effect.tap(consumer.settle(settlements), () =>
              Effect.sync(() => {
                for (const { receipt } of settlements) taken.delete(receipt)
              }))
        })),
        Subscription.run(name(), {
          events: [Placed],
          concurrency: 10,
          prefetch: 100,
          handler: ({ n }) =>
            Effect.suspend(() => {
              handled++
              sum += n
              return first.wait
            })
        })
      )
      yield* until("ten handlers", () => handled === 10)
      yield* quiet
      equal([handled, most <= 100], [10, true], `${most} at once`)
      const depth = yield* depthOf(name())
      check(depth.inFlight <= 100, `${depth.inFlight} in flight`)
      equal(depth.ready + depth.waiting + depth.inFlight, backlog)
      yield* first.open
      // however long it takes, as long as it goes on
      for (let before = 0; before < backlog; before = handled) {
        yield* until(`more than ${before} of the backlog`, () => handled > before)
      }
      yield* untilEmpty(name())
      check(most <= 100, `${most} at once`)
      equal([handled, sum], [backlog, backlog * (backlog - 1) / 2])
    }),
  "a full consumer is given no more until it has room": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      let asked = 0
      const turn = gate()
      yield* otherwise(
        consumers((consumer) => ({
          pull: (max) =>
            Effect.suspend(() => {
              asked += 1
              check(max >= 1 && max <= 4, `asked for ${max}`)
              return consumer.pull(max)
            })
        })),
        Subscription.run(name(), {
          events: [Placed],
          concurrency: 2,
          prefetch: 4,
          handler: ({ n }) => Effect.zipRight(turn.wait, add(n))
        })
      )
      yield* publishMany(50)
      yield* pass(100)
      const before = asked
      yield* pass(100)
      equal(asked, before, "it asked on while it was full")
      const depth = yield* depthOf(name())
      equal([depth.inFlight, depth.ready + depth.waiting], [4, 46])
      yield* turn.open
      yield* exactly(seen, 50)
    }),
  "begun twice, a subscription is one: its messages come once, by its newest selector": () =>
    Effect.gen(function*() {
      const { Paid, Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      for (let n = 0; n < 3; n++) yield* know(name(), Placed)
      yield* publish(placed("placed"))
      yield* Subscription.run(name(), {
        events: [Placed, Paid],
        handler: ({ order }) => add(order)
      })
      yield* publish(Paid({ order: "paid", n: 1 }))
      yield* exactly(seen, 2)
      equal([...seen].sort(), ["paid", "placed"])
      yield* untilEmpty(name())
    }),
  "a subscription that is not kept is gone with its last consumer": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const bus = yield* EventBus
      const passing = consume(name(), Placed.tag, { kept: false })
      const a = yield* held(passing)
      const b = yield* held(passing)
      yield* a.close
      yield* publish(placed("o"))
      equal((yield* depthOf(name())).ready, 1)
      yield* b.close
      yield* refused(bus.depth(name()), "InvalidInput")
      yield* publish(placed("nobody's"))
      yield* refused(bus.depth(name()), "InvalidInput")
    }),
  "connected and disconnected over and over, nothing is left behind": ({ connects }) =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const bus = yield* EventBus
      const once = (n: number) =>
        Effect.scoped(Effect.gen(function*() {
          const consumer = yield* bus.consume({
            name: name(`passing ${n % 7}`),
            selector: Selector.types([Placed.tag]),
            start: "latest",
            kept: false
          })
          const waiting = yield* Effect.fork(consumer.pull(1))
          if (n % 10 === 0) yield* Effect.yieldNow()
          yield* Fiber.interrupt(waiting)
        }))
      for (let n = 0; n < 20; n++) yield* once(n)
      const before = process.getActiveResourcesInfo().length
      for (let n = 0; n < connects; n++) yield* once(n)
      const after = process.getActiveResourcesInfo().length
      check(after <= before + 5, `${before} resources before, ${after} after`)
      for (let n = 0; n < 7; n++) yield* refused(bus.depth(name(`passing ${n}`)), "InvalidInput")
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: (_, delivery) => add(delivery.subject) })
      yield* publish(placed("o"))
      yield* exactly(seen, 1)
      equal(seen, [`${id}.order.placed`])
    }),
  "a name that nobody knows has no depth": () =>
    Effect.gen(function*() {
      const { name } = topic()
      const bus = yield* EventBus
      yield* refused(bus.depth(name("unknown")), "InvalidInput")
    }),
  "what is declared is what is there": ({ capabilities }) =>
    Effect.map(EventBus, (bus) => equal([...bus.capabilities].sort(), [...capabilities].sort())),
  "built and closed over and over, a bus leaves nothing behind": (subject) =>
    Effect.gen(function*() {
      const once = open(subject, Effect.flatMap(EventBus, (bus) => Effect.sync(() => bus.driver)))
      for (let n = 0; n < 3; n++) yield* once
      const before = process.getActiveResourcesInfo().length
      for (let n = 0; n < 25; n++) yield* once
      yield* quiet
      const after = process.getActiveResourcesInfo().length
      check(after <= before + 3, `${before} resources before, ${after} after`)
    }),
  "subscriptions of two programs over one storage share its messages, as far as the driver shares": (subject) =>
    Effect.gen(function*() {
      if (!capable(subject, "shared")) return
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      yield* know(name(), Placed)
      const consumer = Subscription.run(name(), { events: [Placed], concurrency: 2, handler: ({ n }) => add(n) })
      const other = yield* Effect.fork(open(subject, Effect.zipRight(consumer, Effect.never)))
      yield* consumer
      yield* publishMany(100)
      yield* exactly(seen, 100)
      equal(new Set(seen).size, 100)
      yield* Fiber.interrupt(other)
      yield* untilEmpty(name())
    })
})
