/**
 * Patterns as values to be stored and loaded.
 *
 * A pattern whose conditions are data (`effect-skald/cep/Condition`, joins) survives whole; one with a function in it is
 * refused, and the refusal names the step. Event types are stored by their tags.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Condition from "../internal/cep/condition.ts"
import * as Element from "../internal/cep/element.ts"
import * as Pattern from "./Pattern.ts"

const Contiguity = Schema.Literal("next", "followedBy", "followedByAny")

/** A condition that can be stored, or a function, which cannot. */
const Where: Schema.Schema<Element.Where, Condition.Condition> = Schema.transformOrFail(
  Condition.ConditionSchema,
  Schema.declare((_: unknown): _ is Element.Where => true),
  {
    strict: true,
    decode: ParseResult.succeed,
    encode: (where, _, ast) =>
      typeof where === "function"
        ? ParseResult.fail(new ParseResult.Type(ast, where, "a condition that is a function cannot be stored"))
        : ParseResult.succeed(where)
  }
)

const Times = Schema.Struct({
  min: Schema.Number,
  max: Schema.optional(Schema.Number),
  gap: Schema.optional(Schema.Number)
})

const Suspended = Schema.suspend((): Schema.Schema<Element.Element, any> => AnyElement)

const AnyElement: Schema.Schema<Element.Element, any> = Schema.Union(
  Schema.TaggedStruct("Step", {
    name: Schema.String,
    contiguity: Contiguity,
    tags: Schema.Array(Schema.String),
    where: Schema.Array(Where),
    times: Schema.optional(Times),
    inner: Contiguity,
    optional: Schema.Boolean,
    greedy: Schema.Boolean,
    maximal: Schema.Boolean,
    until: Schema.Array(Where),
    gap: Schema.optional(Schema.Number)
  }),
  Schema.TaggedStruct("Negation", {
    contiguity: Schema.Literal("notNext", "notFollowedBy"),
    tags: Schema.Array(Schema.String),
    where: Schema.Array(Where)
  }),
  Schema.TaggedStruct("Group", {
    contiguity: Contiguity,
    elements: Schema.Array(Suspended),
    times: Schema.optional(Times),
    inner: Contiguity,
    optional: Schema.Boolean
  }),
  Schema.TaggedStruct("Or", { contiguity: Contiguity, of: Schema.Array(Schema.Array(Suspended)) }),
  Schema.TaggedStruct("And", {
    contiguity: Contiguity,
    inner: Contiguity,
    of: Schema.Array(Schema.Array(Suspended))
  })
)

const Definition: Schema.Schema<Pattern.Definition, any> = Schema.Struct({
  elements: Schema.Array(AnyElement),
  within: Schema.optional(Schema.Number),
  skip: Schema.Union(
    Schema.TaggedStruct("none", {}),
    Schema.TaggedStruct("toNext", {}),
    Schema.TaggedStruct("pastLast", {}),
    Schema.TaggedStruct("toFirst", { step: Schema.String, failOnMiss: Schema.Boolean }),
    Schema.TaggedStruct("toLast", { step: Schema.String, failOnMiss: Schema.Boolean })
  )
})

/**
 * Patterns as JSON values. What is loaded is checked as what is built is.
 *
 * @example
 * ```ts
 * import * as Condition from "effect-skald/cep/Condition"
 * import * as Pattern from "effect-skald/cep/Pattern"
 * import * as StoredPattern from "effect-skald/cep/StoredPattern"
 * import * as Event from "effect-skald/event/Event"
 * import { Schema } from "effect"
 *
 * const Transfer = Event.make("Transfer", { amount: Schema.Number })
 * const large = Pattern.begin("transfer", Transfer, {
 *   where: Condition.compare(Condition.field("amount"), ">", 10_000)
 * })
 *
 * const stored = Schema.encodeSync(StoredPattern.StoredPattern)(large)
 * const loaded = Schema.decodeUnknownSync(StoredPattern.StoredPattern)(JSON.parse(JSON.stringify(stored)))
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const StoredPattern: Schema.Schema<Pattern.Pattern<any, any>, unknown> = Schema.transformOrFail(
  Definition,
  Schema.declare((value: unknown): value is Pattern.Pattern<any, any> => Pattern.isPattern(value)),
  {
    strict: true,
    decode: (definition, _, ast) =>
      Either.mapLeft(
        Pattern.fromDefinition(definition),
        (error) => new ParseResult.Type(ast, definition, error.message)
      ),
    encode: (pattern, _, ast) => {
      const problem = unstorable(pattern.definition.elements)
      return problem === undefined
        ? ParseResult.succeed(pattern.definition)
        : ParseResult.fail(new ParseResult.Type(ast, pattern, problem))
    }
  }
)

/** The first step whose conditions cannot be stored, and why. */
const unstorable = (elements: ReadonlyArray<Element.Element>): string | undefined => {
  for (const element of elements) {
    switch (element._tag) {
      case "Step":
      case "Negation": {
        const all = element._tag === "Step" ? [...element.where, ...element.until] : element.where
        const step = JSON.stringify(Element.describe(element))
        if (all.some((where) => typeof where === "function")) {
          return `${step} has a condition that is a function, which cannot be stored`
        }
        if (!all.every(Schema.is(Condition.ConditionSchema))) {
          return `${step} has a condition on a number that JSON has no word for, which cannot be stored`
        }
        break
      }
      default: {
        const parts = element._tag === "Group" ? [element.elements] : element.of
        for (const part of parts) {
          const found = unstorable(part)
          if (found !== undefined) return found
        }
      }
    }
  }
  return undefined
}
