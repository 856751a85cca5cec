import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Inbox from "effect-skald/bus/Inbox"
import * as OnError from "effect-skald/bus/OnError"
import * as Publisher from "effect-skald/bus/Publisher"
import * as SqlInbox from "effect-skald/bus/SqlInbox"
import * as Subscription from "effect-skald/bus/Subscription"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { StoreError } from "effect-skald/store/StoreError"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import {
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Layer,
  Schedule,
  Schema,
  Scope,
  TestClock,
  TestContext
} from "effect"
import * as Postgres from "../support/postgres.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

const Paid = Event.make("Paid", { n: Schema.Number })
const bus = Publisher.make([Paid])
const settle = Effect.repeatN(Effect.yieldNow(), 500)

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

/** Who counts what is done: in memory, or in the database of the inbox. */
interface Ledger {
  readonly add: (n: number) => Effect.Effect<void>
  readonly counts: Effect.Effect<ReadonlyMap<number, number>>
}

const inMemory = Effect.sync((): Ledger => {
  const counts = new Map<number, number>()
  return {
    add: (n) => Effect.sync(() => void counts.set(n, (counts.get(n) ?? 0) + 1)),
    counts: Effect.sync(() => new Map(counts))
  }
})

/** A row for each time, without any key that would refuse the second. */
const inDatabase = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.orDie(sql`CREATE TABLE IF NOT EXISTS ledger (n INTEGER NOT NULL)`)
  yield* Effect.orDie(sql`DELETE FROM ledger`)
  yield* Effect.orDie(sql`DELETE FROM skald_inbox`)
  return {
    add: (n) => Effect.asVoid(Effect.orDie(sql`INSERT INTO ledger (n) VALUES (${n})`)),
    counts: Effect.map(
      Effect.orDie(sql<{ n: number; count: unknown }>`SELECT n, count(*) AS count FROM ledger GROUP BY n`),
      (rows) => new Map(rows.map(({ count, n }) => [n, Number(count)]))
    )
  } satisfies Ledger
})

/** What a run of the handler does after it has written. */
const outcomes = fc.array(fc.constantFrom("fail", "later", "die later", "interrupt" as const), { maxLength: 3 })

const cases = fc.record({
  messages: fc.array(fc.record({ outcomes, copies: fc.integer({ min: 1, max: 3 }) }), { minLength: 1, maxLength: 6 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  consumers: fc.integer({ min: 1, max: 2 }),
  /** How many of the first messages a consumer handles that dies before it can say so. */
  lost: fc.integer({ min: 0, max: 4 })
})

type Case = typeof cases extends fc.Arbitrary<infer A> ? A : never

const once = (ledger: Ledger, writesRollBack: boolean, given: Case) =>
  Effect.gen(function*() {
    const runs = new Map<number, number>()
    const handler = Inbox.once(({ n }: { readonly n: number }) =>
      Effect.gen(function*() {
        const run = runs.get(n) ?? 0
        runs.set(n, run + 1)
        const outcome = given.messages[n]!.outcomes[run]
        // in memory nothing takes back what a handler did before it failed
        if (outcome === undefined || writesRollBack) yield* ledger.add(n)
        if (outcome === "fail" || outcome === "later") return yield* new Refused()
        if (outcome === "interrupt") return yield* Effect.interrupt
        if (outcome === "die later") return yield* new Refused()
      })
    )
    const service = yield* EventBus.EventBus
    const group = { name: "s", selector: { _tag: "All" }, start: "latest", kept: true } as const
    const dying = yield* Scope.make()
    const consumer = yield* Scope.extend(service.consume(group), dying)
    for (const [n, { copies }] of given.messages.entries()) {
      for (let copy = 0; copy < copies; copy++) {
        yield* bus.publish(Envelope.make(Paid({ n }), { id: `m-${n}` }))
      }
    }
    if (given.lost > 0) {
      for (const { message } of yield* consumer.pull(given.lost)) {
        const n = Number(message.id.slice(2))
        yield* Effect.exit(handler({ n }, { subscription: "s", id: message.id } as Subscription.Delivery))
      }
    }
    yield* Scope.close(dying, Exit.void)
    for (let number = 0; number < given.consumers; number++) {
      yield* Subscription.run("s", {
        events: [Paid],
        concurrency: given.concurrency,
        handler,
        onError: {
          BusError: OnError.retry(Schedule.recurs(20), OnError.deadLetter),
          Refused: OnError.retry(
            Schedule.recurs(1),
            OnError.retryLater(Schedule.spaced("1 second"), OnError.deadLetter)
          )
        }
      })
    }
    for (let step = 0; step < 200; step++) {
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      const { inFlight, ready, waiting } = yield* service.depth("s")
      if (inFlight + ready + waiting === 0) break
      yield* TestClock.adjust("1 second")
    }
    assert.deepStrictEqual(
      Array.from(yield* ledger.counts).sort(([a], [b]) => a - b),
      given.messages.map((_, n) => [n, 1])
    )
  }).pipe(Effect.scoped, Effect.provide(EventBus.layerMemory))

describe("an inbox", () => {
  it("in memory: however often a message comes, its handler succeeds once", () =>
    fc.assert(
      fc.asyncProperty(cases, (given) =>
        Effect.flatMap(inMemory, (ledger) => once(ledger, false, given)).pipe(
          Effect.provide(Layer.merge(Inbox.layerMemory, TestContext.TestContext)),
          Effect.runPromise
        )),
      { numRuns: 25 }
    ), 60_000)

  it("in SQLite: however often a message comes, what its handler writes is written once", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const runtime = yield* Layer.toRuntime(
        SqlInbox.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename })))
      )
      const ledger = yield* Effect.provide(inDatabase, runtime)
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(cases, (given) =>
            Effect.zipRight(inDatabase, once(ledger, true, given)).pipe(
              Effect.provide(Layer.merge(Layer.succeedContext(runtime.context), TestContext.TestContext)),
              Effect.runPromise
            )),
          { numRuns: 20 }
        )
      )
    }).pipe(Effect.scoped, Effect.runPromise), 60_000)

  it.scoped("a second run of one message waits for the first, and does nothing once that has succeeded", () =>
    Effect.gen(function*() {
      const inbox = yield* Inbox.Inbox
      const ran: Array<string> = []
      const first = yield* Effect.fork(
        inbox.once("s", "m", Effect.zipRight(Effect.sleep("1 second"), Effect.sync(() => void ran.push("first"))))
      )
      yield* settle
      const second = yield* Effect.fork(inbox.once("s", "m", Effect.sync(() => void ran.push("second"))))
      const other = yield* inbox.once("other", "m", Effect.sync(() => void ran.push("other subscription")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second), other], [true, false, true])
      assert.deepStrictEqual(ran, ["other subscription", "first"])
    }).pipe(Effect.provide(Inbox.layerMemory)))

  it.scoped("a handler that fails or is interrupted is not remembered, and who waited for it runs", () =>
    Effect.gen(function*() {
      const inbox = yield* Inbox.Inbox
      assert.strictEqual((yield* Effect.flip(inbox.once("s", "m", new Refused())))._tag, "Refused")
      const first = yield* Effect.fork(inbox.once("s", "m", Effect.never))
      yield* settle
      const second = yield* Effect.fork(inbox.once("s", "m", Effect.void))
      yield* settle
      yield* Fiber.interrupt(first)
      assert.isTrue(yield* Fiber.join(second))
    }).pipe(Effect.provide(Inbox.layerMemory)))

  it.scoped("forgets a message after as long as it was told to keep it", () =>
    Effect.gen(function*() {
      const inbox = yield* Inbox.Inbox
      assert.isTrue(yield* inbox.once("s", "m", Effect.void))
      yield* TestClock.adjust("59 minutes")
      assert.isFalse(yield* inbox.once("s", "m", Effect.void))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* inbox.once("s", "m", Effect.void))
    }).pipe(Effect.provide(Inbox.layerMemoryWith({ keep: "1 hour" }))))
})

const onSql = (open: Layer.Layer<SqlClient.SqlClient, unknown>) => {
  const inbox = (options: SqlInbox.Options = {}) => SqlInbox.layer(options).pipe(Layer.provideMerge(open))

  it.scoped("a handler that fails takes back what it has written, and the mark with it", () =>
    Effect.gen(function*() {
      const ledger = yield* inDatabase
      const inbox = yield* Inbox.TransactionalInbox
      const refused = yield* Effect.flip(
        inbox.once("s", "m", Effect.zipRight(ledger.add(1), Effect.fail(new Refused())))
      )
      assert.strictEqual(refused._tag, "Refused")
      assert.strictEqual((yield* ledger.counts).size, 0)
      assert.isTrue(yield* inbox.once("s", "m", ledger.add(1)))
      assert.isFalse(yield* inbox.once("s", "m", ledger.add(1)))
      assert.deepStrictEqual(Array.from(yield* ledger.counts), [[1, 1]])
    }).pipe(Effect.provide(inbox())))

  it.scoped("an error of the handler's that is called as one of the inbox stays what it is", () =>
    Effect.gen(function*() {
      const inbox = yield* Inbox.Inbox
      const own = new StoreError({ reason: "busy", operation: "mine" })
      const error = yield* Effect.flip(inbox.once("s", "m", Effect.fail(own)))
      assert.deepStrictEqual([error._tag, error.operation, error.reason], ["StoreError", "mine", "busy"])
    }).pipe(Effect.provide(inbox())))

  it.scoped("what is older than it is to be kept is removed, in the background, and runs again", () =>
    Effect.gen(function*() {
      const inbox = yield* Inbox.Inbox
      const sql = yield* SqlClient.SqlClient
      yield* sql`DELETE FROM skald_inbox`
      assert.isTrue(yield* inbox.once("s", "old", Effect.void))
      yield* TestClock.adjust("59 minutes")
      assert.isTrue(yield* inbox.once("s", "new", Effect.void))
      yield* TestClock.adjust("2 minutes")
      let rows: ReadonlyArray<{ readonly id: string }> = []
      for (let tries = 0; tries < 200 && rows.length !== 1; tries++) {
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))
        rows = yield* sql<{ id: string }>`SELECT id FROM skald_inbox WHERE subscription = 's'`
      }
      assert.deepStrictEqual(rows.map(({ id }) => id), ["new"])
      assert.isTrue(yield* inbox.once("s", "old", Effect.void))
    }).pipe(Effect.provide(inbox({ keep: "1 hour", purgeEvery: "20 millis", clock: "process" }))))
}

describe("an inbox in SQLite", () => {
  onSql(Layer.unwrapScoped(Effect.map(tempFile(), (filename) => SqliteClient.layer({ filename }))))
})

Servers.suite("postgres", "An inbox in PostgreSQL", (url) => {
  const open = Layer.unwrapScoped(Effect.map(Postgres.database(url), Postgres.client))
  onSql(open)

  it.scopedLive("of two processes with one message, the second waits for the first transaction", () =>
    Effect.gen(function*() {
      const ledger = yield* inDatabase
      const one = yield* Inbox.TransactionalInbox
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const first = yield* Effect.fork(
        one.once("s", "m", Effect.all([ledger.add(1), Deferred.succeed(begun, undefined), Deferred.await(go)]))
      )
      yield* Deferred.await(begun)
      const second = yield* Effect.fork(one.once("s", "m", ledger.add(1)))
      yield* Effect.sleep("50 millis")
      assert.isNull(second.unsafePoll())
      yield* Deferred.succeed(go, undefined)
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [true, false])
      assert.deepStrictEqual(Array.from(yield* ledger.counts), [[1, 1]])
    }).pipe(Effect.provide(SqlInbox.layer().pipe(Layer.provideMerge(open)))))
})
