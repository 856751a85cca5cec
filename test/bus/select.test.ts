/** What a subscription to subjects is given: events of types that it knows, and what was published of the others. */
import { describe, expect, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import { Effect, Queue, Schema } from "effect"

const Placed = Event.make("Placed", { order: Schema.String, at: Schema.DateFromString }, { subject: "order.placed" })
const Paid = Event.make("Paid", { order: Schema.String, at: Schema.DateFromString }, { subject: "order.paid" })
const at = new Date("2026-01-02T03:04:05.000Z")
const events = Publisher.make([Placed, Paid])

describe("a subscription to subjects", () => {
  it.scoped("is given events of the types that it names, the payloads of others as they were published", () =>
    Effect.gen(function*() {
      const seen = yield* Queue.unbounded<Subscription.Selected>()
      yield* Subscription.runSelect("audit", {
        select: "order.*",
        events: [Placed],
        handler: (event) => Queue.offer(seen, event)
      })
      yield* events.publish(Placed({ order: "o-1", at }))
      yield* events.publish(Paid({ order: "o-1", at }))
      expect(yield* Queue.take(seen)).toEqual({
        _tag: "Placed",
        schemaVersion: 1,
        payload: Placed({ order: "o-1", at })
      })
      expect(yield* Queue.take(seen)).toEqual({
        _tag: "Paid",
        schemaVersion: 1,
        payload: { _tag: "Paid", order: "o-1", at: at.toISOString() }
      })
    }).pipe(Effect.provide(EventBus.layerMemory)))
})
