/** Projections over PostgreSQL, where transactions run side by side and each process has connections of its own. */
import { SqlClient } from "@effect/sql"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Redacted, Ref, Scope, Stream } from "effect"
import * as ProjectionParking from "effect-skald/cqrs/ProjectionParking"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionContext from "effect-skald/cqrs/ProjectionContext"
import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
import * as ProjectionTakeOver from "effect-skald/cqrs/ProjectionTakeOver"
import * as Postgres from "effect-skald/Postgres"
import { EventStore } from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import * as Database from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const put = (wallet: string, ...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append(wallet, amounts.map((amount) => Deposited({ amount }))), ({ position }) => position)
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
const head = Effect.flatMap(EventStore, (store) => store.head)

const tableOf = (generation: number) => `rows_${generation}`
const create = (generation: number) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`CREATE TABLE ${sql(tableOf(generation))} (position int8, amount int4, who text)`
  )
const drop = (generation: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP TABLE IF EXISTS ${sql(tableOf(generation))}`)

/** A row for each event, by generation; `who` tells the process, `bad` what is refused now. */
const tableAs = (who: string, bad: ReadonlySet<number> = new Set()) =>
  Projection.handler("table", {
    events: [Deposited],
    handle: Projection.each(({ amount }, { position }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`INSERT INTO ${sql(tableOf(yield* ProjectionContext.Generation))} ${
          sql.insert({ position, amount, who })
        }`
        if (bad.has(amount)) return yield* Effect.fail(`not ${amount}`)
      })
    )
  })
const Table = tableAs("one")

const amounts = (generation: number) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Effect.map(
        sql<{ amount: number }>`SELECT amount FROM ${sql(tableOf(generation))} ORDER BY position, ctid`,
        (rows) => rows.map(({ amount }) => amount)
      )
  )

Servers.suite("postgres", "Projections over PostgreSQL", (postgres) => {
  /** Every service in a database of its own; built again, another process of it. */
  const processes = Effect.map(
    Database.database(postgres),
    (url) => Postgres.layer({ url: Redacted.make(url), maxConnections: 8 })
  )
  const process = Effect.flatMap(processes, (layer) => Layer.build(layer))

  it.scopedLive(
    "inline, under many that append at once: a row for each event, and none for what was refused",
    () =>
      Effect.gen(function*() {
        const layer = yield* processes
        const refusing = tableAs("one", new Set(numbers(0, 60).filter((n) => n % 10 === 7)))
        const one = yield* Layer.build(layer)
        yield* Effect.provide(Effect.zipRight(put("old", 900, 901), create(0)), one)
        const running = Layer.provideMerge(Projection.layerInline(refusing), layer)
        const apps = [yield* Layer.build(Layer.fresh(running)), yield* Layer.build(Layer.fresh(running))]
        const answers = yield* Effect.forEach(
          numbers(0, 60),
          (n) => Effect.either(Effect.provide(put(`${n % 23}`, n), apps[n % 2]!)),
          { concurrency: 5 }
        )
        equal(answers.map(({ _tag }) => _tag === "Left"), numbers(0, 60).map((n) => n % 10 === 7))
        const found = yield* Effect.provide(amounts(0), one)
        equal([...found].sort((a, b) => a - b), [...numbers(0, 60).filter((n) => n % 10 !== 7), 900, 901])
      }),
    60_000
  )

  it.scopedLive(
    "what fails is parked, with its stream, in the transaction of the others' rows, and retried",
    () =>
      Effect.gen(function*() {
        const services = yield* process
        yield* Effect.gen(function*() {
          const bad = new Set([13])
          const parking = tableAs("one", bad)
          yield* create(0)
          yield* put("a", 1, 13, 14)
          yield* put("b", 2)
          yield* Projection.catchUp(parking, { onFailure: "park" })
          equal(yield* amounts(0), [1, 2])
          equal((yield* ProjectionParking.list(parking)).map(({ problem, reason }) => [reason, problem]), [
            ["failed", "not 13"],
            ["behind", ""]
          ])
          equal(yield* ProjectionParking.retry(parking), { done: 0, gone: 0, left: 2 })
          includes((yield* ProjectionParking.list(parking))[0]!, { attempts: 2 })
          bad.clear()
          // two who retry at once: each event once
          const retried = yield* Effect.all([ProjectionParking.retry(parking), ProjectionParking.retry(parking)], {
            concurrency: 2
          })
          assert.strictEqual(retried[0].done + retried[1].done, 2)
          equal(yield* amounts(0), [1, 13, 14, 2])
        }).pipe(Effect.provide(services))
      }),
    60_000
  )

  it.scopedLive(
    "rebuilt while it runs and appends go on: the new model has each event once, and no query misses one",
    () =>
      Effect.gen(function*() {
        const layer = yield* processes
        const one = yield* Layer.build(layer)
        yield* Effect.provide(Effect.zipRight(create(0), put("a", ...numbers(0, 800))), one)
        const runner = yield* Layer.build(Layer.fresh(Layer.provideMerge(Projection.layerAsync(Table), layer)))
        yield* Effect.provide(Effect.flatMap(head, (at) => Projection.awaitPosition(Table, at)), runner)
        const next = yield* Ref.make(800)
        const appending = yield* Effect.forkScoped(
          Effect.forever(Effect.flatMap(Ref.getAndUpdate(next, (n) => n + 1), (n) => put(`${n % 5}`, n))).pipe(
            Effect.provide(one)
          )
        )
        const counts = yield* Ref.make<ReadonlyArray<number>>([])
        const asking = yield* Effect.forkScoped(
          Effect.forever(Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            const [row] = yield* sql.withTransaction(Effect.gen(function*() {
              yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
              const generation = yield* ProjectionRebuild.generation(Table)
              return yield* sql<{ count: string }>`SELECT count(*) AS count FROM ${sql(tableOf(generation))}`
            }))
            yield* Ref.update(counts, (all) => [...all, Number(row!.count)])
          })).pipe(Effect.provide(one))
        )
        // the old table stays: a query of an older snapshot may be reading it
        const told = yield* Stream.runLast(ProjectionRebuild.rebuild(Table, {
          prepare: (generation) => Effect.zipRight(drop(generation), create(generation))
        })).pipe(Effect.provide(one))
        includes(Option.getOrThrow(told), { phase: "swapped", generation: 1 })
        yield* Effect.sleep("200 millis")
        yield* Fiber.interrupt(appending)
        yield* Fiber.interrupt(asking)
        yield* Effect.gen(function*() {
          const at = yield* head
          yield* Projection.awaitPosition(Table, at)
          const expected = Array.from(
            yield* Stream.runCollect(Wallets.readAll()),
            ({ payload }) => payload.amount
          )
          assert.isAbove(expected.length, 801)
          equal(yield* amounts(1), expected)
          const old = yield* amounts(0)
          equal(old, expected.slice(0, old.length))
          const seen = yield* counts
          assert.isAbove(seen.length, 2)
          equal(seen, [...seen].sort((a, b) => a - b), "no query sees fewer rows than one before it")
        }).pipe(Effect.provide(runner))
      }),
    120_000
  )

  it.scopedLive(
    "two processes run one projection: when one ends the other goes on, each row once, in order",
    () =>
      Effect.gen(function*() {
        const layer = yield* processes
        const one = yield* Layer.build(layer)
        yield* Effect.provide(create(0), one)
        const scopes: Array<Scope.CloseableScope> = []
        for (const who of ["one", "other"]) {
          const scope = yield* Scope.make()
          yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
          scopes.push(scope)
          yield* Layer.buildWithScope(
            Layer.fresh(
              Layer.provideMerge(ProjectionTakeOver.layer(tableAs(who), { lease: { ttl: "1 second" } }), layer)
            ),
            scope
          )
          if (who === "one") yield* Effect.sleep("100 millis")
        }
        const wait = (count: number): Effect.Effect<void, unknown, SqlClient.SqlClient> =>
          Effect.flatMap(
            amounts(0),
            (found) => found.length >= count ? Effect.void : Effect.zipRight(Effect.sleep("20 millis"), wait(count))
          )
        yield* Effect.gen(function*() {
          yield* put("a", ...numbers(0, 50))
          yield* wait(50)
          yield* Scope.close(scopes[0]!, Exit.void)
          yield* put("a", ...numbers(50, 100))
          yield* Effect.timeout(wait(100), "10 seconds")
          equal(yield* amounts(0), numbers(0, 100))
          const sql = yield* SqlClient.SqlClient
          equal(yield* sql`SELECT who, count(*)::int4 AS rows FROM rows_0 GROUP BY who ORDER BY who`, [
            { who: "one", rows: 50 },
            { who: "other", rows: 50 }
          ])
        }).pipe(Effect.provide(one))
      }),
    60_000
  )
})
