import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { MessageTooLarge } from "../../bus/BusError.ts"
import type * as Driver from "../../bus/BusDriver.ts"
import type { NewMessage } from "../../bus/EventBus.ts"
import { type Message, priorities } from "../../bus/Message.ts"
import * as Selector from "../../bus/Selector.ts"
import * as Correlation from "../../event/Correlation.ts"
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

/** What all messages of a bus are made with. */
export interface Bus {
  readonly nextId: EventId.Generator
  readonly format: Format
  readonly limits: Driver.Limits
  readonly can: ReadonlySet<Driver.Capability>
}

/** What a message is made with beside what its publisher says. */
export interface Surroundings {
  readonly correlation: Correlation.Correlation
  readonly traceparent: string | undefined
  readonly now: number
  /** Whether the payloads are JSON values that were looked at, and that nobody else changes. */
  readonly checked: boolean
}

/** Checks what is to be published and makes it ready for the driver, or says all that is wrong with it. */
export const make = (
  given: ReadonlyArray<NewMessage>,
  bus: Bus,
  around: Surroundings
): Either.Either<ReadonlyArray<Message>, InvalidEvent | MessageTooLarge> => {
  const faults = Faults.make()
  if (!Array.isArray(given)) {
    faults.add("messages", `must be a list, got ${Faults.show(given)}`)
    return Either.left(invalid(faults.all))
  }
  const { limits } = bus
  if (given.length > limits.messages) {
    return Either.left(new MessageTooLarge({ what: "messages", limit: limits.messages, actual: given.length }))
  }
  // a list of one is made as such, since one that grows has room for many at once
  const messages = given.length === 0 ? [] : [makeMessage(given[0], 0, bus, around, faults)]
  for (let index = 1; index < given.length; index++) {
    messages.push(makeMessage(given[index], index, bus, around, faults))
  }
  if (faults.all.length > 0) return Either.left(invalid(faults.all))
  const made = messages as ReadonlyArray<Message>
  for (const { payload } of made) {
    const actual = bytesOf(payload, limits.payload)
    if (actual > limits.payload) {
      return Either.left(new MessageTooLarge({ what: "payload", limit: limits.payload, actual }))
    }
  }
  return Either.right(made)
}

const invalid = (faults: Array<Fault>): InvalidEvent => new InvalidEvent({ faults: faults as [Fault, ...Array<Fault>] })

/** Counted one by one only where its length leaves a doubt. */
const bytesOf = (payload: Serialized, limit: number): number =>
  typeof payload === "string" && payload.length * 3 > limit ? Buffer.byteLength(payload) : payload.length

const problemOfType = Faults.remembering(Faults.nameProblem)
const problemOfSource = Faults.remembering(Faults.nameProblem)
const problemOfSubject = Faults.remembering(Selector.subjectProblem)

/** Where something is wrong. */
const at = (index: number, member: string): string => `messages[${index}].${member}`

const tell = (faults: Faults.Faults, index: number, member: string, problem: string | undefined): void => {
  if (problem !== undefined) faults.add(at(index, member), problem)
}

/** `undefined` where a fault was told. No function and no text is made here for what is right. */
const makeMessage = (
  given: NewMessage,
  index: number,
  bus: Bus,
  around: Surroundings,
  faults: Faults.Faults
): Message | undefined => {
  if (typeof given !== "object" || given === null) {
    faults.add(`messages[${index}]`, `must be a message, got ${Faults.show(given)}`)
    return undefined
  }
  const { correlation, now } = around
  const before = faults.all.length
  const id = given.id ?? bus.nextId(now)
  const isOurs = given.id === undefined && bus.nextId === EventId.uuid7
  const idProblem = isOurs ? undefined : EventId.problem(id)
  tell(faults, index, "id", idProblem)
  tell(faults, index, "type", problemOfType(given.type))
  const subject = given.subject ?? given.type
  if (given.subject !== undefined || faults.all.length === before) {
    tell(faults, index, "subject", problemOfSubject(subject))
  }
  const schemaVersion = given.schemaVersion ?? 1
  tell(faults, index, "schemaVersion", Faults.countProblem(schemaVersion, 1))
  if (given.payload === undefined) faults.add(at(index, "payload"), "must be a JSON value, got undefined")
  else if (!around.checked && !Json.isValue(given.payload)) Json.check(given.payload, at(index, "payload"), faults)
  const source = given.source ?? correlation.source ?? "/"
  tell(faults, index, "source", problemOfSource(source))
  if (given.key !== undefined) tell(faults, index, "key", Faults.nameProblem(given.key))
  const priority = given.priority === undefined ? priorities.normal : priorityOf(given.priority, index, faults)
  if (given.retries !== undefined) tell(faults, index, "retries", Faults.countProblem(given.retries, 0))
  const readyAt = given.at === undefined && given.delay === undefined ? now : readyAtOf(given, now, index, faults)
  const ttl = given.ttl === undefined ? undefined : durationOf(given.ttl, index, "ttl", faults)
  const occurredAt = given.occurredAt === undefined
    ? now
    : Instant.millis(given.occurredAt, at(index, "occurredAt"), faults)
  if (given.priority !== undefined && !bus.can.has("priority")) {
    tell(faults, index, "priority", "is not known to this driver")
  }
  if (readyAt > now && !bus.can.has("delay")) tell(faults, index, "delay", "is not known to this driver")
  // a faulty id is told once
  const metadata = isOurs && saysNothing(given, around) ? undefined : metadataOf(
    given,
    idProblem === undefined ? id : "-",
    around
  )
  const alone = metadata === undefined || MessageMetadata.isOwnConversation(metadata, id, isOurs)
  if (metadata !== undefined) {
    if (!alone) MetadataCheck.check(metadata, () => at(index, "metadata"), faults)
    if (metadata.tenant !== undefined) tell(faults, index, "metadata.tenant", Faults.nameProblem(metadata.tenant))
  }
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
    format: bus.format.name,
    payload: bus.format.write(given.payload)
  }
  if (ttl !== undefined) message.expiresAt = now + ttl
  if (given.key !== undefined) message.key = given.key
  if (given.retries !== undefined) message.retries = given.retries
  if (around.checked) Remembered.put(message, given.payload, alone)
  return message
}

/** Whether neither the publisher nor the fiber says anything of a message's surroundings, so that it begins a conversation. */
const saysNothing = ({ headers, metadata }: NewMessage, { correlation, traceparent }: Surroundings): boolean =>
  correlation === Correlation.empty && traceparent === undefined && metadata === undefined && headers === undefined

const priorityOf = (given: unknown, index: number, faults: Faults.Faults): number => {
  if (given === "low" || given === "normal" || given === "high") return priorities[given]
  if (
    typeof given === "number" && Number.isInteger(given) && given >= priorities.lowest && given <= priorities.highest
  ) {
    return given
  }
  tell(faults, index, "priority", `must be a whole number from 0 to 9, low, normal or high, got ${Faults.show(given)}`)
  return priorities.normal
}

const readyAtOf = (given: NewMessage, now: number, index: number, faults: Faults.Faults): number => {
  if (given.at !== undefined && given.delay !== undefined) {
    tell(faults, index, "at", "must not come together with delay")
    return now
  }
  if (given.delay !== undefined) return now + durationOf(given.delay, index, "delay", faults)
  return given.at === undefined ? now : Math.max(now, Instant.millis(given.at, at(index, "at"), faults))
}

/** Whole milliseconds, rounded up: never early. */
const durationOf = (
  given: Duration.DurationInput,
  index: number,
  member: string,
  faults: Faults.Faults
): number => {
  const duration = Option.getOrUndefined(Duration.decodeUnknown(given))
  if (duration !== undefined && Duration.isFinite(duration)) return Math.ceil(Duration.toMillis(duration))
  tell(faults, index, member, `must be a finite duration, got ${Faults.show(given)}`)
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
