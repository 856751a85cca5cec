/**
 * What the fiber carries for the events it will record: which conversation they belong to, what caused them, who for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { dual } from "effect/Function"
import { globalValue } from "effect/GlobalValue"
import type { Metadata } from "./Envelope.ts"

/**
 * What a fiber carries. All of it is optional; what an event's own envelope says wins.
 *
 * @since 0.1.0
 * @category models
 */
export interface Correlation extends Metadata {
  /** The service that the events come from; `"/"` when none is named. */
  readonly source?: string
}

/**
 * A fiber that carries nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: Correlation = {}

/**
 * Where the fiber keeps it. Child fibers inherit it and give nothing back.
 *
 * @since 0.1.0
 * @category references
 */
export const currentCorrelation: FiberRef.FiberRef<Correlation> = globalValue(
  "effect-skald/event/Correlation",
  () => FiberRef.unsafeMake(empty, { join: (parent) => parent })
)

/**
 * What the fiber carries now.
 *
 * @since 0.1.0
 * @category getters
 */
export const current: Effect.Effect<Correlation> = FiberRef.get(currentCorrelation)

/**
 * Runs an effect whose events carry what is given, beside what the fiber carries already. Headers are merged.
 *
 * @example
 * ```ts
 * import * as Correlation from "effect-skald/event/Correlation"
 * import { Effect } from "effect"
 *
 * const asAlice = Effect.void.pipe(Correlation.locally({ actor: "alice", tenant: "acme" }))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const locally: {
  (correlation: Correlation): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, correlation: Correlation): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, correlation: Correlation): Effect.Effect<A, E, R> =>
    Effect.locallyWith(effect, currentCorrelation, (outer) => merge(outer, correlation))
)

/**
 * One correlation beside another; the second wins where both speak, and their headers are merged.
 *
 * @since 0.1.0
 * @category combinators
 */
export const merge: {
  (that: Correlation): (self: Correlation) => Correlation
  (self: Correlation, that: Correlation): Correlation
} = dual(
  2,
  (self: Correlation, that: Correlation): Correlation =>
    self.headers !== undefined && that.headers !== undefined
      ? { ...self, ...that, headers: { ...self.headers, ...that.headers } }
      : { ...self, ...that }
)

/**
 * What a handler of an event carries: the event's conversation, tenant and trace, with the event as the cause. The actor
 * and the headers are the event's own business and are not passed on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const following = (cause: {
  readonly id: string
  readonly metadata: Metadata
}): Correlation => {
  const { correlationId, tenant, trace } = cause.metadata
  const followed: { -readonly [K in keyof Correlation]: Correlation[K] } = {
    correlationId: correlationId ?? cause.id,
    causationId: cause.id
  }
  // not spread, since this is done for every event that is handled
  if (tenant !== undefined) followed.tenant = tenant
  if (trace !== undefined) followed.trace = trace
  return followed
}

/**
 * Runs a handler so that what it records is caused by the event it handles.
 *
 * @example
 * ```ts
 * import * as Correlation from "effect-skald/event/Correlation"
 * import { Effect } from "effect"
 *
 * const handled = Correlation.current.pipe(
 *   Correlation.causedBy({ id: "e-1", metadata: { correlationId: "c-1" } })
 * ) // { correlationId: "c-1", causationId: "e-1" }
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const causedBy: {
  (cause: {
    readonly id: string
    readonly metadata: Metadata
  }): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, cause: {
    readonly id: string
    readonly metadata: Metadata
  }): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, cause: {
    readonly id: string
    readonly metadata: Metadata
  }): Effect.Effect<A, E, R> => locally(effect, following(cause))
)
