import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Service } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import { check, collect, equal, event, events, idsOf, read, readAll, refused, section, versionsOf } from "./case.ts"

export const transactionSection = section<Service<"transactions">>("transactions", {
  "the appends of a transaction are committed together": (store) =>
    Effect.gen(function*() {
      const [first, second] = yield* store.withTransaction(
        Effect.all([
          store.append([{ stream: "a-1", expected: 0, events: events(2) }]),
          store.append([{ stream: "a-1", expected: 2, events: events(1) }, { stream: "b-1", events: events(1) }])
        ])
      )
      equal(idsOf(yield* readAll(store)), idsOf([...first.events, ...second.events]))
    }),
  "or not at all, when it fails": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: events(1) }])
      yield* refused(
        store.withTransaction(Effect.zipRight(
          store.append([{ stream: "a-1", events: events(2) }, { stream: "b-1", events: events(1) }]),
          Effect.fail({ _tag: "Changed my mind" })
        )),
        "Changed my mind"
      )
      equal(versionsOf(yield* readAll(store)), [1])
      equal(yield* store.streamState("b-1"), { _tag: "missing" })
    }),
  "or is interrupted": (store) =>
    Effect.gen(function*() {
      const written = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(store.withTransaction(
        store.append([{ stream: "a-1", events: events(2) }]).pipe(
          Effect.zipRight(Deferred.succeed(written, undefined)),
          Effect.zipRight(Effect.never)
        )
      ))
      yield* Deferred.await(written)
      yield* Fiber.interrupt(fiber)
      equal(yield* readAll(store), [])
      yield* store.append([{ stream: "a-1", expected: 0, events: events(1) }])
    }),
  "what was rolled back is forgotten: versions, ids and tags": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", expected: 1, events: events(2, { tags: ["t"] }) }]
      yield* store.append([{ stream: "a-1", events: events(1) }])
      yield* refused(
        store.withTransaction(Effect.zipRight(store.append(groups), Effect.fail({ _tag: "Undone" }))),
        "Undone"
      )
      equal((yield* store.append(groups, { failIf: Query.unsafeMake({ tags: ["t"] }) })).repeated, false)
      equal(versionsOf(yield* read(store, "a-1")), [1, 2, 3])
    }),
  "an append of a transaction sees those before it": (store) =>
    store.withTransaction(Effect.gen(function*() {
      const groups = [{ stream: "a-1", expected: 0, events: events(1, { tags: ["t"] }) }]
      yield* store.append(groups)
      equal((yield* store.append(groups)).repeated, true)
      yield* refused(store.append([{ stream: "a-1", expected: 0, events: events(1) }]), "VersionConflict", {
        actual: 1
      })
      yield* refused(
        store.append([{ stream: "b-1", events: events(1) }], { failIf: Query.unsafeMake({ tags: ["t"] }) }),
        "ConditionFailed"
      )
    })),
  "an append that is refused leaves the transaction as it was": (store) =>
    Effect.gen(function*() {
      yield* store.withTransaction(Effect.gen(function*() {
        yield* store.append([{ stream: "a-1", events: events(1) }])
        yield* refused(
          store.append([{ stream: "a-1", events: events(1) }, { stream: "b-1", expected: 3, events: events(1) }]),
          "VersionConflict"
        )
        yield* store.append([{ stream: "a-1", expected: 1, events: events(1) }])
      }))
      equal(versionsOf(yield* readAll(store)), [1, 2])
    }),
  "so does a hook that fails": (store) =>
    Effect.gen(function*() {
      yield* store.onAppend((raws) => raws.some((raw) => raw.type === "Bad") ? Effect.fail("no") : Effect.void)
      yield* store.withTransaction(Effect.gen(function*() {
        yield* store.append([{ stream: "a-1", events: events(1) }])
        yield* refused(store.append([{ stream: "a-1", events: [event({}, { type: "Bad" })] }]), "StoreError", {
          reason: "hook"
        })
        yield* store.append([{ stream: "a-1", expected: 1, events: events(1) }])
      }))
      equal(versionsOf(yield* readAll(store)), [1, 2])
    }),
  "a transaction inside a transaction may fail alone": (store) =>
    Effect.gen(function*() {
      yield* store.withTransaction(Effect.gen(function*() {
        yield* store.append([{ stream: "a-1", events: events(1) }])
        yield* refused(
          store.withTransaction(
            Effect.zipRight(store.append([{ stream: "a-1", events: events(3) }]), Effect.fail({ _tag: "Inner" }))
          ),
          "Inner"
        )
        yield* store.append([{ stream: "a-1", expected: 1, events: events(1) }])
      }))
      equal(versionsOf(yield* readAll(store)), [1, 2])
    }),
  "others see it, and are woken, when it is committed": (store) =>
    Effect.gen(function*() {
      const caughtUp = yield* Deferred.make<void>()
      const written = yield* Deferred.make<void>()
      const looked = yield* Deferred.make<void>()
      let heard = 0
      const subscriber = yield* Effect.fork(collect(
        store.subscribe({ after: "earliest", onCaughtUp: () => Deferred.succeed(caughtUp, undefined) }).pipe(
          Stream.tap(() => Effect.sync(() => heard++)),
          Stream.take(3)
        )
      ))
      const outsider = yield* Effect.fork(
        Deferred.await(written).pipe(
          Effect.zipRight(Effect.all([readAll(store), read(store, "a-1"), store.streamState("a-1")])),
          Effect.tap(() => Deferred.succeed(looked, undefined))
        )
      )
      yield* Deferred.await(caughtUp)
      yield* store.withTransaction(Effect.gen(function*() {
        yield* store.append([{ stream: "a-1", events: events(2) }])
        yield* store.append([{ stream: "a-1", events: events(1) }])
        yield* Deferred.succeed(written, undefined)
        yield* Deferred.await(looked)
        equal(heard, 0)
      }))
      equal(yield* Fiber.join(outsider), [[], [], { _tag: "missing" }])
      equal(versionsOf(yield* Fiber.join(subscriber)), [1, 2, 3])
    }),
  "appends outside go on around it": (store) =>
    Effect.gen(function*() {
      const written = yield* Deferred.make<void>()
      const outside = yield* Effect.fork(Effect.zipRight(
        Deferred.await(written),
        Effect.all(Array.from({ length: 5 }, () => store.append([{ stream: "a-1", events: [event("outside")] }])), {
          concurrency: "unbounded"
        })
      ))
      yield* Effect.either(store.withTransaction(Effect.gen(function*() {
        yield* store.append([{ stream: "a-1", events: [event("inside")] }])
        yield* Deferred.succeed(written, undefined)
        for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow()
        yield* store.append([{ stream: "a-1", expected: 1, events: [event("inside")] }])
      })))
      yield* Fiber.join(outside)
      const all = yield* read(store, "a-1")
      equal(all.map((raw) => raw.payload), ["inside", "inside", ...Array(5).fill("outside")])
    }),
  "its error is its own": (store) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(store.withTransaction(Effect.die("oh")))
      check(exit._tag === "Failure" && exit.cause._tag === "Die", "a defect must stay one")
      equal(yield* store.withTransaction(Effect.succeed(7)), 7)
    })
})
