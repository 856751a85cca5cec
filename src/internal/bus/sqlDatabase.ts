import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Again, Depth, Settlement } from "../../bus/BusDriver.ts"
import type { BusError } from "../../bus/BusError.ts"
import type { Message } from "../../bus/Message.ts"
import type { Selector } from "../../bus/Selector.ts"

/**
 * What the driver of the bus leaves to the database: one file for each kind of it.
 *
 * - A message is stored once. Each subscription that selects it has a row of its own, its delivery, with the message's
 *   `place` in line. Who publishes knows the subscriptions by the `epoch` of their list, and is told when it has changed.
 * - A member is a process that consumes; it holds what it was given while its lease lasts. One that has ended is buried: what it
 *   held is ready again.
 */
export interface Database {
  readonly name: string
  readonly groups: Effect.Effect<Registry, BusError>
  /**
   * Stores messages and their deliveries, in the caller's transaction if there is one; does nothing and answers `false` where
   * the list of subscriptions is not of that epoch any more. Tells when it is committed.
   */
  readonly publish: (
    epoch: number,
    messages: ReadonlyArray<Message>,
    targets: Targets,
    now: number | undefined,
    committed: () => void
  ) => Effect.Effect<boolean, BusError>
  /** Stores messages for one subscription alone, and not for those that begin with the earliest. */
  readonly redeliver: (
    group: number,
    again: ReadonlyArray<Again>,
    now: number | undefined,
    committed: () => void
  ) => Effect.Effect<void, BusError>
  readonly cancel: (id: string, now: number | undefined) => Effect.Effect<boolean, BusError>
  /** Finds a subscription or makes it; `member` is who consumes it, where it ends with those who do. */
  readonly register: (
    name: string,
    selector: Selector,
    options: {
      readonly kept: boolean
      readonly earliest: boolean
      /** Whether the selector takes the place of the one before. */
      readonly replace: boolean
      readonly member: number | undefined
    }
  ) => Effect.Effect<Registered, BusError>
  /** Gives a new subscription what was published before it. Does nothing where that has been done. */
  readonly fill: (
    group: Registered,
    wanted: (message: { readonly type: string; readonly subject: string }) => boolean,
    history: number,
    now: number | undefined
  ) => Effect.Effect<void, BusError>
  /** Says that a member no longer consumes a subscription that is not kept: with the last it ends. */
  readonly detach: (group: number, member: number) => Effect.Effect<void, BusError>
  readonly claim: (
    group: number,
    member: number,
    max: number,
    now: number | undefined
  ) => Effect.Effect<Claim, BusError>
  /**
   * Gives back what a member holds of a subscription but for what stands at some places. A claim whose answer was lost (it
   * fails with `timeout`) may have been made all the same.
   */
  readonly release: (group: number, member: number, but: ReadonlyArray<number>) => Effect.Effect<void, BusError>
  /** Which of some subscriptions have something that could be taken. */
  readonly look: (
    groups: ReadonlyArray<number>,
    now: number | undefined
  ) => Effect.Effect<ReadonlyArray<number>, BusError>
  /** Tells when it is committed, and whether there is something to be taken then, or to be waited for. */
  readonly settle: (
    group: number,
    member: number,
    settlements: ReadonlyArray<Settled>,
    committed: (changed: boolean) => void
  ) => Effect.Effect<void, BusError>
  /** Where the database is in this process: what need not wait. */
  readonly atOnce?: AtOnce | undefined
  readonly depth: (group: number, now: number | undefined) => Effect.Effect<Depth, BusError>
  readonly join: (ttl: number, now: number | undefined) => Effect.Effect<number, BusError>
  /** Prolongs a member's lease, and tells of the others; `undefined` where it has been buried. */
  readonly renew: (
    member: number,
    ttl: number,
    now: number | undefined
  ) => Effect.Effect<ReadonlyArray<Member> | undefined, BusError>
  /** Takes from members what they hold, and lets them be none any more. */
  readonly bury: (members: ReadonlyArray<number>) => Effect.Effect<void, BusError>
  /** Ends a member that holds nothing. */
  readonly leave: (member: number) => Effect.Effect<void, BusError>
  /**
   * Looks at so many messages after a place, in order, and removes those that nobody is to be given any more: all but the last
   * `history`, and what was published before an instant. Answers how far it looked, and how many it removed.
   */
  readonly trim: (
    after: number,
    history: number,
    before: number | undefined,
    most: number
  ) => Effect.Effect<{ readonly reached: number | undefined; readonly removed: number }, BusError>
  /** Whether the fiber is in a transaction of the caller's. */
  readonly inTransaction: Effect.Effect<boolean>
  /** Runs outside of any transaction that the fiber is in. */
  readonly detached: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * Claims and settlements as plain code that the fiber runs, outside of transactions of its own. Each answers `undefined` where it
 * would have to wait, and has done nothing then.
 */
export interface AtOnce {
  readonly claim: (
    fiber: Fiber.RuntimeFiber<any, any>,
    group: number,
    member: number,
    max: number,
    now: number | undefined
  ) => Exit.Exit<Claim, BusError> | undefined
  readonly settle: (
    fiber: Fiber.RuntimeFiber<any, any>,
    group: number,
    member: number,
    settlements: ReadonlyArray<Settled>,
    committed: (changed: boolean) => void
  ) => Exit.Exit<void, BusError> | undefined
}

/** Which subscriptions there are. */
export interface Registry {
  readonly epoch: number
  readonly groups: ReadonlyArray<{ readonly id: number; readonly name: string; readonly selector: Selector }>
}

/** Which message goes to which subscription: the n-th of the one to the n-th of the other. */
export interface Targets {
  /** Indices of messages. */
  readonly messages: ReadonlyArray<number>
  readonly groups: ReadonlyArray<number>
}

export interface Registered {
  readonly id: number
  /** Since when publishers know it. */
  readonly epoch: number
  readonly filled: boolean
}

/** What stands in line for a subscription and was given to a member. */
export interface Taken {
  readonly place: number
  readonly deliveries: number
  readonly state: string | undefined
  readonly message: Message
}

export type Claim =
  | { readonly _tag: "taken"; readonly taken: ReadonlyArray<Taken> }
  /** Nothing; in so many milliseconds the next is due. */
  | { readonly _tag: "none"; readonly next: number | undefined }
  /** The member has been buried. */
  | { readonly _tag: "buried" }
  /** The subscription has ended. */
  | { readonly _tag: "ended" }

export interface Settled {
  readonly place: number
  readonly priority: number
  readonly keyed: boolean
  readonly settlement: Settlement
}

export interface Member {
  readonly id: number
  readonly machine: string
  readonly process: string
  /** Milliseconds until its lease runs out. */
  readonly left: number
}
