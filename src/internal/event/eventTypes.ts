import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { Any, Entry, EventType, Link, Options } from "../../event/Event.ts"
import * as Faults from "../faults.ts"

export const tagProblem = (tag: unknown): string | undefined =>
  Faults.nameProblem(tag) ??
    ((tag as string).startsWith("$")
      ? `must not begin with "$", which marks the library's own, got ${Faults.show(tag)}`
      : undefined)

/** Where {@link make} keeps what it was given, so that annotated or filtered copies of a type still have it. */
const EventInfo = Symbol.for("effect-skald/event/Event")

type Info = Pick<Entry, "subject" | "version" | "upcasters" | "tagsOf" | "aliases">

const noUpcasters: Info["upcasters"] = {}

const noAliases: Info["aliases"] = []

/** Of a chain that misses more links than this, they are counted and not named. */
const maxNamed = 100

export const make = (
  tag: string,
  fields: Schema.Struct.Fields,
  options?: Options<any> & { readonly version?: number; readonly upcast?: Record<number, Link<any, any>> }
): EventType<string, any> => {
  const faults = Faults.make()
  const add = (path: string, problem: string | undefined) => {
    if (problem !== undefined) faults.add(path, problem)
  }
  add("tag", tagProblem(tag))
  if ("_tag" in fields) faults.add("fields._tag", "is taken by the event's tag")
  const version = options?.version ?? 1
  const upcasters = options?.upcast ?? noUpcasters
  const versionProblem = Faults.countProblem(version, 1)
  add("options.version", versionProblem)
  const aliases = options?.alias ?? noAliases
  if (!Array.isArray(aliases)) add("options.alias", `must be a list of tags, got ${Faults.show(aliases)}`)
  else {
    aliases.forEach((alias, index) => {
      const path = `options.alias[${index}]`
      if (alias === tag) faults.add(path, "must differ from the tag")
      else if (aliases.indexOf(alias) < index) faults.add(path, `must not stand twice, got ${Faults.show(alias)}`)
      else add(path, tagProblem(alias))
    })
  }
  if (options?.subject !== undefined) add("options.subject", Faults.nameProblem(options.subject))
  if (versionProblem === undefined) {
    const missing = version - 1 - Object.keys(upcasters).length
    if (missing > maxNamed) {
      faults.add("options.upcast", `must lead from each version below ${version} to the next, ${missing} are missing`)
    } else {
      for (let below = 1; below < version; below++) {
        const link = upcasters[below]
        if (!Schema.isSchema(link?.schema) || typeof link?.to !== "function") {
          faults.add(`options.upcast[${below}]`, `must lead from version ${below} to ${below + 1}`)
        }
      }
    }
    for (const key of Object.keys(upcasters)) {
      const from = Number(key)
      if (!(Number.isInteger(from) && from >= 1 && from < version)) {
        faults.add(`options.upcast[${key}]`, `must be a version below ${version}`)
      }
    }
  }
  return Either.getOrThrowWith(
    Faults.orInvalid(faults, () => {
      const info: Info = { subject: options?.subject ?? tag, version, upcasters, tagsOf: options?.tags, aliases }
      const struct = Schema.TaggedStruct(tag, fields).annotations({ identifier: tag, [EventInfo]: info })
      // A Schema is a value with static members; a function that inherits them is that Schema, and can be called.
      // The tag is its own, whatever is given: `Placed(command)` takes the fields of a tagged command.
      const construct = (given: any) => struct.make({ ...given, _tag: tag })
      Object.setPrototypeOf(construct, struct)
      return Object.defineProperties(construct, {
        name: { value: tag },
        tag: { value: tag, enumerable: true },
        version: { value: version, enumerable: true },
        subject: { value: info.subject, enumerable: true },
        upcasters: { value: upcasters, enumerable: true },
        aliases: { value: aliases, enumerable: true },
        tagsOf: { value: info.tagsOf ?? (() => []), enumerable: true }
      }) as any
    }),
    (error) => error
  )
}

/** The literal tags of a Schema's values, or `undefined` where they cannot be read from it. */
export const tagsOfType = (ast: AST.AST): ReadonlyArray<string> | undefined => {
  const tag = AST.getPropertySignatures(AST.typeAST(ast)).find((property) => property.name === "_tag")
  return tag === undefined ? undefined : literals(tag.type)
}

const literals = (ast: AST.AST): ReadonlyArray<string> | undefined => {
  if (AST.isLiteral(ast)) return typeof ast.literal === "string" ? [ast.literal] : undefined
  if (AST.isUnion(ast)) {
    const all = ast.types.map(literals)
    return all.every((each) => each !== undefined) ? all.flat() : undefined
  }
  return AST.isRefinement(ast) ? literals(ast.from) : undefined
}

/** The event types of one Schema: itself, or each member of a union. */
const members = (ast: AST.AST): ReadonlyArray<AST.AST> => {
  if (EventInfo in ast.annotations) return [ast]
  if (AST.isSuspend(ast)) return members(ast.f())
  return AST.isUnion(ast) ? ast.types.flatMap(members) : [ast]
}

/** What {@link make} was given for a tag, also where the type was filtered since, alone or with others in a union. */
const infoOf = (ast: AST.AST, tag: string): Info | undefined => {
  if (EventInfo in ast.annotations) return ast.annotations[EventInfo] as Info
  if (AST.isRefinement(ast)) return infoOf(ast.from, tag)
  if (AST.isSuspend(ast)) return infoOf(ast.f(), tag)
  const member = AST.isUnion(ast) ? ast.types.find((type) => tagsOfType(type)?.includes(tag)) : undefined
  return member && infoOf(member, tag)
}

/** Whether a Schema turns the values of a versioned event type into others, which its upcasters know nothing of. */
const isTurned = (ast: AST.AST, tag: string): boolean => {
  if (EventInfo in ast.annotations) return false
  if (AST.isRefinement(ast)) return isTurned(ast.from, tag)
  return AST.isTransformation(ast) && [ast.from, ast.to].some((side) => (infoOf(side, tag)?.version ?? 1) > 1)
}

/** Whether a Schema has records anywhere, whose keys are data. */
export const hasRecord = (ast: AST.AST, seen = new Set<AST.AST>()): boolean => {
  if (seen.has(ast)) return false
  seen.add(ast)
  const within = (part: AST.AST) => hasRecord(part, seen)
  switch (ast._tag) {
    case "TypeLiteral":
      return ast.indexSignatures.length > 0 || ast.propertySignatures.some((property) => within(property.type))
    case "TupleType":
      return [...ast.elements, ...ast.rest].some((element) => within(element.type))
    case "Union":
      return ast.types.some(within)
    case "Declaration":
      return ast.typeParameters.some(within)
    case "Refinement":
      return within(ast.from)
    case "Transformation":
      return within(ast.from) || within(ast.to)
    case "Suspend":
      return within(ast.f())
    default:
      return false
  }
}

/** What is known of each tag of some event types; throws `InvalidInput` with every fault. */
export const entries = (types: ReadonlyArray<Any>): ReadonlyMap<string, Entry> => {
  const faults = Faults.make()
  const known = new Map<string, Entry>()
  if (!Array.isArray(types)) faults.add("events", `must be a list of event types, got ${Faults.show(types)}`)
  else {types.forEach((type, index) => {
      const path = `events[${index}]`
      if (!Schema.isSchema(type)) return faults.add(path, `must be a Schema, got ${Faults.show(type)}`)
      for (const member of members(type.ast)) {
        const tags = tagsOfType(member)
        if (tags === undefined || tags.length === 0) {
          faults.add(path, "must be a Schema of values with a literal \"_tag\"")
          continue
        }
        for (const tag of tags) {
          const info = infoOf(member, tag)
          const problem = info === undefined ? tagProblem(tag) : undefined
          if (problem !== undefined) faults.add(`${path}._tag`, problem)
          else if (isTurned(member, tag)) faults.add(path, `must not transform "${tag}", which has upcasters`)
          else if (known.has(tag)) faults.add(`${path}._tag`, `must differ from the others', "${tag}" stands twice`)
          else {
            known.set(tag, {
              tag,
              subject: info?.subject ?? tag,
              version: info?.version ?? 1,
              schema: Schema.make(member),
              upcasters: info?.upcasters ?? noUpcasters,
              tagsOf: info?.tagsOf,
              aliases: info?.aliases ?? noAliases
            })
          }
        }
      }
    })}
  checkAliases(known, faults)
  return Either.getOrThrowWith(Faults.orInvalid(faults, () => known), (error) => error)
}

/** One stored name must lead to one event type. */
const checkAliases = (known: ReadonlyMap<string, Entry>, faults: Faults.Faults): void => {
  const owners = new Map<string, string>()
  for (const { aliases, tag } of known.values()) {
    for (const alias of aliases) {
      const owner = known.has(alias) ? alias : owners.get(alias)
      owners.set(alias, tag)
      if (owner !== undefined) {
        faults.add("events", `must not have "${alias}" as an alias of "${tag}": it names events of "${owner}"`)
      }
    }
  }
}

/** The names that events of some types are stored under. */
export const storedTypes = (entries: Iterable<Entry>): ReadonlyArray<string> =>
  Array.from(entries).flatMap(({ aliases, tag }) => [tag, ...aliases])

/**
 * An event type of the library's own, whose tag may begin with `$`.
 */
export const internalMake = <const Tag extends string, F extends Schema.Struct.Fields>(
  tag: Tag,
  fields: F
): Schema.TaggedStruct<Tag, F> => {
  const info: Info = { subject: tag, version: 1, upcasters: noUpcasters, tagsOf: undefined, aliases: noAliases }
  return Schema.TaggedStruct(tag, fields).annotations({ identifier: tag, [EventInfo]: info }) as any
}
