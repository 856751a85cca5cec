import * as Effect from "effect/Effect"
import * as Query from "../../../store/Query.ts"
import {
  at,
  check,
  equal,
  event,
  events,
  idsOf,
  increasing,
  plain,
  positionsOf,
  read,
  readAll,
  refused,
  refusedUnchanged,
  section,
  type Store,
  unique,
  versionsOf
} from "./case.ts"

export const appendSection = section<Store>("append", {
  "what is appended is read back, with where it stands": (store) =>
    Effect.gen(function*() {
      const given = event({ total: 10 }, {
        type: "Placed",
        schemaVersion: 3,
        tags: ["b", "a", "b"],
        source: "shop",
        occurredAt: "2001-02-14T12:00:00Z"
      })
      const appended = yield* store.append([{ stream: "order-1", expected: "noStream", events: [given] }])
      const [recorded, ...rest] = yield* read(store, "order-1")
      equal(rest, [])
      const { id, payload, position, recordedAt, schemaVersion, source, stream, tags, type, version } = plain(recorded!)
      equal(
        { id, stream, version, type, schemaVersion, payload, source, tags },
        {
          id: given.id,
          stream: "order-1",
          version: 1,
          type: "Placed",
          schemaVersion: 3,
          payload: { total: 10 },
          source: "shop",
          tags: ["a", "b"]
        }
      )
      equal(recorded!.occurredAt.epochMillis, Date.UTC(2001, 1, 14, 12))
      equal(
        { ...appended, recordedAt: appended.recordedAt.epochMillis },
        { repeated: false, position, recordedAt, events: [{ id: given.id, stream: "order-1", version: 1, position }] }
      )
      equal(idsOf(yield* readAll(store)), [given.id])
    }),
  "what is not given: schema version 1, no tags, source /, a UUID v7, the Clock's time": (store) =>
    Effect.gen(function*() {
      const appended = yield* store.append([{ stream: "s-1", events: [{ type: "A", payload: null }] }]).pipe(
        at(1_000_000)
      )
      const [recorded] = yield* read(store, "s-1")
      const { occurredAt, payload, schemaVersion, source, tags } = plain(recorded!)
      equal({ payload, schemaVersion, source, tags, occurredAt }, {
        payload: null,
        schemaVersion: 1,
        source: "/",
        tags: [],
        occurredAt: 1_000_000
      })
      check(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(recorded!.id), recorded!.id)
      equal(appended.events[0]!.id, recorded!.id)
    }),
  "a call over several streams takes positions in the order given, versions by stream": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "b-1", events: events(2) }])
      const appended = yield* store.append([
        { stream: "c-1", expected: "noStream", events: events(2) },
        { stream: "a-1", events: events(1) },
        { stream: "b-1", expected: 2, events: events(2) }
      ])
      equal(appended.events.map(({ stream, version }) => `${stream} ${version}`), [
        "c-1 1",
        "c-1 2",
        "a-1 1",
        "b-1 3",
        "b-1 4"
      ])
      increasing(positionsOf(appended.events), "positions of one call")
      equal(appended.position, appended.events[4]!.position)
      equal(idsOf((yield* readAll(store)).slice(2)), idsOf(appended.events))
    }),
  "one group that is refused undoes all": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: events(1) }])
      const refusedIds = events(3)
      yield* refusedUnchanged(
        store,
        store.append([
          { stream: "b-1", events: [refusedIds[0]!] },
          { stream: "a-1", expected: 1, events: [refusedIds[1]!] },
          { stream: "c-1", expected: "streamExists", events: [refusedIds[2]!] }
        ]),
        "VersionConflict",
        { stream: "c-1", expected: "streamExists", actual: 0 }
      )
      equal(yield* store.streamState("b-1"), { _tag: "missing" })
      equal((yield* store.append([{ stream: "b-1", expected: "noStream", events: refusedIds }])).repeated, false)
    }),
  "the input wins over the ids": (store) =>
    Effect.gen(function*() {
      const known = event()
      yield* store.append([{ stream: "a-1", events: [known] }])
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "b-1", events: [known, event(Number.NaN)] }]),
        "InvalidEvent"
      )
    }),
  "the ids win over the versions": (store) =>
    Effect.gen(function*() {
      const known = event()
      yield* store.append([{ stream: "a-1", events: [known] }])
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "b-1", expected: 7, events: [event()] }, { stream: "a-1", events: [known] }]),
        "DuplicateEvent",
        { id: known.id, reason: "partly" }
      )
    }),
  "versions are judged in the order of the groups, tombstones among them": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "dead-1", events: events(1) }])
      yield* store.tombstone("dead-1")
      const one = { stream: "z-1", expected: 4, events: [event()] }
      const two = { stream: "a-1", expected: "streamExists" as const, events: [event()] }
      const dead = { stream: "dead-1", events: [event()] }
      yield* refusedUnchanged(store, store.append([one, two, dead]), "VersionConflict", { stream: "z-1" })
      yield* refusedUnchanged(store, store.append([two, dead, one]), "VersionConflict", { stream: "a-1" })
      yield* refusedUnchanged(store, store.append([dead, one, two]), "StreamTombstoned", { stream: "dead-1" })
    }),
  "the versions win over the condition": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: events(1) }])
      const options = { failIf: Query.all }
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", expected: 4, events: [event()] }], options),
        "VersionConflict"
      )
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", expected: 1, events: [event()] }], options),
        "ConditionFailed"
      )
    }),
  "a conflict tells where the stream is": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: events(1) }])
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", expected: 2, events: [event()] }]),
        "VersionConflict",
        { stream: "a-1", expected: 2, actual: 1 }
      )
    }),
  "a call without events is refused, also one of checks alone": (store) =>
    Effect.gen(function*() {
      yield* refusedUnchanged(store, store.append([]), "InvalidEvent")
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", expected: "noStream", events: [] }]),
        "InvalidEvent"
      )
    }),
  "an empty group that holds leaves no stream behind": (store) =>
    Effect.gen(function*() {
      yield* store.append([
        { stream: "a-1", expected: "noStream", events: [] },
        { stream: "b-1", events: events(1) }
      ])
      equal(yield* store.streamState("a-1"), { _tag: "missing" })
    }),
  "a stream or an id that stands twice in a call is refused": (store) =>
    Effect.gen(function*() {
      const twice = event()
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", events: events(1) }, { stream: "a-1", events: events(1) }]),
        "InvalidEvent"
      )
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", events: [twice] }, { stream: "b-1", events: [twice] }]),
        "InvalidEvent"
      )
    }),
  "all faults of a call are told at once, and nothing of it is written": (store) =>
    Effect.gen(function*() {
      const error = yield* refusedUnchanged(
        store,
        store.append([
          { stream: "", expected: -1, events: [event(1n), event({}, { type: "", tags: [""] })] },
          { stream: "ok-1", events: [event(), event({}, { id: "\u0000" })] }
        ]),
        "InvalidEvent"
      )
      equal((error as { faults: ReadonlyArray<{ path: string }> }).faults.map(({ path }) => path), [
        "groups[0].stream",
        "groups[0].expected",
        "groups[0].events[0].payload",
        "groups[0].events[1].type",
        "groups[0].events[1].tags[0]",
        "groups[1].events[1].id"
      ])
    }),
  "recordedAt never decreases, whatever the appender's clock says": (store) =>
    Effect.gen(function*() {
      for (const millis of [2_000, 1_000, 3_000, 0]) {
        yield* store.append([{ stream: "a-1", events: events(2) }, { stream: `b-${millis}`, events: events(1) }]).pipe(
          at(millis)
        )
      }
      const all = yield* readAll(store)
      equal(all.length, 12)
      all.forEach((raw, index) =>
        check(
          index === 0 || all[index - 1]!.recordedAt.epochMillis <= raw.recordedAt.epochMillis,
          "recordedAt decreases with the position"
        )
      )
      equal(all.map((raw) => raw.occurredAt.epochMillis), [2_000, 1_000, 3_000, 0].flatMap((n) => [n, n, n]))
    }),
  "of 50 racing writers who expect no stream, one wins": (store) =>
    Effect.gen(function*() {
      const outcomes = yield* Effect.all(
        Array.from({ length: 50 }, () =>
          Effect.either(store.append([{ stream: "a-1", expected: 0, events: events(2) }]))),
        { concurrency: "unbounded" }
      )
      equal(
        outcomes.filter((outcome) =>
          outcome._tag === "Right"
        ).length,
        1
      )
      for (const outcome of outcomes) {
        if (outcome._tag === "Left") {
          equal([outcome.left._tag, (outcome.left as { actual?: number }).actual], ["VersionConflict", 2])
        }
      }
      equal(versionsOf(yield* read(store, "a-1")), [1, 2])
    }),
  "50 writers without an expectation all win, and versions have no gap": (store) =>
    Effect.gen(function*() {
      const answers = yield* Effect.all(
        Array.from({ length: 50 }, () => store.append([{ stream: "a-1", events: events(2) }])),
        { concurrency: "unbounded" }
      )
      const all = yield* read(store, "a-1")
      equal(versionsOf(all), Array.from({ length: 100 }, (_, index) => index + 1))
      increasing(positionsOf(all), "positions of a stream")
      // the events of one call stand together in their stream, and where its answer says
      for (const { events: [first, second] } of answers) {
        equal(second!.version, first!.version + 1)
        equal(idsOf([all[first!.version - 1]!, all[second!.version - 1]!]), [first!.id, second!.id])
      }
    }),
  "an append that is refused fails alone among concurrent ones": (store) =>
    Effect.gen(function*() {
      const outcomes = yield* Effect.all(
        Array.from({ length: 40 }, (_, index) =>
          Effect.either(store.append([
            { stream: `s-${index}`, expected: index % 2 === 0 ? "noStream" : "streamExists", events: events(1) }
          ]))),
        { concurrency: "unbounded" }
      )
      equal(outcomes.map((outcome) => outcome._tag), outcomes.map((_, index) => index % 2 === 0 ? "Right" : "Left"))
      equal((yield* readAll(store)).length, 20)
    }),
  "10,000 events, 200 streams and a payload of 1 MiB in one call": (store) =>
    Effect.gen(function*() {
      const text = "x".repeat(1_048_570)
      const groups = Array.from({ length: 200 }, (_, stream) => ({
        stream: `s-${stream}`,
        events: Array.from({ length: 50 }, (_, n) => ({ type: "A", payload: stream === 7 && n === 7 ? text : { n } }))
      }))
      const appended = yield* store.append(groups)
      equal(appended.events.length, 10_000)
      increasing(positionsOf(appended.events), "positions")
      equal(versionsOf(yield* read(store, "s-199")), Array.from({ length: 50 }, (_, index) => index + 1))
      equal((yield* read(store, "s-7", { from: 8, to: 8 }))[0]!.payload, text)
      equal((yield* readAll(store, { stream: "s-0" })).length, 50)
    }),
  "an append is run anew each time its Effect is": (store) =>
    Effect.gen(function*() {
      const append = store.append([{ stream: "a-1", events: [{ type: "A", payload: {} }] }])
      yield* append
      equal((yield* append).repeated, false)
      equal(versionsOf(yield* read(store, "a-1")), [1, 2])
    }),
  "find tells where the event of an id stands, after a truncation too": (store) =>
    Effect.gen(function*() {
      const [first, second] = events(2)
      const appended = yield* store.append([{ stream: "a-1", events: [first!, second!] }])
      yield* store.truncate("a-1", { before: 2 })
      for (const [index, { id }] of [first!, second!].entries()) {
        const found = yield* store.find(id)
        equal(found._tag === "Some" ? { ...found.value } : undefined, { ...appended.events[index] })
      }
      equal((yield* store.find(unique()))._tag, "None")
      yield* refused(store.find(""), "InvalidInput")
    })
})
