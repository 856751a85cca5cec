import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as OnError from "../../../bus/OnError.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import {
  busSection,
  Busy,
  collector,
  consume,
  doneWith,
  exactly,
  gate,
  held,
  pullAll,
  quiet,
  topic,
  until,
  untilEmpty
} from "./busCase.ts"
import { check, equal } from "./case.ts"

const inOrder = (seen: ReadonlyArray<string>, keys: ReadonlyArray<string>): void => {
  for (const key of keys) {
    const numbers = seen.filter((each) => each.startsWith(`${key}/`)).map((each) => Number(each.split("/")[1]))
    equal(numbers, [...numbers].sort((a, b) => a - b), `order of ${key}`)
  }
}

export const orderSection = busSection("order", {
  "without keys and one at a time, messages come in the order in which they were published": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ n }) => add(n) })
      for (let batch = 0; batch < 10; batch++) yield* publishMany(10, {}, batch * 10)
      yield* exactly(seen, 100)
      equal(seen, Array.from({ length: 100 }, (_, n) => n))
    }),
  "the next of a key does not come before the one before it is settled, to nobody": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish, publishAll } = topic()
      const a = yield* consume(name(), Placed.tag)
      const b = yield* consume(name(), Placed.tag)
      yield* publish(placed("k", 1), { key: "k" })
      const [first] = yield* pullAll(a, 1)
      yield* publishAll([placed("k", 2), placed("k", 3)], { key: "k" })
      yield* publish(placed("other", 4), { key: "other" })
      const [second] = yield* pullAll(b, 1)
      equal(second!.message.id === first!.message.id, false)
      equal("key" in second!.message && second!.message.key, "other")
      const more = yield* Effect.timeoutOption(pullAll(b, 1), "100 millis")
      equal(more._tag, "None", "a second one of the key was delivered")
      yield* a.settle([doneWith(first!)])
      yield* b.settle([doneWith(second!)])
      const [next] = yield* pullAll(a, 1).pipe(Effect.race(pullAll(b, 1)))
      equal("key" in next!.message && next!.message.key, "k")
    }),
  "keys keep their order while their messages are retried in place, and go on side by side": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      const attempts = new Map<string, number>()
      yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 5,
        handler: ({ n, order }): Effect.Effect<void, Busy> =>
          Effect.suspend(() => {
            const id = `${order}/${n}`
            const attempt = (attempts.get(id) ?? 0) + 1
            attempts.set(id, attempt)
            return n % 3 === 1 && attempt < 3 ? new Busy() : add(id)
          }),
        onError: { Busy: OnError.retry(Schedule.spaced("2 millis"), OnError.deadLetter) }
      })
      const keys = ["a", "b", "c", "d", "e"]
      for (let n = 0; n < 9; n++) for (const key of keys) yield* publish(placed(key, n), { key })
      yield* exactly(seen, 45)
      inOrder(seen, keys)
      equal(attempts.get("a/1"), 3)
    }),
  "keys keep their order while their messages are given back and come again": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      let failures = 0
      yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 4,
        handler: ({ n, order }, { attempt }): Effect.Effect<void, Busy> =>
          Effect.suspend(() => {
            if (n % 4 === 0 && attempt < 3) {
              failures++
              return new Busy()
            }
            return add(`${order}/${n}`)
          }),
        onError: { Busy: OnError.retryLater(Schedule.spaced("10 millis"), OnError.deadLetter) }
      })
      const keys = ["a", "b", "c"]
      for (let n = 0; n < 8; n++) for (const key of keys) yield* publish(placed(key, n), { key })
      yield* exactly(seen, 24)
      inOrder(seen, keys)
      equal(failures, 12)
    }),
  "a key of the subscription keeps its order as well": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 4,
        key: ({ order }) => order,
        handler: ({ n, order }, { attempt }): Effect.Effect<void, Busy> =>
          n === 1 && attempt < 3 ? new Busy() : add(`${order}/${n}`),
        onError: { Busy: OnError.retry(Schedule.spaced("5 millis"), OnError.deadLetter) }
      })
      const keys = ["a", "b", "c"]
      for (let n = 0; n < 6; n++) for (const key of keys) yield* publish(placed(key, n))
      yield* exactly(seen, 18)
      inOrder(seen, keys)
    }),
  "with overtake, the next of a key passes one that waits for its time": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector<number>()
      const verdict = (overtake: boolean) =>
        OnError.retryLater(Schedule.spaced("700 millis"), OnError.deadLetter, { overtake })
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: ({ n }, { attempt }): Effect.Effect<void, Busy> => n === 1 && attempt === 1 ? new Busy() : add(n),
        onError: { Busy: verdict(true) }
      })
      yield* publish(placed("k", 1), { key: "k" })
      yield* publish(placed("k", 2), { key: "k" })
      yield* exactly(seen, 2)
      equal(seen, [2, 1])
    }),
  "a success does not carry past it one before it that is not done: what is not settled comes again": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const { add, seen } = collector<number>()
      const first = yield* held(Subscription.run(name(), {
        events: [Placed],
        concurrency: 3,
        drain: "1 millis",
        handler: ({ n }) => n === 0 ? Effect.never : add(n)
      }))
      yield* publishMany(3)
      yield* until("two successes", () => seen.length === 2)
      yield* quiet
      yield* first.close
      yield* Subscription.run(name(), { events: [Placed], handler: ({ n }) => add(n) })
      yield* exactly(seen, 3)
      equal(seen[2], 0)
      yield* untilEmpty(name())
    }),
  "consumers come and go while messages are in flight: none is lost, keys keep their order": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      const keys = ["a", "b", "c", "d"]
      const busy = new Set<string>()
      const consumer = held(Subscription.run(name(), {
        events: [Placed],
        concurrency: 4,
        drain: "5 seconds",
        handler: ({ n, order }) =>
          Effect.suspend(() => {
            check(!busy.has(order), `two of ${order} at once`)
            busy.add(order)
            return Effect.sleep("2 millis").pipe(
              Effect.zipRight(add(`${order}/${n}`)),
              Effect.ensuring(Effect.sync(() => busy.delete(order)))
            )
          })
      }))
      let last = yield* consumer
      for (let n = 0; n < 20; n++) {
        for (const key of keys) yield* publish(placed(key, n), { key })
        if (n % 5 !== 4) continue
        const next = yield* consumer
        yield* last.close
        last = next
      }
      yield* until("80 messages", () => new Set(seen).size === 80)
      yield* untilEmpty(name())
      equal(seen.length, 80)
      inOrder(seen, keys)
    }),
  "a settlement of what somebody else has meanwhile settles nothing": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const first = yield* held(consume(name(), Placed.tag))
      yield* publish(placed("o"))
      const [mine] = yield* pullAll(first.value, 1)
      yield* first.close
      const second = yield* held(consume(name(), Placed.tag))
      const [theirs] = yield* pullAll(second.value, 1)
      equal(theirs!.message.id, mine!.message.id)
      yield* Effect.ignore(first.value.settle([doneWith(mine!)]))
      yield* Effect.ignore(second.value.settle([doneWith(mine!)]))
      yield* second.close
      const third = yield* consume(name(), Placed.tag)
      const [again] = yield* pullAll(third, 1)
      equal(again!.message.id, mine!.message.id)
      yield* third.settle([doneWith(again!)])
      yield* untilEmpty(name())
    }),
  "a message that blocks one key blocks no other": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      const stuck = gate()
      yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 2,
        prefetch: 4,
        handler: ({ n, order }) => order === "stuck" ? stuck.wait : add(`${order}/${n}`)
      })
      for (let n = 0; n < 3; n++) yield* publish(placed("stuck", n), { key: "stuck" })
      for (let n = 0; n < 20; n++) yield* publish(placed("free", n), { key: "free" })
      yield* exactly(seen, 20)
      inOrder(seen, ["free"])
      yield* stuck.open
      yield* untilEmpty(name())
    })
})
