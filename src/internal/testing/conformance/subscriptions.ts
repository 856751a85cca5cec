import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Raw } from "../../../event/Envelope.ts"
import type { Capability, Driver } from "../../../store/Driver.ts"
import { makeEncoded, type SubscribeOptions } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import { StoreError } from "../../../store/StoreError.ts"
import {
  check,
  collect,
  equal,
  event,
  events,
  idsOf,
  positionsOf,
  readAll,
  refused,
  same,
  section,
  type Store,
  versionsOf
} from "./case.ts"

/** Follows until some events have come; answers when the subscription has caught up for the first time. */
const following = (store: Store, options: SubscribeOptions, count: number) =>
  Effect.gen(function*() {
    const caughtUp = yield* Deferred.make<number>()
    const fiber = yield* Effect.fork(collect(
      store.subscribe({ ...options, onCaughtUp: (position) => Deferred.succeed(caughtUp, position) }).pipe(
        Stream.take(count)
      )
    ))
    yield* Deferred.await(caughtUp)
    return fiber
  })

const append = (store: Store, stream: string, count = 1) => store.append([{ stream, events: events(count) }])

const filters: ReadonlyArray<readonly [name: string, options: SubscribeOptions, keep: (raw: Raw) => boolean]> = [
  ["a stream", { stream: "a-1" }, (raw) => raw.stream === "a-1"],
  ["a category", { category: "a" }, (raw) => raw.stream.startsWith("a-")],
  ["types", { types: ["B", "C"] }, (raw) => raw.type !== "A"],
  [
    "a query",
    { query: Query.unsafeMake({ types: ["A"], tags: ["t"] }) },
    (raw) => raw.type === "A" && raw.tags[0] === "t"
  ],
  ["a correlation id", { correlationId: "c" }, (raw) => raw.metadata.correlationId === "c"],
  ["a time range", { since: 5_000, until: 6_000 }, (raw) => raw.occurredAt.epochMillis === 5_000]
]

const mixed = (n: number) =>
  event(n, {
    type: ["A", "B", "C"][n % 3]!,
    tags: n % 4 === 0 ? ["t"] : [],
    occurredAt: 4_000 + (n % 5) * 1_000,
    metadata: { correlationId: n % 2 === 0 ? "c" : "d" }
  })

const filterCases = Object.fromEntries(filters.map(([name, options, keep]) => [
  `follows ${name}`,
  (store: Store) =>
    Effect.gen(function*() {
      const write = (from: number) =>
        store.append(["a-1", "b-1", "a-2", "ab-1"].map((stream, place) => ({
          stream,
          events: [0, 1, 2, 3, 4].map((n) => mixed(from + place * 5 + n))
        })))
      yield* write(0)
      const expected = (yield* readAll(store)).filter(keep).length
      check(expected > 0, "the case itself")
      const fiber = yield* following(store, { ...options, after: "earliest" }, expected * 2 + 1)
      yield* write(60)
      yield* write(120)
      same(yield* Fiber.join(fiber), (yield* readAll(store)).filter(keep).slice(0, expected * 2 + 1))
    })
]))

export const subscriptionSection = section<Store>("subscriptions", {
  ...filterCases,
  "from the earliest: catches up, then follows": (store) =>
    Effect.gen(function*() {
      yield* append(store, "a-1", 3)
      const fiber = yield* following(store, { after: "earliest" }, 6)
      yield* append(store, "b-1", 2)
      yield* append(store, "a-1")
      same(yield* Fiber.join(fiber), yield* readAll(store))
    }),
  "from the latest, the default: only what is appended after it was acquired": (store) =>
    Effect.gen(function*() {
      yield* append(store, "a-1", 3)
      for (const options of [{}, { after: "latest" as const }]) {
        const fiber = yield* following(store, options, 2)
        const appended = yield* append(store, "a-1", 2)
        equal(idsOf(yield* Fiber.join(fiber)), idsOf(appended.events))
      }
    }),
  "the latest is fixed when the subscription is acquired, not when it is first read": (store) =>
    Effect.gen(function*() {
      yield* append(store, "a-1", 3)
      const caughtUp = yield* Deferred.make<void>()
      const pull = yield* Stream.toPull(
        store.subscribe({ after: "latest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) })
      )
      // the first pull acquires it, and waits; what comes now is new
      const first = yield* Effect.fork(pull)
      yield* Deferred.await(caughtUp)
      const appended = yield* append(store, "a-1")
      equal(idsOf(Array.from(yield* Fiber.join(first))), idsOf(appended.events))
    }),
  "from a position, exclusive": (store) =>
    Effect.gen(function*() {
      const { events: appended } = yield* append(store, "a-1", 5)
      const fiber = yield* following(store, { after: appended[1]!.position }, 4)
      const next = yield* append(store, "a-1")
      equal(idsOf(yield* Fiber.join(fiber)), idsOf([...appended.slice(2), ...next.events]))
    }),
  "from a position beyond the head: waits until the log has come there": (store) =>
    Effect.gen(function*() {
      const { position } = yield* append(store, "a-1", 2)
      const after = position + 5
      const fiber = yield* following(store, { after }, 3)
      yield* append(store, "a-1", 3)
      yield* append(store, "a-1", 20)
      same(yield* Fiber.join(fiber), (yield* readAll(store, { after })).slice(0, 3))
    }),
  "without hole or repeat while writers are busy": (store) =>
    Effect.gen(function*() {
      yield* append(store, "a-1", 300)
      const writers = yield* Effect.fork(Effect.all(
        Array.from({ length: 8 }, (_, writer) =>
          Effect.forEach(Array.from({ length: 25 }), () =>
            Effect.zipRight(append(store, `w-${writer}`, 2), Effect.yieldNow()))),
        { concurrency: "unbounded" }
      ))
      const readers = yield* Effect.forkAll(
        [1, 7, 100, 10_000].map((chunk) =>
          collect(store.subscribe({ after: "earliest" }).pipe(Stream.take(700), Stream.rechunk(chunk)))
        )
      )
      yield* Fiber.join(writers)
      const all = idsOf(yield* readAll(store))
      equal(all.length, 700)
      for (const seen of yield* Fiber.join(readers)) {
        equal(idsOf(seen), all)
      }
    }),
  "2,500 events are caught up with in pages": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: events(1_500) }, { stream: "b-1", events: events(1_000) }])
      const fiber = yield* following(store, { after: "earliest", category: "b" }, 1_001)
      yield* append(store, "b-1")
      equal(versionsOf(yield* Fiber.join(fiber)), Array.from({ length: 1_001 }, (_, index) => index + 1))
    }),
  "a slow reader holds up neither writers nor other readers": (store) =>
    Effect.gen(function*() {
      const never = yield* Deferred.make<void>()
      const stuck = yield* Deferred.make<void>()
      const slow = yield* Effect.fork(Stream.runForEach(store.subscribe({ after: "earliest" }), () =>
        Effect.zipRight(Deferred.succeed(stuck, undefined), Deferred.await(never))))
      const quick = yield* following(store, { after: "earliest" }, 200)
      yield* append(store, "a-1")
      yield* Deferred.await(stuck)
      for (let n = 0; n < 199; n++) {
        yield* append(store, "a-1")
      }
      equal(
        versionsOf(yield* Fiber.join(quick)),
        Array.from({ length: 200 }, (_, index) =>
          index + 1)
      )
      yield* Fiber.interrupt(slow)
    }),
  "a reader that was slow gets the rest in order": (store) =>
    Effect.gen(function*() {
      const gate = yield* Queue.unbounded<void>()
      const fiber = yield* Effect.fork(collect(
        store.subscribe({ after: "earliest" }).pipe(Stream.tap(() => Queue.take(gate)), Stream.take(50))
      ))
      for (let n = 0; n < 50; n++) yield* append(store, "a-1")
      yield* Queue.offerAll(gate, Array(50).fill(undefined))
      equal(versionsOf(yield* Fiber.join(fiber)), Array.from({ length: 50 }, (_, index) => index + 1))
    }),
  "an interrupted subscriber is gone, and the others go on": (store) =>
    Effect.gen(function*() {
      const stays = yield* following(store, { after: "earliest" }, 2)
      const leaves = yield* Effect.forEach(Array.from({ length: 50 }), () => following(store, { after: "earliest" }, 9))
      yield* append(store, "a-1")
      for (const fiber of leaves) check(Exit.isInterrupted(yield* Fiber.interrupt(fiber)), "must end as interrupted")
      yield* append(store, "a-1")
      equal(versionsOf(yield* Fiber.join(stays)), [1, 2])
    }),
  "a subscription that ended runs its finalizers": (store) =>
    Effect.gen(function*() {
      let closed = 0
      const closing = (stream: Stream.Stream<Raw, unknown>) => stream.pipe(Stream.ensuring(Effect.sync(() => closed++)))
      yield* append(store, "a-1", 2)
      yield* collect(closing(store.subscribe({ after: "earliest" })).pipe(Stream.take(2)))
      equal(closed, 1)
    }),
  "onCaughtUp tells each time there is nothing left, and how far that is": (store) =>
    Effect.gen(function*() {
      const told = yield* Queue.unbounded<number>()
      const seen: Array<number> = []
      yield* Effect.forkScoped(Stream.runForEach(
        store.subscribe({ after: "earliest", category: "a", onCaughtUp: (position) => Queue.offer(told, position) }),
        (raw) => Effect.sync(() => seen.push(raw.position))
      ))
      let last = yield* Queue.take(told)
      for (let round = 1; round <= 3; round++) {
        const { position } = yield* append(store, "a-1", 2)
        while (last < position) {
          const next = yield* Queue.take(told)
          check(next > last, "told twice of one position")
          last = next
        }
        equal(seen.length, round * 2)
      }
    }),
  "what is appended between looking and waiting is not missed": (store) =>
    Effect.gen(function*() {
      let left = 5
      const seen = yield* collect(
        store.subscribe({
          after: "earliest",
          onCaughtUp: () => left-- > 0 ? Effect.ignore(append(store, "a-1")) : Effect.void
        }).pipe(Stream.take(5))
      )
      equal(versionsOf(seen), [1, 2, 3, 4, 5])
    }),
  "what was truncated is not delivered any more, what follows is": (store) =>
    Effect.gen(function*() {
      yield* append(store, "a-1", 5)
      yield* store.truncate("a-1", { before: 4 })
      yield* append(store, "b-1", 2)
      yield* store.tombstone("b-1")
      const fiber = yield* following(store, { after: "earliest", types: ["A"] }, 3)
      yield* append(store, "a-1")
      equal(versionsOf(yield* Fiber.join(fiber)), [4, 5, 6])
    }),
  "a subscription asks for nothing that can be: it waits, and is interrupted": (store) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect(store.subscribe({ after: "earliest", since: 5, until: 5 })))
      yield* append(store, "a-1")
      check(Exit.isInterrupted(yield* Fiber.interrupt(fiber)), "must wait")
    }),
  "the same subscription may be run twice": (store) =>
    Effect.gen(function*() {
      yield* append(store, "a-1", 2)
      const subscription = collect(store.subscribe({ after: "earliest" }).pipe(Stream.take(2)))
      same(yield* subscription, yield* subscription)
    }),
  "a bad filter or start is refused": (store) =>
    Effect.gen(function*() {
      yield* refused(collect(store.subscribe({ after: -1 })), "InvalidInput")
      yield* refused(collect(store.subscribe({ category: "a-b" })), "InvalidInput")
    }),
  "50 subscribers see the same": (store) =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach(
        Array.from({ length: 50 }),
        () => following(store, { after: "earliest" }, 20)
      )
      for (let n = 0; n < 10; n++) yield* append(store, `s-${n % 3}`, 2)
      const all = positionsOf(yield* readAll(store))
      for (const fiber of fibers) equal(positionsOf(yield* Fiber.join(fiber)), all)
    })
})

export const wakeSection = section<Driver<Capability>>("subscriptions and their driver", {
  "a driver that wakes too soon disturbs nobody": (driver) =>
    Effect.gen(function*() {
      let early = 20
      const store = yield* makeEncoded({
        ...driver,
        awaitBeyond: (position) => early-- > 0 ? Effect.yieldNow() : driver.awaitBeyond(position)
      })
      const told = yield* Queue.unbounded<number>()
      const fiber = yield* Effect.fork(collect(
        store.subscribe({ after: "earliest", onCaughtUp: (position) => Queue.offer(told, position) }).pipe(
          Stream.take(2)
        )
      ))
      const first = yield* Queue.take(told)
      yield* Effect.repeat(Effect.yieldNow(), { until: () => early <= 0 })
      yield* append(store, "a-1", 2)
      equal(versionsOf(yield* Fiber.join(fiber)), [1, 2])
      const all = [first, ...(yield* Queue.takeAll(told))]
      equal(all, Array.from(new Set(all)), "told twice of one position")
    }),
  "a subscription whose driver fails, fails with it": (driver) =>
    Effect.gen(function*() {
      const store = yield* makeEncoded({
        ...driver,
        awaitBeyond: () => new StoreError({ reason: "corrupt", operation: "EventStore.subscribe" })
      })
      yield* append(store, "a-1")
      const seen: Array<number> = []
      yield* refused(
        Stream.runForEach(store.subscribe({ after: "earliest" }), (raw) => Effect.sync(() => seen.push(raw.version))),
        "StoreError",
        { reason: "corrupt" }
      )
      equal(seen, [1])
    }),
  "one whose driver cannot be reached goes on where it was, as its Schedule says, which begins anew with an answer": (
    driver
  ) =>
    Effect.gen(function*() {
      const reasons = ["unavailable", "busy", "timeout"] as const
      let calls = 0
      let isDown = false
      const unreachable = Effect.suspend(() =>
        new StoreError({ reason: reasons[calls % 3]!, operation: "EventStore.subscribe" })
      )
      const store = yield* makeEncoded({
        ...driver,
        // of three calls the last is answered
        readLog: (page) => Effect.suspend(() => ++calls % 3 !== 0 || isDown ? unreachable : driver.readLog(page))
      })
      yield* append(store, "a-1", 3)
      const told = yield* Queue.unbounded<number>()
      const positions: Array<number> = []
      const fiber = yield* Effect.fork(Stream.runForEach(
        store.subscribe({
          after: "earliest",
          reconnect: Schedule.recurs(2),
          onCaughtUp: (position) => Queue.offer(told, position)
        }),
        ({ position }) => Effect.sync(() => positions.push(position))
      ))
      yield* Queue.take(told)
      yield* append(store, "a-2", 2)
      yield* Queue.take(told)
      equal(positions, positionsOf(yield* collect((yield* makeEncoded(driver)).readAll())))
      isDown = true
      const before = calls
      yield* append(store, "a-3")
      const error = yield* Effect.flip(Fiber.join(fiber))
      equal(error._tag, "StoreError")
      equal(positions.length, 5)
      check(calls - before <= 3, `${calls - before} calls in the end`)
    })
})
