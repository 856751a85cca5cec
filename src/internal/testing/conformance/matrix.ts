import * as Effect from "effect/Effect"
import type { ExpectedVersion } from "../../../event/Position.ts"
import type { NewEvent } from "../../../store/EventStore.ts"
import { equal, inTenant, read, refused, type Section, section, type Store, unchanged } from "./case.ts"

/** What comes of a call. */
export type Outcome =
  | "appended"
  | "repeat"
  | "VersionConflict"
  | "StreamTombstoned"
  | "partly"
  | "elsewhere"
  | "differs"

/** The states of the stream that is appended to. All but the missing one hold two batches of two events each. */
export const states = ["missing", "live", "truncated", "emptied", "tombstoned"] as const

/** The expectations; an exact one is right where it is the version before the first event of the call, wrong elsewhere. */
export const expectations = ["any", "noStream", "streamExists", "exact, right", "exact, wrong"] as const

/** One line of the matrix: what is sent to a stream in any of some states, and what comes of it by expectation. */
export interface Line {
  readonly states: ReadonlyArray<typeof states[number]>
  readonly sent: string
  /** The events of the call, and the version that the first of them has or would get. */
  readonly call: (log: Log) => { readonly events: ReadonlyArray<NewEvent>; readonly at: number }
  readonly outcomes: readonly [Outcome, Outcome, Outcome, Outcome, Outcome]
}

/** The events of a prepared log: two batches in the stream, one elsewhere, and new ones. */
interface Log {
  readonly version: number
  readonly a: readonly [NewEvent, NewEvent]
  readonly b: readonly [NewEvent, NewEvent]
  readonly other: readonly [NewEvent, NewEvent]
  readonly fresh: readonly [NewEvent, NewEvent]
}

const changed = (change: Partial<NewEvent>): Line["call"] => ({ a }) => ({
  events: [a[0], { ...a[1], ...change }],
  at: 1
})

const all = (outcome: Outcome): Line["outcomes"] => [outcome, outcome, outcome, outcome, outcome]

const known = ["live", "truncated", "emptied", "tombstoned"] as const
/** What a repeat of events that begin at version 1, or later, is. */
const fromStart: Line["outcomes"] = ["repeat", "repeat", "repeat", "repeat", "elsewhere"]
const later: Line["outcomes"] = ["repeat", "elsewhere", "repeat", "repeat", "elsewhere"]
/** What a change of an event's content is: seen only where the place is right. */
const differs: Line["outcomes"] = ["differs", "elsewhere", "differs", "differs", "elsewhere"]
const differsFromStart: Line["outcomes"] = ["differs", "differs", "differs", "differs", "elsewhere"]

/** The matrix of stream state, expectation, and what is new or repeated. */
export const lines: ReadonlyArray<Line> = [
  {
    states: ["missing"],
    sent: "new events",
    call: ({ fresh, version }) => ({ events: fresh, at: version + 1 }),
    outcomes: ["appended", "appended", "VersionConflict", "appended", "VersionConflict"]
  },
  {
    states: ["live", "truncated", "emptied"],
    sent: "new events",
    call: ({ fresh, version }) => ({ events: fresh, at: version + 1 }),
    outcomes: ["appended", "VersionConflict", "appended", "appended", "VersionConflict"]
  },
  {
    states: ["tombstoned"],
    sent: "new events",
    call: ({ fresh, version }) => ({ events: fresh, at: version + 1 }),
    outcomes: all("StreamTombstoned")
  },
  { states: known, sent: "the first batch again", call: ({ a }) => ({ events: a, at: 1 }), outcomes: fromStart },
  { states: known, sent: "the second batch again", call: ({ b }) => ({ events: b, at: 3 }), outcomes: later },
  {
    states: known,
    sent: "a part of the first batch, from its start",
    call: ({ a }) => ({ events: [a[0]], at: 1 }),
    outcomes: fromStart
  },
  {
    states: known,
    sent: "a part of the first batch, not from its start",
    call: ({ a }) => ({ events: [a[1]], at: 2 }),
    outcomes: later
  },
  {
    states: known,
    sent: "both batches as one",
    call: ({ a, b }) => ({ events: [...a, ...b], at: 1 }),
    outcomes: fromStart
  },
  {
    states: known,
    sent: "the end of one batch and the start of the next",
    call: ({ a, b }) => ({ events: [a[1], b[0]], at: 2 }),
    outcomes: later
  },
  {
    states: known,
    sent: "known events in another order",
    call: ({ a }) => ({ events: [a[1], a[0]], at: 2 }),
    outcomes: all("elsewhere")
  },
  {
    states: known,
    sent: "known events with one left out between them",
    call: ({ a, b }) => ({ events: [a[0], b[0]], at: 1 }),
    outcomes: all("elsewhere")
  },
  {
    states: known,
    sent: "known events, then new ones",
    call: ({ b, fresh }) => ({ events: [...b, ...fresh], at: 3 }),
    outcomes: all("partly")
  },
  {
    states: known,
    sent: "new events, then known ones",
    call: ({ a, fresh }) => ({ events: [...fresh, ...a], at: 1 }),
    outcomes: all("partly")
  },
  {
    states,
    sent: "events of another stream",
    call: ({ other }) => ({ events: other, at: 1 }),
    outcomes: all("elsewhere")
  },
  {
    states,
    sent: "events of another stream, then new ones",
    call: ({ fresh, other }) => ({ events: [...other, ...fresh], at: 1 }),
    outcomes: all("partly")
  },
  {
    states: known,
    sent: "known events, then some of another stream",
    call: ({ a, other }) => ({ events: [...a, ...other], at: 1 }),
    outcomes: all("elsewhere")
  },
  {
    states: known,
    sent: "known events, one of another type",
    call: changed({ type: "Other" }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one of another schema version",
    call: changed({ schemaVersion: 2 }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one with another payload",
    call: changed({ payload: { n: 1, deep: { x: [1, 3] } } }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one with a member less in its payload",
    call: changed({ payload: { n: 1 } }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one with another set of tags",
    call: changed({ tags: ["x"] }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one without its tags",
    call: changed({ tags: undefined }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one with another time that was given",
    call: changed({ occurredAt: 5_001 }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one without the time that was given",
    call: changed({ occurredAt: undefined }),
    outcomes: differsFromStart
  },
  {
    states: known,
    sent: "known events, one with a time where none was given",
    call: ({ b }) => ({ events: [b[0], { ...b[1], occurredAt: 5_000 }], at: 3 }),
    outcomes: differs
  },
  {
    states: known,
    sent: "known events with other metadata and source",
    call: changed({ metadata: { actor: "bob", correlationId: "c-2", headers: { try: "2" } }, source: "elsewhere" }),
    outcomes: fromStart
  },
  {
    states: known,
    sent: "known events, keys of a payload in another order",
    call: changed({ payload: { deep: { x: [1, 2] }, n: 1 } }),
    outcomes: fromStart
  },
  {
    states: known,
    sent: "known events, tags in another order and twice",
    call: changed({ tags: ["y", "x", "y"] }),
    outcomes: fromStart
  },
  {
    states: known,
    sent: "known events, a member of a payload `undefined` where it was absent",
    call: changed({ payload: { n: 1, deep: { x: [1, 2] }, absent: undefined } }),
    outcomes: fromStart
  }
]

const batch = (name: string, options?: Partial<NewEvent>): readonly [NewEvent, NewEvent] => [
  { id: `${name}1`, type: "A", payload: { n: 0 } },
  { id: `${name}2`, type: "A", payload: { n: 1, deep: { x: [1, 2] } }, tags: ["x", "y"], ...options }
]

/** Brings `s-1` into a state; ids need to be unique in their tenant only. */
const prepare = (store: Store, state: Line["states"][number]): Effect.Effect<Log, unknown> => {
  const log: Log = {
    version: state === "missing" ? 0 : 4,
    a: batch("a", { occurredAt: 5_000 }),
    b: batch("b"),
    other: batch("other"),
    fresh: batch("fresh")
  }
  return Effect.gen(function*() {
    yield* store.append([{ stream: "t-1", events: log.other }])
    if (state === "missing") return log
    yield* store.append([{ stream: "s-1", events: log.a }])
    yield* store.append([{ stream: "s-1", events: log.b }])
    if (state === "truncated") yield* store.truncate("s-1", { before: 3 })
    if (state === "emptied") yield* store.truncate("s-1", { before: 5 })
    if (state === "tombstoned") yield* store.tombstone("s-1")
    return log
  })
}

const expectedOf = (expectation: typeof expectations[number], at: number): ExpectedVersion =>
  expectation === "exact, right" ? at - 1 : expectation === "exact, wrong" ? at + 1 : expectation

/** That a call has the outcome that the line says. */
const judge = (
  store: Store,
  log: Log,
  call: ReturnType<Line["call"]>,
  expected: ExpectedVersion,
  outcome: Outcome
): Effect.Effect<unknown, unknown> => {
  const append = store.append([{ stream: "s-1", expected, events: call.events }])
  switch (outcome) {
    case "appended":
      return Effect.gen(function*() {
        const { events, repeated } = yield* append
        equal({ repeated, versions: events.map((each) => each.version) }, {
          repeated: false,
          versions: call.events.map((_, index) => log.version + 1 + index)
        })
        equal((yield* read(store, "s-1", { from: call.at })).map((raw) => raw.id), call.events.map((each) => each.id))
      })
    case "repeat":
      return Effect.gen(function*() {
        const places = yield* Effect.forEach(call.events, ({ id }) => Effect.flatten(store.find(id!)))
        const { events, position, repeated } = yield* unchanged(store, append)
        equal({ repeated, events }, { repeated: true, events: places })
        equal(position, places[places.length - 1]!.position)
      })
    case "partly":
    case "elsewhere":
    case "differs":
      return unchanged(store, refused(append, "DuplicateEvent", { reason: outcome }))
    case "VersionConflict":
      return unchanged(store, refused(append, outcome, { stream: "s-1", actual: log.version }))
    case "StreamTombstoned":
      return unchanged(store, refused(append, outcome, { stream: "s-1" }))
  }
}

/** One case for each line and state, over all expectations. */
export const matrixSection: Section<Store> = section(
  "idempotency, case by case",
  Object.fromEntries(lines.flatMap((line) =>
    line.states.map((state) => [
      `${state} stream: ${line.sent}`,
      (store: Store) =>
        Effect.forEach(expectations, (expectation, column) =>
          inTenant(Effect.gen(function*() {
            const log = yield* prepare(store, state)
            const call = line.call(log)
            yield* judge(store, log, call, expectedOf(expectation, call.at), line.outcomes[column]!)
          })))
    ])
  ))
)

const stateNames = (of: Line["states"]): string =>
  of === states ? "every" : of === known ? "every but missing" : of.join(", ")

/** The matrix as a table in Markdown: what `docs/idempotency.md` shows. */
export const table = (): string =>
  [
    ["stream", "sent", ...expectations],
    ["---", "---", ...expectations.map(() => "---")],
    ...lines.map((line) => [stateNames(line.states), line.sent, ...line.outcomes])
  ].map((cells) => `| ${cells.join(" | ")} |`).join("\n")
