import { KeyValueStore } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { assert, describe, it } from "@effect/vitest"
import type * as BusDriver from "effect-skald/bus/BusDriver"
import { BusError } from "effect-skald/bus/BusError"
import * as ClaimCheck from "effect-skald/bus/ClaimCheck"
import * as ClaimCheckCleaner from "effect-skald/bus/ClaimCheckCleaner"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import * as MessagePack from "effect-skald/event/MessagePack"
import * as PayloadFormat from "effect-skald/event/PayloadFormat"
import { Effect, FastCheck as fc, Layer, Option, Schema, Stream, TestClock, TestContext } from "effect"

const Filed = Event.make("Filed", { n: Schema.Number, text: Schema.String }, { subject: "document.filed" })
const bus = Publisher.make([Filed])
const settle = Effect.repeatN(Effect.yieldNow(), 500)

/** A store in memory that can be looked into, and be gone for a while. */
class Shelf extends Effect.Service<Shelf>()("Shelf", {
  sync: () => {
    const entries = new Map<string, string | Uint8Array>()
    const state = { down: false }
    const access = <A>(run: () => A) =>
      Effect.suspend(() =>
        state.down
          ? Effect.fail(
            new SystemError({ reason: "Unknown", module: "KeyValueStore", method: "any", description: "it is gone" })
          )
          : Effect.sync(run)
      )
    const store = KeyValueStore.make({
      get: (key) => access(() => Option.map(Option.fromNullable(entries.get(key)), String)),
      getUint8Array: (key) => access(() => Option.fromNullable(entries.get(key) as Uint8Array | undefined)),
      set: (key, value) => access(() => void entries.set(key, value)),
      remove: (key) => access(() => void entries.delete(key)),
      clear: access(() => entries.clear()),
      size: access(() => entries.size)
    })
    return { entries, state, store }
  }
}) {}

const Store = Layer.effect(KeyValueStore.KeyValueStore, Effect.map(Shelf, ({ store }) => store))

const over = (limit: number, driver: Layer.Layer<EventBus.EventBus> = EventBus.layerMemory) =>
  DeadLetters.layer.pipe(
    Layer.provideMerge(driver),
    Layer.provide(ClaimCheck.layer({ limit })),
    Layer.provideMerge(Store),
    Layer.provideMerge(Shelf.Default)
  )

const listed = Effect.flatMap(
  DeadLetters.DeadLetters,
  (letters) => Effect.map(Stream.runCollect(letters.list({})), (all) => Array.from(all))
)

const collecting = Effect.gen(function*() {
  const seen: Array<string> = []
  yield* Subscription.run("s", {
    events: [Filed],
    handler: ({ n, text }, { attempt }) => Effect.sync(() => void seen.push(`${n}:${text.length}:${attempt}`))
  })
  return seen
})

describe("a claim check", () => {
  it.scoped("a large payload stands in the store and comes whole; a small one never sees it", () =>
    Effect.gen(function*() {
      const { entries } = yield* Shelf
      const seen = yield* collecting
      yield* bus.publish(Filed({ n: 1, text: "x" }))
      assert.strictEqual(entries.size, 0)
      yield* bus.publish(Filed({ n: 2, text: "é".repeat(1_000) }))
      assert.strictEqual(entries.size, 1)
      assert.match(Array.from(entries.keys())[0]!, /^claim-check\/1970-01-01\//)
      yield* settle
      assert.deepStrictEqual(seen, ["1:1:1", "2:1000:1"])
    }).pipe(Effect.provide(over(1_000))))

  it("any payload comes as it was published, whatever the limit, as text and as bytes", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 60, unit: "grapheme" }), { maxLength: 8 }),
        fc.nat({ max: 150 }),
        fc.boolean(),
        (texts, limit, packed) =>
          Effect.gen(function*() {
            const { entries } = yield* Shelf
            const seen: Array<string> = []
            yield* Subscription.run("s", {
              events: [Filed],
              handler: ({ text }) => Effect.sync(() => void seen.push(text))
            })
            yield* bus.publishAll(texts.map((text, n) => Filed({ n, text })))
            yield* Effect.repeatN(Effect.yieldNow(), 200)
            assert.deepStrictEqual(seen, texts)
            if (!packed) {
              const large = texts.filter((text, n) =>
                Buffer.byteLength(JSON.stringify({ _tag: "Filed", n, text })) > limit
              )
              assert.strictEqual(entries.size, large.length)
            }
          }).pipe(
            Effect.scoped,
            Effect.provide(Layer.provideMerge(over(limit), TestContext.TestContext)),
            packed
              ? Effect.provideService(PayloadFormat.PayloadFormat, PayloadFormat.formats(MessagePack.format))
              : (self) => self,
            Effect.runPromise
          )
      ),
      { numRuns: 20 }
    ))

  for (
    const [what, spoil] of [
      ["is gone", (entries: Map<string, string | Uint8Array>, key: string) => void entries.delete(key)],
      [
        "was changed",
        (entries: Map<string, string | Uint8Array>, key: string) => void entries.set(key, "something else")
      ]
    ] as const
  ) {
    it.scoped(`a payload that ${what} makes a dead letter that says so, and consumption goes on`, () =>
      Effect.gen(function*() {
        const { entries } = yield* Shelf
        const running = yield* Subscription.run("s", { events: [Filed], handler: () => Effect.die("not reached") })
        yield* running.pause
        yield* bus.publish(Filed({ n: 0, text: "wakes the consumer that waits" }))
        yield* settle
        yield* bus.publish(Filed({ n: 1, text: "x".repeat(2_000) }))
        const [key] = Array.from(entries.keys())
        const before = entries.get(key!)!
        spoil(entries, key!)
        const seen = yield* collecting
        yield* bus.publish(Filed({ n: 2, text: "y" }))
        yield* settle
        assert.deepStrictEqual(seen, ["0:29:1", "2:1:1"])
        const [letter] = yield* listed
        assert.deepStrictEqual([letter?.reason, letter?.error.tag], ["undecodable", "PayloadMissing"])
        assert.include(letter!.error.message, key!)
        // put back, it can be delivered again
        entries.set(key!, before)
        const letters = yield* DeadLetters.DeadLetters
        assert.strictEqual(yield* letters.reprocess({}), 1)
        yield* settle
        assert.deepStrictEqual(seen.slice(2), ["1:2000:1"])
      }).pipe(Effect.provide(over(1_000))))
  }

  it.scoped("while the store cannot be reached, messages wait, and no attempt is spent", () =>
    Effect.gen(function*() {
      const { state } = yield* Shelf
      const seen = yield* collecting
      state.down = true
      const refused = yield* Effect.flip(bus.publish(Filed({ n: 0, text: "x".repeat(2_000) })))
      assert.deepInclude(refused, { _tag: "BusError", reason: "unavailable", operation: "ClaimCheck.store" })
      state.down = false
      yield* bus.publish(Filed({ n: 1, text: "x".repeat(2_000) }))
      state.down = true
      yield* settle
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.deepStrictEqual(seen, [])
      state.down = false
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.deepStrictEqual(seen, ["1:2000:1"])
      assert.deepStrictEqual(yield* listed, [])
    }).pipe(Effect.provide(over(1_000))))

  it.scoped("a dead letter keeps the payload itself, and is delivered again without the first one", () =>
    Effect.gen(function*() {
      const { entries } = yield* Shelf
      let fails = true
      const seen: Array<number> = []
      yield* Subscription.run("s", {
        events: [Filed],
        handler: ({ text }) => fails ? Effect.die("broken") : Effect.sync(() => void seen.push(text.length))
      })
      yield* bus.publish(Filed({ n: 1, text: "x".repeat(2_000) }))
      yield* settle
      entries.clear()
      const [letter] = yield* listed
      assert.include(String("payload" in letter!.message && letter!.message.payload), "x".repeat(2_000))
      fails = false
      yield* Effect.flatMap(DeadLetters.DeadLetters, (letters) => letters.reprocess({}))
      yield* settle
      assert.deepStrictEqual(seen, [2_000])
    }).pipe(Effect.provide(over(1_000))))

  for (const [reason, left] of [["full", 0], ["timeout", 1]] as const) {
    it.scoped(`a payload whose message was not published for "${reason}" leaves ${left} in the store`, () =>
      Effect.gen(function*() {
        const { entries } = yield* Shelf
        const refused = yield* Effect.flip(bus.publish(Filed({ n: 1, text: "x".repeat(2_000) })))
        assert.deepInclude(refused, { _tag: "BusError", reason })
        assert.strictEqual(entries.size, left)
      }).pipe(
        Effect.provide(over(
          1_000,
          EventBus.layerDriver(Effect.succeed(
            {
              name: "refusing",
              capabilities: [],
              deadLetters: {},
              limits: { payload: 10_000, messages: 10 },
              publish: () => Effect.fail(new BusError({ reason, operation: "publish" }))
            } as unknown as BusDriver.Driver
          ))
        ))
      ))
  }

  it.effect("a limit that is no whole number is refused", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(
        Effect.provide(Effect.void, ClaimCheck.layer({ limit: 0.5 }).pipe(Layer.provide(KeyValueStore.layerMemory)))
      )
      assert.deepStrictEqual(refused.faults.map(({ path }) => path), ["limit"])
    }))
})

describe("the cleaner of a claim check", () => {
  const cleaning = Layer.provideMerge(ClaimCheckCleaner.layer({ keep: "1 day" }), over(1_000))

  it.scoped("removes a payload after as long as it is kept, counted from when it could be delivered", () =>
    Effect.gen(function*() {
      const { entries, state } = yield* Shelf
      const seen = yield* collecting
      yield* settle
      yield* bus.publish(Filed({ n: 1, text: "x".repeat(2_000) }))
      const service = yield* EventBus.EventBus
      yield* service.publish([
        { type: "Filed", payload: { _tag: "Filed", n: 2, text: "x".repeat(3_000) }, delay: "12 hours" }
      ])
      yield* bus.publish(Filed({ n: 3, text: "small" }))
      yield* settle
      yield* TestClock.adjust("23 hours")
      yield* settle
      assert.deepStrictEqual(seen, ["1:2000:1", "3:5:1", "2:3000:1"])
      assert.strictEqual(entries.size, 2)
      state.down = true
      yield* TestClock.adjust("1 hour")
      yield* settle
      state.down = false
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.strictEqual(entries.size, 1)
      yield* TestClock.adjust("12 hours")
      yield* settle
      assert.strictEqual(entries.size, 0)
      assert.deepStrictEqual(yield* service.depth(ClaimCheckCleaner.subscription), {
        ready: 0,
        waiting: 0,
        inFlight: 0,
        oldest: undefined
      })
    }).pipe(Effect.provide(cleaning)))
})
