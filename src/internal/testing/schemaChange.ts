import * as Predicate from "effect/Predicate"
import * as Json from "../json.ts"

/** A node of a JSON Schema of draft 07, as `effect/JSONSchema` makes it. */
export type Node = { readonly [keyword: string]: unknown }

/** Where a document stands that a value once met and does not meet now. */
export interface Difference {
  readonly path: string
  readonly problem: string
}

/** A JSON Schema with the definitions that its `$ref`s name. */
interface Document {
  readonly root: Node
  readonly definitions: Node
}

const documentOf = (root: Node): Document => ({ root, definitions: isNode(root.$defs) ? root.$defs : {} })

const isNode = (value: unknown): value is Node => Predicate.isReadonlyRecord(value)

/** Keywords that say nothing about which values are met. */
const annotations = new Set(["$schema", "$id", "$comment", "$defs", "title", "description", "examples", "default"])

/** The keywords that are compared one by one; another one must be as it was, or be gone. */
const compared = new Set(
  ("$ref type enum const anyOf oneOf allOf required properties additionalProperties patternProperties items " +
    "additionalItems minimum exclusiveMinimum minLength minItems minProperties maximum exclusiveMaximum maxLength " +
    "maxItems maxProperties multipleOf").split(" ")
)

/**
 * What of the values that one JSON Schema meets another does not meet, or would not show: nothing, where every value of
 * the old one is read by the new one whole. Where that cannot be decided it is taken for a difference.
 */
export const differences = (before: Node, after: Node): ReadonlyArray<Difference> => {
  const old = documentOf(before)
  const now = documentOf(after)
  /** Pairs under way, of recursive Schemas: they hold unless one of them is found not to. */
  const assumed = new Map<object, Set<object>>()

  const resolve = (document: Document, node: unknown): unknown => {
    let found = node
    for (let hops = 0; isNode(found) && typeof found.$ref === "string" && hops < 100; hops++) {
      const { $ref, ...beside } = found
      const name = decodeURIComponent(($ref as string).replace(/^#\/\$defs\//, "")).replaceAll("~1", "/").replaceAll(
        "~0",
        "~"
      )
      const definition = document.definitions[name]
      // what stands beside a reference holds as well; a plain one stays the same node, by which recursion ends
      found = acceptsAll(beside) || !isNode(definition) ? definition : { ...definition, ...beside }
    }
    return found
  }

  const compare = (oldNode: unknown, newNode: unknown, path: string): ReadonlyArray<Difference> => {
    const from = resolve(old, oldNode)
    const to = resolve(now, newNode)
    const differs = (problem: string) => [{ path, problem }]
    if (from === false || to === true || acceptsAll(to)) return []
    if (!isNode(to)) return differs("is not allowed any more")
    if (!isNode(from) || acceptsAll(from)) return differs("may have been anything, and is restricted now")
    const seen = assumed.get(from) ?? new Set()
    if (seen.has(to)) return []
    assumed.set(from, seen.add(to))

    const oldParts = alternatives(from)
    if (oldParts !== undefined) return unique(oldParts.flatMap((part) => compare(part, to, path)))
    const newParts = alternatives(to)
    if (newParts !== undefined) {
      const tried = newParts.map((part) => probe(from, part, path))
      if (tried.some((found) => found.length === 0)) return []
      // the alternative that is nearest says most
      const nearest = tried.reduce((best, each) => (each.length < best.length ? each : best))
      return tried.length === 1 ? nearest : differs(`${describe(from)} is none of the alternatives any more`)
    }
    return [...keywords(from, to, path), ...objects(from, to, path), ...arrays(from, to, path)]
  }

  /** Compares without keeping what it assumed: a failed alternative must not stand for another's success. */
  const probe = (from: Node, to: unknown, path: string): ReadonlyArray<Difference> => {
    const kept = new Map(Array.from(assumed, ([key, set]) => [key, new Set(set)]))
    const found = compare(from, to, path)
    if (found.length > 0) {
      assumed.clear()
      for (const [key, set] of kept) assumed.set(key, set)
    }
    return found
  }

  const objects = (from: Node, to: Node, path: string): ReadonlyArray<Difference> => {
    if (!typesOf(from).includes("object") || !typesOf(to).includes("object")) return []
    const found: Array<Difference> = []
    const oldProperties = isNode(from.properties) ? from.properties : {}
    const newProperties = isNode(to.properties) ? to.properties : {}
    const oldRequired = namesOf(from.required)
    const rest = to.additionalProperties
    for (const [name, property] of Object.entries(oldProperties)) {
      const at = `${path}.${name}`
      if (Object.hasOwn(newProperties, name)) found.push(...compare(property, newProperties[name], at))
      else if (isNode(rest)) found.push(...compare(property, rest, at))
      else if (!Object.hasOwn(to, "patternProperties")) found.push({ path: at, problem: "was removed" })
    }
    for (const name of namesOf(to.required)) {
      if (oldRequired.includes(name)) continue
      const problem = Object.hasOwn(oldProperties, name) ? "was optional, and is required now" : "is new and required"
      found.push({ path: `${path}.${name}`, problem })
    }
    const oldRest = from.additionalProperties
    if (isNode(oldRest)) {
      found.push(...compare(oldRest, rest === undefined ? {} : rest, `${path}[key]`))
      for (const [name, property] of Object.entries(newProperties)) {
        if (!Object.hasOwn(oldProperties, name)) found.push(...compare(oldRest, property, `${path}.${name}`))
      }
    }
    if (isNode(from.patternProperties) || isNode(to.patternProperties)) {
      if (!same(from.patternProperties, to.patternProperties)) {
        found.push({ path: `${path}[key]`, problem: "changed the pattern of its keys" })
      }
    }
    return found
  }

  const arrays = (from: Node, to: Node, path: string): ReadonlyArray<Difference> => {
    if (!typesOf(from).includes("array") || !typesOf(to).includes("array")) return []
    const oldItems: ReadonlyArray<unknown> = Array.isArray(from.items) ? from.items : []
    const newItems: ReadonlyArray<unknown> = Array.isArray(to.items) ? to.items : []
    const oldRest = restOf(from)
    const newRest = restOf(to)
    const found: Array<Difference> = []
    for (let index = 0; index < Math.max(oldItems.length, newItems.length); index++) {
      const item = oldItems[index] ?? oldRest
      const place = newItems[index] ?? newRest
      found.push(...compare(item, place, `${path}[${index}]`))
    }
    return [...found, ...compare(oldRest, newRest, `${path}[]`)]
  }

  return unique(compare(old.root, now.root, "payload"))
}

const keywords = (from: Node, to: Node, path: string): ReadonlyArray<Difference> => {
  const found: Array<Difference> = []
  const add = (problem: string) => found.push({ path, problem })
  const oldTypes = typesOf(from)
  const newTypes = typesOf(to)
  const lost = oldTypes.filter((type) =>
    !newTypes.includes(type) && !(type === "integer" && newTypes.includes("number"))
  )
  if (lost.length > 0) {
    // nothing else can be said of values of another type
    return [{ path, problem: `was ${lost.join(" or ")}, and is ${newTypes.join(" or ")} now` }]
  }
  const newValues = valuesOf(to)
  if (newValues !== undefined) {
    const oldValues = valuesOf(from)
    const gone = oldValues?.filter((value) => !newValues.some((other) => same(value, other)))
    if (gone === undefined) add(`may have been any ${oldTypes.join(" or ")}, and is one of a list now`)
    else if (gone.length > 0) {
      add(`may have been ${gone.map((value) => JSON.stringify(value)).join(" or ")}, and may not now`)
    }
  }
  const listed = valuesOf(from)
  for (const [keyword, isNarrower] of bounds) {
    const limit = to[keyword]
    if (limit === undefined) continue
    const narrower = listed === undefined
      ? from[keyword] === undefined || isNarrower(limit, from[keyword])
      : listed.some((value) => !isWithin(keyword, limit as number, value))
    if (narrower) {
      add(`has a narrower ${keyword}: ${JSON.stringify(limit)}, it was ${JSON.stringify(from[keyword]) ?? "none"}`)
    }
  }
  if (to.allOf !== undefined && !same(to.allOf, from.allOf)) add("changed what else must hold of it (allOf)")
  for (const keyword of Object.keys(to)) {
    if (!annotations.has(keyword) && !compared.has(keyword) && !same(from[keyword], to[keyword])) {
      add(`has another ${keyword}: ${JSON.stringify(to[keyword])}, it was ${JSON.stringify(from[keyword]) ?? "none"}`)
    }
  }
  return found
}

const isLess = (value: unknown, than: unknown): boolean => (value as number) < (than as number)
const isMore = (value: unknown, than: unknown): boolean => (value as number) > (than as number)

const bounds: ReadonlyArray<readonly [keyword: string, isNarrower: (to: unknown, from: unknown) => boolean]> = [
  ...["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"].map((each) => [each, isMore] as const),
  ...["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"].map((each) => [each, isLess] as const),
  ["multipleOf", (to, from) => to !== from]
]

/** Whether one value keeps a bound; of what is not counted here, that is not known. */
const isWithin = (keyword: string, limit: number, value: unknown): boolean => {
  const measured = typeof value === "string" ? value.length : value
  if (typeof measured !== "number" || (typeof value === "string") !== keyword.endsWith("Length")) {
    return typeof value !== "object"
  }
  switch (keyword) {
    case "minimum":
    case "minLength":
      return measured >= limit
    case "maximum":
    case "maxLength":
      return measured <= limit
    case "exclusiveMinimum":
      return measured > limit
    case "exclusiveMaximum":
      return measured < limit
    default:
      return false
  }
}

const alternatives = (node: Node): ReadonlyArray<unknown> | undefined => {
  const parts = node.anyOf ?? node.oneOf
  return Array.isArray(parts) ? parts : undefined
}

const acceptsAll = (node: unknown): boolean =>
  node === true || (isNode(node) && Object.keys(node).every((keyword) => annotations.has(keyword)))

const everyType = ["array", "boolean", "integer", "null", "number", "object", "string"]

const typesOf = (node: Node): ReadonlyArray<string> => {
  if (Array.isArray(node.type)) return node.type
  if (typeof node.type === "string") return [node.type]
  const values = valuesOf(node)
  if (values === undefined) return everyType
  return Array.from(
    new Set(values.map((value) => value === null ? "null" : Array.isArray(value) ? "array" : typeof value))
  )
}

const valuesOf = (node: Node): ReadonlyArray<unknown> | undefined =>
  Array.isArray(node.enum) ? node.enum : "const" in node ? [node.const] : undefined

/** What the further elements of an array are. */
const restOf = (node: Node): unknown =>
  Array.isArray(node.items) ? node.additionalItems ?? true : node.items ?? node.maxItems !== 0

const namesOf = (required: unknown): ReadonlyArray<string> => Array.isArray(required) ? required : []

const same = (one: unknown, other: unknown): boolean =>
  one === other || (one !== undefined && other !== undefined && Json.canonical(one) === Json.canonical(other))

const describe = (node: Node): string => {
  const values = valuesOf(node)
  return values === undefined
    ? `a value of type ${typesOf(node).join(" or ")}`
    : values.map((v) => JSON.stringify(v)).join(" or ")
}

const unique = (all: ReadonlyArray<Difference>): ReadonlyArray<Difference> => {
  const seen = new Set<string>()
  return all.filter(({ path, problem }) => {
    const key = `${path}: ${problem}`
    return !seen.has(key) && seen.add(key)
  })
}
