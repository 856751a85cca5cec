/**
 * Where snapshots are kept: the state after a version, so that a read begins there and not at the first event.
 *
 * A snapshot is a cache. It may be lost or refused at any time without loss of anything but speed.
 *
 * @since 0.1.0
 */
import { Context, type DateTime, Effect, Layer, Option } from "effect"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, StreamVersion } from "../event/Position.ts"
import * as Faults from "../internal/faults.ts"
import type { Fingerprint } from "./Snapshot.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * A state as it was stored.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stored {
  /** Whose state: a stream or a projection. The tenant, where there is one, is part of it; the caller puts it in. */
  readonly key: string
  readonly fingerprint: Fingerprint
  /** The version (of a stream) or count that the state includes. */
  readonly version: StreamVersion
  /** The position in the log that the state includes, where it is one of the log. */
  readonly position?: Position | undefined
  /** The encoded state as JSON text. */
  readonly state: string
  readonly savedAt: DateTime.Utc
}

/**
 * What a snapshot store does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The newest snapshot of this key for this fingerprint; those of other fingerprints are as if they were not there. */
  readonly load: (
    key: string,
    fingerprint: Fingerprint
  ) => Effect.Effect<Option.Option<Stored>, StoreError | InvalidInput>
  /**
   * Keeps a snapshot and answers `true`, or leaves a newer one in place and answers `false`.
   *
   * Newer is the higher version, and with equal versions the higher position; one that is equal in both replaces the old
   * one. Inside a transaction of the driver's database it is part of that transaction.
   */
  readonly save: (snapshot: Stored) => Effect.Effect<boolean, StoreError | InvalidInput>
  /** Forgets the snapshots of a key, of every fingerprint. */
  readonly remove: (key: string) => Effect.Effect<void, StoreError | InvalidInput>
}

/**
 * Keeps snapshots.
 *
 * @example
 * ```ts
 * import * as Position from "effect-skald/event/Position"
 * import * as Snapshot from "effect-skald/store/Snapshot"
 * import { layerMemory, SnapshotStore } from "effect-skald/store/SnapshotStore"
 * import { DateTime, Effect, Either, Schema } from "effect"
 *
 * const fingerprint = Either.getOrThrow(Snapshot.fingerprint("account", 1, Schema.Number))
 *
 * export const program = Effect.gen(function*() {
 *   const snapshots = yield* SnapshotStore
 *   const savedAt = yield* DateTime.now
 *   const version = Position.StreamVersion.make(100)
 *   yield* snapshots.save({ key: "account-1", fingerprint, version, state: "42", savedAt })
 *   return yield* snapshots.load("account-1", fingerprint)
 * }).pipe(Effect.provide(layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class SnapshotStore extends Context.Tag("effect-skald/store/SnapshotStore")<SnapshotStore, Service>() {}

/**
 * What a driver of snapshots does; what it is given has been checked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  readonly load: (key: string, fingerprint: Fingerprint) => Effect.Effect<Option.Option<Stored>, StoreError>
  readonly save: (snapshot: Stored) => Effect.Effect<boolean, StoreError>
  readonly remove: (key: string) => Effect.Effect<void, StoreError>
}

/**
 * A snapshot store over a driver: every input is checked before the driver sees it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEncoded = (driver: Encoded): Service => ({
  load: (key, fingerprint) => Effect.zipRight(checked({ key, fingerprint }), driver.load(key, fingerprint)),
  save: (snapshot) => Effect.zipRight(checked(snapshot), driver.save(snapshot)),
  remove: (key) => Effect.zipRight(checked({ key }), driver.remove(key))
})

/** A fingerprint holds a name and a hash. */
const maxFingerprint = Faults.maxName + 100

const checked = (input: { readonly [field in keyof Stored]?: unknown }): Effect.Effect<void, InvalidInput> =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const check = (field: keyof Stored, problem: (value: unknown) => string | undefined) => {
      if (!(field in input)) return
      const found = problem(input[field])
      if (found !== undefined) faults.add(field, found)
    }
    check("key", (value) => Faults.nameProblem(value, maxKey))
    check("fingerprint", (value) => Faults.nameProblem(value, maxFingerprint))
    check("version", (value) => Faults.countProblem(value, 0))
    check("position", (value) => value === undefined ? undefined : Faults.countProblem(value, 0))
    check("state", (value) => typeof value === "string" ? undefined : `must be text, got ${Faults.show(value)}`)
    return Faults.orInvalid(faults, () => undefined)
  })

/**
 * The longest key, in UTF-16 code units: a tenant, a stream or a projection, and what tells them apart.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxKey: number = 2 * Faults.maxName + 32

/**
 * Whether one snapshot is older than another of the same key and fingerprint.
 *
 * @since 0.1.0
 * @category combinators
 */
export const isOlder = (self: Stored, that: Stored): boolean =>
  self.version < that.version || (self.version === that.version && (self.position ?? -1) < (that.position ?? -1))

/**
 * Snapshots in memory, as many as there are keys and fingerprints. Nothing survives the process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<SnapshotStore> = Layer.sync(SnapshotStore, () => {
  const byKey = new Map<string, Map<string, Stored>>()
  return makeEncoded({
    load: (key, fingerprint) => Effect.sync(() => Option.fromNullable(byKey.get(key)?.get(fingerprint))),
    save: (snapshot) =>
      Effect.sync(() => {
        let snapshots = byKey.get(snapshot.key)
        if (snapshots === undefined) byKey.set(snapshot.key, snapshots = new Map())
        const known = snapshots.get(snapshot.fingerprint)
        if (known !== undefined && isOlder(snapshot, known)) return false
        snapshots.set(snapshot.fingerprint, { ...snapshot })
        return true
      }),
    remove: (key) => Effect.sync(() => void byKey.delete(key))
  })
})
