import { Effect } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Sqlite from "effect-skald/Sqlite"
import { Amounts, sumOfAmounts } from "./projectorWork.ts"

/** A process that projects a file into its table until it is killed; it says so before it begins. */
const [filename = ""] = process.argv.slice(2)

Effect.runFork(
  Effect.gen(function*() {
    process.stdout.write("begins\n")
    yield* Effect.all([
      Effect.forever(Effect.zipRight(Projection.catchUp(Amounts), Effect.sleep(1))),
      Effect.forever(Effect.zipRight(Projection.catchUp(sumOfAmounts, { saveEvery: 10 }), Effect.sleep(1)))
    ], { concurrency: 2 })
  }).pipe(Effect.provide(Sqlite.layer({ filename })))
)
