/**
 * The bus: what one part of a system tells the others. Messages are published, and each subscription gets its own copy.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Metadata } from "../event/Envelope.ts"
import type { InvalidEvent, InvalidInput } from "../event/InvalidInput.ts"
import * as Internal from "../internal/bus/eventBus.ts"
import * as Memory from "../internal/bus/memoryBus.ts"
import type { BusError, MessageTooLarge } from "./BusError.ts"
import type * as Driver from "./BusDriver.ts"
import type { DeadLetter } from "./DeadLetter.ts"
import type { DeadLetterStore } from "./DeadLetterStore.ts"
import type { Priority } from "./Message.ts"

/**
 * How a message is to be delivered, on any driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Messages of one key are handled one after the other by each subscription, in the order in which they were published. */
  readonly key?: string | undefined
  /** Counted from now: after it the message is not delivered but becomes a dead letter, `expired`. */
  readonly ttl?: Duration.DurationInput | undefined
  /** How often a handler runs again at most, in place or later, where its subscription's policy allows more. */
  readonly retries?: number | undefined
  /** Free headers beside those that `Correlation` carries. */
  readonly headers?: { readonly [name: string]: string } | undefined
}

/**
 * How a message is to be delivered, on a driver that keeps messages until their time.
 *
 * @since 0.1.0
 * @category models
 */
export interface DelayOptions {
  /** Not delivered before so long from now. */
  readonly delay?: Duration.DurationInput | undefined
  /** Not delivered before an instant. Not together with `delay`. */
  readonly at?: DateTime.DateTime.Input | undefined
}

/**
 * How a message is to be delivered, on a driver that knows priorities.
 *
 * @since 0.1.0
 * @category models
 */
export interface PriorityOptions {
  /** 0 to 9, or by name; 4 (`normal`) when not given. A higher one is delivered first. */
  readonly priority?: Priority | undefined
}

/**
 * A message to be published, its payload encoded.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewMessage extends Options, DelayOptions, PriorityOptions {
  /** 1 to 128 UTF-16 code units; a UUID v7 when not given. */
  readonly id?: string | undefined
  /** The tag of the event. */
  readonly type: string
  /** What wildcards match; the type when not given. */
  readonly subject?: string | undefined
  readonly schemaVersion?: number | undefined
  /** A JSON value. */
  readonly payload: unknown
  readonly occurredAt?: DateTime.DateTime.Input | undefined
  readonly source?: string | undefined
  readonly metadata?: Metadata | undefined
}

/**
 * What is known of a message that was published.
 *
 * @since 0.1.0
 * @category models
 */
export interface Receipt {
  readonly id: string
  /** The instant from which it may be delivered. */
  readonly readyAt: DateTime.Utc
}

/**
 * Why a message could not be published. Of one call all messages are published, or none.
 *
 * @since 0.1.0
 * @category errors
 */
export type PublishError = InvalidEvent | MessageTooLarge | BusError

/**
 * What became of messages: `done` counts those that a subscription was done with, put aside or not; `dead` are those that were
 * put aside, before they are counted as done.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  | { readonly _tag: "done"; readonly subscription: string; readonly count: number }
  | { readonly _tag: "dead"; readonly letters: ReadonlyArray<DeadLetter> }

/**
 * What a bus does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service<out C extends Driver.Capability = never> {
  readonly driver: string
  readonly capabilities: ReadonlySet<Driver.Capability>
  /** The most that it takes. */
  readonly limits: Driver.Limits
  /** Ends when the bus has taken all of them for good, as far as its driver's capabilities go. */
  readonly publish: (
    messages: ReadonlyArray<NewMessage>
  ) => Effect.Effect<ReadonlyArray<Receipt>, PublishError>
  /** Withdraws a message that is still waiting for its time. Only of use on a driver with `delay`. */
  readonly cancel: (id: string) => Effect.Effect<"cancelled" | "tooLate", BusError | InvalidInput>
  /** What waits for a subscription; fails with `InvalidInput` for a name that the bus does not know. */
  readonly depth: (subscription: string) => Effect.Effect<Driver.Depth, BusError | InvalidInput>
  /** The names of the subscriptions that the bus knows, those of other processes included, sorted. */
  readonly subscriptions: Effect.Effect<ReadonlyArray<string>, BusError>
  /** For those who build on deliveries themselves; `Subscription` is what most want. */
  readonly consume: (group: Driver.Group) => Effect.Effect<Driver.Consumer, BusError | InvalidInput, Scope.Scope>
  /** Delivers messages to one subscription alone, as they are: reprocessing. */
  readonly redeliver: Driver.Driver["redeliver"]
  /** Where dead letters are kept; `DeadLetters` is what most want. */
  readonly deadLetters: DeadLetterStore
  /** Puts letters aside, for those who build on deliveries themselves, and tells those who observe. */
  readonly putAside: DeadLetterStore["put"]
  /**
   * Tells of each message that the subscriptions of this process are done with, for as long as the scope is open. What
   * observes must be quick and must not throw.
   */
  readonly onOutcome: (observer: (outcome: Outcome) => void) => Effect.Effect<void, never, Scope.Scope>
  /** What the subscriptions of all processes were done with, a second old at most; `undefined` on a bus of one process. */
  readonly tallies: Effect.Effect<ReadonlyArray<Driver.Tally>, BusError> | undefined
  /** Never there: what the driver can do is part of the service's type. */
  readonly _capability?: C
}

/**
 * The bus of an application.
 *
 * @since 0.1.0
 * @category services
 */
export class EventBus extends Context.Tag("effect-skald/bus/EventBus")<EventBus, Service>() {}

/**
 * Stands in a Layer's type for something that its driver can do. See {@link capable}.
 *
 * @since 0.1.0
 * @category services
 */
export interface Capable<in out C extends Driver.Capability> {
  readonly _: unique symbol
  readonly busCapability: C
}

/**
 * The bus of a driver that can do something that not every driver can; over another one, the program does not type-check.
 *
 * @since 0.1.0
 * @category services
 */
export const capable = <const C extends Driver.Capability>(capability: C): Context.Tag<Capable<C>, Service<C>> =>
  Context.GenericTag<Capable<C>, Service<C>>(`effect-skald/bus/EventBus/${capability}`)

/**
 * How long publishing waits for the answer of a server, unless it is told otherwise.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultPublishTimeout: Duration.Duration = Duration.seconds(30)

/**
 * How long publishing waits for the answer of a server; then it fails with a `BusError` of reason `timeout`. A layer under that of
 * the bus changes it. A bus in memory answers at once.
 *
 * @since 0.1.0
 * @category references
 */
export class PublishTimeout extends Context.Reference<PublishTimeout>()("effect-skald/bus/EventBus/PublishTimeout", {
  defaultValue: (): Duration.DurationInput => defaultPublishTimeout
}) {}

/**
 * The bus over a driver, for those who write one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDriver = <E, R, C extends Driver.Capability = never>(
  driver: Effect.Effect<Driver.Driver<C>, E, R>
): Layer.Layer<EventBus | (C extends Driver.Capability ? Capable<C> : never), E, Exclude<R, Scope.Scope>> =>
  Layer.scopedContext(Effect.flatMap(PublishTimeout, (limit) =>
    Internal.context(driver, (service, capabilities) => {
      let context: Context.Context<any> = Context.make(EventBus, service)
      for (const capability of capabilities) context = Context.add(context, capable(capability), service)
      return context
    }, limit)))

/**
 * A bus in this process. Nothing survives it. A subscription is kept, and its messages with it, when nobody consumes it.
 *
 * A new subscription that starts with the `earliest` gets what was published before, at most the last `history` messages
 * (10,000 when not given).
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemoryWith = (options: {
  readonly history?: number | undefined
}): Layer.Layer<EventBus | Capable<"delay"> | Capable<"priority"> | Capable<"history">, InvalidInput> =>
  layerDriver(Internal.memoryDriver(options.history ?? 10_000, Memory.make))

/**
 * {@link layerMemoryWith} as it is by default.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const bus = yield* EventBus.EventBus
 *   yield* bus.publish([{ type: "OrderPlaced", payload: { order: "o-1" } }])
 * }).pipe(Effect.provide(EventBus.layerMemory))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<EventBus | Capable<"delay"> | Capable<"priority"> | Capable<"history">> = Layer
  .orDie(layerMemoryWith({}))
