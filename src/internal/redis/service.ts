import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as Connection from "./connection.ts"
import * as Keys from "./keys.ts"
import type { Script } from "./scripts.ts"
import * as Server from "./server.ts"

/** What the smaller services have in common: commands and scripts over the keys of one base, tried again when they get lost. */
export interface Service {
  readonly base: string
  /** Writing what may be written twice. */
  readonly run: (operation: string, script: Script, ...args: ReadonlyArray<string>) => Effect.Effect<any, StoreError>
  readonly command: (operation: string, name: string, ...args: ReadonlyArray<string>) => Effect.Effect<any, StoreError>
}

export const make = (
  client: Connection.Client,
  options: {
    readonly prefix?: string | undefined
    readonly retry: Schedule.Schedule<unknown, StoreError>
  }
): Effect.Effect<Service, StoreError | InvalidInput> =>
  Effect.gen(function*() {
    const base = yield* Keys.base(options.prefix)
    yield* Server.check(client, false)
    const runner = Connection.runner(client, base)
    const again = Connection.writing(options.retry)
    return {
      base,
      run: (operation, script, ...args) => again(runner.run(operation, script, args)),
      command: (operation, name, ...args) => again(Connection.command(client, operation, name, ...args))
    }
  })
