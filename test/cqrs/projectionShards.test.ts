import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, HashMap, Layer, Option, Ref, Schema, Stream, TestClock } from "effect"
import * as ProjectionParking from "effect-skald/cqrs/ProjectionParking"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionShards from "effect-skald/cqrs/ProjectionShards"
import * as Projections from "effect-skald/cqrs/Projections"
import * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { EventStore } from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const put = (wallet: string, ...amounts: ReadonlyArray<number>) =>
  Wallets.append(wallet, amounts.map((amount) => Deposited({ amount })))
const head = Effect.flatMap(EventStore, (store) => store.head)

const options = { events: [Deposited] as const, state: Schema.Array(Schema.Number), initial: [] }
const byWallet = Projections.byAggregate("by wallet", {
  ...options,
  apply: (all: ReadonlyArray<number>, { amount }) => [...all, amount]
})
const merge = <A>(maps: ReadonlyArray<HashMap.HashMap<string, A>>) =>
  maps.reduce((all, part) => HashMap.union(all, part), HashMap.empty<string, A>())

const log = FastCheck.array(
  FastCheck.tuple(FastCheck.string({ minLength: 1, maxLength: 3, unit: "grapheme-ascii" }), FastCheck.nat(1_000)),
  { maxLength: 30 }
)

describe("ProjectionShards", () => {
  it.effect.prop(
    "in any number of parts, a value is what it is whole, and each stream's events are handled in order, each once",
    { log, more: log, shards: FastCheck.integer({ min: 1, max: 9 }) },
    ({ log, more, shards }) =>
      Effect.gen(function*() {
        const seen = yield* Ref.make<ReadonlyArray<readonly [string, number]>>([])
        const handler = Projection.handler("list", {
          events: [Deposited],
          handle: Projection.each(({ amount }, { stream }) =>
            Ref.update(seen, (all) => [...all, [stream, amount] as const])
          )
        })
        const layers = Layer.merge(
          ProjectionShards.layer(byWallet, { shards, merge, saveEvery: 5 }),
          ProjectionShards.layer(handler, { shards })
        )
        for (const part of [log, more]) {
          yield* Effect.gen(function*() {
            for (const [wallet, amount] of part) yield* put(wallet, amount)
            const position = yield* head
            yield* Projection.awaitPosition(byWallet, position)
            yield* Projection.awaitPosition(handler, position)
            equal(
              Object.fromEntries(yield* Projection.get(byWallet)),
              Object.fromEntries(yield* Projection.live(byWallet))
            )
          }).pipe(Effect.provide(Layer.fresh(layers)))
        }
        const all = [...log, ...more]
        const found = yield* seen
        assert.lengthOf(found, all.length)
        for (const wallet of new Set(all.map(([wallet]) => wallet))) {
          equal(
            found.filter(([stream]) => stream === `wallet-${wallet}`).map(([, amount]) => amount),
            all.filter(([of]) => of === wallet).map(([, amount]) => amount)
          )
        }
      }).pipe(Effect.provide(Memory.layer)),
    { fastCheck: { numRuns: 30 } }
  )

  it("spreads keys evenly, whatever they look like, and never moves one", () => {
    for (const shards of [2, 3, 8, 16]) {
      for (const prefix of ["", "wallet-", "order-0000"]) {
        const counts = Array.from({ length: shards }, () => 0)
        for (let n = 0; n < 16_000; n++) counts[ProjectionShards.shardOf(`${prefix}${n}`, shards)]!++
        for (const count of counts) assert.closeTo(count, 16_000 / shards, 0.1 * 16_000 / shards)
      }
    }
    // kept checkpoints depend on it
    equal(["", "a", "wallet-1", "Ω"].map((key) => ProjectionShards.shardOf(key, 1_000)), [413, 516, 139, 595])
  })

  it.effect("workers go side by side: one that waits holds up its own keys alone", () =>
    Effect.gen(function*() {
      const done = yield* Ref.make<ReadonlyArray<string>>([])
      const slow = Projection.handler("slow", {
        events: [Deposited],
        handle: Projection.each(({ amount }, { stream }) =>
          Effect.zipRight(
            amount === 1 ? Effect.sleep("1 hour") : Effect.void,
            Ref.update(done, (all) => [...all, stream])
          )
        )
      })
      const other = Array.from({ length: 50 }, (_, n) => `${n}`).find((name) =>
        ProjectionShards.shardOf(`:wallet-${name}`, 2) !== ProjectionShards.shardOf(":wallet-a", 2)
      )!
      yield* Effect.gen(function*() {
        yield* put("a", 1)
        yield* put(other, 2, 3)
        yield* TestClock.adjust("1 second")
        equal(yield* done, [`wallet-${other}`, `wallet-${other}`])
        yield* TestClock.adjust("1 hour")
        equal((yield* done).at(-1), "wallet-a")
      }).pipe(Effect.provide(ProjectionShards.layer(slow, { shards: 2 })))
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("a handler that is kept in another number of parts, or whole, is refused", () =>
    Effect.gen(function*() {
      const handler = Projection.handler("list", { events: [Deposited], handle: () => Effect.void })
      const whole = Projection.handler("whole", { events: [Deposited], handle: () => Effect.void })
      const starts = (shards: number, projection = handler) =>
        Effect.scoped(Layer.build(Layer.fresh(ProjectionShards.layer(projection, { shards }))))
      yield* put("a", 1)
      yield* starts(4)
      yield* starts(4)
      const error = yield* Effect.flip(starts(5))
      assert.match(`${error}`, /options.shards: the projection is kept in 4, got 5/)
      yield* Projection.catchUp(whole)
      includes(yield* Effect.flip(starts(1, whole as never)), { _tag: "InvalidInput" })
      includes(yield* Effect.flip(Stream.runDrain(Projection.rebuild(handler))), { _tag: "InvalidInput" })
      for (const shards of [0, 1.5, 1_025, Number.NaN]) {
        includes(yield* Effect.flip(starts(shards)), { _tag: "InvalidInput" })
      }
    }).pipe(Effect.provide(Memory.layer)))

  it.effect("what its parts have parked is one list, and is retried", () =>
    Effect.gen(function*() {
      const bad = new Set([13])
      const seen = yield* Ref.make<ReadonlyArray<number>>([])
      const handler = Projection.handler("list", {
        events: [Deposited],
        handle: Projection.each(({ amount }) =>
          bad.has(amount) ? Effect.fail("bad") : Ref.update(seen, (all) => [...all, amount])
        )
      })
      const sum = Projection.make("sum", {
        events: [Deposited],
        state: Schema.Number,
        initial: 0,
        apply: (total, { amount }) => {
          if (bad.has(amount)) throw new Error("bad")
          return total + amount
        }
      })
      const park = { shards: 4, onFailure: "park" } as const
      yield* Effect.gen(function*() {
        for (let n = 10; n < 20; n++) yield* put(`${n}`, n, 100 + n)
        const position = yield* head
        yield* Projection.awaitPosition(handler, position)
        yield* Projection.awaitPosition(sum, position)
        assert.lengthOf(yield* ProjectionParking.list(handler), 2)
        const whole = 2 * 145 + 1_000
        assert.strictEqual(yield* Projection.get(sum), whole - 13 - 113)
        bad.clear()
        equal(yield* ProjectionParking.retry(handler), { done: 2, gone: 0, left: 0 })
        equal(yield* ProjectionParking.retry(sum), { done: 2, gone: 0, left: 0 })
        assert.strictEqual(yield* Projection.get(sum), whole)
        assert.lengthOf(yield* seen, 20)
      }).pipe(Effect.provide(Layer.merge(
        ProjectionShards.layer(handler, park),
        ProjectionShards.layer(sum, { ...park, merge: (sums) => sums.reduce((all, one) => all + one, 0) })
      )))
    }).pipe(Effect.provide(Memory.layer)))

  it.scopedLive(
    "over SQLite, shared by two processes: parts move with the one that ends, and each row is there once",
    () =>
      Effect.gen(function*() {
        const filename = yield* tempFile()
        const stores = Sqlite.layer({ filename })
        const Table = Projection.handler("table", {
          events: [Deposited],
          handle: Projection.each(({ amount }) =>
            Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO amounts ${sql.insert({ amount })}`)
          )
        })
        const worker = Layer.provideMerge(
          ProjectionShards.layerTakeOver(Table, { shards: 3, lease: { ttl: "1 second" } }),
          stores
        )
        yield* Effect.provide(
          Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE amounts (amount INTEGER PRIMARY KEY)`),
          stores
        )
        const write = (from: number) =>
          Effect.gen(function*() {
            for (let n = from; n < from + 30; n++) yield* put(`${n % 7}`, n)
            yield* Projection.awaitPosition(Table, yield* head)
          })
        const two = yield* Effect.scoped(Effect.gen(function*() {
          const one = yield* Layer.build(worker)
          yield* Effect.provide(write(0), one)
          return yield* Effect.void
        }))
        assert.isUndefined(two)
        const later = yield* Layer.build(Layer.fresh(worker))
        yield* Effect.provide(write(30), later)
        yield* Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          equal(yield* sql`SELECT count(*) AS rows FROM amounts`, [{ rows: 60 }])
          const checkpoints = yield* CheckpointStore
          for (const part of [1, 2, 3]) {
            assert.isTrue(Option.isSome(yield* checkpoints.get(`:projection/table@1/${part} of 3`)))
          }
        }).pipe(Effect.provide(later))
      }),
    60_000
  )
})
