/** What an order is, what happens to it, and how it can fail. */
import { Either, Schema } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"

export const Line = Schema.Struct({ product: Schema.String, quantity: Schema.Int })
export type Line = typeof Line.Type

/** What a customer asks for. */
export const Request = Schema.Struct({
  order: Schema.String,
  customer: Schema.String,
  lines: Schema.NonEmptyArray(Line)
})
export type Request = typeof Request.Type

export const Receipt = Schema.Struct({ parcel: Schema.String, cents: Schema.Int })

/** The order is refused, and nothing has happened. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  why: Schema.Literal("unknown product", "out of stock", "declined", "withdrawn")
}) {}

/** No answer came: nobody knows whether the service did it. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { service: Schema.String }) {}

export const OrderFailed = Schema.Union(Refused, Unreachable)

// ---------------------------------------------------------------------------------------------------------------- events

const order = { order: Schema.String }

export const OrderCreated = Event.make("OrderCreated", { ...order, customer: Schema.String, cents: Schema.Int })
export const OrderConfirmed = Event.make("OrderConfirmed", order)
export const OrderFulfilled = Event.make("OrderFulfilled", { ...order, parcel: Schema.String })
export const OrderCancelled = Event.make("OrderCancelled", order)

export const events = [OrderCreated, OrderConfirmed, OrderFulfilled, OrderCancelled] as const

const Status = Schema.Literal("none", "created", "confirmed", "fulfilled", "cancelled")

const Create = Schema.TaggedStruct("Create", { ...order, customer: Schema.String, cents: Schema.Int })
const Confirm = Schema.TaggedStruct("Confirm", order)
const Fulfil = Schema.TaggedStruct("Fulfil", { ...order, parcel: Schema.String })
const Cancel = Schema.TaggedStruct("Cancel", order)

/** A command comes in a state that it does not fit: no saga does that. */
class Misplaced extends Schema.TaggedError<Misplaced>()("Misplaced", { command: Schema.String, status: Status }) {}

export const Order = Decider.make("order", {
  state: Status,
  commands: Schema.Union(Create, Confirm, Fulfil, Cancel),
  events: Schema.Union(...events),
  errors: Misplaced
})({
  initial: "none",
  decide: (command, status) => {
    switch (command._tag) {
      case "Create": {
        const { cents, customer, order } = command
        if (status === "none") return Either.right([OrderCreated({ order, customer, cents })])
        break
      }
      case "Confirm":
        if (status === "created") return Either.right([OrderConfirmed({ order: command.order })])
        break
      case "Fulfil":
        if (status === "confirmed") {
          return Either.right([OrderFulfilled({ order: command.order, parcel: command.parcel })])
        }
        break
      case "Cancel":
        // It may never have come to be created, and then there is nothing to say.
        if (status === "none" || status === "cancelled") return Either.right([])
        if (status === "created") return Either.right([OrderCancelled({ order: command.order })])
        break
    }
    return Either.left(new Misplaced({ command: command._tag, status }))
  },
  evolve: (_, event) => {
    switch (event._tag) {
      case "OrderCreated":
        return "created"
      case "OrderConfirmed":
        return "confirmed"
      case "OrderFulfilled":
        return "fulfilled"
      case "OrderCancelled":
        return "cancelled"
    }
  }
})

export const Orders = Category.make("order", { events })

export const orders = Aggregate.make(Order, Orders)
