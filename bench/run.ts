/** `npm run bench -- <name> [--json] [--quick] [--case TEXT] [--rounds N] [--store NAME] [--events N]`; without a name, what there is. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import * as Kit from "./kit.ts"

const folder = import.meta.dirname
/** `.ts` as it stands, `.mjs` as scripts/bench.mjs builds it. */
const extension = path.extname(import.meta.filename)
const names = fs.readdirSync(folder)
  .map((name) => path.parse(name))
  .filter(({ ext, name }) => ext === extension && !["run", "kit"].includes(name) && !name.startsWith("chunk-"))
  .map(({ name }) => name)
  .sort()

const usage = [
  "npm run bench -- <name> [--json] [--quick] [--case TEXT] [--rounds N] [--store NAME] [--events N]",
  "  --json       one JSON object a line, and nothing else, on standard output",
  "  --quick      small sizes and few rounds: a look, not a figure",
  "  --case TEXT  only the cases whose name holds TEXT",
  "  --rounds N   so many rounds of each side",
  "  --store NAME sqlite or postgres alone, where a bench has both",
  "  --events N   up to so many events, where a bench lets a log grow",
  names.length === 0 ? "There is no bench yet." : `Benches: ${names.join(", ")} (or all)`
].join("\n")

const parsed = (() => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
        case: { type: "string" },
        rounds: { type: "string" },
        store: { type: "string" },
        events: { type: "string" }
      }
    })
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return process.exit(2)
  }
})()
const { positionals, values } = parsed

if (values.help) {
  console.log(usage)
  process.exit(0)
}
const wanted = positionals.includes("all") ? names : positionals
const unknown = wanted.filter((name) => !names.includes(name))
if (wanted.length === 0 || unknown.length > 0) {
  console.error(unknown.length > 0 ? `There is no bench ${unknown.join(", ")}.\n${usage}` : usage)
  process.exit(2)
}
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`--rounds must be a whole number above 0, got ${values.rounds}`)
  process.exit(2)
}

if (values.store !== undefined) process.env["SKALD_BENCH_STORE"] = values.store
if (values.events !== undefined) process.env["SKALD_BENCH_EVENTS"] = values.events

const live = process.stderr.isTTY === true
const settings: Kit.Settings = {
  ...Kit.settings(values.quick),
  ...(rounds === undefined ? {} : { rounds }),
  onRound: (text) => {
    if (live) process.stderr.write(`\r\x1b[2K${text}`)
  }
}

let ran = 0
for (const name of wanted) {
  const module = (await import(pathToFileURL(path.join(folder, `${name}${extension}`)).href)) as {
    default?: ReadonlyArray<Kit.Case>
  }
  if (!Array.isArray(module.default)) throw new Error(`bench/${name}.ts has no default export of cases`)
  const cases = (module.default as ReadonlyArray<Kit.Case>)
    .filter((item) => values.case === undefined || item.name.includes(values.case))
    .map((item) => rounds === undefined ? item : { ...item, rounds })
  const rows: Array<readonly [Kit.Case, Kit.Result]> = []
  if (!values.json) {
    console.log(
      `${name}: Node ${process.versions.node}, ${os.cpus().length} cores, medians${values.quick ? " (quick)" : ""}`
    )
  }
  for (const item of cases) {
    const result = await Kit.run(name, item, settings)
    ran++
    if (live) process.stderr.write("\r\x1b[2K")
    rows.push([item, result])
    if (values.json) console.log(JSON.stringify(result))
  }
  if (!values.json && rows.length > 0) console.log(`${Kit.table(rows)}\n`)
}
if (ran === 0) {
  console.error(`No case holds "${values.case}".`)
  process.exit(2)
}
