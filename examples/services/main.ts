/**
 * `npm run example -- services`: five programs as five processes that know each other by events alone.
 *
 *     --store ADDRESS   a SQLite file, or postgres://user:password@host:5432/database; a new file when not given
 *     --users N         how many users are registered; 10 when not given
 *     --orders N        how many orders are placed; 45 when not given
 *
 * It ends with 1 where a count is wrong. The address should be of an empty database: what is there from a run before is counted.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Launcher from "./Launcher.ts"
import * as Process from "./Process.ts"
import { type Name, names } from "./Programs.ts"

const { values } = parseArgs({
  options: {
    store: { type: "string" },
    users: { type: "string", default: "10" },
    orders: { type: "string", default: "45" },
    /** Seconds that anything is waited for. */
    limit: { type: "string", default: "60" },
    /** One of the five programs: that is how the processes are started. */
    role: { type: "string" }
  }
})

const isName = (name: string): name is Name => (names as ReadonlyArray<string>).includes(name)

/** A directory that is removed in the end. */
const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "services-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const launch = Effect.gen(function*() {
  const address = values.store ?? join(yield* directory, "services.db")
  const command = [...process.execArgv, fileURLToPath(import.meta.url), "--store", address]
  const work = { users: Number(values.users), orders: Number(values.orders) }
  yield* Launcher.run(command, work, Number(values.limit) * 1_000)
}).pipe(
  Effect.scoped,
  Effect.tapErrorTag("Failed", ({ message }) => Console.error(message))
)

const main: Effect.Effect<void, unknown> = values.role === undefined
  ? launch
  : isName(values.role) && values.store !== undefined
  ? Process.run(values.role, values.store)
  : Effect.dieMessage(`there is no program ${values.role}`)

NodeRuntime.runMain(main, { disableErrorReporting: values.role === undefined })
