import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Either, Fiber, Layer, Option, Ref, Schema } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Correlation from "effect-skald/event/Correlation"
import * as Event from "effect-skald/event/Event"
import * as Sqlite from "effect-skald/Sqlite"
import * as Category from "effect-skald/store/Category"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import * as EventStore from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import { onBoth } from "../support/embedded.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets, Withdrawn } from "../support/wallet.ts"

const sum = Projection.make("sum", {
  events: [Deposited],
  state: Schema.Number,
  initial: 0,
  apply: (total, { amount }) => {
    if (amount === 13) throw new Error("unlucky")
    return total + amount
  }
})

const listing = (list: Ref.Ref<ReadonlyArray<number>>) =>
  Projection.handler("list", {
    events: [Deposited],
    handle: Projection.each(({ amount }) =>
      amount === 13 ? Effect.fail("unlucky") : Ref.update(list, (all) => [...all, amount])
    )
  })

const put = (...amounts: ReadonlyArray<number>) => Wallets.append("a", amounts.map((amount) => Deposited({ amount })))

onBoth("Projection.layerInline", (layer) => {
  type Services = Layer.Layer.Success<typeof layer>
  const test = (title: string, body: () => Effect.Effect<void, unknown, Services>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  test("a value stands as of the last append, with nothing to wait for, and counts what was there before", () =>
    Effect.gen(function*() {
      yield* put(1, 2)
      yield* Effect.gen(function*() {
        assert.strictEqual(yield* Projection.get(sum), 3)
        for (let n = 1; n <= 12; n++) {
          const { position } = yield* put(n)
          assert.strictEqual(yield* Projection.get(sum), 3 + n * (n + 1) / 2)
          yield* Projection.awaitPosition(sum, position)
        }
        yield* Wallets.append("a", [Withdrawn({ amount: 5 })])
        assert.strictEqual(yield* Projection.get(sum), 81)
      }).pipe(Effect.provide(Projection.layerInline(sum)))
    }))

  test("a handler has had every event when its append answers, once, in order, and those of before", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      yield* put(1, 2)
      yield* Effect.gen(function*() {
        equal(yield* list, [1, 2])
        for (let n = 3; n <= 9; n += 2) {
          const { position } = yield* put(n, n + 1)
          yield* Wallets.append("a", [Withdrawn({ amount: 5 })])
          assert.strictEqual((yield* list).at(-1), n + 1)
          yield* Projection.awaitPosition(listing(list), position)
        }
      }).pipe(Effect.provide(Projection.layerInline(listing(list))))
      // appended while it does not run, and projected when it does again
      yield* put(11)
      yield* Effect.gen(function*() {
        yield* put(12)
      }).pipe(Effect.provide(Projection.layerInline(listing(list))))
      equal(yield* list, Array.from({ length: 12 }, (_, n) => n + 1))
    }))

  test("an event that cannot be taken fails its append, and no other one", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      for (const projection of [sum, listing(list)] as const) {
        yield* Effect.gen(function*() {
          const before = yield* Effect.flatMap(EventStore.EventStore, (store) => store.head)
          const appends = [1, 13, 2, 13, 3].map((amount) => Effect.either(put(amount)))
          const answers = yield* Effect.all(appends, { concurrency: "unbounded" })
          equal(answers.map(Either.isRight), [true, false, true, false, true])
          includes(Either.merge(answers[1]!), { _tag: "StoreError", reason: "hook" })
          const after = yield* Effect.flatMap(EventStore.EventStore, (store) => store.head)
          assert.isAtLeast(after, before + 3)
        }).pipe(Effect.provide(Projection.layerInline(projection as typeof sum)))
      }
      assert.strictEqual(yield* Projection.live(sum), 12)
      equal([...yield* list].sort(), [1, 1, 2, 2, 3, 3])
    }))

  test("an event that it cannot read fails its append, too", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      const unreadable = Effect.flatMap(EventStore.EventStore, (store) =>
        store.append([{ stream: "wallet-a", events: [{ type: "Deposited", schemaVersion: 9, payload: {} }] }]))
      for (const projection of [sum, listing(list)] as const) {
        yield* Effect.provide(
          Effect.map(Effect.flip(unreadable), (error) =>
            includes(error, { _tag: "StoreError", reason: "hook" })),
          Projection.layerInline(projection as typeof sum)
        )
      }
      assert.strictEqual(yield* Effect.flatMap(EventStore.EventStore, (store) => store.head), 0)
    }))

  test("many append at once: each event once, and the value is that of the log", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      yield* Effect.gen(function*() {
        const writer = (stream: number) =>
          Effect.forEach(Array.from({ length: 20 }, (_, n) => n), (n) =>
            Wallets.append(`w${stream}`, [Deposited({ amount: stream * 100 + n })]))
        yield* Effect.forEach([1, 2, 3, 4, 5], writer, { concurrency: "unbounded" })
        assert.strictEqual(yield* Projection.get(sum), yield* Projection.live(sum))
      }).pipe(Effect.provide(Layer.merge(Projection.layerInline(sum), Projection.layerInline(listing(list)))))
      assert.lengthOf(yield* list, 100)
      assert.strictEqual(new Set(yield* list).size, 100)
    }))

  test("of the layer's tenant and category, or of all tenants", () =>
    Effect.gen(function*() {
      const Others = Category.make("other", { events: [Deposited] })
      const as = (tenant: string) => Correlation.locally({ tenant })
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const noting = (name: string, options: { readonly category?: string; readonly allTenants?: boolean }) =>
        Projection.layerInline(Projection.handler(name, {
          ...options,
          events: [Deposited],
          handle: Projection.each(({ amount }) => Ref.update(seen, (all) => [...all, `${name} ${amount}`]))
        }))
      const layers = Layer.mergeAll(
        noting("wallets", { category: "wallet" }),
        noting("none", {}),
        noting("all", { allTenants: true })
      )
      // a layer is of the tenant of whoever builds it
      const one = Layer.locally(noting("one", {}), Correlation.currentCorrelation, { tenant: "one" })
      yield* Effect.gen(function*() {
        yield* put(1)
        yield* Others.append("o", [Deposited({ amount: 2 })])
        yield* put(3).pipe(as("one"))
      }).pipe(Effect.provide(Layer.merge(layers, one)))
      equal([...yield* seen].sort(), [
        "all 1",
        "all 2",
        "all 3",
        "none 1",
        "none 2",
        "one 3",
        "wallets 1"
      ])
    }))

  test("a handler may append what is of other projections; what is its own fails the append", () =>
    Effect.gen(function*() {
      const Noted = Event.make("Noted", { amount: Schema.Number })
      const Notes = Category.make("note", { events: [Noted] })
      const noting = Projection.handler("noting", {
        events: [Deposited],
        handle: Projection.each(({ amount }) => Notes.append("n", [Noted({ amount })]))
      })
      const count = Projection.make("count", {
        events: [Noted],
        state: Schema.Number,
        initial: 0,
        apply: (total, { amount }) => total + amount
      })
      const Echoed = Event.make("Echoed", { amount: Schema.Number })
      const Echoes = Category.make("echo", { events: [Echoed] })
      const endless = Projection.handler("endless", {
        events: [Echoed],
        handle: Projection.each(({ amount }) => Echoes.append("e", [Echoed({ amount })]))
      })
      yield* Effect.gen(function*() {
        yield* put(1, 2)
        yield* put(3)
        assert.strictEqual(yield* Projection.get(count), 6)
      }).pipe(Effect.provide(Layer.provideMerge(Projection.layerInline(noting), Projection.layerInline(count))))
      const refused = Effect.flip(Echoes.append("f", [Echoed({ amount: 1 })]))
      includes(yield* Effect.provide(refused, Projection.layerInline(endless)), { _tag: "StoreError", reason: "hook" })
      yield* Echoes.append("f", [Echoed({ amount: 1 })])
      // what was there before is caught up with; the event that this appends is its own, and ends it
      includes(yield* Effect.flip(Effect.provide(refused, Projection.layerInline(endless))), { reason: "hook" })
    }))
})

describe("Projection.layerInline over SQLite", () => {
  const Table = Projection.handler("table", {
    events: [Deposited],
    handle: Projection.each(({ amount }, { position }) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO amounts ${sql.insert({ position, amount })}`)
    )
  })
  const create = Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`CREATE TABLE amounts (position INTEGER PRIMARY KEY, amount INTEGER)`
  )
  const rows = Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Effect.map(
        sql<{ amount: number }>`SELECT amount FROM amounts ORDER BY position`,
        (found) => found.map(({ amount }) => amount)
      )
  )
  const fresh = Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layer({ filename })))

  it.effect("rows, checkpoint and events are one transaction, the caller's where there is one", () =>
    Effect.gen(function*() {
      yield* create
      const sql = yield* SqlClient.SqlClient
      yield* Effect.gen(function*() {
        yield* put(1)
        const undone = sql.withTransaction(Effect.gen(function*() {
          yield* put(2)
          equal(yield* rows, [1, 2])
          assert.strictEqual(yield* Projection.get(sum), 3, "its own transaction sees it")
          return yield* Effect.fail("undone")
        }))
        assert.strictEqual(yield* Effect.flip(undone), "undone")
        equal(yield* rows, [1])
        assert.strictEqual(yield* Projection.get(sum), 1)
        const { position } = yield* put(3)
        equal(yield* rows, [1, 3])
        assert.strictEqual(yield* Projection.get(sum), 4)
        const checkpoints = yield* CheckpointStore
        assert.strictEqual(Option.getOrThrow(yield* checkpoints.get(":projection/table@1")), position)
      }).pipe(Effect.provide(Layer.merge(Projection.layerInline(Table), Projection.layerInline(sum))))
    }).pipe(Effect.provide(fresh)))

  it.scoped("what another process appended without it comes first, with the next append", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const one = yield* Layer.build(Sqlite.layer({ filename }))
      const two = yield* Layer.build(Layer.fresh(Sqlite.layer({ filename })))
      yield* Effect.gen(function*() {
        yield* create
        yield* Effect.gen(function*() {
          yield* put(1)
          yield* Effect.provide(put(2, 3), two)
          equal(yield* rows, [1])
          assert.strictEqual(yield* Projection.get(sum), 6, "a value is of the log, whoever appended")
          yield* put(4)
          equal(yield* rows, [1, 2, 3, 4])
        }).pipe(Effect.provide(Layer.merge(Projection.layerInline(Table), Projection.layerInline(sum))))
      }).pipe(Effect.provide(one))
    }))

  it.scopedLive("two processes that both run it: every row once, in order", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const process = Layer.provideMerge(Projection.layerInline(Table), Sqlite.layer({ filename }))
      const created = yield* Deferred.make<void>()
      yield* Effect.zipRight(create, Deferred.succeed(created, undefined)).pipe(
        Effect.provide(Sqlite.layer({ filename }))
      )
      const one = yield* Layer.build(process)
      const two = yield* Layer.build(Layer.fresh(process))
      const write = (from: number) =>
        Effect.forEach(Array.from({ length: 15 }, (_, n) => from + n), (amount) =>
          Wallets.append(`${from}`, [Deposited({ amount })]))
      const fiber = yield* Effect.fork(Effect.provide(write(100), one))
      yield* Effect.provide(write(200), two)
      yield* Fiber.join(fiber)
      const found = yield* Effect.provide(rows, one)
      assert.lengthOf(found, 30)
      equal(
        found.filter((amount) =>
          amount < 200
        ),
        Array.from({ length: 15 }, (_, n) => 100 + n)
      )
    }), 30_000)
})
