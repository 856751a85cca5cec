/**
 * What is known of a projection that runs, and how it is to run.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { Position } from "../event/Position.ts"
import type { ProjectionStopped } from "./ProjectionStopped.ts"

/**
 * Stands in a Layer's type for a projection that runs.
 *
 * @since 0.1.0
 * @category services
 */
export interface Running<in out Name extends string> {
  readonly _: unique symbol
  readonly name: Name
}

/**
 * A projection that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handle<out S> {
  /** The state at the position that it has come to. */
  readonly state: Effect.Effect<S>
  /** The position that it has come to. */
  readonly position: Effect.Effect<Position>
  /** Waits until it has come to a position, that of an append for example; fails when it stopped before. */
  readonly awaitPosition: (position: number) => Effect.Effect<void, ProjectionStopped>
  /** Waits for it to stop. */
  readonly stopped: Effect.Effect<never, ProjectionStopped>
}

/**
 * How a projection runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions {
  /**
   * When what failed is tried again, from where the projection is; never when not given. It begins anew with every chunk that
   * was projected, and the projection stops when it ends. An event that cannot be read, a checkpoint that somebody else moved
   * and a defect stop it at once: trying again would not help.
   */
  readonly retry?: Schedule.Schedule<unknown> | undefined
  /**
   * After how many events the state is kept, beside each time it has caught up; {@link defaultSaveEvery} when not given. What is
   * not kept yet is projected again after a crash, to the same state.
   */
  readonly saveEvery?: number | undefined
  /**
   * What becomes of an event that fails for good, `retry` included:
   *
   * - `"stop"`, when nothing is said: the projection stops before it;
   * - `"park"`: the event is put aside in `ParkedEvents`, and with it every later event of its stream, so that none is given out
   *   of order; the other streams go on. An event that cannot be read, and one whose handler dies, is parked without another
   *   try. What is no event's fault (a store that cannot be reached, a checkpoint that was moved) parks nothing.
   */
  readonly onFailure?: "stop" | "park" | undefined
}

/**
 * After how many events the state of a projection is kept.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultSaveEvery = 1000

/**
 * What a projection came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface CaughtUp<out S> {
  readonly state: S
  readonly position: Position
  /** How many events were projected now. */
  readonly projected: number
}
