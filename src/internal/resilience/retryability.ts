import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as AST from "effect/SchemaAST"
import type { Options, Retryability } from "../../resilience/Retryability.ts"

export const RetryabilityId = Symbol.for("effect-skald/resilience/Retryability")

/** What is annotated on a Schema, or on the type that it decodes to. */
const annotated = (ast: AST.AST): Retryability | undefined => {
  const own = AST.getAnnotation<Retryability>(RetryabilityId)(ast)
  if (Option.isSome(own)) return own.value
  switch (ast._tag) {
    case "Transformation":
      return annotated(ast.to)
    case "Refinement":
      return annotated(ast.from)
    case "Suspend":
      return annotated(ast.f())
    default:
      return undefined
  }
}

/** Classes are asked once each: an AST is walked with every error otherwise. */
const classes = new WeakMap<object, { readonly is: Retryability | undefined }>()

const ofClass = (error: object): Retryability | undefined => {
  const constructor: unknown = (error as { readonly constructor?: unknown }).constructor
  if (typeof constructor !== "function" || constructor === Object || constructor === Error) return undefined
  const known = classes.get(constructor)
  if (known !== undefined) return known.is
  const ast: unknown = (constructor as { readonly ast?: unknown }).ast
  const is = hasProperty(ast, "_tag") && hasProperty(ast, "annotations")
    ? annotated(ast as never as AST.AST)
    : undefined
  classes.set(constructor, { is })
  return is
}

export const of = (error: unknown, options?: Options): Retryability | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  const tags = options?.tags
  if (tags !== undefined) {
    const tag = (error as { readonly _tag?: unknown })._tag
    if (typeof tag === "string" && Object.hasOwn(tags, tag)) return tags[tag]
  }
  return ofClass(error)
}

/** The literal `_tag` of a Schema's type, where it has one. */
const tagOf = (ast: AST.AST): string | undefined => {
  const type = AST.typeAST(ast)
  const shape = type._tag === "Declaration" ? type.typeParameters[0] : type
  if (shape === undefined) return undefined
  for (const property of AST.getPropertySignatures(AST.typeAST(shape))) {
    if (property.name === "_tag" && property.type._tag === "Literal" && typeof property.type.literal === "string") {
      return property.type.literal
    }
  }
  return undefined
}

export const tagsOf = (ast: AST.AST): { readonly [tag: string]: Retryability } => {
  const found: { [tag: string]: Retryability } = {}
  const visit = (member: AST.AST): void => {
    if (member._tag === "Union") return member.types.forEach(visit)
    if (member._tag === "Suspend") return visit(member.f())
    const tag = tagOf(member)
    const is = annotated(member)
    if (tag !== undefined && is !== undefined) found[tag] = is
  }
  visit(ast)
  return found
}
