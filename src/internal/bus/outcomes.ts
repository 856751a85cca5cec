import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import type { DeadLetterStore } from "../../bus/DeadLetterStore.ts"
import type { Outcome } from "../../bus/EventBus.ts"
import * as AtOnce from "./atOnce.ts"

type Observer = (outcome: Outcome) => void

/** Who observes what becomes of messages; it costs next to nothing while nobody does. */
export interface Outcomes {
  readonly observe: (observer: Observer) => Effect.Effect<void, never, Scope.Scope>
  readonly counting: (subscription: string, consumer: Driver.Consumer) => Driver.Consumer
  readonly telling: (put: DeadLetterStore["put"]) => DeadLetterStore["put"]
}

export const make = (): Outcomes => {
  // each in a holder of its own, so that one that observes twice is two
  const observers = new Set<{ readonly tell: Observer }>()
  const tell: Observer = (outcome) => {
    for (const observer of observers) observer.tell(outcome)
  }
  return {
    observe: (observer) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => {
          const holder = { tell: observer }
          observers.add(holder)
          return holder
        }),
        (holder) => Effect.sync(() => observers.delete(holder))
      )),
    counting: (subscription, { pull, settle }) => {
      const told = (settlements: ReadonlyArray<Driver.Settlement>): void => {
        let count = 0
        for (const { _tag } of settlements) if (_tag === "done") count++
        if (count > 0) tell({ _tag: "done", subscription, count })
      }
      const counted = (settlements: ReadonlyArray<Driver.Settlement>) =>
        observers.size === 0 ? settle(settlements) : Effect.map(settle(settlements), () => told(settlements))
      const now = AtOnce.of(settle)
      return {
        pull,
        settle: now === undefined ? counted : AtOnce.also(counted, (settlements, fiber) => {
          const settled = now(settlements, fiber)
          if (observers.size > 0 && Either.isRight(settled)) told(settlements)
          return settled
        })
      }
    },
    telling: (put) => (letters) => Effect.map(put(letters), () => tell({ _tag: "dead", letters }))
  }
}
