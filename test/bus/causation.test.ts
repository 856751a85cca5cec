import { assert, describe, it } from "@effect/vitest"
import * as Audit from "effect-skald/bus/Audit"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Inbox from "effect-skald/bus/Inbox"
import type { Message } from "effect-skald/bus/Message"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Pull from "effect-skald/bus/Pull"
import * as Replies from "effect-skald/bus/Replies"
import * as Request from "effect-skald/bus/Request"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"
import * as EventStore from "effect-skald/store/EventStore"
import { Chunk, Effect, Layer, Runtime, Schedule, Schema, Stream, TestClock } from "effect"

const Placed = Event.make("Placed", { order: Schema.String })
const Mailed = Event.make("Mailed", { order: Schema.String })
const Asked = Event.make("Asked", { order: Schema.String })
const Orders = Category.make("order", { id: Schema.String, events: [Placed, Mailed] })
const bus = Publisher.make([Placed, Mailed])
const Price = Request.make(Asked, { success: Schema.Number })

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const layer = Layer.mergeAll(Replies.layer, Inbox.layerMemory, EventStore.layerMemory).pipe(
  Layer.provideMerge(EventBus.layerMemory)
)
const settle = Effect.repeatN(Effect.yieldNow(), 500)

/** Each message's type with the conversation it belongs to, what caused it, and who for. */
const audited = Effect.gen(function*() {
  const seen: Array<readonly [string, string | undefined, string | undefined, string | undefined]> = []
  yield* Layer.build(Audit.layer("audit", {
    handler: (message) =>
      Effect.sync(() => {
        const { metadata, type } = message as Message
        const { causationId, correlationId, tenant } = JSON.parse(metadata) as Envelope.Metadata
        seen.push([type, correlationId, causationId, tenant])
      })
  }))
  return seen
})

const publishFirst = (id: string, order: string) =>
  Correlation.locally(bus.publish(Envelope.make(Placed({ order }), { id })), {
    correlationId: `talk-${id}`,
    tenant: `tenant-${id}`
  })

describe("what a handler does is caused by the message that it handles", () => {
  const mail = ({ order }: { readonly order: string }) => Effect.asVoid(bus.publish(Mailed({ order })))

  const handlers: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, any>]> = [
    [
      "a subscription",
      Subscription.run("mail", {
        events: [Placed],
        concurrency: 3,
        handler: mail,
        onError: { BusError: OnError.inherit, InvalidEvent: OnError.inherit, MessageTooLarge: OnError.inherit }
      })
    ],
    [
      "one that hands its work to other fibers",
      Subscription.run("mail", {
        events: [Placed],
        handler: (event) => Effect.zipRight(Effect.yieldNow(), Effect.asVoid(Effect.fork(Effect.orDie(mail(event)))))
      })
    ],
    [
      "one through an inbox, with a time limit and a breaker",
      Subscription.run("mail", {
        events: [Placed],
        timeout: "1 second",
        breaker: {},
        handler: Inbox.once(mail),
        onError: { BusError: OnError.inherit, InvalidEvent: OnError.inherit, MessageTooLarge: OnError.inherit }
      })
    ],
    [
      "a retry in place",
      Subscription.run("mail", {
        events: [Placed],
        handler: (event, { attempt }): Effect.Effect<void, Busy, EventBus.EventBus> =>
          attempt === 1 ? new Busy() : Effect.orDie(mail(event)),
        onError: { Busy: OnError.retry(Schedule.spaced("1 second"), OnError.deadLetter) }
      })
    ],
    [
      "a retry later",
      Subscription.run("mail", {
        events: [Placed],
        handler: (event, { attempt }): Effect.Effect<void, Busy, EventBus.EventBus> =>
          attempt === 1 ? new Busy() : Effect.orDie(mail(event)),
        onError: { Busy: OnError.retryLater(Schedule.spaced("1 second"), OnError.deadLetter) }
      })
    ],
    [
      "a Stream",
      Effect.fork(
        Stream.runForEach(
          Pull.stream("mail", { events: [Placed] }),
          ({ ack, causes, event }) => Effect.zipRight(causes(mail(event)), ack)
        )
      )
    ]
  ]
  for (const [title, handler] of handlers) {
    it.scoped(`published by ${title}`, () =>
      Effect.gen(function*() {
        const seen = yield* audited
        yield* handler
        yield* settle
        for (const id of ["a", "b", "c"]) yield* publishFirst(id, `o-${id}`)
        yield* settle
        for (let second = 0; second < 3; second++) {
          yield* TestClock.adjust("1 second")
          yield* settle
        }
        assert.sameDeepMembers(
          seen.filter(([type]) => type === "Mailed"),
          ["a", "b", "c"].map((id) =>
            [
              "Mailed",
              `talk-${id}`,
              id,
              `tenant-${id}`
            ] as const
          )
        )
      }).pipe(Effect.provide(layer)))
  }

  it.scoped("appended to the store", () =>
    Effect.gen(function*() {
      yield* Subscription.run("record", {
        events: [Placed],
        handler: (event) => Effect.asVoid(Effect.orDie(Orders.append(event.order, [event, Mailed(event)])))
      })
      yield* publishFirst("a", "1")
      yield* publishFirst("b", "2")
      yield* settle
      const of = (id: string) => Effect.map(Stream.runCollect(Orders.read(id)), Chunk.toReadonlyArray)
      for (const [id, order] of [["a", "1"], ["b", "2"]] as const) {
        const recorded = yield* Correlation.locally(of(order), { tenant: `tenant-${id}` })
        assert.deepStrictEqual(
          recorded.map(({ metadata, type }) => [type, metadata.correlationId, metadata.causationId]),
          [["Placed", `talk-${id}`, id], ["Mailed", `talk-${id}`, id]]
        )
      }
    }).pipe(Effect.provide(layer)))

  it.scoped("asked of others, and what they publish on being asked", () =>
    Effect.gen(function*() {
      const seen = yield* audited
      const requests: Array<string> = []
      yield* Price.run(({ order }, { id }) =>
        Effect.as(
          Effect.zipRight(Effect.sync(() => void requests.push(id)), Effect.orDie(bus.publish(Mailed({ order })))),
          3
        )
      )
      yield* Subscription.run("ask", {
        events: [Placed],
        handler: (event) => Effect.asVoid(Effect.orDie(Price.ask(Asked(event))))
      })
      yield* publishFirst("a", "1")
      yield* settle
      assert.deepStrictEqual(seen, [
        ["Placed", "talk-a", undefined, "tenant-a"],
        ["Asked", "talk-a", "a", "tenant-a"],
        ["Mailed", "talk-a", requests[0]!, "tenant-a"],
        [Replies.type, "talk-a", requests[0]!, "tenant-a"]
      ])
    }).pipe(Effect.provide(layer)))

  it.scoped("also long after it, in fibers that it began and runtimes that it took along", () =>
    Effect.gen(function*() {
      const latch = yield* Effect.makeLatch()
      const scope = yield* Effect.scope
      const told: Array<readonly [string, string, string | undefined]> = []
      const tell = (how: string, order: string) =>
        Effect.map(Correlation.current, ({ causationId }) => void told.push([how, order, causationId]))
      const after: Array<Effect.Effect<void>> = []
      yield* Subscription.run("keep", {
        events: [Placed],
        handler: ({ order }) =>
          Effect.gen(function*() {
            yield* tell("handler", order)
            // every third message takes nothing along, so that the worker's own references are the next one's too
            if (Number(order) % 3 === 1) yield* Effect.forkIn(Effect.zipRight(latch.await, tell("fiber", order)), scope)
            if (Number(order) % 3 === 2) {
              const runtime = yield* Effect.runtime()
              after.push(Effect.promise(() => Runtime.runPromise(runtime)(tell("runtime", order))))
            }
          })
      })
      const orders = Array.from({ length: 12 }, (_, n) => `${n}`)
      for (const order of orders) yield* publishFirst(`placed-${order}`, order)
      yield* settle
      yield* latch.open
      yield* settle
      yield* Effect.all(after, { discard: true })
      const expected = (how: string, wanted: (n: number) => boolean) =>
        orders.filter((order) => wanted(Number(order))).map((order) => [how, order, `placed-${order}`] as const)
      const of = (how: string) => told.filter(([each]) => each === how).sort(([, a], [, b]) => Number(a) - Number(b))
      assert.deepStrictEqual(of("handler"), expected("handler", () => true))
      assert.deepStrictEqual(of("fiber"), expected("fiber", (n) => n % 3 === 1))
      assert.deepStrictEqual(of("runtime"), expected("runtime", (n) => n % 3 === 2))
    }).pipe(Effect.provide(layer)))

  it.scoped("and the actor and the headers of a message stay with it", () =>
    Effect.gen(function*() {
      const seen: Array<Envelope.Metadata> = []
      yield* Subscription.run("mail", { events: [Placed], handler: (event) => Effect.orDie(mail(event)) })
      yield* Subscription.run("watch", {
        events: [Mailed],
        handler: (_, { metadata }) => Effect.sync(() => void seen.push(metadata))
      })
      yield* Correlation.locally(bus.publish(Placed({ order: "1" }), { headers: { secret: "x" } }), { actor: "ada" })
      yield* settle
      assert.deepStrictEqual(seen.map(({ actor, headers }) => [actor, headers]), [[undefined, undefined]])
    }).pipe(Effect.provide(layer)))
})
