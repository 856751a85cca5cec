import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { gunzipSync, gzipSync } from "node:zlib"
import * as EventId from "../../../event/EventId.ts"
import * as MessagePack from "../../../event/MessagePack.ts"
import * as PayloadFormat from "../../../event/PayloadFormat.ts"
import type { Capability, Driver } from "../../../store/Driver.ts"
import * as PayloadTransform from "../../../store/PayloadTransform.ts"
import { makeEncoded } from "../../../store/EventStore.ts"
import {
  collect,
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
  unchanged
} from "./case.ts"
import { kept, roundTrip } from "./payloads.ts"

const bytesOf = (payload: PayloadFormat.Serialized) => typeof payload === "string" ? Buffer.from(payload) : payload

const gzip: PayloadTransform.Transform = {
  name: "gzip",
  encode: (items) => Effect.sync(() => items.map((item) => gzipSync(item.payload))),
  decode: (items) => Effect.sync(() => items.map((item) => gunzipSync(item.payload)))
}

/** Encrypts with a key for each tenant and another nonce each time, so that equal payloads are never stored equal. */
const encrypting = (keys: Map<string, Buffer>): PayloadTransform.Transform => {
  const keyOf = (tenant: string): Buffer => {
    const key = keys.get(tenant) ?? randomBytes(32)
    keys.set(tenant, key)
    return key
  }
  return {
    name: "aes",
    encode: (items) =>
      Effect.sync(() =>
        items.map(({ payload, tenant }) => {
          const nonce = randomBytes(12)
          const cipher = createCipheriv("aes-256-gcm", keyOf(tenant), nonce)
          const text = Buffer.concat([cipher.update(bytesOf(payload)), cipher.final()])
          return Buffer.concat([nonce, cipher.getAuthTag(), text])
        })
      ),
    decode: (items) =>
      Effect.try(() =>
        items.map(({ payload, tenant }) => {
          const bytes = Buffer.from(bytesOf(payload))
          const decipher = createDecipheriv("aes-256-gcm", keyOf(tenant), bytes.subarray(0, 12))
          decipher.setAuthTag(bytes.subarray(12, 28))
          return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])
        })
      )
  }
}

interface Settings {
  readonly format?: PayloadFormat.Formats | undefined
  readonly transform?: PayloadTransform.Transform | undefined
  readonly ids?: EventId.Generator | undefined
}

/** A store over a driver's log, with formats, a transform and ids of its own. */
const storeOver = (driver: Driver<Capability>, settings: Settings = {}): Effect.Effect<Store> =>
  makeEncoded(driver).pipe(
    Effect.provideService(PayloadFormat.PayloadFormat, settings.format ?? PayloadFormat.formats(PayloadFormat.json)),
    Effect.provideService(PayloadTransform.PayloadTransform, settings.transform),
    Effect.provideService(EventId.EventIds, settings.ids ?? EventId.uuid7)
  )

const messagePack = PayloadFormat.formats(MessagePack.format)

/** A store with some settings, as a case of its own for what must not depend on them. */
const withSettings =
  (settings: () => Settings, run: (store: Store) => Effect.Effect<unknown, unknown, Scope.Scope>) =>
  (driver: Driver<Capability>) => Effect.flatMap(storeOver(driver, settings()), run)

const roundTrips = (store: Store) =>
  Effect.forEach(Object.values(kept), (payload) => inTenant(roundTrip(store)(payload)))

const repeats = (store: Store) =>
  Effect.gen(function*() {
    const given = event({ secret: "s3cret", list: [1, 2] }, { id: "e-1" })
    yield* store.append([{ stream: "s-1", events: [given] }])
    equal((yield* unchanged(store, store.append([{ stream: "s-1", events: [given] }]))).repeated, true)
    yield* refusedUnchanged(
      store,
      store.append([{ stream: "s-1", events: [{ ...given, payload: { secret: "other", list: [1, 2] } }] }]),
      "DuplicateEvent",
      { reason: "differs" }
    )
  })

/** These need several stores over one log, and are run where the suite is given the driver itself. */
export const formatSection = section<Driver<Capability>>("formats and transforms", {
  "MessagePack keeps every payload": withSettings(() => ({ format: messagePack }), roundTrips),
  "gzip keeps every payload": withSettings(() => ({ transform: gzip }), roundTrips),
  "encryption keeps every payload": withSettings(() => ({ transform: encrypting(new Map()) }), roundTrips),
  "MessagePack, encrypted, keeps every payload": withSettings(
    () => ({ format: messagePack, transform: encrypting(new Map()) }),
    roundTrips
  ),
  "repeats are known in MessagePack": withSettings(() => ({ format: messagePack }), repeats),
  "repeats are known however they are encrypted": withSettings(() => ({ transform: encrypting(new Map()) }), repeats),
  "one log holds payloads of several formats and transforms": (driver) =>
    Effect.gen(function*() {
      const keys = new Map<string, Buffer>()
      const all: ReadonlyArray<Settings> = [
        {},
        { format: messagePack },
        { transform: encrypting(keys) },
        { format: messagePack, transform: encrypting(keys) },
        { format: PayloadFormat.formats(PayloadFormat.json, MessagePack.format) }
      ]
      for (const [n, settings] of all.entries()) {
        const store = yield* storeOver(driver, settings)
        yield* store.append([{ stream: "s-1", events: [event({ n, text: "\u{1f600}" })] }])
      }
      const reader = yield* storeOver(driver, { format: messagePack, transform: encrypting(keys) })
      const expected = all.map((_, n) => ({ n, text: "\u{1f600}" }))
      equal((yield* read(reader, "s-1")).map((raw) => raw.payload), expected)
      equal((yield* readAll(reader, { backwards: true })).map((raw) => raw.payload), expected.toReversed())
    }),
  "a repeat is known whatever format it is sent in": (driver) =>
    Effect.gen(function*() {
      const given = event({ a: 1, b: [1.5, "x"] })
      const append = (settings: Settings) =>
        Effect.flatMap(storeOver(driver, settings), (store) => store.append([{ stream: "s-1", events: [given] }]))
      yield* append({})
      equal((yield* append({ format: messagePack })).repeated, true)
      equal((yield* append({ transform: gzip })).repeated, true)
    }),
  "a payload of a format or transform that the reader does not know is a typed failure": (driver) =>
    Effect.gen(function*() {
      const plain = yield* storeOver(driver)
      const other = { ...PayloadFormat.json, name: "other" }
      yield* (yield* storeOver(driver, { format: PayloadFormat.formats(other) })).append([{
        stream: "s-1",
        events: events(1)
      }])
      yield* refused(read(plain, "s-1"), "StoreError", { reason: "corrupt" })
      yield* (yield* storeOver(driver, { transform: gzip })).append([{ stream: "t-1", events: events(1) }])
      yield* refused(read(plain, "t-1"), "StoreError", { reason: "corrupt" })
      yield* refused(readAll(plain), "StoreError", { reason: "corrupt" })
      yield* refused(collect(plain.subscribe({ after: "earliest" })), "StoreError", { reason: "corrupt" })
    }),
  "a transform that fails to encode fails the append, and nothing is written": (driver) =>
    Effect.gen(function*() {
      const failing = { ...gzip, encode: () => Effect.fail("no key") }
      const store = yield* storeOver(driver, { transform: failing })
      yield* refusedUnchanged(store, store.append([{ stream: "s-1", events: events(2) }]), "StoreError", {
        reason: "unknown"
      })
      equal(yield* store.streamState("s-1"), { _tag: "missing" })
    }),
  "a transform that loses a payload fails the append": (driver) =>
    Effect.gen(function*() {
      const losing = { ...gzip, encode: () => Effect.succeed(["one"]) }
      const store = yield* storeOver(driver, { transform: losing })
      yield* refusedUnchanged(store, store.append([{ stream: "s-1", events: events(2) }]), "StoreError", {
        reason: "unknown"
      })
    }),
  "a transform that fails to decode fails the read, and no append": (driver) =>
    Effect.gen(function*() {
      const store = yield* storeOver(driver, { transform: { ...gzip, decode: () => Effect.fail("no key") } })
      yield* store.append([{ stream: "s-1", events: events(2) }])
      yield* refused(read(store, "s-1"), "StoreError", { reason: "unknown" })
      const able = yield* storeOver(driver, { transform: gzip })
      equal((yield* read(able, "s-1")).length, 2)
    }),
  "a payload that was tampered with is a typed failure": (driver) =>
    Effect.gen(function*() {
      const keys = new Map<string, Buffer>()
      yield* (yield* storeOver(driver, { transform: encrypting(keys) })).append([{ stream: "s-1", events: events(1) }])
      for (const tenant of keys.keys()) keys.set(tenant, randomBytes(32))
      yield* refused(read(yield* storeOver(driver, { transform: encrypting(keys) }), "s-1"), "StoreError")
    }),
  "hooks see payloads as they were before the transform": (driver) =>
    Effect.gen(function*() {
      const store = yield* storeOver(driver, { transform: encrypting(new Map()) })
      const seen: Array<unknown> = []
      yield* store.onAppend((raws) => Effect.sync(() => seen.push(...raws.map((raw) => raw.payload))))
      yield* store.append([{ stream: "s-1", events: [event({ a: 1 }), event([2])] }])
      equal(seen, [{ a: 1 }, [2]])
    }),
  "the transform is told of each payload whose it is": (driver) =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      const note: PayloadTransform.Transform["encode"] = (items) =>
        Effect.sync(() => {
          told.push(...items.map(({ id, stream, tenant, type }) => [tenant !== "", stream, type, id]))
          return items.map((item) => item.payload)
        })
      const store = yield* storeOver(driver, { transform: { name: "note", encode: note, decode: note } })
      yield* store.append([{ stream: "s-1", events: [event(1, { id: "e-1" })] }, {
        stream: "t-1",
        events: [event(2, { id: "e-2", type: "B" })]
      }])
      const expected = [[true, "s-1", "A", "e-1"], [true, "t-1", "B", "e-2"]]
      equal(told.splice(0), expected)
      yield* readAll(store)
      equal(told, expected)
    }),
  "ids come from the generator of the store": (driver) =>
    Effect.gen(function*() {
      let count = 0
      const store = yield* storeOver(driver, { ids: () => `event-${++count}` })
      const { events: appended } = yield* store.append([{
        stream: "s-1",
        events: [{ type: "A", payload: 1 }, event(2, { id: "own" })]
      }])
      equal(appended.map(({ id }) => id), ["event-1", "own"])
    }),
  "beyond the driver's limits an append is refused before anything is written": (driver) =>
    Effect.gen(function*() {
      const { events: most, payload, streams } = driver.limits
      const store = yield* storeOver({ ...driver, limits: { events: 10, streams: 3, payload: 100 } })
      equal([most >= 10_000, streams >= 200, payload >= 1_048_576], [true, true, true])
      const eleven = Array.from({ length: 11 }, () => event())
      yield* refusedUnchanged(store, store.append([{ stream: "a-1", events: eleven }]), "TooLarge", {
        what: "events",
        limit: 10,
        actual: 11
      })
      yield* refusedUnchanged(
        store,
        store.append(["a-1", "b-1", "c-1", "d-1"].map((stream) => ({ stream, events: [event()] }))),
        "TooLarge",
        { what: "streams", limit: 3, actual: 4 }
      )
      yield* refusedUnchanged(
        store,
        store.append([{ stream: "a-1", events: [event(), event("\u00e9".repeat(50))] }]),
        "TooLarge",
        { what: "payload", limit: 100, actual: 102 }
      )
      yield* store.append([{ stream: "a-1", events: [event("x".repeat(98)), ...eleven.slice(2)] }])
    }),
  "a payload is measured as it is stored": (driver) =>
    Effect.gen(function*() {
      const growing = {
        ...gzip,
        encode: (items: ReadonlyArray<PayloadTransform.Item>) => Effect.succeed(items.map(() => new Uint8Array(500)))
      }
      const store = yield* storeOver({ ...driver, limits: { ...driver.limits, payload: 100 } }, { transform: growing })
      yield* refusedUnchanged(store, store.append([{ stream: "a-1", events: [event("x")] }]), "TooLarge", {
        what: "payload"
      })
    })
})
