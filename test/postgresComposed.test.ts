/** Every service in one PostgreSQL database: the swap, and projections that count each event once. */
import { SqlClient } from "@effect/sql"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option, Redacted, Schedule } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Postgres from "effect-skald/Postgres"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import * as EventStore from "effect-skald/store/EventStore"
import { build } from "esbuild"
import * as fs from "node:fs"
import { join } from "node:path"
import { equal, includes } from "./support/assert.ts"
import * as Database from "./support/postgres.ts"
import * as Program from "./support/program.ts"
import { Amounts, sumOfAmounts } from "./support/projectorWork.ts"
import * as Servers from "./support/servers.ts"
import { asInMemory } from "./support/everyService.ts"
import { Deposited, Wallets } from "./support/wallet.ts"

Servers.suite("postgres", "every service in one PostgreSQL database", (url) => {
  const layer = (prefix: string) => Postgres.layer({ url: Redacted.make(url), prefix, maxConnections: 6 })

  it.scoped("gives a program what memory gives it", () =>
    Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      yield* asInMemory(layer(prefix), Postgres.layerConfig, { url, prefix })
    }), 30_000)

  it.scoped("several who start at once on an empty database all come up, and share it", () =>
    Effect.gen(function*() {
      const prefix = yield* Database.prefix(url)
      const all = yield* Effect.all(
        Array.from({ length: 4 }, () => Layer.build(Layer.fresh(layer(prefix)))),
        { concurrency: "unbounded" }
      )
      for (const services of all) {
        yield* Effect.provide(Wallets.append("shared", [Deposited({ amount: 1 })]), services)
      }
      const versions = yield* Effect.forEach(all, (services) =>
        Effect.map(
          Context.get(services, EventStore.EventStore).streamState("wallet-shared"),
          (state) => state._tag === "live" ? state.version : 0
        ))
      equal(versions, [4, 4, 4, 4])
    }), 30_000)

  it.live(
    "killed at any moment, each event is in its row once, and the rows are those of the checkpoint",
    () =>
      Effect.gen(function*() {
        const [kills, events] = [3, 4_000]
        const database = yield* Database.database(url)
        const services = yield* Layer.build(Postgres.layer({ url: Redacted.make(database) }))
        const file = join(import.meta.dirname, "..", "node_modules", ".cache", `postgresProjector-${process.pid}.mjs`)
        yield* Effect.acquireRelease(
          Effect.promise(() =>
            build({
              entryPoints: [join(import.meta.dirname, "support", "postgresProjector.ts")],
              bundle: true,
              banner: { js: "import { createRequire as r } from \"node:module\"; const require = r(import.meta.url)" },
              external: ["pg-native"],
              platform: "node",
              format: "esm",
              outfile: file,
              logLevel: "warning"
            })
          ),
          () => Effect.sync(() => fs.rmSync(file, { force: true }))
        )
        yield* Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const checkpoints = yield* CheckpointStore
          yield* sql`CREATE TABLE amounts (row SERIAL PRIMARY KEY, position INT8, amount INT4)`
          for (let from = 0; from < events; from += 1_000) {
            yield* Wallets.append("a", Array.from({ length: 1_000 }, (_, n) => Deposited({ amount: from + n })))
          }
          const count = Effect.map(sql<{ n: number }>`SELECT count(*)::int4 AS n FROM amounts`, (rows) => rows[0]!.n)
          let total = 0
          for (let kill = 0; kill < kills; kill++) {
            const running = yield* Effect.acquireRelease(
              Effect.sync(() => Program.run(file, database)),
              ({ kill }) => Effect.promise(kill)
            )
            yield* Effect.promise(() => running.spoken)
            yield* count.pipe(
              Effect.repeat({ schedule: Schedule.spaced("2 millis"), until: (n) => n > total }),
              Effect.zipRight(Effect.sleep(Duration.millis(kill * 5))),
              Effect.zipRight(Effect.promise(running.kill))
            )
            assert.strictEqual(running.process.signalCode, "SIGKILL")
            // the server ends what the killed one left open, before or after; what it had committed stays
            const found = yield* sql<{ position: string; amount: number }>`
              SELECT position, amount FROM amounts ORDER BY row`
            assert.isAbove(found.length, total)
            total = found.length
            const at = Option.getOrThrow(yield* checkpoints.get(":projection/amounts@1"))
            assert.isAtLeast(at, Number(found[found.length - 1]!.position))
            equal(found.map((row) => row.amount), Array.from({ length: total }, (_, n) => n), "in order, each once")
          }
          // two who go on at once: one of them moves the checkpoint, the other writes nothing
          const rival = yield* Layer.build(Layer.fresh(Postgres.layer({ url: Redacted.make(database) })))
          yield* Effect.all([
            Effect.either(Projection.catchUp(Amounts)),
            Effect.either(Effect.provide(Projection.catchUp(Amounts), rival))
          ], { concurrency: 2 })
          yield* Projection.catchUp(Amounts)
          const found = yield* sql<{ amount: number }>`SELECT amount FROM amounts ORDER BY row`
          equal(found.map((row) => row.amount), Array.from({ length: events }, (_, n) => n))
          includes(yield* Projection.catchUp(sumOfAmounts), { state: { events, sum: events * (events - 1) / 2 } })
        }).pipe(Effect.provide(services))
      }).pipe(Effect.scoped),
    90_000
  )
})
