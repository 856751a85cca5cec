import * as Effect from "effect/Effect"
import {
  check,
  equal,
  event,
  events,
  inTenant,
  positionsOf,
  read,
  readAll,
  refused,
  refusedUnchanged,
  section,
  type Store,
  versionsOf
} from "./case.ts"

/** Five events in a stream, and some in another. */
const five = (store: Store) =>
  store.append([{ stream: "s-1", events: events(5) }, { stream: "t-1", events: events(2) }])

export const lifecycleSection = section<Store>("truncation, tombstones, state and head", {
  "streamState: missing, live, tombstoned": (store) =>
    Effect.gen(function*() {
      equal(yield* store.streamState("s-1"), { _tag: "missing" })
      yield* five(store)
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 5, firstVersion: 1 })
      yield* store.tombstone("s-1")
      equal(yield* store.streamState("s-1"), { _tag: "tombstoned", version: 5 })
      equal(yield* store.streamState("t-1"), { _tag: "live", version: 2, firstVersion: 1 })
    }),
  "what was truncated is read nowhere": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* store.truncate("s-1", { before: 4 })
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 5, firstVersion: 4 })
      equal(versionsOf(yield* read(store, "s-1")), [4, 5])
      equal(versionsOf(yield* read(store, "s-1", { backwards: true })), [5, 4])
      equal(versionsOf(yield* read(store, "s-1", { to: 3 })), [])
      equal(versionsOf(yield* read(store, "s-1", { from: 2, limit: 1 })), [4])
      equal(versionsOf(yield* readAll(store, { category: "s" })), [4, 5])
      equal(versionsOf(yield* readAll(store)), [4, 5, 1, 2])
      equal(versionsOf(yield* readAll(store, { backwards: true, limit: 3 })), [2, 1, 5])
    }),
  "versions go on after a truncation": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* store.truncate("s-1", { before: 3 })
      const { events: [appended] } = yield* store.append([{ stream: "s-1", expected: 5, events: [event()] }])
      equal(appended!.version, 6)
      equal(versionsOf(yield* read(store, "s-1")), [3, 4, 5, 6])
    }),
  "a stream that was emptied exists at its version": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* store.truncate("s-1", { before: 6 })
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 5, firstVersion: 6 })
      equal(yield* read(store, "s-1"), [])
      yield* refused(store.append([{ stream: "s-1", expected: "noStream", events: [event()] }]), "VersionConflict", {
        actual: 5
      })
      yield* store.append([{ stream: "s-1", expected: "streamExists", events: [event()] }])
      equal(versionsOf(yield* read(store, "s-1")), [6])
    }),
  "a truncation further than that is refused, and does nothing": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* refusedUnchanged(store, store.truncate("s-1", { before: 7 }), "InvalidInput")
      yield* refusedUnchanged(store, store.truncate("s-1", { before: 0 }), "InvalidInput")
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 5, firstVersion: 1 })
    }),
  "a truncation is final: a lower one changes nothing, the same one neither": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* store.truncate("s-1", { before: 4 })
      yield* store.truncate("s-1", { before: 2 })
      equal(versionsOf(yield* read(store, "s-1")), [4, 5])
      yield* store.truncate("s-1", { before: 4 })
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 5, firstVersion: 4 })
      yield* store.truncate("s-1", { before: 5 })
      equal(versionsOf(yield* read(store, "s-1")), [5])
    }),
  "a missing stream cannot be truncated or tombstoned, and is not created": (store) =>
    Effect.gen(function*() {
      yield* refused(store.truncate("s-1", { before: 1 }), "StreamNotFound", { stream: "s-1" })
      yield* refused(store.tombstone("s-1"), "StreamNotFound", { stream: "s-1" })
      yield* refused(store.tombstone("s-1", { expected: "noStream" }), "StreamNotFound", { stream: "s-1" })
      equal(yield* store.streamState("s-1"), { _tag: "missing" })
      yield* store.append([{ stream: "s-1", expected: "noStream", events: [event()] }])
    }),
  "a tombstone ends a stream for ever": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* store.tombstone("s-1")
      equal(yield* read(store, "s-1"), [])
      equal(yield* read(store, "s-1", { backwards: true }), [])
      equal(yield* readAll(store, { stream: "s-1" }), [])
      equal(yield* readAll(store, { category: "s" }), [])
      equal(versionsOf(yield* readAll(store)), [1, 2])
      for (const expected of ["any", "noStream", "streamExists", 5] as const) {
        yield* refused(store.append([{ stream: "s-1", expected, events: [event()] }]), "StreamTombstoned", {
          stream: "s-1"
        })
      }
      yield* refused(store.tombstone("s-1"), "StreamTombstoned", { stream: "s-1" })
      yield* refused(store.truncate("s-1", { before: 2 }), "StreamTombstoned", { stream: "s-1" })
      equal(yield* store.streamState("s-1"), { _tag: "tombstoned", version: 5 })
    }),
  "a tombstone takes an expectation": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* refused(store.tombstone("s-1", { expected: 4 }), "VersionConflict", {
        stream: "s-1",
        expected: 4,
        actual: 5
      })
      yield* refused(store.tombstone("s-1", { expected: "noStream" }), "VersionConflict", { actual: 5 })
      equal(versionsOf(yield* read(store, "s-1")), [1, 2, 3, 4, 5])
      yield* store.tombstone("s-1", { expected: 5 })
      yield* store.tombstone("t-1", { expected: "streamExists" })
      equal((yield* store.streamState("t-1"))._tag, "tombstoned")
    }),
  "an emptied stream can be tombstoned": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* store.truncate("s-1", { before: 6 })
      yield* store.tombstone("s-1", { expected: 5 })
      equal(yield* store.streamState("s-1"), { _tag: "tombstoned", version: 5 })
    }),
  "truncations and tombstones of one tenant leave the streams of others alone": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* inTenant(Effect.gen(function*() {
        yield* five(store)
        yield* store.truncate("s-1", { before: 3 })
        yield* store.tombstone("t-1")
      }))
      equal(versionsOf(yield* readAll(store)), [1, 2, 3, 4, 5, 1, 2])
    }),
  "of racing tombstones one wins": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      const outcomes = yield* Effect.all(Array.from({ length: 10 }, () => Effect.either(store.tombstone("s-1"))), {
        concurrency: "unbounded"
      })
      equal(outcomes.map((each) => each._tag === "Right" ? "won" : each.left._tag).sort(), [
        ...Array.from({ length: 9 }, () => "StreamTombstoned"),
        "won"
      ])
    }),
  "truncations among appends lose none of them": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      yield* Effect.all([
        ...Array.from({ length: 20 }, () => store.append([{ stream: "s-1", events: events(1) }])),
        ...[2, 3, 4, 5, 6].map((before) => store.truncate("s-1", { before }))
      ], { concurrency: "unbounded" })
      equal(yield* store.streamState("s-1"), { _tag: "live", version: 25, firstVersion: 6 })
      equal(versionsOf(yield* read(store, "s-1")), Array.from({ length: 20 }, (_, index) => index + 6))
    }),
  "head is the position of the last event": (store) =>
    Effect.gen(function*() {
      const before = yield* store.head
      const appended = yield* five(store)
      const after = yield* store.head
      check(before < appended.events[0]!.position, "an event at or below an earlier head")
      check(after >= appended.position, "the head is behind an append that was answered")
    }),
  "an append that is refused moves no position of the events before it": (store) =>
    Effect.gen(function*() {
      yield* five(store)
      const before = positionsOf(yield* readAll(store))
      yield* refused(store.append([{ stream: "s-1", expected: 1, events: events(3) }]), "VersionConflict")
      const { events: [next] } = yield* store.append([{ stream: "s-1", expected: 5, events: events(1) }])
      equal(positionsOf(yield* readAll(store)), [...before, next!.position])
    })
})
