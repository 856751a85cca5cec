/**
 * What can go wrong between a store and the thing it stores in.
 *
 * Every service of this wing (the event store, snapshots, checkpoints, leases) fails with this one error when its driver
 * fails; refusals that belong to a service, such as a version conflict, are errors of that service.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * Why a store could not do what it was asked.
 *
 * - `unavailable`: the database cannot be reached, or its input and output fail
 * - `busy`: another connection holds the lock, and it did not let go for as long as the driver was told to try
 * - `full`: no room is left on the disk or in the database
 * - `readOnly`: the database does not take writes
 * - `corrupt`: what is stored is not what was written, or the file is not a database
 * - `closed`: the store was used after its scope ended
 * - `timeout`: the answer did not come in time; a write may or may not have happened
 * - `hook`: a hook that runs inside the transaction failed, and the transaction was rolled back
 * - `unknown`: anything else; see `cause`
 *
 * @since 0.1.0
 * @category models
 */
export const StoreReason = Schema.Literal(
  "unavailable",
  "busy",
  "full",
  "readOnly",
  "corrupt",
  "closed",
  "timeout",
  "hook",
  "unknown"
)

/**
 * One of the literals of {@link StoreReason}.
 *
 * @since 0.1.0
 * @category models
 */
export type StoreReason = typeof StoreReason.Type

/**
 * A store's driver failed.
 *
 * After any reason but `timeout` nothing of the operation was written. `cause` is what the driver's client library said.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { StoreError } from "effect-skald/store/StoreError"
 *
 * const save: Effect.Effect<void, StoreError> = new StoreError({ reason: "busy", operation: "SnapshotStore.save" })
 *
 * export const program = save.pipe(
 *   Effect.catchTag("StoreError", (error) => error.reason === "busy" ? Effect.logWarning(error.message) : error)
 * )
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreError extends Schema.TaggedError<StoreError>("effect-skald/store/StoreError")("StoreError", {
  reason: StoreReason,
  /** The operation that failed, for example `EventStore.append`. */
  operation: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  /** One sentence: the operation, the reason, and what the driver said. */
  override get message(): string {
    const cause = this.cause
    const detail = cause instanceof Error ? cause.message : cause === undefined ? "" : String(cause)
    return `${this.operation} failed (${this.reason})${detail === "" ? "" : `: ${detail}`}`
  }
}
