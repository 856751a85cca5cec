import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { EventBus } from "../../../bus/EventBus.ts"
import * as Subscription from "../../../bus/Subscription.ts"
import * as Correlation from "../../../event/Correlation.ts"
import * as Envelope from "../../../event/Envelope.ts"
import {
  busSection,
  capable,
  collector,
  depthOf,
  exactly,
  gate,
  held,
  know,
  now,
  open,
  otherwise,
  quiet,
  topic,
  until,
  untilEmpty
} from "./busCase.ts"
import { check, equal, refused, unique } from "./case.ts"

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

export const deliverySection = busSection("delivery", {
  "a message comes once, with all that was said of it": () =>
    Effect.gen(function*() {
      const { Placed, id, name, placed, publish } = topic()
      const { add, seen } = collector<Subscription.Delivery>()
      const events = collector<unknown>()
      yield* Subscription.run(name(), {
        events: [Placed],
        handler: (event, delivery) => Effect.zipRight(events.add(event), add(delivery))
      })
      const occurredAt = DateTime.unsafeMake(1_700_000_000_123)
      const receipt = yield* publish(
        Envelope.make(placed("o-1", 7), { id: `${id} 1`, occurredAt, source: "shop" }),
        { key: "o-1", ttl: "1 hour", headers: { "x-channel": "web" } }
      ).pipe(Correlation.locally({ correlationId: "conversation", causationId: "cause", tenant: "acme" }))
      equal(receipt.id, `${id} 1`)
      yield* exactly(seen, 1)
      equal(events.seen, [{ _tag: Placed.tag, order: "o-1", n: 7 }])
      const [delivery] = seen
      equal({ ...delivery!.metadata, headers: { ...delivery!.metadata.headers } }, {
        correlationId: "conversation",
        causationId: "cause",
        tenant: "acme",
        headers: { "x-channel": "web" }
      })
      equal(
        [delivery!.id, delivery!.type, delivery!.subject, delivery!.key, delivery!.attempt, delivery!.source],
        [`${id} 1`, Placed.tag, `${id}.order.placed`, "o-1", 1, "shop"]
      )
      equal(delivery!.occurredAt.epochMillis, occurredAt.epochMillis)
      check(Math.abs(delivery!.publishedAt.epochMillis - (yield* now)) < 60_000, "published now")
      yield* untilEmpty(name())
    }),
  "50 subscriptions each get all of 40 messages, each once and in order": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const all = Array.from({ length: 50 }, () => collector<number>())
      yield* Effect.forEach(all, ({ add }, index) =>
        Subscription.run(name(`s${index}`), { events: [Placed], handler: ({ n }) => add(n) }))
      for (let batch = 0; batch < 4; batch++) {
        yield* publishMany(10, {}, batch * 10)
      }
      yield* until("40 messages each", () =>
        all.every(({ seen }) => seen.length >= 40))
      yield* quiet
      const expected = Array.from({ length: 40 }, (_, n) => n)
      for (const { seen } of all) equal(seen, expected)
    }),
  "20 publishers at once: nothing is lost, nothing comes twice": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), {
        events: [Placed],
        concurrency: 8,
        handler: ({ n, order }) => add(`${order}/${n}`)
      })
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, publisher) => publisher),
        (publisher) =>
          Effect.forEach(Array.from({ length: 10 }), (_, n) => publish(placed(`p${publisher}`, n)), { discard: true }),
        { concurrency: "unbounded", discard: true }
      )
      yield* exactly(seen, 200)
      equal(new Set(seen).size, 200)
    }),
  "topics are apart: a subscription sees its own types alone": () =>
    Effect.gen(function*() {
      const { Paid, Placed, name, publish, placed } = topic()
      const other = topic()
      const a = collector()
      const b = collector()
      yield* Subscription.run(name("a"), { events: [Placed], handler: ({ order }) => a.add(order) })
      yield* Subscription.run(name("b"), { events: [Paid], handler: ({ order }) => b.add(order) })
      yield* publish(placed("placed"))
      yield* publish(Paid({ order: "paid", n: 1 }))
      yield* other.publish(other.placed("elsewhere"))
      yield* exactly(a.seen, 1)
      yield* exactly(b.seen, 1)
      equal([...a.seen, ...b.seen], ["placed", "paid"])
    }),
  "what nobody subscribes to is published all the same": () =>
    Effect.gen(function*() {
      const { placed, publish } = topic()
      const receipt = yield* publish(placed("o"))
      check(receipt.id.length > 0, "a receipt")
    }),
  "wildcards select subjects, also of topics that come later": () =>
    Effect.gen(function*() {
      const { id, name } = topic()
      const bus = yield* EventBus
      const subscribe = (label: string, select: string | RegExp) =>
        Effect.gen(function*() {
          const { add, seen } = collector()
          yield* Subscription.runSelect(name(label), { select, handler: (_, { subject }) => add(subject), onError: {} })
          return seen
        })
      const one = yield* subscribe("one", `${id}.*`)
      const any = yield* subscribe("any", `${id}.**`)
      const inside = yield* subscribe("inside", `${id}.*.added`)
      const expression = yield* subscribe("expression", new RegExp(`^${id}\\.item`))
      const subjects = [id, `${id}.placed`, `${id}.item.added`, `${id}.item.added.twice`, `x.${id}.placed`]
      for (const subject of subjects) {
        // each a type that nobody has heard of before
        yield* bus.publish([{ type: `T ${unique()}`, subject, payload: {} }])
      }
      yield* exactly(any, 4)
      equal([...any].sort(), subjects.slice(0, 4).sort())
      equal(one, [`${id}.placed`])
      equal(inside, [`${id}.item.added`])
      equal([...expression].sort(), [`${id}.item.added`, `${id}.item.added.twice`])
    }),
  "consumers of one name share its messages; names each get all": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      const consumers = [collector<number>(), collector<number>(), collector<number>()]
      const other = collector<number>()
      const both = gate()
      let started = 0
      for (const { add } of consumers) {
        yield* Subscription.run(name("shared"), {
          events: [Placed],
          prefetch: 1,
          // each must have one at once, or nobody goes on
          handler: ({ n }) =>
            add(n).pipe(
              Effect.zipRight(Effect.suspend(() => ++started >= 3 ? both.open : Effect.void)),
              Effect.zipRight(both.wait)
            )
        })
      }
      yield* Subscription.run(name("other"), { events: [Placed], handler: ({ n }) => other.add(n) })
      yield* publishMany(60)
      yield* exactly(other.seen, 60)
      yield* until("60 messages", () => consumers.reduce((sum, { seen }) => sum + seen.length, 0) >= 60)
      yield* quiet
      const all = consumers.flatMap(({ seen }) => seen).sort((a, b) => a - b)
      equal(all, Array.from({ length: 60 }, (_, n) => n))
      check(consumers.every(({ seen }) => seen.length > 0), "one consumer got nothing")
    }),
  "publish ends when the message is taken: it is there at once": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany } = topic()
      yield* know(name(), Placed)
      yield* publishMany(7)
      const { inFlight, ready, waiting } = yield* depthOf(name())
      equal([ready, waiting, inFlight], [7, 0, 0])
    }),
  "a call with one bad message publishes none of it": () =>
    Effect.gen(function*() {
      const { Placed, name } = topic()
      const bus = yield* EventBus
      yield* know(name(), Placed)
      yield* refused(
        bus.publish([
          { type: Placed.tag, payload: { order: "o", n: 1 } },
          { type: Placed.tag, payload: { order: "o", n: Number.NaN } }
        ]),
        "InvalidEvent"
      )
      equal((yield* depthOf(name())).ready, 0)
    }),
  "trace and headers in any script come whole": () =>
    Effect.gen(function*() {
      const { Placed, id, name, publish, placed } = topic()
      const { add, seen } = collector<Subscription.Delivery["metadata"]>()
      yield* Subscription.run(name(), { events: [Placed], handler: (_, { metadata }) => add(metadata) })
      const headers = {
        grüße: "日本語 – Ωμέγα",
        emoji: "👩‍👩‍👧‍👦 🏳️‍🌈",
        rtl: "שלום",
        quote: "\"'\\",
        line: "a\nb\t",
        nul: "\u0000",
        empty: ""
      }
      yield* publish(
        Envelope.make(placed("ö"), {
          id: `${id} ключ`,
          trace: { traceparent, tracestate: "a=1,b=2" },
          correlationId: "связь"
        }),
        { headers, key: "κλειδί" }
      )
      yield* exactly(seen, 1)
      const [metadata] = seen
      equal({ ...metadata!.headers }, headers)
      equal({ ...metadata!.trace }, { traceparent, tracestate: "a=1,b=2" })
      equal(metadata!.correlationId, "связь")
    }),
  "what a handler publishes is caused by what it handles, over any number of steps": () =>
    Effect.gen(function*() {
      const { Paid, Placed, id, name, placed, publish } = topic()
      const bus = yield* EventBus
      const { add, seen } = collector<unknown>()
      yield* Subscription.run(name("a"), {
        events: [Placed],
        handler: ({ order }) =>
          Effect.orDie(publish(Envelope.make(Paid({ order, n: 1 }), { id: `${id} second` }))).pipe(
            Effect.asVoid,
            Effect.provideService(EventBus, bus)
          )
      })
      yield* Subscription.run(name("b"), {
        events: [Paid],
        handler: (_, { metadata }) => add([metadata.correlationId, metadata.causationId])
      })
      yield* publish(Envelope.make(placed("o"), { id: `${id} first` }))
      yield* exactly(seen, 1)
      equal(seen, [[`${id} first`, `${id} first`]])
    }),
  "payloads of any kind come whole: empty ones, texts, numbers, lists, 200 levels deep": () =>
    Effect.gen(function*() {
      const { id, name } = topic()
      const bus = yield* EventBus
      const { add, seen } = collector<unknown>()
      yield* Subscription.runSelect(name(), {
        select: `${id}.**`,
        handler: ({ payload }) => add(payload),
        onError: {}
      })
      let deep: unknown = "bottom"
      for (let level = 0; level < 199; level++) deep = [deep]
      const payloads = [{}, [], "", "\u0000 NUL", 0, -1.5e300, true, null, { "": { a: [1, "ü"] } }, deep]
      for (const payload of payloads) yield* bus.publish([{ type: `T ${id}`, subject: `${id}.x`, payload }])
      yield* exactly(seen, payloads.length)
      equal(seen, payloads)
    }),
  "a payload of 1 MiB comes whole": () =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      const order = "ä€😀".repeat(Math.floor(1_048_576 / 9) - 50)
      yield* publish(placed(order))
      yield* exactly(seen, 1)
      check(seen[0] === order, "it came otherwise")
    }),
  "more than a driver takes is refused by size, and nothing of it is published": () =>
    Effect.gen(function*() {
      const { Placed, name, publishMany, publish, placed } = topic()
      yield* know(name(), Placed)
      const bus = yield* EventBus
      const limited = <A, E>(effect: Effect.Effect<A, E, EventBus>) => refused(effect, "MessageTooLarge")
      // a driver whose limits are out of reach is not asked to build what exceeds them
      const { limits } = bus
      if (limits.messages <= 100_000) yield* limited(publishMany(limits.messages + 1))
      if (limits.payload <= 128 * 1024 * 1024) yield* limited(publish(placed("x".repeat(limits.payload))))
      equal((yield* depthOf(name())).ready, 0)
    }),
  "what a handler does to its event reaches no other": () =>
    Effect.gen(function*() {
      const { id, name } = topic()
      const bus = yield* EventBus
      const { add, seen } = collector<unknown>()
      for (const label of ["a", "b"]) {
        yield* Subscription.runSelect(name(label), {
          select: `${id}.*`,
          handler: ({ payload }) =>
            Effect.suspend(() => {
              const before = structuredClone(payload)
              ;(payload as { list: Array<number> }).list.push(4)
              return add(before)
            }),
          onError: {}
        })
      }
      const given = { list: [1, 2, 3] }
      yield* bus.publish([{ type: `T ${id}`, subject: `${id}.x`, payload: given }])
      given.list.push(5)
      yield* exactly(seen, 2)
      equal(seen, [{ list: [1, 2, 3] }, { list: [1, 2, 3] }])
      equal(given.list, [1, 2, 3, 5])
    }),
  "a bus that was closed publishes no more: a typed failure": (subject) =>
    Effect.gen(function*() {
      const { placed, publish } = topic()
      const closed = yield* open(subject, EventBus)
      yield* refused(otherwise(() => closed, publish(placed("o"))), "BusError", { reason: "closed" })
    }),
  "a publisher that goes takes nothing with it": (subject) =>
    Effect.gen(function*() {
      const { Placed, name, placed, publish } = topic()
      const { add, seen } = collector()
      yield* Subscription.run(name(), { events: [Placed], handler: ({ order }) => add(order) })
      if (capable(subject, "shared")) yield* open(subject, publish(placed("from another")))
      else yield* (yield* held(publish(placed("from another")))).close
      const fiber = yield* Effect.fork(Effect.zipRight(publish(placed("from a fiber")), Effect.never))
      yield* exactly(seen, 2)
      yield* Fiber.interrupt(fiber)
      equal([...seen].sort(), ["from a fiber", "from another"])
    })
})
