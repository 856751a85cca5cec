/**
 * Runs an effect once for a key, and answers every later call with the result of that run.
 *
 * - Concurrent callers of a key wait for the first; in one process by its end, between processes by a Schedule.
 * - The result is kept by its Schema, for a time to live. Which typed failures are kept is said by a Schema, too; other failures,
 *   defects and interruption free the key, and the next caller runs.
 * - A key that comes back with another payload is a typed failure, `KeyReused`.
 * - Whoever runs holds a lease, and renews it. Where a process dies in between, the lease runs out, and the next caller runs
 *   again, or is refused (`abandoned`): *whether the effect happened is not known then*, as anywhere. Inside a SQL transaction
 *   there is no such gap: key, result and what the effect wrote are committed together.
 *
 * @since 0.1.0
 */
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Internal from "../internal/resilience/idempotencyKey.ts"
import * as KeyValue from "../internal/resilience/idempotencyKeyValue.ts"

// ----------------------------------------------------------------------------------------------------------- constants

/**
 * How long a result is kept.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultTimeToLive: Duration.Duration = Duration.hours(24)

/**
 * How long a run holds its key without a sign of life.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultLease: Duration.Duration = Duration.seconds(5)

/**
 * The part of its time after which a lease is renewed.
 *
 * @since 0.1.0
 * @category constants
 */
export const renewAfter = 0.3

/**
 * When a caller looks again whether another process has ended its run.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultWait: Schedule.Schedule<unknown> = Schedule.spaced("100 millis")

// -------------------------------------------------------------------------------------------------------------- errors

/**
 * Why a call got no answer.
 *
 * - `invalid`: the key, the payload or a time cannot be used
 * - `running`: somebody else is running, and the Schedule of waiting has ended, or the caller is in a transaction, which must not
 *   wait for one outside of it
 * - `nested`: the caller is the run that it would wait for
 * - `abandoned`: a run of this key died, and the call said `abandoned: "refuse"`
 * - `lost`: the lease ran out during the run, and somebody else may have run as well
 * - `unrecorded`: the effect succeeded, and its result cannot be encoded by its Schema; it is not run again
 * - `corrupt`: what is stored cannot be decoded by the Schema
 * - `store`: the store failed; where the effect has run, its result is not kept
 *
 * @since 0.1.0
 * @category errors
 */
export const Reason = Schema.Literal(
  "invalid",
  "running",
  "nested",
  "abandoned",
  "lost",
  "unrecorded",
  "corrupt",
  "store"
)

/**
 * A call got no answer; {@link Reason} says why.
 *
 * @since 0.1.0
 * @category errors
 */
export class IdempotencyError
  extends Schema.TaggedError<IdempotencyError>("effect-skald/resilience/IdempotencyError")("IdempotencyError", {
    reason: Reason,
    key: Schema.String,
    cause: Schema.optional(Schema.Defect)
  })
{
  override get message(): string {
    const cause = this.cause
    const detail = cause instanceof Error ? cause.message : cause === undefined ? "" : String(cause)
    return `idempotency key "${this.key}" (${this.reason})${detail === "" ? "" : `: ${detail}`}`
  }
}

/**
 * The key was used before, with another payload. Nothing was run.
 *
 * @since 0.1.0
 * @category errors
 */
export class KeyReused extends Schema.TaggedError<KeyReused>("effect-skald/resilience/KeyReused")("KeyReused", {
  key: Schema.String
}) {
  override get message(): string {
    return `idempotency key "${this.key}" was used before with another payload`
  }
}

// -------------------------------------------------------------------------------------------------------------- models

/**
 * What is kept of a run, and for how long.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<A, AI, F = never, FI = never> {
  /** How a success is kept. */
  readonly success: Schema.Schema<A, AI>
  /** How a failure is kept; those that it does not describe free the key. None is kept by default. */
  readonly failure?: Schema.Schema<F, FI> | undefined
  /** What the key stands for, as a JSON value: the same key with another one fails. Not compared by default. */
  readonly payload?: unknown
  /** How long the result is kept; {@link defaultTimeToLive} by default. */
  readonly timeToLive?: Duration.DurationInput | undefined
  /** How long a run holds the key without a sign of life; {@link defaultLease} by default, 10 ms at least. */
  readonly lease?: Duration.DurationInput | undefined
  /** When to look again while another process runs; {@link defaultWait} by default. Where it ends, so does the call. */
  readonly wait?: Schedule.Schedule<unknown> | undefined
  /** What happens where an earlier run has died: `run` again (the default), or `refuse` until somebody forgets the key. */
  readonly abandoned?: "run" | "refuse" | undefined
}

/**
 * What the service does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Runs an effect unless the key has a result, which is the answer then. */
  readonly once: <A, AI, F = never, FI = never>(
    key: string,
    options: Options<A, AI, F, FI>
  ) => <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | F | IdempotencyError | KeyReused, R>
  /** Forgets a result, or a run that died; true if there was one. A run that lives is not touched. */
  readonly forget: (key: string) => Effect.Effect<boolean, IdempotencyError>
}

/**
 * Runs effects once for a key.
 *
 * @example
 * ```ts
 * import * as Idempotency from "effect-skald/resilience/Idempotency"
 * import { Effect, Schema } from "effect"
 *
 * class Declined extends Schema.TaggedError<Declined>()("Declined", { why: Schema.String }) {}
 * class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}
 *
 * declare const charge: (cents: number) => Effect.Effect<string, Declined | Unreachable>
 *
 * // a declined card stays declined; an unreachable bank is asked again
 * const pay = (order: string, cents: number) =>
 *   charge(cents).pipe(
 *     Idempotency.once(`charge-${order}`, { success: Schema.String, failure: Declined, payload: { cents } })
 *   )
 *
 * export const program = pay("o-1", 1_000).pipe(Effect.provide(Idempotency.layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Idempotency extends Context.Tag("effect-skald/resilience/Idempotency")<Idempotency, Service>() {}

/**
 * What a driver answers to one who wants to run.
 *
 * @since 0.1.0
 * @category models
 */
export type Claim =
  | { readonly _tag: "Claimed" }
  | { readonly _tag: "Running"; readonly fingerprint: string }
  | { readonly _tag: "Abandoned" }
  | { readonly _tag: "Done"; readonly fingerprint: string; readonly result: string }

/**
 * What a driver does. Each operation is atomic among all who share the store. Times are milliseconds from now, by the clock
 * that they share. A fingerprint is empty where no payload was given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  /** Whether what the caller does now is part of a transaction. */
  readonly inTransaction: Effect.Effect<boolean>
  /**
   * Takes a key that is free, whose result has passed its time, or whose run has died if `takeOver`. The same token may come
   * twice.
   */
  readonly claim: (claim: {
    readonly key: string
    readonly token: string
    readonly fingerprint: string
    readonly lease: number
    readonly takeOver: boolean
  }) => Effect.Effect<Claim, IdempotencyError>
  /** Whether it is still the token's. */
  readonly renew: (key: string, token: string, lease: number) => Effect.Effect<boolean, IdempotencyError>
  /** Whether it was still the token's; then the result is kept. The same result may come twice. */
  readonly complete: (
    key: string,
    token: string,
    result: string,
    timeToLive: number
  ) => Effect.Effect<boolean, IdempotencyError>
  /** Frees a key that is the token's and has no result. */
  readonly release: (key: string, token: string) => Effect.Effect<void, IdempotencyError>
  /** Forgets a result, or a run that died. */
  readonly forget: (key: string) => Effect.Effect<boolean, IdempotencyError>
}

// -------------------------------------------------------------------------------------------------------- constructors

/**
 * The service over a driver: waiting, renewing, encoding and freeing are done here.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded = (driver: Encoded): Service =>
  Internal.make(driver, {
    error: (reason, key, cause) => new IdempotencyError({ reason, key, cause }),
    reused: (key) => new KeyReused({ key }),
    timeToLive: defaultTimeToLive,
    lease: defaultLease,
    renewAfter,
    wait: defaultWait
  })

// -------------------------------------------------------------------------------------------------------------- layers

/**
 * Keeps results in a `KeyValueStore`, under keys that begin with `idempotency/`.
 *
 * Such a store has no compare-and-set: use this where one process at a time runs, and `SqlIdempotency` where several do. What
 * has passed its time stays in the store until its key is used again.
 *
 * @example
 * ```ts
 * import * as Idempotency from "effect-skald/resilience/Idempotency"
 * import { KeyValueStore } from "@effect/platform"
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * export const InFiles = Idempotency.layerKeyValueStore.pipe(
 *   Layer.provide(KeyValueStore.layerFileSystem("keys")),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerKeyValueStore: Layer.Layer<Idempotency, never, KeyValueStore.KeyValueStore> = Layer.effect(
  Idempotency,
  Effect.flatMap(KeyValueStore.KeyValueStore, (store) =>
    Effect.map(
      KeyValue.make(store, (reason, key, cause) => new IdempotencyError({ reason, key, cause })),
      makeEncoded
    ))
)

/**
 * Keeps results in memory, as long as the layer lives.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Idempotency> = Layer.provide(layerKeyValueStore, KeyValueStore.layerMemory)

// --------------------------------------------------------------------------------------------------------- combinators

/**
 * Runs an effect unless the key has a result, which is the answer then. See {@link Idempotency}.
 *
 * @example
 * ```ts
 * import * as Idempotency from "effect-skald/resilience/Idempotency"
 * import { Effect, Schema } from "effect"
 *
 * const roll = Effect.succeed(4).pipe(Idempotency.once("the dice", { success: Schema.Number, timeToLive: "1 hour" }))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const once = <A, AI, F = never, FI = never>(
  key: string,
  options: Options<A, AI, F, FI>
) =>
<E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | F | IdempotencyError | KeyReused, R | Idempotency> =>
  Effect.flatMap(Idempotency, (service) => service.once(key, options)(self))
