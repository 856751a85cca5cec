import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as Compare from "../compare.ts"
import * as Faults from "../faults.ts"
import * as Json from "../json.ts"

/** What a law reports: names with values. */
export interface Report {
  readonly [name: string]: unknown
}

/** How a value leaves the program and comes back: as it is then, or what went wrong. */
export type Journey<A> = (value: A) => Either.Either<A, Report>

/** Encodes and decodes. */
export const coded = <A>(schema: Schema.Schema<A, any>): Journey<A> => {
  const encode = ParseResult.encodeEither(schema, { errors: "all" })
  const decode = ParseResult.decodeEither(schema, { errors: "all" })
  return (value) => {
    const encoded = encode(value)
    return Either.isLeft(encoded)
      ? Either.left({ "cannot be encoded": issue(encoded.left) })
      : Either.mapLeft(decode(encoded.right), (problem) => ({
        encoded: encoded.right,
        "cannot be decoded": issue(problem)
      }))
  }
}

/** Encodes, writes as JSON, reads and decodes, as a store does. */
export const stored = <A>(schema: Schema.Schema<A, any>): Journey<A> => {
  const encode = ParseResult.encodeEither(schema, { errors: "all" })
  const decode = ParseResult.decodeUnknownEither(schema, { errors: "all" })
  return (value) => {
    const encoded = encode(value)
    if (Either.isLeft(encoded)) return Either.left({ "cannot be encoded": issue(encoded.left) })
    const faults = Faults.make()
    Json.check(encoded.right, "value", faults)
    if (faults.all.length > 0) {
      return Either.left({ "is not JSON": faults.all.map(({ path, problem }) => `${path} ${problem}`) })
    }
    return Either.mapLeft(decode(JSON.parse(JSON.stringify(encoded.right))), (problem) => ({
      json: encoded.right,
      "cannot be decoded": issue(problem)
    }))
  }
}

/** Says where a value that went out and came back is another one. */
export const survives = <A>(journey: Journey<A>) => (value: A): Report | undefined =>
  Either.match(journey(value), {
    onLeft: (problem): Report | undefined => ({ value, ...problem }),
    onRight: (read) => differ(read, value, { value })
  })

/** The first places where two values differ, beside what else is to be said. */
export const differ = (actual: unknown, expected: unknown, about: Report): Report | undefined => {
  const found = Compare.differences(actual, expected)
  if (found.length === 0) return undefined
  const places = found.slice(0, 5).map(({ actual, expected, path }): [string, string] => [
    path === "" ? "differs" : `differs at ${path}`,
    `expected ${Compare.show(expected)}, was ${Compare.show(actual)}`
  ])
  return { ...about, ...Object.fromEntries(places) }
}

export const issue = (problem: ParseResult.ParseIssue): string =>
  oneLine(ParseResult.TreeFormatter.formatIssueSync(problem))

/** A tree of problems on one line. */
export const oneLine = (text: string): string => text.replace(/\s*\n[\s│├└─]*/g, ": ")
