import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Position } from "effect-skald/event/Position"
import { CheckpointStore, layerMemory } from "effect-skald/store/CheckpointStore"
import { Lease } from "effect-skald/store/Lease"
import * as SqlCheckpoints from "effect-skald/store/SqlCheckpoints"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import * as CheckpointStoreConformance from "effect-skald/testing/CheckpointStoreConformance"
import { Context, Effect, Layer, Option, type Scope, TestClock } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const sqlite = (filename: string) =>
  Layer.mergeAll(SqlCheckpoints.layer(), SqlLeases.layer()).pipe(
    Layer.provideMerge(SqliteClient.layer({ filename }))
  )

const inFile = Layer.unwrapScoped(Effect.map(tempFile(), sqlite))

CheckpointStoreConformance.suite("memory", { layer: layerMemory })
CheckpointStoreConformance.suite("SQLite in memory", { layer: sqlite(":memory:") })
CheckpointStoreConformance.suite("SQLite in a file", { layer: inFile, numRuns: 30 })

const at = Position.make

/** A read model in a user's table. */
const readModelIn = (name: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const table = sql(name)
    yield* sql`CREATE TABLE IF NOT EXISTS ${table} (cents INTEGER NOT NULL)`
    return {
      add: (cents: number) => sql`INSERT INTO ${table} VALUES (${cents})`,
      all: Effect.map(sql<{ cents: number }>`SELECT cents FROM ${table}`, (rows) => rows.map((row) => row.cents))
    }
  })

class ReadModel extends Context.Tag("test/ReadModel")<
  ReadModel,
  Effect.Effect.Success<ReturnType<typeof readModelIn>>
>() {}

interface Database {
  /** The services, and a read model, in a new place. */
  readonly layer: Layer.Layer<CheckpointStore | Lease | ReadModel | SqlClient.SqlClient, unknown>
  /** Opens one place, again and again. */
  readonly place: Effect.Effect<Layer.Layer<CheckpointStore, unknown>, never, Scope.Scope>
}

const onSql = ({ layer, place }: Database) => {
  it.effect("the read model and the checkpoint are one transaction", () =>
    Effect.gen(function*() {
      const store = yield* CheckpointStore
      const { add, all } = yield* ReadModel
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
    }).pipe(Effect.provide(layer)))

  it.effect("joins the caller's transaction", () =>
    Effect.gen(function*() {
      const store = yield* CheckpointStore
      const sql = yield* SqlClient.SqlClient
      const { add, all } = yield* ReadModel
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
    }).pipe(Effect.provide(layer)))

  it.scoped("one who lost his lease writes nothing, although he does not know", () =>
    Effect.gen(function*() {
      const store = yield* CheckpointStore
      const leases = yield* Lease
      const { add, all } = yield* ReadModel
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
    }).pipe(Effect.provide(layer)))

  it.scoped("survives closing; two openings of one database cannot both move from one place", () =>
    Effect.gen(function*() {
      const opened = yield* place
      const commit = (expected: number | undefined, next: number) =>
        Effect.flatMap(CheckpointStore, (store) =>
          store.commit("p", {
            expected: expected === undefined ? undefined : at(expected),
            next: at(next),
            effect: Effect.void
          })).pipe(Effect.either, Effect.provide(Layer.fresh(opened)))
      yield* commit(undefined, 5)
      const moves = yield* Effect.all([commit(5, 6), commit(5, 7), commit(5, 8)], { concurrency: "unbounded" })
      assert.strictEqual(moves.filter((move) => move._tag === "Right").length, 1)
    }))
}

const withReadModel = (name: string) => Layer.effect(ReadModel, readModelIn(name))

describe("SqlCheckpoints on SQLite", () => {
  onSql({
    layer: Layer.provideMerge(withReadModel("revenue"), inFile),
    place: Effect.map(tempFile(), sqlite)
  })
})

Servers.suite("postgres", "Checkpoints in PostgreSQL", (url) => {
  const open = (prefix: string) =>
    Layer.mergeAll(SqlCheckpoints.layer({ prefix }), SqlLeases.layer({ prefix, clock: "process" })).pipe(
      Layer.provideMerge(Postgres.client(url))
    )
  const layer = Layer.unwrapScoped(
    Effect.map(Postgres.prefix(url), (prefix) => Layer.provideMerge(withReadModel(`${prefix}revenue`), open(prefix)))
  )
  CheckpointStoreConformance.suite("PostgreSQL", { layer, numRuns: 15 })
  onSql({ layer, place: Effect.map(Postgres.prefix(url), open) })
})
