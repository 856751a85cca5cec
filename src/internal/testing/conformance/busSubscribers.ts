/** What is built above the driver once, seen to work over this one: pulling, requests, the inbox, the claim check, breakers, audits. */
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as ClaimCheck from "../../../bus/ClaimCheck.ts"
import * as DeadLetters from "../../../bus/DeadLetters.ts"
import * as Inbox from "../../../bus/Inbox.ts"
import type { Garbled, Message } from "../../../bus/Message.ts"
import * as OnError from "../../../bus/OnError.ts"
import * as Pull from "../../../bus/Pull.ts"
import * as Queues from "../../../bus/Queues.ts"
import * as Replies from "../../../bus/Replies.ts"
import * as Request from "../../../bus/Request.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import * as Envelope from "../../../event/Envelope.ts"
import {
  busSection,
  Busy,
  collector,
  exactly,
  know,
  lettersOf,
  type Needs,
  pass,
  quiet,
  type Subject,
  topic,
  until,
  untilEffect,
  untilEmpty,
  untilLetters
} from "./busCase.ts"
import { check, equal } from "./case.ts"

/** Over a bus with a claim check, and the store of the payloads. */
const claiming = (subject: Subject, run: (entries: Map<string, string>) => Effect.Effect<void, unknown, Needs>) =>
  Effect.suspend(() => {
    const entries = new Map<string, string>()
    const store = KeyValueStore.makeStringOnly({
      get: (key) => Effect.sync(() => Option.fromNullable(entries.get(key))),
      set: (key, value) => Effect.sync(() => void entries.set(key, value)),
      remove: (key) => Effect.sync(() => void entries.delete(key)),
      clear: Effect.sync(() => entries.clear()),
      size: Effect.sync(() => entries.size)
    })
    const layer = DeadLetters.layer.pipe(
      Layer.provideMerge(subject.layer),
      Layer.provide(ClaimCheck.layer({ limit: 1_000 })),
      Layer.provide(Layer.succeed(KeyValueStore.KeyValueStore, store))
    )
    return Effect.scoped(Effect.provide(run(entries), layer as Layer.Layer<any, unknown>)) as Effect.Effect<
      void,
      unknown
    >
  })

const large = "x".repeat(5_000)

export const subscribersSection = busSection("what subscribers are given above the driver", {
  "pulling: what was acknowledged does not come again, what was not does when the scope has ended": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const open = Pull.make(name(), { events: [Placed] })
      yield* Effect.scoped(Effect.gen(function*() {
        const placed = yield* open
        yield* publishMany(3)
        const taken: Array<Pull.Taken<typeof Placed.Type>> = []
        while (taken.length < 3) taken.push(...(yield* placed.pull(3 - taken.length)))
        equal(taken.map(({ event }) => event.n), [0, 1, 2])
        yield* taken[1]!.ack
      }))
      const again = yield* open
      const rest: Array<number> = []
      while (rest.length < 2) {
        for (const { ack, event } of yield* again.pull(5)) {
          yield* ack
          rest.push(event.n)
        }
      }
      equal(rest.toSorted(), [0, 2])
      equal(yield* again.pull(1, { within: "60 millis" }), [])
      yield* untilEmpty(name())
    }),
  "pulling: what is retried later comes after its time, with its attempts and its history": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const puller = yield* Pull.make(name(), { events: [Placed] })
      yield* publish(placed("o"))
      const [first] = yield* puller.pull(1)
      yield* first!.retryLater("50 millis", new Error("not yet"))
      const [second] = yield* puller.pull(1)
      equal([first!.delivery.attempt, second!.delivery.attempt], [1, 2])
      yield* second!.deadLetter(new Error("never"))
      const [letter] = yield* untilLetters(name(), 1)
      equal([letter!.reason, letter!.attempts], ["rejected", 2])
      equal(letter!.history.map(({ message }) => message), ["not yet", "never"])
      yield* untilEmpty(name())
    }),
  "a message carries the limit on its retries": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (_, { attempt }) => Effect.zipRight(add(attempt), new Busy()),
        onError: { Busy: OnError.retryLater(Schedule.spaced("10 millis"), OnError.deadLetter) }
      })
      yield* publish(placed("o"), { retries: 2 })
      const [letter] = yield* untilLetters(name(), 1)
      equal([letter!.reason, letter!.attempts], ["exhausted", 3])
      equal(seen, [1, 2, 3])
    }),
  "inbox: a message that was published twice, and one that is delivered again, are handled once": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const { add, seen } = collector()
      const handler = Inbox.once(({ order }: { readonly order: string }) => add(order))
      yield* know(name(), Placed)
      for (const order of ["twice", "twice", "lost"]) {
        yield* publish(Envelope.make(placed(order), { id: `${order} ${id}` }))
      }
      yield* Effect.scoped(Effect.gen(function*() {
        // handled, and then the process died before it could say so
        const dying = yield* Pull.make(name(), { events: [Placed] })
        const taken: Array<Pull.Taken<typeof Placed.Type>> = []
        while (taken.length < 3) taken.push(...(yield* dying.pull(3)))
        for (const { delivery, event } of taken) if (event.order === "lost") yield* handler(event, delivery)
      }))
      yield* Subscription.run(name(), { events: [Placed], handler, onError: { BusError: OnError.deadLetter } })
      yield* untilEmpty(name())
      equal(seen.toSorted(), ["lost", "twice"])
    }).pipe(Effect.provide(Inbox.layerMemory)),
  "claim check: a large payload comes whole, and a dead letter keeps it": (subject) =>
    claiming(subject, (entries) =>
      Effect.gen(function*() {
        const { Placed, name, placed, publishAll } = topic()
        const { add, seen } = collector<number>()
        yield* Subscription.run(name(), {
          events: [Placed],
          handler: ({ n, order }) => n === 2 ? Effect.die("broken") : add(order.length)
        })
        yield* publishAll([placed("small", 0), placed(large, 1), placed(large, 2)])
        equal(entries.size, 2)
        yield* exactly(seen, 2)
        equal(seen, [5, 5_000])
        const [letter] = yield* untilLetters(name(), 1)
        check(
          "payload" in letter!.message && String(letter!.message.payload).includes(large),
          "the letter is not whole"
        )
        yield* untilEmpty(name())
      })),
  "claim check: a payload that is gone makes a dead letter that says so": (subject) =>
    claiming(subject, (entries) =>
      Effect.gen(function*() {
        const { Placed, name, placed, publish } = topic()
        const { add, seen } = collector<number>()
        yield* know(name(), Placed)
        yield* publish(placed(large, 1))
        entries.clear()
        yield* publish(placed(large, 2))
        yield* Subscription.run(name(), { events: [Placed], handler: ({ n }) => add(n) })
        const [letter] = yield* untilLetters(name(), 1)
        equal([letter!.reason, letter!.error.tag], ["undecodable", "PayloadMissing"])
        yield* exactly(seen, 1)
        equal(seen, [2])
      })),
  "breaker: open pauses consumption and spends no attempts; half-open is bounded; it closes": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      let fails = true
      let active = 0
      let most = 0
      const running = yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 8,
        breaker: { openFor: "1 second", trials: 2, successes: 2 },
        handler: (_, { attempt }): Effect.Effect<void, Busy> =>
          Effect.suspend(() => {
            if (fails) return Effect.zipRight(add(attempt), new Busy())
            most = Math.max(most, ++active)
            return pass(20).pipe(Effect.zipRight(add(attempt)), Effect.ensuring(Effect.sync(() => void active--)))
          }),
        onError: { Busy: OnError.deadLetter }
      })
      const breaker = Option.getOrThrow(running.breaker)
      const isIn = (tag: string) => Effect.map(breaker.state, ({ _tag }) => _tag === tag)
      yield* publishMany(5)
      yield* untilEffect("it opens", isIn("Open"))
      equal(seen.length, 5)
      fails = false
      yield* publishMany(4)
      yield* pass(60)
      const before = seen.length
      // on a machine that is slow it may be half-open by now
      if (yield* isIn("Open")) equal(before, 5)
      yield* exactly(seen, 9)
      yield* untilEffect("it closes", isIn("Closed"))
      equal(seen.slice(5), [1, 1, 1, 1])
      check(most >= 1, "no trial ran")
      equal((yield* lettersOf(name())).length, 5)
      yield* untilEmpty(name())
    }),
  "requests: answered to the one who asks alone; a late answer is dropped and counted": () =>
    Effect.gen(function*() {
      const { Placed, name, placed } = topic()
      const Doubled = Request.make(Placed, { success: Schema.Number, failure: Busy })
      const held = yield* Deferred.make<void>()
      yield* Doubled.run(
        ({ n, order }) =>
          order === "late"
            ? Effect.as(Deferred.await(held), 0)
            : n < 0
            ? new Busy()
            : Effect.succeed(n * 2),
        { name: name("answers"), concurrency: 4 }
      )
      const [one, two] = yield* Effect.all([Layer.build(Replies.layer), Layer.build(Replies.layer)])
      const from = (process: typeof one, order: string, n: number, within = "5 seconds" as const) =>
        Effect.provide(Doubled.ask(placed(order, n), { within }), process)
      equal(yield* Effect.all([from(one, "o", 1), from(two, "o", 2), from(one, "o", 3)], { concurrency: 3 }), [2, 4, 6])
      equal((yield* Effect.flip(from(two, "o", -1)))._tag, "Busy")
      const late = yield* Effect.fork(
        Effect.flip(Effect.provide(Doubled.ask(placed("late"), { within: "100 millis" }), one))
      )
      equal((yield* Fiber.join(late))._tag, "RequestTimeout")
      yield* Deferred.succeed(held, undefined)
      const counted = (process: typeof one) =>
        Effect.provide(Effect.flatMap(Replies.Replies, (replies) => replies.late), process)
      yield* untilEffect("the late answer is counted", Effect.map(counted(one), (count) => count === 1))
      equal(yield* counted(two), 0)
    }),
  "audit: sees everything as it was published, and changes nothing for others": () =>
    Effect.gen(function*() {
      const { Paid, Placed, id, name, placed, publish } = topic()
      const audited = collector<Message | Garbled>()
      const handled = collector<number>()
      yield* Subscription.runRaw(name("audit"), {
        handler: (message) => Effect.zipRight(audited.add(message), Effect.die("broken")),
        onError: {}
      })
      yield* Subscription.run(name(), { events: [Placed], handler: ({ n }) => handled.add(n) })
      yield* publish(placed("o", 1), { key: "k" })
      yield* publish(Paid({ order: "p", n: 2 }))
      const mine = () =>
        audited.seen.filter((message): message is Message => "subject" in message && message.subject.startsWith(id))
      yield* until("the audit has seen both", () => mine().length >= 2)
      yield* exactly(handled.seen, 1)
      yield* quiet
      equal(mine().map(({ payload }) => JSON.parse(String(payload)).n).toSorted(), [1, 2])
      equal(mine().find(({ key }) => key === "k")?.subject, Placed.subject)
      yield* untilEmpty(name())
    }),
  "queues: what waits is told for each subscription, by name": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      yield* know(name(), Placed)
      yield* publishMany(3)
      const queues = yield* Queues.Queues
      const mine = Effect.map(queues.all, (all) => all.find(({ subscription }) => subscription === name()))
      yield* untilEffect("three messages are ready", Effect.map(mine, (queue) => queue?.ready === 3))
      const queue = yield* queues.get(name())
      equal([queue.ready, queue.waiting, queue.inFlight, Option.isSome(queue.processing)], [3, 0, 0, false])
      check(Option.isSome(queue.oldestAge), "the age of the oldest is not told")
    }).pipe(Effect.provide(Queues.layer))
})
