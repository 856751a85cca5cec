import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Position } from "effect-skald/event/Position"
import { CheckpointStore, layerMemory } from "effect-skald/store/CheckpointStore"
import { Lease } from "effect-skald/store/Lease"
import * as SqliteCheckpoints from "effect-skald/store/SqliteCheckpoints"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqliteLeases from "effect-skald/store/SqliteLeases"
import * as CheckpointStoreConformance from "effect-skald/testing/CheckpointStoreConformance"
import { Effect, Layer, Option, TestClock } from "effect"
import { tempFile } from "../support/tempDirectory.ts"

const sqlite = (filename: string) =>
  Layer.mergeAll(SqliteCheckpoints.layer(), SqliteLeases.layer()).pipe(
    Layer.provideMerge(SqliteClient.layer({ filename }))
  )

const inFile = Layer.unwrapScoped(Effect.map(tempFile(), sqlite))

CheckpointStoreConformance.suite("memory", { layer: layerMemory })
CheckpointStoreConformance.suite("SQLite in memory", { layer: sqlite(":memory:") })
CheckpointStoreConformance.suite("SQLite in a file", { layer: inFile, numRuns: 30 })

const at = Position.make

/** A read model in a user's table. */
const readModel = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS revenue (cents INTEGER NOT NULL)`
  return {
    add: (cents: number) => sql`INSERT INTO revenue VALUES (${cents})`,
    all: Effect.map(sql<{ cents: number }>`SELECT cents FROM revenue`, (rows) => rows.map((row) => row.cents))
  }
})

describe("SqliteCheckpoints", () => {
  it.effect("the read model and the checkpoint are one transaction", () =>
    Effect.gen(function*() {
      const store = yield* CheckpointStore
      const { add, all } = yield* readModel
      yield* store.commit("p", { expected: undefined, next: at(1), effect: add(10) })
      yield* Effect.flip(
        store.commit("p", { expected: at(1), next: at(2), effect: Effect.zipRight(add(20), Effect.fail("no")) })
      )
      yield* Effect.flip(store.commit("p", { expected: at(7), next: at(8), effect: add(30) }))
      const sqlError = yield* Effect.flip(
        store.commit("p", {
          expected: at(1),
          next: at(2),
          effect: Effect.flatMap(SqlClient.SqlClient, (sql) =>
            Effect.zipRight(add(40), sql`INSERT INTO nowhere VALUES (1)`))
        })
      )
      assert.strictEqual(sqlError._tag, "SqlError", "an error of the effect stays what it was")
      assert.deepStrictEqual(yield* all, [10])
      assert.deepStrictEqual(yield* store.get("p"), Option.some(at(1)))
    }).pipe(Effect.provide(inFile)))

  it.effect("joins the caller's transaction", () =>
    Effect.gen(function*() {
      const store = yield* CheckpointStore
      const sql = yield* SqlClient.SqlClient
      const { add, all } = yield* readModel
      yield* Effect.ignore(sql.withTransaction(Effect.gen(function*() {
        yield* store.commit("p", { expected: undefined, next: at(1), effect: add(10) })
        assert.deepStrictEqual(yield* store.get("p"), Option.some(at(1)))
        return yield* Effect.fail("no")
      })))
      assert.isTrue(Option.isNone(yield* store.get("p")))
      assert.deepStrictEqual(yield* all, [])
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* add(1)
        yield* Effect.ignore(
          store.commit("p", { expected: undefined, next: at(1), effect: Effect.zipRight(add(2), Effect.fail("no")) })
        )
        yield* store.commit("p", { expected: undefined, next: at(2), effect: add(3) })
      }))
      assert.deepStrictEqual(yield* all, [1, 3])
      assert.deepStrictEqual(yield* store.get("p"), Option.some(at(2)))
    }).pipe(Effect.provide(inFile)))

  it.scoped("one who lost his lease writes nothing, although he does not know", () =>
    Effect.gen(function*() {
      const store = yield* CheckpointStore
      const leases = yield* Lease
      const { add, all } = yield* readModel
      const sleepy = Option.getOrThrow(yield* leases.tryAcquire("p", { renewEvery: "1 days" }))
      yield* store.commit("p", { expected: undefined, next: at(1), effect: add(1), fence: sleepy.check })
      yield* TestClock.adjust("6 seconds")
      const next = Option.getOrThrow(yield* leases.tryAcquire("p"))
      const error = yield* Effect.flip(
        store.commit("p", { expected: at(1), next: at(2), effect: add(666), fence: sleepy.check })
      )
      assert.strictEqual(error._tag, "LeaseLost")
      yield* store.commit("p", { expected: at(1), next: at(2), effect: add(2), fence: next.check })
      assert.deepStrictEqual(yield* all, [1, 2])
    }).pipe(Effect.provide(inFile)))

  it.scoped("survives closing; two openings of one file cannot both move from one place", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const commit = (expected: number | undefined, next: number) =>
        Effect.flatMap(CheckpointStore, (store) =>
          store.commit("p", {
            expected: expected === undefined ? undefined : at(expected),
            next: at(next),
            effect: Effect.void
          })).pipe(Effect.either, Effect.provide(sqlite(filename)))
      yield* commit(undefined, 5)
      const moves = yield* Effect.all([commit(5, 6), commit(5, 7), commit(5, 8)], { concurrency: "unbounded" })
      assert.strictEqual(moves.filter((move) => move._tag === "Right").length, 1)
    }))
})
