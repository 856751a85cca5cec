/**
 * How an encoded payload becomes text or bytes. JSON by default; `effect-skald/event/MessagePack` is another.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * A payload as a driver keeps it.
 *
 * @since 0.1.0
 * @category models
 */
export type Serialized = string | Uint8Array

/**
 * A format: its name stands beside each payload, so that what was written in another format is still read.
 *
 * `write` is given a JSON value and does not throw; `read` may throw for what it did not write.
 *
 * @since 0.1.0
 * @category models
 */
export interface Format {
  readonly name: string
  readonly write: (value: unknown) => Serialized
  readonly read: (serialized: Serialized) => unknown
}

/** Bytes that are no UTF-8 are refused, not replaced. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * JSON text.
 *
 * @since 0.1.0
 * @category formats
 */
export const json: Format = {
  name: "json",
  write: JSON.stringify as (value: unknown) => string,
  read: (serialized) => JSON.parse(typeof serialized === "string" ? serialized : decoder.decode(serialized))
}

/**
 * The format that new payloads are written in, and those that can be read beside it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Formats {
  readonly write: Format
  readonly read: ReadonlyMap<string, Format>
}

/**
 * Writes in the first format, and reads all that are given, and JSON.
 *
 * @example
 * ```ts
 * import * as MessagePack from "effect-skald/event/MessagePack"
 * import * as PayloadFormat from "effect-skald/event/PayloadFormat"
 * import { Layer } from "effect"
 *
 * // new payloads in MessagePack; the JSON ones of last year are still read
 * const Formats = Layer.succeed(PayloadFormat.PayloadFormat, PayloadFormat.formats(MessagePack.format))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const formats = (write: Format, ...others: ReadonlyArray<Format>): Formats => ({
  write,
  read: new Map([json, ...others, write].map((format) => [format.name, format]))
})

/**
 * The formats of the stores that are built under it; JSON alone unless a layer says otherwise.
 *
 * @since 0.1.0
 * @category references
 */
export class PayloadFormat extends Context.Reference<PayloadFormat>()("effect-skald/event/PayloadFormat", {
  defaultValue: () => formats(json)
}) {}
