import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import type { BusError } from "../../bus/BusError.ts"
import { rest } from "../realTime.ts"
import type { Outcomes } from "./outcomes.ts"

/** How often what was counted here is told to all. */
const every = "1 second"

/** After so many of them, what subscriptions that have ended were done with is forgotten. */
const forgetAfter = 3_600

/** Counts what this process's subscriptions are done with, and adds it to what others count, as long as the scope lasts. */
export const run = (
  tallies: Driver.Tallies,
  outcomes: Outcomes,
  subscriptions: Effect.Effect<ReadonlyArray<string>, BusError>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    let counted = new Map<string, { messages: number; failures: number }>()
    const count = (subscription: string, messages: number, failures: number): void => {
      const known = counted.get(subscription)
      if (known === undefined) counted.set(subscription, { messages, failures })
      else {
        known.messages += messages
        known.failures += failures
      }
    }
    const tell = Effect.suspend(() => {
      if (counted.size === 0) return Effect.void
      const told = Array.from(counted, ([subscription, counts]): Driver.Tally => ({ subscription, ...counts }))
      counted = new Map()
      // what cannot be told now is told the next time
      return Effect.ignore(Effect.onError(tallies.add(told), () =>
        Effect.sync(() => {
          for (const { failures, messages, subscription } of told) count(subscription, messages, failures)
        })))
    })
    yield* Effect.addFinalizer(() => Effect.timeoutOption(Effect.interruptible(tell), "2 seconds"))
    yield* outcomes.observe((outcome) => {
      if (outcome._tag === "done") return count(outcome.subscription, outcome.count, 0)
      for (const { subscription } of outcome.letters) count(subscription, 0, 1)
    })
    const forget = Effect.ignore(Effect.flatMap(subscriptions, tallies.keep))
    yield* Effect.forkScoped(
      Effect.forever(Effect.zipRight(forget, Effect.repeatN(Effect.zipRight(rest(every), tell), forgetAfter - 1)))
    )
  })
