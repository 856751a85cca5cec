/**
 * What a choreography keeps of each of its sagas: the events of its stream, `choreography-<name>/<id>`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Event from "../event/Event.ts"
import * as Category from "../store/Category.ts"

const place = { choreography: Schema.String, saga: Schema.String }

/**
 * An event came for the first time; encoded, as it was.
 *
 * @since 0.1.0
 * @category events
 */
export const Took = Event.make("ChoreographyTook", {
  ...place,
  type: Schema.String,
  schemaVersion: Schema.Int,
  payload: Schema.Unknown,
  /** When it happened, in milliseconds since 1970. */
  at: Schema.Number
})

/**
 * What followed from an event was done: commands were sent, timers set or cancelled, by their ids.
 *
 * @since 0.1.0
 * @category events
 */
export const Acted = Event.make("ChoreographyActed", { ...place, ids: Schema.Array(Schema.String) })

/**
 * The streams of all choreographies; the id is `<name>/<saga>`.
 *
 * @since 0.1.0
 * @category categories
 */
export const Choreographies: Category.Category<string, readonly [typeof Took, typeof Acted]> = Category.make(
  "choreography",
  { events: [Took, Acted] }
)
