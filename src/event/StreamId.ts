/**
 * The name of a stream: `category-id`, the category being what stands before the first `-`.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Faults from "../internal/faults.ts"
import type { InvalidInput } from "./InvalidInput.ts"

/**
 * The name of a stream, checked: well-formed Unicode without control characters, 1 to 512 UTF-16 code units,
 * and not empty after the first `-` where there is one. Compared by code point, never folded.
 *
 * A stream without `-` belongs to no category.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamId = typeof StreamId.Type

/**
 * What is wrong with a stream's name, or `undefined`.
 *
 * @since 0.1.0
 * @category guards
 */
export const problem = (value: unknown): string | undefined => {
  const inName = Faults.nameProblem(value)
  if (inName !== undefined) return inName
  const name = value as string
  const dash = name.indexOf("-")
  if (dash === 0) return `must name a category before the first "-", got ${Faults.show(name)}`
  if (dash === name.length - 1) return `must name an id after "${name}"`
  return undefined
}

/**
 * Schema of a stream's name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StreamId = Schema.String.pipe(
  Schema.filter((value) => problem(value) ?? true, {
    jsonSchema: { type: "string", minLength: 1, maxLength: Faults.maxName },
    arbitrary: () => (fc) =>
      fc.tuple(fc.stringMatching(/^[a-z][a-zA-Z]{0,12}$/), fc.stringMatching(/^[a-zA-Z0-9_.-]{1,24}$/)).map(
        ([category, id]) => `${category}-${id}`
      )
  }),
  Schema.brand("effect-skald/event/StreamId", { identifier: "StreamId" })
)

/**
 * The stream of one thing in a category; fails with `InvalidInput` naming `category` or `id`.
 *
 * @example
 * ```ts
 * import * as StreamId from "effect-skald/event/StreamId"
 * import { Either } from "effect"
 *
 * StreamId.make("order", "42")                      // Either.right("order-42")
 * Either.isLeft(StreamId.make("order-line", "42"))  // true: a category's name holds no "-"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (category: string, id: string): Either.Either<StreamId, InvalidInput> => {
  const faults = Faults.make()
  const inCategory = categoryProblem(category)
  if (inCategory !== undefined) faults.add("category", inCategory)
  const inId = Faults.nameProblem(id)
  if (inId !== undefined) faults.add("id", inId)
  const name = `${category}-${id}`
  if (faults.all.length === 0 && name.length > Faults.maxName) {
    faults.add("id", `must leave "${category}-…" at most ${Faults.maxName} UTF-16 code units, has ${name.length}`)
  }
  return Faults.orInvalid(faults, () => name as StreamId)
}

/**
 * Checks a stream's name from outside; fails with `InvalidInput` naming `stream`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse = (value: unknown): Either.Either<StreamId, InvalidInput> => {
  const faults = Faults.make()
  const found = problem(value)
  if (found !== undefined) faults.add("stream", found)
  return Faults.orInvalid(faults, () => value as StreamId)
}

/**
 * The category of a stream, or none when its name has no `-`.
 *
 * @since 0.1.0
 * @category getters
 */
export const category = (stream: string): Option.Option<string> => {
  const dash = stream.indexOf("-")
  return dash < 0 ? Option.none() : Option.some(stream.slice(0, dash))
}

/**
 * What stands after the category, the whole name when there is no category.
 *
 * @since 0.1.0
 * @category getters
 */
export const id = (stream: string): string => stream.slice(stream.indexOf("-") + 1)

/**
 * What is wrong with a category's name, or `undefined`: it is a name without `-`.
 *
 * @since 0.1.0
 * @category guards
 */
export const categoryProblem = (value: unknown): string | undefined =>
  Faults.nameProblem(value) ??
    ((value as string).includes("-") ? `must not hold "-", got ${Faults.show(value)}` : undefined)
