import { assert, describe, it } from "@effect/vitest"
import * as EventStore from "effect-skald/store/EventStore"
import * as Sqlite from "effect-skald/store/Sqlite"
import * as FaultyStore from "effect-skald/testing/FaultyStore"
import { Chunk, Effect, Exit, FastCheck, Fiber, Layer, Schedule, Stream, TestClock } from "effect"
import { tempFile } from "../support/tempDirectory.ts"

const memory = FaultyStore.layer(EventStore.layerMemory)
const sqlite = FaultyStore.layer(
  Layer.unwrapScoped(Effect.map(tempFile(), (filename) => Sqlite.layerFile({ filename })))
)

const placed = (id?: string): ReadonlyArray<EventStore.Group> => [
  { stream: "order-1", events: [{ ...(id === undefined ? {} : { id }), type: "Placed", payload: {} }] }
]

const ids = Effect.flatMap(
  EventStore.EventStore,
  (store) => Effect.map(Stream.runCollect(store.readAll()), (all) => Chunk.toReadonlyArray(all).map((raw) => raw.id))
)

const withFaults = Effect.all([EventStore.EventStore, FaultyStore.FaultyStore])

describe("FaultyStore", () => {
  it.effect("does what the store does while nothing is planned", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      const appended = yield* store.append(placed("e-1"))
      assert.deepStrictEqual(yield* ids, ["e-1"])
      assert.deepStrictEqual(yield* store.streamState("order-1"), {
        _tag: "live",
        version: appended.events[0]!.version,
        firstVersion: 1 as never
      })
      assert.strictEqual(yield* store.head, appended.position)
      yield* store.truncate("order-1", { before: 2 })
      yield* store.tombstone("order-1")
      assert.deepStrictEqual((yield* faults.calls).map((call) => `${call.operation} ${call.fault?._tag}`), [
        "append undefined",
        "readAll undefined",
        "streamState undefined",
        "head undefined",
        "truncate undefined",
        "tombstone undefined"
      ])
    }).pipe(Effect.provide(memory)))

  it.effect("a failure before an append leaves nothing, and is told from one after it", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      yield* faults.plan("append", FaultyStore.fail("before"))
      const before = yield* Effect.flip(store.append(placed("e-1")))
      assert.strictEqual(before.message, "EventStore.append failed (unavailable): a fault that a test has planned")
      assert.deepStrictEqual(yield* ids, [])
      yield* faults.plan("append", FaultyStore.fail("after"))
      const after = yield* Effect.flip(store.append(placed("e-1")))
      assert.strictEqual((after as { readonly reason?: string }).reason, "timeout")
      assert.deepStrictEqual(yield* ids, ["e-1"])
    }).pipe(Effect.provide(memory)))

  it.effect("an append with ids that is tried again after its answer was lost has one effect; without ids it has two", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      yield* faults.plan("append", FaultyStore.fail("after"), { times: 2 })
      const appended = yield* Effect.retry(store.append(placed("e-1")), { times: 2 })
      assert.isTrue(appended.repeated)
      assert.deepStrictEqual(yield* ids, ["e-1"])
      yield* faults.plan("append", FaultyStore.fail("after"))
      yield* Effect.retry(store.append(placed()), { times: 1 })
      assert.strictEqual((yield* ids).length, 3)
    }).pipe(Effect.provide(memory)))

  it.effect("the answer that is lost may be a refusal", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      const refused = store.append([{ stream: "order-1", expected: 7, events: [{ type: "Placed", payload: {} }] }])
      yield* faults.plan("append", FaultyStore.fail("after", "busy"))
      assert.strictEqual((yield* Effect.flip(refused))._tag, "StoreError")
      assert.strictEqual((yield* Effect.flip(refused))._tag, "VersionConflict")
    }).pipe(Effect.provide(memory)))

  it.effect("strikes the nth call of an operation, as many times as planned", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      yield* faults.plan("append", FaultyStore.fail("before"), { nth: 3, times: 2 })
      const outcomes: Array<string> = []
      for (let call = 0; call < 6; call++) {
        yield* store.head
        outcomes.push((yield* Effect.either(store.append(placed())))._tag)
      }
      assert.deepStrictEqual(outcomes, ["Right", "Right", "Left", "Left", "Right", "Right"])
    }).pipe(Effect.provide(memory)))

  it.effect("plans count the same calls; the first planned strikes", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      yield* faults.plan(["append", "head"], FaultyStore.fail("before", "busy"), { nth: 2 })
      yield* faults.plan("append", FaultyStore.fail("before", "full"), { times: Infinity })
      const reasons: Array<string> = []
      for (let call = 0; call < 3; call++) reasons.push((yield* Effect.flip(store.append(placed()))).message)
      assert.deepStrictEqual(reasons.map((reason) => /\((\w+)\)/.exec(reason)![1]), ["full", "busy", "full"])
      yield* faults.calm
      yield* store.append(placed())
    }).pipe(Effect.provide(memory)))

  it.effect("delays by the Clock, before or after the append has happened", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      for (const [when, during] of [["before", 0], ["after", 2]] as const) {
        yield* faults.plan("append", FaultyStore.delay(when, "1 minute"))
        const fiber = yield* Effect.fork(store.append(placed()))
        yield* TestClock.adjust("59 seconds")
        assert.isNull(yield* fiber.status.pipe(Effect.map((status) => status._tag === "Done" ? "done" : null)))
        assert.strictEqual((yield* ids).length, during)
        yield* TestClock.adjust("1 second")
        assert.isFalse((yield* Fiber.join(fiber)).repeated)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("a delayed answer that its caller gives up on has happened all the same", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      yield* faults.plan("append", FaultyStore.delay("after", "1 hour"))
      const fiber = yield* Effect.fork(Effect.timeoutOption(store.append(placed("e-1")), "5 seconds"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "None")
      assert.deepStrictEqual(yield* ids, ["e-1"])
    }).pipe(Effect.provide(memory)))

  it.effect("interrupts the caller, before or after the append has happened", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      for (const [when, count] of [["before", 0], ["after", 1]] as const) {
        yield* faults.plan("append", FaultyStore.interrupt(when))
        const exit = yield* Fiber.await(yield* Effect.fork(store.append(placed())))
        assert.isTrue(Exit.isInterrupted(exit))
        assert.strictEqual((yield* ids).length, count)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("breaks off streams before their first event or after some", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      for (let n = 0; n < 5; n++) yield* store.append(placed(`e-${n}`))
      const streams = {
        read: store.read("order-1"),
        readAll: store.readAll(),
        subscribe: store.subscribe({ after: "earliest", reconnect: Schedule.stop })
      }
      for (const operation of ["read", "readAll", "subscribe"] as const) {
        for (const [when, events, expected] of [["before", 3, 0], ["after", 0, 0], ["after", 3, 3]] as const) {
          yield* faults.plan(operation, FaultyStore.fail(when, "unavailable"), { events })
          let seen = 0
          const error = yield* Effect.flip(Stream.runForEach(streams[operation], () => Effect.sync(() => seen++)))
          assert.deepStrictEqual([error._tag, seen], ["StoreError", expected])
        }
        yield* faults.plan(operation, FaultyStore.interrupt("after"), { events: 2 })
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(yield* Effect.fork(Stream.runDrain(streams[operation])))))
        yield* faults.plan(operation, FaultyStore.delay("after", "1 minute"), { events: 2 })
        let seen = 0
        const slow = yield* Effect.fork(
          streams[operation].pipe(
            Stream.take(5),
            Stream.rechunk(1),
            Stream.runForEach(() => Effect.sync(() => seen++))
          )
        )
        yield* TestClock.adjust("59 seconds")
        assert.isBelow(seen, 5)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(slow)
        assert.strictEqual(seen, 5)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("strikes every other operation, too", () =>
    Effect.gen(function*() {
      const [store, faults] = yield* withFaults
      yield* store.append(placed("e-1"))
      const operations: ReadonlyArray<
        readonly [FaultyStore.Operation, Effect.Effect<unknown, { readonly _tag: string }>]
      > = [
        ["readPage", store.readPage("order-1")],
        ["find", store.find("e-1")],
        ["streamState", store.streamState("order-1")],
        ["head", store.head],
        ["truncate", store.truncate("order-1", { before: 1 })],
        ["tombstone", store.tombstone("order-1")]
      ]
      for (const [operation, effect] of operations) {
        yield* faults.plan(operation, FaultyStore.fail("before"))
        assert.strictEqual((yield* Effect.flip(effect))._tag, "StoreError", operation)
        yield* effect
      }
    }).pipe(Effect.provide(memory)))

  it.effect("strikes at random as its seed says", () =>
    Effect.gen(function*() {
      const run = (seed: number) =>
        Effect.gen(function*() {
          const [store, faults] = yield* withFaults
          yield* faults.random({ seed, probability: 0.5, operations: ["append", "head"] })
          for (let call = 0; call < 200; call++) {
            yield* Effect.either(store.append(placed()))
            yield* Effect.either(store.head)
            yield* store.streamState("order-1")
          }
          return (yield* faults.calls).map(({ fault, operation }) => `${operation} ${fault?._tag} ${fault?.when}`)
        }).pipe(Effect.provide(Layer.fresh(memory)))
      const first = yield* run(1)
      assert.deepStrictEqual(yield* run(1), first)
      assert.notDeepEqual(yield* run(2), first)
      const struck = first.filter((call) => call.includes("Fail")).length
      assert.isTrue(struck > 140 && struck < 260, `${struck} of 400 at a probability of one half`)
      assert.isFalse(first.some((call) => call.startsWith("streamState Fail")))
      assert.deepStrictEqual(Array.from(new Set(first)).sort(), [
        "append Fail after",
        "append Fail before",
        "append undefined undefined",
        "head Fail after",
        "head Fail before",
        "head undefined undefined",
        "streamState undefined undefined"
      ])
    }))

  for (const [name, layer] of [["memory", memory], ["sqlite", sqlite]] as const) {
    it.live(`appends with ids, tried again until they are answered, have one effect each, in order (${name})`, () =>
      Effect.gen(function*() {
        const [store, faults] = yield* withFaults
        const runtime = yield* Effect.runtime<EventStore.EventStore>()
        let run = 0
        yield* Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(
              FastCheck.nat(),
              FastCheck.double({ min: 0, max: 0.9, noNaN: true }),
              (seed, probability) => {
                const stream = `order-${run++}`
                const given = Array.from({ length: 10 }, (_, n) => `${stream}-${n}`)
                return Effect.gen(function*() {
                  yield* faults.random({ seed, probability, operations: ["append"] })
                  for (const [version, id] of given.entries()) {
                    yield* Effect.retry(
                      store.append([{ stream, expected: version, events: [{ id, type: "Placed", payload: {} }] }]),
                      { while: (error) => error._tag === "StoreError" }
                    )
                  }
                  const all = yield* Stream.runCollect(store.read(stream))
                  assert.deepStrictEqual(Chunk.toReadonlyArray(all).map((raw) => raw.id), given)
                }).pipe(Effect.provide(runtime), Effect.runPromise)
              }
            ),
            { numRuns: 30 }
          )
        )
        const faulted = (yield* faults.calls).filter((call) => call.fault !== undefined)
        assert.isTrue(
          faulted.some(({ fault }) => fault!.when === "after") && faulted.some(({ fault }) => fault!.when === "before")
        )
      }).pipe(Effect.provide(layer)))
  }

  it.live("what a driver can do is wrapped as well: the answer of a commit is lost", () =>
    Effect.gen(function*() {
      const store = yield* EventStore.capable("transactions")
      const faults = yield* FaultyStore.FaultyStore
      yield* faults.plan("withTransaction", FaultyStore.fail("after"))
      const both = store.withTransaction(Effect.all([store.append(placed("e-1")), store.append(placed("e-2"))]))
      assert.strictEqual((yield* Effect.flip(both))._tag, "StoreError")
      assert.deepStrictEqual((yield* both).map((answer) => answer.repeated), [true, true])
      // a fault inside the transaction undoes all of it
      yield* faults.plan("append", FaultyStore.fail("after"), { nth: 2 })
      const more = store.withTransaction(Effect.all([store.append(placed("e-3")), store.append(placed("e-4"))]))
      assert.strictEqual((yield* Effect.flip(more))._tag, "StoreError")
      assert.deepStrictEqual(yield* ids, ["e-1", "e-2"])
    }).pipe(Effect.provide(sqlite)))
})
