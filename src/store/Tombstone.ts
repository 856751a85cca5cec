/**
 * The mark that a tombstoned stream leaves in the log.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import * as EventTypes from "../internal/event/eventTypes.ts"
import * as Marks from "../internal/store/marks.ts"

/**
 * The event that stands for a tombstoned stream: the last of its stream, in its category, with a position of its own.
 *
 * A projection or a subscription is told of tombstones by naming it among its events; typed reads that do not name it
 * leave it out, and reads of a stream never show it. It has no payload: the recorded event tells the stream, and when.
 * Nobody can append one.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as Event from "effect-skald/event/Event"
 * import * as Tombstone from "effect-skald/store/Tombstone"
 * import { HashMap, Schema } from "effect"
 *
 * const Registered = Event.make("Registered", { email: Schema.String })
 *
 * export const Emails = Projection.make("emails", {
 *   category: "customer",
 *   events: [Registered, Tombstone.Tombstoned],
 *   state: Schema.HashMap({ key: Schema.String, value: Schema.String }),
 *   initial: HashMap.empty<string, string>(),
 *   apply: (emails, event, { stream }) =>
 *     event._tag === "Registered" ? HashMap.set(emails, stream, event.email) : HashMap.remove(emails, stream)
 * })
 * ```
 *
 * @since 0.1.0
 * @category events
 */
export const Tombstoned: Schema.TaggedStruct<"$Tombstoned", {}> = EventTypes.internalMake(Marks.tombstoned, {})
