import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type { Entry } from "../../event/Event.ts"
import type { Encoded } from "../../event/EventCodec.ts"
import type { Fault } from "../../event/InvalidInput.ts"
import * as EventTypes from "./eventTypes.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"
import * as PlainSchema from "./plainSchema.ts"

/** Encodes one type of event, saying all that is wrong with an event. */
export const encoderOf = (entry: Entry) => {
  const encodeEvent = ParseResult.encodeUnknownEither(entry.schema as Schema.Schema<any, any>, { errors: "all" })
  const copy = PlainSchema.copyOf(entry.schema.ast, { errors: "all" })
  const dropsKeys = EventTypes.hasRecord(entry.schema.ast)
  return (event: unknown, path: string, faults: Array<Fault>): Encoded | undefined => {
    const before = faults.length
    const found = Faults.into(faults)
    let payload: unknown = PlainSchema.left
    let isJson = true
    // A Schema may throw for what it was not made for: a cycle overflows the stack.
    try {
      if (copy !== undefined) payload = copy(event)
      if (payload === PlainSchema.left) {
        const encoded = encodeEvent(event)
        if (Either.isLeft(encoded)) {
          for (const issue of ParseResult.ArrayFormatter.formatIssueSync(encoded.left)) {
            found.add(pathOf(path, issue.path), issue.message)
          }
          return undefined
        }
        payload = encoded.right
        isJson = false
      }
      if (dropsKeys) Json.checkKeys(event, path, found)
    } catch (cause) {
      found.add(path, `cannot be encoded: ${String(cause)}`)
      return undefined
    }
    if (!isJson) Json.check(payload, path, found)
    const tags = entry.tagsOf === undefined ? noTags : tagsOf(entry.tagsOf, event, `${path}.tags`, found)
    return faults.length > before
      ? undefined
      : { type: entry.tag, schemaVersion: entry.version, payload, tags }
  }
}

const noTags: ReadonlyArray<string> = []

const tagsOf = (
  read: (event: any) => ReadonlyArray<string>,
  event: unknown,
  path: string,
  faults: Faults.Faults
): ReadonlyArray<string> => {
  let tags: ReadonlyArray<string>
  try {
    tags = read(event)
  } catch (cause) {
    faults.add(path, `cannot be read: ${String(cause)}`)
    return noTags
  }
  if (!Array.isArray(tags)) {
    faults.add(path, `must be a list, got ${Faults.show(tags)}`)
    return noTags
  }
  tags.forEach((tag, index) => {
    const problem = Faults.nameProblem(tag)
    if (problem !== undefined) faults.add(`${path}[${index}]`, problem)
  })
  return Array.from(new Set(tags))
}

/** The path of a Schema's issue below another. */
export const pathOf = (path: string, rest: ReadonlyArray<PropertyKey>): string =>
  rest.reduce<string>((at, key) => typeof key === "number" ? `${at}[${key}]` : `${at}.${String(key)}`, path)
