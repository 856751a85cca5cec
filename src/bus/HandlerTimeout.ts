/**
 * A handler that took longer than its subscription lets it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Retryability from "../resilience/Retryability.ts"

/**
 * A handler was interrupted since it took longer than the `timeout` of its subscription. It counts as a failed attempt, and
 * `onTimeout` of the subscription says what becomes of the message.
 *
 * @since 0.1.0
 * @category errors
 */
export class HandlerTimeout extends Schema.TaggedError<HandlerTimeout>("effect-skald/bus/HandlerTimeout")(
  "HandlerTimeout",
  {
    subscription: Schema.String,
    /** How long it was given. */
    after: Schema.Duration
  },
  Retryability.retryable
) {
  override get message(): string {
    return `the handler of "${this.subscription}" took longer than ${Duration.format(this.after)}`
  }
}
