import { assert, it } from "@effect/vitest"
import * as Position from "effect-skald/event/Position"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { Lease } from "effect-skald/store/Lease"
import { type Parked, ParkedEvents } from "effect-skald/store/ParkedEvents"
import * as RedisCheckpoints from "effect-skald/store/RedisCheckpoints"
import * as RedisClient from "effect-skald/store/RedisClient"
import * as RedisLeases from "effect-skald/store/RedisLeases"
import * as RedisParkedEvents from "effect-skald/store/RedisParkedEvents"
import * as RedisSnapshots from "effect-skald/store/RedisSnapshots"
import type { Fingerprint } from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import * as CheckpointStoreConformance from "effect-skald/testing/CheckpointStoreConformance"
import * as LeaseConformance from "effect-skald/testing/LeaseConformance"
import * as ParkedEventsConformance from "effect-skald/testing/ParkedEventsConformance"
import * as SnapshotStoreConformance from "effect-skald/testing/SnapshotStoreConformance"
import { Context, DateTime, Deferred, Duration, Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Servers from "../support/servers.ts"
import * as Server from "../support/redis.ts"

Servers.suite("redis", "Snapshots, checkpoints, leases and parked events in Redis", (url) => {
  const client = RedisClient.layer({ url })
  const prefix = Server.prefix(url)
  const fresh = <S>(layer: (prefix: string) => Layer.Layer<S, unknown, RedisClient.RedisClient>) =>
    Layer.unwrapScoped(Effect.map(prefix, (name) => Layer.provideMerge(layer(name), client)))

  SnapshotStoreConformance.suite("Redis", { layer: fresh((prefix) => RedisSnapshots.layer({ prefix })), numRuns: 20 })
  CheckpointStoreConformance.suite("Redis", {
    layer: fresh((prefix) => RedisCheckpoints.layer({ prefix })),
    numRuns: 20
  })
  LeaseConformance.suite("Redis", {
    layer: fresh((prefix) => RedisLeases.layer({ prefix, clock: "process" })),
    numRuns: 15
  })

  ParkedEventsConformance.suite("Redis", {
    layer: fresh((prefix) => RedisParkedEvents.layer({ prefix })),
    numRuns: 20
  })

  const keyOf = (prefix: string, key: string) => `{${prefix}}:${key}`
  /** An entry as it is kept. */
  const entryOf = (entry: Partial<Parked>): string =>
    JSON.stringify({
      stream: "s",
      id: "i",
      type: "T",
      reason: "failed",
      problem: "",
      attempts: 1,
      parkedAt: 0,
      ...entry
    })
  const spoiled = (prefix: string, ...command: readonly [string, ...Array<string>]) =>
    Effect.flatMap(RedisClient.RedisClient, (client) =>
      Effect.promise(() => {
        const [name, key = "", ...args] = command
        return client.call(name, keyOf(prefix, key), ...args)
      }))

  it.scoped("what others have put in the place of a snapshot, a checkpoint, a lease or a parked event is a typed failure", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const layer = Layer.mergeAll(
        RedisSnapshots.layer({ prefix: name }),
        RedisCheckpoints.layer({ prefix: name }),
        RedisLeases.layer({ prefix: name }),
        RedisParkedEvents.layer({ prefix: name })
      ).pipe(Layer.provideMerge(client))
      yield* Effect.gen(function*() {
        const snapshots = yield* SnapshotStore
        const checkpoints = yield* CheckpointStore
        const leases = yield* Lease
        const fingerprint = "f" as Fingerprint
        yield* spoiled(name, "hset", "snapshot:s", "f", "what")
        yield* spoiled(name, "hset", "checkpoints", "c", "what")
        yield* spoiled(name, "hset", "lease:l", "token", "what")
        yield* spoiled(name, "set", "lease:m", "what")
        const parkedEvents = yield* ParkedEvents
        yield* spoiled(name, "hset", "parked:p", "1", "{\"stream\":\"s\"}")
        yield* spoiled(name, "hset", "parked:q", "what", entryOf({}))
        yield* spoiled(name, "hset", "parked-held:q", "2", "what")
        yield* spoiled(name, "set", "parked:r", "what")
        const savedAt = yield* DateTime.now
        const failures = yield* Effect.all([
          Effect.flip(snapshots.load("s", fingerprint)),
          Effect.flip(snapshots.save({
            key: "s",
            fingerprint,
            version: Position.StreamVersion.make(1),
            state: "1",
            savedAt
          })),
          Effect.flip(checkpoints.get("c")),
          Effect.flip(checkpoints.commit("c", {
            expected: undefined,
            next: Position.Position.make(1),
            effect: Effect.void
          })),
          Effect.flip(leases.tryAcquire("l")),
          Effect.flip(leases.tryAcquire("m")),
          Effect.flip(parkedEvents.list("p")),
          Effect.flip(parkedEvents.failedAgain("p", 1, "no")),
          Effect.flip(parkedEvents.list("q")),
          Effect.flip(parkedEvents.remove("q", [2])),
          Effect.flip(parkedEvents.list("r"))
        ])
        for (const error of failures) assert.deepInclude({ ...error }, { _tag: "StoreError", reason: "corrupt" })
      }).pipe(Effect.provide(layer))
    }))

  it.scopedLive("of two processes that move a checkpoint at once the second is told of the conflict", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const layer = RedisCheckpoints.layer({ prefix: name }).pipe(Layer.provide(Layer.fresh(client)))
      const open = Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, CheckpointStore))
      const one = yield* open
      const two = yield* open
      const entered = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const slow = yield* Effect.fork(Effect.flip(one.commit("p", {
        expected: undefined,
        next: Position.Position.make(5),
        effect: Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(release))
      })))
      yield* Deferred.await(entered)
      yield* two.commit("p", { expected: undefined, next: Position.Position.make(7), effect: Effect.void })
      yield* Deferred.succeed(release, undefined)
      assert.deepInclude({ ...(yield* Fiber.join(slow)) as any }, { _tag: "CheckpointConflict", actual: 7 })
      assert.deepStrictEqual(yield* one.get("p"), Option.some(Position.Position.make(7)))
    }))

  it.scopedLive("an entry that a process held which has died is free when its time is over, and not before", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      yield* Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* spoiled(name, "hset", "parked:p", "1", entryOf({}))
        const [seconds, micros] = yield* Effect.flatMap(
          RedisClient.RedisClient,
          (client) => Effect.promise(() => client.time())
        )
        const until = seconds! * 1_000 + Math.floor(micros! / 1_000) + 300
        yield* spoiled(name, "hset", "parked-held:p", "1", `${until} somebody`)
        const began = process.hrtime.bigint()
        const entries = yield* store.list("p")
        assert.lengthOf(entries, 1, "it stands there until then")
        assert.strictEqual(yield* store.remove("p", [1]), 1)
        assert.isAtLeast(Number(process.hrtime.bigint() - began) / 1e6, 250)
        assert.deepStrictEqual(yield* store.list("p"), [])
        assert.strictEqual(yield* store.remove("p", [1]), 0)
      }).pipe(Effect.provide(Layer.provideMerge(RedisParkedEvents.layer({ prefix: name }), client)))
    }))

  it.scopedLive("who works on an entry for long keeps it, and its stream stands still until the end", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      yield* Effect.gen(function*() {
        const store = yield* ParkedEvents
        const other = yield* Effect.map(
          Layer.build(RedisParkedEvents.layer({ prefix: name }).pipe(Layer.provide(Layer.fresh(client)))),
          (context) => Context.get(context, ParkedEvents)
        )
        yield* spoiled(name, "hset", "parked:p", "1", entryOf({}))
        const entered = yield* Deferred.make<void>()
        const worked = yield* Effect.fork(store.atomically(
          store.remove("p", [1]).pipe(
            Effect.tap(() => Deferred.succeed(entered, undefined)),
            Effect.tap(() => Effect.sleep(Duration.sum(RedisParkedEvents.heldFor, "1 second")))
          )
        ))
        yield* Deferred.await(entered)
        assert.lengthOf(yield* other.list("p"), 1)
        const second = yield* Effect.fork(other.remove("p", [1]))
        assert.strictEqual(yield* Fiber.join(worked), 1)
        assert.strictEqual(yield* Fiber.join(second), 0)
        assert.deepStrictEqual(yield* other.list("p"), [])
      }).pipe(Effect.provide(Layer.provideMerge(RedisParkedEvents.layer({ prefix: name }), client)))
    }))

  it.scoped("the server's clock counts, whatever that of the process says", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      yield* Effect.gen(function*() {
        const leases = yield* Lease
        const own = yield* Scope.make()
        const held = Option.getOrThrow(yield* Scope.extend(leases.tryAcquire("work", { renewEvery: "1 hour" }), own))
        yield* TestClock.adjust("4 seconds")
        yield* held.check
        assert.isTrue(Option.isNone(yield* leases.tryAcquire("work")))
        yield* spoiled(name, "hset", "lease:work", "until", "1")
        const next = Option.getOrThrow(yield* leases.tryAcquire("work"))
        assert.strictEqual(next.token, held.token + 1)
        assert.strictEqual((yield* Effect.flip(held.check))._tag, "LeaseLost")
        yield* Scope.close(own, Exit.void)
        yield* next.check
      }).pipe(Effect.provide(Layer.provideMerge(RedisLeases.layer({ prefix: name }), client)))
    }))

  it.scopedLive("a holder that was killed is replaced at once, one that lives is not", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [
            "--import",
            "tsx",
            fileURLToPath(new URL("../support/redisLeaseHolder.ts", import.meta.url)),
            url,
            name,
            "work"
          ], { stdio: ["ignore", "pipe", "inherit"] })
        ),
        (child) => Effect.sync(() => void child.kill("SIGKILL"))
      )
      const token = yield* Effect.promise(() => once(child.stdout, "data").then(([data]) => Number(String(data))))
      yield* Effect.gen(function*() {
        const leases = yield* Lease
        assert.isTrue(Option.isNone(yield* leases.tryAcquire("work")))
        yield* Effect.promise(() => {
          const exited = once(child, "exit")
          child.kill("SIGKILL")
          return exited
        })
        const held = Option.getOrThrow(yield* leases.tryAcquire("work"))
        assert.strictEqual(held.token, token + 1)
        yield* held.check
      }).pipe(Effect.provide(Layer.provide(RedisLeases.layer({ prefix: name }), client)))
    }), 90_000)
})
