import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Service as Placement } from "../../saga/Placement.ts"
import type { NewTimer, Service as Timers } from "../../saga/Timers.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as RealTime from "../realTime.ts"

/** A timer's id: the key of its saga, or, where that is too long for one, what begins and ends it. */
const idOf = (key: string): string => key.length <= 500 ? key : `${key.slice(0, 200)}…${key.slice(-290)}`

/**
 * The durable timers that bring parked sagas back. What is true is the instant in the journal: a timer that is lost is set anew
 * by whoever has the saga next, and one too many is a look at a saga that has nothing to do.
 */
export interface Alarms {
  /** When a saga is to be looked at; where that was said before, the last counts. */
  readonly set: (key: string, due: number) => void
  readonly cancel: (key: string) => void
  /** Hears the alarms of a shard. */
  readonly serve: (shard: number, hear: (key: string) => void) => Effect.Effect<void, InvalidInput, Scope.Scope>
}

/** How many timers are set at once, at most. */
const most = 500

export const make = (timers: Timers, placement: Placement): Effect.Effect<Alarms, never, Scope.Scope> =>
  Effect.gen(function*() {
    const namespaceOf = (shard: number): string => `skald-sagas/${placement.shards}/${shard}`
    /** What was said and is not with the timers yet; without an instant where it is taken back. */
    const said = new Map<string, number | undefined>()
    const latch = Effect.unsafeMakeLatch(false)

    const write = (part: ReadonlyArray<readonly [string, number | undefined]>) => {
      const set: Array<NewTimer> = []
      const cancelled = new Map<string, Array<string>>()
      for (const [key, at] of part) {
        const namespace = namespaceOf(placement.shardOf(key))
        if (at !== undefined) set.push({ namespace, id: idOf(key), at, payload: key })
        else cancelled.set(namespace, [...cancelled.get(namespace) ?? [], idOf(key)])
      }
      return Effect.zipRight(
        set.length === 0 ? Effect.void : timers.setAll(set),
        Effect.forEach(cancelled, ([namespace, ids]) => timers.cancelAll(namespace, ids), { discard: true })
      )
    }

    const flush: Effect.Effect<void, StoreError | InvalidInput> = Effect.suspend(() => {
      if (said.size === 0) {
        latch.unsafeClose()
        return latch.await
      }
      const part = Array.from(said).slice(0, most)
      for (const [key] of part) said.delete(key)
      return Effect.tapErrorCause(write(part), () =>
        Effect.sync(() => {
          for (const [key, at] of part) if (!said.has(key)) said.set(key, at)
        }))
    })

    yield* Effect.forever(Effect.catchAllCause(flush, (cause) =>
      Effect.zipRight(
        Effect.logWarning("timers of sagas could not be set, and are tried again", cause),
        RealTime.rest("1 second")
      ))).pipe(Effect.interruptible, Effect.forkScoped)

    const say = (key: string, at: number | undefined): void => {
      said.set(key, at)
      latch.unsafeOpen()
    }
    return {
      set: (key, due) => say(key, due),
      cancel: (key) => say(key, undefined),
      serve: (shard, hear) =>
        timers.serve(namespaceOf(shard), (due) =>
          Effect.sync(() => {
            for (const { payload } of due) hear(payload)
          }))
    }
  })
