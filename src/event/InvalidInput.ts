/**
 * What is said of a value from outside that cannot be used: every fault at once, each with its path.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * One thing that is wrong with an input: where it stands and what is the matter with it.
 *
 * @since 0.1.0
 * @category models
 */
export class Fault extends Schema.Class<Fault>("effect-skald/event/Fault")({
  /** Where the value stands, `events[0].id` for example. */
  path: Schema.String,
  /** What is the matter with it, in words that complete "it …": `must not be empty`. */
  problem: Schema.String
}) {}

/**
 * Prints faults one on a line, as error messages do.
 *
 * @since 0.1.0
 * @category conversions
 */
export const format = (faults: ReadonlyArray<Fault>): string =>
  faults.map((fault) => `${fault.path}: ${fault.problem}`).join("\n")

/**
 * An argument from outside cannot be used; nothing was read, written or changed.
 *
 * All faults of the input are reported together.
 *
 * @example
 * ```ts
 * import * as StreamId from "effect-skald/event/StreamId"
 * import { Effect } from "effect"
 *
 * const program = StreamId.make("order", "").pipe(
 *   Effect.catchTag("InvalidInput", (error) => Effect.succeed(error.message)) // "id: must not be empty"
 * )
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("effect-skald/event/InvalidInput")("InvalidInput", {
  faults: Schema.NonEmptyArray(Fault)
}) {
  override get message(): string {
    return format(this.faults)
  }
}

/**
 * An append was refused for what it was given: events that their Schema refuses, names, ids, tags, expectations out of
 * bounds. Nothing was written. All faults are reported together, each with its path, `groups[0].events[2].payload.total`
 * for example.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidEvent extends Schema.TaggedError<InvalidEvent>("effect-skald/event/InvalidEvent")("InvalidEvent", {
  faults: Schema.NonEmptyArray(Fault)
}) {
  override get message(): string {
    return format(this.faults)
  }
}
