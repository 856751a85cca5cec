/**
 * What can go wrong in a choreography itself.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Events, timers or what was kept of a saga could not be read or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ChoreographyError
  extends Schema.TaggedError<ChoreographyError>("effect-skald/saga/ChoreographyError")("ChoreographyError", {
    choreography: Schema.String,
    saga: Schema.String,
    cause: Schema.Defect
  })
{
  override get message(): string {
    const cause = this.cause
    return `${this.saga} of ${this.choreography} could not go on: ${
      cause instanceof Error ? cause.message : String(cause)
    }`
  }
}
