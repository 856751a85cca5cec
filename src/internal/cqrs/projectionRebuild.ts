import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { withoutSideEffects } from "../../cqrs/ProjectionContext.ts"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import type { HandlerOptions, Progress, Rebuild } from "../../cqrs/ProjectionRebuild.ts"
import type { Position, StreamVersion } from "../../event/Position.ts"
import { CheckpointConflict, CheckpointStore } from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"
import * as Faults from "../faults.ts"
import { open } from "./projectionOpen.ts"
import { filterOf, project } from "./projectionRunner.ts"
import * as Site from "./projectionSite.ts"
import type { Work } from "./projectionWork.ts"

type Options = HandlerOptions<any, any>

/** What differs between the models: how one is begun, how it takes the place of another, how it is thrown away. */
interface Model {
  /** The position that the one that answers has kept; `undefined` where it has none, and need not be waited for. */
  readonly answering: Effect.Effect<number | undefined, unknown, any>
  readonly prepare: Effect.Effect<unknown, unknown, any>
  /** Brings the new one to where it must be, and swaps; `false` where somebody moved meanwhile, and it must be tried again. */
  readonly swap: (catchUpTo: (position: number) => Effect.Effect<void, unknown, any>) => Effect.Effect<
    boolean,
    unknown,
    any
  >
  readonly discard: Effect.Effect<unknown, unknown, any>
}

export const position = (self: Projection.Any) =>
  Effect.gen(function*() {
    const site = yield* Site.live(self)
    if (self._tag === "State") {
      const snapshots = yield* SnapshotStore
      const kept = yield* snapshots.load(yield* Site.snapshotKey(self, site), Site.fingerprintOf(self))
      return Option.match(kept, { onNone: () => 0, onSome: ({ version }) => version as number })
    }
    const checkpoints = yield* CheckpointStore
    return Option.getOrElse(yield* checkpoints.get(yield* Site.checkpointName(self, site)), () => 0)
  })

const modelOfState = (
  self: Projection.Projection<string, any, any>,
  from: number
): Effect.Effect<Model, unknown, any> =>
  Effect.gen(function*() {
    const snapshots = yield* SnapshotStore
    const store = yield* EventStore
    const pointer = yield* Site.generationName(self)
    const built = yield* Site.snapshotKey(self, { generation: from + 1, shard: "" })
    return {
      answering: Effect.sync(() => undefined),
      prepare: Effect.void,
      swap: (catchUpTo) =>
        Effect.gen(function*() {
          yield* catchUpTo(yield* store.head)
          const savedAt = yield* DateTime.now
          const version = (from + 1) as StreamVersion
          yield* snapshots.save({ key: pointer, fingerprint: Site.fingerprintOf(self), version, state: "", savedAt })
          return true
        }),
      discard: snapshots.remove(built)
    }
  })

const modelOfHandler = (
  self: Projection.Handler<string, any, any, any>,
  from: number,
  options: Options
): Effect.Effect<Model, unknown, any> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const store = yield* EventStore
    const pointer = yield* Site.generationName(self)
    const old = yield* Site.checkpointName(self, { generation: from, shard: "" })
    const built = yield* Site.checkpointName(self, { generation: from + 1, shard: "" })
    const answering = Effect.map(checkpoints.get(old), Option.getOrUndefined)
    const start = 0 as Position
    if (Option.isSome(yield* checkpoints.get(yield* Site.shardsName(self)))) {
      const faults = Faults.make()
      faults.add("projection", `${self.name} is sharded: it is projected anew by another version of it`)
      yield* Faults.orInvalid(faults, () => undefined)
    }
    return {
      answering,
      prepare: Effect.gen(function*() {
        const expected = yield* checkpoints.get(built)
        if (Option.isSome(expected) && expected.value > 0) return
        yield* checkpoints.commit(built, { expected, next: start, effect: options.prepare?.(from + 1) ?? Effect.void })
      }),
      swap: (catchUpTo) =>
        Effect.gen(function*() {
          const expected = yield* answering
          const point = checkpoints.commit(pointer, {
            expected: from === 0 ? undefined : from as Position,
            next: (from + 1) as Position,
            effect: Effect.zipRight(
              expected === undefined ? Effect.flatMap(store.head, catchUpTo) : catchUpTo(expected),
              options.swap?.({ from, to: from + 1 }) ?? Effect.void
            )
          })
          if (expected === undefined) {
            yield* point
            return true
          }
          // Whoever projects into the old model is held off first, and finds its checkpoint moved: not one event of it is
          // projected after the new model was brought to the same position.
          const swapped = yield* Effect.either(checkpoints.commit(old, { expected, next: start, effect: point }))
          if (swapped._tag === "Right") {
            yield* checkpoints.remove(old)
            return true
          }
          if (swapped.left instanceof CheckpointConflict && swapped.left.name === old) return false
          return yield* Effect.fail(swapped.left)
        }),
      discard: Effect.gen(function*() {
        const expected = yield* checkpoints.get(built)
        yield* checkpoints.commit(built, { expected, next: start, effect: options.discard?.(from + 1) ?? Effect.void })
        yield* checkpoints.remove(built)
      })
    }
  })

export const start = (self: Projection.Any, options: Options = {}): Effect.Effect<Rebuild<any>, unknown, any> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const from = yield* Site.generation(self)
    const generation = from + 1
    const model = yield* self._tag === "State" ? modelOfState(self, from) : modelOfHandler(self, from, options)
    if (options.anew === true) yield* model.discard
    yield* model.prepare
    const reopen = open(self, { generation, shard: "" }, { saveEvery: options.saveEvery })
    let work: Work = yield* reopen
    const began = { position: work.position, at: yield* Clock.currentTimeMillis }
    let events = 0
    let total = 0
    const latch = yield* Effect.makeLatch(true)
    let paused = false

    const progress = (phase: Progress["phase"]): Effect.Effect<Progress> =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const seconds = (now - began.at) / 1000
        const rate = seconds > 0 ? (work.position - began.position) / seconds : 0
        const left = Math.max(0, total - work.position)
        return {
          phase,
          done: work.position,
          total: Math.max(total, work.position),
          rate,
          remaining: left === 0 ? Duration.zero : rate > 0 ? Duration.seconds(left / rate) : undefined,
          events,
          generation
        }
      })
    const look = Effect.flatMap(
      model.answering,
      (answering) =>
        Effect.map(answering === undefined ? store.head : Effect.succeed(answering), (target) => {
          total = target
        })
    )
    yield* look
    const state = yield* SubscriptionRef.make(yield* progress("rebuilding"))
    const tell = (phase: Progress["phase"]) => Effect.flatMap(progress(phase), (now) => SubscriptionRef.set(state, now))

    const catchUpTo = (target: number) =>
      Effect.gen(function*() {
        if (work.position >= target) return
        yield* project(
          work,
          options,
          () => store.readAll({ ...filterOf(self), after: work.position, to: target }),
          (count) => {
            events += count
            return Effect.zipRight(tell(paused ? "paused" : "rebuilding"), latch.await)
          }
        )
        yield* work.caughtUp(target)
        yield* work.keep
      })

    /** Near first, while everybody goes on; the last step holds others off, and is short. */
    const run = Effect.gen(function*() {
      while (true) {
        yield* look
        yield* latch.await
        yield* catchUpTo(total)
        const before = total
        yield* look
        if (total - before > 1_000) continue
        yield* latch.await
        if (yield* model.swap(catchUpTo)) break
        // what the swap had committed of it was taken back
        work = yield* reopen
      }
      yield* tell("swapped")
      yield* Site.tellSwapped(self)
    })

    const ended = yield* Deferred.make<Progress, unknown>()
    const failed = yield* Deferred.make<never, unknown>()
    const fiber = yield* withoutSideEffects(run).pipe(
      Effect.onExit((exit) =>
        Exit.isSuccess(exit)
          ? Effect.flatMap(SubscriptionRef.get(state), (last) => Deferred.succeed(ended, last))
          : Cause.isInterruptedOnly(exit.cause)
          ? Effect.void
          : Effect.zipRight(Deferred.failCause(ended, exit.cause), Deferred.failCause(failed, exit.cause))
      ),
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      progress: state.changes.pipe(
        Stream.takeUntil(({ phase }) => phase === "swapped" || phase === "cancelled"),
        Stream.interruptWhenDeferred(failed)
      ),
      pause: Effect.suspend(() => {
        paused = true
        return Effect.zipRight(latch.close, tellIf(ended, tell("paused")))
      }),
      resume: Effect.suspend(() => {
        paused = false
        return Effect.zipRight(latch.open, tellIf(ended, tell("rebuilding")))
      }),
      cancel: Effect.gen(function*() {
        yield* Fiber.interrupt(fiber)
        // it may have been swapped in, and not been told of
        if ((yield* Deferred.isDone(ended)) || (yield* Site.generation(self)) !== from) return
        yield* model.discard
        yield* tell("cancelled")
        yield* Deferred.succeed(ended, yield* SubscriptionRef.get(state))
      }).pipe(Effect.provide(yield* Effect.context<any>())),
      ended: Deferred.await(ended)
    } satisfies Rebuild<any>
  })

/** Nothing is told of what has ended. */
const tellIf = (ended: Deferred.Deferred<any, any>, tell: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(Deferred.isDone(ended), (done) => done ? Effect.void : tell)

export const rebuild = (self: Projection.Any, options?: Options) =>
  Stream.unwrapScoped(Effect.map(start(self, options), ({ progress }) => progress))
