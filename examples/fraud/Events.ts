/** What a bank records of its accounts. */
import { Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"

const fields = { account: Schema.String, at: Schema.Number }

export const LoginFailed = Event.make("LoginFailed", fields)
export const LoggedIn = Event.make("LoggedIn", fields)
export const TransferRequested = Event.make("TransferRequested", {
  ...fields,
  transfer: Schema.String,
  cents: Schema.Int
})
export const TransferConfirmed = Event.make("TransferConfirmed", { ...fields, transfer: Schema.String })

export const banking = [LoginFailed, LoggedIn, TransferRequested, TransferConfirmed] as const
export type Banking = (typeof banking)[number]["Type"]

export const Accounts = Category.make("account", { events: banking })

/** What the rule tells the rest of the bank. */
export const FraudSuspected = Event.make("FraudSuspected", {
  account: Schema.String,
  transfer: Schema.String,
  cents: Schema.Int
})
