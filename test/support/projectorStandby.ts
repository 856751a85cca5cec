import { Effect, Layer, Logger, LogLevel } from "effect"
import * as ProjectionTakeOver from "effect-skald/cqrs/ProjectionTakeOver"
import * as Sqlite from "effect-skald/Sqlite"
import { AmountsByProcess } from "./projectorWork.ts"

/** A process that projects a file into its table, or stands by, until it is killed; it says so before it begins. */
const [filename = "", ttl = "5000"] = process.argv.slice(2)

process.stdout.write("begins\n")
Effect.runFork(
  Layer.launch(
    ProjectionTakeOver.layer(AmountsByProcess, { lease: { ttl: `${Number(ttl)} millis` } }).pipe(
      Layer.provide(Sqlite.layer({ filename })),
      Layer.provide(Logger.minimumLogLevel(LogLevel.Warning))
    )
  )
)
