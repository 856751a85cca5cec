import { assert, describe, it } from "@effect/vitest"
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqlClient, SqlError, SqlResolver } from "@effect/sql"
import Database from "better-sqlite3"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { StoreError } from "effect-skald/store/StoreError"
import {
  Cause,
  Chunk,
  Config,
  ConfigProvider,
  Context,
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Layer,
  Option,
  Schedule,
  Scheduler,
  Schema,
  Scope,
  Stream,
  TestClock
} from "effect"
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { liveHeap } from "../support/liveHeap.ts"
import { tempDirectory, tempFile } from "../support/tempDirectory.ts"

/** Opens a fresh file; one table with a deferred foreign key, so that a COMMIT can be made to fail. */
const open = (options: Partial<SqliteClient.Options> = {}) =>
  Effect.gen(function*() {
    const filename = options.filename ?? (yield* tempFile())
    const client = yield* SqliteClient.make({ filename, ...options })
    if (options.readonly !== true) {
      client.writer.exec(`
        CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE IF NOT EXISTS part (
          id INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
        );`)
    }
    return client
  }).pipe(Effect.provide(Reactivity.layer))

const insert = (client: SqliteClient.Service, id: number) =>
  client.sql`INSERT INTO item ${client.sql.insert({ id, name: `n${id}` })}`

const ids = (client: SqliteClient.Service) =>
  Effect.map(client.sql<{ id: number }>`SELECT id FROM item ORDER BY id`, (rows) => rows.map((row) => row.id))

/** What somebody else sees in the file, so that a stale or uncommitted view cannot fool a test. */
const idsOnDisk = (client: SqliteClient.Service) =>
  Effect.sync(() => {
    const connection = new Database(client.filename, { readonly: true })
    try {
      return connection.prepare<[], { id: number }>("SELECT id FROM item ORDER BY id").all().map((row) => row.id)
    } finally {
      connection.close()
    }
  })

const failureOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flip(effect)

const settle = Effect.yieldNow({ priority: 100 }).pipe(Effect.repeatN(20))

const provoke = "boom" as const

/** Makes a fiber give way before the operations that `gives` picks, as a full time slice does at any of them. */
const givingWay = (gives: (operation: number) => boolean) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let operation = 0
    return Effect.withScheduler(self, {
      shouldYield: () => gives(++operation) ? 0 : false,
      scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber)
    })
  })

describe("SqliteClient: transactions", () => {
  it.scoped("commits what succeeds and rolls back what fails, dies or is interrupted", () =>
    Effect.gen(function*() {
      const client = yield* open()
      yield* client.sql.withTransaction(insert(client, 1))
      yield* Effect.exit(client.sql.withTransaction(Effect.zipRight(insert(client, 2), Effect.fail(provoke))))
      yield* Effect.exit(client.sql.withTransaction(Effect.zipRight(insert(client, 3), Effect.die(provoke))))
      const fiber = yield* Effect.fork(client.sql.withTransaction(Effect.zipRight(insert(client, 4), Effect.never)))
      yield* settle
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* idsOnDisk(client), [1])
      assert.isFalse(client.lock.held())
      assert.isFalse(client.writer.inTransaction)
    }))

  it.scoped("nested transactions are savepoints: an inner failure keeps what stands outside of it", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { withTransaction } = client.sql
      yield* withTransaction(Effect.gen(function*() {
        yield* insert(client, 1)
        yield* withTransaction(Effect.gen(function*() {
          yield* insert(client, 2)
          yield* Effect.ignore(withTransaction(Effect.zipRight(insert(client, 3), Effect.fail(provoke))))
          yield* withTransaction(insert(client, 4))
        }))
        yield* Effect.ignore(withTransaction(Effect.zipRight(withTransaction(insert(client, 5)), Effect.fail(provoke))))
        assert.deepStrictEqual(yield* ids(client), [1, 2, 4])
        assert.deepStrictEqual(yield* idsOnDisk(client), [])
      }))
      assert.deepStrictEqual(yield* idsOnDisk(client), [1, 2, 4])
    }))

  // A tree of inserts and nested transactions that fail or not, against the same tree on a plain list.
  type Tree = { readonly insert: number } | { readonly fails: boolean; readonly body: ReadonlyArray<Tree> }
  const trees = fc.letrec<{ tree: Tree; insert: Tree; nested: Tree }>((tie) => ({
    tree: fc.oneof({ depthSize: "small", withCrossShrink: true }, tie("insert"), tie("nested")),
    insert: fc.record({ insert: fc.nat(1_000_000) }),
    nested: fc.record({ fails: fc.boolean(), body: fc.array(tie("tree"), { maxLength: 4 }) })
  }))
  const expected = (trees: ReadonlyArray<Tree>): ReadonlyArray<number> =>
    trees.flatMap((tree) => "insert" in tree ? [tree.insert] : tree.fails ? [] : expected(tree.body))

  it.scoped("any nesting keeps exactly what no failing transaction encloses", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { sql } = client
      yield* sql`CREATE TABLE log (n INTEGER)`
      const run = (tree: Tree): Effect.Effect<void, SqlError.SqlError> =>
        "insert" in tree
          ? Effect.asVoid(sql`INSERT INTO log VALUES (${tree.insert})`)
          : Effect.forEach(tree.body, run, { discard: true }).pipe(
            Effect.zipRight(tree.fails ? Effect.fail(provoke) : Effect.void),
            sql.withTransaction,
            Effect.catchIf((error) => error === provoke, () => Effect.void)
          ) as Effect.Effect<void, SqlError.SqlError>
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(trees.tree, { maxLength: 5 }), async (body) => {
            const rows = await Effect.runPromise(
              Effect.forEach(body, run).pipe(
                Effect.zipRight(sql<{ n: number }>`SELECT n FROM log ORDER BY rowid`),
                Effect.zipLeft(sql`DELETE FROM log`)
              )
            )
            assert.deepStrictEqual(rows.map((row) => row.n), [...expected(body)])
          }),
          { numRuns: 200 }
        )
      )
    }))

  it.scoped("a COMMIT that fails is typed, rolls back, and leaves the writer usable", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const error = yield* failureOf(client.sql.withTransaction(Effect.gen(function*() {
        yield* insert(client, 1)
        yield* client.sql`INSERT INTO part VALUES (1, 99)`
      })))
      assert.instanceOf(error, SqlError.SqlError)
      assert.strictEqual(error.message, "Failed to commit the transaction")
      assert.strictEqual(SqliteClient.classify(error), "constraint")
      assert.deepStrictEqual(yield* idsOnDisk(client), [])
      yield* client.sql.withTransaction(insert(client, 2))
      assert.deepStrictEqual(yield* idsOnDisk(client), [2])
      const own = yield* failureOf(client.withTransaction(client.sql`INSERT INTO part VALUES (1, 99)`))
      assert.instanceOf(own, StoreError)
    }))

  it.scoped("a full database fails typed in the middle; what follows in that transaction is refused, and later ones work", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { sql } = client
      yield* insert(client, 1)
      const pages = client.writer.pragma("page_count", { simple: true }) as number
      client.writer.pragma(`max_page_count = ${pages + 4}`)
      const big = "x".repeat(2_000)
      const after: Array<string> = []
      const error = yield* failureOf(sql.withTransaction(Effect.gen(function*() {
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => n + 10),
          (id) => sql`INSERT INTO item VALUES (${id}, ${big + id})`
        )
      })))
      assert.strictEqual(SqliteClient.classify(error), "full")
      assert.strictEqual(SqliteClient.storeError("x", error).reason, "full")
      assert.deepStrictEqual(yield* idsOnDisk(client), [1])

      // A caller who swallows the error must not go on in what is no transaction any more.
      const swallowed = yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
        yield* insert(client, 2)
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => n + 10),
          (id) => sql`INSERT INTO item VALUES (${id}, ${big + id})`
        ).pipe(Effect.ignore)
        after.push(client.writer.inTransaction ? "kept" : "lost")
      })))
      const kept = yield* idsOnDisk(client)
      if (after[0] === "lost") {
        assert.isTrue(Exit.isFailure(swallowed))
        assert.deepStrictEqual(kept, [1])
      } else {
        assert.isTrue(kept.includes(2))
      }

      client.writer.pragma("max_page_count = 1000000")
      yield* sql.withTransaction(insert(client, 3))
      assert.isTrue((yield* idsOnDisk(client)).includes(3))
    }))

  it.scoped("when SQLite has rolled back by itself, every later statement and the COMMIT fail typed", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const seen: Array<string> = []
      const error = yield* failureOf(client.sql.withTransaction(Effect.gen(function*() {
        yield* insert(client, 1)
        // ROLLBACK as conflict resolution ends the transaction from within, as a disk error does.
        seen.push(SqliteClient.classify(yield* failureOf(client.sql`INSERT OR ROLLBACK INTO item VALUES (1, 'again')`)))
        const second = yield* failureOf(insert(client, 2))
        seen.push(String((second.cause as Error).name), SqliteClient.classify((second.cause as Error).cause))
        seen.push((yield* failureOf(client.sql.withTransaction(insert(client, 3)))).message)
        return yield* Effect.void
      })))
      assert.deepStrictEqual(seen, ["constraint", "RolledBack", "constraint", "Failed to open a savepoint"])
      assert.strictEqual(((error as SqlError.SqlError).cause as Error).name, "RolledBack")
      assert.deepStrictEqual(yield* idsOnDisk(client), [])
      yield* insert(client, 4)
      assert.deepStrictEqual(yield* idsOnDisk(client), [4])
    }))

  const prlimit = existsSync("/usr/bin/prlimit")
  it.scoped.skipIf(!prlimit)(
    "a disk that takes no more at COMMIT fails typed, and works again with room",
    () =>
      Effect.gen(function*() {
        const client = yield* open()
        yield* insert(client, 1)
        client.writer.pragma("wal_checkpoint(TRUNCATE)")
        client.writer.pragma("cache_spill = OFF")
        const limit = (bytes: string) =>
          execFileSync("/usr/bin/prlimit", ["--pid", String(process.pid), `--fsize=${bytes}`])
        const reached: Array<string> = []
        const error = yield* failureOf(
          client.sql.withTransaction(Effect.gen(function*() {
            for (let id = 2; id < 60; id++) {
              yield* client.sql`INSERT INTO item VALUES (${id}, ${"y".repeat(3_000) + id})`
            }
            reached.push("COMMIT")
            limit("20000:")
          })).pipe(Effect.ensuring(Effect.sync(() => limit("unlimited:"))))
        )
        assert.deepStrictEqual(reached, ["COMMIT"])
        assert.strictEqual(error.message, "Failed to commit the transaction")
        assert.include(["full", "io"], SqliteClient.classify(error))
        assert.deepStrictEqual(yield* idsOnDisk(client), [1])
        yield* client.sql.withTransaction(insert(client, 2))
        assert.deepStrictEqual(yield* idsOnDisk(client), [1, 2])
        assert.strictEqual(client.writer.pragma("integrity_check", { simple: true }), "ok")
      })
  )

  it.scoped("sibling transactions inside one run one after the other, and a plain statement waits for them", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { withTransaction } = client.sql
      const gate = yield* Deferred.make<void>()
      yield* withTransaction(Effect.all([
        withTransaction(
          insert(client, 1).pipe(Effect.zipRight(Deferred.await(gate)), Effect.zipRight(Effect.fail(provoke)))
        ).pipe(Effect.ignore),
        Effect.yieldNow().pipe(Effect.zipRight(insert(client, 2))),
        Effect.yieldNow().pipe(Effect.zipRight(withTransaction(insert(client, 3)))),
        settle.pipe(Effect.zipRight(Deferred.succeed(gate, undefined)))
      ], { concurrency: "unbounded" }))
      assert.deepStrictEqual(yield* idsOnDisk(client), [2, 3])
    }))

  it.scoped("a transaction whose nested one still runs is rolled back, never half committed", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { withTransaction } = client.sql
      const gate = yield* Deferred.make<void>()
      const inner = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const error = yield* failureOf(withTransaction(Effect.gen(function*() {
        yield* insert(client, 1)
        yield* withTransaction(Effect.gen(function*() {
          yield* insert(client, 2)
          yield* Deferred.await(gate)
          yield* insert(client, 3)
        })).pipe(Effect.exit, Effect.flatMap((exit) => Deferred.succeed(inner, exit)), Effect.forkDaemon)
        yield* settle
      })))
      assert.strictEqual(error.message, "Failed to commit the transaction")
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(Exit.isFailure(yield* Deferred.await(inner)))
      assert.deepStrictEqual(yield* idsOnDisk(client), [])
    }))

  it.scoped("a fiber that outlives its transaction is outside of it, and of the next one", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const gate = yield* Deferred.make<void>()
      const late = yield* client.sql.withTransaction(
        Effect.forkDaemon(Effect.zipRight(Deferred.await(gate), insert(client, 1)))
      )
      yield* Effect.exit(client.sql.withTransaction(Effect.gen(function*() {
        yield* insert(client, 2)
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.deepStrictEqual(yield* ids(client), [2])
        return yield* Effect.fail(provoke)
      })))
      yield* Fiber.join(late)
      assert.deepStrictEqual(yield* idsOnDisk(client), [1])
    }))

  it.scoped("a transaction of another client is not mistaken for ours", () =>
    Effect.gen(function*() {
      const ours = yield* open()
      const theirs = yield* open()
      const inTransaction = (client: SqliteClient.Service) =>
        Effect.map(Effect.context<never>(), (context) => client.inTransaction(context))
      yield* Effect.exit(theirs.sql.withTransaction(Effect.gen(function*() {
        assert.isFalse(yield* inTransaction(ours))
        yield* insert(ours, 1)
        yield* insert(theirs, 2)
        yield* ours.sql.withTransaction(Effect.gen(function*() {
          assert.isTrue(yield* inTransaction(ours))
          assert.isTrue(yield* inTransaction(theirs))
          yield* insert(ours, 3)
          yield* insert(theirs, 4)
          yield* theirs.sql.withTransaction(insert(theirs, 5))
        }))
        return yield* Effect.fail(provoke)
      })))
      assert.deepStrictEqual(yield* idsOnDisk(ours), [1, 3])
      assert.deepStrictEqual(yield* idsOnDisk(theirs), [])
      // The tag that all clients of @effect/sql share, holding a stranger's connection.
      const stranger = [{} as never, 0] as const
      yield* insert(ours, 6).pipe(Effect.provideService(SqlClient.TransactionConnection, stranger))
      assert.deepStrictEqual(yield* idsOnDisk(ours), [1, 3, 6])
    }))

  it.scoped("a SqlResolver inside a transaction belongs to it", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const Insert = yield* SqlResolver.void("Insert", {
        Request: Schema.Struct({ id: Schema.Number, name: Schema.String }),
        execute: (rows) => client.sql`INSERT INTO item ${client.sql.insert(rows)}`
      })
      yield* Effect.exit(client.sql.withTransaction(Effect.gen(function*() {
        yield* Effect.forEach([1, 2], (id) => Insert.execute({ id, name: `r${id}` }), { batching: true })
        assert.deepStrictEqual(yield* ids(client), [1, 2])
        return yield* Effect.fail(provoke)
      })))
      assert.deepStrictEqual(yield* idsOnDisk(client), [])
    }))

  it.scoped("callbacks run once after the outermost commit, in order, and a rollback drops them", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { withTransaction } = client.sql
      const seen: Array<string> = []
      const note = (name: string) => client.onCommit(() => seen.push(name))
      yield* withTransaction(Effect.gen(function*() {
        yield* note("a")
        yield* withTransaction(note("b"))
        yield* Effect.ignore(withTransaction(Effect.zipRight(note("dropped"), Effect.fail(provoke))))
        yield* Effect.ignore(
          withTransaction(Effect.zipRight(withTransaction(note("dropped too")), Effect.fail(provoke)))
        )
        yield* client.onCommit(() => {
          throw new Error("a callback that throws")
        })
        yield* note("c")
        assert.deepStrictEqual(seen, [])
      }))
      assert.deepStrictEqual(seen, ["a", "b", "c"])
      yield* Effect.ignore(withTransaction(Effect.zipRight(note("never"), Effect.fail(provoke))))
      yield* Effect.ignore(withTransaction(Effect.zipRight(note("never"), client.sql`INSERT INTO part VALUES (1, 99)`)))
      assert.deepStrictEqual(seen, ["a", "b", "c"])
      yield* note("outside")
      assert.deepStrictEqual(seen, ["a", "b", "c", "outside"])
      assert.isFalse(client.lock.held())
    }))

  it.scoped("a group committer can run a user's effect inside the transaction it began", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const seen: Array<string> = []
      yield* client.lock.withLock(Effect.gen(function*() {
        const transaction = client.begin()
        const first = client.savepoint(transaction)
        yield* client.within(first)(Effect.gen(function*() {
          yield* insert(client, 1)
          yield* client.sql.withTransaction(insert(client, 2))
          yield* client.onCommit(() => seen.push("first"))
          const inner = client.transactionOf(yield* Effect.context<never>())
          assert.strictEqual(inner?.depth, 1)
        }))
        client.commit(first)
        const second = client.savepoint(transaction)
        assert.throws(() => client.savepoint(transaction))
        yield* client.within(second)(Effect.zipRight(insert(client, 3), client.onCommit(() => seen.push("second"))))
        client.rollback(second)
        assert.isFalse(second.isActive())
        assert.deepStrictEqual(seen, [])
        client.commit(transaction)
        assert.throws(() => client.commit(transaction))
      }))
      assert.deepStrictEqual(seen, ["first"])
      assert.deepStrictEqual(yield* idsOnDisk(client), [1, 2])
    }))

  it.scoped("a transaction left open on the writer does not wedge the next", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const error = yield* failureOf(client.sql`BEGIN`)
      assert.include(String((error.cause as Error).message), "withTransaction")
      client.writer.exec("BEGIN")
      client.writer.exec("INSERT INTO item VALUES (7, 'left')")
      yield* client.sql.withTransaction(insert(client, 1))
      assert.deepStrictEqual(yield* idsOnDisk(client), [1])
    }))

  it.scoped("a reserved connection has the writer to itself and is cleaned up", () =>
    Effect.gen(function*() {
      const client = yield* open()
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* client.sql.reserve
        yield* connection.executeUnprepared("BEGIN", [], undefined)
        yield* connection.execute("INSERT INTO item VALUES (?, ?)", [1, "one"], undefined)
        assert.isFalse(client.lock.tryAcquire())
        assert.deepStrictEqual(yield* connection.executeValues("SELECT id, name FROM item", []), [[1, "one"]])
      }))
      assert.deepStrictEqual(yield* idsOnDisk(client), [])
      assert.isFalse(client.lock.held())
    }))
})

describe("SqliteClient: locks of other processes", () => {
  it.scoped("BEGIN and single writes wait for another connection without stopping the process, then succeed", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const other = new Database(client.filename, { timeout: 0 })
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("BEGIN IMMEDIATE")
      const transaction = yield* Effect.fork(client.sql.withTransaction(insert(client, 1)))
      const single = yield* Effect.fork(insert(client, 2))
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(transaction)))
      assert.deepStrictEqual(yield* ids(client), [], "reads go on")
      other.exec("COMMIT")
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(transaction)
      yield* Fiber.join(single)
      assert.deepStrictEqual(yield* idsOnDisk(client), [1, 2])
    }))

  it.scoped("gives up typed after the Schedule, and the Schedule is replaceable", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const other = new Database(client.filename, { timeout: 0 })
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("BEGIN IMMEDIATE")
      const fiber = yield* Effect.fork(failureOf(client.sql.withTransaction(insert(client, 1))))
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(fiber)
      assert.instanceOf(error, SqlError.SqlError)
      assert.strictEqual(SqliteClient.storeError("x", error).reason, "busy")
      assert.isFalse(client.lock.held())

      const hasty = yield* SqliteClient.make({ filename: client.filename, busyRetry: Schedule.stop }).pipe(
        Effect.provide(Reactivity.layer)
      )
      assert.deepStrictEqual(yield* ids(hasty), [], "it opens while another process writes, and reads")
      const hastyError = yield* failureOf(hasty.sql.withTransaction(insert(hasty, 1)))
      assert.strictEqual(SqliteClient.classify(hastyError), "busy")
      other.exec("COMMIT")
      yield* client.sql.withTransaction(insert(client, 3))
      assert.deepStrictEqual(yield* idsOnDisk(client), [3])
    }))

  it.scoped("a file that another connection holds for itself alone cannot be opened until it lets go", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const other = new Database(filename, { timeout: 0 })
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("CREATE TABLE t (x); BEGIN EXCLUSIVE")
      const error = yield* Effect.flip(open({ filename, busyRetry: Schedule.stop }))
      assert.strictEqual(error.reason, "busy")
      const waiting = yield* Effect.fork(open({ filename }))
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      other.exec("COMMIT")
      yield* TestClock.adjust("1 seconds")
      const client = yield* Fiber.join(waiting)
      yield* insert(client, 1)
    }))

  it.scoped("an interruption while waiting for another process leaves nothing held", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const other = new Database(client.filename, { timeout: 0 })
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("BEGIN IMMEDIATE")
      const fiber = yield* Effect.fork(client.sql.withTransaction(insert(client, 1)))
      const queued = yield* Effect.fork(client.sql.withTransaction(insert(client, 2)))
      yield* settle
      yield* Fiber.interrupt(queued)
      yield* Fiber.interrupt(fiber)
      assert.isFalse(client.lock.held())
      assert.strictEqual(client.lock.waiting(), 0)
      other.exec("COMMIT")
      yield* insert(client, 3)
      assert.deepStrictEqual(yield* idsOnDisk(client), [3])
    }))
})

describe("SqliteClient: the lock", () => {
  it.scoped("is first come, first served, and nobody barges in", () =>
    Effect.gen(function*() {
      const { lock } = yield* open({ filename: ":memory:" })
      const order: Array<number> = []
      assert.isTrue(lock.tryAcquire())
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) =>
        Effect.fork(lock.withLock(Effect.sync(() => {
          assert.isFalse(lock.tryAcquire())
          order.push(n)
        }))).pipe(Effect.zipLeft(settle)))
      assert.strictEqual(lock.waiting(), 4)
      lock.release()
      assert.isFalse(lock.tryAcquire(), "it was handed over")
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(order, [1, 2, 3, 4])
      assert.isTrue(lock.tryAcquire())
    }))

  it.scoped("under random interruptions it is never held twice and never lost", () =>
    Effect.gen(function*() {
      const { lock } = yield* open({ filename: ":memory:" })
      let inside = 0
      let ran = 0
      const body = Effect.gen(function*() {
        assert.strictEqual(++inside, 1)
        yield* Effect.yieldNow()
        ran++
      }).pipe(Effect.ensuring(Effect.sync(() => inside--)))
      const fibers = yield* Effect.forEach(Array.from({ length: 400 }, (_, n) => n), (n) =>
        Effect.fork(givingWay((operation) => (operation + n) % 13 === 0)(lock.withLock(body))))
      yield* Effect.forEach(fibers, (fiber, index) =>
        index % 3 === 0 ? Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(fiber)) : Effect.void)
      yield* Effect.forEach(fibers, Fiber.await)
      assert.strictEqual(inside, 0)
      assert.isAtLeast(ran, 266)
      assert.isFalse(lock.held())
      assert.strictEqual(lock.waiting(), 0)
    }))

  it.scoped("no grant is lost, wherever an interruption meets it", () =>
    Effect.gen(function*() {
      const { lock } = yield* open({ filename: ":memory:" })
      let entered = 0
      for (let operation = 1; operation <= 60; operation++) {
        for (let delay = 0; delay < 5; delay++) {
          assert.isTrue(lock.tryAcquire())
          const body = Effect.zipRight(Effect.sync(() => entered++), Effect.never)
          const fiber = yield* Effect.fork(givingWay((n) => n === operation)(lock.withLock(body)))
          yield* settle
          lock.release()
          yield* Effect.yieldNow().pipe(Effect.repeatN(delay))
          yield* Fiber.interrupt(fiber)
          assert.isFalse(lock.held(), `operation ${operation}, delay ${delay}`)
          assert.strictEqual(lock.waiting(), 0)
        }
      }
      assert.isAbove(entered, 0)
    }))
})

describe("SqliteClient: opening and closing", () => {
  const reasonOf = (options: SqliteClient.Options) =>
    Effect.scoped(open(options)).pipe(
      Effect.flip,
      Effect.map((error) => error.reason)
    )

  it.scoped("a bad path is a typed failure of the layer", () =>
    Effect.gen(function*() {
      const directory = yield* tempDirectory
      mkdirSync(join(directory, "folder.db"))
      writeFileSync(join(directory, "text.db"), "this is not a database, ".repeat(100))
      assert.deepStrictEqual(
        yield* Effect.forEach([
          { filename: join(directory, "missing", "x.db") },
          { filename: join(directory, "folder.db") },
          { filename: join(directory, "text.db") },
          { filename: join(directory, "absent.db"), readonly: true },
          { filename: "" },
          { filename: "  " },
          { filename: "a\0b" },
          { filename: "file:x?mode=memory" },
          { filename: ":memory:", readonly: true },
          { filename: join(directory, "ok.db"), synchronous: "never" as never },
          { filename: join(directory, "ok.db"), busyTimeout: Infinity }
        ], reasonOf),
        ["path", "path", "corrupt", "path", "invalid", "invalid", "invalid", "invalid", "invalid", "invalid", "invalid"]
      )
      const exit = yield* Effect.exit(Layer.build(SqliteClient.layer({ filename: join(directory, "missing", "x.db") })))
      assert.isTrue(Exit.isFailure(exit) && Option.isSome(Cause.failureOption(exit.cause)))
    }))

  it.scoped("a file opened read-only is read, its writes fail typed, and its transactions are snapshots", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* Effect.scoped(Effect.flatMap(open({ filename }), (client) => insert(client, 1)))
      if (process.getuid?.() !== 0) {
        chmodSync(filename, 0o444)
        chmodSync(dirname(filename), 0o555)
        assert.strictEqual(yield* reasonOf({ filename }), "readOnly")
        chmodSync(dirname(filename), 0o755)
        chmodSync(filename, 0o644)
      }
      const client = yield* open({ filename, readonly: true })
      assert.deepStrictEqual(yield* ids(client), [1])
      const error = yield* failureOf(insert(client, 2))
      assert.strictEqual(SqliteClient.storeError("x", error).reason, "readOnly")
      const writer = yield* open({ filename })
      yield* client.sql.withTransaction(Effect.gen(function*() {
        assert.deepStrictEqual(yield* ids(client), [1])
        yield* insert(writer, 2)
        assert.deepStrictEqual(yield* ids(client), [1])
        assert.strictEqual(SqliteClient.classify(yield* failureOf(insert(client, 3))), "readOnly")
      }))
      assert.deepStrictEqual(yield* ids(client), [1, 2])
    }))

  it.scoped("a database that turns read-only fails typed and works again afterwards", () =>
    Effect.gen(function*() {
      const client = yield* open()
      client.writer.pragma("query_only = ON")
      const error = yield* failureOf(client.sql.withTransaction(insert(client, 1)))
      assert.strictEqual(SqliteClient.classify(error), "readOnly")
      client.writer.pragma("query_only = OFF")
      yield* client.sql.withTransaction(insert(client, 2))
      assert.deepStrictEqual(yield* idsOnDisk(client), [2])
    }))

  it.scoped("use after close is a typed failure, and the WAL has been moved into the file", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const scope = yield* Scope.make()
      const client = yield* Scope.extend(open({ filename }), scope)
      yield* insert(client, 1)
      assert.isTrue(existsSync(`${filename}-wal`))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(existsSync(`${filename}-wal`))
      const errors = yield* Effect.all([
        failureOf(insert(client, 2)),
        failureOf(ids(client)),
        failureOf(client.sql.withTransaction(Effect.void)),
        failureOf(Stream.runDrain(client.sql`SELECT * FROM item`.stream))
      ])
      assert.deepStrictEqual(errors.map(SqliteClient.classify), ["closed", "closed", "closed", "closed"])
      const again = yield* open({ filename })
      assert.deepStrictEqual(yield* ids(again), [1])
    }))

  it.scoped("applies its options, and reads them from the configuration", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const client = yield* open({ filename, synchronous: "full", transformResultNames: (name) => name.toUpperCase() })
      assert.strictEqual(client.writer.pragma("synchronous", { simple: true }), 2)
      assert.strictEqual(client.writer.pragma("journal_mode", { simple: true }), "wal")
      assert.strictEqual(client.writer.pragma("foreign_keys", { simple: true }), 1)
      assert.strictEqual(client.writer.pragma("busy_timeout", { simple: true }), 0)
      assert.isTrue(client.reader.readonly)
      yield* insert(client, 1)
      assert.deepStrictEqual(yield* client.sql`SELECT id FROM item`, [{ ID: 1 }])
      assert.deepStrictEqual(yield* client.sql.withoutTransforms()`SELECT id FROM item`, [{ id: 1 }])
      const context = yield* Layer.build(SqliteClient.layerConfig({ filename: Config.string("FILE") })).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["FILE", filename]])))
      )
      assert.strictEqual(Context.get(context, SqliteClient.SqliteClient).filename, filename)
      assert.strictEqual(Context.get(context, SqlClient.SqlClient), Context.get(context, SqliteClient.SqliteClient).sql)
    }))
})

describe("SqliteClient: statements and streams", () => {
  it.scoped("reads go to the reader unless a statement writes; pragmas and temporary tables to the writer", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { sql } = client
      assert.deepStrictEqual(
        yield* sql`WITH v (id) AS (VALUES (1), (2)) INSERT INTO item SELECT id, 'w' || id FROM v RETURNING id`,
        [{ id: 1 }, { id: 2 }]
      )
      yield* sql`CREATE TEMP TABLE scratch (x)`
      yield* sql`INSERT INTO scratch VALUES (${true}), (${null})`
      assert.deepStrictEqual(yield* sql`SELECT x FROM scratch`.values, [[1], [null]])
      yield* sql`PRAGMA user_version = 5`
      assert.deepStrictEqual(
        yield* sql`/* c */ -- d
        SELECT user_version AS v FROM pragma_user_version`,
        [{ v: 5 }]
      )
      const updated = (yield* sql`UPDATE item SET name = name || '!'`.raw) as { readonly changes: number }
      assert.strictEqual(updated.changes, 2)
      const syntax = yield* failureOf(sql`SELEC`)
      assert.instanceOf(syntax, SqlError.SqlError)
      const unbound = yield* failureOf(sql`SELECT ${new Date(0)}`)
      assert.instanceOf(unbound, SqlError.SqlError)
    }))

  it.scoped("big integers are exact where they are asked for", () =>
    Effect.gen(function*() {
      const { sql } = yield* open()
      const query = sql<{ n: unknown }>`SELECT 9007199254740993 AS n`
      assert.deepStrictEqual(yield* Effect.provideService(query, SqlClient.SafeIntegers, true), [{
        n: 9007199254740993n
      }])
      assert.strictEqual(typeof (yield* query)[0]?.n, "number")
      const first = yield* Stream.runHead(query.stream).pipe(Effect.provideService(SqlClient.SafeIntegers, true))
      assert.deepStrictEqual(Option.getOrNull(first), { n: 9007199254740993n })
    }))

  const fill = (client: SqliteClient.Service, count: number) =>
    client.sql`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT INTO item SELECT i, hex(zeroblob(300)) || i FROM n`

  it.scoped("streams 100,000 rows in bounded memory, from one snapshot, while others write and read", () =>
    Effect.gen(function*() {
      const client = yield* open()
      yield* fill(client, 100_000)
      const start = liveHeap()
      let most = Number.NEGATIVE_INFINITY
      let seen = 0
      yield* client.sql<{ id: number; name: string }>`SELECT id, name FROM item ORDER BY id`.stream.pipe(
        Stream.runForEachChunk((chunk) =>
          Effect.gen(function*() {
            assert.isAtMost(Chunk.size(chunk), 512)
            seen += Chunk.size(chunk)
            if (seen % 10_240 === 0) most = Math.max(most, liveHeap() - start)
            if (seen === 512) {
              yield* client.sql`DELETE FROM item WHERE id > 99000`
              const rows = yield* client.sql<{ n: number }>`SELECT count(*) AS n FROM item`
              assert.strictEqual(rows[0]?.n, 99_000, "other reads see the latest commit")
            }
          })
        )
      )
      assert.strictEqual(seen, 100_000)
      // All rows at once would be well over 60 MB.
      assert.isTrue(Number.isFinite(most))
      assert.isAtMost(most, 10 * 1024 * 1024)
      const some = yield* client.sql`SELECT id FROM item ORDER BY id`.stream.pipe(Stream.take(3), Stream.runCollect)
      assert.strictEqual(Chunk.size(some), 3)
      client.writer.pragma("wal_checkpoint(TRUNCATE)")
    }))

  it.scoped("a stream inside a transaction sees its writes and lets it write on", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const { sql } = client
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* fill(client, 2_000)
        const rows = yield* sql<{ id: number; kind: string; twice: number }>`
          SELECT id, typeof(name) AS kind, id * 2 AS twice FROM item WHERE id <= ${1500} ORDER BY id DESC`.stream.pipe(
          Stream.tap((row) => sql`INSERT INTO item VALUES (${row.id + 10_000}, ${`copy ${row.id}`})`),
          Stream.runCollect
        )
        assert.strictEqual(Chunk.size(rows), 1500)
        assert.deepStrictEqual(Chunk.unsafeHead(rows), { id: 1500, kind: "text", twice: 3000 })
      }))
      assert.strictEqual((yield* idsOnDisk(client)).length, 3500)
      assert.deepStrictEqual(yield* sql`SELECT name FROM temp.sqlite_master`.unprepared, [])
    }))

  it.scoped("streams work on a database in memory, which has one connection", () =>
    Effect.gen(function*() {
      const client = yield* open({ filename: ":memory:" })
      yield* fill(client, 1_000)
      assert.strictEqual(yield* client.sql`SELECT * FROM item`.stream.pipe(Stream.runCount), 1_000)
      yield* Effect.exit(client.sql.withTransaction(Effect.zipRight(insert(client, 5_000), Effect.fail(provoke))))
      assert.strictEqual((yield* ids(client)).length, 1_000)
      assert.strictEqual((yield* Effect.scoped(failureOf(client.readConnection))).reason, "unavailable")
    }))

  it.scoped("concurrent writers, half of them failing, keep exactly what succeeded", () =>
    Effect.gen(function*() {
      const client = yield* open()
      const exits = yield* Effect.forEach(Array.from({ length: 200 }, (_, n) => n + 1), (id) =>
        client.sql.withTransaction(Effect.gen(function*() {
          yield* insert(client, id)
          yield* Effect.yieldNow()
          if (id % 2 === 0) {
            return yield* Effect.fail(provoke)
          }
          return id
        })).pipe(Effect.option), { concurrency: "unbounded" })
      const kept = exits.flatMap(Option.toArray)
      assert.deepStrictEqual(yield* idsOnDisk(client), kept)
      assert.strictEqual(kept.length, 100)
    }))
})
