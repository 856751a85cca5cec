/**
 * Removes the payloads of a claim check when they have become old.
 *
 * @since 0.1.0
 */
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/claimCheck.ts"
import type { BusError } from "./BusError.ts"
import type * as Driver from "./BusDriver.ts"
import { EventBus } from "./EventBus.ts"
import * as Selector from "./Selector.ts"
import { defaultReconnect } from "./Subscription.ts"

/**
 * The name of the subscription that removes payloads. It is given every message, so that it must not be without a consumer
 * for long once there was one.
 *
 * @since 0.1.0
 * @category constants
 */
export const subscription: string = Internal.cleaner

/**
 * How long a payload is kept, counted from when its message could first be delivered.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultKeep: Duration.Duration = Duration.days(7)

/** How many messages are looked at at a time. */
const batch = 100

/**
 * Which payloads are removed, and when.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Longer than any subscription may need until it has a message, its retries included; {@link defaultKeep} when not given. */
  readonly keep?: Duration.DurationInput | undefined
  /** Subjects that may have large payloads, so that it need not look at others; everything when not given. */
  readonly select?: Selector.Input | undefined
}

/**
 * Removes each payload of the claim check once it was kept for a while. It is a subscription, which puts off the messages with
 * large payloads until then: it goes on after a crash, several processes share the work, and what a payload costs the
 * bus until then is one claim. A dead letter keeps its payload itself, and does not need the store.
 *
 * @example
 * ```ts
 * import { KeyValueStore } from "@effect/platform"
 * import * as ClaimCheck from "effect-skald/bus/ClaimCheck"
 * import * as ClaimCheckCleaner from "effect-skald/bus/ClaimCheckCleaner"
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import { Layer } from "effect"
 *
 * const Bus = ClaimCheckCleaner.layer({ keep: "30 days", select: "document.**" }).pipe(
 *   Layer.provideMerge(EventBus.layerMemory),
 *   Layer.provide(ClaimCheck.layer()),
 *   Layer.provide(KeyValueStore.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<never, InvalidInput | BusError, EventBus | KeyValueStore.KeyValueStore> =>
  Layer.scopedDiscard(
    Effect.gen(function*() {
      const bus = yield* EventBus
      const store = yield* KeyValueStore.KeyValueStore
      const selector = options.select === undefined ? Selector.all : yield* Selector.make(options.select)
      const keep = Duration.toMillis(options.keep ?? defaultKeep)
      const consumer = yield* bus.consume({ name: subscription, selector, start: "latest", kept: true })

      const settlementOf = ({ message, receipt }: Driver.Delivered, now: number): Effect.Effect<Driver.Settlement> => {
        const claim = Internal.claimOf(message)
        const done: Driver.Settlement = { _tag: "done", receipt }
        if (claim === undefined || Option.isNone(claim) || "_tag" in message) return Effect.succeed(done)
        const at = message.readyAt + keep
        if (now < at) return Effect.succeed({ _tag: "later", receipt, at, state: undefined, overtake: true })
        return store.remove(claim.value.key).pipe(
          Effect.as(done),
          Effect.catchAll((cause) =>
            Effect.as(
              Effect.logWarning("a payload could not be removed", cause),
              {
                _tag: "later",
                receipt,
                at: now + 60_000,
                state: undefined,
                overtake: true
              } as const
            )
          )
        )
      }

      const round = Effect.gen(function*() {
        const pulled = yield* consumer.pull(batch)
        const now = Math.floor(yield* Clock.currentTimeMillis)
        yield* consumer.settle(yield* Effect.forEach(pulled, (delivered) => settlementOf(delivered, now)))
      })
      yield* round.pipe(Effect.retry(defaultReconnect), Effect.forever, Effect.forkScoped)
    })
  )
