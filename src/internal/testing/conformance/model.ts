/**
 * An event store as one would write it on a blackboard: one list, looked through from the start each time. What it says is
 * what drivers must do; it shares no code with them.
 */
import * as FastCheck from "effect/FastCheck"
import type { Raw } from "../../../event/Envelope.ts"
import type { ExpectedVersion } from "../../../event/Position.ts"
import type { AppendOptions, Group, NewEvent, ReadAllOptions, ReadOptions } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"

/** What the model remembers of an event. */
export interface Noted {
  readonly id: string
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly type: string
  readonly content: string
  readonly tags: ReadonlyArray<string>
  readonly correlationId: string
  readonly occurredAt: number
}

/** What an append must come to: the versions of its events, or the tag of its refusal and what it tells. */
export type Verdict =
  | { readonly _tag: "appended"; readonly versions: ReadonlyArray<number> }
  | { readonly _tag: "repeat"; readonly events: ReadonlyArray<Noted> }
  | { readonly _tag: "refused"; readonly tag: string; readonly fields: { readonly [name: string]: unknown } }

const refusal = (tag: string, fields: { readonly [name: string]: unknown }): Verdict => ({
  _tag: "refused",
  tag,
  fields
})

export class Model {
  readonly log: Array<Noted> = []
  readonly firstVersions = new Map<string, number>()
  readonly tombstones = new Set<string>()
  readonly marks: Array<Noted> = []

  versionOf(stream: string): number {
    return this.log.filter((noted) => noted.stream === stream).length
  }

  /** What readers and conditions see. */
  visible(): ReadonlyArray<Noted> {
    return this.log.filter((noted) =>
      !this.tombstones.has(noted.stream) && noted.version >= (this.firstVersions.get(noted.stream) ?? 1)
    )
  }

  judge(groups: ReadonlyArray<Group>, options: AppendOptions | undefined): Verdict {
    return this.judgeIds(groups) ?? this.judgeVersions(groups) ?? this.judgeCondition(options) ?? {
      _tag: "appended",
      versions: groups.flatMap(({ events, stream }) => events.map((_, index) => this.versionOf(stream) + index + 1))
    }
  }

  private judgeIds(groups: ReadonlyArray<Group>): Verdict | undefined {
    const sent = groups.flatMap(({ events, stream }) => events.map((event) => ({ event, stream })))
    const known = sent.map(({ event }) => this.log.find((noted) => noted.id === event.id))
    if (known.every((noted) => noted === undefined)) return undefined
    const first = known.find((noted) => noted !== undefined)!
    if (known.includes(undefined)) return refusal("DuplicateEvent", { id: first.id, reason: "partly" })
    const expected = new Map(groups.map((group) => [group.stream, group.expected ?? "any"]))
    for (const [index, { event, stream }] of sent.entries()) {
      const noted = known[index]!
      const before = sent[index - 1]?.stream === stream ? known[index - 1]!.version : placeBefore(expected.get(stream)!)
      if (noted.stream !== stream || (before !== undefined && noted.version !== before + 1)) {
        return refusal("DuplicateEvent", { id: noted.id, reason: "elsewhere" })
      }
      if (noted.content !== contentOf(event)) return refusal("DuplicateEvent", { id: noted.id, reason: "differs" })
    }
    return { _tag: "repeat", events: known as ReadonlyArray<Noted> }
  }

  private judgeVersions(groups: ReadonlyArray<Group>): Verdict | undefined {
    for (const { expected, stream } of groups) {
      if (this.tombstones.has(stream)) return refusal("StreamTombstoned", { stream })
      const conflict = this.conflict(stream, expected ?? "any")
      if (conflict !== undefined) return conflict
    }
    return undefined
  }

  private conflict(stream: string, expected: ExpectedVersion): Verdict | undefined {
    const actual = this.versionOf(stream)
    const holds = expected === "any" || (expected === "streamExists" ? actual > 0 : actual === versionIn(expected))
    return holds
      ? undefined
      : refusal("VersionConflict", { stream, expected: expected === 0 ? "noStream" : expected, actual })
  }

  private judgeCondition(options: AppendOptions | undefined): Verdict | undefined {
    const { after = 0, failIf } = options ?? {}
    const first = failIf && this.visible().find((noted) => noted.position > after && Query.matches(failIf, noted))
    return first && refusal("ConditionFailed", { position: first.position })
  }

  /** Notes what was appended, at the positions that the store gave. */
  note(groups: ReadonlyArray<Group>, positions: ReadonlyArray<number>, now: number): void {
    const correlationId = groups.flatMap((group) => group.events)[0]!.id!
    let index = 0
    for (const { events, stream } of groups) {
      for (const event of events) {
        this.log.push({
          id: event.id!,
          stream,
          version: this.versionOf(stream) + 1,
          position: positions[index++]!,
          type: event.type,
          content: contentOf(event),
          tags: Array.from(new Set(event.tags)),
          correlationId: event.metadata?.correlationId ?? correlationId,
          occurredAt: (event.occurredAt as number | undefined) ?? now
        })
      }
    }
  }

  truncate(stream: string, before: number): string {
    const found = this.versionOf(stream)
    if (found === 0) return "StreamNotFound"
    if (this.tombstones.has(stream)) return "StreamTombstoned"
    if (before > found + 1) return "InvalidInput"
    this.firstVersions.set(stream, Math.max(before, this.firstVersions.get(stream) ?? 1))
    return "done"
  }

  tombstone(stream: string, expected: ExpectedVersion): string {
    if (this.versionOf(stream) === 0) return "StreamNotFound"
    if (this.tombstones.has(stream)) return "StreamTombstoned"
    const conflict = this.conflict(stream, expected)
    if (conflict !== undefined) return "VersionConflict"
    this.tombstones.add(stream)
    return "done"
  }

  /** Notes the mark that a tombstone left, as the store shows it. */
  noteMark(raw: Raw): void {
    this.marks.push({
      id: raw.id,
      stream: raw.stream,
      version: raw.version,
      position: raw.position,
      type: raw.type,
      content: "",
      tags: [],
      correlationId: raw.metadata.correlationId!,
      occurredAt: raw.occurredAt.epochMillis
    })
  }

  read(stream: string, options: ReadOptions): ReadonlyArray<Noted> {
    return directed(
      this.visible().filter(({ stream: of, version }) =>
        of === stream && version >= (options.from ?? 1) && version <= (options.to ?? version)
      ),
      options
    )
  }

  readAll(options: ReadAllOptions): ReadonlyArray<Noted> {
    const shown = [...this.visible(), ...this.marks].sort((one, other) => one.position - other.position)
    return directed(
      shown.filter((noted) =>
        noted.position > (options.after ?? 0) &&
        noted.position <= (options.to ?? noted.position) &&
        (options.stream === undefined || noted.stream === options.stream) &&
        (options.category === undefined ||
          (noted.stream.includes("-") && noted.stream.split("-")[0] === options.category)) &&
        (options.types === undefined || options.types.includes(noted.type)) &&
        (options.correlationId === undefined || noted.correlationId === options.correlationId) &&
        (options.query === undefined || options.query._tag === "All" || Query.matches(options.query, noted)) &&
        (options.since === undefined || noted.occurredAt >= (options.since as number)) &&
        (options.until === undefined || noted.occurredAt < (options.until as number))
      ),
      options
    )
  }
}

const directed = <A>(
  all: ReadonlyArray<A>,
  options: { readonly backwards?: boolean | undefined; readonly limit?: number | undefined }
): ReadonlyArray<A> => (options.backwards === true ? all.toReversed() : all).slice(0, options.limit ?? all.length)

const versionIn = (expected: ExpectedVersion): number | undefined =>
  expected === "noStream" ? 0 : typeof expected === "number" ? expected : undefined

/** The version before the first event of a repeat, where the expectation fixes it. */
const placeBefore = versionIn

const contentOf = ({ occurredAt, payload, schemaVersion, tags, type }: NewEvent): string =>
  JSON.stringify([type, schemaVersion ?? 1, payload, Array.from(new Set(tags)).sort(), occurredAt ?? null])

/** The streams, types and tags that random logs are made of: few, so that they meet. */
const streams = FastCheck.constantFrom("a-1", "a-2", "b-1", "plain")
const types = FastCheck.constantFrom("A", "B", "C")
const tags = FastCheck.uniqueArray(FastCheck.constantFrom("x", "y", "z"), { maxLength: 3 })
/** Nothing, three times of four: what asks for everything at once finds nothing. */
const maybe = <A>(arbitrary: FastCheck.Arbitrary<A>): FastCheck.Arbitrary<A | undefined> =>
  FastCheck.oneof({ arbitrary: FastCheck.constant(undefined), weight: 3 }, { arbitrary, weight: 1 })

/** An event whose id is one of a few, so that many are repeats or clashes. */
const event: FastCheck.Arbitrary<NewEvent> = FastCheck.record({
  id: FastCheck.oneof(
    { arbitrary: FastCheck.nat(9), weight: 1 },
    { arbitrary: FastCheck.integer({ min: 10, max: 100_000 }), weight: 4 }
  ).map((n) => `e-${n}`),
  type: types,
  payload: FastCheck.nat(1),
  tags: maybe(tags),
  occurredAt: maybe(FastCheck.nat(5))
}).map((drawn) => ({ ...drawn, metadata: { correlationId: `c-${drawn.payload}` } }))

/** Events whose ids are all new. */
export const newEvent: FastCheck.Arbitrary<NewEvent> = FastCheck.record({
  type: types,
  payload: FastCheck.nat(9),
  tags: tags,
  occurredAt: FastCheck.nat(9)
}).map((drawn) => ({ ...drawn, metadata: { correlationId: `c-${drawn.payload % 3}` } }))

const expected: FastCheck.Arbitrary<ExpectedVersion | undefined> = FastCheck.oneof(
  { arbitrary: FastCheck.constant(undefined), weight: 12 },
  { arbitrary: FastCheck.constantFrom<ExpectedVersion>("any", "noStream", "streamExists"), weight: 2 },
  { arbitrary: FastCheck.nat(6), weight: 2 }
)

export const query: FastCheck.Arbitrary<Query.Query> = FastCheck.oneof(
  FastCheck.constant(Query.all),
  FastCheck.array(
    FastCheck.record({
      types: FastCheck.uniqueArray(types, { maxLength: 2 }),
      tags: FastCheck.uniqueArray(FastCheck.constantFrom("x", "y", "z"), { maxLength: 2 })
    }).filter((item) => item.types.length + item.tags.length > 0),
    { minLength: 1, maxLength: 3 }
  ).map((items) => Query.unsafeMake(...items))
)

/** Positions are drawn as the index of an event of the log. */
export const filter = FastCheck.record({
  stream: maybe(streams),
  category: maybe(FastCheck.constantFrom("a", "b", "plain")),
  types: maybe(FastCheck.uniqueArray(types, { minLength: 1, maxLength: 3 })),
  correlationId: maybe(FastCheck.constantFrom("c-0", "c-1", "c-9")),
  query: maybe(query),
  since: maybe(FastCheck.nat(9)),
  until: maybe(FastCheck.nat(9))
}, { requiredKeys: [] })

const direction = { backwards: FastCheck.boolean(), limit: maybe(FastCheck.nat(12)) }

export const bounds = FastCheck.record({ from: maybe(FastCheck.nat(8)), to: maybe(FastCheck.nat(8)), ...direction })

/** One thing that is done to a store; places in the log are counted from its end, so that they are near it. */
export type Operation =
  | {
    readonly _tag: "append"
    readonly groups: ReadonlyArray<Group>
    readonly failIf: { readonly query: Query.Query; readonly back: number } | undefined
  }
  | {
    readonly _tag: "repeat"
    readonly from: number
    readonly count: number
    /** Which of the events comes with another payload. */
    readonly changed: number | undefined
    readonly expected: ExpectedVersion | undefined
  }
  | { readonly _tag: "truncate"; readonly stream: string; readonly before: number }
  | { readonly _tag: "tombstone"; readonly stream: string; readonly expected: ExpectedVersion | undefined }
  | { readonly _tag: "read"; readonly stream: string; readonly options: ReadOptions }
  | {
    readonly _tag: "readAll"
    readonly options: ReadAllOptions
    readonly after: number | undefined
    readonly to: number | undefined
  }
  | { readonly _tag: "state"; readonly stream: string }

const group: FastCheck.Arbitrary<Group> = FastCheck.record({
  stream: streams,
  expected,
  events: FastCheck.uniqueArray(event, { maxLength: 3, selector: (each) => each.id })
})

const groups = FastCheck.uniqueArray(group, { minLength: 1, maxLength: 3, selector: (each) => each.stream }).filter(
  (all) => {
    const ids = all.flatMap((each) => each.events.map(({ id }) => id))
    return ids.length > 0 && new Set(ids).size === ids.length
  }
)

export const operation: FastCheck.Arbitrary<Operation> = FastCheck.oneof(
  {
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("append" as const),
      groups,
      failIf: maybe(FastCheck.record({ query, back: FastCheck.nat(10) }))
    }),
    weight: 14
  },
  {
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("repeat" as const),
      from: FastCheck.nat(20),
      count: FastCheck.integer({ min: 1, max: 4 }),
      changed: maybe(FastCheck.nat(3)),
      expected
    }),
    weight: 4
  },
  {
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("truncate" as const),
      stream: streams,
      before: FastCheck.integer({ min: 1, max: 6 })
    }),
    weight: 2
  },
  {
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("tombstone" as const), stream: streams, expected }),
    weight: 1
  },
  {
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("read" as const), stream: streams, options: bounds }),
    weight: 4
  },
  {
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("readAll" as const),
      options: FastCheck.tuple(filter, FastCheck.record(direction)).map(([kept, way]) => ({ ...kept, ...way })),
      after: maybe(FastCheck.nat(10)),
      to: maybe(FastCheck.nat(10))
    }),
    weight: 6
  },
  { arbitrary: FastCheck.record({ _tag: FastCheck.constant("state" as const), stream: streams }), weight: 2 }
)
