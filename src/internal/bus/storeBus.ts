import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Driver from "../../bus/BusDriver.ts"
import { BusError } from "../../bus/BusError.ts"
import { EventBus } from "../../bus/EventBus.ts"
import { type Message, priorities } from "../../bus/Message.ts"
import * as Selector from "../../bus/Selector.ts"
import type { Capabilities, Options, Services } from "../../bus/StoreBus.ts"
import type { Metadata, Raw } from "../../event/Envelope.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { type Formats, PayloadFormat } from "../../event/PayloadFormat.ts"
import type { AppendError } from "../../store/AppendError.ts"
import { CheckpointStore } from "../../store/CheckpointStore.ts"
import { EventStore, type NewEvent } from "../../store/EventStore.ts"
import { StoreError } from "../../store/StoreError.ts"
import { busError } from "./errorOf.ts"
import * as Retry from "./retry.ts"
import * as Faults from "../faults.ts"
import * as Outbox from "./outbox.ts"

interface Settings extends Options {
  readonly category: string
  readonly ahead: number
}

/** The header that keeps what a message is beside its event. */
const header = "skald-bus"

const Delivery = Schema.parseJson(Schema.Struct({
  subject: Schema.String,
  key: Schema.optionalWith(Schema.String, { exact: true }),
  priority: Schema.Int,
  readyAt: Schema.Number,
  expiresAt: Schema.optionalWith(Schema.Number, { exact: true }),
  retries: Schema.optionalWith(Schema.Int, { exact: true })
}))

const encode = Schema.encodeSync(Delivery)
const decode = Schema.decodeSync(Delivery)

const fresh = Retry.encode(Retry.fresh)

/** How many messages are handed over at once. */
const batch = 100

/** How often a subscription that has enough before it is looked at. */
const lookEvery = "20 millis"

export const make = (settings: Settings): Effect.Effect<Driver.Driver<Capabilities>, InvalidInput, Services> =>
  Effect.gen(function*() {
    yield* check(settings)
    const inner = yield* EventBus
    const store = yield* EventStore
    const checkpoints = yield* CheckpointStore
    const formats = yield* PayloadFormat
    const services = yield* Effect.context<Services>()
    const checkpointOf = (group: string): string => `:bus/${settings.category}/${group}`
    /** Who consumes, of those subscriptions that end with the last of them. */
    const consumers = new Map<string, number>()

    const publish = (messages: ReadonlyArray<Message>) =>
      Effect.gen(function*() {
        const streams = new Map<string, Array<NewEvent>>()
        for (const message of messages) {
          const stream = `${settings.category}-${message.key ?? message.subject}`
          const known = streams.get(stream)
          const event = toEvent(message, formats)
          if (known === undefined) streams.set(stream, [event])
          else known.push(event)
        }
        yield* store.append(Array.from(streams, ([stream, events]) => ({ stream, events })))
      }).pipe(Effect.mapError(refusal))

    /** Takes a subscription's messages from the log to the bus beneath, as long as the scope lasts. */
    const feed = (group: Driver.Group) => {
      const { selector } = group
      const room: Effect.Effect<void, BusError> = Effect.flatMap(
        Effect.catchTag(inner.depth(group.name), "InvalidInput", () => Effect.sync(() => undefined)),
        (depth) =>
          depth === undefined || depth.ready + depth.inFlight < settings.ahead
            ? Effect.void
            : Effect.zipRight(Effect.sleep(lookEvery), room)
      )
      return Outbox.follow({
        what: `subscription "${group.name}"`,
        key: checkpointOf(group.name),
        filter: {
          types: selector._tag === "Types" ? selector.types : undefined,
          category: settings.everything === true ? undefined : settings.category
        },
        start: group.start,
        batch,
        atomic: false,
        retry: undefined,
        lease: settings.lease,
        deliver: (events) => {
          const wanted: Array<Driver.Again> = []
          for (const event of events) {
            const message = toMessage(event, formats)
            if (Selector.matches(selector, message)) wanted.push({ message, state: fresh })
          }
          return wanted.length === 0 ? Effect.void : Effect.zipRight(room, inner.redeliver(group.name, wanted))
        }
      })
    }

    const consume = (group: Driver.Group): Effect.Effect<Driver.Consumer, BusError, Scope.Scope> =>
      Effect.gen(function*() {
        // which messages it wants is decided on their way out of the log
        const consumer = yield* inner.consume({ ...group, selector: Selector.types([]), start: "latest" })
        if (!group.kept) {
          yield* Effect.acquireRelease(
            Effect.sync(() => consumers.set(group.name, (consumers.get(group.name) ?? 0) + 1)),
            () =>
              Effect.suspend(() => {
                const left = consumers.get(group.name)! - 1
                if (left > 0) return Effect.sync(() => consumers.set(group.name, left))
                consumers.delete(group.name)
                return Effect.ignore(checkpoints.remove(checkpointOf(group.name)))
              })
          )
        }
        if (!selectsNothing(group.selector)) yield* feed(group)
        return consumer
      }).pipe(
        Effect.mapError(refusal),
        Effect.mapInputContext((own: Context.Context<Scope.Scope>) => Context.merge(services, own))
      )

    return {
      name: `${store.driver} store over ${inner.driver}`,
      capabilities: ["history", "positions", "priority"],
      limits: { ...inner.limits, messages: Math.min(inner.limits.messages, 10_000) },
      publish,
      redeliver: inner.redeliver,
      cancel: () => Effect.succeed("tooLate"),
      consume,
      depth: (group) => Effect.catchTag(inner.depth(group), "InvalidInput", () => Effect.sync(() => undefined)),
      groups: inner.subscriptions,
      // the bus beneath counts what is done with, and so what is put aside
      deadLetters: { ...inner.deadLetters, put: inner.putAside },
      tallies: inner.tallies === undefined ? undefined : {
        all: inner.tallies,
        add: () => Effect.void,
        keep: () => Effect.void
      }
    } satisfies Driver.Driver<Capabilities>
  })

const selectsNothing = (selector: Selector.Selector): boolean =>
  selector._tag === "Types" && selector.types.length === 0

const toEvent = (message: Message, formats: Formats): NewEvent => {
  const { expiresAt, format, id, key, occurredAt, priority, publishedAt, readyAt, retries, subject } = message
  const metadata: Metadata = JSON.parse(message.metadata)
  const delivery = encode({
    subject,
    priority,
    readyAt,
    ...(key === undefined ? undefined : { key }),
    ...(expiresAt === undefined ? undefined : { expiresAt }),
    ...(retries === undefined ? undefined : { retries })
  })
  return {
    id,
    type: message.type,
    schemaVersion: message.schemaVersion,
    // what was published was written by one of them
    payload: formats.read.get(format)!.read(message.payload),
    // where it was not given, the same message may be published at another time
    occurredAt: occurredAt === publishedAt ? undefined : new Date(occurredAt),
    source: message.source,
    metadata: { ...metadata, headers: { ...metadata.headers, [header]: delivery } }
  }
}

/** An event as a message; one that was not published here goes under its tag, with its stream as key. */
const toMessage = (event: Raw, formats: Formats): Message => {
  const { [header]: delivery, ...headers } = event.metadata.headers ?? {}
  const { headers: _, ...metadata } = event.metadata
  const publishedAt = event.recordedAt.epochMillis
  const how = delivery === undefined
    ? { subject: event.type, key: event.stream, priority: priorities.normal, readyAt: publishedAt }
    : decode(delivery)
  return {
    ...how,
    id: event.id,
    type: event.type,
    schemaVersion: event.schemaVersion,
    source: event.source,
    occurredAt: event.occurredAt.epochMillis,
    publishedAt,
    metadata: JSON.stringify(Object.keys(headers).length === 0 ? metadata : { ...metadata, headers }),
    format: formats.write.name,
    payload: formats.write.write(event.payload)
  }
}

const refusal = (error: AppendError | InvalidInput | BusError): BusError =>
  error instanceof BusError
    ? error
    : error instanceof StoreError
    ? busError("EventBus.publish", error)
    : new BusError({ reason: "refused", operation: "EventBus.publish", cause: error })

const check = ({ category }: Settings) =>
  Effect.suspend(() => {
    const faults = Faults.make()
    const problem = Faults.nameProblem(category) ??
      (category.includes("-") ? `must have no "-", got ${Faults.show(category)}` : undefined)
    if (problem !== undefined) faults.add("category", problem)
    return Faults.orInvalid(faults, () => undefined)
  })
