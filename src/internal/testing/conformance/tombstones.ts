import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Raw } from "../../../event/Envelope.ts"
import * as Correlation from "../../../event/Correlation.ts"
import type { Service } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import {
  at,
  check,
  collect,
  equal,
  event,
  events,
  inTenant,
  read,
  refused,
  refusedUnchanged,
  section,
  type Store
} from "./case.ts"

const type = "$Tombstoned"

const places = (raws: ReadonlyArray<Raw>) => raws.map((raw) => [raw.type, raw.stream as string, raw.version as number])

const marks = (store: Store) => collect(store.readAll({ types: [type] }))

const two = (store: Store) =>
  store.append([{ stream: "s-1", events: events(3, { tags: ["t"] }) }, { stream: "u-1", events: events(1) }])

export const tombstoneSection = section<Store>("marks of tombstones", {
  "a tombstone leaves a mark: the last event of its stream, at a position of its own, and nothing else of it": (
    store
  ) =>
    Effect.gen(function*() {
      const { position } = yield* two(store)
      yield* store.tombstone("s-1").pipe(Correlation.locally({ actor: "alice" }), at(86_400_000))
      const all = yield* collect(store.readAll())
      equal(places(all), [["A", "u-1", 1], [type, "s-1", 4]])
      const mark = all[1]!
      check(mark.position > position, `the mark stands at ${mark.position}, the log ended at ${position}`)
      equal(mark.payload, { _tag: type })
      equal([mark.metadata.actor, mark.tags, mark.occurredAt.epochMillis], ["alice", [], 86_400_000])
      check((yield* store.head) >= mark.position, "the head is behind the mark")
      equal(yield* store.streamState("s-1"), { _tag: "tombstoned", version: 3 })
      equal(yield* read(store, "s-1"), [])
      equal(yield* read(store, "s-1", { backwards: true, from: 1, to: 9 }), [])
      equal(yield* store.readPage("s-1"), { events: [], more: false })
    }),
  "filters of the log find the mark by its type, stream, category and position": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* store.tombstone("s-1")
      const mark = [[type, "s-1", 4]]
      equal(places(yield* marks(store)), mark)
      equal(places(yield* collect(store.readAll({ category: "s" }))), mark)
      equal(places(yield* collect(store.readAll({ stream: "s-1" }))), mark)
      equal(places(yield* collect(store.readAll({ query: Query.unsafeMake({ types: [type] }) }))), mark)
      equal(places(yield* collect(store.readAll({ backwards: true, limit: 1 }))), mark)
      equal(yield* collect(store.readAll({ types: ["A"], stream: "s-1" })), [])
      equal(yield* collect(store.readAll({ query: Query.unsafeMake({ tags: ["t"] }) })), [])
      equal(yield* collect(store.readAll({ category: "u", types: [type] })), [])
    }),
  "the mark of an emptied stream goes on from its version": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* store.truncate("s-1", { before: 4 })
      yield* store.tombstone("s-1", { expected: 3 })
      equal(places(yield* marks(store)), [[type, "s-1", 4]])
    }),
  "a tombstone that is refused leaves no mark": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* refusedUnchanged(store, store.tombstone("s-1", { expected: 2 }), "VersionConflict")
      yield* refused(store.tombstone("x-1"), "StreamNotFound")
      equal(yield* marks(store), [])
      yield* store.tombstone("s-1")
      yield* refused(store.tombstone("s-1"), "StreamTombstoned")
      equal((yield* marks(store)).length, 1)
    }),
  "a mark is the tenant's own": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* inTenant(Effect.gen(function*() {
        yield* two(store)
        yield* store.tombstone("s-1")
        equal((yield* marks(store)).length, 1)
      }))
      equal(yield* marks(store), [])
    }),
  "a condition on every event does not match it; one that names its type does": (store) =>
    Effect.gen(function*() {
      const { position } = yield* two(store)
      yield* store.tombstone("s-1")
      const [mark] = yield* marks(store)
      const group = { stream: "u-1", events: [event()] }
      const ofType = Query.unsafeMake({ types: [type] })
      yield* refused(store.append([group], { failIf: ofType }), "ConditionFailed", { position: mark!.position })
      yield* store.append([group], { failIf: ofType, after: mark!.position })
      yield* store.tombstone("u-1")
      yield* store.append([{ stream: "v-1", events: [event()] }], { failIf: Query.all, after: position + 2 })
    }),
  "nobody appends a mark": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* refusedUnchanged(store, store.append([{ stream: "s-1", events: [event({}, { type })] }]), "InvalidEvent")
    }),
  "subscriptions are told, and woken": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      const caughtUp = yield* Deferred.make<void>()
      const told = yield* Effect.fork(
        collect(Stream.take(
          store.subscribe({
            after: "earliest",
            category: "s",
            types: ["B", type],
            onCaughtUp: () => Effect.asVoid(Deferred.succeed(caughtUp, undefined))
          }),
          1
        ))
      )
      yield* Deferred.await(caughtUp)
      yield* store.tombstone("s-1")
      equal(places(yield* Fiber.join(told)), [[type, "s-1", 4]])
    }),
  "of racing tombstones and appends, nothing stands behind the mark": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      const outcomes = yield* Effect.all(
        [
          ...Array.from({ length: 10 }, () => store.append([{ stream: "s-1", events: events(1) }])),
          store.tombstone("s-1"),
          ...Array.from({ length: 10 }, () => store.append([{ stream: "s-1", events: events(1) }]))
        ].map((each) => Effect.either(each as Effect.Effect<unknown, { readonly _tag: string }>)),
        {
          concurrency: "unbounded"
        }
      )
      const written = outcomes.filter((outcome) => outcome._tag === "Right").length - 1
      equal(
        outcomes.flatMap((outcome) => outcome._tag === "Left" ? [outcome.left._tag] : []),
        Array.from({ length: 20 - written }, () => "StreamTombstoned")
      )
      equal(places(yield* marks(store)), [[type, "s-1", 4 + written]])
      equal(yield* store.streamState("s-1"), { _tag: "tombstoned", version: 3 + written })
    })
})

export const tombstoneTransactionSection = section<Service<"transactions">>("tombstones in transactions", {
  "a tombstone that is rolled back leaves neither a mark nor an end": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* refused(
        store.withTransaction(Effect.zipRight(store.tombstone("s-1"), Effect.fail({ _tag: "Changed my mind" }))),
        "Changed my mind"
      )
      equal(yield* marks(store), [])
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 3, firstVersion: 1 })
      yield* store.append([{ stream: "s-1", expected: 3, events: events(1) }])
    }),
  "a tombstone is committed with the appends of its transaction": (store) =>
    Effect.gen(function*() {
      yield* two(store)
      yield* store.withTransaction(Effect.gen(function*() {
        yield* store.append([{ stream: "u-1", expected: 1, events: events(1) }])
        yield* store.tombstone("s-1", { expected: 3 })
        yield* store.append([{ stream: "u-1", expected: 2, events: events(1) }])
      }))
      equal(places(yield* collect(store.readAll())), [["A", "u-1", 1], ["A", "u-1", 2], [type, "s-1", 4], [
        "A",
        "u-1",
        3
      ]])
    })
})
