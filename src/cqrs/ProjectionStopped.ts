/**
 * How a projection that runs in the background ends, if it does.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A projection stopped: an event could not be read, or its handler failed and the retries were used up. Nothing after
 * `position` was projected.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProjectionStopped
  extends Schema.TaggedError<ProjectionStopped>("effect-skald/cqrs/ProjectionStopped")("ProjectionStopped", {
    projection: Schema.String,
    position: Schema.Number,
    cause: Schema.Defect
  })
{
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `projection ${this.projection} stopped after position ${this.position}: ${why}`
  }
}
