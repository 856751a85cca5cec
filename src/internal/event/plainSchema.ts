import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"

/** Stands for a value that is left to the Schema: it may refuse it, and says why. */
export const left: unique symbol = Symbol("left")

type Copy = (value: unknown) => unknown

/**
 * Reads or writes values of a plain Schema: structs and arrays of texts, numbers, booleans, literals and refinements of these, with
 * nothing transformed. It gives what `ParseResult` gives for all that such a Schema takes and that is a JSON value, in a fraction of
 * the time, and {@link left} for the rest. `undefined` where a Schema is not plain.
 */
export const copyOf = (ast: AST.AST, options: AST.ParseOptions, depth = 0): Copy | undefined => {
  if (AST.DecodingFallbackAnnotationId in ast.annotations || AST.ParseOptionsAnnotationId in ast.annotations) {
    return undefined
  }
  switch (ast._tag) {
    case "StringKeyword":
      return (value) => typeof value === "string" && Faults.isWellFormed(value) ? value : left
    case "NumberKeyword":
      return (value) => typeof value === "number" && Number.isFinite(value) ? value : left
    case "BooleanKeyword":
      return (value) => typeof value === "boolean" ? value : left
    case "Literal":
      return Json.isValue(ast.literal) ? (value) => value === ast.literal ? value : left : undefined
    case "Refinement":
      return refined(ast, options)
    case "TupleType":
      return depth < Json.maxDepth ? list(ast, options, depth + 1) : undefined
    case "TypeLiteral":
      return depth < Json.maxDepth ? struct(ast, options, depth + 1) : undefined
    default:
      return undefined
  }
}

const isKey = (name: string): boolean => name !== "__proto__" && Faults.isWellFormed(name)

/** Whether all that a Schema encodes is a new value, or a text, a number or a boolean. */
export const isPlain = (ast: AST.AST): boolean => copyOf(ast, {}) !== undefined

const isLeaf = (ast: AST.AST): boolean =>
  ast._tag === "Refinement"
    ? isLeaf(ast.from)
    : ast._tag === "StringKeyword" || ast._tag === "NumberKeyword" || ast._tag === "BooleanKeyword"

const refined = (ast: AST.Refinement, options: AST.ParseOptions): Copy | undefined => {
  const from = isLeaf(ast.from) ? copyOf(ast.from, options) : undefined
  if (from === undefined) return undefined
  return (value) => {
    const copied = from(value)
    if (copied === left) return left
    const problem: Option.Option<ParseResult.ParseIssue> = ast.filter(copied, options, ast)
    return Option.isNone(problem) ? copied : left
  }
}

const list = (ast: AST.TupleType, options: AST.ParseOptions, depth: number): Copy | undefined => {
  const [rest, ...after] = ast.rest
  if (ast.elements.length > 0 || after.length > 0 || rest === undefined) return undefined
  const member = copyOf(rest.type, options, depth)
  if (member === undefined) return undefined
  return (value) => {
    if (!Array.isArray(value)) return left
    const copied: Array<unknown> = []
    for (let index = 0; index < value.length; index++) {
      const each = member(value[index])
      if (each === left) return left
      copied.push(each)
    }
    return copied
  }
}

const struct = (ast: AST.TypeLiteral, options: AST.ParseOptions, depth: number): Copy | undefined => {
  if (ast.indexSignatures.length > 0 || ast.propertySignatures.length === 0) return undefined
  const members: Array<{ readonly name: string; readonly copy: Copy; readonly isOptional: boolean }> = []
  for (const { isOptional, name, type } of ast.propertySignatures) {
    const copy = copyOf(type, options, depth)
    if (copy === undefined || typeof name !== "string" || !isKey(name)) return undefined
    members.push({ name, copy, isOptional })
  }
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return left
    const copied: Record<string, unknown> = {}
    for (const { copy, isOptional, name } of members) {
      if (isOptional && !Object.hasOwn(value, name)) continue
      const member = copy((value as Record<string, unknown>)[name])
      if (member === left) return left
      copied[name] = member
    }
    return copied
  }
}
