/**
 * The circuit breakers of an application by name, so that all who call the same thing share one.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "./CircuitBreaker.ts"

/**
 * What a registry of breakers does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The breaker of a name; made when it is first asked for. */
  readonly get: (name: string) => Effect.Effect<CircuitBreaker.CircuitBreaker>
  /** Those that were asked for, by name. */
  readonly all: Effect.Effect<ReadonlyMap<string, CircuitBreaker.CircuitBreaker>>
}

/**
 * The circuit breakers of an application.
 *
 * @example
 * ```ts
 * import * as CircuitBreakers from "effect-skald/resilience/CircuitBreakers"
 * import { Effect } from "effect"
 *
 * declare const send: Effect.Effect<void, "unreachable">
 *
 * const program = send.pipe(
 *   CircuitBreakers.withBreaker("mail"),
 *   Effect.provide(CircuitBreakers.layer({ breakers: { mail: { openFor: "2 minutes" } } }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class CircuitBreakers
  extends Context.Tag("effect-skald/resilience/CircuitBreakers")<CircuitBreakers, Service>()
{}

/**
 * How the breakers of an application are made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** For names that `breakers` does not have, and for what it leaves out of those that it has. */
  readonly defaults?: CircuitBreaker.Options | undefined
  /** By name. */
  readonly breakers?: { readonly [name: string]: CircuitBreaker.Options } | undefined
}

/**
 * A registry of its own, whose breakers live as long as it does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service> =>
  Effect.sync(() => {
    const made = new Map<string, CircuitBreaker.CircuitBreaker>()
    const own = options.breakers ?? {}
    return {
      get: (name) =>
        Effect.suspend(() => {
          const known = made.get(name)
          if (known !== undefined) return Effect.succeed(known)
          return Effect.map(
            CircuitBreaker.make(name, { ...options.defaults, ...(Object.hasOwn(own, name) ? own[name] : {}) }),
            (breaker) => {
              // Another fiber may have been faster.
              const first = made.get(name)
              if (first !== undefined) return first
              made.set(name, breaker)
              return breaker
            }
          )
        }),
      all: Effect.sync(() => new Map(made))
    }
  })

/**
 * The registry for an application.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<CircuitBreakers> =>
  Layer.effect(CircuitBreakers, make(options))

/**
 * Runs an effect behind the breaker of a name.
 *
 * @example
 * ```ts
 * import * as CircuitBreakers from "effect-skald/resilience/CircuitBreakers"
 * import { Effect } from "effect"
 *
 * const answered = Effect.succeed("hello").pipe(CircuitBreakers.withBreaker("greeter"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const withBreaker: {
  (
    name: string
  ): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CircuitBreaker.CircuitOpen, R | CircuitBreakers>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    name: string
  ): Effect.Effect<A, E | CircuitBreaker.CircuitOpen, R | CircuitBreakers>
} = dual(
  2,
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    name: string
  ): Effect.Effect<A, E | CircuitBreaker.CircuitOpen, R | CircuitBreakers> =>
    Effect.flatMap(
      CircuitBreakers,
      (breakers) => Effect.flatMap(breakers.get(name), (breaker) => breaker.protect(self))
    )
)
