/**
 * Which real servers this run can reach, and suites that need one.
 *
 * `scripts/services.sh start postgres && eval "$(scripts/services.sh env postgres)"` sets the variables.
 * Without its server a suite is skipped and named in the notice that ends the run; with `CI=true` it fails.
 */
import { describe, it } from "vitest"
import { type ServerName, serverVariables } from "./serverVariables.ts"

/** Where the server is, or undefined when this run has none. */
export const url = (name: ServerName): string | undefined => {
  const value = process.env[serverVariables[name]]
  return value === undefined || value === "" ? undefined : value
}

/** True where a missing server is a failure, not an omission. */
export const strict = (): boolean => process.env["CI"] === "true" || process.env["CI"] === "1"

/**
 * A suite against a real server. Write the name and the title as string literals: the notice at the end of a run
 * finds them by reading the test files.
 */
export const suite = (name: ServerName, title: string, body: (url: string) => void): void => {
  const where = url(name)
  if (where !== undefined) {
    describe(title, () => {
      body(where)
    })
  } else if (strict()) {
    describe(title, () => {
      it(`needs ${name}`, () => {
        throw new Error(`${serverVariables[name]} is not set: run scripts/services.sh start ${name}`)
      })
    })
  } else {
    describe.skip(title, () => {
      it(`needs ${name}: ${serverVariables[name]} is not set`, () => {})
    })
  }
}
