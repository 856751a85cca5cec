import { hash } from "node:crypto"
import type { Correlation } from "../../event/Correlation.ts"
import type { Metadata } from "../../event/Envelope.ts"
import * as EventId from "../../event/EventId.ts"
import { type Fault, InvalidEvent } from "../../event/InvalidInput.ts"
import type { Format, Serialized } from "../../event/PayloadFormat.ts"
import { expectedProblem } from "../../event/Position.ts"
import * as StreamId from "../../event/StreamId.ts"
import { TooLarge } from "../../store/AppendError.ts"
import type * as Driver from "../../store/Driver.ts"
import type { AppendOptions, Group, NewEvent } from "../../store/EventStore.ts"
import * as Query from "../../store/Query.ts"
import { categoryOf } from "./categoryOf.ts"
import * as Faults from "../faults.ts"
import * as Instant from "../instant.ts"
import * as Json from "../json.ts"
import * as MetadataCheck from "../event/metadataCheck.ts"
import * as Marks from "./marks.ts"

/** Where a request is made: what the fiber carries and what the store was built with. */
export interface Surroundings {
  readonly correlation: Correlation
  /** The `traceparent` of the fiber's span, if it is in one. */
  readonly traceparent: string | undefined
  readonly now: number
  readonly nextId: EventId.Generator
  readonly format: Format
  /** What stands beside each payload: the format, and the transform after a `|`. */
  readonly formatName: string
  readonly limits: Driver.Limits
  /** Whether the driver stores the content of every event, so that it is made at once. */
  readonly keepsContent: boolean
  /** Whether it is a mark that is written. */
  readonly marks?: true
}

/** Checks an append and makes it ready for the driver, or says all that is wrong with it. */
export const make = (
  groups: ReadonlyArray<Group>,
  options: AppendOptions | undefined,
  around: Surroundings
): Driver.AppendRequest | InvalidEvent | TooLarge => {
  const faults = Faults.make()
  const tenant = around.correlation.tenant ?? ""
  if (tenant !== "") addProblem(faults, theTenant, Faults.nameProblem(tenant))
  if (!Array.isArray(groups)) {
    faults.add("groups", `must be a list, got ${Faults.show(groups)}`)
    return invalid(faults.all)
  }
  const tooMany = countExcess(groups, around.limits)
  if (tooMany !== undefined) return tooMany
  if (!groups.some((group) => (group?.events?.length ?? 0) > 0)) faults.add("groups", "must hold an event")
  const call: Call = {
    around,
    tenant,
    ids: { first: undefined, all: undefined },
    streams: { first: undefined, all: undefined },
    faults,
    metadata: undefined,
    begins: undefined,
    largest: 0
  }
  const encoded: Array<Driver.Group> = []
  for (let index = 0; index < groups.length; index++) {
    encoded.push(makeGroup(groups[index]!, () => `groups[${index}]`, call))
  }
  if (options?.failIf !== undefined) Query.check(options.failIf, "failIf", faults)
  else if (options?.after !== undefined) faults.add("after", "must come with failIf")
  if (options?.after !== undefined) addProblem(faults, () => "after", Faults.countProblem(options.after, 0))
  if (faults.all.length > 0) return invalid(faults.all)
  if (call.largest > around.limits.payload) {
    return new TooLarge({ what: "payload", limit: around.limits.payload, actual: call.largest })
  }
  return {
    tenant,
    groups: encoded,
    failIf: options?.failIf === undefined ? undefined : { query: options.failIf, after: options.after ?? 0 },
    now: around.now
  }
}

interface Call {
  readonly around: Surroundings
  readonly tenant: string
  readonly ids: Once
  readonly streams: Once
  readonly faults: Faults.Faults
  /** What the events of the call have in common, made with the first of them. */
  metadata: Shared | undefined
  /** The id of the event that began the call's conversation. */
  begins: string | undefined
  largest: number
}

interface Shared {
  readonly correlationId: string
  /** `undefined` where the correlation id is all there is. */
  readonly text: string | undefined
}

/** Where something stands: told when it is faulty, for most of what is appended is not. */
type Path = () => string

const theTenant: Path = () => "tenant"

/** Names that must stand once. Most appends have one. */
interface Once {
  first: string | undefined
  all: Set<string> | undefined
}

const stoodBefore = (names: Once, name: string): boolean => {
  if (names.first === undefined) {
    names.first = name
    return false
  }
  const all = names.all ??= new Set([names.first])
  if (all.has(name)) return true
  all.add(name)
  return false
}

const invalid = (faults: Array<Fault>): InvalidEvent => new InvalidEvent({ faults: faults as [Fault, ...Array<Fault>] })

const addProblem = (faults: Faults.Faults, path: Path, problem: string | undefined): void => {
  if (problem !== undefined) faults.add(path(), problem)
}

const countExcess = (groups: ReadonlyArray<Group>, limits: Driver.Limits): TooLarge | undefined => {
  if (groups.length > limits.streams) {
    return new TooLarge({ what: "streams", limit: limits.streams, actual: groups.length })
  }
  let events = 0
  for (const group of groups) events += group?.events?.length ?? 0
  return events > limits.events ? new TooLarge({ what: "events", limit: limits.events, actual: events }) : undefined
}

const noEvents: ReadonlyArray<NewEvent> = []

const makeGroup = (group: Group, path: Path, call: Call): Driver.Group => {
  const { faults } = call
  const stream = StreamId.problem(group?.stream)
  if (stream !== undefined) faults.add(`${path()}.stream`, stream)
  else if (stoodBefore(call.streams, group.stream)) {
    faults.add(`${path()}.stream`, `must stand once in an append, "${group.stream}" stands twice`)
  }
  const expected = group?.expected ?? "any"
  const expectation = expected === "any" ? undefined : expectedProblem(expected)
  if (expectation !== undefined) faults.add(`${path()}.expected`, expectation)
  const given = Array.isArray(group?.events) ? group.events : noEvents
  if (given === noEvents) faults.add(`${path()}.events`, `must be a list, got ${Faults.show(group?.events)}`)
  const events: Array<Driver.NewRow> = []
  for (let index = 0; index < given.length; index++) {
    // where one is faulty, none is used
    events.push(makeRow(given[index]!, () => `${path()}.events[${index}]`, call)!)
  }
  return {
    stream: group?.stream,
    category: stream === undefined ? categoryOf(group.stream) : null,
    expected: expected === 0 ? "noStream" : expected,
    events
  }
}

const problemOfType = Faults.remembering(Faults.nameProblem)
const problemOfSource = Faults.remembering(Faults.nameProblem)

const makeRow = (event: NewEvent, path: Path, call: Call): Driver.NewRow | undefined => {
  const { around, faults } = call
  if (typeof event !== "object" || event === null) {
    faults.add(path(), `must be an event, got ${Faults.show(event)}`)
    return undefined
  }
  const before = faults.all.length
  const id = event.id ?? around.nextId(around.now)
  const idProblem = event.id === undefined && around.nextId === EventId.uuid7 ? undefined : EventId.problem(id)
  if (idProblem !== undefined) faults.add(`${path()}.id`, idProblem)
  else if (stoodBefore(call.ids, id)) {
    faults.add(`${path()}.id`, `must stand once in an append, "${id}" stands twice`)
  }
  const typeProblem = problemOfType(event.type)
  if (typeProblem !== undefined) faults.add(`${path()}.type`, typeProblem)
  else if (event.type === Marks.tombstoned && around.marks !== true) {
    faults.add(`${path()}.type`, `must not be "${Marks.tombstoned}", which a tombstone alone leaves`)
  }
  const schemaVersion = event.schemaVersion ?? 1
  const schemaProblem = Faults.countProblem(schemaVersion, 1)
  if (schemaProblem !== undefined) faults.add(`${path()}.schemaVersion`, schemaProblem)
  if (event.payload === undefined) faults.add(`${path()}.payload`, "must be a JSON value, got undefined")
  else if (!Json.isValue(event.payload)) Json.check(event.payload, `${path()}.payload`, faults)
  const source = event.source ?? around.correlation.source ?? "/"
  const sourceProblem = problemOfSource(source)
  if (sourceProblem !== undefined) faults.add(`${path()}.source`, sourceProblem)
  const tags = event.tags === undefined ? noTags : makeTags(event.tags, path(), faults)
  const given = event.occurredAt === undefined
    ? undefined
    : Instant.millis(event.occurredAt, `${path()}.occurredAt`, faults)
  const metadata = makeMetadata(event.metadata, id, path, call)
  if (faults.all.length > before) return undefined
  const payload = around.format.write(event.payload)
  call.largest = Math.max(call.largest, byteLength(payload, around.limits.payload))
  const { formatName: format, now } = around
  const content = around.keepsContent ? contentOf(event.type, schemaVersion, event.payload, tags, given) : undefined
  return new Row(
    id,
    event.type,
    schemaVersion,
    format,
    payload,
    metadata.text,
    metadata.correlationId,
    source,
    tags,
    given ?? now,
    given,
    around.format,
    content
  )
}

/** What makes two events equal: type, schema version, payload as a JSON value, set of tags, and the time if it was given. */
const contentOf = (
  type: string,
  schemaVersion: number,
  payload: unknown,
  tags: ReadonlyArray<string>,
  occurredAt: number | undefined
): string => hash("sha256", Json.canonical([type, schemaVersion, payload, tags, occurredAt ?? null]), "base64")

/** A row that writes its metadata when it is asked, and mostly its content, too: the memory driver asks rarely. */
class Row implements Driver.NewRow {
  readonly id: string
  readonly type: string
  readonly schemaVersion: number
  readonly format: string
  readonly payload: Serialized
  readonly text: string | undefined
  readonly correlationId: string
  readonly source: string
  readonly tags: ReadonlyArray<string>
  readonly occurredAt: number
  /** The instant that the appender gave. */
  readonly given: number | undefined
  readonly reader: Format
  readonly known: string | undefined

  constructor(
    id: string,
    type: string,
    schemaVersion: number,
    format: string,
    payload: Serialized,
    text: string | undefined,
    correlationId: string,
    source: string,
    tags: ReadonlyArray<string>,
    occurredAt: number,
    given: number | undefined,
    reader: Format,
    known: string | undefined
  ) {
    this.id = id
    this.type = type
    this.schemaVersion = schemaVersion
    this.format = format
    this.payload = payload
    this.text = text
    this.correlationId = correlationId
    this.source = source
    this.tags = tags
    this.occurredAt = occurredAt
    this.given = given
    this.reader = reader
    this.known = known
  }

  get metadata(): string {
    return this.text ?? `{"correlationId":${JSON.stringify(this.correlationId)}}`
  }

  /** Made of the payload as it is stored, for the event's own may have been changed since. */
  get content(): string {
    const { given, known, payload, reader, schemaVersion, tags, type } = this
    return known ?? contentOf(type, schemaVersion, reader.read(payload), tags, given)
  }
}

const noTags: ReadonlyArray<string> = []

const makeTags = (tags: ReadonlyArray<string>, path: string, faults: Faults.Faults) => {
  if (!Array.isArray(tags)) {
    faults.add(`${path}.tags`, `must be a list, got ${Faults.show(tags)}`)
    return noTags
  }
  if (tags.length === 0) return noTags
  tags.forEach((tag, index) => addProblem(faults, () => `${path}.tags[${index}]`, Faults.nameProblem(tag)))
  return Array.from(new Set(tags)).sort()
}

/**
 * The metadata of an event: what its appender said of it over what the fiber carries. Events that say nothing of their own
 * share one, so that it is written once. Where the fiber is in no conversation, the first event of the call that names none
 * begins it.
 */
const makeMetadata = (own: Metadata | undefined, id: string, path: Path, call: Call): Shared => {
  if (own !== undefined && !isObject(own)) call.faults.add(`${path()}.metadata`, notObject(own))
  if (own === undefined || !isObject(own) || isEmpty(own)) {
    return call.metadata ??= shared(merge(undefined, call.begins ??= id, call), path, call)
  }
  if (own.tenant !== undefined && own.tenant !== call.tenant) {
    call.faults.add(
      `${path()}.metadata.tenant`,
      `must be the tenant that Correlation carries ("${call.tenant}"), got ${Faults.show(own.tenant)}`
    )
  }
  if (own.headers !== undefined && !isObject(own.headers)) {
    call.faults.add(`${path()}.metadata.headers`, notObject(own.headers))
  }
  const begins = own.correlationId === undefined ? call.begins ??= id : id
  return shared(merge(own, begins, call), path, call)
}

/** `null` says nothing, as `undefined` does. */
const isObject = (value: unknown): boolean => typeof value === "object" && !Array.isArray(value)

const notObject = (value: unknown): string => `must be an object, got ${Faults.show(value)}`

const isEmpty = (own: Metadata | null): boolean => {
  for (const key in own) if (own[key as keyof Metadata] !== undefined) return false
  return true
}

/** Built member by member: this runs for every append. */
const merge = (own: Metadata | undefined, begins: string, call: Call): Metadata => {
  const { correlation, traceparent } = call.around
  const metadata: { -readonly [K in keyof Metadata]: Metadata[K] } = {
    correlationId: own?.correlationId ?? correlation.correlationId ?? begins
  }
  const causationId = own?.causationId ?? correlation.causationId
  if (causationId !== undefined) metadata.causationId = causationId
  if (call.tenant !== "") metadata.tenant = call.tenant
  const actor = own?.actor ?? correlation.actor
  if (actor !== undefined) metadata.actor = actor
  const trace = own?.trace ?? (traceparent === undefined ? correlation.trace : { ...correlation.trace, traceparent })
  if (trace !== undefined) metadata.trace = trace
  if (own?.headers !== undefined || correlation.headers !== undefined) {
    metadata.headers = { ...correlation.headers, ...own?.headers }
  }
  return metadata
}

const shared = (value: Metadata, path: Path, call: Call): Shared => {
  MetadataCheck.check(value, () => `${path()}.metadata`, call.faults)
  return { correlationId: value.correlationId!, text: isAlone(value) ? undefined : JSON.stringify(value) }
}

const isAlone = ({ actor, causationId, headers, tenant, trace }: Metadata): boolean =>
  causationId === undefined && tenant === undefined && actor === undefined && trace === undefined &&
  headers === undefined

/** The first payload that is larger than a limit. */
export const excess = (request: Driver.AppendRequest, limit: number): TooLarge | undefined => {
  for (const group of request.groups) {
    for (const { payload } of group.events) {
      const actual = byteLength(payload, limit)
      if (actual > limit) return new TooLarge({ what: "payload", limit, actual })
    }
  }
  return undefined
}

/** Bytes of a payload; counted one by one only where its length leaves a doubt. */
const byteLength = (payload: Serialized, limit: number): number =>
  typeof payload === "string" && payload.length * 3 > limit ? Buffer.byteLength(payload) : payload.length
