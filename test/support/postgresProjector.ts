import { Effect, Redacted } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Postgres from "effect-skald/Postgres"
import { Amounts, sumOfAmounts } from "./projectorWork.ts"

/** A process that projects a database into its table until it is killed; it says so before it begins. */
const [url = ""] = process.argv.slice(2)

Effect.runFork(
  Effect.gen(function*() {
    process.stdout.write("begins\n")
    yield* Effect.all([
      Effect.forever(Effect.zipRight(Effect.either(Projection.catchUp(Amounts)), Effect.sleep(1))),
      Effect.forever(
        Effect.zipRight(Effect.either(Projection.catchUp(sumOfAmounts, { saveEvery: 10 })), Effect.sleep(1))
      )
    ], { concurrency: 2 })
  }).pipe(Effect.provide(Postgres.layer({ url: Redacted.make(url) })))
)
