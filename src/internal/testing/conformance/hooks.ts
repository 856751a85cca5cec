import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Raw } from "../../../event/Envelope.ts"
import * as Query from "../../../store/Query.ts"
import {
  collect,
  equal,
  event,
  events,
  idsOf,
  plain,
  read,
  readAll,
  refused,
  refusedUnchanged,
  section,
  type Store,
  unique,
  versionsOf
} from "./case.ts"

/** Runs while a hook of an append to `s-1` is at work; the append is released and awaited after it. */
const whileHookRuns = <A, E>(store: Store, outcome: Effect.Effect<void, unknown>, meanwhile: Effect.Effect<A, E>) =>
  Effect.scoped(Effect.gen(function*() {
    const entered = yield* Deferred.make<void>()
    const release = yield* Deferred.make<void>()
    const id = unique()
    yield* store.onAppend((raws) =>
      raws.some((raw) => raw.id === id)
        ? Deferred.succeed(entered, undefined).pipe(Effect.zipRight(Deferred.await(release)), Effect.zipRight(outcome))
        : Effect.void
    )
    const append = yield* Effect.fork(Effect.either(store.append([{ stream: "s-1", events: [event(0, { id })] }])))
    yield* Deferred.await(entered)
    const result = yield* meanwhile
    yield* Deferred.succeed(release, undefined)
    return { result, appended: yield* Fiber.join(append) }
  }))

export const hookSection = section<Store>("hooks", {
  "a hook sees each append as it will be read": (store) =>
    Effect.gen(function*() {
      const seen: Array<ReadonlyArray<Raw>> = []
      yield* store.onAppend((raws) => Effect.sync(() => seen.push(raws)))
      yield* store.append([{ stream: "a-1", events: events(2, { tags: ["t"] }) }, { stream: "b-1", events: events(1) }])
      yield* store.append([{ stream: "a-1", events: events(1) }])
      equal(seen.map((raws) => raws.length), [3, 1])
      equal(seen.flat().map(plain), (yield* readAll(store)).map(plain))
    }),
  "a repeat and a refusal run no hook": (store) =>
    Effect.gen(function*() {
      let runs = 0
      yield* store.onAppend(() => Effect.sync(() => runs++))
      const groups = [{ stream: "a-1", events: events(1) }]
      yield* store.append(groups)
      yield* store.append(groups)
      yield* refused(store.append([{ stream: "a-1", expected: 5, events: events(1) }]), "VersionConflict")
      equal(runs, 1)
    }),
  "hooks run in the order they were given, until their scope closes": (store) =>
    Effect.gen(function*() {
      const runs: Array<string> = []
      const hook = (name: string) => store.onAppend(() => Effect.sync(() => runs.push(name)))
      yield* hook("outer")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* hook("inner")
        yield* store.append([{ stream: "a-1", events: events(1) }])
      }))
      yield* store.append([{ stream: "a-1", events: events(1) }])
      equal(runs, ["outer", "inner", "outer"])
    }),
  "a hook that fails undoes its append, and that alone": (store) =>
    Effect.gen(function*() {
      yield* store.onAppend((raws) => raws.some((raw) => raw.type === "Bad") ? Effect.fail("no") : Effect.void)
      yield* store.append([{ stream: "a-1", events: events(1) }])
      const bad = [
        { stream: "a-1", events: [event(1), event(2, { type: "Bad" })] },
        { stream: "b-1", events: events(1) }
      ]
      yield* refusedUnchanged(store, store.append(bad), "StoreError", { reason: "hook" })
      equal(yield* store.streamState("a-1"), { _tag: "live", version: 1, firstVersion: 1 })
      equal(yield* store.streamState("b-1"), { _tag: "missing" })
      yield* store.append([{ stream: "a-1", expected: 1, events: events(1) }, {
        stream: "b-1",
        expected: 0,
        events: events(1)
      }])
      equal(versionsOf(yield* read(store, "a-1")), [1, 2])
    }),
  "a hook that dies undoes its append, too": (store) =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        yield* store.onAppend(() => Effect.die("oh"))
        const exit = yield* Effect.exit(store.append([{ stream: "a-1", events: events(1) }]))
        equal(exit._tag, "Failure")
      }))
      equal(yield* readAll(store), [])
      yield* store.append([{ stream: "a-1", expected: 0, events: events(1) }])
    }),
  "the ids of an append that a hook undid are new": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", events: events(2) }]
      yield* Effect.scoped(Effect.gen(function*() {
        yield* store.onAppend(() => Effect.fail("no"))
        yield* refused(store.append(groups), "StoreError", { reason: "hook" })
      }))
      equal((yield* store.append(groups)).repeated, false)
    }),
  "what a hook appends is committed with its append, in order": (store) =>
    Effect.gen(function*() {
      yield* store.onAppend((raws) =>
        raws.some((raw) => raw.type === "Outer")
          ? store.append([{ stream: "b-1", events: [event("inner")] }])
          : Effect.void
      )
      yield* store.append([{ stream: "a-1", events: [event("outer", { type: "Outer" })] }])
      yield* store.append([{ stream: "a-1", expected: 1, events: [event("after")] }, {
        stream: "b-1",
        expected: 1,
        events: []
      }])
      equal((yield* readAll(store)).map((raw) => raw.payload), ["outer", "inner", "after"])
    }),
  "and undone with it": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "b-1", events: events(1) }])
      yield* store.onAppend((raws) =>
        raws.some((raw) => raw.type === "Outer")
          ? Effect.zipRight(store.append([{ stream: "b-1", events: events(2) }]), Effect.fail("no"))
          : Effect.void
      )
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", events: [event({}, { type: "Outer" })] }]),
        "StoreError",
        { reason: "hook" }
      )
      yield* store.append([{ stream: "b-1", expected: 1, events: events(1) }, {
        stream: "a-1",
        expected: 0,
        events: []
      }])
    }),
  "an append inside a hook sees its append, and may be refused alone": (store) =>
    Effect.gen(function*() {
      const refusals: Array<string> = []
      const inner = (...given: Parameters<Store["append"]>) =>
        Effect.match(store.append(...given), {
          onSuccess: () => refusals.push("appended"),
          onFailure: (error) => refusals.push(error._tag)
        })
      yield* store.onAppend((raws) =>
        raws.some((raw) => raw.type === "Outer")
          ? Effect.zipRight(
            inner([{ stream: "a-1", expected: 0, events: events(1) }]),
            inner([{ stream: "b-1", events: events(1) }], { failIf: Query.unsafeMake({ tags: ["t"] }) })
          )
          : Effect.void
      )
      yield* store.append([{ stream: "a-1", events: [event({}, { type: "Outer", tags: ["t"] })] }])
      equal(refusals, ["VersionConflict", "ConditionFailed"])
      equal((yield* readAll(store)).map((raw) => raw.type), ["Outer"])
    }),
  "what was undone is found by nothing, though its own hook had found it": (store) =>
    Effect.gen(function*() {
      const named = { type: "Named", tags: ["t"], metadata: { correlationId: "c" } }
      const failIf = Query.unsafeMake({ tags: ["t"] }, { types: ["Named"] })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* store.onAppend((raws) =>
          raws.some((raw) => raw.type === "Named")
            ? Effect.zipRight(
              refused(store.append([{ stream: "b-1", events: events(1) }], { failIf }), "ConditionFailed"),
              Effect.fail("no")
            )
            : Effect.void
        )
        yield* refused(store.append([{ stream: "a-1", events: [event(0, named)] }]), "StoreError", { reason: "hook" })
      }))
      const finds = [
        { query: Query.unsafeMake({ tags: ["t"] }) },
        { types: ["Named"] },
        { category: "a" },
        { correlationId: "c" },
        { stream: "a-1" }
      ]
      for (const options of finds) equal(yield* readAll(store, options), [])
      const { events: appended } = yield* store.append([{ stream: "a-1", events: [event(1, named)] }], { failIf })
      for (const options of finds) equal(idsOf(yield* readAll(store, options)), idsOf(appended))
    }),
  "an append that is interrupted in its hook is undone": (store) =>
    Effect.gen(function*() {
      const entered = yield* Deferred.make<void>()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* store.onAppend(() => Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
        const append = yield* Effect.fork(store.append([{ stream: "a-1", events: events(1) }]))
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(append)
      }))
      equal(yield* readAll(store), [])
      yield* store.append([{ stream: "a-1", expected: 0, events: events(1) }])
    }),
  "readers see nothing of an append before its hook has finished": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "s-1", events: events(2) }])
      const head = yield* store.head
      const { result } = yield* whileHookRuns(
        store,
        Effect.void,
        Effect.all({
          stream: read(store, "s-1"),
          backwards: read(store, "s-1", { backwards: true }),
          log: readAll(store),
          state: store.streamState("s-1"),
          head: store.head
        })
      )
      equal(versionsOf(result.stream), [1, 2])
      equal(versionsOf(result.backwards), [2, 1])
      equal(versionsOf(result.log), [1, 2])
      equal(result.state, { _tag: "live", version: 2, firstVersion: 1 })
      equal(result.head, head)
      equal(versionsOf(yield* read(store, "s-1")), [1, 2, 3])
    }),
  "a stream that a hook may still undo is missing to readers": (store) =>
    Effect.gen(function*() {
      const { appended, result } = yield* whileHookRuns(store, Effect.fail("no"), store.streamState("s-1"))
      equal(result, { _tag: "missing" })
      equal(appended._tag, "Left")
      equal(yield* store.streamState("s-1"), { _tag: "missing" })
    }),
  "appends that come while a hook runs wait, and stand after it or in its place": (store) =>
    Effect.gen(function*() {
      for (const outcome of [Effect.void, Effect.fail("no")]) {
        const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
        const before = (yield* read(store, "s-1")).length
        const { appended } = yield* whileHookRuns(
          store,
          outcome,
          Effect.gen(function*() {
            for (let n = 0; n < 5; n++) {
              fibers.push(yield* Effect.fork(store.append([{ stream: "s-1", events: [event("waited")] }])))
              yield* Effect.yieldNow()
            }
          })
        )
        yield* Fiber.joinAll(fibers)
        const own = appended._tag === "Right" ? 1 : 0
        const after = (yield* read(store, "s-1")).slice(before)
        equal(after.length, 5 + own)
        equal(versionsOf(after), after.map((_, index) => before + index + 1))
        equal(after.slice(own).map((raw) => raw.payload), Array(5).fill("waited"))
      }
    }),
  "a subscriber hears of an append when its hook has finished, and never of one that was undone": (store) =>
    Effect.gen(function*() {
      const caughtUp = yield* Deferred.make<void>()
      let heard = 0
      const subscriber = yield* Effect.fork(collect(
        store.subscribe({ after: "earliest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) }).pipe(
          Stream.tap(() => Effect.sync(() => heard++)),
          Stream.take(1)
        )
      ))
      yield* Deferred.await(caughtUp)
      const undone = yield* whileHookRuns(store, Effect.fail("no"), Effect.yieldNow())
      const kept = yield* whileHookRuns(
        store,
        Effect.void,
        Effect.zipRight(Effect.yieldNow(), Effect.sync(() => heard))
      )
      equal([undone.appended._tag, kept.appended._tag, kept.result], ["Left", "Right", 0])
      equal(idsOf(yield* Fiber.join(subscriber)), idsOf(yield* readAll(store)))
    })
})
