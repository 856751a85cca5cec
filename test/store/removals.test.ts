import { assert, describe, it } from "@effect/vitest"
import { Chunk, DateTime, Effect, Either, FastCheck as fc, HashMap, Option, Schema, Stream, TestClock } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Correlation from "effect-skald/event/Correlation"
import * as Event from "effect-skald/event/Event"
import { StreamVersion } from "effect-skald/event/Position"
import * as Memory from "effect-skald/Memory"
import * as Category from "effect-skald/store/Category"
import * as Compaction from "effect-skald/store/Compaction"
import { EventStore } from "effect-skald/store/EventStore"
import * as Retention from "effect-skald/store/Retention"
import * as Snapshot from "effect-skald/store/Snapshot"
import { SnapshotStore } from "effect-skald/store/SnapshotStore"
import { Tombstoned } from "effect-skald/store/Tombstone"
import { onBoth } from "../support/embedded.ts"

const Added = Event.make("Added", { amount: Schema.Int })
const Carried = Event.make("Carried", { total: Schema.Int })
class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
const Counter = Decider.make("counter", {
  state: Schema.Int,
  commands: Schema.Struct({ amount: Schema.Int }),
  events: Schema.Union(Added, Carried),
  errors: Refused
})({
  initial: 0,
  decide: ({ amount }, total) =>
    total + amount < 0 ? Either.left(new Refused()) : Either.right(amount === 0 ? [] : [Added({ amount })]),
  evolve: (total, event) => event._tag === "Carried" ? event.total : total + event.amount
})
const Counters = Category.make("counter", { events: [Added, Carried] })
const plain = Aggregate.make(Counter, Counters)
const told = Aggregate.make(Counter, Counters, { carriers: ["Carried"] })
const snapshotted = Aggregate.make(Counter, Counters, { snapshot: Snapshot.every(2) })
const cached = Aggregate.make(Counter, Counters, { cache: 10 })

const compaction: Compaction.Options<number, Event.Of<typeof Added | typeof Carried>> = {
  decider: { state: Schema.Int, initial: 0, evolve: Counter.evolve },
  tag: "Carried",
  snapshot: (total) => Carried({ total }),
  every: 1
}

const Totals = Projection.make("totals", {
  category: "counter",
  events: [Added, Carried, Tombstoned],
  state: Schema.HashMap({ key: Schema.String, value: Schema.Int }),
  initial: HashMap.empty<string, number>(),
  apply: (totals, event, { stream }) =>
    event._tag === "$Tombstoned"
      ? HashMap.remove(totals, stream)
      : HashMap.set(totals, stream, Counter.evolve(Option.getOrElse(HashMap.get(totals, stream), () => 0), event))
})

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

const add = (id: string, ...amounts: ReadonlyArray<number>) =>
  Counters.append(id, amounts.map((amount) => Added({ amount })))

const truncate = (id: string, before: number) =>
  Effect.flatMap(EventStore, (store) => store.truncate(`counter-${id}`, { before }))

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, { onSuccess: () => "done", onFailure: (error) => error._tag })

onBoth("tombstones", (layer) => {
  it.effect("drop the snapshots of their stream, of its tenant alone, and what a crash has left of them", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const snapshots = yield* SnapshotStore
      const acme = Correlation.locally({ tenant: "acme" })
      const fingerprint = Either.getOrThrow(Snapshot.fingerprint("counter", 1, Counter.state))
      for (const id of ["a", "b"]) yield* snapshotted.execute(id, { amount: 1 })
      for (const id of ["a", "b"]) yield* snapshotted.execute(id, { amount: 1 })
      for (const amount of [1, 2]) yield* acme(snapshotted.execute("a", { amount }))
      const kept = Effect.forEach(
        [":counter-a", ":counter-b", "4:acme:counter-a"],
        (key) => Effect.map(snapshots.load(key, fingerprint), Option.isSome)
      )
      assert.deepStrictEqual(yield* kept, [true, true, true])
      yield* store.tombstone("counter-a")
      assert.deepStrictEqual(yield* kept, [false, true, true])
      assert.deepStrictEqual<unknown>(yield* snapshotted.state("a"), { state: 0, version: 0 })
      const savedAt = yield* DateTime.now
      yield* snapshots.save({ key: ":counter-a", fingerprint, version: StreamVersion.make(2), state: "2", savedAt })
      assert.strictEqual(yield* tagOf(store.tombstone("counter-a")), "StreamTombstoned")
      assert.deepStrictEqual(yield* kept, [false, true, true])
      // one that is refused drops nothing
      assert.strictEqual(yield* tagOf(store.tombstone("counter-b", { expected: 9 })), "VersionConflict")
      yield* acme(store.tombstone("counter-a"))
      assert.deepStrictEqual(yield* kept, [false, true, false])
    }).pipe(Effect.provide(layer)))

  it.effect("tell projections that name them, and disturb no other reader", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const Sum = Projection.make("sum", {
        category: "counter",
        events: [Added, Carried],
        state: Schema.Int,
        initial: 0,
        apply: Counter.evolve
      })
      yield* add("a", 1, 2)
      yield* add("b", 5)
      assert.deepStrictEqual(HashMap.size((yield* Projection.catchUp(Totals)).state), 2)
      assert.strictEqual((yield* Projection.catchUp(Sum)).state, 8)
      yield* store.tombstone("counter-a")
      const { position, projected, state } = yield* Projection.catchUp(Totals)
      assert.deepStrictEqual([...state], [["counter-b", 5]])
      assert.strictEqual(projected, 1)
      assert.strictEqual(position, yield* store.head)
      assert.strictEqual((yield* Projection.catchUp(Sum)).state, 8)
      assert.deepStrictEqual([...(yield* Projection.live(Totals))], [["counter-b", 5]])
      assert.strictEqual(yield* Projection.live(Sum), 5)
      // typed reads pass the mark over
      assert.lengthOf(yield* collect(Counters.readAll()), 1)
      assert.deepStrictEqual((yield* plain.all()).map(([id, { state }]) => [id, state]), [["b", 5]])
      // what goes through a category goes on
      const done = yield* collect(Compaction.compactAll(Counters, compaction))
      assert.deepStrictEqual<unknown>(done.map(({ stream }) => stream), ["counter-b"])
      const planned = yield* collect(Retention.plan({
        of: { category: "counter" },
        keep: Retention.keepLast(1),
        covered: Retention.expendable
      }))
      assert.deepStrictEqual<unknown>(planned.map(({ stream }) => stream), ["counter-b"])
    }).pipe(Effect.provide(layer)))
})

onBoth("a history that was truncated with nothing to stand for it", (layer) => {
  it.effect("fails every read of the state and every command, typed, and nothing is recorded", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1000)
      yield* add("a", 1, 2, 3)
      yield* add("b", 7)
      yield* truncate("a", 2)
      const store = yield* EventStore
      for (const each of [plain, told, snapshotted, cached]) {
        const gone = (effect: Effect.Effect<unknown, unknown, any>) =>
          Effect.map(Effect.flip(effect) as Effect.Effect<any>, ({ _tag, firstVersion, stream }) => {
            assert.deepStrictEqual([_tag, stream, firstVersion], ["HistoryTruncated", "counter-a", 2])
          })
        yield* gone(each.state("a"))
        yield* gone(each.states(["b", "a"]))
        yield* gone(each.all())
        yield* gone(Stream.runDrain(each.history("a")))
        for (const amount of [5, 0, -100]) yield* gone(each.execute("a", { amount }))
        yield* gone(each.execute("a", { amount: 5 }, { commandId: "c", expected: 3 }))
        for (const version of [1, 2, 3, 9]) yield* gone(each.stateAt("a", { version }))
        for (const position of [1, 3, 99]) yield* gone(each.stateAt("a", { position }))
        yield* gone(each.stateAt("a", { occurredAt: 999 }))
        yield* gone(each.stateAt("a", { recordedAt: 5000 }))
        // before the first event there is nothing to miss
        assert.deepStrictEqual<unknown>(yield* each.stateAt("a", { version: 0 }), { state: 0, version: 0 })
        assert.deepStrictEqual<unknown>(yield* each.stateAt("a", { position: 0 }), { state: 0, version: 0 })
        assert.strictEqual((yield* each.state("b")).state, 7)
      }
      assert.strictEqual(yield* store.head, 4)
    }).pipe(Effect.provide(layer)))

  it.effect("an emptied stream is no new one", () =>
    Effect.gen(function*() {
      yield* add("a", 1, 2)
      yield* truncate("a", 3)
      for (const each of [plain, snapshotted, cached]) {
        assert.strictEqual(yield* tagOf(each.state("a")), "HistoryTruncated")
        for (const amount of [5, 0, -1]) {
          assert.strictEqual(yield* tagOf(each.execute("a", { amount })), "HistoryTruncated")
        }
        assert.strictEqual(yield* tagOf(each.execute("a", { amount: 1 }, { expected: 2 })), "HistoryTruncated")
        assert.strictEqual(yield* tagOf(each.stateAt("a", { version: 1 })), "HistoryTruncated")
        assert.strictEqual(yield* tagOf(Stream.runDrain(each.history("a"))), "HistoryTruncated")
        // one that never was is new
        assert.deepStrictEqual<unknown>(yield* each.state("z"), { state: 0, version: 0 })
        assert.strictEqual(yield* tagOf(each.execute("z", { amount: -1 })), "Refused")
      }
    }).pipe(Effect.provide(layer)))

  it.effect("a snapshot covers what it includes, and no more", () =>
    Effect.gen(function*() {
      for (const amount of [1, 2]) yield* snapshotted.execute("a", { amount })
      yield* add("a", 3, 4, 5)
      yield* truncate("a", 3)
      assert.deepStrictEqual<unknown>(yield* snapshotted.state("a"), { state: 15, version: 5 })
      assert.deepStrictEqual<unknown>(yield* snapshotted.stateAt("a", { version: 4 }), { state: 10, version: 4 })
      assert.strictEqual(yield* tagOf(snapshotted.stateAt("a", { version: 1 })), "HistoryTruncated")
      assert.strictEqual(yield* tagOf(plain.state("a")), "HistoryTruncated")
      // an event after the snapshot is gone: the rest is not folded onto it
      yield* truncate("a", 4)
      assert.strictEqual(yield* tagOf(snapshotted.state("a")), "HistoryTruncated")
      assert.strictEqual(yield* tagOf(snapshotted.execute("a", { amount: 1 })), "HistoryTruncated")
    }).pipe(Effect.provide(layer)))

  it.effect("an event that carries the state covers what came before it: of compaction, or one that the aggregate knows", () =>
    Effect.gen(function*() {
      yield* add("a", 1, 2)
      yield* Counters.append("a", [Carried({ total: 3 })])
      yield* add("a", 4)
      yield* truncate("a", 2)
      assert.strictEqual(yield* tagOf(plain.state("a")), "HistoryTruncated")
      assert.deepStrictEqual<unknown>(yield* told.state("a"), { state: 7, version: 4 })
      assert.deepStrictEqual<unknown>(yield* told.stateAt("a", { version: 3 }), { state: 3, version: 3 })
      assert.strictEqual(yield* tagOf(told.stateAt("a", { version: 2 })), "HistoryTruncated")
      assert.deepStrictEqual(
        (yield* collect(told.history("a"))).map(({ event, state }) => [event.version as number, state]),
        [[3, 3], [4, 7]]
      )
      assert.deepStrictEqual((yield* told.all()).map(([id, { state }]) => [id, state]), [["a", 7]])
      // what compaction writes is known without being told
      yield* Effect.either(Compaction.compact(Counters, "a", compaction))
      yield* add("a", 10)
      for (const each of [plain, told, snapshotted, cached]) {
        assert.deepStrictEqual<unknown>(yield* each.state("a"), { state: 17, version: 6 })
        assert.strictEqual((yield* each.execute("a", { amount: 0 })).state, 17)
        assert.strictEqual(yield* tagOf(each.stateAt("a", { version: 4 })), "HistoryTruncated")
        assert.strictEqual((yield* each.stateAt("a", { position: 6 })).state, 17)
      }
    }).pipe(Effect.provide(layer)))

  it.effect("more than a page of what is left is looked through for an event that carries the state", () =>
    Effect.gen(function*() {
      yield* add("a", ...Array.from({ length: 600 }, () => 1))
      yield* Counters.append("a", [Carried({ total: 600 })])
      yield* add("a", 1)
      yield* truncate("a", 2)
      assert.deepStrictEqual<unknown>(yield* told.state("a"), { state: 601, version: 602 })
      assert.strictEqual(yield* tagOf(plain.state("a")), "HistoryTruncated")
    }).pipe(Effect.provide(layer)))
})

describe("the laws of removal", () => {
  const id = fc.constantFrom("a", "b")
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("add" as const), id, n: fc.integer({ min: 1, max: 9 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("truncate" as const), id, n: fc.integer({ min: 1, max: 8 }) })
    },
    fc.record({ do: fc.constant("compact" as const), id, n: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant("snapshot" as const), id, n: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ do: fc.constant("tombstone" as const), id, n: fc.constant(0) })
  )

  it.effect.prop(
    "a state, now or as of the past, is what all events led to, or it is not told; projections see what was kept",
    [fc.array(step, { maxLength: 25, size: "max" })],
    ([steps]) =>
      Effect.gen(function*() {
        const store = yield* EventStore
        /** By version, from 1: the state, and what a reader is shown. */
        const model = new Map<
          string,
          { states: Array<number>; events: Array<number | { total: number }>; first: number }
        >()
        const ended = new Set<string>()
        for (const { do: what, id, n } of steps) {
          const known = model.get(id)
          if (what === "tombstone") {
            const done = yield* tagOf(store.tombstone(`counter-${id}`))
            assert.strictEqual(
              done,
              known === undefined ? "StreamNotFound" : ended.has(id) ? "StreamTombstoned" : "done"
            )
            if (done === "done") ended.add(id)
          } else if (what === "add" || what === "snapshot") {
            const now = known ?? { states: [0], events: [], first: 1 }
            if (what === "add") {
              if ((yield* tagOf(add(id, n))) !== "done") continue
            } else {
              const { version } = yield* Effect.merge(Effect.mapError(snapshotted.execute(id, { amount: n }), () => ({
                version: 0
              })))
              if (version === 0) continue
            }
            now.states.push(now.states.at(-1)! + n)
            now.events.push(n)
            model.set(id, now)
          } else if (known !== undefined && what === "truncate") {
            if ((yield* tagOf(truncate(id, n))) === "done") known.first = Math.max(known.first, n)
          } else if (known !== undefined) {
            const done = yield* Effect.either(Compaction.compact(Counters, id, { ...compaction, every: n, batch: 1 }))
            if (Either.isLeft(done)) continue
            if (done.right.written) {
              known.states.push(known.states.at(-1)!)
              known.events.push({ total: known.states.at(-1)! })
            }
            known.first = Math.max(known.first, done.right.snapshot)
          }

          const going = (yield* Projection.catchUp(Totals)).state
          const rebuilt = yield* Projection.live(Totals)
          for (const [each, { events, first, states }] of model) {
            const stream = `counter-${each}`
            if (ended.has(each)) {
              assert.isFalse(HashMap.has(going, stream) || HashMap.has(rebuilt, stream))
              assert.deepStrictEqual<unknown>(yield* plain.state(each), { state: 0, version: 0 })
              continue
            }
            // one that goes on has seen all there ever was; one that is rebuilt sees what was kept
            assert.deepStrictEqual(HashMap.get(going, stream), Option.some(states.at(-1)!))
            const kept = events.slice(first - 1)
            const sum = kept.reduce<number>(
              (total, event) => typeof event === "number" ? total + event : event.total,
              0
            )
            assert.deepStrictEqual(
              HashMap.get(rebuilt, stream),
              kept.length === 0 ? Option.none() : Option.some(sum)
            )
            for (const aggregate of [plain, told, snapshotted, cached]) {
              const now = yield* Effect.either(aggregate.state(each))
              if (Either.isRight(now)) {
                assert.deepStrictEqual<unknown>(now.right, { state: states.at(-1), version: events.length })
              } else assert.strictEqual(now.left._tag, "HistoryTruncated")
              for (let version = 0; version <= events.length; version++) {
                const then = yield* Effect.either(aggregate.stateAt(each, { version }))
                if (Either.isRight(then)) {
                  assert.deepStrictEqual<unknown>(then.right, { state: states[version], version })
                } else assert.strictEqual(then.left._tag, "HistoryTruncated")
              }
              const steps = yield* Effect.either(collect(aggregate.history(each)))
              if (Either.isRight(steps)) {
                for (const { event, state } of steps.right) assert.strictEqual(state, states[event.version])
                assert.strictEqual(steps.right.at(-1)!.event.version as number, events.length)
              } else assert.strictEqual(steps.left._tag, "HistoryTruncated")
            }
            // nothing was removed: everything is told
            if (first === 1) assert.strictEqual((yield* plain.state(each)).state, states.at(-1))
          }
        }
      }).pipe(Effect.provide(Memory.layer)),
    { fastCheck: { numRuns: 50 }, timeout: 180_000 }
  )
})
