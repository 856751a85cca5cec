import { Schema } from "effect"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"

/** What an outbox relays where its process is killed. */
export const Counted = Event.make("Counted", { n: Schema.Number }, { subject: "counted" })
export const Counts = Category.make("count", { id: Schema.String, events: [Counted] })
