import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Correlation from "../../../event/Correlation.ts"
import type { Metadata } from "../../../event/Envelope.ts"
import * as Query from "../../../store/Query.ts"
import {
  check,
  collect,
  equal,
  event,
  events,
  idsOf,
  inTenant,
  plain,
  read,
  readAll,
  refused,
  section,
  type Store,
  unique,
  versionsOf
} from "./case.ts"

/** The metadata of the only event of a stream, without the tenant. */
const metadataOf = (store: Store, stream: string) =>
  Effect.map(read(store, stream), ([raw]) => {
    const { tenant: _, ...metadata } = raw!.metadata
    return metadata
  })

/** Runs an effect that carries nothing at all. */
const withoutTenant = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locally(effect, Correlation.currentCorrelation, Correlation.empty)

export const correlationSection = section<Store>("metadata", {
  "the first event of a call begins the conversation where the fiber is in none": (store) =>
    Effect.gen(function*() {
      const given = events(3)
      yield* store.append([{ stream: "a-1", events: given.slice(0, 2) }, { stream: "b-1", events: given.slice(2) }])
      equal((yield* readAll(store)).map((raw) => raw.metadata.correlationId), Array(3).fill(given[0]!.id))
      equal(idsOf(yield* readAll(store, { correlationId: given[0]!.id })), idsOf(given))
    }),
  "events that say something of themselves are in the conversation of their call, unless they name another": (store) =>
    Effect.gen(function*() {
      const given = [
        event(1, { metadata: { correlationId: "other" } }),
        event(2, { metadata: { actor: "alice" } }),
        event(3),
        event(4, { metadata: { headers: { h: "1" } } })
      ]
      yield* store.append([{ stream: "a-1", events: given.slice(0, 2) }, { stream: "b-1", events: given.slice(2) }])
      const begun = given[1]!.id
      equal((yield* readAll(store)).map((raw) => raw.metadata.correlationId), ["other", begun, begun, begun])
    }),
  "events carry what the fiber carries": (store) =>
    Effect.gen(function*() {
      const carried: Metadata = {
        correlationId: "c-1",
        causationId: "e-0",
        actor: "alice",
        headers: { a: "1", b: "2" },
        trace: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, tracestate: "vendor=1" }
      }
      yield* store.append([{ stream: "a-1", events: [event()] }]).pipe(
        Correlation.locally({ ...carried, source: "shop" })
      )
      equal(yield* metadataOf(store, "a-1"), carried)
      equal((yield* read(store, "a-1"))[0]!.source, "shop")
      equal(idsOf(yield* readAll(store, { correlationId: "c-1" })), idsOf(yield* read(store, "a-1")))
    }),
  "what an event says of itself wins, headers are merged": (store) =>
    Effect.gen(function*() {
      const metadata: Metadata = { correlationId: "own", actor: "bob", headers: { b: "own", c: "3" } }
      yield* store.append([{ stream: "a-1", events: [event({}, { metadata, source: "own" })] }]).pipe(
        Correlation.locally({
          correlationId: "c-1",
          causationId: "e-0",
          actor: "alice",
          headers: { a: "1", b: "2" },
          source: "shop"
        })
      )
      equal(yield* metadataOf(store, "a-1"), {
        correlationId: "own",
        causationId: "e-0",
        actor: "bob",
        headers: { a: "1", b: "own", c: "3" }
      })
      equal((yield* read(store, "a-1"))[0]!.source, "own")
      equal(yield* readAll(store, { correlationId: "c-1" }), [])
    }),
  "what a handler appends is caused by what it handles": (store) =>
    Effect.gen(function*() {
      yield* store.append([{ stream: "a-1", events: [event()] }]).pipe(
        Correlation.locally({ correlationId: "c-1", actor: "alice" })
      )
      const [cause] = yield* read(store, "a-1")
      yield* store.append([{ stream: "b-1", events: [event()] }]).pipe(Correlation.causedBy(cause!))
      equal(yield* metadataOf(store, "b-1"), { correlationId: "c-1", causationId: cause!.id })
      equal(idsOf(yield* readAll(store, { correlationId: "c-1" })).length, 2)
    }),
  "an append inside a span carries it": (store) =>
    Effect.gen(function*() {
      const span = yield* store.append([{ stream: "a-1", events: [event()] }]).pipe(
        Effect.zipRight(Effect.currentSpan),
        Effect.withSpan("outer")
      )
      const { trace } = yield* metadataOf(store, "a-1")
      // the default tracer's ids are no W3C ids, and are left out
      const isW3C = /^[0-9a-f]{32}$/.test(span.traceId)
      equal(trace?.traceparent, isW3C ? `00-${span.traceId}-${span.spanId}-01` : undefined)
    }),
  "an event may not say that it belongs to another tenant": (store) =>
    refused(store.append([{ stream: "a-1", events: [event({}, { metadata: { tenant: "other" } })] }]), "InvalidEvent")
})

export const tenantSection = section<Store>("tenants", {
  "streams, versions and ids belong to their tenant": (store) =>
    Effect.gen(function*() {
      const groups = [{ stream: "a-1", expected: "noStream" as const, events: [event(0, { id: "e-1" })] }]
      yield* store.append(groups)
      yield* inTenant(Effect.gen(function*() {
        equal(yield* store.streamState("a-1"), { _tag: "missing" })
        equal((yield* store.find("e-1"))._tag, "None")
        equal((yield* store.append(groups)).repeated, false)
        equal(versionsOf(yield* read(store, "a-1")), [1])
        equal((yield* readAll(store)).length, 1)
      }))
      equal((yield* readAll(store)).length, 1)
    }),
  "every filter keeps to the tenant": (store) =>
    Effect.gen(function*() {
      const groups = [{
        stream: "a-1",
        events: [event(0, { id: "e-1", tags: ["t"], metadata: { correlationId: "c" } })]
      }]
      yield* inTenant(store.append(groups))
      yield* store.append([{ stream: "other-1", events: [event()] }])
      for (
        const options of [
          { stream: "a-1" },
          { category: "a" },
          { types: ["B"] },
          { correlationId: "c" },
          { query: Query.unsafeMake({ tags: ["t"] }) }
        ]
      ) equal(yield* readAll(store, options), [])
      equal((yield* readAll(store, { query: Query.all })).length, 1)
    }),
  "allTenants shows every tenant's events, and whose they are": (store) =>
    Effect.gen(function*() {
      const category = `all${unique().replaceAll("-", "")}`
      const append = store.append([{
        stream: `${category}-1`,
        events: [event(0, { type: category, tags: [category] })]
      }, {
        stream: `${category}x-1`,
        events: [event(0, { type: `${category}x` })]
      }])
      yield* append
      yield* inTenant(append)
      yield* withoutTenant(append)
      const { tenant } = yield* Correlation.current
      for (
        const filter of [
          { category },
          { stream: `${category}-1` },
          { types: [category] },
          { query: Query.unsafeMake({ tags: [category] }) }
        ]
      ) {
        const all = yield* readAll(store, { ...filter, allTenants: true })
        equal(all.length, 3)
        equal(all[0]!.metadata.tenant, tenant)
        equal(all[2]!.metadata.tenant, undefined)
        check(all[1]!.metadata.tenant !== tenant && all[1]!.metadata.tenant !== undefined, "the second tenant")
        equal(idsOf(yield* readAll(store, { ...filter, allTenants: true, backwards: true })), idsOf(all).reverse())
        equal(idsOf(yield* readAll(store, filter)), [all[0]!.id])
        equal(idsOf(yield* withoutTenant(readAll(store, filter))), [all[2]!.id])
      }
    }),
  "allTenants counts truncations and tombstones by tenant": (store) =>
    Effect.gen(function*() {
      const category = `all${unique().replaceAll("-", "")}`
      const stream = `${category}-1`
      const append = store.append([{ stream, events: events(2) }])
      yield* append
      yield* inTenant(Effect.zipRight(append, store.truncate(stream, { before: 2 })))
      yield* inTenant(Effect.zipRight(append, store.tombstone(stream)))
      equal(versionsOf(yield* readAll(store, { category, allTenants: true })), [1, 2, 2])
    }),
  "a subscription follows its tenant, or all of them": (store) =>
    Effect.gen(function*() {
      const category = `all${unique().replaceAll("-", "")}`
      const ready = yield* Deferred.make<void>()
      const own = yield* Effect.fork(collect(store.subscribe({ after: "earliest", category }).pipe(Stream.take(2))))
      const all = yield* Effect.fork(collect(
        store.subscribe({
          after: "earliest",
          category,
          allTenants: true,
          onCaughtUp: () => Deferred.succeed(ready, undefined)
        })
          .pipe(Stream.take(3))
      ))
      yield* Deferred.await(ready)
      const append = Effect.suspend(() => store.append([{ stream: `${category}-1`, events: events(1) }]))
      yield* append
      yield* inTenant(append)
      yield* append
      equal(versionsOf(yield* Fiber.join(own)), [1, 2])
      equal(versionsOf(yield* Fiber.join(all)), [1, 1, 2])
    }),
  "tenants that differ by case, normalization or spaces are tenants of their own": (store) =>
    Effect.gen(function*() {
      const base = unique()
      const names = ["x", "X", "x ", "e\u0301", "\u00e9", "\u{1f600}"].map((name) => `${base}${name}`)
      for (const tenant of names) {
        const { repeated } = yield* store.append([{ stream: "a-1", expected: 0, events: [event(tenant, { id: "e" })] }])
          .pipe(
            Correlation.locally({ tenant })
          )
        equal(repeated, false)
      }
      for (const tenant of names) {
        const all = yield* readAll(store).pipe(Correlation.locally({ tenant }))
        equal(all.map((raw) => raw.payload), [tenant])
      }
    })
})

/** Tries to change a value that belongs to somebody else; a frozen one refuses, which is as good. */
const tamper = (change: () => void): void => {
  try {
    change()
  } catch (error) {
    check(error instanceof TypeError, "neither changed nor frozen")
  }
}

export const immutabilitySection = section<Store>("immutability", {
  "changing what was appended changes nothing": (store) =>
    Effect.gen(function*() {
      const payload = { list: [1, 2], deep: { x: 1 } }
      const tags = ["t"]
      const headers = { h: "1" }
      const occurredAt = new Date(5_000)
      const given = { ...event(payload, { tags, occurredAt }), metadata: { headers } }
      const groups = [{ stream: "a-1", events: [given] }]
      yield* store.append(groups)
      const before = (yield* readAll(store)).map(plain)
      payload.list.push(3)
      payload.deep.x = 2
      tags.push("u")
      headers.h = "2"
      occurredAt.setTime(0)
      groups[0]!.events.push(given)
      equal((yield* readAll(store)).map(plain), before)
    }),
  "changing what was read changes nothing for the next reader, nor for the next event": (store) =>
    Effect.gen(function*() {
      yield* store.append([
        { stream: "a-1", events: [event({ list: [1] }, { tags: ["t"] }), event({ list: [1] }), event({ list: [1] })] }
      ]).pipe(
        Correlation.locally({
          correlationId: "c",
          headers: { h: "1" },
          trace: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` }
        })
      )
      const before = (yield* readAll(store)).map((raw) => structuredClone(plain(raw)))
      const seen: Array<unknown> = []
      yield* Stream.runForEach(store.readAll(), (raw) =>
        Effect.sync(() => {
          seen.push(structuredClone(plain(raw)))
          const mutable = raw as any
          tamper(() => mutable.payload.list.push(2))
          tamper(() => mutable.tags.push("u"))
          tamper(() => {
            mutable.metadata.correlationId = "other"
          })
          tamper(() => {
            mutable.metadata.headers.h = "2"
          })
          tamper(() => {
            mutable.metadata.trace.traceparent = "other"
          })
          tamper(() => {
            mutable.type = "other"
          })
          tamper(() => {
            mutable.recordedAt.epochMillis = 0
          })
        }))
      equal(seen, before)
      equal((yield* readAll(store)).map(plain), before)
    }),
  "changing what a hook or a subscriber saw changes nothing for the others": (store) =>
    Effect.gen(function*() {
      const tampering = (raw: { readonly payload: unknown; readonly tags: ReadonlyArray<string> }) =>
        Effect.sync(() => {
          tamper(() => (raw.payload as Array<number>).push(9))
          tamper(() => (raw.tags as Array<string>).push("u"))
        })
      const seen: Array<unknown> = []
      yield* store.onAppend((raws) => Effect.forEach(raws, tampering, { discard: true }))
      yield* store.onAppend((raws) => Effect.sync(() => seen.push(...raws.map((raw) => [raw.payload, raw.tags]))))
      yield* store.append([{ stream: "a-1", events: [event([1]), event([2], { tags: ["t"] })] }])
      equal(seen, [[[1], []], [[2], ["t"]]])
      yield* Stream.runForEach(store.subscribe({ after: "earliest" }).pipe(Stream.take(2)), tampering)
      equal((yield* readAll(store)).map((raw) => [raw.payload, raw.tags]), [[[1], []], [[2], ["t"]]])
    })
})
