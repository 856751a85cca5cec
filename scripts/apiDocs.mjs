#!/usr/bin/env node
/**
 * Writes the pages of the API to docs/api (not committed) with @effect/docgen.
 *
 * It works in a copy whose package.json has a homepage, without which docgen refuses to run, and another name, because
 * docgen rewrites imports of the package itself into paths that NodeNext cannot resolve. The examples are compiled by
 * docExamples.mjs, which knows their lines; docgen would compile them once more and then run them, which an example
 * of a test or of a server is not for: the tsc and tsx that it finds do nothing.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"

const root = path.join(import.meta.dirname, "..")
const copy = path.join(root, "tmp", `api-docs-${process.pid}`)
fs.mkdirSync(copy, { recursive: true })
process.on("exit", () => fs.rmSync(copy, { recursive: true, force: true }))

fs.cpSync(path.join(root, "src"), path.join(copy, "src"), { recursive: true })
for (const name of ["tsconfig.json", "tsconfig.base.json"]) {
  fs.copyFileSync(path.join(root, name), path.join(copy, name))
}
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
fs.writeFileSync(path.join(copy, "package.json"), JSON.stringify({ ...manifest, name: "skald", homepage: "./" }))
const config = JSON.parse(fs.readFileSync(path.join(root, "docgen.json"), "utf8"))
fs.writeFileSync(path.join(copy, "docgen.json"), JSON.stringify(config))

const nothing = path.join(copy, "nothing")
fs.mkdirSync(nothing)
for (const name of ["tsc", "tsx"]) fs.writeFileSync(path.join(nothing, name), "#!/bin/sh\nexit 0\n", { mode: 0o755 })

const result = spawnSync(path.join(root, "node_modules", ".bin", "docgen"), [], {
  cwd: copy,
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, PATH: `${nothing}${path.delimiter}${process.env.PATH}` }
})
if (result.status !== 0) process.exit(result.status ?? 1)

const output = path.join(root, config.outDir)
fs.rmSync(output, { recursive: true, force: true })
fs.cpSync(path.join(copy, config.outDir), output, { recursive: true })
console.log(`API pages: ${path.relative(process.cwd(), output)}`)
