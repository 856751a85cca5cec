/**
 * What every driver of checkpoints must do, as a suite of tests.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck as fc, Fiber, type Layer, Option } from "effect"
import { Position } from "../event/Position.ts"
import { forAll } from "../internal/testing/forAll.ts"
import { CheckpointConflict, CheckpointStore } from "../store/CheckpointStore.ts"

/**
 * Options of {@link suite}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The driver; each test builds it anew and expects it empty. */
  readonly layer: Layer.Layer<CheckpointStore, unknown>
  /** Random runs of the model test; 100 by default. */
  readonly numRuns?: number | undefined
}

const at = Position.make

const acts = fc.array(
  fc.record({
    name: fc.constantFrom("a", "b"),
    act: fc.constantFrom("commit", "fail", "remove", "commit", "commit"),
    /** Right or wrong about where it stands. */
    guess: fc.constantFrom("right", "right", "right", "none", "wrong"),
    next: fc.nat(5)
  }),
  { maxLength: 25 }
)

/**
 * Registers the suite with vitest.
 *
 * @example
 * ```ts
 * import { layerMemory } from "effect-skald/store/CheckpointStore"
 * import * as CheckpointStoreConformance from "effect-skald/testing/CheckpointStoreConformance"
 *
 * CheckpointStoreConformance.suite("memory", { layer: layerMemory })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = (name: string, options: Options): void => {
  const test = (title: string, body: Effect.Effect<void, unknown, CheckpointStore>) =>
    it.effect(title, () => Effect.provide(body, options.layer))

  describe(`CheckpointStore conformance: ${name}`, () => {
    test(
      "stands nowhere, then where it was moved, and answers what the effect answered",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        assert.isTrue(Option.isNone(yield* store.get("p")))
        const answer = yield* store.commit("p", {
          expected: Option.none(),
          next: at(3),
          effect: Effect.succeed("done")
        })
        assert.strictEqual(answer, "done")
        yield* store.commit("p", { expected: at(3), next: at(Number.MAX_SAFE_INTEGER), effect: Effect.void })
        assert.deepStrictEqual(yield* store.get("p"), Option.some(at(Number.MAX_SAFE_INTEGER)))
        yield* store.commit("p", { expected: yield* store.get("p"), next: at(0), effect: Effect.void })
        assert.deepStrictEqual(yield* store.get("p"), Option.some(at(0)), "a rebuild goes back")
        assert.isTrue(Option.isNone(yield* store.get("q")))
        yield* store.remove("p")
        assert.isTrue(Option.isNone(yield* store.get("p")))
      })
    )

    test(
      "one who is wrong about where it stands moves nothing, and its effect does not run",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        let ran = 0
        const effect = Effect.sync(() => void ran++)
        const conflict = (expected: Position | undefined, actual: Position | undefined) =>
          Effect.map(Effect.flip(store.commit("p", { expected, next: at(9), effect })), (error) => {
            assert.instanceOf(error, CheckpointConflict)
            assert.deepInclude(error, { name: "p", expected, actual })
          })
        yield* conflict(at(0), undefined)
        yield* store.commit("p", { expected: undefined, next: at(5), effect: Effect.void })
        yield* conflict(undefined, at(5))
        yield* conflict(at(4), at(5))
        assert.strictEqual(ran, 0)
        assert.deepStrictEqual(yield* store.get("p"), Option.some(at(5)))
      })
    )

    test(
      "an effect that fails, dies or is interrupted moves nothing",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        yield* store.commit("p", { expected: undefined, next: at(1), effect: Effect.void })
        const move = <E>(effect: Effect.Effect<void, E>) => store.commit("p", { expected: at(1), next: at(2), effect })
        assert.strictEqual(yield* Effect.flip(move(Effect.fail("mine"))), "mine")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(move(Effect.die("bug")))))
        const started = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(move(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)))
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* store.get("p"), Option.some(at(1)))
        yield* move(Effect.void)
        assert.deepStrictEqual(yield* store.get("p"), Option.some(at(2)))
      })
    )

    test(
      "a fence that fails stops everything",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        let ran = false
        const error = yield* Effect.flip(store.commit("p", {
          expected: undefined,
          next: at(1),
          effect: Effect.sync(() => {
            ran = true
          }),
          fence: Effect.fail("fenced off")
        }))
        assert.strictEqual(error, "fenced off")
        assert.isFalse(ran)
        assert.isTrue(Option.isNone(yield* store.get("p")))
      })
    )

    test(
      "of many who move from the same place exactly one succeeds",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        let ran = 0
        for (let position = 0; position < 10; position++) {
          const expected = yield* store.get("p")
          const exits = yield* Effect.forEach(
            [1, 2, 3, 4, 5],
            (next) =>
              Effect.exit(store.commit("p", {
                expected,
                next: at(position * 10 + next),
                effect: Effect.zipRight(Effect.yieldNow(), Effect.sync(() => void ran++))
              })),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        }
        assert.strictEqual(ran, 10)
      })
    )

    test(
      "refuses what cannot be a checkpoint",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        const error = yield* Effect.flip(
          store.commit("", { expected: -1 as Position, next: 0.5 as Position, effect: Effect.void })
        )
        assert.strictEqual(error._tag, "InvalidInput")
        if (error._tag === "InvalidInput") {
          assert.deepStrictEqual(error.faults.map((fault) => fault.path), ["name", "expected", "next"])
        }
        assert.strictEqual((yield* Effect.flip(store.get("a\u0000")))._tag, "InvalidInput")
      })
    )

    test(
      "any sequence of moves ends as the model says",
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        yield* forAll(acts, (acts) =>
          Effect.gen(function*() {
            yield* store.remove("a")
            yield* store.remove("b")
            const model = new Map<string, Position>()
            for (const { act, guess, name, next } of acts) {
              const actual = model.get(name)
              if (act === "remove") {
                yield* store.remove(name)
                model.delete(name)
                continue
              }
              const expected = guess === "right" ? actual : guess === "none" ? undefined : at(100)
              const exit = yield* Effect.exit(store.commit(name, {
                expected,
                next: at(next),
                effect: act === "fail" ? Effect.fail("mine") : Effect.void
              }))
              const moves = act === "commit" && expected === actual
              assert.strictEqual(Exit.isSuccess(exit), moves)
              if (moves) model.set(name, at(next))
              assert.deepStrictEqual(Option.getOrUndefined(yield* store.get(name)), model.get(name))
            }
          }), { numRuns: options.numRuns ?? 100 })
      })
    )
  })
}
