import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { BusError } from "../../bus/BusError.ts"
import type { DeadLetter, Failure, Reason } from "../../bus/DeadLetter.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import type { Service } from "../../bus/EventBus.ts"
import type { Meter } from "./meter.ts"
import * as Retry from "./retry.ts"

/** Who is told of a letter once it was put aside, in this order. */
type Told = ReadonlyArray<((letter: DeadLetter) => Effect.Effect<void, unknown>) | undefined>

/** Why a message is put aside. */
export interface Why {
  readonly reason: Reason
  readonly error: Failure
  /** The error with its whole cause; what it says when there is no more. */
  readonly cause?: string
}

/** Puts messages of one subscription aside, and only then lets them go. While one cannot be put aside, it stays where it is. */
export const make = (
  bus: Service,
  subscription: string,
  reconnect: Schedule.Schedule<unknown, BusError>,
  meter: Meter,
  told: Told
) => {
  const tell = (letter: DeadLetter): Effect.Effect<void> =>
    Effect.forEach(told, (listener) =>
      listener === undefined
        ? Effect.void
        : Effect.suspend(() => listener(letter)).pipe(
          Effect.catchAllCause((why) => Effect.logError(`onDeadLetter of "${subscription}" failed`, why))
        ), { discard: true })
  return (
    { message, receipt }: Driver.Delivered,
    { cause, error, reason }: Why,
    state: Retry.State,
    attempts: number
  ): Effect.Effect<Driver.Settlement> => {
    const letter: DeadLetter = {
      subscription,
      message,
      reason,
      error,
      cause: cause ?? error.message,
      attempts,
      history: state.history,
      reprocessed: state.reprocessed,
      at: error.at,
      ...Retry.triedOf(state)
    }
    return Effect.matchEffect(Effect.retry(bus.putAside([letter]), reconnect), {
      onSuccess: () => {
        meter.dead(error.at)
        return Effect.as(tell(letter), { _tag: "done", receipt } as const)
      },
      onFailure: () => Effect.succeed({ _tag: "return", receipt, counted: false } as const)
    })
  }
}
