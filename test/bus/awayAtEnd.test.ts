import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import * as BusError from "effect-skald/bus/BusError"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Subscription from "effect-skald/bus/Subscription"

/** A bus in memory on which nothing can be settled any more once it is away. */
const leaving = { away: false, asked: 0 }
const bus = Layer.map(EventBus.layerMemory, (context) => {
  const service = Context.get(context, EventBus.EventBus)
  return Context.make(EventBus.EventBus, {
    ...service,
    consume: (group) =>
      Effect.map(service.consume(group), (consumer) => ({
        ...consumer,
        settle: (settlements) => {
          if (!leaving.away) return consumer.settle(settlements)
          leaving.asked++
          return Effect.fail(new BusError.BusError({ reason: "unavailable", operation: "EventBus.consume" }))
        }
      }))
  })
})

describe("a subscription whose bus is away", () => {
  it.effect("ends, though what it holds cannot be given back", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { publish } = yield* EventBus.EventBus
      yield* Subscription.runSelect("s", {
        select: "*",
        drain: 0,
        handler: () => Effect.never,
        onError: {}
      }).pipe(Scope.extend(scope))
      yield* publish([{ type: "A", payload: {} }, { type: "B", payload: {} }])
      yield* Effect.repeatN(Effect.yieldNow(), 50)
      leaving.away = true
      yield* Scope.close(scope, Exit.void)
      assert.isAbove(leaving.asked, 0)
    }).pipe(Effect.provide(bus)))
})
