/**
 * The dead letters of a bus: looked through, mended, delivered again, removed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/deadLetters.ts"
import type { BusError } from "./BusError.ts"
import type { DeadLetter, Key, Reason } from "./DeadLetter.ts"
import { EventBus } from "./EventBus.ts"

/**
 * How many dead letters are worked on at a time. It is a page, never a limit: all are processed.
 *
 * @since 0.1.0
 * @category constants
 */
export const batchSize = 100

/**
 * How long {@link layerExpiry} keeps dead letters when nothing is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultKeep: Duration.Duration = Duration.days(7)

/**
 * How often {@link layerExpiry} looks for those that are too old.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultExpiryEvery: Duration.Duration = Duration.hours(1)

/**
 * Which dead letters: those that meet all that is given; `{}` for all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter {
  readonly subscription?: string | undefined
  readonly reasons?: ReadonlyArray<Reason> | undefined
  /** Tags of events. */
  readonly types?: ReadonlyArray<string> | undefined
  /** Ids of messages. */
  readonly ids?: ReadonlyArray<string> | undefined
  /** Put aside at this instant or later. */
  readonly since?: DateTime.DateTime.Input | undefined
  /** Put aside before this instant. */
  readonly until?: DateTime.DateTime.Input | undefined
  /** What automatic retries have decided: nothing yet, that it waits for its time, or that it has failed for good. */
  readonly retry?: "undecided" | "waiting" | "failed" | undefined
}

/**
 * How far the work on many dead letters has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** How many there were at the beginning. */
  readonly total: number
  readonly done: number
  /** How many were left where they are: what was no message is not delivered, and others may have been faster. */
  readonly left: number
}

/**
 * How many dead letters there are, and of which kinds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  readonly total: number
  /** Those that automatic retries have given up. */
  readonly permanentlyFailed: number
  readonly byReason: { readonly [reason: string]: number }
  readonly byType: { readonly [type: string]: number }
  readonly bySubscription: { readonly [subscription: string]: number }
}

/**
 * What can be done with dead letters.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly get: (key: Key) => Effect.Effect<Option.Option<DeadLetter>, BusError>
  /** In the order in which they were put aside. */
  readonly list: (filter: Filter) => Stream.Stream<DeadLetter, BusError | InvalidInput>
  readonly statistics: (filter: Filter) => Effect.Effect<Statistics, BusError | InvalidInput>
  /**
   * Delivers to its own subscription alone, under its own id: its attempts are counted anew, its history goes on, its time to
   * live is over and done with. Answers how many. What was no message stays where it is.
   *
   * A letter is delivered before it is removed: a crash between the two leaves both, and loses neither. Those that were there
   * at the beginning are delivered, however many; one that is put aside again meanwhile is not delivered twice.
   */
  readonly reprocess: (filter: Filter) => Effect.Effect<number, BusError | InvalidInput>
  /** {@link Service.reprocess}, telling after each batch how far it is. It goes on as far as the stream is drawn. */
  readonly reprocessing: (filter: Filter) => Stream.Stream<Progress, BusError | InvalidInput>
  /** Mends the payload, a JSON value. Answers whether there was such a letter. */
  readonly edit: (key: Key, payload: unknown) => Effect.Effect<boolean, BusError | InvalidInput>
  /** Answers how many. */
  readonly remove: (filter: Filter) => Effect.Effect<number, BusError | InvalidInput>
  /** {@link Service.remove}, telling after each batch how far it is. */
  readonly removing: (filter: Filter) => Stream.Stream<Progress, BusError | InvalidInput>
  /** Removes those that were put aside longer ago than this. Answers how many. */
  readonly purge: (age: Duration.DurationInput) => Effect.Effect<number, BusError | InvalidInput>
}

/**
 * The dead letters of the application's bus.
 *
 * @since 0.1.0
 * @category services
 */
export class DeadLetters extends Context.Tag("effect-skald/bus/DeadLetters")<DeadLetters, Service>() {}

/**
 * The dead letters of the bus beneath.
 *
 * @example
 * ```ts
 * import * as DeadLetters from "effect-skald/bus/DeadLetters"
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const letters = yield* DeadLetters.DeadLetters
 *   yield* letters.reprocess({ subscription: "mail", reasons: ["exhausted"] })
 * }).pipe(Effect.provide(Layer.provideMerge(DeadLetters.layer, EventBus.layerMemory)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<DeadLetters, never, EventBus> = Layer.effect(
  DeadLetters,
  Effect.flatMap(EventBus, (bus) => Internal.of(bus, batchSize))
)

/**
 * How the expiry of dead letters runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExpiryOptions {
  /** How long a letter is kept since it was put aside; {@link defaultKeep} when not given. */
  readonly keep?: Duration.DurationInput | undefined
  /** How often those that are too old are looked for; {@link defaultExpiryEvery} when not given. */
  readonly every?: Duration.DurationInput | undefined
}

/**
 * Removes dead letters by age, at once and then again and again, for as long as the layer lives. What cannot be removed for the
 * moment is logged and removed the next time. Several processes may do it.
 *
 * @example
 * ```ts
 * import * as DeadLetters from "effect-skald/bus/DeadLetters"
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import { Layer } from "effect"
 *
 * const Letters = DeadLetters.layerExpiry({ keep: "30 days" }).pipe(
 *   Layer.provideMerge(DeadLetters.layer),
 *   Layer.provideMerge(EventBus.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerExpiry = (options: ExpiryOptions = {}): Layer.Layer<never, InvalidInput, DeadLetters> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const letters = yield* DeadLetters
    const purge = Effect.catchTag(
      letters.purge(options.keep ?? defaultKeep),
      "BusError",
      (error) => Effect.logWarning("dead letters that are too old could not be removed", error)
    )
    // options that cannot be used are said at once
    yield* purge
    const every = options.every ?? defaultExpiryEvery
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(Effect.sleep(every), purge))))
  }))
