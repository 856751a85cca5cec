import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import type * as Projection from "../../cqrs/ProjectionDefinition.ts"
import * as Correlation from "../../event/Correlation.ts"
import type { Raw } from "../../event/Envelope.ts"
import { CheckpointStore } from "../../store/CheckpointStore.ts"
import * as Snapshot from "../../store/Snapshot.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"
import { tenantKey } from "../store/tenantKey.ts"

/** Where a projection keeps how far it has come, and under what conditions. */
export interface Site {
  /** Counts the rebuilds that were swapped in; 0 for a projection that never was rebuilt. */
  readonly generation: number
  /** Tells the parts of a sharded projection apart; empty for one that is not. */
  readonly shard: string
  /** Which events are its own; all when not given. */
  readonly takes?: ((raw: Raw) => boolean) | undefined
  /** Runs first in the transaction of each commit. */
  readonly fence?: Effect.Effect<unknown, unknown, any> | undefined
  /** Whether a handler keeps its position each time it has caught up. */
  readonly keepsPosition?: boolean | undefined
}

/** The name of a projection for its tenant, unless it is of all tenants. */
const nameOf = (self: Projection.Any): Effect.Effect<string> =>
  Effect.map(
    Correlation.current,
    ({ tenant }) => tenantKey(self.allTenants ? undefined : tenant, `projection/${self.name}`)
  )

const suffixOf = ({ generation, shard }: Pick<Site, "generation" | "shard">): string =>
  (generation === 0 ? "" : `#${generation}`) + (shard === "" ? "" : `/${shard}`)

/** The key of its snapshots; their fingerprint holds the version. */
export const snapshotKey = (self: Projection.Any, site: Pick<Site, "generation" | "shard">): Effect.Effect<string> =>
  Effect.map(nameOf(self), (name) => name + suffixOf(site))

/** The name of its checkpoint, and of what it has put aside. */
export const checkpointName = (self: Projection.Any, site: Pick<Site, "generation" | "shard">): Effect.Effect<string> =>
  Effect.map(nameOf(self), (name) => `${name}@${self.version}${suffixOf(site)}`)

/** The name of what tells which generation answers. */
export const generationName = (self: Projection.Any): Effect.Effect<string> =>
  Effect.map(
    nameOf(self),
    (name) => self._tag === "State" ? `${name}/generation` : `${name}@${self.version}/generation`
  )

/** The name of what tells in how many parts a handler is kept. */
export const shardsName = (self: Projection.Any): Effect.Effect<string> =>
  Effect.map(checkpointName(self, { generation: 0, shard: "" }), (name) => `${name}/shards`)

/** Derived from the JSON Schema of the state: kept, since a projection may be run many times. */
const fingerprints = new WeakMap<object, Snapshot.Fingerprint>()

export const fingerprintOf = (self: Projection.Projection<string, any, any>): Snapshot.Fingerprint => {
  const known = fingerprints.get(self)
  if (known !== undefined) return known
  const fingerprint = Either.getOrThrow(Snapshot.fingerprint(self.name, self.version, self.state))
  fingerprints.set(self, fingerprint)
  return fingerprint
}

/** The generation that answers. */
export const generation = (self: Projection.Any): Effect.Effect<number, unknown, any> =>
  Effect.flatMap(generationName(self), (name): Effect.Effect<number, unknown, any> =>
    self._tag === "State"
      ? Effect.flatMap(
        SnapshotStore,
        (snapshots) =>
          Effect.map(
            snapshots.load(name, fingerprintOf(self)),
            Option.match({ onNone: () => 0, onSome: ({ version }) => version })
          )
      )
      : Effect.flatMap(
        CheckpointStore,
        (checkpoints) => Effect.map(checkpoints.get(name), Option.getOrElse(() => 0))
      ))

/** Where a projection that is neither rebuilt now nor sharded keeps how far it has come. */
export const live = (self: Projection.Any): Effect.Effect<Site, unknown, any> =>
  Effect.map(generation(self), (generation) => ({ generation, shard: "" }))

/** A rebuilt model answers now, and this one is not written any more. */
export class Superseded {
  readonly _tag = "Superseded"
}

/** Who in this process is to be told that a rebuilt model was swapped in, by the store that says so. */
const watching = globalValue(
  "effect-skald/cqrs/Projection/watching",
  () => new WeakMap<object, Set<() => void>>()
)

const storeOf = (self: Projection.Any): Effect.Effect<object, never, any> =>
  self._tag === "State" ? SnapshotStore : CheckpointStore

/** Tells those of this process that a model was swapped in. */
export const tellSwapped = (self: Projection.Any): Effect.Effect<void, never, any> =>
  Effect.map(storeOf(self), (store) => {
    for (const wake of watching.get(store) ?? []) wake()
  })

/** Waits until somebody of this process has swapped a model in, of whatever projection. */
export const awaitSwapped = (self: Projection.Any): Effect.Effect<void, never, any> =>
  Effect.flatMap(storeOf(self), (store) =>
    Effect.async<void>((resume) => {
      let waiting = watching.get(store)
      if (waiting === undefined) watching.set(store, waiting = new Set())
      const wake = () => {
        waiting.delete(wake)
        resume(Effect.void)
      }
      waiting.add(wake)
      return Effect.sync(() => waiting.delete(wake))
    }))
