/**
 * What can go wrong between a bus and the thing that carries its messages.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Why a bus could not do what it was asked.
 *
 * - `unavailable`: the broker or the database cannot be reached
 * - `unroutable`: the broker knows nowhere to put the message
 * - `refused`: the broker does not take it, for its rights or its limits
 * - `full`: no room is left
 * - `corrupt`: what is stored is not what was written
 * - `closed`: the bus was used after its scope ended
 * - `timeout`: the answer did not come in time; a message may or may not have been published
 * - `unknown`: anything else; see `cause`
 *
 * @since 0.1.0
 * @category models
 */
export const BusReason = Schema.Literal(
  "unavailable",
  "unroutable",
  "refused",
  "full",
  "corrupt",
  "closed",
  "timeout",
  "unknown"
)

/**
 * One of the literals of {@link BusReason}.
 *
 * @since 0.1.0
 * @category models
 */
export type BusReason = typeof BusReason.Type

/**
 * A bus's driver failed. After any reason but `timeout` nothing of the operation was done.
 *
 * @since 0.1.0
 * @category errors
 */
export class BusError extends Schema.TaggedError<BusError>("effect-skald/bus/BusError")("BusError", {
  reason: BusReason,
  /** The operation that failed, for example `EventBus.publish`. */
  operation: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const { cause } = this
    const detail = cause instanceof Error ? cause.message : cause === undefined ? "" : String(cause)
    return `${this.operation} failed (${this.reason})${detail === "" ? "" : `: ${detail}`}`
  }
}

/**
 * More than a driver takes; nothing was published.
 *
 * @since 0.1.0
 * @category errors
 */
export class MessageTooLarge
  extends Schema.TaggedError<MessageTooLarge>("effect-skald/bus/MessageTooLarge")("MessageTooLarge", {
    /** `payload` in bytes, `messages` in one call. */
    what: Schema.Literal("payload", "messages"),
    limit: Schema.Number,
    actual: Schema.Number
  })
{
  override get message(): string {
    return `must have at most ${this.limit} ${
      this.what === "payload" ? "bytes a payload" : "messages"
    }, has ${this.actual}`
  }
}
