import * as Predicate from "effect/Predicate"
import type { CloudEvent } from "../../event/CloudEvents.ts"
import * as Types from "./cloudEventTypes.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"

const required = (value: unknown, problem: (value: unknown) => string | undefined): string | undefined =>
  value === undefined || value === null ? "must be given" : problem(value)

const optional = (problem: (value: unknown) => string | undefined) => (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : problem(value)

const text = (what: string, is: (text: string) => boolean) => (value: unknown): string | undefined =>
  Types.nonEmptyProblem(value) ?? (is(value as string) ? undefined : `must be ${what}, got ${Faults.show(value)}`)

const attributes: { readonly [name: string]: (value: unknown) => string | undefined } = {
  specversion: (value) =>
    required(value, (given) => given === "1.0" ? undefined : `must be "1.0", got ${Faults.show(given)}`),
  id: (value) => required(value, Types.nonEmptyProblem),
  source: (value) => required(value, text("a URI reference", Types.isUriReference)),
  type: (value) => required(value, Types.nonEmptyProblem),
  subject: optional(Types.nonEmptyProblem),
  time: optional(text("an RFC 3339 timestamp", (given) => Types.timestamp(given) !== undefined)),
  datacontenttype: optional(text("a media type", Types.isMediaType)),
  dataschema: optional(text("an absolute URI", Types.isUri)),
  data_base64: optional((value) =>
    typeof value === "string" && Types.isBase64(value) ? undefined : `must be text in Base64, got ${Faults.show(value)}`
  )
}

export const extensionName = /^[a-z0-9]+$/

const extensionProblem = (name: string, value: unknown): string | undefined => {
  if (!extensionName.test(name)) return "must be named in lower-case letters and digits"
  if (value === undefined || value === null || typeof value === "boolean" || Types.isInteger(value)) return undefined
  return typeof value === "string"
    ? Types.stringProblem(value)
    : `must be a string, a boolean or a 32-bit integer, got ${Faults.show(value)}`
}

/** Adds all that keeps a value from being a CloudEvent; `under` stands before the name of each attribute. */
export const check = (input: unknown, under: string, faults: Faults.Faults): input is CloudEvent => {
  if (!Predicate.isReadonlyRecord(input)) {
    faults.add(under === "" ? "event" : under.slice(0, -1), `must be an object, got ${Faults.show(input)}`)
    return false
  }
  const before = faults.all.length
  for (const name of Object.keys(attributes)) {
    const problem = attributes[name]!(input[name])
    if (problem !== undefined) faults.add(`${under}${name}`, problem)
  }
  for (const name of Object.keys(input)) {
    if (name === "data" || Object.hasOwn(attributes, name)) continue
    const problem = extensionProblem(name, input[name])
    if (problem !== undefined) faults.add(`${under}${name}`, problem)
  }
  if (input.data !== undefined) {
    if (isSet(input.data_base64)) faults.add(`${under}data_base64`, "must not stand beside data")
    Json.check(input.data, `${under}data`, faults)
  }
  return faults.all.length === before
}

export const isSet = <A>(value: A): value is NonNullable<A> => value !== undefined && value !== null
