/**
 * Large payloads go to a `KeyValueStore`, and a claim on them over the bus; subscriptions are given them whole.
 *
 * Gregor Hohpe, Bobby Woolf, "Enterprise Integration Patterns", 2003: Claim Check.
 *
 * @since 0.1.0
 */
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"

/**
 * The most bytes of a payload that go over the bus itself.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultLimit = 262_144

/**
 * The most bytes of a payload with a claim check, where the driver does not take more itself.
 *
 * @since 0.1.0
 * @category constants
 */
export const maximum = 268_435_456

/**
 * Where large payloads go, and what counts as large.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly store: KeyValueStore.KeyValueStore
  /** In bytes of the payload as it is written. */
  readonly limit: number
}

/**
 * The claim check of the buses that are built over this reference; none unless {@link layer} says otherwise.
 *
 * @since 0.1.0
 * @category references
 */
export class ClaimCheck extends Context.Reference<ClaimCheck>()("effect-skald/bus/ClaimCheck", {
  defaultValue: (): Settings | undefined => undefined
}) {}

/**
 * A claim check for every bus that is built over this layer, on any driver. All processes that share the bus need it, with the
 * same store; the limit may differ.
 *
 * - A payload of more than `limit` bytes ({@link defaultLimit}) is stored before its message is published. What publishers
 *   and handlers see does not change, nor do dead letters, which keep the payload itself.
 * - A payload that is not there any more, or not the same, makes its message a dead letter, `undecodable`, with the failure
 *   `PayloadMissing`. While the store cannot be reached, messages wait.
 * - Payloads stay in the store until somebody removes them: `ClaimCheckCleaner` does, or the store itself by the day in the
 *   key, `claim-check/2026-11-21/…`. One whose message could not be published is removed at once, but a crash in between leaves it.
 *
 * @example
 * ```ts
 * import { KeyValueStore } from "@effect/platform"
 * import * as ClaimCheck from "effect-skald/bus/ClaimCheck"
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import { Layer } from "effect"
 *
 * const Bus = EventBus.layerMemory.pipe(
 *   Layer.provide(ClaimCheck.layer({ limit: 64 * 1_024 })),
 *   Layer.provide(KeyValueStore.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: {
  readonly limit?: number | undefined
} = {}): Layer.Layer<never, InvalidInput, KeyValueStore.KeyValueStore> =>
  Layer.effect(
    ClaimCheck,
    Effect.gen(function*() {
      const store = yield* KeyValueStore.KeyValueStore
      const limit = options.limit ?? defaultLimit
      const problem = Faults.countProblem(limit, 0)
      if (problem !== undefined) {
        return yield* Faults.invalid("limit", problem)
      }
      return { store, limit }
    })
  )
