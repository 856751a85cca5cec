import { Either, Schema } from "effect"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"

/** An order: placed, paid in parts, cancelled once at most. Its events are of all kinds that the library takes. */
export const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String, total: Schema.Int }, {
  subject: "order.placed",
  tags: (event) => [`order:${event.order}`]
})

const PaidV1 = Schema.Struct({ order: Schema.String })
const PaidV2 = Schema.Struct({ order: Schema.String, amount: Schema.Int })
export const OrderPaid = Event.make("OrderPaid", { order: Schema.String, amount: Schema.Int, by: Schema.String }, {
  version: 3,
  upcast: {
    1: Event.upcast(PaidV1, (old) => ({ ...old, amount: 0 })),
    2: Event.upcast(PaidV2, (old) => ({ ...old, by: "unknown" }))
  }
})

export class OrderCancelled extends Schema.TaggedClass<OrderCancelled>()("OrderCancelled", { order: Schema.String }) {}

export const Place = Schema.TaggedStruct("Place", { order: Schema.String, total: Schema.Int })
export const Pay = Schema.TaggedStruct("Pay", { amount: Schema.Int, by: Schema.String })
export const Cancel = Schema.TaggedStruct("Cancel", {})

export class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

export const OrderState = Schema.Union(
  Schema.Struct({ status: Schema.Literal("none") }),
  Schema.Struct({
    status: Schema.Literal("placed", "cancelled"),
    order: Schema.String,
    total: Schema.Int,
    payments: Schema.Array(Schema.Struct({ amount: Schema.Int, by: Schema.String }))
  })
)

export const OrderContract = Decider.make("order", {
  state: OrderState,
  commands: Schema.Union(Place, Pay, Cancel),
  events: Schema.Union(OrderPlaced, OrderPaid, OrderCancelled),
  errors: Refused
})

export type OrderDecider = ReturnType<typeof OrderContract>

export const Order = OrderContract({
  initial: { status: "none" },
  decide: (command, state) => {
    switch (command._tag) {
      case "Place":
        return state.status === "none"
          ? Either.right([OrderPlaced(command)])
          : Either.left(new Refused({ why: "placed already" }))
      case "Pay":
        if (state.status !== "placed") return Either.left(new Refused({ why: `it is ${state.status}` }))
        return Either.right(command.amount === 0 ? [] : [OrderPaid({ order: state.order, ...command })])
      case "Cancel":
        return state.status === "placed"
          ? Either.right([new OrderCancelled({ order: state.order })])
          : Either.left(new Refused({ why: `it is ${state.status}` }))
    }
  },
  evolve: (state, event) => {
    switch (event._tag) {
      case "OrderPlaced":
        return { status: "placed", order: event.order, total: event.total, payments: [] }
      case "OrderPaid":
        return state.status === "none"
          ? state
          : { ...state, payments: [...state.payments, { amount: event.amount, by: event.by }] }
      case "OrderCancelled":
        return state.status === "none" ? state : { ...state, status: "cancelled" }
    }
  }
})
