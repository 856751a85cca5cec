/**
 * What becomes of a message whose handler failed: one verdict for each error that the handler can fail with.
 *
 * @since 0.1.0
 */
import type * as Schedule from "effect/Schedule"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"

/**
 * A verdict. `Retry` runs the handler again while the message stays where it is, `RetryLater` gives it back until its time
 * has come; each goes on to another verdict when its Schedule has ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = Retry | RetryLater | DeadLetter | Pause | Ignore | Inherit

/**
 * Runs the handler again in place. The message keeps its worker, and later messages of its key wait.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry {
  readonly _tag: "Retry"
  readonly schedule: Schedule.Schedule<unknown, any>
  readonly then: Verdict
}

/**
 * Gives the message back to the bus until its time has come. Its place in the Schedule is kept with it, so that it survives
 * a restart.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryLater {
  readonly _tag: "RetryLater"
  readonly schedule: Schedule.Schedule<unknown, any>
  readonly then: Verdict
  /** Whether later messages of its key are delivered in the meantime. */
  readonly overtake: boolean
}

/**
 * The message is put aside, with its error and its history.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeadLetter {
  readonly _tag: "DeadLetter"
}

/**
 * The message is given back, and the subscription takes no more until it is resumed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pause {
  readonly _tag: "Pause"
}

/**
 * The message is done with, as if its handler had succeeded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ignore {
  readonly _tag: "Ignore"
}

/**
 * What the bus does with failures that nobody said anything about: `BusPolicy.DefaultVerdict`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inherit {
  readonly _tag: "Inherit"
}

/**
 * Puts the message aside as a dead letter.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const deadLetter: Verdict = { _tag: "DeadLetter" }

/**
 * Gives the message back unhandled and pauses the subscription: for errors that the next message would meet as well.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const pause: Verdict = { _tag: "Pause" }

/**
 * Takes the message for handled.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const ignore: Verdict = { _tag: "Ignore" }

/**
 * Does what the bus does by default: `BusPolicy.DefaultVerdict`, {@link standard} unless a layer says otherwise. For the
 * whole of a policy, or for its end.
 *
 * @example
 * ```ts
 * import * as OnError from "effect-skald/bus/OnError"
 * import { Schedule } from "effect"
 *
 * const eager = OnError.retry(Schedule.recurs(3), OnError.inherit)
 * ```
 *
 * @since 0.1.0
 * @category verdicts
 */
export const inherit: Verdict = { _tag: "Inherit" }

/**
 * Runs the handler again at the times of a Schedule, and goes on to another verdict when it has ended. A Schedule of n
 * recurrences runs the handler n times more: n + 1 attempts in all.
 *
 * @example
 * ```ts
 * import * as OnError from "effect-skald/bus/OnError"
 * import { Schedule } from "effect"
 *
 * const patient = OnError.retry(
 *   Schedule.recurs(3),
 *   OnError.retryLater(Schedule.spaced("1 minute").pipe(Schedule.upTo("1 day")), OnError.deadLetter)
 * )
 * ```
 *
 * @since 0.1.0
 * @category verdicts
 */
export const retry = (schedule: Schedule.Schedule<any, any>, then: Verdict): Verdict => ({
  _tag: "Retry",
  schedule,
  then
})

/**
 * Gives the message back until the Schedule says, and goes on to another verdict when it has ended. The Schedule may look
 * at the time, not at the errors: those are not kept.
 *
 * Later messages of its key wait for it, unless `overtake` lets them pass.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const retryLater = (
  schedule: Schedule.Schedule<any, any>,
  then: Verdict,
  options?: { readonly overtake?: boolean | undefined }
): Verdict => ({ _tag: "RetryLater", schedule, then, overtake: options?.overtake ?? false })

/**
 * What a bus does with a failure that nobody said anything about: `RetryPolicy.standard` in place, then a dead letter.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const standard: Verdict = retry(RetryPolicy.standard, deadLetter)

type Key<E> = E extends { readonly _tag: infer T extends string } ? (string extends T ? "orElse" : T) : "orElse"

/**
 * One verdict for each error of a handler: by its tag, and `orElse` where the handler can fail with something that has
 * none. A missing verdict does not type-check, and neither does one for an error that cannot occur.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdicts<E> = unknown extends E ? { readonly [tag: string]: Verdict }
  : [E] extends [never] ? { readonly [tag: string]: never }
  : { readonly [K in Key<E>]: Verdict }

/**
 * The verdict on an error: that of its tag, else `orElse`, else `otherwise`.
 *
 * @since 0.1.0
 * @category getters
 */
export const verdictOn = (
  verdicts: { readonly [tag: string]: Verdict } | undefined,
  error: unknown,
  otherwise: Verdict
): Verdict => {
  if (verdicts === undefined) return otherwise
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    if (Object.hasOwn(verdicts, error._tag)) return verdicts[error._tag]!
  }
  return Object.hasOwn(verdicts, "orElse") ? verdicts["orElse"]! : otherwise
}
