/**
 * What every driver of timers must do, as a suite of tests. Time is the TestClock's.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  type Layer,
  Scope,
  Stream,
  TestClock,
  TestServices
} from "effect"
import { forAll } from "../internal/testing/forAll.ts"
import * as Timers from "../saga/Timers.ts"

/**
 * Options of {@link suite}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The driver; each test builds it anew and expects it empty. */
  readonly layer: Layer.Layer<Timers.Timers, unknown>
  /** Whether it talks to another process, which TestClock does not wait for: looks are repeated, and take a little longer. */
  readonly remote?: boolean | undefined
  /** Random runs of the model test; 100 by default. */
  readonly numRuns?: number | undefined
}

/** What was seen: which timer, and when. */
interface Seen {
  readonly id: string
  readonly payload: string
  readonly at: number
}

const acts = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ act: fc.constant("set" as const), id: fc.nat(6), in: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("cancel" as const), id: fc.nat(6) }) },
    { weight: 3, arbitrary: fc.record({ act: fc.constant("pass" as const), millis: fc.nat(30) }) }
  ),
  { maxLength: 30 }
)

/**
 * Registers the suite with vitest.
 *
 * @example
 * ```ts
 * import { layerMemory } from "effect-skald/saga/Timers"
 * import * as TimersConformance from "effect-skald/testing/TimersConformance"
 *
 * TimersConformance.suite("memory", { layer: layerMemory })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = (name: string, options: Options): void => {
  const test = (title: string, body: Effect.Effect<void, unknown, Timers.Timers | Scope.Scope>) =>
    it.scoped(title, () => Effect.provide(body, options.layer))

  const live = (millis: number) => TestServices.provideLive(Effect.sleep(millis))

  /** Lets a server answer what is on its way to it. */
  const settle = options.remote === true ? live(25) : Effect.yieldNow()

  const adjust = (millis: number) => Effect.zipRight(TestClock.adjust(millis), settle)

  /** Looks until it is so, for as long as a slow machine may take; the assertion that follows tells where it never is. */
  const until = (isSo: () => boolean) =>
    Effect.iterate(0, {
      while: (looks) => looks < 400 && !isSo(),
      body: (looks) => Effect.as(live(5), looks + 1)
    })

  const set = (id: string, at: number, payload?: string) =>
    Effect.flatMap(Timers.Timers, (timers) => timers.set({ namespace: "work", id, at, payload }))

  /** Serves a namespace and writes down what it sees. */
  const watch = (namespace = "work", settings?: Timers.ServeOptions) =>
    Effect.gen(function*() {
      const timers = yield* Timers.Timers
      const seen: Array<Seen> = []
      const chunks: Array<number> = []
      yield* timers.serve(namespace, (due) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          chunks.push(due.length)
          for (const { id, payload } of due) seen.push({ id, payload, at })
        }), settings)
      return { seen, chunks, ids: () => seen.map(({ id }) => id) }
    })

  const count = (namespace = "work") => Effect.flatMap(Timers.Timers, (timers) => timers.count(namespace))

  /** Waits until so many are left: a handler's timers go after it, which a server takes a moment for. */
  const left = (expected: number) =>
    Effect.gen(function*() {
      for (let looks = 0; looks < 400 && (yield* count()) !== expected; looks++) yield* live(5)
      assert.strictEqual(yield* count(), expected)
    })

  describe(`Timers conformance: ${name}`, () => {
    test(
      "a timer comes at its instant, not before and once, with its payload, and is gone then",
      Effect.gen(function*() {
        const { seen } = yield* watch()
        yield* set("a", 1_000, "hello ✓")
        yield* adjust(999)
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(yield* count(), 1)
        yield* adjust(1)
        yield* until(() => seen.length > 0)
        assert.deepStrictEqual(seen, [{ id: "a", payload: "hello ✓", at: 1_000 }])
        yield* left(0)
        yield* adjust(100_000)
        assert.strictEqual(seen.length, 1)
      })
    )

    test(
      "a fraction of a millisecond is never early, and one that is overdue comes at once",
      Effect.gen(function*() {
        yield* TestClock.setTime(10_000)
        yield* set("overdue", 1)
        const { seen } = yield* watch()
        yield* until(() => seen.length > 0)
        assert.deepStrictEqual(seen.map(({ at }) => at), [10_000])
        yield* set("fraction", 10_499.2)
        yield* adjust(499)
        assert.strictEqual(seen.length, 1)
        yield* adjust(1)
        yield* until(() => seen.length > 1)
        assert.deepStrictEqual(seen[1], { id: "fraction", payload: "", at: 10_500 })
      })
    )

    test(
      "far ones wait, also when days pass in one step, and each comes at its own instant",
      Effect.gen(function*() {
        const day = 86_400_000
        const { seen } = yield* watch()
        yield* set("year", 365 * day)
        yield* set("fortnight", 14 * day)
        yield* set("never", 8.64e15)
        yield* adjust(14 * day - 1)
        assert.deepStrictEqual(seen, [])
        yield* adjust(1)
        yield* until(() => seen.length > 0)
        assert.deepStrictEqual(seen, [{ id: "fortnight", payload: "", at: 14 * day }])
        yield* left(2)
        yield* adjust(351 * day)
        yield* until(() => seen.length > 1)
        assert.deepStrictEqual(seen[1], { id: "year", payload: "", at: 365 * day })
        yield* left(1)
      })
    )

    test(
      "what is due comes in order of instants, then ids, in chunks of the size that was asked for",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const ids = Array.from(
          { length: 23 },
          (_, index) => ({ id: `t${100 + index}`, at: Math.floor(index / 3) * 10 })
        )
        yield* timers.setAll(ids.toReversed().map((timer) => ({ namespace: "work", ...timer })))
        yield* TestClock.setTime(1_000)
        const { chunks, seen } = yield* watch("work", { chunk: 5 })
        yield* until(() => seen.length >= 23)
        assert.deepStrictEqual(seen.map(({ id }) => id), ids.map(({ id }) => id))
        assert.deepStrictEqual(chunks, [5, 5, 5, 5, 3])
        yield* left(0)
      })
    )

    test(
      "setting an id again replaces its instant and payload, to earlier and to later",
      Effect.gen(function*() {
        const { seen } = yield* watch()
        yield* set("a", 1_000, "first")
        yield* set("a", 3_000, "later")
        yield* adjust(2_999)
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(yield* count(), 1)
        yield* set("b", 9_000)
        yield* set("b", 3_000, "earlier")
        yield* adjust(1)
        yield* until(() => seen.length > 1)
        assert.deepStrictEqual(seen, [{ id: "a", payload: "later", at: 3_000 }, {
          id: "b",
          payload: "earlier",
          at: 3_000
        }])
        yield* left(0)
      })
    )

    test(
      "setAll sets all, of one id the last; cancel takes back what is there, and says so",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const { ids, seen } = yield* watch()
        yield* timers.setAll([])
        yield* timers.setAll([
          { namespace: "work", id: "a", at: 100, payload: "not this" },
          { namespace: "other", id: "a", at: 100 },
          { namespace: "work", id: "a", at: 200, payload: "this" },
          { namespace: "work", id: "b", at: 200 },
          { namespace: "work", id: "c", at: 200 }
        ])
        assert.strictEqual(yield* count(), 3)
        assert.isTrue(yield* timers.cancel("work", "b"))
        assert.isFalse(yield* timers.cancel("work", "b"))
        assert.isFalse(yield* timers.cancel("nowhere", "a"))
        assert.strictEqual(yield* timers.cancelAll("work", ["c", "c", "zzz"]), 1)
        assert.strictEqual(yield* timers.cancelAll("work", []), 0)
        yield* adjust(1_000)
        yield* until(() => seen.length > 0)
        assert.deepStrictEqual(ids(), ["a"])
        assert.strictEqual(seen[0]!.payload, "this")
        assert.strictEqual(yield* count("other"), 1)
      })
    )

    test(
      "more than one statement holds: set, listed in order page by page, handled, and taken back",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const all = Array.from({ length: 1_203 }, (_, index) => ({
          namespace: "many",
          id: `t${index}`,
          at: 1_000 + (index * 7) % 5,
          payload: String(index)
        }))
        yield* timers.setAll(all)
        const listed = Array.from(yield* Stream.runCollect(timers.list("many")))
        assert.deepStrictEqual(listed, all.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)))
        assert.strictEqual(yield* timers.count("many"), 1_203)
        assert.strictEqual(yield* timers.cancelAll("many", all.slice(0, 601).map(({ id }) => id)), 601)
        const { seen } = yield* watch("many")
        yield* adjust(10_000)
        yield* until(() => seen.length >= 602)
        assert.deepStrictEqual(
          seen.map(({ payload }) => payload).toSorted(),
          all.slice(601).map(({ payload }) => payload).toSorted()
        )
      })
    )

    test(
      "one that keeps failing, or dies, rests and is tried again; those beside it are handled once",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const done: Array<string> = []
        const tried: Array<number> = []
        let broken = true
        yield* timers.serve("work", (due) =>
          Effect.gen(function*() {
            const at = yield* Clock.currentTimeMillis
            for (const { id } of due) {
              if (id === "b" && due.length === 1) tried.push(at)
              if (broken && id === "b") return yield* Effect.fail("broken")
              if (broken && id === "c") return yield* Effect.die("broken")
            }
            for (const { id } of due) done.push(id)
          }), { retryAfter: "2 seconds" })
        yield* timers.setAll(["a", "b", "c", "d"].map((id) => ({ namespace: "work", id, at: 1_000 })))
        yield* adjust(1_000)
        yield* until(() => done.length === 2)
        assert.deepStrictEqual(done, ["a", "d"])
        yield* left(2)
        yield* settle
        yield* adjust(1_999)
        assert.strictEqual(tried.length, 1)
        yield* adjust(1)
        yield* until(() => tried.length > 1)
        assert.deepStrictEqual(tried, [1_000, 3_000])
        yield* settle
        broken = false
        yield* adjust(2_000)
        yield* until(() => done.length === 4)
        assert.deepStrictEqual(done, ["a", "d", "b", "c"])
        yield* left(0)
      })
    )

    test(
      "one that is set again while its handler runs comes again; one that is cancelled then does not",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const seen: Array<string> = []
        const started = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        yield* timers.serve("work", (due) =>
          Effect.gen(function*() {
            for (const { id, payload } of due) seen.push(`${id}${payload}`)
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(go)
          }))
        yield* timers.setAll(["again", "cancelled", "plain"].map((id) => ({ namespace: "work", id, at: 0 })))
        yield* Deferred.await(started)
        yield* set("again", 500, " later")
        assert.isTrue(yield* timers.cancel("work", "cancelled"))
        yield* Deferred.succeed(go, undefined)
        yield* left(1)
        yield* adjust(499)
        const before = seen.length
        yield* adjust(1)
        yield* until(() => seen.length > before)
        assert.deepStrictEqual(seen.filter((each) => each !== "again later").toSorted(), [
          "again",
          "cancelled",
          "plain"
        ])
        assert.strictEqual(seen.filter((each) => each === "again later").length, 1)
        yield* left(0)
      })
    )

    test(
      "while a handler runs, however long, nobody else gets its timers; when it is stopped, another gets them at once",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
        const started = yield* Deferred.make<void>()
        yield* timers.serve("work", () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)).pipe(
          Scope.extend(scope)
        )
        yield* timers.setAll(["a", "b"].map((id) => ({ namespace: "work", id, at: 0 })))
        yield* Deferred.await(started)
        const second = yield* watch()
        for (let step = 0; step < 20; step++) yield* adjust(1_000)
        assert.deepStrictEqual(second.seen, [])
        yield* set("c", 20_000)
        yield* until(() => second.seen.length > 0)
        assert.deepStrictEqual(second.ids(), ["c"])
        yield* Scope.close(scope, Exit.void)
        yield* adjust(100)
        yield* until(() => second.seen.length > 2)
        assert.deepStrictEqual(second.ids(), ["c", "a", "b"])
        yield* left(0)
      })
    )

    test(
      "several that serve one namespace share its timers: each comes once",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const watchers = yield* Effect.all(Array.from({ length: 4 }, () => watch("work", { chunk: 7 })))
        const seen = () => watchers.flatMap((watcher) => watcher.ids())
        yield* timers.setAll(
          Array.from({ length: 200 }, (_, index) => ({ namespace: "work", id: `t${index}`, at: index % 4 }))
        )
        yield* adjust(10)
        yield* until(() => seen().length >= 200)
        yield* left(0)
        assert.strictEqual(seen().length, 200)
        assert.strictEqual(new Set(seen()).size, 200)
      })
    )

    test(
      "namespaces do not mix, and one whose handler hangs does not keep another waiting",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        yield* timers.serve("hangs", () => Effect.never)
        const { seen } = yield* watch("works")
        yield* timers.setAll([
          { namespace: "hangs", id: "a", at: 5 },
          { namespace: "works", id: "a", at: 10, payload: "mine" },
          { namespace: "unserved", id: "a", at: 10 }
        ])
        yield* adjust(10)
        yield* until(() => seen.length > 0)
        assert.deepStrictEqual(seen.map(({ payload }) => payload), ["mine"])
        assert.strictEqual(yield* timers.count("unserved"), 1)
        assert.strictEqual(yield* timers.count("hangs"), 1)
      })
    )

    test(
      "what cannot be a timer, or be served, is refused with every fault, and nothing is set",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        const error = yield* Effect.flip(timers.setAll([
          { namespace: "work", id: "good", at: 1 },
          { namespace: "", id: "a\u0000", at: Number.NaN, payload: "\ud800" },
          { namespace: "work", id: "b", at: Infinity, payload: "x".repeat(Timers.maxPayload + 1) }
        ]))
        assert.strictEqual(error._tag, "InvalidInput")
        if (error._tag !== "InvalidInput") return
        assert.deepStrictEqual(error.faults.map(({ path }) => path), [
          ...["namespace", "id", "at", "payload"].map((member) => `timers[1].${member}`),
          ...["at", "payload"].map((member) => `timers[2].${member}`)
        ])
        assert.strictEqual(yield* count(), 0)
        const served = yield* Effect.flip(
          timers.serve("", () => Effect.void, { chunk: 0, claim: 1, retryAfter: 0 })
        )
        assert.deepStrictEqual(served.faults.map(({ path }) => path), ["namespace", "chunk", "claim", "retryAfter"])
        assert.strictEqual((yield* Effect.flip(timers.cancel("", "a")))._tag, "InvalidInput")
        assert.strictEqual((yield* Effect.flip(timers.count("")))._tag, "InvalidInput")
        yield* set("longest", 0, "é".repeat(Timers.maxPayload))
        const { seen } = yield* watch()
        yield* until(() => seen.length > 0)
        assert.strictEqual(seen[0]!.payload.length, Timers.maxPayload)
      })
    )

    test(
      "whatever is set, replaced and cancelled while time passes, each comes at its instant and no other",
      Effect.gen(function*() {
        const timers = yield* Timers.Timers
        let run = 0
        yield* forAll(acts, (acts) =>
          Effect.scoped(Effect.gen(function*() {
            const namespace = `model ${run++}`
            const { seen } = yield* watch(namespace)
            const armed = new Map<string, number>()
            const expected: Array<string> = []
            /** What the passing of time to an instant makes due. */
            const fire = (now: number) => {
              const due = [...armed].filter(([, at]) => at <= now).toSorted((a, b) => a[1] - b[1])
              for (const [id, at] of due) {
                armed.delete(id)
                expected.push(`${id}@${at}`)
              }
            }
            let clock = yield* Clock.currentTimeMillis
            for (const act of acts) {
              if (act.act === "set") {
                yield* timers.set({ namespace, id: `t${act.id}`, at: clock + 1 + act.in })
                armed.set(`t${act.id}`, clock + 1 + act.in)
              } else if (act.act === "cancel") {
                assert.strictEqual(yield* timers.cancel(namespace, `t${act.id}`), armed.delete(`t${act.id}`))
              } else {
                // one instant after the other, so that a server has answered before the next
                const end = clock + act.millis
                const stops = [...armed.values()].filter((at) => at <= end).toSorted((a, b) => a - b)
                for (const stop of new Set([...stops, end])) {
                  yield* TestClock.adjust(stop - clock)
                  clock = stop
                  const before = expected.length
                  fire(clock)
                  if (expected.length === before) continue
                  yield* until(() => seen.length >= expected.length)
                  for (let looks = 0; looks < 400 && (yield* timers.count(namespace)) !== armed.size; looks++) {
                    yield* live(2)
                  }
                }
              }
            }
            const sorted = (all: ReadonlyArray<string>) => all.toSorted()
            assert.deepStrictEqual(sorted(seen.map(({ at, id }) => `${id}@${at}`)), sorted(expected))
            assert.strictEqual(yield* timers.count(namespace), armed.size)
          })), { numRuns: options.numRuns ?? 100 })
      })
    )

    test(
      "one who stops serving leaves the timers to the next",
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.scoped(Effect.zipRight(watch(), Effect.never)))
        yield* settle
        yield* Fiber.interrupt(fiber)
        yield* set("a", 10)
        yield* adjust(1_000)
        assert.strictEqual(yield* count(), 1)
        const { seen } = yield* watch()
        yield* until(() => seen.length > 0)
        assert.deepStrictEqual(seen, [{ id: "a", payload: "", at: 1_000 }])
      })
    )
  })
}
