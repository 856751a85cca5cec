#!/usr/bin/env node
/**
 * `effect-language-service diagnostics` over a copy of the sources whose tsconfig.json is tsconfig.lint.json.
 *
 * The tool takes from `--project` no more than the list of files; the options it finds by walking up from each file to
 * a `tsconfig.json`. Ours is NodeNext, under which several diagnostics never fire, so it looks at a copy that has the
 * options of tsconfig.lint.json. A run that checked nothing is a failure.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"

const root = path.join(import.meta.dirname, "..")
const copy = path.join(root, "tmp", `effect-diagnostics-${process.pid}`)

// What must not compile stands there, and says so itself. (Not even for a moment in the copy: tstyche would find it.)
const types = path.join(root, "test", "types")

fs.mkdirSync(copy, { recursive: true })
process.on("exit", () => fs.rmSync(copy, { recursive: true, force: true }))
for (const folder of ["src", "test", "bench", "examples", "scripts"]) {
  const from = path.join(root, folder)
  if (fs.existsSync(from)) {
    fs.cpSync(from, path.join(copy, folder), {
      recursive: true,
      filter: (file) => file !== types
    })
  }
}
fs.copyFileSync(path.join(root, "tsconfig.base.json"), path.join(copy, "tsconfig.base.json"))
fs.copyFileSync(path.join(root, "tsconfig.lint.json"), path.join(copy, "tsconfig.json"))
fs.writeFileSync(path.join(copy, "package.json"), fs.readFileSync(path.join(root, "package.json")))

const result = spawnSync(
  path.join(root, "node_modules", ".bin", "effect-language-service"),
  [
    "diagnostics",
    "--project",
    path.join(copy, "tsconfig.json"),
    "--strict",
    "--format",
    "text",
    "--severity",
    "error,warning"
  ],
  { cwd: copy, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] }
)
const output = `${result.stdout}${result.stderr}`.replaceAll(`${copy}${path.sep}`, "").replace(/^\n+/gm, "")
process.stdout.write(output)
const checked = /Checked (\d+) files out of (\d+)/.exec(output)
if (checked === null || Number(checked[1]) === 0 || checked[1] !== checked[2]) {
  console.log("not every file was checked")
  process.exit(1)
}
process.exit(result.status ?? 1)
