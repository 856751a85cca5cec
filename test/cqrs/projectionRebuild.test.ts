import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Duration, Effect, Fiber, Layer, Option, Ref, Schema, Stream, TestClock } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionContext from "effect-skald/cqrs/ProjectionContext"
import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
import * as Sqlite from "effect-skald/Sqlite"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { EventStore } from "effect-skald/store/EventStore"
import { equal, includes } from "../support/assert.ts"
import { onBoth, withStore } from "../support/embedded.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const put = (...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append("a", amounts.map((amount) => Deposited({ amount }))), ({ position }) => position)
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
const putMany = (from: number, to: number) =>
  Effect.forEach(
    Array.from({ length: Math.ceil((to - from) / 500) }, (_, n) => from + n * 500),
    (first) => put(...numbers(first, Math.min(first + 500, to))),
    { discard: true }
  )

/** A sum that counts each amount as often as its code says. */
const sum = (factor: number) =>
  Projection.make("sum", {
    events: [Deposited],
    state: Schema.Number,
    initial: 0,
    apply: (total, { amount }) => total + factor * amount
  })

/** Lists by generation, in memory; what happens before each chunk is up to the test. */
const listing = Effect.gen(function*() {
  const lists = yield* Ref.make<ReadonlyMap<number, ReadonlyArray<number>>>(new Map())
  const effects = yield* Ref.make<ReadonlyArray<number>>([])
  let before: (generation: number, amounts: ReadonlyArray<number>) => Effect.Effect<void> = () => Effect.void
  const projection = Projection.handler("list", {
    events: [Deposited],
    handle: (events) =>
      Effect.gen(function*() {
        const generation = yield* ProjectionContext.Generation
        const amounts = events.map(({ payload }) => payload.amount)
        yield* before(generation, amounts)
        yield* Ref.update(lists, (all) => new Map(all).set(generation, [...all.get(generation) ?? [], ...amounts]))
        yield* ProjectionContext.sideEffect(Ref.update(effects, (all) => [...all, ...amounts]))
      })
  })
  return {
    projection,
    effects,
    list: (generation: number) => Effect.map(lists, (all) => all.get(generation) ?? []),
    before: (run: typeof before) => {
      before = run
    }
  }
})

onBoth("Projection.rebuild", (layer) => {
  type Services = Layer.Layer.Success<typeof layer>
  const test = (title: string, body: () => Effect.Effect<void, unknown, Services>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  test("a value is made anew by the code of today, and the old one answers until it is there", () =>
    Effect.gen(function*() {
      yield* putMany(0, 1_500)
      const total = 1_500 * 1_499 / 2
      includes(yield* Projection.catchUp(sum(1)), { state: total })
      // nothing was recorded since: the kept state is what it was
      includes(yield* Projection.catchUp(sum(2)), { state: total, projected: 0 })
      yield* Effect.gen(function*() {
        const seen = new Set<number>()
        const told = yield* Stream.runCollect(
          Stream.tap(Projection.rebuild(sum(2)), () => Effect.map(Projection.get(sum(2)), (state) => seen.add(state)))
        )
        const last = Option.getOrThrow(Chunk.last(told))
        includes(last, { phase: "swapped", events: 1_500, generation: 1, done: last.total })
        assert.isAbove(told.length, 2)
        const dones = Chunk.toReadonlyArray(told).map(({ done }) => done)
        equal(dones, [...dones].sort((a, b) => a - b))
        equal([...seen], [total])
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Projection.get(sum(2)), 2 * total)
        yield* Projection.awaitPosition(sum(2), yield* put(1))
        assert.strictEqual(yield* Projection.get(sum(2)), 2 * total + 2)
      }).pipe(Effect.provide(Projection.layerAsync(sum(2))))
      assert.strictEqual(yield* ProjectionRebuild.generation(sum(2)), 1)
      includes(yield* Projection.catchUp(sum(2)), { state: 2 * total + 2, projected: 0 })
      // and once more
      yield* Stream.runDrain(Projection.rebuild(sum(3)))
      includes(yield* Projection.catchUp(sum(3)), { state: 3 * total + 3, projected: 0 })
      assert.strictEqual(yield* ProjectionRebuild.generation(sum(3)), 2)
    }))

  test("a handler is rebuilt beside the model that runs; each model has every event once, and acts on each once", () =>
    Effect.gen(function*() {
      const { before, effects, list, projection } = yield* listing
      yield* putMany(0, 1_200)
      yield* Effect.gen(function*() {
        yield* Projection.awaitPosition(projection, yield* Effect.flatMap(EventStore, (store) => store.head))
        // appends go on, and the old model with them, while the new one is built
        const next = 1_260
        const appending = yield* Effect.fork(
          Effect.forEach(
            numbers(1_200, next),
            (amount) => Effect.flatMap(put(amount), (position) => Projection.awaitPosition(projection, position))
          )
        )
        before(() => Effect.yieldNow())
        const told = yield* Stream.runLast(Projection.rebuild(projection))
        yield* Fiber.join(appending)
        includes(Option.getOrThrow(told), { phase: "swapped" })
        yield* TestClock.adjust("2 seconds")
        const old = yield* list(0)
        assert.isAbove(old.length, 1_199)
        equal(old, numbers(0, old.length))
        yield* Projection.awaitPosition(projection, yield* put(next, next + 1))
        equal(yield* list(0), old, "the old model is left alone")
        equal(yield* list(1), numbers(0, next + 2))
        equal(yield* effects, numbers(0, next + 2))
      }).pipe(Effect.provide(Projection.layerAsync(projection)))
      assert.strictEqual(yield* ProjectionRebuild.generation(projection), 1)
      yield* put(9)
      includes(yield* Projection.catchUp(projection), { projected: 1 })
    }))

  test("of a projection that runs inline, while appends go on", () =>
    Effect.gen(function*() {
      const { before, effects, list, projection } = yield* listing
      yield* putMany(0, 600)
      yield* Effect.gen(function*() {
        const appending = yield* Effect.fork(Effect.forEach(numbers(600, 640), (amount) => put(amount)))
        before(() => Effect.yieldNow())
        yield* Stream.runDrain(Projection.rebuild(projection))
        yield* Fiber.join(appending)
        yield* put(640)
        equal(yield* list(1), numbers(0, 641))
        equal(yield* effects, numbers(0, 641))
      }).pipe(Effect.provide(Projection.layerInline(projection)))
    }))

  test("a value's rebuild that was interrupted goes on from what it kept", () =>
    Effect.gen(function*() {
      yield* putMany(0, 1_000)
      const hung = yield* Deferred.make<void>()
      const hanging = withStore((store) => ({
        // after some chunks the log does not answer any more
        readAll: (options) =>
          Stream.concat(
            Stream.take(store.readAll(options), 400),
            Stream.fromEffect(Effect.zipRight(Deferred.succeed(hung, undefined), Effect.never))
          )
      }))
      const first = yield* Effect.fork(Stream.runDrain(Projection.rebuild(sum(2), { saveEvery: 100 })).pipe(hanging))
      yield* Deferred.await(hung)
      yield* Fiber.interrupt(first)
      const told = yield* Stream.runCollect(Projection.rebuild(sum(2), { saveEvery: 100 }))
      const { done } = Option.getOrThrow(Chunk.head(told))
      assert.isAtLeast(done, 200)
      includes(Option.getOrThrow(Chunk.last(told)), { phase: "swapped", events: 1_000 - done })
      includes(yield* Projection.catchUp(sum(2)), { state: 1_000 * 999, projected: 0 })
    }))

  test("without a model that runs it goes to the head, and side effects are off", () =>
    Effect.gen(function*() {
      const { effects, list, projection } = yield* listing
      yield* putMany(0, 300)
      yield* Stream.runDrain(Projection.rebuild(projection))
      equal(yield* list(1), numbers(0, 300))
      equal(yield* effects, [])
      yield* put(300)
      yield* Projection.catchUp(projection)
      equal(yield* list(1), numbers(0, 301))
      equal(yield* effects, [300])
    }))

  test("interrupted, it goes on where it was", () =>
    Effect.gen(function*() {
      const { before, list, projection } = yield* listing
      yield* putMany(0, 1_000)
      const reached = yield* Deferred.make<void>()
      before((_, amounts) =>
        amounts[0]! > 300 ? Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
      )
      const first = yield* Effect.fork(Stream.runDrain(Projection.rebuild(projection)))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* ProjectionRebuild.generation(projection), 0)
      const done = yield* list(1)
      assert.isAbove(done.length, 0)
      assert.isBelow(done.length, 1_000)
      before(() => Effect.void)
      const told = yield* Stream.runCollect(Projection.rebuild(projection))
      includes(Option.getOrThrow(Chunk.head(told)), { done: done.length, total: 1_000, phase: "rebuilding" })
      includes(Option.getOrThrow(Chunk.last(told)), { events: 1_000 - done.length, phase: "swapped" })
      equal(yield* list(1), numbers(0, 1_000))
    }))

  test("paused it stands still, resumed it goes on; it tells its rate and what is left", () =>
    Effect.gen(function*() {
      const { before, list, projection } = yield* listing
      yield* putMany(0, 1_000)
      before(() => Effect.sleep("1 second"))
      yield* Effect.scoped(Effect.gen(function*() {
        const rebuild = yield* ProjectionRebuild.start(projection)
        const latest = yield* Ref.make<ProjectionRebuild.Progress | undefined>(undefined)
        yield* Effect.fork(Stream.runForEach(rebuild.progress, (now) => Ref.set(latest, now)))
        yield* TestClock.adjust("1 second")
        yield* rebuild.pause
        yield* TestClock.adjust("1 minute")
        const at = (yield* Ref.get(latest))!
        assert.strictEqual(at.phase, "paused")
        assert.isBelow(at.done, at.total)
        assert.isAbove(at.rate, 0)
        assert.closeTo(Duration.toSeconds(at.remaining!), (at.total - at.done) / at.rate, 1e-6)
        const stood = yield* list(1)
        yield* TestClock.adjust("1 hour")
        equal(yield* list(1), stood)
        yield* rebuild.resume
        yield* TestClock.adjust("1 minute")
        includes(yield* rebuild.ended, { phase: "swapped", done: 1_000, total: 1_000 })
      }))
      equal(yield* list(1), numbers(0, 1_000))
    }))

  test("cancelled, the old model stays, and the next one begins anew", () =>
    Effect.gen(function*() {
      const { before, list, projection } = yield* listing
      yield* putMany(0, 1_000)
      yield* Projection.catchUp(projection)
      const reached = yield* Deferred.make<void>()
      before((generation, amounts) =>
        generation === 1 && amounts[0]! > 300
          ? Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
          : Effect.void
      )
      const discarded = yield* Ref.make<ReadonlyArray<number>>([])
      yield* Effect.scoped(Effect.gen(function*() {
        const rebuild = yield* ProjectionRebuild.start(projection, {
          discard: (generation) => Ref.update(discarded, (all) => [...all, generation])
        })
        const told = yield* Effect.fork(Stream.runLast(rebuild.progress))
        yield* Deferred.await(reached)
        yield* rebuild.cancel
        includes(yield* rebuild.ended, { phase: "cancelled" })
        includes(Option.getOrThrow(yield* told), { phase: "cancelled" })
      }))
      equal(yield* discarded, [1])
      assert.strictEqual(yield* ProjectionRebuild.generation(projection), 0)
      includes(yield* Projection.catchUp(projection), { projected: 0 })
      before(() => Effect.void)
      const half = (yield* list(1)).length
      const told = yield* Stream.runCollect(Projection.rebuild(projection))
      includes(Option.getOrThrow(Chunk.head(told)), { done: 0 })
      includes(Option.getOrThrow(Chunk.last(told)), { events: 1_000 })
      assert.lengthOf(yield* list(1), half + 1_000)
      assert.strictEqual(yield* ProjectionRebuild.generation(projection), 1)
    }))

  test("anew, it throws away what an earlier one left", () =>
    Effect.gen(function*() {
      const { projection } = yield* listing
      yield* putMany(0, 600)
      yield* Projection.catchUp(projection)
      const failing = Projection.handler("list", {
        ...projection,
        events: [Deposited],
        handle: (events) => events.some(({ payload }) => payload.amount === 400) ? Effect.fail("bad") : Effect.void
      })
      for (const anew of [false, true]) {
        yield* Effect.flip(Stream.runDrain(Projection.rebuild(failing)))
        const head = yield* Stream.runHead(Projection.rebuild(failing, { anew }))
        assert.strictEqual(Option.getOrThrow(head).done === 0, anew)
      }
    }))

  test("what fails ends it, and the old model stays; two at once disturb nobody", () =>
    Effect.gen(function*() {
      const { before, list, projection } = yield* listing
      yield* putMany(0, 600)
      yield* Projection.catchUp(projection)
      const failing = Projection.handler("list", {
        ...projection,
        events: [Deposited],
        handle: (events) => events.some(({ payload }) => payload.amount === 400) ? Effect.fail("bad") : Effect.void
      })
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(Projection.rebuild(failing))), "bad")
      assert.strictEqual(yield* ProjectionRebuild.generation(projection), 0)
      before(() => Effect.yieldNow())
      const both = yield* Effect.all(
        [1, 2].map(() => Effect.either(Stream.runDrain(Projection.rebuild(projection)))),
        { concurrency: 2 }
      )
      assert.isAtLeast(both.filter(({ _tag }) => _tag === "Right").length, 1)
      assert.isAtMost(yield* ProjectionRebuild.generation(projection), 2)
      equal(yield* list(0), numbers(0, 600))
    }))
})

describe("Projection.rebuild over SQLite", () => {
  const tableOf = (generation: number) => `totals_${generation}`
  const Totals = Projection.handler("totals", {
    events: [Deposited],
    handle: (events) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const table = sql(tableOf(yield* ProjectionContext.Generation))
        yield* sql`INSERT INTO ${table} ${
          sql.insert(events.map(({ payload, position }) => ({ position, amount: payload.amount })))
        }`
      })
  })
  const create = (generation: number) =>
    Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`CREATE TABLE ${sql(tableOf(generation))} (position INTEGER PRIMARY KEY, amount INTEGER)`
    )
  const drop = (generation: number) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP TABLE IF EXISTS ${sql(tableOf(generation))}`)
  const options = {
    prepare: (generation: number) => Effect.zipRight(drop(generation), create(generation)),
    swap: ({ from }: { readonly from: number }) => drop(from),
    discard: drop
  }
  /** Which model answers, and what it says, in one transaction. */
  const query = Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql.withTransaction(Effect.gen(function*() {
      const generation = yield* ProjectionRebuild.generation(Totals)
      const [row] = yield* sql<{ rows: number }>`SELECT count(*) AS rows FROM ${sql(tableOf(generation))}`
      return { generation, rows: row!.rows }
    })))
  const fresh = Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layer({ filename })))

  it.effect("queries go on through the swap, which is one step with the tables", () =>
    Effect.gen(function*() {
      yield* putMany(0, 2_000)
      yield* create(0)
      yield* Projection.catchUp(Totals)
      const answers: Array<{ readonly generation: number; readonly rows: number }> = []
      const asking = yield* Effect.fork(Effect.forever(Effect.zipRight(
        Effect.map(query, (answer) => answers.push(answer)),
        Effect.yieldNow()
      )))
      yield* Stream.runDrain(ProjectionRebuild.rebuild(Totals, options))
      while (answers.at(-1)?.generation !== 1) yield* Effect.yieldNow()
      yield* Fiber.interrupt(asking)
      assert.isAbove(answers.length, 3)
      for (const { rows } of answers) assert.strictEqual(rows, 2_000)
      equal([...new Set(answers.map(({ generation }) => generation))], [0, 1])
      const sql = yield* SqlClient.SqlClient
      equal(yield* sql`SELECT name FROM sqlite_master WHERE name LIKE 'totals%'`, [{ name: "totals_1" }])
      const checkpoints = yield* CheckpointStore
      assert.isTrue(Option.isNone(yield* checkpoints.get(":projection/totals@1")))
      yield* put(2_000)
      yield* Projection.catchUp(Totals)
      equal(yield* query, { generation: 1, rows: 2_001 })
    }).pipe(Effect.provide(fresh)))

  it.effect("a swap that fails leaves everything as it was, and succeeds later", () =>
    Effect.gen(function*() {
      yield* putMany(0, 800)
      yield* create(0)
      yield* Projection.catchUp(Totals)
      const failing = { ...options, swap: () => Effect.zipRight(drop(0), Effect.fail("no")) }
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(ProjectionRebuild.rebuild(Totals, failing))), "no")
      equal(yield* query, { generation: 0, rows: 800 })
      yield* put(800)
      yield* Projection.catchUp(Totals)
      const told = yield* Stream.runLast(ProjectionRebuild.rebuild(Totals, options))
      // what was built stayed
      includes(Option.getOrThrow(told), { phase: "swapped", events: 1 })
      equal(yield* query, { generation: 1, rows: 801 })
    }).pipe(Effect.provide(fresh)))
})
