/**
 * A typed way onto the bus: publishes the events of some types, encoded by their Schemas.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as Envelope from "../event/Envelope.ts"
import * as Event from "../event/Event.ts"
import * as EventCodec from "../event/EventCodec.ts"
import { type Fault, InvalidEvent } from "../event/InvalidInput.ts"
import * as AtOnce from "../internal/bus/atOnce.ts"
import * as PlainSchema from "../internal/event/plainSchema.ts"
import * as EventBus from "./EventBus.ts"

/**
 * How an event is to be delivered. What not every driver can do is asked of the bus in the type of the effect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends EventBus.Options, EventBus.DelayOptions, EventBus.PriorityOptions {}

type Has<O, K extends string> = K extends keyof O ? (O[K & keyof O] extends undefined ? false : true) : false

/**
 * What a driver must be able to do for some options.
 *
 * @since 0.1.0
 * @category models
 */
export type Needs<O> =
  | (true extends Has<O, "delay"> | Has<O, "at"> ? EventBus.Capable<"delay"> : never)
  | (true extends Has<O, "priority"> ? EventBus.Capable<"priority"> : never)

/**
 * Publishes events `E`, plain or in an envelope of `Envelope.make`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Publisher<in E> {
  readonly publish: <const O extends Options = {}>(
    event: E | Envelope.New<E>,
    options?: O
  ) => Effect.Effect<EventBus.Receipt, EventBus.PublishError, EventBus.EventBus | Needs<O>>
  /** All of them or none, in order, each with the same options. */
  readonly publishAll: <const O extends Options = {}>(
    events: ReadonlyArray<E | Envelope.New<E>>,
    options?: O
  ) => Effect.Effect<ReadonlyArray<EventBus.Receipt>, EventBus.PublishError, EventBus.EventBus | Needs<O>>
}

/**
 * A publisher of event types. Two with one tag do not type-check, and throw `InvalidInput` when built.
 *
 * An event that its Schema refuses is a typed failure, and nothing is published. Correlation, causation, tenant and trace
 * come from the fiber.
 *
 * @example
 * ```ts
 * import * as EventBus from "effect-skald/bus/EventBus"
 * import * as Publisher from "effect-skald/bus/Publisher"
 * import * as Event from "effect-skald/event/Event"
 * import { Effect, Schema } from "effect"
 *
 * const OrderPlaced = Event.make("OrderPlaced", { order: Schema.String }, { subject: "order.placed" })
 * const orders = Publisher.make([OrderPlaced])
 *
 * const program = orders.publish(OrderPlaced({ order: "o-1" }), { key: "o-1", delay: "10 minutes", priority: 5 }).pipe(
 *   Effect.provide(EventBus.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Es extends ReadonlyArray<Event.Any>>(
  events: Event.UniqueTags<Es>
): Publisher<Es[number]["Type"]> => {
  const codec: EventCodec.EventCodec<any> = EventCodec.make(Event.group<any>(events as any), {})
  // what such Schemas encode is a copy, and no value of the caller's is in it
  const own = Array.from(codec.entries.values()).every(({ schema }) => PlainSchema.isPlain(schema.ast))
  const publishWith = <A>(
    given: ReadonlyArray<unknown>,
    options: Options | undefined,
    answer: (receipts: ReadonlyArray<EventBus.Receipt>) => A
  ): Effect.Effect<A, EventBus.PublishError, any> =>
    Effect.withFiberRuntime((fiber) => {
      const bus = Context.unsafeGet(fiber.getFiberRef(FiberRef.currentContext), EventBus.EventBus)
      const messages = encode(codec, given, options)
      if (Either.isLeft(messages)) return Effect.fail(messages.left)
      const now = AtOnce.of(bus.publish)
      if (now === undefined) return Effect.map(bus.publish(messages.right), answer)
      const receipts = now(messages.right, fiber, own)
      return Either.isLeft(receipts) ? Effect.fail(receipts.left) : Effect.succeed(answer(receipts.right))
    })
  const publishAll = (events: ReadonlyArray<unknown>, options?: Options) => publishWith(events, options, all)
  const publish = (event: unknown, options?: Options) => publishWith([event], options, first)
  return { publishAll, publish } as Publisher<Es[number]["Type"]>
}

const all = (receipts: ReadonlyArray<EventBus.Receipt>) => receipts
const first = (receipts: ReadonlyArray<EventBus.Receipt>) => receipts[0]!

const encode = (
  codec: EventCodec.EventCodec<any>,
  given: ReadonlyArray<unknown>,
  options: Options | undefined
): Either.Either<ReadonlyArray<EventBus.NewMessage>, InvalidEvent> => {
  const faults: Array<Fault> = []
  // a list of one is made as such, since one that grows has room for many at once
  const messages = given.length === 0 ? [] : [encodeOne(codec, given[0], "events[0]", options, faults)]
  for (let index = 1; index < given.length; index++) {
    messages.push(encodeOne(codec, given[index], `events[${index}]`, options, faults))
  }
  return faults.length === 0
    ? Either.right(messages as ReadonlyArray<EventBus.NewMessage>)
    : Either.left(new InvalidEvent({ faults: faults as [Fault, ...Array<Fault>] }))
}

/** `undefined` where a fault was told. */
const encodeOne = (
  codec: EventCodec.EventCodec<any>,
  given: unknown,
  path: string,
  options: Options | undefined,
  faults: Array<Fault>
): EventBus.NewMessage | undefined => {
  const envelope = Envelope.isNew(given) ? given : undefined
  const encoded = codec.encodeInto(envelope === undefined ? given : envelope.event, path, faults)
  if (encoded === undefined) return undefined
  const message = {
    id: envelope?.id,
    type: encoded.type,
    subject: codec.entries.get(encoded.type)!.subject,
    schemaVersion: encoded.schemaVersion,
    payload: encoded.payload,
    occurredAt: envelope?.occurredAt,
    source: envelope?.source,
    metadata: envelope?.metadata
  }
  return options === undefined ? message : { ...options, ...message }
}
