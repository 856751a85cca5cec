import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import type { CloudEvent } from "../../event/CloudEvents.ts"
import type { Metadata } from "../../event/Envelope.ts"
import { extensionName, isSet } from "./cloudEventCheck.ts"
import * as Types from "./cloudEventTypes.ts"
import * as Faults from "../faults.ts"

/** The attributes and extensions that `encode` writes, which no header may stand for. */
const taken: ReadonlySet<string> = new Set([
  "specversion",
  "id",
  "source",
  "type",
  "subject",
  "time",
  "datacontenttype",
  "data",
  "recordedtime",
  "correlationid",
  "causationid",
  "tenant",
  "actor",
  "traceparent",
  "tracestate",
  "skaldsource",
  "skaldoccurredms",
  "skaldrecordedms",
  "skaldstreamversion",
  "skaldposition",
  "skaldschemaversion",
  "skaldtags",
  "skaldheaders"
])

export const canStandAlone = (name: string, value: string): boolean =>
  name.length <= 20 && extensionName.test(name) && !taken.has(name) && Types.isUtterable(value) &&
  (name !== "dataschema" || Types.isUri(value))

const isText = (value: unknown): value is string => typeof value === "string" && Faults.isWellFormed(value)

export const isTextList = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every(isText)

export const isTexts = (value: unknown): value is { readonly [name: string]: string } =>
  Predicate.isReadonlyRecord(value) && Object.entries(value).every((entry) => entry.every(isText))

export const parseJson: (text: string) => Option.Option<unknown> = Option.liftThrowable(JSON.parse)

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parseBytes = Option.liftThrowable((base64: string): unknown =>
  JSON.parse(utf8.decode(Either.getOrThrow(Encoding.decodeBase64(base64))))
)

export const payloadOf = (event: CloudEvent, add: (name: string, problem: string | undefined) => void): unknown => {
  if (event.data !== undefined) return event.data
  if (!isSet(event.data_base64)) return {}
  if (!isSet(event.datacontenttype) || !Types.isJsonMediaType(event.datacontenttype)) return event.data_base64
  const payload = parseBytes(event.data_base64)
  add("data_base64", Option.isNone(payload) ? `must hold JSON, as its ${event.datacontenttype} says` : undefined)
  return Option.getOrUndefined(payload)
}

export const metadataOf = (
  event: CloudEvent,
  said: (name: string) => string | undefined,
  together: { readonly [name: string]: string } | undefined
): Metadata => {
  const traceparent = said("traceparent")
  const tracestate = said("tracestate")
  const mediaType = said("datacontenttype")
  const headers: Array<[string, string]> = Object.keys(event).filter((name) =>
    isSet(event[name]) && !taken.has(name) && name !== "data_base64"
  ).map((name) => [name, String(event[name])])
  if (mediaType !== undefined && mediaType !== "application/json") headers.push(["datacontenttype", mediaType])
  if (tracestate !== undefined && traceparent === undefined) headers.push(["tracestate", tracestate])
  const metadata = {
    correlationId: said("correlationid"),
    causationId: said("causationid"),
    tenant: said("tenant"),
    actor: said("actor"),
    trace: traceparent === undefined
      ? undefined
      : tracestate === undefined
      ? { traceparent }
      : { traceparent, tracestate },
    headers: headers.length > 0 || together !== undefined
      ? Object.fromEntries([...headers, ...Object.entries(together ?? {})])
      : undefined
  }
  return Record.filter(metadata, isSet) as Metadata
}
