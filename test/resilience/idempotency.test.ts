import { assert, describe, it } from "@effect/vitest"
import { KeyValueStore } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import * as Idempotency from "effect-skald/resilience/Idempotency"
import { Clock, Context, Deferred, Effect, Fiber, Layer, Option, Ref, Schema, TestClock } from "effect"
import { equal } from "../support/assert.ts"
import { tempDirectory } from "../support/tempDirectory.ts"
import { counting, type Place, reason, suite } from "./support/idempotency.ts"

const over = (store: KeyValueStore.KeyValueStore): Place => ({
  open: Effect.map(
    Layer.build(Layer.provide(Idempotency.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, store))),
    Context.get(Idempotency.Idempotency)
  ),
  pass: TestClock.adjust
})

const memory = Effect.map(
  Layer.build(KeyValueStore.layerMemory),
  (context) => Context.get(context, KeyValueStore.KeyValueStore)
)

const files = Effect.flatMap(tempDirectory, (directory) =>
  Effect.map(
    Effect.orDie(Layer.build(Layer.provide(KeyValueStore.layerFileSystem(directory), NodeContext.layer))),
    (context) => Context.get(context, KeyValueStore.KeyValueStore)
  ))

const numbers = { success: Schema.Number }

/** A process that dies in a run: its fiber is never heard of again, and nothing of it is cleaned up. */
const died = (store: KeyValueStore.KeyValueStore, key: string) =>
  Effect.gen(function*() {
    const gone = yield* Ref.make(false)
    const alive = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.flatMap(Ref.get(gone), (dead) => dead ? Effect.never : effect)
    const dying = over(KeyValueStore.make({
      ...store,
      get: (key) => alive(store.get(key)),
      getUint8Array: (key) => alive(store.getUint8Array(key)),
      set: (key, value) => alive(store.set(key, value)),
      remove: (key) => alive(store.remove(key))
    }))
    const began = yield* Deferred.make<void>()
    const keys = yield* dying.open
    yield* Effect.forkDaemon(keys.once(key, numbers)(Effect.zipRight(Deferred.succeed(began, undefined), Effect.never)))
    yield* Deferred.await(began)
    yield* Ref.set(gone, true)
  })

describe("Idempotency in memory", () => {
  suite(Effect.map(memory, over), 100)
})

describe("Idempotency in files", () => {
  suite(Effect.map(files, over), 10)
})

describe("Idempotency", () => {
  it.scoped("a run that died holds its key until its lease runs out", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const keys = yield* over(store).open
      yield* died(store, "k")
      const started = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.fork(
        Effect.zip(keys.once("k", numbers)(Effect.succeed(1)), Clock.currentTimeMillis)
      )
      yield* TestClock.adjust("1 minute")
      const [value, ended] = yield* Fiber.join(fiber)
      equal([value, ended - started], [1, 5_000])
    }))

  it.scoped("who must not run twice is refused after a death, until somebody forgets the key", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const keys = yield* over(store).open
      yield* died(store, "k")
      yield* TestClock.adjust("1 minute")
      const careful = keys.once("k", { ...numbers, abandoned: "refuse" })(Effect.succeed(1))
      equal(yield* reason(careful), "abandoned")
      equal(yield* reason(careful), "abandoned")
      assert.isTrue(yield* keys.forget("k"))
      equal(yield* careful, 1)
    }))

  it.scoped("a run that takes long renews its lease, and nobody takes its key", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const keys = yield* over(store).open
      const elsewhere = yield* over(store).open
      const { run, runs } = yield* counting
      const long = yield* Effect.fork(keys.once("k", numbers)(Effect.zipLeft(run, Effect.sleep("1 minute"))))
      const other = yield* Effect.fork(elsewhere.once("k", numbers)(run))
      yield* TestClock.adjust("59 seconds")
      equal(yield* Ref.get(runs), 1)
      yield* TestClock.adjust("2 seconds")
      equal([yield* Fiber.join(long), yield* Fiber.join(other)], [1, 1])
    }))

  it.scoped("a run whose lease is lost is interrupted, told so, and does not touch what the next one does", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const away = yield* Ref.make(false)
      const unreliable = KeyValueStore.make({
        ...store,
        get: (key) => Effect.flatMap(Ref.get(away), (is) => is ? Effect.never : store.get(key))
      })
      const keys = yield* over(unreliable).open
      const elsewhere = yield* over(store).open
      const interrupted = yield* Ref.make(false)
      const slow = yield* Effect.fork(
        reason(keys.once("k", numbers)(Effect.onInterrupt(Effect.never, () => Ref.set(interrupted, true))))
      )
      yield* TestClock.adjust("10 seconds")
      yield* Ref.set(away, true)
      yield* TestClock.adjust("6 seconds")
      assert.isTrue(yield* Ref.get(interrupted))
      // freeing hangs as well, and is given up
      yield* TestClock.adjust("6 seconds")
      equal(yield* Fiber.join(slow), "lost")
      equal(yield* elsewhere.once("k", numbers)(Effect.succeed(2)), 2)
      yield* Ref.set(away, false)
      equal(yield* elsewhere.once("k", numbers)(Effect.die("not again")), 2)
    }))

  it.scoped("a run whose key was taken from it keeps nothing, and is interrupted when it sees that", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const keys = yield* over(store).open
      const robbed = store.modify(
        "idempotency/key/k",
        (record) => JSON.stringify({ ...JSON.parse(record), token: "x" })
      )
      const ending = keys.once("k", numbers)(Effect.zipRight(robbed, Effect.succeed(1)))
      equal(yield* reason(ending), "lost")
      const record = Option.getOrThrow(yield* store.get("idempotency/key/k"))
      assert.include(record, "\"token\":\"x\"")
      assert.notInclude(record, "result")
      yield* TestClock.adjust("1 minute")
      const interrupted = yield* Ref.make(false)
      const long = Effect.zipRight(robbed, Effect.onInterrupt(Effect.never, () => Ref.set(interrupted, true)))
      const fiber = yield* Effect.fork(reason(keys.once("k", numbers)(long)))
      yield* TestClock.adjust("2 seconds")
      equal(yield* Fiber.join(fiber), "lost")
      assert.isTrue(yield* Ref.get(interrupted))
      assert.include(Option.getOrThrow(yield* store.get("idempotency/key/k")), "\"token\":\"x\"")
    }))

  it.scoped("a store that fails for a moment at the end does not lose the result", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const failures = yield* Ref.make(0)
      const flaky = KeyValueStore.make({
        ...store,
        set: (key, value) =>
          typeof value === "string" && value.includes("success")
            ? Effect.flatMap(
              Ref.getAndUpdate(failures, (n) => n + 1),
              (n) => n < 3 ? Effect.fail({ _tag: "SystemError" } as never) : store.set(key, value)
            )
            : store.set(key, value)
      })
      const keys = yield* over(flaky).open
      const fiber = yield* Effect.fork(keys.once("k", numbers)(Effect.succeed(1)))
      yield* TestClock.adjust("1 second")
      equal(yield* Fiber.join(fiber), 1)
      equal(yield* keys.once("k", numbers)(Effect.die("not again")), 1)
      equal(yield* Ref.get(failures), 4)
    }))

  it.scoped("a store that stays away is a typed failure", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const broken = KeyValueStore.make({ ...store, get: () => Effect.fail({ _tag: "SystemError" } as never) })
      const keys = yield* over(broken).open
      equal(yield* reason(keys.once("k", numbers)(Effect.succeed(1))), "store")
      equal(yield* reason(keys.forget("k")), "store")
      const rubbish = KeyValueStore.make({ ...store, get: () => Effect.succeedSome("rubbish") })
      equal(yield* reason((yield* over(rubbish).open).once("k", numbers)(Effect.succeed(1))), "corrupt")
    }))

  it.effect("as a combinator, by the layer", () =>
    Effect.gen(function*() {
      const { run } = yield* counting
      const once = run.pipe(Idempotency.once("k", numbers))
      equal([yield* once, yield* once], [1, 1])
      const error = yield* Effect.flip(run.pipe(Idempotency.once("", numbers)))
      assert.strictEqual(error.message, "idempotency key \"\" (invalid): the key must be a string and not empty")
    }).pipe(Effect.provide(Idempotency.layerMemory)))
})
