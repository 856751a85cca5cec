import { assert, describe, it } from "@effect/vitest"
import * as Audit from "effect-skald/bus/Audit"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import type { Garbled, Message } from "effect-skald/bus/Message"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as MessagePack from "effect-skald/event/MessagePack"
import * as PayloadFormat from "effect-skald/event/PayloadFormat"
import { Effect, Layer, Schedule, Schema, Stream, TestClock } from "effect"

const Said = Event.make("Said", { n: Schema.Number }, { subject: "talk.said" })
const bus = Publisher.make([Said])
class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

const layer = Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)
const settle = Effect.repeatN(Effect.yieldNow(), 500)
const listed = Effect.flatMap(
  DeadLetters.DeadLetters,
  (letters) => Effect.map(Stream.runCollect(letters.list({})), (all) => Array.from(all))
)

const collecting = Effect.gen(function*() {
  const seen: Array<Message | Garbled> = []
  yield* Layer.build(Audit.layer("audit", { handler: (message) => Effect.sync(() => void seen.push(message)) }))
  return seen
})

describe("an audit", () => {
  it.scoped("sees every message as it was published, whatever its type, its bytes, and whether anybody can read it", () =>
    Effect.gen(function*() {
      const seen = yield* collecting
      const service = yield* EventBus.EventBus
      yield* bus.publish(Said({ n: 1 }), { key: "k", headers: { who: "ada" } })
      yield* service.publish([
        { type: "Unknown", subject: "a.b.c", schemaVersion: 7, payload: { anything: [1, null] } },
        { type: "Said", payload: "no such payload" }
      ])
      yield* settle
      const messages = seen.filter((message): message is Message => !("_tag" in message))
      assert.deepStrictEqual(
        messages.map(({ payload, schemaVersion, subject, type }) => [type, subject, schemaVersion, payload]),
        [
          ["Said", "talk.said", 1, `{"_tag":"Said","n":1}`],
          ["Unknown", "a.b.c", 7, `{"anything":[1,null]}`],
          ["Said", "Said", 1, `"no such payload"`]
        ]
      )
      assert.strictEqual(messages[0]!.key, "k")
      assert.deepStrictEqual(JSON.parse(messages[0]!.metadata).headers, { who: "ada" })
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(Effect.provide(layer)))

  it.scoped("sees bytes as bytes, and what has expired", () =>
    Effect.gen(function*() {
      const seen: Array<Message | Garbled> = []
      const open = Layer.build(
        Audit.layer("audit", { handler: (message) => Effect.sync(() => void seen.push(message)) })
      )
      yield* Effect.scoped(open)
      yield* bus.publish(Said({ n: 1 }), { ttl: "1 second" })
      yield* TestClock.adjust("1 hour")
      yield* open
      yield* settle
      const [message] = seen as [Message]
      assert.strictEqual(message.format, "msgpack")
      assert.instanceOf(message.payload, Uint8Array)
      assert.deepStrictEqual(MessagePack.format.read(message.payload), { _tag: "Said", n: 1 })
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(
      Effect.provide(layer),
      Effect.provideService(PayloadFormat.PayloadFormat, PayloadFormat.formats(MessagePack.format))
    ))

  it.scoped("sees what is no message at all", () =>
    Effect.gen(function*() {
      const garbled: Garbled = { _tag: "Garbled", id: "g", bytes: new Uint8Array([255]), problem: "not JSON" }
      const delivered: BusDriver.Delivered = { receipt: 1, message: garbled, deliveries: 1, state: undefined }
      let given = false
      const settled: Array<BusDriver.Settlement> = []
      const driver = {
        name: "one garbled message",
        capabilities: [],
        limits: { payload: 1, messages: 1 },
        deadLetters: {},
        consume: () =>
          Effect.succeed({
            pull: () =>
              Effect.suspend(() => {
                if (given) return Effect.never
                given = true
                return Effect.succeed([delivered])
              }),
            settle: (settlements: ReadonlyArray<BusDriver.Settlement>) =>
              Effect.sync(() => void settled.push(...settlements))
          })
      } as unknown as BusDriver.Driver
      const seen = yield* Effect.provide(
        Effect.tap(collecting, () => settle),
        EventBus.layerDriver(Effect.succeed(driver))
      )
      assert.deepStrictEqual(seen, [garbled])
      assert.deepStrictEqual(settled, [{ _tag: "done", receipt: 1 }])
    }))

  it.scoped("changes nothing for others, however badly it does", () =>
    Effect.gen(function*() {
      const handled: Array<number> = []
      yield* Layer.build(Audit.layer("slow", { handler: () => Effect.never, drain: 0 }))
      yield* Layer.build(Audit.layer("dying", { handler: () => Effect.die("broken") }))
      yield* Layer.build(Audit.layer("failing", {
        handler: () => new Busy(),
        onError: { Busy: OnError.retry(Schedule.recurs(2), OnError.pause) }
      }))
      yield* Subscription.run("s", {
        events: [Said],
        handler: ({ n }, { attempt }) => Effect.sync(() => void handled.push(n * 10 + attempt))
      })
      for (const n of [1, 2, 3]) yield* bus.publish(Said({ n }), { key: "k" })
      yield* settle
      assert.deepStrictEqual(handled, [11, 21, 31])
      const letters = yield* listed
      assert.deepStrictEqual(letters.map(({ reason, subscription }) => [subscription, reason]), [
        ["dying", "defect"],
        ["dying", "defect"],
        ["dying", "defect"]
      ])
    }).pipe(Effect.provide(layer)))

  it.scoped("does not see again what others retry, put aside, or are given again", () =>
    Effect.gen(function*() {
      const seen = yield* collecting
      let runs = 0
      yield* Subscription.run("s", {
        events: [Said],
        handler: () => {
          runs++
          return new Busy()
        },
        onError: { Busy: OnError.retry(Schedule.recurs(1), OnError.deadLetter) }
      })
      yield* bus.publish(Said({ n: 1 }))
      yield* settle
      yield* Effect.flatMap(DeadLetters.DeadLetters, (letters) => letters.reprocess({}))
      yield* settle
      assert.strictEqual(runs, 4)
      assert.strictEqual(seen.length, 1)
    }).pipe(Effect.provide(layer)))
})
