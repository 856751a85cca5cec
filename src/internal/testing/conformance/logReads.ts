import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Raw } from "../../../event/Envelope.ts"
import type { NewEvent, ReadAllOptions } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import {
  at,
  check,
  collect,
  equal,
  event,
  events,
  idsOf,
  inTenant,
  readAll,
  same,
  section,
  type Store,
  unique
} from "./case.ts"
import { ten } from "./streamReads.ts"

const instant = Date.UTC(2001, 1, 14)

/** A log in which every filter finds something and leaves something out. */
const prepared = (store: Store): Effect.Effect<ReadonlyArray<Raw>, unknown> => {
  const streams = ["a-1", "a-2", "ab-1", "A-1", "a%-1", "a_-1", "a--1", "b-1", "plain", "a", "a -1", "\u{1f600}-1"]
  const one = (stream: string, index: number): NewEvent =>
    event({ n: index }, {
      type: ["A", "B", "C", "a"][index % 4]!,
      tags: [`stream:${stream}`, ...(index % 3 === 0 ? ["third"] : [])],
      occurredAt: instant + ((index * 7) % 10) * 1_000,
      metadata: { correlationId: `c-${index % 5}` }
    })
  return Effect.gen(function*() {
    for (let round = 0; round < 3; round++) {
      yield* store.append(streams.map((stream, index) => ({
        stream,
        events: [one(stream, round * 5 + index), one(stream, round * 5 + index + 1)]
      }))).pipe(at(instant + round * 1_000))
    }
    const all = yield* readAll(store)
    equal(all.length, 72)
    return all
  })
}

type Keep = (raw: Raw, all: ReadonlyArray<Raw>) => boolean

const occurred = (raw: Raw) => raw.occurredAt.epochMillis
const recorded = (raw: Raw) => raw.recordedAt.epochMillis

/** Filters, what each must keep, and whether that is something. */
const filters: ReadonlyArray<readonly [options: ReadAllOptions, keep: Keep, found?: false]> = [
  [{ category: "a" }, (raw) => raw.stream.startsWith("a-")],
  [{ category: "ab" }, (raw) => raw.stream === "ab-1"],
  [{ category: "A" }, (raw) => raw.stream === "A-1"],
  [{ category: "a%" }, (raw) => raw.stream === "a%-1"],
  [{ category: "a_" }, (raw) => raw.stream === "a_-1"],
  [{ category: "a " }, (raw) => raw.stream === "a -1"],
  [{ category: "%" }, () => false, false],
  [{ category: "_" }, () => false, false],
  [{ category: "plain" }, () => false, false],
  [{ category: "\u{1f600}" }, (raw) => raw.stream === "\u{1f600}-1"],
  [{ stream: "a-1" }, (raw) => raw.stream === "a-1"],
  [{ stream: "a" }, (raw) => raw.stream === "a"],
  [{ stream: "a--1" }, (raw) => raw.stream === "a--1"],
  [{ stream: "missing-1" }, () => false, false],
  [{ stream: "a-1", category: "b" }, () => false, false],
  [{ types: ["A"] }, (raw) => raw.type === "A"],
  [{ types: ["B", "C", "Nothing"] }, (raw) => raw.type === "B" || raw.type === "C"],
  [{ types: ["Nothing"] }, () => false, false],
  [{ category: "a", types: ["a"] }, (raw) => raw.stream.startsWith("a-") && raw.type === "a"],
  [{ correlationId: "c-3" }, (raw) => raw.metadata.correlationId === "c-3"],
  [{ correlationId: "c-9" }, () => false, false],
  [{ query: Query.all }, () => true],
  [{ query: Query.unsafeMake({ tags: ["third"] }) }, (raw) => raw.tags.includes("third")],
  [
    { query: Query.unsafeMake({ tags: ["third", "stream:b-1"] }) },
    (raw) => raw.tags.includes("third") && raw.stream === "b-1"
  ],
  [
    { query: Query.unsafeMake({ types: ["A", "B"], tags: ["third"] }, { tags: ["stream:plain"] }) },
    (raw) => (raw.tags.includes("third") && (raw.type === "A" || raw.type === "B")) || raw.stream === "plain"
  ],
  [{ query: Query.unsafeMake({ tags: ["third"] }, { tags: ["third"] }) }, (raw) => raw.tags.includes("third")],
  [{ query: Query.unsafeMake({ types: ["A"] }), types: ["B"] }, () => false, false],
  [{ since: instant + 3_000 }, (raw) => occurred(raw) >= instant + 3_000],
  [{ until: instant + 3_000 }, (raw) => occurred(raw) < instant + 3_000],
  [
    { since: instant + 3_000, until: instant + 6_000 },
    (raw) => occurred(raw) >= instant + 3_000 && occurred(raw) < instant + 6_000
  ],
  [{ since: instant, until: instant + 1, time: "occurredAt" }, (raw) => occurred(raw) === instant],
  [{ since: instant + 3_000, until: instant + 3_000 }, () => false, false],
  [{ since: instant + 6_000, until: instant + 3_000 }, () => false, false],
  [{ since: "2001-02-14T00:00:03.000Z" }, (raw) => occurred(raw) >= instant + 3_000],
  [
    { types: ["A"], category: "a", correlationId: "c-0", since: instant, query: Query.unsafeMake({ tags: ["third"] }) },
    (raw) =>
      raw.type === "A" && raw.stream.startsWith("a-") && raw.metadata.correlationId === "c-0" &&
      raw.tags.includes("third")
  ]
]

const filterCases = Object.fromEntries(
  filters.map(([options, keep, found]) => [
    `read the log, ${JSON.stringify(options)}`,
    (store: Store) =>
      Effect.gen(function*() {
        const all = yield* prepared(store)
        const kept = all.filter((raw) => keep(raw, all))
        equal(kept.length > 0, found !== false, "the case itself")
        same(yield* readAll(store, options), kept)
        same(yield* readAll(store, { ...options, backwards: true }), kept.toReversed())
        same(yield* readAll(store, { ...options, limit: 2 }), kept.slice(0, 2))
        const { position } = all[30]!
        same(yield* readAll(store, { ...options, after: position }), kept.filter((raw) => raw.position > position))
        same(yield* readAll(store, { ...options, to: position }), kept.filter((raw) => raw.position <= position))
      })
  ])
)

/** Every two of these together: an index that serves one of them must not lose the other. */
const singles = filters.filter(([options, , found]) =>
  found !== false && Object.keys(options).length === 1 && !("query" in options && options.query?._tag === "All")
)

export const logReadSection = section<Store>("reading the log", {
  ...filterCases,
  "every two filters together": (store) =>
    Effect.gen(function*() {
      const all = yield* prepared(store)
      for (const [one, keepOne] of singles) {
        for (const [two, keepTwo] of singles) {
          if (Object.keys(one)[0]! >= Object.keys(two)[0]!) continue
          const kept = all.filter((raw) => keepOne(raw, all) && keepTwo(raw, all))
          equal(idsOf(yield* readAll(store, { ...one, ...two })), idsOf(kept), JSON.stringify({ ...one, ...two }))
        }
      }
    }),
  "by recordedAt, half-open": (store) =>
    Effect.gen(function*() {
      const latest = (yield* prepared(store)).reduce((most, raw) => Math.max(most, recorded(raw)), 0)
      for (const later of [1_000, 2_000, 3_000]) {
        yield* store.append([{ stream: "a-1", events: events(2, { occurredAt: instant }) }]).pipe(at(latest + later))
      }
      const all = yield* readAll(store)
      const bound = recorded(all[74]!)
      same(
        yield* readAll(store, { since: bound, time: "recordedAt" }),
        all.filter((raw) => recorded(raw) >= bound)
      )
      same(
        yield* readAll(store, { until: bound, time: "recordedAt" }),
        all.filter((raw) => recorded(raw) < bound)
      )
      same(
        yield* readAll(store, { since: bound, until: bound + 1, time: "recordedAt", category: "a" }),
        all.filter((raw) => recorded(raw) === bound && raw.stream.startsWith("a-"))
      )
    }),
  "after is exclusive, to inclusive, in both directions": (store) =>
    Effect.gen(function*() {
      yield* ten(store)
      const all = yield* readAll(store)
      const [after, to] = [all[2]!.position, all[6]!.position]
      same(yield* readAll(store, { after, to }), all.slice(3, 7))
      same(yield* readAll(store, { after, to, backwards: true }), all.slice(3, 7).reverse())
      same(yield* readAll(store, { after, to, backwards: true, limit: 2 }), all.slice(5, 7).reverse())
      same(yield* readAll(store, { after: to, to: after }), [])
      same(yield* readAll(store, { after: to, to }), [])
      same(yield* readAll(store, { limit: 0 }), [])
      same(yield* readAll(store, { after: 0 }), all)
      same(yield* readAll(store, { after: all[9]!.position }), [])
      same(yield* readAll(store, { to: all[9]!.position + 1_000 }), all)
      same(yield* readAll(store, { after: all[9]!.position + 1_000, backwards: true }), [])
    }),
  "a limit counts what the filter keeps": (store) =>
    Effect.gen(function*() {
      const all = yield* prepared(store)
      const kept = all.filter((raw) => raw.type === "C")
      same(yield* readAll(store, { types: ["C"], limit: 5 }), kept.slice(0, 5))
      same(yield* readAll(store, { types: ["C"], limit: 5, backwards: true }), kept.toReversed().slice(0, 5))
    }),
  "2,500 events over several streams, read in pages, both directions and filtered": (store) =>
    Effect.gen(function*() {
      for (let round = 0; round < 5; round++) {
        yield* store.append(
          ["a-1", "b-1"].map((stream) => ({
            stream,
            events: Array.from({ length: 250 }, (_, n) =>
              event(n, { type: n % 2 === 0 ? "A" : "B", tags: [`n:${n % 5}`] }))
          }))
        )
      }
      const all = yield* readAll(store)
      equal(all.length, 2_500)
      equal(idsOf(yield* readAll(store, { backwards: true })), idsOf(all).toReversed())
      for (
        const [options, keep] of [
          [{ category: "a" }, (raw: Raw) =>
            raw.stream === "a-1"],
          [{ types: ["B"] }, (raw: Raw) => raw.type === "B"],
          [{ query: Query.unsafeMake({ tags: ["n:3"] }) }, (raw: Raw) => raw.tags[0] === "n:3"]
        ] as const
      ) {
        equal(idsOf(yield* readAll(store, options)), idsOf(all.filter(keep)))
        equal(idsOf(yield* readAll(store, { ...options, backwards: true })), idsOf(all.filter(keep)).toReversed())
      }
    }),
  "an event without a payload worth the name does not disturb its neighbours": (store) =>
    Effect.gen(function*() {
      yield* store.append([{
        stream: "s-1",
        events: [event(null), event(""), event(0), event(false), event([]), event({})]
      }])
      equal((yield* readAll(store)).map((raw) => raw.payload), [null, "", 0, false, [], {}])
    }),
  "what is appended while a reader reads comes in order, or not at all": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "s-1", events: events(600) }])
      const seen = yield* store.readAll().pipe(
        Stream.rechunk(1),
        Stream.tap((raw) =>
          Effect.when(store.append([{ stream: "t-1", events: events(1) }]), () => raw.version % 100 === 0)
        ),
        Stream.takeUntil((raw) => raw.version === 600 && raw.stream === "s-1"),
        Stream.runCollect
      )
      const positions = Chunk.toReadonlyArray(seen).map((raw) => raw.position)
      check(positions.every((position, index) => index === 0 || positions[index - 1]! < position), "out of order")
      equal(seen.length, 600)
    }),
  "the same read may be run twice": (store) =>
    Effect.gen(function*() {
      const all = collect(store.readAll())
      yield* ten(store)
      same(yield* all, yield* all)
    }),
  "a reader sees the events of its own tenant alone": (store) =>
    Effect.gen(function*() {
      yield* ten(store)
      const category = unique().replaceAll("-", "")
      yield* inTenant(store.append([{ stream: `${category}-1`, events: events(3) }]))
      equal(yield* readAll(store, { category }), [])
    })
})
