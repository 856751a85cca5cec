import type { KeyValueStore } from "@effect/platform"
import type { SqlClient } from "@effect/sql"
import type { SqlError } from "@effect/sql/SqlError"
import * as Audit from "effect-skald/bus/Audit"
import type { BusError } from "effect-skald/bus/BusError"
import * as ClaimCheck from "effect-skald/bus/ClaimCheck"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Inbox from "effect-skald/bus/Inbox"
import * as OnError from "effect-skald/bus/OnError"
import * as Pull from "effect-skald/bus/Pull"
import * as Replies from "effect-skald/bus/Replies"
import * as Request from "effect-skald/bus/Request"
import * as SqlInbox from "effect-skald/bus/SqlInbox"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Event from "effect-skald/event/Event"
import type { InvalidInput } from "effect-skald/event/InvalidInput"
import { Effect, Layer, Schema, type Scope, type Stream } from "effect"
import { describe, expect, test } from "tstyche"

const Placed = Event.make("Placed", { order: Schema.String })
const Paid = Event.make("Paid", { order: Schema.String, cents: Schema.Number })
class Smtp extends Schema.TaggedError<Smtp>()("Smtp", {}) {}
declare const send: (to: string) => Effect.Effect<void, Smtp>
declare const write: (to: string) => Effect.Effect<ReadonlyArray<object>, SqlError, SqlClient.SqlClient>

type Needs<L extends Layer.Layer.Any> = Layer.Layer.Context<L>

describe("an inbox", () => {
  test("asks for the service, and for a verdict on its failure", () => {
    const layer = Subscription.layer("mail", {
      events: [Placed, Paid],
      handler: Inbox.once((event) => send(event.order)),
      onError: { Smtp: OnError.deadLetter, BusError: OnError.inherit }
    })
    expect<Needs<typeof layer>>().type.toBe<EventBus.EventBus | Inbox.Inbox>()
    expect<Layer.Layer.Success<typeof Inbox.layerMemory>>().type.toBe<Inbox.Inbox>()
  })

  test("a handler without a verdict on the inbox's failure does not type-check", () => {
    Subscription.layer("mail", {
      events: [Placed],
      handler: Inbox.once((event) => send(event.order)),
      // @ts-expect-error no verdict for BusError
      onError: { Smtp: OnError.deadLetter }
    })
  })

  test("what must share a transaction does not type-check over an inbox in memory", () => {
    const balances = Subscription.layer("balances", {
      events: [Placed],
      handler: Inbox.onceInTransaction((event) => write(event.order)),
      onError: { BusError: OnError.inherit, SqlError: OnError.inherit }
    })
    expect<Needs<typeof balances>>().type.toBe<EventBus.EventBus | Inbox.TransactionalInbox | SqlClient.SqlClient>()
    const inMemory = balances.pipe(Layer.provide(Inbox.layerMemory))
    expect<Needs<typeof inMemory>>().type.toBe<EventBus.EventBus | Inbox.TransactionalInbox | SqlClient.SqlClient>()
    const inSql = balances.pipe(Layer.provide(SqlInbox.layer()))
    expect<Needs<typeof inSql>>().type.toBe<EventBus.EventBus | SqlClient.SqlClient>()
    expect(SqlInbox.layer()).type.toBe<
      Layer.Layer<Inbox.Inbox | Inbox.TransactionalInbox, BusError | InvalidInput, SqlClient.SqlClient>
    >()
  })
})

describe("a claim check", () => {
  test("needs a store, and takes nothing from what a bus can do", () => {
    const bus = EventBus.layerMemory.pipe(Layer.provide(ClaimCheck.layer()))
    expect<Needs<typeof bus>>().type.toBe<KeyValueStore.KeyValueStore>()
    expect<Layer.Layer.Success<typeof bus>>().type.toBe<Layer.Layer.Success<typeof EventBus.layerMemory>>()
  })
})

describe("pulling", () => {
  test("the events are those of the subscription, decoded", () => {
    const puller = Pull.make("s", { events: [Placed, Paid] })
    expect<Effect.Effect.Success<typeof puller>>().type.toBe<
      Pull.Puller<typeof Placed.Type | typeof Paid.Type>
    >()
    expect<Effect.Effect.Context<typeof puller>>().type.toBe<EventBus.EventBus | Scope.Scope>()
  })

  test("a Stream keeps its scope to itself", () => {
    expect(Pull.stream("s", { events: [Placed] })).type.toBe<
      Stream.Stream<Pull.Taken<typeof Placed.Type>, Subscription.SubscribeError, EventBus.EventBus>
    >()
    expect(Pull.streamSelect("s", { select: "order.*" })).type.toBe<
      Stream.Stream<Pull.Taken<Subscription.Selected>, Subscription.SubscribeError, EventBus.EventBus>
    >()
  })

  test("two events of one tag do not type-check", () => {
    // @ts-expect-error two of one tag
    Pull.make("s", { events: [Placed, Event.make("Placed", {})] })
  })
})

describe("requests", () => {
  const Price = Request.make(Placed, { success: Schema.NumberFromString, failure: Smtp })
  const Sure = Request.make(Placed, { success: Schema.Void })

  test("an answer is of the Schema's type, and fails with the handler's failures and those of the way there", () => {
    expect(Price.ask(Placed({ order: "o" }))).type.toBe<
      Effect.Effect<
        number,
        Smtp | Request.RequestTimeout | Request.RequestFailed | EventBus.PublishError,
        EventBus.EventBus | Replies.Replies
      >
    >()
    expect<Effect.Effect.Error<ReturnType<typeof Sure.ask>>>().type.toBe<
      Request.RequestTimeout | Request.RequestFailed | EventBus.PublishError
    >()
  })

  test("a handler answers with what was promised, and fails with nothing else", () => {
    const layer = Price.layer((event) => Effect.as(send(event.order), 1), { concurrency: 4 })
    expect<Needs<typeof layer>>().type.toBe<EventBus.EventBus>()
    // @ts-expect-error the answer is a number
    Price.layer(() => Effect.succeed("1"))
    // @ts-expect-error it cannot fail
    Sure.layer(() => send("x"))
    // @ts-expect-error another event
    Price.ask(Paid({ order: "o", cents: 1 }))
  })
})

describe("an audit", () => {
  test("needs verdicts where its handler can fail", () => {
    Audit.layer("audit", { handler: () => Effect.void })
    Audit.layer("audit", { handler: () => send("x"), onError: { Smtp: OnError.ignore } })
    // @ts-expect-error no verdict for Smtp
    Audit.layer("audit", { handler: () => send("x") })
  })

  test("tells messages from what is none", () => {
    Audit.layer("audit", {
      handler: (message) => "_tag" in message ? Effect.log(message.problem) : Effect.log(message.payload)
    })
    // @ts-expect-error what is no message has no payload
    Audit.layer("audit", { handler: (message) => Effect.log(message.payload) })
  })
})

describe("a breaker and a time limit", () => {
  test("ask for no verdict that the handler's errors do not ask for", () => {
    const running = Subscription.run("s", {
      events: [Placed],
      breaker: {},
      timeout: "1 second",
      onTimeout: OnError.deadLetter,
      handler: () => Effect.void
    })
    expect<Effect.Effect.Success<typeof running>>().type.toBe<Subscription.Running>()
    expect<BusError>().type.toBeAssignableTo<{ readonly _tag: "BusError" }>()
  })
})
