import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What all consumers of one subscription of a bus share in this process, for as long as there is one of them. */
export interface PerSubscription<A> {
  /** The one that is there, or the one that is made now. */
  readonly share: (bus: object, name: string, make: Effect.Effect<A>) => Effect.Effect<A, never, Scope.Scope>
  /** Those of a bus, by the name of the subscription. */
  readonly of: (bus: object) => ReadonlyMap<string, A>
}

export const make = <A>(): PerSubscription<A> => {
  interface Entry {
    readonly value: A
    users: number
  }
  const buses = new WeakMap<object, Map<string, Entry>>()
  return {
    share: (bus, name, make) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.map(make, (made) => {
            const entries = buses.get(bus) ?? new Map<string, Entry>()
            buses.set(bus, entries)
            const entry = entries.get(name) ?? { value: made, users: 0 }
            entries.set(name, entry)
            entry.users++
            return entry
          }),
          (entry) =>
            Effect.sync(() => {
              const entries = buses.get(bus)!
              if (--entry.users === 0) entries.delete(name)
            })
        ),
        ({ value }) => value
      ),
    of: (bus) => {
      const entries = buses.get(bus) ?? new Map<string, Entry>()
      return new Map(Array.from(entries, ([name, { value }]) => [name, value]))
    }
  }
}
