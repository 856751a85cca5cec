/**
 * Remembers which messages a subscription has handled, so that one that is delivered again is not handled again.
 *
 * A bus delivers at least once: a message comes twice when its consumer died between handling and acknowledging it, or when
 * it was published twice with one id. An inbox makes of that one effect on the handler's state. A handler that fails is not
 * remembered, and runs again as its policy says.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Internal from "../internal/bus/memoryInbox.ts"
import type { BusError } from "./BusError.ts"
import type { Delivery } from "./Subscription.ts"

/**
 * How long a message is remembered. It must be longer than the time after which one may still come again: than the longest
 * stop of a consumer, above all.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultKeep: Duration.Duration = Duration.days(7)

/**
 * What an inbox does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Runs a handler unless it has succeeded before for this subscription and message, and says whether it ran. Of two at once
   * the second waits for the first.
   */
  readonly once: <A, E, R>(
    subscription: string,
    id: string,
    handler: Effect.Effect<A, E, R>
  ) => Effect.Effect<boolean, E | BusError, R>
}

/**
 * The inbox of an application.
 *
 * @since 0.1.0
 * @category services
 */
export class Inbox extends Context.Tag("effect-skald/bus/Inbox")<Inbox, Service>() {}

/**
 * An inbox that runs the handler in the transaction that it remembers the message in: what the handler writes into the same
 * database is committed with it, or not at all.
 *
 * @since 0.1.0
 * @category services
 */
export class TransactionalInbox
  extends Context.Tag("effect-skald/bus/Inbox/TransactionalInbox")<TransactionalInbox, Service>()
{}

type Handler<A, E, R> = (event: A, delivery: Delivery) => Effect.Effect<void, E, R>

/**
 * A handler that handles each message once for its subscription.
 *
 * With an inbox that is not transactional, a crash after the handler has succeeded and before that is remembered lets it run
 * again; see {@link onceInTransaction}.
 *
 * @example
 * ```ts
 * import * as Inbox from "effect-skald/bus/Inbox"
 * import * as OnError from "effect-skald/bus/OnError"
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String })
 *
 * const Count = Subscription.layer("count", {
 *   events: [OrderPlaced],
 *   handler: Inbox.once((event) => Effect.log("a new order", event.order)),
 *   onError: { BusError: OnError.inherit }
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const once: <A, E, R>(handler: Handler<A, E, R>) => Handler<A, E | BusError, R | Inbox> = (handler) =>
  withInbox(Inbox, handler)

/**
 * A handler whose writes into the database of the inbox happen once for each message of its subscription, whatever is
 * delivered again, and wherever the process dies. Over an inbox that has no transactions it does not type-check.
 *
 * @example
 * ```ts
 * import { SqlClient } from "@effect/sql"
 * import * as Inbox from "effect-skald/bus/Inbox"
 * import * as OnError from "effect-skald/bus/OnError"
 * import * as Subscription from "effect-skald/bus/Subscription"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const Paid = Event.make("Paid", { account: Schema.String, cents: Schema.Number })
 *
 * const Balances = Subscription.layer("balances", {
 *   events: [Paid],
 *   handler: Inbox.onceInTransaction(({ account, cents }) =>
 *     Effect.flatMap(
 *       SqlClient.SqlClient,
 *       (sql) => sql`UPDATE balance SET cents = cents + ${cents} WHERE account = ${account}`
 *     )
 *   ),
 *   onError: { BusError: OnError.inherit, SqlError: OnError.inherit }
 * })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const onceInTransaction: <A, X, E, R>(
  handler: (event: A, delivery: Delivery) => Effect.Effect<X, E, R>
) => Handler<A, E | BusError, R | TransactionalInbox> = (handler) => withInbox(TransactionalInbox, handler)

const withInbox =
  <I, A, X, E, R>(tag: Context.Tag<I, Service>, handler: (event: A, delivery: Delivery) => Effect.Effect<X, E, R>) =>
  (event: A, delivery: Delivery): Effect.Effect<void, E | BusError, R | I> =>
    Effect.flatMap(
      tag,
      (inbox) =>
        Effect.asVoid(inbox.once(delivery.subscription, delivery.id, Effect.suspend(() => handler(event, delivery))))
    )

/**
 * An inbox in the memory of this process, which forgets after a while ({@link defaultKeep} when not given).
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemoryWith = (options: {
  readonly keep?: Duration.DurationInput | undefined
}): Layer.Layer<Inbox> => Layer.sync(Inbox, () => Internal.make(Duration.toMillis(options.keep ?? defaultKeep)))

/**
 * {@link layerMemoryWith} as it is by default.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Inbox> = layerMemoryWith({})
