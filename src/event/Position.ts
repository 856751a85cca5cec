/**
 * Where an event stands: its version in its stream, its position in the whole log, and what an appender expects.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Faults from "../internal/faults.ts"
import type { InvalidInput } from "./InvalidInput.ts"

/**
 * The place of an event in the whole log: strictly increasing in the order a reader may see. Only its order means
 * anything; gaps are allowed. `0` stands before the first event.
 *
 * @since 0.1.0
 * @category models
 */
export type Position = typeof Position.Type

/**
 * Schema of a position: a safe integer, 0 or more.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Position = Schema.Number.pipe(
  Schema.filter((value) => Faults.countProblem(value, 0) ?? true, {
    jsonSchema: { type: "integer", minimum: 0 },
    arbitrary: () => (fc) => fc.nat()
  }),
  Schema.brand("effect-skald/event/Position", { identifier: "Position" })
)

/**
 * The position before the first event.
 *
 * @since 0.1.0
 * @category constants
 */
export const start: Position = Position.make(0)

/**
 * The number of an event in its stream: 1, 2, 3 … without a gap. `0` is the version of a stream that has no event.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamVersion = typeof StreamVersion.Type

/**
 * Schema of a stream version: a safe integer, 0 or more.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StreamVersion = Schema.Number.pipe(
  Schema.filter((value) => Faults.countProblem(value, 0) ?? true, {
    jsonSchema: { type: "integer", minimum: 0 },
    arbitrary: () => (fc) => fc.nat()
  }),
  Schema.brand("effect-skald/event/StreamVersion", { identifier: "StreamVersion" })
)

/**
 * What an appender expects of a stream:
 *
 * - `"any"`: nothing;
 * - `"noStream"`: that it never had an event (exactly `0` says the same);
 * - `"streamExists"`: that it has, or had, one;
 * - a whole number: that its last event has exactly this version.
 *
 * @since 0.1.0
 * @category models
 */
export type ExpectedVersion = typeof ExpectedVersion.Type

/**
 * Schema of an expectation.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExpectedVersion = Schema.Union(
  Schema.Literal("any", "noStream", "streamExists"),
  Schema.Number.pipe(Schema.filter((value) => Faults.countProblem(value, 0) ?? true, {
    jsonSchema: { type: "integer", minimum: 0 },
    arbitrary: () => (fc) => fc.nat()
  }))
).annotations({ identifier: "ExpectedVersion" })

/**
 * Checks an expectation from outside; fails with `InvalidInput` naming `expected`.
 *
 * @example
 * ```ts
 * import * as Position from "effect-skald/event/Position"
 * import { Either } from "effect"
 *
 * Position.expected(0)                    // Either.right("noStream")
 * Either.isLeft(Position.expected(-1))    // true
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const expected = (value: unknown): Either.Either<ExpectedVersion, InvalidInput> => {
  const faults = Faults.make()
  const problem = expectedProblem(value)
  if (problem !== undefined) faults.add("expected", problem)
  return Faults.orInvalid(faults, () => value === 0 ? "noStream" : value as ExpectedVersion)
}

/**
 * What is wrong with an expectation, or `undefined`.
 *
 * @since 0.1.0
 * @category guards
 */
export const expectedProblem = (value: unknown): string | undefined => {
  if (value === "any" || value === "noStream" || value === "streamExists") return undefined
  return typeof value === "number"
    ? Faults.countProblem(value, 0)
    : `must be "any", "noStream", "streamExists" or a version, got ${Faults.show(value)}`
}

/**
 * Whether a stream at `actual` (0 when it is missing) meets an expectation.
 *
 * @since 0.1.0
 * @category predicates
 */
export const meets = (expectation: ExpectedVersion, actual: number): boolean => {
  switch (expectation) {
    case "any":
      return true
    case "noStream":
      return actual === 0
    case "streamExists":
      return actual > 0
    default:
      return actual === expectation
  }
}
