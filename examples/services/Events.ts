/**
 * What the five programs know of each other: these events, and nothing else.
 */
import { Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Publisher from "effect-skald/bus/Publisher"

export const UserRegistered = Event.make("UserRegistered", { user: Schema.String }, { subject: "user.registered" })

export const OrderPlaced = Event.make(
  "OrderPlaced",
  { order: Schema.String, user: Schema.String, item: Schema.String },
  { subject: "order.placed" }
)

export const StockReserved = Event.make("StockReserved", { order: Schema.String }, { subject: "stock.reserved" })
export const StockShort = Event.make("StockShort", { order: Schema.String }, { subject: "stock.short" })

const outcome = { order: Schema.String, user: Schema.String }
export const OrderConfirmed = Event.make("OrderConfirmed", outcome, { subject: "order.confirmed" })
export const OrderRejected = Event.make("OrderRejected", outcome, { subject: "order.rejected" })

export const bus = Publisher.make([
  UserRegistered,
  OrderPlaced,
  StockReserved,
  StockShort,
  OrderConfirmed,
  OrderRejected
])
