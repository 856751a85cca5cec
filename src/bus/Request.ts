/**
 * Requests over the bus: an event that asks, and a typed answer to the process that asked, within a time.
 *
 * The request goes to a subscription like any event, so that several processes share the work, and one that dies is
 * replaced. The answer goes to the address of the asking process alone. Over any driver.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Envelope from "../event/Envelope.ts"
import * as Event from "../event/Event.ts"
import * as EventId from "../event/EventId.ts"
import * as Retryability from "../resilience/Retryability.ts"
import * as RetryPolicy from "../resilience/RetryPolicy.ts"
import * as EventBus from "./EventBus.ts"
import * as OnError from "./OnError.ts"
import * as Publisher from "./Publisher.ts"
import { Replies, type Reply, type as replyType } from "./Replies.ts"
import * as Subscription from "./Subscription.ts"

/**
 * How long an answer is waited for, when nothing is said.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultWithin: Duration.Duration = Duration.seconds(30)

/**
 * The header of a request that says where its answer goes.
 *
 * @since 0.1.0
 * @category constants
 */
export const replyTo = "skald-reply-to"

/**
 * The answer did not come in time. The request may or may not have been handled.
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestTimeout extends Schema.TaggedError<RequestTimeout>("effect-skald/bus/RequestTimeout")(
  "RequestTimeout",
  {
    /** The tag of the request. */
    request: Schema.String,
    id: Schema.String,
    within: Schema.Duration
  },
  Retryability.retryable
) {
  override get message(): string {
    return `${this.request} ${this.id} was not answered within ${Duration.format(this.within)}`
  }
}

/**
 * There is no answer, and none will come.
 *
 * - `defect`: the handler died
 * - `undecodable`: the answer does not fit the Schemas of the one who asked
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestFailed
  extends Schema.TaggedError<RequestFailed>("effect-skald/bus/RequestFailed")("RequestFailed", {
    /** The tag of the request. */
    request: Schema.String,
    id: Schema.String,
    reason: Schema.Literal("defect", "undecodable"),
    cause: Schema.optional(Schema.Defect)
  })
{
  override get message(): string {
    const detail = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `${this.request} ${this.id} failed (${this.reason})${detail}`
  }
}

/**
 * How a request is asked.
 *
 * @since 0.1.0
 * @category models
 */
export interface AskOptions extends Pick<EventBus.Options, "key" | "headers" | "retries"> {
  /**
   * How long the answer is waited for; {@link defaultWithin} when not given. A request that nobody has begun to handle by then
   * becomes a dead letter, `expired`.
   */
  readonly within?: Duration.DurationInput | undefined
}

/**
 * How requests are answered: as a subscription handles its messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnswerOptions<R = never> extends Subscription.Options<R> {
  /** The name of the subscription; `request.` and the tag of the event when not given. Processes of one name share the work. */
  readonly name?: string | undefined
}

/**
 * A kind of request: an event, what answers it, and what it may fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request<in out Ev, in out A, in out E> {
  /** The tag of the event. */
  readonly tag: string
  /** Publishes a request and waits for its answer. */
  readonly ask: (
    event: Ev,
    options?: AskOptions
  ) => Effect.Effect<A, E | RequestTimeout | RequestFailed | EventBus.PublishError, EventBus.EventBus | Replies>
  /** Answers requests, as long as the scope lasts. */
  readonly run: <R, R2 = never>(
    handler: (event: Ev, delivery: Subscription.Delivery) => Effect.Effect<A, E, R>,
    options?: AnswerOptions<R2>
  ) => Effect.Effect<Subscription.Running, Subscription.SubscribeError, EventBus.EventBus | Scope.Scope | R | R2>
  /**
   * Answers requests. What the handler fails with is the answer, and is not retried; one that dies is answered with that and
   * becomes a dead letter; one that is interrupted has answered nothing, and the request is delivered again.
   */
  readonly layer: <R, R2 = never>(
    handler: (event: Ev, delivery: Subscription.Delivery) => Effect.Effect<A, E, R>,
    options?: AnswerOptions<R2>
  ) => Layer.Layer<never, Subscription.SubscribeError, EventBus.EventBus | R | R2>
}

const messageOf = (defect: unknown): string => defect instanceof Error ? defect.message : String(defect)

/**
 * A kind of request, by the event that asks and the Schemas of its answers.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Replies from "effect-skald/bus/Replies"
 * import * as Request from "effect-skald/bus/Request"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const PriceAsked = Event.make("PriceAsked", { item: Schema.String })
 * class NoSuchItem extends Schema.TaggedError<NoSuchItem>()("NoSuchItem", { item: Schema.String }) {}
 *
 * const Price = Request.make(PriceAsked, { success: Schema.Number, failure: NoSuchItem })
 *
 * const Prices = Price.layer(({ item }) => item === "tea" ? Effect.succeed(3) : new NoSuchItem({ item }))
 *
 * const program = Price.ask(PriceAsked({ item: "tea" }), { within: "5 seconds" }).pipe(
 *   Effect.catchTag("NoSuchItem", () => Effect.succeed(0)),
 *   Effect.provide(Layer.provideMerge(Layer.merge(Prices, Replies.layer), EventBus.layerMemory))
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Ev extends Event.Any, A, AI, E = never, EI = never>(
  event: Ev,
  answers: {
    readonly success: Schema.Schema<A, AI>
    readonly failure?: Schema.Schema<E, EI> | undefined
  }
): Request<Ev["Type"], A, E> => {
  const tag = Event.storedTypes([event])[0]!
  const publisher = Publisher.make([event] as any) as Publisher.Publisher<any>
  const { success } = answers
  const failure: Schema.Schema<E, any> = answers.failure ?? (Schema.Never as unknown as Schema.Schema<E, any>)
  const encodes = { success: Schema.encode(success), failure: Schema.encode(failure) }
  const decodes = { success: Schema.decodeUnknown(success), failure: Schema.decodeUnknown(failure) }

  const ask: Request<Ev["Type"], A, E>["ask"] = (given, options) =>
    Effect.scoped(Effect.gen(function*() {
      const replies = yield* Replies
      const nextId = yield* EventId.EventIds
      const id = nextId(Math.floor(yield* Clock.currentTimeMillis))
      const within = Duration.decode(options?.within ?? defaultWithin)
      const answer = yield* replies.expect(id)
      const outcome = yield* publisher.publish(Envelope.make(given, { id }), {
        key: options?.key,
        retries: options?.retries,
        headers: { ...options?.headers, [replyTo]: replies.address },
        ...(Duration.isFinite(within) ? { ttl: within } : {})
      }).pipe(
        Effect.zipRight(answer),
        Effect.timeoutFail({ duration: within, onTimeout: () => new RequestTimeout({ request: tag, id, within }) })
      )
      const failed = (reason: RequestFailed["reason"], cause: unknown) =>
        new RequestFailed({ request: tag, id, reason, cause })
      if (outcome._tag === "defect") return yield* failed("defect", new Error(outcome.message))
      const undecodable = (cause: unknown) => failed("undecodable", cause)
      if (outcome._tag === "success") return yield* Effect.mapError(decodes.success(outcome.value), undecodable)
      return yield* Effect.flatMap(Effect.mapError(decodes.failure(outcome.value), undecodable), Effect.fail)
    }))

  /** What is sent back; nothing where the handler was interrupted. */
  const outcomeOf = (exit: Exit.Exit<A, E>): Effect.Effect<Reply["outcome"] | undefined> => {
    const encoded = Effect.gen(function*(): Effect.fn.Return<Reply["outcome"] | undefined, ParseError> {
      if (Exit.isSuccess(exit)) return { _tag: "success", value: yield* encodes.success(exit.value) }
      const failure = Cause.failureOption(exit.cause)
      if (Option.isSome(failure)) return { _tag: "failure", value: yield* encodes.failure(failure.value) }
      if (Cause.isInterruptedOnly(exit.cause)) return undefined
      return { _tag: "defect", message: messageOf(Cause.squash(exit.cause)) }
    })
    return Effect.catchAll(encoded, (error) => Effect.succeed({ _tag: "defect", message: error.message } as const))
  }

  const answer = <R>(handler: (event: Ev["Type"], delivery: Subscription.Delivery) => Effect.Effect<A, E, R>) =>
  (
    given: Ev["Type"],
    delivery: Subscription.Delivery
  ): Effect.Effect<void, EventBus.PublishError, R | EventBus.EventBus> =>
    Effect.gen(function*() {
      const bus = yield* EventBus.EventBus
      const exit = yield* Effect.exit(Effect.suspend(() => handler(given, delivery)))
      const outcome = yield* outcomeOf(exit)
      const address = delivery.metadata.headers?.[replyTo]
      if (address !== undefined && outcome !== undefined) {
        const send = (outcome: Reply["outcome"]) =>
          bus.publish([{ type: replyType, subject: address, payload: { request: delivery.id, outcome } }])
        const tell = (error: Error) => send({ _tag: "defect", message: `the answer cannot be sent: ${error.message}` })
        yield* send(outcome).pipe(
          Effect.catchTags({ InvalidEvent: tell, MessageTooLarge: tell }),
          // Before the handler would have to run again.
          Effect.retry({ schedule: RetryPolicy.standard, while: ({ _tag }) => _tag === "BusError" })
        )
      }
      if (Exit.isFailure(exit) && Option.isNone(Cause.failureOption(exit.cause))) {
        return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
      }
    })

  const run: Request<Ev["Type"], A, E>["run"] = (handler, options) => {
    const { name, ...rest } = options ?? {}
    return Subscription.run(name ?? `request.${tag}`, {
      ...rest,
      events: [event] as any,
      handler: answer(handler),
      onError: { BusError: OnError.inherit, InvalidEvent: OnError.deadLetter, MessageTooLarge: OnError.deadLetter }
    } as any) as any
  }

  return { tag, ask, run, layer: (handler, options) => Layer.scopedDiscard(run(handler, options)) }
}
