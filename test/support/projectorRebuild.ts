import { Effect, Stream } from "effect"
import * as Sqlite from "effect-skald/Sqlite"
import { rebuildAmounts } from "./projectorWork.ts"

/** A process that rebuilds the model of a file, and says how far it is, until it is killed. */
const [filename = ""] = process.argv.slice(2)

process.stdout.write("begins\n")
Effect.runFork(
  Stream.runForEach(rebuildAmounts, ({ done }) => Effect.sync(() => process.stdout.write(`${done}\n`))).pipe(
    Effect.provide(Sqlite.layer({ filename }))
  )
)
