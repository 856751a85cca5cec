import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { EventIds } from "../../event/EventId.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Service as Placement } from "../../saga/Placement.ts"
import type { Options, Service } from "../../saga/SagaEngine.ts"
import { type AskError, UnregisteredSagas } from "../../saga/SagaError.ts"
import type { Service as Timers } from "../../saga/Timers.ts"
import { EventStore } from "../../store/EventStore.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Faults from "../faults.ts"
import { processLabel } from "../store/lease.ts"
import * as Alarms from "./alarms.ts"
import * as Ask from "./ask.ts"
import { Fleet } from "./fleet.ts"
import * as Index from "./index.ts"
import * as Lists from "./lists.ts"
import * as Passive from "./passive.ts"
import * as Shards from "./shards.ts"
import * as Start from "./start.ts"
import { watch } from "./watch.ts"

/** What an engine does beside the sagas of its own process. */
interface Surroundings {
  readonly placement: Placement
  readonly timers: Timers
  /** Whether other processes may carry sagas of the same store through. */
  readonly shared: boolean
}

/** The engine of one process. */
export const make = (
  options: Omit<Options, "settle" | "patience" | "idleAfter"> & {
    readonly settle: Duration.DurationInput
    readonly patience: Duration.DurationInput
    readonly idleAfter: Duration.DurationInput
  },
  { placement, shared, timers }: Surroundings
): Effect.Effect<Service, StoreError | InvalidInput, EventStore | Scope.Scope> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const ids = yield* EventIds
    const index = yield* Index.make
    const scope = yield* Effect.scope
    const runtime = yield* Effect.runtime<never>()
    const fleet = new Fleet({
      store,
      ids,
      services: FiberRefs.getOrDefault(runtime.fiberRefs, DefaultServices.currentServices),
      patience: Duration.decode(options.patience),
      fork: Runtime.runFork(runtime),
      placement,
      shared
    })
    const alarms = yield* Alarms.make(timers, placement)
    const shards = Shards.make(fleet, index, alarms, options.host ?? processLabel)
    yield* Passive.make(fleet, alarms, Duration.toMillis(options.idleAfter))

    const check: Effect.Effect<void, AskError> = Effect.gen(function*() {
      const missing = new Map<string, { saga: string; version: number; inFlight: number }>()
      for (const { saga, version } of yield* index.inFlight) {
        if (fleet.definition(saga, version) !== undefined) continue
        const key = `${version}/${saga}`
        const counted = missing.get(key) ?? { saga, version, inFlight: 0 }
        missing.set(key, { ...counted, inFlight: counted.inFlight + 1 })
      }
      const [first, ...rest] = missing.values()
      if (first !== undefined && options.withoutUnregistered !== true) {
        return yield* new UnregisteredSagas({ missing: [first, ...rest] })
      }
    })

    let begun = false
    let recovered = false
    const begin: Effect.Effect<void, AskError> = Effect.gen(function*() {
      yield* check
      const head = yield* store.head
      yield* Effect.uninterruptible(takeShards(head))
    })
    const takeShards = Effect.fnUntraced(function*(head: number) {
      begun = true
      // From before shards are taken: what is not in their lists of sagas in flight is heard.
      if (shared) yield* Effect.forkIn(Effect.interruptible(watch(fleet, head)), scope)
      yield* Scope.extend(shards.run, scope)
      yield* Scope.addFinalizer(scope, Effect.sync(() => fleet.stop()))
    })
    const beginning = Effect.unsafeMakeSemaphore(1)
    const ready: Effect.Effect<void, AskError> = Effect.suspend(() => {
      if (begun && (shared || recovered)) return Effect.void
      return Effect.zipRight(
        beginning.withPermits(1)(Effect.suspend(() => begun ? Effect.void : begin)),
        shared ? Effect.void : Effect.map(shards.recovered, () => {
          recovered = true
        })
      )
    })

    // An application may never ask anything: what is in flight goes on all the same.
    let registered = 0
    const someSaga = Effect.unsafeMakeLatch(false)
    const settle: Effect.Effect<void> = Effect.suspend(() => {
      const before = registered
      return Effect.zipRight(
        Effect.sleep(options.settle),
        Effect.suspend(() =>
          begun ? Effect.void : registered !== before
            ? settle
            : Effect.catchAll(ready, (error) => Effect.logError("the saga engine does not start", error))
        )
      )
    })
    // an application without sagas costs nothing
    yield* Effect.forkScoped(Effect.zipRight(someSaga.await, settle))

    const register: Service["register"] = (definition) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          if (!fleet.register(definition)) {
            const { name, version } = definition.contract
            return Effect.die(Faults.invalid("name", `saga ${name} of version ${version} is registered already`))
          }
          registered++
          return someSaga.open
        }),
        () => Effect.sync(() => fleet.forget(definition))
      )

    return {
      register,
      ready,
      start: Start.make(fleet, ready),
      ...Ask.make(fleet, ready),
      ...Lists.make({ store, index, ready, fleet })
    }
  })
