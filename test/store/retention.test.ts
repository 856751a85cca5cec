import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Either, FastCheck as fc, Fiber, Option, Schema, Stream, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Correlation from "effect-skald/event/Correlation"
import * as Event from "effect-skald/event/Event"
import * as Memory from "effect-skald/Memory"
import * as Category from "effect-skald/store/Category"
import * as Compaction from "effect-skald/store/Compaction"
import { EventStore } from "effect-skald/store/EventStore"
import * as Retention from "effect-skald/store/Retention"
import * as Snapshot from "effect-skald/store/Snapshot"
import { onBoth } from "../support/embedded.ts"

const Added = Event.make("Added", { amount: Schema.Int })
const Carried = Event.make("Carried", { total: Schema.Int, moves: Schema.Int })
const State = Schema.Struct({ total: Schema.Int, moves: Schema.Int })
const Counter = Decider.make("counter", {
  state: State,
  commands: Schema.TaggedStruct("Add", { amount: Schema.Int }),
  events: Schema.Union(Added, Carried)
})({
  initial: { total: 0, moves: 0 },
  decide: ({ amount }) => Either.right([Added({ amount })]),
  evolve: (state, event) =>
    event._tag === "Carried"
      ? { total: event.total, moves: event.moves }
      : { total: state.total + event.amount, moves: state.moves + 1 }
})
const Counters = Category.make("counter", { events: [Added, Carried] })
const snapshotted = (every: number) => Aggregate.make(Counter, Counters, { snapshot: Snapshot.every(every) })
const plain = Aggregate.make(Counter, Counters)

const compaction: Compaction.Options<typeof State.Type, Event.Of<typeof Added | typeof Carried>> = {
  decider: Counter,
  tag: "Carried",
  snapshot: (state) => Carried(state),
  every: 1
}

const add = (aggregate: { readonly execute: any }, id: string, amounts: ReadonlyArray<number>) =>
  Effect.forEach(amounts, (amount) => aggregate.execute(id, { _tag: "Add", amount }) as Effect.Effect<unknown>)

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

const versions = (id: string) =>
  Effect.map(collect(Counters.read(id)), (events) => events.map((event) => event.version as number))

const category = { category: "counter" }

onBoth("retention", (layer) => {
  it.effect("keeps the last events, all of a category's streams, and no others", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      yield* Counters.append("a", [1, 2, 3, 4, 5].map((amount) => Added({ amount })))
      yield* Counters.append("b", [Added({ amount: 1 })])
      yield* store.append([{ stream: "other-1", events: [1, 2, 3, 4].map((n) => ({ type: "X", payload: n })) }])
      const options = { of: category, keep: Retention.keepLast(2), covered: Retention.expendable }
      const planned = yield* collect(Retention.plan(options))
      assert.deepStrictEqual<unknown>(planned, [
        { stream: "counter-a", firstVersion: 1, version: 5, wanted: 4, before: 4 },
        { stream: "counter-b", firstVersion: 1, version: 1, wanted: 1, before: 1 }
      ])
      assert.deepStrictEqual(yield* versions("a"), [1, 2, 3, 4, 5])
      assert.deepStrictEqual(yield* collect(Retention.run(options)), planned)
      assert.deepStrictEqual(yield* versions("a"), [4, 5])
      assert.deepStrictEqual(yield* versions("b"), [1])
      assert.lengthOf(yield* collect(store.read("other-1")), 4)
      // versions go on, and the next run drops what is due then
      assert.strictEqual((yield* Counters.append("a", [Added({ amount: 6 })], { expected: 5 })).version, 6)
      yield* collect(Retention.run(options))
      assert.deepStrictEqual(yield* versions("a"), [5, 6])
    }).pipe(Effect.provide(layer)))

  it.effect("truncates one stream before a version, in batches", () =>
    Effect.gen(function*() {
      yield* Counters.append("a", Array.from({ length: 10 }, (_, amount) => Added({ amount })))
      const store = yield* EventStore
      const truncations: Array<number> = []
      const run = (version: number, batch?: number) =>
        Effect.provideService(
          collect(Retention.run({
            of: { stream: "counter-a" },
            keep: Retention.before(version),
            covered: Retention.expendable,
            batch
          })),
          EventStore,
          {
            ...store,
            truncate: (stream, options) => {
              truncations.push(options.before)
              return store.truncate(stream, options)
            }
          }
        )
      yield* run(8, 3)
      assert.deepStrictEqual(truncations, [4, 7, 8])
      assert.deepStrictEqual(yield* versions("a"), [8, 9, 10])
      yield* run(3)
      assert.lengthOf(truncations, 3)
      const beyond = yield* Effect.flip(run(12))
      assert.strictEqual(
        beyond.message,
        "keep.version: must be at most 11, the last version plus one, got 12"
      )
      yield* run(11)
      assert.deepStrictEqual(yield* versions("a"), [])
      assert.deepStrictEqual<unknown>(yield* store.streamState("counter-a"), {
        _tag: "live",
        version: 10,
        firstVersion: 11
      })
    }).pipe(Effect.provide(layer)))

  it.effect("refuses what cannot be meant, by field, and changes nothing", () =>
    Effect.gen(function*() {
      yield* Counters.append("a", [Added({ amount: 1 })])
      const refused = (keep: Retention.Policy, more: object = {}) =>
        Effect.map(
          Effect.flip(Stream.runDrain(Retention.run({
            of: { stream: "counter-a" },
            keep,
            covered: Retention.expendable,
            ...more
          }))),
          (error) => `${error._tag} ${error.message}`
        )
      assert.strictEqual(
        yield* refused(Retention.keepLast(0)),
        "InvalidInput keep.events: must be at least 1, got 0"
      )
      assert.strictEqual(yield* refused(Retention.before(0)), "InvalidInput keep.version: must be at least 1, got 0")
      assert.strictEqual(yield* refused(Retention.byAge(-1)), "InvalidInput keep.age: must be a duration, got -1")
      assert.strictEqual(
        yield* refused(Retention.byAge("soon" as never)),
        "InvalidInput keep.age: must be a duration, got \"soon\""
      )
      assert.strictEqual(
        yield* refused(Retention.keepLast(1), { batch: 0 }),
        "InvalidInput batch: must be at least 1, got 0"
      )
      assert.strictEqual(
        yield* refused(Retention.keepLast(1), { of: { category: "a-b" } }),
        "InvalidInput of.category: must not hold \"-\", got \"a-b\""
      )
      assert.strictEqual(
        yield* refused(Retention.keepLast(1), { of: { stream: "counter-z" } }),
        "StreamNotFound counter-z does not exist"
      )
      const store = yield* EventStore
      yield* store.tombstone("counter-a")
      assert.match(yield* refused(Retention.keepLast(1)), /^StreamTombstoned/)
    }).pipe(Effect.provide(layer)))

  it.effect("by age drops what is older than 90 days and stands before anything younger", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2020, 0, 1))
      yield* Counters.append("a", [Added({ amount: 1 }), Added({ amount: 2 })])
      yield* TestClock.adjust("1 day")
      yield* Counters.append("a", [Added({ amount: 3 })])
      const options = { of: category, keep: Retention.byAge(), covered: Retention.expendable }
      yield* TestClock.adjust("89 days")
      // exactly as old as that is kept
      yield* collect(Retention.run(options))
      assert.deepStrictEqual(yield* versions("a"), [1, 2, 3])
      yield* TestClock.adjust(1)
      yield* collect(Retention.run(options))
      assert.deepStrictEqual(yield* versions("a"), [3])
      const policy = Retention.byAge()
      assert.strictEqual(policy._tag === "ByAge" && policy.age, Retention.defaultAge)
    }).pipe(Effect.provide(layer)))

  it.effect("acceptance 8: by age without a covering snapshot it keeps what the state is made of", () =>
    Effect.gen(function*() {
      const aggregate = snapshotted(3)
      yield* add(plain, "a", [1, 2, 3, 4])
      const before = yield* plain.state("a")
      yield* TestClock.adjust("1000 days")
      const options = { of: category, keep: Retention.byAge(), covered: Retention.bySnapshots(Counter) }
      const [kept] = yield* collect(Retention.run(options))
      assert.deepStrictEqual<unknown>(kept, {
        stream: "counter-a",
        firstVersion: 1,
        version: 4,
        wanted: 5,
        before: 1
      })
      assert.deepStrictEqual(yield* plain.state("a"), before)

      // a snapshot at 5 covers 5 events of 7: the rest is kept, however old
      yield* add(aggregate, "a", [5])
      yield* add(plain, "a", [6, 7])
      const full = yield* plain.state("a")
      yield* TestClock.adjust("1000 days")
      // one of another version of the decider covers nothing
      yield* collect(Retention.run({ ...options, covered: Retention.bySnapshots({ ...Counter, version: 2 }) }))
      assert.lengthOf(yield* versions("a"), 7)
      yield* collect(Retention.run(options))
      assert.deepStrictEqual(yield* versions("a"), [6, 7])
      assert.deepStrictEqual(yield* aggregate.state("a"), full)
    }).pipe(Effect.provide(layer)))

  it.effect("of one tenant leaves the others alone, snapshots as well", () =>
    Effect.gen(function*() {
      const aggregate = snapshotted(1)
      yield* add(plain, "a", [1, 2, 3])
      yield* add(aggregate, "a", [1, 2, 3]).pipe(Correlation.locally({ tenant: "acme" }))
      const options = { of: category, keep: Retention.keepLast(1), covered: Retention.bySnapshots(Counter) }
      yield* collect(Retention.run(options))
      assert.deepStrictEqual(yield* versions("a"), [1, 2, 3])
      yield* collect(Retention.run(options)).pipe(Correlation.locally({ tenant: "acme" }))
      assert.deepStrictEqual(yield* versions("a"), [1, 2, 3])
      assert.deepStrictEqual(yield* versions("a").pipe(Correlation.locally({ tenant: "acme" })), [3])
    }).pipe(Effect.provide(layer)))
})

onBoth("compaction", (layer) => {
  it.effect("writes the state first, then drops what it covers; the state is as before, and versions go on", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      yield* add(plain, "a", [1, 2, 3, 4])
      const before = yield* plain.state("a")
      const done = yield* Compaction.compact(Counters, "a", compaction)
      assert.deepStrictEqual<unknown>(done, { stream: "counter-a", snapshot: 5, written: true, dropped: 4 })
      assert.deepStrictEqual(yield* versions("a"), [5])
      assert.deepStrictEqual<unknown>(yield* plain.state("a"), { state: before.state, version: 5 })
      yield* add(plain, "a", [10])
      assert.deepStrictEqual<unknown>(yield* plain.state("a"), { state: { total: 20, moves: 5 }, version: 6 })
      // too few since then: nothing is done
      assert.deepStrictEqual<unknown>(yield* Compaction.compact(Counters, "a", { ...compaction, every: 2 }), {
        stream: "counter-a",
        snapshot: 5,
        written: false,
        dropped: 0
      })
      assert.strictEqual((yield* Compaction.compact(Counters, "a", compaction)).snapshot, 7)
      assert.strictEqual(yield* store.head, 7)
    }).pipe(Effect.provide(layer)))

  it.effect("goes on where it was stopped between writing and dropping", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      yield* add(plain, "a", [1, 2, 3, 4, 5])
      const before = yield* plain.state("a")
      let left = 1
      const stopped = yield* Effect.exit(Effect.provideService(
        Compaction.compact(Counters, "a", { ...compaction, batch: 2 }),
        EventStore,
        { ...store, truncate: (stream, options) => left-- > 0 ? store.truncate(stream, options) : Effect.interrupt }
      ))
      assert.strictEqual(stopped._tag, "Failure")
      assert.deepStrictEqual(yield* versions("a"), [3, 4, 5, 6])
      assert.deepStrictEqual((yield* plain.state("a")).state, before.state)
      yield* add(plain, "a", [6])
      const done = yield* Compaction.compact(Counters, "a", { ...compaction, every: 10 })
      assert.deepStrictEqual<unknown>(done, { stream: "counter-a", snapshot: 6, written: false, dropped: 3 })
      assert.deepStrictEqual(yield* versions("a"), [6, 7])
      assert.deepStrictEqual((yield* plain.state("a")).state, { total: 21, moves: 6 })
    }).pipe(Effect.provide(layer)))

  it.effect("meets appends that go on: none is lost or covered unseen", () =>
    Effect.gen(function*() {
      yield* add(plain, "a", [1, 1, 1])
      const race = yield* Effect.fork(Effect.all([
        Effect.forEach(Array.from({ length: 40 }), () => Effect.zipRight(Effect.yieldNow(), add(plain, "a", [1]))),
        Effect.forEach(
          Array.from({ length: 5 }),
          () => Effect.either(Compaction.compact(Counters, "a", { ...compaction, batch: 2 }))
        )
      ], { concurrency: "unbounded" }))
      // whoever lost a race waits a moment
      yield* Effect.repeat(Effect.zipRight(TestClock.adjust("1 second"), Fiber.poll(race)), { until: Option.isSome })
      const [, outcomes] = yield* Fiber.join(race)
      assert.isTrue(outcomes.some((outcome) => Either.isRight(outcome)))
      for (const outcome of outcomes) {
        if (Either.isLeft(outcome)) assert.strictEqual(outcome.left._tag, "VersionConflict")
      }
      assert.deepStrictEqual((yield* plain.state("a")).state, { total: 43, moves: 43 })
    }).pipe(Effect.provide(layer)))

  it.effect("refuses a snapshot event that loses something, and writes nothing", () =>
    Effect.gen(function*() {
      yield* add(plain, "a", [1, 2])
      const refused = (options: object) =>
        Effect.map(
          Effect.flip(Compaction.compact(Counters, "a", { ...compaction, ...options })),
          (error) => error._tag === "NotCompactable" ? error.reason : `${error._tag} ${error.message}`
        )
      assert.strictEqual(
        yield* refused({ snapshot: ({ total }: any) => Carried({ total, moves: 0 }) }),
        "stateDiffers"
      )
      assert.strictEqual(yield* refused({ snapshot: () => Added({ amount: 3 }) }), "stateDiffers")
      assert.strictEqual(yield* refused({ every: 0 }), "InvalidInput every: must be at least 1, got 0")
      assert.strictEqual(yield* refused({ batch: 0.5 }), "InvalidInput batch: must be a whole number, got 0.5")
      assert.deepStrictEqual(yield* versions("a"), [1, 2])
      const missing = yield* Effect.flip(Compaction.compact(Counters, "z", compaction))
      assert.strictEqual(missing._tag, "StreamNotFound")
      // older events are gone, and nothing stands for them
      yield* collect(Retention.run({
        of: category,
        keep: Retention.keepLast(1),
        covered: Retention.expendable
      }))
      assert.strictEqual(yield* refused({}), "incomplete")
    }).pipe(Effect.provide(layer)))

  it.effect("what readers see afterwards: projections and reads of the past begin with the snapshot event", () =>
    Effect.gen(function*() {
      const Seen = Projection.makeRaw("seen", {
        category: "counter",
        state: Schema.Array(Schema.String),
        initial: [],
        apply: (seen, _, event) => [...seen, `${event.type}@${event.version}`]
      })
      yield* add(plain, "a", [1, 2])
      const caughtUp = yield* Projection.catchUp(Seen)
      assert.deepStrictEqual(caughtUp.state, ["Added@1", "Added@2"])
      yield* Compaction.compact(Counters, "a", compaction)
      // one that goes on has seen all; one that is rebuilt sees what is left
      assert.deepStrictEqual((yield* Projection.catchUp(Seen)).state, ["Added@1", "Added@2", "Carried@3"])
      assert.deepStrictEqual(yield* Projection.live(Seen), ["Carried@3"])
      // before the compaction there is nothing to read any more; from it on there is
      assert.deepStrictEqual(yield* collect(Counters.read("a", { asOf: { version: 2 } })), [])
      assert.deepStrictEqual((yield* plain.stateAt("a", { version: 3 })).state, { total: 3, moves: 2 })
      // ids of what is gone are known
      const store = yield* EventStore
      const [event] = yield* collect(Counters.read("a"))
      assert.isTrue(Option.isSome(yield* store.find(event!.id)))
    }).pipe(Effect.provide(layer)))
})

describe("the laws of retention", () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("add" as const), id: fc.constantFrom("a", "b"), n: fc.nat(9) })
    },
    fc.record({ do: fc.constantFrom("snapshots" as const, "events" as const), id: fc.constant("a"), n: fc.nat(5) }),
    fc.record({ do: fc.constant("compact" as const), id: fc.constantFrom("a", "b"), n: fc.nat(3) })
  )

  it.effect.prop(
    "however a store is kept small, states are as if nothing had been dropped, and versions go on",
    [fc.array(step, { maxLength: 25, size: "max" }), fc.integer({ min: 1, max: 4 })],
    ([steps, every]) =>
      Effect.gen(function*() {
        const aggregate = snapshotted(every)
        const model = new Map([["a", { total: 0, moves: 0 }], ["b", { total: 0, moves: 0 }]])
        const last = new Map([["a", 0], ["b", 0]])
        for (const { do: what, id, n } of steps) {
          if (what === "add") {
            const { version } = yield* aggregate.execute(id, { _tag: "Add", amount: n })
            assert.strictEqual(version, last.get(id)! + 1)
            last.set(id, version)
            const { moves, total } = model.get(id)!
            model.set(id, { total: total + n, moves: moves + 1 })
          } else if (what === "compact") {
            const done = yield* Effect.either(Compaction.compact(Counters, id, { ...compaction, every: n + 1 }))
            if (Either.isRight(done)) last.set(id, last.get(id)! + (done.right.written ? 1 : 0))
            else assert.include(["StreamNotFound", "NotCompactable"], done.left._tag)
          } else {
            const covered = what === "snapshots" ? Retention.bySnapshots(Counter) : Retention.byEvents([Carried])
            yield* collect(Retention.run({ of: category, keep: Retention.keepLast(n + 1), covered, batch: 2 }))
          }
          for (const each of ["a", "b"]) {
            const current = yield* aggregate.state(each)
            assert.deepStrictEqual(current.state, model.get(each))
            assert.strictEqual(current.version, last.get(each)!)
          }
        }
      }).pipe(Effect.provide(Memory.layer)),
    { fastCheck: { numRuns: 100 } }
  )
})
