/**
 * Sagas without an orchestrator: which commands follow from which events, and what undoes them.
 *
 * A choreography is a set of rules. A rule sends a command once its events have come, and its compensation once one of the
 * events that undo it has come as well. It is a machine over the events that have come, whatever their order: duplicates change
 * nothing, late events count, and where the undoing event is first, the forward ones start nothing. So any interleaving and
 * duplication of the same events has the same net effects, which `ChoreographyLaws` checks on yours.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type { EventBus, PublishError } from "../bus/EventBus.ts"
import type * as OnError from "../bus/OnError.ts"
import * as Publisher from "../bus/Publisher.ts"
import type * as Subscription from "../bus/Subscription.ts"
import type { ProjectionStopped } from "../cqrs/ProjectionStopped.ts"
import type { RunOptions } from "../cqrs/ProjectionRunning.ts"
import * as Envelope from "../event/Envelope.ts"
import type * as Event from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type * as Machine from "../event/Machine.ts"
import * as Internal from "../internal/saga/choreography.ts"
import * as Running from "../internal/saga/choreographyRunning.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { ChoreographyError } from "./ChoreographyError.ts"
import type { Timers } from "./Timers.ts"

type Events = readonly [Event.Any, ...Array<Event.Any>]
type TypesOf<Es extends ReadonlyArray<Event.Any>> = { readonly [K in keyof Es]: Es[K]["Type"] }

/**
 * From events `E` to commands `C`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rule<out E, out C> {
  readonly _tag: "Rule"
  readonly name: string
  readonly on: ReadonlyArray<string>
  readonly undoneBy: ReadonlyArray<string>
  readonly command: (...on: ReadonlyArray<any>) => C
  readonly compensate: ((by: any, ...on: ReadonlyArray<any>) => C) | undefined
  readonly _E?: E
}

/**
 * An event that comes by itself, when others have not come in time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deadline<out E> {
  readonly _tag: "Deadline"
  readonly name: string
  readonly on: ReadonlyArray<string>
  readonly unless: ReadonlyArray<string>
  /** Milliseconds. */
  readonly after: number
  readonly event: (...on: ReadonlyArray<any>) => E
}

/**
 * A rule: its command is sent once all of `on` have come, unless one of `undoneBy` has come before; and `compensate` is sent once
 * one of them comes after. What can be undone must say how: otherwise it would depend on the order whether it stands.
 *
 * The command is made of the events and nothing else. Of several events that undo it and are there, `compensate` gets the one
 * that is first in the list.
 *
 * @since 0.1.0
 * @category constructors
 */
export const rule: {
  <const On extends Events, C>(name: string, options: {
    readonly on: On
    readonly command: (...on: TypesOf<On>) => C
    readonly undoneBy?: undefined
    readonly compensate?: undefined
  }): Rule<On[number]["Type"], C>
  <const On extends Events, const By extends Events, C, C2>(name: string, options: {
    readonly on: On
    readonly command: (...on: TypesOf<On>) => C
    readonly undoneBy: By
    readonly compensate: (by: By[number]["Type"], ...on: TypesOf<On>) => C2
  }): Rule<On[number]["Type"] | By[number]["Type"], C | C2>
} = (name: string, options: any) => Internal.rule(name, options)

/**
 * A deadline: once all of `on` have come, the event is taken in `after` the last of them happened, unless one of `unless` has
 * come by then. The event is one of the choreography's: rules follow from it, or are undone by it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const deadline = <const On extends Events, const E, const Unless extends ReadonlyArray<Event.Any> = readonly []>(
  name: string,
  options: {
    readonly on: On
    readonly after: Duration.DurationInput
    readonly event: (...on: TypesOf<On>) => E
    readonly unless?: Unless | undefined
  }
): Deadline<On[number]["Type"] | Unless[number]["Type"] | E> =>
  Internal.deadline(name, Duration.toMillis(options.after), options as never)

/**
 * A choreography of events `E` to commands `C`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Choreography<in out E, out C> {
  readonly name: string
  readonly events: Event.Group<any>
  readonly saga: (event: E) => string
  readonly key: (event: E) => string
  readonly rules: ReadonlyArray<Rule<any, C>>
  readonly deadlines: ReadonlyArray<Deadline<any>>
}

/**
 * The commands of rules.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandOf<R> = R extends Rule<any, infer C> ? C : never

/**
 * A choreography. A name with `/`, two rules or deadlines of one name, an event that is not among `events` and a bad time throw
 * `InvalidInput` when built.
 *
 * @example
 * ```ts
 * import * as Event from "effect-skald/event/Event"
 * import * as Choreography from "effect-skald/saga/Choreography"
 * import { Schema } from "effect"
 *
 * const order = { order: Schema.String }
 * const OrderPlaced = Event.make("OrderPlaced", { ...order, total: Schema.Number })
 * const OrderPaid = Event.make("OrderPaid", order)
 * const OrderCancelled = Event.make("OrderCancelled", order)
 * const OrderOverdue = Event.make("OrderOverdue", order)
 * const ReserveStock = Event.make("ReserveStock", order)
 * const ReleaseStock = Event.make("ReleaseStock", order)
 * const Ship = Event.make("Ship", { ...order, total: Schema.Number })
 *
 * export const Fulfilment = Choreography.make("fulfilment", {
 *   events: [OrderPlaced, OrderPaid, OrderCancelled, OrderOverdue],
 *   saga: (event) => event.order,
 *   rules: [
 *     Choreography.rule("reserve", {
 *       on: [OrderPlaced],
 *       command: ({ order }) => ReserveStock({ order }),
 *       undoneBy: [OrderCancelled, OrderOverdue],
 *       compensate: (by) => ReleaseStock({ order: by.order })
 *     }),
 *     Choreography.rule("ship", {
 *       on: [OrderPlaced, OrderPaid],
 *       command: ({ order, total }) => Ship({ order, total })
 *     })
 *   ],
 *   deadlines: [
 *     Choreography.deadline("unpaid", {
 *       on: [OrderPlaced],
 *       after: "14 days",
 *       unless: [OrderPaid, OrderCancelled],
 *       event: ({ order }) => OrderOverdue({ order })
 *     })
 *   ]
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <
  const Es extends ReadonlyArray<Event.Any>,
  const Rs extends ReadonlyArray<Rule<Es[number]["Type"], any>>
>(
  name: string,
  options: {
    readonly events: Es & Event.UniqueTags<Es>
    /** The saga of an event: what correlates them. */
    readonly saga: (event: Es[number]["Type"]) => string
    /**
     * Tells events of one type in one saga apart: of those with the same key, the first counts. A rule is there once for each
     * key of its first event; its other events have that key, or none. None (`""`) when not given.
     */
    readonly key?: ((event: Es[number]["Type"]) => string) | undefined
    readonly rules: Rs
    readonly deadlines?: ReadonlyArray<Deadline<Es[number]["Type"]>> | undefined
  }
): Choreography<Es[number]["Type"], CommandOf<Rs[number]>> => Internal.make(name, options as never)

// ------------------------------------------------------------------------------------------------------------ the machine

/**
 * An event on its way into the machine of one saga.
 *
 * @since 0.1.0
 * @category models
 */
export interface Input<out E> {
  readonly event: E
  /** When it happened, in milliseconds since 1970. */
  readonly at: number
}

/**
 * What has come, by type and key, and what has followed from it.
 *
 * @since 0.1.0
 * @category models
 */
export interface State<out E> {
  readonly taken: { readonly [tag: string]: { readonly [key: string]: Input<E> } }
  /** Ids of actions. */
  readonly acted: { readonly [id: string]: true }
}

/**
 * What follows: a command to be sent, or a timer to be set or cancelled. Ids are the same whenever the same follows.
 *
 * @since 0.1.0
 * @category models
 */
export type Action<C> =
  | {
    readonly _tag: "Send"
    readonly id: string
    readonly rule: string
    readonly key: string
    /** Whether it undoes what the rule's command has done. */
    readonly compensates: boolean
    readonly command: C
  }
  | { readonly _tag: "Arm"; readonly id: string; readonly deadline: string; readonly key: string; readonly at: number }
  | { readonly _tag: "Disarm"; readonly id: string; readonly deadline: string; readonly key: string }

/**
 * One saga of the choreography as a machine, from events to actions; so that the laws of machines can be run on it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toMachine = <E, C>(self: Choreography<E, C>): Machine.Machine<State<E>, Input<E>, Action<C>> =>
  Internal.machine(self)

/**
 * What is left of actions when compensations have undone what they undo: the commands that stand.
 *
 * @since 0.1.0
 * @category getters
 */
export const netEffects = <C>(actions: ReadonlyArray<Action<C>>): ReadonlyArray<C> => Internal.netEffects(actions)

// ---------------------------------------------------------------------------------------------------------------- running

/**
 * What is known of a command that is sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Told {
  readonly choreography: string
  readonly saga: string
  readonly rule: string
  readonly key: string
  /** The same whenever the command is sent again: an idempotency key, and the id of its message. */
  readonly id: string
  readonly compensates: boolean
}

/**
 * How commands are sent: anything that is done once for each id, or may be repeated with the same one.
 *
 * @since 0.1.0
 * @category models
 */
export type Send<in C, out E, out R> = (command: C, told: Told) => Effect.Effect<void, E, R>

/**
 * Sends commands over the bus, to the service that handles them: the id of a command is that of its message, its key the saga.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toBus = <const Es extends ReadonlyArray<Event.Any>>(
  commands: Event.UniqueTags<Es>
): Send<Es[number]["Type"], PublishError, EventBus> => {
  const publisher = Publisher.make<Es>(commands)
  return (command, { id, saga }) =>
    Running.asVoid(publisher.publish(Envelope.make(command as never, { id }) as never, { key: saga }))
}

/**
 * Takes one event in: for those who have their own source of events. Succeeds when all that follows from it has been done;
 * where that fails, give it the event again, and what was not done is done with the same ids.
 *
 * The saga's id is the correlation of what is sent. What is kept belongs to the fiber's tenant.
 *
 * @since 0.1.0
 * @category combinators
 */
export const take = <E, C, Err, R>(
  self: Choreography<E, C>,
  input: Input<E>,
  send: Send<C, Err, R>
): Effect.Effect<void, Err | ChoreographyError, EventStore | Timers | R> => Running.take(self, input, send)

/**
 * Takes in what is due of the choreography's deadlines, as long as the scope lasts. {@link layerBus} and {@link layerStore} do
 * it by themselves.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDeadlines = <E, C, Err, R>(
  self: Choreography<E, C>,
  send: Send<C, Err, R>
): Layer.Layer<never, InvalidInput, EventStore | Timers | R> => Layer.scopedDiscard(Running.serveDeadlines(self, send))

/**
 * How a choreography takes its events from the bus.
 *
 * @since 0.1.0
 * @category models
 */
export interface BusOptions<C, Err, R> extends Subscription.Options<R> {
  readonly send: Send<C, Err, R>
  /** What is done where sending fails. What fails of the choreography itself is tried again, then a dead letter. */
  readonly onError: OnError.Verdicts<Err>
}

/**
 * Takes its events from the bus, one after the other for each saga, and keeps its sagas in the event store: it survives
 * restarts. Events of one saga should be published with its id as their key, where several processes take part.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBus = <E, C, Err, R>(
  self: Choreography<E, C>,
  options: BusOptions<C, Err, R>
): Layer.Layer<never, Subscription.SubscribeError, EventBus | EventStore | Timers | R> =>
  Layer.merge(
    Layer.scopedDiscard(Running.subscribe(self, options as never)),
    layerDeadlines(self, options.send)
  ) as never

/**
 * Takes its events from the store, as a projection does: from the first one on, and after a restart from where it was.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerStore = <E, C, Err, R>(
  self: Choreography<E, C>,
  options: RunOptions & { readonly send: Send<C, Err, R> }
): Layer.Layer<never, InvalidInput | StoreError, EventStore | CheckpointStore | Timers | R> =>
  Layer.merge(Running.follow(self, options), layerDeadlines(self, options.send)) as never

export type {
  /**
   * Why a choreography over the store has stopped.
   *
   * @since 0.1.0
   * @category errors
   */
  ProjectionStopped
}
