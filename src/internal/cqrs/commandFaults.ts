import type * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as Faults from "../faults.ts"
import * as Instant from "../instant.ts"

/** What is said beside a command. */
interface Given {
  readonly commandId?: string | undefined
  readonly occurredAt?: DateTime.DateTime.Input | undefined
}

/** Adds what is wrong with a command, and with what is said beside it. */
export const of = <C>(commands: Schema.Schema<C, any>) => {
  const check = ParseResult.validateEither(commands)
  return (command: C, { commandId, occurredAt }: Given, faults: Faults.Faults): void => {
    const valid = check(command)
    if (Either.isLeft(valid)) {
      for (const issue of ParseResult.ArrayFormatter.formatIssueSync(valid.left)) {
        faults.add(["command", ...issue.path.map(String)].join("."), issue.message)
      }
    }
    if (commandId !== undefined) {
      const problem = Faults.nameProblem(commandId)
      if (problem !== undefined) faults.add("commandId", problem)
    }
    if (occurredAt !== undefined) Instant.millis(occurredAt, "occurredAt", faults)
  }
}
