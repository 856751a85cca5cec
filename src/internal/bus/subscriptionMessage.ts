import * as Either from "effect/Either"
import type { Failure, Reason } from "../../bus/DeadLetter.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import type { Garbled, Message } from "../../bus/Message.ts"
import type { Delivery } from "../../bus/Subscription.ts"
import type { Metadata } from "../../event/Envelope.ts"
import type { Formats } from "../../event/PayloadFormat.ts"
import * as Remembered from "./rememberedMessage.ts"
import * as Retry from "./retry.ts"
import * as Claims from "./claims.ts"
import * as Faults from "../faults.ts"
import * as Instant from "../instant.ts"
import * as MessageMetadata from "./messageMetadata.ts"
import type { Source } from "./subscriptionSource.ts"

/** A message that a handler can be given. */
export interface Readable {
  readonly _tag: "event"
  readonly event: unknown
  readonly metadata: Metadata
  readonly state: Retry.State
}

/** What was found out about a message when it came. */
export type Prepared = Readable | {
  readonly _tag: "dead"
  readonly reason: Reason
  readonly failure: Failure
  readonly state: Retry.State
}

const readMessage = ({ message, state: stored }: Driver.Delivered, formats: Formats, source: Source): Prepared => {
  const state = Retry.decode(stored)
  if (source._tag === "raw") return { _tag: "event", event: message, metadata: metadataOf(message), state }
  const dead = (reason: Reason, tag: string, problem: string): Prepared => ({
    _tag: "dead",
    reason,
    failure: { at: 0, tag, message: problem },
    state
  })
  if ("_tag" in message) return dead("undecodable", "Garbled", message.problem)
  const format = formats.read.get(message.format)
  if (format === undefined) {
    // What a claim stood for would be here by now, if it could be found.
    if (message.format === Claims.format) return dead("undecodable", "PayloadMissing", Claims.problemOf(message))
    return dead("undecodable", "UnknownFormat", `its format is ${Faults.show(message.format)}`)
  }
  let payload: unknown
  let metadata: Metadata
  try {
    const parsed = Remembered.isAlone(message)
      ? { correlationId: message.id }
      : MessageMetadata.parse(message.metadata, message.id)
    if (!isMetadata(parsed)) return dead("undecodable", "Unreadable", `its metadata is ${Faults.show(parsed)}`)
    metadata = parsed
    const known = Remembered.payloadOf(message)
    const copied = known === undefined ? undefined : source.copy(message, known)
    if (copied !== undefined) return { _tag: "event", event: copied, metadata, state }
    payload = format.read(message.payload)
  } catch (error) {
    return dead("undecodable", "Unreadable", String(error))
  }
  const event = source.decode(message, payload, metadata)
  if (Either.isRight(event)) return { _tag: "event", event: event.right, metadata, state }
  const { _tag, message: problem } = event.left
  return dead(_tag === "UnknownEventType" ? "unknownType" : "undecodable", _tag, problem)
}

/** Whatever a broker delivers and whatever a Schema does with it: one message must not end the consumption of all. */
export const read = (delivered: Driver.Delivered, formats: Formats, source: Source): Prepared => {
  try {
    return readMessage(delivered, formats, source)
  } catch (thrown) {
    return {
      _tag: "dead",
      reason: "undecodable",
      failure: { at: 0, tag: "Unreadable", message: String(thrown) },
      state: Retry.decode(delivered.state)
    }
  }
}

/** That of a message which may not have any that can be read. */
const metadataOf = (message: Message | Garbled): Metadata => {
  if ("_tag" in message) return {}
  try {
    const metadata: unknown = JSON.parse(message.metadata)
    return isMetadata(metadata) ? metadata : {}
  } catch {
    return {}
  }
}

/** What publishing would not have taken, and what publishes because of it could not either. */
const isMetadata = (value: unknown): value is Metadata =>
  typeof value === "object" && value !== null && !Array.isArray(value) &&
  isText((value as Metadata).correlationId) && isText((value as Metadata).causationId) &&
  isText((value as Metadata).tenant)

const isText = (value: unknown): boolean => value === undefined || typeof value === "string"

export const laneOf = (source: Source, prepared: Prepared, message: Message | Garbled): string | undefined => {
  const published = "key" in message ? message.key : undefined
  if (source.key === undefined || prepared._tag === "dead") return published
  // A key that throws is the handler's business, which will throw as well, or not need it.
  try {
    return (source.key as (event: unknown) => string | undefined)(prepared.event) ?? published
  } catch {
    return published
  }
}

/** A dead letter that is delivered again has no time to live any more. */
export const isExpired = (message: Message | Garbled, state: Retry.State, now: number): boolean =>
  "expiresAt" in message && message.expiresAt !== undefined && state.reprocessed === 0 && now >= message.expiresAt

export const expiryOf = (message: Message | Garbled, now: number): Failure => {
  const ended = "expiresAt" in message ? message.expiresAt! : now
  return { at: now, tag: "Expired", message: `its time to live ended ${now - ended} ms ago` }
}

export const crashOf = ({ deliveries }: Driver.Delivered, now: number): Failure => ({
  at: now,
  tag: "Crashed",
  message: `delivered ${deliveries} times without any outcome`
})

/** Whether a message has had as many retries as it may, whatever the policy allows. */
export const isSpent = (message: Message | Garbled, attempts: number): boolean =>
  "retries" in message && message.retries !== undefined && attempts > message.retries

export const deliveryOf = (
  subscription: string,
  message: Message | Garbled,
  metadata: Metadata,
  attempt: number
): Delivery =>
  "_tag" in message
    ? {
      subscription,
      id: message.id,
      type: "",
      subject: "",
      key: undefined,
      source: "/",
      occurredAt: epoch,
      publishedAt: epoch,
      attempt,
      metadata
    }
    : {
      subscription,
      id: message.id,
      type: message.type,
      subject: message.subject,
      key: message.key,
      source: message.source,
      occurredAt: utc(message.occurredAt),
      publishedAt: utc(message.publishedAt),
      attempt,
      metadata
    }

const utc = Instant.utcs()
const epoch = utc(0)

export const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "orElse"

export const failureOf = (error: unknown, at: number): Failure => ({
  at,
  tag: typeof error === "object" && error !== null && "_tag" in error
    ? String(error._tag)
    : error instanceof Error
    ? error.name
    : typeof error,
  message: error instanceof Error ? error.message : Faults.show(error)
})
