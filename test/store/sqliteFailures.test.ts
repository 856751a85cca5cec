// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import Database from "better-sqlite3"
import * as EventStore from "effect-skald/store/EventStore"
import * as Sqlite from "effect-skald/store/Sqlite"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schedule, Scope, Stream, TestClock } from "effect"
import { all, append, collect, event, open, reason, settle, together, turn } from "../support/sqliteStore.ts"
import { tempFile } from "../support/tempDirectory.ts"

describe("SQLite: with others on the same file", () => {
  it.scoped("what another connection wrote, truncated or ended is known at once", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const one = (yield* open({ filename })).store
      const two = (yield* open({ filename })).store
      for (let version = 0; version < 6; version++) {
        yield* (version % 2 === 0 ? one : two).append([{ stream: "a-1", expected: version, events: [event(version)] }])
      }
      const [first] = yield* all(one)
      yield* two.truncate("a-1", { before: 7 })
      assert.strictEqual(
        reason(yield* Effect.exit(append(one, "b-1", event("other", { id: first!.id })))),
        "DuplicateEvent elsewhere"
      )
      yield* one.append([{ stream: "a-1", expected: 6, events: [event(6)] }])
      yield* two.tombstone("a-1")
      assert.strictEqual(reason(yield* Effect.exit(append(one, "a-1"))), "StreamTombstoned")
      assert.deepStrictEqual((yield* all(one)).map(({ type, version }) => [type, version as number]), [[
        "$Tombstoned",
        8
      ]])
    }))

  it.scoped("two stores over one client, and two prefixes in one file", () =>
    Effect.gen(function*() {
      const { client, store } = yield* open()
      const make = (prefix: string | undefined) =>
        Effect.flatMap(Sqlite.make({ prefix }), EventStore.makeEncoded).pipe(
          Effect.provideService(SqliteClient.SqliteClient, client),
          Effect.provideService(SqlClient.SqlClient, client.sql)
        )
      const same = yield* make(undefined)
      const other = yield* make("other_")
      yield* append(store, "a-1")
      yield* same.append([{ stream: "a-1", expected: 1, events: [event()] }])
      yield* store.append([{ stream: "a-1", expected: 2, events: [event()] }])
      yield* other.append([{ stream: "a-1", expected: 0, events: [event()] }])
      assert.strictEqual((yield* all(same)).length, 3)
      assert.strictEqual((yield* all(other)).length, 1)
      const refused = yield* Effect.flip(make("no;prefix"))
      assert.strictEqual(refused._tag, "InvalidInput")
    }))

  it.scoped("a subscription sees at the next look what another connection appended", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const { store } = yield* open({ filename, pollInterval: "1 second" })
      const other = (yield* open({ filename })).store
      const caughtUp = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(collect(
        store.subscribe({ after: "earliest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) }).pipe(
          Stream.take(1)
        )
      ))
      yield* Deferred.await(caughtUp)
      yield* settle
      yield* append(other, "a-1", event("theirs"))
      yield* settle
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map((raw) => raw.payload), ["theirs"])
    }))

  it.scoped("positions and times go on after the last events were removed and the file opened again", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* TestClock.setTime(5_000)
      const last = yield* Effect.scoped(Effect.gen(function*() {
        const { store } = yield* open({ filename })
        yield* append(store, "a-1")
        const appended = yield* append(store, "a-1")
        yield* store.truncate("a-1", { before: 3 })
        assert.strictEqual(yield* store.head, appended.position)
        return appended
      }))
      yield* TestClock.setTime(2_000)
      const { store } = yield* open({ filename })
      const [one, two] = [yield* append(store, "b-1"), yield* append(store, "b-1")]
      assert.isAbove(one.position, last.position)
      assert.strictEqual(two.position, one.position + 1)
      assert.strictEqual(one.recordedAt.epochMillis, 5_000)
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.position), [one.position, two.position])
    }))
})

describe("SQLite: what goes wrong is typed, and passes", () => {
  it.scoped("a full disk fails the whole group; nothing acknowledged is lost; it works again", () =>
    Effect.gen(function*() {
      const { client, store } = yield* open()
      const pages = client.writer.pragma("page_count", { simple: true }) as number
      client.writer.pragma(`max_page_count = ${pages + 40}`)
      const acknowledged = new Set<string>()
      const burst = together(Array.from({ length: 8 }, (_, n) =>
        Effect.tap(
          append(store, `a-${n}`, event("x".repeat(2_000)), event("y".repeat(2_000))),
          ({ events }) => Effect.sync(() => events.forEach(({ id }) => acknowledged.add(id)))
        )))
      let reasons: ReadonlyArray<string> = []
      for (let round = 0; round < 30 && !reasons.includes("StoreError full"); round++) {
        reasons = (yield* burst).map(reason)
      }
      assert.deepStrictEqual(reasons, Array(8).fill("StoreError full"))
      assert.isFalse(client.writer.inTransaction)
      assert.isFalse(client.lock.held())
      assert.deepStrictEqual(new Set((yield* all(store)).map((raw) => raw.id)), acknowledged)
      assert.strictEqual(reason(yield* Effect.exit(store.truncate("a-0", { before: 2 }))), "done")
      client.writer.pragma("max_page_count = 1000000")
      assert.deepStrictEqual((yield* burst).map(reason), Array(8).fill("done"))
      assert.strictEqual((yield* all(store)).length, acknowledged.size - 1)
      for (let n = 0; n < 8; n++) {
        const versions = (yield* collect(store.read(`a-${n}`))).map((raw) => raw.version as number)
        assert.deepStrictEqual(versions, versions.map((_, index) => versions[0]! + index))
      }
      assert.strictEqual(client.writer.pragma("integrity_check", { simple: true }), "ok")
    }))

  it.scoped("a commit that fails undoes the group, and what was remembered of it", () =>
    Effect.gen(function*() {
      const { client, sql, store } = yield* open()
      // a deferred foreign key fails at COMMIT
      client.writer.exec(`
        CREATE TABLE good (id TEXT PRIMARY KEY);
        CREATE TABLE needs (id TEXT REFERENCES good (id) DEFERRABLE INITIALLY DEFERRED)`)
      yield* append(store, "a-1", event("before"))
      const scope = yield* Scope.make()
      yield* Scope.extend(store.onAppend(() => sql`INSERT INTO needs VALUES ('missing')`), scope)
      const exits = yield* together([append(store, "a-1", event("lost")), append(store, "a-2", event("lost"))])
      assert.deepStrictEqual(exits.map(reason), ["StoreError unknown", "StoreError unknown"])
      yield* Scope.close(scope, Exit.void)
      // so many from elsewhere that the log stands where the lost ones would have brought it
      const other = (yield* open({ filename: client.filename })).store
      yield* append(other, "b-1", event("theirs"), event("theirs"))
      yield* store.append([{ stream: "a-1", expected: 1, events: [event("after")] }])
      yield* store.append([{ stream: "a-2", expected: 0, events: [event("after")] }])
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.payload), [
        "before",
        "theirs",
        "theirs",
        "after",
        "after"
      ])
    }))

  it.scoped("a file opened read-only is read, and not written", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      yield* Effect.scoped(Effect.flatMap(open({ filename }), ({ store }) => append(store, "a-1", event("kept"))))
      const { store } = yield* open({ filename, readonly: true })
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.payload), ["kept"])
      const attempts: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        append(store, "a-1"),
        store.truncate("a-1", { before: 2 }),
        store.tombstone("a-1")
      ]
      for (const attempt of attempts) {
        assert.strictEqual(reason(yield* Effect.exit(attempt)), "StoreError readOnly")
      }
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.payload), ["kept"])
      const empty = yield* tempFile("empty.db")
      new Database(empty).exec("CREATE TABLE other (id)").close()
      assert.strictEqual(reason(yield* Effect.exit(open({ filename: empty, readonly: true }))), "StoreError readOnly")
    }))

  it.scoped("another process that holds the lock is waited for, then reported", () =>
    Effect.gen(function*() {
      const { client, store } = yield* open({
        busyRetry: Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(3))
      })
      const other = new Database(client.filename)
      yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
      other.exec("BEGIN IMMEDIATE")
      const patient = yield* Effect.fork(append(store, "a-1", event("patient")))
      yield* settle
      yield* turn
      yield* TestClock.adjust("2 seconds")
      other.exec("ROLLBACK")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(patient)

      other.exec("BEGIN IMMEDIATE")
      const given = yield* Effect.fork(together([append(store, "a-1"), append(store, "a-2")]))
      yield* settle
      yield* turn
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* Fiber.join(given)).map(reason), ["StoreError busy", "StoreError busy"])
      // readers never wait for a writer
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.payload), ["patient"])
      other.exec("ROLLBACK")
      yield* append(store, "a-1", event("again"))
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.payload), ["patient", "again"])
    }))

  it.scoped("a bad path, and a file that is none of ours, are said when it is opened", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.exit(Layer.build(Sqlite.layerFile({ filename: "/no/such/folder/a.db" })))
      assert.strictEqual(reason(missing), "SqliteOpenError path")
      const filename = yield* tempFile()
      yield* Effect.scoped(open({ filename }))
      const raw = new Database(filename)
      raw.exec("INSERT INTO skald_migrations (service, id, name) VALUES ('events', 99, 'of tomorrow')")
      raw.close()
      const newer = yield* Effect.flip(open({ filename }))
      assert.match(newer.message, /newer than this library knows/)
    }))

  it.scoped("after the end of the scope an append is refused; one that was waiting is written before", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const scope = yield* Scope.make()
      const { store } = yield* Scope.extend(open({ filename }), scope)
      const last = yield* Effect.fork(append(store, "a-1", event("last")))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reason(yield* Fiber.await(last)), "done")
      assert.strictEqual(reason(yield* Effect.exit(append(store, "a-1"))), "StoreError closed")
      assert.strictEqual(reason(yield* Effect.exit(all(store))), "StoreError closed")
      const again = yield* open({ filename })
      assert.deepStrictEqual((yield* all(again.store)).map((raw) => raw.payload), ["last"])
    }))
})
