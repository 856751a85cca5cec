import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { MessageTooLarge } from "../../bus/BusError.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import type { NewMessage } from "../../bus/EventBus.ts"
import { type Message, priorities } from "../../bus/Message.ts"
import * as Selector from "../../bus/Selector.ts"
import type { Correlation } from "../../event/Correlation.ts"
import type { Metadata } from "../../event/Envelope.ts"
import * as EventId from "../../event/EventId.ts"
import { type Fault, InvalidEvent } from "../../event/InvalidInput.ts"
import type { Format, Serialized } from "../../event/PayloadFormat.ts"
import * as Faults from "../faults.ts"
import * as Instant from "../instant.ts"
import * as Json from "../json.ts"
import * as MessageMetadata from "./messageMetadata.ts"
import * as MetadataCheck from "../event/metadataCheck.ts"
import * as Remembered from "./rememberedMessage.ts"

/** What a message is made with beside what its publisher says. */
export interface Surroundings {
  readonly correlation: Correlation
  readonly traceparent: string | undefined
  readonly now: number
  readonly nextId: EventId.Generator
  readonly format: Format
  readonly limits: Driver.Limits
  readonly can: ReadonlySet<Driver.Capability>
  /** Whether the payloads are JSON values that were looked at, and that nobody else changes. */
  readonly checked: boolean
}

/** Checks what is to be published and makes it ready for the driver, or says all that is wrong with it. */
export const make = (
  given: ReadonlyArray<NewMessage>,
  around: Surroundings
): Either.Either<ReadonlyArray<Message>, InvalidEvent | MessageTooLarge> => {
  const faults = Faults.make()
  if (!Array.isArray(given)) {
    faults.add("messages", `must be a list, got ${Faults.show(given)}`)
    return Either.left(invalid(faults.all))
  }
  if (given.length > around.limits.messages) {
    return Either.left(
      new MessageTooLarge({ what: "messages", limit: around.limits.messages, actual: given.length })
    )
  }
  const messages: Array<Message> = []
  for (let index = 0; index < given.length; index++) {
    const message = makeMessage(given[index]!, index, around, faults)
    if (message !== undefined) messages.push(message)
  }
  if (faults.all.length > 0) return Either.left(invalid(faults.all))
  for (const { payload } of messages) {
    const actual = bytesOf(payload, around.limits.payload)
    if (actual > around.limits.payload) {
      return Either.left(new MessageTooLarge({ what: "payload", limit: around.limits.payload, actual }))
    }
  }
  return Either.right(messages)
}

const invalid = (faults: Array<Fault>): InvalidEvent => new InvalidEvent({ faults: faults as [Fault, ...Array<Fault>] })

/** Counted one by one only where its length leaves a doubt. */
const bytesOf = (payload: Serialized, limit: number): number =>
  typeof payload === "string" && payload.length * 3 > limit ? Buffer.byteLength(payload) : payload.length

const problemOfType = Faults.remembering(Faults.nameProblem)
const problemOfSource = Faults.remembering(Faults.nameProblem)
const problemOfSubject = Faults.remembering(Selector.subjectProblem)

const makeMessage = (
  given: NewMessage,
  index: number,
  around: Surroundings,
  faults: Faults.Faults
): Message | undefined => {
  const path = (member: string) => `messages[${index}].${member}`
  const check = (member: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path(member), problem)
  }
  if (typeof given !== "object" || given === null) {
    faults.add(`messages[${index}]`, `must be a message, got ${Faults.show(given)}`)
    return undefined
  }
  const { now } = around
  const before = faults.all.length
  const id = given.id ?? around.nextId(now)
  const isOurs = given.id === undefined && around.nextId === EventId.uuid7
  const idProblem = isOurs ? undefined : EventId.problem(id)
  check("id", idProblem)
  check("type", problemOfType(given.type))
  const subject = given.subject ?? given.type
  if (given.subject !== undefined || faults.all.length === before) check("subject", problemOfSubject(subject))
  const schemaVersion = given.schemaVersion ?? 1
  check("schemaVersion", Faults.countProblem(schemaVersion, 1))
  if (given.payload === undefined) faults.add(path("payload"), "must be a JSON value, got undefined")
  else if (!around.checked && !Json.isValue(given.payload)) Json.check(given.payload, path("payload"), faults)
  const source = given.source ?? around.correlation.source ?? "/"
  check("source", problemOfSource(source))
  if (given.key !== undefined) check("key", Faults.nameProblem(given.key))
  const priority = priorityOf(given.priority, path("priority"), faults)
  if (given.retries !== undefined) check("retries", Faults.countProblem(given.retries, 0))
  const readyAt = readyAtOf(given, now, path, faults)
  const ttl = given.ttl === undefined ? undefined : durationOf(given.ttl, path("ttl"), faults)
  const occurredAt = given.occurredAt === undefined ? now : Instant.millis(given.occurredAt, path("occurredAt"), faults)
  if (given.priority !== undefined && !around.can.has("priority")) check("priority", "is not known to this driver")
  if (readyAt > now && !around.can.has("delay")) check("delay", "is not known to this driver")
  // a faulty id is told once
  const metadata = metadataOf(given, idProblem === undefined ? id : "-", around)
  const alone = MessageMetadata.isOwnConversation(metadata, id, isOurs)
  if (!alone) MetadataCheck.check(metadata, () => path("metadata"), faults)
  if (metadata.tenant !== undefined) check("metadata.tenant", Faults.nameProblem(metadata.tenant))
  if (faults.all.length > before) return undefined
  const message: { -readonly [K in keyof Message]: Message[K] } = {
    id,
    type: given.type,
    subject,
    schemaVersion,
    source,
    occurredAt,
    publishedAt: now,
    readyAt,
    priority,
    metadata: alone ? MessageMetadata.ownConversation(id) : JSON.stringify(metadata),
    format: around.format.name,
    payload: around.format.write(given.payload)
  }
  if (ttl !== undefined) message.expiresAt = now + ttl
  if (given.key !== undefined) message.key = given.key
  if (given.retries !== undefined) message.retries = given.retries
  if (around.checked) Remembered.put(message, given.payload, alone)
  return message
}

const priorityOf = (given: NewMessage["priority"], path: string, faults: Faults.Faults): number => {
  if (given === undefined) return priorities.normal
  if (given === "low" || given === "normal" || given === "high") return priorities[given]
  if (Number.isInteger(given) && given >= priorities.lowest && given <= priorities.highest) return given
  faults.add(path, `must be a whole number from 0 to 9, low, normal or high, got ${Faults.show(given)}`)
  return priorities.normal
}

const readyAtOf = (
  { at, delay }: NewMessage,
  now: number,
  path: (member: string) => string,
  faults: Faults.Faults
): number => {
  if (at !== undefined && delay !== undefined) {
    faults.add(path("at"), "must not come together with delay")
    return now
  }
  if (delay !== undefined) return now + durationOf(delay, path("delay"), faults)
  return at === undefined ? now : Math.max(now, Instant.millis(at, path("at"), faults))
}

/** Whole milliseconds, rounded up: never early. */
const durationOf = (given: Duration.DurationInput, path: string, faults: Faults.Faults): number => {
  const duration = Option.getOrUndefined(Duration.decodeUnknown(given))
  if (duration !== undefined && Duration.isFinite(duration)) return Math.ceil(Duration.toMillis(duration))
  faults.add(path, `must be a finite duration, got ${Faults.show(given)}`)
  return 0
}

/** What its publisher says over what the fiber carries; where the fiber is in no conversation, the message begins one. */
const metadataOf = (given: NewMessage, id: string, { correlation, traceparent }: Surroundings): Metadata => {
  const own = given.metadata
  const metadata: { -readonly [K in keyof Metadata]: Metadata[K] } = {
    correlationId: own?.correlationId ?? correlation.correlationId ?? id
  }
  const causationId = own?.causationId ?? correlation.causationId
  if (causationId !== undefined) metadata.causationId = causationId
  const tenant = own?.tenant ?? correlation.tenant
  if (tenant !== undefined) metadata.tenant = tenant
  const actor = own?.actor ?? correlation.actor
  if (actor !== undefined) metadata.actor = actor
  const trace = own?.trace ?? (traceparent === undefined ? correlation.trace : { ...correlation.trace, traceparent })
  if (trace !== undefined) metadata.trace = trace
  if (own?.headers !== undefined || correlation.headers !== undefined || given.headers !== undefined) {
    metadata.headers = { ...correlation.headers, ...own?.headers, ...given.headers }
  }
  return metadata
}
