/**
 * `npm run example -- orders`: sagas over stock and money that are really kept, with services that fail.
 *
 *     --database FILE   where everything is kept; a new file when not given. Killed and started again, it goes on there
 *     --orders N        how many orders there are; 200 when not given
 *     --seed N          which orders, and which failures; 1 when not given
 *     --form FORM       `body` or `list`, of the saga; `body` when not given
 *
 * It ends with 1 where the books do not balance.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { layer, program } from "./Run.ts"

const { values } = parseArgs({
  options: {
    database: { type: "string" },
    orders: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    form: { type: "string", default: "body" }
  }
})

/** A directory that is removed in the end. */
const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "orders-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const main = Effect.gen(function*() {
  const options = {
    filename: values.database ?? join(yield* directory, "orders.db"),
    orders: Number(values.orders),
    seed: Number(values.seed),
    form: values.form === "list" ? "list" : "body",
    concurrency: 16
  } as const
  yield* Effect.provide(program(options, Console.log), layer(options))
}).pipe(
  Effect.scoped,
  Effect.tapErrorTag("Unbalanced", ({ message }) => Console.error(message))
)

NodeRuntime.runMain(main)
