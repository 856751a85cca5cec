/** An application as the design's page for users writes it: one of everything, and no word of where it is kept. */
import * as OnError from "effect-skald/bus/OnError"
import * as Outbox from "effect-skald/bus/Outbox"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Pattern from "effect-skald/cep/Pattern"
import * as Rules from "effect-skald/cep/Rules"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Event from "effect-skald/event/Event"
import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
import * as Saga from "effect-skald/saga/Saga"
import * as Category from "effect-skald/store/Category"
import * as Snapshot from "effect-skald/store/Snapshot"
import { Effect, Either, Layer, Schedule, Schema } from "effect"

// Say: events are Schemas

const OrderId = Schema.String.pipe(Schema.brand("OrderId"))
type OrderId = typeof OrderId.Type
const orderId = (id: string): OrderId => OrderId.make(id)

export const OrderPlaced = Event.make("OrderPlaced", {
  order: OrderId,
  customer: Schema.String,
  total: Schema.Int,
  at: Schema.Number
}, { subject: "order.placed", tags: (event) => [`customer:${event.customer}`] })
const OrderPaidV1 = Schema.Struct({ order: OrderId })
export const OrderPaid = Event.make("OrderPaid", { order: OrderId, payment: Schema.String }, {
  version: 2,
  subject: "order.paid",
  upcast: { 1: Event.upcast(OrderPaidV1, (old) => ({ ...old, payment: `legacy-${old.order}` })) }
})
export const PaymentFailed = Event.make("PaymentFailed", { order: OrderId, at: Schema.Number })
const OrderStuck = Event.make("OrderStuck", { order: OrderId, failures: Schema.Int })

// Remember: categories over one log

export const Orders = Category.make("order", { id: OrderId, events: [OrderPlaced, OrderPaid, PaymentFailed] })

// Decide: contract first, behaviour second

const Place = Schema.TaggedStruct("Place", { customer: Schema.String, total: Schema.Int, at: Schema.Number })
const Pay = Schema.TaggedStruct("Pay", { payment: Schema.String })
const Fail = Schema.TaggedStruct("Fail", { at: Schema.Number })
export class OrderRejected extends Schema.TaggedError<OrderRejected>()("OrderRejected", { why: Schema.String }) {}

export const Order = Decider.make("order", {
  state: Schema.Struct({ status: Schema.Literal("none", "placed", "paid"), order: OrderId }),
  commands: Schema.Union(Place, Pay, Fail),
  events: Schema.Union(OrderPlaced, OrderPaid, PaymentFailed),
  errors: OrderRejected
})({
  initial: { status: "none", order: orderId("") },
  decide: (command, { order, status }) => {
    if (command._tag === "Place") {
      return status === "none"
        ? Either.right([OrderPlaced({ ...command, order: orderId(`o-${command.customer}`) })])
        : Either.left(new OrderRejected({ why: "placed already" }))
    }
    if (status === "none") return Either.left(new OrderRejected({ why: "never placed" }))
    if (status === "paid") return Either.right([])
    return Either.right([
      command._tag === "Pay" ? OrderPaid({ order, payment: command.payment }) : PaymentFailed({ order, at: command.at })
    ])
  },
  evolve: (state, event) =>
    event._tag === "OrderPaid"
      ? { ...state, status: "paid" }
      : event._tag === "OrderPlaced"
      ? { status: "placed", order: event.order }
      : state
})
export const orders = Aggregate.make(Order, Orders, { snapshot: Snapshot.every(2), retry: RetryPolicy.conflict })

// Answer: projections

export const Revenue = Projection.make("revenue", {
  version: 2,
  state: Schema.Struct({ placed: Schema.Int, paid: Schema.Int }),
  events: [OrderPlaced, OrderPaid],
  initial: { placed: 0, paid: 0 },
  apply: (state, event) =>
    event._tag === "OrderPlaced"
      ? { ...state, placed: state.placed + event.total }
      : { ...state, paid: state.paid + 1 }
})

// The world outside: a mailer, payments and a carrier that note what is asked of them.

class SmtpDown extends Schema.TaggedError<SmtpDown>()("SmtpDown", {}) {}
class BadAddress extends Schema.TaggedError<BadAddress>()("BadAddress", {}) {}
export class FulfilFailed extends Schema.TaggedError<FulfilFailed>()("FulfilFailed", { why: Schema.String }) {}

export class World extends Effect.Service<World>()("test/World", {
  sync: () => {
    const notes: Array<string> = []
    const note = (what: string) => Effect.sync(() => void notes.push(what))
    let down = 2
    return {
      /** In the order of the alphabet: what happens beside each other may do so in any. */
      notes: Effect.sync(() => [...notes].sort()),
      note,
      mail: (order: string, what: string) =>
        Effect.suspend((): Effect.Effect<void, SmtpDown | BadAddress> =>
          order === "o-nobody" ? new BadAddress() : down-- > 0 ? new SmtpDown() : note(`mail ${order} ${what}`)
        ),
      charge: (order: string) => Effect.as(note(`charge ${order}`), `payment-${order}`),
      refund: (payment: string) => note(`refund ${payment}`),
      ship: (order: string) =>
        order === "o-bob" ? Effect.fail(new FulfilFailed({ why: "no carrier" })) : note(`ship ${order}`)
    }
  }
}) {}

// Tell: subscriptions

const MailCustomer = Subscription.layer("mail-customer", {
  events: [OrderPlaced, OrderPaid],
  key: (event) => event.order,
  concurrency: 16,
  handler: (event) => Effect.flatMap(World, ({ mail }) => mail(event.order, event._tag)),
  onError: {
    SmtpDown: OnError.retry(
      RetryPolicy.exponential("10 millis", { times: 1 }),
      OnError.retryLater(Schedule.spaced("20 millis"), OnError.deadLetter)
    ),
    BadAddress: OnError.deadLetter
  }
})

const Audit = Subscription.layerSelect("audit", {
  select: "order.*",
  handler: (event) => Effect.flatMap(World, ({ note }) => note(`audit ${event._tag}`))
})

// Carry through: sagas

export const Fulfil = Saga.make("fulfil", {
  version: 1,
  payload: Schema.Struct({ order: OrderId }),
  success: Schema.String,
  error: FulfilFailed,
  idempotencyKey: (request) => request.order
})
const Answer = Schema.Literal("keep", "return")
export const answer = { name: "customer-answer", schema: Answer } as const

const FulfilLive = Fulfil.toLayer(Effect.fn(function*({ order }) {
  const world = yield* World
  const payment = yield* Saga.step("charge", {
    success: Schema.String,
    execute: () => world.charge(order),
    compensate: (outcome) => world.refund(outcome._tag === "Done" ? outcome.value : order),
    retry: Schedule.exponential("20 millis").pipe(Schedule.intersect(Schedule.recurs(5))),
    timeout: "30 seconds"
  })
  yield* Saga.step("ship", {
    success: Schema.Void,
    execute: () => world.ship(order),
    compensate: () => world.note(`recall ${order}`),
    noEffectOn: () => true
  })
  yield* Saga.sleep("cool-off", "20 millis")
  const said = yield* Saga.signal(answer.name, { schema: answer.schema, within: "7 days" }).pipe(
    Effect.catchTag("SignalTimedOut", () => new FulfilFailed({ why: "no answer" }))
  )
  return `${said} ${payment}`
}))

// Recognise: patterns

export const Stuck = Pattern.begin("placed", OrderPlaced).pipe(
  Pattern.followedBy("failures", PaymentFailed, {
    times: { min: 3, max: 3 },
    where: (failed, { placed }) => failed.order === placed.order
  }),
  Pattern.notFollowedBy(OrderPaid, { where: (paid, { placed }) => paid.order === placed.order }),
  Pattern.within("10 minutes")
)
const bus = Publisher.make([OrderStuck])

const StuckOrders = Rules.layer("stuck-orders", {
  pattern: Stuck,
  timestamp: (event) => event._tag === "OrderPaid" ? 10_000 : event.at,
  keyBy: (event) => event.order,
  lateness: "1 day",
  action: ({ failures, placed }) => bus.publish(OrderStuck({ order: placed.order, failures: failures.length })),
  onError: {
    BusError: OnError.inherit,
    InvalidEvent: OnError.deadLetter,
    MessageTooLarge: OnError.deadLetter
  }
})
const TellDesk = Subscription.layer("desk", {
  events: [OrderStuck],
  handler: ({ failures, order }) => Effect.flatMap(World, ({ note }) => note(`stuck ${order} after ${failures}`))
})

// Wire: Layers

export const App = Layer.mergeAll(
  MailCustomer,
  Audit,
  FulfilLive,
  TellDesk,
  Projection.layerAsync(Revenue),
  Outbox.layer("orders", { events: [OrderPlaced, OrderPaid, PaymentFailed] }),
  Rules.layerStore({ name: "orders", after: "earliest" }).pipe(Layer.provide(StuckOrders))
).pipe(Layer.provideMerge(Rules.layerEmpty))
