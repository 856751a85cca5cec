import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Service, Shard } from "../../saga/Placement.ts"
import type * as Lease from "../../store/Lease.ts"
import { shardOf } from "../../cqrs/ProjectionShards.ts"
import * as Faults from "../faults.ts"

/** How often in a row others have to be seen before anything moves to them: one who looks seems to be there for a moment. */
const sightings = 3

/** A shard, and the scope of all that is done because it is ours; the lease goes last. */
interface Owned {
  readonly shard: Shard
  readonly scope: Scope.CloseableScope
}

interface Board {
  readonly service: Service
  readonly isOwned: (number: number) => boolean
  readonly count: () => number
  readonly add: (owned: Owned) => Effect.Effect<void>
  /** Stops what is done for a shard, and lets it go. */
  readonly drop: (number: number, token: number) => Effect.Effect<void>
  readonly numbers: () => ReadonlyArray<readonly [number: number, token: number]>
}

/** What is owned, and what runs because of that. */
const makeBoard = (shards: number): Effect.Effect<Board, never, Scope.Scope> =>
  Effect.gen(function*() {
    const owned = new Map<number, Owned>()
    const works = new Set<(owned: Owned) => Effect.Effect<void>>()
    const list = (): ReadonlyArray<Shard> =>
      [...owned.values()].map(({ shard }) => shard).sort((a, b) => a.number - b.number)
    const current = yield* SubscriptionRef.make(list())
    const tell = Effect.suspend(() => SubscriptionRef.set(current, list()))

    const run: Service["run"] = (work) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const context = yield* Effect.context<any>()
        const fibers = new Set<Fiber.RuntimeFiber<unknown>>()
        const start = ({ scope, shard }: Owned) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.forkIn(
              Effect.interruptible(Effect.provide(Effect.suspend(() => work(shard)), context)),
              scope
            )
            fibers.add(fiber)
            fiber.addObserver(() => fibers.delete(fiber))
          })
        works.add(start)
        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => {
            works.delete(start)
            return Fiber.interruptAll(fibers)
          })
        )
        for (const each of owned.values()) yield* start(each)
      }))

    const drop: Board["drop"] = (number, token) =>
      Effect.suspend(() => {
        const each = owned.get(number)
        if (each === undefined || each.shard.token !== token) return Effect.void
        owned.delete(number)
        return Effect.zipRight(tell, Scope.close(each.scope, Exit.void))
      }).pipe(Effect.uninterruptible)

    yield* Effect.addFinalizer(() =>
      Effect.forEach([...owned.values()], ({ shard }) => drop(shard.number, shard.token), {
        concurrency: "unbounded",
        discard: true
      })
    )

    return {
      service: {
        shards,
        shardOf: (saga) => shardOf(saga, shards),
        isMine: (saga) => Effect.sync(() => owned.has(shardOf(saga, shards))),
        owned: Effect.sync(list),
        changes: current.changes,
        run
      },
      isOwned: (number) => owned.has(number),
      count: () => owned.size,
      numbers: () => [...owned.values()].map(({ shard }) => [shard.number, shard.token] as const),
      add: (each) =>
        Effect.gen(function*() {
          owned.set(each.shard.number, each)
          for (const start of works) yield* start(each)
          yield* tell
        }),
      drop
    }
  })

export const single: Effect.Effect<Service, never, Scope.Scope> = Effect.gen(function*() {
  const board = yield* makeBoard(1)
  const scope = yield* Scope.make()
  yield* board.add({ scope, shard: { number: 0, token: 1, lost: Effect.never, check: Effect.void } })
  return board.service
})

export const make = (
  leases: Lease.Service,
  options: {
    readonly name: string
    readonly shards: number
    readonly ttl: Duration.DurationInput
    readonly lookEvery: number
  }
): Effect.Effect<Service, InvalidInput, Scope.Scope> =>
  Effect.gen(function*() {
    const { name, shards, ttl } = yield* check(options)
    const board = yield* makeBoard(shards)
    const layerScope = yield* Effect.scope
    const lease = (part: string, scope: Scope.Scope) =>
      Scope.extend(leases.tryAcquire(`${name}/${part}`, { ttl }), scope)

    /** Takes a shard that nobody has. */
    const take = (number: number) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const exit = yield* Effect.exit(lease(`shard/${number}`, scope))
        if (Exit.isFailure(exit) || Option.isNone(exit.value)) {
          yield* Scope.close(scope, Exit.void)
          return yield* Exit.asVoid(exit)
        }
        const { check, lost, token } = exit.value.value
        yield* board.add({ scope, shard: { number, token, lost, check } })
        yield* Effect.forkIn(
          Effect.interruptible(Effect.flip(lost)).pipe(Effect.zipRight(board.drop(number, token))),
          layerScope
        )
      }))

    // The leases that say who takes part: as many places as shards, since more processes than that have nothing to do.
    let place: { readonly number: number; readonly scope: Scope.CloseableScope } | undefined
    const leave = Effect.suspend(() => {
      const left = place
      place = undefined
      return left === undefined ? Effect.void : Scope.close(left.scope, Exit.void)
    })
    yield* Effect.addFinalizer(() => leave)

    /** Whether somebody else has a place; takes it where it is free and we have none. */
    const lookAt = (number: number) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const exit = yield* Effect.exit(lease(`member/${number}`, scope))
        if (Exit.isSuccess(exit) && Option.isSome(exit.value) && place === undefined) {
          const own = { number, scope }
          place = own
          yield* Effect.forkIn(
            Effect.interruptible(Effect.flip(exit.value.value.lost)).pipe(
              Effect.zipRight(Effect.suspend(() => place === own ? leave : Effect.void))
            ),
            layerScope
          )
          return false
        }
        yield* Scope.close(scope, Exit.void)
        return Option.isNone(yield* exit)
      }))

    let others = 0
    let seenMore = 0
    const look = Effect.gen(function*() {
      let seen = 0
      for (let number = 0; number < shards; number++) {
        if (number !== place?.number && (yield* lookAt(number))) seen++
      }
      seenMore = seen > others ? seenMore + 1 : 0
      if (seen < others || seenMore >= sightings) {
        others = seen
        seenMore = 0
      }
      const share = place === undefined ? 0 : Math.ceil(shards / (1 + others))
      const tooMany = board.numbers().slice(share)
      for (const [number, token] of tooMany) yield* board.drop(number, token)
      if (tooMany.length > 0) return
      // from another number on than others, who look at the same time
      const from = (place?.number ?? 0) * share
      for (let offset = 0; offset < shards && board.count() < share; offset++) {
        const number = (from + offset) % shards
        if (!board.isOwned(number)) yield* take(number)
      }
    })

    yield* Effect.forever(Effect.gen(function*() {
      yield* Effect.catchAll(look, (error) => Effect.logWarning("shards could not be looked for", error))
      yield* Effect.sleep(options.lookEvery * (0.8 + 0.4 * (yield* Random.next)))
    })).pipe(Effect.interruptible, Effect.forkScoped)
    return board.service
  })

const check = (options: {
  readonly name: string
  readonly shards: number
  readonly ttl: Duration.DurationInput
  readonly lookEvery: number
}) =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const nameProblem = Faults.nameProblem(options.name, 256)
    if (nameProblem !== undefined) faults.add("name", nameProblem)
    const shardsProblem = Faults.countProblem(options.shards, 1) ??
      (options.shards > 256 ? `must be at most 256, got ${options.shards}` : undefined)
    if (shardsProblem !== undefined) faults.add("shards", shardsProblem)
    if (!(options.lookEvery >= 10 && options.lookEvery <= 1e9)) {
      faults.add("lookEvery", `must be at least 10 ms and finite, got ${options.lookEvery} ms`)
    }
    return Faults.orInvalid(faults, () => options)
  })
