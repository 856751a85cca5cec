import * as EventBus from "effect-skald/bus/EventBus"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import type { Context } from "effect"
import { Effect, Layer, Schedule, Schema } from "effect"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { order: Schema.String })
class Cancelled extends Schema.TaggedClass<Cancelled>()("Cancelled", { order: Schema.String }) {}
class Smtp extends Schema.TaggedError<Smtp>()("Smtp", { after: Schema.Number }) {}
class Bad extends Schema.TaggedError<Bad>()("Bad", {}) {}
declare const send: (to: string) => Effect.Effect<void, Smtp | Bad>
declare const untagged: Effect.Effect<void, Error | Bad>
interface Mailer {
  readonly _: "Mailer"
}
declare const Mailer: Context.Tag<Mailer, { readonly send: Effect.Effect<void> }>

type Needs<L extends Layer.Layer.Any> = Layer.Layer.Context<L>
declare const Plain: Layer.Layer<EventBus.EventBus>

describe("verdicts", () => {
  test("one for each error of the handler", () => {
    const mail = Subscription.layer("mail", {
      events: [Placed, Cancelled],
      handler: (event) => send(event.order),
      onError: {
        Smtp: OnError.retry(Schedule.recurs(3), OnError.retryLater(Schedule.spaced("1 minute"), OnError.deadLetter)),
        Bad: OnError.deadLetter
      }
    })
    expect<Needs<typeof mail>>().type.toBe<EventBus.EventBus>()
    Subscription.layer("quiet", { events: [Placed], handler: () => Effect.void })
    Subscription.layerSelect("audit", {
      select: "order.*",
      handler: (event) => send(event._tag),
      onError: { Smtp: OnError.pause, Bad: OnError.ignore }
    })
    Subscription.layer("rest", {
      events: [Placed],
      handler: () => untagged,
      onError: { Bad: OnError.deadLetter, orElse: OnError.deadLetter }
    })
  })

  test("a missing one does not type-check", () => {
    expect(Subscription.layerSelect<Smtp | Bad, never>).type.not.toBeCallableWith("miss", {
      select: /^order\./,
      handler: () => send(""),
      onError: { Smtp: OnError.deadLetter }
    })
    expect(Subscription.layerSelect<Error | Bad, never>).type.not.toBeCallableWith("miss", {
      select: "order.*",
      handler: () => untagged,
      onError: { Bad: OnError.deadLetter }
    })
    expect(Subscription.layerSelect<Smtp | Bad, never>).type.not.toBeCallableWith("miss", {
      select: "order.*",
      handler: () => send("")
    })
  })

  test("one for an error that cannot occur does not type-check", () => {
    // @ts-expect-error a verdict for an error that cannot occur
    Subscription.layer("more", { events: [Placed], handler: () => Effect.void, onError: { Bad: OnError.deadLetter } })
  })
})

describe("handlers", () => {
  test("what a handler needs is needed by its layer", () => {
    const layer = Subscription.layer("needs", {
      events: [Placed],
      handler: () => Effect.flatMap(Mailer, (mailer) => mailer.send)
    })
    expect<Needs<typeof layer>>().type.toBe<EventBus.EventBus | Mailer>()
  })

  test("a handler object has one for each type, and only for those", () => {
    Subscription.handlers([Placed, Cancelled], {
      Placed: (event) => Effect.log(event.order),
      Cancelled: (event) => send(event.order)
    })
    // @ts-expect-error no handler of Cancelled
    Subscription.handlers([Placed, Cancelled], { Placed: () => Effect.void })
  })

  test("the errors of a handler object are those of its handlers", () => {
    const layer = Subscription.layer("object", {
      ...Subscription.handlers([Placed, Cancelled], {
        Placed: () => Effect.void,
        Cancelled: (event) => send(event.order)
      }),
      onError: { Smtp: OnError.deadLetter, Bad: OnError.deadLetter }
    })
    expect<Needs<typeof layer>>().type.toBe<EventBus.EventBus>()
  })
})

describe("capabilities", () => {
  const orders = Publisher.make([Placed])

  test("plain options run on any bus", () => {
    const publish = orders.publish(Placed({ order: "o" }), { key: "o", ttl: "1 hour" })
    expect<Effect.Effect.Context<typeof publish>>().type.toBe<EventBus.EventBus>()
  })

  test("a delay and a priority ask for a driver that can", () => {
    const later = orders.publish(Placed({ order: "o" }), { delay: "1 minute", priority: "high" })
    expect<Effect.Effect.Context<typeof later>>().type.toBe<
      EventBus.EventBus | EventBus.Capable<"delay"> | EventBus.Capable<"priority">
    >()
    const onPlain = Effect.provide(later, Plain)
    expect<Effect.Effect.Context<typeof onPlain>>().type.toBe<
      EventBus.Capable<"delay"> | EventBus.Capable<"priority">
    >()
    const onMemory = Effect.provide(later, EventBus.layerMemory)
    expect<Effect.Effect.Context<typeof onMemory>>().type.toBe<never>()
  })
})
