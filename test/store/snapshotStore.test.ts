import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Position, StreamVersion } from "effect-skald/event/Position"
import * as Snapshot from "effect-skald/store/Snapshot"
import { layerMemory, SnapshotStore } from "effect-skald/store/SnapshotStore"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqlSnapshots from "effect-skald/store/SqlSnapshots"
import * as SnapshotStoreConformance from "effect-skald/testing/SnapshotStoreConformance"
import { DateTime, Duration, Effect, Either, FastCheck as fc, Layer, Option, Schema } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const sqlite = (filename: string, options?: SqlSnapshots.Options, client?: Partial<SqliteClient.Options>) =>
  SqlSnapshots.layer(options).pipe(Layer.provideMerge(SqliteClient.layer({ filename, ...client })))

SnapshotStoreConformance.suite("memory", { layer: layerMemory })
SnapshotStoreConformance.suite("SQLite in memory", { layer: sqlite(":memory:") })
SnapshotStoreConformance.suite("SQLite in a file", {
  layer: Layer.unwrapScoped(Effect.map(tempFile(), (filename) => sqlite(filename))),
  numRuns: 30
})

Servers.suite("postgres", "Snapshots in PostgreSQL", (url) => {
  const layer = Layer.unwrapScoped(
    Effect.map(
      Postgres.prefix(url),
      (prefix) => Layer.provideMerge(SqlSnapshots.layer({ prefix }), Postgres.client(url))
    )
  )
  SnapshotStoreConformance.suite("PostgreSQL", { layer, numRuns: 20 })

  it.effect("join the caller's transaction", () => Effect.provide(joinsTransaction, layer))

  it.scoped("several who start at once make the tables once; a newer version's, and a bad prefix, are refused", () =>
    Effect.gen(function*() {
      const prefix = yield* Postgres.prefix(url)
      const open = Layer.provideMerge(SqlSnapshots.layer({ prefix }), Layer.fresh(Postgres.client(url)))
      yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.scoped(Layer.build(open)), {
        concurrency: "unbounded"
      })
      yield* Effect.provide(save, open)
      const loaded = Option.getOrThrow(yield* Effect.provide(load, open))
      assert.deepStrictEqual(loaded, stored)
      yield* Effect.provide(
        Effect.flatMap(
          SqlClient.SqlClient,
          (sql) =>
            sql`INSERT INTO ${sql(`${prefix}migrations`)} ${sql.insert({ service: "snapshots", id: 99, name: "x" })}`
        ),
        Postgres.client(url)
      )
      assert.include((yield* Effect.flip(Effect.provide(load, open))).message, "newer")
      for (const prefix of ["", "1a", "Upper_", "a\"; DROP TABLE x; --", "pg_x", "a".repeat(41)]) {
        const bad = Layer.provideMerge(SqlSnapshots.layer({ prefix }), Postgres.client(url))
        assert.strictEqual((yield* Effect.flip(Effect.provide(load, bad)))._tag, "InvalidInput", prefix)
      }
    }))
})

const stored = {
  key: "account-1",
  fingerprint: Snapshot.Fingerprint.make("account/1/aa"),
  version: StreamVersion.make(100),
  position: Position.make(2 ** 40),
  state: "{\"cents\":7}",
  savedAt: DateTime.unsafeMake(0)
}

const load = Effect.flatMap(SnapshotStore, (store) => store.load(stored.key, stored.fingerprint))
const save = Effect.flatMap(SnapshotStore, (store) => store.save(stored))

const joinsTransaction = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.ignore(sql.withTransaction(Effect.zipRight(save, Effect.fail("no"))))
  assert.isTrue(Option.isNone(yield* load))
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* save
    assert.isTrue(Option.isSome(yield* load))
  }))
  assert.isTrue(Option.isSome(yield* load))
})

describe("SqlSnapshots on SQLite", () => {
  it.scoped("survive closing, and open in a read-only file", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* Effect.provide(save, sqlite(filename))
      assert.deepStrictEqual(Option.getOrThrow(yield* Effect.provide(load, sqlite(filename))), stored)
      const readonly = sqlite(filename, {}, { readonly: true })
      assert.isTrue(Option.isSome(yield* Effect.provide(load, readonly)))
      const error = yield* Effect.flip(Effect.provide(save, readonly))
      assert.deepInclude(error, { _tag: "StoreError", reason: "readOnly", operation: "SnapshotStore.save" })
      const missing = yield* tempFile()
      yield* Effect.scoped(Layer.build(SqliteClient.layer({ filename: missing })))
      const refused = yield* Effect.flip(Effect.provide(load, sqlite(missing, {}, { readonly: true })))
      assert.deepInclude(refused, { _tag: "StoreError", reason: "readOnly" })
    }))

  it.scoped("join the caller's transaction", () =>
    Effect.flatMap(tempFile(), (filename) => Effect.provide(joinsTransaction, sqlite(filename))))

  it.scoped("tables with another prefix are apart; a prefix that is no name, and tables of a newer version, are refused", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* Effect.provide(save, sqlite(filename))
      assert.isTrue(Option.isNone(yield* Effect.provide(load, sqlite(filename, { prefix: "other_" }))))
      for (const prefix of ["", "1a", "a b", "a\"; DROP TABLE x; --", "sqlite_x", "ä", "a".repeat(64)]) {
        const error = yield* Effect.flip(Effect.provide(load, sqlite(filename, { prefix })))
        assert.strictEqual(error._tag, "InvalidInput", prefix)
      }
      yield* Effect.provide(
        Effect.flatMap(
          SqlClient.SqlClient,
          (sql) => sql`INSERT INTO skald_migrations ${sql.insert({ service: "snapshots", id: 99, name: "future" })}`
        ),
        SqliteClient.layer({ filename })
      )
      const newer = yield* Effect.flip(Effect.provide(load, sqlite(filename)))
      assert.strictEqual(newer._tag, "StoreError")
      assert.include(newer.message, "newer")
    }))

  it.scoped("several openings at once migrate once", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.scoped(Layer.build(sqlite(filename))), {
        concurrency: "unbounded"
      })
      yield* Effect.provide(save, sqlite(filename))
    }))

  it.scoped("a full file and use after close are typed", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const [client, store] = yield* Effect.scoped(
        Effect.gen(function*() {
          const client = yield* SqliteClient.SqliteClient
          const store = yield* SnapshotStore
          client.writer.pragma(`max_page_count = ${client.writer.pragma("page_count", { simple: true })}`)
          const error = yield* Effect.flip(store.save({ ...stored, state: "x".repeat(100_000) }))
          assert.deepInclude(error, { _tag: "StoreError", reason: "full" })
          client.writer.pragma("max_page_count = 100000")
          assert.isTrue(yield* store.save(stored))
          return [client, store] as const
        }).pipe(Effect.provide(sqlite(filename)))
      )
      assert.isFalse(client.writer.open)
      assert.deepInclude(yield* Effect.flip(store.load(stored.key, stored.fingerprint)), { reason: "closed" })
      assert.deepInclude(yield* Effect.flip(store.save(stored)), { reason: "closed" })
    }))
})

describe("Snapshot: policies", () => {
  const situation = (options: Partial<Snapshot.Situation>): Snapshot.Situation => ({
    version: 1,
    sinceEvents: 1,
    lastSavedAt: undefined,
    now: DateTime.unsafeMake(0),
    ...options
  })

  it("every n counts since the last one, however appends cross it", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 1, max: 30 })), (n, appends) => {
      const policy = Snapshot.every(n)
      let version = 0
      let last = 0
      for (const events of appends) {
        version += events
        const due = version - last >= n
        assert.strictEqual(policy(situation({ version, sinceEvents: version - last })), due)
        if (due) last = version
      }
    }))
    // From 9 to 12 past 10: one, and the next not before 22.
    const policy = Snapshot.every(10)
    assert.deepStrictEqual([9, 12, 3, 9, 10].map((sinceEvents) => policy(situation({ sinceEvents }))), [
      false,
      true,
      false,
      false,
      true
    ])
    assert.isFalse(Snapshot.every()(situation({ sinceEvents: Snapshot.defaultEvery - 1 })))
    assert.isTrue(Snapshot.every()(situation({ sinceEvents: Snapshot.defaultEvery })))
  })

  it("refuses a number that counts nothing", () => {
    for (const events of [0, -1, 1.5, NaN, Infinity, "3" as never]) {
      assert.throws(() => Snapshot.every(events), /events/)
    }
  })

  it("by age, custom, never, or, and", () => {
    const now = DateTime.unsafeMake(10_000)
    const saved = (secondsAgo: number) => DateTime.subtract(now, { seconds: secondsAgo })
    const byAge = Snapshot.byAge(Duration.seconds(5))
    assert.isTrue(byAge(situation({ now })))
    assert.isFalse(byAge(situation({ now, lastSavedAt: saved(4) })))
    assert.isTrue(byAge(situation({ now, lastSavedAt: saved(5) })))
    assert.isFalse(byAge(situation({ now, lastSavedAt: saved(5), sinceEvents: 0 })), "nothing happened since")
    const even = Snapshot.custom(({ version }) => version % 2 === 0)
    assert.deepStrictEqual([1, 2].map((version) => even(situation({ version }))), [false, true])
    fc.assert(fc.property(fc.boolean(), fc.boolean(), (a, b) => {
      const [left, right] = [Snapshot.custom(() => a), Snapshot.custom(() => b)]
      assert.strictEqual(Snapshot.or(left, right)(situation({})), a || b)
      assert.strictEqual(
        left.call(undefined, situation({})) && right(situation({})),
        Snapshot.and(right)(left)(situation({}))
      )
      assert.strictEqual(Snapshot.or(Snapshot.never)(left)(situation({})), a)
    }))
  })
})

describe("Snapshot: fingerprints", () => {
  const of = (schema: Schema.Schema.AnyNoContext, name = "n", version = 1) =>
    Either.getOrThrow(Snapshot.fingerprint(name, version, schema))

  interface Tree {
    readonly value: number
    readonly trees: ReadonlyArray<Tree>
  }
  const Tree: Schema.Schema<Tree> = Schema.Struct({
    value: Schema.Number,
    trees: Schema.Array(Schema.suspend(() => Tree))
  }).annotations({ identifier: "Tree" })

  it("are equal for what is stored alike", () => {
    const base = Schema.Struct({ a: Schema.Number, b: Schema.optional(Schema.String) })
    assert.strictEqual(of(base), of(Schema.Struct({ b: Schema.optional(Schema.String), a: Schema.Number })))
    assert.strictEqual(of(base), of(base.annotations({ title: "T", description: "D" })))
    assert.strictEqual(of(Schema.Struct({ at: Schema.Date })), of(Schema.Struct({ at: Schema.String })))
    class State extends Schema.Class<State>("State")({ a: Schema.Number, b: Schema.optional(Schema.String) }) {}
    assert.strictEqual(of(base), of(State))
    assert.strictEqual(of(Tree), of(Tree))
  })

  it("differ for every change of name, version or what is stored", () => {
    const schemas: ReadonlyArray<Schema.Schema.AnyNoContext> = [
      Schema.Number,
      Schema.String,
      Tree,
      Schema.Struct({}),
      Schema.Struct({ a: Schema.Number }),
      Schema.Struct({ a: Schema.String }),
      Schema.Struct({ a: Schema.optional(Schema.Number) }),
      Schema.Struct({ a: Schema.NullOr(Schema.Number) }),
      Schema.Struct({ b: Schema.Number }),
      Schema.Struct({ title: Schema.Number }),
      Schema.Struct({ description: Schema.Number }),
      Schema.Struct({ default: Schema.Number }),
      Schema.Struct({ ["__proto__"]: Schema.Number }),
      Schema.Literal("a", "b"),
      Schema.Literal("a", "c"),
      Schema.Tuple(Schema.Number, Schema.String),
      Schema.Tuple(Schema.String, Schema.Number),
      Schema.Array(Schema.Number)
    ]
    const all = [...schemas.map((schema) => of(schema)), of(Schema.Number, "m"), of(Schema.Number, "n", 2)]
    assert.strictEqual(new Set(all).size, all.length)
  })

  it("are refused where the encoded side is no JSON", () => {
    for (
      const schema of [
        Schema.DateFromSelf,
        Schema.BigIntFromSelf,
        Schema.Struct({ deep: Schema.Array(Schema.SymbolFromSelf) }),
        Schema.HashMapFromSelf({ key: Schema.String, value: Schema.Number })
      ]
    ) {
      const refused = Either.flip(Snapshot.fingerprint<any, any, never>("orders", 1, schema as never))
      const error = Either.getOrThrow(refused)
      assert.strictEqual(error._tag, "NoJsonSchema")
      assert.include(error.message, "orders")
    }
  })
})
