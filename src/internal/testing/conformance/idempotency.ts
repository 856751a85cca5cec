import * as Effect from "effect/Effect"
import * as Query from "../../../store/Query.ts"
import {
  at,
  equal,
  event,
  events,
  inTenant,
  read,
  readAll,
  refused,
  refusedUnchanged,
  section,
  type Store,
  unchanged,
  versionsOf
} from "./case.ts"

export const idempotencySection = section<Store>("idempotency", {
  "a repeat answers as the first call did, its time too": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", events: events(2) }, { stream: "b-1", events: events(1) }]
      const first = yield* store.append(groups).pipe(at(1_000))
      yield* store.append([{ stream: "a-1", events: events(1) }]).pipe(at(9_000))
      const second = yield* unchanged(store, store.append(groups).pipe(at(20_000)))
      equal(
        { ...second, recordedAt: second.recordedAt.epochMillis },
        { ...first, recordedAt: first.recordedAt.epochMillis, repeated: true }
      )
    }),
  "a repeat over several streams may give its groups in another order, and is answered in that order": (store) =>
    Effect.gen(function*() {
      const [a, b] = [{ stream: "a-1", events: events(2) }, { stream: "b-1", expected: 0, events: events(1) }]
      const first = yield* store.append([a!, b!])
      const second = yield* unchanged(store, store.append([b!, a!]))
      equal(second.repeated, true)
      equal(second.events, [first.events[2], first.events[0], first.events[1]])
    }),
  "one stream's share of an append over several is a repeat": (store) =>
    Effect.gen(function*() {
      const shared = [{ stream: "a-1", events: events(2) }, { stream: "b-1", events: events(2) }]
      const first = yield* store.append(shared)
      const second = yield* unchanged(store, store.append([shared[1]!]))
      equal([second.repeated, second.events], [true, first.events.slice(2)])
    }),
  "a repeat does not ask for what else the call asks: checks of other streams and the condition": (store) =>
    Effect.gen(function*() {
      const known = events(1, { tags: ["seat:1"] })
      const groups = [{ stream: "a-1", events: known }, { stream: "b-1", expected: "noStream" as const, events: [] }]
      const options = { failIf: Query.unsafeMake({ tags: ["seat:1"] }) }
      yield* store.append(groups, options)
      yield* store.append([{ stream: "b-1", events: events(1) }])
      equal((yield* unchanged(store, store.append(groups, options))).repeated, true)
    }),
  "repeats in one stream and new events in another are refused together": (store) =>
    Effect.gen(function*() {
      const known = event()
      yield* store.append([{ stream: "b-1", events: [known] }])
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", events: events(2) }, { stream: "b-1", events: [known] }]),
        "DuplicateEvent",
        { id: known.id, reason: "partly" }
      )
    }),
  "the error names the first event that does not fit": (store) =>
    Effect.gen(function*() {
      const [one, two, three] = events(3)
      yield* store.append([{ stream: "a-1", events: [one!, two!, three!] }])
      const call = [one!, { ...two!, payload: "other" }, { ...three!, payload: "other" }]
      yield* refused(store.append([{ stream: "a-1", events: call }]), "DuplicateEvent", {
        id: two!.id,
        reason: "differs"
      })
    }),
  "of 20 identical calls at once, one appends and all get its answer": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", expected: 0, events: events(2) }, { stream: "b-1", events: events(1) }]
      const answers = yield* Effect.all(Array.from({ length: 20 }, () => store.append(groups)), {
        concurrency: "unbounded"
      })
      equal(answers.filter((answer) => !answer.repeated).length, 1)
      for (const answer of answers) equal({ ...answer, repeated: true }, { ...answers[0], repeated: true })
      equal((yield* readAll(store)).length, 3)
    }),
  "of calls at once with one id and other content, one appends and the others differ": (store) =>
    Effect.gen(function*() {
      const outcomes = yield* Effect.all(
        Array.from(
          { length: 10 },
          (_, n) => Effect.either(store.append([{ stream: "a-1", events: [event(n, { id: "e" })] }]))
        ),
        { concurrency: "unbounded" }
      )
      equal(outcomes.map((each) => each._tag === "Right" ? "appended" : (each.left as any).reason).sort(), [
        "appended",
        ...Array.from({ length: 9 }, () => "differs")
      ])
    }),
  "ids of an append that was refused are not remembered": (store) =>
    Effect.gen(function*() {
      const given = events(2)
      yield* refused(store.append([{ stream: "a-1", expected: 3, events: given }]), "VersionConflict")
      yield* refused(
        store.append([{ stream: "a-1", events: given }, { stream: "b-1", expected: 1, events: [] }]),
        "VersionConflict"
      )
      equal((yield* store.append([{ stream: "b-1", events: given }])).repeated, false)
    }),
  "ids are compared by code point, their case kept": (store) =>
    Effect.gen(function*() {
      const ids = ["id", "ID", "Id", "e\u0301", "\u00e9", "id ", " id", "\u{1f600}", "i\u0307d", "ss", "\u00df"]
      for (const id of ids) {
        equal((yield* store.append([{ stream: "a-1", events: [event(0, { id })] }])).repeated, false)
      }
      for (const id of ids) equal((yield* store.append([{ stream: "a-1", events: [event(0, { id })] }])).repeated, true)
      equal((yield* read(store, "a-1")).map((raw) => raw.id), ids)
    }),
  "an id belongs to its tenant": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", events: [event(0, { id: "e" })] }]
      yield* store.append(groups)
      const elsewhere = yield* inTenant(store.append(groups))
      equal([elsewhere.repeated, versionsOf(elsewhere.events)], [false, [1]])
      equal((yield* store.append(groups)).repeated, true)
    }),
  "the numbers 0 and -0 are one JSON value, 1 and \"1\" are two": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: [event({ n: -0, m: 1 }, { id: "e" })] }])
      equal((yield* store.append([{ stream: "a-1", events: [event({ m: 1, n: 0 }, { id: "e" })] }])).repeated, true)
      yield* refused(
        store.append([{ stream: "a-1", events: [event({ n: 0, m: "1" }, { id: "e" })] }]),
        "DuplicateEvent",
        { reason: "differs" }
      )
      yield* refused(
        store.append([{ stream: "a-1", events: [event({ n: null, m: 1 }, { id: "e" })] }]),
        "DuplicateEvent",
        { reason: "differs" }
      )
    }),
  "a time that was given counts, however it is written": (store) =>
    Effect.gen(function*() {
      const given = (
        occurredAt: Date | string | number
      ) => [{ stream: "a-1", events: [event(0, { id: "e", occurredAt })] }]
      yield* store.append(given("2001-02-14T12:00:00Z"))
      equal((yield* store.append(given(Date.UTC(2001, 1, 14, 12)))).repeated, true)
      equal((yield* store.append(given(new Date(Date.UTC(2001, 1, 14, 12))))).repeated, true)
      yield* refused(store.append(given("2001-02-14T12:00:01Z")), "DuplicateEvent", { reason: "differs" })
    }),
  "the appender's clock does not count": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", events: events(1) }]
      yield* store.append(groups).pipe(at(1_000))
      equal((yield* store.append(groups).pipe(at(2_000))).repeated, true)
      equal((yield* read(store, "a-1")).map((raw) => raw.occurredAt.epochMillis), [1_000])
    })
})
