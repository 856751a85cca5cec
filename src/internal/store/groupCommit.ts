import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Driver from "../../store/Driver.ts"
import { StoreError } from "../../store/StoreError.ts"

/** How an append is answered. */
export type Answer = Driver.AppendResult | Driver.Refusal

/** One append on its way: on the list, then being written, then answered (or its appender has gone). */
export interface Entry<Prepared> {
  readonly prepared: Prepared
  state: "waiting" | "writing" | "ended"
  readonly settle: (answer: Answer) => void
  /** One who was interrupted and waits for the end. */
  onEnd: (() => void) | undefined
}

export const operation = "EventStore.append"

/** An append on the list; its caller is told what `settle` is given. */
export const entry = <Prepared>(
  prepared: Prepared,
  resume: (answer: Effect.Effect<Driver.AppendResult, Driver.Refusal>) => void
): Entry<Prepared> => ({
  prepared,
  state: "waiting",
  settle: (answer) => resume("_tag" in answer ? Effect.fail(answer) : Effect.succeed(answer)),
  onEnd: undefined
})

/** What appends are told that come too late. */
export const closed = Effect.suspend(() =>
  Effect.fail(new StoreError({ reason: "closed", operation, cause: new Error("the event store's scope has ended") }))
)

/** Whatever happens to a call, its appends are answered. */
export const asFailure = (cause: Cause.Cause<StoreError>): Effect.Effect<never, StoreError> => {
  const failure = Cause.failureOption(cause)
  return Effect.fail(
    failure._tag === "Some"
      ? failure.value
      : new StoreError({ reason: "unknown", operation, cause: Cause.squash(cause) })
  )
}

/** Answers those that have no answer yet. */
export const end = <Prepared>(
  entries: ReadonlyArray<Entry<Prepared>>,
  answer: (index: number) => Answer
): void => {
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!
    if (entry.state === "ended") continue
    entry.state = "ended"
    entry.settle(answer(index))
    entry.onEnd?.()
  }
}

/** Nothing of it was written: it waits again, if anybody still waits for it. */
export const again = <Prepared>(entry: Entry<Prepared>): boolean => {
  if (entry.onEnd === undefined) {
    entry.state = "waiting"
    return true
  }
  entry.state = "ended"
  entry.onEnd()
  return false
}

/** One whose turn has not come is passed over; what is being written is waited for. */
export const leave = <Prepared>(entry: Entry<Prepared>): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (entry.state === "waiting") entry.state = "ended"
    if (entry.state === "ended") resume(Effect.void)
    else entry.onEnd = () => resume(Effect.void)
  })
