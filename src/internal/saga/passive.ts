import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Alarms } from "./alarms.ts"
import type { Fleet } from "./fleet.ts"
import type { Runner } from "./runner.ts"
import { stateOf } from "./view.ts"

/**
 * Lets sagas go that only wait: their fibers are interrupted as by a stop, and what stays is when to look again. Those that
 * were taken over are let go as soon as their replay has come to where they wait, the others after a while.
 */
export const make = (fleet: Fleet, alarms: Alarms, after: number): Effect.Effect<void, never, Scope.Scope> => {
  const clock = Context.get(fleet.options.services, Clock.Clock)
  /** Since when each seems to do nothing, the longest first. */
  const idle = new Map<Runner, number>()
  const urgent = new Set<Runner>()
  const latch = Effect.unsafeMakeLatch(false)

  fleet.onQuiet = (runner) => {
    if (runner.closed || runner.state.ended !== undefined || after === Infinity) return
    if (fleet.fresh.has(runner)) urgent.add(runner)
    idle.delete(runner)
    idle.set(runner, clock.unsafeCurrentTimeMillis())
    if (urgent.size > 0 || idle.size === 1) latch.unsafeOpen()
  }
  fleet.onEnded = (runner) => {
    idle.delete(runner)
    urgent.delete(runner)
  }

  const park = (runner: Runner): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!parkable(runner)) return Effect.void
      const { version } = runner.state
      return Effect.map(runner.quiet.ask, (answer) => {
        const soon = clock.unsafeCurrentTimeMillis() + after
        if (answer === undefined || answer.due <= soon) return
        if (!parkable(runner) || runner.quiet.mark !== answer.mark || runner.state.version !== version) return
        const key = fleet.keyOf(runner)
        if (fleet.runners.get(key) !== runner) return
        idle.delete(runner)
        urgent.delete(runner)
        fleet.parked.set(key, { due: answer.due, version, state: stateOf(runner.state) })
        fleet.letGo(key, runner)
        if (answer.due !== Infinity) alarms.set(key, answer.due)
      })
    })

  const look: Effect.Effect<void> = Effect.suspend(() => {
    for (const runner of urgent) {
      urgent.delete(runner)
      return park(runner)
    }
    for (const [runner, since] of idle) {
      const left = since + after - clock.unsafeCurrentTimeMillis()
      if (left > 0) {
        latch.unsafeClose()
        // Of what is new only those are looked at at once that were just taken over.
        return Effect.raceFirst(
          clock.sleep(Duration.millis(Math.min(left, 86_400_000))),
          Effect.repeat(latch.await, { until: () => fresh() })
        )
      }
      idle.delete(runner)
      if (!runner.closed && runner.writer.busy) idle.set(runner, clock.unsafeCurrentTimeMillis())
      return park(runner)
    }
    latch.unsafeClose()
    return latch.await
  })
  const fresh = (): boolean => {
    if (urgent.size > 0) return true
    latch.unsafeClose()
    return false
  }

  return Effect.asVoid(Effect.forkScoped(Effect.interruptible(Effect.forever(look))))
}

/** Whether nothing of it is on its way. */
const parkable = (runner: Runner): boolean =>
  !runner.closed && runner.state.ended === undefined && !runner.writer.busy && runner.wanted === undefined &&
  (runner.replay.unclaimed().length === 0 || runner.isStuck(""))
