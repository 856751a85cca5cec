/**
 * `npm start`: real flights through the library. `npm start -- --help` says more.
 *
 * Everything is kept in the store whose layer is provided here: one SQLite file, a PostgreSQL database, or Redis.
 * Nothing else knows which.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Exit, Layer } from "effect"
import * as Cli from "./Cli.ts"
import * as Job from "./Job.ts"
import { layer as screen, Screen } from "./Screen.ts"
import * as Store from "./Store.ts"

const main = Effect.gen(function*() {
  const { note, show } = yield* Screen
  const command = yield* Cli.parse(process.argv.slice(2))
  if (command._tag === "Help") return yield* show(Cli.help)
  yield* Job.run(command).pipe(
    Effect.provide(Store.layer(command.store)),
    Effect.onInterrupt(() =>
      note(
        command.rebuild
          ? "Stopped. Start it again with --rebuild to go on; until then the report is of what was there before."
          : "Stopped. Start again on the same store to go on."
      )
    )
  )
})

const explained = main.pipe(
  Effect.tapError((error) =>
    Effect.flatMap(
      Screen,
      ({ note }) => note(error._tag === "UsageError" ? `${error.message}\nTry --help.` : `Failed: ${error.message}`)
    )
  )
)

/** 0 when all went well, 2 for a wrong command line, 130 when stopped by a person, 1 for the rest. */
const exitCode = <E, A>(exit: Exit.Exit<E, A>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) return 130
  const error: unknown = Cause.squash(exit.cause)
  return error instanceof Cli.UsageError ? 2 : 1
}

explained.pipe(
  Effect.provide(Layer.merge(NodeFileSystem.layer, screen)),
  Effect.tapDefect((cause) => Effect.logFatal("This is a bug.", cause)),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(exitCode(exit))
  })
)
