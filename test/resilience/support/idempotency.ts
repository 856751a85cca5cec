/** What every store of idempotency keys does. */
import { assert, it } from "@effect/vitest"
import * as Idempotency from "effect-skald/resilience/Idempotency"
import { forAll } from "effect-skald/testing/ForAll"
import { Deferred, Effect, Either, Exit, FastCheck, Fiber, Option, Ref, Schedule, Schema, type Scope } from "effect"
import { equal } from "../../support/assert.ts"

export class Declined extends Schema.TaggedError<Declined>()("Declined", { why: Schema.String }) {}
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}

export interface Place {
  /** Opens the store again, as another process does. */
  readonly open: Effect.Effect<Idempotency.Service, never, Scope.Scope>
  /** Lets time pass, for the store and for those who wait. */
  readonly pass: (millis: number) => Effect.Effect<void>
}

/** A server's clock goes on while a test stands still, and the lease must not run out of itself. */
const numbers = { success: Schema.Number, lease: "1 minute" } as const

/** A run that counts itself and answers with its number. */
export const counting = Effect.map(Ref.make(0), (runs) => ({ runs, run: Ref.updateAndGet(runs, (n) => n + 1) }))

export const reason = <A, E>(effect: Effect.Effect<A, E | Idempotency.IdempotencyError | Idempotency.KeyReused>) =>
  Effect.map(Effect.flip(effect), (error) =>
    error instanceof Idempotency.IdempotencyError
      ? error.reason
      : error instanceof Idempotency.KeyReused
      ? "reused"
      : "its own")

/** A run that says that it has begun, and ends when it is told. */
const slow = <A, E = never>() =>
  Effect.gen(function*() {
    const began = yield* Deferred.make<void>()
    const end = yield* Deferred.make<A, E>()
    return { began, end, run: Effect.zipRight(Deferred.succeed(began, undefined), Deferred.await(end)) }
  })

export const suite = (inPlace: Effect.Effect<Place, never, Scope.Scope>, numRuns = 30) => {
  const test = <E>(
    name: string,
    body: (keys: Idempotency.Service, place: Place) => Effect.Effect<void, E, Scope.Scope>
  ) =>
    it.scoped(name, () =>
      Effect.gen(function*() {
        const place = yield* inPlace
        yield* body(yield* place.open, place)
      }), 60_000)

  test(
    "runs once, and answers with the result of that run, to another process too",
    (keys, place) =>
      Effect.gen(function*() {
        const { run, runs } = yield* counting
        const once = keys.once("k", numbers)(run)
        equal([yield* once, yield* once, yield* once], [1, 1, 1])
        equal(yield* (yield* place.open).once("k", numbers)(run), 1)
        equal(yield* keys.once("other", numbers)(run), 2)
        equal(yield* Ref.get(runs), 2)
      })
  )

  test("concurrent callers wait for the first", (keys) =>
    Effect.gen(function*() {
      const first = yield* slow<number>()
      const { run, runs } = yield* counting
      const leader = yield* Effect.fork(keys.once("k", numbers)(first.run))
      yield* Deferred.await(first.began)
      const others = yield* Effect.fork(
        Effect.all(Effect.replicate(keys.once("k", numbers)(run), 20), { concurrency: "unbounded" })
      )
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      equal(yield* keys.once("another key", numbers)(Effect.succeed(5)), 5)
      yield* Deferred.succeed(first.end, 42)
      equal(yield* Fiber.join(others), Array.from({ length: 20 }, () => 42))
      equal(yield* Fiber.join(leader), 42)
      equal(yield* Ref.get(runs), 0)
    }))

  test("results keep their types", (keys, place) =>
    Effect.gen(function*() {
      const date = new Date(1_700_000_000_000)
      const options = { success: Schema.Struct({ at: Schema.Date, by: Schema.Option(Schema.String) }) }
      const value = { at: date, by: Option.some("ada \u0000 ü") }
      yield* keys.once("k", options)(Effect.succeed(value))
      equal(yield* (yield* place.open).once("k", options)(Effect.die("not again")), value)
      yield* keys.once("void", { success: Schema.Void })(Effect.void)
      assert.isUndefined(yield* keys.once("void", { success: Schema.Void })(Effect.die("not again")))
    }))

  test("failures that the Schema describes are kept, others free the key", (keys, place) =>
    Effect.gen(function*() {
      const runs = yield* Ref.make(0)
      const options = { success: Schema.Number, failure: Declined }
      const failing = (error: Declined | Unreachable) =>
        Effect.flatMap(Ref.update(runs, (n) => n + 1), () => Effect.fail(error))
      for (let turn = 0; turn < 3; turn++) {
        equal(yield* Effect.flip(keys.once("a", options)(failing(new Unreachable()))), new Unreachable())
      }
      equal(yield* Ref.get(runs), 3)
      const declined = new Declined({ why: "no money" })
      equal(yield* Effect.flip(keys.once("a", options)(failing(declined))), declined)
      const again = yield* Effect.flip((yield* place.open).once("a", options)(Effect.succeed(1)))
      assert.instanceOf(again, Declined)
      equal(again, declined)
      equal(yield* Ref.get(runs), 4)
      // without a Schema no failure is kept
      equal(yield* Effect.flip(keys.once("b", numbers)(failing(declined))), declined)
      equal(yield* keys.once("b", numbers)(Effect.succeed(7)), 7)
    }))

  test("a defect frees the key", (keys) =>
    Effect.gen(function*() {
      assert.isTrue(Exit.isFailure(yield* Effect.exit(keys.once("k", numbers)(Effect.die("defect")))))
      equal(yield* keys.once("k", numbers)(Effect.succeed(1)), 1)
    }))

  test("interruption frees the key, and one who waits runs", (keys) =>
    Effect.gen(function*() {
      const first = yield* slow<number>()
      const leader = yield* Effect.fork(keys.once("k", numbers)(first.run))
      yield* Deferred.await(first.began)
      const { run, runs } = yield* counting
      const others = yield* Effect.fork(
        Effect.all(Effect.replicate(keys.once("k", numbers)(run), 5), { concurrency: "unbounded" })
      )
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      yield* Fiber.interrupt(leader)
      equal(yield* Fiber.join(others), [1, 1, 1, 1, 1])
      equal(yield* Ref.get(runs), 1)
    }))

  test("interrupted at any moment, it leaves the key free", (keys) =>
    Effect.gen(function*() {
      for (let yields = 0; yields < 40; yields++) {
        const key = `k-${yields}`
        // A statement that was on its way may be done after all; then the lease frees the key.
        const fiber = yield* Effect.fork(keys.once(key, { ...numbers, lease: "50 millis" })(Effect.never))
        yield* Effect.repeatN(Effect.yieldNow(), yields)
        yield* Fiber.interrupt(fiber)
        const wait = Schedule.forever.pipe(Schedule.tapOutput(() => Effect.yieldNow()))
        equal(yield* keys.once(key, { ...numbers, wait })(Effect.succeed(yields)), yields)
      }
    }))

  test("a waiting caller that is interrupted does not touch the run", (keys) =>
    Effect.gen(function*() {
      const first = yield* slow<number>()
      const leader = yield* Effect.fork(keys.once("k", numbers)(first.run))
      yield* Deferred.await(first.began)
      const waiting = yield* Effect.fork(keys.once("k", numbers)(Effect.succeed(2)))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      yield* Fiber.interrupt(waiting)
      yield* Deferred.succeed(first.end, 1)
      equal(yield* Fiber.join(leader), 1)
    }))

  test(
    "one key with another payload fails, while it runs and afterwards; the order of members does not matter",
    (keys, place) =>
      Effect.gen(function*() {
        const first = yield* slow<number>()
        const options = { ...numbers, payload: { cents: 10, to: { b: 1, a: [1, 2] }, left: undefined } }
        const same = { ...numbers, payload: { to: { a: [1, 2], b: 1 }, cents: 10 } }
        const other = { ...numbers, payload: { to: { a: [2, 1], b: 1 }, cents: 10 } }
        const leader = yield* Effect.fork(keys.once("k", options)(first.run))
        yield* Deferred.await(first.began)
        const elsewhere = yield* place.open
        equal(yield* reason(keys.once("k", other)(Effect.succeed(1))), "reused")
        equal(yield* reason(elsewhere.once("k", other)(Effect.succeed(1))), "reused")
        yield* Deferred.succeed(first.end, 1)
        yield* Fiber.join(leader)
        for (const service of [keys, elsewhere]) {
          equal(yield* reason(service.once("k", other)(Effect.succeed(2))), "reused")
          equal(yield* service.once("k", same)(Effect.die("not again")), 1)
          equal(yield* service.once("k", numbers)(Effect.die("not again")), 1)
        }
        const dated = (millis: number) => ({ ...numbers, payload: { at: new Date(millis) } })
        yield* keys.once("dates", dated(1))(Effect.succeed(1))
        equal(yield* reason(keys.once("dates", dated(2))(Effect.succeed(1))), "reused")
      })
  )

  test("a result is kept for its time to live, and no longer", (keys, place) =>
    Effect.gen(function*() {
      const { run } = yield* counting
      const options = { ...numbers, timeToLive: "1 minute", payload: 1 } as const
      equal(yield* keys.once("k", options)(run), 1)
      yield* place.pass(50_000)
      equal(yield* keys.once("k", options)(run), 1)
      yield* place.pass(11_000)
      equal(yield* keys.once("k", { ...options, payload: 2 })(run), 2)
      equal(yield* keys.once("for ever", { ...numbers, timeToLive: Number.POSITIVE_INFINITY })(run), 3)
      yield* place.pass(1e12)
      equal(yield* keys.once("for ever", numbers)(run), 3)
    }))

  test("a result can be forgotten, a run cannot", (keys) =>
    Effect.gen(function*() {
      const { run } = yield* counting
      assert.isFalse(yield* keys.forget("k"))
      yield* keys.once("k", numbers)(run)
      assert.isTrue(yield* keys.forget("k"))
      equal(yield* keys.once("k", numbers)(run), 2)
      const first = yield* slow<number>()
      const leader = yield* Effect.fork(keys.once("running", numbers)(first.run))
      yield* Deferred.await(first.began)
      assert.isFalse(yield* keys.forget("running"))
      yield* Fiber.interrupt(leader)
    }))

  test("a success that its Schema cannot encode is told, and not run again", (keys) =>
    Effect.gen(function*() {
      const { run, runs } = yield* counting
      const whole = { success: Schema.Int }
      equal(yield* reason(keys.once("k", whole)(Effect.as(run, 1.5))), "unrecorded")
      equal(yield* reason(keys.once("k", whole)(run)), "unrecorded")
      const big = { success: Schema.BigIntFromSelf }
      equal(yield* reason(keys.once("big", big)(Effect.as(run, 1n))), "unrecorded")
      equal(yield* reason(keys.once("big", big)(Effect.as(run, 1n))), "unrecorded")
      equal(yield* Ref.get(runs), 2)
    }))

  test("what is stored and does not fit the Schema is told", (keys) =>
    Effect.gen(function*() {
      yield* keys.once("k", numbers)(Effect.succeed(1))
      equal(yield* reason(keys.once("k", { success: Schema.String })(Effect.succeed("a"))), "corrupt")
      const options = { success: Schema.Number, failure: Declined }
      yield* Effect.flip(keys.once("f", options)(new Declined({ why: "" })))
      equal(yield* reason(keys.once("f", numbers)(Effect.succeed(1))), "corrupt")
      equal(yield* reason(keys.once("f", { ...numbers, failure: Unreachable })(Effect.succeed(1))), "corrupt")
    }))

  test("keys, payloads and leases that cannot be used are refused, and nothing is run", (keys) =>
    Effect.gen(function*() {
      const { run, runs } = yield* counting
      for (const key of ["", "a\u0000b", "line\nbreak", "\ud800", "x".repeat(513)]) {
        equal(yield* reason(keys.once(key, numbers)(run)), "invalid")
      }
      equal(yield* reason(keys.once("k", { ...numbers, payload: { n: 1n } })(run)), "invalid")
      equal(yield* reason(keys.once("k", { ...numbers, lease: "9 millis" })(run)), "invalid")
      equal(yield* Ref.get(runs), 0)
      for (const key of ["__proto__", "x".repeat(512), "🦊", "A", "a", "../a", "%2e", "a/b"]) {
        yield* keys.once(key, { success: Schema.String })(Effect.succeed(key))
      }
      for (const key of ["__proto__", "x".repeat(512), "🦊", "A", "a", "../a", "%2e", "a/b"]) {
        equal(yield* keys.once(key, { success: Schema.String })(Effect.die("not again")), key)
      }
    }))

  test("a run that asks for its own key is told, and does not wait for itself", (keys) =>
    Effect.gen(function*() {
      const inner = keys.once("k", numbers)(Effect.succeed(1))
      equal(yield* keys.once("k", numbers)(Effect.as(reason(inner), 5)), 5)
      equal(yield* reason(keys.once("l", numbers)(keys.once("l", numbers)(Effect.succeed(1)))), "nested")
      // a key within another is none of that
      equal(yield* keys.once("outer", numbers)(keys.once("inner", numbers)(Effect.succeed(3))), 3)
    }))

  test(
    "another process waits for the run by its Schedule, or gives up as it says",
    (keys, place) =>
      Effect.gen(function*() {
        const elsewhere = yield* place.open
        const first = yield* slow<number>()
        const leader = yield* Effect.fork(keys.once("k", numbers)(first.run))
        yield* Deferred.await(first.began)
        equal(
          yield* reason(elsewhere.once("k", { ...numbers, wait: Schedule.stop })(Effect.succeed(2))),
          "running"
        )
        equal(
          yield* reason(elsewhere.once("k", { ...numbers, wait: Schedule.recurs(3) })(Effect.succeed(2))),
          "running"
        )
        const looks = yield* Ref.make(0)
        const wait = Schedule.forever.pipe(
          Schedule.tapOutput(() => Effect.zipRight(Effect.yieldNow(), Ref.update(looks, (n) => n + 1)))
        )
        const waiting = yield* Effect.fork(elsewhere.once("k", { ...numbers, wait })(Effect.succeed(2)))
        yield* Effect.yieldNow().pipe(Effect.zipRight(Ref.get(looks)), Effect.repeat({ until: (n) => n > 2 }))
        yield* Deferred.succeed(first.end, 1)
        equal(yield* Fiber.join(waiting), 1)
        equal(yield* Fiber.join(leader), 1)
      })
  )

  test(
    "whatever ends how in which order: one run at a time, none after a result, nobody left waiting",
    (keys, place) =>
      Effect.gen(function*() {
        const elsewhere = yield* place.open
        const round = yield* Ref.make(0)
        yield* forAll(
          FastCheck.array(
            FastCheck.record({
              how: FastCheck.constantFrom(...(["success", "kept", "free", "die", "interrupt"] as const)),
              yields: FastCheck.nat(12),
              there: FastCheck.boolean()
            }),
            { minLength: 2, maxLength: 10 }
          ),
          (calls) =>
            Effect.gen(function*() {
              const key = `round ${yield* Ref.updateAndGet(round, (n) => n + 1)}`
              const running = yield* Ref.make(0)
              const kept = yield* Ref.make<ReadonlyArray<string>>([])
              const wait = Schedule.forever.pipe(Schedule.tapOutput(() => Effect.yieldNow()))
              const options = { ...numbers, failure: Declined, wait }
              const exits = yield* Effect.forEach(calls, ({ how, there, yields }, index) => {
                const keep = (result: string) => Ref.update(kept, (all) => [...all, result])
                const ending: { readonly [name in typeof how]: Effect.Effect<number, Declined | Unreachable> } = {
                  success: Effect.as(keep(`success ${index}`), index),
                  kept: Effect.zipRight(keep(`declined ${index}`), new Declined({ why: `${index}` })),
                  free: new Unreachable(),
                  die: Effect.die("defect"),
                  interrupt: Effect.interrupt
                }
                const body = Effect.gen(function*() {
                  equal(yield* Ref.updateAndGet(running, (n) => n + 1), 1, "one run at a time")
                  equal(yield* Ref.get(kept), [], "no run after a result")
                  yield* Effect.repeatN(Effect.yieldNow(), yields)
                  return yield* ending[how]
                }).pipe(Effect.ensuring(Ref.update(running, (n) => n - 1)))
                return Effect.exit((there ? elsewhere : keys).once(key, options)(body))
              }, { concurrency: "unbounded" })
              const results = yield* Ref.get(kept)
              assert.isAtMost(results.length, 1)
              for (const exit of exits) {
                if (Exit.isSuccess(exit)) equal([`success ${exit.value}`], results)
                else if (exit.cause._tag === "Fail" && exit.cause.error instanceof Declined) {
                  equal([`declined ${exit.cause.error.why}`], results)
                } else if (exit.cause._tag === "Die") assert.strictEqual(exit.cause.defect, "defect")
              }
              const later = yield* Effect.either(keys.once(key, options)(Effect.succeed(-1)))
              equal(
                Either.isRight(later)
                  ? (later.right === -1 ? [] : [`success ${later.right}`])
                  : [`declined ${(later.left as Declined).why}`],
                results
              )
            }),
          { numRuns }
        )
      })
  )
}
