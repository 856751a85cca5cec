/**
 * Who carries through which saga, where several processes share a store.
 *
 * Sagas are divided into shards by their id, and each shard has one owner at a time. It is a service of its own, so that a
 * cluster can provide it. It only says who should work: that nobody else writes is told by the journal, whose appends expect a
 * version.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/saga/placement.ts"
import * as Lease from "../store/Lease.ts"
import type { StoreError } from "../store/StoreError.ts"

/**
 * How many shards there are when nothing is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultShards = 8

/**
 * How often a process looks for shards that nobody has, and for others to share with.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultLookEvery: Duration.Duration = Duration.seconds(1)

/**
 * A shard that this process owns.
 *
 * @since 0.1.0
 * @category models
 */
export interface Shard {
  /** From 0. */
  readonly number: number
  /** Higher than that of every earlier owner, where there can be another. */
  readonly token: number
  /** Never succeeds; fails as soon as this process knows that the shard is not its own any more. */
  readonly lost: Effect.Effect<never, Lease.LeaseLost>
  /** Asks who owns it. Inside a transaction of the same database it makes sure that only the owner's writes are committed. */
  readonly check: Effect.Effect<void, Lease.LeaseLost | StoreError>
}

/**
 * What a placement does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** How many shards there are. */
  readonly shards: number
  /** The shard of a saga, by its id (or whatever names it). */
  readonly shardOf: (saga: string) => number
  /** Whether this process is the one to carry a saga through, as far as it knows. */
  readonly isMine: (saga: string) => Effect.Effect<boolean>
  /** The shards of this process, by number. */
  readonly owned: Effect.Effect<ReadonlyArray<Shard>>
  /** The shards of this process now, and again whenever they change. */
  readonly changes: Stream.Stream<ReadonlyArray<Shard>>
  /**
   * Runs an effect for each shard while this process owns it, until the scope ends. When a shard is given up, or lost, its
   * effect is interrupted; it is given to another process only when the effect has stopped.
   */
  readonly run: <R>(
    work: (shard: Shard) => Effect.Effect<unknown, never, R>
  ) => Effect.Effect<void, never, R | Scope.Scope>
}

/**
 * Who carries through which saga.
 *
 * @example
 * ```ts
 * import * as Placement from "effect-skald/saga/Placement"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const placement = yield* Placement.Placement
 *   yield* placement.run((shard) => Effect.zipRight(Effect.log(`shard ${shard.number} is mine`), Effect.never))
 *   return yield* placement.isMine("o-1")
 * }).pipe(Effect.scoped, Effect.provide(Placement.layerSingle))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class Placement extends Context.Tag("effect-skald/saga/Placement")<Placement, Service>() {}

/**
 * How shards are shared by leases.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Those of one name share the shards; `sagas` when not given. */
  readonly name?: string | undefined
  /** 1 to 256, the same in every process; {@link defaultShards} when not given. More than there are processes. */
  readonly shards?: number | undefined
  /** How long a process that says nothing keeps its shards; `Lease.defaultTtl` (5 s) when not given. */
  readonly ttl?: Duration.DurationInput | undefined
  /** {@link defaultLookEvery} when not given. At least 10 ms. */
  readonly lookEvery?: Duration.DurationInput | undefined
}

/**
 * Shards are leases: those of a process that was killed are taken over when they have run out (at once, where the `Lease` knows
 * that it is dead), with the defaults in less than 8 s; a clean stop releases them at once.
 *
 * Processes share evenly: each holds a lease of its own that others can see, and none keeps more than its part. What has to move
 * for that moves once the count has been the same for a while.
 *
 * @example
 * ```ts
 * import * as Placement from "effect-skald/saga/Placement"
 * import * as Postgres from "effect-skald/Postgres"
 * import { Layer, Redacted } from "effect"
 *
 * export const Placed = Placement.layer({ shards: 16 }).pipe(
 *   Layer.provide(Postgres.layer({ url: Redacted.make("postgres://localhost/shop") }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Placement, InvalidInput, Lease.Lease> =>
  Layer.scoped(
    Placement,
    Effect.flatMap(Lease.Lease, (leases) =>
      Internal.make(leases, {
        name: options.name ?? "sagas",
        shards: options.shards ?? defaultShards,
        ttl: options.ttl ?? Lease.defaultTtl,
        lookEvery: Duration.toMillis(options.lookEvery ?? defaultLookEvery)
      }))
  )

/**
 * One process has everything, as where the store is embedded in it: a restart takes over at once.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSingle: Layer.Layer<Placement> = Layer.scoped(Placement, Effect.suspend(() => Internal.single))
