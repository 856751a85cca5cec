/**
 * Every service in memory, for tests and for trying things out. Nothing survives the process.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as DeadLetters from "./bus/DeadLetters.ts"
import * as EventBus from "./bus/EventBus.ts"
import * as Inbox from "./bus/Inbox.ts"
import * as SagaEngine from "./saga/SagaEngine.ts"
import * as Timers from "./saga/Timers.ts"
import * as CheckpointStore from "./store/CheckpointStore.ts"
import * as EventStore from "./store/EventStore.ts"
import * as Lease from "./store/Lease.ts"
import * as ParkedEvents from "./store/ParkedEvents.ts"
import * as SnapshotStore from "./store/SnapshotStore.ts"

/**
 * What an embedded layer gives an application.
 *
 * @since 0.1.0
 * @category models
 */
export type Services =
  | EventStore.EventStore
  | SnapshotStore.SnapshotStore
  | CheckpointStore.CheckpointStore
  | Lease.Lease
  | ParkedEvents.ParkedEvents

/**
 * The event bus that each embedded layer gives, with what it can do on all of them, its dead letters, and an inbox.
 *
 * @since 0.1.0
 * @category models
 */
export type Bus =
  | EventBus.EventBus
  | EventBus.Capable<"delay">
  | EventBus.Capable<"priority">
  | EventBus.Capable<"history">
  | DeadLetters.DeadLetters
  | Inbox.Inbox

/**
 * Every service, over one state in memory.
 *
 * @example
 * ```ts
 * import * as Memory from "effect-skald/Memory"
 * import { EventStore } from "effect-skald/store/EventStore"
 * import { Effect } from "effect"
 *
 * const program = Effect.flatMap(EventStore, (store) => store.head).pipe(Effect.provide(Memory.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Services | Bus | Timers.Timers | SagaEngine.SagaEngine> = Layer.fresh(
  // fresh, as the dead letters are: an application may have others, of another bus or store
  Layer.orDie(SagaEngine.layer)
).pipe(Layer.provideMerge(Layer.mergeAll(
  EventStore.layerMemory,
  SnapshotStore.layerMemory,
  CheckpointStore.layerMemory,
  Lease.layerMemory,
  ParkedEvents.layerMemory,
  Layer.fresh(DeadLetters.layer).pipe(Layer.provideMerge(EventBus.layerMemory)),
  Inbox.layerMemory,
  Timers.layerMemory
)))
