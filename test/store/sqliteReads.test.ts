// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import type * as EventStore from "effect-skald/store/EventStore"
import * as Query from "effect-skald/store/Query"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import { all, append, event, inTenant, open, settle, type Store } from "../support/sqliteStore.ts"

describe("SQLite: reads", () => {
  const tenants = [undefined, "one", "two"]
  /** Enough that what is rare and what is not take different ways. */
  const fill = (store: Store) =>
    Effect.forEach(
      Array.from({ length: 60 }, (_, batch) => batch),
      (batch) =>
        inTenant(tenants[batch % 5 === 0 ? 1 : batch % 11 === 0 ? 2 : 0])(
          Effect.zipRight(
            TestClock.setTime(100_000 + batch * 10),
            store.append([{
              stream: `${batch % 3 === 0 ? "b" : "a"}-${batch % 7}`,
              events: Array.from({ length: 120 }, (_, index) => {
                const n = batch * 120 + index
                return event(n, {
                  id: `${n}`,
                  type: n % 997 === 0 ? "Rare" : n % 2 === 0 ? "Even" : "Odd",
                  tags: [`mod3:${n % 3}`, ...(n % 50 === 0 ? ["fifty"] : []), ...(n % 499 === 0 ? ["rare"] : [])],
                  occurredAt: ((n * 7919) % 7_200) * 10,
                  metadata: { correlationId: `c${n % 40}` }
                })
              })
            }])
          )
        ),
      { discard: true }
    )

  const filters: ReadonlyArray<EventStore.Filter> = [
    {},
    { stream: "a-1" },
    { category: "b" },
    { types: ["Rare"] },
    { types: ["Rare", "Even"] },
    { types: Array.from({ length: 100 }, (_, n) => n === 0 ? "Odd" : `None${n}`) },
    { correlationId: "c7" },
    { query: Query.unsafeMake({ tags: ["fifty"] }) },
    { query: Query.unsafeMake({ tags: ["mod3:0", "rare"] }) },
    { query: Query.unsafeMake({ types: ["Odd"], tags: ["mod3:1"] }, { types: ["Rare"] }, { tags: ["rare"] }) },
    { since: 10_000, until: 10_500 },
    { since: 10_000, until: 60_000 },
    { time: "recordedAt", since: 100_200, until: 100_310 },
    { category: "a", types: ["Even"], since: 20_000 },
    { stream: "b-3", time: "recordedAt", since: 100_200 },
    { category: "a", query: Query.unsafeMake({ tags: ["fifty"] }), correlationId: "c0" }
  ]
  const keeps =
    (filter: EventStore.Filter) => (raw: { [K in keyof EventStore.NewEvent]: any } & { [name: string]: any }) =>
      (filter.stream === undefined || raw["stream"] === filter.stream) &&
      (filter.category === undefined || raw["stream"].startsWith(`${filter.category}-`)) &&
      (filter.types === undefined || filter.types.includes(raw.type)) &&
      (filter.correlationId === undefined || raw["metadata"].correlationId === filter.correlationId) &&
      (filter.query === undefined || Query.matches(filter.query, raw as any)) &&
      (filter.since === undefined || raw[filter.time ?? "occurredAt"].epochMillis >= (filter.since as number)) &&
      (filter.until === undefined || raw[filter.time ?? "occurredAt"].epochMillis < (filter.until as number))

  it.scoped(
    "every filter, of one tenant and of all, both ways and in pages, is what filtering everything gives",
    () =>
      Effect.gen(function*() {
        const { store } = yield* open()
        yield* fill(store)
        for (const tenant of [...tenants, "all"]) {
          const allTenants = tenant === "all"
          const everything = yield* inTenant(allTenants ? undefined : tenant)(all(store, { allTenants }))
          for (const filter of filters) {
            const expected = everything.filter(keeps(filter) as any).map((raw) => raw.position)
            const read = (options: EventStore.ReadAllOptions) =>
              Effect.map(
                inTenant(allTenants ? undefined : tenant)(all(store, { ...filter, allTenants, ...options })),
                (raws) => raws.map((raw) => raw.position)
              )
            assert.deepStrictEqual(yield* read({}), expected, JSON.stringify([tenant, filter]))
            assert.deepStrictEqual(
              yield* read({ backwards: true }),
              expected.toReversed(),
              JSON.stringify([tenant, filter])
            )
            assert.deepStrictEqual(
              yield* read({ after: 2_000, to: 5_000, limit: 40 }),
              expected.filter((position) => position > 2_000 && position <= 5_000).slice(0, 40)
            )
          }
        }
      }),
    60_000
  )

  it.scoped("what is selective is found by an index that yields it in order", () =>
    Effect.gen(function*() {
      const { client, read, store } = yield* open()
      yield* fill(store)
      const explained = (filter: EventStore.ReadAllOptions, tenant?: string) =>
        Effect.gen(function*() {
          read.length = 0
          yield* inTenant(tenant)(all(store, { ...filter, limit: 10 }))
          const [text, params] = read[read.length - 1]!
          const rows = client.reader.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...params) as Array<
            { readonly detail: string }
          >
          return rows.map((row) => row.detail).join("\n")
        })
      const index = (name: string) => (plan: string) => {
        assert.include(plan, `INDEX skald_events_${name}`)
        assert.notMatch(plan, /SCAN event|TEMP B-TREE/)
      }
      const expected: ReadonlyArray<readonly [EventStore.ReadAllOptions, (plan: string) => void, tenant?: string]> = [
        [{ stream: "a-1", after: 100 }, (plan) => assert.include(plan, "(stream=? AND tenant=? AND version>?)")],
        [
          { stream: "a-1", to: 5_000, backwards: true },
          (plan) => assert.include(plan, "(stream=? AND tenant=? AND version<?)")
        ],
        [{ category: "b", backwards: true }, index("category")],
        [{ types: ["Rare"] }, index("type")],
        [{ types: ["Rare"], category: "a" }, index("type")],
        [{ correlationId: "c7", types: ["Odd"] }, index("correlation")],
        [{}, index("tenant"), "two"],
        [{}, (plan) => assert.include(plan, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)")],
        [
          { query: Query.unsafeMake({ tags: ["rare"] }) },
          (plan) => {
            assert.include(plan, "SEARCH tag USING PRIMARY KEY (tag=? AND tenant=? AND position>? AND position<?)")
            assert.notMatch(plan, /SCAN|TEMP B-TREE/)
          }
        ],
        [
          { types: ["Rare", "Odd"] },
          (plan) => {
            assert.include(plan, "MERGE (UNION)")
            assert.notMatch(plan, /SCAN event/)
          }
        ],
        [
          { query: Query.unsafeMake({ tags: ["rare"] }, { types: ["Rare"] }) },
          (plan) => {
            assert.include(plan, "MERGE (UNION)")
            assert.notMatch(plan, /SCAN (event|tag)/)
          }
        ],
        [
          { since: 10_000, until: 10_100 },
          (plan) => assert.include(plan, "INDEX skald_events_occurred (occurred_at>? AND occurred_at<?)")
        ],
        [{ allTenants: true, types: ["Rare"] }, (plan) => assert.include(plan, "INDEX skald_events_type (type=?")]
      ]
      for (const [filter, check, tenant] of expected) check(yield* explained(filter, tenant))
    }), 60_000)

  it.scoped("a database in memory shows nothing of a transaction before it is committed", () =>
    Effect.gen(function*() {
      const { store } = yield* open({ filename: ":memory:" })
      const written = yield* Deferred.make<void>()
      const leave = yield* Deferred.make<void>()
      const holder = yield* Effect.fork(Effect.either(store.withTransaction(
        Effect.all([
          append(store, "a-1"),
          Deferred.succeed(written, undefined),
          Deferred.await(leave),
          Effect.fail("undone")
        ])
      )))
      yield* Deferred.await(written)
      const reader = yield* Effect.fork(all(store))
      yield* settle
      yield* Deferred.succeed(leave, undefined)
      yield* Fiber.join(holder)
      assert.deepStrictEqual(yield* Fiber.join(reader), [])
    }))
})
