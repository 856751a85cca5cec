import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Shard } from "../../saga/Placement.ts"
import * as Journal from "../../saga/SagaJournal.ts"
import type { StoreError } from "../../store/StoreError.ts"
import { keepOn } from "../keepOn.ts"
import * as RealTime from "../realTime.ts"
import type { Alarms } from "./alarms.ts"
import type { Fleet, OwnShard } from "./fleet.ts"
import * as Index from "./index.ts"
import { live } from "./life.ts"
import { inTenant, load } from "./load.ts"

/** How many sagas are taken at once, and of how many taken ones it may be unknown whether they run or only wait. */
const batch = 256
const concurrency = 16

/** How long that may be unknown until more are taken all the same. */
const patience = "1 second"

/** How long to rest before a saga is taken back that another owner has written to, whose shard is here. */
const afterFence = "1 second"

const again = Schedule.exponential("100 millis").pipe(Schedule.either(Schedule.spaced("5 seconds")))

/**
 * Carries the sagas of shards through, each while this process has it: first those in flight, and then whatever is noticed.
 */
export const make = (
  fleet: Fleet,
  index: Index.SagaIndex,
  alarms: Alarms,
  host: string
): {
  /** Takes shards as they come, until the scope ends. */
  readonly run: Effect.Effect<void, never, Scope.Scope>
  /** When the sagas in flight of the first shard were taken over. */
  readonly recovered: Effect.Effect<void>
} => {
  const { placement, shared, store } = fleet.options
  const recovered = Effect.runSync(Deferred.make<void>())

  fleet.onFenced = (key) => {
    if (!shared) return
    fleet.options.fork(Effect.zipRight(RealTime.rest(afterFence), Effect.sync(() => fleet.notice(key))))
  }

  /** Runs a saga that this process does not run, where it is in flight. */
  const take = (key: string, shard: OwnShard): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      const known = fleet.parked.get(key)
      const { id, saga, tenant } = Index.partsOf(key)
      return Effect.flatMap(inTenant(tenant)(load(store, saga, id, known?.version)), (found) =>
        Effect.sync(() => {
          if (Option.isNone(found) || found.value.state.ended !== undefined) {
            if (fleet.parked.delete(key) && known !== undefined && known.due !== Infinity) alarms.cancel(key)
            return fleet.tell(key)
          }
          const { state, unowned } = found.value
          const definition = fleet.definition(saga, state.definition)
          if (
            definition === undefined || fleet.runners.has(key) || fleet.stopping ||
            fleet.shardOf(key) !== shard
          ) return
          const runner = fleet.launch(key, definition, found.value)
          fleet.parked.delete(key)
          fleet.fresh.add(runner)
          if (known !== undefined && known.due !== Infinity && known.due > runner.now()) alarms.cancel(key)
          // Its first write fences off whoever had it before.
          const first = known !== undefined && unowned
            ? Effect.void
            : runner.note([Journal.Resumed({ saga, id, host })])
          runner.fork(Effect.zipRight(first, live(runner)))
        }))
    }).pipe(
      Effect.catchTag("InvalidInput", (error) => Effect.die(error)),
      Effect.catchAllDefect((defect) => Effect.logError(`the saga of ${key} cannot be read`, defect))
    )

  const look = (key: string, shard: OwnShard): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      const runner = fleet.runners.get(key)
      if (runner !== undefined && !runner.closed) return runner.refresh
      const left = fleet.leaving.get(key)
      if (left !== undefined) return Effect.zipRight(Deferred.await(left), look(key, shard))
      if (runner !== undefined) return Effect.zipRight(runner.abandon, look(key, shard))
      fleet.taking.add(key)
      return Effect.ensuring(take(key, shard), Effect.sync(() => fleet.taking.delete(key)))
    })

  const tookAll = (own: OwnShard): void => {
    if (own.keys.size === 0) Deferred.unsafeDone(recovered, Effect.void)
  }

  const turn = (own: OwnShard, shard: Shard) =>
    Effect.suspend(() => {
      if (own.keys.size === 0) {
        own.latch.unsafeClose()
        return own.latch.await
      }
      const keys = Array.from(own.keys).slice(0, batch)
      return Effect.zipRight(
        shared ? shard.check : Effect.void,
        Effect.forEach(keys, (key) => {
          own.keys.delete(key)
          return Effect.onError(look(key, own), () => Effect.sync(() => own.keys.add(key)))
        }, { concurrency, discard: true })
      ).pipe(
        Effect.zipRight(Effect.suspend(() => {
          tookAll(own)
          return fleet.fresh.size <= 2 * batch ? Effect.void : Effect.raceFirst(
            fleet.awaitSettled(2 * batch),
            Effect.zipRight(RealTime.rest(patience), Effect.sync(() => fleet.fresh.clear()))
          )
        })),
        // Whoever the shard is with now: what is done here is about to be stopped.
        Effect.catchTag("LeaseLost", () => Effect.never)
      )
    })

  const inFlight = (number: number) =>
    Effect.map(index.inFlight, (all) =>
      all.flatMap((each) => {
        const key = Index.keyOf(each.tenant, each.saga, each.id)
        return placement.shardOf(key) === number ? [key] : []
      }))

  const work = (shard: Shard) => {
    const own: OwnShard = { keys: new Set(), latch: Effect.unsafeMakeLatch(false) }
    let known = false
    const part = Effect.suspend(() =>
      known ? turn(own, shard) : Effect.map(inFlight(shard.number), (keys) => {
        known = true
        for (const key of keys) own.keys.add(key)
        tookAll(own)
      })
    )
    const all = keepOn(
      `shard ${shard.number} of the sagas`,
      again,
      (reset) => Effect.forever(Effect.zipRight(part, reset))
    )
    return Effect.scoped(
      Effect.zipRight(
        Effect.acquireRelease(
          Effect.sync(() => fleet.owned.set(shard.number, own)),
          () => leave(shard.number)
        ),
        Effect.zipRight(
          Effect.orDie(alarms.serve(shard.number, (key) => own.keys.add(key) && own.latch.unsafeOpen())),
          all
        )
      )
    )
  }

  /** Ends all that runs because of a shard; the next one has it when that has ended. */
  const leave = (number: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const isOf = (key: string): boolean => placement.shardOf(key) === number
      fleet.owned.delete(number)
      for (const key of Array.from(fleet.parked.keys())) if (isOf(key)) fleet.parked.delete(key)
      const runners = Array.from(fleet.runners).filter(([key]) => isOf(key))
      // none of them writes once the first has ended
      for (const [, runner] of runners) runner.closed = true
      for (const [key, runner] of runners) fleet.letGo(key, runner)
      const leaving = Array.from(fleet.leaving).filter(([key]) => isOf(key))
      return Effect.forEach(leaving, ([, left]) => Deferred.await(left), { discard: true })
    })

  return { run: placement.run(work), recovered: Deferred.await(recovered) }
}
