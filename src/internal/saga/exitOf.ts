import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** What an Effect comes to, where that needs no fiber to find out. */
export const exitOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? effect as Exit.Exit<A, E> : undefined
