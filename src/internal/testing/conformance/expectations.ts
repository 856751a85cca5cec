import * as Effect from "effect/Effect"
import type { ExpectedVersion } from "../../../event/Position.ts"
import { equal, event, events, refusedUnchanged, section, type Store, versionsOf } from "./case.ts"

/** The states that a stream may be in, and how it comes there. All but the missing one are at version 2. */
const states: { readonly [state: string]: (store: Store) => Effect.Effect<unknown, unknown> } = {
  missing: () => Effect.void,
  live: (store) => store.append([{ stream: "s-1", events: events(2) }]),
  truncated: (store) => Effect.zipRight(states["live"]!(store), store.truncate("s-1", { before: 2 })),
  emptied: (store) => Effect.zipRight(states["live"]!(store), store.truncate("s-1", { before: 3 })),
  tombstoned: (store) => Effect.zipRight(states["live"]!(store), store.tombstone("s-1"))
}

const expectations: ReadonlyArray<ExpectedVersion> = ["any", "noStream", "streamExists", 0, 1, 2, 3]

const holds = (expected: ExpectedVersion, version: number): boolean =>
  expected === "any" || expected === version || (expected === "noStream" && version === 0) ||
  (expected === "streamExists" && version > 0)

/** Every expectation on a stream in every state, by events and by an empty group that only checks. */
const expectationCases = Object.fromEntries(
  Object.entries(states).flatMap(([state, prepare]) =>
    expectations.map((expected) => [
      `${typeof expected === "number" ? `exactly ${expected}` : expected} on a ${state} stream`,
      (store: Store) =>
        Effect.gen(function*() {
          yield* prepare(store)
          const version = state === "missing" ? 0 : 2
          const append = store.append([{ stream: "s-1", expected, events: [event()] }])
          const checked = store.append([{ stream: "s-1", expected, events: [] }, { stream: "t-1", events: [event()] }])
          if (state !== "tombstoned" && holds(expected, version)) {
            equal(versionsOf((yield* checked).events), [1])
            equal(versionsOf((yield* append).events), [version + 1])
            return
          }
          const [tag, fields] = state === "tombstoned"
            ? ["StreamTombstoned", { stream: "s-1" }] as const
            // exactly 0 and noStream say the same
            : ["VersionConflict", {
              stream: "s-1",
              expected: expected === 0 ? "noStream" : expected,
              actual: version
            }] as const
          yield* refusedUnchanged(store, append, tag, fields)
          yield* refusedUnchanged(store, checked, tag, fields)
          equal(yield* store.streamState("t-1"), { _tag: "missing" })
        })
    ])
  )
)

export const expectationSection = section<Store>("expectations", expectationCases)
