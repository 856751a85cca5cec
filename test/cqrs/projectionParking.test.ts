import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Ref, Schedule, Schema, TestClock } from "effect"
import * as ProjectionParking from "effect-skald/cqrs/ProjectionParking"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import * as EventStore from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const memory = Memory.layer
const sqlite = Layer.orDie(Layer.unwrapScoped(
  Effect.map(tempFile(), (filename) => Sqlite.layer({ filename }))
))

const put = (wallet: string, ...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append(wallet, amounts.map((amount) => Deposited({ amount }))), ({ position }) => position)
const unreadable = (wallet: string) =>
  Effect.flatMap(
    EventStore.EventStore,
    (store) =>
      store.append([{ stream: `wallet-${wallet}`, events: [{ type: "Deposited", schemaVersion: 9, payload: {} }] }])
  )

/** Notes what it is given, but for the amounts that are bad now. */
const make = Effect.gen(function*() {
  const list = yield* Ref.make<ReadonlyArray<number>>([])
  const bad = new Map<number, "fails" | "dies">()
  let tries = 0
  const handler = Projection.handler("list", {
    events: [Deposited],
    handle: (events) =>
      Effect.suspend(() => {
        tries++
        const amounts = events.map(({ payload }) => payload.amount)
        const problem = amounts.find((amount) => bad.has(amount))
        if (problem === undefined) return Ref.update(list, (all) => [...all, ...amounts])
        return bad.get(problem) === "dies"
          ? Effect.die(new Error(`broken by ${problem}`))
          : Effect.fail(`not ${problem}`)
      })
  })
  const sum = Projection.make("sums", {
    events: [Deposited],
    state: Schema.Array(Schema.Number),
    initial: [],
    apply: (all, { amount }) => {
      if (bad.has(amount)) throw new Error(`broken by ${amount}`)
      return [...all, amount]
    }
  })
  return { list, bad, handler, sum, tries: () => tries }
})

for (const [name, layer] of [["memory", memory], ["SQLite", sqlite]] as const) {
  describe(`a projection that parks what fails: ${name}`, () => {
    type Services = Layer.Layer.Success<typeof memory>
    const test = (title: string, body: () => Effect.Effect<void, unknown, Services>) =>
      it.effect(title, () => Effect.provide(body(), layer))
    const park = { onFailure: "park" } as const

    test("the failing event and the later ones of its stream stand aside, the other streams go on", () =>
      Effect.gen(function*() {
        const { bad, handler, list, sum } = yield* make
        bad.set(13, "fails")
        yield* put("a", 1, 13, 2)
        yield* put("b", 3)
        yield* put("a", 4)
        yield* put("b", 5)
        for (let times = 0; times < 2; times++) {
          yield* Projection.catchUp(handler, park)
          equal(yield* list, [1, 3, 5])
          includes(yield* Projection.catchUp(sum, park), { state: [1, 3, 5] })
        }
        for (const parked of [yield* ProjectionParking.list(handler), yield* ProjectionParking.list(sum)]) {
          equal(parked.map(({ position, reason, stream }) => [position, stream, reason]), [
            [2, "wallet-a", "failed"],
            [3, "wallet-a", "behind"],
            [5, "wallet-a", "behind"]
          ])
        }
        const [first] = yield* ProjectionParking.list(handler)
        includes(first!, { problem: "not 13", attempts: 1, type: "Deposited", tenant: undefined })
        equal(yield* ProjectionParking.list(handler, { stream: "wallet-b" }), [])
        // what comes later goes behind, too, in a run of its own
        yield* put("a", 6)
        yield* put("b", 7)
        yield* Projection.catchUp(handler, park)
        equal(yield* list, [1, 3, 5, 7])
        assert.lengthOf(yield* ProjectionParking.list(handler), 4)
      }))

    test("it is tried as the Schedule says before it is parked; what cannot be read and a defect are not", () =>
      Effect.gen(function*() {
        const { bad, handler, list, tries } = yield* make
        bad.set(13, "fails")
        bad.set(14, "dies")
        const run = Effect.gen(function*() {
          const fiber = yield* Effect.fork(Projection.catchUp(handler, {
            ...park,
            retry: Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(3))
          }))
          const before = tries()
          yield* TestClock.adjust("1 minute")
          yield* fiber
          return tries() - before
        })
        yield* put("a", 13)
        // once as a chunk, then the event alone: once, and three times more
        assert.strictEqual(yield* run, 5)
        includes((yield* ProjectionParking.list(handler))[0]!, { attempts: 4 })
        yield* put("b", 14)
        assert.strictEqual(yield* run, 2)
        yield* unreadable("c")
        assert.strictEqual(yield* run, 0)
        const parked = yield* ProjectionParking.list(handler)
        equal(parked.map(({ attempts }) => attempts), [4, 1, 1])
        assert.match(parked[1]!.problem, /broken by 14/)
        assert.match(parked[2]!.problem, /cannot read Deposited \(schema version 9\)/)
        yield* put("d", 1)
        yield* run
        equal(yield* list, [1])
      }))

    test("one that passes in time is not parked", () =>
      Effect.gen(function*() {
        const { bad, handler, list } = yield* make
        bad.set(13, "fails")
        yield* put("a", 12, 13, 14)
        const fiber = yield* Effect.fork(Projection.catchUp(handler, { ...park, retry: Schedule.spaced("1 second") }))
        yield* TestClock.adjust("5 seconds")
        bad.clear()
        yield* TestClock.adjust("5 seconds")
        yield* fiber
        equal(yield* list, [12, 13, 14])
        equal(yield* ProjectionParking.list(handler), [])
      }))

    test("retried in order; a stream whose event fails again stands still, the others are free", () =>
      Effect.gen(function*() {
        const { bad, handler, list } = yield* make
        bad.set(13, "fails").set(23, "fails")
        yield* put("a", 13, 14)
        yield* put("b", 23, 24)
        yield* Projection.catchUp(handler, park)
        equal(yield* ProjectionParking.retry(handler), { done: 0, gone: 0, left: 4 })
        includes((yield* ProjectionParking.list(handler))[0]!, { attempts: 2, position: 1 })
        bad.delete(13)
        equal(yield* ProjectionParking.retry(handler), { done: 2, gone: 0, left: 2 })
        equal(yield* list, [13, 14])
        yield* put("a", 15)
        yield* put("b", 25)
        yield* Projection.catchUp(handler, park)
        equal(yield* list, [13, 14, 15])
        bad.clear()
        equal(yield* ProjectionParking.retry(handler, { stream: "wallet-a" }), { done: 0, gone: 0, left: 0 })
        equal(yield* ProjectionParking.retry(handler, { stream: "wallet-b" }), { done: 3, gone: 0, left: 0 })
        equal(yield* list, [13, 14, 15, 23, 24, 25])
      }))

    test("dropped, it is never projected, and what stands behind it waits for a retry; truncated, it is gone", () =>
      Effect.gen(function*() {
        const { bad, handler, list } = yield* make
        const store = yield* EventStore.EventStore
        bad.set(13, "fails").set(23, "fails")
        yield* put("a", 13, 14)
        yield* put("b", 23, 24)
        yield* Projection.catchUp(handler, park)
        assert.strictEqual(yield* ProjectionParking.drop(handler, { position: 1 }), 1)
        assert.strictEqual(yield* ProjectionParking.drop(handler, { position: 1 }), 0)
        yield* Projection.catchUp(handler, park)
        equal(yield* list, [])
        yield* store.truncate("wallet-b", { before: 2 })
        equal(yield* ProjectionParking.retry(handler), { done: 2, gone: 1, left: 0 })
        equal(yield* list, [14, 24])
        bad.set(33, "fails")
        yield* put("a", 33, 34)
        yield* Projection.catchUp(handler, park)
        assert.strictEqual(yield* ProjectionParking.drop(handler, { stream: "wallet-a" }), 2)
        yield* put("a", 35)
        yield* Projection.catchUp(handler, park)
        equal(yield* list, [14, 24, 35])
      }))

    test("a value that runs takes back what it had parked, and has it still after a restart", () =>
      Effect.gen(function*() {
        const { bad, sum } = yield* make
        bad.set(13, "dies").set(23, "dies")
        const layer = Projection.layerAsync(sum, park)
        yield* Effect.gen(function*() {
          yield* put("a", 13, 14)
          yield* put("b", 23, 24)
          yield* Projection.awaitPosition(sum, yield* put("c", 1))
          equal(yield* Projection.get(sum), [1])
          bad.delete(13)
          equal(yield* ProjectionParking.retry(sum), { done: 2, gone: 0, left: 2 })
          equal(yield* Projection.get(sum), [1, 13, 14])
          assert.strictEqual(yield* ProjectionParking.drop(sum, { position: 3 }), 1)
          equal(yield* ProjectionParking.retry(sum), { done: 1, gone: 0, left: 0 })
          yield* Projection.awaitPosition(sum, yield* put("b", 25))
          equal(yield* Projection.get(sum), [1, 13, 14, 24, 25])
        }).pipe(Effect.provide(layer))
        includes(yield* Projection.catchUp(sum, park), { state: [1, 13, 14, 24, 25], projected: 0 })
      }))

    test("an option that is none is refused", () =>
      Effect.gen(function*() {
        const { handler } = yield* make
        const error = yield* Effect.flip(Projection.catchUp(handler, { onFailure: "skip" as never }))
        includes(error as object, { _tag: "InvalidInput" })
      }))
  })
}

describe("what is parked", () => {
  const bads = [3, 5, 8]
  it.effect.prop(
    "each event is projected, or parked, exactly once; each stream's in order; after a retry nothing is missing",
    {
      log: FastCheck.array(
        FastCheck.tuple(FastCheck.integer({ min: 0, max: 3 }), FastCheck.integer({ min: 0, max: 9 })),
        { maxLength: 40 }
      ),
      chunk: FastCheck.integer({ min: 1, max: 7 })
    },
    ({ chunk, log }) =>
      Effect.gen(function*() {
        const seen: Array<readonly [string, number]> = []
        let healed = false
        const handler = Projection.handler("list", {
          events: [Deposited],
          handle: (events) =>
            Effect.suspend(() => {
              if (!healed && events.some(({ payload }) => bads.includes(payload.amount))) return Effect.fail("bad")
              for (const { payload, stream } of events) seen.push([stream, payload.amount])
              return Effect.void
            })
        })
        const run = Projection.catchUp(handler, { onFailure: "park" })
        for (let from = 0; from < log.length; from += chunk) {
          for (const [stream, amount] of log.slice(from, from + chunk)) yield* put(`${stream}`, amount)
          yield* run
        }
        const parked = yield* ProjectionParking.list(handler)
        const all = new Map<string, Array<number>>()
        for (const [stream, amount] of log) {
          all.set(`wallet-${stream}`, [...all.get(`wallet-${stream}`) ?? [], amount])
        }
        for (const [stream, amounts] of all) {
          const firstBad = amounts.findIndex((amount) => bads.includes(amount))
          const good = firstBad < 0 ? amounts : amounts.slice(0, firstBad)
          equal(seen.filter(([of]) => of === stream).map(([, amount]) => amount), good)
          assert.lengthOf(parked.filter((entry) => entry.stream === stream), amounts.length - good.length)
        }
        healed = true
        yield* ProjectionParking.retry(handler)
        yield* run
        for (const [stream, amounts] of all) {
          equal(seen.filter(([of]) => of === stream).map(([, amount]) => amount), amounts)
        }
        equal(yield* ProjectionParking.list(handler), [])
      }).pipe(Effect.provide(memory)),
    { fastCheck: { numRuns: 60 } }
  )
})

describe("parked events over SQLite", () => {
  it.effect("rows, checkpoint and parked events are one transaction, in a retry as well", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE amounts (amount INTEGER)`
      let bad = true
      let refuses = false
      const Table = Projection.handler("table", {
        events: [Deposited],
        handle: Projection.each(({ amount }) =>
          Effect.zipRight(
            sql`INSERT INTO amounts ${sql.insert({ amount })}`,
            (bad && amount === 13) || (refuses && amount === 14) ? Effect.fail("bad") : Effect.void
          )
        )
      })
      const rows = Effect.map(
        sql<{ amount: number }>`SELECT amount FROM amounts ORDER BY rowid`,
        (found) => found.map(({ amount }) => amount)
      )
      yield* put("a", 1, 13, 14, 15)
      yield* put("b", 2)
      yield* Projection.catchUp(Table, { onFailure: "park" })
      equal(yield* rows, [1, 2])
      bad = false
      refuses = true
      equal(yield* ProjectionParking.retry(Table), { done: 1, gone: 0, left: 2 })
      equal(yield* rows, [1, 2, 13])
      refuses = false
      equal(yield* ProjectionParking.retry(Table), { done: 2, gone: 0, left: 0 })
      equal(yield* rows, [1, 2, 13, 14, 15])
    }).pipe(Effect.provide(sqlite as Layer.Layer<Layer.Layer.Success<typeof memory> | SqlClient.SqlClient>)))

  it.effect("many at once", () =>
    Effect.gen(function*() {
      const { bad, handler, list } = yield* make
      bad.set(0, "fails")
      yield* put("a", ...Array.from({ length: 1_300 }, (_, n) => n))
      yield* Projection.catchUp(handler, { onFailure: "park" })
      assert.lengthOf(yield* ProjectionParking.list(handler), 1_300)
      bad.clear()
      assert.strictEqual(yield* ProjectionParking.drop(handler, { stream: "wallet-a" }), 1_300)
      equal(yield* list, [])
    }).pipe(Effect.provide(sqlite)))
})
