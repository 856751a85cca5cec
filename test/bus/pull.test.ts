import { assert, describe, it } from "@effect/vitest"
import * as DeadLetters from "effect-skald/bus/DeadLetters"
import * as EventBus from "effect-skald/bus/EventBus"
import * as Publisher from "effect-skald/bus/Publisher"
import * as Pull from "effect-skald/bus/Pull"
import * as Envelope from "effect-skald/event/Envelope"
import * as Event from "effect-skald/event/Event"
import {
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Layer,
  Schema,
  Scope,
  Stream,
  TestClock,
  TestContext
} from "effect"

const Said = Event.make("Said", { n: Schema.Number }, { subject: "talk.said" })
const bus = Publisher.make([Said])
const layer = Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)
const settle = Effect.repeatN(Effect.yieldNow(), 300)

const publish = (...numbers: ReadonlyArray<number>) => bus.publishAll(numbers.map((n) => Said({ n })))
const numbers = (batch: ReadonlyArray<Pull.Taken<{ readonly n: number }>>) => batch.map(({ event }) => event.n)
const depth = Effect.flatMap(EventBus.EventBus, (service) => service.depth("s"))
const listed = Effect.flatMap(
  DeadLetters.DeadLetters,
  (letters) => Effect.map(Stream.runCollect(letters.list({})), (all) => Array.from(all))
)

describe("pulling", () => {
  it.scoped("answers what is there in order, at most so many, and none after its time", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said] })
      yield* publish(1, 2, 3)
      yield* settle
      assert.deepStrictEqual(numbers(yield* said.pull(2)), [1, 2])
      assert.deepStrictEqual(numbers(yield* said.pull(2)), [3])
      const waiting = yield* Effect.fork(said.pull(2, { within: "1 minute" }))
      yield* TestClock.adjust("59 seconds")
      assert.isNull(waiting.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(waiting), [])
      const late = yield* Effect.fork(said.pull(2, { within: "1 minute" }))
      yield* TestClock.adjust("30 seconds")
      yield* publish(4)
      assert.deepStrictEqual(numbers(yield* Fiber.join(late)), [4])
    }).pipe(Effect.provide(layer)))

  it.scoped("one that is interrupted while it waits takes no message", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said] })
      const waiting = yield* Effect.fork(said.pull(1))
      yield* settle
      yield* Fiber.interrupt(waiting)
      yield* publish(1)
      assert.deepStrictEqual(numbers(yield* said.pull(1)), [1])
    }).pipe(Effect.provide(layer)))

  it.scoped("what was acknowledged does not come again; what was not does, when the scope has ended", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const said = yield* Scope.extend(Pull.make("s", { events: [Said] }), scope)
      yield* publish(1, 2, 3)
      yield* settle
      const [first] = yield* said.pull(2)
      yield* first!.ack
      yield* Scope.close(scope, Exit.void)
      // 3 was never asked for, and 2 was not settled
      const again = yield* Pull.make("s", { events: [Said] })
      yield* settle
      const batch = yield* again.pull(10)
      assert.deepStrictEqual(batch.map(({ delivery, event }) => [event.n, delivery.attempt]), [[2, 2], [3, 1]])
    }).pipe(Effect.provide(layer)))

  it.scoped("no more messages are here than it may hold, until one is settled", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said], prefetch: 2 })
      yield* publish(1, 2, 3, 4, 5)
      yield* settle
      assert.strictEqual((yield* depth).inFlight, 2)
      const batch = yield* said.pull(10)
      assert.deepStrictEqual(numbers(batch), [1, 2])
      assert.deepStrictEqual(
        yield* Effect.fork(said.pull(1, { within: "1 second" })).pipe(
          Effect.tap(() => TestClock.adjust("1 second")),
          Effect.flatMap(Fiber.join)
        ),
        []
      )
      yield* batch[0]!.ack
      yield* settle
      assert.deepStrictEqual(numbers(yield* said.pull(10)), [3])
      assert.strictEqual((yield* depth).inFlight, 2)
    }).pipe(Effect.provide(layer)))

  it.scoped("one that is retried later comes again when its time has come, its history with it", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said] })
      yield* publish(1)
      const [first] = yield* said.pull(1)
      yield* first!.retryLater("1 minute", new Error("not yet"))
      const waiting = yield* Effect.fork(said.pull(1))
      yield* TestClock.adjust("59 seconds")
      assert.isNull(waiting.unsafePoll())
      yield* TestClock.adjust("1 second")
      const [second] = yield* Fiber.join(waiting)
      assert.strictEqual(second!.delivery.attempt, 2)
      yield* second!.deadLetter(new Error("never"))
      const [letter] = yield* listed
      assert.deepInclude(letter!, { reason: "rejected", attempts: 2 })
      assert.deepStrictEqual(letter!.history.map(({ message }) => message), ["not yet", "never"])
    }).pipe(Effect.provide(layer)))

  it.scoped("the first word on a message counts", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said] })
      yield* publish(1)
      const [only] = yield* said.pull(1)
      yield* only!.ack
      yield* only!.deadLetter("too late")
      yield* only!.retryLater("1 second")
      assert.deepStrictEqual(yield* listed, [])
      assert.deepStrictEqual(yield* depth, { ready: 0, waiting: 0, inFlight: 0, oldest: undefined })
    }).pipe(Effect.provide(layer)))

  it.scoped("a message that may be retried once is a dead letter after that", () =>
    Effect.gen(function*() {
      const said = yield* Pull.make("s", { events: [Said] })
      yield* bus.publish(Said({ n: 1 }), { retries: 1 })
      for (const attempt of [1, 2]) {
        const waiting = yield* Effect.fork(said.pull(1))
        yield* TestClock.adjust("1 second")
        const [taken] = yield* Fiber.join(waiting)
        assert.strictEqual(taken!.delivery.attempt, attempt)
        yield* taken!.retryLater("1 second")
      }
      assert.deepStrictEqual((yield* listed).map(({ attempts, reason }) => [reason, attempts]), [["exhausted", 2]])
    }).pipe(Effect.provide(layer)))

  it.scoped("what cannot be read, has expired or comes too often is put aside, and nobody sees it", () =>
    Effect.gen(function*() {
      const service = yield* EventBus.EventBus
      const told: Array<string> = []
      const open = Pull.make("s", {
        events: [Said],
        deliveries: 1,
        onDeadLetter: ({ message }) => Effect.sync(() => void told.push(message.id))
      })
      yield* Effect.scoped(Effect.gen(function*() {
        const said = yield* open
        yield* bus.publish(Envelope.make(Said({ n: 0 }), { id: "crash" }))
        yield* said.pull(1)
      }))
      yield* service.publish([
        { id: "bad", type: "Said", payload: { _tag: "Said", n: "one" } },
        { id: "new", type: "Said", schemaVersion: 9, payload: {} },
        { id: "late", type: "Said", payload: { _tag: "Said", n: 1 }, ttl: "1 second" },
        { id: "good", type: "Said", payload: { _tag: "Said", n: 2 } }
      ])
      yield* TestClock.adjust("1 second")
      const said = yield* open
      assert.deepStrictEqual(numbers(yield* said.pull(10)), [2])
      yield* settle
      assert.sameDeepMembers((yield* listed).map(({ message, reason }) => [message.id, reason]), [
        ["crash", "crashed"],
        ["bad", "undecodable"],
        ["new", "unknownType"],
        ["late", "expired"]
      ])
      assert.sameMembers(told, ["crash", "bad", "new", "late"])
    }).pipe(Effect.provide(layer)))

  it.scoped("the messages of a Stream are those that its selector wants; the rest are given back when it ends", () =>
    Effect.gen(function*() {
      const service = yield* EventBus.EventBus
      const gate = yield* Deferred.make<void>()
      const first = yield* Pull.streamSelect("s", { select: "talk.*", prefetch: 2 }).pipe(
        Stream.tap(({ ack }) => ack),
        Stream.take(3),
        Stream.map(({ event }) => event.payload),
        Stream.ensuring(Deferred.succeed(gate, undefined)),
        Stream.runCollect,
        Effect.fork
      )
      yield* settle
      yield* service.publish([{ type: "Other", subject: "other", payload: 1 }])
      yield* publish(1, 2, 3, 4)
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(first)),
        [1, 2, 3].map((n) => ({ _tag: "Said", n }))
      )
      const rest = yield* Pull.stream("s", { events: [Said] }).pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(numbers(Array.from(rest)), [4])
    }).pipe(Effect.provide(layer)))

  it.effect("numbers that mean nothing are refused", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(
        Effect.scoped(Pull.make("s", { events: [Said], prefetch: 0, deliveries: 0.5 }))
      )
      assert.deepStrictEqual(
        refused._tag === "InvalidInput" && refused.faults.map(({ path }) => path),
        ["deliveries", "prefetch"]
      )
      const none = yield* Effect.exit(
        Effect.scoped(Effect.flatMap(Pull.make("s", { events: [Said] }), ({ pull }) => pull(0)))
      )
      assert.isTrue(Exit.isFailure(none) && none.cause._tag === "Die")
    }).pipe(Effect.provide(layer)))
})

describe("laws of pulling", () => {
  const cases = fc.record({
    actions: fc.array(fc.constantFrom("ack", "later", "dead", "nothing" as const), { minLength: 1, maxLength: 20 }),
    prefetch: fc.integer({ min: 1, max: 6 }),
    max: fc.integer({ min: 1, max: 6 }),
    pullers: fc.integer({ min: 1, max: 3 })
  })

  it("every message ends acknowledged or as a dead letter, once, whatever is done with it first", () =>
    fc.assert(
      fc.asyncProperty(cases, ({ actions, max, prefetch, pullers }) =>
        Effect.gen(function*() {
          const acked: Array<number> = []
          const seen = new Map<number, number>()
          yield* Effect.scoped(Pull.make("s", { events: [Said] }))
          yield* publish(...actions.map((_, n) => n))
          const round = Effect.scoped(Effect.gen(function*() {
            const said = yield* Pull.make("s", { events: [Said], prefetch })
            for (;;) {
              const batch = yield* said.pull(max, { within: "2 seconds" })
              if (batch.length === 0) return
              for (const { ack, deadLetter, event: { n }, retryLater } of batch) {
                const before = seen.get(n) ?? 0
                seen.set(n, before + 1)
                const action = before === 0 ? actions[n] : "ack"
                if (action === "nothing") continue
                if (action === "dead") yield* deadLetter("dead")
                else if (action === "later") yield* retryLater("1 second")
                else {
                  yield* ack
                  acked.push(n)
                }
              }
            }
          }))
          for (let count = 0; count < 20; count++) {
            const running = yield* Effect.fork(
              Effect.all(Array.from({ length: pullers }, () => round), { concurrency: "unbounded" })
            )
            for (let second = 0; second < 40 && running.unsafePoll() === null; second++) {
              yield* TestClock.adjust("1 second")
              yield* Effect.repeatN(Effect.yieldNow(), 50)
            }
            yield* Fiber.join(running)
            const { inFlight, ready, waiting } = yield* depth
            if (inFlight + ready + waiting === 0) break
          }
          const dead = (yield* listed).map(({ message }) => message)
          const ids = dead.map((message) => JSON.parse(String("payload" in message && message.payload)).n as number)
          assert.deepStrictEqual([...acked, ...ids].sort((a, b) => a - b), actions.map((_, n) => n))
          assert.deepStrictEqual(
            ids.sort((a, b) => a - b),
            actions.flatMap((action, n) => action === "dead" ? [n] : [])
          )
        }).pipe(Effect.provide(Layer.provideMerge(layer, TestContext.TestContext)), Effect.runPromise)),
      { numRuns: 25 }
    ), 60_000)
})
