/** Snapshots, checkpoints, leases and parked events in PostgreSQL whose connections are cut under load. */
import { SqlClient } from "@effect/sql"
import { assert, it } from "@effect/vitest"
import * as Position from "effect-skald/event/Position"
import type { StreamId } from "effect-skald/event/StreamId"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { Lease } from "effect-skald/store/Lease"
import { ParkedEvents } from "effect-skald/store/ParkedEvents"
import type { Fingerprint } from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import * as SqlCheckpoints from "effect-skald/store/SqlCheckpoints"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import * as SqlParkedEvents from "effect-skald/store/SqlParkedEvents"
import * as SqlSnapshots from "effect-skald/store/SqlSnapshots"
import type { StoreError } from "effect-skald/store/StoreError"
import { DateTime, Effect, Either, Layer, Option, Schedule } from "effect"
import { equal } from "../support/assert.ts"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"

const fingerprint = "f" as Fingerprint
const at = DateTime.unsafeMake(0)

Servers.suite("postgres", "services in PostgreSQL whose connections are cut", (url) => {
  /** A database of its own, what cuts every connection to it, and the services over it. */
  const setUp = (retry?: Schedule.Schedule<unknown, StoreError>) =>
    Effect.gen(function*() {
      const database = yield* Database.database(url)
      const name = new URL(database).pathname.slice(1)
      const admin = yield* Database.connection(url)
      const cut = Effect.promise(() =>
        admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name])
      ).pipe(Effect.map(({ rows }) => rows.length))
      const services = Layer.mergeAll(
        SqlSnapshots.layer({ retry }),
        SqlCheckpoints.layer({ retry }),
        SqlLeases.layer({ retry }),
        SqlParkedEvents.layer({ retry })
      ).pipe(Layer.provideMerge(Database.client(database, { maxConnections: 6 })))
      return { cut, context: yield* Layer.build(services) }
    })

  it.scopedLive("what may be done twice is tried again, and nobody notices", () =>
    Effect.gen(function*() {
      const { context, cut } = yield* setUp()
      let isOver = false
      const cuts = yield* Effect.fork(
        Effect.iterate(0, {
          while: () => !isOver,
          body: (sum) => Effect.map(Effect.delay(cut, "60 millis"), (count) => sum + count)
        })
      )
      const rounds = 30
      const work = (worker: number) =>
        Effect.gen(function*() {
          const snapshots = yield* SnapshotStore
          const checkpoints = yield* CheckpointStore
          const leases = yield* Lease
          const parked = yield* ParkedEvents
          const key = `worker ${worker}`
          for (let n = 1; n <= rounds; n++) {
            const version = Position.StreamVersion.make(n)
            yield* snapshots.save({ key, fingerprint, version, state: String(n), savedAt: at })
            const snapshot = Option.getOrThrow(yield* snapshots.load(key, fingerprint))
            equal([snapshot.version, snapshot.state], [n, String(n)])
            equal(yield* checkpoints.get(key), Option.none())
            yield* checkpoints.remove(key)
            yield* parked.add(key, [{
              position: Position.Position.make(n),
              stream: "s" as StreamId,
              tenant: undefined,
              id: String(n),
              type: "T",
              reason: "failed",
              problem: "",
              attempts: 1,
              parkedAt: at
            }])
            assert.lengthOf(yield* parked.list(key), n)
            if (n % 10 === 0) {
              yield* Effect.scoped(Effect.gen(function*() {
                // an answer that is lost may leave it taken; it runs out
                const held = yield* leases.acquire(`${key}/${n}`, {
                  ttl: "2 seconds",
                  retry: Schedule.spaced("50 millis")
                })
                yield* held.check
              }))
            }
          }
          yield* snapshots.remove(key)
          equal(yield* snapshots.load(key, fingerprint), Option.none())
        })
      yield* Effect.forEach([1, 2, 3, 4], work, { concurrency: "unbounded", discard: true }).pipe(
        Effect.provide(context),
        Effect.ensuring(Effect.sync(() => isOver = true))
      )
      assert.isAbove(yield* cuts, 10)
    }), 60_000)

  it.scopedLive("as the Schedule that was given says, and never inside a transaction", () =>
    Effect.gen(function*() {
      let tries = 0
      const { context, cut } = yield* setUp(
        Schedule.recurs(3).pipe(Schedule.tapInput(() => Effect.sync(() => void tries++)))
      )
      yield* Effect.gen(function*() {
        const checkpoints = yield* CheckpointStore
        const sql = yield* SqlClient.SqlClient
        // each statement is cut while it runs, by itself
        yield* sql`ALTER TABLE skald_checkpoints RENAME TO kept`
        yield* sql`CREATE FUNCTION cutting() RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT pg_terminate_backend(pg_backend_pid())'`
        yield* sql`CREATE VIEW skald_checkpoints AS SELECT 'p'::text AS name, 1::int8 AS position WHERE cutting()`
        const failed = yield* Effect.flip(checkpoints.get("p"))
        assert.deepInclude({ ...failed }, { _tag: "StoreError", reason: "unavailable" })
        assert.strictEqual(tries, 4, "once, and three times more; the last failure is shown to the Schedule, too")
        yield* sql`DROP VIEW skald_checkpoints`
        yield* sql`ALTER TABLE kept RENAME TO skald_checkpoints`
        equal(yield* checkpoints.get("p"), Option.none())
        tries = 0
        const inside = yield* Effect.either(
          sql.withTransaction(Effect.gen(function*() {
            yield* checkpoints.get("p")
            yield* cut
            return yield* Effect.flip(checkpoints.get("p"))
          })).pipe(Effect.catchAllDefect((defect) => Effect.fail(defect)))
        )
        assert.isTrue(Either.isLeft(inside) || (inside.right as StoreError).reason === "unavailable")
        assert.strictEqual(tries, 0)
        // what the effect did is not done twice: of a commit whose connection is cut one is told
        let effects = 0
        const commit = Effect.flip(checkpoints.commit("p", {
          expected: undefined,
          next: Position.Position.make(1),
          effect: Effect.zipRight(Effect.sync(() => void effects++), cut)
        }))
        // where the pool has not yet heard that a connection was cut before, nothing is begun on it
        const committed = yield* Effect.repeat(commit, { until: () => effects > 0, times: 10 })
        assert.strictEqual(committed._tag, "StoreError")
        assert.strictEqual(effects, 1)
        equal(yield* checkpoints.get("p"), Option.none())
      }).pipe(Effect.provide(context))
    }), 60_000)
})
