// needs: native addon
import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Effect, Stream } from "effect"
import * as SagaJournal from "effect-skald/saga/SagaJournal"
import * as SqliteClient from "effect-skald/store/SqliteClient"
import { afterAll, beforeAll } from "vitest"
import * as Books from "../../examples/orders/Books.ts"
import { layer, type Options, program, requests } from "../../examples/orders/Run.ts"
import * as Sales from "../../examples/orders/Sales.ts"
import * as Program from "../support/program.ts"
import { tempFile } from "../support/tempDirectory.ts"

let main: Awaited<ReturnType<typeof Program.bundle>>
beforeAll(async () => {
  main = await Program.bundle("examples/orders/main.ts")
})
afterAll(() => main.remove())

const options = { orders: 24, seed: 7, form: "body", concurrency: 1 } as const

/** What differs from run to run is left out: chance, and instants. */
const journals = (given: Options) =>
  Effect.gen(function*() {
    yield* program(given, () => Effect.void)
    return yield* Effect.forEach(requests(given.orders, given.seed), ({ order }) =>
      Effect.map(
        Stream.runCollect(SagaJournal.Sagas.read(SagaJournal.idOf("order", order))),
        (events) =>
          Array.from(events, ({ payload }) =>
            JSON.stringify(
              payload,
              (name, value) => ["seed", "due", "deadline", "instants", "next"].includes(name) ? 0 : value
            ))
      ))
  }).pipe(Effect.provide(layer(given)))

describe("orders", () => {
  it.scopedLive(
    "the books balance, and the list of steps journals what the body journals",
    () =>
      Effect.gen(function*() {
        const [first, second] = [yield* tempFile(), yield* tempFile()]
        const body = yield* journals({ ...options, filename: first })
        const list = yield* journals({ ...options, filename: second, form: "list" })
        assert.deepStrictEqual(list, body)
        // and both of them had something to retry, to undo, and to carry through
        const seen = new Set(body.flat().map((event) => JSON.parse(event)._tag))
        for (const tag of ["SagaAttemptFailed", "SagaCompensated", "SagaStepFailed", "SagaEnded"]) {
          assert.include(seen, tag)
        }
        yield* Effect.gen(function*() {
          const fulfilled = yield* Sales.ofStatus("fulfilled")
          assert.isAbove(fulfilled.length, 10)
          const revenue = fulfilled.reduce((sum, { cents }) => sum + cents, 0)
          const byStatus = (yield* Sales.byStatus).find(({ name }) => name === "fulfilled")
          assert.deepStrictEqual(byStatus, { name: "fulfilled", orders: fulfilled.length, cents: revenue })
          const byCustomer = yield* Sales.byCustomer
          assert.strictEqual(byCustomer.reduce((sum, { cents }) => sum + cents, 0), revenue)
          const [best] = byCustomer
          const theirs = (yield* Sales.ofCustomer(best!.name)).filter(({ status }) => status === "fulfilled")
          assert.strictEqual(theirs.length, best!.orders)
        }).pipe(Effect.provide(SqliteClient.layer({ filename: second })))
      }),
    60_000
  )

  it.scopedLive(
    "killed a few times, it goes on; it ends with 1 where the books do not balance",
    () =>
      Effect.gen(function*() {
        const filename = yield* tempFile()
        const args = ["--database", filename, "--orders", "40", "--seed", "3"]
        for (let kill = 0; kill < 3; kill++) {
          yield* Effect.promise(async () => {
            const running = Program.run(main.file, ...args)
            await running.spoken
            await running.kill()
            assert.strictEqual(running.process.signalCode, "SIGKILL")
          })
        }
        const whole = yield* Effect.promise(() => finish(...args))
        assert.strictEqual(whole.code, 0, whole.lines.join("\n"))
        assert.strictEqual(whole.lines.at(-1), "The books balance.")
        const taken = whole.lines.map((line) => / ([0-9]+) sagas taken over$/.exec(line)?.[1]).find((count) => count)
        assert.isAbove(Number(taken), 0)

        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* Books.problems, [])
          const sql = yield* SqlClient.SqlClient
          yield* sql`UPDATE product SET stock = stock + 1 WHERE product = 'lamp'`
          yield* sql`UPDATE account SET cents = cents + 1 WHERE owner = 'customer-3'`
          const found = yield* Books.problems
          assert.deepStrictEqual(found.map((problem) => problem.split(":")[0]), [
            "lamp, in stock and shipped",
            "all money",
            "the account of customer-3"
          ])
        }).pipe(Effect.provide(SqliteClient.layer({ filename })))
        const stolen = yield* Effect.promise(() => finish(...args))
        assert.strictEqual(stolen.code, 1)
        assert.notInclude(stolen.lines, "The books balance.")
      }),
    60_000
  )
})

/** Runs it to its end. */
const finish = (...args: ReadonlyArray<string>) => {
  const running = Program.run(main.file, ...args)
  return new Promise<{ readonly code: number | null; readonly lines: ReadonlyArray<string> }>((resolve) => {
    running.process.once("close", (code) => resolve({ code, lines: running.lines }))
  })
}
