/**
 * What a driver of the event bus implements: messages in, deliveries out, settlements back. Everything else (Schemas,
 * correlation, retries, dead letters, order of keys, back-pressure) is done once, above it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BusError } from "./BusError.ts"
import type { DeadLetterStore } from "./DeadLetterStore.ts"
import type { Garbled, Message } from "./Message.ts"
import type { Selector } from "./Selector.ts"

/**
 * What some drivers can do and others cannot. A program that needs one does not type-check over a driver without it.
 *
 * - `delay`: a message is kept until its time, and can be cancelled until then;
 * - `priority`: a message of a higher priority overtakes those that wait;
 * - `history`: a new subscription may start with what was published before;
 * - `positions`: a new subscription may start after any position of the log that the bus keeps;
 * - `durable`: what was published survives a crash of the process;
 * - `shared`: several processes share the bus, and the work of one subscription;
 * - `transactions`: what is published or settled in the caller's SQL transaction shares its fate.
 *
 * @since 0.1.0
 * @category models
 */
export type Capability = "delay" | "priority" | "history" | "positions" | "durable" | "shared" | "transactions"

/**
 * Where a subscription starts that the bus does not know yet; a known one goes on where it was. A number is a position in the
 * log of a driver with `positions`: the subscription starts with what stands after it.
 *
 * @since 0.1.0
 * @category models
 */
export type Start = "latest" | "earliest" | number

/**
 * A subscription as a driver sees it. Consumers of one name compete for its messages; each name gets all of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Group {
  readonly name: string
  readonly selector: Selector
  readonly start: Start
  /** Whether it is kept when nobody consumes it; otherwise it ends with its last consumer. */
  readonly kept: boolean
}

/**
 * One message on its way to a handler.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivered {
  /** The driver's own; a stale one (its consumer lost the message meanwhile) settles nothing. */
  readonly receipt: unknown
  readonly message: Message | Garbled
  /** How often it was delivered since it was last settled with `later` or `keep`, this time included. */
  readonly deliveries: number
  /** What the last `later` or `keep` left with it. */
  readonly state: string | undefined
}

/**
 * What became of a delivered message.
 *
 * - `done`: handled, or put aside: the subscription is not given it again;
 * - `later`: given back until an instant, with a state; later messages of its key wait, unless they may `overtake`;
 * - `keep`: it stays in flight, with a state for the next delivery, if there is one; its deliveries count anew;
 * - `return`: given back at its old place; as if it had not been delivered, unless that is `counted`.
 *
 * @since 0.1.0
 * @category models
 */
export type Settlement =
  | { readonly _tag: "done"; readonly receipt: unknown }
  | {
    readonly _tag: "later"
    readonly receipt: unknown
    /** Milliseconds since 1970. */
    readonly at: number
    readonly state: string | undefined
    readonly overtake: boolean
  }
  | { readonly _tag: "keep"; readonly receipt: unknown; readonly state: string }
  | { readonly _tag: "return"; readonly receipt: unknown; readonly counted: boolean }

/**
 * One consumer of a subscription. When its scope ends, what it has not settled is delivered again, to others or later.
 *
 * @since 0.1.0
 * @category models
 */
export interface Consumer {
  /**
   * The next messages, at least one and at most `max`; waits until there is one. Those of one key come in order, and while
   * one of them is not settled, others of the key come to no other consumer.
   */
  readonly pull: (max: number) => Effect.Effect<ReadonlyArray<Delivered>, BusError>
  readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<void, BusError>
}

/**
 * A message that one subscription is to be given again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Again {
  readonly message: Message
  readonly state: string
}

/**
 * How much a subscription has before it, for those who watch it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Depth {
  /** Ready and not delivered. */
  readonly ready: number
  /** Waiting for their time, or for one of their key before them. */
  readonly waiting: number
  readonly inFlight: number
  /** When the oldest that is ready became so, in milliseconds since 1970. */
  readonly oldest: number | undefined
}

/**
 * The most that a driver takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Bytes of one payload. */
  readonly payload: number
  /** Messages of one call. */
  readonly messages: number
}

/**
 * What a subscription was done with since it began, in all processes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tally {
  readonly subscription: string
  /** Messages that it was done with, handled or put aside. */
  readonly messages: number
  /** Dead letters among them; they are told of before the message is done with. */
  readonly failures: number
}

/**
 * Where the processes of a shared bus count together what their subscriptions were done with: for measures and alerts, no
 * ledger. What a killed process had counted within its last second is lost, and what was told over a connection that was lost
 * meanwhile may count twice.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tallies {
  readonly add: (tallies: ReadonlyArray<Tally>) => Effect.Effect<void, BusError>
  /** One for each subscription that anything was counted for. */
  readonly all: Effect.Effect<ReadonlyArray<Tally>, BusError>
  /** Forgets all but some subscriptions. */
  readonly keep: (subscriptions: ReadonlyArray<string>) => Effect.Effect<void, BusError>
}

/**
 * A driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface Driver<out C extends Capability = never> {
  readonly name: string
  readonly capabilities: ReadonlyArray<C>
  readonly limits: Limits
  /** Ends when all are taken for good, as far as the driver's capabilities go; all of a call, or none. */
  readonly publish: (messages: ReadonlyArray<Message>) => Effect.Effect<void, BusError>
  /** Delivers to one subscription alone, known or not yet, each with the state that its delivery is to bring. */
  readonly redeliver: (group: string, again: ReadonlyArray<Again>) => Effect.Effect<void, BusError>
  /** Withdraws a message whose time has not come for anybody. */
  readonly cancel: (id: string) => Effect.Effect<"cancelled" | "tooLate", BusError>
  readonly consume: (group: Group) => Effect.Effect<Consumer, BusError, Scope.Scope>
  /** `undefined` for a subscription that it does not know. */
  readonly depth: (group: string) => Effect.Effect<Depth | undefined, BusError>
  /** The names of the subscriptions that it knows, sorted. */
  readonly groups: Effect.Effect<ReadonlyArray<string>, BusError>
  /** Where the bus puts what its subscriptions cannot handle. */
  readonly deadLetters: DeadLetterStore
  /** Where several processes count together; a driver of one process has none. */
  readonly tallies?: Tallies | undefined
}
