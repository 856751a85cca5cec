import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { DeadLetters } from "../../../bus/DeadLetters.ts"
import * as Envelope from "../../../event/Envelope.ts"
import * as OnError from "../../../bus/OnError.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import {
  busSection,
  Busy,
  collector,
  depthOf,
  exactly,
  held,
  lettersOf,
  quiet,
  topic,
  until,
  untilEffect,
  untilEmpty,
  untilLetters,
  Wrong
} from "./busCase.ts"
import { check, equal } from "./case.ts"

const brief = Schedule.spaced("5 millis")

/** The fourth attempt succeeds, whichever way the others are made good. */
const untilItSucceeds = (verdict: typeof OnError.retry) =>
  Effect.gen(function*() {
    const { Placed, name, placed, publish } = topic()
    const { add, seen } = collector<number>()
    yield* Subscription.run(name(), {
      events: [Placed],
      handler: (_, { attempt }): Effect.Effect<void, Busy> =>
        Effect.zipRight(add(attempt), attempt < 4 ? new Busy() : Effect.void),
      onError: { Busy: verdict(brief, OnError.deadLetter) }
    })
    yield* publish(placed("o"))
    yield* exactly(seen, 4)
    equal(seen, [1, 2, 3, 4])
    yield* untilEmpty(name())
    equal(yield* lettersOf(name()), [])
  })

export const retrySection = busSection("retries and verdicts", {
  "a handler that fails is run again in place, until it succeeds": () => untilItSucceeds(OnError.retry),
  "a handler that fails is given the message again later, until it succeeds": () => untilItSucceeds(OnError.retryLater),
  "a message that is given back does not come before its time, and others are handled meanwhile": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<readonly [string, number]>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: ({ order }, { attempt }): Effect.Effect<void, Busy> =>
          Effect.clockWith((clock) =>
            Effect.zipRight(
              add([order, clock.unsafeCurrentTimeMillis()]),
              order === "late" && attempt === 1 ? new Busy() : Effect.void
            )
          ),
        onError: { Busy: OnError.retryLater(Schedule.spaced("700 millis"), OnError.deadLetter) }
      })
      yield* publish(placed("late"))
      yield* publish(placed("next"))
      yield* exactly(seen, 3)
      equal(seen.map(([order]) => order), ["late", "next", "late"])
      check(seen[2]![1] - seen[0]![1] >= 700, `came after ${seen[2]![1] - seen[0]![1]} ms`)
    }),
  "in place, then later, then a dead letter: exhausted, with every attempt in its history": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (_, { attempt }): Effect.Effect<void, Busy> => Effect.zipRight(add(attempt), new Busy()),
        onError: {
          Busy: OnError.retry(
            Schedule.recurs(2),
            OnError.retryLater(Schedule.recurs(3), OnError.deadLetter)
          )
        }
      })
      yield* publish(placed("o"))
      const [letter] = yield* untilLetters(name(), 1)
      equal(seen, [1, 2, 3, 4, 5, 6])
      equal([letter!.reason, letter!.attempts, letter!.error.tag], ["exhausted", 6, "Busy"])
      equal(letter!.history.map(({ tag }) => tag), Array.from({ length: 6 }, () => "Busy"))
      yield* untilEmpty(name())
    }),
  "an error that is permanent is not retried": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (_, { attempt }): Effect.Effect<void, Wrong> => Effect.zipRight(add(attempt), new Wrong()),
        onError: { Wrong: OnError.retry(Schedule.recurs(5), OnError.deadLetter) }
      })
      yield* publish(placed("o"))
      const [letter] = yield* untilLetters(name(), 1)
      equal([letter!.reason, letter!.attempts, seen.length], ["permanent", 1, 1])
    }),
  "each error has a verdict of its own: dead letter, ignore": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: ({ order }): Effect.Effect<void, Busy | { readonly _tag: "Odd" }> =>
          Effect.flatMap(
            add(order),
            (): Effect.Effect<void, Busy | { readonly _tag: "Odd" }> =>
              order === "busy" ? new Busy() : order === "odd" ? Effect.fail({ _tag: "Odd" }) : Effect.void
          ),
        onError: { Busy: OnError.deadLetter, Odd: OnError.ignore }
      })
      for (const order of ["busy", "odd", "fine"]) yield* publish(placed(order))
      yield* exactly(seen, 3)
      const letters = yield* untilLetters(name(), 1)
      equal(letters.map(({ attempts, error, reason }) => [reason, attempts, error.tag]), [["rejected", 1, "Busy"]])
      yield* untilEmpty(name())
    }),
  "pause keeps the message and takes no more, until the subscription is resumed": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      const failing = { on: true }
      const running = yield* Subscription.run(name(), {
        events: [Placed],
        prefetch: 1,
        handler: ({ order }, { attempt }): Effect.Effect<void, Busy> =>
          Effect.zipRight(add(`${order}/${attempt}`), failing.on ? new Busy() : Effect.void),
        onError: { Busy: OnError.pause }
      })
      yield* publish(placed("a"), { key: "k" })
      yield* publish(placed("b"), { key: "k" })
      yield* untilEffect("the pause", running.isPaused)
      yield* quiet
      equal(seen, ["a/1"])
      failing.on = false
      yield* running.resume
      yield* exactly(seen, 3)
      equal(seen, ["a/1", "a/2", "b/1"])
      yield* untilEmpty(name())
    }),
  "a handler that dies is not run again: a dead letter with its whole cause": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: ({ order }) =>
          Effect.zipRight(add(order), order === "dies" ? Effect.die(new Error("broken")) : Effect.void)
      })
      yield* publish(placed("dies"))
      yield* publish(placed("lives"))
      yield* exactly(seen, 2)
      const [letter] = yield* untilLetters(name(), 1)
      equal([letter!.reason, letter!.attempts, letter!.error.message], ["defect", 1, "broken"])
      check(letter!.cause.includes("broken"), letter!.cause)
    }),
  "a handler that interrupts itself has handled nothing: delivered again, and crashed in the end": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        deliveries: 3,
        handler: ({ order }) => Effect.zipRight(add(order), order === "leaves" ? Effect.interrupt : Effect.void)
      })
      yield* publish(placed("leaves"))
      yield* publish(placed("stays"))
      const [letter] = yield* untilLetters(name(), 1)
      equal([letter!.reason, letter!.attempts], ["crashed", 3])
      yield* until("the other", () => seen.includes("stays"))
      equal(seen.filter((order) => order === "leaves").length, 3)
    }),
  "interrupted from outside, the message comes again, and its attempts do not count": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      const first = yield* held(Subscription.run(name(), {
        events: [Placed],
        drain: "1 millis",
        handler: (_, { attempt }) => Effect.zipRight(add(attempt), Effect.never)
      }))
      yield* publish(placed("o"))
      yield* until("a delivery", () => seen.length === 1)
      yield* first.close
      const depth = yield* depthOf(name())
      equal([depth.ready, depth.inFlight], [1, 0])
      yield* Subscription.run(name(), { events: [Placed], handler: (_, { attempt }) => add(attempt) })
      yield* exactly(seen, 2)
      equal(seen, [1, 1])
    }),
  "a message of a new consumer goes on with the attempts and the place in the Schedule of the one before": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      const consumer = held(Subscription.run(name(), {
        events: [Placed],
        drain: "1 millis",
        handler: (_, { attempt }): Effect.Effect<void, Busy> => Effect.zipRight(add(attempt), new Busy()),
        onError: {
          Busy: OnError.retryLater(
            Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(3)),
            OnError.deadLetter
          )
        }
      }))
      const first = yield* consumer
      yield* publish(placed("o"))
      yield* until("two attempts", () => seen.length === 2)
      yield* first.close
      yield* consumer
      const [letter] = yield* untilLetters(name(), 1)
      equal(seen, [1, 2, 3, 4])
      equal([letter!.attempts, letter!.reason, letter!.history.length], [4, "exhausted", 4])
    }),
  "reprocessed, a dead letter comes to its own subscription alone, under its id, counted anew": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const own = collector()
      const other = collector()
      const failing = { on: true }
      yield* Subscription.run(name("own"), {
        events: [Placed],
        handler: (_, { attempt, id: message }): Effect.Effect<void, Busy> =>
          Effect.zipRight(own.add(`${message}/${attempt}`), failing.on ? new Busy() : Effect.void),
        onError: { Busy: OnError.retry(Schedule.recurs(1), OnError.deadLetter) }
      })
      yield* Subscription.run(name("other"), { events: [Placed], handler: (_, { id: message }) => other.add(message) })
      yield* publish(Envelope.make(placed("o"), { id: `${id} m` }))
      yield* untilLetters(name("own"), 1)
      failing.on = false
      const letters = yield* DeadLetters
      equal(yield* letters.reprocess({ subscription: name("own") }), 1)
      yield* exactly(own.seen, 3)
      equal(own.seen, [`${id} m/1`, `${id} m/2`, `${id} m/1`])
      equal(other.seen, [`${id} m`])
      // a second time there is nothing to do
      equal(yield* letters.reprocess({ subscription: name("own") }), 0)
      yield* quiet
      equal(own.seen.length, 3)
      equal(yield* lettersOf(name("own")), [])
    })
})
