/**
 * A subscription that sees everything that goes over a bus, as it is, and changes nothing for anybody.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { EventBus } from "./EventBus.ts"
import type * as OnError from "./OnError.ts"
import * as Subscription from "./Subscription.ts"

/**
 * What is done about each message, and everything that can be said of a subscription.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R> extends Subscription.RawOptions<E, R> {}

/**
 * An audit as a Layer.
 *
 * - Everything: messages of every type and subject, the bus's own too; those whose time to live has passed, whose payload nobody
 *   can read, and what is no message at all. A delayed one is seen when its time has come.
 * - As it is: a message as it was published, its payload in the bytes of its format, its metadata as JSON text.
 * - Without influence: it has its own copy of each message. One that fails, is slow, or does not run holds up nobody; its
 *   retries and dead letters are its own. It sees what was published, not what others make of it; `DeadLetters` tells that.
 *
 * @example
 * ```ts
 * import * as Audit from "effect-skald/bus/Audit"
 * import { Effect } from "effect"
 *
 * const Trail = Audit.layer("audit", {
 *   concurrency: 4,
 *   handler: (message) =>
 *     "_tag" in message
 *       ? Effect.logWarning("no message", message.problem)
 *       : Effect.log(message.publishedAt, message.source, message.subject, message.payload)
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: {
  <R>(
    name: string,
    options: Options<never, R> & { readonly onError?: { readonly [tag: string]: never } | undefined }
  ): Layer.Layer<never, Subscription.SubscribeError, EventBus | R>
  <E, R>(
    name: string,
    options: Options<E, R> & { readonly onError: OnError.Verdicts<E> }
  ): Layer.Layer<never, Subscription.SubscribeError, EventBus | R>
} = (name: string, options: any): Layer.Layer<never, Subscription.SubscribeError, any> =>
  Layer.scopedDiscard(Subscription.runRaw(name, options) as Effect.Effect<unknown, Subscription.SubscribeError, any>)
