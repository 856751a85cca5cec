import { assert } from "@effect/vitest"

/** Deep equality, whatever the types say: brands do not matter to a test. */
export const equal = (actual: unknown, expected: unknown, message?: string): void =>
  assert.deepStrictEqual(actual, expected, message)

/** Deep equality of the members that are named. */
export const includes = (actual: unknown, members: object, message?: string): void =>
  assert.deepInclude(actual as object, members, message)
