import * as Effect from "effect/Effect"
import type { NewEvent } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import {
  equal,
  event,
  events,
  inTenant,
  readAll,
  refused,
  refusedUnchanged,
  section,
  type Store,
  unique
} from "./case.ts"

const tagged = (type: string, ...tags: ReadonlyArray<string>): NewEvent => event({}, { type, tags })

/** A log for queries, and the positions of its events. */
const prepared = (store: Store) =>
  Effect.map(
    store.append([
      { stream: "course-1", events: [tagged("Defined", "course:1"), tagged("Capacity", "course:1")] },
      {
        stream: "enrolment-1",
        events: [tagged("Subscribed", "course:1", "student:1"), tagged("Subscribed", "course:2", "student:1")]
      },
      { stream: "plain", events: [tagged("Defined"), tagged("Subscribed", "course:1")] }
    ]),
    ({ events }) => events.map(({ position }) => position)
  )

/** Which queries hold an append back, and by which of the six events first. */
const queries: { readonly [name: string]: readonly [query: Query.Query, first: number | undefined] } = {
  "a type": [Query.unsafeMake({ types: ["Subscribed"] }), 2],
  "any of some types": [Query.unsafeMake({ types: ["Nothing", "Subscribed", "Capacity"] }), 1],
  "a tag": [Query.unsafeMake({ tags: ["student:1"] }), 2],
  "all of some tags": [Query.unsafeMake({ tags: ["student:1", "course:2"] }), 3],
  "tags that no event has together": [Query.unsafeMake({ tags: ["course:1", "course:2"] }), undefined],
  "a type and a tag": [Query.unsafeMake({ types: ["Subscribed"], tags: ["course:2"] }), 3],
  "a type and a tag that no event has together": [
    Query.unsafeMake({ types: ["Capacity"], tags: ["course:2"] }),
    undefined
  ],
  "any of some items": [Query.unsafeMake({ tags: ["course:9"] }, { types: ["Capacity"] }, { tags: ["course:2"] }), 1],
  "the first match of any item": [Query.unsafeMake({ tags: ["course:2"] }, { types: ["Defined"] }), 0],
  "a type that nothing has": [Query.unsafeMake({ types: ["Nothing"] }), undefined],
  "a tag that nothing has": [Query.unsafeMake({ tags: ["course:"] }), undefined],
  "a type in another case": [Query.unsafeMake({ types: ["subscribed"] }), undefined],
  "a tag that is no pattern": [Query.unsafeMake({ tags: ["course:_"] }, { tags: ["%"] }), undefined],
  "every event": [Query.all, 0]
}

const queryCases = Object.fromEntries(
  Object.entries(queries).map(([name, [query, first]]) => [
    `failIf: ${name}`,
    (store: Store) =>
      Effect.gen(function*() {
        const positions = yield* prepared(store)
        const append = (after?: number) =>
          store.append([{ stream: "x-1", events: [event()] }], { failIf: query, after })
        if (first !== undefined) {
          yield* refusedUnchanged(store, append(), "ConditionFailed", { query, position: positions[first] })
          yield* refusedUnchanged(store, append(positions[first]! - 1), "ConditionFailed", {
            position: positions[first]
          })
        }
        // what a read shows after the position is what holds it back
        const matching = yield* readAll(store, { query })
        equal(matching[0]?.position, first === undefined ? undefined : positions[first])
        yield* append(matching[matching.length - 1]?.position ?? 0)
      })
  ])
)

export const conditionSection = section<Store>("conditions", {
  ...queryCases,
  "failIf guards what was read, up to the position read": (store) =>
    Effect.gen(function*() {
      const failIf = Query.unsafeMake({ tags: ["course:1"] })
      yield* prepared(store)
      const decision = yield* readAll(store, { query: failIf })
      const after = decision[decision.length - 1]!.position
      yield* store.append([{ stream: "other-1", events: [tagged("Subscribed", "course:2")] }], { failIf, after })
      const own = yield* store.append([{ stream: "enrolment-2", events: [tagged("Subscribed", "course:1")] }], {
        failIf,
        after
      })
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "enrolment-3", events: [tagged("Subscribed", "course:1")] }], { failIf, after }),
        "ConditionFailed",
        { position: own.position }
      )
    }),
  "an append does not stand in its own way": (store) =>
    Effect.gen(function*() {
      const failIf = Query.unsafeMake({ tags: ["email:a@b.c"] })
      const groups = [{
        stream: "user-1",
        events: [tagged("Registered", "email:a@b.c"), tagged("Confirmed", "email:a@b.c")]
      }]
      yield* store.append(groups, { failIf })
      yield* refused(
        store.append([{ stream: "user-2", events: [tagged("Registered", "email:a@b.c")] }], { failIf }),
        "ConditionFailed"
      )
    }),
  "a position beyond the log holds nothing back": (store) =>
    Effect.gen(function*() {
      yield* prepared(store)
      const after = (yield* store.head) + 1_000_000
      yield* store.append([{ stream: "x-1", events: [event()] }], { failIf: Query.all, after })
    }),
  "a condition on an empty tenant holds nothing back": (store) =>
    store.append([{ stream: "x-1", events: [event()] }], { failIf: Query.all }),
  "events of other tenants do not count": (store) =>
    Effect.gen(function*() {
      yield* prepared(store)
      const append = store.append([{ stream: "x-1", events: [tagged("Defined", "course:1")] }], { failIf: Query.all })
      yield* inTenant(append)
      yield* refused(append, "ConditionFailed")
    }),
  "truncated events do not count: conditions see what reads see": (store) =>
    Effect.gen(function*() {
      const failIf = Query.unsafeMake({ tags: ["name:x"] })
      const claim = (stream: string) => store.append([{ stream, events: [tagged("Claimed", "name:x")] }], { failIf })
      yield* claim("a-1")
      yield* refused(claim("b-1"), "ConditionFailed")
      yield* store.truncate("a-1", { before: 2 })
      yield* claim("b-1")
    }),
  "events of a tombstoned stream do not count": (store) =>
    Effect.gen(function*() {
      const failIf = Query.unsafeMake({ tags: ["name:x"] })
      const claim = (stream: string) => store.append([{ stream, events: [tagged("Claimed", "name:x")] }], { failIf })
      yield* claim("a-1")
      yield* store.tombstone("a-1")
      yield* claim("b-1")
      yield* refused(claim("c-1"), "ConditionFailed")
    }),
  "tags and types are compared by code point": (store) =>
    Effect.gen(function*() {
      const names = [
        "x",
        "X",
        "x ",
        "e\u0301",
        "\u00e9",
        "\u00df",
        "ss",
        "\u{1f600}",
        "a%",
        "a_",
        "ab",
        "\"quoted\"",
        "it's",
        "[]"
      ]
      for (const name of names) {
        yield* store.append([{ stream: "a-1", events: [tagged(name, name)] }], {
          failIf: Query.unsafeMake({ tags: [name] })
        })
        yield* refused(
          store.append([{ stream: "a-1", events: [event()] }], { failIf: Query.unsafeMake({ types: [name] }) }),
          "ConditionFailed"
        )
      }
    }),
  "of 50 racing writers with one condition, one wins": (store) =>
    Effect.gen(function*() {
      const failIf = Query.unsafeMake({ types: ["Claimed"], tags: ["seat:1"] })
      const outcomes = yield* Effect.all(
        Array.from({ length: 50 }, (_, n) =>
          Effect.either(
            store.append([{ stream: `claim-${n}`, events: [tagged("Claimed", "seat:1", `by:${n}`)] }], { failIf })
          )),
        { concurrency: "unbounded" }
      )
      equal(
        outcomes.map((each) => each._tag === "Right" ? "won" : each.left._tag).sort(),
        [
          ...Array.from({ length: 49 }, () => "ConditionFailed"),
          "won"
        ]
      )
      equal((yield* readAll(store, { query: failIf })).length, 1)
    }),
  "racing writers with conditions on different seats all win": (store) =>
    Effect.gen(function*() {
      yield* Effect.all(
        Array.from({ length: 50 }, (_, n) =>
          store.append([{ stream: `claim-${n}`, events: [tagged("Claimed", `seat:${n}`)] }], {
            failIf: Query.unsafeMake({ tags: [`seat:${n}`] })
          })),
        { concurrency: "unbounded" }
      )
      equal((yield* readAll(store)).length, 50)
    }),
  "a condition among plain appends of the same tag: what stood there first holds it back": (store) =>
    Effect.gen(function*() {
      const failIf = Query.unsafeMake({ tags: ["t"] })
      const marks = Array.from({ length: 20 }, () => unique())
      const outcomes = yield* Effect.all(
        marks.map((id, n) =>
          Effect.either(
            store.append(
              [{ stream: `s-${n}`, events: [event({}, { id, tags: ["t"] })] }],
              n % 2 === 0 ? { failIf } : undefined
            )
          )
        ),
        { concurrency: "unbounded" }
      )
      const all = yield* readAll(store)
      outcomes.forEach((outcome, n) => {
        const place = all.findIndex((raw) => raw.id === marks[n])
        // a conditional append that won is the first of all
        if (n % 2 === 0) equal(outcome._tag, place === 0 ? "Right" : "Left")
        else equal(outcome._tag, "Right")
      })
    }),
  "the condition of several streams at once holds all of them back": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: events(1, { tags: ["t"] }) }])
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "b-1", events: events(2) }, { stream: "c-1", events: events(1) }], {
          failIf: Query.unsafeMake({ tags: ["t"] })
        }),
        "ConditionFailed"
      )
      equal(yield* store.streamState("b-1"), { _tag: "missing" })
    })
})
