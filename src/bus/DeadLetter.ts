/**
 * A message that a subscription could not handle, put aside with everything that is known about it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as SchedulePosition from "../resilience/SchedulePosition.ts"
import { Message } from "./Message.ts"

/**
 * Why a message was put aside.
 *
 * - `exhausted`: its retries have ended
 * - `permanent`: its error is marked permanent, so that it was not retried
 * - `rejected`: the verdict on its error is to put it aside at once
 * - `defect`: the handler died
 * - `expired`: its time to live had passed
 * - `undecodable`: its payload, or the message itself, cannot be read
 * - `unknownType`: its type, or its schema version, is not one that the subscription knows
 * - `crashed`: it was delivered too often without any outcome: its worker died each time
 *
 * @since 0.1.0
 * @category schemas
 */
export const Reason = Schema.Literal(
  "exhausted",
  "permanent",
  "rejected",
  "defect",
  "expired",
  "undecodable",
  "unknownType",
  "crashed"
)

/**
 * One of the literals of {@link Reason}.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = typeof Reason.Type

/**
 * Schema of {@link Failure}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Failure = Schema.Struct({
  /** Milliseconds since 1970. */
  at: Schema.Number,
  /** The error's tag, or the name of its class. */
  tag: Schema.String,
  message: Schema.String
})

/**
 * One attempt that failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure extends Schema.Schema.Type<typeof Failure> {}

/**
 * What a broker delivered that is no message.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Garbled = Schema.Struct({
  _tag: Schema.Literal("Garbled"),
  id: Schema.String,
  bytes: Schema.Uint8ArrayFromBase64,
  problem: Schema.String
})

/**
 * Schema of {@link Retry}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Retry = Schema.Struct({
  /** How often it was tried, and when it is next. */
  position: SchedulePosition.Position,
  /**
   * - `tried`: delivered again, and put aside again; when it is tried next is still to be decided
   * - `waiting`: tried again when its time comes
   * - `failed`: permanently failed: the Schedule has ended
   */
  status: Schema.Literal("tried", "waiting", "failed")
})

/**
 * Where the automatic retries of a dead letter stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry extends Schema.Schema.Type<typeof Retry> {}

/**
 * Schema of {@link DeadLetter}, as JSON.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DeadLetter = Schema.Struct({
  /** The subscription that could not handle it. */
  subscription: Schema.String,
  /** As it was published, its payload byte for byte. */
  message: Schema.Union(Garbled, Message),
  reason: Reason,
  error: Failure,
  /** The error with its whole cause, for people. */
  cause: Schema.String,
  /** How often the handler ran since it was published, or reprocessed. */
  attempts: Schema.Int,
  /** The attempts that failed, the last of them where they are many. */
  history: Schema.Array(Failure),
  /** How often it was reprocessed. */
  reprocessed: Schema.Int,
  /** When it was put aside, in milliseconds since 1970. */
  at: Schema.Number,
  /** Where automatic retries stand; absent where none has been planned. */
  retry: Schema.optionalWith(Retry, { exact: true })
})

/**
 * A dead letter.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeadLetter extends Schema.Schema.Type<typeof DeadLetter> {}

/**
 * Which dead letter: a subscription has one at most of each message.
 *
 * @since 0.1.0
 * @category models
 */
export interface Key {
  readonly subscription: string
  /** The message's. */
  readonly id: string
}

/**
 * The key of a dead letter.
 *
 * @since 0.1.0
 * @category getters
 */
export const keyOf = (letter: DeadLetter): Key => ({ subscription: letter.subscription, id: letter.message.id })
