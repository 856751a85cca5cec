/**
 * Where the answers to the requests of this process come: an address of its own, which nobody else is given.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as EventId from "../event/EventId.ts"
import type { EventBus } from "./EventBus.ts"
import * as Subscription from "./Subscription.ts"

/**
 * Schema of {@link Reply}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Reply = Schema.Struct({
  /** The id of the request. */
  request: Schema.String,
  outcome: Schema.Union(
    Schema.Struct({ _tag: Schema.Literal("success", "failure"), value: Schema.Unknown }),
    Schema.Struct({ _tag: Schema.Literal("defect"), message: Schema.String })
  )
})

/**
 * An answer, as it goes over the bus.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply extends Schema.Schema.Type<typeof Reply> {}

/**
 * The type of the messages that carry answers.
 *
 * @since 0.1.0
 * @category constants
 */
export const type = "skald.Reply"

/**
 * What the answers of a process are waited for with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The subject that answers to this process are published under. */
  readonly address: string
  /** Waits for the answer to a request while the scope is open, beginning now. */
  readonly expect: (request: string) => Effect.Effect<Effect.Effect<Reply["outcome"]>, never, Scope.Scope>
  /** How many answers came that nobody waited for any more: late ones, and those that came twice. */
  readonly late: Effect.Effect<number>
}

/**
 * The answers to the requests of this process.
 *
 * @since 0.1.0
 * @category services
 */
export class Replies extends Context.Tag("effect-skald/bus/Replies")<Replies, Service>() {}

/** Answers that nobody waited for any more. */
const lateReplies = Metric.counter("skald.bus.replies.late", {
  description: "Answers that nobody waited for any more",
  incremental: true
})

const decode = Schema.decodeUnknown(Reply)

/**
 * Subscribes this process to the answers to its requests, for as long as it lives.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Replies, Subscription.SubscribeError, EventBus> = Layer.scoped(
  Replies,
  Effect.gen(function*() {
    const address = `skald.reply.${EventId.uuid7(Math.floor(yield* Clock.currentTimeMillis))}`
    const waiting = new Map<string, Deferred.Deferred<Reply["outcome"]>>()
    let late = 0
    yield* Subscription.runSelect(address, {
      select: address,
      kept: false,
      prefetch: 256,
      handler: ({ payload }) =>
        Effect.flatMap(Effect.orDie(decode(payload)), ({ outcome, request }) => {
          const asked = waiting.get(request)
          if (asked === undefined) {
            late++
            return Metric.increment(lateReplies)
          }
          waiting.delete(request)
          return Effect.asVoid(Deferred.succeed(asked, outcome))
        }),
      onError: {}
    })
    return {
      address,
      late: Effect.sync(() => late),
      expect: (request) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.tap(Deferred.make<Reply["outcome"]>(), (answer) => Effect.sync(() => waiting.set(request, answer))),
            () => Effect.sync(() => waiting.delete(request))
          ),
          Deferred.await
        )
    }
  })
)
