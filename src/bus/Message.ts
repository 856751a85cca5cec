/**
 * What a bus moves: an event that was encoded, with all that its delivery depends on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Serialized } from "../event/PayloadFormat.ts"

/**
 * The lowest and the highest priority, and that of a message that states none.
 *
 * @since 0.1.0
 * @category constants
 */
export const priorities = { lowest: 0, low: 1, normal: 4, high: 7, highest: 9 } as const

/**
 * A priority: 0 to 9, or by name `low` (1), `normal` (4), `high` (7).
 *
 * @since 0.1.0
 * @category models
 */
export type Priority = number | "low" | "normal" | "high"

/**
 * A message gains one level of priority each time it has waited so long, in milliseconds, so that none starves.
 *
 * @since 0.1.0
 * @category constants
 */
export const ageing = 60_000

/**
 * Schema of {@link Message}, as JSON: bytes are base64.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Message = Schema.Struct({
  id: Schema.String,
  /** The tag of the event. */
  type: Schema.String,
  /** Dotted; what wildcards match. */
  subject: Schema.String,
  schemaVersion: Schema.Int,
  /** The service it comes from; `"/"` when none was named. */
  source: Schema.String,
  /** When it happened, in milliseconds since 1970, as are all instants here. */
  occurredAt: Schema.Number,
  publishedAt: Schema.Number,
  /** Never delivered before. The same as `publishedAt` where nobody asked for a delay. */
  readyAt: Schema.Number,
  /** Not delivered from here on. */
  expiresAt: Schema.optionalWith(Schema.Number, { exact: true }),
  /** Messages of one key are handled one after the other. */
  key: Schema.optionalWith(Schema.String, { exact: true }),
  /** 0 to 9. */
  priority: Schema.Int,
  /** How often a handler runs again at most, whatever its subscription's policy allows. */
  retries: Schema.optionalWith(Schema.Int, { exact: true }),
  /** JSON text of the event's metadata. */
  metadata: Schema.String,
  /** The format of the payload. */
  format: Schema.String,
  payload: Schema.Union(Schema.String, Schema.Uint8ArrayFromBase64)
})

/**
 * A message.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message {
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly schemaVersion: number
  readonly source: string
  readonly occurredAt: number
  readonly publishedAt: number
  readonly readyAt: number
  readonly expiresAt?: number
  readonly key?: string
  readonly priority: number
  readonly retries?: number
  readonly metadata: string
  readonly format: string
  readonly payload: Serialized
}

/**
 * What a broker delivered that is no message: the bytes, and what is wrong with them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Garbled {
  readonly _tag: "Garbled"
  /** What the broker calls it, or one made of its place. */
  readonly id: string
  readonly bytes: Uint8Array
  readonly problem: string
}
