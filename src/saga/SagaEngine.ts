/**
 * The engine: carries sagas through, from their journals, whatever is killed when.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Internal from "../internal/saga/engine.ts"
import type { ReadError } from "../store/Category.ts"
import type { EventStore } from "../store/EventStore.ts"
import * as Placement from "./Placement.ts"
import type { Contract, Definition } from "./SagaDefinition.ts"
import type {
  AskError,
  InvalidInput,
  OperationRefused,
  SagaNotFound,
  StartError,
  StoreError,
  Unfinished,
  UnregisteredSagas
} from "./SagaError.ts"
import type { Failure } from "./SagaJournal.ts"
import type { State, Status, Summary } from "./SagaStatus.ts"
import * as Timers from "./Timers.ts"

/**
 * Which saga.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ref {
  readonly saga: string
  readonly id: string
}

/**
 * Who acts on a saga, and why; both are journaled.
 *
 * @since 0.1.0
 * @category models
 */
export interface By {
  readonly by: string
  readonly why: string
}

/**
 * What a saga was told: whether its signal is the one that counts.
 *
 * - `accepted`: it is the first of its name;
 * - `duplicate`: another came before;
 * - `late`: the saga has ended, or does not wait for it any more.
 *
 * @since 0.1.0
 * @category models
 */
export type Told = "accepted" | "duplicate" | "late"

/**
 * What a step is said to have come to, by an operator who knows: values and errors encoded, as in the journal.
 *
 * @since 0.1.0
 * @category models
 */
export type Resolution = { readonly value: unknown } | { readonly failure: unknown }

/**
 * Which sagas a list shows: those that meet everything that is asked for, of every tenant, the oldest first.
 *
 * Sagas in flight come from a projection that the engine keeps; ended ones are read from the store by their state, the last
 * that ended first, until there are enough.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListOptions {
  readonly saga?: string | undefined
  /** Those in flight when not given. */
  readonly states?: ReadonlyArray<State> | undefined
  /** Started at least so long ago. */
  readonly olderThan?: Duration.DurationInput | undefined
  /** 1,000 when not given. */
  readonly limit?: number | undefined
}

/**
 * How many sagas are and were in each state, by saga.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  readonly [saga: string]: { readonly [state in State]: number }
}

/**
 * A saga has come to another state.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly tenant: string | undefined
  readonly saga: string
  readonly id: string
  readonly state: State
  /** Where the event that changed it stands in the log. */
  readonly position: number
}

/**
 * The engine's operations. Sagas are those of the fiber's tenant.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Makes a definition known while the scope is open; `Saga.toLayer` does it. */
  readonly register: (definition: Definition) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Checks that the definition of every saga in flight is registered, and goes on with them. Every other operation does it
   * first; and so does the engine by itself, once nothing was registered for a while.
   */
  readonly ready: Effect.Effect<void, AskError>
  /** Starts a saga, or joins the one of its id; answers the id once the start is journaled. */
  readonly start: (contract: Contract, payload: unknown) => Effect.Effect<string, StartError>
  /** Waits until a saga has ended, or needs a person. */
  readonly result: (
    contract: Contract,
    id: string
  ) => Effect.Effect<Exit.Exit<any, any>, AskError | SagaNotFound | Unfinished>
  readonly status: (ref: Ref) => Effect.Effect<Status, AskError | SagaNotFound>
  readonly list: (options?: ListOptions) => Effect.Effect<ReadonlyArray<Summary>, AskError>
  readonly statistics: Effect.Effect<Statistics, AskError>
  /** Changes of state from now on, of every tenant's sagas. */
  readonly changes: Stream.Stream<Change, ReadError>
  /** Sagas that come to need a person from now on, of every tenant: for alerts. */
  readonly interventions: Stream.Stream<Summary, ReadError>
  /** Tells a saga something that it waits, or will wait, for. The value is encoded. */
  readonly signal: (
    ref: Ref,
    signal: { readonly name: string; readonly key?: string | undefined; readonly value: unknown }
  ) => Effect.Effect<Told, AskError | SagaNotFound>
  /**
   * Rolls a saga back. While a pivot's outcome is open it waits for that, and comes to nothing where the pivot has succeeded.
   */
  readonly cancel: (ref: Ref, by: By) => Effect.Effect<void, AskError | SagaNotFound | OperationRefused>
  /** Has a saga that needs a person try again what is stuck: one step, or all when none is named. */
  readonly retry: (
    ref: Ref,
    by: By & { readonly step?: string | undefined }
  ) => Effect.Effect<void, AskError | SagaNotFound | OperationRefused>
  /** Gives up a compensation that is stuck, and goes on with the next. */
  readonly skip: (
    ref: Ref,
    by: By & { readonly step: string }
  ) => Effect.Effect<void, AskError | SagaNotFound | OperationRefused>
  /** Says what a step that is stuck has come to. */
  readonly resolve: (
    ref: Ref,
    by: By & { readonly step: string } & Resolution
  ) => Effect.Effect<void, AskError | SagaNotFound | OperationRefused>
}

/**
 * Carries sagas through.
 *
 * @example
 * ```ts
 * import { SagaEngine } from "effect-skald/saga/SagaEngine"
 * import { Effect } from "effect"
 *
 * const stuck = Effect.flatMap(SagaEngine, (engine) => engine.list({ states: ["needsIntervention"] }))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class SagaEngine extends Context.Tag("effect-skald/saga/SagaEngine")<SagaEngine, Service>() {}

/**
 * How an engine runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Starts although sagas are in flight whose definition is not registered; they are left alone. */
  readonly withoutUnregistered?: boolean | undefined
  /** How long nothing is registered until the engine begins by itself; {@link defaultSettle} when not given. */
  readonly settle?: Duration.DurationInput | undefined
  /**
   * How long a replay waits for a journaled step that the body does not ask for; {@link defaultPatience} when not given. Only
   * a body that changed, or one that takes that long between its steps, comes to it.
   */
  readonly patience?: Duration.DurationInput | undefined
  /**
   * How long a saga only waits (for a signal, an instant, a retry, a person) until it is let go: it costs no fiber and none of
   * its state then, and is read from its journal when there is something to do. {@link defaultIdleAfter} when not given;
   * never, where it is infinite.
   */
  readonly idleAfter?: Duration.DurationInput | undefined
  /** The name of this engine in journals; host and process when not given. */
  readonly host?: string | undefined
}

/**
 * How long nothing is registered until an engine goes on by itself with the sagas in flight.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultSettle: Duration.DurationInput = "250 millis"

/**
 * How long a replay waits for a journaled step that the body does not ask for.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultPatience: Duration.DurationInput = "30 seconds"

/**
 * How long a saga only waits until it is let go out of memory.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultIdleAfter: Duration.DurationInput = "5 seconds"

const filled = (options: Options) => ({
  ...options,
  settle: options.settle ?? defaultSettle,
  patience: options.patience ?? defaultPatience,
  idleAfter: options.idleAfter ?? defaultIdleAfter
})

/**
 * An engine with options of one's own; see {@link layer}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<SagaEngine, StoreError | InvalidInput, EventStore> =>
  Layer.scoped(
    SagaEngine,
    Effect.flatMap(
      Effect.all([Placement.Placement, Timers.Timers]),
      ([placement, timers]) => Internal.make(filled(options), { placement, timers, shared: false })
    )
  ).pipe(Layer.provide([Layer.fresh(Placement.layerSingle), Layer.fresh(Timers.layerMemory)]))

/**
 * An engine over the event store, for one process. It goes on with every saga in flight, whoever started it.
 *
 * Closing the layer stops it: bodies are interrupted, no compensation runs, and the next engine goes on from the journals. Its
 * index of sagas in flight is kept in the fiber's `SnapshotStore`; where there is none, it is made anew from the journals.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<SagaEngine, StoreError | InvalidInput, EventStore> = layerWith({})

/**
 * One of several engines over the same event store: `Placement` says which sagas each carries through, `Timers` brings those
 * back that wait.
 *
 * - Sagas are started, asked for and told things in any of the processes; whoever has a saga goes on with it at once.
 * - What a killed process had goes on in another in less than 10 s with the placement's defaults, what a process gives up at
 *   its end at once. The first event of the new owner fences off the old one: a process that was stopped, and goes on after
 *   its shards were taken over, cannot write to their journals.
 * - Every process registers the same sagas. A saga whose version its owner does not know rests until one has it that does.
 *
 * @example
 * ```ts
 * import * as Placement from "effect-skald/saga/Placement"
 * import * as SagaEngine from "effect-skald/saga/SagaEngine"
 * import * as Timers from "effect-skald/saga/Timers"
 * import { layerMemory } from "effect-skald/store/EventStore"
 * import { layerMemory as leases } from "effect-skald/store/Lease"
 * import { Layer } from "effect"
 *
 * // with `Postgres.layer` and `SqlTimers.layer` in place of what is kept in memory here
 * export const Engine = SagaEngine.layerShared().pipe(
 *   Layer.provide(Layer.mergeAll(layerMemory, Timers.layerMemory, Layer.provide(Placement.layer(), leases)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerShared = (options: Options = {}): Layer.Layer<
  SagaEngine,
  StoreError | InvalidInput,
  EventStore | Placement.Placement | Timers.Timers
> =>
  Layer.scoped(
    SagaEngine,
    Effect.flatMap(
      Effect.all([Placement.Placement, Timers.Timers]),
      ([placement, timers]) => Internal.make(filled(options), { placement, timers, shared: true })
    )
  )

/** An engine below its sagas: asked whether it is ready once they are registered. */
const withSagas = <E, R, RE>(
  sagas: Layer.Layer<never, E, R>,
  engine: Layer.Layer<SagaEngine, StoreError | InvalidInput, RE>
): Layer.Layer<SagaEngine, E | StoreError | InvalidInput | UnregisteredSagas, Exclude<R, SagaEngine> | RE> =>
  Layer.provideMerge(sagas, engine).pipe(
    Layer.tap((context) => Context.get(context as Context.Context<SagaEngine>, SagaEngine).ready)
  ) as never

/**
 * An engine with the sagas that it carries through: fails when one in flight is not among them.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOf = <E, R>(
  sagas: Layer.Layer<never, E, R>,
  options: Options = {}
): Layer.Layer<
  SagaEngine,
  E | StoreError | InvalidInput | UnregisteredSagas,
  Exclude<R, SagaEngine> | EventStore
> => withSagas(sagas, layerWith(options))

/**
 * One of several engines, with the sagas that it carries through; see {@link layerShared}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSharedOf = <E, R>(
  sagas: Layer.Layer<never, E, R>,
  options: Options = {}
): Layer.Layer<
  SagaEngine,
  E | StoreError | InvalidInput | UnregisteredSagas,
  Exclude<R, SagaEngine> | EventStore | Placement.Placement | Timers.Timers
> => withSagas(sagas, layerShared(options))

export type {
  /**
   * How something went wrong.
   *
   * @since 0.1.0
   * @category models
   */
  Failure
}
