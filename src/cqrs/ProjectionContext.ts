/**
 * What a projection's handler may ask of the run it is part of: whether it may act on the world, and which model it writes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

/**
 * Whether what is done for an event may reach the world outside: mails, payments, messages. Off while a rebuild or a replay
 * goes through events that were acted on before; on otherwise.
 *
 * @since 0.1.0
 * @category references
 */
export class SideEffects extends Context.Reference<SideEffects>()("effect-skald/cqrs/ProjectionContext/SideEffects", {
  defaultValue: (): boolean => true
}) {}

/**
 * Runs an effect where side effects are on, and answers nothing where they are off.
 *
 * @example
 * ```ts
 * import * as Projection from "effect-skald/cqrs/Projection"
 * import * as ProjectionContext from "effect-skald/cqrs/ProjectionContext"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Placed = Event.make("Placed", { total: Schema.Number })
 *
 * const Mails = Projection.handler("mails", {
 *   events: [Placed],
 *   // a rebuild writes no second mail
 *   handle: Projection.each((event) => ProjectionContext.sideEffect(Effect.log(`mail about ${event.total}`)))
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const sideEffect = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
  Effect.flatMap(SideEffects, (on) => on ? Effect.asSome(effect) : Effect.succeedNone)

/**
 * Runs an effect without side effects.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withoutSideEffects = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, SideEffects, false) as Effect.Effect<A, E, R>

/**
 * Which model a handler writes: 0 for the first one, and one more with every rebuild. A handler that names its tables by it
 * can be rebuilt beside the model that answers; see `ProjectionRebuild`.
 *
 * @since 0.1.0
 * @category references
 */
export class Generation extends Context.Reference<Generation>()("effect-skald/cqrs/ProjectionContext/Generation", {
  defaultValue: (): number => 0
}) {}
