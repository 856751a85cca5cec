/**
 * Runs the long proofs of test/soak: `npm run soak [-- --scale 0.1] [--json FILE] [names…]`.
 *
 * Whole (scale 1), it writes what each one did to docs/soak/<name>.md, which is committed. At another scale it writes
 * nothing to docs.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { scale: { type: "string", default: "1" }, json: { type: "string" }, help: { type: "boolean" } }
})
if (values.help === true) {
  console.log("npm run soak [-- --scale 0.1] [--json FILE] [names…]")
  process.exit(0)
}
const scale = Number(values.scale)
if (!(scale > 0)) {
  console.error(`--scale must be a number above 0, got ${values.scale}`)
  process.exit(2)
}

const root = path.join(import.meta.dirname, "..")
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skald-soak-"))
const json = path.resolve(values.json ?? path.join(folder, "vitest.json"))
const soaks = path.join(root, "test", "soak")
const files = fs.existsSync(soaks)
  ? fs.readdirSync(soaks, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".soak.ts"))
  : []
if (files.length === 0) {
  console.error("There is no soak: a soak is a file test/soak/<name>.soak.ts")
  process.exit(2)
}
const unknown = positionals.filter((name) => !files.some((file) => file.includes(name)))
if (unknown.length > 0) {
  console.error(`There is no soak ${unknown.join(", ")}. Soaks: ${files.join(", ")}`)
  process.exit(2)
}

const started = performance.now()
const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs")
const run = spawnSync(
  process.execPath,
  [
    vitest,
    "run",
    "--config",
    "vitest.soak.config.ts",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${json}`,
    ...positionals
  ],
  {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      // whole, it draws new cases each time
      ...(scale === 1 ? { SKALD_SEED: "random" } : {}),
      ...process.env,
      SKALD_SOAK: String(scale),
      SKALD_SOAK_REPORT: path.join(folder, "reports")
    }
  }
)

interface Result {
  readonly success: boolean
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<
      { readonly fullName: string; readonly status: string; readonly duration?: number | null }
    >
  }>
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`

if (scale === 1 && fs.existsSync(json)) {
  const result: Result = JSON.parse(fs.readFileSync(json, "utf8"))
  const out = path.join(root, "docs", "soak")
  fs.mkdirSync(out, { recursive: true })
  for (const file of result.testResults) {
    const name = path.basename(file.name, ".soak.ts")
    const lines = path.join(folder, "reports", `${name}.jsonl`)
    const told = fs.existsSync(lines)
      ? fs.readFileSync(lines, "utf8").trim().split("\n").map((line) =>
        `- ${(JSON.parse(line) as { line: string }).line}`
      )
      : []
    fs.writeFileSync(
      path.join(out, `${name}.md`),
      [
        `# Soak: ${name}`,
        "",
        `Run whole by \`npm run soak\` on ${
          new Date().toISOString().slice(0, 10)
        }, Node ${process.versions.node}, ${os.cpus().length} cores.`,
        "",
        "| test | result | time |",
        "| --- | --- | --- |",
        ...file.assertionResults.map((test) =>
          `| ${test.fullName.replaceAll("|", "\\|")} | ${test.status} | ${seconds(test.duration ?? 0)} |`
        ),
        ...(told.length === 0 ? [] : ["", "What it did:", "", ...told]),
        ""
      ].join("\n")
    )
  }
  console.log(`docs/soak: ${result.testResults.length} reports`)
}
console.log(`soak at scale ${scale}: ${seconds(performance.now() - started)}`)
if (values.json === undefined) fs.rmSync(folder, { recursive: true, force: true })
process.exit(run.status ?? 1)
