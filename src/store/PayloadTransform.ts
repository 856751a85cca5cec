/**
 * What happens to serialized payloads between the codec and the driver: encryption, compression.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Serialized } from "../event/PayloadFormat.ts"

/**
 * What a transform is told of each payload: enough to choose a key by tenant, stream or type.
 *
 * @since 0.1.0
 * @category models
 */
export interface Item {
  readonly tenant: string
  readonly stream: string
  readonly type: string
  readonly id: string
  readonly payload: Serialized
}

/**
 * An effectful transform over a chunk of payloads. Its name stands beside each payload it wrote; payloads written without
 * it, or before it was there, are read as they are. `decode` gets only what `encode` of the same name wrote.
 *
 * A failure fails the append or the read with `StoreError`, its `cause` the failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transform {
  readonly name: string
  readonly encode: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Serialized>, unknown>
  readonly decode: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Serialized>, unknown>
}

/**
 * The transform of the stores that are built under it; none unless a layer says otherwise.
 *
 * @example
 * ```ts
 * import * as PayloadTransform from "effect-skald/store/PayloadTransform"
 * import { Effect, Layer } from "effect"
 * import { gunzipSync, gzipSync } from "node:zlib"
 *
 * const Gzip = Layer.succeed(PayloadTransform.PayloadTransform, {
 *   name: "gzip",
 *   encode: (items) => Effect.sync(() => items.map((item) => gzipSync(item.payload))),
 *   decode: (items) => Effect.sync(() => items.map((item) => gunzipSync(item.payload)))
 * })
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export class PayloadTransform extends Context.Reference<PayloadTransform>()("effect-skald/store/PayloadTransform", {
  defaultValue: (): Transform | undefined => undefined
}) {}
