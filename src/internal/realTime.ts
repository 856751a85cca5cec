import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const clock = Clock.make()

/** Of the clock of a simulated world: the clock of the time outside, whose sleeps end with that world. */
export const outside = new WeakMap<Clock.Clock, Clock.Clock>()

/**
 * Rests by the time of the world, whatever clock the fiber has: between looks at what other processes do. Their time is not that
 * of a test's clock, which may be moved by months at once.
 */
export const rest = (duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.clockWith((own) => Effect.withClock(Effect.sleep(duration), outside.get(own) ?? clock))
