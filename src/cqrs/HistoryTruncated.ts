/**
 * Why the state of an aggregate cannot be told.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The events that a state is made of were truncated, and nothing that is left stands for them: no snapshot, and no event that
 * carries the whole state. A state of the rest alone would be wrong, so that none is told.
 *
 * @since 0.1.0
 * @category errors
 */
export class HistoryTruncated extends Schema.TaggedError<HistoryTruncated>("effect-skald/cqrs/HistoryTruncated")(
  "HistoryTruncated",
  {
    stream: Schema.String,
    /** The first version that can be read; one more than the last when all were truncated. */
    firstVersion: Schema.Number
  }
) {
  override get message(): string {
    return `${this.stream}: the events before version ${this.firstVersion} were truncated, and nothing stands for them`
  }
}
