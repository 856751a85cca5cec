import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Deferred,
  Effect,
  Either,
  Exit,
  Fiber,
  Layer,
  Option,
  Ref,
  Schedule,
  Schema,
  Stream,
  TestClock
} from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import { ProjectionStopped } from "effect-skald/cqrs/ProjectionStopped"
import * as Correlation from "effect-skald/event/Correlation"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import { InvalidInput } from "effect-skald/event/InvalidInput"
import * as Machine from "effect-skald/event/Machine"
import { StreamVersion } from "effect-skald/event/Position"
import type * as Memory from "effect-skald/Memory"
import * as Sqlite from "effect-skald/Sqlite"
import * as Category from "effect-skald/store/Category"
import { CheckpointConflict, CheckpointStore } from "effect-skald/store/CheckpointStore"
import * as EventStore from "effect-skald/store/EventStore"
import * as Snapshot from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { StoreError } from "effect-skald/store/StoreError"
import { equal, includes } from "../support/assert.ts"
import { onBoth, withStore } from "../support/embedded.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets, Withdrawn } from "../support/wallet.ts"

const Other = Event.make("Other", { note: Schema.String })
const Others = Category.make("other", { events: [Other, Deposited] })

const sum = (options: { readonly version?: number; readonly category?: string; readonly allTenants?: boolean } = {}) =>
  Projection.make("sum", {
    ...options,
    events: [Deposited],
    state: Schema.Number,
    initial: 0,
    apply: (total, { amount }) => total + amount
  })

/** Amounts in the order they were handled, in a Ref; the handler runs whatever `before` says first. */
const listing = <Err = never>(
  list: Ref.Ref<ReadonlyArray<number>>,
  before: (amounts: ReadonlyArray<number>) => Effect.Effect<void, Err> = () => Effect.void
) =>
  Projection.handler("list", {
    events: [Deposited],
    handle: (events) => {
      const amounts = events.map((event) => event.payload.amount)
      return Effect.zipRight(before(amounts), Ref.update(list, (all) => [...all, ...amounts]))
    }
  })

const deposits = (...amounts: ReadonlyArray<number>) => amounts.map((amount) => Deposited({ amount }))
const put = (...amounts: ReadonlyArray<number>) =>
  Effect.map(Wallets.append("a", deposits(...amounts)), ({ position }) => position)
/** An event that the projections here cannot read: of a version that nobody knows yet. */
const putUnreadable = Effect.flatMap(
  EventStore.EventStore,
  (store) =>
    Effect.map(
      store.append([{ stream: "wallet-a", events: [{ type: "Deposited", schemaVersion: 9, payload: {} }] }]),
      ({ position }) => position
    )
)
const head = Effect.flatMap(EventStore.EventStore, (store) => store.head)

onBoth("Projection", (layer) => {
  type Services = Layer.Layer.Success<typeof layer>
  const test = (title: string, body: () => Effect.Effect<void, unknown, Services>) =>
    it.effect(title, () => Effect.provide(body(), layer))

  // --------------------------------------------------------------------------------------------------------- catching up

  test("catches up to the head, and goes on from there", () =>
    Effect.gen(function*() {
      equal(yield* Projection.catchUp(sum()), { state: 0, position: 0, projected: 0 })
      yield* put(1, 2)
      yield* Wallets.append("b", [Withdrawn({ amount: 9 })])
      yield* Others.append("o", [Other({ note: "x" })])
      equal(yield* Projection.catchUp(sum()), { state: 3, position: yield* head, projected: 2 })
      equal(yield* Projection.catchUp(sum()), { state: 3, position: yield* head, projected: 0 })
      yield* put(4)
      equal(yield* Projection.catchUp(sum()), { state: 7, position: yield* head, projected: 1 })
    }))

  test("a handler is given each event once, in order, over many runs", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      for (let run = 0; run < 4; run++) {
        yield* put(run * 10, run * 10 + 1)
        yield* Others.append("o", [Other({ note: "x" })])
        const caughtUp = yield* Projection.catchUp(listing(list))
        equal(caughtUp, { state: undefined, position: yield* head, projected: 2 })
      }
      equal(yield* list, [0, 1, 10, 11, 20, 21, 30, 31])
    }))

  test("another version begins anew, and the older one goes on where it was", () =>
    Effect.gen(function*() {
      yield* put(1, 2)
      yield* Projection.catchUp(sum())
      includes(yield* Projection.catchUp(sum({ version: 2 })), { state: 3, projected: 2 })
      includes(yield* Projection.catchUp(sum()), { state: 3, projected: 0 })
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      for (const version of [1, 1, 2, 1]) {
        yield* Projection.catchUp(Projection.handler("list", { ...listing(list), version, events: [Deposited] }))
      }
      equal(yield* list, [1, 2, 1, 2])
    }))

  test("a chunk of any length: the state is the same", () =>
    Effect.gen(function*() {
      for (let from = 0; from < 400; from += 100) yield* put(...Array.from({ length: 100 }, (_, n) => from + n))
      for (const saveEvery of [1, 7, 1000]) {
        const named = Projection.make(`sum ${saveEvery}`, { ...sum(), events: [Deposited] })
        includes(yield* Projection.catchUp(named, { saveEvery }), { state: 79_800, projected: 400 })
        includes(yield* Projection.catchUp(named, { saveEvery }), { state: 79_800, projected: 0 })
      }
    }))

  test("of a category only, or of all", () =>
    Effect.gen(function*() {
      yield* put(1)
      yield* Others.append("o", deposits(10))
      includes(yield* Projection.catchUp(sum()), { state: 11 })
      includes(
        yield* Projection.catchUp(Projection.make("wallets", { ...sum({ category: "wallet" }), events: [Deposited] })),
        {
          state: 1,
          position: yield* head
        }
      )
    }))

  test("of the fiber's tenant, or of all", () =>
    Effect.gen(function*() {
      const as = (tenant: string) => Correlation.locally({ tenant })
      const every = Projection.make("every", { ...sum({ allTenants: true }), events: [Deposited] })
      yield* put(1)
      yield* put(10).pipe(as("one"))
      yield* put(100).pipe(as("two"))
      for (let times = 0; times < 2; times++) {
        includes(yield* Projection.catchUp(sum()), { state: 1 })
        includes(yield* Projection.catchUp(sum()).pipe(as("one")), { state: 10 })
        includes(yield* Projection.catchUp(sum()).pipe(as("two")), { state: 100 })
        includes(yield* Projection.catchUp(every).pipe(as("two")), { state: 111 })
      }
      yield* put(20).pipe(as("one"))
      includes(yield* Projection.catchUp(sum()).pipe(as("one")), { state: 30, projected: 1 })
      // whoever runs it: it is one projection
      includes(yield* Projection.catchUp(every), { state: 131, projected: 1 })
      assert.strictEqual(yield* Projection.live(every), 131)
      assert.strictEqual(yield* Projection.live(sum()).pipe(as("one")), 30)
    }))

  test("what a handler records for an event is caused by it, in its tenant", () =>
    Effect.gen(function*() {
      yield* Wallets.append("a", [Envelope.make(Deposited({ amount: 1 }), { id: "e-1", correlationId: "talk" })]).pipe(
        Correlation.locally({ tenant: "one" })
      )
      const answering = Projection.handler("answering", {
        events: [Deposited],
        allTenants: true,
        handle: Projection.each(({ amount }) => Effect.orDie(Others.append("o", [Other({ note: `${amount}` })])))
      })
      yield* Projection.catchUp(answering)
      const [answer] = Chunk.toReadonlyArray(
        yield* Stream.runCollect(Others.read("o")).pipe(Correlation.locally({ tenant: "one" }))
      )
      includes(answer!.metadata, { causationId: "e-1", correlationId: "talk", tenant: "one" })
    }))

  test("live: folded on demand from the whole log, as of any moment", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000)
      const first = yield* put(1)
      yield* TestClock.setTime(2_000)
      // recorded second, occurred first
      yield* Wallets.append("a", [Envelope.make(Deposited({ amount: 10 }), { occurredAt: 500 })])
      yield* TestClock.setTime(3_000)
      yield* put(100)
      const at = (asOf: Parameters<typeof Projection.live>[1]) => Projection.live(sum(), asOf)
      assert.strictEqual(yield* Projection.live(sum()), 111)
      assert.strictEqual(yield* at({ position: 0 }), 0)
      assert.strictEqual(yield* at({ position: first }), 1)
      assert.strictEqual(yield* at({ position: 1_000_000 }), 111)
      assert.strictEqual(yield* at({ occurredAt: 499 }), 0)
      assert.strictEqual(yield* at({ occurredAt: 500 }), 10)
      assert.strictEqual(yield* at({ occurredAt: 2_999 }), 11)
      assert.strictEqual(yield* at({ recordedAt: 1_999 }), 1)
      assert.strictEqual(yield* at({ recordedAt: 2_000 }), 11)
      includes(yield* Effect.flip(at({ position: -1 })), { _tag: "InvalidInput" })
      includes(yield* Effect.flip(at({ occurredAt: "noon" })), { _tag: "InvalidInput" })
      // nothing was kept
      includes(yield* Projection.catchUp(sum()), { projected: 3 })
    }))

  // -------------------------------------------------------------------------------------------------------- what is kept

  test("a state that cannot be read, or is of another log, is made anew", () =>
    Effect.gen(function*() {
      const snapshots = yield* SnapshotStore
      const fingerprint = Either.getOrThrow(Snapshot.fingerprint("sum", 1, Schema.Number))
      const key = ":projection/sum"
      yield* put(1, 2)
      yield* Projection.catchUp(sum())
      const good = Option.getOrThrow(yield* snapshots.load(key, fingerprint))
      for (const state of ["", "\"three\"", "{"]) {
        yield* snapshots.save({ ...good, state })
        includes(yield* Projection.catchUp(sum()), { state: 3, projected: 2 })
        // and is kept again
        includes(yield* Projection.catchUp(sum()), { state: 3, projected: 0 })
      }
      yield* snapshots.save({ ...good, version: StreamVersion.make(1_000), state: "77" })
      includes(yield* Projection.catchUp(sum()), { state: 3, projected: 2 })
    }))

  test("apply that changes its input changes neither the log, what is kept, nor where others begin", () =>
    Effect.gen(function*() {
      const Noted = Event.make("Noted", { words: Schema.mutable(Schema.Array(Schema.String)) })
      const Notes = Category.make("note", { events: [Noted] })
      const greedy = Projection.make("greedy", {
        events: [Noted],
        state: Schema.mutable(Schema.Struct({ words: Schema.mutable(Schema.Array(Schema.String)) })),
        initial: { words: [] },
        apply: (state, event) => {
          state.words.push(...event.words.splice(0))
          return state
        }
      })
      yield* Notes.append("n", [Noted({ words: ["a", "b"] }), Noted({ words: ["c"] })])
      const log = yield* Stream.runCollect(Notes.readAll())
      for (let times = 0; times < 3; times++) equal(yield* Projection.live(greedy), { words: ["a", "b", "c"] })
      equal(greedy.initial, { words: [] })
      const { state } = yield* Projection.catchUp(greedy)
      equal(state, { words: ["a", "b", "c"] })
      state.words.push("not in the log")
      equal((yield* Projection.catchUp(greedy)).state, { words: ["a", "b", "c"] })
      equal(yield* Stream.runCollect(Notes.readAll()), log)
    }))

  // ------------------------------------------------------------------------------------------------------------ failures

  test("an event that cannot be read: what comes before it is projected, and kept", () =>
    Effect.gen(function*() {
      const good = yield* put(1, 2)
      yield* putUnreadable
      yield* put(4)
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      for (let times = 0; times < 2; times++) {
        // no second try is waited for: it could not help
        for (const retry of [undefined, Schedule.spaced("1 hour")]) {
          includes(yield* Effect.flip(Projection.catchUp(sum(), { retry })), { _tag: "UnknownEventType" })
          includes(yield* Effect.flip(Projection.catchUp(listing(list), { retry })), { _tag: "UnknownEventType" })
          includes(yield* Effect.flip(Projection.live(sum())), { _tag: "UnknownEventType" })
        }
      }
      equal(yield* list, [1, 2])
      const snapshots = yield* SnapshotStore
      const kept = yield* snapshots.load(
        ":projection/sum",
        Either.getOrThrow(Snapshot.fingerprint("sum", 1, Schema.Number))
      )
      includes(Option.getOrThrow(kept), { version: good, state: "3" })
      // a program that knows the version goes on from there
      const Newer = Event.make("Deposited", { amount: Schema.optionalWith(Schema.Int, { default: () => 10 }) }, {
        version: 9,
        upcast: Object.fromEntries(
          Array.from(
            { length: 8 },
            (_, n) => [n + 1, Event.upcast(Schema.Struct({ amount: Schema.Int }), (old) => old)]
          )
        ) as never
      })
      const fixed = Projection.make("sum", { ...sum(), events: [Newer] })
      includes(yield* Projection.catchUp(fixed), { state: 17, projected: 2 })
    }))

  test("apply that throws: what comes before is kept, and it is a defect", () =>
    Effect.gen(function*() {
      const touchy = Projection.make("touchy", {
        ...sum(),
        events: [Deposited],
        apply: (total, { amount }) => {
          if (amount === 13) throw new Error("unlucky")
          return total + amount
        }
      })
      yield* put(1, 2, 13, 4)
      const exit = yield* Effect.exit(Projection.catchUp(touchy, { retry: Schedule.recurs(3) }))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      const fixed = Projection.make("touchy", {
        ...touchy,
        events: [Deposited],
        apply: (total, { amount }) => total + amount
      })
      includes(yield* Projection.catchUp(fixed), { state: 20, projected: 2 })
    }))

  test("a handler that fails is tried again as the Schedule says, and no event is lost or given twice", () =>
    Effect.gen(function*() {
      yield* put(1, 2)
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      const tries: Array<number> = []
      let failures = 3
      const flaky = listing(list, () =>
        Effect.flatMap(
          TestClock.currentTimeMillis,
          (now) => (tries.push(now), failures-- > 0 ? Effect.fail("down" as const) : Effect.void)
        ))
      const retry = Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(3))
      const fiber = yield* Effect.fork(Projection.catchUp(flaky, { retry }))
      yield* TestClock.adjust("1 minute")
      includes(yield* fiber, { projected: 2 })
      equal(tries, [0, 1000, 2000, 3000])
      equal(yield* list, [1, 2])
      yield* put(3)
      failures = 9
      const exhausted = yield* Effect.fork(Effect.flip(Projection.catchUp(flaky, { retry })))
      yield* TestClock.adjust("1 minute")
      equal(yield* exhausted, "down")
      assert.strictEqual(failures, 5)
      equal(yield* list, [1, 2])
      failures = 0
      includes(yield* Projection.catchUp(flaky), { projected: 1 })
      equal(yield* list, [1, 2, 3])
    }))

  test("a state that could not be kept is not projected twice when it is tried again", () =>
    Effect.gen(function*() {
      yield* put(1, 2)
      const snapshots = yield* SnapshotStore
      let failures = 2
      const flaky = {
        ...snapshots,
        save: (snapshot: Parameters<typeof snapshots.save>[0]) =>
          failures-- > 0
            ? Effect.fail(new StoreError({ reason: "busy", operation: "SnapshotStore.save" }))
            : snapshots.save(snapshot)
      }
      const fiber = yield* Effect.fork(
        Projection.catchUp(sum(), { saveEvery: 1, retry: Schedule.spaced("1 second") }).pipe(
          Effect.provideService(SnapshotStore, flaky)
        )
      )
      yield* TestClock.adjust("1 minute")
      includes(yield* fiber, { state: 3 })
      includes(yield* Projection.catchUp(sum()), { state: 3, projected: 0 })
    }))

  test("two at once: one moves the checkpoint, the other is refused and does nothing", () =>
    Effect.gen(function*() {
      yield* put(1, 2)
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      const started = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      // the first waits before it reads; the second overtakes it
      const slow = Projection.catchUp(listing(list), { retry: Schedule.spaced("1 hour") }).pipe(withStore((store) => ({
        readAll: (options) =>
          Stream.unwrap(Effect.as(
            Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(go)),
            store.readAll(options)
          ))
      })))
      const fiber = yield* Effect.fork(Effect.flip(slow))
      yield* Deferred.await(started)
      yield* Projection.catchUp(listing(list))
      yield* Deferred.succeed(go, undefined)
      assert.instanceOf(yield* fiber, CheckpointConflict)
      equal(yield* list, [1, 2])
    }))

  test("options and definitions that cannot be used are refused", () =>
    Effect.gen(function*() {
      for (const saveEvery of [0, -1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(Projection.catchUp(sum(), { saveEvery }))
        equal((error as InvalidInput).faults.map((fault) => fault.path), ["options.saveEvery"])
      }
      const odd = Correlation.locally({ tenant: "a\u0000b" })
      includes(yield* Effect.flip(Projection.catchUp(sum()).pipe(odd)), { _tag: "InvalidInput" })
    }))

  // --------------------------------------------------------------------------------------------------- in the background

  test("in the background it catches up, then follows", () =>
    Effect.gen(function*() {
      yield* put(1, 2)
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      yield* Effect.gen(function*() {
        const running = yield* Projection.running(sum())
        yield* running.awaitPosition(yield* put(3))
        assert.strictEqual(yield* Projection.get(sum()), 6)
        const position = yield* put(4, 5)
        yield* Projection.awaitPosition(sum(), position)
        yield* Projection.awaitPosition(listing(list), position)
        assert.strictEqual(yield* Projection.get(sum()), 15)
        assert.isAtLeast(yield* running.position, position)
        equal(yield* list, [1, 2, 3, 4, 5])
        // others' events move it on, too
        const { position: other } = yield* Others.append("o", [Other({ note: "x" })])
        yield* Projection.awaitPosition(sum(), other)
        yield* Projection.awaitPosition(listing(list), other)
        // a position that it has passed is not waited for
        yield* Projection.awaitPosition(sum(), 0)
        // one that it has not is
        const waiting = yield* Effect.fork(Projection.awaitPosition(sum(), other + 1))
        yield* Effect.yieldNow()
        assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
        yield* put(6)
        yield* waiting
      }).pipe(Effect.provide(Layer.merge(Projection.layerAsync(sum()), Projection.layerAsync(listing(list)))))
      // started again, it goes on where it was
      yield* put(7)
      yield* Effect.gen(function*() {
        const position = yield* head
        yield* Projection.awaitPosition(sum(), position)
        yield* Projection.awaitPosition(listing(list), position)
        assert.strictEqual(yield* Projection.get(sum()), 28)
        equal(yield* list, [1, 2, 3, 4, 5, 6, 7])
      }).pipe(Effect.provide(Layer.merge(Projection.layerAsync(sum()), Projection.layerAsync(listing(list)))))
      includes(yield* Projection.catchUp(sum()), { state: 28, projected: 0 })
    }))

  test("in the background an event that cannot be read stops it after the good ones", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      const good = yield* put(1, 2)
      const bad = yield* putUnreadable
      for (const projection of [sum(), listing(list)] as const) {
        yield* Effect.gen(function*() {
          const running = yield* Projection.running(projection as ReturnType<typeof sum>)
          const stopped = yield* Effect.flip(running.stopped)
          assert.instanceOf(stopped, ProjectionStopped)
          includes(stopped, { projection: projection.name, position: good })
          includes(stopped.cause, { _tag: "UnknownEventType" })
          assert.include(stopped.message, `stopped after position ${good}: cannot read Deposited (schema version 9)`)
          equal(yield* Effect.flip(running.awaitPosition(bad)), stopped)
          yield* running.awaitPosition(good)
          assert.strictEqual(yield* running.position, good)
          assert.strictEqual(yield* running.state, projection._tag === "State" ? 3 : undefined)
        }).pipe(Effect.provide(Projection.layerAsync(projection as ReturnType<typeof sum>)))
      }
      equal(yield* list, [1, 2])
    }))

  test("in the background a handler is tried again as the Schedule says, then it stops", () =>
    Effect.gen(function*() {
      const list = yield* Ref.make<ReadonlyArray<number>>([])
      let failures = 2
      let tries = 0
      const flaky = listing(list, () =>
        Effect.suspend(() => (tries++, failures-- > 0 ? Effect.fail("down") : Effect.void)))
      const retry = Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(2))
      yield* Effect.gen(function*() {
        const running = yield* Projection.running(flaky)
        for (const amount of [1, 2]) {
          // the retries are counted anew for each chunk
          failures = 2
          const waiting = yield* Effect.fork(running.awaitPosition(yield* put(amount)))
          yield* TestClock.adjust("3 seconds")
          yield* waiting
        }
        equal(yield* list, [1, 2])
        failures = 100
        tries = 0
        const waiting = yield* Effect.fork(Effect.flip(running.awaitPosition(yield* put(3))))
        yield* TestClock.adjust("1 minute")
        equal((yield* waiting).cause, "down")
        assert.strictEqual(tries, 3)
        equal(yield* list, [1, 2])
      }).pipe(Effect.provide(Projection.layerAsync(flaky, { retry })))
    }))

  test("in the background a store that cannot be read for a while does not stop it, where a Schedule says so", () =>
    Effect.gen(function*() {
      let failures = 2
      const unavailable = new StoreError({ reason: "unavailable", operation: "EventStore.subscribe" })
      const retry = Schedule.spaced("1 second")
      yield* Effect.gen(function*() {
        const waiting = yield* Effect.fork(Projection.awaitPosition(sum(), yield* put(1, 2)))
        yield* TestClock.adjust("5 seconds")
        yield* waiting
        assert.strictEqual(yield* Projection.get(sum()), 3)
        assert.isBelow(failures, 1)
      }).pipe(
        Effect.provide(Projection.layerAsync(sum(), { retry })),
        withStore((store) => ({
          subscribe: (options) =>
            Stream.unwrap(Effect.sync(() => failures-- > 0 ? Stream.fail(unavailable) : store.subscribe(options)))
        }))
      )
    }))

  for (
    const [title, effect] of [
      ["dies", Effect.die(new Error("bug"))],
      ["interrupts itself", Effect.interrupt]
    ] as const
  ) {
    test(`in the background a handler that ${title} stops it at once, and is not waited for`, () =>
      Effect.gen(function*() {
        const list = yield* Ref.make<ReadonlyArray<number>>([])
        let tries = 0
        const broken = listing(list, () => Effect.suspend(() => (tries++, effect)))
        yield* Effect.gen(function*() {
          const error = yield* Effect.flip(Projection.awaitPosition(broken, yield* put(1)))
          assert.instanceOf(error, ProjectionStopped)
          assert.strictEqual(tries, 1)
        }).pipe(Effect.provide(Projection.layerAsync(broken, { retry: Schedule.recurs(3) })))
      }))
  }

  test("as a machine it folds recorded events", () =>
    Effect.gen(function*() {
      yield* put(1, 2, 3)
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(Wallets.readAll({ types: [Deposited] })))
      const machine = Projection.toMachine(sum())
      assert.strictEqual(Machine.replay(machine, machine.initial, events), yield* Projection.live(sum()))
    }))
})

describe("Projection over SQLite", () => {
  const fresh = Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layer({ filename })))
  const Table = Projection.handler("table", {
    events: [Deposited],
    handle: Projection.each(({ amount }, { position }) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`INSERT INTO amounts ${sql.insert({ position, amount })}`
        if (amount === 13) return yield* Effect.fail("unlucky")
      })
    )
  })
  const create = Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`CREATE TABLE amounts (position INTEGER, amount INTEGER)`
  )
  const rows = Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Effect.map(
        sql<{ amount: number }>`SELECT amount FROM amounts ORDER BY rowid`,
        (found) => found.map((row) => row.amount)
      )
  )
  const checkpoint = Effect.flatMap(
    CheckpointStore,
    (store) => Effect.map(store.get(":projection/table@1"), Option.getOrUndefined)
  )

  it.scoped("rows and checkpoint are written together, or neither is", () =>
    Effect.gen(function*() {
      yield* create
      const good = yield* put(1, 2)
      yield* Projection.catchUp(Table)
      equal(yield* rows, [1, 2])
      assert.strictEqual(yield* checkpoint, good)
      yield* put(3, 13, 5)
      assert.strictEqual(yield* Effect.flip(Projection.catchUp(Table)), "unlucky")
      equal(yield* rows, [1, 2], "the rows of the chunk are gone")
      assert.strictEqual(yield* checkpoint, good)
      // neither does a defect or an interruption leave anything
      const sql = yield* SqlClient.SqlClient
      for (const end of [Effect.die("bug"), Effect.interrupt]) {
        const ending = Projection.handler("table", {
          events: [Deposited],
          handle: () => Effect.zipRight(sql`INSERT INTO amounts VALUES (0, 0)`, end)
        })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Projection.catchUp(ending))))
        equal(yield* rows, [1, 2])
      }
      assert.strictEqual(yield* checkpoint, good)
    }).pipe(Effect.provide(fresh)))

  it.scoped("two runners on one file, each a process of its own: every row once", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const one = yield* Layer.build(Sqlite.layer({ filename }))
      const two = yield* Layer.build(Layer.fresh(Sqlite.layer({ filename })))
      yield* Effect.provide(create, one)
      let conflicts = 0
      for (let round = 0; round < 10; round++) {
        yield* Effect.provide(put(100 + round * 2, 101 + round * 2), one)
        const exits = yield* Effect.all(
          [one, two].map((services) => Effect.either(Effect.provide(Projection.catchUp(Table), services))),
          { concurrency: "unbounded" }
        )
        for (const exit of exits) {
          if (Either.isRight(exit)) continue
          assert.instanceOf(exit.left, CheckpointConflict)
          conflicts++
        }
        assert.isBelow(exits.filter(Either.isLeft).length, 2)
      }
      assert.isAbove(conflicts, 0, "they met")
      equal(yield* Effect.provide(rows, two), Array.from({ length: 20 }, (_, n) => 100 + n))
    }))

  it.scoped("follows what another process appends", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const one = yield* Layer.build(Sqlite.layer({ filename }))
      const two = yield* Layer.build(Layer.fresh(Sqlite.layer({ filename })))
      yield* Effect.gen(function*() {
        const position = yield* Effect.provide(put(1, 2), two)
        const waiting = yield* Effect.fork(Projection.awaitPosition(sum(), position))
        yield* TestClock.adjust("1 second")
        yield* waiting
        assert.strictEqual(yield* Projection.get(sum()), 3)
      }).pipe(Effect.provide(Layer.provide(Projection.layerAsync(sum()), Layer.succeedContext(one))))
    }))

  it.scoped("a state goes on after a restart", () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const process = <A, E>(effect: Effect.Effect<A, E, Memory.Services>) =>
        Effect.provide(effect, Sqlite.layer({ filename }))
      yield* process(Effect.zipRight(put(1, 2), Projection.catchUp(sum())))
      yield* process(put(3))
      includes(yield* process(Projection.catchUp(sum())), { state: 6, projected: 1 })
    }))
})

describe("Projection.make", () => {
  const refused = (build: () => unknown) => Either.merge(Either.try({ try: build, catch: (error) => error }))

  it("refuses what cannot work, all of it at once", () => {
    const base = { state: Schema.Number, initial: 0, apply: (total: number) => total }
    const cases: ReadonlyArray<readonly [() => unknown, ReadonlyArray<string>]> = [
      [() => Projection.make("", { ...base, events: [Deposited], version: 0, category: "a-b" }), [
        "name",
        "version",
        "category"
      ]],
      [() => Projection.make("p", { ...base, events: [] }), ["events"]],
      [() => Projection.make("p", { ...base, events: [Deposited, Deposited] as never }), ["events[1]._tag"]],
      [() => Projection.make("p\u0000", { ...base, events: [Deposited], version: 1.5, initial: "0" as never }), [
        "name",
        "version",
        "initial"
      ]],
      [() => Projection.make("p", { ...base, events: [Deposited], initial: Number.NaN }), ["initial"]],
      [() => Projection.makeRaw("", { ...base, version: -1 }), ["name", "version"]],
      [() => Projection.handler("", { events: [], handle: () => Effect.void }), ["name", "events"]]
    ]
    for (const [build, paths] of cases) {
      const error = refused(build)
      assert.instanceOf(error, InvalidInput)
      equal((error as InvalidInput).faults.map((fault) => fault.path), paths)
    }
    assert.instanceOf(
      refused(() =>
        Projection.make("p", {
          events: [Deposited],
          state: Schema.DateFromSelf,
          initial: new Date(0),
          apply: (date) => date
        })
      ),
      Snapshot.NoJsonSchema
    )
  })
})
