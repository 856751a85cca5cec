// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import * as EventStore from "effect-skald/store/EventStore"
import * as Query from "effect-skald/store/Query"
import { Cause, Context, Deferred, Effect, Either, Exit, FastCheck as fc, Fiber, Layer, Runtime } from "effect"
import { all, append, collect, event, open, reason, settle, together, turn } from "../support/sqliteStore.ts"

describe("SQLite: groups", () => {
  it.scoped("appends of one turn are one transaction, and a refusal fails its own only", () =>
    Effect.gen(function*() {
      const { commits, store } = yield* open()
      const exits = yield* together(Array.from({ length: 64 }, (_, n) =>
        store.append([{ stream: `a-${n % 8}`, expected: n % 9 === 5 ? 77 : "any", events: [event(n)] }])))
      assert.strictEqual(commits(), 1)
      exits.forEach((exit, n) =>
        assert.strictEqual(reason(exit), n % 9 === 5 ? "VersionConflict" : "done")
      )
      const payloads = (yield* all(store)).map((raw) => raw.payload)
      assert.deepStrictEqual(payloads, Array.from({ length: 64 }, (_, n) => n).filter((n) => n % 9 !== 5))
    }))

  it.scopedLive("callers that append again at once let timers and sockets have their turn", () =>
    Effect.gen(function*() {
      const { store } = yield* open()
      let turns = 0
      let on = true
      const tick = () => {
        turns++
        if (on) setImmediate(tick)
      }
      setImmediate(tick)
      const caller = (n: number) => Effect.repeatN(store.append([{ stream: `a-${n}`, events: [event(n)] }]), 99)
      yield* Effect.all(Array.from({ length: 16 }, (_, n) => caller(n)), { concurrency: "unbounded", discard: true })
      on = false
      // 1,600 appends, at most 128 of them on microtasks alone
      assert.isAtLeast(turns, 10)
    }))

  // The oracle is the memory driver, one append after the other.
  const name = fc.constantFrom("a-1", "a-2", "b-1")
  const request = fc.record({
    groups: fc.uniqueArray(
      fc.record({
        stream: name,
        expected: fc.oneof(
          { weight: 4, arbitrary: fc.constant("any" as const) },
          fc.constantFrom("noStream" as const, "streamExists" as const),
          fc.nat(4)
        ),
        events: fc.array(fc.record({ id: fc.nat(20), tag: fc.constantFrom("t", "u"), payload: fc.nat(1) }), {
          maxLength: 3
        })
      }),
      { selector: ({ stream }) => stream, minLength: 1, maxLength: 2 }
    ),
    failIf: fc.option(fc.record({ tag: fc.constantFrom("t", "u"), after: fc.nat(12) }))
  })
  const run = (
    store: EventStore.Operations,
    { failIf, groups }: typeof request extends fc.Arbitrary<infer A> ? A : never
  ) =>
    store.append(
      groups.map((group) => ({
        ...group,
        events: group.events.map(({ id, payload, tag }) => event(payload, { id: `e${id}`, tags: [tag], occurredAt: 5 }))
      })),
      failIf === null ? undefined : { failIf: Query.unsafeMake({ tags: [failIf.tag] }), after: failIf.after }
    ).pipe(Effect.map(({ events, repeated }) => ({ events, repeated })), Effect.either, Effect.map(plain))
  // positions of refused appends are drawn by neither
  const plain = (answer: Either.Either<unknown, { readonly _tag: string; readonly message: string }>) =>
    Either.isRight(answer) ? answer.right : [answer.left._tag, answer.left.message]

  it.scopedLive("a group answers as its appends would one after the other", () =>
    Effect.gen(function*() {
      const runtime = yield* Effect.runtime<never>()
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(request, { minLength: 2, maxLength: 8 }),
            fc.array(request, { maxLength: 8 }),
            (first, second) =>
              Runtime.runPromise(runtime)(Effect.scoped(Effect.gen(function*() {
                const { store } = yield* open({ filename: ":memory:" })
                const memory = Context.get(yield* Layer.build(EventStore.layerMemory), EventStore.EventStore)
                for (const group of [first, second]) {
                  assert.deepStrictEqual(
                    yield* Effect.all(group.map((each) => run(store, each)), { concurrency: "unbounded" }),
                    yield* Effect.forEach(group, (each) => run(memory, each))
                  )
                }
              })))
          ),
          { numRuns: 150 }
        )
      )
    }), 60_000)

  it.scoped("one that is interrupted before its turn is not written; the others are", () =>
    Effect.gen(function*() {
      const { client, commits, store } = yield* open()
      const inside = yield* Deferred.make<void>()
      const leave = yield* Deferred.make<void>()
      const holder = yield* Effect.fork(client.withTransaction(
        Effect.zipRight(Deferred.succeed(inside, undefined), Deferred.await(leave))
      ))
      yield* Deferred.await(inside)
      const fibers = yield* Effect.forEach([0, 1, 2, 3], (n) => Effect.fork(append(store, "a-1", event(n))))
      yield* settle
      yield* turn
      yield* Fiber.interrupt(fibers[1]!)
      // one that must not be interrupted stays
      const firm = yield* Effect.fork(Effect.uninterruptible(append(store, "a-1", event("firm"))))
      yield* settle
      yield* Effect.fork(Fiber.interrupt(firm))
      yield* settle
      yield* Deferred.succeed(leave, undefined)
      yield* Fiber.join(holder)
      yield* Fiber.joinAll([fibers[0]!, fibers[2]!, fibers[3]!])
      yield* Fiber.await(firm)
      assert.deepStrictEqual((yield* all(store)).map((raw) => raw.payload), [0, 2, 3, "firm"])
      assert.strictEqual(commits(), 1)
      assert.isFalse(client.lock.held())
    }))

  it.scoped("a failing hook fails its own append, in the transaction of the others", () =>
    Effect.gen(function*() {
      const { commits, sql, store } = yield* open()
      yield* sql`CREATE TABLE seen (payload TEXT)`
      yield* store.onAppend(([raw]) =>
        sql`INSERT INTO seen VALUES (${String(raw!.payload)})`.pipe(
          Effect.zipRight(
            raw!.payload === 2 ? Effect.fail("no") : raw!.payload === 3 ? Effect.die("oh") : Effect.yieldNow()
          )
        )
      )
      const exits = yield* together([1, 2, 3, 4].map((n) => append(store, "a-1", event(n))))
      assert.deepStrictEqual(exits.map(reason).slice(0, 2), ["done", "StoreError hook"])
      assert.isTrue(Exit.isFailure(exits[2]!) && Cause.isDie(exits[2].cause))
      assert.strictEqual(reason(exits[3]!), "done")
      assert.strictEqual(commits(), 1)
      assert.deepStrictEqual((yield* all(store)).map((raw) => [raw.version, raw.payload]), [[1, 1], [2, 4]])
      assert.deepStrictEqual(yield* sql`SELECT payload FROM seen`, [{ payload: "1" }, { payload: "4" }])
    }))

  it.scoped("a hook may append where the next append of its group writes", () =>
    Effect.gen(function*() {
      const { store } = yield* open()
      yield* store.onAppend(([raw]) =>
        raw!.stream === "a-1" && raw!.payload !== "nested" ? append(store, "a-1", event("nested")) : Effect.void
      )
      const exits = yield* together([
        append(store, "a-1", event("first")),
        store.append([{ stream: "a-1", expected: 2, events: [event("second")] }]),
        store.append([{ stream: "a-1", expected: 2, events: [event("refused")] }])
      ])
      assert.deepStrictEqual(exits.map(reason), ["done", "done", "VersionConflict"])
      assert.deepStrictEqual((yield* collect(store.read("a-1"))).map((raw) => [raw.version, raw.payload]), [
        [1, "first"],
        [2, "nested"],
        [3, "second"],
        [4, "nested"]
      ])
    }))

  it.scoped("one that is interrupted in its hook is undone, and nobody waits for it", () =>
    Effect.gen(function*() {
      const { client, store } = yield* open()
      const running = yield* Deferred.make<void>()
      yield* store.onAppend(([raw]) =>
        raw!.payload === "slow" ? Effect.zipRight(Deferred.succeed(running, undefined), Effect.never) : Effect.void
      )
      const slow = yield* Effect.fork(append(store, "a-1", event("slow")))
      const next = yield* Effect.fork(append(store, "a-1", event("next")))
      const gone = yield* Effect.fork(append(store, "a-1", event("gone")))
      yield* Deferred.await(running)
      yield* Fiber.interrupt(gone)
      const exit = yield* Fiber.interrupt(slow)
      assert.isTrue(Exit.isInterrupted(exit))
      yield* Fiber.join(next)
      assert.deepStrictEqual((yield* all(store)).map((raw) => [raw.version, raw.payload]), [[1, "next"]])
      assert.isFalse(client.lock.held())
    }))
})
