import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import * as Idempotency from "effect-skald/resilience/Idempotency"
import * as SqlIdempotency from "effect-skald/resilience/SqlIdempotency"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Ref,
  Schema,
  type Scope,
  TestClock
} from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { equal } from "../support/assert.ts"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { counting, Declined, type Place, reason, suite } from "./support/idempotency.ts"

/** The server's clock goes on while a test stands still, and the lease must not run out of itself. */
const numbers = { success: Schema.Number, lease: "1 minute" } as const

/** A process of its own: a connection and a service. */
interface Opened {
  readonly keys: Idempotency.Service
  readonly sql: SqlClient.SqlClient
}

interface Database {
  readonly prefix: string
  readonly open: Effect.Effect<Opened, never, Scope.Scope>
  readonly pass: (millis: number) => Effect.Effect<void>
  /** What another process needs to open it. */
  readonly where: readonly [kind: string, where: string]
}

const opened = <E>(client: Layer.Layer<SqlClient.SqlClient, E>, prefix: string): Database["open"] =>
  Layer.build(Layer.provideMerge(SqlIdempotency.layer({ prefix }), client)).pipe(
    Effect.orDie,
    Effect.map((context) => ({
      keys: Context.get(context, Idempotency.Idempotency),
      sql: Context.get(context, SqlClient.SqlClient)
    }))
  )

const sqlite: Effect.Effect<Database, never, Scope.Scope> = Effect.map(tempFile(), (filename) => ({
  prefix: "skald_",
  open: opened(SqliteClient.layer({ filename }), "skald_"),
  pass: TestClock.adjust,
  where: ["sqlite", filename]
}))

const postgres = (url: string): Effect.Effect<Database, never, Scope.Scope> =>
  Effect.gen(function*() {
    const prefix = yield* Postgres.prefix(url)
    const open = opened(Postgres.client(url, { maxConnections: 10 }), prefix)
    return {
      prefix,
      open,
      // The server's clock cannot be moved; its rows can. Time passes for those who wait here as well.
      pass: (millis) =>
        Effect.scoped(
          Effect.flatMap(open, ({ sql }) => sql`UPDATE ${sql(`${prefix}idempotency`)} SET until = until - ${millis}`)
        ).pipe(
          Effect.orDie,
          Effect.zipRight(TestClock.adjust(Math.min(millis, 1_000)))
        ),
      where: ["pg", url]
    }
  })

/** Another process that runs a key until it is killed. */
const holder = (database: Database, key: string) =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [
          "--import",
          "tsx",
          fileURLToPath(new URL("./support/holder.ts", import.meta.url)),
          ...database.where,
          database.prefix,
          key
        ], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    yield* Effect.promise(() =>
      Promise.race([
        once(child.stdout, "data"),
        once(child, "exit").then(([code]) => Promise.reject(new Error(`the holder ended with ${code}`)))
      ])
    )
    return {
      kill: Effect.promise(() => {
        const exited = once(child, "exit")
        child.kill("SIGKILL")
        return exited
      })
    }
  })

const tests = (database: Effect.Effect<Database, never, Scope.Scope>) => {
  suite(
    Effect.map(database, ({ open, pass }): Place => ({ open: Effect.map(open, ({ keys }) => keys), pass })),
    8
  )

  const test = <E>(
    name: string,
    body: (one: Opened, other: Opened, place: Database) => Effect.Effect<void, E, Scope.Scope>
  ) =>
    it.scoped(name, () =>
      Effect.gen(function*() {
        const place = yield* database
        const [one, other] = yield* Effect.all([place.open, place.open], { concurrency: 2 })
        yield* one.sql`CREATE TABLE ${one.sql(`${place.prefix}paid`)} (key text NOT NULL)`
        yield* body(one, other, place)
      }), 60_000)

  /** The application's own write, which must happen once. */
  const pay = ({ sql }: Opened, place: Database, key: string) =>
    Effect.as(sql`INSERT INTO ${sql(`${place.prefix}paid`)} (key) VALUES (${key})`, 1)
  const paid = ({ sql }: Opened, place: Database) =>
    Effect.map(
      sql<{ key: string }>`SELECT key FROM ${sql(`${place.prefix}paid`)} ORDER BY key`,
      (rows) => rows.map(({ key }) => key)
    )

  test("two processes and many fibers at once: each key runs once", (one, other, place) =>
    Effect.gen(function*() {
      const names = Array.from({ length: 12 }, (_, index) => `key ${String(index).padStart(2, "0")}`)
      const all = yield* Effect.fork(
        Effect.forEach(
          [...names, ...names, ...names],
          (name) =>
            Effect.forEach(
              [one, other],
              (process) =>
                process.keys.once(name, numbers)(Effect.zipRight(Effect.yieldNow(), pay(process, place, name))),
              { concurrency: 2 }
            ),
          { concurrency: "unbounded" }
        )
      )
      yield* advancing(all)
      equal(yield* paid(one, place), names)
    }))

  test(
    "in a transaction, key, result and the caller's rows are committed together, or none is",
    (one, other, place) =>
      Effect.gen(function*() {
        const once = one.keys.once("k", numbers)(pay(one, place, "k"))
        const failed = yield* Effect.exit(one.sql.withTransaction(Effect.zipRight(once, Effect.fail("rolled back"))))
        equal(failed, Exit.fail("rolled back"))
        equal(yield* paid(other, place), [])
        equal(yield* one.sql.withTransaction(once), 1)
        equal(yield* one.sql.withTransaction(once), 1)
        equal(yield* other.keys.once("k", numbers)(Effect.die("not again")), 1)
        equal(yield* paid(other, place), ["k"])
        // twice in one transaction
        const twice = other.keys.once("l", numbers)(pay(other, place, "l"))
        equal(yield* other.sql.withTransaction(Effect.all([twice, twice])), [1, 1])
        equal(yield* paid(one, place), ["k", "l"])
      })
  )

  test(
    "a failure, a defect or an interruption inside a transaction that goes on frees the key",
    (one, other, place) =>
      Effect.gen(function*() {
        const begun = yield* Deferred.make<void>()
        yield* one.sql.withTransaction(Effect.gen(function*() {
          const key = one.keys.once("k", { ...numbers, failure: Declined })
          yield* Effect.exit(key(Effect.fail("no")))
          yield* Effect.exit(key(Effect.die("no")))
          yield* Effect.exit(key(Effect.interrupt))
          equal(yield* key(pay(one, place, "k")), 1)
          // a failure that is kept is kept, if the transaction is
          yield* Effect.exit(
            one.keys.once("declined", { ...numbers, failure: Declined })(new Declined({ why: "no money" }))
          )
          yield* Deferred.succeed(begun, undefined)
        }))
        equal(yield* paid(other, place), ["k"])
        equal(
          yield* Effect.flip(other.keys.once("declined", { ...numbers, failure: Declined })(Effect.succeed(1))),
          new Declined({ why: "no money" })
        )
      })
  )

  test(
    "transactions of two processes with one key: the second waits for the first, and runs if that is rolled back",
    (one, other, place) =>
      Effect.gen(function*() {
        for (const outcome of ["commit", "rollback"] as const) {
          const begun = yield* Deferred.make<void>()
          const end = yield* Deferred.make<void, string>()
          const first = yield* Effect.fork(Effect.exit(one.sql.withTransaction(
            one.keys.once(outcome, numbers)(pay(one, place, `${outcome} one`)).pipe(
              Effect.zipLeft(Deferred.succeed(begun, undefined)),
              Effect.zipLeft(Deferred.await(end))
            )
          )))
          yield* Deferred.await(begun)
          const second = yield* Effect.fork(other.sql.withTransaction(
            other.keys.once(outcome, numbers)(pay(other, place, `${outcome} other`))
          ))
          yield* Effect.promise(turn).pipe(Effect.repeatN(20))
          assert.isTrue(Option.isNone(yield* Fiber.poll(second)), "it waits")
          yield* outcome === "commit" ? Deferred.succeed(end, undefined) : Deferred.fail(end, "no")
          yield* Fiber.join(first)
          yield* advancing(second)
        }
        equal(yield* paid(one, place), ["commit one", "rollback other"])
      })
  )

  test(
    "a transaction does not wait for a run outside of one, which might wait for it",
    (one, other) =>
      Effect.gen(function*() {
        const begun = yield* Deferred.make<void>()
        const run = yield* Effect.fork(
          one.keys.once("k", numbers)(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
        )
        yield* Deferred.await(begun)
        for (const { keys, sql } of [one, other]) {
          equal(
            yield* reason(
              Effect.orDie(sql.withTransaction(Effect.flip(keys.once("k", numbers)(Effect.succeed(1))))).pipe(
                Effect.flatMap((error) => Effect.fail(error as Idempotency.IdempotencyError))
              )
            ),
            "running"
          )
        }
        yield* Fiber.interrupt(run)
        equal(yield* other.sql.withTransaction(other.keys.once("k", numbers)(Effect.succeed(2))), 2)
      })
  )

  test(
    "a run whose key was taken from it is interrupted, and keeps nothing",
    (one, other, place) =>
      Effect.gen(function*() {
        const begun = yield* Deferred.make<void>()
        const interrupted = yield* Ref.make(false)
        const run = yield* Effect.fork(reason(
          one.keys.once("k", numbers)(
            Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never).pipe(
              Effect.onInterrupt(() => Ref.set(interrupted, true))
            )
          )
        ))
        yield* Deferred.await(begun)
        const keys = other.sql(`${place.prefix}idempotency`)
        yield* other.sql`UPDATE ${keys} SET token = 'of somebody else'`
        yield* advancing(run).pipe(Effect.tap((why) => equal(why, "lost")))
        assert.isTrue(yield* Ref.get(interrupted))
        const rows = yield* other.sql<{ token: string }>`SELECT token FROM ${keys} WHERE key = 'k'`
        equal(rows.map(({ token }) => token), ["of somebody else"])
      })
  )

  test("results that have passed their time are purged, the others stay", (one, _, place) =>
    Effect.gen(function*() {
      yield* Effect.forEach([1, 2, 3], (n) =>
        one.keys.once(`short ${n}`, { ...numbers, timeToLive: "1 second" })(Effect.succeed(n)))
      yield* one.keys.once("long", numbers)(Effect.succeed(4))
      yield* place.pass(2_000)
      const purge = Effect.provideService(SqlIdempotency.purge({ prefix: place.prefix }), SqlClient.SqlClient, one.sql)
      equal([yield* purge, yield* purge], [3, 0])
      equal(yield* one.keys.once("long", numbers)(Effect.die("not again")), 4)
    }))

  test("a prefix that is no name is refused", (one) =>
    Effect.gen(function*() {
      for (const prefix of ["", "a b", "1a", "pg_", "A", "x; DROP TABLE y"]) {
        const exit = yield* Effect.exit(
          Effect.provideService(Layer.build(SqlIdempotency.layer({ prefix })), SqlClient.SqlClient, one.sql)
        )
        assert.isTrue(Exit.isFailure(exit))
        const error = Exit.isFailure(exit) ? Option.getOrThrow(Cause.failureOption(exit.cause)) : undefined
        equal(error?.reason, "invalid")
      }
    }))

  it.scopedLive(
    "a process is killed in its run: another one runs once the lease has run out, and not before",
    () =>
      Effect.gen(function*() {
        const { counts, place } = yield* Effect.all({ place: database, counts: counting })
        const { keys, sql } = yield* place.open
        const { kill } = yield* holder(place, "k")
        const until = Effect.map(
          sql<{ until: number | string }>`SELECT until FROM ${sql(`${place.prefix}idempotency`)}`,
          (rows) => Number(rows[0]!.until)
        )
        const first = yield* until
        const waiting = yield* Effect.fork(keys.once("k", numbers)(counts.run))
        // It renews its lease while it lives.
        yield* Effect.repeat(Effect.zipRight(Effect.promise(turn), until), { until: (now) => now > first + 1_000 })
        assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
        yield* kill
        equal(yield* Fiber.join(waiting), 1)
      }),
    60_000
  )
}

/** Lets the event loop turn, for what the database answers. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Joins a fiber while time and the event loop go on. */
const advancing = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.zipRight(
    Effect.repeat(Effect.zipRight(TestClock.adjust("100 millis"), Effect.promise(turn)), {
      until: () => Effect.map(Fiber.poll(fiber), Option.isSome)
    }),
    Fiber.join(fiber)
  )

describe("Idempotency in SQLite", () => {
  tests(sqlite)
})

Servers.suite("postgres", "Idempotency in PostgreSQL", (url) => tests(postgres(url)))
