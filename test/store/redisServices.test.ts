import { assert, it } from "@effect/vitest"
import * as Position from "effect-skald/event/Position"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { Lease } from "effect-skald/store/Lease"
import * as RedisCheckpoints from "effect-skald/store/RedisCheckpoints"
import * as RedisClient from "effect-skald/store/RedisClient"
import * as RedisLeases from "effect-skald/store/RedisLeases"
import * as RedisSnapshots from "effect-skald/store/RedisSnapshots"
import type { Fingerprint } from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import * as CheckpointStoreConformance from "effect-skald/testing/CheckpointStoreConformance"
import * as LeaseConformance from "effect-skald/testing/LeaseConformance"
import * as SnapshotStoreConformance from "effect-skald/testing/SnapshotStoreConformance"
import { Context, DateTime, Deferred, Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Servers from "../support/servers.ts"
import * as Server from "../support/redis.ts"

Servers.suite("redis", "Snapshots, checkpoints and leases in Redis", (url) => {
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

  const keyOf = (prefix: string, key: string) => `{${prefix}}:${key}`
  const spoiled = (prefix: string, ...command: readonly [string, ...Array<string>]) =>
    Effect.flatMap(RedisClient.RedisClient, (client) =>
      Effect.promise(() => {
        const [name, key = "", ...args] = command
        return client.call(name, keyOf(prefix, key), ...args)
      }))

  it.scoped("what others have put in the place of a snapshot, a checkpoint or a lease is a typed failure", () =>
    Effect.gen(function*() {
      const name = yield* prefix
      const layer = Layer.mergeAll(
        RedisSnapshots.layer({ prefix: name }),
        RedisCheckpoints.layer({ prefix: name }),
        RedisLeases.layer({ prefix: name })
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
          Effect.flip(leases.tryAcquire("m"))
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
    }), 30_000)
})
