import type * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import type { Claim, Encoded } from "../../resilience/Idempotency.ts"
import type { Fail } from "./idempotencyKey.ts"
import * as Mutex from "../mutex.ts"

/** A key that somebody runs, or whose result is kept, until an instant. */
const Record = Schema.parseJson(Schema.Struct({
  token: Schema.String,
  fingerprint: Schema.String,
  until: Schema.Number,
  result: Schema.optionalWith(Schema.String, { exact: true })
}))
type Record = typeof Record.Type

const decode = Schema.decode(Record)
const encode = Schema.encodeSync(Record)

/** Operations on one key follow one another; keys share this many locks. */
const locks = 64

/** By store, so that two services over one of them know of each other. */
const locksOf = new WeakMap<KeyValueStore.KeyValueStore, ReadonlyArray<Mutex.Mutex>>()

/** A key may be too long for the name of a file, which it is made with percent signs. */
const name = (key: string): string =>
  encodeURIComponent(key).length <= 180
    ? `idempotency/key/${key}`
    : `idempotency/hash/${createHash("sha256").update(key).digest("hex")}`

/** A driver over a store without compare-and-set: atomic among the fibers of this process. */
export const make = (store: KeyValueStore.KeyValueStore, fail: Fail): Effect.Effect<Encoded> =>
  Effect.sync(() => {
    const mutexes = locksOf.get(store) ?? Array.from({ length: locks }, Mutex.make)
    locksOf.set(store, mutexes)

    const alone = (key: string) => {
      let hash = 0
      for (let index = 0; index < key.length; index++) hash = (hash * 31 + key.charCodeAt(index)) >>> 0
      // What was begun on the store is brought to its end: a write that is cut off may be half done.
      const lock = mutexes[hash % locks]!.withLock
      return <A, E, R>(effect: Effect.Effect<A, E, R>) => lock(Effect.uninterruptible(effect))
    }

    const get = (key: string) =>
      Effect.gen(function*() {
        const found = yield* Effect.mapError(store.get(name(key)), (cause) => fail("store", key, cause))
        return Option.isNone(found)
          ? undefined
          : yield* Effect.mapError(decode(found.value), (cause) => fail("corrupt", key, cause))
      })
    const set = (key: string, record: Record) =>
      Effect.mapError(store.set(name(key), encode(record)), (cause) => fail("store", key, cause))
    const remove = (key: string) => Effect.mapError(store.remove(name(key)), (cause) => fail("store", key, cause))

    /** Holds a record that is a token's for longer, and gives it a result; the same result may come twice. */
    const hold = (key: string, token: string, time: number, result?: string) =>
      alone(key)(Effect.gen(function*() {
        const record = yield* get(key)
        if (record === undefined || record.token !== token) return false
        if (record.result !== undefined && record.result !== result) return false
        const until = (yield* Clock.currentTimeMillis) + time
        yield* set(key, { ...record, until, ...(result === undefined ? {} : { result }) })
        return true
      }))

    return {
      inTransaction: Effect.succeed(false),
      claim: ({ fingerprint, key, lease, takeOver, token }) =>
        alone(key)(Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const record = yield* get(key)
          if (record !== undefined && record.token !== token) {
            const { result } = record
            if (record.until > now) {
              return result === undefined
                ? { _tag: "Running", fingerprint: record.fingerprint } satisfies Claim
                : { _tag: "Done", fingerprint: record.fingerprint, result } satisfies Claim
            }
            if (result === undefined && !takeOver) return { _tag: "Abandoned" } satisfies Claim
          }
          yield* set(key, { token, fingerprint, until: now + lease })
          return { _tag: "Claimed" } satisfies Claim
        })),
      renew: hold,
      complete: (key, token, result, timeToLive) => hold(key, token, timeToLive, result),
      release: (key, token) =>
        alone(key)(Effect.gen(function*() {
          const record = yield* get(key)
          if (record !== undefined && record.token === token && record.result === undefined) yield* remove(key)
        })),
      forget: (key) =>
        alone(key)(Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const record = yield* get(key)
          if (record === undefined || (record.result === undefined && record.until > now)) return false
          yield* remove(key)
          return true
        }))
    }
  })
