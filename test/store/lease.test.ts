import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { layerMemory, Lease } from "effect-skald/store/Lease"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import * as LeaseConformance from "effect-skald/testing/LeaseConformance"
import { Context, Effect, Exit, Fiber, Layer, Option, Scope, TestClock, TestServices } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const sqlite = (filename: string) => SqlLeases.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename })))

const inFile = Layer.unwrapScoped(Effect.map(tempFile(), sqlite))

LeaseConformance.suite("memory", { layer: layerMemory })
LeaseConformance.suite("SQLite in memory", { layer: sqlite(":memory:") })
LeaseConformance.suite("SQLite in a file", { layer: inFile, numRuns: 30 })

const tryAcquire = (name: string) => Effect.flatMap(Lease, (leases) => leases.tryAcquire(name))

/** A new database of leases. */
interface Place {
  /** Opens it, once more each time. */
  readonly open: Layer.Layer<Lease | SqlClient.SqlClient, unknown>
  readonly table: (name: string) => string
  /** What tells another process where it is. */
  readonly args: (name: string) => ReadonlyArray<string>
}

/** A real process of ours that holds a lease; killed for good when the scope ends, if not before. */
const holder = (args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const child: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [
          "--import",
          "tsx",
          fileURLToPath(new URL("../support/leaseHolder.ts", import.meta.url)),
          ...args
        ], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    const token = yield* Effect.promise(() =>
      Promise.race([
        once(child.stdout!, "data").then(([data]) => Number(String(data))),
        once(child, "exit").then(([code]) => Promise.reject(new Error(`the holder ended with ${code}`)))
      ])
    )
    const kill = (signal: NodeJS.Signals) =>
      Effect.promise(() => {
        const exited = once(child, "exit")
        child.kill(signal)
        return exited
      })
    return { token, kill }
  })

const onSql = (newPlace: Effect.Effect<Place, never, Scope.Scope>) => {
  const inPlace = <E>(body: (place: Place) => Effect.Effect<void, E, Lease | SqlClient.SqlClient | Scope.Scope>) =>
    Effect.flatMap(newPlace, (place) => Effect.provide(body(place), place.open))

  it.scoped(
    "a living process of this machine is not robbed; a killed one is replaced at once",
    () =>
      inPlace(({ args }) =>
        Effect.gen(function*() {
          const other = yield* holder(args("work"))
          assert.isTrue(Option.isNone(yield* tryAcquire("work")))
          yield* other.kill("SIGKILL")
          const held = Option.getOrThrow(yield* tryAcquire("work"))
          assert.strictEqual(held.token, other.token + 1)
          assert.strictEqual(
            (yield* Effect.flip(Effect.flatMap(Lease, (leases) => leases.check("work", other.token))))._tag,
            "LeaseLost"
          )
          yield* held.check
        })
      ),
    30_000
  )

  it.scoped(
    "a process that ends cleanly leaves the lease free",
    () =>
      inPlace(({ args, table }) =>
        Effect.gen(function*() {
          const other = yield* holder(args("work"))
          yield* other.kill("SIGTERM")
          const sql = yield* SqlClient.SqlClient
          const [row] = yield* sql<{ expires_at: unknown }>`SELECT expires_at FROM ${sql(table("leases"))}`
          assert.strictEqual(Number(row?.expires_at), 0)
        })
      ),
    30_000
  )

  it.scoped("a process id that was used again, another machine, and rubbish", () =>
    inPlace(({ table }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const leases = sql(table("leases"))
        const scope = yield* Scope.make()
        yield* Scope.extend(tryAcquire("work"), scope)
        const own = (yield* sql<{ machine: string; process: string }>`SELECT machine, process FROM ${leases}`)[0]!
        const claimable = (machine: string, process: string) =>
          Effect.gen(function*() {
            yield* sql`UPDATE ${leases} SET machine = ${machine}, process = ${process}, expires_at = ${1e15}`
            return Option.isSome(yield* Effect.scoped(tryAcquire("work")))
          })
        const [pid] = own.process.split(" ")
        assert.isFalse(yield* claimable(own.machine, own.process), "ourselves")
        if (process.platform === "linux") {
          assert.isTrue(yield* claimable(own.machine, `${pid} 1`), "our id, an earlier process")
        }
        assert.isFalse(yield* claimable(`${own.machine}x`, `${pid} 1`), "elsewhere it cannot be told")
        assert.isFalse(yield* claimable(own.machine, "rubbish"))
        assert.isFalse(yield* claimable(own.machine, "1 "), "process 1 lives, its start unknown")
        yield* Scope.close(scope, Exit.void)
      })
    ))

  it.scoped("tokens go on rising over restarts, and a restart after a clean stop takes over at once", () =>
    Effect.gen(function*() {
      const { open } = yield* newPlace
      const tokens: Array<number> = []
      for (let restart = 0; restart < 5; restart++) {
        tokens.push(
          yield* Effect.scoped(Effect.map(tryAcquire("work"), (held) => Option.getOrThrow(held).token)).pipe(
            Effect.provide(Layer.fresh(open))
          )
        )
      }
      assert.deepStrictEqual(tokens, [1, 2, 3, 4, 5])
    }))

  it.scoped("of many who claim at once, one gets it", () =>
    inPlace(() =>
      Effect.gen(function*() {
        for (let round = 1; round <= 5; round++) {
          const scope = yield* Scope.make()
          const claims = yield* Effect.all(Array.from({ length: 12 }, () => Scope.extend(tryAcquire("work"), scope)), {
            concurrency: "unbounded"
          })
          const held = claims.flatMap(Option.toArray)
          assert.deepStrictEqual(held.map(({ token }) => token), [round])
          yield* Scope.close(scope, Exit.void)
        }
      })
    ))

  it.scoped("a check inside a transaction holds until its commit: nobody takes over in between", () =>
    Effect.gen(function*() {
      const { open, table } = yield* newPlace
      const context = yield* Layer.build(open)
      const others = yield* Layer.build(Layer.fresh(open))
      const seen: Array<string> = []
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const leases = yield* Lease
        const held = Option.getOrThrow(yield* leases.tryAcquire("work", { renewEvery: "1 days" }))
        const log = sql(table("log"))
        yield* sql`CREATE TABLE ${log} (token INTEGER)`
        const rival = yield* Effect.flatMap(Lease, (leases) => leases.acquire("work")).pipe(
          Effect.tap((rival) => seen.push(`token ${rival.token}`)),
          Effect.provide(others),
          Effect.fork
        )
        yield* TestClock.adjust("4 seconds")
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* held.check
          // The lease runs out meanwhile, and the rival sees it; but it cannot write before this commit.
          yield* TestClock.adjust("3 seconds")
          yield* sql`INSERT INTO ${log} VALUES (${held.token})`
          seen.push("written")
        }))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(rival)
        assert.deepStrictEqual(seen, ["written", `token ${held.token + 1}`])
      }).pipe(Effect.provide(context))
    }))
}

describe("SqlLeases on SQLite", () => {
  onSql(Effect.map(tempFile(), (filename) => ({
    open: sqlite(filename),
    table: (name) => `skald_${name}`,
    args: (name) => [filename, name]
  })))

  it.scoped("a store that cannot be reached for a while does not lose the lease; one that stays away does", () =>
    Effect.gen(function*() {
      const client = yield* SqliteClient.SqliteClient
      const held = Option.getOrThrow(yield* tryAcquire("work"))
      const watcher = yield* Effect.fork(Effect.flip(held.lost))
      client.writer.pragma("query_only = ON")
      yield* TestClock.adjust("4 seconds")
      client.writer.pragma("query_only = OFF")
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(watcher)))
      yield* held.check
      client.writer.pragma("query_only = ON")
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(watcher))._tag, "LeaseLost")
      client.writer.pragma("query_only = OFF")
      assert.strictEqual((yield* Effect.flip(held.check))._tag, "LeaseLost")
    }).pipe(Effect.provide(inFile)))
})

Servers.suite("postgres", "Leases in PostgreSQL", (url) => {
  const place = (clock: SqlLeases.Options["clock"]) =>
    Effect.map(Postgres.prefix(url), (prefix): Place => ({
      open: Layer.provideMerge(SqlLeases.layer({ prefix, clock }), Postgres.client(url)),
      table: (name) => `${prefix}${name}`,
      args: (name) => [url, name, prefix]
    }))

  LeaseConformance.suite("PostgreSQL", {
    layer: Layer.unwrapScoped(Effect.map(place("process"), ({ open }) => open)),
    numRuns: 10
  })
  onSql(place("process"))

  it.scoped("the server's clock counts, whatever that of the process says", () =>
    Effect.gen(function*() {
      const { open, table } = yield* place(undefined)
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const leases = sql(table("leases"))
        yield* TestClock.setTime(0)
        // longer than this machine may take: the server's time goes on meanwhile
        const held = Option.getOrThrow(
          yield* Effect.flatMap(Lease, (leases) =>
            leases.tryAcquire("work", { ttl: "1 minutes", renewEvery: "1 seconds" }))
        )
        const left = sql<{ left: number }>`
          SELECT (expires_at / 1000.0 - extract(epoch FROM clock_timestamp()))::float8 AS left FROM ${leases}`
        const seconds = (yield* left)[0]!.left
        assert.isTrue(seconds > 0 && seconds <= 60, `${seconds} s are left`)
        assert.isTrue(Option.isNone(yield* tryAcquire("work")))
        yield* held.check
        // it is renewed by the clock of the process, to a time of the server's
        yield* sql`UPDATE ${leases} SET expires_at = expires_at + 3600000`
        yield* TestClock.adjust("2 seconds")
        // the renewal is on its way: this clock does not wait for the server
        const renewed = yield* Effect.iterate({ left: 3_600, looks: 0 }, {
          while: ({ left, looks }) =>
            left > 60 && looks < 4_000,
          body: ({ looks }) =>
            Effect.zipRight(
              TestServices.provideLive(Effect.sleep("5 millis")),
              Effect.map(left, (rows) => ({ left: rows[0]!.left, looks: looks + 1 }))
            )
        })
        assert.isAtMost(renewed.left, 60)
        yield* held.check
        yield* sql`UPDATE ${leases} SET expires_at = 1`
        assert.strictEqual((yield* Effect.flip(held.check))._tag, "LeaseLost")
        assert.strictEqual(Option.getOrThrow(yield* tryAcquire("work")).token, held.token + 1)
      }).pipe(Effect.provide(open))
    }))

  it.scoped("a checked transaction that stays open delays no renewal, and no rival waits for it", () =>
    Effect.gen(function*() {
      const { open, table } = yield* place("process")
      const context = yield* Layer.build(open)
      const others = yield* Layer.build(Layer.fresh(open))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const leases = yield* Lease
        const held = Option.getOrThrow(yield* leases.tryAcquire("work", { renewEvery: "1500 millis" }))
        // on other connections: the transaction of a fiber is that of every client
        const elsewhere = <A, E>(effect: Effect.Effect<A, E, Lease | SqlClient.SqlClient | Scope.Scope>) =>
          Effect.mapInputContext(
            Effect.provide(Effect.scoped(effect), others),
            (context: Context.Context<never>) => Context.omit(SqlClient.TransactionConnection)(context as never)
          )
        const expiry = elsewhere(
          Effect.flatMap(
            SqlClient.SqlClient,
            (sql) => sql<{ expires_at: unknown }>`SELECT expires_at FROM ${sql(table("leases"))}`
          )
        ).pipe(Effect.map((rows) => Number(rows[0]!.expires_at)))
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* held.check
          // this clock does not wait for the server: after each step somebody looks until it has answered the renewal
          const renewed = (before: number) =>
            Effect.iterate({ at: before, looks: 0 }, {
              while: ({ at, looks }) => at === before && looks < 4_000,
              body: ({ looks }) =>
                Effect.zipRight(
                  TestServices.provideLive(Effect.sleep("5 millis")),
                  Effect.map(expiry, (at) => ({ at, looks: looks + 1 }))
                )
            }).pipe(Effect.map(({ at }) => at))
          let at = yield* expiry
          for (let round = 0; round < 12 && at < 13_000; round++) {
            yield* TestClock.adjust("1500 millis")
            at = yield* renewed(at)
          }
          assert.isAtLeast(at, 13_000)
          yield* held.check
          // ran out, as far as anybody can see: the row is locked all the same
          yield* elsewhere(
            Effect.flatMap(SqlClient.SqlClient, (sql) => sql`UPDATE ${sql(table("leases"))} SET expires_at = 0`)
          )
          assert.isTrue(Option.isNone(yield* elsewhere(tryAcquire("work"))))
        }))
        assert.isTrue(Option.isSome(yield* elsewhere(tryAcquire("work"))))
      }).pipe(Effect.provide(context))
    }))
})
