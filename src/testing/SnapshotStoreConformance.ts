/**
 * What every driver of snapshots must do, as a suite of tests.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, FastCheck as fc, type Layer, Option } from "effect"
import { Position, StreamVersion } from "../event/Position.ts"
import { forAll } from "../internal/testing/forAll.ts"
import { Fingerprint } from "../store/Snapshot.ts"
import * as SnapshotStore from "../store/SnapshotStore.ts"

/**
 * Options of {@link suite}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The driver; each test builds it anew and expects it empty. */
  readonly layer: Layer.Layer<SnapshotStore.SnapshotStore, unknown>
  /** Random runs of the model test; 100 by default. */
  readonly numRuns?: number | undefined
}

const current = Fingerprint.make("account/2/aa")
const stale = Fingerprint.make("account/1/bb")

/** A snapshot whose state says what it is of, so that a mix-up shows. */
const snapshot = (
  version: number,
  options: { readonly key?: string; readonly fingerprint?: Fingerprint; readonly position?: number } = {}
): SnapshotStore.Stored => {
  const key = options.key ?? "account-1"
  const fingerprint = options.fingerprint ?? current
  return {
    key,
    fingerprint,
    version: StreamVersion.make(version),
    ...(options.position === undefined ? {} : { position: Position.make(options.position) }),
    state: JSON.stringify({ key, fingerprint, version, position: options.position ?? null }),
    savedAt: DateTime.unsafeMake(1_000 * version)
  }
}

type Act =
  | { readonly act: "save"; readonly snapshot: SnapshotStore.Stored }
  | { readonly act: "remove"; readonly key: string }

const keys = ["account-1", "account-2", "Account-1"]
const fingerprints = [current, stale]

const acts: fc.Arbitrary<ReadonlyArray<Act>> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(
        fc.constantFrom(...keys),
        fc.constantFrom(...fingerprints),
        fc.nat(4),
        fc.option(fc.nat(3), { nil: undefined })
      ).map(([key, fingerprint, version, position]): Act => ({
        act: "save",
        snapshot: snapshot(version, { key, fingerprint, ...(position === undefined ? {} : { position }) })
      }))
    },
    { weight: 1, arbitrary: fc.constantFrom(...keys).map((key): Act => ({ act: "remove", key })) }
  ),
  { maxLength: 30 }
)

/**
 * Registers the suite with vitest.
 *
 * @example
 * ```ts
 * import { layerMemory } from "effect-skald/store/SnapshotStore"
 * import * as SnapshotStoreConformance from "effect-skald/testing/SnapshotStoreConformance"
 *
 * SnapshotStoreConformance.suite("memory", { layer: layerMemory })
 * ```
 *
 * @since 0.1.0
 * @category suites
 */
export const suite = (name: string, options: Options): void => {
  const test = (title: string, body: Effect.Effect<void, unknown, SnapshotStore.SnapshotStore>) =>
    it.effect(title, () => Effect.provide(body, options.layer))

  describe(`SnapshotStore conformance: ${name}`, () => {
    test(
      "what was saved is loaded, field by field",
      Effect.gen(function*() {
        const store = yield* SnapshotStore.SnapshotStore
        const plain = snapshot(3)
        const placed = {
          ...snapshot(7, { key: "account-2", position: Number.MAX_SAFE_INTEGER }),
          state: JSON.stringify({ text: "a\u0000b 𝄞 \"'; DROP TABLE --", nested: [null, true, 1.5, -0, 1e300] })
        }
        assert.isTrue(Option.isNone(yield* store.load(plain.key, current)))
        assert.isTrue(yield* store.save(plain))
        assert.isTrue(yield* store.save(placed))
        for (const saved of [plain, placed]) {
          const loaded = Option.getOrThrow(yield* store.load(saved.key, current))
          assert.deepStrictEqual({ ...loaded, savedAt: loaded.savedAt.epochMillis }, {
            ...saved,
            savedAt: saved.savedAt.epochMillis
          })
        }
      })
    )

    test(
      "a snapshot of another fingerprint is never read, and lives beside",
      Effect.gen(function*() {
        const store = yield* SnapshotStore.SnapshotStore
        yield* store.save(snapshot(9, { fingerprint: stale }))
        assert.isTrue(Option.isNone(yield* store.load("account-1", current)))
        assert.isTrue(yield* store.save(snapshot(2)))
        assert.strictEqual(Option.getOrThrow(yield* store.load("account-1", current)).version, 2)
        assert.strictEqual(Option.getOrThrow(yield* store.load("account-1", stale)).version, 9)
      })
    )

    test(
      "an older one never replaces a newer one, in whatever order they come",
      Effect.gen(function*() {
        const store = yield* SnapshotStore.SnapshotStore
        yield* Effect.forEach([3, 9, 1, 8, 5, 9, 2], (version) => store.save(snapshot(version)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(Option.getOrThrow(yield* store.load("account-1", current)).version, 9)
        assert.isFalse(yield* store.save(snapshot(8)))
        assert.isTrue(yield* store.save(snapshot(10)))
      })
    )

    test(
      "a large state comes back whole",
      Effect.gen(function*() {
        const store = yield* SnapshotStore.SnapshotStore
        const large = { ...snapshot(1), state: JSON.stringify("ü".repeat(2_000_000)) }
        yield* store.save(large)
        assert.strictEqual(Option.getOrThrow(yield* store.load("account-1", current)).state === large.state, true)
      })
    )

    test(
      "refuses what cannot be a snapshot, naming every fault",
      Effect.gen(function*() {
        const store = yield* SnapshotStore.SnapshotStore
        const bad = { ...snapshot(1), key: "", version: -1, position: 0.5, state: 7 } as unknown as SnapshotStore.Stored
        const error = yield* Effect.flip(store.save(bad))
        assert.strictEqual(error._tag, "InvalidInput")
        if (error._tag === "InvalidInput") {
          assert.deepStrictEqual(error.faults.map((fault) => fault.path), ["key", "version", "position", "state"])
        }
        assert.strictEqual((yield* Effect.flip(store.load("a\nb", current)))._tag, "InvalidInput")
        assert.strictEqual((yield* Effect.flip(store.remove("\ud800")))._tag, "InvalidInput")
      })
    )

    test(
      "any sequence of saves and removals ends as the model says",
      Effect.gen(function*() {
        const store = yield* SnapshotStore.SnapshotStore
        yield* forAll(acts, (acts) =>
          Effect.gen(function*() {
            yield* Effect.forEach(keys, store.remove)
            const model = new Map<string, SnapshotStore.Stored>()
            for (const act of acts) {
              if (act.act === "remove") {
                yield* store.remove(act.key)
                for (const fingerprint of fingerprints) model.delete(`${act.key} ${fingerprint}`)
              } else {
                const slot = `${act.snapshot.key} ${act.snapshot.fingerprint}`
                const known = model.get(slot)
                const newest = known === undefined || known.version < act.snapshot.version ||
                  (known.version === act.snapshot.version &&
                    (known.position ?? -1) <= (act.snapshot.position ?? -1))
                assert.strictEqual(yield* store.save(act.snapshot), newest)
                if (newest) model.set(slot, act.snapshot)
              }
            }
            for (const key of keys) {
              for (const fingerprint of fingerprints) {
                const loaded = yield* store.load(key, fingerprint)
                assert.strictEqual(Option.getOrUndefined(loaded)?.state, model.get(`${key} ${fingerprint}`)?.state)
              }
            }
          }), { numRuns: options.numRuns ?? 100 })
      })
    )
  })
}
