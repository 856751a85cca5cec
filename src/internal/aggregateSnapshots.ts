import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Current } from "../cqrs/Aggregate.ts"
import * as Snapshot from "../store/Snapshot.ts"
import { SnapshotStore } from "../store/SnapshotStore.ts"

/** How things stand, and when they were last kept in a snapshot. */
export interface Loaded<S> extends Current<S> {
  readonly snapshotVersion: number
  readonly snapshotAt: DateTime.Utc | undefined
}

/**
 * Snapshots of a decider's states. None of this fails a command: a snapshot is only ever a short cut. Throws `NoJsonSchema`
 * for a state that cannot be fingerprinted.
 */
export const make = <S>(
  decider: { readonly name: string; readonly state: Schema.Schema<S, any>; readonly initial: S },
  policy: Snapshot.Policy,
  version: number
) => {
  const fingerprint = Either.getOrThrowWith(
    Snapshot.fingerprint(decider.name, version, decider.state),
    (error) => error
  )
  const text = Schema.parseJson(decider.state)
  const encode = Schema.encode(text)
  const decode = Schema.decode(text)
  return {
    load: (key: string): Effect.Effect<Option.Option<Loaded<S>>, never, SnapshotStore> =>
      Effect.flatMap(SnapshotStore, (store) => store.load(key, fingerprint)).pipe(
        Effect.flatMap(Option.match({
          onNone: () => Effect.succeedNone,
          onSome: (found) =>
            Effect.map(decode(found.state), (state) =>
              Option.some<Loaded<S>>({
                state,
                version: found.version,
                snapshotVersion: found.version,
                snapshotAt: found.savedAt
              }))
        })),
        Effect.catchAll((error) =>
          Effect.as(Effect.logWarning(`snapshot of ${key} could not be read: ${error.message}`), Option.none())
        )
      ),
    saveIfDue: (
      key: string,
      loaded: Loaded<S>
    ): Effect.Effect<Option.Option<Loaded<S>>, never, SnapshotStore> =>
      Effect.flatMap(DateTime.now, (now) => {
        const due = policy({
          version: loaded.version,
          sinceEvents: loaded.version - loaded.snapshotVersion,
          lastSavedAt: loaded.snapshotAt,
          now
        })
        if (!due) return Effect.succeedNone
        return Effect.flatMap(encode(loaded.state), (state) =>
          Effect.flatMap(SnapshotStore, (store) =>
            store.save({ key, fingerprint, version: loaded.version, state, savedAt: now }))).pipe(
            Effect.as(Option.some<Loaded<S>>({ ...loaded, snapshotVersion: loaded.version, snapshotAt: now })),
            Effect.catchAll((error) =>
              Effect.as(Effect.logWarning(`snapshot of ${key} could not be saved: ${error.message}`), Option.none())
            )
          )
      })
  }
}
