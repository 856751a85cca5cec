import { assert, describe, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import type { Message } from "effect-skald/bus/Message"
import * as Replies from "effect-skald/bus/Replies"
import * as Request from "effect-skald/bus/Request"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Correlation from "effect-skald/event/Correlation"
import * as Event from "effect-skald/event/Event"
import { Context, Deferred, Effect, Fiber, Layer, Schema, Stream, TestClock } from "effect"

const PriceAsked = Event.make("PriceAsked", { item: Schema.String }, { subject: "price.asked" })
class NoSuchItem extends Schema.TaggedError<NoSuchItem>()("NoSuchItem", { item: Schema.String }) {}

const Price = Request.make(PriceAsked, { success: Schema.Struct({ at: Schema.Date }), failure: NoSuchItem })
const settle = Effect.repeatN(Effect.yieldNow(), 500)

const layer = Layer.provideMerge(Layer.merge(DeadLetters.layer, Replies.layer), EventBus.layerMemory)
const listed = Effect.flatMap(
  DeadLetters.DeadLetters,
  (letters) => Effect.map(Stream.runCollect(letters.list({})), (all) => Array.from(all))
)
const late = Effect.flatMap(Replies.Replies, (replies) => replies.late)
const ask = (item: string, options?: Request.AskOptions) => Price.ask(PriceAsked({ item }), options)

describe("requests", () => {
  it.scoped("are answered with what the handler succeeds with, or fails with, by its Schema", () =>
    Effect.gen(function*() {
      yield* Price.run(({ item }) => item === "tea" ? Effect.succeed({ at: new Date(5) }) : new NoSuchItem({ item }))
      assert.deepStrictEqual(yield* ask("tea"), { at: new Date(5) })
      const refused = yield* Effect.flip(ask("stones"))
      assert.deepInclude(refused, { _tag: "NoSuchItem", item: "stones" })
      assert.instanceOf(refused, NoSuchItem)
      // an answer is no failure of the subscription
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(Effect.provide(layer)))

  it.scoped("each of many at once is given its own answer", () =>
    Effect.gen(function*() {
      yield* Price.run(
        ({ item }) => Effect.as(Effect.sleep(`${100 - Number(item)} millis`), { at: new Date(Number(item)) }),
        { concurrency: 100 }
      )
      const asking = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 100 }, (_, n) => n), (n) => ask(`${n}`), { concurrency: "unbounded" })
      )
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      const answers = yield* Fiber.join(asking)
      assert.deepStrictEqual(answers.map(({ at }) => at.getTime()), Array.from({ length: 100 }, (_, n) => n))
      assert.strictEqual(yield* late, 0)
    }).pipe(Effect.provide(layer)))

  it.scoped("one that is not answered in time fails; its answer is dropped when it comes, and counted", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      yield* Price.run(() => Effect.as(Deferred.await(gate), { at: new Date(0) }))
      const asking = yield* Effect.fork(Effect.flip(ask("tea", { within: "5 seconds" })))
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.isNull(asking.unsafePoll())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(asking)
      assert.deepInclude(error, { _tag: "RequestTimeout", request: "PriceAsked" })
      assert.strictEqual(yield* late, 0)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.strictEqual(yield* late, 1)
      assert.deepStrictEqual(yield* ask("tea"), { at: new Date(0) })
    }).pipe(Effect.provide(layer)))

  it.scoped("one that nobody began to handle in time is put aside, and not handled", () =>
    Effect.gen(function*() {
      let handled = 0
      const running = yield* Price.run(() => Effect.sync(() => ({ at: new Date(handled++) })))
      yield* ask("wakes the consumer that waits")
      yield* running.pause
      yield* settle
      yield* Effect.fork(Effect.exit(ask("taken already", { within: "1 hour" })))
      yield* settle
      const asking = yield* Effect.fork(Effect.flip(ask("tea", { within: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(asking))._tag, "RequestTimeout")
      yield* running.resume
      yield* settle
      assert.strictEqual(handled, 2)
      assert.deepStrictEqual((yield* listed).map(({ reason }) => reason), ["expired"])
    }).pipe(Effect.provide(layer)))

  it.scoped("one whose handler dies is answered at once, and is a dead letter", () =>
    Effect.gen(function*() {
      yield* Price.run(() => Effect.die(new Error("broken")))
      const error = yield* Effect.flip(ask("tea"))
      assert.deepInclude(error, { _tag: "RequestFailed", reason: "defect" })
      assert.include(error.message, "broken")
      yield* settle
      assert.deepStrictEqual((yield* listed).map(({ reason }) => reason), ["defect"])
    }).pipe(Effect.provide(layer)))

  it.scoped("one whose handler's process goes away is answered by another", () =>
    Effect.gen(function*() {
      const asking = yield* Effect.scoped(Effect.gen(function*() {
        yield* Price.run(() => Effect.never, { drain: 0 })
        const asking = yield* Effect.fork(ask("tea"))
        yield* settle
        return asking
      })).pipe(Effect.tap(() => TestClock.adjust("1 millis")))
      yield* Price.run(() => Effect.succeed({ at: new Date(1) }))
      assert.deepStrictEqual(yield* Fiber.join(asking), { at: new Date(1) })
    }).pipe(Effect.provide(layer)))

  it.scoped("an answer that the one who asked cannot read is a failure that says so", () =>
    Effect.gen(function*() {
      const Newer = Request.make(PriceAsked, { success: Schema.Struct({ price: Schema.Number }) })
      yield* Newer.run(() => Effect.succeed({ price: 3 }))
      assert.deepInclude(yield* Effect.flip(ask("tea")), { _tag: "RequestFailed", reason: "undecodable" })
    }).pipe(Effect.provide(layer)))

  it.scoped("answers go to the asking process alone, and come from one of those who share the work", () =>
    Effect.gen(function*() {
      const bus = yield* Effect.context<EventBus.EventBus>()
      const processes = yield* Effect.all([Layer.build(Replies.layer), Layer.build(Replies.layer)])
      const [one, two] = processes.map((context) => Context.get(context, Replies.Replies))
      assert.notStrictEqual(one!.address, two!.address)
      const seen: Array<string> = []
      yield* Subscription.runRaw("audit", {
        handler: (message) =>
          Effect.sync(() =>
            void ((message as Message).type === Replies.type && seen.push((message as Message).subject))
          ),
        onError: {}
      })
      let handled = 0
      for (let worker = 0; worker < 2; worker++) {
        yield* Price.run(() => Effect.sync(() => ({ at: new Date(handled++) })))
      }
      const from = (replies: Replies.Service) => Effect.provideService(ask("tea"), Replies.Replies, replies)
      yield* from(one!)
      yield* from(two!)
      yield* from(two!)
      yield* settle
      assert.strictEqual(handled, 3)
      assert.deepStrictEqual(seen, [one!.address, two!.address, two!.address])
      assert.deepStrictEqual([yield* one!.late, yield* two!.late], [0, 0])
      assert.isTrue(Context.getOption(bus, EventBus.EventBus)._tag === "Some")
    }).pipe(Effect.provide(layer)))

  it.scoped("a subscription to answers ends with its process", () =>
    Effect.gen(function*() {
      const service = yield* EventBus.EventBus
      const address = yield* Effect.scoped(Effect.gen(function*() {
        const replies = Context.get(yield* Layer.build(Replies.layer), Replies.Replies)
        assert.include(yield* service.subscriptions, replies.address)
        return replies.address
      }))
      assert.notInclude(yield* service.subscriptions, address)
    }).pipe(Effect.provide(layer)))

  it.scoped("the request and its answer belong to the conversation of the one who asks", () =>
    Effect.gen(function*() {
      const seen: Array<readonly [string, string | undefined, string | undefined]> = []
      const ids: Array<string> = []
      yield* Subscription.runSelect("audit", {
        select: "*",
        handler: (_, { metadata, type }) =>
          Effect.sync(() => void seen.push([type, metadata.correlationId, metadata.causationId])),
        onError: {}
      })
      yield* Price.run((_, { id }) => Effect.as(Effect.sync(() => void ids.push(id)), { at: new Date(0) }))
      yield* Correlation.locally(ask("tea"), { correlationId: "talk", causationId: "why" })
      yield* settle
      assert.deepStrictEqual(seen, [
        ["PriceAsked", "talk", "why"],
        [Replies.type, "talk", ids[0]]
      ])
    }).pipe(Effect.provide(layer)))

  it.scoped("an event that was asked by nobody is handled without an answer", () =>
    Effect.gen(function*() {
      const service = yield* EventBus.EventBus
      let handled = 0
      yield* Price.run(() => Effect.sync(() => ({ at: new Date(handled++) })))
      yield* service.publish([{ type: "PriceAsked", payload: { _tag: "PriceAsked", item: "tea" } }])
      yield* settle
      assert.strictEqual(handled, 1)
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(Effect.provide(layer)))
})
