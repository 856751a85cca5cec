// needs: native addon
import { SqlClient } from "@effect/sql"
import { assert, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Option, Stream } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as ProjectionRebuild from "effect-skald/cqrs/ProjectionRebuild"
import * as Sqlite from "effect-skald/Sqlite"
import { equal, includes } from "../support/assert.ts"
import * as Program from "../support/program.ts"
import { AmountsByModel, modelOf, rebuildAmounts } from "../support/projectorWork.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const events = 4_000
const kills = 3

it.scopedLive(
  "a rebuild that is killed goes on where it was: each event is in the new model once, and the old one answers until then",
  () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const services = yield* Layer.build(Sqlite.layer({ filename }))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE ${sql(modelOf(0))} (position INTEGER, amount INTEGER)`
        for (let from = 0; from < events; from += 1_000) {
          yield* Wallets.append("a", Array.from({ length: 1_000 }, (_, n) => Deposited({ amount: from + n })))
        }
        yield* Projection.catchUp(AmountsByModel)
        const amounts = (generation: number) =>
          Effect.map(
            sql<{ amount: number }>`SELECT amount FROM ${sql(modelOf(generation))} ORDER BY rowid`,
            (rows) => rows.map(({ amount }) => amount)
          )
        const program = yield* Effect.acquireRelease(
          Effect.promise(() => Program.bundle("test/support/projectorRebuild.ts")),
          ({ remove }) => Effect.sync(remove)
        )
        let before = 0
        for (let kill = 0; kill < kills; kill++) {
          const running = Program.run(program.file, filename)
          // it has told where it begins, and of at least one chunk
          yield* Effect.promise(async () => {
            while (running.lines.length < 3 && running.process.exitCode === null) {
              await new Promise((resolve) => setTimeout(resolve, 5))
            }
            await running.kill()
          })
          assert.strictEqual(running.process.signalCode, "SIGKILL")
          assert.strictEqual(Number(running.lines[1]), before, "it begins where the one before was killed")
          const found = yield* amounts(1)
          equal(found, Array.from({ length: found.length }, (_, n) => n))
          assert.isAbove(found.length, before)
          assert.isBelow(found.length, events)
          before = found.length
          assert.strictEqual(yield* ProjectionRebuild.generation(AmountsByModel), 0)
        }
        const told = yield* Stream.runCollect(rebuildAmounts)
        includes(Option.getOrThrow(Chunk.last(told)), { phase: "swapped", events: events - before })
        equal(yield* amounts(1), Array.from({ length: events }, (_, n) => n))
        assert.strictEqual(yield* ProjectionRebuild.generation(AmountsByModel), 1)
      }).pipe(Effect.provide(services))
    }),
  120_000
)
