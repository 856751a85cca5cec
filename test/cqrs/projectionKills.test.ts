import { SqlClient } from "@effect/sql"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Layer, Option } from "effect"
import * as Projection from "effect-skald/cqrs/Projection"
import * as Sqlite from "effect-skald/Sqlite"
import { CheckpointStore } from "effect-skald/store/CheckpointStore"
import { equal, includes } from "../support/assert.ts"
import * as Program from "../support/program.ts"
import { Amounts, sumOfAmounts } from "../support/projectorWork.ts"
import { tempFile } from "../support/tempDirectory.ts"
import { Deposited, Wallets } from "../support/wallet.ts"

const kills = 5
const events = 8_000

interface Row {
  readonly position: number
  readonly amount: number
}

/** Starts a process that projects, and kills it some turns of the event loop after its first rows can be seen. */
const killLater = (file: string, filename: string, countRows: () => number, turns: number) =>
  Effect.promise(async () => {
    const running = Program.run(file, filename)
    await running.spoken
    const before = countRows()
    while (countRows() === before && running.process.exitCode === null) await new Promise(setImmediate)
    for (let turn = 0; turn < turns; turn++) {
      countRows()
      await new Promise(setImmediate)
    }
    await running.kill()
    return { signal: running.process.signalCode, rows: countRows() - before }
  })

it.scoped(
  "killed at any moment, each event is in its row once, and the rows are those of the checkpoint",
  () =>
    Effect.gen(function*() {
      const filename = yield* tempFile()
      const services = yield* Layer.build(Sqlite.layer({ filename }))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const checkpoints = yield* CheckpointStore
        yield* sql`CREATE TABLE amounts (position INTEGER, amount INTEGER)`
        for (let from = 0; from < events; from += 1_000) {
          yield* Wallets.append("a", Array.from({ length: 1_000 }, (_, n) => Deposited({ amount: from + n })))
        }
        const program = yield* Effect.acquireRelease(
          Effect.promise(() => Program.bundle("test/support/projector.ts")),
          ({ remove }) => Effect.sync(remove)
        )
        const onDisk = yield* Effect.acquireRelease(
          Effect.sync(() => new Database(filename, { readonly: true })),
          (connection) => Effect.sync(() => connection.close())
        )
        const count = onDisk.prepare<[], number>("SELECT count(*) FROM amounts").pluck()
        let total = 0
        for (let kill = 0; kill < kills; kill++) {
          const { rows, signal } = yield* killLater(program.file, filename, () => count.get()!, kill * 7)
          assert.strictEqual(signal, "SIGKILL")
          assert.isAbove(rows, 0)
          total += rows
          const found = yield* sql<Row>`SELECT * FROM amounts ORDER BY rowid`
          assert.lengthOf(found, total)
          const last = found[found.length - 1]!
          const at = Option.getOrThrow(yield* checkpoints.get(":projection/amounts@1"))
          assert.isAtLeast(at, last.position)
          equal(found.map((row) => row.amount), Array.from({ length: total }, (_, n) => n), "in order, each once")
        }
        const { projected } = yield* Projection.catchUp(Amounts)
        assert.strictEqual(projected, events - total)
        const found = yield* sql<Row>`SELECT * FROM amounts ORDER BY rowid`
        equal(found.map((row) => row.amount), Array.from({ length: events }, (_, n) => n))
        includes(yield* Projection.catchUp(sumOfAmounts), { state: { events, sum: events * (events - 1) / 2 } })
      }).pipe(Effect.provide(services))
    }),
  60_000
)
