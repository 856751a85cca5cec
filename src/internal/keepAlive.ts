import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** A lease from the instant `since` on. Times are milliseconds. */
export interface Kept<E, R> {
  readonly since: number
  readonly ttl: number
  readonly renewEvery: number
  /** Whether it was still valid, and is so for another `ttl`. */
  readonly renew: Effect.Effect<boolean, E, R>
}

/**
 * Renews a lease, and ends when it is lost. What a store that fails for a while means is for the lease to say: a renewal that failed
 * is tried again, five times as often, until the time is over.
 */
export const untilLost = <E, R>({ renew, renewEvery, since, ttl }: Kept<E, R>): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    let until = since + ttl
    let pause = renewEvery
    while (true) {
      const before = yield* Clock.currentTimeMillis
      if (before >= until) return
      yield* Effect.sleep(Math.min(pause, until - before))
      const now = yield* Clock.currentTimeMillis
      if (now >= until) return
      const renewed = yield* Effect.option(Effect.timeout(renew, until - now))
      if (Option.isNone(renewed)) {
        pause = Math.max(1, renewEvery / 5)
      } else if (renewed.value) {
        until = now + ttl
        pause = renewEvery
      } else return
    }
  })
