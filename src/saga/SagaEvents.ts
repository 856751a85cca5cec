/**
 * What becomes of sagas, told on the bus: for other programs, which do not read the journals.
 *
 * It is an outbox over the journals: an event is published once it is journaled, in the order of the log, at least once and under
 * its own id; of several processes one publishes, with a checkpoint.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import * as Outbox from "../bus/Outbox.ts"
import type * as Event from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as Journal from "./SagaJournal.ts"

/**
 * The events that are told when nothing is said: those that tell by themselves which saga they are of. What its steps did, and
 * gave, stays in the journal.
 *
 * @since 0.1.0
 * @category constants
 */
export const milestones = [
  Journal.Started,
  Journal.Decided,
  Journal.InterventionNeeded,
  Journal.OperatorActed,
  Journal.DeadlinePassed,
  Journal.Ended
] as const

/**
 * The name of the outbox, when none is given.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultName = "saga-events"

/**
 * Which events are told, and how.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> extends Omit<Outbox.Options<R>, "events" | "types" | "category" | "key"> {
  /** {@link defaultName} when not given. */
  readonly name?: string | undefined
  /** {@link milestones} when not given. */
  readonly events?: ReadonlyArray<Event.Any> | undefined
}

/**
 * Publishes events of the sagas' journals for as long as the layer lives, those of one saga under one key. The first time it
 * begins with the first of them, unless `start` says otherwise.
 *
 * The events carry what the saga was given, and what it came to: where the bus reaches further than the journals may, choose
 * `events`, or take what they say into events of your own.
 *
 * @example
 * ```ts
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import * as Memory from "effect-skald/Memory"
 * import * as SagaEvents from "effect-skald/saga/SagaEvents"
 * import * as SagaJournal from "effect-skald/saga/SagaJournal"
 * import { Effect, Layer } from "effect"
 *
 * const Mail = Subscription.layer("mail-when-stuck", {
 *   events: [SagaJournal.InterventionNeeded],
 *   handler: ({ id, reason, saga }) => Effect.log(`${saga} ${id} needs a person: ${reason}`)
 * })
 *
 * const App = Layer.merge(Mail, SagaEvents.layer()).pipe(Layer.provideMerge(Memory.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(
  options: Options<R> = {}
): Layer.Layer<never, StoreError | InvalidInput, Outbox.Services | R> => {
  const { events = milestones, name = defaultName, ...rest } = options
  return Outbox.layer(name, { ...rest, events, category: Journal.Sagas.name })
}
