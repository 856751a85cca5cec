/**
 * What is done for every subscription of a bus: by the subscriptions that are built over these layers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DeadLetter } from "./DeadLetter.ts"
import * as OnError from "./OnError.ts"

/**
 * What becomes of a failure that its subscription has no verdict on (a handler whose errors TypeScript does not know, a
 * time-out), or whose verdict is `OnError.inherit`.
 *
 * @since 0.1.0
 * @category references
 */
export class DefaultVerdict extends Context.Reference<DefaultVerdict>()("effect-skald/bus/BusPolicy/DefaultVerdict", {
  defaultValue: (): OnError.Verdict => OnError.standard
}) {}

/**
 * Who is told of each dead letter, after the subscription's own `onDeadLetter`; nobody by default.
 *
 * @since 0.1.0
 * @category references
 */
export class DeadLetterHandler
  extends Context.Reference<DeadLetterHandler>()("effect-skald/bus/BusPolicy/DeadLetterHandler", {
    defaultValue: (): ((letter: DeadLetter) => Effect.Effect<void, unknown>) | undefined => undefined
  })
{}

/**
 * The verdict that subscriptions inherit.
 *
 * @example
 * ```ts
 * import * as BusPolicy from "effect-skald/bus/BusPolicy"
 * import * as OnError from "effect-skald/bus/OnError"
 * import * as RetryPolicy from "effect-skald/resilience/RetryPolicy"
 *
 * const Patient = BusPolicy.layerVerdict(
 *   OnError.retryLater(RetryPolicy.exponential("1 minute", { times: 8 }), OnError.deadLetter)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerVerdict = (verdict: OnError.Verdict): Layer.Layer<never> => Layer.succeed(DefaultVerdict, verdict)

/**
 * Runs after each dead letter of the subscriptions above was put aside. What it fails with is logged, and changes nothing.
 *
 * @example
 * ```ts
 * import * as BusPolicy from "effect-skald/bus/BusPolicy"
 * import { Effect } from "effect"
 *
 * const Told = BusPolicy.layerDeadLetterHandler((letter) =>
 *   Effect.logError(`${letter.subscription}: ${letter.reason} after ${letter.attempts} attempts`, letter.error.message)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDeadLetterHandler = <R>(
  handler: (letter: DeadLetter) => Effect.Effect<void, unknown, R>
): Layer.Layer<never, never, R> =>
  Layer.effect(
    DeadLetterHandler,
    Effect.map(Effect.context<R>(), (context) => (letter: DeadLetter) => Effect.provide(handler(letter), context))
  )
