import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Current } from "../../cqrs/Aggregate.ts"
import type { Position } from "../../event/Position.ts"
import * as Snapshot from "../../store/Snapshot.ts"
import { SnapshotStore } from "../../store/SnapshotStore.ts"

/** How things stand, by which event they came to stand so, and when they were last kept in a snapshot. */
export interface Loaded<S> extends Current<S> {
  /**
   * The id and the position of the last event in it. A state that was kept is used where this very event stands at its
   * version; otherwise it is of another history: a transaction that was rolled back, a store restored from a copy.
   */
  readonly last: { readonly id: string; readonly position: Position } | undefined
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
  const text = Schema.parseJson(Schema.Struct({ event: Schema.String, state: decider.state }))
  const encode = Schema.encode(text)
  const decode = Schema.decode(text)

  const load = (key: string): Effect.Effect<Option.Option<Loaded<S>>, unknown, SnapshotStore> =>
    Effect.flatMap(
      Effect.flatMap(SnapshotStore, (store) => store.load(key, fingerprint)),
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: ({ position, savedAt, state, version }) =>
          position === undefined ? Effect.succeedNone : Effect.map(decode(state), (read) =>
            Option.some<Loaded<S>>({
              state: read.state,
              version,
              last: { id: read.event, position },
              snapshotVersion: version,
              snapshotAt: savedAt
            }))
      })
    )

  const saveIfDue = (key: string, loaded: Loaded<S>): Effect.Effect<Option.Option<Loaded<S>>, unknown, SnapshotStore> =>
    Effect.flatMap(DateTime.now, (now) => {
      const { last, snapshotAt, snapshotVersion, state, version } = loaded
      if (last === undefined) return Effect.succeedNone
      const sinceEvents = version - snapshotVersion
      if (!policy({ version, sinceEvents, lastSavedAt: snapshotAt, now })) return Effect.succeedNone
      return Effect.flatMap(
        encode({ event: last.id, state }),
        (state) =>
          Effect.flatMap(
            SnapshotStore,
            (store) => store.save({ key, fingerprint, version, position: last.position, state, savedAt: now })
          )
      ).pipe(
        Effect.as(Option.some<Loaded<S>>({ ...loaded, snapshotVersion: version, snapshotAt: now }))
      )
    })

  return {
    load: (key: string) => orNone(Effect.suspend(() => load(key)), `snapshot of ${key} could not be read`),
    saveIfDue: (key: string, loaded: Loaded<S>) =>
      orNone(saveIfDue(key, loaded), `snapshot of ${key} could not be saved`)
  }
}

/** Also where a policy or a Schema throws. */
const orNone = <A, R>(
  effect: Effect.Effect<Option.Option<A>, unknown, R>,
  warning: string
): Effect.Effect<Option.Option<A>, never, R> =>
  Effect.catchAllCause(effect, (cause) =>
    Cause.isInterruptedOnly(cause)
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.as(Effect.logWarning(warning, cause), Option.none()))
