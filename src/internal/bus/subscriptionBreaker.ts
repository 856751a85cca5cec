import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as CircuitBreaker from "../../resilience/CircuitBreaker.ts"
import type { Gate } from "./consumer.ts"
import * as PerSubscription from "./perSubscription.ts"

const breakers = PerSubscription.make<CircuitBreaker.CircuitBreaker>()

/** The breaker of a subscription: one for all its consumers in this process, as the first of them describes it. */
export const of = (bus: object, name: string, options: CircuitBreaker.Options) =>
  breakers.share(bus, name, CircuitBreaker.make(name, options))

/** A breaker as the door that a consumer takes its messages through. */
export const gateOf = (breaker: CircuitBreaker.CircuitBreaker): Gate => ({
  admitting: breaker.admitting,
  isShut: Effect.map(breaker.state, ({ _tag }) => _tag === "Open"),
  shutting: Stream.filter(breaker.changes, ({ to }) => to === "Open")
})

/** Runs a handler behind a breaker; `undefined` where it was refused, and has not been run. */
export const attempt = <R>(
  breaker: CircuitBreaker.CircuitBreaker,
  handler: Effect.Effect<void, unknown, R>
): Effect.Effect<Exit.Exit<void, unknown> | undefined, never, R> =>
  Effect.suspend(() => {
    let begun = false
    const watched = Effect.suspend(() => {
      begun = true
      return handler
    })
    return Effect.map(Effect.exit(breaker.protect(watched)), (exit) =>
      // A handler may fail with the refusal of a breaker of its own.
      !begun && Exit.isFailure(exit) && Cause.isFailType(exit.cause) ? undefined : exit)
  })
