import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Garbled, Message } from "../../bus/Message.ts"
import * as Selector from "../../bus/Selector.ts"
import type { Selected } from "../../bus/Subscription.ts"
import type { Metadata, Raw } from "../../event/Envelope.ts"
import * as Event from "../../event/Event.ts"
import * as EventCodec from "../../event/EventCodec.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import * as Instant from "../instant.ts"
import { unrecorded } from "../unrecorded.ts"
import * as PlainSchema from "../event/plainSchema.ts"

/** What a subscription is of, and how its messages become what its handler is given. */
export type Source = Decoded | Whole

interface Decoded {
  readonly _tag: "decoded"
  readonly selector: Selector.Selector
  /** The event of a message whose payload was read; a failure says why there is none. */
  readonly decode: (
    message: Message,
    payload: unknown,
    metadata: Metadata
  ) => Either.Either<unknown, EventCodec.DecodeError>
  /** The same of a payload as its publisher had it, where it need not be parsed for that; the event shares nothing with it. */
  readonly copy: (message: Message, payload: unknown) => unknown
  readonly key: ((event: any) => string | undefined) | undefined
}

/** The messages themselves, whatever they are, for as long as the bus has them. */
interface Whole {
  readonly _tag: "raw"
  readonly selector: Selector.Selector
  readonly key: ((message: Message | Garbled) => string | undefined) | undefined
}

/** By event types: decoded by their Schemas, brought up from older versions. */
export const ofEvents = (options: {
  readonly events: ReadonlyArray<Event.Any>
  readonly key?: Source["key"]
}): Effect.Effect<Decoded, InvalidInput> =>
  Effect.try({
    try: (): Decoded => {
      const codec = EventCodec.make(Event.group<any>(options.events), {})
      return {
        _tag: "decoded",
        selector: Selector.types(Event.storedTypes(options.events)),
        decode: (message: Message, payload: unknown, metadata: Metadata) =>
          Either.map(codec.decode(rawOf(message, payload, metadata)), (recorded) => recorded.payload),
        copy: copier(codec),
        key: options.key
      }
    },
    catch: (error) => {
      if (error instanceof InvalidInput) return error
      throw error
    }
  })

/** By subjects; the payloads of types that are known decoded, the others as they are. */
export const ofSubjects = (options: {
  readonly select: Selector.Input
  readonly events?: ReadonlyArray<Event.Any> | undefined
  readonly key?: Source["key"]
}): Effect.Effect<Source, InvalidInput> =>
  Effect.suspend(() => {
    const events = options.events ?? []
    const types = new Set(Event.storedTypes(events))
    return Effect.flatMap(ofEvents({ events }), (known) =>
      Effect.map(Selector.make(options.select), (selector) => {
        const selected = ({ schemaVersion, type }: Message, payload: unknown): Selected => ({
          _tag: type,
          schemaVersion,
          payload
        })
        return {
          _tag: "decoded",
          selector,
          decode: (message, payload, metadata) =>
            types.has(message.type)
              ? Either.map(known.decode(message, payload, metadata), (event) => selected(message, event))
              : Either.right(selected(message, payload)),
          copy: (message, payload) => {
            const event = known.copy(message, payload)
            return event === undefined ? undefined : selected(message, event)
          },
          key: options.key
        }
      }))
  })

/** Everything, as it is. */
export const ofMessages = ({ key }: { readonly key?: Whole["key"] }): Source => ({
  _tag: "raw",
  selector: Selector.all,
  key
})

/** Copies events of the types whose Schema is plain, of its present version. */
const copier = ({ entries }: EventCodec.EventCodec<any>): Decoded["copy"] => {
  const copies = new Map<string, { readonly version: number; readonly copy: (payload: unknown) => unknown }>()
  for (const { schema, tag, version } of entries.values()) {
    const copy = PlainSchema.copyOf(schema.ast, { errors: "all" })
    if (copy !== undefined) copies.set(tag, { version, copy })
  }
  return ({ schemaVersion, type }, payload) => {
    const known = copies.get(type)
    if (known === undefined || known.version !== schemaVersion) return undefined
    const copied = known.copy(payload)
    return copied === PlainSchema.left ? undefined : copied
  }
}

const utc = Instant.utcs()

const rawOf = (message: Message, payload: unknown, metadata: Metadata): Raw => {
  const { id, occurredAt, publishedAt, schemaVersion, source, subject, type } = message
  return unrecorded({ id, type, schemaVersion, payload }, {
    subject,
    metadata,
    source,
    occurredAt: utc(occurredAt),
    publishedAt: utc(publishedAt)
  })
}
