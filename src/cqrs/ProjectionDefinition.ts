/**
 * What a projection is: which events it is of, and what it makes of them. `Projection` builds and runs them.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Pipeable } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import type { Raw, Recorded } from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import type * as EventCodec from "../event/EventCodec.ts"

/**
 * Which events a projection is of.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<out E> {
  readonly name: string
  /** Changed when the projection means something else: what an older version kept is then not used. */
  readonly version: number
  /** The tags it asks the store for; `undefined` for every event. */
  readonly types: ReadonlyArray<string> | undefined
  /** Schema of its events; `undefined` where they are raw. */
  readonly events: Schema.Schema<any, any> | undefined
  readonly category: string | undefined
  /** Every tenant's events, or those of the fiber's tenant. */
  readonly allTenants: boolean
  readonly decodeAll: (raws: ReadonlyArray<Raw>) => EventCodec.Decoded<E>
}

/**
 * A projection into a value: pure, kept whole as one Schema'd value together with the position it has come to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Projection<out Name extends string, in out S, in out E> extends Source<E>, Pipeable {
  readonly _tag: "State"
  readonly name: Name
  readonly state: Schema.Schema<S, any>
  readonly initial: S
  /** The state after an event. It must not change what it is given. */
  readonly apply: (state: S, event: E, recorded: Recorded<E>) => S
}

/**
 * A projection into something of the user's, SQL tables above all: an effect for each chunk of events, committed together
 * with the checkpoint where the store has transactions.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handler<out Name extends string, in out E, out Err = never, out R = never>
  extends Source<E>, Pipeable
{
  readonly _tag: "Handler"
  readonly name: Name
  readonly handle: (events: ReadonlyArray<Recorded<E>>) => Effect.Effect<void, Err, R>
}

/**
 * Any projection.
 *
 * @since 0.1.0
 * @category models
 */
export type Any = Projection<string, any, any> | Handler<string, any, any, any>

/**
 * Which events, and under what name and version.
 *
 * @since 0.1.0
 * @category models
 */
export interface SourceOptions<Es extends ReadonlyArray<Event.Any>> {
  /** 1 when not given. */
  readonly version?: number | undefined
  readonly events: Event.UniqueTags<Es>
  readonly category?: string | undefined
  readonly allTenants?: boolean | undefined
}

/**
 * Which events, whatever their type, and under what name and version.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawOptions {
  /** 1 when not given. */
  readonly version?: number | undefined
  readonly category?: string | undefined
  readonly allTenants?: boolean | undefined
}
