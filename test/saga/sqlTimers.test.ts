import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import * as SqlTimers from "effect-skald/saga/SqlTimers"
import { type Timer, Timers } from "effect-skald/saga/Timers"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Clock, Context, Deferred, Effect, Exit, Layer, Scope, TestClock, TestServices } from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

type Services = Timers | SqlClient.SqlClient

/** A new database of timers, opened once more each time. */
interface Place {
  readonly open: Layer.Layer<Services, unknown>
  readonly table: string
}

const live = (millis: number) => TestServices.provideLive(Effect.sleep(millis))

const until = (isSo: () => boolean) =>
  Effect.iterate(0, { while: (looks) => looks < 400 && !isSo(), body: (looks) => Effect.as(live(5), looks + 1) })

const work = (id: string, at: number) => ({ namespace: "work", id, at })

/** Serves the namespace, and keeps what comes. */
const watch = (context: Context.Context<Services>) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    yield* Effect.flatMap(Timers, (timers) =>
      timers.serve("work", (due) =>
        Effect.sync(() => {
          seen.push(...due.map(({ id }) => id))
        }))).pipe(Effect.provide(context))
    return seen
  })

const set = (
  context: Context.Context<Services>,
  ...timers: ReadonlyArray<{ readonly id: string; readonly at: number }>
) =>
  Effect.flatMap(Timers, (service) => service.setAll(timers.map(({ at, id }) => work(id, at)))).pipe(
    Effect.provide(context)
  )

const count = (context: Context.Context<Services>) =>
  Effect.provide(Effect.flatMap(Timers, (timers) => timers.count("work")), context)

const onSql = (newPlace: Effect.Effect<Place, never, Scope.Scope>) => {
  it.scoped("what is set or cancelled in a transaction belongs to it, also where it was due before the commit", () =>
    Effect.gen(function*() {
      const { open } = yield* newPlace
      const context = yield* Layer.build(open)
      const seen = yield* watch(context)
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const timers = yield* Timers
        yield* timers.setAll([work("kept", 1_000), work("cancelled", 1_000)])
        yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* timers.set(work("rolled back", 500))
          yield* timers.cancel("work", "kept")
          return yield* Effect.fail("no")
        })))
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* timers.set(work("early", 200))
          yield* timers.cancel("work", "cancelled")
          // its instant passes while the transaction is open
          yield* TestClock.adjust(300)
          yield* live(20)
          assert.deepStrictEqual(seen, [])
        }))
        for (let step = 0; step < 10; step++) yield* Effect.zipRight(TestClock.adjust(100), live(10))
        yield* until(() => seen.length >= 2)
      }).pipe(Effect.provide(context))
      assert.deepStrictEqual(seen, ["early", "kept"])
    }))

  it.scoped("timers outlive the process: those that were due meanwhile come at once", () =>
    Effect.gen(function*() {
      const { open } = yield* newPlace
      yield* Effect.scoped(Effect.flatMap(Layer.build(Layer.fresh(open)), (context) =>
        set(context, { id: "past", at: 1_000 }, { id: "future", at: 90_000 })))
      yield* TestClock.adjust("1 minutes")
      const context = yield* Layer.build(Layer.fresh(open))
      const seen = yield* watch(context)
      yield* until(() =>
        seen.length > 0
      )
      assert.deepStrictEqual(seen, ["past"])
      yield* TestClock.adjust("30 seconds")
      yield* until(() => seen.length > 1)
      assert.deepStrictEqual(seen, ["past", "future"])
    }))

  it.scoped("what a dead process had claimed is free when a process of its machine starts", () =>
    Effect.gen(function*() {
      const { open, table } = yield* newPlace
      const first = yield* Layer.build(Layer.fresh(open))
      const started = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* Effect.flatMap(
        Timers,
        (timers) => timers.serve("work", () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
      ).pipe(
        Effect.provide(first),
        Scope.extend(scope)
      )
      yield* set(first, { id: "a", at: 0 }, { id: "b", at: 0 })
      yield* Deferred.await(started)
      // as if the process that holds them had had our id before us
      const sql = Context.get(first, SqlClient.SqlClient)
      const [row] = yield* sql<{ claim: string }>`SELECT claim FROM ${sql(table)} WHERE claim IS NOT NULL`
      const [id, pid, , ...machine] = row!.claim.split(" ")
      yield* sql`UPDATE ${sql(table)} SET claim = ${[id, pid, "1", ...machine].join(" ")}, claimable_at = ${1e12}`
      const second = yield* Layer.build(Layer.fresh(open))
      const seen = yield* watch(second)
      yield* until(() => seen.length >= 2)
      assert.deepStrictEqual(seen, ["a", "b"])
      yield* Scope.close(scope, Exit.void)
    }))

  it.scoped("a claim that ran out is another's; whoever had it removes nothing that was set or claimed since", () =>
    Effect.gen(function*() {
      const { open, table } = yield* newPlace
      const context = yield* Layer.build(open)
      const sql = Context.get(context, SqlClient.SqlClient)
      const [started, go] = [yield* Deferred.make<ReadonlyArray<Timer>>(), yield* Deferred.make<void>()]
      yield* Effect.flatMap(
        Timers,
        (timers) => timers.serve("work", (due) => Effect.zipRight(Deferred.succeed(started, due), Deferred.await(go)))
      ).pipe(
        Effect.provide(context)
      )
      yield* set(context, { id: "taken over", at: 0 }, { id: "mine", at: 0 })
      assert.strictEqual((yield* Deferred.await(started)).length, 2)
      yield* sql`UPDATE ${sql(table)} SET claim = 'another', claimable_at = ${1e12} WHERE id = 'taken over'`
      yield* Deferred.succeed(go, undefined)
      for (let looks = 0; looks < 400 && (yield* count(context)) > 1; looks++) yield* live(5)
      const left = yield* sql<{ id: string; claim: string }>`SELECT id, claim FROM ${sql(table)}`
      assert.deepStrictEqual(left.map(({ claim, id }) => [id, claim]), [["taken over", "another"]])
    }))
}

describe("SqlTimers on SQLite", () => {
  onSql(Effect.map(tempFile(), (filename) => ({
    open: SqlTimers.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename }))),
    table: "skald_timers"
  })))

  it.effect("bad options are refused", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Layer.build(SqlTimers.layer({ pollInterval: 0 })).pipe(
          Effect.scoped,
          Effect.provide(SqliteClient.layer({ filename: ":memory:" }))
        )
      )
      assert.strictEqual(error._tag, "InvalidInput")
    }))
})

Servers.suite("postgres", "SqlTimers on PostgreSQL", (url) => {
  const place = Effect.map(Postgres.prefix(url), (prefix): Place => ({
    open: Layer.provideMerge(SqlTimers.layer({ prefix }), Postgres.client(url)),
    table: `${prefix}timers`
  }))
  onSql(place)

  it.scopedLive(
    "processes share a namespace, each timer to one of them, and hear of what others set",
    () =>
      Effect.gen(function*() {
        const { open } = yield* place
        const contexts = yield* Effect.all(Array.from({ length: 3 }, () => Layer.build(Layer.fresh(open))))
        const seen = yield* Effect.forEach(contexts.slice(1), watch)
        const now = yield* Clock.currentTimeMillis
        // the first process sets, and does not serve
        yield* set(contexts[0]!, ...Array.from({ length: 600 }, (_, n) => ({ id: `t${n}`, at: now + n % 300 })))
        for (let looks = 0; looks < 1_000 && seen.flat().length < 600; looks++) yield* Effect.sleep(5)
        yield* Effect.sleep(50)
        assert.strictEqual(seen.flat().length, 600)
        assert.strictEqual(new Set(seen.flat()).size, 600)
        assert.isTrue(seen.every((some) => some.length > 0))
      }),
    30_000
  )
})
