import * as Placement from "effect-skald/saga/Placement"
import * as SqlLeases from "effect-skald/store/SqlLeases"
import { Effect, Fiber, Layer, Stream } from "effect"
import * as Postgres from "./postgres.ts"

/** A process that shares the shards of a database, and says which it has whenever they change: `at=[numbers]`. */
const [url = "", prefix = ""] = process.argv.slice(2)

const running = Effect.runFork(
  Effect.flatMap(Placement.Placement, (placement) =>
    Stream.runForEach(placement.changes, (owned) =>
      Effect.sync(() => {
        process.stdout.write(`${Date.now()}=${JSON.stringify(owned.map(({ number }) => number))}\n`)
      }))).pipe(
      Effect.provide(
        Placement.layer({ ttl: "2 seconds", lookEvery: "300 millis" }).pipe(
          Layer.provide(SqlLeases.layer({ prefix })),
          Layer.provide(Postgres.client(url))
        )
      )
    )
)

process.once("SIGTERM", () => void Effect.runPromise(Fiber.interrupt(running)))
