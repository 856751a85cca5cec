import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Raw } from "../../../event/Envelope.ts"
import * as Query from "../../../store/Query.ts"
import { check, equal, event, events, idsOf, read, readAll, same, section, type Store, versionsOf } from "./case.ts"

/** Ten events in a stream of their own, for its bounds. */
export const ten = (store: Store) => store.append([{ stream: "s-1", events: events(10) }])

/** Options of a read of that stream, and the versions that it shows. */
const bounds: ReadonlyArray<readonly [options: Parameters<Store["read"]>[1], versions: ReadonlyArray<number>]> = [
  [{}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  [{ backwards: true }, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]],
  [{ from: 8 }, [8, 9, 10]],
  [{ from: 0, to: 2 }, [1, 2]],
  [{ to: 3 }, [1, 2, 3]],
  [{ to: 0 }, []],
  [{ from: 3, to: 5 }, [3, 4, 5]],
  [{ from: 5, to: 5 }, [5]],
  [{ from: 5, to: 4 }, []],
  [{ from: 11 }, []],
  [{ from: 10, to: 100 }, [10]],
  [{ limit: 0 }, []],
  [{ limit: 3 }, [1, 2, 3]],
  [{ limit: 100 }, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  [{ from: 4, limit: 2 }, [4, 5]],
  [{ from: 4, to: 4, limit: 2 }, [4]],
  [{ from: 3, to: 5, backwards: true }, [5, 4, 3]],
  [{ from: 3, backwards: true, limit: 2 }, [10, 9]],
  [{ to: 3, backwards: true, limit: 2 }, [3, 2]],
  [{ to: 100, backwards: true, limit: 1 }, [10]],
  [{ from: 5, to: 4, backwards: true }, []],
  [{ from: 0, to: 1, backwards: true }, [1]],
  [{ limit: 0, backwards: true }, []]
]

const boundCases = Object.fromEntries(
  bounds.map(([options, versions]) => [
    `read a stream of ten, ${JSON.stringify(options)}`,
    (store: Store) =>
      Effect.gen(function*() {
        yield* ten(store)
        equal(versionsOf(yield* read(store, "s-1", options)), versions)
      })
  ])
)

export const streamReadSection = section<Store>("reading a stream", {
  ...boundCases,
  "a missing stream shows nothing": (store) =>
    Effect.gen(function*() {
      equal(yield* read(store, "missing-1"), [])
      equal(yield* read(store, "missing-1", { backwards: true, from: 3 }), [])
    }),
  "2,500 events, read in pages, both directions": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "s-1", events: events(2_500) }, { stream: "t-1", events: events(10) }])
      const all = yield* read(store, "s-1")
      equal(versionsOf(all), Array.from({ length: 2_500 }, (_, index) => index + 1))
      equal(all.map((raw) => (raw.payload as { n: number }).n), Array.from({ length: 2_500 }, (_, index) => index))
      equal(idsOf(yield* read(store, "s-1", { backwards: true })), idsOf(all).toReversed())
      equal(versionsOf(yield* read(store, "s-1", { from: 500, limit: 1_500 })), versionsOf(all).slice(499, 1_999))
      equal(
        versionsOf(yield* read(store, "s-1", { to: 2_000, limit: 1_500, backwards: true })),
        versionsOf(all).slice(500, 2_000).reverse()
      )
    }),
  "page by page: the whole stream, and when there is no more": (store) =>
    Effect.gen(function*() {
      for (const count of [0, 1, 600]) {
        const stream = `s-${count}`
        if (count > 0) yield* store.append([{ stream, events: events(count) }])
        const all: Array<Raw> = []
        for (let more = true; more;) {
          const page = yield* store.readPage(stream, { from: all.length + 1 })
          all.push(...page.events)
          check(!page.more || page.events.length > 0, "an empty page, and more")
          more = page.more
        }
        same(all, yield* read(store, stream))
      }
      equal(versionsOf((yield* store.readPage("s-600", { from: 5, to: 7 })).events), [5, 6, 7])
      equal(yield* store.readPage("s-600", { from: 601 }), { events: [], more: false })
      yield* store.truncate("s-600", { before: 600 })
      equal(versionsOf((yield* store.readPage("s-600")).events), [600])
      yield* store.tombstone("s-600")
      equal((yield* store.readPage("s-600")).events, [])
    }),
  "a reader takes no more than it needs": (store) =>
    Effect.gen(function*() {
      yield* ten(store)
      const first = yield* Stream.runHead(store.read("s-1", { from: 4 }))
      equal(first._tag === "Some" ? first.value.version : undefined, 4)
    }),
  "names that differ by case, normalization or spaces are streams of their own": (store) =>
    Effect.gen(function*() {
      const names = [
        "s-1",
        "S-1",
        "s-1 ",
        "s- 1",
        "s-e\u0301",
        "s-\u00e9",
        "s-\u00df",
        "s-ss",
        "s-\u{1f600}",
        "s-1%",
        "s-'; --"
      ]
      for (const name of names) yield* store.append([{ stream: name, expected: "noStream", events: [event(name)] }])
      for (const name of names) equal((yield* read(store, name)).map((raw) => raw.payload), [name])
    }),
  "names of 512 code units and ids of 128": (store) =>
    Effect.gen(function*() {
      const stream = `${"\u{1f600}".repeat(100)}-${"x".repeat(311)}`
      const long = "y".repeat(512)
      const given = event(1, {
        id: "\u{1f600}".repeat(64),
        type: long,
        tags: [long],
        source: long,
        metadata: { correlationId: long }
      })
      yield* store.append([{ stream, events: [given] }])
      for (
        const found of [
          yield* read(store, stream),
          yield* readAll(store, { category: "\u{1f600}".repeat(100) }),
          yield* readAll(store, { correlationId: long, types: [long], query: Query.unsafeMake({ tags: [long] }) })
        ]
      ) equal(idsOf(found), [given.id])
    })
})
