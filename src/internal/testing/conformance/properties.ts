import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Raw } from "../../../event/Envelope.ts"
import type { Group } from "../../../store/EventStore.ts"
import * as Query from "../../../store/Query.ts"
import {
  at,
  type Case,
  check,
  equal,
  event,
  forAll,
  idsOf,
  increasing,
  positionsOf,
  read,
  readAll,
  refused,
  type Runs,
  same,
  type Section,
  type Store
} from "./case.ts"
import { places, step } from "./againstModel.ts"
import { bounds, filter, Model, newEvent, operation, query } from "./model.ts"

/** A log: appends of several streams, one after the other. */
const history = FastCheck.array(
  FastCheck.uniqueArray(
    FastCheck.record({
      stream: FastCheck.constantFrom("a-1", "a-2", "b-1", "plain"),
      events: FastCheck.array(newEvent, { minLength: 1, maxLength: 4 })
    }),
    { minLength: 1, maxLength: 3, selector: (group: Group) => group.stream }
  ),
  { minLength: 1, maxLength: 6 }
)

const write = (store: Store, appends: ReadonlyArray<ReadonlyArray<Group>>) =>
  Effect.forEach(appends, (groups) => store.append(groups), { discard: true })

const properties: { readonly [name: string]: (store: Store, runs: Runs) => Effect.Effect<unknown, unknown> } = {
  "any operations: the store does what the model does": (store, runs) =>
    forAll(FastCheck.array(operation, { maxLength: 40, size: "max" }), (operations) => {
      const model = new Model()
      return Effect.gen(function*() {
        for (const [now, next] of operations.entries()) yield* step(store, model, next, now)
        equal(places(yield* readAll(store)), places(model.visible()))
      })
    }, runs),
  "a filtered read is the filter of the whole log": (store, runs) =>
    forAll(FastCheck.tuple(history, filter), ([appends, options]) =>
      Effect.gen(function*() {
        yield* write(store, appends)
        const all = yield* readAll(store)
        const { category, correlationId, query: only, since, stream, types, until } = options
        same(
          yield* readAll(store, options),
          all.filter((raw) =>
            (stream === undefined || raw.stream === stream) &&
            (category === undefined || raw.stream.startsWith(`${category}-`)) &&
            (types === undefined || types.includes(raw.type)) &&
            (correlationId === undefined || raw.metadata.correlationId === correlationId) &&
            (only === undefined || Query.matches(only, raw)) &&
            (since === undefined || raw.occurredAt.epochMillis >= since) &&
            (until === undefined || raw.occurredAt.epochMillis < until)
          )
        )
      }), runs),
  "a read between bounds is a slice of the stream": (store, runs) =>
    forAll(FastCheck.tuple(history, bounds), ([appends, options]) =>
      Effect.gen(function*() {
        yield* write(store, appends)
        const all = yield* read(store, "a-1")
        const { backwards, from = 1, limit, to = all.length } = options
        const within = all.filter(({ version }) => version >= from && version <= to)
        same(
          yield* read(store, "a-1", options),
          (backwards ? within.toReversed() : within).slice(0, limit ?? all.length)
        )
      }), runs),
  "backwards is the reverse of forwards": (store, runs) =>
    forAll(FastCheck.tuple(history, filter), ([appends, options]) =>
      Effect.gen(function*() {
        yield* write(store, appends)
        same(yield* readAll(store, { ...options, backwards: true }), (yield* readAll(store, options)).toReversed())
        same(yield* read(store, "a-1", { backwards: true }), (yield* read(store, "a-1")).toReversed())
      }), runs),
  "pages put together are the whole": (store, runs) =>
    forAll(
      FastCheck.tuple(history, filter, FastCheck.integer({ min: 1, max: 5 }), FastCheck.boolean()),
      ([appends, options, limit, backwards]) =>
        Effect.gen(function*() {
          yield* write(store, appends)
          const pages: Array<Raw> = []
          for (;;) {
            const last = pages[pages.length - 1]?.position
            const from = last === undefined ? {} : backwards ? { to: last - 1 } : { after: last }
            const page = yield* readAll(store, { ...options, ...from, limit, backwards })
            pages.push(...page)
            if (page.length < limit) break
          }
          same(pages, yield* readAll(store, { ...options, backwards }))
        }),
      runs
    ),
  "versions have no gap, positions increase, recordedAt never decreases": (store, runs) =>
    forAll(
      FastCheck.tuple(history, FastCheck.array(FastCheck.nat(1_000_000), { minLength: 6, maxLength: 6 })),
      ([appends, clock]) =>
        Effect.gen(function*() {
          for (const [index, groups] of appends.entries()) yield* store.append(groups).pipe(at(clock[index]!))
          const all = yield* readAll(store)
          increasing(positionsOf(all), "positions")
          const versions = new Map<string, number>()
          for (const [index, raw] of all.entries()) {
            equal(raw.version, (versions.get(raw.stream) ?? 0) + 1)
            versions.set(raw.stream, raw.version)
            check(
              index === 0 || all[index - 1]!.recordedAt.epochMillis <= raw.recordedAt.epochMillis,
              "recordedAt decreases"
            )
          }
          equal(all.length, appends.flat().flatMap((group) => group.events).length)
        }),
      runs
    ),
  "a condition refuses exactly when a read after its position finds something": (store, runs) =>
    forAll(FastCheck.tuple(history, query, FastCheck.nat(30)), ([appends, failIf, place]) =>
      Effect.gen(function*() {
        yield* write(store, appends)
        const after = (yield* readAll(store))[place]?.position ?? 0
        const [first] = yield* readAll(store, { query: failIf, after })
        const call = store.append([{ stream: "x-1", events: [event()] }], { failIf, after })
        if (first === undefined) yield* call
        else yield* refused(call, "ConditionFailed", { position: first.position })
      }), runs),
  "appending any part of a stream again is a repeat with the first answer": (store, runs) =>
    forAll(
      FastCheck.tuple(history, FastCheck.nat(10), FastCheck.integer({ min: 1, max: 5 })),
      ([appends, from, count]) =>
        Effect.gen(function*() {
          const named = appends.map((groups, call) =>
            groups.map((group) => ({
              ...group,
              events: group.events.map((each, index) => ({ ...each, id: `${call} ${group.stream} ${index}` }))
            }))
          )
          yield* write(store, named)
          const stream = named[0]![0]!.stream
          const sent = named.flat().filter((group) => group.stream === stream).flatMap((group) => group.events)
          const start = Math.min(from, sent.length - 1)
          const part = sent.slice(start, start + count)
          const { events, repeated } = yield* store.append([{ stream, expected: start, events: part }])
          equal(repeated, true)
          equal(places(events as never), places((yield* read(store, stream)).slice(start, start + count)))
        }),
      runs
    ),
  "concurrent appends come to what some order of them would": (store, runs) =>
    forAll(
      FastCheck.array(
        FastCheck.record({
          stream: FastCheck.constantFrom("a-1", "a-2"),
          expected: FastCheck.oneof(FastCheck.constantFrom("any", "noStream", "streamExists"), FastCheck.nat(4)),
          tags: FastCheck.constantFrom([], ["x"], ["y"]),
          failIf: FastCheck.constantFrom(undefined, "x", "y")
        }),
        { minLength: 2, maxLength: 10 }
      ),
      (calls) =>
        Effect.gen(function*() {
          const outcomes = yield* Effect.all(
            calls.map(({ expected, failIf, stream, tags }, index) =>
              Effect.either(store.append(
                [{ stream, expected: expected as "any", events: [event({}, { id: `e-${index}`, tags })] }],
                failIf === undefined ? undefined : { failIf: Query.unsafeMake({ tags: [failIf] }) }
              ))
            ),
            { concurrency: "unbounded" }
          )
          // those that won, replayed one by one in the order of their positions, all win again
          const model = new Model()
          for (const { id, position } of yield* readAll(store)) {
            const { expected, failIf, stream, tags } = calls[Number(id.slice(2))]!
            const groups = [{ stream, expected: expected as "any", events: [event({}, { id, tags })] }]
            const verdict = model.judge(
              groups,
              failIf === undefined ? undefined : { failIf: Query.unsafeMake({ tags: [failIf] }) }
            )
            equal(verdict._tag, "appended")
            model.note(groups, [position], 0)
          }
          equal(model.log.length, outcomes.filter((outcome) => outcome._tag === "Right").length)
          // and nobody was refused for a reason that was never there
          for (const [index, outcome] of outcomes.entries()) {
            if (outcome._tag === "Right") continue
            const { failIf, stream } = calls[index]!
            const error = outcome.left
            if (error._tag === "VersionConflict") {
              check(error.actual <= model.versionOf(stream), "a version that never was")
            } else {
              equal(error._tag, "ConditionFailed")
              check(
                model.log.some((noted) => noted.tags.includes(failIf!)),
                "an event that never was"
              )
            }
          }
        }),
      runs
    ),
  "a subscription delivers what a read shows, whenever it was begun": (store, runs) =>
    forAll(
      FastCheck.tuple(history, history, filter.filter(({ since = 0, until = 99 }) => since < until)),
      ([before, after, options]) =>
        Effect.gen(function*() {
          yield* write(store, before)
          const told = yield* Queue.unbounded<number>()
          const seen: Array<Raw> = []
          yield* Effect.forkScoped(Stream.runForEach(
            store.subscribe({ ...options, after: "earliest", onCaughtUp: (position) => Queue.offer(told, position) }),
            (raw) => Effect.sync(() => seen.push(raw))
          ))
          yield* write(store, after)
          const [last] = yield* readAll(store, { backwards: true, limit: 1 })
          while ((yield* Queue.take(told)) < last!.position);
          same(seen, yield* readAll(store, options))
        }),
      runs
    ),
  "a subscription that ends anywhere, and is begun again after its last event, has each event once": (store, runs) =>
    forAll(
      FastCheck.tuple(history, FastCheck.array(FastCheck.nat(5), { maxLength: 6 })),
      ([appends, parts]) =>
        Effect.gen(function*() {
          yield* write(store, appends)
          const all = yield* readAll(store)
          const seen: Array<Raw> = []
          for (const part of [...parts, all.length]) {
            const count = Math.min(part, all.length - seen.length)
            const after = seen.at(-1)?.position ?? 0
            yield* Stream.runForEach(
              Stream.take(store.subscribe({ after }), count),
              (raw) => Effect.sync(() => seen.push(raw))
            )
          }
          same(seen, all)
        }),
      runs
    ),
  "a truncation takes what stands before it from reads and conditions, nothing else, and versions go on": (
    store,
    runs
  ) =>
    forAll(
      FastCheck.tuple(history, FastCheck.integer({ min: 1, max: 20 })),
      ([appends, place]) =>
        Effect.gen(function*() {
          yield* write(store, appends)
          const { stream } = appends[0]![0]!
          const all = yield* readAll(store)
          const own = all.filter((raw) => raw.stream === stream)
          const before = Math.min(place, own.length + 1)
          yield* store.truncate(stream, { before })
          const left = all.filter((raw) => raw.stream !== stream || raw.version >= before)
          same(yield* readAll(store), left)
          same(yield* read(store, stream), own.slice(before - 1))
          const { type } = own[0]!
          const unique = store.append([{ stream: "x-1", events: [event()] }], {
            failIf: Query.unsafeMake({ types: [type] })
          })
          if (left.some((raw) => raw.type === type)) yield* refused(unique, "ConditionFailed")
          else yield* unique
          const { events } = yield* store.append([{ stream, expected: own.length, events: [event()] }])
          equal(events[0]!.version, own.length + 1)
        }),
      runs
    ),
  "of an append over several streams all is there, in the order given, or nothing is": (store, runs) =>
    forAll(
      FastCheck.tuple(
        history,
        FastCheck.uniqueArray(
          FastCheck.record({
            stream: FastCheck.constantFrom("a-1", "a-2", "b-1", "plain", "new-1"),
            expected: FastCheck.oneof(
              FastCheck.constantFrom("any" as const, "noStream" as const, "streamExists" as const),
              FastCheck.nat(4)
            ),
            count: FastCheck.integer({ min: 1, max: 3 })
          }),
          { minLength: 1, maxLength: 5, selector: ({ stream }) => stream }
        )
      ),
      ([appends, groups]) =>
        Effect.gen(function*() {
          yield* write(store, appends)
          const all = yield* readAll(store)
          const version = (stream: string) => all.filter((raw) => raw.stream === stream).length
          const broken = groups.find(({ expected, stream }) =>
            expected === "noStream"
              ? version(stream) > 0
              : expected === "streamExists"
              ? version(stream) === 0
              : expected !== "any" && expected !== version(stream)
          )
          const call = store.append(groups.map(({ count, expected, stream }) => ({
            stream,
            expected,
            events: Array.from({ length: count }, (_, n) => event({ n }))
          })))
          if (broken === undefined) {
            yield* call
            const added = (yield* readAll(store)).slice(all.length)
            equal(
              added.map((raw) => [raw.stream, raw.version, raw.payload]),
              groups.flatMap(({ count, stream }) =>
                Array.from({ length: count }, (_, n) => [stream, version(stream) + n + 1, { n }])
              )
            )
          } else {
            yield* refused(call, "VersionConflict", { stream: broken.stream, actual: version(broken.stream) })
            same(yield* readAll(store), all)
          }
        }),
      runs
    ),
  "any JSON value comes back": (store, runs) =>
    forAll(FastCheck.jsonValue({ stringUnit: "binary", maxDepth: 6 }), (payload) =>
      Effect.gen(function*() {
        yield* store.append([{ stream: "a-1", events: [event(payload, { id: "e" })] }])
        const [raw] = yield* read(store, "a-1")
        equal(JSON.stringify(raw!.payload), JSON.stringify(payload))
        equal((yield* store.append([{ stream: "a-1", events: [event(raw!.payload, { id: "e" })] }])).repeated, true)
      }), runs),
  "any names come back, and find what they name": (store, runs) => {
    const name = FastCheck.string({ unit: "binary", minLength: 1, maxLength: 40 }).filter((text) =>
      // oxlint-disable-next-line no-control-regex -- names hold none
      !/[\u0000-\u001f\u007f-\u009f]/.test(text)
    )
    return forAll(
      FastCheck.record({ category: name, id: name, type: name, tag: name, event: name }),
      (names) =>
        Effect.gen(function*() {
          const category = names.category.replaceAll("-", "_")
          const stream = `${category}-${names.id}`
          const given = event({}, { id: names.event, type: names.type, tags: [names.tag] })
          yield* store.append([{ stream, events: [given] }])
          for (
            const options of [
              { category },
              { types: [names.type] },
              { query: Query.unsafeMake({ tags: [names.tag] }) },
              { stream }
            ]
          ) {
            const [raw] = yield* readAll(store, options)
            equal([raw?.stream, raw?.id, raw?.type, raw?.tags], [stream, given.id, names.type, [names.tag]])
          }
          equal(idsOf(yield* read(store, stream)), [given.id])
        }),
      runs
    )
  }
}

export const propertySection = (runs: Runs): Section<Store> => ({
  name: "properties",
  cases: Object.entries(properties).map(([name, run]): Case<Store> => ({
    name,
    run: (store) => Effect.asVoid(run(store, runs))
  }))
})
