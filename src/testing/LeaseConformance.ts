/**
 * What every driver of leases must do, as a suite of tests. Time is the TestClock's.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  type Layer,
  Option,
  Schedule,
  Scope,
  TestClock
} from "effect"
import { forAll } from "../internal/testing/forAll.ts"
import * as Lease from "../store/Lease.ts"

/**
 * Options of {@link suite}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The driver; each test builds it anew and expects it empty. */
  readonly layer: Layer.Layer<Lease.Lease, unknown>
  /** Random runs of the model test; 100 by default. */
  readonly numRuns?: number | undefined
}

const ttl = Duration.toMillis(Lease.defaultTtl)

const acts = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ act: fc.constant("acquire" as const), renews: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("release" as const), holder: fc.nat(3) }) },
    { weight: 3, arbitrary: fc.record({ act: fc.constant("pass" as const), millis: fc.nat(2 * ttl) }) }
  ),
  { maxLength: 25 }
)

/**
 * Registers the suite with vitest.
 *
 * @example
 * ```ts
 * import { layerMemory } from "effect-skald/store/Lease"
 * import * as LeaseConformance from "effect-skald/testing/LeaseConformance"
 *
 * LeaseConformance.suite("memory", { layer: layerMemory })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = (name: string, options: Options): void => {
  const test = (title: string, body: Effect.Effect<void, unknown, Lease.Lease | Scope.Scope>) =>
    it.scoped(title, () => Effect.provide(body, options.layer))

  /** A scope of its own, so that a test ends a holding when it wants. */
  const hold = (name: string, settings?: Lease.Options) =>
    Effect.gen(function*() {
      const leases = yield* Lease.Lease
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const held = yield* Scope.extend(leases.tryAcquire(name, settings), scope)
      return { held, release: Scope.close(scope, Exit.void) }
    })

  const isValid = (held: Lease.Held) => Effect.map(Effect.either(held.check), (either) => either._tag === "Right")

  describe(`Lease conformance: ${name}`, () => {
    test(
      "one holds it, others do not; releasing lets the next one in with a higher token",
      Effect.gen(function*() {
        const first = yield* hold("work", { owner: "me" })
        const held = Option.getOrThrow(first.held)
        assert.strictEqual(held.owner, "me")
        assert.isTrue(Option.isNone((yield* hold("work")).held))
        assert.isTrue(Option.isSome((yield* hold("other work")).held))
        yield* held.check
        yield* first.release
        const error = yield* Effect.flip(held.check)
        assert.deepStrictEqual(error, new Lease.LeaseLost({ name: "work", token: held.token }))
        const second = Option.getOrThrow((yield* hold("work")).held)
        assert.isAbove(second.token, held.token)
        yield* second.check
        assert.isFalse(yield* isValid(held))
      })
    )

    test(
      "it is renewed for as long as its holder lives",
      Effect.gen(function*() {
        const { held } = yield* hold("work")
        for (let step = 0; step < 40; step++) {
          yield* TestClock.adjust("1 seconds")
          yield* Option.getOrThrow(held).check
          assert.isTrue(Option.isNone((yield* hold("work")).held))
        }
      })
    )

    test(
      "without renewal it runs out exactly then: the next has a higher token and the old one is refused",
      Effect.gen(function*() {
        const held = Option.getOrThrow((yield* hold("work", { renewEvery: "1 days" })).held)
        const watcher = yield* Effect.fork(Effect.flip(held.lost))
        yield* TestClock.adjust(ttl - 1)
        yield* held.check
        assert.isTrue(Option.isNone((yield* hold("work")).held))
        assert.isTrue(Option.isNone(yield* Fiber.poll(watcher)))
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Fiber.join(watcher)).token, held.token)
        const next = Option.getOrThrow((yield* hold("work")).held)
        assert.isAbove(next.token, held.token)
        assert.isFalse(yield* isValid(held))
      })
    )

    test(
      "acquire waits for its turn and gives up when its Schedule ends",
      Effect.gen(function*() {
        const leases = yield* Lease.Lease
        const first = yield* hold("work")
        const waiting = yield* Effect.fork(leases.acquire("work"))
        const hasty = yield* Effect.fork(Effect.flip(leases.acquire("work", { retry: Schedule.recurs(3) })))
        assert.deepStrictEqual(yield* Fiber.join(hasty), new Lease.LeaseTaken({ name: "work" }))
        const holds = Option.getOrThrow(first.held)
        // in steps much shorter than the lease: a server answers each renewal before its time is over
        yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("1 seconds"), holds.check), 54)
        assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
        yield* first.release
        yield* TestClock.adjust("1 seconds")
        const held = yield* Fiber.join(waiting)
        yield* held.check
      })
    )

    test(
      "one who stops waiting leaves nothing behind",
      Effect.gen(function*() {
        const leases = yield* Lease.Lease
        const first = yield* hold("work")
        const waiting = yield* Effect.fork(Effect.scoped(leases.acquire("work")))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.interrupt(waiting)
        yield* first.release
        yield* TestClock.adjust("1 seconds")
        assert.isTrue(Option.isSome((yield* hold("work")).held))
      })
    )

    test(
      "withLease releases at once, whatever happens, and answers what the effect answers",
      Effect.gen(function*() {
        const leases = yield* Lease.Lease
        assert.strictEqual(yield* leases.withLease("work")(Effect.succeed(1)), 1)
        assert.strictEqual(yield* Effect.flip(leases.withLease("work")(Effect.fail("mine"))), "mine")
        const token = yield* leases.withLease("work")((held) => Effect.as(held.check, held.token))
        const started = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          leases.withLease("work")(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.isAbove(Option.getOrThrow((yield* hold("work")).held).token, token)
      })
    )

    test(
      "withLease stops the effect when the lease is lost, and fails only after it has stopped",
      Effect.gen(function*() {
        const leases = yield* Lease.Lease
        const seen: Array<string> = []
        const work = Effect.never.pipe(
          Effect.onInterrupt(() => Effect.yieldNow().pipe(Effect.zipRight(Effect.sync(() => seen.push("stopped")))))
        )
        const fiber = yield* Effect.fork(Effect.flip(leases.withLease("work", { renewEvery: "1 days" })(work)))
        yield* TestClock.adjust(ttl)
        const error = yield* Fiber.join(fiber)
        seen.push(error._tag)
        assert.deepStrictEqual(seen, ["stopped", "LeaseLost"])
      })
    )

    test(
      "a token that nobody was given is refused, and so is what cannot be a lease",
      Effect.gen(function*() {
        const leases = yield* Lease.Lease
        const held = Option.getOrThrow((yield* hold("work")).held)
        yield* leases.check("work", held.token)
        assert.strictEqual((yield* Effect.flip(leases.check("work", held.token + 1)))._tag, "LeaseLost")
        assert.strictEqual((yield* Effect.flip(leases.check("unknown", 1)))._tag, "LeaseLost")
        const error = yield* Effect.flip(leases.tryAcquire("", { owner: "a\u0000", ttl: 1, renewEvery: 0 }))
        assert.strictEqual(error._tag, "InvalidInput")
        if (error._tag === "InvalidInput") {
          assert.deepStrictEqual(error.faults.map((fault) => fault.path), ["name", "owner", "ttl", "renewEvery"])
        }
      })
    )

    test(
      "at no time do two tokens hold, and each is higher than all before, whatever holders and time do",
      Effect.gen(function*() {
        let run = 0
        let highest = 0
        yield* forAll(acts, (acts) =>
          Effect.scoped(Effect.gen(function*() {
            const lease = `model ${run++}`
            highest = 0
            let clock = 0
            const holders: Array<{ held: Lease.Held; release: Effect.Effect<void>; renews: boolean; until: number }> =
              []
            for (const act of acts) {
              const current = holders.at(-1)
              const taken = current !== undefined && (current.renews || current.until > clock) && current.until > 0
              if (act.act === "pass") {
                clock += act.millis
                yield* TestClock.adjust(act.millis)
              } else if (act.act === "release") {
                const holder = holders[holders.length - 1 - act.holder]
                if (holder === undefined) continue
                yield* holder.release
                holder.renews = false
                holder.until = 0
              } else {
                const { held, release } = yield* hold(lease, act.renews ? {} : { renewEvery: Duration.infinity })
                assert.strictEqual(Option.isSome(held), !taken)
                if (Option.isNone(held)) continue
                assert.isAbove(held.value.token, highest)
                highest = held.value.token
                holders.push({ held: held.value, release, renews: act.renews, until: clock + ttl })
              }
              const valid = yield* Effect.filter(holders, (holder) => isValid(holder.held))
              const last = holders.at(-1)
              const expected = last !== undefined && last.until > 0 && (last.renews || last.until > clock) ? [last] : []
              assert.deepStrictEqual(
                valid.map((holder) => holder.held.token),
                expected.map((holder) => holder.held.token)
              )
            }
          })), { numRuns: options.numRuns ?? 100 })
      })
    )
  })
}
