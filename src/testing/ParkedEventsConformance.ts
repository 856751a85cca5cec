/**
 * What every driver of parked events must do, as a suite of tests.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, FastCheck as fc, Fiber, type Layer } from "effect"
import type { Position } from "../event/Position.ts"
import type { StreamId } from "../event/StreamId.ts"
import { forAll } from "../internal/testing/forAll.ts"
import { type Parked, ParkedEvents } from "../store/ParkedEvents.ts"

/**
 * Options of {@link suite}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The driver; each test builds it anew and expects it empty. */
  readonly layer: Layer.Layer<ParkedEvents, unknown>
  /** Random runs of the model test; 100 by default. */
  readonly numRuns?: number | undefined
}

const parked = (position: number, entry?: Partial<Parked>): Parked => ({
  position: position as Position,
  stream: "order-1" as StreamId,
  tenant: undefined,
  id: `event ${position}`,
  type: "Placed",
  reason: "failed",
  problem: "Error: no",
  attempts: 1,
  parkedAt: DateTime.unsafeMake(1_700_000_000_123 + position % 1_000),
  ...entry
})

const acts = fc.array(
  fc.record({
    act: fc.constantFrom("add", "add", "remove", "again", "atomically", "rolledBack"),
    key: fc.constantFrom("a", "b"),
    positions: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 })
  }),
  { maxLength: 25 }
)

/**
 * Registers the suite with vitest.
 *
 * @example
 * ```ts
 * import { layerMemory } from "effect-skald/store/ParkedEvents"
 * import * as ParkedEventsConformance from "effect-skald/testing/ParkedEventsConformance"
 *
 * ParkedEventsConformance.suite("memory", { layer: layerMemory })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = (name: string, options: Options): void => {
  const test = (title: string, body: Effect.Effect<void, unknown, ParkedEvents>) =>
    it.live(title, () => Effect.provide(body, options.layer))

  describe(`ParkedEvents conformance: ${name}`, () => {
    test(
      "lists what was added, by position, each key by itself, and every field as it was",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        assert.deepStrictEqual(yield* store.list("p"), [])
        const odd = parked(10, {
          stream: "order-\"ü\"\\ 漢" as StreamId,
          tenant: "acme:1",
          problem: "line one\nline \"two\" 😀 {}",
          reason: "behind",
          attempts: 0
        })
        const large = parked(Number.MAX_SAFE_INTEGER, { problem: "" })
        yield* store.add("p", [large, odd])
        yield* store.add("p", [parked(9), parked(2)])
        yield* store.add("p", [])
        yield* store.add("q", [parked(7)])
        assert.deepStrictEqual(yield* store.list("p"), [parked(2), parked(9), odd, large])
        assert.deepStrictEqual(yield* store.list("q"), [parked(7)])
        assert.deepStrictEqual(yield* store.list(":tenant:projection/p@1#2"), [])
      })
    )

    test(
      "what stands there already stays as it is",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* store.add("p", [parked(1)])
        yield* store.add("p", [parked(1, { problem: "another", attempts: 7 }), parked(2)])
        assert.deepStrictEqual(yield* store.list("p"), [parked(1), parked(2)])
      })
    )

    test(
      "forgets, and tells how many stood there",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* store.add("p", [parked(1), parked(2), parked(3)])
        yield* store.add("q", [parked(1)])
        assert.strictEqual(yield* store.remove("p", []), 0)
        assert.strictEqual(yield* store.remove("p", [1, 3, 5]), 2)
        assert.strictEqual(yield* store.remove("p", [1, 3, 5]), 0)
        assert.deepStrictEqual(yield* store.list("p"), [parked(2)])
        assert.strictEqual(yield* store.remove("p", [2]), 1)
        assert.deepStrictEqual(yield* store.list("q"), [parked(1)])
        yield* store.add("p", [parked(1, { attempts: 2 })])
        assert.deepStrictEqual(yield* store.list("p"), [parked(1, { attempts: 2 })], "it may come again")
      })
    )

    test(
      "counts how often one has failed again, of those that stand there",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* store.add("p", [parked(1), parked(2, { reason: "behind", problem: "", attempts: 0 })])
        yield* store.failedAgain("p", 1, "once more")
        yield* store.failedAgain("p", 1, "and again")
        yield* store.failedAgain("p", 2, "now it was tried")
        yield* store.failedAgain("p", 3, "of nothing")
        yield* store.failedAgain("q", 1, "of nothing")
        assert.deepStrictEqual(yield* store.list("p"), [
          parked(1, { problem: "and again", attempts: 3 }),
          parked(2, { problem: "now it was tried", attempts: 1 })
        ])
        assert.deepStrictEqual(yield* store.list("q"), [])
      })
    )

    test(
      "a hundred who say at once that it has failed again are all counted",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* store.add("p", [parked(1)])
        yield* Effect.forEach(Array.from({ length: 100 }), () => store.failedAgain("p", 1, "no"), {
          concurrency: "unbounded",
          discard: true
        })
        assert.deepStrictEqual(yield* store.list("p"), [parked(1, { problem: "no", attempts: 101 })])
      })
    )

    test(
      "what was forgotten comes back when the effect fails, dies or is interrupted, and its end is what one is told",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        const all = [parked(1), parked(2)]
        yield* store.add("p", all)
        const forget = store.remove("p", [1, 2])
        const failed = yield* Effect.flip(store.atomically(Effect.zipRight(forget, Effect.fail("no"))))
        assert.strictEqual(failed, "no")
        assert.deepStrictEqual(yield* store.list("p"), all)
        const died = yield* Effect.exit(store.atomically(Effect.zipRight(forget, Effect.die("broken"))))
        assert.isTrue(Exit.isFailure(died) && !Exit.isInterrupted(died))
        assert.deepStrictEqual(yield* store.list("p"), all)
        const entered = yield* Deferred.make<number>()
        const fiber = yield* Effect.fork(
          store.atomically(
            Effect.zipRight(Effect.tap(forget, (count) => Deferred.succeed(entered, count)), Effect.never)
          )
        )
        assert.strictEqual(yield* Deferred.await(entered), 2)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* store.list("p"), all)
        assert.strictEqual(yield* store.atomically(Effect.map(forget, (count) => count * 10)), 20)
        assert.deepStrictEqual(yield* store.list("p"), [])
      })
    )

    test(
      "inside a transaction what it has forgotten is forgotten, and one inside another shares its fate",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* store.add("p", [parked(1), parked(2), parked(3)])
        const counts = yield* store.atomically(Effect.all([
          store.remove("p", [1]),
          store.remove("p", [1, 2]),
          store.atomically(store.remove("p", [3])),
          store.remove("p", [3])
        ]))
        assert.deepStrictEqual(counts, [1, 1, 1, 0])
        assert.deepStrictEqual(yield* store.list("p"), [])
        yield* store.add("p", [parked(1), parked(2)])
        yield* Effect.flip(store.atomically(
          Effect.zipRight(store.atomically(store.remove("p", [1])), Effect.fail("the outer one"))
        ))
        assert.deepStrictEqual(yield* store.list("p"), [parked(1), parked(2)])
        const [caught, other] = yield* store.atomically(Effect.all([
          Effect.flip(store.atomically(Effect.zipRight(store.remove("p", [1]), Effect.fail("the inner one")))),
          store.remove("p", [2])
        ]))
        assert.deepStrictEqual([caught, other], ["the inner one", 1])
        assert.deepStrictEqual(yield* store.list("p"), [parked(1)])
      })
    )

    test(
      "of two who forget one at once, one is told of it, and the other is told 0",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        yield* store.add("p", [parked(1)])
        const entered = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const first = yield* Effect.fork(store.atomically(
          Effect.tap(
            store.remove("p", [1]),
            () => Effect.zipRight(Deferred.succeed(entered, undefined), Deferred.await(release))
          )
        ))
        yield* Deferred.await(entered)
        const second = yield* Effect.fork(store.atomically(store.remove("p", [1])))
        yield* Effect.yieldNow()
        yield* Deferred.succeed(release, undefined)
        assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [1, 0])
        assert.deepStrictEqual(yield* store.list("p"), [])
      })
    )

    test(
      "twenty who forget the same ten at once: each is forgotten once",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        const positions = Array.from({ length: 10 }, (_, index) => index + 1)
        yield* store.add("p", positions.map((position) => parked(position)))
        const counts = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.forEach(positions, (position) => store.atomically(store.remove("p", [position]))),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          positions.map((_, index) => counts.reduce((sum, each) => sum + each[index]!, 0)),
          positions.map(() => 1)
        )
        assert.deepStrictEqual(yield* store.list("p"), [])
      })
    )

    test(
      "thousands at once",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        const all = Array.from({ length: 2_500 }, (_, index) => parked(index + 1))
        yield* store.add("p", [...all].reverse())
        assert.deepStrictEqual(yield* store.list("p"), all)
        const even = all.filter(({ position }) => position % 2 === 0).map(({ position }) => position)
        assert.strictEqual(yield* store.atomically(store.remove("p", even)), 1_250)
        assert.deepStrictEqual(yield* store.list("p"), all.filter(({ position }) => position % 2 === 1))
      })
    )

    test(
      "whatever is done in whatever order, what stands there is what the plainest model says",
      Effect.gen(function*() {
        const store = yield* ParkedEvents
        let run = 0
        yield* forAll(acts, (acts) =>
          Effect.gen(function*() {
            const prefix = `run ${run++} `
            const model = new Map([["a", new Map<number, Parked>()], ["b", new Map<number, Parked>()]])
            for (const { act, key, positions } of acts) {
              const entries = model.get(key)!
              const there = new Set(positions.filter((position) => entries.has(position)))
              const forget = store.remove(prefix + key, positions)
              switch (act) {
                case "add": {
                  const added = [...new Set(positions)].map((position) => parked(position, { problem: act + run }))
                  yield* store.add(prefix + key, added)
                  for (const entry of added) if (!entries.has(entry.position)) entries.set(entry.position, entry)
                  break
                }
                case "again":
                  for (const position of positions) {
                    yield* store.failedAgain(prefix + key, position, "again")
                    const entry = entries.get(position)
                    if (entry !== undefined) {
                      entries.set(position, { ...entry, problem: "again", attempts: entry.attempts + 1 })
                    }
                  }
                  break
                case "rolledBack":
                  yield* Effect.flip(store.atomically(Effect.zipRight(forget, Effect.fail("no"))))
                  break
                default:
                  assert.strictEqual(yield* act === "remove" ? forget : store.atomically(forget), there.size)
                  for (const position of there) entries.delete(position)
              }
            }
            for (const [key, entries] of model) {
              assert.deepStrictEqual(
                yield* store.list(prefix + key),
                [...entries.values()].sort((a, b) => a.position - b.position)
              )
            }
          }).pipe(Effect.orDie), { numRuns: options.numRuns })
      })
    )
  })
}
