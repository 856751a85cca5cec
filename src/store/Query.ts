/**
 * Which events: by type and tag. A query selects what a decision depends on, for reading it and for guarding it.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"

/**
 * One item of a query: events of any of the types that have all of the tags. Either list may be left out, not both.
 *
 * @since 0.1.0
 * @category models
 */
export interface Item extends Schema.Schema.Type<typeof Item> {}

const Names = Schema.Array(Schema.String.pipe(Schema.filter((name) => Faults.nameProblem(name) ?? true)))

/**
 * Schema of an item.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Item = Schema.Struct({
  types: Schema.optionalWith(Names, { exact: true }),
  tags: Schema.optionalWith(Names, { exact: true })
})

/**
 * Schema of a query: every event, or those that match any of the items.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Query = Schema.Union(
  Schema.TaggedStruct("All", {}),
  Schema.TaggedStruct("Items", { items: Schema.NonEmptyArray(Item) })
)

/**
 * Every event, or those that match any of some items. Made by {@link make}; {@link all} is explicit.
 *
 * @since 0.1.0
 * @category models
 */
export type Query = typeof Query.Type

/**
 * Every event.
 *
 * @since 0.1.0
 * @category constructors
 */
export const all: Query = { _tag: "All" }

/**
 * A query of one or several items: OR between the items, OR between the types of an item, AND between its tags.
 * An empty query or item is refused, with every other fault.
 *
 * @example
 * ```ts
 * import * as Query from "effect-skald/store/Query"
 *
 * // what a subscription to a course depends on
 * const decision = Query.make(
 *   { types: ["CourseDefined", "CapacityChanged"], tags: ["course:c1"] },
 *   { types: ["StudentSubscribed"], tags: ["course:c1"] },
 *   { types: ["StudentSubscribed"], tags: ["student:s1"] }
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (...items: ReadonlyArray<Item>): Either.Either<Query, InvalidInput> => {
  const faults = Faults.make()
  problems({ _tag: "Items", items: items as never }, "items", faults)
  return Faults.orInvalid(faults, () => ({ _tag: "Items", items: items as never }))
}

/**
 * As {@link make}, and throws what that would fail with: for queries that stand in the code.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unsafeMake = (...items: ReadonlyArray<Item>): Query =>
  Either.getOrThrowWith(make(...items), (error) => error)

/** Adds what is wrong with a query from outside. */
const problems = (query: Query, path: string, faults: Faults.Faults): void => {
  if (query._tag === "All") return
  if (!Array.isArray(query.items) || query.items.length === 0) {
    return faults.add(path, "must hold an item; Query.all selects every event")
  }
  query.items.forEach((item: Item, index) => {
    const at = `${path}[${index}]`
    if ((item?.types?.length ?? 0) === 0 && (item?.tags?.length ?? 0) === 0) {
      return faults.add(at, "must name a type or a tag; Query.all selects every event")
    }
    for (const member of ["types", "tags"] as const) {
      const names: unknown = item[member]
      if (Array.isArray(names)) {
        names.forEach((name, place) => {
          const problem = Faults.nameProblem(name)
          if (problem !== undefined) faults.add(`${at}.${member}[${place}]`, problem)
        })
      } else if (names !== undefined) faults.add(`${at}.${member}`, `must be a list, got ${Faults.show(names)}`)
    }
  })
}

/**
 * Adds what is wrong with a query that came from outside, each fault with its path below `path`.
 *
 * @since 0.1.0
 * @category guards
 */
export const check = (
  query: unknown,
  path: string,
  faults: { readonly add: (path: string, problem: string) => void }
): void => {
  const tag = (query as { readonly _tag?: unknown } | null | undefined)?._tag
  if (tag !== "All" && tag !== "Items") faults.add(path, `must be a Query, got ${Faults.show(query)}`)
  else problems(query as Query, path, faults as Faults.Faults)
}

/**
 * Whether an event matches: the meaning of a query, which every driver must agree with. The marks of the library's own, whose
 * types begin with `$`, are no events: {@link all} does not match them, and an item does only where it names their type.
 *
 * @since 0.1.0
 * @category predicates
 */
export const matches = (
  query: Query,
  event: { readonly type: string; readonly tags: ReadonlyArray<string> }
): boolean =>
  query._tag === "All" ?
    !event.type.startsWith("$") :
    query.items.some((item) =>
      (item.types === undefined || item.types.length === 0 || item.types.includes(event.type)) &&
      (item.tags === undefined || item.tags.every((tag) => event.tags.includes(tag)))
    )
