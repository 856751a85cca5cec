/**
 * Which messages a subscription is given: by their types, or by their dotted subjects.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import * as Faults from "../internal/faults.ts"
import * as Index from "../internal/bus/selectorIndex.ts"

/**
 * A selector as data, which drivers store with a subscription.
 *
 * In the pattern of a subject `*` stands for one segment, `**` for any number of them, none included: `order.*` selects
 * `order.placed`, `order.**` also `order` and `order.item.added`. A pattern of `*` alone selects everything. There are no
 * wildcards inside of a segment; for those there are regular expressions.
 *
 * @since 0.1.0
 * @category models
 */
export type Selector =
  | { readonly _tag: "All" }
  | { readonly _tag: "Types"; readonly types: ReadonlyArray<string> }
  | { readonly _tag: "Subject"; readonly pattern: string }
  | { readonly _tag: "Expression"; readonly source: string; readonly flags: string }
  | { readonly _tag: "Any"; readonly selectors: ReadonlyArray<Selector> }

/**
 * Schema of {@link Selector}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Selector: Schema.Schema<Selector> = Schema.Union(
  Schema.Struct({ _tag: Schema.Literal("All") }),
  Schema.Struct({ _tag: Schema.Literal("Types"), types: Schema.Array(Schema.String) }),
  Schema.Struct({ _tag: Schema.Literal("Subject"), pattern: Schema.String }),
  Schema.Struct({ _tag: Schema.Literal("Expression"), source: Schema.String, flags: Schema.String }),
  Schema.Struct({
    _tag: Schema.Literal("Any"),
    selectors: Schema.Array(Schema.suspend((): Schema.Schema<Selector> => Selector))
  })
)

/**
 * What a selector looks at.
 *
 * @since 0.1.0
 * @category models
 */
export interface Addressed {
  readonly type: string
  readonly subject: string
}

/**
 * What a selector may be written as: the pattern of a subject, a regular expression on the subject, or several.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = string | RegExp | ReadonlyArray<string | RegExp>

/**
 * Everything.
 *
 * @since 0.1.0
 * @category constructors
 */
export const all: Selector = { _tag: "All" }

/**
 * Messages of some types, by their tags.
 *
 * @since 0.1.0
 * @category constructors
 */
export const types = (tags: ReadonlyArray<string>): Selector => ({ _tag: "Types", types: tags })

/**
 * Reads a selector as users write it. Refuses an empty segment, a wildcard inside of a segment, an empty list, and a
 * regular expression with the flags `g` or `y`, which remembers where it was.
 *
 * @example
 * ```ts
 * import * as Selector from "effect-skald/bus/Selector"
 * import { Either } from "effect"
 *
 * const selector = Either.getOrThrow(Selector.make(["order.*", /^payment\./]))
 * Selector.matches(selector, { type: "OrderPlaced", subject: "order.placed" }) // true
 * Either.isLeft(Selector.make("order..placed"))                                // true
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: Input): Either.Either<Selector, InvalidInput> => {
  const faults = Faults.make()
  const read = (each: string | RegExp, path: string): Selector => {
    if (typeof each === "string") {
      const problem = patternProblem(each)
      if (problem !== undefined) faults.add(path, problem)
      return each === "*" || each === "**" ? all : { _tag: "Subject", pattern: each }
    }
    if (!(each instanceof RegExp)) {
      faults.add(path, `must be a pattern or a regular expression, got ${Faults.show(each)}`)
      return all
    }
    if (each.global || each.sticky) faults.add(path, `must not have the flags g or y, got ${String(each)}`)
    return { _tag: "Expression", source: each.source, flags: each.flags }
  }
  if (!Array.isArray(input)) {
    const selector = read(input as string | RegExp, "select")
    return Faults.orInvalid(faults, () => selector)
  }
  if (input.length === 0) faults.add("select", "must not be empty")
  const selectors = input.map((each, index) => read(each, `select[${index}]`))
  return Faults.orInvalid(faults, () => selectors.length === 1 ? selectors[0]! : { _tag: "Any", selectors })
}

/** What is wrong with the pattern of a subject. */
const patternProblem = (pattern: string): string | undefined => {
  const name = Faults.nameProblem(pattern)
  if (name !== undefined) return name
  for (const segment of pattern.split(".")) {
    if (segment === "") return `must have no empty segment, got ${Faults.show(pattern)}`
    if (segment.includes("*") && segment !== "*" && segment !== "**") {
      return `must have wildcards only as whole segments, got ${Faults.show(pattern)}`
    }
  }
  return undefined
}

/**
 * What is wrong with the subject of a message, or `undefined`: a name without empty segments and without `*`.
 *
 * @since 0.1.0
 * @category guards
 */
export const subjectProblem = (subject: unknown): string | undefined => {
  const name = Faults.nameProblem(subject)
  if (name !== undefined) return name
  const text = subject as string
  if (text.includes("*")) return `must not hold *, got ${Faults.show(text)}`
  return text.split(".").includes("") ? `must have no empty segment, got ${Faults.show(text)}` : undefined
}

/**
 * Whether a selector selects a message.
 *
 * @since 0.1.0
 * @category getters
 */
export const matches = (selector: Selector, message: Addressed): boolean => {
  switch (selector._tag) {
    case "All":
      return true
    case "Types":
      return selector.types.includes(message.type)
    case "Subject":
      return Index.matchesSegments(selector.pattern.split("."), message.subject.split("."))
    case "Expression":
      return new RegExp(selector.source, selector.flags).test(message.subject)
    case "Any":
      return selector.selectors.some((each) => matches(each, message))
  }
}

/**
 * Many selectors at once: which of them select a message costs about as much as how many do, not as how many there are.
 * Regular expressions are the exception; each is tried, once for each new subject.
 *
 * @since 0.1.0
 * @category models
 */
export interface Router<A> {
  /** Adds a target; adding one again replaces its selector. */
  readonly add: (target: A, selector: Selector) => void
  readonly remove: (target: A) => void
  /** The targets whose selectors select a message, each once, in the order in which they were added. */
  readonly route: (message: Addressed) => ReadonlyArray<A>
}

/**
 * An empty router.
 *
 * @example
 * ```ts
 * import * as Selector from "effect-skald/bus/Selector"
 *
 * const router = Selector.router<string>()
 * router.add("audit", Selector.all)
 * router.add("mail", Selector.types(["OrderPlaced"]))
 * router.route({ type: "OrderPlaced", subject: "order.placed" }) // ["audit", "mail"]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const router: <A>() => Router<A> = Index.make
