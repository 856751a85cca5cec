import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { inspect, isDeepStrictEqual } from "node:util"

/** One place where two values differ. */
export interface Difference {
  readonly path: string
  readonly actual: unknown
  readonly expected: unknown
}

/** Stands for what is not there. */
const absent = Symbol.for("effect-skald/internal/compare/absent")

/**
 * Where two values differ by content, whatever they are made of: plain values, Schema classes, errors, and the collections
 * of Effect and of JavaScript, also where one holds another. A member that is `undefined` is absent; `-0` is `0`.
 */
export const differences = (actual: unknown, expected: unknown): ReadonlyArray<Difference> => {
  const found: Found = Object.assign([], { above: [] })
  compare(actual, expected, "", found)
  return found
}

/** What was found so far, and the pairs that are being compared: in a cycle they come again. */
interface Found extends Array<Difference> {
  readonly above: Array<readonly [actual: object, expected: object]>
}

/** Whether two values have the same content. */
export const same = (actual: unknown, expected: unknown): boolean => differences(actual, expected).length === 0

const compare = (actual: unknown, expected: unknown, path: string, found: Found): void => {
  if (actual === expected || Object.is(actual, expected) || Equal.equals(actual, expected)) return
  const differ = () => {
    found.push({ path, actual, expected })
  }
  if (!Predicate.isObject(actual) || !Predicate.isObject(expected) || kindOf(actual) !== kindOf(expected)) {
    return differ()
  }
  if (typeof actual === "function" || typeof expected === "function") return differ()
  if (found.above.some((pair) => pair[0] === actual && pair[1] === expected)) return
  found.above.push([actual, expected])
  compareContents(actual, expected, path, found, differ)
  found.above.pop()
}

const compareContents = (actual: object, expected: object, path: string, found: Found, differ: () => void): void => {
  if (Array.isArray(actual) && Array.isArray(expected)) return compareLists(actual, expected, path, found)
  if (HashMap.isHashMap(actual) && HashMap.isHashMap(expected)) return compareMaps(actual, expected, path, found)
  if (actual instanceof Map && expected instanceof Map) return compareMaps(actual, expected, path, found)
  if (
    (HashSet.isHashSet(actual) && HashSet.isHashSet(expected)) || (actual instanceof Set && expected instanceof Set)
  ) {
    return sameMembers(Array.from(actual as Iterable<unknown>), Array.from(expected as Iterable<unknown>))
      ? undefined
      : differ()
  }
  if (isOpaque(actual)) return differ()
  if (isNative(actual)) return isDeepStrictEqual(actual, expected) ? undefined : differ()
  if (isCollection(actual) && isCollection(expected)) {
    return compareLists(Array.from(actual), Array.from(expected), path, found)
  }
  const keys = new Set([...keysOf(actual), ...keysOf(expected)])
  // What keeps its content to itself can only be asked, and has said no.
  if (keys.size === 0 && Equal.isEqual(actual)) return differ()
  for (const key of keys) {
    compareMembers(Reflect.get(actual, key), Reflect.get(expected, key), path === "" ? key : `${path}.${key}`, found)
  }
}

const compareMembers = (actual: unknown, expected: unknown, path: string, found: Found): void => {
  if (actual === undefined || expected === undefined) {
    if (actual !== expected) {
      found.push({ path, actual: actual ?? orAbsent(actual), expected: expected ?? orAbsent(expected) })
    }
  } else compare(actual, expected, path, found)
}

const orAbsent = (value: unknown): unknown => value === undefined ? absent : value

const compareLists = (
  actual: ReadonlyArray<unknown>,
  expected: ReadonlyArray<unknown>,
  path: string,
  found: Found
): void => {
  for (let index = 0; index < Math.max(actual.length, expected.length); index++) {
    const at = `${path}[${index}]`
    if (index >= actual.length) found.push({ path: at, actual: absent, expected: expected[index] })
    else if (index >= expected.length) found.push({ path: at, actual: actual[index], expected: absent })
    else compare(actual[index], expected[index], at, found)
  }
}

const compareMaps = (
  actual: Iterable<readonly [unknown, unknown]>,
  expected: Iterable<readonly [unknown, unknown]>,
  path: string,
  found: Found
): void => {
  const rest = Array.from(expected)
  for (const [key, value] of actual) {
    const index = rest.findIndex((pair) => same(key, pair[0]))
    const at = `${path}[${show(key)}]`
    if (index < 0) found.push({ path: at, actual: value, expected: absent })
    else compare(value, rest.splice(index, 1)[0]?.[1], at, found)
  }
  for (const [key, value] of rest) found.push({ path: `${path}[${show(key)}]`, actual: absent, expected: value })
}

const sameMembers = (actual: ReadonlyArray<unknown>, expected: ReadonlyArray<unknown>): boolean => {
  const rest = Array.from(expected)
  return actual.length === expected.length && actual.every((member) => {
    const index = rest.findIndex((other) => same(member, other))
    if (index >= 0) rest.splice(index, 1)
    return index >= 0
  })
}

/** Effects, and with them Option and Either, are iterable too, but what they yield is not their content. */
const isCollection = (value: object): value is Iterable<unknown> =>
  Predicate.isIterable(value) && !Effect.isEffect(value)

const kindOf = (value: object): unknown => Object.getPrototypeOf(value) ?? Object.prototype

/** What compares itself, whatever it keeps inside. */
const isOpaque = (value: object): boolean =>
  BigDecimal.isBigDecimal(value) || DateTime.isDateTime(value) || Duration.isDuration(value)

const isNative = (value: object): boolean =>
  value instanceof Date || value instanceof RegExp || value instanceof URL || value instanceof ArrayBuffer ||
  ArrayBuffer.isView(value)

const keysOf = (value: object): ReadonlyArray<string> =>
  value instanceof Error ? [...Object.keys(value), "name", "message"] : Object.keys(value)

/** Shows a value to people: plain, on one line where it fits. */
export const show = (value: unknown): string =>
  value === absent ? "nothing" : inspect(value, { depth: 8, breakLength: 100, sorted: false })

/** The most differences that a report lists. */
const listed = 20

/** Prints differences, one place after the other. */
export const formatDifferences = (found: ReadonlyArray<Difference>): string => {
  const lines = found.slice(0, listed).map(({ actual, expected, path }) =>
    `  ${path === "" ? "the value" : path}\n    expected ${indent(show(expected))}\n    but was  ${
      indent(show(actual))
    }`
  )
  return found.length > listed ? [...lines, `  … and ${found.length - listed} more`].join("\n") : lines.join("\n")
}

const indent = (text: string): string => text.replaceAll("\n", "\n             ")

/** Says what a Schema finds wrong with a value, as a tree; `undefined` when it is valid. */
export const checker = (schema: Schema.Schema<any, any>): (value: unknown) => string | undefined => {
  const validate = ParseResult.validateEither(schema, { errors: "all" })
  return (value) => {
    const validated = validate(value)
    return Either.isLeft(validated) ? ParseResult.TreeFormatter.formatIssueSync(validated.left) : undefined
  }
}
