import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { spawn } from "node:child_process"
import { EventBus } from "../../../bus/EventBus.ts"
import * as OnError from "../../../bus/OnError.ts"
import * as Selector from "../../../bus/Selector.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import * as RetryPolicy from "../../../resilience/RetryPolicy.ts"
import {
  busSection,
  Busy,
  collector,
  depthOf,
  exactly,
  know,
  lettersOf,
  now,
  open,
  quiet,
  topic,
  until,
  untilEmpty,
  untilLetters
} from "./busCase.ts"
import { check, equal } from "./case.ts"

export const durableSection = busSection("restart", {
  "what was published is there after a restart, in its order": (subject) =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      yield* open(subject, Effect.zipRight(know(name(), Placed), publishMany(50)))
      const { add, seen } = collector<number>()
      yield* open(
        subject,
        Effect.gen(function*() {
          yield* Subscription.run(name(), { events: [Placed], handler: ({ n }) => add(n) })
          yield* exactly(seen, 50)
          yield* untilEmpty(name())
        })
      )
      equal(seen, Array.from({ length: 50 }, (_, n) => n))
      yield* open(
        subject,
        Effect.zipRight(
          Subscription.run(name(), { events: [Placed], handler: ({ n }) => add(n) }),
          quiet
        )
      )
      equal(seen.length, 50)
    }),
  "attempts, history and the place in the Schedule go on after a restart": (subject) =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      const program = (attempts: number) =>
        open(
          subject,
          Effect.gen(function*() {
            yield* Subscription.run(name(), {
              events: [Placed],
              handler: (_, { attempt }): Effect.Effect<void, Busy> => Effect.zipRight(add(attempt), new Busy()),
              onError: {
                Busy: OnError.retryLater(
                  Schedule.intersect(Schedule.spaced("30 millis"), Schedule.recurs(4)),
                  OnError.deadLetter
                )
              }
            })
            if (attempts === 1) yield* publish(placed("o"))
            yield* until(`attempt ${attempts}`, () => seen.length >= attempts)
          })
        )
      yield* program(1)
      yield* program(2)
      yield* program(4)
      yield* program(5)
      const letters = yield* untilLetters(name(), 1)
      equal(seen, [1, 2, 3, 4, 5])
      equal(letters.map(({ attempts, history, reason }) => [reason, attempts, history.length]), [["exhausted", 5, 5]])
    }),
  "a retry in place goes on after a restart, at its instant and with its count": (subject) =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      const run = Subscription.run(name(), {
        events: [Placed],
        drain: "1 millis",
        handler: (_, { attempt }): Effect.Effect<void, Busy> => Effect.zipRight(add(attempt), new Busy()),
        onError: {
          Busy: OnError.retry(
            Schedule.intersect(Schedule.spaced("800 millis"), Schedule.recurs(2)),
            OnError.deadLetter
          )
        }
      })
      yield* open(
        subject,
        Effect.gen(function*() {
          yield* run
          yield* publish(placed("o"))
          yield* until("the first attempt", () => seen.length === 1)
          yield* quiet
        })
      )
      equal(seen, [1])
      yield* run
      const [letter] = yield* untilLetters(name(), 1)
      equal(seen, [1, 2, 3])
      equal([letter!.reason, letter!.attempts], ["exhausted", 3])
    }),
  "delayed and dead ones are there after a restart": (subject) =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const bus = yield* EventBus
      yield* open(
        subject,
        Effect.gen(function*() {
          yield* Subscription.run(name(), {
            events: [Placed],
            handler: (): Effect.Effect<void, Busy> => new Busy(),
            onError: { Busy: OnError.deadLetter }
          })
          yield* publish(placed("dead"))
          yield* untilLetters(name(), 1)
          if (bus.capabilities.has("delay")) yield* publish(placed("later"), { delay: "200 millis" })
        })
      )
      equal((yield* lettersOf(name())).length, 1)
      if (!bus.capabilities.has("delay")) return
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      yield* exactly(seen, 1)
      equal(seen, ["later"])
    }),
  "a worker killed with SIGKILL in its handler: the message comes again within the lease, its delivery counted": (
    subject
  ) =>
    Effect.gen(function*() {
      const { worker } = subject
      if (worker === undefined) return
      const { Placed, name, publishMany } = topic()
      yield* know(name(), Placed)
      yield* publishMany(5)
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const started = spawn(worker[0]!, [...worker.slice(1), name(), Placed.tag], {
            stdio: ["ignore", "pipe", "inherit"]
          })
          let said = ""
          started.stdout.setEncoding("utf8").on("data", (text: string) => said += text)
          return { process: started, said: () => said }
        }),
        ({ process }) => Effect.sync(() => process.kill("SIGKILL"))
      )
      yield* until("the worker to begin", () => child.said().includes("begun"))
      const before = yield* depthOf(name())
      check(before.inFlight >= 1, "nothing is in flight")
      yield* Effect.async<void>((resume) => {
        child.process.once("close", () => resume(Effect.void))
        child.process.kill("SIGKILL")
      })
      const killed = yield* now
      const { add, seen } = collector<readonly [number, number]>()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ n }, { attempt }) => add([n, attempt]) })
      yield* until("five messages", () => seen.length >= 5)
      const took = (yield* now) - killed
      yield* quiet
      equal(seen.map(([n]) => n).sort((a, b) => a - b), [0, 1, 2, 3, 4])
      check(seen.some(([, attempt]) => attempt === 2), "the killed delivery does not count")
      // the lease, and once more for whoever looks whether it has run out
      const { lease } = subject
      check(took < Number(lease.value._tag === "Millis" ? lease.value.millis : 0) * 2 + 2_000, `after ${took} ms`)
      yield* untilEmpty(name())
    })
}, ["durable"])

/** The rest of a program that consumes until it is killed. */
export const consumeForever = (name: string, tag: string): Effect.Effect<never, unknown, EventBus> =>
  Effect.scoped(
    Effect.gen(function*() {
      const bus = yield* EventBus
      const consumer = yield* bus.consume({
        name,
        selector: Selector.types([tag]),
        start: "latest",
        kept: true
      })
      yield* consumer.pull(2)
      yield* Effect.sync(() => process.stdout.write("begun\n"))
      return yield* Effect.never
    })
  )

/** Lets everything that can run without time passing run. */
const settle = Effect.repeatN(Effect.yieldNow(), 500)

export const exactSection = busSection("exact times", {
  "retries in place and later run at the instants that their Schedules say": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const times: Array<number> = []
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (): Effect.Effect<void, Busy> =>
          Effect.flatMap(TestClock.currentTimeMillis, (at) => {
            times.push(at)
            return new Busy()
          }),
        onError: {
          Busy: OnError.retry(
            RetryPolicy.linear("1 second", { times: 2 }),
            OnError.retryLater(RetryPolicy.exponential("1 minute", { times: 3, jitter: "none" }), OnError.deadLetter)
          )
        }
      })
      yield* publish(placed("o"))
      for (const wait of [1_000, 2_000, 60_000, 120_000, 240_000]) {
        yield* settle
        const before = times.length
        yield* TestClock.adjust(wait - 1)
        yield* settle
        equal(times.length, before, "too early")
        yield* TestClock.adjust(1)
      }
      yield* settle
      equal(times, [0, 1_000, 3_000, 63_000, 183_000, 423_000])
      equal((yield* lettersOf(name())).map(({ attempts, reason }) => [reason, attempts]), [["exhausted", 6]])
    }),
  "a delay ends at its instant, neither a millisecond before nor after": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: () => Effect.flatMap(TestClock.currentTimeMillis, add)
      })
      yield* publish(placed("o"), { delay: "1 minute" })
      yield* settle
      yield* TestClock.adjust(59_999)
      yield* settle
      equal(seen, [])
      yield* TestClock.adjust(1)
      yield* settle
      equal(seen, [60_000])
    }),
  "a time to live ends at its instant: a millisecond before it, the message is handled": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      for (const [label, wait] of [["before", 59_999], ["at", 60_000]] as const) {
        yield* know(name(label), Placed)
        yield* publish(placed(label), { ttl: "1 minute" })
        yield* TestClock.adjust(wait)
        const { add, seen } = collector()
        const fiber = yield* Effect.fork(Effect.scoped(Effect.zipRight(
          Subscription.run(name(label), { events: [Placed], handler: ({ order }) => add(order) }),
          Effect.never
        )))
        yield* settle
        equal(seen, label === "before" ? ["before"] : [])
        equal((yield* lettersOf(name(label))).map(({ reason }) => reason), label === "before" ? [] : ["expired"])
        yield* Fiber.interrupt(fiber)
      }
    }),
  "a message gains a level of priority for each minute that it waits": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      yield* know(name(), Placed)
      yield* publish(placed("old and low"), { priority: 1 })
      yield* TestClock.adjust("4 minutes")
      yield* publish(placed("new and normal"), { priority: 4 })
      yield* publish(placed("new and high"), { priority: 7 })
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], prefetch: 1, handler: ({ order }) => add(order) })
      yield* settle
      equal(seen, ["new and high", "old and low", "new and normal"])
    })
}, ["delay", "priority"])
