// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { afterAll, beforeAll } from "vitest"
import { differences, expected } from "../../examples/services/Launcher.ts"
import * as Postgres from "../support/postgres.ts"
import * as Program from "../support/program.ts"
import * as Servers from "../support/servers.ts"
import { tempFile } from "../support/tempDirectory.ts"

let program: Effect.Effect.Success<ReturnType<typeof bundled>>
const bundled = () => Effect.promise(() => Program.bundle("examples/services/main.ts"))
beforeAll(async () => {
  program = await Effect.runPromise(bundled())
})
afterAll(() => program.remove())

const run = (...args: ReadonlyArray<string>) =>
  Effect.async<{ readonly code: number | null; readonly out: string; readonly err: string }>((resume) => {
    const child = spawn(process.execPath, [program.file, ...args])
    let [out, err] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => out += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => err += text)
    child.once("close", (code) => resume(Effect.succeed({ code, out, err })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** 12 of 36 orders for each of three items, of which there are 10. */
const all = `Starting users, orders, inventory, notifications, analytics.
Killed inventory (SIGKILL) in the midst of its work.
Started inventory again.
users         30 OrderConfirmed
orders        30 StockReserved, 6 StockShort, 5 UserRegistered
inventory     36 OrderPlaced
notifications 30 OrderConfirmed, 6 OrderRejected, 5 UserRegistered
analytics     30 OrderConfirmed, 36 OrderPlaced, 6 OrderRejected, 30 StockReserved, 6 StockShort, 5 UserRegistered
Each saw what it subscribes to, each event once.
`

const work = ["--users", "5", "--orders", "36"]

describe("acceptance 16: five processes that know each other by events", () => {
  it.scopedLive(
    "over one SQLite file each sees what it subscribes to, one of them killed; it ends with 1 where a count is wrong",
    () =>
      Effect.gen(function*() {
        const file = yield* tempFile()
        const first = yield* run("--store", file, ...work)
        assert.strictEqual(first.out, all, first.err)
        assert.strictEqual(first.code, 0)

        // on a file where others have been, there is more than was sent through
        const second = yield* run("--store", file, "--users", "1", "--orders", "2", "--limit", "1")
        assert.strictEqual(second.code, 1)
        assert.include(second.err, "inventory saw 36 OrderPlaced and must see 2")
      }),
    120_000
  )

  it("tells each difference between what a program saw and what it must see", () => {
    const must = expected({ users: 5, orders: 36 })
    assert.deepStrictEqual(must.users, { OrderConfirmed: 30 })
    assert.deepStrictEqual(differences("users", must.users, { counts: { OrderConfirmed: 30 }, twice: 0 }), [])
    assert.deepStrictEqual(differences("users", must.users, { counts: { OrderPlaced: 1 }, twice: 2 }), [
      "users saw 0 OrderConfirmed and must see 30",
      "users saw 1 OrderPlaced and must see 0",
      "users saw 2 events twice"
    ])
  })
})

Servers.suite("postgres", "acceptance 16 on PostgreSQL", (url) => {
  it.scopedLive(
    "over one database each sees what it subscribes to, one of them killed",
    () =>
      Effect.gen(function*() {
        const { code, err, out } = yield* run("--store", yield* Postgres.database(url), ...work)
        assert.strictEqual(out, all, err)
        assert.strictEqual(code, 0)
      }),
    120_000
  )
})
