import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, TestClock } from "effect"
import type * as Driver from "effect-skald/bus/BusDriver"
import * as EventBus from "effect-skald/bus/EventBus"

/** A server that has the messages, and whose answer never comes; nor does it hear that nobody waits any more. */
const deaf = Layer.unwrapEffect(Effect.map(EventBus.EventBus, (bus) => {
  const driver: Driver.Driver<"durable"> = {
    name: "deaf",
    capabilities: ["durable"],
    limits: bus.limits,
    publish: () => Effect.uninterruptible(Effect.never),
    redeliver: bus.redeliver,
    cancel: () => Effect.succeed("tooLate"),
    consume: () => Effect.never,
    depth: () => Effect.sync(() => undefined),
    groups: Effect.succeed([]),
    deadLetters: bus.deadLetters
  }
  return EventBus.layerDriver(Effect.succeed(driver))
})).pipe(Layer.provide(EventBus.layerMemory))

const attempt = Effect.gen(function*() {
  const bus = yield* EventBus.EventBus
  return yield* Effect.fork(Effect.flip(bus.publish([{ type: "Asked", payload: {} }])))
})

describe("publishing to a server that does not answer", () => {
  it.effect("fails in time, and says that it may have been published", () =>
    Effect.gen(function*() {
      const fiber = yield* attempt
      yield* TestClock.adjust("29 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "BusError", reason: "timeout", operation: "EventBus.publish" })
    }).pipe(Effect.provide(deaf)))

  it.effect("the time can be changed", () =>
    Effect.gen(function*() {
      const fiber = yield* attempt
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "BusError")
    }).pipe(Effect.provide(deaf.pipe(Layer.provide(Layer.succeed(EventBus.PublishTimeout, "2 seconds"))))))
})
