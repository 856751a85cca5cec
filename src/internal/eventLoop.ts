import * as Effect from "effect/Effect"

/**
 * Lets timers, sockets and signals have their turn. Effect's own yield goes on in the same turn most of the time, and a store
 * in the process answers in it as well: a long loop over one would hold everything else up.
 */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})
