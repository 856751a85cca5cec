/**
 * How an append is refused. They win in this order: the input, the ids, the versions (groups in the order given), the
 * condition. Nothing was written by an append that failed.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { InvalidEvent } from "../event/InvalidInput.ts"
import { ExpectedVersion } from "../event/Position.ts"
import { Query } from "./Query.ts"
import { StoreError } from "./StoreError.ts"

/**
 * A stream is not where the appender expected it. `actual` is 0 for a stream that never had an event; `expected` echoes
 * what was asked.
 *
 * @since 0.1.0
 * @category errors
 */
export class VersionConflict
  extends Schema.TaggedError<VersionConflict>("effect-skald/store/VersionConflict")("VersionConflict", {
    stream: Schema.String,
    expected: ExpectedVersion,
    actual: Schema.Number
  })
{
  override get message(): string {
    return `${this.stream} is at version ${this.actual}, expected ${this.expected}`
  }
}

/**
 * An event that the append's `failIf` query matches was recorded after the position it named. `position` is that of the
 * first such event.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConditionFailed
  extends Schema.TaggedError<ConditionFailed>("effect-skald/store/ConditionFailed")("ConditionFailed", {
    query: Query,
    position: Schema.Number
  })
{
  override get message(): string {
    return `an event that the condition excludes was recorded at position ${this.position}`
  }
}

/**
 * The id of an event is known already, and the append is no repeat of the one that recorded it.
 *
 * - `elsewhere`: it is recorded in another stream, or at another place than this append asks for;
 * - `differs`: it is recorded there with other content;
 * - `partly`: some of the append's events are known and others are new.
 *
 * @since 0.1.0
 * @category errors
 */
export class DuplicateEvent
  extends Schema.TaggedError<DuplicateEvent>("effect-skald/store/DuplicateEvent")("DuplicateEvent", {
    id: Schema.String,
    reason: Schema.Literal("elsewhere", "differs", "partly")
  })
{
  override get message(): string {
    switch (this.reason) {
      case "elsewhere":
        return `event ${this.id} is recorded already, at another place`
      case "differs":
        return `event ${this.id} is recorded already, with other content`
      case "partly":
        return `event ${this.id} is recorded already, others of the same append are new`
    }
  }
}

/**
 * The stream was ended for ever.
 *
 * @since 0.1.0
 * @category errors
 */
export class StreamTombstoned
  extends Schema.TaggedError<StreamTombstoned>("effect-skald/store/StreamTombstoned")("StreamTombstoned", {
    stream: Schema.String
  })
{
  override get message(): string {
    return `${this.stream} is tombstoned`
  }
}

/**
 * The stream never had an event.
 *
 * @since 0.1.0
 * @category errors
 */
export class StreamNotFound
  extends Schema.TaggedError<StreamNotFound>("effect-skald/store/StreamNotFound")("StreamNotFound", {
    stream: Schema.String
  })
{
  override get message(): string {
    return `${this.stream} does not exist`
  }
}

/**
 * The append is beyond what the driver takes in one call. 10,000 events, 200 streams and payloads of 1 MiB are never too
 * large.
 *
 * @since 0.1.0
 * @category errors
 */
export class TooLarge extends Schema.TaggedError<TooLarge>("effect-skald/store/TooLarge")("TooLarge", {
  what: Schema.Literal("events", "streams", "payload"),
  /** The most that the driver takes: events, streams, or bytes of a payload. */
  limit: Schema.Number,
  actual: Schema.Number
}) {
  override get message(): string {
    return `${this.actual} ${
      this.what === "payload" ? "bytes of a payload" : this.what
    } in one append, at most ${this.limit}`
  }
}

/**
 * Why an append failed.
 *
 * @since 0.1.0
 * @category errors
 */
export type AppendError =
  | InvalidEvent
  | DuplicateEvent
  | VersionConflict
  | StreamTombstoned
  | ConditionFailed
  | TooLarge
  | StoreError

/**
 * Schema of {@link AppendError}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AppendError: Schema.Schema<AppendError, any> = Schema.Union(
  InvalidEvent,
  DuplicateEvent,
  VersionConflict,
  StreamTombstoned,
  ConditionFailed,
  TooLarge,
  StoreError
)
