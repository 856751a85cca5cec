import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { layerMemory, Lease } from "effect-skald/store/Lease"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import * as SqliteLeases from "effect-skald/store/SqliteLeases"
import * as LeaseConformance from "effect-skald/testing/LeaseConformance"
import Database from "better-sqlite3"
import { Effect, Exit, Fiber, Layer, Option, Scope, TestClock } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { tempFile } from "../support/tempDirectory.ts"

const sqlite = (filename: string) => SqliteLeases.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename })))

const inFile = Layer.unwrapScoped(Effect.map(tempFile(), sqlite))

LeaseConformance.suite("memory", { layer: layerMemory })
LeaseConformance.suite("SQLite in memory", { layer: sqlite(":memory:") })
LeaseConformance.suite("SQLite in a file", { layer: inFile, numRuns: 30 })

const tryAcquire = (name: string) => Effect.flatMap(Lease, (leases) => leases.tryAcquire(name))

/** A real process of ours that holds a lease; killed for good when the scope ends, if not before. */
const holder = (filename: string, name: string) =>
  Effect.gen(function*() {
    const child: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [
          "--import",
          "tsx",
          fileURLToPath(new URL("../support/leaseHolder.ts", import.meta.url)),
          filename,
          name
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

describe("SqliteLeases", () => {
  it.scoped(
    "a living process of this machine is not robbed; a killed one is replaced at once",
    () =>
      Effect.gen(function*() {
        const filename = yield* tempFile()
        yield* Effect.scoped(Layer.build(sqlite(filename)))
        const other = yield* holder(filename, "work")
        yield* Effect.gen(function*() {
          assert.isTrue(Option.isNone(yield* tryAcquire("work")))
          yield* other.kill("SIGKILL")
          const held = Option.getOrThrow(yield* tryAcquire("work"))
          assert.strictEqual(held.token, other.token + 1)
          assert.strictEqual(
            (yield* Effect.flip(Effect.flatMap(Lease, (leases) => leases.check("work", other.token))))._tag,
            "LeaseLost"
          )
          yield* held.check
        }).pipe(Effect.provide(sqlite(filename)))
      }),
    30_000
  )

  it.scoped("a process that ends cleanly leaves the lease free", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const other = yield* holder(filename, "work")
      yield* other.kill("SIGTERM")
      const connection = new Database(filename, { readonly: true })
      const row = connection.prepare<[], { expires_at: number }>("SELECT expires_at FROM skald_leases").get()
      connection.close()
      assert.strictEqual(row?.expires_at, 0)
    }), 30_000)

  it.scoped("a process id that was used again, another machine, and rubbish", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const scope = yield* Scope.make()
      yield* Scope.extend(tryAcquire("work"), scope)
      const own = (yield* sql<{ machine: string; process: string }>`SELECT machine, process FROM skald_leases`)[0]!
      const claimable = (machine: string, process: string) =>
        Effect.gen(function*() {
          yield* sql`UPDATE skald_leases SET machine = ${machine}, process = ${process}, expires_at = ${1e15}`
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
    }).pipe(Effect.provide(inFile)))

  it.scoped("tokens go on rising over restarts, and a restart after a clean stop takes over at once", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const tokens: Array<number> = []
      for (let restart = 0; restart < 5; restart++) {
        tokens.push(
          yield* Effect.scoped(Effect.map(tryAcquire("work"), (held) => Option.getOrThrow(held).token)).pipe(
            Effect.provide(sqlite(filename))
          )
        )
      }
      assert.deepStrictEqual(tokens, [1, 2, 3, 4, 5])
    }))

  it.scoped("a check inside a transaction holds until its commit: nobody takes over in between", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const context = yield* Layer.build(sqlite(filename))
      const others = yield* Layer.build(sqlite(filename))
      const seen: Array<string> = []
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const leases = yield* Lease
        const held = Option.getOrThrow(yield* leases.tryAcquire("work", { renewEvery: "1 days" }))
        yield* sql`CREATE TABLE log (token INTEGER)`
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
          yield* sql`INSERT INTO log VALUES (${held.token})`
          seen.push("written")
        }))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(rival)
        assert.deepStrictEqual(seen, ["written", `token ${held.token + 1}`])
      }).pipe(Effect.provide(context))
    }))

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
